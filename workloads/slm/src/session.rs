//! A prepared case: a model with its inputs, checked and then run again and
//! again.
//!
//! At a precision below `f32` the model is made in `f32`, asked for the logits
//! of a passage, and packed; from then on there is the packed model alone, and
//! what that did to the logits stands beside its timings.

use std::hint::black_box;

use assay_kernels::with_plain_twins;
use assay_kit::{Checkpoint, Optimizer, Parameters, compare, floats, merge};
use assay_measure::{Context, Pace, Progress, Session, Watch, WorkloadError};
use assay_schema::{Better, Verification};
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::packing::{EXACT, tolerance};
use crate::steps::{ADAMW, decode, prefill, seen, train};
use crate::{Cache, Decoder, Packing, Phase, Request, SlmError, golden, text};

/// Passages of text that a session takes in turn, so that no iteration sees
/// the tokens of the one before.
const PASSAGES: usize = 8;

/// Tokens of the check at full size: enough for the cache to matter, few
/// enough for the plain twin.
const CHECKED_TOKENS: usize = 9;

/// Tokens that a packed model and its `f32` model are compared on, at most.
const COMPARED_TOKENS: usize = 64;

pub(crate) struct SlmSession {
    request: Request,
    /// Taken out and put back by a training step.
    model: Option<Decoder>,
    /// What packing did to the model, where it is packed.
    packing: Option<Packing>,
    inputs: Vec<Tensor<2, Int>>,
    turn: usize,
    /// Decode: `context` tokens, and room for one.
    cache: Option<Cache>,
    optimizer: Optimizer,
}

fn tokens(
    request: &Request,
    which: usize,
    count: usize,
    device: &Device,
) -> Result<Tensor<2, Int>, SlmError> {
    let (rows, vocab) = (request.batch, request.config.vocab);
    let ids = text::passage(which, rows * count, vocab)?;
    Ok(Tensor::from_data(TensorData::new(ids, [rows, count]), device))
}

/// Tells what packing did to a model.
pub(crate) fn tell(packing: &Packing, watch: &mut Watch<'_>) {
    for (name, unit, value) in [
        ("logit-error", "1", packing.logit_error),
        ("kl-divergence", "nat", packing.kl_divergence),
        ("weight-bytes", "B", packing.weight_bytes as f64),
    ] {
        watch.quality(name, unit, Better::Lower, value);
    }
}

impl SlmSession {
    pub(crate) fn new(
        request: Request,
        context: &Context,
    ) -> Result<Self, SlmError> {
        let training = request.phase == Phase::TrainStep;
        let flex = Device::flex();
        let device = if training { flex.autodiff() } else { flex };
        let config = &request.config;
        let longest = request.longest().max(CHECKED_TOKENS);
        let model = match &context.weights {
            Some(path) => {
                let file = Checkpoint::open(path)?;
                golden::load_weights(config, &file, &device, longest)?
            }
            None => {
                let mut parameters = Parameters::random(&device, context.seed);
                Decoder::new(&mut parameters, config, longest)
            }
        };
        let (model, packing) = match request.packing() {
            Some(format) => {
                // One row, whatever the batch: what a format does to the
                // answers does not depend on it.
                let count = COMPARED_TOKENS.min(longest).min(config.context);
                let ids = text::passage(PASSAGES, count, config.vocab)?;
                let data = TensorData::new(ids, [1, count]);
                let row = Tensor::from_data(data, &device);
                let (model, packing) =
                    model.packed_and_compared(format, row)?;
                (model, Some(packing))
            }
            None => (model, None),
        };
        let count = match request.phase {
            Phase::Decode => 1,
            Phase::Prefill
            | Phase::Generate
            | Phase::TrainStep
            | Phase::Evaluate => request.prompt,
        };
        let inputs = (0..PASSAGES)
            .map(|which| tokens(&request, which, count, &device))
            .collect::<Result<_, _>>()?;
        let cache = if request.phase == Phase::Decode {
            let past = tokens(&request, 0, request.context, &device)?;
            let capacity = request.context + 1;
            Some(seen(&model, config, past, capacity).1)
        } else {
            None
        };
        let mut optimizer = Optimizer::new(ADAMW);
        if training {
            optimizer.prepare(&model);
        }
        Ok(Self {
            request,
            model: Some(model),
            packing,
            inputs,
            turn: 0,
            cache,
            optimizer,
        })
    }

    fn next_input(&mut self) -> Tensor<2, Int> {
        self.turn = (self.turn + 1) % self.inputs.len();
        self.inputs[self.turn].clone()
    }

    fn model(&self) -> Result<&Decoder, WorkloadError> {
        self.model.as_ref().ok_or_else(lost)
    }

