//! Peak rates of a unit by number format.

use assay_schema::{FlopsPerSecond, Precision};
use serde::{Deserialize, Serialize};

use crate::Fact;

/// Peak rates by number format.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each name is the field's own term")]
pub struct Peaks {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub f64: Option<Fact<FlopsPerSecond>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub f32: Option<Fact<FlopsPerSecond>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tf32: Option<Fact<FlopsPerSecond>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub f16: Option<Fact<FlopsPerSecond>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bf16: Option<Fact<FlopsPerSecond>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fp8: Option<Fact<FlopsPerSecond>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub int8: Option<Fact<FlopsPerSecond>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub int4: Option<Fact<FlopsPerSecond>>,
}

impl Peaks {
    /// The formats that a unit can have a peak of; block formats compute in
    /// one of these.
    pub const PRECISIONS: [Precision; 8] = [
        Precision::F64,
        Precision::F32,
        Precision::Tf32,
        Precision::F16,
        Precision::Bf16,
        Precision::Fp8,
        Precision::Int8,
        Precision::Int4,
    ];

    fn slot(
        &mut self,
        precision: Precision,
    ) -> Option<&mut Option<Fact<FlopsPerSecond>>> {
        match precision {
            Precision::F64 => Some(&mut self.f64),
            Precision::F32 => Some(&mut self.f32),
            Precision::Tf32 => Some(&mut self.tf32),
            Precision::F16 => Some(&mut self.f16),
            Precision::Bf16 => Some(&mut self.bf16),
            Precision::Fp8 => Some(&mut self.fp8),
            Precision::Int8 => Some(&mut self.int8),
            Precision::Int4 => Some(&mut self.int4),
            _ => None,
        }
    }

    /// The peak of a format; none of a block format.
    pub fn get(&self, precision: Precision) -> Option<&Fact<FlopsPerSecond>> {
        match precision {
            Precision::F64 => self.f64.as_ref(),
            Precision::F32 => self.f32.as_ref(),
            Precision::Tf32 => self.tf32.as_ref(),
            Precision::F16 => self.f16.as_ref(),
            Precision::Bf16 => self.bf16.as_ref(),
            Precision::Fp8 => self.fp8.as_ref(),
            Precision::Int8 => self.int8.as_ref(),
            Precision::Int4 => self.int4.as_ref(),
            _ => None,
        }
    }

    /// Sets the peak of a format; a block format has none, and nothing
    /// happens.
    pub fn set(&mut self, precision: Precision, peak: Fact<FlopsPerSecond>) {
        if let Some(slot) = self.slot(precision) {
            *slot = Some(peak);
        }
    }

    /// Formats that have a peak, widest first.
    pub fn iter(
        &self,
    ) -> impl Iterator<Item = (Precision, &Fact<FlopsPerSecond>)> {
        Self::PRECISIONS
            .into_iter()
            .filter_map(|p| self.get(p).map(|peak| (p, peak)))
    }

    /// Whether no format has a peak.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}
