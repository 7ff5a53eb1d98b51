//! A case of this workload, read: a candidate of a shape, a search, or the
//! intents.
//!
//! `candidate/{prefill,decode,generate,train-step}` are the phases of the
//! language models on a shape that axes spell out; `candidate/search` looks
//! for shapes; `intents/{fine-tune,call}` are the small model that answers
//! with calls.

use std::ops::RangeInclusive;
use std::path::Path;

use assay_kit::{AxisError, named, parsed};
use assay_schema::{Case, Precision, nearest};
use assay_slm::{Config, Phase};

use crate::{PhoneLmError, Shape};

/// The model whose shape axes spell out.
pub(crate) const CANDIDATE: &str = "candidate";
/// The model that answers with calls.
pub(crate) const INTENTS: &str = "intents";

/// The shipped models that PhoneLM is set beside: its own shapes, and those of
/// the authors' table of capability (their repository's README). They have the
/// phases of a candidate but the search.
pub(crate) const COMPARED: [&str; 19] = [
    "phonelm-0.5b",
    "phonelm-1.5b",
    "pythia-1.4b",
    "opt-1.3b",
    "bloom-1b1",
    "tinyllama-1.1b",
    "mobilellama-1.4b",
    "mobillama-1b",
    "openelm-1.1b",
    "dclm-1b",
    "smollm-1.7b",
    "qwen1.5-1.8b",
    "galactica-1.3b",
    "stablelm-2-zephyr-1.6b",
    "cerebras-gpt-1.3b",
    "minicpm-1b-sft-bf16",
    "minicpm-2b-128k",
    "gemma-2b",
    "gemma-2-2b",
];

/// Phases of a candidate that the language models have too.
pub(crate) const DECODER_PHASES: [&str; 4] =
    ["prefill", "decode", "generate", "train-step"];
/// The search, a phase of `candidate` alone.
pub(crate) const SEARCH: &str = "search";
/// The phases of `intents`.
pub(crate) const INTENTS_PHASES: [&str; 2] = ["fine-tune", "call"];

/// Held-out requests by default: as many as DroidCall tests with.
pub(crate) const TESTED: usize = 200;
/// Training steps of the intents' model before it sees a call.
pub(crate) const PRETRAIN_STEPS: usize = 4_000;
/// Training steps with calls.
pub(crate) const TUNE_STEPS: usize = 3_000;
/// Rank of the adapters, as in the authors' `config_phonelm_1.5b_call.yaml`.
pub(crate) const RANK: usize = 8;

/// What a search looks for, and how far it goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// The machine: `host`, or a profile as `NAME[:UNIT]`.
    pub target: String,
    /// Parameters of a candidate.
    pub budget: u64,
    /// Candidates that are predicted.
    pub candidates: usize,
    /// Candidates that are timed here, for the rank correlation; 0: none.
    pub measured: usize,
    /// Candidates that are trained; 0: none.
    pub finalists: usize,
    /// Tokens that each of them sees, with each seed.
    pub train_tokens: usize,
    /// Seeds of each finalist's training: `seed` and those after it.
    pub seeds: u64,
    /// Seed of the sampling.
    pub seed: u64,
    /// Tokens of the prefill that is predicted and timed.
    pub prompt: usize,
    /// Tokens in the cache of the decode step that is predicted and timed.
    pub context: usize,
    /// Number format of the predictions.
    pub precision: Precision,
}

/// What the intents' model is trained with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Methods {
    /// Adapters of low rank (LoRA), as DroidCall has it.
    Adapters,
    /// Also all weights, as a comparison.
    All,
}

impl Methods {
    /// Names, the default first.
    pub const NAMES: [(&'static str, Self); 2] =
        [("adapters", Self::Adapters), ("all", Self::All)];
}

/// A study of the intents: pre-trained, judged, fine-tuned, judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuning {
    /// Seed of data, weights and order.
    pub seed: u64,
    /// Rank of the adapters.
    pub rank: usize,
    /// Steps of pre-training, without calls.
    pub pretrain_steps: usize,
    /// Steps of fine-tuning.
    pub tune_steps: usize,
    /// Held-out requests.
    pub tested: usize,
    /// What is fine-tuned.
    pub methods: Methods,
}

/// One whole call: the prompt with its tools, then the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Number format.
    pub precision: Precision,
    /// Seed of weights and of the request.
    pub seed: u64,
    /// Tools that the prompt offers.
    pub offered: usize,
}

