//! A case of this workload, read: which model or part of one, which phase,
//! which sizes. What a study trains is read by the study.

use std::path::Path;

use assay_kit::{AxisError, named, parsed};
use assay_schema::{Case, Precision};

use crate::MstarError;
use crate::config::{self, Model};

/// What a case runs. `CONTRACT.md` fixes what each phase's latency is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Pictures to visual tokens.
    Encode,
    /// Visual tokens and a prompt, the head on the last position only.
    Prefill,
    /// One step for all rows with `context` tokens in the cache.
    Decode,
    /// Forward, backward, AdamW, one batch of replies.
    TrainStep,
    /// Rollouts of some prompts, reward, selection, updates.
    Iteration,
    /// The whole loop, trained and judged.
    Study,
}

impl Phase {
    /// Names, in the order in which they are listed.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("encode", Self::Encode),
        ("prefill", Self::Prefill),
        ("decode", Self::Decode),
        ("train-step", Self::TrainStep),
        ("iteration", Self::Iteration),
        ("study", Self::Study),
    ];

    /// Its name in a case.
    pub fn name(self) -> &'static str {
        let found = Self::NAMES.iter().find(|(_, phase)| *phase == self);
        found.map_or("", |(name, _)| name)
    }
}

/// Which part of a model a case is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// The vision tower, without the connector.
    Vision,
    /// The decoder.
    Language,
}

impl Part {
    /// All of them, with what a model's name ends with and the phases that
    /// each has.
    pub const ALL: [(Self, &'static str, &'static [Phase]); 3] = [
        (
            Self::Whole,
            "",
            &[
                Phase::Encode,
                Phase::Prefill,
                Phase::Decode,
                Phase::TrainStep,
                Phase::Iteration,
                Phase::Study,
            ],
        ),
        (
            Self::Language,
            "-language",
            &[Phase::Prefill, Phase::Decode, Phase::TrainStep],
        ),
        (Self::Vision, "-vision", &[Phase::Encode]),
    ];

    /// Its phases.
    pub fn phases(self) -> &'static [Phase] {
        let found = Self::ALL.iter().find(|(part, ..)| *part == self);
        found.map_or(&[][..], |(_, _, phases)| phases)
    }
}

/// What of the training state a rank holds a share of (ZeRO, Rajbhandari et
/// al., 2020).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharding {
    /// Nothing: every rank holds all.
    None,
    /// The optimizer's state (stage 1).
    Optimizer,
}

impl Sharding {
    /// Names, the default first.
    pub const NAMES: [(&'static str, Self); 2] =
        [("none", Self::None), ("optimizer", Self::Optimizer)];

    /// Its name in a case.
    pub fn name(self) -> &'static str {
        let found = Self::NAMES.iter().find(|(_, one)| *one == self);
        found.map_or("", |(name, _)| name)
    }
}

/// Sizes of a case that says none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Examples of a `train-step`.
    pub examples: usize,
    /// Examples of an update, in an iteration.
    pub update: usize,
    /// Examples of an update that a rank holds at once.
    pub micro: usize,
    /// Words of a question.
    pub prompt: usize,
    /// Words of a reply.
    pub tokens: usize,
    /// Tokens in the cache of a decode step, visual ones included.
    pub context: usize,
    /// Prompts of an iteration.
    pub prompts: usize,
}

/// Of the published models: 45,000 prompts, updates of 128 (facts/mstar.md,
/// section 1). How long questions and replies are is not published: 128 and
/// 256 words stand for it.
pub const LARGE: Sizes = Sizes {
    examples: 8,
    update: 128,
    micro: 8,
    prompt: 128,
    tokens: 256,
    context: 512,
    prompts: 45_000,
};

/// Of those that train here: questions and replies as long as the task's.
pub const SMALL: Sizes = Sizes {
    examples: 16,
    update: 16,
    micro: 16,
    prompt: crate::task::LONGEST_QUESTION,
    tokens: crate::task::LONGEST_RESPONSE,
    context: 48,
    prompts: 8,
};

