//! The papers' claims: evidence from the workloads, rulings from statistics.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use assay_schema::{
    Case, ClaimFile, ClaimFinding, Evidence, Prediction, PublishedPoint, Record,
};
use assay_slm::{FIGURE_7_SOURCE, PartTimes, SURVEY_PROFILE};
use assay_statistics::rule;

use crate::modules;

/// Rules on every claim of the papers whose workloads a run holds.
pub(crate) fn judge(
    records: &[Record],
    predictions: &[Prediction],
) -> Result<Vec<ClaimFinding>> {
    let holds = |workload| holds(workload, records, predictions);
    let mut found = Vec::new();
    if holds("slm") {
        let parts = survey_parts(predictions);
        let evidence = assay_slm::evidence(records, predictions, &parts);
        found.extend(ruled(&assay_slm::claims()?, &evidence));
    }
    if holds("interference") {
        let evidence = assay_interference::evidence(records);
        found.extend(ruled(&assay_interference::claims()?, &evidence));
    }
    if holds("snr") {
        let evidence = assay_snr::evidence(records);
        found.extend(ruled(&assay_snr::claims()?, &evidence));
    }
    if holds("fastfold") {
        let evidence = assay_fastfold::evidence(records, predictions);
        found.extend(ruled(&assay_fastfold::claims()?, &evidence));
    }
    if holds("instaflow") {
        let evidence = assay_instaflow::evidence(records, predictions);
        found.extend(ruled(&assay_instaflow::claims()?, &evidence));
    }
    if holds("phonelm") {
        let evidence = assay_phonelm::evidence(records, predictions);
        found.extend(ruled(&assay_phonelm::claims()?, &evidence));
    }
    if holds("mstar") {
        let evidence = assay_mstar::evidence(records, predictions);
        found.extend(ruled(&assay_mstar::claims()?, &evidence));
    }
    Ok(found)
}

/// The survey's models by module on its board, at the setting that a report
/// takes apart; none where a run predicted too few models for a breakdown.
fn survey_parts(predictions: &[Prediction]) -> Vec<PartTimes> {
    let on_board: Vec<Prediction> = predictions
        .iter()
        .filter(|one| one.case.starts_with("slm/"))
        .filter(|one| one.profile == SURVEY_PROFILE)
        .cloned()
        .collect();
    modules::times(&[SURVEY_PROFILE.to_owned()], &on_board)
        .into_iter()
        .map(|times| PartTimes {
            case: times.case,
            profile: times.profile,
            unit: times.unit,
            runtime: times.runtime,
            seconds: times.seconds,
        })
        .collect()
}

/// Whether a run has something of a workload.
fn holds(
    workload: &str,
    records: &[Record],
    predictions: &[Prediction],
) -> bool {
    let prefix = format!("{workload}/");
    records.iter().any(|record| record.case.workload == workload)
        || predictions.iter().any(|p| p.case.starts_with(&prefix))
}

/// A ruling for each claim of a paper.
fn ruled(file: &ClaimFile, evidence: &[Evidence]) -> Vec<ClaimFinding> {
    file.claim
        .iter()
        .map(|claim| {
            let own: Vec<Evidence> = evidence
                .iter()
                .filter(|evidence| evidence.claim == claim.id)
                .cloned()
                .collect();
            rule(&file.paper, claim, &own)
        })
        .collect()
}

/// Published measurements that a report shows beside its own: those of the
/// workloads that the run holds.
pub(crate) fn published(
    records: &[Record],
    predictions: &[Prediction],
) -> Result<Vec<PublishedPoint>> {
    let mut points = survey(records, predictions)?;
    points.extend(assay_interference::published()?);
    points.extend(assay_snr::published()?);
    points.extend(assay_fastfold::published()?);
    points.extend(assay_instaflow::published()?);
    points.extend(assay_phonelm::published()?);
    points.extend(assay_mstar::published()?);
    points.retain(|point| {
        let workload = point.case.split('/').next().unwrap_or_default();
        holds(workload, records, predictions)
    });
    Ok(points)
}

/// The survey's numbers of what the run holds: those of its cases, those of
/// its models as a whole, and Figure 7, which is about all of them.
fn survey(
    records: &[Record],
    predictions: &[Prediction],
) -> Result<Vec<PublishedPoint>> {
    let measured = records.iter().map(|record| record.case.clone());
    let predicted = predictions.iter().filter_map(Prediction::full_case);
    let held: BTreeSet<Case> = measured
        .chain(predicted)
        .filter(|case| case.workload == "slm")
        .collect();
    let mut by_model: BTreeMap<&str, Vec<&Case>> = BTreeMap::new();
    for case in &held {
        by_model.entry(&case.model).or_default().push(case);
    }
    let mut points = assay_slm::published()?;
    points.retain(|point| {
        if point.source == FIGURE_7_SOURCE {
            return true;
        }
        let Ok(of) = point.case.parse::<Case>() else { return false };
        let Some(cases) = by_model.get(of.model.as_str()) else {
            return false;
        };
        of.phase.is_none() || cases.iter().any(|case| agrees(&of, case))
    });
    Ok(points)
}

/// Whether a case is what a number was published of: it has every axis that
/// was named.
fn agrees(published: &Case, case: &Case) -> bool {
    published.phase == case.phase
        && published
            .axes
            .iter()
            .all(|(axis, value)| case.axis(axis) == Some(value.as_str()))
}
