//! A case of this workload, read: which model, which phase, which sizes.

use assay_kernels::WeightFormat;
use assay_schema::{Case, Precision};

use crate::{Config, SlmError, models};

/// What a case runs. `CONTRACT.md` fixes what each phase's latency is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// All prompt tokens, the head on the last position only.
    Prefill,
    /// One step for all rows with `context` tokens in the cache.
    Decode,
    /// A prompt, then `tokens` greedy steps.
    Generate,
    /// Forward, backward, AdamW, one batch.
    TrainStep,
    /// Questions answered by likelihood, or the perplexity of a text.
    Evaluate,
}

impl Phase {
    /// Names, in the order in which they are listed.
    pub const NAMES: [&'static str; 5] =
        ["prefill", "decode", "generate", "train-step", "evaluate"];

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "prefill" => Self::Prefill,
            "decode" => Self::Decode,
            "generate" => Self::Generate,
            "train-step" => Self::TrainStep,
            "evaluate" => Self::Evaluate,
            _ => return None,
        })
    }
}

/// Rows of a batch: beyond it bytes no longer count in 64 bits.
const LARGEST_BATCH: usize = 1 << 24;

/// Tokens of a row that is judged: more are cut in front.
const LONGEST_JUDGED: usize = 1024;

/// A case with its numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The model's shape.
    pub config: Config,
    /// The phase.
    pub phase: Phase,
    /// Rows.
    pub batch: usize,
    /// Prompt tokens (prefill, generate), tokens of a row (train-step).
    pub prompt: usize,
    /// Tokens in the cache (decode).
    pub context: usize,
    /// Tokens generated (generate).
    pub tokens: usize,
    /// What is judged (evaluate): a shipped set of questions, or `text`.
    pub task: String,
    /// Solved examples before each question (evaluate).
    pub shots: usize,
    /// Steps that a model without given weights is trained for before it is
    /// judged (evaluate).
    pub train_steps: usize,
    /// Number format of the weights.
    pub precision: Precision,
}

impl Request {
    /// Reads a case; `config` replaces the shape of the case's model.
    ///
    /// # Errors
    ///
    /// An unknown model or phase; an axis that is no number or out of range;
    /// more tokens than the model's context.
    pub fn new(case: &Case, config: Option<Config>) -> Result<Self, SlmError> {
        let config = match config {
            Some(config) => config,
            None => models::config(&case.model)?,
        };
        let phase_name = case.phase.as_deref().unwrap_or_default();
        let phase = Phase::named(phase_name).ok_or_else(|| SlmError::Axis {
            axis: "phase",
            found: phase_name.to_owned(),
            expected: Phase::NAMES.join(", "),
        })?;
        let integer = |axis: &'static str, default: usize| {
            let Some(text) = case.axis(axis) else { return Ok(default) };
            text.parse().ok().filter(|&n| n > 0).ok_or_else(|| SlmError::Axis {
                axis,
                found: text.to_owned(),
                expected: "a whole number of at least 1".to_owned(),
            })
        };
        let or_none = |axis: &'static str| match case.axis(axis) {
            None | Some("0") => Ok(0),
            Some(_) => integer(axis, 0),
        };
        let precision = match case.axis("precision") {
            None => Precision::F32,
            Some(text) => text.parse().map_err(|error| SlmError::Axis {
                axis: "precision",
                found: text.to_owned(),
                expected: format!("{error}"),
            })?,
        };
        let request = Self {
            batch: integer("batch", 1)?,
            prompt: integer("prompt", 128)?,
            context: integer("context", 128)?,
            tokens: integer("tokens", 32)?,
            task: case.axis("task").unwrap_or("everyday").to_owned(),
            shots: or_none("shots")?,
            train_steps: or_none("train_steps")?,
            config,
            phase,
            precision,
        };
        if request.batch > LARGEST_BATCH {
            return Err(SlmError::Axis {
                axis: "batch",
                found: request.batch.to_string(),
                expected: format!("at most {LARGEST_BATCH}"),
            });
        }
        let longest = request.longest();
        if longest > request.config.context {
            return Err(SlmError::Axis {
                axis: match phase {
                    Phase::Decode => "context",
                    Phase::Prefill
                    | Phase::Generate
                    | Phase::TrainStep
                    | Phase::Evaluate => "prompt",
                },
                found: format!("{longest} tokens in all"),
                expected: format!(
                    "at most the model's context of {}",
                    request.config.context
                ),
            });
        }
        if phase == Phase::Evaluate && request.batch > 1 {
            return Err(SlmError::Axis {
                axis: "batch",
                found: request.batch.to_string(),
                expected: "1: the choices of a question are the rows".into(),
            });
        }
        if phase == Phase::Evaluate && longest < 2 {
            return Err(SlmError::Axis {
                axis: "context",
                found: format!("a model's context of {longest}"),
                expected: "at least 2: each token predicts the next".into(),
            });
        }
        if phase == Phase::TrainStep && request.prompt < 2 {
            return Err(SlmError::Axis {
                axis: "prompt",
                found: request.prompt.to_string(),
                expected: "at least 2: each token predicts the next".into(),
            });
        }
        Ok(request)
    }

    /// The format that weights are packed in when the case runs here; `None`
    /// for `f32`, and for number formats that only predictions know.
    pub fn packing(&self) -> Option<WeightFormat> {
        WeightFormat::of_name(self.precision.name())
    }

    /// The longest row of tokens that the case sees.
    pub fn longest(&self) -> usize {
        match self.phase {
            Phase::Prefill | Phase::TrainStep => self.prompt,
            Phase::Decode => self.context.saturating_add(1),
            Phase::Evaluate => self.config.context.min(LONGEST_JUDGED),
            Phase::Generate => self.prompt.saturating_add(self.tokens),
        }
    }
}
