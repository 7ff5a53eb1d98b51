//! Statistics of the intents' study, over its seeds.
//!
//! A mean over seeds has Student's interval. Each share has an interval of its
//! own beside that, since it stands on so many requests: Wilson's, of all
//! seeds' requests together. The wider end counts, so that a few seeds that
//! agree by luck do not say more than their requests. For a mean of partial
//! credits (soft accuracy) Wilson's interval is on the safe side: of all
//! numbers from 0 to 1 with one mean, shares of right and wrong vary most.

use assay_schema::{Estimate, Record};
use assay_statistics::{widened, wilson};

use super::groups::{CONFIDENCE, Group, mean, value_at};

const REQUESTS: &str = "quality/requests";

/// What no interval over seeds is narrower than.
const BY_REQUESTS: &str = "as wide as the requests allow";

/// A share of the held-out requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    /// `exact` or `soft`, as it is stored.
    pub(super) metric: &'static str,
    /// `before` or `adapters`.
    pub(super) stage: &'static str,
}

/// What is computed of studies of the intents.
#[derive(Clone, Copy, Debug)]
pub(super) enum OfIntents {
    /// A share, percent.
    Value(Share),
    /// A share less another, points of a percent.
    Difference { of: Share, less: Share },
}

impl Share {
    /// Free decoding, all tools: what a call is worth without help.
    pub(super) fn places(&self) -> [(&'static str, &'static str); 3] {
        [("stage", self.stage), ("decoding", "free"), ("tools", "all")]
    }

    /// The share and the requests behind it.
    fn of(&self, record: &Record) -> Option<(f64, f64)> {
        let share = value_at(record, self.metric, &self.places())?;
        let requests = value_at(record, REQUESTS, &[("tools", "all")])?;
        Some((share, requests))
    }

    /// For a reader of an estimate.
    fn label(&self) -> String {
        let name = self.metric.trim_start_matches("quality/");
        format!("{name} share, {}", self.stage)
    }
}

impl OfIntents {
    /// Its value for a group of studies; `None` where none has what it takes.
    pub(super) fn of(&self, group: &Group<'_>) -> Option<Estimate> {
        let (estimate, what) = match self {
            Self::Value(share) => {
                let each = group.over_seeds(|record| share.of(record));
                let shares: Vec<f64> = each.iter().map(|one| one.0).collect();
                let sampling = sampling(&each);
                (at_least(mean(&shares)?, sampling), share.label())
            }
            Self::Difference { of, less } => {
                let each = group.over_seeds(|record| {
                    Some((of.of(record)?, less.of(record)?))
                });
                let differences: Vec<f64> =
                    each.iter().map(|(of, less)| of.0 - less.0).collect();
                let (above, below): (Vec<_>, Vec<_>) = each.into_iter().unzip();
                let [a, b] = [sampling(&above), sampling(&below)];
                // Of two shares as if they were independent, although the
                // requests are the same: on the safe side.
                let halves = [a[0].hypot(b[1]), a[1].hypot(b[0])];
                let what = format!("{} less {}", of.label(), less.label());
                (at_least(mean(&differences)?, halves), what)
            }
        };
        Some(group.labelled(estimate.scaled(100.0), &what))
    }
}

/// How far below and above the mean the requests of all seeds together allow
/// the share to be.
fn sampling(each: &[(f64, f64)]) -> [f64; 2] {
    let trials: f64 = each.iter().map(|(_, requests)| requests).sum();
    let successes: f64 =
        each.iter().map(|(share, requests)| share * requests).sum();
    let successes = successes.round().clamp(0.0, trials.max(0.0));
    match wilson(successes as u64, trials as u64, CONFIDENCE) {
        Ok(share) => [share.point - share.low, share.high - share.point],
        // Without requests there is nothing to widen by.
        Err(_) => [0.0; 2],
    }
}

/// The estimate, its interval at least as wide as these halves.
fn at_least(estimate: Estimate, [below, above]: [f64; 2]) -> Estimate {
    let (low, high) = (estimate.point - below, estimate.point + above);
    widened(estimate, low, high, BY_REQUESTS)
}
