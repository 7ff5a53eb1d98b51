//! Predictions by module of the model, of the cases that a report puts side
//! by side. A run keeps predictions by class of kernel alone, so these are
//! traced and priced again.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use assay_hardware_profiles::overlay_for;
use assay_predict::{Target, Traced, operator_seconds};
use assay_reports::{ModuleTimes, taken_apart};
use assay_schema::{Prediction, Seconds};

use crate::predictions::On;
use crate::registry;

/// The profile whose predictions are about the machine that ran: another
/// machine's report cannot price them again.
const HOST: &str = "host";

/// How far the kernels' time may be off from what the run predicted, a
/// fraction. More, and the model or the constants are others than the run's.
const TOLERANCE: f64 = 1e-3;

/// The modules of the predictions that a report takes apart. What cannot be
/// priced as the run priced it (a model from a file, constants that have
/// changed since) is left out: its bars are then missing.
pub(crate) fn times(
    predict_on: &[String],
    predictions: &[Prediction],
) -> Vec<ModuleTimes> {
    let mut targets = Targets::default();
    taken_apart(predict_on, predictions)
        .into_iter()
        .filter(|prediction| prediction.profile != HOST)
        .filter_map(|prediction| of(prediction, &mut targets).ok()?)
        .collect()
}

/// Units by profile, unit and precision: a survey has one for all its models.
#[derive(Default)]
struct Targets {
    made: BTreeMap<String, Arc<Target>>,
}

impl Targets {
    fn get(
        &mut self,
        prediction: &Prediction,
        traced: &Traced,
    ) -> Result<Arc<Target>> {
        let place = format!("{}:{}", prediction.profile, prediction.unit);
        let precision = traced.precision();
        let key = format!("{place} {precision}");
        if let Some(known) = self.made.get(&key) {
            return Ok(Arc::clone(known));
        }
        let on = On::read(&place)?;
        let overlay = overlay_for(&on.profile, on.unit);
        let target = Arc::new(Target::new(
            &on.profile,
            Some(on.unit.name()),
            precision,
            overlay.as_ref(),
        )?);
        self.made.insert(key, Arc::clone(&target));
        Ok(target)
    }
}

/// A prediction by module; `None` where it would be another prediction.
fn of(
    prediction: &Prediction,
    targets: &mut Targets,
) -> Result<Option<ModuleTimes>> {
    let case = prediction
        .full_case()
        .ok_or_else(|| anyhow!("`{}` is no case", prediction.case))?;
    let precision = registry::precision(&case)?;
    let graph = Arc::new(registry::trace(&case, None)?);
    let traced = Traced::new(Arc::clone(&graph), precision);
    let target = targets.get(prediction, &traced)?;
    let each = operator_seconds(&traced, &target, prediction.runtime)?;
    let mut seconds: BTreeMap<String, Seconds> = BTreeMap::new();
    for (operator, time) in graph.operators.iter().zip(&each) {
        let module = part_of(&graph.modules[operator.module]);
        *seconds.entry(module.to_owned()).or_default() += *time;
    }
    let total: f64 = each.iter().map(|time| time.value()).sum();
    let kernels: f64 = prediction
        .time_by_class
        .iter()
        .filter(|(class, _)| *class != "overhead")
        .map(|(_, time)| time.value())
        .sum();
    let is_same = (total / kernels - 1.0).abs() <= TOLERANCE;
    Ok(is_same.then(|| ModuleTimes {
        case,
        profile: prediction.profile.clone(),
        unit: prediction.unit.clone(),
        runtime: prediction.runtime,
        seconds,
    }))
}

/// What a module is a part of, all layers being one: `layers.17.attention.q`
/// is of `attention`, `head` of `head`, the model's own operators of `other`.
fn part_of(path: &str) -> &str {
    let mut names = path.split('.').peekable();
    let mut part = names.next().unwrap_or_default();
    while names.next_if(|name| is_index(name)).is_some() {
        let is_list = names.peek().map(|name| is_index(name));
        match is_list {
            // A list of lists, e.g. `down.0.1.attention`.
            Some(true) => {}
            Some(false) => part = names.next().unwrap_or(part),
            None => break,
        }
    }
    if part.is_empty() { "other" } else { part }
}

fn is_index(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::part_of;

    #[test]
    fn layers_are_one_and_what_is_inside_a_part_is_of_it() {
        for (path, part) in [
            ("layers.17.attention", "attention"),
            ("layers.17.attention.q", "attention"),
            ("layers.0.mlp", "mlp"),
            ("layers.3", "layers"),
            ("down.0.1.attention.2.q", "q"),
            ("head", "head"),
            ("embedding", "embedding"),
            ("norm.weight", "norm"),
            ("", "other"),
        ] {
            assert_eq!(part_of(path), part, "{path}");
        }
    }
}
