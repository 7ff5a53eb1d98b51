//! What a benchmark is made of: a [`Routine`], which a closure builds with a
//! [`Bencher`] when its turn comes.
//!
//! A routine runs in *laps*: a tight loop over the body, compiled for that
//! body, with the clock read outside it by the caller. What is not the body's
//! (inputs, drops) stands in [`Outside::leave_out`].

use std::hint::black_box;

use assay_schema::Better;

use crate::asynchronous::{self, LocalFuture};

/// One lap.
pub(crate) struct Lap<'a> {
    /// Times that the body runs, at least one.
    pub(crate) iterations: u64,
    /// Inputs to have at hand at once, at least one.
    pub(crate) chunk: usize,
    /// Whoever times the lap.
    pub(crate) outside: &'a mut dyn Outside,
}

/// Whoever times a lap, asked to look away.
pub(crate) trait Outside {
    /// Runs work that is not the body's.
    fn leave_out(&mut self, work: &mut dyn FnMut());
}

/// Runs one lap and hands over the last output; none where an executor came
/// back before its future was done.
pub(crate) type Laps<O> = Box<dyn FnMut(Lap<'_>) -> Option<O>>;

/// Work that an iteration does, for a rate beside the time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Throughput {
    /// Bytes read or written.
    Bytes(f64),
    /// Elements, requests, tokens: whatever is counted.
    Elements(f64),
    /// Floating-point operations; multiply and add are two.
    Flops(f64),
}

/// A value beside time that is read from the output.
pub(crate) struct OutputMetric<O> {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) better: Better,
    pub(crate) read: Box<dyn Fn(&O) -> f64>,
}

/// Reads a fingerprint from an output.
type FingerprintOf<O> = Box<dyn Fn(&O) -> u64>;

/// A body ready to run, and what is to be read from its output `O`.
pub struct Routine<O> {
    pub(crate) laps: Laps<O>,
    /// Whether inputs are made in chunks, so that a chunk's size matters.
    pub(crate) chunked: bool,
    pub(crate) throughputs: Vec<Throughput>,
    pub(crate) metrics: Vec<OutputMetric<O>>,
    pub(crate) fingerprint: Option<FingerprintOf<O>>,
}

impl<O> Routine<O> {
    fn new(laps: Laps<O>, chunked: bool) -> Self {
        Self {
            laps,
            chunked,
            throughputs: Vec::new(),
            metrics: Vec::new(),
            fingerprint: None,
        }
    }

    /// States the work of one iteration; may be called for several units.
    #[must_use]
    pub fn throughput(mut self, work: Throughput) -> Self {
        self.throughputs.push(work);
        self
    }

    /// A value beside time, read from an output outside the clock: a recall,
    /// a loss, a compressed size. Recorded as `quality/<name>`; `unit` is a
    /// symbol, `1` for a bare number. A value that is not finite fails the
    /// benchmark.
    #[must_use]
    pub fn metric(
        mut self,
        name: impl Into<String>,
        unit: impl Into<String>,
        better: Better,
        read: impl Fn(&O) -> f64 + 'static,
    ) -> Self {
        let (name, unit) = (name.into(), unit.into());
        self.metrics.push(OutputMetric {
            name: format!("quality/{name}"),
            unit,
            better,
            read: Box::new(read),
        });
        self
    }

    /// A hash of the output, so that a faster build with another answer is
    /// seen; [`fingerprint`](crate::fingerprint) makes one that does not
    /// change between builds.
    #[must_use]
    pub fn fingerprint(mut self, of: impl Fn(&O) -> u64 + 'static) -> Self {
        self.fingerprint = Some(Box::new(of));
        self
    }
}

/// Makes [`Routine`]s. Closures own what they use (`move`), because a routine
/// outlives the closure that built it.
#[derive(Debug)]
pub struct Bencher(());

impl Bencher {
    pub(crate) fn new() -> Self {
        Self(())
    }

    /// Times `body`. Its output passes through `black_box` and is dropped
    /// within the clock, so that the next iteration finds the memory again.
    pub fn iter<O: 'static>(
        &self,
        mut body: impl FnMut() -> O + 'static,
    ) -> Routine<O> {
        let laps = move |lap: Lap<'_>| {
            for _ in 1..lap.iterations {
                black_box(body());
            }
            Some(black_box(body()))
        };
        Routine::new(Box::new(laps), false)
    }

    /// Times `body` on a fresh input each time. Inputs are made, and inputs
    /// and outputs are dropped, outside the clock, in chunks long enough that
    /// reading the clock costs no iteration anything.
    pub fn iter_with_setup<I: 'static, O: 'static>(
        &self,
        mut set_up: impl FnMut() -> I + 'static,
        mut body: impl FnMut(&mut I) -> O + 'static,
    ) -> Routine<O> {
        let laps = move |lap: Lap<'_>| {
            in_chunks(
                lap,
                |inputs, count| inputs.extend((0..count).map(|_| set_up())),
                |inputs, outputs| {
                    outputs.extend(
                        inputs
                            .iter_mut()
                            .map(|input| black_box(body(black_box(input)))),
                    );
                },
            )
        };
        Routine::new(Box::new(laps), true)
    }

    /// Times an async `body`, awaited once an iteration. `executor` runs a
    /// future to its end: `|future| runtime.block_on(future)`, or
    /// [`|future| block_on(future)`](crate::block_on) for a body that needs no
    /// runtime. It is entered once a lap, not once an iteration.
    pub fn iter_async<O: 'static>(
        &self,
        executor: impl for<'f> Fn(LocalFuture<'f>) + 'static,
        body: impl AsyncFnMut() -> O + 'static,
    ) -> Routine<O> {
        Routine::new(asynchronous::laps(executor, body), false)
    }

    /// Times an async `body` on a fresh input each time, which an async
    /// `set_up` makes outside the clock, in chunks.
    pub fn iter_async_with_setup<I: 'static, O: 'static>(
        &self,
        executor: impl for<'f> Fn(LocalFuture<'f>) + 'static,
        set_up: impl AsyncFnMut() -> I + 'static,
        body: impl AsyncFnMut(&mut I) -> O + 'static,
    ) -> Routine<O> {
        let laps = asynchronous::laps_with_setup(executor, set_up, body);
        Routine::new(laps, true)
    }
}