/// Rollouts of a prompt (facts/mstar.md, section 1).
pub const ROLLOUTS: usize = 16;

/// Rollouts that are decoded at once.
pub const ROWS: usize = 64;

/// Replies of a prompt that train (facts/mstar.md, section 1: top-2).
pub const KEPT: usize = 2;

/// Most of anything that an axis counts.
const LARGEST: usize = 1 << 24;

/// A case with its numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The model as it was named.
    pub name: String,
    /// The whole model's shape.
    pub model: Model,
    /// Which part of it.
    pub part: Part,
    /// The phase.
    pub phase: Phase,
    /// Number format.
    pub precision: Precision,
    /// Pictures (encode), rows (prefill, decode), examples of an update over
    /// all ranks (train-step, iteration).
    pub batch: usize,
    /// Tiles of a picture.
    pub tiles: usize,
    /// Words of a question.
    pub prompt: usize,
    /// Tokens in the cache, visual ones included (decode).
    pub context: usize,
    /// Words of a reply (train-step, iteration).
    pub tokens: usize,
    /// Devices that share an update, and the rollouts of an iteration.
    pub ranks: usize,
    /// What of the training state they share.
    pub sharding: Sharding,
    /// Prompts of an iteration.
    pub prompts: usize,
    /// Rollouts of a prompt.
    pub rollouts: usize,
    /// Rollouts that a rank decodes at once.
    pub rows: usize,
    /// Replies of a prompt that train.
    pub kept: usize,
    /// Examples of an update that a rank holds at once (iteration).
    pub micro: usize,
}

/// A model and the part of it that a name means.
fn named_model(name: &str) -> Result<(Model, Part), MstarError> {
    for (part, end, _) in Part::ALL.iter().rev() {
        if let Some(whole) = name.strip_suffix(*end)
            && config::names().any(|known| known == whole)
        {
            return Ok((config::model(whole)?, *part));
        }
    }
    // The nearest of all names, parts included.
    let all: Vec<String> = model_names().collect();
    let nearest = assay_schema::nearest(name, all.iter().map(String::as_str));
    Err(MstarError::Model {
        found: name.to_owned(),
        nearest: nearest.unwrap_or("tiny").to_owned(),
    })
}

/// Names of all models and their parts, whole models first.
pub fn model_names() -> impl Iterator<Item = String> {
    Part::ALL.into_iter().flat_map(|(_, end, _)| {
        config::names().map(move |name| format!("{name}{end}"))
    })
}

/// The phases that a name of [`model_names`] has: a study is of those alone
/// that train here.
pub fn phases_of(name: &str) -> Vec<&'static str> {
    let Ok((model, part)) = named_model(name) else { return Vec::new() };
    part.phases()
        .iter()
        .filter(|phase| **phase != Phase::Study || model.trains_here())
        .map(|phase| phase.name())
        .collect()
}

/// What a case of that model takes where it says nothing.
pub fn sizes_of(model: &Model) -> Sizes {
    if model.trains_here() { SMALL } else { LARGE }
}

impl Request {
    /// Reads a case; `file` is a model's shape in place of the named one.
    ///
    /// # Errors
    /// An unknown model; a phase that the model does not have; an axis without
    /// a lawful value; a row longer than the model's context.
    pub fn new(case: &Case, file: Option<&Path>) -> Result<Self, MstarError> {
        let (model, part) = match file {
            Some(path) => (Model::from_file(path)?, Part::Whole),
            None => named_model(&case.model)?,
        };
        Self::of(case, model, part)
    }

