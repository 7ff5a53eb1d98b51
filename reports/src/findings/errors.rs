//! Errors: how far the predictions of a set of rows are off, and how far the
//! rooflines are on the same rows.
//!
//! The error of a row is `|predicted / observed - 1|`. A mean is owned by its
//! worst rows, so it never stands without a median and a 90th percentile.

use assay_statistics::SortedSample;

use crate::{Fold, ValidationRow};

/// Within this, a prediction counts as near.
const NEAR: f64 = 0.2;

/// What made a prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Constants {
    /// A fit that had not seen the row.
    HeldOut(Fold),
    /// The constants that the project ships, or those of a run.
    Shipped,
}

impl Constants {
    /// The prediction of a row, seconds, where it is a time.
    pub(crate) fn predicted(self, row: &ValidationRow) -> Option<f64> {
        let seconds = match self {
            Self::HeldOut(fold) => *row.held_out.get(&fold)?,
            Self::Shipped => row.predicted.point,
        };
        is_time(seconds).then_some(seconds)
    }

    /// As tables say it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::HeldOut(Fold::New) => "new family",
            Self::HeldOut(Fold::Family) => "known family",
            Self::HeldOut(Fold::Calibrated) => "30 rows seen",
            Self::HeldOut(Fold::Overlay) => "own overlay",
            Self::Shipped => "shipped",
        }
    }
}

/// False for NaN, too.
pub(crate) fn is_time(seconds: f64) -> bool {
    seconds.is_finite() && seconds > 0.0
}

/// The folds that rows were held out in; the shipped constants where none.
pub(crate) fn constants_of(rows: &[&ValidationRow]) -> Vec<Constants> {
    let folds: Vec<Constants> = Fold::ALL
        .into_iter()
        .map(Constants::HeldOut)
        .filter(|fold| rows.iter().any(|row| fold.predicted(row).is_some()))
        .collect();
    if folds.is_empty() { vec![Constants::Shipped] } else { folds }
}

/// Whether some row was held out.
pub(crate) fn is_held_out(rows: &[&ValidationRow]) -> bool {
    rows.iter().any(|row| !row.held_out.is_empty())
}

/// Errors of a set.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Errors {
    pub(crate) n: usize,
    pub(crate) mean: f64,
    pub(crate) median: f64,
    pub(crate) ninetieth: f64,
    /// Share of the rows within [`NEAR`].
    pub(crate) near: f64,
}

impl Errors {
    /// Of pairs of predicted and observed; `None` without any.
    pub(crate) fn of(
        pairs: impl IntoIterator<Item = (f64, f64)>,
    ) -> Option<Self> {
        let errors: Vec<f64> =
            pairs.into_iter().map(|(p, o)| (p / o - 1.0).abs()).collect();
        let n = errors.len();
        let sorted = SortedSample::new(&errors).ok()?;
        let near = errors.iter().filter(|error| **error <= NEAR).count();
        Some(Self {
            n,
            mean: errors.iter().sum::<f64>() / n as f64,
            median: sorted.median(),
            ninetieth: sorted.quantile(0.9).ok()?,
            near: near as f64 / n as f64,
        })
    }
}

/// Another predictor on the rows that both predict.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Beside {
    pub(crate) theirs: Errors,
    /// Mean error of ours on these rows.
    pub(crate) ours: f64,
}

/// Ours beside another predictor; `None` where no row has both.
pub(crate) fn beside(
    rows: &[&ValidationRow],
    constants: Constants,
    other: impl Fn(&ValidationRow) -> Option<f64>,
) -> Option<Beside> {
    let both: Vec<(f64, f64, f64)> = rows
        .iter()
        .filter_map(|row| {
            let ours = constants.predicted(row)?;
            let theirs = other(row).filter(|seconds| is_time(*seconds))?;
            Some((ours, theirs, row.observed.point()))
        })
        .collect();
    Some(Beside {
        theirs: Errors::of(both.iter().map(|(_, t, o)| (*t, *o)))?,
        ours: Errors::of(both.iter().map(|(p, _, o)| (*p, *o)))?.mean,
    })
}

/// Errors of the rows that some constants predict.
pub(crate) fn errors(
    rows: &[&ValidationRow],
    constants: Constants,
) -> Option<Errors> {
    Errors::of(rows.iter().filter_map(|row| {
        Some((constants.predicted(row)?, row.observed.point()))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_numbers_of_a_set() {
        let pairs = [(1.1, 1.0), (0.5, 1.0), (1.0, 1.0), (2.0, 1.0)];
        let errors = Errors::of(pairs).unwrap();
        assert_eq!(errors.n, 4);
        assert!((errors.mean - 0.4).abs() < 1e-12);
        assert!((errors.median - 0.3).abs() < 1e-12);
        assert!((errors.ninetieth - 0.85).abs() < 1e-12);
        assert!((errors.near - 0.5).abs() < 1e-12);
        assert_eq!(Errors::of([]), None);
    }
}
