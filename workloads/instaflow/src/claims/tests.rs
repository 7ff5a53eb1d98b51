//! Every claim through every ruling, and what may judge what.

use assay_schema::{
    Case, ClaimData, Estimate, Moment, Prediction, Record, Ruling, Runtime,
};
use assay_statistics::rule;
use assay_statistics::testing::{
    Trial, doubtful, drill, is_printed, unmatched,
};

use super::predicted::{A100, Like, OfPredictions, ordered, time_of};
use super::sketches::{
    case, guided, made, predictions_for, quality, record, studied,
};
use super::study::{FRECHET, STUDY, Setting, studies};
use super::table::{JUDGEMENTS, Judgement, Statistic};
use super::{claims, evidence, evidence_for, published};
use crate::Request;

fn judgement(claim: &str) -> &'static Judgement {
    JUDGEMENTS.iter().find(|one| one.claim == claim).unwrap()
}

#[test]
fn every_claim_has_an_id_of_its_own_and_one_judgement_or_a_reason() {
    let judged =
        JUDGEMENTS.iter().map(|one| (one.claim, Some(one.statistic.data())));
    assert_eq!(unmatched(&claims().unwrap(), judged), [""; 0]);
}

#[test]
fn every_claim_meets_every_ruling() {
    let faults = drill(&claims().unwrap(), |claim| {
        let own = JUDGEMENTS.iter().find(|one| one.claim == claim.id)?;
        Some(match own.statistic.data() {
            ClaimData::Generated | ClaimData::Real => {
                Trial::over_seeds(0.3, move |values| studied(own, values))
            }
            ClaimData::Predicted | ClaimData::Published => {
                Trial::at_values(move |x, spread, _| made(own, x, spread))
            }
        })
    });
    assert_eq!(faults, [""; 0]);
}

#[test]
fn every_number_of_a_claim_is_published_with_its_source_and_trust() {
    let points = published().unwrap();
    let text = include_str!("../../claims/published.csv");
    assert_eq!(points.len(), text.lines().count() - 1);
    let doubts = doubtful(&points, "instaflow", |point| {
        [&point.case, &point.metric, &point.source]
    });
    assert_eq!(doubts, [""; 0]);
    for claim in claims().unwrap().claim {
        let own = JUDGEMENTS.iter().find(|one| one.claim == claim.id);
        let latency = own.and_then(|one| {
            let Statistic::Predicted(OfPredictions::Latency { case }) =
                one.statistic
            else {
                return None;
            };
            time_of(&points, case)
        });
        let is_published = match latency {
            // The claim is 1: predicted over published.
            Some(point) => point.source == claim.source,
            None => is_printed(&claim, &points),
        };
        assert!(is_published, "{}", claim.id);
    }
}

#[test]
fn what_is_predicted_is_a_case_of_this_workload() {
    let points = published().unwrap();
    let check =
        |case: &Case| assert!(Request::new(case, None).is_ok(), "{case}");
    let like = |one: &Like| check(&case(one));
    for judgement in JUDGEMENTS {
        let Statistic::Predicted(statistic) = &judgement.statistic else {
            continue;
        };
        match statistic {
            OfPredictions::Latency { case } => {
                let point = time_of(&points, case).unwrap();
                assert_eq!((&*point.profile, &*point.unit), (A100, "s"));
                check(&case.parse().unwrap());
            }
            OfPredictions::Ratio { of, over } => {
                like(of);
                like(over);
            }
            OfPredictions::Rate { of, .. }
            | OfPredictions::Parameters { of, .. } => like(of),
            OfPredictions::Sum { of } => {
                of.iter().for_each(|term| like(&term.of));
            }
            OfPredictions::Saving { of, against } => {
                like(of);
                against.iter().for_each(like);
            }
        }
    }
}

#[test]
fn without_a_run_only_published_numbers_speak() {
    let file = claims().unwrap();
    let found = evidence(&[], &[]);
    assert!(found.iter().all(|one| one.data == ClaimData::Published));
    let expected = [
        ("split-sum", 0.09),
        ("step-by-subtraction", 0.04),
        ("gpu-days-sum", 199.2),
        ("gpu-days-reflow", 75.2),
        ("gpu-days-distillation", 108.0),
        ("gpu-days-1.7b", 39.6),
        ("throughput-recomputed", 100_000.0),
        ("throughput-lpips-recomputed", 85_970.149),
        ("data-generation-recomputed", 200_000.0),
        ("cost-stylegan-t", 8.99598),
        ("cost-gigagan", 24.01104),
        ("cost-sd14", 31.37550),
        ("best-at-a-tenth-of-a-second", 1.06107),
    ];
    assert_eq!(found.len(), expected.len());
    for (id, value) in expected {
        let own = found.iter().find(|one| one.claim == id).unwrap();
        let relative = own.estimate.point / value - 1.0;
        assert!(relative.abs() < 1e-5, "{id}: {:?}", own.estimate);
        let claim = file.claim.iter().find(|claim| claim.id == id).unwrap();
        let ruling = rule(&file.paper, claim, &found).ruling;
        assert_eq!(ruling, Ruling::Supported, "{id}");
    }
}

