//! Where predicted time goes, models side by side: by kind of kernel and by
//! module, on one unit, at one setting of each phase.
//!
//! A share is a part's seconds over the sum of all parts'. What the host adds
//! beside the kernels belongs to no module and is `overhead` in both.

use std::collections::BTreeMap;

use assay_schema::{
    Case, Estimate, Prediction, Provenance, PublishedPoint, Runtime, Seconds,
};

use super::{LEAST_MODELS, Model, belongs, is_usable, rank};
use crate::findings::pairs::HOST;
use crate::findings::settings::phase_rank;
use crate::findings::{RunFindings, Setting, all_classes, is_study};

/// What no kernel takes: the name that predictions give it.
const OVERHEAD: &str = "overhead";
/// What the metrics of a published breakdown by module start with.
const PUBLISHED_PART: &str = "part_";
/// Names that papers use for what a trace calls otherwise.
const ALSO_CALLED: [(&str, &str); 2] = [("ffn", "mlp"), ("lm_head", "head")];

/// Models at one setting, on one unit, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Breakdown {
    pub(crate) workload: String,
    pub(crate) setting: Setting,
    /// Of the predictions; empty where their cases name none.
    pub(crate) precision: String,
    /// The unit predicted for.
    pub(crate) place: String,
    /// By parameters; what is published of a model follows its prediction.
    pub(crate) bars: Vec<Bar>,
    /// Every part that occurs, in the order of bars and columns.
    pub(crate) parts: Vec<String>,
}

/// A model taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    pub(crate) model: String,
    pub(crate) parameters: f64,
    pub(crate) place: String,
    pub(crate) provenance: Provenance,
    /// The whole pass, seconds; `None` where only shares are published.
    pub(crate) time: Option<Estimate>,
    /// Part to its share, per cent.
    pub(crate) shares: BTreeMap<String, f64>,
}

impl Bar {
    /// A part's share, per cent.
    pub(crate) fn share(&self, part: &str) -> f64 {
        self.shares.get(part).copied().unwrap_or(0.0)
    }
}

/// The predictions whose models a report puts side by side, part by part:
/// those of which [`ModuleTimes`](crate::ModuleTimes) are wanted.
///
/// Of each workload and phase: the first unit of the plan (this machine last)
/// for which enough models were predicted at one setting and precision; there,
/// the setting and precision of the most models.
pub fn taken_apart<'a>(
    predict_on: &[String],
    predictions: impl IntoIterator<Item = &'a Prediction>,
) -> Vec<&'a Prediction> {
    chosen(predict_on, predictions)
        .into_iter()
        .flat_map(|chosen| chosen.models.into_values())
        .collect()
}

/// One workload, phase, unit, setting and precision.
struct Chosen<'a> {
    workload: String,
    setting: Setting,
    precision: String,
    models: BTreeMap<String, &'a Prediction>,
}

/// This machine or another, place in the plan, profile, unit, runtime.
type Place = (bool, usize, String, String, Runtime);
/// Predictions by model, of each setting and precision.
type AtSettings<'a> =
    BTreeMap<(Setting, String), BTreeMap<String, &'a Prediction>>;

fn chosen<'a>(
    predict_on: &[String],
    predictions: impl IntoIterator<Item = &'a Prediction>,
) -> Vec<Chosen<'a>> {
    type Phase = (String, usize, String);
    let mut phases: BTreeMap<Phase, BTreeMap<Place, AtSettings<'a>>> =
        BTreeMap::new();
    for one in predictions {
        let Some(case) = one.full_case() else { continue };
        let Some(setting) = Setting::of(&case) else { continue };
        let is_whole = one.fits != Some(false) && is_usable(&one.latency_s);
        if !is_whole || one.time_by_class.is_empty() || is_study(&case) {
            continue;
        }
        let phase = setting.phase.clone();
        let place = (
            one.profile == HOST,
            rank(predict_on, &one.profile),
            one.profile.clone(),
            one.unit.clone(),
            one.runtime,
        );
        let precision = case.axis("precision").unwrap_or_default().to_owned();
        phases
            .entry((case.workload.clone(), phase_rank(&phase), phase))
            .or_default()
            .entry(place)
            .or_default()
            .entry((setting, precision))
            .or_default()
            .entry(case.model)
            .or_insert(one);
    }
    let most = |settings: AtSettings<'a>| {
        settings
            .into_iter()
            .filter(|(_, models)| models.len() >= LEAST_MODELS)
            // Of as many models, the first setting by name.
            .rev()
            .max_by_key(|(_, models)| models.len())
    };
    phases
        .into_iter()
        .filter_map(|((workload, _, _), places)| {
            let ((setting, precision), models) =
                places.into_values().find_map(most)?;
            Some(Chosen { workload, setting, precision, models })
        })
        .collect()
}

/// Predicted time by kind of kernel.
pub(crate) fn by_kernel(run: &RunFindings<'_>) -> Vec<Breakdown> {
    of_run(run, |prediction| Some(prediction.time_by_class.clone()))
        .into_iter()
        .map(|mut found| {
            let known: Vec<&str> = all_classes().collect();
            found.parts.sort_by_key(|part| {
                let place = known.iter().position(|class| class == part);
                (place.unwrap_or(usize::MAX), part.clone())
            });
            found
        })
        .collect()
}

