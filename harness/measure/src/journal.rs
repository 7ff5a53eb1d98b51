//! Samples on their way to the sink, in the order taken.
//!
//! Whether a sample is warm-up is known only later, so samples wait here
//! until it is. Then they leave as events, consecutive ones of a kind
//! together.

use assay_schema::{Event, SampleBatch, Seconds};

/// The name of the whole iteration among the parts.
pub(crate) const STEP: &str = "step";

/// One sample, of the whole step or of a part of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Taken {
    pub(crate) part: &'static str,
    pub(crate) rank: Option<u32>,
    /// Which sample of the whole step it is, or belongs to.
    pub(crate) sample: u64,
    /// Iterations, or calls of the part, that it spans.
    pub(crate) iterations: u64,
    /// An iteration.
    pub(crate) seconds: Seconds,
}

/// Samples that have not left yet.
#[derive(Default)]
pub(crate) struct Journal {
    waiting: Vec<Taken>,
}

impl Journal {
    /// Takes one in.
    pub(crate) fn note(&mut self, taken: Taken) {
        self.waiting.push(taken);
    }

    /// Lets all leave; those that belong to samples before `steady_from` are
    /// warm-up. A part's batches follow the step's of the same samples.
    pub(crate) fn release(&mut self, steady_from: u64) -> Vec<Event> {
        let mut batches: Vec<SampleBatch> = Vec::new();
        for taken in self.waiting.drain(..) {
            let warm_up = taken.sample < steady_from;
            // The last batch of the same part: batches of other parts may
            // stand between, but its own order is kept.
            let last = batches.iter_mut().rev().find(|batch| {
                batch.part == taken.part && batch.rank == taken.rank
            });
            match last {
                Some(batch)
                    if batch.warm_up == warm_up
                        && batch.iterations == taken.iterations =>
                {
                    batch.seconds.push(taken.seconds.0);
                }
                Some(_) | None => batches.push(SampleBatch {
                    part: taken.part.to_owned(),
                    rank: taken.rank,
                    warm_up,
                    iterations: taken.iterations,
                    seconds: vec![taken.seconds.0],
                }),
            }
        }
        batches.into_iter().map(Event::Sample).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn taken(part: &'static str, sample: u64, iterations: u64) -> Taken {
        let seconds = Seconds(sample as f64);
        Taken { part, rank: None, sample, iterations, seconds }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_each_part_keeps_its_order(
            samples in proptest::collection::vec(
                (prop::sample::select(vec![STEP, "token"]), 1_u64..3),
                0..40,
            ),
            steady_from in 0_u64..40,
        ) {
            let mut journal = Journal::default();
            for (sample, (part, iterations)) in (0..).zip(&samples) {
                journal.note(taken(part, sample, *iterations));
            }
            let events = journal.release(steady_from);
            for part in [STEP, "token"] {
                let left: Vec<(f64, u64, bool)> = events
                    .iter()
                    .filter_map(|event| match event {
                        Event::Sample(batch) if batch.part == part => {
                            Some(batch)
                        }
                        _ => None,
                    })
                    .flat_map(|batch| {
                        batch.seconds.iter().map(|&seconds| {
                            (seconds, batch.iterations, batch.warm_up)
                        })
                    })
                    .collect();
                let noted: Vec<(f64, u64, bool)> = (0..)
                    .zip(&samples)
                    .filter(|(_, (name, _))| *name == part)
                    .map(|(sample, (_, iterations)): (u64, _)| {
                        (sample as f64, *iterations, sample < steady_from)
                    })
                    .collect();
                prop_assert_eq!(left, noted);
            }
            prop_assert!(journal.release(0).is_empty());
        }
    }
}
