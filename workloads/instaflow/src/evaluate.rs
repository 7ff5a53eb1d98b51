//! How a study's methods are judged: on captions that were never trained on,
//! from the same noise for every method.
//!
//! The reference is real pictures of held-out captions, the same for every
//! seed. `data` is other real pictures of that part: no method can do better
//! than chance above it.

use std::time::Instant;

use assay_kit::Parameters;
use assay_schema::{Better, Metric, Pictures, Precision};
use assay_trace::{Graph, Pass, Recorder, Role, capture, memory};
use burn::Tensor;
use burn::tensor::{Device, Int, TensorData};

use crate::config::Pipeline;
use crate::data::{Caption, Part, SIDE, examples};
use crate::judge::Judge;
use crate::metrics::{Moments, agreement, frechet_estimate};
use crate::samplers::{Path, Sampler, sample, straightness};
use crate::strip::strip_png;
use crate::text::TextEncoder;
use crate::training::{
    Drawing, Draws, Latents, TextStates, Words, generate, guided_velocity,
    one_by_one,
};
use crate::unet::Velocity;
use crate::vae::Vae;
use crate::{InstaFlowError, Request};

/// Seed of the pictures judged against: of every study the same.
const REFERENCE: u64 = 0x1F10;

/// Fewest pictures of the reference.
const REFERENCE_COUNT: usize = 2048;

/// Pictures in a strip.
const SHOWN: usize = 8;

/// Paths whose straightness is taken, and steps along each.
const PATHS: usize = 64;
const FINE: usize = 32;

/// Timings of one picture; the median counts.
const TIMINGS: usize = 5;

/// A metric of the study, at a place on its axes.
pub(crate) fn metric(
    name: &str,
    unit: &str,
    better: Better,
    value: f64,
    at: &[(&str, String)],
) -> Metric {
    let at = at.iter().map(|(axis, place)| (*axis, place));
    Metric::value(name, unit, better, value).at(at)
}

/// What judging found.
#[derive(Default)]
pub(crate) struct Judged {
    pub(crate) metrics: Vec<Metric>,
    pub(crate) pictures: Vec<Pictures>,
}

/// Trained networks that turn a caption into a picture.
pub(crate) struct Drawer<'a> {
    /// Of the method.
    pub(crate) velocity: &'a Velocity,
    /// Whether it is the stacked network.
    pub(crate) stacked: bool,
    /// The text encoder.
    pub(crate) text: &'a TextEncoder,
    /// Its states of all captions.
    pub(crate) states: &'a TextStates,
    /// The decoder.
    pub(crate) latents: &'a Latents,
    /// Captions as tokens.
    pub(crate) words: &'a Words,
}

/// Held-out captions with their noise and real pictures, and the judge.
pub(crate) struct Evaluation {
    judge: Judge,
    reference: Moments,
    captions: Vec<Caption>,
    indices: Vec<usize>,
    real: Vec<f32>,
    noise: Tensor<4>,
    seed: u64,
    pipeline: Pipeline,
}

impl Evaluation {
    /// For latents `[h, w, C]`.
    ///
    /// # Errors
    /// The shipped feature network is not whole.
    pub(crate) fn new(
        request: &Request,
        [h, w, c]: [usize; 3],
    ) -> Result<Self, InstaFlowError> {
        let judge = Judge::shipped()?;
        let count = request.evaluated;
        let many = REFERENCE_COUNT.max(2 * count);
        let (_, pictures) = examples(Part::HeldOut, REFERENCE, 0, many);
        let features = judge.features(&pictures, many);
        let reference = Moments::of(&features, Judge::WIDTH);
        let (captions, real) =
            examples(Part::HeldOut, REFERENCE, many as u64, count);
        let indices = captions.iter().map(|caption| caption.index()).collect();
        let mut draws = Draws::new(request.seed, "judged", 0);
        let noise = draws.normals(count * h * w * c);
        let noise = TensorData::new(noise, [count, h, w, c]);
        Ok(Self {
            judge,
            reference,
            captions,
            indices,
            real,
            noise: Tensor::from_data(noise, &Device::flex()),
            seed: request.seed,
            pipeline: request.pipeline.clone(),
        })
    }

