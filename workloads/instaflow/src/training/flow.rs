//! The 1-flow: a rectified flow from noise to the latents of pictures (Liu et
//! al., 2022), with its text encoder, which is frozen afterwards. It stands in
//! for Stable Diffusion, the paper's teacher.

use assay_kit::Parameters;
use burn::Tensor;
use burn::module::Module;
use burn::tensor::{Device, TensorData};

use super::DROPPED;
use super::autoencoder::Latents;
use super::draws::Draws;
use super::fit::{Course, Fitted};
use super::words::Words;
use crate::InstaFlowError;
use crate::config::Pipeline;
use crate::data::{Part, examples};
use crate::steps::flow_loss;
use crate::text::TextEncoder;
use crate::unet::Velocity;

/// Most pictures of the pool: encoding costs as much as a step of training,
/// so each is used several times.
const MOST: usize = 16_384;

/// Pictures drawn and encoded at once.
const AT_ONCE: usize = 256;

/// What the 1-flow trains: the U-Net and the text encoder.
#[derive(Module, Debug)]
pub(crate) struct FlowModel {
    /// The U-Net.
    pub(crate) velocity: Velocity,
    /// The text encoder.
    pub(crate) text: TextEncoder,
}

impl FlowModel {
    /// Untrained.
    pub(crate) fn new(start: &mut Parameters, pipeline: &Pipeline) -> Self {
        Self {
            velocity: Velocity::new(start, &pipeline.unet, false),
            text: TextEncoder::new(start, &pipeline.text),
        }
    }
}

/// Latents of drawn pictures with their captions' indices.
pub(crate) struct Pool {
    captions: Vec<usize>,
    latents: Vec<f32>,
    shape: [usize; 3],
}

impl Pool {
    /// Latents `[h, w, C]` of as many pictures of the training part as
    /// `wanted`, within bounds; the same whoever asks.
    pub(crate) fn of(
        latents: &Latents,
        shape: [usize; 3],
        wanted: usize,
        seed: u64,
    ) -> Self {
        let count = wanted.clamp(1, MOST);
        let mut pool =
            Self { captions: Vec::new(), latents: Vec::new(), shape };
        for first in (0..count).step_by(AT_ONCE) {
            let some = AT_ONCE.min(count - first);
            let (captions, pictures) =
                examples(Part::Train, seed, first as u64, some);
            pool.captions.extend(captions.into_iter().map(|c| c.index()));
            pool.latents.extend(latents.encode(&pictures));
        }
        pool
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.captions.len()
    }

    /// Captions and latents `[B, h, w, C]` of some.
    pub(crate) fn batch(
        &self,
        picks: &[usize],
        device: &Device,
    ) -> (Vec<usize>, Tensor<4>) {
        let captions = picks.iter().map(|&pick| self.captions[pick]).collect();
        (captions, gathered(&self.latents, self.shape, picks, device))
    }
}

/// The picked rows of many latents as a tensor `[B, h, w, C]`.
pub(super) fn gathered(
    values: &[f32],
    [h, w, c]: [usize; 3],
    picks: &[usize],
    device: &Device,
) -> Tensor<4> {
    let size = h * w * c;
    let mut own = Vec::with_capacity(picks.len() * size);
    for &pick in picks {
        own.extend_from_slice(&values[pick * size..][..size]);
    }
    let data = TensorData::new(own, [picks.len(), h, w, c]);
    Tensor::from_data(data, device)
}

/// Captions of which some are dropped.
pub(super) fn with_drops(
    captions: Vec<usize>,
    draws: &mut Draws,
) -> Vec<Option<usize>> {
    let mut kept = |caption| (draws.unit() >= DROPPED).then_some(caption);
    captions.into_iter().map(&mut kept).collect()
}

/// Trains the 1-flow from nothing.
///
/// # Errors
/// See [`Course::fit`].
pub(crate) fn train_flow(
    pipeline: &Pipeline,
    pool: &Pool,
    words: &Words,
    batch: usize,
    course: &Course<'_>,
) -> Result<Fitted<FlowModel>, InstaFlowError> {
    let plain = Device::flex();
    // Another stream than the autoencoder's.
    let mut start = Parameters::random(&plain, course.seed.wrapping_add(1));
    let model = FlowModel::new(&mut start, pipeline);
    let device = plain.autodiff();
    course.fit(model, |model: &FlowModel, step| {
        let mut draws = Draws::new(course.seed, course.name, step);
        let picks = draws.picks(batch, pool.len());
        let (captions, data) = pool.batch(&picks, &device);
        let captions = with_drops(captions, &mut draws);
        let noise = noise_like(&data, &mut draws);
        let times = draws.times(batch);
        let text = model.text.forward(words.batch(&captions, &device));
        Ok(flow_loss(&model.velocity, [noise, data], &times, text))
    })
}

/// Standard normal noise of a batch's shape, where it lies.
pub(super) fn noise_like(data: &Tensor<4>, draws: &mut Draws) -> Tensor<4> {
    let shape = data.dims();
    let noise = TensorData::new(draws.normals(shape.iter().product()), shape);
    Tensor::from_data(noise, &data.device())
}

/// Values of the standard normal noise of one item, for items that must have
/// the same noise whatever they are drawn beside.
pub(super) fn noise_of(
    seed: u64,
    purpose: &str,
    item: usize,
    size: usize,
) -> Vec<f32> {
    Draws::new(seed, purpose, item as u64).normals(size)
}
