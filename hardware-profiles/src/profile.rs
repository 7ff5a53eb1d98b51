//! A machine: its name, its memory, its units. The order of fields is the
//! order in the file.

use std::collections::BTreeMap;

use assay_schema::{Bytes, BytesPerSecond, ProfileSummary, Provenance, Watts};
use serde::{Deserialize, Serialize};

use crate::{
    Bits, BitsPerSecond, Fact, Peaks, ProfileError, Trust, Unit, UnitName, Year,
};

/// The format that this build writes. A reader takes every version up to its
/// own and refuses a newer one by name.
pub const FORMAT_VERSION: u32 = 1;

/// A machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HardwareProfile {
    /// [`FORMAT_VERSION`] of the writer.
    pub format_version: u32,
    /// E.g. `nvidia-a100-sxm4-80gb`; the file's stem.
    pub name: String,
    /// Full name of the machine.
    pub title: String,
    /// Who makes it.
    pub vendor: String,
    /// E.g. `datacenter GPU`.
    pub class: String,
    /// What the matrix peaks count.
    pub peaks: Density,
    /// The unit that is meant when none is named.
    pub default_unit: UnitName,
    /// What else must be known to read the numbers.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
    /// When it came out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub year: Option<Fact<Year>>,
    /// Thermal design power of the whole card, socket or chip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tdp: Option<Fact<Watts>>,
    /// Main memory, shared by all units.
    pub memory: Memory,
    /// Contradictions that have a reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub explained: Vec<Explained>,
    /// Units by name.
    #[serde(rename = "unit")]
    pub units: BTreeMap<UnitName, Unit>,
}

/// What peaks count. Only one answer is lawful; it is written out so that
/// nobody has to guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Density {
    /// Every operation is done. Vendors' "with sparsity" figures are halved
    /// before they are written here.
    Dense,
}

/// Main memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// E.g. `HBM2e`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub technology: Option<String>,
    /// Read bandwidth.
    pub bandwidth: Fact<BytesPerSecond>,
    /// Size; of what can be plugged in, the note says the range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Fact<Bytes>>,
    /// Data lines of the bus, all channels and stacks together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bus_width: Option<Fact<Bits>>,
    /// What one data line carries. With `bus_width` it gives the bandwidth a
    /// second time, for [`crate::check`] to compare; no prediction reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin_rate: Option<Fact<BitsPerSecond>>,
}

/// A contradiction that has a reason: `check` then reports it as a note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explained {
    /// Rule of the finding.
    pub rule: String,
    /// One of the finding's keys.
    pub key: String,
    /// Why both numbers stand.
    pub why: String,
}

impl HardwareProfile {
    /// A unit by name, or the default one.
    ///
    /// # Errors
    /// [`ProfileError::UnknownUnit`] names the units that there are.
    pub fn unit(
        &self,
        name: Option<&str>,
    ) -> Result<(UnitName, &Unit), ProfileError> {
        let wanted = name.unwrap_or(self.default_unit.name());
        let found = self.units.iter().find(|(unit, _)| unit.name() == wanted);
        found.map(|(name, unit)| (*name, unit)).ok_or_else(|| {
            let names: Vec<&str> =
                self.units.keys().map(|unit| unit.name()).collect();
            let nearest = assay_schema::nearest(wanted, names.iter().copied());
            ProfileError::UnknownUnit {
                profile: self.name.clone(),
                found: wanted.to_owned(),
                nearest: nearest.unwrap_or_default().to_owned(),
                valid: names.join(", "),
            }
        })
    }

    /// Whether the profile was measured on the machine itself, by `probe`.
    pub fn is_probed(&self) -> bool {
        self.memory.bandwidth.trust == Trust::Measured
    }

    /// What a report draws of a unit: for each format the faster of matrix
    /// and vector peak.
    ///
    /// # Errors
    /// As [`HardwareProfile::unit`].
    pub fn summary(
        &self,
        unit: Option<&str>,
    ) -> Result<ProfileSummary, ProfileError> {
        let (name, unit) = self.unit(unit)?;
        let peaks = Peaks::PRECISIONS
            .into_iter()
            .filter_map(|p| Some((p.to_string(), unit.peak(p)?.value)))
            .collect();
        Ok(ProfileSummary {
            profile: self.name.clone(),
            unit: name.to_string(),
            title: self.title.clone(),
            peaks,
            memory_bandwidth: self.memory.bandwidth.value,
            memory_bytes: self.memory.size.as_ref().map(|size| size.value),
            provenance: if self.is_probed() {
                Provenance::Measured
            } else {
                Provenance::Published
            },
        })
    }
}
