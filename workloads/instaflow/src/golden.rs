//! Golden files: right answers of the tiny networks by `diffusers` and
//! `transformers` on PyTorch (`goldens/README.md` lists the tensors).
//!
//! Files have pictures and latents as published, `[B, C, H, W]`; here they
//! are `[B, H, W, C]`. A user's own file needs inputs and any of the outputs;
//! gradients are compared where it has `output.loss`.

use assay_kit::{
    Checkpoint, KitError, Parameters, compare, floats, gradient_values, merge,
    parameter_shapes,
};
use assay_schema::Verification;
use assay_trace::{Tape, inner};
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::InstaFlowError;
use crate::config::{self, Architecture};
use crate::text::TextEncoder;
use crate::unet::Velocity;
use crate::vae::{Decoder, Vae};
use crate::weights::{
    load_decoder, load_text, load_unet, load_vae, published_name,
};

/// How a golden file names a gradient.
const GRADIENT: &str = "output.grad.";

/// The relative tolerance of an answer in `f32`.
const TOLERANCE: f64 = 1e-4;

/// Name and bytes of a file of this crate.
type File = (&'static str, &'static [u8]);

macro_rules! file {
    ($name:expr) => {
        (
            concat!("goldens/", $name),
            &include_bytes!(concat!("../goldens/", $name))[..],
        )
    };
}

macro_rules! files {
    ($name:literal) => {
        [
            file!(concat!($name, ".weights.safetensors")),
            file!(concat!($name, ".golden.safetensors")),
        ]
    };
}

/// The tiny U-Net against its golden file, forward and backward.
///
/// # Errors
/// The embedded files do not read: a bug of this crate.
pub fn of_unet() -> Result<Verification, InstaFlowError> {
    embedded("tiny-unet", files!("unet-tiny"))
}

/// Two tiny U-Nets in series against their golden file, forward and backward.
///
/// # Errors
/// As [`of_unet`].
pub fn of_stacked() -> Result<Verification, InstaFlowError> {
    embedded("tiny-stacked-unet", files!("stacked-tiny"))
}

/// The tiny VAE against its golden file, both ways, forward and backward.
///
/// # Errors
/// As [`of_unet`].
pub fn of_vae() -> Result<Verification, InstaFlowError> {
    embedded("tiny-vae", files!("vae-tiny"))
}

/// The tiny text encoder against its golden file, forward and backward.
///
/// # Errors
/// As [`of_unet`].
pub fn of_text() -> Result<Verification, InstaFlowError> {
    embedded("tiny-text", files!("text-tiny"))
}

fn embedded(
    network: &str,
    files: [File; 2],
) -> Result<Verification, InstaFlowError> {
    let [weights, golden] =
        files.map(|(name, bytes)| Checkpoint::from_bytes(name, bytes.to_vec()));
    let architecture = config::architecture(network)?;
    check(&architecture, &weights?, &golden?, TOLERANCE)
}

/// Anyone's weights, by published names, against anyone's golden file of the
/// same network.
///
/// # Errors
/// A file without the inputs, or without any known output; weights that do
/// not fit the architecture.
pub fn check(
    architecture: &Architecture,
    weights: &Checkpoint,
    golden: &Checkpoint,
    tolerance: f64,
) -> Result<Verification, InstaFlowError> {
    let names = golden.names()?;
    let mut checked = Checked { golden, names, tolerance, parts: Vec::new() };
    let flex = Device::flex();
    // Kernels have other ways where gradients are wanted.
    run(architecture, weights, &flex, &mut checked)?;
    if checked.has("output.loss") {
        run(architecture, weights, &flex.autodiff(), &mut checked)?;
    }
    let (count, name) = (checked.parts.len(), golden.path().display());
    let against = format!("golden {name}: {count} comparisons");
    let worst = merge(checked.parts);
    worst.map(|worst| Verification { against, ..worst }).ok_or_else(|| {
        let known = "output.velocity, output.pictures, output.mean or \
                     output.text";
        let names = vec![known.to_owned()];
        let path = golden.path().to_owned();
        KitError::Missing { path, names, nearest: None }.into()
    })
}

