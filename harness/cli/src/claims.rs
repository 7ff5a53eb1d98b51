//! The papers' claims: evidence from the workloads, rulings from statistics.

use anyhow::Result;
use assay_reports::PublishedPoint;
use assay_schema::{ClaimFinding, Prediction, Record};
use assay_statistics::rule;

/// Rules on every claim of every workload.
pub(crate) fn judge(
    records: &[Record],
    predictions: &[Prediction],
) -> Result<Vec<ClaimFinding>> {
    let file = assay_slm::claims()?;
    let evidence = assay_slm::evidence(records, predictions);
    Ok(file
        .claim
        .iter()
        .map(|claim| {
            let own: Vec<_> = evidence
                .iter()
                .filter(|evidence| evidence.claim == claim.id)
                .cloned()
                .collect();
            rule(&file.paper, claim, &own)
        })
        .collect())
}

/// Published measurements that a report shows beside its own: the survey's
/// Figure 7, for the models that are shipped.
pub(crate) fn published() -> Result<Vec<PublishedPoint>> {
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
    Ok(points)
}
