//! Sizes of the networks, read from `models/*.toml`.

use assay_schema::TextError;
use serde::Deserialize;

use crate::InterferenceError;
use crate::networks::{CldnnConfig, CnnConfig, LstmConfig, ResNetConfig};

/// The sizes of one network.
#[derive(Clone, Debug, PartialEq)]
pub enum Config {
    /// Two convolutions, two dense layers.
    Cnn(CnnConfig),
    /// Residual stacks.
    ResNet(ResNetConfig),
    /// Convolutions and an LSTM.
    Cldnn(CldnnConfig),
    /// Two LSTM layers.
    Lstm(LstmConfig),
}

/// Which kind of network a file describes.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Cnn,
    Resnet,
    Cldnn,
    Lstm,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    network: Kind,
    #[serde(rename = "why")]
    _why: String,
    full: toml::Table,
    small: toml::Table,
    tiny: toml::Table,
}

/// Names of the sizes: the paper's own, one for a study on 2 cores, one for
/// tests.
pub const SIZES: [&str; 3] = ["small", "full", "tiny"];

const FILES: [(&str, &str); 5] = [
    ("cnn", include_str!("../models/cnn.toml")),
    ("schmidt-cnn", include_str!("../models/schmidt-cnn.toml")),
    ("resnet", include_str!("../models/resnet.toml")),
    ("cldnn", include_str!("../models/cldnn.toml")),
    ("lstm", include_str!("../models/lstm.toml")),
];

/// Names of the networks, in the order in which they are listed.
pub fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}

/// The sizes of a network.
///
/// # Errors
/// No network of that name, or no such size: the nearest is given.
pub fn config(name: &str, size: &str) -> Result<Config, InterferenceError> {
    let unknown =
        |what, found: &str, nearest: Option<&str>| InterferenceError::Unknown {
            what,
            found: found.to_owned(),
            nearest: nearest.unwrap_or_default().to_owned(),
        };
    let text = FILES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, text)| *text)
        .ok_or_else(|| {
            let nearest = assay_schema::nearest(name, names());
            unknown("network", name, nearest)
        })?;
    let path = format!("models/{name}.toml");
    let file: File = toml::from_str(text).map_err(|error| {
        TextError::new(&path, text, error.span(), error.message())
    })?;
    let table = match size {
        "full" => file.full,
        "small" => file.small,
        "tiny" => file.tiny,
        _ => {
            let nearest = assay_schema::nearest(size, SIZES);
            return Err(unknown("size", size, nearest));
        }
    };
    Ok(sizes(file.network, table).map_err(|error| {
        TextError::new(&path, text, None, &format!("[{size}]: {error}"))
    })?)
}

/// A table of sizes, read as what a kind of network needs.
pub(crate) fn sizes(
    kind: Kind,
    table: toml::Table,
) -> Result<Config, toml::de::Error> {
    Ok(match kind {
        Kind::Cnn => Config::Cnn(table.try_into()?),
        Kind::Resnet => Config::ResNet(table.try_into()?),
        Kind::Cldnn => Config::Cldnn(table.try_into()?),
        Kind::Lstm => Config::Lstm(table.try_into()?),
    })
}

impl Config {
    /// Adam's step size.
    pub fn learning_rate(&self) -> f64 {
        match self {
            Self::Cnn(c) => c.learning_rate,
            Self::ResNet(c) => c.learning_rate,
            Self::Cldnn(c) => c.learning_rate,
            Self::Lstm(c) => c.learning_rate,
        }
    }

    /// Least length of an example.
    pub fn shortest(&self) -> usize {
        match self {
            Self::Cnn(_) | Self::Cldnn(_) => 5,
            Self::ResNet(c) => 1 << c.stacks,
            Self::Lstm(_) => 1,
        }
    }

    /// The network without dropout, as golden files have it.
    #[must_use]
    pub fn without_dropout(mut self) -> Self {
        match &mut self {
            Self::Cnn(c) => c.dropout = [0.0; 3],
            Self::ResNet(c) => c.dropout = 0.0,
            Self::Cldnn(c) => c.dropout = 0.0,
            Self::Lstm(_) => {}
        }
        self
    }

    /// The network with dropout after the first convolution, as the paper has
    /// it on narrow bands; networks without one are left as they are.
    #[must_use]
    pub fn with_first_dropout(mut self) -> Self {
        if let Self::Cnn(c) = &mut self {
            c.dropout[0] = c.dropout[1];
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_of_every_network_reads() {
        for name in names() {
            for size in SIZES {
                let config = config(name, size).unwrap();
                assert!(config.learning_rate() > 0.0);
                assert!(config.shortest() <= 128);
            }
        }
    }

    #[test]
    fn an_unknown_name_gets_the_nearest() {
        let error = config("cldn", "full").unwrap_err();
        assert!(error.to_string().contains("nearest valid: `cldnn`"));
        let error = config("cnn", "smal").unwrap_err();
        assert!(error.to_string().contains("`small`"));
    }
}
