//! The watch: what a session's iteration times its parts with.
//!
//! A part may stand inside another, run on several ranks, and leave time out.
//! Nothing is allocated in the timed region, except a tape for each part past
//! the eighth, and those of ranks, when they are first met, which is warm-up.

use std::borrow::Cow;

use assay_schema::{Better, Metric, Pictures, Reading, Seconds};

use crate::Clock;

/// Room on a part's tape; drained when half full.
const TAPE_ROOM: usize = 1024;

/// Tapes made beforehand, so that neither memory nor allocations of the first
/// parts are counted as the session's.
const TAPES: usize = 8;

/// Handed to [`Session::iterate`](crate::Session::iterate).
pub struct Watch<'a> {
    clock: &'a dyn Clock,
    rank: Option<u32>,
    /// The iteration under way, from 0.
    step: u64,
    /// The sample under way, from 0.
    sample: u64,
    /// Whether a sample spans several iterations: then a part's calls within
    /// a sample are added up, as the sample's own iterations are.
    pooled: bool,
    /// Only the last value of a quality stands, as every iteration of a
    /// steady session does the same work.
    keep_last: bool,
    /// Ticks to leave out, in all.
    untimed: u64,
    /// Ticks of the sample under way that an earlier run took in its place.
    earlier: Option<u64>,
    tapes: Vec<Tape>,
    spare: Vec<Vec<PartSample>>,
    qualities: Vec<Quality>,
    pictures: Vec<Pictures>,
    ranks: Vec<Watch<'a>>,
}

/// The samples of one part.
struct Tape {
    part: &'static str,
    taken: Vec<PartSample>,
}

/// One sample of a part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct PartSample {
    /// The sample of the whole step that it belongs to.
    pub(crate) sample: u64,
    /// Calls that it spans.
    pub(crate) calls: u64,
    /// Time of all calls.
    pub(crate) seconds: Seconds,
}

/// A quality metric of one step.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Quality {
    pub(crate) step: u64,
    pub(crate) metric: Metric,
}

impl<'a> Watch<'a> {
    /// A watch on a clock, at the first step, with tapes at hand.
    pub(crate) fn new(clock: &'a dyn Clock) -> Self {
        let spare = (0..TAPES).map(|_| Vec::with_capacity(TAPE_ROOM));
        Self { spare: spare.collect(), ..Self::bare(clock) }
    }

    fn bare(clock: &'a dyn Clock) -> Self {
        Self {
            clock,
            rank: None,
            step: 0,
            sample: 0,
            pooled: false,
            keep_last: false,
            untimed: 0,
            earlier: None,
            tapes: Vec::with_capacity(TAPES),
            spare: Vec::new(),
            qualities: Vec::new(),
            pictures: Vec::new(),
            ranks: Vec::new(),
        }
    }

    /// The iteration under way, from 0.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The rank that this watch belongs to, if it is one of
    /// [`ranks`](Self::ranks).
    pub fn rank(&self) -> Option<u32> {
        self.rank
    }

    /// Times a named part of the iteration. Each call is a sample of the
    /// part; the body gets the watch back, for parts within the part.
    ///
    /// A panic or an early return inside leaves no sample.
    #[inline]
    pub fn part<R>(
        &mut self,
        name: &'static str,
        body: impl FnOnce(&mut Self) -> R,
    ) -> R {
        let untimed = self.untimed;
        let start = self.clock.now();
        let result = body(self);
        let end = self.clock.now();
        let left_out = self.untimed - untimed;
        let ticks = end.saturating_sub(start).saturating_sub(left_out);
        self.add(name, self.clock.seconds(ticks));
        result
    }

    /// As [`part`](Self::part), and tells the time: for a session that must
    /// report a sum of parts, such as training time up to an epoch.
    pub fn timed_part<R>(
        &mut self,
        name: &'static str,
        body: impl FnOnce(&mut Self) -> R,
    ) -> (R, Seconds) {
        let result = self.part(name, body);
        let tape = self.tapes.iter().find(|tape| tape.part == name);
        let last = tape.and_then(|tape| tape.taken.last());
        (result, last.map_or(Seconds(0.0), |taken| taken.seconds))
    }

    /// Records a part that something else timed: a device's own timer, or
    /// another process.
    pub fn record(&mut self, name: &'static str, time: Seconds) {
        self.add(name, time);
    }

    /// Leaves the body out of the step and of the parts around it: resetting
    /// a cache to its length, drawing the next batch. Meters still see it.
    #[inline]
    pub fn untimed<R>(&mut self, body: impl FnOnce() -> R) -> R {
        let start = self.clock.now();
        let result = body();
        let end = self.clock.now();
        self.untimed += end.saturating_sub(start);
        result
    }

    /// The iteration only reads back what an earlier run made: its sample is
    /// the time that the work took then. For studies, whose iterations are a
    /// sample each.
    pub fn took_earlier(&mut self, time: Seconds) {
        self.earlier = Some(self.clock.ticks(time));
    }

