//! Latents from noise by a trained velocity.

use burn::Tensor;

use super::words::TextStates;
use crate::InstaFlowError;
use crate::samplers::{Path, Sampler, sample};
use crate::steps::{at_times, is_guided, timestep};
use crate::unet::Velocity;

/// Latents drawn at once.
const AT_ONCE: usize = 64;

/// How latents are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Drawing {
    /// How the flow is followed.
    pub(crate) sampler: Sampler,
    /// Its steps.
    pub(crate) steps: usize,
    /// 1: without guidance.
    pub(crate) guidance: f64,
}

impl Drawing {
    /// Whether each call of the U-Net is one with and one without caption.
    pub(crate) fn is_guided(&self) -> bool {
        is_guided(self.guidance)
    }
}

/// The states that guided calls need: captions, then as many times none.
fn states_for(
    states: &TextStates,
    captions: &[usize],
    guidance: f64,
    like: &Tensor<4>,
) -> Tensor<3> {
    let mut asked: Vec<Option<usize>> =
        captions.iter().copied().map(Some).collect();
    if is_guided(guidance) {
        asked.resize(2 * captions.len(), None);
    }
    states.batch(&asked, &like.device())
}

/// As [`at_times`], at times of the flow, one an item.
pub(crate) fn guided_velocity(
    velocity: &Velocity,
    z: &Tensor<4>,
    times: &[f64],
    text: &Tensor<3>,
    guidance: f64,
) -> Tensor<4> {
    let steps: Vec<f32> = times.iter().copied().map(timestep).collect();
    at_times(velocity, z, &steps, text, guidance)
}

/// As [`guided_velocity`], of captions, which a table holds the states of.
pub(crate) fn one_by_one(
    velocity: &Velocity,
    z: &Tensor<4>,
    times: &[f64],
    states: &TextStates,
    captions: &[usize],
    guidance: f64,
) -> Tensor<4> {
    let text = states_for(states, captions, guidance, z);
    guided_velocity(velocity, z, times, &text, guidance)
}

/// Latents `[B, h, w, C]` of captions from noise of that shape.
///
/// # Errors
/// No step.
pub(crate) fn generate(
    velocity: &Velocity,
    states: &TextStates,
    captions: &[usize],
    noise: &Tensor<4>,
    how: Drawing,
) -> Result<Tensor<4>, InstaFlowError> {
    let mut drawn = Vec::new();
    for (part, some) in captions.chunks(AT_ONCE).enumerate() {
        let noise = noise.clone().narrow(0, part * AT_ONCE, some.len());
        let text = states_for(states, some, how.guidance, &noise);
        let sampled = sample(
            how.sampler,
            &Path::Straight,
            how.steps,
            noise,
            &mut |z: &Tensor<4>, t| {
                let times = vec![t; some.len()];
                guided_velocity(velocity, z, &times, &text, how.guidance)
            },
            &mut |_, _| {},
        )?;
        drawn.push(sampled.end);
    }
    if drawn.is_empty() {
        return Err(InstaFlowError::Sampling("no caption to draw".into()));
    }
    Ok(Tensor::cat(drawn, 0))
}