/// A case with its numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// A phase of the language models on a candidate.
    Decoder(Box<assay_slm::Request>),
    /// A search.
    Search(Search),
    /// The intents' study.
    Tuning(Tuning),
    /// A call's latency.
    Call(Call),
}

impl Request {
    /// Reads a case; `file` is a model file in place of the axes of a
    /// candidate's shape.
    ///
    /// # Errors
    /// An unknown model or phase; an axis without a lawful value; axes that
    /// exclude each other, or a model file where nothing reads one.
    pub fn new(case: &Case, file: Option<&Path>) -> Result<Self, PhoneLmError> {
        let phase = case.phase.as_deref().unwrap_or_default();
        let is_decoder = DECODER_PHASES.contains(&phase);
        if case.model != INTENTS && is_decoder {
            let config = config_of(case, file)?;
            let request = assay_slm::Request::new(case, Some(config))?;
            return Ok(Self::Decoder(Box::new(request)));
        }
        let known: &[&str] = match case.model.as_str() {
            CANDIDATE => &[SEARCH],
            INTENTS => &INTENTS_PHASES,
            _ => &[],
        };
        if !known.contains(&phase) {
            let mut all = known.to_vec();
            if case.model != INTENTS {
                all.extend(DECODER_PHASES);
            }
            return Err(AxisError::new("phase", phase, all.join(", ")).into());
        }
        if let Some(file) = file {
            return Err(PhoneLmError::Excluded(format!(
                "`{phase}` reads no model file, found {}; a file describes \
                 a candidate's {}",
                file.display(),
                DECODER_PHASES.join(", ")
            )));
        }
        match phase {
            SEARCH => Ok(Self::Search(Search::of_case(case)?)),
            "call" => Ok(Self::Call(Call::of_case(case)?)),
            _ => Ok(Self::Tuning(Tuning::of_case(case)?)),
        }
    }

    /// The number format that the case is about.
    pub fn precision(&self) -> Precision {
        match self {
            Self::Decoder(request) => request.precision,
            Self::Search(search) => search.precision,
            Self::Call(call) => call.precision,
            Self::Tuning(_) => Precision::F32,
        }
    }
}

/// The shape of a decoder's case: a file's, else its axes'.
fn config_of(case: &Case, file: Option<&Path>) -> Result<Config, PhoneLmError> {
    match file {
        None if case.model == CANDIDATE => {
            Shape::of_case(case)?.config(CANDIDATE)
        }
        None if COMPARED.contains(&case.model.as_str()) => {
            Ok(assay_slm::model_config(&case.model)?)
        }
        None => {
            let names = [CANDIDATE, INTENTS].into_iter().chain(COMPARED);
            let nearest = nearest(&case.model, names).unwrap_or(CANDIDATE);
            Err(PhoneLmError::Data(format!(
                "unknown model `{}`; nearest valid: `{nearest}`; a shape of \
                 another name needs its file (--model FILE)",
                case.model
            )))
        }
        Some(file) => {
            let config = Config::from_file(file)?;
            if case.model == CANDIDATE {
                check_axes_against(case, &config)?;
            }
            Ok(config)
        }
    }
}

/// Refuses axes that say otherwise than the model file. A case is complete
/// before it is read, so that an axis at its default may not have been given.
fn check_axes_against(
    case: &Case,
    config: &Config,
) -> Result<(), PhoneLmError> {
    let base = Shape::default();
    for (axis, default, own) in [
        ("layers", base.layers, config.layers),
        ("width", base.width, config.width),
        ("heads", base.heads, config.heads),
        ("kv_heads", base.kv_heads, config.kv_heads),
        ("ffn", base.ffn, config.ffn),
        ("vocab", base.vocab, config.vocab),
    ] {
        let Some(given) = case.axis(axis) else { continue };
        if given != default.to_string() && given != own.to_string() {
            return Err(PhoneLmError::Excluded(format!(
                "{axis}={given} and a model file that has {own}"
            )));
        }
    }
    Ok(())
}

/// Most steps of a training, and most requests or shapes of anything: above
/// it memory or time would end before the run does.
const MOST: usize = 1_000_000;

/// Longest prompt and cache of a search, tokens.
const LONGEST: usize = 32_768;

/// Most tokens that a finalist sees.
const MOST_TOKENS: usize = 1 << 30;

/// Most seeds of a finalist, and most tools of a prompt.
const MOST_SEEDS: u64 = 1_000;
const MOST_OFFERED: usize = 1_000;

/// Largest rank of adapters: no layer of the intents' model is as wide.
const LARGEST_RANK: usize = 4_096;

