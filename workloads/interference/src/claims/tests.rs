//! Every claim through every ruling, with synthetic records.

use assay_schema::{
    Better, Case, Claim, Direction, Metric, Moment, Outcome, Ruling,
};
use assay_statistics::rule;
use assay_statistics::testing::{self, unmatched};

use super::measure::{ACCURACY, CONFUSION, Measure};
use super::runs::{CNN, Setting};
use super::*;

const NEITHER: Better = Better::Neither;

fn record(setting: Setting<'_>, seed: u64, metrics: Vec<Metric>) -> Record {
    let case = Case::new("interference", setting.model, Some("study"))
        .with("band_mhz", setting.band)
        .with("representation", setting.representation)
        .with("select", setting.select)
        .with("keep", setting.keep)
        .with("train_snr_db", setting.train_snr)
        .with("batch", 64)
        .with("seed", seed);
    testing::record(case, metrics)
}

fn accuracy(value: f64) -> Metric {
    Metric::value(ACCURACY, "1", Better::Higher, value)
}

/// Metrics of which a measure makes this value.
fn metrics(measure: Measure, value: f64) -> Vec<Metric> {
    let time = |name: &str| Metric::value(name, "s", Better::Lower, value);
    match measure {
        Measure::Accuracy => vec![accuracy(value)],
        Measure::Of(technology) => {
            vec![accuracy(value).at([("technology", technology)])]
        }
        Measure::OfAt(technology, snr_db) => {
            let snr_db = snr_db.to_string();
            let at = [("technology", technology), ("snr_db", snr_db.as_str())];
            vec![accuracy(value).at(at)]
        }
        Measure::UpFrom(least) => vec![
            accuracy(0.1).at([("snr_db", least - 2)]),
            accuracy(value).at([("snr_db", least)]),
        ],
        Measure::ErrorsBelow(limit) => vec![
            accuracy(1.0 - value).at([("snr_db", limit - 2)]),
            accuracy(value).at([("snr_db", limit)]),
        ],
        Measure::Confused(pairs) | Measure::ConfusedMore(pairs) => {
            let count = |right: &str, given: &str, count: f64| {
                Metric::value(CONFUSION, "1", NEITHER, count)
                    .at([("true", right), ("predicted", given)])
            };
            let mut all = Vec::new();
            for (right, given) in pairs {
                let own = pairs.iter().filter(|(other, _)| other == right);
                let wrong = 1000.0 * value * own.count() as f64;
                all.push(count(right, given, 1000.0 * value));
                all.push(count(right, right, 1000.0 - wrong));
            }
            all
        }
        Measure::TrainingTime => vec![time("quality/training_time")],
        Measure::EpochTime => vec![time("quality/epoch_time")],
    }
}

/// Records of which a statistic makes these values, one a seed.
fn study(statistic: Statistic, values: &[f64]) -> Vec<Record> {
    let mut records = Vec::new();
    for (seed, &value) in (1..).zip(values) {
        let mut add = |setting: Setting<'_>, metrics: Vec<Metric>| {
            records.push(record(setting, seed, metrics));
        };
        match statistic {
            Statistic::Value(setting, measure) => {
                add(setting, metrics(measure, value));
            }
            Statistic::Difference((a, of_a), (b, of_b)) => {
                let (mut high, low) =
                    (metrics(of_a, 0.5 + value), metrics(of_b, 0.5));
                if a == b {
                    high.extend(low);
                } else {
                    add(b, low);
                }
                add(a, high);
            }
            Statistic::Ratio((a, of_a), (b, of_b)) => {
                add(a, metrics(of_a, 10.0 * value));
                add(b, metrics(of_b, 10.0));
            }
            Statistic::Saving((a, of_a), (b, of_b)) => {
                add(a, metrics(of_a, 10.0 - value / 10.0));
                add(b, metrics(of_b, 10.0));
            }
            Statistic::Spread(settings, measure) => {
                for (place, &setting) in settings.iter().enumerate() {
                    let above = if place == 0 { value } else { 0.0 };
                    add(setting, metrics(measure, 0.5 + above));
                }
            }
            Statistic::BestSnr(like) => {
                let snrs = ["-20", "-14", "-10", "-6", "-2", "4", "12"];
                let far =
                    |snr: &&str| (snr.parse::<f64>().unwrap() - value).abs();
                let nearest = snrs
                    .into_iter()
                    .min_by(|a, b| far(a).total_cmp(&far(b)))
                    .unwrap();
                for train_snr in snrs {
                    let best = if train_snr == nearest { 0.9 } else { 0.5 };
                    let setting = Setting { train_snr, ..like };
                    add(setting, vec![accuracy(best)]);
                }
            }
        }
    }
    records
}