/// A lap in chunks: inputs made by `fill`, `run` on within the clock, and all
/// dropped. None where a chunk has fewer outputs than inputs.
pub(crate) fn in_chunks<I, O>(
    Lap { iterations, chunk, outside }: Lap<'_>,
    mut fill: impl FnMut(&mut Vec<I>, usize),
    mut run: impl FnMut(&mut [I], &mut Vec<O>),
) -> Option<O> {
    let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
    let mut last = None;
    let mut left = iterations;
    while left > 0 {
        let count = left.min(chunk as u64);
        let room = usize::try_from(count).unwrap_or(chunk);
        outside.leave_out(&mut || {
            fill(&mut inputs, room);
            outputs.reserve(room);
        });
        run(&mut inputs, &mut outputs);
        let done = inputs.len() == room && outputs.len() == room;
        left -= count;
        outside.leave_out(&mut || {
            last = outputs.pop();
            outputs.clear();
            inputs.clear();
            if left == 0 || !done {
                // The vectors' own memory, outside the clock as well.
                (inputs, outputs) = (Vec::new(), Vec::new());
            }
        });
        if !done {
            return None;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use proptest::prelude::*;

    use super::*;
    use crate::block_on;

    /// What happened, in order.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Seen {
        Aside,
        Back,
        Made(u64),
        Ran(u64),
        Dropped(u64),
    }

    #[derive(Clone, Default)]
    struct Diary(Rc<RefCell<Vec<Seen>>>);

    impl Diary {
        fn note(&self, seen: Seen) {
            self.0.borrow_mut().push(seen);
        }
    }

    impl Outside for Diary {
        fn leave_out(&mut self, work: &mut dyn FnMut()) {
            self.note(Seen::Aside);
            work();
            self.note(Seen::Back);
        }
    }

    /// An input or an output.
    struct Thing(u64, Diary);

    impl Drop for Thing {
        fn drop(&mut self) {
            self.1.note(Seen::Dropped(self.0));
        }
    }

    fn maker(diary: &Diary) -> impl FnMut() -> Thing + 'static {
        let (diary, mut next) = (diary.clone(), 0);
        move || {
            next += 1;
            diary.note(Seen::Made(next));
            Thing(next, diary.clone())
        }
    }

    fn ran(input: &Thing) -> Thing {
        input.1.note(Seen::Ran(input.0));
        Thing(input.0 + 1000, input.1.clone())
    }

    fn lap(
        mut routine: Routine<Thing>,
        diary: &Diary,
        iterations: u64,
        chunk: usize,
    ) -> (u64, Vec<Seen>) {
        let outside = &mut diary.clone();
        let last = (routine.laps)(Lap { iterations, chunk, outside });
        let last = last.map_or(0, |thing| thing.0);
        // The last output is its owner's to drop.
        diary.0.borrow_mut().pop();
        (last, diary.0.take())
    }

    proptest! {
        #[test]
        fn every_input_is_run_once_and_all_else_is_outside_the_clock(
            iterations in 1_u64..50,
            chunk in 1_usize..20,
        ) {
            let diary = Diary::default();
            let routine = Bencher::new()
                .iter_with_setup(maker(&diary), |input| ran(input));
            let (last, seen) = lap(routine, &diary, iterations, chunk);
            prop_assert_eq!(last, 1000 + iterations);
            let runs: Vec<u64> = seen
                .iter()
                .filter_map(|seen| match seen {
                    Seen::Ran(number) => Some(*number),
                    _ => None,
                })
                .collect();
            prop_assert_eq!(runs, (1..=iterations).collect::<Vec<u64>>());
            let mut aside = false;
            let mut at_hand = 0;
            for event in seen {
                match event {
                    Seen::Aside => aside = true,
                    Seen::Back => aside = false,
                    Seen::Ran(_) => prop_assert!(!aside),
                    Seen::Made(_) => {
                        at_hand += 1;
                        prop_assert!(aside && at_hand <= chunk);
                    }
                    Seen::Dropped(number) => {
                        at_hand -= usize::from(number < 1000);
                        prop_assert!(aside);
                    }
                }
            }
            prop_assert_eq!(at_hand, 0);

            let awaited = Diary::default();
            let mut make = maker(&awaited);
            let routine = Bencher::new().iter_async_with_setup(
                |future| block_on(future),
                async move || make(),
                async |input| ran(input),
            );
            let (last_awaited, _) = lap(routine, &awaited, iterations, chunk);
            prop_assert_eq!(last_awaited, last);
        }
    }

    #[test]
    fn a_body_without_inputs_runs_as_often_as_asked() {
        for iterations in [1, 2, 77] {
            let mut count = 0;
            let mut plain = Bencher::new().iter(move || {
                count += 1;
                count
            });
            let mut times = 0;
            let mut awaited = Bencher::new().iter_async(
                |future| block_on(future),
                async move || {
                    times += 1;
                    times
                },
            );
            for routine in [&mut plain, &mut awaited] {
                let outside = &mut Diary::default();
                let lap = Lap { iterations, chunk: 1, outside };
                assert_eq!((routine.laps)(lap), Some(iterations));
            }
        }
    }
}
