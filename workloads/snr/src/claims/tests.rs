//! Every claim through every ruling, and how runs are gathered.

use assay_schema::{Better, Claim, ClaimData, Evidence, Metric, Record};
use assay_statistics::testing::{self, Trial, drill, unmatched};

use super::runs::{Setting, groups};
use super::statistic::Statistic;
use super::table::{Judgement, judgements};
use super::{claims, evidence, evidence_for, published};
use crate::request::snrs_db;
use crate::{Request, Strategy, task};

const SINGLE: Setting = Setting::of(Strategy::Single);
const ALL: Setting = Setting::of(Strategy::All);
const BOOSTED: Setting = Setting::of(Strategy::Boosted);

fn quality(name: &str, value: f64) -> Metric {
    Metric::value(format!("quality/{name}"), "1", Better::Neither, value)
}

fn record(case: &str, metrics: Vec<Metric>) -> Record {
    testing::record(case.parse().unwrap(), metrics)
}

fn case(model: &str, setting: Setting, seed: usize) -> String {
    let (strategy, _) = Strategy::NAMES
        .into_iter()
        .find(|(_, one)| *one == setting.strategy)
        .unwrap();
    let Setting { offset_db, fraction, .. } = setting;
    format!(
        "snr/{model}/study strategy={strategy} offset_db={offset_db} \
         fraction={fraction} seed={seed}"
    )
}

/// A study of each SNR with the same accuracy, a share of 1, at all.
fn trained(
    model: &str,
    setting: Setting,
    seed: usize,
    accuracy: f64,
    seconds: f64,
) -> Record {
    let mut metrics =
        vec![quality("accuracy", accuracy), quality("training_time", seconds)];
    for snr_db in snrs_db(task(model)) {
        metrics.push(quality("accuracy", accuracy).at([("snr_db", snr_db)]));
    }
    record(&case(model, setting, seed), metrics)
}

/// Boosting that chose so many SNRs in all and searched so long for a second
/// of training.
fn boosted(model: &str, seed: usize, chosen: usize, search: f64) -> Record {
    let mut record = trained(model, BOOSTED, seed, 0.5, 1.0);
    let targets = snrs_db(task(model));
    for i in 0..chosen {
        let target = targets[i % targets.len()].to_string();
        let rank = (i / targets.len()).to_string();
        let at = [("test_snr_db", target), ("rank", rank)];
        record.metrics.push((Some(0), quality("chosen_snr", 0.0).at(at)));
    }
    for (name, value) in [("search_time", search), ("training_time_total", 1.0)]
    {
        record.metrics.push((Some(0), quality(name, value)));
    }
    record
}

/// Records in which a statistic has one value a seed.
fn records_for(judgement: &Judgement, values: &[f64]) -> Vec<Record> {
    let model = judgement.model;
    let mut records = Vec::new();
    for (i, &x) in values.iter().enumerate() {
        let seed = i + 1;
        let mut add = |setting: Setting, accuracy: f64, seconds: f64| {
            records.push(trained(model, setting, seed, accuracy, seconds));
        };
        match &judgement.statistic {
            Statistic::Accuracy { of, .. } => add(*of, x / 100.0, 1.0),
            Statistic::Gain { of, over, .. } => {
                of.iter().for_each(|&one| add(one, 0.5 + x / 200.0, 1.0));
                over.iter().for_each(|&one| add(one, 0.5 - x / 200.0, 1.0));
            }
            Statistic::Speed { networks } => {
                add(ALL, 0.5, x * networks);
                add(SINGLE, 0.5, 1.0);
            }
            Statistic::Shrinking { .. } => {
                let (bagged, single) = (Strategy::Bagged, Strategy::Single);
                add(Setting::share(bagged, 0.02), 0.5 + x / 100.0, 1.0);
                add(Setting::share(single, 0.02), 0.5, 1.0);
                add(Setting::share(bagged, 0.2), 0.5, 1.0);
                add(Setting::share(single, 0.2), 0.5, 1.0);
            }
            Statistic::Chosen => {
                let targets = snrs_db(task(model)).len() as f64;
                let chosen = (x * targets).round().max(0.0) as usize;
                records.push(boosted(model, seed, chosen, 1.0));
            }
            Statistic::Search => records.push(boosted(model, seed, 20, x)),
        }
    }
    records
}

/// Evidence from such records; on real data where only they may judge.
fn made(claim: &Claim, judgement: &Judgement, values: &[f64]) -> Vec<Evidence> {
    let mut records = records_for(judgement, values);
    if !claim.data.contains(&ClaimData::Generated) {
        for record in &mut records {
            record.metrics.push((Some(0), quality("real_data", 1.0)));
        }
    }
    evidence_for(judgement, &groups(&records))
}

#[test]
fn every_claim_has_an_id_of_its_own_and_one_judgement_or_a_reason() {
    let judgements = judgements();
    let judged = judgements.iter().map(|one| (one.claim, None));
    assert_eq!(unmatched(&claims().unwrap(), judged), [""; 0]);
}