#[test]
fn a_ratio_that_is_derived_follows_from_its_numbers() {
    let points = published().unwrap();
    let value = |case: &str, metric: &str| {
        let own = points.iter().find(|point| {
            point.case == format!("instaflow/{case}") && point.metric == metric
        });
        own.unwrap_or_else(|| panic!("{case} {metric}")).value
    };
    let fid = |case: &str| value(case, "fid_5k");
    let sd14 = |method: &str, steps: u8| {
        fid(&format!("sd14/study method={method} steps={steps}"))
    };
    let cifar = |method: &str| {
        value(&format!("cifar-10/study method={method} steps=1"), "fid")
    };
    let instaflow = "instaflow-0.9b/sample batch=1 guidance=1 picture=512 \
                     precision=f16 sampler=euler steps=1";
    let sd15 = "sd15/sample batch=1 guidance=7.5 picture=512 precision=f16 \
                sampler=dpm-solver++ steps=25";
    let two = |steps: u8| {
        fid(&format!("2-rectified-flow/sample sampler=euler steps={steps}"))
    };
    for (name, expected) in [
        (
            "direct-over-2-flow-distilled",
            sd14("direct", 1) / sd14("2-flow-distilled", 1),
        ),
        (
            "progressive-over-2-flow-distilled",
            fid("progressive-distillation/sample steps=1") / fid(instaflow),
        ),
        ("2-flow-over-2-flow-distilled", two(1) / fid(instaflow)),
        ("1-flow-over-2-flow", cifar("1-flow") / cifar("2-flow")),
        ("1-flow-over-direct", cifar("1-flow") / cifar("direct")),
        ("2-flow-over-3-flow", cifar("2-flow") / cifar("3-flow")),
        (
            "2-flow-distilled-over-3-flow-distilled",
            sd14("2-flow-distilled", 1) / sd14("3-flow-distilled", 1),
        ),
        (
            "3-flow-distilled-over-2-flow-distilled",
            cifar("3-flow-distilled") / cifar("2-flow-distilled"),
        ),
        (
            "2-flow-distilled-over-stacked",
            sd14("2-flow-distilled", 1) / sd14("stacked", 1),
        ),
        ("2-flow-over-1-flow-25-steps", two(25) / fid(sd15)),
        ("2-flow-distilled-over-1-flow-25-steps", fid(instaflow) / fid(sd15)),
        (
            "time-of-25-steps-over-one",
            value(sd15, "time") / value(instaflow, "time"),
        ),
    ] {
        let printed = value(&format!("compared/{name}"), "ratio");
        let off = (printed / expected - 1.0).abs();
        assert!(off < 1e-3, "{name}: {printed} for {expected}");
    }
}

const FIRST: Setting = Setting { method: "1-flow", steps: Some("2") };
const SECOND: Setting = Setting { method: "2-flow", steps: Some("2") };

/// Distances of both flows at two steps, the second flow's being 1.
fn flows(case: &str, ratio: f64) -> Record {
    let metrics =
        vec![quality(FRECHET, FIRST, ratio), quality(FRECHET, SECOND, 1.0)];
    record(case, metrics)
}

/// The estimates of the claim about them.
fn few_steps(records: &[Record]) -> Vec<Estimate> {
    let found =
        evidence_for(judgement("few-steps-2"), &studies(records), &[], &[]);
    found.into_iter().map(|one| one.estimate).collect()
}

#[test]
fn seeds_count_once_and_only_where_nothing_else_differs() {
    let study = |more: &str| format!("{STUDY} {more}");
    let mut records = vec![
        flows(&study("methods=headline seed=1"), 9.0),
        flows(&study("methods=all seed=1"), 2.0),
        flows(&study("methods=headline seed=2"), 8.0),
    ];
    // The later of two runs of a seed counts.
    records[1].started = Moment(5);
    // Another pipeline, other training, a wrong answer.
    records.push(flows("instaflow/tiny/study seed=3", 9.0));
    records.push(flows(&study("seed=3 train_steps=7"), 9.0));
    records.push(flows(&study("seed=3"), 9.0));
    records[5].verification = None;
    let found = few_steps(&records);
    assert_eq!(found.len(), 2);
    let pooled = found.iter().find(|one| one.n == 2).unwrap();
    assert!((pooled.point - 4.0).abs() < 1e-9, "{pooled:?}");
    let alone = found.iter().find(|one| one.n == 1).unwrap();
    assert!(alone.method.contains("train_steps=7"), "{alone:?}");
    // What was taken at a guidance of its own is not the method's.
    let other = guided(FIRST, &[(3.0, 100.0)]);
    for record in &mut records {
        record.metrics.extend(other.iter().cloned().map(|one| (None, one)));
    }
    assert_eq!(few_steps(&records), found);
}

