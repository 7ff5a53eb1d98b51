//! What is wrong with a file of claims is found, and nothing else is.

use assay_schema::{
    Claim, ClaimData, ClaimFile, Direction, Estimate, Evidence, Provenance,
    PublishedPoint,
};

use super::*;
use crate::{Term, mean_over_seeds, recomputed};

fn claim(id: &str, direction: Direction) -> Claim {
    Claim {
        id: id.to_owned(),
        statement: "twice as fast".to_owned(),
        source: "table 1".to_owned(),
        value: 2.0,
        unit: "1".to_owned(),
        statistic: "ratio".to_owned(),
        direction,
        margin: 0.25,
        noise: 0.1,
        null: 1.0,
        least_seeds: 3,
        data: vec![ClaimData::Generated],
        untestable: None,
    }
}

fn file(claim: Vec<Claim>) -> ClaimFile {
    ClaimFile { paper: "paper".to_owned(), claim }
}

fn evidence(claim: &Claim, estimate: Estimate) -> Evidence {
    Evidence {
        claim: claim.id.clone(),
        estimate,
        data: ClaimData::Generated,
        provenance: Provenance::Measured,
    }
}

/// The mean over seeds, as a workload would compute it.
fn mean(claim: &Claim, values: &[f64]) -> Vec<Evidence> {
    let found = mean_over_seeds(values, 0.95).into_iter();
    found.map(|estimate| evidence(claim, estimate)).collect()
}

#[test]
fn a_statistic_that_follows_its_runs_meets_every_ruling() {
    let directions = [Direction::AtLeast, Direction::AtMost, Direction::Near];
    let file = file(directions.map(|one| claim("speed", one)).to_vec());
    let over_seeds = drill(&file, |claim| {
        Some(Trial::over_seeds(0.3, move |values| mean(claim, values)))
    });
    assert_eq!(over_seeds, [""; 0]);
    let at_values = drill(&file, |claim| {
        Some(Trial::at_values(move |value, spread, count| {
            let ends = [1.0 - spread, 1.0 + spread];
            let values: Vec<f64> =
                (0..count).map(|i| value * ends[i % 2]).collect();
            mean(claim, &values)
        }))
    });
    assert_eq!(at_values, [""; 0]);
}

#[test]
fn a_claim_that_no_data_can_contradict_is_found() {
    let file = file(vec![claim("speed", Direction::AtLeast)]);
    // Whatever the runs, the statistic is 2.
    let found = drill(&file, |claim| {
        Some(Trial::over_seeds(0.3, move |values| {
            mean(claim, &vec![2.0; values.len()])
        }))
    });
    let never = ["contradicted", "inside-noise"];
    assert_eq!(found, never.map(|one| format!("speed is never {one}")));
    // Evidence as it stands.
    let found =
        drill(&file, |claim| Some(Trial::Each(mean(claim, &[9.0, 9.1, 9.2]))));
    assert_eq!(found, never.map(|one| format!("speed is never {one}")));
}

#[test]
fn a_claim_that_too_few_seeds_judge_or_that_nothing_judges_is_found() {
    let file = file(vec![claim("speed", Direction::Near)]);
    let boasting = drill(&file, |claim| {
        Some(Trial::over_seeds(0.3, move |values| {
            let mut found = mean(claim, values);
            found.iter_mut().for_each(|one| one.estimate.n = 9);
            found
        }))
    });
    assert_eq!(boasting, ["speed is ruled on by too few seeds"]);
    let silent = drill(&file, |claim| {
        Some(Trial::over_seeds(0.3, move |values| match values {
            [_, _] => Vec::new(),
            values => mean(claim, values),
        }))
    });
    assert_eq!(silent, ["speed has 0 pieces of evidence on few seeds, not 1"]);
    let nothing = drill(&file, |_| None);
    assert_eq!(nothing, ["speed has nothing that judges it"]);
}

