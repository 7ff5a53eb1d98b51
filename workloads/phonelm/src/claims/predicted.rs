//! Statistics of predictions for a phone. A prediction brings its band; where
//! two of one machine are compared, their errors share their sign.

use assay_schema::{Estimate, Prediction, PublishedPoint};

/// The phone's chip.
pub(super) const CHIP: &str = "snapdragon-8-gen-3";

/// The model that the claims are about.
pub(super) const OWN: &str = "phonelm-1.5b";

/// The published quality that models are compared by, percent.
const AVERAGE: &str = "accuracy_average";

/// Models of PhoneLM-1.5B's size, which the press does not name: those of the
/// authors' table whose parameters are within 15 % of its own.
pub(super) const SAME_SIZE: [&str; 5] = [
    "pythia-1.4b",
    "dclm-1b",
    "stablelm-2-zephyr-1.6b",
    "smollm-1.7b",
    "qwen1.5-1.8b",
];

/// Models of the authors' table below 2 billion parameters.
pub(super) const SMALL: [&str; 14] = [
    "pythia-1.4b",
    "opt-1.3b",
    "bloom-1b1",
    "tinyllama-1.1b",
    "mobilellama-1.4b",
    "mobillama-1b",
    "openelm-1.1b",
    "dclm-1b",
    "smollm-1.7b",
    "qwen1.5-1.8b",
    "galactica-1.3b",
    "stablelm-2-zephyr-1.6b",
    "cerebras-gpt-1.3b",
    "minicpm-1b-sft-bf16",
];

/// One phase under fixed conditions on a unit of the phone, of any model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    /// The phase.
    pub(super) phase: &'static str,
    /// `cpu` or `npu`.
    pub(super) unit: &'static str,
    /// Axes that are fixed.
    pub(super) axes: &'static [(&'static str, &'static str)],
}

