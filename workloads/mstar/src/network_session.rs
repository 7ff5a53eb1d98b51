//! A prepared case of a network: checked, then run again and again. Encoding,
//! prefill, a decode step, a training step; an iteration and a study have
//! sessions of their own.
//!
//! The check is twofold: the decoder's family against right answers that
//! `transformers` made (`slm`'s golden files), and this network, at its own
//! widths, through its fused kernels and its cache against the plain twins at
//! once and without one.

use std::hint::black_box;

use assay_kernels::with_plain_twins;
use assay_kit::{
    AxisError, Checkpoint, Optimizer, Parameters, compare, floats,
    load_published, merge,
};
use assay_measure::{Context, Pace, Progress, Session, Watch, WorkloadError};
use assay_schema::{Better, Verification};
use assay_slm::{Cache, Decoder, SlmError, passage};
use assay_trace::{Tape, inner};
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::MstarError;
use crate::examples::{Examples, Layout};
use crate::model::VisionLanguage;
use crate::request::{Part, Phase, Request};
use crate::steps::{ADAMW, train};
use crate::vision::{CHANNELS, VisionTransformer};

/// The relative tolerance of an answer in `f32`.
const TOLERANCE: f64 = 1e-4;

/// Inputs that a session takes in turn, so that no iteration sees those of
/// the one before.
const INPUTS: usize = 4;

/// Visual tokens of the check of a row: with the words behind them enough for
/// the cache to matter, few enough for the plain twins.
const CHECKED_VISUAL: usize = 4;

/// Words of a checked row, and of a checked question and its reply.
const CHECKED_WORDS: usize = 5;

/// Rows of a check at most.
const CHECKED_ROWS: usize = 2;

/// The seed of what a check reads.
const CHECKED_SEED: u64 = 7;

/// What a case runs; `None` while a training step is under way.
enum Network {
    Tower(Box<VisionTransformer>),
    Whole(Option<Box<VisionLanguage>>),
    Decoder(Option<Box<Decoder>>),
}

/// What it is given.
#[derive(Clone)]
#[allow(
    clippy::large_enum_variant,
    reason = "a session has a handful, and tensors are handles"
)]
enum Input {
    Tiles(Tensor<4>),
    /// Visual tokens, none for a decoder alone or a step, and words.
    Row(Option<Tensor<3>>, Tensor<2, Int>),
    Examples(Box<Examples>),
}

/// A case of a network.
pub(crate) struct NetworkSession {
    request: Request,
    network: Network,
    inputs: Vec<Input>,
    turn: usize,
    /// Decode: `context` tokens, and room for one.
    cache: Option<Cache>,
    optimizer: Optimizer,
    device: Device,
}

fn lost() -> WorkloadError {
    WorkloadError::other("the model was lost in a training step that failed")
}

fn of_another_kind() -> WorkloadError {
    WorkloadError::other("an input of another kind than the network reads")
}

/// Random numbers of deviation one half, off the tape.
fn numbers<const D: usize>(
    shape: [usize; D],
    seed: u64,
    device: &Device,
) -> Tensor<D> {
    let plain = Parameters::random(&Device::flex(), seed).weight(shape, 0.5);
    Tensor::from_data(plain.val().into_data(), device)
}

fn tiles(request: &Request, count: usize, of: Draw<'_>) -> Tensor<4> {
    let side = request.model.picture();
    numbers([count, CHANNELS, side, side], of.seed, of.device)
}

/// Which inputs, and where.
#[derive(Clone, Copy)]
struct Draw<'a> {
    seed: u64,
    /// Which passage of the text.
    which: usize,
    device: &'a Device,
}

/// Ids of `rows` lines of `count` words of a text, one behind the other.
fn passages(
    request: &Request,
    [rows, count]: [usize; 2],
    which: usize,
) -> Result<Vec<i64>, SlmError> {
    passage(which, rows * count, request.model.language.vocab)
}