    /// Reads a case of a model at hand.
    ///
    /// # Errors
    /// As [`Request::new`], but for the model.
    pub(crate) fn of(
        case: &Case,
        model: Model,
        part: Part,
    ) -> Result<Self, MstarError> {
        let phase = case.phase.as_deref().unwrap_or_default();
        let known: Vec<(&'static str, Phase)> = Phase::NAMES
            .into_iter()
            .filter(|(_, phase)| part.phases().contains(phase))
            .filter(|(_, phase)| *phase != Phase::Study || model.trains_here())
            .collect();
        let found = known.iter().find(|(name, _)| *name == phase);
        let phase = found.map(|(_, phase)| *phase).ok_or_else(|| {
            let names: Vec<&str> =
                known.iter().map(|(name, _)| *name).collect();
            AxisError::new("phase", phase, names.join(", "))
        })?;
        let sizes = sizes_of(&model);
        let count = |axis, default: usize| {
            let expected = format!("a whole number from 1 to {LARGEST}");
            parsed(case, axis, default, &expected, |n| {
                (1..=LARGEST).contains(n)
            })
        };
        let precision = parsed(
            case,
            "precision",
            Precision::F32,
            "a number format",
            |_| true,
        )?;
        let batch = match phase {
            Phase::Encode | Phase::Prefill | Phase::Decode => 1,
            Phase::TrainStep => sizes.examples,
            Phase::Iteration | Phase::Study => sizes.update,
        };
        let request = Self {
            name: case.model.clone(),
            part,
            phase,
            precision,
            batch: count("batch", batch)?,
            tiles: count("tiles", 1)?,
            prompt: count("prompt", sizes.prompt)?,
            context: count("context", sizes.context)?,
            tokens: count("tokens", sizes.tokens)?,
            ranks: count("ranks", 1)?,
            sharding: named(case, "sharding", &Sharding::NAMES)?,
            prompts: count("prompts", sizes.prompts)?,
            rollouts: count("rollouts", ROLLOUTS)?,
            rows: count("rows", ROWS)?,
            kept: count("kept", KEPT)?,
            micro: count("micro", sizes.micro)?,
            model,
        };
        // A study's sizes are its own.
        if phase != Phase::Study {
            request.check()?;
        }
        Ok(request)
    }

    /// What no single axis can say.
    fn check(&self) -> Result<(), MstarError> {
        let refused = |axis, found: usize, expected: String| {
            Err(MstarError::from(AxisError::new(axis, found, expected)))
        };
        let model = &self.model;
        if self.tiles > model.tiles {
            let expected =
                format!("at most {}, as `{}` has", model.tiles, model.name);
            return refused("tiles", self.tiles, expected);
        }
        model.check_length(self.longest())?;
        let trains = matches!(self.phase, Phase::TrainStep | Phase::Iteration);
        if trains && !self.batch.is_multiple_of(self.ranks) {
            let expected = format!("a divisor of `batch` {}", self.batch);
            return refused("ranks", self.ranks, expected);
        }
        if trains && self.tokens < 2 {
            let expected = "at least 2: a word and the end".to_owned();
            return refused("tokens", self.tokens, expected);
        }
        if self.phase != Phase::Iteration {
            return Ok(());
        }
        if self.kept > self.rollouts {
            let expected = format!("at most `rollouts` {}", self.rollouts);
            return refused("kept", self.kept, expected);
        }
        if !self.rows.is_multiple_of(self.rollouts) {
            let expected =
                format!("a multiple of `rollouts` {}", self.rollouts);
            return refused("rows", self.rows, expected);
        }
        if !self.share().is_multiple_of(self.at_once()) {
            let expected =
                format!("a divisor of a rank's {} examples", self.share());
            return refused("micro", self.micro, expected);
        }
        Ok(())
    }

    /// Visual tokens of a row: none where the case is of the decoder alone.
    pub fn visual(&self) -> usize {
        match self.part {
            Part::Language => 0,
            Part::Whole | Part::Vision => self.model.visual(self.tiles),
        }
    }

    /// The longest row of tokens that the case sees, visual ones included.
    pub fn longest(&self) -> usize {
        let text = match self.phase {
            Phase::Encode => return self.visual(),
            Phase::Decode => return self.context.saturating_add(1),
            Phase::Prefill => self.prompt,
            Phase::TrainStep | Phase::Iteration | Phase::Study => {
                self.prompt.saturating_add(self.tokens)
            }
        };
        self.visual().saturating_add(text)
    }

    /// Examples of an update that one rank computes.
    pub fn share(&self) -> usize {
        self.batch / self.ranks
    }

    /// Examples of an update that a rank holds at once: `micro`, or its whole
    /// share where that is less.
    pub fn at_once(&self) -> usize {
        self.micro.min(self.share())
    }

    /// Prompts whose rollouts a rank decodes at once.
    pub fn prompts_at_once(&self) -> usize {
        (self.rows / self.rollouts).max(1)
    }

    /// Batches of rollouts that a rank decodes one after the other, in an
    /// iteration.
    pub fn rounds(&self) -> usize {
        let own = self.prompts.div_ceil(self.ranks);
        own.div_ceil(self.prompts_at_once())
    }

    /// Updates of an iteration at most, when every prompt has enough right
    /// answers: a last batch that is not full is left out, but never all.
    pub fn updates(&self) -> usize {
        (self.prompts.saturating_mul(self.kept) / self.batch).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Request, MstarError> {
        Request::new(&text.parse().unwrap(), None)
    }

    #[test]
    fn defaults_are_the_papers_or_the_tasks() {
        let large = read("mstar/minicpm-v-2.5/iteration").unwrap();
        assert_eq!((large.prompts, large.rollouts), (45_000, 16));
        assert_eq!((large.batch, large.updates()), (128, 703));
        let small = read("mstar/small/iteration").unwrap();
        assert_eq!((small.updates(), small.prompts_at_once()), (1, 4));
        let seen = read("mstar/internvl2-2b/prefill tiles=13").unwrap();
        assert_eq!(seen.longest(), 3328 + 128);
        let alone = read("mstar/internvl2-2b-language/prefill").unwrap();
        assert_eq!((alone.part, alone.longest()), (Part::Language, 128));
        for phase in ["train-step", "iteration"] {
            let split = read(&format!("mstar/tiny/{phase} ranks=8")).unwrap();
            assert_eq!((split.share(), split.at_once()), (2, 2), "{phase}");
        }
    }

    #[test]
    fn every_name_reads_in_every_phase_that_it_has() {
        for name in model_names() {
            let phases = phases_of(&name);
            assert!(!phases.is_empty(), "{name}");
            for phase in phases {
                let request = read(&format!("mstar/{name}/{phase}")).unwrap();
                assert_eq!(request.phase.name(), phase, "{name}");
            }
        }
    }

    #[test]
    fn what_is_not_lawful_is_refused_by_name() {
        for (text, word) in [
            ("mstar/tiny/prefill batch=0", "`batch`"),
            ("mstar/tiny/generate", "encode, prefill"),
            ("mstar/tiny-vision/decode", "encode"),
            ("mstar/tiny-language/encode", "prefill"),
            ("mstar/tny-vision/encode", "tiny-vision"),
            ("mstar/internvl2-2b/study", "iteration"),
            ("mstar/tiny/prefill prompt=81", "97"),
            ("mstar/tiny/decode context=96", "97"),
            ("mstar/internvl2-2b/encode tiles=14", "at most 13"),
            ("mstar/tiny/train-step ranks=3", "divisor"),
            ("mstar/tiny/train-step tokens=1", "the end"),
            ("mstar/tiny/train-step sharding=all", "none, optimizer"),
            ("mstar/tiny/iteration kept=17", "`kept`"),
            ("mstar/tiny/iteration rows=24", "multiple of `rollouts`"),
            ("mstar/tiny/iteration micro=3", "`micro`"),
            ("mstar/tiny/prefill precision=f33", "`precision`"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