    /// Real pictures, and what the autoencoder makes of them.
    pub(crate) fn floors(
        &self,
        latents: &Latents,
    ) -> Result<Judged, InstaFlowError> {
        let mut judged = Judged::default();
        self.pictures("data", None, &self.real, true, &mut judged)?;
        let [_, h, w, c] = self.noise.dims();
        let encoded = latents.encode(&self.real);
        let encoded = TensorData::new(encoded, [self.captions.len(), h, w, c]);
        let encoded = Tensor::<4>::from_data(encoded, &Device::flex());
        let again = latents.pictures(&encoded);
        self.pictures("autoencoder", None, &again, true, &mut judged)?;
        Ok(judged)
    }

    /// A method at each number of steps: pictures, time, arithmetic, memory.
    pub(crate) fn method(
        &self,
        name: &str,
        drawer: &Drawer<'_>,
        steps: &[usize],
        guidance: f64,
    ) -> Result<Judged, InstaFlowError> {
        let mut judged = Judged::default();
        for (place, &count) in steps.iter().enumerate() {
            let how =
                Drawing { sampler: Sampler::Euler, steps: count, guidance };
            let pictures = self.drawn(drawer, how)?;
            let shown = place == 0 || place + 1 == steps.len();
            let at = Some(count);
            self.pictures(name, at, &pictures, shown, &mut judged)?;
            self.times(name, drawer, how, &mut judged)?;
            self.work(name, drawer, how, &mut judged)?;
        }
        Ok(judged)
    }

    /// A flow's straightness, on the way that it is sampled.
    pub(crate) fn straightness(
        &self,
        name: &str,
        drawer: &Drawer<'_>,
        guidance: f64,
    ) -> Result<Metric, InstaFlowError> {
        let count = PATHS.min(self.indices.len());
        let start = self.noise.clone().narrow(0, 0, count);
        let captions = &self.indices[..count];
        let found = straightness(FINE, start, &mut |z: &Tensor<4>, t| {
            let times = vec![t; count];
            let Drawer { velocity, states, .. } = *drawer;
            one_by_one(velocity, z, &times, states, captions, guidance)
        })?;
        let at = [("method", name.to_owned())];
        let value = found.per_value;
        Ok(metric("straightness", "1", Better::Lower, value, &at))
    }

    /// How often an adaptive sampler asks a flow for its velocity: the
    /// straighter, the fewer.
    pub(crate) fn evaluations(
        &self,
        name: &str,
        drawer: &Drawer<'_>,
        guidance: f64,
    ) -> Result<Metric, InstaFlowError> {
        let count = PATHS.min(self.indices.len());
        let start = self.noise.clone().narrow(0, 0, count);
        let captions = &self.indices[..count];
        let Drawer { velocity, states, .. } = *drawer;
        let sampled = sample(
            Sampler::Rk45,
            &Path::Straight,
            1,
            start,
            &mut |z: &Tensor<4>, t| {
                let times = vec![t; count];
                one_by_one(velocity, z, &times, states, captions, guidance)
            },
            &mut |_, _| {},
        )?;
        let at = [("method", name.to_owned())];
        let value = sampled.evaluations as f64;
        Ok(metric("evaluations", "1", Better::Lower, value, &at))
    }

    /// A flow under other scales of guidance, at 25 steps.
    pub(crate) fn guidance(
        &self,
        name: &str,
        drawer: &Drawer<'_>,
    ) -> Result<Vec<Metric>, InstaFlowError> {
        let mut metrics = Vec::new();
        for guidance in [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 5.0] {
            let (sampler, steps) = (Sampler::Euler, 25);
            let how = Drawing { sampler, steps, guidance };
            let pictures = self.drawn(drawer, how)?;
            let at = [
                ("method", name.to_owned()),
                ("steps", steps.to_string()),
                ("guidance", guidance.to_string()),
            ];
            metrics.extend(self.judged(&pictures, &at)?);
        }
        Ok(metrics)
    }

