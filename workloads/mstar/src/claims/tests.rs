//! Every claim through every ruling, and what may judge what.

use assay_schema::{
    Case, Claim, ClaimData, Estimate, Metric, Moment, Record, Ruling,
};
use assay_statistics::testing::{
    Trial, doubtful, drill, is_printed, unmatched,
};
use assay_statistics::{allowed_region, rule};

use super::sketches::{along, made, on_set, prediction, record, studied};
use super::study::{JUDGED, OfStudies, STUDIES, studies};
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
                // Percentage points: without a number of problems nothing
                // but the seeds' spread widens an interval.
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
    let doubts = doubtful(&points, "mstar", |point| {
        [&point.case, &point.metric, &point.source]
    });
    assert_eq!(doubts, [""; 0]);
    for claim in claims().unwrap().claim {
        // In words: of what has no number only the sign is judged.
        if claim.source.ends_with(", in words") {
            let [low, high] = allowed_region(&claim);
            assert!(low.max(-high).abs() < 1e-12, "{}", claim.id);
            continue;
        }
        assert!(is_printed(&claim, &points), "{}", claim.id);
    }
}

#[test]
fn a_difference_that_is_derived_follows_from_its_numbers() {
    let points = published().unwrap();
    let accuracy = |model: &str, arm: &str, set: &str| {
        let case = match arm {
            "" => format!("mstar/{model}/study set={set}"),
            arm => format!("mstar/{model}/study arm={arm} set={set}"),
        };
        let own = points
            .iter()
            .find(|point| point.case == case && point.metric == "accuracy");
        own.unwrap_or_else(|| panic!("{case}")).value
    };
    let mut checked = 0;
    for point in &points {
        let Some(what) = point.case.strip_prefix("mstar/compared/") else {
            continue;
        };
        let Some((what, set)) = what.split_once(" set=") else { continue };
        let (of, less) = what.split_once("-less-").unwrap();
        let paper = "minicpm-v-2.5";
        let expected = match less.split_once("-of-") {
            Some((less, model)) => {
                accuracy(model, of, set) - accuracy(model, less, set)
            }
            None if less.starts_with("gpt") || less.starts_with("gemini") => {
                accuracy(paper, of, set) - accuracy(less, "", set)
            }
            None => accuracy(paper, of, set) - accuracy(paper, less, set),
        };
        let off = (point.value - expected).abs();
        assert!(off < 1e-6, "{}: {} for {expected}", point.case, point.value);
        checked += 1;
    }
    assert!(checked > 50, "{checked}");
}

#[test]
fn what_is_predicted_is_a_case_of_this_workload() {
    for judgement in JUDGEMENTS {
        if let Statistic::Parameters { path, .. } = &judgement.statistic {
            let case: Case = path.parse().unwrap();
            assert!(Request::new(&case, None).is_ok(), "{case}");
        }
    }
}

#[test]
fn without_a_run_only_published_numbers_speak() {
    let file = claims().unwrap();
    let found = evidence(&[], &[]);
    assert_eq!(found.len(), 12);
    assert!(found.iter().all(|one| one.data == ClaimData::Published));
    for one in &found {
        let claim = file.claim.iter().find(|claim| claim.id == one.claim);
        let finding = rule(&file.paper, claim.unwrap(), &found);
        let why = &finding.reason;
        assert_eq!(finding.ruling, Ruling::Supported, "{}: {why}", one.claim);
    }
}

#[test]
fn parameters_are_those_of_the_very_case() {
    let own = judgement("parameters-internvl2-language");
    let of = |case: &str| {
        let predictions = [prediction(case, 1_889_146_880)];
        let found = evidence_for(own, &[], &predictions, &[]);
        found.first().map(|one| one.estimate.point)
    };
    let right = of("mstar/internvl2-2b-language/prefill");
    assert_eq!(right, Some(1_889_146_880.0));
    assert_eq!(of("mstar/internvl2-2b/prefill"), None);
}

const SET: &str = "in-domain";
const ACCURACY: &str = "quality/test_accuracy";

/// Accuracies of two arms on 100 problems, that of the second being 30 %.
fn two_arms(case: &str, [of, less]: [&str; 2], gain: f64) -> Record {
    let metrics = vec![
        on_set(ACCURACY, of, SET, 0.3 + gain),
        on_set(JUDGED, of, SET, 100.0),
        on_set(ACCURACY, less, SET, 0.3),
        on_set(JUDGED, less, SET, 100.0),
    ];
    record(case, metrics)
}

fn arms(case: &str, gain: f64) -> Record {
    two_arms(case, ["m-star", "warm-up"], gain)
}

/// The estimates of the claim about them.
fn gains(records: &[Record]) -> Vec<Estimate> {
    let found =
        evidence_for(judgement("m-star-in"), &studies(records), &[], &[]);
    found.into_iter().map(|one| one.estimate).collect()
}

