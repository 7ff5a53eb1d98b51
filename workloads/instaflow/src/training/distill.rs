//! Distillation to one step: `X0 + v(X0, 0 | T)` is drawn towards the latent
//! that the teacher made of `X0` (facts, section 2), first by L2, then by the
//! perceptual distance of the decoded pictures.
//!
//! Two things are ours. The perceptual steps keep a share of L2: the feature
//! network is small and blind to much. And their batches are a quarter: the
//! decoder costs several times the U-Net, and the paper's batches of those
//! steps differ too (facts: 320 against 64 for the stacked network). There are
//! as many of them in every distillation, so that direct distillation sees
//! as many triplets as reflow and distillation together.

use burn::Tensor;
use burn::module::Module;
use burn::tensor::Device;

use super::autoencoder::Latents;
use super::draws::Draws;
use super::fit::{Course, Fitted};
use super::pairs::Pairs;
use super::words::TextStates;
use crate::InstaFlowError;
use crate::perceptual::Perceptual;
use crate::steps::timestep;
use crate::unet::Velocity;

/// The share of L2 that the perceptual steps keep.
const KEPT: f32 = 0.1;

/// Judges latents by the pictures that they decode to, on the device with
/// gradients: nothing of it is trained.
pub(crate) struct Critic {
    decoder: Latents,
    perceptual: Perceptual,
}

impl Critic {
    /// With the frozen decoder of a study.
    ///
    /// # Errors
    /// The shipped feature network is not whole.
    pub(crate) fn new(latents: &Latents) -> Result<Self, InstaFlowError> {
        let vae = latents.vae.clone().train().no_grad();
        let device = Device::flex().autodiff();
        Ok(Self {
            decoder: Latents { vae, scaling: latents.scaling },
            perceptual: Perceptual::shipped(&device)?,
        })
    }

    /// The distance of two batches of scaled latents, as pictures.
    fn distance(&self, found: Tensor<4>, right: Tensor<4>) -> Tensor<1> {
        let [found, right] = [found, right].map(|z| self.decoder.decode(z));
        self.perceptual.distance(found, right).mean()
    }
}

/// What a distillation learns from.
pub(crate) struct Lessons<'a> {
    /// Triplets of the teacher.
    pub(crate) pairs: &'a Pairs,
    /// States of captions.
    pub(crate) states: &'a TextStates,
    /// The perceptual distance.
    pub(crate) critic: &'a Critic,
    /// Triplets a step of L2.
    pub(crate) batch: usize,
    /// Steps at the end that have the perceptual distance.
    pub(crate) perceptual: u64,
}

/// Trains `student` to do the teacher's whole way in one step.
///
/// # Errors
/// See [`Course::fit`].
pub(crate) fn distill(
    student: Velocity,
    lessons: &Lessons<'_>,
    course: &Course<'_>,
) -> Result<Fitted<Velocity>, InstaFlowError> {
    let device = Device::flex().autodiff();
    course.fit(student, |velocity: &Velocity, step| {
        let perceives = step + lessons.perceptual >= course.steps;
        let batch =
            if perceives { lessons.batch.div_ceil(4) } else { lessons.batch };
        let mut draws = Draws::new(course.seed, course.name, step);
        let picks = draws.picks(batch, lessons.pairs.len());
        let (captions, [noise, right]) = lessons.pairs.batch(&picks, &device);
        let captions: Vec<_> = captions.into_iter().map(Some).collect();
        let text = lessons.states.batch(&captions, &device);
        let start = vec![timestep(0.0); batch];
        let found = noise.clone() + velocity.forward(noise, &start, text); // X0 + v
        let error = found.clone() - right.clone();
        let squared = (error.clone() * error).mean();
        if !perceives {
            return Ok(squared);
        }
        Ok(lessons.critic.distance(found, right) + squared * KEPT)
    })
}
