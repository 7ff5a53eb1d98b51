//! A prepared case of a network or a pipeline: checked, then run again and
//! again.

use std::hint::black_box;
use std::path::Path;

use assay_kernels::{with_class_times, with_plain_twins};
use assay_kit::{Checkpoint, Optimizer, Parameters, compare, floats, merge};
use assay_measure::{Context, Pace, Progress, Session, Watch, WorkloadError};
use assay_schema::{Better, Seconds, Verification};
use assay_trace::{Tape, inner};
use burn::tensor::{Device, Int, Tensor};

use crate::config::Architecture;
use crate::steps::{
    ADAMW, Networks, decode, encode, flow_loss, follow, ids, spread_times,
    train,
};
use crate::text::TextEncoder;
use crate::trace::unet_of;
use crate::unet::Velocity;
use crate::vae::{Decoder, Vae};
use crate::weights::{load_decoder, load_text, load_unet, load_vae};
use crate::{InstaFlowError, Phase, Request, Tokenizer, golden};

/// The relative tolerance of an answer in `f32`.
const TOLERANCE: f64 = 1e-4;

/// Captions of a pipeline that was given none.
const CAPTIONS: [&str; 4] = [
    "two red circles at the top",
    "a blue square on the left",
    "three green triangles on the right",
    "a yellow cross at the bottom",
];

/// What a case runs, with its weights and inputs.
enum Prepared {
    Velocity(Box<Velocity>),
    /// `None` while a step is under way.
    Training(Option<Box<Velocity>>, Box<Optimizer>),
    Vae(Box<Vae>),
    Decoder(Box<Decoder>),
    Text(Box<TextEncoder>),
    /// With the captions' token ids.
    Pipeline(Box<(Networks, Tensor<2, Int>)>),
}

/// A case of a network or of a pipeline.
pub(crate) struct NetworkSession {
    request: Request,
    prepared: Prepared,
    inputs: Inputs,
    device: Device,
}

/// What a network is given; made once, so that an iteration is the network's.
struct Inputs {
    /// Latents or pictures, and for training the noise.
    planes: Vec<Tensor<4>>,
    text: Option<Tensor<3>>,
    ids: Option<Tensor<2, Int>>,
}

impl NetworkSession {
    pub(crate) fn new(
        request: Request,
        context: &Context,
    ) -> Result<Self, InstaFlowError> {
        let device = match request.phase {
            Phase::TrainStep => Device::flex().autodiff(),
            _ => Device::flex(),
        };
        let mut parameters = Parameters::random(&device, context.seed);
        let prepared = prepare(&request, context, &mut parameters)?;
        let inputs = Inputs::new(&request, &mut parameters, request.picture);
        Ok(Self { request, prepared, inputs, device })
    }

    /// Kernels against their plain twins, at the widths that are timed and on
    /// the smallest plane: twins are slow.
    fn check_at_width(&self) -> Result<Verification, WorkloadError> {
        let mut small = self.request.clone();
        small.picture = small.multiple();
        small.batch = small.batch.min(2);
        small.steps = small.steps.min(2);
        let mut parameters = Parameters::random(&self.device, 7);
        let inputs = Inputs::new(&small, &mut parameters, small.picture);
        let answer = || -> Result<Vec<f32>, WorkloadError> {
            Ok(match &self.prepared {
                Prepared::Training(Some(network), _) => {
                    gradients(network, &small, &inputs)
                }
                _ => floats(inner(self.run(&small, &inputs)?)),
            })
        };
        let fused = answer()?;
        let plain = with_plain_twins(answer)?;
        let what = format!("plain twins at {0} x {0} pixels", small.picture);
        Ok(compare(what, &fused, &plain, TOLERANCE))
    }

    /// One iteration of anything but training, and its answer.
    fn run(
        &self,
        request: &Request,
        inputs: &Inputs,
    ) -> Result<Tensor<1>, WorkloadError> {
        let plane = || inputs.planes[0].clone();
        let b = request.batch;
        Ok(match &self.prepared {
            Prepared::Velocity(network) => {
                let text = inputs.text.clone().ok_or_else(no_text)?;
                flat(network.forward(plane(), &vec![500.0; b], text))
            }
            Prepared::Vae(vae) => {
                let (mean, _) = vae.encode(plane());
                flat(vae.decode(mean))
            }
            Prepared::Decoder(decoder) => flat(decoder.forward(plane())),
            Prepared::Text(text) => {
                let ids = inputs.ids.clone().ok_or_else(no_text)?;
                flat(text.forward(ids))
            }
            Prepared::Pipeline(pipeline) => {
                let (networks, captions) = &**pipeline;
                let captions = few(captions, request);
                let text = encode(networks, captions);
                let latents = follow(networks, request, plane(), &text)?;
                flat(decode(networks, request, latents))
            }
            Prepared::Training(..) => {
                return Err(WorkloadError::other("a training step is no run"));
            }
        })
    }
}

fn no_text() -> WorkloadError {
    WorkloadError::other("a network that reads text was given none")
}