    /// One watch for each of `count` ranks, to be sent to their threads. The
    /// same watches come back at every step; nothing need be merged.
    pub fn ranks(&mut self, count: u32) -> &mut [Watch<'a>] {
        while self.ranks.len() < count as usize {
            let mut watch = Watch::bare(self.clock);
            watch.rank = Some(self.ranks.len() as u32);
            self.ranks.push(watch);
        }
        for watch in &mut self.ranks {
            watch.step = self.step;
            watch.sample = self.sample;
            watch.pooled = self.pooled;
            watch.keep_last = self.keep_last;
        }
        &mut self.ranks[..count as usize]
    }

    /// Records a quality beside time: a loss, an accuracy. Stored as
    /// `quality/<name>` with the step in a study; of a steady session the
    /// last value stands. A value that is not finite is recorded as
    /// unavailable, with the reason.
    pub fn quality(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        unit: &str,
        better: Better,
        value: f64,
    ) {
        self.quality_at(name, unit, better, value, []);
    }

    /// A [`quality`](Self::quality) at a place on its own axes: an accuracy
    /// at one signal-to-noise ratio, a cell of a confusion matrix.
    pub fn quality_at<const N: usize>(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        unit: &str,
        better: Better,
        value: f64,
        at: [(&str, &str); N],
    ) {
        let name: Cow<'static, str> = name.into();
        self.tell(Metric::value(name, unit, better, value).at(at));
    }

    /// Records a quality that was made beforehand, at all its places: what a
    /// stage of a study told, maybe in an earlier run. As
    /// [`quality`](Self::quality) records it; what was unavailable stays so.
    pub fn tell(&mut self, mut metric: Metric) {
        metric.name = format!("quality/{}", metric.name);
        if let Reading::Value(value) = metric.reading
            && !value.is_finite()
        {
            let why = format!("{value} at step {}", self.step);
            metric.reading = Reading::Unavailable(why);
        }
        let quality = Quality { step: self.step, metric };
        let same =
            self.qualities.iter_mut().filter(|_| self.keep_last).find(|old| {
                old.metric.name == quality.metric.name
                    && old.metric.at == quality.metric.at
            });
        match same {
            Some(old) => *old = quality,
            None => self.qualities.push(quality),
        }
    }

    /// Keeps pictures for a reader; of one label the last ones stand in a
    /// steady session.
    pub fn pictures(&mut self, drawn: Pictures) {
        if self.keep_last {
            self.pictures.retain(|old| old.label != drawn.label);
        }
        self.pictures.push(drawn);
    }

    /// Ticks left out so far; the sampler subtracts the difference.
    #[inline]
    pub(crate) fn untimed_ticks(&self) -> u64 {
        self.untimed
    }

    /// What stands in the place of the sample's own time, if anything does.
    #[inline]
    pub(crate) fn earlier_ticks(&mut self) -> Option<u64> {
        self.earlier.take()
    }

    /// The iteration is over.
    #[inline]
    pub(crate) fn next_step(&mut self) {
        self.step += 1;
    }

    /// The sample is over.
    #[inline]
    pub(crate) fn next_sample(&mut self) {
        self.sample += 1;
    }

    /// The sample under way, from 0.
    pub(crate) fn sample(&self) -> u64 {
        self.sample
    }

    /// Whether only the last value of a quality stands.
    pub(crate) fn keep_last(&mut self, keep_last: bool) {
        self.keep_last = keep_last;
    }

    /// Whether samples to come span several iterations.
    pub(crate) fn pool(&mut self, pooled: bool) {
        self.pooled = pooled;
    }

    /// Whether a tape is past the half, so that the next sample might not
    /// find room.
    #[inline]
    pub(crate) fn wants_draining(&self) -> bool {
        self.tapes.iter().any(|tape| tape.taken.len() > TAPE_ROOM / 2)
            || self.ranks.iter().any(Watch::wants_draining)
    }

