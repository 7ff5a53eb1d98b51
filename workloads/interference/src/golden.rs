//! Golden files: the right answers of tiny networks, made by PyTorch
//! (`goldens/README.md` lists the tensors).

use std::collections::BTreeMap;

use assay_kit::classification::{Classifier, Golden};
use assay_kit::{
    Checkpoint, KitError, Mode, Parameters, Training, compare, floats,
    gradient_values, load_published, merge, parameter_values, published_name,
};
use assay_measure::WorkloadError;
use assay_schema::{TextError, Verification};
use assay_trace::Tape;
use burn::tensor::{Device, Int, Tensor, TensorData};
use serde::Deserialize;

use crate::config::{Kind, sizes};
use crate::networks::Network;
use crate::{Config, InterferenceError};

/// The relative tolerance of an answer in `f32`.
const TOLERANCE: f64 = 1e-4;

struct Files {
    config: &'static str,
    weights: &'static [u8],
    golden: &'static [u8],
}

macro_rules! files {
    ($name:literal) => {
        Files {
            config: include_str!(concat!(
                "../goldens/",
                $name,
                "-tiny.config.toml"
            )),
            weights: include_bytes!(concat!(
                "../goldens/",
                $name,
                "-tiny.weights.safetensors"
            )),
            golden: include_bytes!(concat!(
                "../goldens/",
                $name,
                "-tiny.golden.safetensors"
            )),
        }
    };
}

/// The shape of a golden file's network.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tiny {
    network: Kind,
    length: usize,
    classes: usize,
    size: toml::Table,
}

fn files(model: &str) -> Files {
    match model {
        "schmidt-cnn" => files!("schmidt-cnn"),
        "resnet" => files!("resnet"),
        "cldnn" => files!("cldnn"),
        "lstm" => files!("lstm"),
        _ => files!("cnn"),
    }
}

/// The check of a network against its golden file.
pub fn check_of(model: &str) -> Golden {
    let model = model.to_owned();
    Box::new(move || of_model(&model).map_err(WorkloadError::from))
}

/// Runs the tiny network of a model against PyTorch's answers.
///
/// # Errors
/// The embedded files do not read: a bug of this crate.
pub fn of_model(model: &str) -> Result<Verification, InterferenceError> {
    let files = files(model);
    let name = |part: &str| format!("goldens/{model}-tiny.{part}");
    let text_error = |error: toml::de::Error| {
        let path = name("config.toml");
        TextError::new(&path, files.config, error.span(), error.message())
    };
    let tiny: Tiny = toml::from_str(files.config).map_err(text_error)?;
    let config = sizes(tiny.network, tiny.size).map_err(text_error)?;
    let (weights, golden) = (files.weights.to_vec(), files.golden.to_vec());
    check(
        &Shape { config, length: tiny.length, classes: tiny.classes },
        &Checkpoint::from_bytes(name("weights.safetensors"), weights)?,
        &Checkpoint::from_bytes(name("golden.safetensors"), golden)?,
        TOLERANCE,
    )
}

/// A network's sizes with those of its data.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Sizes.
    pub config: Config,
    /// Pairs an example.
    pub length: usize,
    /// Classes.
    pub classes: usize,
}

impl Shape {
    fn network(
        &self,
        weights: &Checkpoint,
        device: &Device,
    ) -> Result<Network, InterferenceError> {
        let mut shapes = Parameters::shapes(device);
        let (length, classes) = (self.length, self.classes);
        let model = Network::new(&mut shapes, &self.config, length, classes)?;
        Ok(load_published(model, weights)?)
    }
}

/// Runs a network on a golden file's inputs and compares every output that
/// the file has.
///
/// # Errors
/// A golden file without inputs or known outputs; weights that do not fit.
pub fn check(
    shape: &Shape,
    weights: &Checkpoint,
    golden: &Checkpoint,
    tolerance: f64,
) -> Result<Verification, InterferenceError> {
    let mut no_dropout = shape.clone();
    no_dropout.config = no_dropout.config.without_dropout();
    let make = |device: &Device| no_dropout.network(weights, device);
    check_classifier(make, golden, tolerance)
}

