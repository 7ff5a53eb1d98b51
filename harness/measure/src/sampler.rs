//! The loop that takes samples: the one place where time is read around work.
//!
//! A burst takes samples back to back. It allocates nothing, branches on
//! three counters, and reads the clock twice a sample; everything slow
//! (statistics, meters, the sink) happens between bursts. A device's queue is
//! empty when a sample ends: the session waits for it before the second read.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Clock, Progress, Session, Watch, WorkloadError};

/// Most samples of a burst: the tape's room.
pub(crate) const BURST: usize = 4096;

/// Raw samples of a burst, in ticks for all iterations of the sample.
pub(crate) struct Tape {
    ticks: Vec<u64>,
}

impl Tape {
    /// An empty tape with room for a burst.
    pub(crate) fn new() -> Self {
        Self { ticks: Vec::with_capacity(BURST) }
    }

    /// Hands over the samples, keeping the room.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = u64> + '_ {
        self.ticks.drain(..)
    }
}

/// Why a burst ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BurstEnd {
    /// Time or samples as asked.
    Paused,
    /// The session is done.
    Done,
    /// The stop flag was seen.
    Interrupted,
}

/// When to pause. At least one sample is taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Until {
    /// Ticks of the clock.
    pub(crate) deadline: u64,
    /// Samples, at most [`BURST`].
    pub(crate) samples: usize,
}

/// Takes samples of `iterations` each until told to pause.
///
/// A sample that the session cuts short (by being done or failing) is left
/// out unless it is whole.
pub(crate) fn burst<C: Clock, S: Session + ?Sized>(
    clock: &C,
    session: &mut S,
    watch: &mut Watch<'_>,
    tape: &mut Tape,
    iterations: u64,
    until: Until,
    interrupted: &AtomicBool,
) -> Result<BurstEnd, WorkloadError> {
    let room = until.samples.clamp(1, BURST);
    loop {
        let untimed = watch.untimed_ticks();
        let mut left = iterations;
        let mut progress = Progress::More;
        let start = clock.now();
        while left > 0 && progress == Progress::More {
            progress = session.iterate(watch)?;
            watch.next_step();
            left -= 1;
        }
        session.finish_sample(watch)?;
        let end = clock.now();
        if left == 0 {
            let left_out = watch.untimed_ticks() - untimed;
            let ticks = end.saturating_sub(start).saturating_sub(left_out);
            tape.ticks.push(watch.earlier_ticks().unwrap_or(ticks));
            watch.next_sample();
        }
        if progress == Progress::Done {
            return Ok(BurstEnd::Done);
        }
        if interrupted.load(Ordering::Relaxed) {
            return Ok(BurstEnd::Interrupted);
        }
        if tape.ticks.len() >= room
            || end >= until.deadline
            || watch.wants_draining()
        {
            return Ok(BurstEnd::Paused);
        }
    }
}
