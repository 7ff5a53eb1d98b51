//! Sizes of the networks: `models/*.toml` for modulations, the first paper's
//! for channels.

use assay_interference::networks::ResNetConfig;
use assay_schema::TextError;
use serde::Deserialize;

use crate::SnrError;
use crate::networks::{McCldnnConfig, McCnnConfig};

/// The sizes of one network.
#[derive(Clone, Debug, PartialEq)]
pub enum Config {
    /// For modulations.
    McCnn(McCnnConfig),
    /// For modulations.
    McResNet(ResNetConfig),
    /// For modulations.
    McCldnn(McCldnnConfig),
    /// For channels.
    Ci(assay_interference::Config),
}

/// What a network tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Modulations: RadioML 2016.
    Modulations,
    /// Channels: the interference set.
    Channels,
}

/// Names of the networks, in the order in which they are listed.
pub const NAMES: [&str; 6] =
    ["mc-cnn", "mc-resnet", "mc-cldnn", "ci-cnn", "ci-resnet", "ci-cldnn"];

/// What a network of that name tells apart.
pub fn task(name: &str) -> Task {
    if name.starts_with("ci-") { Task::Channels } else { Task::Modulations }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "why")]
    _why: String,
    full: toml::Table,
    small: toml::Table,
    tiny: toml::Table,
}

/// The sizes of a network.
///
/// # Errors
/// No network of that name, or no such size: the nearest is given.
pub fn config(name: &str, size: &str) -> Result<Config, SnrError> {
    if let Some(first_papers) = name.strip_prefix("ci-")
        && NAMES.contains(&name)
    {
        let config = assay_interference::config(first_papers, size)?;
        return Ok(Config::Ci(config));
    }
    let text = match name {
        "mc-cnn" => include_str!("../models/mc-cnn.toml"),
        "mc-resnet" => include_str!("../models/mc-resnet.toml"),
        "mc-cldnn" => include_str!("../models/mc-cldnn.toml"),
        _ => return Err(unknown("network", name, &NAMES)),
    };
    let path = format!("models/{name}.toml");
    let file: File = toml::from_str(text).map_err(|error| {
        TextError::new(&path, text, error.span(), error.message())
    })?;
    let table = match size {
        "full" => file.full,
        "small" => file.small,
        "tiny" => file.tiny,
        _ => return Err(unknown("size", size, &assay_interference::SIZES)),
    };
    Ok(sizes(name, table).map_err(|error| {
        TextError::new(&path, text, None, &format!("[{size}]: {error}"))
    })?)
}

/// A table of sizes, read as what a network for modulations needs.
pub(crate) fn sizes(
    name: &str,
    table: toml::Table,
) -> Result<Config, toml::de::Error> {
    Ok(match name {
        "mc-cnn" => Config::McCnn(table.try_into()?),
        "mc-cldnn" => Config::McCldnn(table.try_into()?),
        _ => Config::McResNet(table.try_into()?),
    })
}

fn unknown(what: &'static str, found: &str, valid: &[&str]) -> SnrError {
    let nearest = assay_schema::nearest(found, valid.iter().copied());
    SnrError::Unknown {
        what,
        found: found.to_owned(),
        nearest: nearest.unwrap_or_default().to_owned(),
    }
}

impl Config {
    /// Adam's step size.
    pub fn learning_rate(&self) -> f64 {
        match self {
            Self::McCnn(c) => c.learning_rate,
            Self::McResNet(c) => c.learning_rate,
            Self::McCldnn(c) => c.learning_rate,
            Self::Ci(c) => c.learning_rate(),
        }
    }

    /// The network without dropout, as golden files have it.
    #[must_use]
    pub(crate) fn without_dropout(mut self) -> Self {
        match &mut self {
            Self::McCnn(c) => c.dropout = 0.0,
            Self::McResNet(c) => c.dropout = 0.0,
            Self::McCldnn(c) => c.dropout = 0.0,
            Self::Ci(c) => *c = c.clone().without_dropout(),
        }
        self
    }

    /// The network with another number of stacks, if it has any; its dropout
    /// stays (the authors' script for five has 0.1).
    #[must_use]
    pub fn with_stacks(mut self, stacks: usize) -> Self {
        if let Self::McResNet(c) = &mut self {
            c.stacks = stacks;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_of_every_network_reads() {
        for name in NAMES {
            for size in assay_interference::SIZES {
                assert!(config(name, size).unwrap().learning_rate() > 0.0);
            }
        }
    }

    #[test]
    fn an_unknown_network_gets_the_nearest() {
        let error = config("mc-cldn", "full").unwrap_err();
        assert!(error.to_string().contains("nearest valid: `mc-cldnn`"));
        assert!(config("ci-lstm", "full").is_err());
    }
}