fn words(
    request: &Request,
    shape: [usize; 2],
    of: Draw<'_>,
) -> Result<Tensor<2, Int>, SlmError> {
    let ids = passages(request, shape, of.which)?;
    Ok(Tensor::from_data(TensorData::new(ids, shape), of.device))
}

/// Lines of words, off the device.
fn lines(
    request: &Request,
    shape: [usize; 2],
    which: usize,
) -> Result<Vec<Vec<u32>>, SlmError> {
    let ids = passages(request, shape, which)?;
    // Ids are below the vocabulary.
    let line = |ids: &[i64]| ids.iter().map(|&id| id as u32).collect();
    Ok(ids.chunks(shape[1].max(1)).map(line).collect())
}

/// A batch of `rows` pictures of so many tiles, with questions and replies of
/// so many words.
fn examples(
    request: &Request,
    rows: usize,
    tiles_each: usize,
    [prompt, reply]: [usize; 2],
    of: Draw<'_>,
) -> Result<Examples, MstarError> {
    let pictures = tiles(request, rows * tiles_each, of);
    let questions = lines(request, [rows, prompt], of.which)?;
    let replies = lines(request, [rows, reply], of.which + INPUTS)?;
    let questions: Vec<&[u32]> = questions.iter().map(Vec::as_slice).collect();
    let replies: Vec<&[u32]> = replies.iter().map(Vec::as_slice).collect();
    let layout = Layout { prompt, reply, padding: 0 };
    Examples::new(&layout, &request.model, pictures, &questions, &replies)
}

/// A module with the weights of a file, by its dotted paths.
fn weighted<M: Module>(module: M, context: &Context) -> Result<M, MstarError> {
    Ok(match &context.weights {
        Some(path) => load_published(module, &Checkpoint::open(path)?)?,
        None => module,
    })
}

/// One input of the case.
fn input(request: &Request, of: Draw<'_>) -> Result<Input, MstarError> {
    let (b, width) = (request.batch, request.model.language.width);
    Ok(match (request.phase, request.part) {
        (Phase::Encode, _) => {
            Input::Tiles(tiles(request, b * request.tiles, of))
        }
        (Phase::Prefill, part) => {
            let shape = [b, request.visual(), width];
            let visual = (part == Part::Whole)
                .then(|| numbers(shape, of.seed, of.device));
            Input::Row(visual, words(request, [b, request.prompt], of)?)
        }
        (Phase::Decode, _) => Input::Row(None, words(request, [b, 1], of)?),
        (Phase::TrainStep, Part::Language) => {
            let shape = [b, request.longest()];
            Input::Row(None, words(request, shape, of)?)
        }
        (Phase::TrainStep, _) => {
            let text = [request.prompt, request.tokens];
            let made = examples(request, b, request.tiles, text, of)?;
            Input::Examples(Box::new(made))
        }
        (Phase::Iteration | Phase::Study, _) => {
            return Err(MstarError::Data(format!(
                "`{}` is no phase of one network",
                request.phase.name()
            )));
        }
    })
}

impl NetworkSession {
    /// Prepares a case: weights of `context.weights`, or random ones.
    ///
    /// # Errors
    /// Weights that do not fit; several ranks; a phase that is not of one
    /// network.
    pub(crate) fn new(
        request: Request,
        context: &Context,
    ) -> Result<Self, MstarError> {
        if request.ranks > 1 {
            let expected = "1: this machine is one; more are predicted";
            return Err(AxisError::new("ranks", request.ranks, expected).into());
        }
        let training = request.phase == Phase::TrainStep;
        let flex = Device::flex();
        let device = if training { flex.autodiff() } else { flex };
        let model = &request.model;
        // The checks' rows are to be read too.
        let longest =
            request.longest().max(model.tile_tokens() + 2 * CHECKED_WORDS);
        let mut parameters = Parameters::random(&device, context.seed);
        let p = &mut parameters;
        let mut optimizer = Optimizer::new(ADAMW);
        let network = match request.part {
            Part::Vision => {
                let tower = VisionTransformer::new(p, &model.vision);
                Network::Tower(Box::new(weighted(tower, context)?))
            }
            Part::Language => {
                let decoder = Decoder::new(p, &model.language, longest);
                let decoder = weighted(decoder, context)?;
                if training {
                    optimizer.prepare(&decoder);
                }
                Network::Decoder(Some(Box::new(decoder)))
            }
            Part::Whole => {
                let whole = VisionLanguage::new(p, model, longest);
                let whole = weighted(whole, context)?;
                if training {
                    optimizer.prepare(&whole);
                }
                Network::Whole(Some(Box::new(whole)))
            }
        };
        let inputs = (0..INPUTS)
            .map(|which| {
                let seed = context.seed.wrapping_add(1 + which as u64);
                input(&request, Draw { seed, which, device: &device })
            })
            .collect::<Result<_, _>>()?;
        let mut session = Self {
            request,
            network,
            inputs,
            turn: 0,
            cache: None,
            optimizer,
            device,
        };
        if session.request.phase == Phase::Decode {
            session.cache = Some(session.filled()?);
        }
        Ok(session)
    }