#[test]
fn claims_and_judgements_that_do_not_match_are_found() {
    let mut own = file(vec![
        claim("speed", Direction::Near),
        claim("size", Direction::Near),
    ]);
    let data = Some(ClaimData::Generated);
    let judged = [("speed", data), ("size", None)];
    assert_eq!(unmatched(&own, judged), [""; 0]);
    let found = unmatched(&own, [("speed", Some(ClaimData::Real))]);
    assert_eq!(found.len(), 2, "{found:?}");
    let found = unmatched(&own, [judged[0], judged[1], ("sped", data)]);
    assert_eq!(found, ["sped is judged, but no claim"]);
    let found = unmatched(&own, [judged[0], judged[1], judged[1]]);
    assert_eq!(found.len(), 1, "{found:?}");
    own.claim[1].untestable = Some("needs eight GPUs at once".to_owned());
    assert_eq!(unmatched(&own, [judged[0]]), [""; 0]);
    let found = unmatched(&own, judged);
    assert_eq!(found, ["size is judged, though untestable"]);
    own.claim[1].untestable = Some("cannot".to_owned());
    let found = unmatched(&own, [judged[0]]);
    assert_eq!(found, ["size is untestable for `cannot` alone"]);
    own.claim[1] = own.claim[0].clone();
    let found = unmatched(&own, [judged[0]]);
    assert_eq!(found, ["speed stands twice"]);
}

fn point(case: &str, value: f64) -> PublishedPoint {
    PublishedPoint {
        case: case.to_owned(),
        profile: "a machine".to_owned(),
        metric: "time".to_owned(),
        value,
        unit: "1".to_owned(),
        source: "table 1".to_owned(),
        trust: "table".to_owned(),
    }
}

fn key(point: &PublishedPoint) -> [&str; 3] {
    [&point.case, &point.metric, &point.source]
}

#[test]
fn doubtful_numbers_are_found() {
    let mut points = vec![point("toy/a", 1.0), point("toy/b batch=1", 2.0)];
    assert_eq!(doubtful(&points, "toy", key), [""; 0]);
    assert_eq!(doubtful(&points, "play", key).len(), 2);
    points.push(point("toy/a", 3.0));
    assert_eq!(doubtful(&points, "toy", key).len(), 1);
    points[0].case = "toy/a long".to_owned();
    points[1].trust.clear();
    assert_eq!(doubtful(&points, "toy", key).len(), 2);
    let claim = claim("speed", Direction::Near);
    assert!(is_printed(&claim, &[point("toy/c", 2.0)]));
    assert!(!is_printed(&claim, &[point("toy/c", 2.1)]));
}

#[test]
fn published_numbers_come_out_as_they_are_asked_to() {
    let term = |case| Term { case, metric: "time", factor: 2.0 };
    let (of, over) = ([term("toy/a"), term("toy/b")], [term("toy/c")]);
    let printed =
        vec![point("toy/a", 1.5), point("toy/b", 2.5), point("toy/c", 4.0)];
    let now = |points: &[PublishedPoint]| {
        recomputed(points, &of, &over).unwrap().point
    };
    assert!((now(&printed) - 1.0).abs() < 1e-12);
    let own = points_as(printed.clone(), &of, &over, 3.0, 0.0).unwrap();
    assert!((now(&own) - 3.0).abs() < 1e-12);
    assert_eq!(own[2], printed[2]);
    let whole = points_as(printed.clone(), &of, &over, 3.0, 0.1).unwrap();
    assert_eq!([whole[0].value, whole[1].value], [5.0, 8.0]);
    assert_eq!(points_as(printed, &[term("toy/d")], &[], 3.0, 0.0), None);
}

#[test]
fn what_is_made_up_may_judge() {
    let case = "toy/a/study batch=2".parse().unwrap();
    let own = prediction(&case, 2.0, 1.0);
    assert_eq!(own.full_case(), Some(case.clone()));
    let band = [own.latency_s.low, own.latency_s.high];
    assert_eq!(band, [1.0, 4.0]);
    let mut own = record(case, Vec::new());
    own.samples = samples(vec![1.0, 2.0]);
    assert!(own.is_sound());
    assert_eq!(own.steady_samples("step"), [1.0, 2.0]);
}