/// What is computed of predictions.
#[derive(Clone, Copy, Debug)]
pub(super) enum OfPredictions {
    /// Tokens a second of a model: so many of them a latency.
    Rate { model: &'static str, setting: Setting, tokens: f64 },
    /// Parameters of a model, in millions.
    Millions { model: &'static str },
    /// How many times as fast as the fastest model of its size.
    FasterAtLeast { setting: Setting },
    /// The same against the slowest of them.
    FasterAtMost { setting: Setting },
    /// Its latency over that of the fastest small model which answers at
    /// least as well.
    AgainstTheAsGood { setting: Setting },
}

/// The predictions of this workload in the order in which they are asked: what
/// fits its profile first.
pub(super) fn ordered(predictions: &[Prediction]) -> Vec<&Prediction> {
    let mut own: Vec<&Prediction> = predictions
        .iter()
        .filter(|prediction| prediction.case.starts_with("phonelm/"))
        .collect();
    own.sort_by_key(|prediction| prediction.fits == Some(false));
    own
}

impl Setting {
    /// The case of a model without its axes.
    pub(super) fn path(&self, model: &str) -> String {
        format!("phonelm/{model}/{}", self.phase)
    }

    /// Seconds of a model; `None` where they were not predicted.
    fn latency(
        &self,
        predictions: &[&Prediction],
        model: &str,
    ) -> Option<Estimate> {
        let path = self.path(model);
        let found = predictions.iter().find(|one| {
            one.case == path
                && one.profile == CHIP
                && one.unit == self.unit
                && self.axes.iter().all(|(axis, value)| {
                    one.axes.get(*axis).is_some_and(|found| found == value)
                })
        })?;
        let latency = found.latency_s.clone();
        let method = format!("{}; {}", latency.method, label(found));
        Some(Estimate { method, ..latency })
    }
}

/// Factors below and above 1: half, on a logarithmic scale, of the widest band
/// of what was predicted of decoders in these phases for a target, as the axis
/// of a search names it, at a number format; `None` where nothing was.
pub(super) fn half_bands(
    predictions: &[&Prediction],
    target: &str,
    precision: Option<&str>,
    phases: &[&str],
) -> Option<[f64; 2]> {
    predictions
        .iter()
        .filter(|one| {
            let of_phase = one.case.rsplit('/').next();
            let unit = format!("{}:{}", one.profile, one.unit);
            let own = one.axes.get("precision").map(String::as_str);
            of_phase.is_some_and(|phase| phases.contains(&phase))
                && (one.profile == target || unit == target)
                && (precision.is_none() || precision == own)
        })
        .map(|one| {
            let Estimate { point, low, high, .. } = one.latency_s;
            [(low / point).sqrt(), (high / point).sqrt()]
        })
        .filter(|ends| ends.iter().all(|end| end.is_finite()))
        .reduce(|a, b| [a[0].min(b[0]), a[1].max(b[1])])
}

/// The case and its unit, for a reader of an estimate.
fn label(prediction: &Prediction) -> String {
    let mut label = prediction.case.clone();
    for (axis, value) in &prediction.axes {
        label.push_str(&format!(" {axis}={value}"));
    }
    format!("{label} on {}:{}", prediction.profile, prediction.unit)
}

impl OfPredictions {
    /// Its value, where the predictions have what it takes.
    pub(super) fn of(
        &self,
        predictions: &[&Prediction],
        points: &[PublishedPoint],
    ) -> Option<Estimate> {
        match self {
            Self::Rate { model, setting, tokens } => {
                let latency = setting.latency(predictions, model)?;
                Some(latency.inverted(*tokens))
            }
            Self::Millions { model } => millions(predictions, model),
            Self::FasterAtLeast { setting } => ratios(predictions, setting)?
                .into_iter()
                .min_by(|a, b| a.point.total_cmp(&b.point)),
            Self::FasterAtMost { setting } => ratios(predictions, setting)?
                .into_iter()
                .max_by(|a, b| a.point.total_cmp(&b.point)),
            Self::AgainstTheAsGood { setting } => {
                let own = setting.latency(predictions, OWN)?;
                let fastest = as_good(points)
                    .filter_map(|model| setting.latency(predictions, model))
                    .min_by(|a, b| a.point.total_cmp(&b.point))?;
                let ratio = half_band(&own, fastest.point);
                let method =
                    format!("{}, over {}", ratio.method, fastest.method);
                Some(Estimate { method, ..ratio })
            }
        }
    }
}

/// Small models whose published average is at least PhoneLM-1.5B's.
pub(super) fn as_good(
    points: &[PublishedPoint],
) -> impl Iterator<Item = &'static str> + '_ {
    let own = average(points, OWN);
    SMALL.into_iter().filter(move |model| {
        average(points, model).zip(own).is_some_and(|(other, own)| other >= own)
    })
}

fn average(points: &[PublishedPoint], model: &str) -> Option<f64> {
    let case = format!("phonelm/{model}");
    points
        .iter()
        .find(|point| point.case == case && point.metric == AVERAGE)
        .map(|point| point.value)
}

/// Parameters as they were traced. A profile has no say in it: any will do.
fn millions(predictions: &[&Prediction], model: &str) -> Option<Estimate> {
    let start = format!("phonelm/{model}/");
    let found = predictions.iter().find(|one| one.case.starts_with(&start))?;
    let count = found.parameters as f64 * 1e-6;
    Some(Estimate {
        point: count,
        low: count,
        high: count,
        confidence: 1.0,
        n: 0,
        method: label(found),
    })
}

/// Latencies of models of its size over PhoneLM-1.5B's own; `None` unless all
/// were predicted.
fn ratios(
    predictions: &[&Prediction],
    setting: &Setting,
) -> Option<Vec<Estimate>> {
    let own = setting.latency(predictions, OWN)?;
    SAME_SIZE
        .into_iter()
        .map(|model| {
            let other = setting.latency(predictions, model)?;
            Some(half_band(&other, own.point))
        })
        .collect()
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
