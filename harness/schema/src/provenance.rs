//! Where a number comes from. The three kinds are never averaged together.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a number came to be.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Provenance {
    /// Measured here, by this run.
    Measured,
    /// Computed from a trace and a hardware profile.
    Predicted,
    /// Taken from somebody's paper or table; the source stands beside it.
    Published,
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Measured => "measured",
            Self::Predicted => "predicted",
            Self::Published => "published",
        })
    }
}