    fn drawn(
        &self,
        drawer: &Drawer<'_>,
        how: Drawing,
    ) -> Result<Vec<f32>, InstaFlowError> {
        let Drawer { velocity, states, latents, .. } = *drawer;
        let drawn =
            generate(velocity, states, &self.indices, &self.noise, how)?;
        Ok(latents.pictures(&drawn))
    }

    /// Distance with its interval, and agreement, at a place.
    fn judged(
        &self,
        pictures: &[f32],
        at: &[(&str, String)],
    ) -> Result<Vec<Metric>, InstaFlowError> {
        let count = self.captions.len();
        let distance = frechet_estimate(
            &self.judge.features(pictures, count),
            Judge::WIDTH,
            &self.reference,
            self.seed,
        )?;
        let agreed =
            agreement(&self.judge.read(pictures, count), &self.captions);
        let (lower, higher) = (Better::Lower, Better::Higher);
        let found = [
            ("frechet_distance", lower, distance.point),
            ("frechet_low", lower, distance.low),
            ("frechet_high", lower, distance.high),
            ("agreement", higher, agreed.all),
            ("agreement_shape", higher, agreed.shape),
            ("agreement_colour", higher, agreed.colour),
            ("agreement_count", higher, agreed.count),
            ("agreement_place", higher, agreed.place),
        ];
        let each = found.map(|(quality, better, value)| {
            metric(quality, "1", better, value, at)
        });
        Ok(each.into())
    }

    /// What pictures are worth, and a strip where they are shown.
    fn pictures(
        &self,
        name: &str,
        steps: Option<usize>,
        pictures: &[f32],
        shown: bool,
        judged: &mut Judged,
    ) -> Result<(), InstaFlowError> {
        let count = self.captions.len();
        let mut at = vec![("method", name.to_owned())];
        at.extend(steps.map(|steps| ("steps", steps.to_string())));
        judged.metrics.extend(self.judged(pictures, &at)?);
        if shown {
            let label = match steps {
                None => name.to_owned(),
                Some(1) => format!("{name}, 1 step"),
                Some(steps) => format!("{name}, {steps} steps"),
            };
            let few = SHOWN.min(count);
            let some = &pictures[..few * SIDE * SIDE * 3];
            let captions = self.captions[..few].iter().map(ToString::to_string);
            judged.pictures.push(Pictures {
                label,
                captions: captions.collect(),
                png: strip_png(some, few, SIDE)?,
            });
        }
        Ok(())
    }

    /// Seconds of one picture alone, and of its parts: medians.
    fn times(
        &self,
        name: &str,
        drawer: &Drawer<'_>,
        how: Drawing,
        judged: &mut Judged,
    ) -> Result<(), InstaFlowError> {
        let mut parts: [Vec<f64>; 3] = Default::default();
        // The first one warms caches and is not counted.
        for turn in 0..=TIMINGS {
            let taken = self.once(drawer, how)?;
            if turn > 0 {
                for (part, seconds) in parts.iter_mut().zip(taken) {
                    part.push(seconds);
                }
            }
        }
        let totals = (0..TIMINGS)
            .map(|turn| parts.iter().map(|part| part[turn]).sum())
            .collect();
        let [text, unet, decode] = parts;
        let at =
            [("method", name.to_owned()), ("steps", how.steps.to_string())];
        for (quality, values) in [
            ("sampling_time", totals),
            ("sampling_time_text", text),
            ("sampling_time_unet", unet),
            ("sampling_time_decode", decode),
        ] {
            let value = median(values);
            let better = Better::Lower;
            judged.metrics.push(metric(quality, "s", better, value, &at));
        }
        Ok(())
    }