    /// A cache of `context` tokens with room for one. They are words, whatever
    /// the network: a step does not ask what filled its cache.
    fn filled(&self) -> Result<Cache, MstarError> {
        let (r, config) = (&self.request, &self.request.model.language);
        let draw = self.draw(0);
        let past = words(r, [r.batch, r.context], draw)?;
        let decoder: &Decoder = match &self.network {
            Network::Whole(Some(whole)) => whole.language(),
            Network::Decoder(Some(decoder)) => decoder,
            Network::Tower(_) | Network::Whole(_) | Network::Decoder(_) => {
                return Err(MstarError::Data("no decoder to fill".into()));
            }
        };
        Ok(assay_slm::seen(decoder, config, past, r.context + 1).1)
    }

    fn draw(&self, which: usize) -> Draw<'_> {
        Draw { seed: CHECKED_SEED, which, device: &self.device }
    }

    fn next_input(&mut self) -> Input {
        self.turn = (self.turn + 1) % self.inputs.len();
        self.inputs[self.turn].clone()
    }

    /// One iteration of anything but training.
    fn infer(
        &self,
        input: Input,
        cache: Option<&mut Cache>,
    ) -> Result<Tensor<3>, WorkloadError> {
        let (model, at) = (&self.request.model, self.request.context);
        Ok(match (&self.network, input, cache) {
            (Network::Tower(tower), Input::Tiles(tiles), _) => {
                tower.forward(tiles)
            }
            (Network::Whole(Some(whole)), Input::Tiles(tiles), _) => {
                whole.encode(tiles)
            }
            (Network::Whole(Some(whole)), Input::Row(Some(seen), row), _) => {
                whole.prefill(model, seen, row).0
            }
            (
                Network::Whole(Some(whole)),
                Input::Row(None, word),
                Some(cache),
            ) => whole.decode(word, at, cache),
            (
                Network::Decoder(Some(decoder)),
                Input::Row(_, word),
                Some(cache),
            ) => assay_slm::decode(decoder, word, at, cache),
            (Network::Decoder(Some(decoder)), Input::Row(_, row), None) => {
                assay_slm::prefill(decoder, &model.language, row).0
            }
            _ => return Err(of_another_kind()),
        })
    }

    /// One training step; its loss.
    fn train(&mut self, input: Input) -> Result<Tensor<1>, WorkloadError> {
        let optimizer = &mut self.optimizer;
        match (&mut self.network, input) {
            (Network::Whole(place), Input::Examples(examples)) => {
                let whole = place.take().ok_or_else(lost)?;
                let (loss, after) = train(*whole, optimizer, &examples);
                *place = Some(Box::new(after));
                Ok(loss)
            }
            (Network::Decoder(place), Input::Row(_, rows)) => {
                let decoder = place.take().ok_or_else(lost)?;
                let (loss, after) = assay_slm::train(*decoder, optimizer, rows);
                *place = Some(Box::new(after));
                Ok(loss)
            }
            _ => Err(of_another_kind()),
        }
    }
}

