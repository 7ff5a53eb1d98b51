//! What a search asks of the harness: what a graph costs on a machine.
//!
//! A workload sees neither predictions nor profiles; this hands it a function
//! made of both, under the same defaults as `assay predict`: the profile's
//! usual runtime, and the overlays that the project ships.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use assay_hardware_profiles::overlay_for;
use assay_phonelm::{Score, Scored};
use assay_predict::{Target, Traced, predict};
use assay_schema::{Case, Precision, Runtime};
use assay_trace::Graph;

use crate::defaults;
use crate::predictions::On;

/// Hands the scoring function in, once a process.
pub(crate) fn register() {
    // One that is there already is this one.
    assay_phonelm::use_scorer(Box::<Scorer>::default());
}

/// The machines that a search may name: every shipped profile at its default
/// unit, and each unit of those that have several. A profile that does not
/// read is none; `assay profiles` says why.
pub(crate) fn targets() -> Vec<String> {
    let mut targets = Vec::new();
    for name in assay_hardware_profiles::names() {
        let Ok(profile) = assay_hardware_profiles::load(name) else { continue };
        targets.push((*name).to_owned());
        if profile.units.len() > 1 {
            let units = profile.units.keys();
            targets.extend(units.map(|u| format!("{name}:{}", u.name())));
        }
    }
    targets
}

/// A unit at a number format, ready for any graph.
struct Prepared {
    target: Target,
    runtime: Runtime,
}

/// Predicts graphs, remembering the units that it has prepared.
#[derive(Default)]
struct Scorer {
    prepared: Mutex<HashMap<(String, Precision), Arc<Prepared>>>,
}

impl Scorer {
    fn prepared(
        &self,
        target: &str,
        precision: Precision,
    ) -> Result<Arc<Prepared>> {
        let mut known =
            self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (target.to_owned(), precision);
        if let Some(prepared) = known.get(&key) {
            return Ok(Arc::clone(prepared));
        }
        let on = On::read(target)?;
        let overlay = overlay_for(&on.profile, on.unit);
        let unit = Some(on.unit.name());
        let usual = defaults::runtime(&any_case(), &on.profile, on.unit);
        let prepared = Arc::new(Prepared {
            target: Target::new(
                &on.profile,
                unit,
                precision,
                overlay.as_ref(),
            )?,
            runtime: on.runtime.unwrap_or(usual),
        });
        known.insert(key, Arc::clone(&prepared));
        Ok(prepared)
    }

    fn predicted(
        &self,
        graph: &Graph,
        target: &str,
        precision: Precision,
    ) -> Result<Scored> {
        let prepared = self.prepared(target, precision)?;
        let traced = Traced::new(Arc::new(graph.clone()), precision);
        let found =
            predict(&any_case(), &traced, &prepared.target, prepared.runtime)?;
        Ok(Scored {
            seconds: found.latency_s.point,
            memory_bytes: found.memory_peak_bytes.value(),
        })
    }
}

/// The name that a candidate's prediction goes by; nobody reads it.
fn any_case() -> Case {
    Case::new("phonelm", "candidate", Some("decode"))
}

impl Score for Scorer {
    fn score(
        &self,
        graph: &Graph,
        target: &str,
        precision: Precision,
    ) -> Result<Scored, String> {
        self.predicted(graph, target, precision)
            .map_err(|error| format!("{error:#}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predictions::Predictor;

    const TARGET: &str = "snapdragon-8-gen-3:cpu";

    fn case() -> Case {
        "phonelm/candidate/decode layers=2 width=64 heads=2 kv_heads=1 \
         ffn=128 vocab=256 batch=1 context=16 precision=q4_0"
            .parse()
            .unwrap()
    }

    #[test]
    fn a_candidate_scores_what_its_case_is_predicted_to_take() {
        let request = assay_phonelm::Request::new(&case(), None).unwrap();
        let graph = assay_phonelm::trace(&request).unwrap();
        let found = Scorer::default()
            .score(&graph, TARGET, request.precision())
            .unwrap();
        let on = On::read(TARGET).unwrap();
        let whole = Predictor::default().predict(&case(), &on, None, None);
        let whole = whole.unwrap();
        let ratio = found.seconds / whole.latency_s.point;
        assert!((ratio - 1.0).abs() < 1e-9, "{ratio}");
        let ratio = found.memory_bytes / whole.memory_peak_bytes.value();
        assert!((ratio - 1.0).abs() < 1e-9, "{ratio}");
    }

    #[test]
    fn what_cannot_be_scored_says_why() {
        let request = assay_phonelm::Request::new(&case(), None).unwrap();
        let graph = assay_phonelm::trace(&request).unwrap();
        let scorer = Scorer::default();
        let refused = scorer.score(&graph, "apple-a17-prof", Precision::F16);
        assert!(refused.unwrap_err().contains("`apple-a17-pro`"));
        let refused = scorer.score(&graph, "nvidia-l4:npu", Precision::F16);
        assert!(refused.unwrap_err().contains("npu"));
    }

    #[test]
    fn every_target_is_a_unit_of_a_shipped_profile() {
        let targets = targets();
        assert!(targets.iter().any(|target| target == TARGET));
        for target in &targets {
            assert!(assay_hardware_profiles::resolve(target).is_ok());
        }
    }
}
