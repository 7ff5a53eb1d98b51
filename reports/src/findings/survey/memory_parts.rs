//! Memory by what holds it, model by model: what an engine is predicted to
//! allocate, and beside it what is published of the same model at the same
//! setting.
//!
//! A published part is a point whose metric is `memory_part/NAME`, with a
//! unit of memory; a predicted one is a part of its prediction. Names are the
//! engine's, e.g. `kv cache`.

use std::collections::{BTreeMap, BTreeSet};

use assay_schema::{Case, Prediction, Provenance, PublishedPoint, Runtime};

use super::{LEAST_MODELS, Quantity, belongs, model_of, rank};
use crate::findings::{RunFindings, Setting, is_study};

/// What the metric of a published part starts with.
const PUBLISHED_PART: &str = "memory_part/";

/// A model's memory at a setting.
#[derive(Clone, Debug)]
pub(crate) struct PartedMemory {
    pub(crate) workload: String,
    pub(crate) model: String,
    pub(crate) setting: Setting,
    pub(crate) precision: String,
    pub(crate) parameters: f64,
    pub(crate) provenance: Provenance,
    /// The profile predicted for, or the machine of the publication.
    pub(crate) place: String,
    /// Part and its bytes, in the engine's order.
    pub(crate) parts: Vec<(String, f64)>,
}

impl PartedMemory {
    /// All of it, bytes.
    pub(crate) fn total(&self) -> f64 {
        self.parts.iter().map(|(_, bytes)| bytes).sum()
    }

    /// A part's bytes; `None` where it has none of that name.
    pub(crate) fn part(&self, name: &str) -> Option<f64> {
        let own = self.parts.iter().find(|(part, _)| part == name);
        own.map(|(_, bytes)| *bytes)
    }
}

/// A prediction with parts, of a case.
struct Parted<'a> {
    case: Case,
    rank: usize,
    prediction: &'a Prediction,
}

impl Parted<'_> {
    /// The machine, in the order of the plan.
    fn place(&self) -> (usize, &str, &str, Runtime) {
        let of = self.prediction;
        (self.rank, &of.profile, &of.unit, of.runtime)
    }
}