/// Predicted time by module, and beside it what is published of the same
/// models at the same setting.
pub(crate) fn by_module(run: &RunFindings<'_>) -> Vec<Breakdown> {
    let modules = |prediction: &Prediction| {
        let case = prediction.full_case()?;
        let found = run.data.modules.iter().find(|one| {
            one.case == case
                && one.profile == prediction.profile
                && one.unit == prediction.unit
                && one.runtime == prediction.runtime
        })?;
        let mut seconds = found.seconds.clone();
        if let Some(overhead) = prediction.time_by_class.get(OVERHEAD) {
            seconds.insert(OVERHEAD.to_owned(), *overhead);
        }
        Some(seconds)
    };
    of_run(run, modules)
        .into_iter()
        .map(|mut found| {
            beside(&mut found, &run.data.published);
            let total = |part: &str| -> f64 {
                found.bars.iter().map(|bar| bar.share(part)).sum()
            };
            found.parts.sort_by(|a, b| {
                (a == OVERHEAD)
                    .cmp(&(b == OVERHEAD))
                    .then_with(|| total(b).total_cmp(&total(a)))
                    .then_with(|| a.cmp(b))
            });
            found
        })
        .collect()
}

fn of_run(
    run: &RunFindings<'_>,
    parts_of: impl Fn(&Prediction) -> Option<BTreeMap<String, Seconds>>,
) -> Vec<Breakdown> {
    let predict_on = &run.data.header.plan.predict_on;
    let mut all = Vec::new();
    for group in chosen(predict_on, run.predictions.iter().copied()) {
        let mut bars: Vec<Bar> = group
            .models
            .iter()
            .filter_map(|(model, &prediction)| {
                bar(run, model, prediction, &parts_of(prediction)?)
            })
            .collect();
        bars.sort_by(|a, b| {
            a.parameters
                .total_cmp(&b.parameters)
                .then_with(|| a.model.cmp(&b.model))
        });
        if bars.len() < LEAST_MODELS {
            continue;
        }
        let Some(place) = bars.first().map(|bar| bar.place.clone()) else {
            continue;
        };
        let mut found = Breakdown {
            workload: group.workload,
            setting: group.setting,
            precision: group.precision,
            place,
            bars,
            parts: Vec::new(),
        };
        found.parts = parts(&found.bars);
        all.push(found);
    }
    all
}

fn bar(
    run: &RunFindings<'_>,
    model: &str,
    prediction: &Prediction,
    seconds: &BTreeMap<String, Seconds>,
) -> Option<Bar> {
    let usable = |s: &Seconds| s.value().is_finite() && s.value() > 0.0;
    let parts = || seconds.iter().filter(|(_, s)| usable(s));
    let total: f64 = parts().map(|(_, s)| s.value()).sum();
    let place = match prediction.profile.as_str() {
        HOST => format!("{} ({HOST})", run.machine),
        name => format!("{name}:{}", prediction.unit),
    };
    (total > 0.0).then(|| Bar {
        model: model.to_owned(),
        parameters: prediction.parameters as f64,
        place: format!("{place}, {}", prediction.runtime),
        provenance: Provenance::Predicted,
        time: Some(prediction.latency_s.clone()),
        shares: parts()
            .map(|(part, s)| (part.clone(), 100.0 * s.value() / total))
            .collect(),
    })
}

/// Every part of some bars, by name.
fn parts(bars: &[Bar]) -> Vec<String> {
    let mut parts: Vec<String> =
        bars.iter().flat_map(|bar| bar.shares.keys().cloned()).collect();
    parts.sort();
    parts.dedup();
    parts
}

/// Puts published breakdowns after the models that they are of.
fn beside(found: &mut Breakdown, published: &[PublishedPoint]) {
    let mut shares: BTreeMap<(Model, String), BTreeMap<String, f64>> =
        BTreeMap::new();
    for point in published {
        let Some(part) = point.metric.strip_prefix(PUBLISHED_PART) else {
            continue;
        };
        let Ok(case) = point.case.parse::<Case>() else { continue };
        let is_alike = case.workload == found.workload
            && belongs(&case, &found.setting)
            && case.axis("precision").is_none_or(|p| p == found.precision);
        if !is_alike || point.unit != "%" || !point.value.is_finite() {
            continue;
        }
        let known = ALSO_CALLED.iter().find(|(theirs, _)| *theirs == part);
        let part = known.map_or(part, |(_, ours)| *ours);
        let model = (case.workload, case.model);
        shares
            .entry((model, point.profile.clone()))
            .or_default()
            .entry(part.to_owned())
            .or_insert(point.value.max(0.0));
    }
    for (((_, model), place), shares) in shares {
        let Some(at) = found.bars.iter().rposition(|bar| bar.model == model)
        else {
            continue;
        };
        let parameters = found.bars[at].parameters;
        let bar = Bar {
            model,
            parameters,
            place,
            provenance: Provenance::Published,
            time: None,
            shares,
        };
        found.bars.insert(at + 1, bar);
    }
    found.parts = parts(&found.bars);
}