#[test]
fn an_interval_is_no_narrower_than_the_pictures_allow() {
    let seeds: Vec<Record> = (1..=4)
        .map(|seed| {
            let mut record = flows(&format!("{STUDY} seed={seed}"), 2.0);
            for (of, value) in [(FIRST, 2.0), (SECOND, 1.0)] {
                let ends = [
                    ("quality/frechet_low", value / 1.1),
                    ("quality/frechet_high", value * 1.1),
                ];
                for (name, end) in ends {
                    let metric = quality(name, of, end);
                    record.metrics.push((Some(0), metric));
                }
            }
            record
        })
        .collect();
    let found = few_steps(&seeds).remove(0);
    // The seeds agree. Of eight intervals of 10 %: sqrt(8) / 4 of one.
    let half = 1.1_f64.ln() * 8.0_f64.sqrt() / 4.0;
    assert!((found.point - 2.0).abs() < 1e-9, "{found:?}");
    assert!((found.low - 2.0 * (-half).exp()).abs() < 1e-9, "{found:?}");
    assert!((found.high - 2.0 * half.exp()).abs() < 1e-9, "{found:?}");
    // Without them Student's interval stands alone.
    let ratios = [1.0, 4.0];
    let plain: Vec<Record> = ratios
        .iter()
        .enumerate()
        .map(|(seed, &x)| flows(&format!("{STUDY} seed={seed}"), x))
        .collect();
    let wide = few_steps(&plain).remove(0);
    // 12.706 times a deviation of ln 4 / sqrt 2 over the root of 2.
    let half = 12.706 * 4.0_f64.ln() / 2.0;
    let relative = (wide.high / 2.0).ln() / half - 1.0;
    assert!(relative.abs() < 1e-3, "{wide:?}");
}

#[test]
fn the_best_guidance_lies_between_the_scales_beside_it() {
    let of = Setting { method: "2-flow", steps: Some("25") };
    let best = |scales: &[(f64, f64)]| {
        let records = [record(&format!("{STUDY} seed=1"), guided(of, scales))];
        let own = judgement("guidance");
        let found = evidence_for(own, &studies(&records), &[], &[]);
        found.first().map(|one| {
            let estimate = &one.estimate;
            [estimate.low, estimate.point, estimate.high]
        })
    };
    let scales = [(3.0, 4.0), (1.0, 3.0), (1.5, 2.0), (2.0, 2.5)];
    assert_eq!(best(&scales), Some([1.0, 1.5, 2.0]));
    assert_eq!(
        best(&[(3.0, 1.0), (1.0, 3.0), (2.0, 2.0)]),
        Some([2.0, 3.0, 3.0])
    );
    assert_eq!(best(&scales[..2]), None);
}

#[test]
fn predictions_are_asked_in_order_and_for_the_very_case() {
    let own = judgement("time-sd15-25");
    let points = published().unwrap();
    let of = |predictions: &[Prediction]| {
        let found = evidence_for(own, &[], &ordered(predictions), &points);
        found.first().map(|one| one.estimate.point)
    };
    let Statistic::Predicted(statistic) = &own.statistic else {
        unreachable!()
    };
    let mut all = predictions_for(statistic, 1.2, 0.0);
    // Of several runtimes the eager one, as PyTorch's.
    let graph = Prediction {
        runtime: Runtime::Graph,
        latency_s: all[0].latency_s.scaled(0.5),
        ..all[0].clone()
    };
    all.insert(0, graph);
    assert!((of(&all).unwrap() - 1.2).abs() < 1e-9);
    // An axis that the source does not name plays no part; one that it names
    // does, and so does the card.
    for prediction in &mut all {
        prediction.axes.insert("seed".to_owned(), "1".to_owned());
    }
    assert!(of(&all).is_some());
    for prediction in &mut all {
        prediction.axes.insert("batch".to_owned(), "16".to_owned());
    }
    assert_eq!(of(&all), None);
    let mut elsewhere = predictions_for(statistic, 1.2, 0.0);
    elsewhere[0].profile = "nvidia-h100-sxm5-80gb".to_owned();
    assert_eq!(of(&elsewhere), None);
}

#[test]
fn rivals_have_their_place_beside_time_and_distance() {
    let points = published().unwrap();
    let has = |case: &str, metric: &str| {
        points.iter().any(|point| point.case == case && point.metric == metric)
    };
    for (name, metric) in [
        ("stylegan-t-1b", "fid_30k"),
        ("gigagan-1b", "fid_30k"),
        ("progressive-distillation", "fid_5k"),
        ("ufogen", "fid_5k"),
        ("add-m", "fid_5k"),
        ("dmd2", "fid_30k"),
    ] {
        let case = format!("instaflow/{name}/sample steps=1");
        assert!(has(&case, "time") && has(&case, metric), "{name}");
    }
}