/// The captions of so many pictures: with guidance the empty ones last.
fn few(captions: &Tensor<2, Int>, request: &Request) -> Tensor<2, Int> {
    let b = request.batch;
    let [rows, _] = captions.dims();
    if !request.is_guided() {
        return captions.clone().narrow(0, 0, b);
    }
    let full = captions.clone().narrow(0, 0, b);
    let empty = captions.clone().narrow(0, rows / 2, b);
    Tensor::cat(vec![full, empty], 0)
}

fn flat<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let count = x.dims().iter().product::<usize>();
    x.reshape([count])
}

/// The loss and its gradient in the data.
fn gradients(
    network: &Velocity,
    request: &Request,
    inputs: &Inputs,
) -> Vec<f32> {
    let (noise, data) = (inputs.planes[0].clone(), inputs.planes[1].clone());
    // Through the network, not only through the target: noise is in both.
    let noise = noise.require_grad();
    let times = spread_times(request.batch);
    let Some(text) = inputs.text.clone() else { return Vec::new() };
    let loss = flow_loss(network, [noise.clone(), data], &times, text);
    let mut found = floats(inner(loss.clone()));
    let mut tape = Tape::of(loss);
    found.extend(tape.remove(&noise).map(floats).unwrap_or_default());
    found
}

impl Inputs {
    fn new(
        request: &Request,
        parameters: &mut Parameters,
        picture: usize,
    ) -> Self {
        let (b, factor) = (request.batch, request.pipeline.vae.factor());
        let mut plane = |side: usize, channels: usize| {
            parameters.weight([b, side, side, channels], 1.0).val()
        };
        let latent = picture / factor;
        let mut inputs = Self { planes: Vec::new(), text: None, ids: None };
        match &request.network {
            Some(
                Architecture::UNet(config) | Architecture::Stacked(config),
            ) => {
                inputs.planes.push(plane(latent, config.in_channels));
                inputs.planes.push(plane(latent, config.in_channels));
                let text = [b, request.tokens(), config.cross_attention_dim];
                inputs.text = Some(parameters.weight(text, 1.0).val());
            }
            Some(Architecture::Vae(config)) => {
                inputs.planes.push(plane(picture, config.in_channels));
            }
            Some(Architecture::VaeDecoder(config)) => {
                inputs.planes.push(plane(latent, config.latent_channels));
            }
            Some(Architecture::Text(config)) => {
                let width = config.max_position_embeddings;
                let row = |at: usize| {
                    let id = |i: usize| (at * 31 + i * 7) % config.vocab_size;
                    (0..width).map(|i| id(i) as i64).collect()
                };
                let rows: Vec<Vec<i64>> = (0..b).map(row).collect();
                inputs.ids = Some(ids(&rows, parameters.device()));
            }
            None => {
                let channels = request.pipeline.unet.in_channels;
                inputs.planes.push(plane(latent, channels));
            }
        }
        inputs
    }
}

/// Weights of a case.
fn prepare(
    request: &Request,
    context: &Context,
    parameters: &mut Parameters,
) -> Result<Prepared, InstaFlowError> {
    let given = context.weights.as_deref();
    let file = given.map(Checkpoint::open);
    Ok(match (&request.network, request.phase) {
        (Some(Architecture::UNet(_) | Architecture::Stacked(_)), phase) => {
            let (config, stacked) = unet_of(request);
            let network = Velocity::new(parameters, config, stacked);
            let network = match file.transpose()? {
                Some(file) => load_unet(network, &file)?,
                None => network,
            };
            if phase == Phase::TrainStep {
                let mut optimizer = Optimizer::new(ADAMW);
                optimizer.prepare(&network);
                Prepared::Training(Some(Box::new(network)), Box::new(optimizer))
            } else {
                Prepared::Velocity(Box::new(network))
            }
        }
        (Some(Architecture::Vae(config)), _) => {
            let vae = Vae::new(parameters, config);
            Prepared::Vae(Box::new(match file.transpose()? {
                Some(file) => load_vae(vae, &file)?,
                None => vae,
            }))
        }
        (Some(Architecture::VaeDecoder(config)), _) => {
            let decoder = Decoder::new(parameters, config);
            Prepared::Decoder(Box::new(match file.transpose()? {
                Some(file) => load_decoder(decoder, &file)?,
                None => decoder,
            }))
        }
        (Some(Architecture::Text(config)), _) => {
            let text = TextEncoder::new(parameters, config);
            Prepared::Text(Box::new(match file.transpose()? {
                Some(file) => load_text(text, &file)?,
                None => text,
            }))
        }
        (None, _) => {
            let networks = Networks::new(parameters, request);
            let networks = match given {
                Some(folder) => load_pipeline(networks, folder)?,
                None => networks,
            };
            let captions = captions(request, context.data.as_deref())?;
            let captions = ids(&captions, parameters.device());
            Prepared::Pipeline(Box::new((networks, captions)))
        }
    })
}