    /// Hands over all part samples of completed samples, keeping the tapes'
    /// room.
    pub(crate) fn drain(
        &mut self,
        take: &mut impl FnMut(&'static str, Option<u32>, PartSample),
    ) {
        for tape in &mut self.tapes {
            for taken in tape.taken.drain(..) {
                take(tape.part, self.rank, taken);
            }
        }
        for rank in &mut self.ranks {
            rank.drain(take);
        }
    }

    /// Hands over all qualities.
    pub(crate) fn drain_qualities(&mut self) -> Vec<Quality> {
        let mut all = std::mem::take(&mut self.qualities);
        for rank in &mut self.ranks {
            all.append(&mut rank.drain_qualities());
        }
        all
    }

    /// Hands over all pictures.
    pub(crate) fn drain_pictures(&mut self) -> Vec<Pictures> {
        let mut all = std::mem::take(&mut self.pictures);
        for rank in &mut self.ranks {
            all.append(&mut rank.drain_pictures());
        }
        all
    }

    #[inline]
    fn add(&mut self, part: &'static str, seconds: Seconds) {
        let taken = PartSample { sample: self.sample, calls: 1, seconds };
        let Some(tape) = self.tapes.iter_mut().find(|t| t.part == part) else {
            let spare = self.spare.pop();
            let mut tape =
                spare.unwrap_or_else(|| Vec::with_capacity(TAPE_ROOM));
            tape.push(taken);
            self.tapes.push(Tape { part, taken: tape });
            return;
        };
        match tape.taken.last_mut() {
            Some(last) if self.pooled && last.sample == self.sample => {
                last.calls += 1;
                last.seconds += seconds;
            }
            Some(_) | None => tape.taken.push(taken),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FakeClock;

    fn drained(watch: &mut Watch<'_>) -> Vec<(&'static str, PartSample)> {
        let mut all = Vec::new();
        watch.drain(&mut |part, _, taken| all.push((part, taken)));
        all
    }

    #[test]
    fn a_part_within_a_part_counts_in_both_and_untimed_work_in_neither() {
        let clock = FakeClock::new();
        let mut watch = Watch::new(&clock);
        watch.part("outer", |watch| {
            clock.advance(Seconds(1.0));
            watch.part("inner", |watch| {
                clock.advance(Seconds(2.0));
                watch.untimed(|| clock.advance(Seconds(40.0)));
            });
        });
        let parts: Vec<_> = drained(&mut watch)
            .into_iter()
            .map(|(part, taken)| (part, taken.seconds))
            .collect();
        assert_eq!(parts, [("inner", Seconds(2.0)), ("outer", Seconds(3.0))]);
        assert_eq!(clock.seconds(watch.untimed_ticks()), Seconds(40.0));
    }

    #[test]
    fn calls_within_a_pooled_sample_are_added_up() {
        let clock = FakeClock::new();
        let mut watch = Watch::new(&clock);
        watch.keep_last(true);
        for pooled in [false, true] {
            watch.pool(pooled);
            for _ in 0..3 {
                watch.part("token", |_| clock.advance(Seconds(1.0)));
            }
            watch.next_sample();
        }
        let calls: Vec<u64> =
            drained(&mut watch).iter().map(|(_, taken)| taken.calls).collect();
        assert_eq!(calls, [1, 1, 1, 3]);
    }

    #[test]
    fn a_quality_that_is_not_a_number_says_so() {
        let clock = FakeClock::new();
        let mut watch = Watch::new(&clock);
        watch.quality("loss", "nat", Better::Lower, 0.5);
        watch.next_step();
        watch.quality("loss", "nat", Better::Lower, f64::NAN);
        let qualities = watch.drain_qualities();
        assert_eq!(qualities[0].metric.reading, Reading::Value(0.5));
        assert_eq!(qualities[1].step, 1);
        assert_eq!(
            qualities[1].metric.reading,
            Reading::Unavailable("NaN at step 1".into())
        );
    }

    #[test]
    fn a_metric_made_beforehand_is_told_as_it_is() {
        let clock = FakeClock::new();
        let mut watch = Watch::new(&clock);
        watch.next_step();
        let at = [("arm", "a"), ("iteration", "2"), ("set", "b"), ("k", "8")];
        let higher = Better::Higher;
        let made = Metric::value("pass", "1", higher, 0.5).at(at);
        watch.tell(made.clone());
        watch.tell(Metric::value("loss", "nat", Better::Lower, f64::INFINITY));
        watch.tell(Metric::unavailable("auc", "1", higher, "one class"));
        let told = watch.drain_qualities();
        assert!(told.iter().all(|quality| quality.step == 1));
        let [pass, loss, auc] = &told[..] else { panic!("{told:?}") };
        let name = "quality/pass".to_owned();
        assert_eq!(pass.metric, Metric { name, ..made });
        assert_eq!(
            loss.metric.reading,
            Reading::Unavailable("inf at step 1".into())
        );
        assert_eq!(
            auc.metric.reading,
            Reading::Unavailable("one class".into())
        );
    }

    #[test]
    fn a_steady_session_keeps_the_last_pictures_of_a_label() {
        let clock = FakeClock::new();
        let mut watch = Watch::new(&clock);
        watch.keep_last(true);
        for (label, byte) in [("a", 1), ("b", 2), ("a", 3)] {
            let captions = Vec::new();
            let (label, png) = (label.to_owned(), vec![byte]);
            watch.pictures(Pictures { label, captions, png });
        }
        let kept: Vec<Vec<u8>> =
            watch.drain_pictures().into_iter().map(|one| one.png).collect();
        assert_eq!(kept, [vec![2], vec![3]]);
    }

    #[test]
    fn a_steady_session_keeps_the_last_value_of_a_quality() {
        let clock = FakeClock::new();
        let mut watch = Watch::new(&clock);
        watch.keep_last(true);
        for value in [1.0, 2.0] {
            watch.quality("accuracy", "1", Better::Higher, value);
        }
        let qualities = watch.drain_qualities();
        assert_eq!(qualities.len(), 1);
        assert_eq!(qualities[0].metric.reading, Reading::Value(2.0));
    }
}