/// The checks.
impl NetworkSession {
    /// This network against its plain twins.
    fn check_at_width(&self) -> Result<Vec<Verification>, WorkloadError> {
        let training = self.request.phase == Phase::TrainStep;
        Ok(match &self.network {
            Network::Tower(tower) => {
                vec![self.check_tiles(|tiles| tower.forward(tiles))]
            }
            Network::Whole(Some(whole)) => match self.request.phase {
                Phase::Encode => {
                    vec![self.check_tiles(|tiles| whole.encode(tiles))]
                }
                _ if training => self.check_loss(whole)?,
                _ => vec![self.check_row(whole)?],
            },
            Network::Decoder(Some(decoder)) => {
                vec![self.check_decoder(decoder, training)?]
            }
            Network::Whole(None) | Network::Decoder(None) => {
                return Err(lost());
            }
        })
    }

    fn check_tiles(
        &self,
        run: impl Fn(Tensor<4>) -> Tensor<3>,
    ) -> Verification {
        let count = CHECKED_ROWS.min(self.request.batch);
        let tiles = tiles(&self.request, count, self.draw(INPUTS));
        let fused = floats(run(tiles.clone()));
        let plain = floats(with_plain_twins(|| run(tiles)));
        compare("plain twins at width", &fused, &plain, TOLERANCE)
    }

    fn check_row(
        &self,
        whole: &VisionLanguage,
    ) -> Result<Verification, WorkloadError> {
        let (r, draw) = (&self.request, self.draw(INPUTS));
        let b = CHECKED_ROWS.min(r.batch);
        let width = r.model.language.width;
        let visual =
            numbers([b, CHECKED_VISUAL, width], CHECKED_SEED, &self.device);
        let all =
            words(r, [b, CHECKED_WORDS], draw).map_err(MstarError::from)?;
        let before = all.clone().narrow(1, 0, CHECKED_WORDS - 1);
        let last = all.clone().narrow(1, CHECKED_WORDS - 1, 1);
        let total = CHECKED_VISUAL + CHECKED_WORDS;
        let (_, mut cache) = whole.see(&r.model, visual.clone(), before, total);
        let fused = floats(whole.decode(last, total - 1, &mut cache));
        let plain = with_plain_twins(|| {
            let hidden = whole.hidden(visual, all);
            floats(whole.logits(hidden.narrow(1, total - 1, 1)))
        });
        let against = "plain, uncached forward at width";
        Ok(compare(against, &fused, &plain, TOLERANCE))
    }

    fn check_decoder(
        &self,
        decoder: &Decoder,
        training: bool,
    ) -> Result<Verification, WorkloadError> {
        let (r, draw) = (&self.request, self.draw(INPUTS));
        let b = CHECKED_ROWS.min(r.batch);
        let t = CHECKED_WORDS;
        let all = words(r, [b, t], draw).map_err(MstarError::from)?;
        if training {
            let loss = || floats(inner(decoder.loss(all.clone())));
            let (fused, plain) = (loss(), with_plain_twins(loss));
            let against = "loss of the plain twins at width";
            return Ok(compare(against, &fused, &plain, TOLERANCE));
        }
        let before = all.clone().narrow(1, 0, t - 1);
        let last = all.clone().narrow(1, t - 1, 1);
        let config = &r.model.language;
        let (_, mut cache) = assay_slm::seen(decoder, config, before, t);
        let fused = floats(assay_slm::decode(decoder, last, t - 1, &mut cache));
        let plain = with_plain_twins(|| {
            let hidden = decoder.hidden(all, 0, None);
            floats(decoder.logits(hidden.narrow(1, t - 1, 1)))
        });
        let against = "plain, uncached forward at width";
        Ok(compare(against, &fused, &plain, TOLERANCE))
    }

