//! Quality by number format: what records of the same case in several formats
//! say of their answers, e.g. perplexity or the error of logits.

use std::collections::BTreeMap;

use assay_schema::{Better, Case, Reading};

use super::precisions::width_rank;
use crate::findings::{RunFindings, is_study};

/// What the metrics of an answer's quality start with.
const QUALITY: &str = "quality/";

/// A metric of one case in several formats.
#[derive(Clone, Debug)]
pub(crate) struct Quality {
    pub(crate) machine: String,
    /// Without its precision.
    pub(crate) case: Case,
    /// Without `quality/`.
    pub(crate) metric: String,
    pub(crate) unit: String,
    pub(crate) better: Better,
    /// Format and value, the widest format first.
    pub(crate) values: Vec<(String, f64)>,
}

impl Quality {
    /// Whether it says how far answers are from the exact ones: an error, a
    /// divergence. The base's is next to nothing, and a change relative to it
    /// says nothing.
    pub(crate) fn is_distance(&self) -> bool {
        let last = self.metric.rsplit(['-', '_']).next();
        matches!(last, Some("error" | "divergence" | "distance"))
    }
}

/// The metrics of sound records whose case ran in at least two formats, by
/// machine, case and metric. A study's metrics stand in its study.
pub(crate) fn qualities(runs: &[RunFindings<'_>]) -> Vec<Quality> {
    let mut all = Vec::new();
    for run in runs {
        all.extend(of_run(run));
    }
    all
}

fn of_run(run: &RunFindings<'_>) -> Vec<Quality> {
    let mut met: BTreeMap<(Case, String), Quality> = BTreeMap::new();
    let mut formats: BTreeMap<Case, Vec<String>> = BTreeMap::new();
    for record in &run.records {
        if !record.is_sound() || is_study(&record.case) {
            continue;
        }
        let Some(format) = record.case.axis("precision") else { continue };
        let mut case = record.case.clone();
        case.axes.remove("precision");
        let own = formats.entry(case.clone()).or_default();
        if own.iter().any(|known| known == format) {
            continue;
        }
        own.push(format.to_owned());
        for (_, metric) in &record.metrics {
            let Some(name) = metric.name.strip_prefix(QUALITY) else {
                continue;
            };
            let value = match &metric.reading {
                Reading::Value(value) if metric.at.is_empty() => *value,
                Reading::Value(_) | Reading::Unavailable(_) => continue,
            };
            let quality = met
                .entry((case.clone(), name.to_owned()))
                .or_insert_with(|| Quality {
                    machine: run.machine.clone(),
                    case: case.clone(),
                    metric: name.to_owned(),
                    unit: metric.unit.clone(),
                    better: metric.better,
                    values: Vec::new(),
                });
            // A later reading of the same metric replaces the earlier.
            quality.values.retain(|(known, _)| known != format);
            quality.values.push((format.to_owned(), value));
        }
    }
    let compared = |quality: &Quality| {
        formats.get(&quality.case).is_some_and(|own| own.len() > 1)
    };
    let mut all: Vec<Quality> = met.into_values().filter(compared).collect();
    for quality in &mut all {
        quality
            .values
            .sort_by_key(|(format, _)| (width_rank(format), format.clone()));
    }
    all
}
