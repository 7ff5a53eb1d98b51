//! Readings: times, sizes and shares of models, all of one kind of data, and
//! how two of them are compared.
//!
//! What is published, predicted and measured never meets: each kind is a
//! [`Readings`] of its own, and a statistic is computed of one of them.

use std::collections::{BTreeMap, BTreeSet};

use assay_schema::{ClaimData, Estimate};
use assay_statistics::ratio_estimate;

use crate::Phase;

/// The board of the survey's Figure 7, its GPU.
pub(super) const JETSON: &str = "nvidia-jetson-orin-nx-16gb";
/// The SoC of the Meizu 18 Pro, its CPU.
pub(super) const MEIZU: &str = "snapdragon-888";
/// The SoC of the Pixel 7 Pro, its CPU.
pub(super) const PIXEL: &str = "google-tensor-g2";
/// The SoC of the Xiaomi 12S, its CPU.
pub(super) const XIAOMI: &str = "snapdragon-8-gen-1";

/// The weights' format of the survey, where it says nothing else.
pub(super) const FORMAT: &str = "q4_k_m";

/// Models to whose times the board's overlay was fitted, both phases
/// (`hardware-profiles/measurements/survey-fit.csv`, which a test reads).
pub(super) const FITTED: [&str; 6] = [
    "bloom-1b1",
    "pythia-1.4b",
    "pythia-2.8b",
    "qwen1.5-0.5b",
    "smollm-1.7b",
    "smollm-135m",
];

/// Tokens within which two contexts have about the same memory.
pub(super) const NEAR: u32 = 128;

/// The model of tests, none of the survey's.
pub(super) const TEST_MODEL: &str = "tiny";

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantity {
    /// Seconds of the phase; of a published decode, seconds a token.
    Time,
    /// Learned values. As published: as llama.cpp counts them.
    Parameters,
    /// Memory at its peak, MiB.
    Memory,
    /// The engine's compute buffer, MiB.
    ComputeBuffer,
    /// Keys and values, MiB.
    KvCache,
    /// Share of the time in products with the weights, percent.
    Products,
    /// Share of attention, percent.
    Attention,
    /// Share of the feed-forward network, percent.
    FeedForward,
}

/// One number of one model.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) model: String,
    pub(super) phase: Phase,
    /// Format of the weights; empty where none was named.
    pub(super) precision: String,
    /// Tokens of the prompt, in the cache, or generated; 0 where the number
    /// does not depend on them.
    pub(super) length: u32,
    /// The profile.
    pub(super) machine: String,
    pub(super) quantity: Quantity,
    pub(super) value: Estimate,
}

/// Where a number is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    pub(super) model: &'static str,
    pub(super) phase: Phase,
    pub(super) quantity: Quantity,
    /// A profile; what was measured, on whatever device, stands for any.
    pub(super) machine: &'static str,
    /// The length that is preferred.
    pub(super) near: u32,
}

/// Readings of one kind of data.
#[derive(Clone, Debug)]
pub(super) struct Readings {
    pub(super) data: ClaimData,
    pub(super) all: Vec<Reading>,
}

impl Readings {
    /// Whether it was measured here: then no machine is asked for.
    pub(super) fn is_own(&self) -> bool {
        match self.data {
            ClaimData::Generated | ClaimData::Real => true,
            ClaimData::Published | ClaimData::Predicted => false,
        }
    }

    /// Readings of a model, a phase and a quantity, the preferred first: the
    /// survey's format, then the nearest length, then the first given. Of
    /// memory only those at about that length: at a short context there is no
    /// cache to speak of.
    pub(super) fn at(&self, spot: &Spot) -> Vec<&Reading> {
        let mut found: Vec<&Reading> = self
            .all
            .iter()
            .filter(|one| {
                one.model == spot.model
                    && one.phase == spot.phase
                    && one.quantity == spot.quantity
                    && (self.is_own() || one.machine == spot.machine)
                    && (one.quantity != Quantity::Memory
                        || one.length.abs_diff(spot.near) <= NEAR)
            })
            .collect();
        found.sort_by_key(|one| {
            (one.precision != FORMAT, one.length.abs_diff(spot.near))
        });
        found
    }

    /// Two readings in one format; measured ones of one device too. Of one
    /// phase they have one length, or lengths that differ by one: the survey's
    /// figures end at 49 or 50.
    pub(super) fn pair(
        &self,
        of: &Spot,
        other: &Spot,
    ) -> Option<(&Reading, &Reading)> {
        let others = self.at(other);
        let is_alike = |a: &Reading, b: &Reading| {
            a.precision == b.precision
                && (!self.is_own() || a.machine == b.machine)
                && (a.phase != b.phase || a.length.abs_diff(b.length) <= 1)
        };
        self.at(of).into_iter().find_map(|a| {
            others
                .iter()
                .copied()
                .filter(|b| is_alike(a, b))
                .min_by_key(|b| a.length.abs_diff(b.length))
                .map(|b| (a, b))
        })
    }

    /// One reading over another. Published numbers bring their rounding, each
    /// end against each. Predictions of one machine come from one model of it,
    /// so that their errors share their sign: half of one band, on a
    /// logarithmic scale. Those of two machines have an error each, and
    /// measurements are independent: both intervals count.
    pub(super) fn over(
        &self,
        numerator: &Reading,
        denominator: &Reading,
    ) -> Option<Estimate> {
        let (a, b) = (&numerator.value, &denominator.value);
        let is_one_machine = numerator.machine == denominator.machine;
        let point = a.point / b.point;
        let ratio = match self.data {
            ClaimData::Published => Estimate {
                point,
                low: a.low / b.high,
                high: a.high / b.low,
                ..a.clone()
            },
            ClaimData::Predicted if is_one_machine => Estimate {
                point,
                low: point * (a.low / a.point).sqrt(),
                high: point * (a.high / a.point).sqrt(),
                method: format!("ratio, half of the band; {}", a.method),
                ..a.clone()
            },
            ClaimData::Predicted | ClaimData::Generated | ClaimData::Real => {
                ratio_estimate(a, b).ok()?
            }
        };
        ratio.point.is_finite().then_some(ratio)
    }

    /// A time by length, in one format on one machine. Of a length that was
    /// read twice the first counts; of published ones the last, since a study
    /// of lengths stands behind the figure of models.
    pub(super) fn curve(
        &self,
        model: &str,
        phase: Phase,
        precision: &str,
        machine: &str,
    ) -> BTreeMap<u32, &Reading> {
        let mut curve = BTreeMap::new();
        for one in &self.all {
            if one.model == model
                && one.phase == phase
                && one.quantity == Quantity::Time
                && one.precision == precision
                && one.machine == machine
            {
                if self.data == ClaimData::Published {
                    curve.insert(one.length, one);
                } else {
                    curve.entry(one.length).or_insert(one);
                }
            }
        }
        curve
    }

    /// The models that have readings.
    pub(super) fn models(&self) -> BTreeSet<&str> {
        self.all.iter().map(|one| one.model.as_str()).collect()
    }
}

/// A number without an interval of its own.
pub(super) fn exact(point: f64, method: &str) -> Estimate {
    Estimate {
        point,
        low: point,
        high: point,
        confidence: 1.0,
        n: 1,
        method: method.to_owned(),
    }
}
