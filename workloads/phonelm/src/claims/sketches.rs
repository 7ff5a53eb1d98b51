//! Records, predictions and published numbers that the tests make up, so that
//! a statistic comes out as they want it.

use assay_schema::{
    Better, Case, Evidence, Metric, Prediction, PublishedPoint, Record, Runtime,
};
use assay_statistics::testing;

use super::intents::{OfIntents, Share};
use super::predicted::{CHIP, OWN, OfPredictions, SAME_SIZE, Setting, as_good};
use super::searches::OfSearches;
use super::table::{Judgement, Statistic};
use super::{SEARCH, Seen, TUNING, evidence_for, groups, predicted, published};

/// A sound record.
pub(super) fn record(case: &str, metrics: Vec<Metric>) -> Record {
    testing::record(case.parse().unwrap(), metrics)
}

/// A metric of a record.
pub(super) fn metric(name: &str, value: f64, at: &[(&str, &str)]) -> Metric {
    Metric::value(name, "1", Better::Neither, value).at(at.iter().copied())
}

/// Parameters of the shapes that a search of these tests is about.
const PARAMETERS: f64 = 5e8;

/// The band of predictions beside a search: 10 % each way, half of it.
const BAND: f64 = 0.21;

/// Metrics of a search in which a statistic is `x`, and the axes of its case;
/// what is trained or timed is so with this seed.
fn searched(
    statistic: &OfSearches,
    x: f64,
    seed: &str,
) -> (String, Vec<Metric>) {
    let seed = ("seed", seed);
    match *statistic {
        OfSearches::FrontDistance { shape, target } => (
            format!("{SEARCH} target={target} budget={PARAMETERS}"),
            vec![
                metric("quality/candidates", 1e4, &[]),
                metric("quality/front_distance", x, &[("candidate", shape)]),
            ],
        ),
        OfSearches::Spread { phase } => {
            let name = format!("quality/{phase}");
            let mut metrics = Vec::new();
            for i in 0..10 {
                let shape = format!("s{i}");
                let at = [("candidate", shape.as_str()), ("set", "sample")];
                let time = if i < 5 { 2.0 } else { 2.0 * x };
                metrics.push(metric(&name, time, &at));
                metrics.push(metric("quality/parameters", PARAMETERS, &at));
            }
            // Neither a shape of another size nor one of the front counts.
            let other = [("candidate", "other"), ("set", "sample")];
            metrics.push(metric(&name, 900.0, &other));
            metrics.push(metric(
                "quality/parameters",
                0.98 * PARAMETERS,
                &other,
            ));
            let best = [("candidate", "best"), ("set", "front")];
            metrics.push(metric(&name, 0.01, &best));
            metrics.push(metric("quality/parameters", PARAMETERS, &best));
            (format!("{SEARCH} target=host budget={PARAMETERS}"), metrics)
        }
        OfSearches::ActivationLoss { of, over } => {
            let name = "quality/activation_loss";
            (
                SEARCH.to_owned(),
                vec![
                    metric(name, 3.0 * x, &[("activation", of), seed]),
                    metric(name, 3.0, &[("activation", over), seed]),
                ],
            )
        }
        OfSearches::ActivationDecode { of, over } => {
            let name = "quality/activation_time";
            (
                SEARCH.to_owned(),
                vec![
                    metric(name, 0.1 * x, &[("activation", of), seed]),
                    metric(name, 0.1, &[("activation", over), seed]),
                ],
            )
        }
        OfSearches::GateZeros => {
            let name = "quality/gate_zeros";
            let at = |which| [("candidate", which), seed];
            (
                SEARCH.to_owned(),
                vec![
                    metric(name, x - 0.1, &at("a")),
                    metric(name, x + 0.1, &at("b")),
                ],
            )
        }
        OfSearches::SpeedOverLoss => {
            let (speed, loss) =
                ("quality/tokens_per_second", "quality/heldout_loss");
            let at = |which| [("candidate", which), seed];
            (
                SEARCH.to_owned(),
                vec![
                    metric(speed, 50.0, &at("a")),
                    metric(speed, 50.0 * 1.1_f64.powf(x), &at("b")),
                    metric(loss, 4.0, &at("a")),
                    metric(loss, 4.4, &at("b")),
                ],
            )
        }
    }
}

/// Metrics of a study of the intents in which a statistic is `x`.
fn tuned(statistic: &OfIntents, x: f64) -> Vec<Metric> {
    let share = |share: &Share, value: f64| {
        metric(share.metric, value, &share.places())
    };
    let mut metrics = match statistic {
        OfIntents::Value(of) => vec![share(of, x / 100.0)],
        OfIntents::Difference { of, less } => {
            vec![share(of, 0.5 + x / 200.0), share(less, 0.5 - x / 200.0)]
        }
    };
    metrics.push(metric("quality/requests", 200.0, &[("tools", "all")]));
    metrics
}