#[test]
fn a_full_study_has_evidence_for_every_claim_that_can_be_tested() {
    let mut records = Vec::new();
    for model in crate::NAMES {
        for seed in 1..=2 {
            for offset_db in [-4, -2, 0, 2, 4] {
                let setting = Setting::off_by(offset_db);
                records.push(trained(model, setting, seed, 0.6, 1.0));
            }
            let uniform = Setting::of(Strategy::Uniform);
            records.push(trained(model, ALL, seed, 0.7, 10.0));
            records.push(trained(model, uniform, seed, 0.5, 2.0));
            records.push(boosted(model, seed, 40, 9.0));
            for share in [0.02, 0.05, 0.1, 0.2] {
                for strategy in [Strategy::Single, Strategy::Bagged] {
                    let setting = Setting::share(strategy, share);
                    records.push(trained(model, setting, seed, 0.4, 0.1));
                }
            }
        }
    }
    let found = evidence(&records);
    for claim in claims().unwrap().claim {
        let own = found.iter().filter(|one| one.claim == claim.id).count();
        let wanted = usize::from(claim.untestable.is_none());
        assert_eq!(own, wanted, "{}", claim.id);
    }
    let of =
        |id: &str| &found.iter().find(|one| one.claim == id).unwrap().estimate;
    for (id, expected) in [
        ("speed-mc-cldnn", 10.0),
        ("total-mc-resnet", 0.5),
        ("loss-ci-cnn", -10.0),
        ("mc-resnet-uniform", -10.0),
        ("mc-boosting-chosen", 2.0),
        ("ci-boosting-search", 9.0),
    ] {
        let estimate = of(id);
        assert_eq!(estimate.n, 2, "{id}");
        assert!((estimate.point - expected).abs() < 1e-9, "{id}: {estimate:?}");
    }
}

#[test]
fn every_claim_meets_every_ruling() {
    let judgements = judgements();
    let faults = drill(&claims().unwrap(), |claim| {
        let own = judgements.iter().find(|one| one.claim == claim.id)?;
        Some(Trial::over_seeds(5.0, move |values| made(claim, own, values)))
    });
    assert_eq!(faults, [""; 0]);
}

/// A study of one test SNR.
fn at(snr_db: i8, seed: usize, accuracy: f64, more: &str) -> Record {
    let case = case("mc-resnet", SINGLE, seed);
    let case = format!("{case} test_snr_db={snr_db} {more}");
    record(
        case.trim(),
        vec![quality("accuracy", accuracy), quality("training_time", 1.0)],
    )
}

#[test]
fn sides_are_compared_at_the_snrs_and_seeds_that_both_have() {
    let mut records: Vec<Record> =
        (1..=3).map(|seed| trained("mc-resnet", ALL, seed, 0.6, 8.0)).collect();
    for seed in 1..=2 {
        records.push(at(-4, seed, 0.7, ""));
        records.push(at(4, seed, 0.5, ""));
    }
    // Of one seed only.
    records.push(at(10, 1, 0.1, ""));
    // Of other data, of another network, and of a wrong answer.
    records.push(at(-4, 3, 0.1, "per_cell=9"));
    records.push(at(-4, 3, 0.1, "stacks=5"));
    let mut wrong = at(-4, 3, 0.1, "");
    wrong.verification = None;
    records.push(wrong);
    let found = evidence(&records);
    let of = |id: &str| {
        let mut own = found.iter().filter(|one| one.claim == id);
        let first = own.next().unwrap().estimate.clone();
        assert_eq!(own.count(), 0, "{id}");
        first
    };
    // A mean over two SNRs is not the paper's over all of them.
    assert!(found.iter().all(|one| one.claim != "loss-mc-resnet"));
    let low = of("mc-resnet-low-snr");
    assert_eq!(low.n, 2);
    assert!((low.point - 10.0).abs() < 1e-9, "{low:?}");
    let speed = of("speed-mc-resnet");
    assert!((speed.point - 8.0).abs() < 1e-9);
    assert!(speed.method.contains("2 SNRs from -4 to 4 dB"), "{speed:?}");
    assert!(found.iter().all(|one| one.claim != "mc-boosting-single"));
}

#[test]
fn an_interval_over_seeds_is_students() {
    let all = judgements();
    let one = all.iter().find(|one| one.claim == "loss-ci-cnn").unwrap();
    let records = records_for(one, &[1.0, 2.0, 3.0]);
    let found = evidence_for(one, &groups(&records));
    let estimate = &found[0].estimate;
    // 4.303 times a deviation of 1 over the root of 3.
    assert!((estimate.point - 2.0).abs() < 1e-9);
    assert!((estimate.high - 2.0 - 2.4843).abs() < 1e-3, "{estimate:?}");
}

#[test]
fn every_published_number_is_at_a_case_of_this_workload() {
    let lines = include_str!("../../claims/published.csv").lines().count();
    let all = published().unwrap();
    assert_eq!(all.len(), lines - 1);
    for one in all {
        let case: assay_schema::Case = one.case.parse().unwrap();
        assert!(Request::new(&case).is_ok(), "{}", one.case);
        match one.metric.as_str() {
            "accuracy" => assert!((0.0..=1.0).contains(&one.value)),
            metric => assert_eq!((metric, &*one.unit), ("training_time", "s")),
        }
    }
}
