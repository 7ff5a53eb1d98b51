//! Statistics of predictions. A prediction brings its band; where two of one
//! machine are compared, their errors share their sign.

use assay_schema::{Case, Estimate, Prediction, PublishedPoint, Runtime};

/// The paper's card; which of its forms is not stated.
pub(super) const A100: &str = "nvidia-a100-sxm4-80gb";

/// Which cases a claim is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Like {
    /// The case without its axes.
    pub(super) path: &'static str,
    /// Axes that are fixed, for cases that have them.
    pub(super) axes: &'static [(&'static str, &'static str)],
}

/// Latencies of a case, so many times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) of: Like,
    /// How many times, in the sum's unit a second.
    pub(super) factor: f64,
}

/// What is computed of predictions.
#[derive(Clone, Copy, Debug)]
pub(super) enum OfPredictions {
    /// Latency over the published `time` of this case, as it is written
    /// there, on the profile that stands beside it.
    Latency { case: &'static str },
    /// Latency of one case over that of another.
    Ratio { of: Like, over: Like },
    /// So much a latency.
    Rate { of: Like, numerator: f64 },
    /// A sum of latencies.
    Sum { of: &'static [Times] },
    /// The share of time that a case saves against several together, percent.
    Saving { of: Like, against: &'static [Like] },
    /// Parameters, times a factor.
    Parameters { of: Like, factor: f64 },
}

/// The predictions of this workload in the order in which they are asked: the
/// eager runtime first, since the paper's code runs in eager PyTorch, and what
/// fits its profile first.
pub(super) fn ordered(predictions: &[Prediction]) -> Vec<&Prediction> {
    let mut own: Vec<&Prediction> = predictions
        .iter()
        .filter(|prediction| prediction.case.starts_with("instaflow/"))
        .collect();
    own.sort_by_key(|p| (p.runtime != Runtime::Eager, p.fits == Some(false)));
    own
}

impl Like {
    fn is(&self, prediction: &Prediction) -> bool {
        prediction.case == self.path
            && self
                .axes
                .iter()
                .all(|(axis, value)| agrees(prediction, axis, value))
    }

    /// Seconds of the first such case on the paper's card.
    fn latency(&self, predictions: &[&Prediction]) -> Option<Estimate> {
        let found = predictions
            .iter()
            .find(|one| one.profile == A100 && self.is(one))?;
        let latency = found.latency_s.clone();
        let method = format!("{}; {}", latency.method, label(found));
        Some(Estimate { method, ..latency })
    }
}

/// Whether a case has this value of an axis, or no such axis.
fn agrees(prediction: &Prediction, axis: &str, value: &str) -> bool {
    prediction.axes.get(axis).is_none_or(|found| found == value)
}

/// The case and its profile, for a reader of an estimate.
fn label(prediction: &Prediction) -> String {
    let mut label = prediction.case.clone();
    for (axis, value) in &prediction.axes {
        label.push_str(&format!(" {axis}={value}"));
    }
    format!("{label} on {}", prediction.profile)
}

impl OfPredictions {
    /// Its value, where the predictions have what it takes.
    pub(super) fn of(
        &self,
        predictions: &[&Prediction],
        points: &[PublishedPoint],
    ) -> Option<Estimate> {
        match self {
            Self::Latency { case } => latency(predictions, points, case),
            Self::Ratio { of, over } => {
                let above = of.latency(predictions)?;
                let below = over.latency(predictions)?;
                Some(half_band(&above, below.point))
            }
            Self::Rate { of, numerator } => {
                Some(of.latency(predictions)?.inverted(*numerator))
            }
            Self::Sum { of } => sum(predictions, of),
            Self::Saving { of, against } => {
                let own = of.latency(predictions)?;
                let others = against
                    .iter()
                    .map(|like| Some(like.latency(predictions)?.point))
                    .sum::<Option<f64>>()?;
                Some(saving(&half_band(&own, others)))
            }
            Self::Parameters { of, factor } => {
                // A profile has no say in it: any will do.
                let found = predictions.iter().find(|one| of.is(one))?;
                let count = factor * found.parameters as f64;
                Some(Estimate {
                    point: count,
                    low: count,
                    high: count,
                    confidence: 1.0,
                    n: 0,
                    method: label(found),
                })
            }
        }
    }
}

/// The published time of a case, as it is written in the table.
pub(super) fn time_of<'p>(
    points: &'p [PublishedPoint],
    case: &str,
) -> Option<&'p PublishedPoint> {
    points.iter().find(|point| point.case == case && point.metric == "time")
}

fn latency(
    predictions: &[&Prediction],
    points: &[PublishedPoint],
    case: &str,
) -> Option<Estimate> {
    let point = time_of(points, case)?;
    let case: Case = case.parse().ok()?;
    let path = case.path();
    let found = predictions.iter().find(|prediction| {
        prediction.case == path
            && prediction.profile == point.profile
            && case
                .axes
                .iter()
                .all(|(axis, value)| agrees(prediction, axis, value))
    })?;
    let ratio = found.latency_s.scaled(1.0 / point.value);
    let method = format!(
        "over {} s as published; {}; {}",
        point.value,
        ratio.method,
        label(found)
    );
    Some(Estimate { method, ..ratio })
}

/// A latency over another of the same machine, in the same model of it: the
/// band of the ratio is not the bands' ratio. Half of one band, on a
/// logarithmic scale.
fn half_band(above: &Estimate, below: f64) -> Estimate {
    let point = above.point / below;
    Estimate {
        point,
        low: point * (above.low / above.point).sqrt(),
        high: point * (above.high / above.point).sqrt(),
        method: format!("ratio, half of the band; {}", above.method),
        ..above.clone()
    }
}

/// One less a ratio, percent.
fn saving(ratio: &Estimate) -> Estimate {
    let percent = |ratio: f64| 100.0 * (1.0 - ratio);
    Estimate {
        point: percent(ratio.point),
        low: percent(ratio.high),
        high: percent(ratio.low),
        ..ratio.clone()
    }
}

/// The ends of the sum are those of its terms together: one machine, one model
/// of it, errors of one sign. `None` unless every term has its prediction.
fn sum(predictions: &[&Prediction], terms: &[Times]) -> Option<Estimate> {
    let each = terms
        .iter()
        .map(|term| Some(term.of.latency(predictions)?.scaled(term.factor)))
        .collect::<Option<Vec<Estimate>>>()?;
    let total = |end: fn(&Estimate) -> f64| each.iter().map(end).sum::<f64>();
    let methods: Vec<&str> =
        each.iter().map(|one| one.method.as_str()).collect();
    Some(Estimate {
        point: total(|one| one.point),
        low: total(|one| one.low),
        high: total(|one| one.high),
        confidence: each.iter().map(|one| one.confidence).reduce(f64::min)?,
        n: 0,
        method: format!("sum of {}", methods.join(" and ")),
    })
}
