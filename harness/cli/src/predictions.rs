//! Cases on profiles: graphs traced once, units prepared once.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use assay_hardware_profiles::{HardwareProfile, UnitName};
use assay_predict::{Target, Traced, predict};
use assay_schema::{Case, Precision, Prediction, Runtime};

use crate::{defaults, host_profile, registry};

/// A unit of a profile to predict for.
#[derive(Clone, Debug)]
pub(crate) struct On {
    pub(crate) profile: HardwareProfile,
    pub(crate) unit: UnitName,
}

impl On {
    /// Reads `NAME[:UNIT]`.
    pub(crate) fn read(text: &str) -> Result<Self> {
        let (profile, unit) = host_profile::resolve(text.trim())?;
        Ok(Self { profile, unit })
    }

    /// Reads a list; `all` is every shipped profile.
    pub(crate) fn read_all(names: &[String]) -> Result<Vec<Self>> {
        let mut on = Vec::new();
        for name in names {
            match name.trim() {
                "all" => on.extend(Self::all()?),
                name => on.push(Self::read(name)?),
            }
        }
        Ok(on)
    }

    /// Every shipped profile, at its default unit.
    pub(crate) fn all() -> Result<Vec<Self>> {
        assay_hardware_profiles::names()
            .iter()
            .map(|name| Self::read(name))
            .collect()
    }

    fn key(&self) -> String {
        format!("{}:{}", self.profile.name, self.unit.name())
    }
}

/// Predicts, remembering what it has traced and prepared.
#[derive(Default)]
pub(crate) struct Predictor {
    traces: registry::Traces,
    priced: HashMap<(String, Precision), Arc<Traced>>,
    targets: HashMap<(String, Precision), Arc<Target>>,
    /// A model file in place of the case's model.
    model: Option<PathBuf>,
}

impl Predictor {
    /// A predictor whose cases take their shape from a model file, if one is
    /// given.
    pub(crate) fn with_model(model: Option<PathBuf>) -> Self {
        Self { model, ..Self::default() }
    }

    /// A case with axes filled in as the profile's defaults say.
    pub(crate) fn complete(&self, case: &Case, on: &On) -> Result<Case> {
        let precision = defaults::precision(&on.profile.name);
        registry::complete(case, self.model.as_deref(), precision)
    }

    /// The priced graph of a complete case.
    pub(crate) fn traced(&mut self, case: &Case) -> Result<Arc<Traced>> {
        let precision = registry::precision(case)?;
        let key = (case.to_string(), precision);
        if let Some(known) = self.priced.get(&key) {
            return Ok(Arc::clone(known));
        }
        let graph = self.traces.get(case, self.model.as_ref())?;
        let traced = Arc::new(Traced::new(graph, precision));
        self.priced.insert(key, Arc::clone(&traced));
        Ok(traced)
    }

    fn target(&mut self, on: &On, precision: Precision) -> Result<Arc<Target>> {
        let key = (on.key(), precision);
        if let Some(known) = self.targets.get(&key) {
            return Ok(Arc::clone(known));
        }
        let unit = Some(on.unit.name());
        let target = Arc::new(Target::new(&on.profile, unit, precision)?);
        self.targets.insert(key, Arc::clone(&target));
        Ok(target)
    }

    /// Predicts a case, given as typed, on a unit.
    pub(crate) fn predict(
        &mut self,
        case: &Case,
        on: &On,
        runtime: Option<Runtime>,
    ) -> Result<Prediction> {
        let case = self.complete(case, on)?;
        let traced = self.traced(&case)?;
        let target = self.target(on, traced.precision())?;
        let runtime = runtime
            .unwrap_or_else(|| defaults::runtime(&case, &on.profile, on.unit));
        Ok(predict(&case, &traced, &target, runtime)?)
    }
}