/// A whole number in a range.
fn count(
    case: &Case,
    axis: &'static str,
    default: usize,
    range: RangeInclusive<usize>,
) -> Result<usize, AxisError> {
    let (least, most) = (range.start(), range.end());
    let expected = format!("a whole number from {least} to {most}");
    parsed(case, axis, default, &expected, |n| range.contains(n))
}

fn seed_of(case: &Case) -> Result<u64, AxisError> {
    parsed(case, "seed", 1, "a whole number from 1", |seed: &u64| *seed > 0)
}

fn precision_of(case: &Case) -> Result<Precision, AxisError> {
    let format = "a number format";
    parsed(case, "precision", Precision::F32, format, |_| true)
}

impl Search {
    /// Candidates by default: the ten thousand.
    pub(crate) const CANDIDATES: usize = 10_000;
    /// Parameters by default: what two cores train in a minute.
    pub(crate) const BUDGET: u64 = 2_000_000;
    /// Tokens of a finalist's training by default.
    pub(crate) const TRAIN_TOKENS: usize = 200_000;
    /// Tokens of the prefill, and in the cache, by default.
    pub(crate) const TOKENS: usize = 64;

    fn of_case(case: &Case) -> Result<Self, PhoneLmError> {
        let search = Self {
            target: case.axis("target").unwrap_or("host").to_owned(),
            budget: parsed(
                case,
                "budget",
                Self::BUDGET,
                "parameters, a whole number from 1",
                |n| *n > 0,
            )?,
            candidates: count(case, "candidates", Self::CANDIDATES, 1..=MOST)?,
            measured: count(case, "measured", 0, 0..=MOST)?,
            finalists: count(case, "finalists", 0, 0..=MOST)?,
            train_tokens: count(
                case,
                "train_tokens",
                Self::TRAIN_TOKENS,
                1..=MOST_TOKENS,
            )?,
            seeds: parsed(
                case,
                "seeds",
                1,
                &format!("a whole number from 1 to {MOST_SEEDS}"),
                |n| (1..=MOST_SEEDS).contains(n),
            )?,
            seed: seed_of(case)?,
            prompt: count(case, "prompt", Self::TOKENS, 1..=LONGEST)?,
            context: count(case, "context", Self::TOKENS, 1..=LONGEST)?,
            precision: precision_of(case)?,
        };
        search.check()?;
        Ok(search)
    }

    /// What no single axis can say.
    fn check(&self) -> Result<(), PhoneLmError> {
        let excluded = |why: String| Err(PhoneLmError::Excluded(why));
        if self.measured > 0 && self.target != "host" {
            return excluded(format!(
                "measured={} times candidates on this machine; it goes with \
                 target=host, not with target={}",
                self.measured, self.target
            ));
        }
        if self.measured > 0 && self.precision != Precision::F32 {
            return excluded(format!(
                "measured={} needs precision=f32, which this engine runs, not \
                 {}",
                self.measured, self.precision
            ));
        }
        // Below 3 there is no rank correlation with an interval.
        if (1..3).contains(&self.measured) {
            return excluded(format!(
                "measured={}: a rank correlation takes at least 3 shapes; 0 \
                 leaves it out",
                self.measured
            ));
        }
        let drawn = self.measured.max(self.finalists);
        if drawn > self.candidates {
            return excluded(format!(
                "candidates={} and {drawn} of them to measure or to train",
                self.candidates
            ));
        }
        Ok(())
    }
}

impl Tuning {
    fn of_case(case: &Case) -> Result<Self, PhoneLmError> {
        Ok(Self {
            seed: seed_of(case)?,
            rank: count(case, "rank", RANK, 1..=LARGEST_RANK)?,
            pretrain_steps: count(
                case,
                "pretrain_steps",
                PRETRAIN_STEPS,
                1..=MOST,
            )?,
            tune_steps: count(case, "tune_steps", TUNE_STEPS, 1..=MOST)?,
            tested: count(case, "tested", TESTED, 1..=10_000)?,
            methods: named(case, "methods", &Methods::NAMES)?,
        })
    }
}

impl Call {
    /// Tools in a prompt by default.
    pub(crate) const OFFERED: usize = 4;

    fn of_case(case: &Case) -> Result<Self, PhoneLmError> {
        Ok(Self {
            precision: precision_of(case)?,
            seed: seed_of(case)?,
            offered: count(case, "offered", Self::OFFERED, 1..=MOST_OFFERED)?,
        })
    }
}

