//! Cases on profiles: graphs traced once, units prepared once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail};
use assay_hardware_profiles::{
    HardwareProfile, Overlay, UnitName, facts_digest, overlay_for,
};
use assay_predict::{Target, Traced, predict, with_engine_memory};
use assay_schema::{Case, Precision, Prediction, Runtime};

use crate::composed::summed;
use crate::{defaults, host_profile, registry};

/// A unit of a profile to predict for.
#[derive(Clone, Debug)]
pub(crate) struct On {
    pub(crate) profile: Arc<HardwareProfile>,
    pub(crate) unit: UnitName,
    /// The runtime, where it is not the usual one.
    pub(crate) runtime: Option<Runtime>,
}

impl On {
    /// Reads `NAME[:UNIT][@RUNTIME]`.
    pub(crate) fn read(text: &str) -> Result<Self> {
        let (place, runtime) = match text.split_once('@') {
            Some((place, runtime)) => (place, Some(runtime.trim().parse()?)),
            None => (text, None),
        };
        let (profile, unit) = host_profile::resolve(place.trim())?;
        Ok(Self { profile: Arc::new(profile), unit, runtime })
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

/// Which overlays apply.
#[derive(Clone, Debug, Default)]
pub(crate) enum Calibration {
    /// Those that the project ships, to devices that they were made on.
    #[default]
    Shipped,
    /// None.
    Off,
    /// One file to its device, the shipped ones to others.
    File(Box<Overlay>),
}

impl Calibration {
    /// Reads `none` or a file's name.
    pub(crate) fn read(text: Option<&str>) -> Result<Self> {
        Ok(match text {
            None => Self::Shipped,
            Some("none") => Self::Off,
            Some(file) => {
                Self::File(Box::new(Overlay::load_file(Path::new(file))?))
            }
        })
    }

    /// The overlay of a unit. A file's device is told by its facts.
    fn overlay(&self, on: &On) -> Option<Overlay> {
        match self {
            Self::Off => None,
            Self::File(own)
                if own.facts == facts_digest(&on.profile, on.unit) =>
            {
                Some((**own).clone())
            }
            Self::Shipped | Self::File(_) => overlay_for(&on.profile, on.unit),
        }
    }

    /// Refuses a file that applies to none of the units: its numbers were
    /// fitted to another profile, or to this one before a fact changed.
    pub(crate) fn check(&self, on: &[On]) -> Result<()> {
        let Self::File(own) = self else { return Ok(()) };
        let applies = |on: &On| own.facts == facts_digest(&on.profile, on.unit);
        if !on.iter().any(applies) {
            let names: Vec<String> = on.iter().map(On::key).collect();
            bail!(
                "--calibration: the overlay is of {}:{} (facts {}), and none \
                 of {} has those facts",
                own.profile,
                own.unit,
                own.facts,
                names.join(", ")
            );
        }
        Ok(())
    }
}

/// Predicts, remembering what it has traced and prepared.
#[derive(Default)]
pub(crate) struct Predictor {
    units: HashMap<String, On>,
    traces: registry::Traces,
    priced: HashMap<(String, Precision), Arc<Traced>>,
    targets: HashMap<(String, Precision), Arc<Target>>,
    engines: registry::Engines,
    calibration: Calibration,
}

impl Predictor {
    /// A predictor under other overlays than the shipped ones.
    pub(crate) fn with(calibration: Calibration) -> Self {
        Self { calibration, ..Self::default() }
    }

    /// Reads `NAME[:UNIT][@RUNTIME]`, a profile's file only once: a table has
    /// the same few in thousands of rows.
    pub(crate) fn unit(&mut self, text: &str) -> Result<On> {
        if let Some(known) = self.units.get(text) {
            return Ok(known.clone());
        }
        let on = On::read(text)?;
        self.units.insert(text.to_owned(), on.clone());
        Ok(on)
    }

    /// A case with axes filled in as the profile's defaults say; `model` is a
    /// file in place of its model.
    pub(crate) fn complete(
        &self,
        case: &Case,
        on: &On,
        model: Option<&Path>,
    ) -> Result<Case> {
        let precision = defaults::precision(&on.profile.name);
        registry::complete(case, model, precision)
    }

    /// The priced graph of a complete case.
    pub(crate) fn traced(
        &mut self,
        case: &Case,
        model: Option<&PathBuf>,
    ) -> Result<Arc<Traced>> {
        let precision = registry::precision(case)?;
        let file = model.map(|path| path.display().to_string());
        let key = (format!("{} {case}", file.unwrap_or_default()), precision);
        if let Some(known) = self.priced.get(&key) {
            return Ok(Arc::clone(known));
        }
        let graph = self.traces.get(case, model)?;
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
        let overlay = self.calibration.overlay(on);
        let target = Arc::new(Target::new(
            &on.profile,
            unit,
            precision,
            overlay.as_ref(),
        )?);
        self.targets.insert(key, Arc::clone(&target));
        Ok(target)
    }

    /// Predicts a case, given as typed, on a unit. Memory is the graph's, or
    /// the engine's where it is known.
    pub(crate) fn predict(
        &mut self,
        case: &Case,
        on: &On,
        runtime: Option<Runtime>,
        model: Option<&PathBuf>,
    ) -> Result<Prediction> {
        let case = self.complete(case, on, model.map(PathBuf::as_path))?;
        let runtime = runtime
            .or(on.runtime)
            .unwrap_or_else(|| defaults::runtime(&case, &on.profile, on.unit));
        let parts = registry::parts(&case, model.map(PathBuf::as_path))?;
        if !parts.is_empty() {
            return self.composed(&case, &parts, (on, runtime), model);
        }
        let traced = self.traced(&case, model)?;
        let target = self.target(on, traced.precision())?;
        let found = predict(&case, &traced, &target, runtime)?;
        if runtime != Runtime::LlamaCpp {
            return Ok(found);
        }
        Ok(match self.engines.llama_cpp(&case, on.unit, model)? {
            Some(parts) => with_engine_memory(found, parts, &target),
            None => found,
        })
    }

    /// Predicts a complete case as the sum of others, each so many times.
    fn composed(
        &mut self,
        case: &Case,
        parts: &[(f64, Case)],
        (on, runtime): (&On, Runtime),
        model: Option<&PathBuf>,
    ) -> Result<Prediction> {
        let parts = parts
            .iter()
            .map(|(count, part)| {
                // What ranks say to each other has no model.
                let own = model.filter(|_| part.workload == case.workload);
                let one = self
                    .predict(part, on, Some(runtime), own)
                    .with_context(|| format!("of which `{part}`"))?;
                Ok((*count, one))
            })
            .collect::<Result<Vec<_>>>()?;
        let beside = registry::held_beside(case, model.map(PathBuf::as_path))?;
        let size = on.profile.memory.size.as_ref();
        let room = size.map(|fact| fact.value.value());
        summed(case, &parts, beside, room)
            .ok_or_else(|| anyhow!("`{case}` has no parts"))
    }
}
