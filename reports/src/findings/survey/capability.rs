//! Capability against cost: what is published of how well a model does, and
//! what it is predicted to take.
//!
//! A capability is a published share, in per cent, of a model as a whole (its
//! case names no phase), more being better: the form in which scores of
//! benchmarks are published. A model is on the Pareto front when no other has
//! at least its capability for at most its cost, one of the two strictly.

use std::collections::BTreeMap;

use assay_schema::{Case, Provenance, PublishedPoint};

use super::{FitPanel, LEAST_MODELS, Quantity, Reading};
use crate::findings::{RunFindings, Setting};

/// One capability against one cost.
#[derive(Clone, Debug)]
pub(crate) struct Trade {
    pub(crate) workload: String,
    /// The published metric.
    pub(crate) capability: String,
    pub(crate) quantity: Quantity,
    /// Of the prediction.
    pub(crate) setting: Setting,
    /// Predicted for.
    pub(crate) place: String,
    pub(crate) precision: String,
    /// By cost.
    pub(crate) models: Vec<Costed>,
}

/// A model's capability and cost.
#[derive(Clone, Debug)]
pub(crate) struct Costed {
    pub(crate) model: String,
    pub(crate) parameters: f64,
    /// Published, per cent.
    pub(crate) capability: f64,
    pub(crate) cost: Reading,
    /// Whether it is on the Pareto front.
    pub(crate) on_front: bool,
}

/// Every capability against the cost of each panel, on the first place of the
/// plan for which enough models with a capability were predicted.
pub(crate) fn trades(
    runs: &[RunFindings<'_>],
    panels: &[(Quantity, Vec<FitPanel>)],
) -> Vec<Trade> {
    let scores = capabilities(runs);
    let mut all = Vec::new();
    for (quantity, panels) in panels {
        for panel in panels {
            let own = scores
                .iter()
                .filter(|((workload, _), _)| *workload == panel.workload);
            for ((_, capability), models) in own {
                all.extend(trade(*quantity, panel, capability, models));
            }
        }
    }
    all
}

/// Workload and metric to each model's score, per cent.
fn capabilities(
    runs: &[RunFindings<'_>],
) -> BTreeMap<(String, String), BTreeMap<String, f64>> {
    let mut points: Vec<(Case, &PublishedPoint)> = runs
        .iter()
        .flat_map(|run| &run.data.published)
        .filter(|point| point.unit == "%" && point.value.is_finite())
        .filter_map(|point| Some((point.case.parse().ok()?, point)))
        .filter(|(case, _): &(Case, _)| case.phase.is_none())
        .collect();
    // Of several sources the first by name.
    points.sort_by(|(a, one), (b, other)| {
        (a, &one.metric, &one.source)
            .cmp(&(b, &other.metric, &other.source))
            .then_with(|| one.value.total_cmp(&other.value))
    });
    let mut scores: BTreeMap<(String, String), BTreeMap<String, f64>> =
        BTreeMap::new();
    for (case, point) in points {
        scores
            .entry((case.workload, point.metric.clone()))
            .or_default()
            .entry(case.model)
            .or_insert(point.value);
    }
    scores
}

fn trade(
    quantity: Quantity,
    panel: &FitPanel,
    capability: &str,
    scores: &BTreeMap<String, f64>,
) -> Option<Trade> {
    let predicted = panel
        .series
        .iter()
        .filter(|series| series.provenance == Provenance::Predicted);
    for series in predicted {
        let mut models: Vec<Costed> = series
            .points
            .iter()
            .filter_map(|(parameters, cost)| {
                Some(Costed {
                    model: cost.case.model.clone(),
                    parameters: *parameters,
                    capability: *scores.get(&cost.case.model)?,
                    cost: cost.clone(),
                    on_front: false,
                })
            })
            .collect();
        if models.len() < LEAST_MODELS {
            continue;
        }
        models.sort_by(|a, b| {
            a.cost
                .value
                .point
                .total_cmp(&b.cost.value.point)
                .then_with(|| a.model.cmp(&b.model))
        });
        let plane: Vec<(f64, f64)> = models
            .iter()
            .map(|one| (one.cost.value.point, one.capability))
            .collect();
        for (one, on_front) in models.iter_mut().zip(pareto(&plane)) {
            one.on_front = on_front;
        }
        return Some(Trade {
            workload: panel.workload.clone(),
            capability: capability.to_owned(),
            quantity,
            setting: panel.setting.clone(),
            place: series.place.clone(),
            precision: series.precision.clone(),
            models,
        });
    }
    None
}

/// Whether each point, cost and value, is on the Pareto front.
fn pareto(plane: &[(f64, f64)]) -> Vec<bool> {
    plane
        .iter()
        .map(|(cost, value)| {
            !plane.iter().any(|(other_cost, other_value)| {
                other_cost <= cost
                    && other_value >= value
                    && (other_cost < cost || other_value > value)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::pareto;

    #[test]
    fn nothing_on_the_front_is_beaten_in_both() {
        let plane =
            [(1.0, 30.0), (2.0, 45.0), (2.5, 40.0), (3.0, 45.0), (4.0, 60.0)];
        assert_eq!(pareto(&plane), [true, true, false, false, true]);
    }

    #[test]
    fn equals_do_not_beat_each_other() {
        assert_eq!(pareto(&[(1.0, 2.0), (1.0, 2.0)]), [true, true]);
        assert!(pareto(&[]).is_empty());
    }
}