fn on_real_data(mut records: Vec<Record>) -> Vec<Record> {
    let real = Metric::value("quality/real_data", "1", NEITHER, 1.0);
    for record in &mut records {
        record.metrics.push((None, real.clone()));
    }
    records
}

fn ruling(claim: &Claim, records: &[Record]) -> Ruling {
    rule("paper", claim, &evidence(records)).ruling
}

fn statistic_of(id: &str) -> Option<Statistic> {
    TABLE.iter().find(|(own, _)| *own == id).map(|(_, statistic)| *statistic)
}

#[test]
fn every_claim_goes_through_every_ruling() {
    for claim in claims().unwrap().claim {
        let id = &claim.id;
        let Some(statistic) = statistic_of(id) else {
            assert!(claim.untestable.is_some(), "{id}");
            assert_eq!(ruling(&claim, &[]), Ruling::NotTested, "{id}");
            continue;
        };
        assert!(claim.untestable.is_none(), "{id}");
        let away = match claim.direction {
            Direction::AtLeast => -claim.margin,
            Direction::AtMost | Direction::Near => claim.margin,
        };
        let border = claim.value + away;
        let (near, far) = (border - away, border + away);
        let run = |values: &[f64]| on_real_data(study(statistic, values));
        for (values, expected) in [
            (vec![claim.value; 5], Ruling::Supported),
            (vec![far; 5], Ruling::Contradicted),
            (vec![far, near, far, near, far], Ruling::InsideNoise),
            (vec![claim.value; 2], Ruling::NotTested),
            (vec![claim.value; 1], Ruling::NotTested),
            (vec![], Ruling::NotTested),
        ] {
            let found = ruling(&claim, &run(&values));
            assert_eq!(found, expected, "{id}: {values:?}");
        }
        let generated = study(statistic, &[claim.value; 5]);
        let expected = if claim.data.contains(&ClaimData::Generated) {
            Ruling::Supported
        } else {
            Ruling::NotTested
        };
        assert_eq!(ruling(&claim, &generated), expected, "{id}, generated");
    }
}

#[test]
fn every_id_is_there_once_and_every_statistic_has_its_claim() {
    let judged = TABLE.iter().map(|(id, _)| (*id, None));
    assert_eq!(unmatched(&claims().unwrap(), judged), [""; 0]);
}

#[test]
fn a_full_study_has_evidence_of_every_testable_claim() {
    let records: Vec<Record> = TABLE
        .iter()
        .flat_map(|(_, statistic)| study(*statistic, &[0.4, 0.5, 0.6]))
        .collect();
    // One record a case, with the metrics of all: as a real study has them.
    let mut merged: Vec<Record> = Vec::new();
    for record in records {
        match merged.iter_mut().find(|one| one.case == record.case) {
            Some(one) => one.metrics.extend(record.metrics),
            None => merged.push(record),
        }
    }
    let found = evidence(&merged);
    for (id, _) in TABLE {
        assert!(found.iter().any(|one| one.claim == *id), "{id}");
    }
    assert_eq!(found.len(), TABLE.len());
}

/// The estimate of the CNN's accuracy.
fn of_cnn(records: &[Record]) -> Option<Estimate> {
    let found = evidence(records);
    let own = found.into_iter().find(|one| one.claim == "accuracy-cnn");
    own.map(|one| one.estimate)
}

