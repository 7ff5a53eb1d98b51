//! What each phase does: the same code measured and traced.

use assay_kernels::AdamW;
use assay_kit::Optimizer;
use assay_trace::{Tape, inner, span};
use burn::tensor::{Device, Int, Tensor};

use crate::samplers::{Path, guided, sample};
use crate::text::TextEncoder;
use crate::unet::Velocity;
use crate::vae::Vae;
use crate::{InstaFlowError, Request};

/// The optimizer of `train-step`: AdamW with the paper's learning rate
/// (facts: 1e-6) and PyTorch's other constants.
pub(crate) const ADAMW: AdamW = AdamW {
    learning_rate: 1e-6,
    beta_1: 0.9,
    beta_2: 0.999,
    epsilon: 1e-8,
    weight_decay: 0.01,
};

/// The U-Net's timestep at time `t` of a flow: 0 is noise, 1 is data
/// (`pipeline_rf.py`: `(1 - i/N) * 1000`).
pub(crate) fn timestep(t: f64) -> f32 {
    Path::Straight.timestep(t) as f32
}

/// One training step on noise, data `[B, H, W, C]` and text `[B, T, D]`, at
/// times `[B]`: the loss of rectified flow (Liu et al., 2022, equation 1),
/// `mean |(X1 - X0) - v(t X1 + (1 - t) X0, t)|^2`, and the network after it.
pub(crate) fn train(
    network: Velocity,
    optimizer: &mut Optimizer,
    [noise, data]: [Tensor<4>; 2],
    times: &[f32],
    text: Tensor<3>,
) -> (Tensor<1>, Velocity) {
    let loss = flow_loss(&network, [noise, data], times, text);
    let gradients = span("backward", || Tape::of(loss.clone()));
    (inner(loss), optimizer.step(network, gradients))
}

/// The loss of [`train`].
pub(crate) fn flow_loss(
    network: &Velocity,
    [noise, data]: [Tensor<4>; 2],
    times: &[f32],
    text: Tensor<3>,
) -> Tensor<1> {
    let device = noise.device();
    let weights = Tensor::<1>::from_floats(times, &device);
    let weights = weights.reshape([times.len(), 1, 1, 1]);
    let straight = data - noise.clone();
    let between = noise + straight.clone() * weights;
    let timesteps: Vec<f32> =
        times.iter().map(|t| timestep(f64::from(*t))).collect();
    let found = network.forward(between, &timesteps, text);
    let error = found - straight;
    (error.clone() * error).mean()
}

/// Times of a batch, spread over the flow.
pub(crate) fn spread_times(batch: usize) -> Vec<f32> {
    (0..batch).map(|i| (i as f32 + 0.5) / batch as f32).collect()
}

/// Token ids as a tensor `[B, T]`.
pub(crate) fn ids(tokens: &[Vec<i64>], device: &Device) -> Tensor<2, Int> {
    let width = tokens.first().map_or(0, Vec::len);
    let flat: Vec<i64> = tokens.iter().flatten().copied().collect();
    let flat = Tensor::<1, Int>::from_ints(flat.as_slice(), device);
    flat.reshape([tokens.len(), width])
}

/// The networks that turn captions into pictures.
pub(crate) struct Networks {
    pub(crate) text: TextEncoder,
    pub(crate) velocity: Velocity,
    pub(crate) vae: Vae,
}

/// Whether a scale of guidance needs calls with and without caption.
pub(crate) fn is_guided(guidance: f64) -> bool {
    (guidance - 1.0).abs() > 1e-9
}

/// What the network gives at `x` `[B, H, W, C]` and timesteps `[B]`, guided.
/// `text` is `[B, T, D]`, or `[2 B, T, D]` with guidance, captions first: both
/// halves go through at once, as the published pipelines do.
pub(crate) fn at_times(
    velocity: &Velocity,
    x: &Tensor<4>,
    timesteps: &[f32],
    text: &Tensor<3>,
    guidance: f64,
) -> Tensor<4> {
    if !is_guided(guidance) {
        return velocity.forward(x.clone(), timesteps, text.clone());
    }
    let batch = timesteps.len();
    let twice = [timesteps, timesteps].concat();
    let both = Tensor::cat(vec![x.clone(), x.clone()], 0);
    let found = velocity.forward(both, &twice, text.clone());
    let without = found.clone().narrow(0, batch, batch);
    guided(&found.narrow(0, 0, batch), &without, guidance)
}

/// What a caption says, and with guidance what none says, both encoded:
/// `[B, T, D]`, or `[2 B, T, D]` with the empty captions last.
pub(crate) fn encode(
    networks: &Networks,
    captions: Tensor<2, Int>,
) -> Tensor<3> {
    span("text", || networks.text.forward(captions))
}

/// Noise `[B, H, W, C]` along the flow to latents, by `request`'s sampler and
/// steps; `text` is as [`encode`] gives it.
///
/// # Errors
/// The sampler's.
pub(crate) fn follow(
    networks: &Networks,
    request: &Request,
    noise: Tensor<4>,
    text: &Tensor<3>,
) -> Result<Tensor<4>, InstaFlowError> {
    let [b, ..] = noise.dims();
    let path: Path = request.pipeline.path();
    let mut call = 0;
    let mut field = |x: &Tensor<4>, t: f64| {
        let name = format!("unet.{call}");
        call += 1;
        let times = vec![path.timestep(t) as f32; b];
        span(&name, || {
            at_times(&networks.velocity, x, &times, text, request.guidance)
        })
    };
    let sampled = sample(
        request.sampler,
        &path,
        request.steps,
        noise,
        &mut field,
        &mut |_, _| {},
    )?;
    Ok(sampled.end)
}

/// Latents to pictures `[B, 8 H, 8 W, 3]` of values about -1 to 1.
pub(crate) fn decode(
    networks: &Networks,
    request: &Request,
    latents: Tensor<4>,
) -> Tensor<4> {
    let scaling = request.pipeline.vae.scaling_factor;
    span("decode", || networks.vae.decode(latents / scaling))
}
