//! The papers' claims: evidence from the workloads, rulings from statistics.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use assay_schema::{
    Case, ClaimFile, ClaimFinding, Evidence, Prediction, PublishedPoint, Record,
};
use assay_statistics::rule;

/// Rules on every claim of the papers whose workloads a run holds.
pub(crate) fn judge(
    records: &[Record],
    predictions: &[Prediction],
) -> Result<Vec<ClaimFinding>> {
    let holds = |workload| holds(workload, records, predictions);
    let mut found = Vec::new();
    if holds("slm") {
        let evidence = assay_slm::evidence(records, predictions);
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
    let mut points = figure_7();
    points.extend(survey(records, predictions)?);
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

/// The survey's other numbers, of what the run holds: those of its cases, and
/// those of its models as a whole.
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
    points.extend(memory()?);
    points.retain(|point| {
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

/// The survey's Figure 7, for the models that are shipped.
fn figure_7() -> Vec<PublishedPoint> {
    let mut points = Vec::new();
    for point in assay_slm::figure_7() {
        let model = point.model.to_lowercase();
        if !assay_slm::model_names().any(|name| name == model) {
            continue;
        }
        let mut add = |case: &str, metric: &str, value, unit: &str| {
            points.push(PublishedPoint {
                case: format!("slm/{model}/{case}"),
                profile: "nvidia-jetson-orin-nx-16gb".to_owned(),
                metric: metric.to_owned(),
                value,
                unit: unit.to_owned(),
                source: "arXiv 2409.15790, Figure 7 of the authors' \
                         repository, digitised"
                    .to_owned(),
                trust: "digitised".to_owned(),
            });
        };
        if let Some(ms) = point.first_token_ms {
            let case = "prefill batch=1 precision=q4_k_m prompt=50";
            add(case, "time", ms / 1e3, "s");
        }
        if let Some(ms) = point.decode_ms {
            let case = "decode batch=1 context=75 precision=q4_k_m";
            add(case, "time", ms / 1e3, "s");
        }
    }
    points
}

/// The survey's Figure 11: memory and its parts at a context of 2,048 tokens,
/// of which a decode step adds the last.
fn memory() -> Result<Vec<PublishedPoint>> {
    const MIB: f64 = 1024.0 * 1024.0;
    let mut points = Vec::new();
    for row in assay_slm::published_memory()? {
        let (weights, other) = row.corrected();
        for (metric, mib) in [
            ("memory_peak", row.total),
            ("memory_part/weights", weights),
            ("memory_part/kv cache", row.kv_cache),
            ("memory_part/compute buffer", row.compute_buffer),
            ("memory_part/other", other),
        ] {
            points.push(PublishedPoint {
                case: format!(
                    "slm/{}/decode batch=1 context=2047 precision=q4_k_m",
                    row.model
                ),
                profile: "nvidia-jetson-orin-nx-16gb".to_owned(),
                metric: metric.to_owned(),
                value: mib * MIB,
                unit: "B".to_owned(),
                source: "arXiv 2409.15790, Figure 11 of the authors' \
                         repository, digitised"
                    .to_owned(),
                trust: "digitised; weights from 1024 MiB on are 1000 times \
                        GiB in the source: here in MiB, to those two digits, \
                        and what else there is without the difference"
                    .to_owned(),
            });
        }
    }
    Ok(points)
}
