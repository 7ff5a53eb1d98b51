//! Every claim through every ruling, and what may judge what.

use std::collections::BTreeSet;

use assay_schema::{
    Case, Claim, ClaimData, Direction, Estimate, Evidence, Metric, Moment,
    Record, Ruling,
};
use assay_statistics::rule;

use super::sketches::{along, made, on_set, prediction, record, studied};
use super::study::{JUDGED, OfStudies, STUDIES, studies};
use super::table::{JUDGEMENTS, Judgement, Statistic};
use super::{claims, evidence, evidence_for, published};
use crate::Request;

fn judgement(claim: &str) -> &'static Judgement {
    JUDGEMENTS.iter().find(|one| one.claim == claim).unwrap()
}

/// What a claim allows.
fn region(claim: &Claim) -> [f64; 2] {
    let (low, high) = (claim.value - claim.margin, claim.value + claim.margin);
    match claim.direction {
        Direction::AtLeast => [low, f64::INFINITY],
        Direction::AtMost => [f64::NEG_INFINITY, high],
        Direction::Near => [low, high],
    }
}

/// How far from a border is certainly past it, and past the noise.
fn far(claim: &Claim, border: f64) -> f64 {
    claim.noise + 0.3 + 0.4 * border.abs()
}

/// Values that the statistic may take: the claim's, well inside, well outside,
/// and no effect.
fn candidates(claim: &Claim) -> Vec<f64> {
    let [low, high] = region(claim);
    let step = far(claim, claim.value);
    let values = [
        claim.value,
        claim.value + step,
        claim.value - step,
        low - far(claim, low),
        high + far(claim, high),
        claim.null + claim.noise / 2.0,
    ];
    values.into_iter().filter(|x| x.is_finite()).collect()
}

/// Values over five seeds: some steady, some about a border.
fn candidates_over_seeds(claim: &Claim) -> Vec<Vec<f64>> {
    let mut all: Vec<Vec<f64>> =
        candidates(claim).into_iter().map(|x| vec![x; 5]).collect();
    for border in region(claim) {
        if border.is_finite() {
            all.push((-2..=2).map(|i| border + f64::from(i)).collect());
            // Off the border's own value, which may be no effect.
            let off = border + claim.noise + 0.5;
            all.push((-2..=2).map(|i| off + 2.0 * f64::from(i)).collect());
        }
    }
    all
}

#[test]
fn every_claim_has_an_id_of_its_own_and_one_judgement_or_a_reason() {
    let file = claims().unwrap();
    let ids: BTreeSet<&str> =
        file.claim.iter().map(|claim| claim.id.as_str()).collect();
    assert_eq!(ids.len(), file.claim.len());
    for claim in &file.claim {
        let own: Vec<ClaimData> = JUDGEMENTS
            .iter()
            .filter(|one| one.claim == claim.id)
            .map(|one| one.statistic.data())
            .collect();
        match &claim.untestable {
            None => assert_eq!(own, claim.data, "{}", claim.id),
            Some(reason) => {
                assert!(own.is_empty(), "{}", claim.id);
                assert!(reason.len() > 20, "{}: {reason}", claim.id);
            }
        }
    }
    for judgement in JUDGEMENTS {
        assert!(ids.contains(judgement.claim), "{}", judgement.claim);
    }
}

#[test]
fn every_claim_meets_every_ruling() {
    let file = claims().unwrap();
    for claim in &file.claim {
        let ruled =
            |evidence: &[Evidence]| rule(&file.paper, claim, evidence).ruling;
        assert_eq!(ruled(&[]), Ruling::NotTested, "{}", claim.id);
        let own = JUDGEMENTS.iter().find(|one| one.claim == claim.id);
        let Some(judgement) = own else { continue };
        let met: Vec<Ruling> = match judgement.statistic.data() {
            ClaimData::Generated | ClaimData::Real => {
                let few = vec![claim.value; claim.least_seeds as usize - 1];
                let on_few = studied(judgement, &few);
                assert_eq!(on_few.len(), 1, "{}", claim.id);
                assert_eq!(ruled(&on_few), Ruling::NotTested, "{}", claim.id);
                candidates_over_seeds(claim)
                    .iter()
                    .map(|values| ruled(&studied(judgement, values)))
                    .collect()
            }
            ClaimData::Predicted | ClaimData::Published => candidates(claim)
                .into_iter()
                .map(|x| ruled(&made(judgement, x)))
                .collect(),
        };
        for wanted in
            [Ruling::Supported, Ruling::Contradicted, Ruling::InsideNoise]
        {
            assert!(met.contains(&wanted), "{}: no {wanted:?}", claim.id);
        }
    }
}

#[test]
fn every_number_of_a_claim_is_published_with_its_source_and_trust() {
    let points = published().unwrap();
    let text = include_str!("../../claims/published.csv");
    assert_eq!(points.len(), text.lines().count() - 1);
    let mut met = BTreeSet::new();
    for point in &points {
        assert!(!point.source.is_empty(), "{point:?}");
        assert!(!point.trust.is_empty(), "{point:?}");
        let case: Case = point.case.parse().unwrap();
        assert_eq!(case.workload, "mstar", "{point:?}");
        let key = (&point.case, &point.metric, &point.source);
        assert!(met.insert(key), "twice: {point:?}");
    }
    for claim in claims().unwrap().claim {
        // In words: of what has no number only the sign is judged.
        if claim.source.ends_with(", in words") {
            let [low, high] = region(&claim);
            assert!(low.max(-high).abs() < 1e-12, "{}", claim.id);
            continue;
        }
        let is_published = points.iter().any(|point| {
            point.source == claim.source
                && point.unit == claim.unit
                && (point.value - claim.value).abs() < 1e-9
        });
        assert!(is_published, "{}", claim.id);
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