    /// One picture, as a user waits for it: text, U-Net, decoder, seconds.
    fn once(
        &self,
        drawer: &Drawer<'_>,
        how: Drawing,
    ) -> Result<[f64; 3], InstaFlowError> {
        let device = Device::flex();
        let mut asked = vec![Some(self.indices[0])];
        if how.is_guided() {
            asked.push(None);
        }
        let ids = drawer.words.batch(&asked, &device);
        let noise = self.noise.clone().narrow(0, 0, 1);
        let began = Instant::now();
        let text = drawer.text.forward(ids);
        let encoded = began.elapsed().as_secs_f64();
        let sampled = sample(
            how.sampler,
            &Path::Straight,
            how.steps,
            noise,
            &mut |z: &Tensor<4>, t| {
                let velocity = drawer.velocity;
                guided_velocity(velocity, z, &[t], &text, how.guidance)
            },
            &mut |_, _| {},
        )?;
        let followed = began.elapsed().as_secs_f64();
        std::hint::black_box(drawer.latents.decode(sampled.end));
        let decoded = began.elapsed().as_secs_f64();
        Ok([encoded, followed - encoded, decoded - followed])
    }

    /// Arithmetic and peak memory of one picture, by the trace.
    fn work(
        &self,
        name: &str,
        drawer: &Drawer<'_>,
        how: Drawing,
        judged: &mut Judged,
    ) -> Result<(), InstaFlowError> {
        let rows = if how.is_guided() { 2 } else { 1 };
        let [_, h, w, c] = self.noise.dims();
        let pipeline = &self.pipeline;
        let text = captured(|recorder, start| {
            let text = TextEncoder::new(start, &pipeline.text);
            recorder.weights(&text);
            let shape = [rows, pipeline.tokens];
            let ids = Tensor::<2, Int>::zeros(shape, &recorder.device());
            recorder.input(&ids);
            recorder.output(&text.forward(ids));
        })?;
        let unet = captured(|recorder, start| {
            let unet = Velocity::new(start, &pipeline.unet, drawer.stacked);
            recorder.weights(&unet);
            let device = recorder.device();
            let z = Tensor::<4>::zeros([rows, h, w, c], &device);
            let width = pipeline.unet.cross_attention_dim;
            let told = [rows, pipeline.tokens, width];
            let told = Tensor::<3>::zeros(told, &device);
            recorder.role(&z, Role::Input);
            recorder.role(&told, Role::Input);
            recorder.output(&unet.forward(z, &vec![1000.0; rows], told));
        })?;
        let decode = captured(|recorder, start| {
            let vae = Vae::new(start, &pipeline.vae);
            let z = Tensor::<4>::zeros([1, h, w, c], &recorder.device());
            recorder.role(&z, Role::Input);
            recorder.weights(&vae.decoder);
            recorder.weights(&vae.post_quant_conv);
            recorder.output(&vae.decode(z));
        })?;
        let arithmetic = |graph: &Graph| graph.flops_of(Pass::Forward).value();
        let flops = arithmetic(&text)
            + how.steps as f64 * arithmetic(&unet)
            + arithmetic(&decode);
        // Weights of all three lie in memory at once; what is made on the way
        // is that of one at a time.
        let graphs = [&text, &unet, &decode];
        let peaks = graphs.map(|g| memory(g, Precision::F32).peak);
        let weights: f64 = peaks.iter().map(|p| p.weights_bytes.0).sum();
        let made = peaks.iter().map(|p| p.activations_bytes.0);
        let bytes = weights + made.fold(0.0, f64::max);
        let at =
            [("method", name.to_owned()), ("steps", how.steps.to_string())];
        let lower = Better::Lower;
        judged.metrics.push(metric("flops_traced", "FLOP", lower, flops, &at));
        judged.metrics.push(metric("memory_traced", "B", lower, bytes, &at));
        Ok(())
    }
}

fn captured(
    run: impl FnOnce(&Recorder, &mut Parameters),
) -> Result<Graph, InstaFlowError> {
    Ok(capture(assay_kernels::cost, |recorder| {
        let mut start = Parameters::shapes(&recorder.device());
        run(recorder, &mut start);
    })?)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
