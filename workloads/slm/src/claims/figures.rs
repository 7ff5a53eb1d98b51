//! The survey's Figures 7 and 11 as published points, for a report to show
//! beside what it measures and predicts.

use assay_schema::PublishedPoint;

use super::figure_7;
use super::memory_parts::MIB;
use super::readings::JETSON;
use crate::{SlmError, models, published_memory};

/// The source of the points of Figure 7, which is a figure of models: a report
/// draws it whole, whatever of it a run holds.
pub const FIGURE_7_SOURCE: &str =
    "arXiv 2409.15790, Figure 7 of the authors' repository, digitised";

const FIGURE_11_SOURCE: &str =
    "arXiv 2409.15790, Figure 11 of the authors' repository, digitised";

/// The latencies of Figure 7, of the models that are shipped. A token's is a
/// decode step in the middle of the 50 after a prompt of 50.
pub(super) fn figure_7_points() -> Vec<PublishedPoint> {
    let mut points = Vec::new();
    for point in figure_7() {
        let model = point.model.to_lowercase();
        if !models::names().any(|name| name == model) {
            continue;
        }
        let both = [
            (
                "prefill batch=1 precision=q4_k_m prompt=50",
                point.first_token_ms,
            ),
            ("decode batch=1 context=75 precision=q4_k_m", point.decode_ms),
        ];
        for (case, ms) in both {
            let Some(ms) = ms else { continue };
            points.push(PublishedPoint {
                case: format!("slm/{model}/{case}"),
                profile: JETSON.to_owned(),
                metric: "time".to_owned(),
                value: ms / 1e3,
                unit: "s".to_owned(),
                source: FIGURE_7_SOURCE.to_owned(),
                trust: "digitised".to_owned(),
            });
        }
    }
    points
}

/// Figure 11: memory and its parts at a context of 2,048 tokens, of which a
/// decode step adds the last.
///
/// # Errors
///
/// The embedded table does not read: a bug of this crate.
pub(super) fn memory_points() -> Result<Vec<PublishedPoint>, SlmError> {
    let mut points = Vec::new();
    for row in published_memory()? {
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
                profile: JETSON.to_owned(),
                metric: metric.to_owned(),
                value: mib * MIB,
                unit: "B".to_owned(),
                source: FIGURE_11_SOURCE.to_owned(),
                trust: "digitised; weights from 1024 MiB on are 1000 times \
                        GiB in the source: here in MiB, to those two digits, \
                        and what else there is without the difference"
                    .to_owned(),
            });
        }
    }
    Ok(points)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

    use assay_schema::Case;

    use super::*;

    #[test]
    fn every_drawn_latency_and_memory_is_a_point_of_a_shipped_model() {
        let drawn: usize = figure_7()
            .iter()
            .map(|point| {
                usize::from(point.first_token_ms.is_some())
                    + usize::from(point.decode_ms.is_some())
            })
            .sum();
        let latencies = figure_7_points();
        assert_eq!(latencies.len(), drawn);
        let memory = memory_points().unwrap();
        assert_eq!(memory.len(), 5 * published_memory().unwrap().len());
        for point in latencies.iter().chain(&memory) {
            let case: Case = point.case.parse().unwrap();
            assert!(models::config(&case.model).is_ok(), "{point:?}");
        }
        let smallest = latencies
            .iter()
            .find(|point| point.case.starts_with("slm/smollm-135m/prefill"))
            .unwrap();
        assert!((smallest.value - 0.023_73).abs() < 1e-9, "{smallest:?}");
    }

    #[test]
    fn the_parts_of_memory_add_up_to_its_peak() {
        for of_model in memory_points().unwrap().chunks_exact(5) {
            let parts: f64 = of_model[1..].iter().map(|one| one.value).sum();
            let peak = of_model[0].value;
            assert!((parts / peak - 1.0).abs() < 1e-3, "{of_model:?}");
        }
    }
}