    /// The loss, and its gradient in the pictures: through all of the model.
    fn check_loss(
        &self,
        whole: &VisionLanguage,
    ) -> Result<Vec<Verification>, WorkloadError> {
        let rows = CHECKED_ROWS.min(self.request.batch);
        let text = [CHECKED_WORDS; 2];
        let made = examples(&self.request, rows, 1, text, self.draw(INPUTS))?;
        let answer = || {
            let pictures = made.pictures.clone().require_grad();
            let own = Examples { pictures: pictures.clone(), ..made.clone() };
            let loss = whole.loss(&own);
            let value = floats(inner(loss.clone()));
            let mut tape = Tape::of(loss);
            let slope = tape.remove(&pictures).map(floats).unwrap_or_default();
            (value, slope)
        };
        let (fused, plain) = (answer(), with_plain_twins(answer));
        let checked = |what: &str, fused: &[f32], plain: &[f32]| {
            let against = format!("{what} of the plain twins at width");
            compare(against, fused, plain, TOLERANCE)
        };
        Ok(vec![
            checked("loss", &fused.0, &plain.0),
            checked("gradient in the pictures", &fused.1, &plain.1),
        ])
    }

    /// The decoder's family against its right answers, where they are made.
    fn golden(&self) -> Result<Option<Verification>, MstarError> {
        let r = &self.request;
        if r.part == Part::Vision || r.phase == Phase::Encode {
            return Ok(None);
        }
        let phase = match r.phase {
            Phase::TrainStep => assay_slm::Phase::TrainStep,
            _ => assay_slm::Phase::Prefill,
        };
        match assay_slm::of_family(r.model.language.family) {
            Ok((config, weights, right)) => {
                let phase = Some(phase);
                Ok(Some(assay_slm::check_golden(
                    &config, &weights, &right, phase, TOLERANCE,
                )?))
            }
            Err(SlmError::NoGolden { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Session for NetworkSession {
    fn verify(&mut self) -> Result<Verification, WorkloadError> {
        let mut parts: Vec<Verification> = self.golden()?.into_iter().collect();
        parts.extend(self.check_at_width()?);
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
        if self.request.phase == Phase::TrainStep {
            let loss = floats(self.train(input)?);
            let loss = loss.first().copied().unwrap_or(f32::NAN);
            if !loss.is_finite() {
                let what = "training loss".to_owned();
                return Err(WorkloadError::NotFinite { what });
            }
            watch.quality("loss", "nat", Better::Lower, f64::from(loss));
            return Ok(Progress::More);
        }
        // Out of the session, so that the step writes into it in place.
        let mut cache = self.cache.take();
        let answer = self.infer(input, cache.as_mut());
        self.cache = cache;
        black_box(answer?);
        Ok(Progress::More)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(text: &str) -> Result<NetworkSession, MstarError> {
        let request = Request::new(&text.parse().unwrap(), None)?;
        NetworkSession::new(request, &Context::new("cpu", 3))
    }

    #[test]
    fn every_phase_of_tiny_is_right_and_runs() {
        for case in [
            "tiny/encode batch=2",
            "tiny/prefill batch=2",
            "tiny/decode batch=3 context=20",
            "tiny/train-step batch=2",
            "tiny-vision/encode",
            "tiny-language/prefill prompt=9",
            "tiny-language/decode context=5",
            "tiny-language/train-step batch=2",
        ] {
            let mut made = session(&format!("mstar/{case}")).unwrap();
            let verified = made.verify().unwrap();
            assert!(verified.passed(), "{case}: {verified:?}");
            for _ in 0..2 {
                let input = made.next_input();
                if made.request.phase == Phase::TrainStep {
                    let loss = floats(made.train(input).unwrap());
                    assert!(loss[0] > 0.0, "{case}");
                    continue;
                }
                let mut cache = made.cache.take();
                let found = floats(made.infer(input, cache.as_mut()).unwrap());
                made.cache = cache;
                assert!(found.iter().all(|value| value.is_finite()), "{case}");
            }
        }
    }

    #[test]
    fn what_is_not_of_one_network_or_machine_is_refused() {
        for (case, word) in [
            ("tiny/iteration", "no phase of one network"),
            ("tiny/train-step batch=2 ranks=2", "`ranks`"),
        ] {
            let error = session(&format!("mstar/{case}")).err().unwrap();
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}