/// Runs the network on the file's inputs: on a device with autodiff backward
/// too.
fn run(
    architecture: &Architecture,
    weights: &Checkpoint,
    device: &Device,
    checked: &mut Checked<'_>,
) -> Result<(), InstaFlowError> {
    let mut shapes = Parameters::shapes(device);
    match architecture {
        Architecture::UNet(config) | Architecture::Stacked(config) => {
            let stacked = matches!(architecture, Architecture::Stacked(_));
            let network = Velocity::new(&mut shapes, config, stacked);
            let network = load_unet(network, weights)?;
            let latents = checked.input::<4>("latents", device)?;
            let text = checked.input::<3>("text", device)?;
            let times = checked.golden.floats("input.times")?.values;
            let velocity = network.forward(
                channels_last(latents.clone()),
                &times,
                text.clone(),
            );
            let mut loss = Loss::default();
            loss.see_plane("velocity", velocity, checked, device)?;
            if let Some(mut tape) = loss.backward(checked)? {
                checked.gradient("latents", &latents, &mut tape)?;
                checked.gradient("text", &text, &mut tape)?;
                checked.gradients(&network, tape)?;
            }
        }
        Architecture::Vae(config) => {
            let vae = load_vae(Vae::new(&mut shapes, config), weights)?;
            let pictures = checked.input::<4>("pictures", device)?;
            let latents = checked.input::<4>("latents", device)?;
            let (mean, variance) = vae.encode(channels_last(pictures.clone()));
            let made = vae.decode(channels_last(latents.clone()));
            let mut loss = Loss::default();
            loss.see_plane("mean", mean, checked, device)?;
            loss.see_plane("log_variance", variance, checked, device)?;
            loss.see_plane("pictures", made, checked, device)?;
            if let Some(mut tape) = loss.backward(checked)? {
                checked.gradient("pictures", &pictures, &mut tape)?;
                checked.gradient("latents", &latents, &mut tape)?;
                checked.gradients(&vae, tape)?;
            }
        }
        Architecture::VaeDecoder(config) => {
            // The file's answer is mixed by the convolution before the
            // decoder; its loss is of both ways, and not compared.
            let whole = load_vae(Vae::new(&mut shapes, config), weights)?;
            let decoder = Decoder::new(&mut shapes, config);
            let decoder = load_decoder(decoder, weights)?;
            let latents = checked.input::<4>("latents", device)?;
            let vae = Vae { decoder, ..whole };
            let made = vae.decode(channels_last(latents));
            let found = floats(inner(channels_first(made)));
            checked.against("output.pictures", &found)?;
        }
        Architecture::Text(config) => {
            let text = TextEncoder::new(&mut shapes, config);
            let text = load_text(text, weights)?;
            let (shape, ids) = checked.golden.integers("input.ids")?;
            let shape = ranked::<2>(checked.golden, "input.ids", shape)?;
            let ids = TensorData::new(ids, shape);
            let ids = Tensor::<2, Int>::from_data(ids, device);
            let mut loss = Loss::default();
            loss.see("text", text.forward(ids), checked, device)?;
            if let Some(tape) = loss.backward(checked)? {
                checked.gradients(&text, tape)?;
            }
        }
    }
    Ok(())
}

/// `[B, C, H, W]` to `[B, H, W, C]`.
fn channels_last(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 2, 3, 1])
}

/// `[B, H, W, C]` to `[B, C, H, W]`.
fn channels_first(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 3, 1, 2])
}

/// The shape of a tensor of the file, if it has `D` dimensions.
fn ranked<const D: usize>(
    golden: &Checkpoint,
    name: &str,
    shape: Vec<usize>,
) -> Result<Vec<usize>, KitError> {
    if shape.len() == D {
        return Ok(shape);
    }
    Err(KitError::Shape {
        path: golden.path().to_owned(),
        name: name.to_owned(),
        found: shape,
        expected: vec![0; D],
    })
}

/// The file's loss: over outputs, the sum of `mean(output^2 weight)`.
#[derive(Default)]
struct Loss {
    sum: Option<Tensor<1>>,
}

impl Loss {
    /// Compares an output `[B, H, W, C]`, and adds its part of the loss.
    fn see_plane(
        &mut self,
        name: &str,
        found: Tensor<4>,
        checked: &mut Checked<'_>,
        device: &Device,
    ) -> Result<(), KitError> {
        self.see(name, channels_first(found), checked, device)
    }

    /// Compares an output that lies as in the file.
    fn see<const D: usize>(
        &mut self,
        name: &str,
        found: Tensor<D>,
        checked: &mut Checked<'_>,
        device: &Device,
    ) -> Result<(), KitError> {
        let values = floats(inner(found.clone()));
        checked.against(&format!("output.{name}"), &values)?;
        if device.is_autodiff() {
            let weight = checked.constant(&format!("weight_{name}"), device)?;
            let part = (found.clone() * found * weight).mean();
            self.sum = Some(match self.sum.take() {
                Some(sum) => sum + part,
                None => part,
            });
        }
        Ok(())
    }

    /// Compares the loss and runs backward, if gradients are wanted.
    fn backward(
        self,
        checked: &mut Checked<'_>,
    ) -> Result<Option<Tape>, KitError> {
        let Some(loss) = self.sum else { return Ok(None) };
        checked.against("output.loss", &floats(inner(loss.clone())))?;
        Ok(Some(Tape::of(loss)))
    }
}

/// What has been compared so far.
struct Checked<'a> {
    golden: &'a Checkpoint,
    names: Vec<String>,
    tolerance: f64,
    parts: Vec<Verification>,
}

