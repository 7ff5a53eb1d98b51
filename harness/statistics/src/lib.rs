//! The mathematics of Assay: from samples to estimates with intervals, and
//! from estimates to rulings.
//!
//! Everything here is a function from values to values: no clock, no file, no
//! printing. Randomness comes from a seed that the caller passes. A bad input
//! is a [`StatisticsError`], never a panic.
//!
//! The doors, in the order in which a measurement meets them:
//!
//! - [`warm_up`]: which iteration is the first steady one?
//! - [`median_estimate`], [`quantile_estimate`]: a quantile with an interval
//!   that assumes no distribution and that autocorrelation widens.
//! - [`Summary`]: what a table shows for a sample.
//! - [`mean_estimate`], [`mean_of_ratios`]: repetitions that are whole runs.
//! - [`studies`]: records that differ in their seeds; [`mean_over_seeds`],
//!   [`ratio_over_seeds`], [`widened`]: what they say, from one seed on.
//! - [`median_ratio_estimate`], [`ratio_estimate`]: one against another.
//! - [`Bootstrap`]: an interval of any other statistic.
//! - [`pearson`], [`spearman`], [`LineFit`]: does one follow the other?
//! - [`median_absolute_error`], [`largest_absolute_error`],
//!   [`geometric_mean`]: how good are predictions?
//! - [`recomputed`]: a number that follows from published ones.
//! - [`rule`]: how a paper's claim comes out; [`allowed_region`]: what it
//!   allows.
//!
//! And those that a comparison of two builds meets:
//!
//! - [`units_of`], [`units_of_series`]: from measured blocks,
//!   or from two runs, to one logarithm of a ratio for each independent unit.
//! - [`find`]: what the units say of one row: change, intervals for a fixed
//!   budget and for any stopping time, the same of the baseline against
//!   itself, and what would have been caught.
//! - [`judge`]: the verdicts of a suite of such rows, with their reasons.
//! - [`benjamini_hochberg`], [`e_benjamini_hochberg`]: many tests at once.
//! - [`modes`]: does a sample have one typical value, or several?
//! - [`wilson`]: the interval of a share.

#![cfg_attr(
    test,
    allow(
        clippy::float_cmp,
        reason = "tests compare values that are exact by construction"
    )
)]

mod bootstrap;
mod correlation;
mod effective_size;
mod error;
mod finding;
mod interval;
mod mean;
mod modes;
mod multiplicity;
mod order_ranks;
mod paired;
mod prediction_error;
mod proportion;
mod quantile;
mod ratio;
mod recomputed;
mod ruling;
mod seeds;
mod sequential;
#[cfg(test)]
mod simulated;
mod student;
mod study;
mod summary;
#[doc(hidden)]
pub mod testing;
mod verdict;
mod warm_up;

pub use bootstrap::Bootstrap;
pub use correlation::{LineFit, pearson, spearman};
pub use effective_size::effective_sample_size;
pub use error::StatisticsError;
pub use finding::{Certainty, Finding, MetricKind, find};
pub use interval::{
    independent_quantile_estimate, median_estimate, quantile_estimate,
};
pub use mean::{mean_estimate, mean_of_ratios};
pub use modes::{LEAST_FOR_MODES, modes};
pub use multiplicity::{benjamini_hochberg, e_benjamini_hochberg};
pub use paired::{Block, Units, interquartile_mean, units_of, units_of_series};
pub use prediction_error::{
    geometric_mean, largest_absolute_error, median_absolute_error,
    relative_errors,
};
pub use proportion::wilson;
pub use quantile::{SortedSample, median, median_absolute_deviation, quantile};
pub use ratio::{median_ratio_estimate, ratio_estimate};
pub use recomputed::{Term, recomputed};
pub use ruling::{allowed_region, rule};
pub use seeds::{mean_over_seeds, ratio_over_seeds, widened};
pub use sequential::{t_mixture_e_value, t_mixture_half_width};
pub use student::quantile as student_quantile;
pub use study::{Study, studies};
pub use summary::Summary;
pub use verdict::{Judged, VerdictRule, judge};
pub use warm_up::{LEAST_SERIES, WarmUp, warm_up};
