//! Records of studies, gathered so that like is compared with like.

use std::collections::BTreeMap;

use assay_schema::{ClaimData, Record};

use super::measure::Measure;

/// What the claims vary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Setting<'a> {
    /// The network.
    pub(super) model: &'a str,
    /// Axis `band_mhz`.
    pub(super) band: &'a str,
    /// Axis `representation`.
    pub(super) representation: &'a str,
    /// Axis `select`.
    pub(super) select: &'a str,
    /// Axis `keep`.
    pub(super) keep: &'a str,
    /// Axis `train_snr_db`.
    pub(super) train_snr: &'a str,
}

/// The axes of a [`Setting`].
const VARIED: [&str; 5] =
    ["band_mhz", "representation", "select", "keep", "train_snr_db"];

/// The axis that repeats a setting.
const SEED: &str = "seed";

/// The paper's CNN on the whole band, all samples and all SNRs.
pub(super) const CNN: Setting<'static> = Setting {
    model: "cnn",
    band: "10",
    representation: "fft",
    select: "none",
    keep: "1",
    train_snr: "all",
};

impl<'a> Setting<'a> {
    /// The setting of a record; an axis that it does not name has the
    /// workload's default.
    fn of(record: &'a Record) -> Self {
        let axis = |name, default| record.case.axis(name).unwrap_or(default);
        Self {
            model: &record.case.model,
            band: axis("band_mhz", CNN.band),
            representation: axis("representation", CNN.representation),
            select: axis("select", CNN.select),
            keep: axis("keep", CNN.keep),
            train_snr: axis("train_snr_db", CNN.train_snr),
        }
    }
}

/// What must be equal among runs that are compared.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Conditions<'a> {
    real: bool,
    device: &'a str,
    axes: BTreeMap<&'a str, &'a str>,
}

impl<'a> Conditions<'a> {
    fn of(record: &'a Record) -> Self {
        let real = record.metric("quality/real_data");
        Self {
            real: real.is_some_and(|value| value > 0.5),
            device: &record.device,
            axes: record
                .case
                .axes
                .iter()
                .map(|(axis, value)| (axis.as_str(), value.as_str()))
                .filter(|(axis, _)| *axis != SEED && !VARIED.contains(axis))
                .collect(),
        }
    }
}

impl Conditions<'_> {
    /// For a reader of an estimate: the paper's times are of other networks,
    /// data and machines.
    fn words(&self) -> String {
        let axis =
            |name, default| self.axes.get(name).copied().unwrap_or(default);
        format!(
            "{} networks, {} a cell, batch {}, on {}",
            axis("size", "small"),
            axis("per_cell", "715"),
            axis("batch", "256"),
            self.device,
        )
    }
}

/// Runs that may be compared: a setting, a seed, a record.
#[derive(Default)]
pub(super) struct Runs<'a> {
    real: bool,
    conditions: String,
    records: BTreeMap<Setting<'a>, BTreeMap<u64, &'a Record>>,
}

/// Sound studies in groups; of a case that was run twice, the later run.
pub(super) fn groups(records: &[Record]) -> Vec<Runs<'_>> {
    let mut groups: BTreeMap<Conditions<'_>, Runs<'_>> = BTreeMap::new();
    for record in records {
        let case = &record.case;
        let is_study = case.workload == "interference"
            && case.phase.as_deref() == Some("study");
        let Ok(seed) = case.axis(SEED).unwrap_or("1").parse::<u64>() else {
            continue;
        };
        if !is_study || !record.is_sound() {
            continue;
        }
        let conditions = Conditions::of(record);
        let (real, words) = (conditions.real, conditions.words());
        let runs = groups.entry(conditions).or_default();
        (runs.real, runs.conditions) = (real, words);
        let seeds = runs.records.entry(Setting::of(record)).or_default();
        let met = seeds.entry(seed).or_insert(record);
        if met.started < record.started {
            *met = record;
        }
    }
    groups.into_values().collect()
}

impl Runs<'_> {
    /// What is equal among them, in words.
    pub(super) fn conditions(&self) -> &str {
        &self.conditions
    }

    /// The kind of the data that all of them used.
    pub(super) fn data(&self) -> ClaimData {
        if self.real { ClaimData::Real } else { ClaimData::Generated }
    }

    /// What was measured in a setting, by seed.
    pub(super) fn values(
        &self,
        setting: Setting<'_>,
        measure: Measure,
    ) -> BTreeMap<u64, f64> {
        self.records
            .iter()
            .filter(|(own, _)| **own == setting)
            .flat_map(|(_, seeds)| seeds)
            .filter_map(|(seed, record)| Some((*seed, measure.of(record)?)))
            .collect()
    }

    /// The settings that are like this one but for a single training SNR,
    /// each with that SNR in dB.
    pub(super) fn single_snrs(
        &self,
        like: Setting<'static>,
    ) -> Vec<(f64, Setting<'_>)> {
        self.records
            .keys()
            .filter(|own| Setting { train_snr: own.train_snr, ..like } == **own)
            .filter_map(|own| Some((own.train_snr.parse::<f64>().ok()?, *own)))
            .collect()
    }
}
