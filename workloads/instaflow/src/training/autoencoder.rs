//! The autoencoder: pictures to latents of unit deviation, and back.
//!
//! Loss: mean squared error of the picture plus a small Kullback-Leibler
//! divergence of the latents from a standard normal (Kingma and Welling,
//! 2014), as latent diffusion has it (Rombach et al., 2022), without their
//! perceptual and adversarial parts: flat shapes need neither.

use assay_kit::{Parameters, floats};
use burn::Tensor;
use burn::tensor::{Device, TensorData};

use super::draws::Draws;
use super::fit::{Course, Fitted};
use crate::InstaFlowError;
use crate::config::VaeConfig;
use crate::data::{Part, SIDE, examples};
use crate::vae::Vae;

/// Weight of the divergence, a value of a latent, against the squared error,
/// a value of a picture.
const DIVERGENCE: f32 = 1e-4;

/// Pictures whose latents give the scale.
const SCALED_ON: usize = 512;

/// Pictures encoded or decoded at once.
const AT_ONCE: usize = 64;

/// A trained autoencoder, frozen, with the scale of its latents.
#[derive(Clone, Debug)]
pub(crate) struct Latents {
    /// On the device without gradients.
    pub(crate) vae: Vae,
    /// Latents times this have unit deviation (0.18215 of Stable Diffusion).
    pub(crate) scaling: f32,
}

/// Pictures `[count, SIDE, SIDE, 3]` as a tensor.
pub(crate) fn pictures_tensor(
    values: Vec<f32>,
    count: usize,
    device: &Device,
) -> Tensor<4> {
    let data = TensorData::new(values, [count, SIDE, SIDE, 3]);
    Tensor::from_data(data, device)
}

/// Trains an autoencoder on `batch` new pictures a step.
///
/// # Errors
/// See [`Course::fit`].
pub(crate) fn train_autoencoder(
    config: &VaeConfig,
    batch: usize,
    course: &Course<'_>,
) -> Result<(Latents, Fitted<()>), InstaFlowError> {
    let device = Device::flex();
    let mut start = Parameters::random(&device, course.seed);
    let vae = Vae::new(&mut start, config);
    let training = device.autodiff();
    let fitted = course.fit(vae, |vae: &Vae, step| {
        let first = step * batch as u64;
        let (_, values) = examples(Part::Train, course.seed, first, batch);
        let pictures = pictures_tensor(values, batch, &training);
        let noise =
            |count| Draws::new(course.seed, course.name, step).normals(count);
        Ok(loss(vae, pictures, noise))
    })?;
    let Fitted { model: vae, loss, seconds } = fitted;
    let scaling = scaling_of(&vae, course.seed);
    Ok((Latents { vae, scaling }, Fitted { model: (), loss, seconds }))
}

fn loss(
    vae: &Vae,
    pictures: Tensor<4>,
    noise: impl FnOnce(usize) -> Vec<f32>,
) -> Tensor<1> {
    let (mean, log_variance) = vae.encode(pictures.clone()); // [B, h, w, 4]
    // As diffusers bounds it: an untrained encoder must not overflow.
    let log_variance = log_variance.clamp(-30.0, 20.0);
    let shape = mean.dims();
    let noise = noise(shape.iter().product());
    let noise = TensorData::new(noise, shape);
    let noise = Tensor::<4>::from_data(noise, &mean.device());
    let deviation = (log_variance.clone() * 0.5).exp();
    let latents = mean.clone() + deviation * noise;
    let error = vae.decode(latents) - pictures;
    let squared = (error.clone() * error).mean();
    let excess =
        mean.clone() * mean + log_variance.clone().exp() - log_variance - 1.0;
    squared + excess.mean() * (0.5 * DIVERGENCE)
}

/// One over the deviation of the latents' means, all values together, as
/// latent diffusion scales its own.
fn scaling_of(vae: &Vae, seed: u64) -> f32 {
    let (_, values) = examples(Part::Train, seed, 0, SCALED_ON);
    let latents = encode(vae, &values, 1.0);
    let count = latents.len().max(1) as f64;
    let mean = latents.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
    let variance =
        latents.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>()
            / count;
    (1.0 / variance.sqrt().max(1e-6)) as f32
}

/// Means of the latents of pictures, scaled.
fn encode(vae: &Vae, pictures: &[f32], scaling: f32) -> Vec<f32> {
    let device = Device::flex();
    let size = SIDE * SIDE * 3;
    let mut latents = Vec::new();
    for some in pictures.chunks(AT_ONCE * size) {
        let count = some.len() / size;
        let pictures = pictures_tensor(some.to_vec(), count, &device);
        let (mean, _) = vae.encode(pictures);
        latents.extend(floats(mean * scaling));
    }
    latents
}

impl Latents {
    /// Scaled latents of pictures `[count, SIDE, SIDE, 3]`.
    pub(crate) fn encode(&self, pictures: &[f32]) -> Vec<f32> {
        encode(&self.vae, pictures, self.scaling)
    }

    /// Scaled latents `[B, h, w, C]` to pictures `[B, SIDE, SIDE, 3]`.
    pub(crate) fn decode(&self, latents: Tensor<4>) -> Tensor<4> {
        self.vae.decode(latents / self.scaling)
    }

    /// Values of pictures of scaled latents `[B, h, w, C]`, some at a time.
    pub(crate) fn pictures(&self, latents: &Tensor<4>) -> Vec<f32> {
        let [count, ..] = latents.dims();
        let mut pictures = Vec::new();
        for first in (0..count).step_by(AT_ONCE) {
            let some = latents.clone();
            let some = some.narrow(0, first, AT_ONCE.min(count - first));
            pictures.extend(floats(self.decode(some)));
        }
        pictures
    }
}
