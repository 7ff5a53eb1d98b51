//! The operator graph of a case.

use assay_kit::{Optimizer, Parameters};
use assay_trace::{Graph, Recorder, Role, capture};
use burn::tensor::{Int, Tensor};

use crate::config::{Architecture, UNetConfig};
use crate::steps::{
    ADAMW, Networks, decode, encode, follow, spread_times, train,
};
use crate::text::TextEncoder;
use crate::unet::Velocity;
use crate::vae::{Decoder, Vae};
use crate::{InstaFlowError, Phase, Request};

/// Traces a case: nothing is computed, nothing allocated. A study is traced
/// as one step of its 1-flow's training.
///
/// # Errors
/// An operator without a cost: a bug of this project.
pub fn trace(request: &Request) -> Result<Graph, InstaFlowError> {
    let mut refused = None;
    let graph = capture(assay_kernels::cost, |recorder| {
        match (&request.network, request.phase) {
            (Some(network), Phase::Forward) => {
                forward(request, network, recorder);
            }
            (_, Phase::Sample) => refused = drawing(request, recorder).err(),
            _ => training(request, recorder),
        }
    })?;
    match refused {
        Some(error) => Err(error),
        None => Ok(graph),
    }
}

/// The U-Net of a case and whether it is stacked.
pub(crate) fn unet_of(request: &Request) -> (&UNetConfig, bool) {
    match &request.network {
        Some(Architecture::UNet(unet)) => (unet, false),
        Some(Architecture::Stacked(unet)) => (unet, true),
        _ => (&request.pipeline.unet, request.pipeline.stacked),
    }
}

fn forward(request: &Request, network: &Architecture, recorder: &Recorder) {
    let device = recorder.device();
    let mut shapes = Parameters::shapes(&device);
    let (b, side, latent) = (request.batch, request.picture, request.latent());
    let plane = |side: usize, channels: usize| {
        let plane = Tensor::<4>::zeros([b, side, side, channels], &device);
        recorder.role(&plane, Role::Input);
        plane
    };
    match network {
        Architecture::UNet(config) | Architecture::Stacked(config) => {
            let (_, stacked) = unet_of(request);
            let model = Velocity::new(&mut shapes, config, stacked);
            recorder.weights(&model);
            let latents = plane(latent, config.in_channels);
            let text = [b, request.tokens(), config.cross_attention_dim];
            let text = Tensor::<3>::zeros(text, &device);
            recorder.role(&text, Role::Input);
            let found = model.forward(latents, &vec![500.0; b], text);
            recorder.output(&found);
        }
        Architecture::Vae(config) => {
            let model = Vae::new(&mut shapes, config);
            recorder.weights(&model);
            let pictures = plane(side, config.in_channels);
            let (mean, _) = model.encode(pictures);
            recorder.output(&model.decode(mean));
        }
        Architecture::VaeDecoder(config) => {
            let model = Decoder::new(&mut shapes, config);
            recorder.weights(&model);
            let latents = plane(latent, config.latent_channels);
            recorder.output(&model.forward(latents));
        }
        Architecture::Text(config) => {
            let model = TextEncoder::new(&mut shapes, config);
            recorder.weights(&model);
            let tokens = [b, config.max_position_embeddings];
            let ids = Tensor::<2, Int>::zeros(tokens, &device);
            recorder.input(&ids);
            recorder.output(&model.forward(ids));
        }
    }
}

fn training(request: &Request, recorder: &Recorder) {
    let device = recorder.training_device();
    let mut shapes = Parameters::shapes(&device);
    let (config, stacked) = unet_of(request);
    let model = Velocity::new(&mut shapes, config, stacked);
    recorder.weights(&model);
    let mut optimizer = Optimizer::new(ADAMW);
    optimizer.prepare(&model);
    let (b, side) = (request.batch, request.latent());
    let plane = [b, side, side, config.in_channels];
    let planes = [(); 2].map(|()| Tensor::<4>::zeros(plane, &device));
    for plane in &planes {
        recorder.role(plane, Role::Input);
    }
    let text = [b, request.tokens(), config.cross_attention_dim];
    let text = Tensor::<3>::zeros(text, &device);
    recorder.role(&text, Role::Input);
    // Each picture at a time of its own, as in training.
    let (loss, _) =
        train(model, &mut optimizer, planes, &spread_times(b), text);
    recorder.output(&loss);
}

fn drawing(
    request: &Request,
    recorder: &Recorder,
) -> Result<(), InstaFlowError> {
    let device = recorder.device();
    let mut shapes = Parameters::shapes(&device);
    let networks = Networks::new(&mut shapes, request);
    recorder.weights(&networks.text);
    recorder.weights(&networks.velocity);
    recorder.weights(&networks.vae);
    let (b, side) = (request.batch, request.latent());
    let channels = request.pipeline.unet.in_channels;
    let noise = Tensor::<4>::zeros([b, side, side, channels], &device);
    recorder.role(&noise, Role::Input);
    let captions = if request.is_guided() { 2 * b } else { b };
    let ids = Tensor::<2, Int>::zeros([captions, request.tokens()], &device);
    recorder.input(&ids);
    let text = encode(&networks, ids);
    let latents = follow(&networks, request, noise, &text)?;
    recorder.output(&decode(&networks, request, latents));
    Ok(())
}

impl Networks {
    /// The networks of a pipeline.
    pub(crate) fn new(parameters: &mut Parameters, request: &Request) -> Self {
        let pipeline = &request.pipeline;
        Self {
            text: TextEncoder::new(parameters, &pipeline.text),
            velocity: Velocity::new(
                parameters,
                &pipeline.unet,
                pipeline.stacked,
            ),
            vae: Vae::new(parameters, &pipeline.vae),
        }
    }
}