/// Records in which a statistic has one value a seed.
fn records_for(statistic: &Statistic, values: &[f64]) -> Vec<Record> {
    let seeded = |seed: usize, x: f64| match statistic {
        Statistic::Searched(statistic) => {
            let (case, metrics) = searched(statistic, x, &seed.to_string());
            record(&format!("{case} seed={seed}"), metrics)
        }
        Statistic::Tuned(statistic) => {
            record(&format!("{TUNING} seed={seed}"), tuned(statistic, x))
        }
        Statistic::Predicted(_) | Statistic::Published { .. } => {
            panic!("no records judge it")
        }
    };
    values.iter().enumerate().map(|(seed, &x)| seeded(seed, x)).collect()
}

/// A prediction of a model with a band of so many times either way.
fn prediction(
    setting: &Setting,
    model: &str,
    seconds: f64,
    spread: f64,
) -> Prediction {
    Prediction {
        profile: CHIP.to_owned(),
        unit: setting.unit.to_owned(),
        runtime: Runtime::LlamaCpp,
        ..testing::prediction(&case_of(setting, model), seconds, spread)
    }
}

/// Predictions in which a statistic is `x`.
pub(super) fn predictions_for(
    statistic: &OfPredictions,
    x: f64,
    spread: f64,
) -> Vec<Prediction> {
    match statistic {
        OfPredictions::Rate { model, setting, tokens } => {
            vec![prediction(setting, model, tokens / x, spread)]
        }
        OfPredictions::Millions { model } => {
            let setting = Setting { phase: "decode", unit: "cpu", axes: &[] };
            let bare = prediction(&setting, model, 1.0, spread);
            vec![Prediction { parameters: (x * 1e6) as u64, ..bare }]
        }
        OfPredictions::FasterAtLeast { setting }
        | OfPredictions::FasterAtMost { setting } => {
            let others = SAME_SIZE
                .into_iter()
                .map(|model| prediction(setting, model, x, spread));
            others.chain([prediction(setting, OWN, 1.0, spread)]).collect()
        }
        OfPredictions::AgainstTheAsGood { setting } => {
            let points = published().unwrap();
            let others = as_good(&points)
                .map(|model| prediction(setting, model, 1.0, spread));
            others.chain([prediction(setting, OWN, x, spread)]).collect()
        }
    }
}

/// Evidence in which the statistic is `x`, of predictions or of what is
/// published; this to fewer digits with a spread.
pub(super) fn made(
    judgement: &Judgement,
    x: f64,
    spread: f64,
) -> Vec<Evidence> {
    let mut points = published().unwrap();
    let mut predictions = Vec::new();
    match &judgement.statistic {
        Statistic::Searched(_) | Statistic::Tuned(_) => {}
        Statistic::Published { of, over } => {
            points = testing::points_as(points, of, over, x, spread).unwrap();
        }
        Statistic::Predicted(one) => {
            predictions = predictions_for(one, x, spread);
        }
    }
    of_predictions(judgement, &predictions, &points)
}

/// Evidence of these predictions and published numbers.
pub(super) fn of_predictions(
    judgement: &Judgement,
    predictions: &[Prediction],
    points: &[PublishedPoint],
) -> Vec<Evidence> {
    let seen = Seen {
        searches: Vec::new(),
        tunings: Vec::new(),
        predictions: predicted::ordered(predictions),
        points,
    };
    evidence_for(judgement, &seen)
}

/// Evidence of studies with one value a seed.
pub(super) fn studied(judgement: &Judgement, values: &[f64]) -> Vec<Evidence> {
    of_records(judgement, &records_for(&judgement.statistic, values))
}

/// Predictions of a decoder for this machine and for the phone's units, with
/// a band of so many times either way.
pub(super) fn bands(spread: f64) -> Vec<Prediction> {
    let mut all = Vec::new();
    for (profile, unit) in [("host", "cpu"), (CHIP, "cpu"), (CHIP, "npu")] {
        for phase in ["prefill", "decode"] {
            let setting = Setting { phase, unit, axes: &[] };
            let own = prediction(&setting, OWN, 1.0, spread);
            all.push(Prediction { profile: profile.to_owned(), ..own });
        }
    }
    all
}

/// Evidence of these records, beside predictions with a usual band.
pub(super) fn of_records(
    judgement: &Judgement,
    records: &[Record],
) -> Vec<Evidence> {
    beside(judgement, records, &bands(BAND))
}

/// Evidence of these records, beside these predictions.
pub(super) fn beside(
    judgement: &Judgement,
    records: &[Record],
    predictions: &[Prediction],
) -> Vec<Evidence> {
    let seen = Seen {
        searches: groups(records, SEARCH, &["seed"]),
        tunings: groups(records, TUNING, &["methods", "seed"]),
        predictions: predicted::ordered(predictions),
        points: &[],
    };
    evidence_for(judgement, &seen)
}

/// The case that a prediction of a setting is of.
pub(super) fn case_of(setting: &Setting, model: &str) -> Case {
    let case: Case = setting.path(model).parse().unwrap();
    let axes = setting.axes.iter();
    axes.fold(case, |case, (axis, value)| case.with(*axis, value))
}