/// As [`check`], for any classifier: `make` makes it with its weights.
///
/// # Errors
/// A golden file without inputs or known outputs; what `make` says.
pub fn check_classifier<M: Classifier, E: From<KitError>>(
    make: impl Fn(&Device) -> Result<M, E>,
    golden: &Checkpoint,
    tolerance: f64,
) -> Result<Verification, E> {
    let names = golden.names()?;
    let samples = golden.floats("input.samples")?;
    let [b, l, _] = samples.shape[..] else {
        return Err(E::from(KitError::Shape {
            path: golden.path().to_owned(),
            name: "input.samples".to_owned(),
            found: samples.shape,
            expected: vec![0, 0, 2],
        }));
    };
    let input = |device: &Device| {
        let data = TensorData::new(samples.values.clone(), [b, l, 2]);
        Tensor::<3>::from_data(data, device)
    };
    let device = Device::flex();
    let mut parts = Vec::new();
    if names.iter().any(|name| name == "output.logits") {
        let right = golden.floats("output.logits")?;
        let logits =
            make(&device)?.logits(input(&device), &mut Mode::Inference);
        parts.push(compare(
            "scores",
            &floats(logits),
            &right.values,
            tolerance,
        ));
    }
    if names.iter().any(|name| name == "output.loss") {
        let device = device.autodiff();
        let model = make(&device)?;
        let (shape, targets) = golden.integers("input.targets")?;
        let targets = Tensor::<1, Int>::from_data(
            TensorData::new(targets, shape),
            &device,
        );
        let mut training = Training::new(1);
        let mode = &mut Mode::Training(&mut training);
        let logits = model.logits(input(&device), mode);
        let loss = assay_kernels::cross_entropy(logits, targets);
        let right = golden.floats("output.loss")?;
        let found = floats(assay_trace::inner(loss.clone()));
        parts.push(compare("loss", &found, &right.values, tolerance));
        let gradients: BTreeMap<String, Vec<f32>> =
            gradient_values(&model, Tape::of(loss))
                .into_iter()
                .map(|(ours, values)| (published_name(&ours), values))
                .collect();
        let mut checked = Vec::new();
        for name in &names {
            let Some(weight) = name.strip_prefix("output.grad.") else {
                continue;
            };
            let right = golden.floats(name)?.values;
            let found = gradients.get(weight).map_or(&[][..], Vec::as_slice);
            checked.push(compare(name.clone(), found, &right, tolerance));
        }
        let statistics = parameter_values(&training.observe(model));
        for name in &names {
            let Some(own) = name.strip_prefix("output.updated.") else {
                continue;
            };
            let right = golden.floats(name)?.values;
            let found = statistics.get(own).map_or(&[][..], Vec::as_slice);
            checked.push(compare(name.clone(), found, &right, tolerance));
        }
        let count = checked.len();
        parts.extend(merge(checked).map(|worst| Verification {
            against: format!("{count} gradients and statistics"),
            ..worst
        }));
    }
    let against = parts
        .iter()
        .map(|part| part.against.as_str())
        .collect::<Vec<_>>()
        .join(", ");
    let against = format!("golden {}: {against}", golden.path().display());
    merge(parts).map(|worst| Verification { against, ..worst }).ok_or_else(
        || {
            E::from(KitError::Missing {
                path: golden.path().to_owned(),
                names: vec!["output.logits or output.loss".to_owned()],
                nearest: names
                    .into_iter()
                    .find(|name| name.starts_with("output.")),
            })
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_network_equals_pytorch() {
        for model in crate::names() {
            let found = of_model(model).unwrap();
            assert!(found.passed(), "{model}: {found:?}");
        }
    }
}
