//! Which examples train, which choose, which judge.

use std::collections::BTreeMap;

use super::Examples;
use crate::Draws;

/// Places of examples. No example stands in two of the three.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Trained on.
    pub train: Vec<usize>,
    /// Chooses the epoch.
    pub validation: Vec<usize>,
    /// Judges, once.
    pub test: Vec<usize>,
}

impl Split {
    /// Splits every cell (class and group) alike: `test` of it is kept for
    /// the test, `validation` of what is left chooses. Both round down, but
    /// each part gets at least one example of a cell of three or more.
    pub fn by_cell(
        examples: &Examples,
        test: f64,
        validation: f64,
        seed: u64,
    ) -> Self {
        let mut cells: BTreeMap<(u8, i8), Vec<usize>> = BTreeMap::new();
        let keys = examples.class.iter().zip(&examples.group);
        for (place, (&class, &group)) in keys.enumerate() {
            cells.entry((class, group)).or_default().push(place);
        }
        let mut draws = Draws::new(seed, SPLIT);
        let mut split = Self::default();
        for mut cell in cells.into_values() {
            draws.shuffle(&mut cell);
            let share = |of: usize, share: f64| {
                let least = usize::from(cell.len() >= 3);
                ((of as f64 * share) as usize).max(least)
            };
            let tested = share(cell.len(), test);
            let chosen = share(cell.len() - tested, validation);
            let left = cell.split_off(cell.len() - tested);
            split.test.extend(left);
            let left = cell.split_off(cell.len() - chosen);
            split.validation.extend(left);
            split.train.extend(cell);
        }
        split
    }

    /// The split with only those training and validation examples that `keep`
    /// says.
    #[must_use]
    pub fn training_only(mut self, keep: impl Fn(usize) -> bool) -> Self {
        self.train.retain(|&place| keep(place));
        self.validation.retain(|&place| keep(place));
        self
    }

    /// The split with only those test examples that `keep` says.
    #[must_use]
    pub fn testing_only(mut self, keep: impl Fn(usize) -> bool) -> Self {
        self.test.retain(|&place| keep(place));
        self
    }
}

/// Streams of a seed: what is drawn for one purpose says nothing of another.
pub(crate) const SPLIT: u64 = 1;
/// As [`SPLIT`]: the order of examples.
pub(crate) const ORDER: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn examples(cells: usize, per_cell: usize) -> Examples {
        let count = cells * per_cell;
        Examples {
            length: 1,
            features: vec![0.0; 2 * count],
            class: (0..count).map(|i| (i / per_cell % 3) as u8).collect(),
            group: (0..count).map(|i| (i / per_cell / 3) as i8).collect(),
            classes: vec!["a".into(), "b".into(), "c".into()],
        }
    }

    #[test]
    fn each_cell_is_split_alike_and_nothing_stands_twice() {
        let examples = examples(6, 10);
        let split = Split::by_cell(&examples, 0.33, 0.2, 7);
        assert_eq!(split.test.len(), 6 * 3);
        assert_eq!(split.validation.len(), 6);
        assert_eq!(split.train.len(), 6 * 6);
        let mut all: Vec<usize> =
            [&split.train, &split.validation, &split.test]
                .into_iter()
                .flatten()
                .copied()
                .collect();
        all.sort_unstable();
        assert_eq!(all, (0..60).collect::<Vec<_>>());
        assert_ne!(split, Split::by_cell(&examples, 0.33, 0.2, 8));
    }

    #[test]
    fn a_small_cell_still_serves_all_three() {
        let split = Split::by_cell(&examples(3, 3), 0.1, 0.1, 1);
        assert_eq!(split.train.len(), 3);
        assert_eq!(split.validation.len(), 3);
        assert_eq!(split.test.len(), 3);
    }
}