/// The weights of a pipeline's folder, as diffusers lays it out.
fn load_pipeline(
    networks: Networks,
    folder: &Path,
) -> Result<Networks, InstaFlowError> {
    let open = |name: &str| Checkpoint::open(&folder.join(name));
    let network = "diffusion_pytorch_model.safetensors";
    let Networks { text, velocity, vae } = networks;
    Ok(Networks {
        text: load_text(text, &open("text_encoder/model.safetensors")?)?,
        velocity: load_unet(velocity, &open(&format!("unet/{network}"))?)?,
        vae: load_vae(vae, &open(&format!("vae/{network}"))?)?,
    })
}

/// Token ids of a caption a picture, with guidance before as many empty ones.
///
/// `data` is a file of captions, one a line, or a folder with `captions.txt`
/// and the vocabulary that the captions are read with.
fn captions(
    request: &Request,
    data: Option<&Path>,
) -> Result<Vec<Vec<i64>>, InstaFlowError> {
    let folder = data.filter(|path| path.is_dir());
    let tokenizer = match folder {
        Some(folder) => Tokenizer::from_folder(folder)?,
        None => Tokenizer::of_captions()?,
    };
    let listed = match folder {
        Some(folder) => Some(folder.join("captions.txt")),
        None => data.map(Path::to_owned),
    };
    let lines: Vec<String> = match listed {
        Some(path) => std::fs::read_to_string(&path)
            .map_err(|error| InstaFlowError::Config {
                file: path.display().to_string(),
                why: error.to_string(),
            })?
            .lines()
            .map(str::to_owned)
            .collect(),
        None => CAPTIONS.map(str::to_owned).to_vec(),
    };
    if lines.is_empty() {
        return Err(InstaFlowError::Caption {
            caption: String::new(),
            why: "the file has no line; write one caption a line".into(),
        });
    }
    let tokens = request.tokens();
    let vocabulary = request.pipeline.text.vocab_size;
    if tokenizer.vocabulary() > vocabulary {
        return Err(InstaFlowError::Config {
            file: folder.map_or_else(String::new, |f| f.display().to_string()),
            why: format!(
                "its vocabulary has {} tokens, the text encoder of `{}` \
                 {vocabulary}",
                tokenizer.vocabulary(),
                request.model
            ),
        });
    }
    let full = (0..request.batch)
        .map(|i| tokenizer.encode(&lines[i % lines.len()], tokens))
        .collect::<Result<Vec<_>, _>>()?;
    if !request.is_guided() {
        return Ok(full);
    }
    let mut all = full;
    all.resize(2 * request.batch, tokenizer.null(tokens));
    Ok(all)
}

impl Session for NetworkSession {
    fn verify(&mut self) -> Result<Verification, WorkloadError> {
        let mut parts = match &self.prepared {
            Prepared::Velocity(_) | Prepared::Training(..) => {
                vec![golden::of_unet()?]
            }
            Prepared::Vae(_) | Prepared::Decoder(_) => vec![golden::of_vae()?],
            Prepared::Text(_) => vec![golden::of_text()?],
            Prepared::Pipeline(..) => {
                vec![golden::of_text()?, golden::of_unet()?, golden::of_vae()?]
            }
        };
        parts.push(self.check_at_width()?);
        merge(parts).ok_or_else(|| WorkloadError::other("nothing was compared"))
    }

    fn pace(&self) -> Pace {
        Pace::Steady
    }

    fn iterate(
        &mut self,
        watch: &mut Watch<'_>,
    ) -> Result<Progress, WorkloadError> {
        if let Prepared::Training(network, optimizer) = &mut self.prepared {
            let taken = network.take().ok_or_else(|| {
                WorkloadError::other("the network was lost in a failed step")
            })?;
            let planes = [0, 1].map(|i| self.inputs.planes[i].clone());
            let text = self.inputs.text.clone().ok_or_else(no_text)?;
            let times = spread_times(self.request.batch);
            let ((loss, after), spent) = with_class_times(|| {
                train(*taken, optimizer, planes, &times, text)
            });
            *network = Some(Box::new(after));
            for (class, time) in spent.taken() {
                watch.record(class, Seconds(time.as_secs_f64()));
            }
            let loss = floats(loss).first().copied().unwrap_or(f32::NAN);
            if !loss.is_finite() {
                let what = "training loss".to_owned();
                return Err(WorkloadError::NotFinite { what });
            }
            watch.quality("loss", "1", Better::Lower, f64::from(loss));
            return Ok(Progress::More);
        }
        if let Prepared::Pipeline(pipeline) = &self.prepared {
            let (networks, captions) = &**pipeline;
            let request = &self.request;
            let noise = self.inputs.planes[0].clone();
            let text =
                watch.part("text", |_| encode(networks, captions.clone()));
            let latents = watch
                .part("unet", |_| follow(networks, request, noise, &text))?;
            black_box(
                watch.part("decode", |_| decode(networks, request, latents)),
            );
            return Ok(Progress::More);
        }
        let (answer, spent) =
            with_class_times(|| self.run(&self.request, &self.inputs));
        black_box(answer?);
        for (class, time) in spent.taken() {
            watch.record(class, Seconds(time.as_secs_f64()));
        }
        Ok(Progress::More)
    }
}
