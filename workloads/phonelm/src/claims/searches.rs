//! Statistics of searches, over their seeds.
//!
//! What a search predicts stays a prediction, although a record holds it; what
//! its finalists' training and timing give is measured. No statistic mixes the
//! two. A record holds the points of its predictions alone: their band is that
//! of what the run predicts of whole decoders for the same target.

use std::collections::{BTreeMap, BTreeSet};

use assay_schema::{ClaimData, Estimate, Prediction, Record};
use assay_statistics::quantile;

use super::groups::{Group, mean, mean_ratio, value_at, values_at};
use super::predicted::half_bands;

/// Shapes that a front must be of: another seed finds another front, and a
/// front of few shapes is easily reached.
const FRONT_OF: f64 = 10_000.0;

/// How far from the budget, as a share of it, the parameters of shapes may lie
/// that are called equal.
const EQUAL: f64 = 0.01;

/// Percentiles that a spread is between, and the fewest shapes that have them.
const PERCENTILES: [f64; 2] = [0.1, 0.9];
const LEAST_SHAPES: usize = 10;

/// What is computed of searches.
#[derive(Clone, Copy, Debug)]
pub(super) enum OfSearches {
    /// How far a published shape is from the front of its budget, for a
    /// target.
    FrontDistance { shape: &'static str, target: &'static str },
    /// The 90th over the 10th percentile of a phase's predicted time among
    /// shapes with as many parameters.
    Spread { phase: &'static str },
    /// Held-out loss with one activation over that with another.
    ActivationLoss { of: &'static str, over: &'static str },
    /// The same of decode steps timed here.
    ActivationDecode { of: &'static str, over: &'static str },
    /// The share of zeros after the gate's ReLU.
    GateZeros,
    /// How much more training speed than loss differs among finalists.
    SpeedOverLoss,
}

const CANDIDATES: &str = "quality/candidates";
const FRONT_DISTANCE: &str = "quality/front_distance";
const PARAMETERS: &str = "quality/parameters";
const ACTIVATION_LOSS: &str = "quality/activation_loss";
const ACTIVATION_TIME: &str = "quality/activation_time";
const GATE_ZEROS: &str = "quality/gate_zeros";
const SPEED: &str = "quality/tokens_per_second";
const LOSS: &str = "quality/heldout_loss";

/// Values of one record by the seed of training or of weights.
type BySeed = Vec<(String, f64)>;

impl OfSearches {
    /// The kind of data that it is computed from.
    pub(super) const fn data(&self) -> ClaimData {
        match self {
            Self::FrontDistance { .. } | Self::Spread { .. } => {
                ClaimData::Predicted
            }
            Self::ActivationLoss { .. }
            | Self::ActivationDecode { .. }
            | Self::GateZeros
            | Self::SpeedOverLoss => ClaimData::Generated,
        }
    }