/// Of each workload the models at one setting, by parameters, each prediction
/// before what is published of it. Of several settings that of which the most
/// models are published, then the one with the most models predicted.
pub(crate) fn parted_memory(runs: &[RunFindings<'_>]) -> Vec<PartedMemory> {
    let mut by_workload: BTreeMap<String, Vec<Parted<'_>>> = BTreeMap::new();
    for run in runs {
        for prediction in run.predictions.iter().copied() {
            let Some(case) = prediction.full_case() else { continue };
            if prediction.memory_parts.is_empty() || is_study(&case) {
                continue;
            }
            let predict_on = &run.data.header.plan.predict_on;
            let rank = rank(predict_on, &prediction.profile);
            by_workload
                .entry(case.workload.clone())
                .or_default()
                .push(Parted { case, rank, prediction });
        }
    }
    let published: Vec<(Case, &PublishedPoint)> = runs
        .iter()
        .flat_map(|run| &run.data.published)
        .filter(|point| point.metric.starts_with(PUBLISHED_PART))
        .filter_map(|point| Some((point.case.parse().ok()?, point)))
        .collect();
    by_workload
        .into_values()
        .filter_map(|own| at_one_setting(&own, &published))
        .flatten()
        .collect()
}

/// The models of a workload at the setting that is shown; `None` where no
/// setting has enough of them.
fn at_one_setting(
    own: &[Parted<'_>],
    published: &[(Case, &PublishedPoint)],
) -> Option<Vec<PartedMemory>> {
    let settings: BTreeSet<Setting> =
        own.iter().filter_map(|one| Setting::of(&one.case)).collect();
    let mut best: Option<((usize, usize), Vec<PartedMemory>)> = None;
    for setting in settings {
        let predicted = predicted_at(own, &setting);
        let printed: Vec<PartedMemory> = predicted
            .iter()
            .flat_map(|one| published_at(one, published))
            .collect();
        let models: BTreeSet<&str> =
            printed.iter().map(|one| one.model.as_str()).collect();
        let score = (models.len(), predicted.len());
        let is_better = best.as_ref().is_none_or(|(most, _)| score > *most);
        if predicted.len() < LEAST_MODELS || !is_better {
            continue;
        }
        let mut all = predicted;
        all.extend(printed);
        best = Some((score, all));
    }
    let (_, mut all) = best?;
    all.sort_by(|a, b| {
        a.parameters
            .total_cmp(&b.parameters)
            .then_with(|| a.model.cmp(&b.model))
            .then_with(|| a.provenance.cmp(&b.provenance))
            .then_with(|| a.place.cmp(&b.place))
    });
    Some(all)
}

/// Predictions at a setting, in the precision that most models have, each
/// model once: an engine allocates alike on every machine, so the first of
/// the plan stands for all.
fn predicted_at(own: &[Parted<'_>], setting: &Setting) -> Vec<PartedMemory> {
    type Models<'a> = BTreeMap<String, &'a Parted<'a>>;
    let mut precisions: BTreeMap<String, Models<'_>> = BTreeMap::new();
    for one in own {
        if Setting::of(&one.case).as_ref() != Some(setting) {
            continue;
        }
        let precision = one.case.axis("precision").unwrap_or_default();
        let models = precisions.entry(precision.to_owned()).or_default();
        let first = models.entry(one.case.model.clone()).or_insert(one);
        if one.place() < first.place() {
            *first = one;
        }
    }
    let most =
        precisions.into_iter().rev().max_by_key(|(_, models)| models.len());
    let Some((precision, models)) = most else { return Vec::new() };
    models
        .into_values()
        .map(|one| {
            let prediction = one.prediction;
            PartedMemory {
                workload: one.case.workload.clone(),
                model: one.case.model.clone(),
                setting: setting.clone(),
                precision: precision.clone(),
                parameters: prediction.parameters as f64,
                provenance: Provenance::Predicted,
                place: format!("{}:{}", prediction.profile, prediction.unit),
                parts: prediction
                    .memory_parts
                    .iter()
                    .map(|part| (part.name.clone(), part.bytes.value()))
                    .filter(|(_, bytes)| bytes.is_finite() && *bytes >= 0.0)
                    .collect(),
            }
        })
        .filter(|one| one.total() > 0.0)
        .collect()
}

/// What is published of a predicted model at its setting, machine by machine.
fn published_at(
    predicted: &PartedMemory,
    published: &[(Case, &PublishedPoint)],
) -> Vec<PartedMemory> {
    let model = (predicted.workload.clone(), predicted.model.clone());
    let mut places: BTreeMap<String, Vec<(String, f64)>> = BTreeMap::new();
    for (case, point) in published {
        let is_alike = model_of(case) == model
            && belongs(case, &predicted.setting)
            && case.axis("precision").is_none_or(|p| p == predicted.precision);
        let bytes = Quantity::Memory.in_unit(point.value, &point.unit);
        let name = point.metric.strip_prefix(PUBLISHED_PART);
        let (true, Some(bytes), Some(name)) = (is_alike, bytes, name) else {
            continue;
        };
        let parts = places.entry(point.profile.clone()).or_default();
        let is_new = !parts.iter().any(|(part, _)| part == name);
        if is_new && bytes.is_finite() && bytes >= 0.0 {
            parts.push((name.to_owned(), bytes));
        }
    }
    // The prediction's order of parts, others after it by name.
    let order = |part: &str| {
        let own = predicted.parts.iter().position(|(name, _)| name == part);
        own.unwrap_or(usize::MAX)
    };
    places
        .into_iter()
        .map(|(place, mut parts)| {
            parts.sort_by(|(a, _), (b, _)| {
                order(a).cmp(&order(b)).then_with(|| a.cmp(b))
            });
            PartedMemory {
                provenance: Provenance::Published,
                place,
                parts,
                ..predicted.clone()
            }
        })
        .filter(|one| one.total() > 0.0)
        .collect()
}