/// The request of a decoder of this shape, rows and tokens: for traces.
pub(crate) fn decoder(
    config: Config,
    phase: Phase,
    [batch, prompt, tokens]: [usize; 3],
    precision: Precision,
) -> assay_slm::Request {
    assay_slm::Request {
        config,
        phase,
        batch,
        prompt,
        context: prompt,
        tokens,
        task: String::new(),
        shots: 0,
        train_steps: 0,
        precision,
    }
}

#[cfg(test)]
mod tests {
    use assay_kernels::Activation;

    use super::*;

    fn request(case: &str) -> Result<Request, PhoneLmError> {
        Request::new(&case.parse().unwrap(), None)
    }

    #[test]
    fn a_candidate_is_the_shape_that_its_axes_spell_out() {
        let read = request(
            "phonelm/candidate/decode layers=2 width=64 heads=4 kv_heads=2 \
             ffn=96 vocab=512 activation=relu ffn_kind=plain context=7",
        );
        let Request::Decoder(read) = read.unwrap() else {
            panic!("no decoder")
        };
        let config = &read.config;
        assert_eq!((config.layers, config.head_dim), (2, 16));
        assert_eq!(
            (config.activation, config.gated),
            (Activation::Relu, false)
        );
        assert_eq!(read.context, 7);
        // The default is the authors' 100M candidate.
        let Request::Decoder(read) =
            request("phonelm/candidate/prefill").unwrap()
        else {
            panic!("no decoder")
        };
        assert_eq!((read.config.layers, read.config.head_dim), (12, 24));
    }

    #[test]
    fn axes_that_exclude_each_other_are_named() {
        for (case, words) in [
            (
                "phonelm/candidate/decode width=100 heads=3",
                "heads=3 does not divide width=100",
            ),
            ("phonelm/candidate/decode heads=16 kv_heads=3", "`kv_heads` 3"),
            ("phonelm/candidate/decode width=96 heads=32", "rotary"),
            (
                "phonelm/candidate/search measured=40 \
                 target=snapdragon-8-gen-3:cpu",
                "target=host",
            ),
            (
                "phonelm/candidate/search measured=40 precision=f16",
                "precision=f32",
            ),
            ("phonelm/candidate/search measured=2", "at least 3"),
            (
                "phonelm/candidate/search candidates=4 finalists=5",
                "candidates=4 and 5",
            ),
        ] {
            let error = request(case).unwrap_err();
            assert!(matches!(error, PhoneLmError::Excluded(_)), "{case}");
            assert!(error.to_string().contains(words), "{error}");
        }
    }

    #[test]
    fn a_phase_of_another_model_and_a_bad_number_are_errors() {
        for (case, words) in [
            ("phonelm/intents/prefill", "fine-tune, call"),
            ("phonelm/candidate/call", "search, prefill"),
            ("phonelm/other/search", "prefill, decode"),
            ("phonelm/candidates/decode", "nearest valid: `candidate`"),
            ("phonelm/candidate/search budget=0", "parameters"),
            ("phonelm/intents/fine-tune rank=0", "from 1 to 4096"),
            (
                "phonelm/candidate/search candidates=1000000000000000",
                "from 1 to 1000000",
            ),
            ("phonelm/candidate/search prompt=65537", "from 1 to 32768"),
            ("phonelm/candidate/search seeds=0", "from 1 to 1000"),
            ("phonelm/candidate/decode activation=sine", "silu, relu"),
        ] {
            let error = request(case).unwrap_err().to_string();
            assert!(error.contains(words), "{case}: {error}");
        }
    }

    #[test]
    fn a_model_file_stands_in_for_the_axes_and_must_agree_with_them() {
        let own = format!("assay-phonelm-{}.toml", std::process::id());
        let path = std::env::temp_dir().join(own);
        let text = include_str!("../../slm/models/phonelm-0.5b.toml");
        std::fs::write(&path, text).unwrap();
        let read = |case: &str| {
            Request::new(&case.parse().unwrap(), Some(path.as_path()))
        };
        let Request::Decoder(found) =
            read("phonelm/phonelm-0.5b/decode").unwrap()
        else {
            panic!("no decoder")
        };
        assert_eq!(found.config.layers, 24);
        assert!(read("phonelm/candidate/decode layers=24").is_ok());
        assert!(read("phonelm/candidate/decode layers=12").is_ok());
        let error = read("phonelm/candidate/decode layers=13").unwrap_err();
        assert!(error.to_string().contains("layers=13"), "{error}");
        let error = read("phonelm/candidate/search").unwrap_err();
        assert!(error.to_string().contains("no model file"), "{error}");
        std::fs::remove_file(path).unwrap();
    }
}