#[test]
fn only_like_is_compared_and_the_most_seeds_speak() {
    let value = |seed, share: f64, batch: &str| {
        let mut one = record(CNN, seed, vec![accuracy(share)]);
        one.case = one.case.with("batch", batch);
        one
    };
    let mut records: Vec<Record> =
        (1..=3).map(|seed| value(seed, 0.8, "64")).collect();
    records.extend((1..=2).map(|seed| value(seed, 0.2, "256")));
    let estimate = of_cnn(&records).unwrap();
    assert_eq!(estimate.n, 3);
    assert!((estimate.point - 0.8).abs() < 1e-12);
    // Of equals the first: `256` stands before `64`.
    records.push(value(3, 0.2, "256"));
    assert!((of_cnn(&records).unwrap().point - 0.2).abs() < 1e-12);
    // Of a case that was run again, the later.
    for seed in 1..=3 {
        let mut later = value(seed, 0.5, "256");
        later.started = Moment(1);
        records.insert(0, later);
    }
    assert!((of_cnn(&records).unwrap().point - 0.5).abs() < 1e-12);
}

#[test]
fn unsound_runs_and_seeds_of_one_side_are_left_out() {
    let setting = Setting { band: "4", ..CNN };
    let mut records: Vec<Record> =
        (1..=5).map(|seed| record(CNN, seed, vec![accuracy(0.9)])).collect();
    records
        .extend((2..=4).map(|seed| record(setting, seed, vec![accuracy(0.8)])));
    records[3].outcome = Outcome::Failed("synthetic".to_owned());
    let found = evidence(&records);
    let band = found.iter().find(|one| one.claim == "band4-accuracy").unwrap();
    assert_eq!(band.estimate.n, 2);
    assert!((band.estimate.point - 0.1).abs() < 1e-12);
    assert_eq!(of_cnn(&records).unwrap().n, 4);
}

#[test]
fn students_interval_is_that_of_the_textbook() {
    let records: Vec<Record> = [(1, 0.7), (2, 0.8), (3, 0.9)]
        .map(|(seed, share)| record(CNN, seed, vec![accuracy(share)]))
        .to_vec();
    let estimate = of_cnn(&records).unwrap();
    let half = 4.302_652_729_9 * 0.1 / 3.0_f64.sqrt();
    assert!((estimate.point - 0.8).abs() < 1e-12);
    assert!((estimate.low - (0.8 - half)).abs() < 1e-9);
    assert!((estimate.high - (0.8 + half)).abs() < 1e-9);
    assert!(of_cnn(&records[..1]).is_none());
}

#[test]
fn other_confusions_weigh_against_those_that_are_named() {
    let count = |right: &str, given: &str, count: f64| {
        Metric::value(CONFUSION, "1", NEITHER, count)
            .at([("true", right), ("predicted", given)])
    };
    let counts = vec![
        count("WiFi1", "WiFi1", 80.0),
        count("WiFi1", "WiFi2", 20.0),
        count("WiFi2", "WiFi2", 90.0),
        count("WiFi2", "BT1", 10.0),
        count("BT1", "BT1", 50.0),
    ];
    let record = record(CNN, 1, counts);
    let pair = Measure::ConfusedMore(&[("WiFi1", "WiFi2")]);
    // 0.2, and 0.1 over the five other pairs of three classes.
    assert!((pair.of(&record).unwrap() - 0.18).abs() < 1e-12);
    let absent = Measure::Confused(&[("BT9", "Zigbee2")]);
    assert_eq!(absent.of(&record), None);
}

#[test]
fn every_published_number_reads_and_names_a_study() {
    let numbers = published().unwrap();
    assert_eq!(numbers.len(), PUBLISHED.lines().count() - 1);
    for number in numbers {
        let case: Case = number.case.parse().unwrap();
        crate::Request::new(&case).unwrap();
        assert_eq!(number.case, case.to_string());
        let unit = match &*number.metric {
            "accuracy" => "1",
            "training_time" | "epoch_time" => "s",
            other => panic!("{other}"),
        };
        assert_eq!(number.unit, unit);
        assert!(number.value > 0.0);
    }
}