#[test]
fn seeds_count_once_and_only_where_nothing_else_differs() {
    let [small, tiny] = STUDIES;
    let study = |more: &str| format!("{small} {more}");
    let mut records = vec![
        arms(&study("arms=headline seed=1"), 0.4),
        arms(&study("arms=all seed=1"), 0.1),
        arms(&study("arms=headline seed=2"), 0.3),
    ];
    // The later of two runs of a seed counts.
    records[1].started = Moment(5);
    // Another model, other training, a wrong answer.
    records.push(arms(&format!("{tiny} seed=3"), 0.4));
    records.push(arms(&study("seed=3 updates=7"), 0.4));
    records.push(arms(&study("seed=3"), 0.4));
    records[5].verification = None;
    let found = gains(&records);
    assert_eq!(found.len(), 3);
    let pooled = found.iter().find(|one| one.n == 2).unwrap();
    assert!((pooled.point - 20.0).abs() < 1e-9, "{pooled:?}");
    let shorter = |one: &&Estimate| one.method.contains("updates=7");
    assert_eq!(found.iter().filter(shorter).count(), 1);
}

#[test]
fn an_interval_is_no_narrower_than_the_problems_allow() {
    let [small, _] = STUDIES;
    let seeds: Vec<Record> = (1..=4)
        .map(|seed| arms(&format!("{small} seed={seed}"), 0.2))
        .collect();
    let is = |found: &Estimate, half: f64| {
        assert!((found.point - 20.0).abs() < 1e-9, "{found:?}");
        assert!((found.low - (20.0 - half)).abs() < 1e-9, "{found:?}");
        assert!((found.high - (20.0 + half)).abs() < 1e-9, "{found:?}");
        assert!(found.method.contains("problems"), "{found:?}");
    };
    // The seeds agree. A fifth of 100 problems is answered by one arm alone
    // at least, four times.
    let least: f64 = (0.2 - 0.04) / 100.0 / 4.0;
    is(&gains(&seeds).remove(0), 100.0 * 1.96 * least.sqrt());
    // One seed: shares of 50 and 30 % of 100 problems, as if of others.
    let apart: f64 = (0.25 + 0.21) / 100.0;
    is(&gains(&seeds[..1]).remove(0), 100.0 * 1.96 * apart.sqrt());
}

#[test]
fn a_claim_of_no_effect_is_supported_by_seeds_that_show_none() {
    let [small, _] = STUDIES;
    let file = claims().unwrap();
    let claim = file.claim.iter().find(|one| one.id == "inheritance-in");
    // As many answers of 100 more or less: no seed's are the same.
    let seeds: Vec<Record> = [0.0, 0.01, -0.01]
        .iter()
        .enumerate()
        .map(|(seed, gain)| {
            let case = format!("{small} seed={seed}");
            two_arms(&case, ["interval-1", "rft"], *gain)
        })
        .collect();
    let of = |margin: f64| {
        let claim = Claim { margin, ..claim.unwrap().clone() };
        let own = judgement("inheritance-in");
        let found = evidence_for(own, &studies(&seeds), &[], &[]);
        rule(&file.paper, &claim, &found).ruling
    };
    // Student's half width of three seeds at -1, 0 and 1 is 2.48 points.
    assert_eq!(of(3.0), Ruling::Supported);
    assert_eq!(of(2.0), Ruling::InsideNoise);
}

#[test]
fn one_seed_of_an_unknown_number_of_problems_is_no_evidence() {
    let own = judgement("greedy-rises");
    assert!(studied(own, &[3.0]).is_empty());
    assert_eq!(studied(own, &[3.0, 4.0]).len(), 1);
}

#[test]
fn a_course_is_read_by_iteration_and_as_it_was_told_last() {
    let own = judgement("reward-pass-saturates");
    let Statistic::Measured(OfStudies::Saturation { metric, arm }) =
        own.statistic
    else {
        unreachable!()
    };
    let [small, _] = STUDIES;
    let of = |metrics: Vec<Metric>| {
        let records = [1, 2].map(|seed| {
            record(&format!("{small} seed={seed}"), metrics.clone())
        });
        let found = evidence_for(own, &studies(&records), &[], &[]);
        found.first().map(|one| one.estimate.point)
    };
    // 0.2 to 0.6 in the first half, to 0.7 in the second; told from the end,
    // and the last iteration twice.
    let mut told = along(metric, arm, &[0.2, 0.5, 0.6, 0.65, 0.7]);
    told.reverse();
    told.insert(0, along(metric, arm, &[0.0; 5]).remove(4));
    let found = of(told).unwrap();
    assert!((found - -30.0).abs() < 1e-9, "{found}");
    // Two have no halves, and another arm's do not count.
    assert_eq!(of(along(metric, arm, &[0.2, 0.7])), None);
    assert_eq!(of(along(metric, "rft", &[0.2, 0.5, 0.6])), None);
}
