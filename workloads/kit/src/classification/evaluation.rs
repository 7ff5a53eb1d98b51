//! What a model gets right, by class and group. Evaluated without gradients:
//! no graph is kept.

use std::collections::BTreeMap;

use burn::tensor::Device;

use super::{Classifier, Examples};
use crate::{Mode, floats};

/// Counts of a model's answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// Group, true class, predicted class: how often.
    pub counts: BTreeMap<(i8, u8, u8), u64>,
    /// Mean cross entropy, nats; NaN for predictions without scores.
    pub loss: f64,
}

impl Evaluation {
    /// Counts predictions that have no scores: a vote.
    pub fn of_predictions(
        examples: &Examples,
        picks: &[usize],
        predicted: &[u8],
    ) -> Self {
        let mut counts = BTreeMap::new();
        for (&pick, &predicted) in picks.iter().zip(predicted) {
            let key = (examples.group[pick], examples.class[pick], predicted);
            *counts.entry(key).or_default() += 1;
        }
        Self { counts, loss: f64::NAN }
    }

    /// Share of right answers among those that `of` admits (group, true
    /// class); `None` when there is none.
    pub fn accuracy_of(&self, of: impl Fn(i8, u8) -> bool) -> Option<f64> {
        let (mut right, mut all) = (0, 0);
        for (&(group, class, predicted), &count) in &self.counts {
            if of(group, class) {
                all += count;
                right += if class == predicted { count } else { 0 };
            }
        }
        (all > 0).then(|| right as f64 / all as f64)
    }

    /// Share of right answers; NaN of nothing.
    pub fn accuracy(&self) -> f64 {
        self.accuracy_of(|_, _| true).unwrap_or(f64::NAN)
    }

    /// The groups, ascending.
    pub fn groups(&self) -> Vec<i8> {
        let mut groups: Vec<i8> =
            self.counts.keys().map(|&(group, _, _)| group).collect();
        groups.dedup();
        groups
    }

    /// True class, predicted class: how often, over all groups.
    pub fn confusion(&self) -> BTreeMap<(u8, u8), u64> {
        let mut pooled = BTreeMap::new();
        for (&(_, class, predicted), &count) in &self.counts {
            *pooled.entry((class, predicted)).or_default() += count;
        }
        pooled
    }
}

/// Examples of one forward pass of an evaluation.
const BATCH: usize = 512;

/// Scores of the picked examples, `[N, classes]` row by row.
fn scores<M: Classifier>(
    model: &M,
    examples: &Examples,
    picks: &[usize],
) -> Vec<f32> {
    let device = Device::flex();
    let mut all = Vec::with_capacity(picks.len() * examples.classes.len());
    for picks in picks.chunks(BATCH) {
        let (x, _) = examples.batch(picks, &device);
        all.extend(floats(model.logits(x, &mut Mode::Inference)));
    }
    all
}

fn largest(row: &[f32]) -> u8 {
    let best = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    best.map_or(0, |(place, _)| place as u8)
}

/// The class that a model gives each picked example.
pub fn predictions<M: Classifier>(
    model: &M,
    examples: &Examples,
    picks: &[usize],
) -> Vec<u8> {
    let classes = examples.classes.len().max(1);
    scores(&model.valid(), examples, picks)
        .chunks_exact(classes)
        .map(largest)
        .collect()
}

/// What a model gets right of the picked examples.
pub fn evaluate<M: Classifier>(
    model: &M,
    examples: &Examples,
    picks: &[usize],
) -> Evaluation {
    let classes = examples.classes.len().max(1);
    let scores = scores(&model.valid(), examples, picks);
    let rows = scores.chunks_exact(classes);
    let predicted: Vec<u8> = rows.clone().map(largest).collect();
    let total: f64 = rows
        .zip(picks)
        .map(|(row, &pick)| {
            let top = row.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
            let sum: f32 = row.iter().map(|x| (x - top).exp()).sum();
            let own = row[usize::from(examples.class[pick])];
            f64::from(top + sum.ln() - own)
        })
        .sum();
    let counted = Evaluation::of_predictions(examples, picks, &predicted);
    Evaluation { loss: total / picks.len().max(1) as f64, ..counted }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_what_is_asked_for() {
        let examples = Examples {
            length: 1,
            features: vec![0.0; 8],
            class: vec![0, 0, 1, 1],
            group: vec![-2, 4, 4, 4],
            classes: vec!["a".into(), "b".into()],
        };
        let e =
            Evaluation::of_predictions(&examples, &[0, 1, 2, 3], &[0, 1, 1, 1]);
        assert_eq!(e.accuracy(), 0.75);
        assert_eq!(e.accuracy_of(|g, _| g == -2), Some(1.0));
        assert_eq!(e.accuracy_of(|_, c| c == 0), Some(0.5));
        assert_eq!(e.accuracy_of(|g, _| g == 9), None);
        assert_eq!(e.groups(), [-2, 4]);
        assert_eq!(e.confusion()[&(0, 1)], 1);
    }
}
