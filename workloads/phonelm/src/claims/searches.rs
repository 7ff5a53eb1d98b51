//! Statistics of searches, over their seeds.
//!
//! What a search predicts stays a prediction, although a record holds it; what
//! its finalists' training gives is measured. No statistic mixes the two.

use std::collections::BTreeMap;

use assay_schema::{ClaimData, Estimate, Record};

use super::groups::{Group, mean, mean_ratio, value_at, values_at};

/// How far a search's budget may be from a shape's own count of parameters
/// for the shape to be judged against its front.
const SAME_BUDGET: f64 = 0.1;

/// What is computed of searches.
#[derive(Clone, Copy, Debug)]
pub(super) enum OfSearches {
    /// How far a published shape is from the front of its budget, for a
    /// target.
    FrontDistance { shape: &'static str, target: &'static str },
    /// The largest over the smallest of a predicted time.
    Spread { metric: &'static str },
    /// Held-out loss with one activation over that with another.
    ActivationLoss { of: &'static str, over: &'static str },
    /// The same of predicted decode steps.
    ActivationDecode { of: &'static str, over: &'static str },
    /// The share of zeros after the gate's ReLU.
    GateZeros,
    /// How much more training speed than loss differs among finalists.
    SpeedOverLoss,
}

const FRONT_DISTANCE: &str = "quality/front_distance";
const PARAMETERS: &str = "quality/parameters";
const ACTIVATION_LOSS: &str = "quality/activation_loss";
const ACTIVATION_DECODE: &str = "quality/activation_decode";
const GATE_ZEROS: &str = "quality/gate_zeros";
const SPEED: &str = "quality/tokens_per_second";
const LOSS: &str = "quality/heldout_loss";

impl OfSearches {
    /// The kind of data that it is computed from.
    pub(super) const fn data(&self) -> ClaimData {
        match self {
            Self::FrontDistance { .. }
            | Self::Spread { .. }
            | Self::ActivationDecode { .. } => ClaimData::Predicted,
            Self::ActivationLoss { .. }
            | Self::GateZeros
            | Self::SpeedOverLoss => ClaimData::Generated,
        }
    }

    /// Its value for a group of searches; `None` where none has what it takes.
    pub(super) fn of(&self, group: &Group<'_>) -> Option<Estimate> {
        let (estimate, what) = match self {
            Self::FrontDistance { shape, target } => {
                if group.axis("target") != Some(*target) {
                    return None;
                }
                let each =
                    group.over_seeds(|record| front_distance(record, shape));
                (mean(&each)?, format!("{shape} for {target}"))
            }
            Self::Spread { metric } => {
                let each = group.over_seeds(|record| spread(record, metric));
                (mean_ratio(&each)?, format!("spread of {metric}"))
            }
            Self::ActivationLoss { of, over } => {
                let each = group
                    .over_seeds(|record| by_seed(record, of, over))
                    .concat();
                (mean_ratio(&each)?, format!("{of} over {over}"))
            }
            Self::ActivationDecode { of, over } => {
                let each = group.over_seeds(|record| {
                    let time = |name: &str| {
                        let at = [("activation", name)];
                        value_at(record, ACTIVATION_DECODE, &at)
                    };
                    Some(time(of)? / time(over)?)
                });
                (mean_ratio(&each)?, format!("{of} over {over}"))
            }
            Self::GateZeros => {
                let each = group.over_seeds(zeros).concat();
                (mean(&each)?, "over finalists and seeds".to_owned())
            }
            Self::SpeedOverLoss => {
                let each = group.over_seeds(speed_over_loss).concat();
                (mean_ratio(&each)?, "over seeds of training".to_owned())
            }
        };
        Some(group.labelled(estimate, &what))
    }
}

/// The distance of a published shape from the front, if the search's budget
/// is the shape's own.
fn front_distance(record: &Record, shape: &str) -> Option<f64> {
    let at = [("candidate", shape)];
    let parameters = value_at(record, PARAMETERS, &at)?;
    let budget: f64 = record.case.axis("budget")?.parse().ok()?;
    if (budget / parameters - 1.0).abs() > SAME_BUDGET {
        return None;
    }
    value_at(record, FRONT_DISTANCE, &at)
}

/// Slowest over fastest among the shapes of one search. PhoneLM's own shapes
/// may have another count of parameters: they stay out.
fn spread(record: &Record, metric: &str) -> Option<f64> {
    let times: Vec<f64> = record
        .metric_values(metric)
        .filter(|(at, _)| at.get("set").is_none_or(|set| set != "published"))
        .map(|(_, seconds)| seconds)
        .filter(|seconds| seconds.is_finite() && *seconds > 0.0)
        .collect();
    (times.len() > 1).then(|| range(&times))
}

/// Largest over smallest.
fn range(values: &[f64]) -> f64 {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let smallest = values.iter().copied().fold(f64::INFINITY, f64::min);
    largest / smallest
}

/// Ratios of losses that share their seed.
fn by_seed(record: &Record, of: &str, over: &str) -> Option<Vec<f64>> {
    let above = [("activation", of)];
    let ratios: Vec<f64> = values_at(record, ACTIVATION_LOSS, &above)
        .filter_map(|(at, loss)| {
            let seed = at.get("seed")?;
            let below = [("activation", over), ("seed", seed.as_str())];
            Some(loss / value_at(record, ACTIVATION_LOSS, &below)?)
        })
        .collect();
    (!ratios.is_empty()).then_some(ratios)
}

/// One mean over finalists a seed of training.
fn zeros(record: &Record) -> Option<Vec<f64>> {
    let mut by_seed: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (at, share) in values_at(record, GATE_ZEROS, &[]) {
        let seed = at.get("seed").map_or("", String::as_str);
        by_seed.entry(seed).or_default().push(share);
    }
    let means: Vec<f64> = by_seed
        .into_values()
        .map(|shares| shares.iter().sum::<f64>() / shares.len() as f64)
        .collect();
    (!means.is_empty()).then_some(means)
}

/// For each seed of training with two finalists or more: the logarithm of
/// fastest over slowest, over that of worst over best loss.
fn speed_over_loss(record: &Record) -> Option<Vec<f64>> {
    let mut by_seed: BTreeMap<&str, [Vec<f64>; 2]> = BTreeMap::new();
    for (place, metric) in [SPEED, LOSS].into_iter().enumerate() {
        for (at, value) in values_at(record, metric, &[]) {
            let Some(seed) = at.get("seed") else { continue };
            by_seed.entry(seed).or_default()[place].push(value);
        }
    }
    let ratios: Vec<f64> = by_seed
        .into_values()
        .filter(|[speeds, losses]| speeds.len().min(losses.len()) > 1)
        .map(|[speeds, losses]| range(&speeds).ln() / range(&losses).ln())
        .filter(|ratio| ratio.is_finite() && *ratio > 0.0)
        .collect();
    (!ratios.is_empty()).then_some(ratios)
}
