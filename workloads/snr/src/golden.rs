//! Golden files of the networks for modulations, made by PyTorch
//! (`goldens/README.md` lists the tensors); those for channels are the first
//! paper's.

use assay_interference::golden::check_classifier;
use assay_kit::classification::Golden;
use assay_kit::{Checkpoint, Parameters, load_published};
use assay_measure::WorkloadError;
use assay_schema::{TextError, Verification};
use burn::tensor::Device;
use serde::Deserialize;

use crate::config::sizes;
use crate::networks::Network;
use crate::{Config, SnrError};

/// The relative tolerance of an answer in `f32`.
const TOLERANCE: f64 = 1e-4;

/// The shape of a golden file's network.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tiny {
    network: String,
    length: usize,
    classes: usize,
    size: toml::Table,
}

macro_rules! files {
    ($name:literal) => {
        (
            include_str!(concat!("../goldens/", $name, "-tiny.config.toml")),
            &include_bytes!(concat!(
                "../goldens/",
                $name,
                "-tiny.weights.safetensors"
            ))[..],
            &include_bytes!(concat!(
                "../goldens/",
                $name,
                "-tiny.golden.safetensors"
            ))[..],
        )
    };
}

/// The check of a network against its golden file.
pub(crate) fn check_of(model: &str) -> Golden {
    if let Some(first_papers) = model.strip_prefix("ci-") {
        return assay_interference::golden::check_of(first_papers);
    }
    let model = model.to_owned();
    Box::new(move || of_model(&model).map_err(WorkloadError::from))
}

/// Runs the tiny network of a model against PyTorch's answers.
///
/// # Errors
/// The embedded files do not read: a bug of this crate.
pub fn of_model(model: &str) -> Result<Verification, SnrError> {
    let (text, weights, golden) = match model {
        "mc-resnet" => files!("mc-resnet"),
        "mc-resnet-5" => files!("mc-resnet-5"),
        "mc-cldnn" => files!("mc-cldnn"),
        _ => files!("mc-cnn"),
    };
    let name = |part: &str| format!("goldens/{model}-tiny.{part}");
    let text_error = |error: toml::de::Error| {
        let path = name("config.toml");
        TextError::new(&path, text, error.span(), error.message())
    };
    let tiny: Tiny = toml::from_str(text).map_err(text_error)?;
    let config = sizes(&tiny.network, tiny.size).map_err(text_error)?;
    let (weights, golden) = (weights.to_vec(), golden.to_vec());
    check(
        &config,
        [tiny.length, tiny.classes],
        &Checkpoint::from_bytes(name("weights.safetensors"), weights)?,
        &Checkpoint::from_bytes(name("golden.safetensors"), golden)?,
        TOLERANCE,
    )
}

/// Runs a network on a golden file's inputs and compares every output that
/// the file has. `shape` is samples an example, and classes.
///
/// # Errors
/// A golden file without inputs or known outputs; weights that do not fit.
pub fn check(
    config: &Config,
    [length, classes]: [usize; 2],
    weights: &Checkpoint,
    golden: &Checkpoint,
    tolerance: f64,
) -> Result<Verification, SnrError> {
    let config = config.clone().without_dropout();
    let make = |device: &Device| {
        let mut shapes = Parameters::shapes(device);
        let model = Network::new(&mut shapes, &config, length, classes)?;
        Ok::<_, SnrError>(load_published(model, weights)?)
    };
    check_classifier(make, golden, tolerance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_network_equals_pytorch() {
        for model in ["mc-cnn", "mc-resnet", "mc-resnet-5", "mc-cldnn"] {
            let found = of_model(model).unwrap();
            assert!(found.passed(), "{model}: {found:?}");
        }
    }
}