impl Checked<'_> {
    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    /// An input, a constant.
    fn constant<const D: usize>(
        &self,
        name: &str,
        device: &Device,
    ) -> Result<Tensor<D>, KitError> {
        let name = format!("input.{name}");
        let values = self.golden.floats(&name)?;
        let shape = ranked::<D>(self.golden, &name, values.shape)?;
        let data = TensorData::new(values.values, shape);
        Ok(Tensor::from_data(data, device))
    }

    /// An input, whose gradient is wanted where there are any.
    fn input<const D: usize>(
        &self,
        name: &str,
        device: &Device,
    ) -> Result<Tensor<D>, KitError> {
        let input = self.constant(name, device)?;
        let tracked = device.is_autodiff();
        Ok(if tracked { input.require_grad() } else { input })
    }

    /// Compares a tensor with the file's `name`, if it is there.
    fn against(&mut self, name: &str, found: &[f32]) -> Result<(), KitError> {
        if self.has(name) {
            let right = self.golden.floats(name)?.values;
            self.parts.push(compare(name, found, &right, self.tolerance));
        }
        Ok(())
    }

    /// Compares the gradient of an input.
    fn gradient<const D: usize>(
        &mut self,
        name: &str,
        input: &Tensor<D>,
        tape: &mut Tape,
    ) -> Result<(), KitError> {
        let found = tape.remove(input).map(floats).unwrap_or_default();
        self.against(&format!("{GRADIENT}input.{name}"), &found)
    }

    /// Compares the gradients of a network's parameters. Of a large one the
    /// file has the first rows.
    fn gradients<M: Module>(
        &mut self,
        network: &M,
        tape: Tape,
    ) -> Result<(), KitError> {
        let mut found = gradient_values(network, tape);
        for (ours, shape) in parameter_shapes(network) {
            let name = format!("{GRADIENT}{}", published_name(&ours));
            if !self.has(&name) {
                continue;
            }
            let right = self.golden.floats(&name)?;
            let mut values = found.remove(&ours).unwrap_or_default();
            if is_first_rows(&right.shape, &shape) {
                values.truncate(right.values.len());
            }
            let part = compare(name, &values, &right.values, self.tolerance);
            self.parts.push(part);
        }
        Ok(())
    }
}

/// Whether a tensor can be the first rows of one of shape `whole`. A linear
/// layer of ours may be published as a convolution one wide: sizes of 1 at
/// the end do not count.
fn is_first_rows(part: &[usize], whole: &[usize]) -> bool {
    match (part, whole) {
        ([rows, rest @ ..], [all, others @ ..]) => {
            rows <= all && trimmed(rest) == trimmed(others)
        }
        _ => false,
    }
}

/// A shape without sizes of 1 at its end.
fn trimmed(shape: &[usize]) -> &[usize] {
    let end = shape.iter().rposition(|&size| size != 1).map_or(0, |at| at + 1);
    &shape[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiny_networks_answer_as_diffusers_and_transformers_do() {
        for found in [of_unet(), of_stacked(), of_vae(), of_text()] {
            let found = found.unwrap();
            assert!(found.passed(), "{found:?}");
        }
    }

    #[test]
    fn every_gradient_of_a_golden_file_is_one_that_is_compared() {
        for (network, files, least) in [
            ("tiny-unet", files!("unet-tiny"), 100),
            ("tiny-vae", files!("vae-tiny"), 60),
            ("tiny-text", files!("text-tiny"), 15),
        ] {
            let [weights, golden] = files.map(|(name, bytes)| {
                Checkpoint::from_bytes(name, bytes.to_vec()).unwrap()
            });
            let names = golden.names().unwrap();
            let gradients =
                names.iter().filter(|n| n.starts_with(GRADIENT)).count();
            assert!(gradients > least, "{network}: {gradients}");
            let mut checked = Checked {
                golden: &golden,
                names,
                tolerance: TOLERANCE,
                parts: Vec::new(),
            };
            let architecture = config::architecture(network).unwrap();
            let device = Device::flex().autodiff();
            run(&architecture, &weights, &device, &mut checked).unwrap();
            let compared = checked
                .parts
                .iter()
                .filter(|part| part.against.starts_with(GRADIENT))
                .count();
            assert_eq!(compared, gradients, "{network}");
        }
    }

    #[test]
    fn the_decoder_alone_answers_as_within_the_vae() {
        let found = embedded("tiny-vae-decoder", files!("vae-tiny")).unwrap();
        assert!(found.passed(), "{found:?}");
    }

    #[test]
    fn first_rows_differ_in_the_first_dimension_only() {
        assert!(is_first_rows(&[2, 3], &[5, 3]));
        assert!(is_first_rows(&[5, 3], &[5, 3]));
        assert!(is_first_rows(&[2, 3, 1, 1], &[5, 3]));
        assert!(!is_first_rows(&[6, 3], &[5, 3]));
        assert!(!is_first_rows(&[3, 5], &[5, 3]));
    }
}