    /// The fused, cached forward against the plain, uncached one, at the size
    /// that is timed. The plain twins unpack packed weights to `f32`: the same
    /// weights, multiplied without quantised activations.
    fn check_at_size(&self) -> Result<Verification, WorkloadError> {
        let config = &self.request.config;
        let model = self.model()?;
        let count = CHECKED_TOKENS.min(config.context);
        let device = self.inputs[0].device();
        let all = tokens(&self.request, PASSAGES, count, &device)?;
        if self.request.phase == Phase::TrainStep {
            let fused = floats(assay_trace::inner(model.loss(all.clone())));
            let plain = with_plain_twins(|| {
                floats(assay_trace::inner(model.loss(all)))
            });
            return Ok(compare(
                "loss of the plain twins at size",
                &fused,
                &plain,
                EXACT,
            ));
        }
        let b = self.request.batch;
        let fused = if count > 1 {
            let past = all.clone().slice([0..b, 0..count - 1]);
            let last = all.clone().slice([0..b, count - 1..count]);
            let (_, mut cache) = seen(model, config, past, count);
            decode(model, last, count - 1, &mut cache)
        } else {
            // A context of one token has no past to keep.
            prefill(model, config, all.clone()).0
        };
        let plain = with_plain_twins(|| {
            let hidden = model.hidden(all, 0, None);
            model.logits(hidden.slice([0..b, count - 1..count]))
        });
        let against = match self.request.packing() {
            None => "plain, uncached forward at size",
            Some(_) => {
                "plain, uncached forward at size, of the weights unpacked"
            }
        };
        Ok(compare(
            against,
            &floats(fused),
            &floats(plain),
            tolerance(self.request.packing(), config.layers),
        ))
    }
}

fn lost() -> WorkloadError {
    WorkloadError::other("the model was lost in a training step that failed")
}

impl Session for SlmSession {
    fn verify(&mut self) -> Result<Verification, WorkloadError> {
        let family = self.request.config.family;
        let mut parts = vec![self.check_at_size()?];
        if golden::is_made(family) {
            let (config, weights, right) = golden::of_family(family)?;
            let phase = Some(self.request.phase);
            let tiny = golden::check(&config, &weights, &right, phase, EXACT)?;
            parts.insert(0, tiny);
        }
        merge(parts).ok_or_else(|| WorkloadError::other("nothing was compared"))
    }

    fn pace(&self) -> Pace {
        Pace::Steady
    }

    fn iterate(
        &mut self,
        watch: &mut Watch<'_>,
    ) -> Result<Progress, WorkloadError> {
        let input = self.next_input();
        // Of a steady session the last value stands: once is enough, and in
        // the first iteration, which is warm-up.
        if let Some(packing) = &self.packing
            && watch.step() == 0
        {
            tell(packing, watch);
        }
        match self.request.phase {
            Phase::Prefill => {
                let model = self.model()?;
                black_box(prefill(model, &self.request.config, input));
            }
            Phase::Decode => {
                let mut cache = self.cache.take().ok_or_else(lost)?;
                let context = self.request.context;
                black_box(decode(self.model()?, input, context, &mut cache));
                self.cache = Some(cache);
            }
            Phase::Generate => self.generate(input, watch)?,
            Phase::Evaluate => {
                return Err(WorkloadError::other(
                    "an evaluation has a session of its own",
                ));
            }
            Phase::TrainStep => {
                let model = self.model.take().ok_or_else(lost)?;
                let (loss, model) = train(model, &mut self.optimizer, input);
                self.model = Some(model);
                let loss = floats(loss).first().copied().unwrap_or(f32::NAN);
                if !loss.is_finite() {
                    return Err(WorkloadError::NotFinite {
                        what: "training loss".to_owned(),
                    });
                }
                watch.quality("loss", "nat", Better::Lower, f64::from(loss));
            }
        }
        Ok(Progress::More)
    }
}

impl SlmSession {
    /// A prompt, then greedy steps; the first token and each later one are
    /// parts of their own.
    fn generate(
        &mut self,
        prompt: Tensor<2, Int>,
        watch: &mut Watch<'_>,
    ) -> Result<(), WorkloadError> {
        let (count, t) = (self.request.tokens, self.request.prompt);
        let config = self.request.config.clone();
        let model = self.model()?;
        let b = self.request.batch;
        let pick = |logits: Tensor<3>| logits.argmax(2).reshape([b, 1]);
        let (mut next, mut cache) = watch.part("first-token", |_| {
            let (logits, cache) = seen(model, &config, prompt, t + count);
            (pick(logits), cache)
        });
        for i in 1..count {
            next = watch.part("token", |_| {
                pick(decode(model, next, t + i - 1, &mut cache))
            });
        }
        black_box(next);
        Ok(())
    }
}
