//! Metrics: a named quantity with a unit and a direction, and a reading that
//! is either a value or the reason why there is none. Never a silent zero.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Which way is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// Smaller is better (time, memory, energy, loss).
    Lower,
    /// Larger is better (accuracy, tokens a second).
    Higher,
    /// Neither (a clock frequency): shown, never judged.
    Neither,
}

/// What a meter said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reading {
    /// A value in the metric's unit; NaN is a finding and is kept.
    Value(#[serde(with = "crate::number")] f64),
    /// No value on this machine, and why.
    Unavailable(String),
}

/// A named quantity beside time: `memory_peak`, `instructions`,
/// `quality/loss`, ...
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// The contract's name.
    pub name: String,
    /// Unit symbol: `B`, `J`, `Hz`, `1` for a bare count or ratio.
    pub unit: String,
    /// Which way is good.
    pub better: Better,
    /// Where on the metric's own axes it was taken: `snr_db` to `-10` for an
    /// accuracy at one signal-to-noise ratio. Empty for most.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub at: BTreeMap<String, String>,
    /// The value, or why there is none.
    pub reading: Reading,
}

impl Metric {
    /// A metric with a value.
    pub fn value(
        name: impl Into<String>,
        unit: impl Into<String>,
        better: Better,
        value: f64,
    ) -> Self {
        Self {
            name: name.into(),
            unit: unit.into(),
            better,
            at: BTreeMap::new(),
            reading: Reading::Value(value),
        }
    }

    /// A metric that cannot be had here, with the reason.
    pub fn unavailable(
        name: impl Into<String>,
        unit: impl Into<String>,
        better: Better,
        why: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            unit: unit.into(),
            better,
            at: BTreeMap::new(),
            reading: Reading::Unavailable(why.into()),
        }
    }
    /// The same metric, at a place on its own axes.
    #[must_use]
    pub fn at<K: Into<String>, V: ToString>(
        mut self,
        places: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.at = places
            .into_iter()
            .map(|(axis, value)| (axis.into(), value.to_string()))
            .collect();
        self
    }
}