    /// Its value for a group of searches; `None` where none has what it takes.
    pub(super) fn of(
        &self,
        group: &Group<'_>,
        predictions: &[&Prediction],
    ) -> Option<Estimate> {
        let (estimate, what) = match self {
            Self::FrontDistance { shape, target } => {
                if group.axis("target") != Some(*target) {
                    return None;
                }
                let each =
                    group.over_seeds(|record| front_distance(record, shape));
                // A distance is a ratio less 1.
                let ratio = moved(&mean(&each)?, 1.0);
                let phases = ["prefill", "decode"];
                let wide = widened(group, predictions, &phases, &ratio)?;
                (moved(&wide, -1.0), format!("{shape} for {target}"))
            }
            Self::Spread { phase } => {
                let each = group.over_seeds(|record| spread(record, phase));
                let ratio = mean_ratio(&each)?;
                let wide = widened(group, predictions, &[*phase], &ratio)?;
                (wide, format!("spread of {phase}"))
            }
            Self::ActivationLoss { of, over } => {
                let each = over_training_seeds(group, |record| {
                    by_seed(record, ACTIVATION_LOSS, of, over)
                });
                (mean_ratio(&each)?, format!("{of} over {over}"))
            }
            Self::ActivationDecode { of, over } => {
                let each = over_training_seeds(group, |record| {
                    by_seed(record, ACTIVATION_TIME, of, over)
                });
                (mean_ratio(&each)?, format!("{of} over {over}, timed"))
            }
            Self::GateZeros => {
                let each = over_training_seeds(group, zeros);
                (mean(&each)?, "over finalists and seeds".to_owned())
            }
            Self::SpeedOverLoss => {
                let each = over_training_seeds(group, speed_over_loss);
                (mean_ratio(&each)?, "over seeds of training".to_owned())
            }
        };
        Some(group.labelled(estimate, &what))
    }
}

/// All three numbers of an estimate moved by as much.
fn moved(estimate: &Estimate, by: f64) -> Estimate {
    Estimate {
        point: estimate.point + by,
        low: estimate.low + by,
        high: estimate.high + by,
        ..estimate.clone()
    }
}

/// A ratio of predicted times of one machine, its interval over seeds widened
/// by half of the band of predictions for that machine: the other half is an
/// error that both times share. `None` where the run predicts nothing for it,
/// so that the error is not known.
fn widened(
    group: &Group<'_>,
    predictions: &[&Prediction],
    phases: &[&str],
    ratio: &Estimate,
) -> Option<Estimate> {
    let target = group.axis("target")?;
    let precision = group.axis("precision");
    let [below, above] = half_bands(predictions, target, precision, phases)?;
    let method = format!("{}, widened by half of the band", ratio.method);
    Some(Estimate {
        low: ratio.low.min(ratio.low * below),
        high: ratio.high * above,
        method,
        ..ratio.clone()
    })
}

/// One value a seed of training or weights: searches whose seeds overlap have
/// some in common, and what several of them tell of one seed counts once, as
/// its mean.
fn over_training_seeds(
    group: &Group<'_>,
    of: impl Fn(&Record) -> BySeed,
) -> Vec<f64> {
    let each = group.over_seeds(|record| Some(of(record)));
    mean_by_seed(each.into_iter().flatten())
}

/// The mean of each seed, by the seeds' names.
fn mean_by_seed(values: impl Iterator<Item = (String, f64)>) -> Vec<f64> {
    let mut met: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (seed, value) in values {
        met.entry(seed).or_default().push(value);
    }
    met.into_values()
        .map(|own| own.iter().sum::<f64>() / own.len() as f64)
        .collect()
}

/// The distance of a published shape from the front of a search of its budget:
/// a search tells it of no other, and it counts where the front is of enough
/// shapes.
fn front_distance(record: &Record, shape: &str) -> Option<f64> {
    if record.metric(CANDIDATES)? < FRONT_OF {
        return None;
    }
    value_at(record, FRONT_DISTANCE, &[("candidate", shape)])
}

/// The 90th over the 10th percentile of a phase among the shapes that a search
/// drew and that keep to its budget closely. Members of the front, which were
/// picked for their speed, stay out, and so do PhoneLM's own shapes.
fn spread(record: &Record, phase: &str) -> Option<f64> {
    let budget: f64 = record.case.axis("budget")?.parse().ok()?;
    let metric = format!("quality/{phase}");
    let drawn = [("set", "sample")];
    let equal: BTreeSet<&str> = values_at(record, PARAMETERS, &drawn)
        .filter(|(_, count)| (count / budget - 1.0).abs() <= EQUAL)
        .filter_map(|(at, _)| at.get("candidate").map(String::as_str))
        .collect();
    let times: Vec<f64> = values_at(record, &metric, &drawn)
        .filter(|(at, seconds)| {
            let name = at.get("candidate").map(String::as_str);
            *seconds > 0.0 && name.is_some_and(|name| equal.contains(name))
        })
        .map(|(_, seconds)| seconds)
        .collect();
    if times.len() < LEAST_SHAPES {
        return None;
    }
    let [low, high] = PERCENTILES.map(|q| quantile(&times, q).ok());
    Some(high? / low?)
}

/// Largest over smallest.
fn range(values: &[f64]) -> f64 {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let smallest = values.iter().copied().fold(f64::INFINITY, f64::min);
    largest / smallest
}

/// Ratios of a metric of two activations that share their seed.
fn by_seed(record: &Record, metric: &str, of: &str, over: &str) -> BySeed {
    let above = [("activation", of)];
    values_at(record, metric, &above)
        .filter_map(|(at, value)| {
            let seed = at.get("seed")?;
            let below = [("activation", over), ("seed", seed.as_str())];
            let other = value_at(record, metric, &below)?;
            Some((seed.clone(), value / other))
        })
        .collect()
}

/// Shares of closed gates of all finalists, by seed of training.
fn zeros(record: &Record) -> BySeed {
    values_at(record, GATE_ZEROS, &[])
        .filter_map(|(at, share)| Some((at.get("seed")?.clone(), share)))
        .collect()
}

/// For each seed of training with two finalists or more: the logarithm of
/// fastest over slowest, over that of worst over best loss.
fn speed_over_loss(record: &Record) -> BySeed {
    let mut met: BTreeMap<&str, [Vec<f64>; 2]> = BTreeMap::new();
    for (place, metric) in [SPEED, LOSS].into_iter().enumerate() {
        for (at, value) in values_at(record, metric, &[]) {
            let Some(seed) = at.get("seed") else { continue };
            met.entry(seed).or_default()[place].push(value);
        }
    }
    met.into_iter()
        .filter(|(_, [speeds, losses])| speeds.len().min(losses.len()) > 1)
        .map(|(seed, [speeds, losses])| {
            let ratio = range(&speeds).ln() / range(&losses).ln();
            (seed.to_owned(), ratio)
        })
        .filter(|(_, ratio)| ratio.is_finite() && *ratio > 0.0)
        .collect()
}
