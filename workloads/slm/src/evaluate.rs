//! What a model can do, beside what it costs: multiple choice by likelihood,
//! with examples or without, and perplexity of a text.
//!
//! The survey (arXiv 2409.15790, section 3) judges its models so, by the
//! averages of public sets. Here are small sets of this project
//! (`data/tasks/README.md`), and a door for the public ones: [`Task`] reads
//! them as they are published.
//!
//! The model is asked through [`Decoder::hidden`] and [`Decoder::logits`]
//! alone: whatever weights it has, loaded or trained here, and whatever its
//! layers are. Not here: generated answers (a sampler and a judge of free
//! text), which the public sets above do not need.

mod generated;
mod likelihood;
mod question;
mod records;
mod session;
mod training;

use std::path::Path;

use assay_schema::Estimate;
use assay_statistics::{Bootstrap, StatisticsError, wilson};
use burn::tensor::Device;
use tokenizers::Tokenizer;

pub use question::{Choice, EXAMPLES, Question, Task};
pub(crate) use session::{EvaluateSession, TASKS};

use crate::{Config, Decoder, SlmError};

use likelihood::{Row, log_probabilities};

const EVERYDAY: &str = include_str!("../data/tasks/everyday.jsonl");

/// Confidence of every interval here.
const CONFIDENCE: f64 = 0.95;

/// The sets that are shipped.
///
/// # Errors
///
/// An embedded file does not read: a bug of this crate.
pub fn tasks() -> Result<Vec<Task>, SlmError> {
    Ok(vec![
        Task::from_json_lines(
            "everyday",
            "CC0 1.0, written for this project",
            "data/tasks/everyday.jsonl",
            EVERYDAY,
        )?,
        generated::sequences()?,
        generated::sums()?,
        generated::passages()?,
    ])
}

/// A set from a file of JSON lines, called after the file.
///
/// # Errors
///
/// A file that cannot be read; a line that is no question, with its number.
pub fn task_from_file(path: &Path) -> Result<Task, SlmError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| SlmError::Read { path: path.to_owned(), error })?;
    let file = path.display().to_string();
    let name = path
        .file_stem()
        .map_or(file.clone(), |stem| stem.to_string_lossy().into_owned());
    Task::from_json_lines(&name, "as its authors say", &file, &text)
}

/// A tokenizer from a published `tokenizer.json`.
///
/// # Errors
///
/// No such file, or no tokenizer.
pub fn tokenizer_from_file(path: &Path) -> Result<Tokenizer, SlmError> {
    Tokenizer::from_file(path).map_err(|error| {
        SlmError::Tokenizer(format!("{}: {error}", path.display()))
    })
}

/// How often a model took the right choice.
#[derive(Clone, Debug, PartialEq)]
pub struct Accuracy {
    /// The set.
    pub task: String,
    /// Solved examples before each question.
    pub shots: usize,
    /// Share of questions whose right choice is the likeliest as a whole.
    pub accuracy: Estimate,
    /// The same with likelihoods divided by the choices' bytes, so that a
    /// longer choice is not the less likely one for its length.
    pub by_byte: Estimate,
    /// What guessing gives.
    pub chance: f64,
    /// Questions whose examples were cut to fit the context.
    pub cut: usize,
}

/// How well a model predicts a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Perplexity {
    /// Mean surprise, in nats a token.
    pub nats: Estimate,
    /// The same in bits a byte of text: comparable between tokenizers.
    pub bits_per_byte: f64,
    /// Tokens judged.
    pub tokens: usize,
}

impl Perplexity {
    /// `exp` of the mean surprise.
    pub fn perplexity(&self) -> Estimate {
        Estimate {
            point: self.nats.point.exp(),
            low: self.nats.low.exp(),
            high: self.nats.high.exp(),
            ..self.nats.clone()
        }
    }
}

/// A model with its tokenizer, ready to be judged.
pub struct Evaluator<'a> {
    model: &'a Decoder,
    tokenizer: &'a Tokenizer,
    device: Device,
    longest: usize,
}

impl<'a> Evaluator<'a> {
    /// A model on `device` that was built for rows of `longest` tokens.
    ///
    /// # Errors
    ///
    /// A tokenizer with ids past the model's vocabulary; rows of fewer than
    /// two tokens, or longer than the model's context.
    pub fn new(
        model: &'a Decoder,
        config: &Config,
        tokenizer: &'a Tokenizer,
        device: &Device,
        longest: usize,
    ) -> Result<Self, SlmError> {
        let ids = tokenizer.get_vocab(true);
        if let Some((word, id)) = ids.iter().max_by_key(|(_, id)| **id)
            && *id as usize >= config.vocab
        {
            return Err(SlmError::Tokenizer(format!(
                "it has the id {id} (`{word}`), but `{}` has a vocabulary of \
                 {}: not the tokenizer of this model",
                config.name, config.vocab
            )));
        }
        if !(2..=config.context).contains(&longest) {
            return Err(SlmError::Axis {
                axis: "context",
                found: longest.to_string(),
                expected: format!("2 to {}", config.context),
            });
        }
        Ok(Self { model, tokenizer, device: device.clone(), longest })
    }

    fn encode(&self, text: &str) -> Result<Vec<i64>, SlmError> {
        let encoding = self
            .tokenizer
            .encode(text, true)
            .map_err(|error| SlmError::Tokenizer(error.to_string()))?;
        Ok(encoding.get_ids().iter().map(|&id| i64::from(id)).collect())
    }

    /// A choice as a row, and whether its front was cut.
    fn row(
        &self,
        examples: &str,
        choice: &Choice,
    ) -> Result<(Row, bool), SlmError> {
        let given = format!("{examples}{}", choice.prompt);
        let before = self.encode(&given)?;
        let mut tokens =
            self.encode(&format!("{given} {}", choice.continuation))?;
        // Judged from the first token that the continuation changes: a
        // tokenizer may join its beginning with the end of the prompt.
        let same = before.iter().zip(&tokens).take_while(|(a, b)| a == b);
        let start = same.count().max(1);
        let past = tokens.len().saturating_sub(self.longest);
        if start <= past {
            return Err(SlmError::Axis {
                axis: "context",
                found: format!("a choice of {} tokens", tokens.len() - start),
                expected: format!("fewer than {} tokens", self.longest),
            });
        }
        tokens.drain(..past);
        Ok((Row { tokens, start: start - past }, past > 0))
    }

    /// Judges a set with `shots` examples before each question. A choice that
    /// is only as likely as another is not taken.
    ///
    /// # Errors
    ///
    /// More shots than [`EXAMPLES`]; a choice longer than the context; text
    /// that the tokenizer refuses.
    pub fn choose(
        &self,
        task: &Task,
        shots: usize,
    ) -> Result<Accuracy, SlmError> {
        if shots > EXAMPLES {
            return Err(SlmError::Axis {
                axis: "shots",
                found: shots.to_string(),
                expected: format!("0 to {EXAMPLES}"),
            });
        }
        let examples = task.examples(shots);
        let (mut whole, mut by_byte, mut cut) = (0, 0, 0);
        let mut chance = 0.0;
        for question in task.judged() {
            let mut rows = Vec::with_capacity(question.choices.len());
            let mut is_cut = false;
            for choice in &question.choices {
                let (row, was_cut) = self.row(&examples, choice)?;
                rows.push(row);
                is_cut |= was_cut;
            }
            let scores: Vec<f64> =
                log_probabilities(self.model, &self.device, &rows)
                    .iter()
                    .map(|tokens| tokens.iter().sum())
                    .collect();
            let each_byte: Vec<f64> = scores
                .iter()
                .zip(&question.choices)
                .map(|(score, choice)| {
                    score / (1 + choice.continuation.len()) as f64
                })
                .collect();
            whole += u64::from(leads(&scores, question.answer));
            by_byte += u64::from(leads(&each_byte, question.answer));
            cut += usize::from(is_cut);
            chance += 1.0 / question.choices.len() as f64;
        }
        let count = task.judged().len();
        let share = |right: u64| {
            wilson(right, count as u64, CONFIDENCE).map_err(unjudged)
        };
        Ok(Accuracy {
            task: task.name.clone(),
            shots,
            accuracy: share(whole)?,
            by_byte: share(by_byte)?,
            chance: chance / count as f64,
            cut,
        })
    }

    /// Perplexity of a text in windows of `window` tokens, each half a window
    /// on: a token has at least half a window before it, and is judged once.
    /// The interval resamples windows.
    ///
    /// # Errors
    ///
    /// A window past the model's rows, or odd; a text of fewer than two
    /// windows; text that the tokenizer refuses.
    pub fn perplexity(
        &self,
        text: &str,
        window: usize,
    ) -> Result<Perplexity, SlmError> {
        if !(4..=self.longest).contains(&window) || !window.is_multiple_of(2) {
            return Err(SlmError::Axis {
                axis: "context",
                found: window.to_string(),
                expected: format!("an even number of 4 to {}", self.longest),
            });
        }
        let tokens = self.encode(text)?;
        let half = window / 2;
        if tokens.len() < 2 * window {
            return Err(SlmError::Axis {
                axis: "context",
                found: format!(
                    "windows of {window} for a text of {} tokens",
                    tokens.len()
                ),
                expected: "a text of at least two windows".to_owned(),
            });
        }
        let mut windows = Vec::new();
        let mut first = 0;
        loop {
            let last = (first + window).min(tokens.len());
            let start = if first == 0 { 1 } else { half };
            let row = Row { tokens: tokens[first..last].to_vec(), start };
            let found = log_probabilities(self.model, &self.device, &[row]);
            let judged = found.into_iter().next().unwrap_or_default();
            windows.push((-judged.iter().sum::<f64>(), judged.len() as f64));
            if last == tokens.len() {
                break;
            }
            first += half;
        }
        let sums = |picked: &[usize]| {
            picked.iter().fold((0.0, 0.0), |(nats, count), &i| {
                (nats + windows[i].0, count + windows[i].1)
            })
        };
        let bootstrap =
            Bootstrap { resamples: 2000, confidence: CONFIDENCE, seed: 2409 };
        let estimate = bootstrap
            .rows(
                "nats a token, bootstrap over windows",
                windows.len(),
                |picked| {
                    let (nats, count) = sums(picked);
                    nats / count
                },
            )
            .map_err(unjudged)?;
        let all: Vec<usize> = (0..windows.len()).collect();
        let (nats, _) = sums(&all);
        Ok(Perplexity {
            bits_per_byte: nats / std::f64::consts::LN_2 / text.len() as f64,
            nats: estimate,
            tokens: tokens.len() - 1,
        })
    }
}

/// Whether the right score is above every other.
fn leads(scores: &[f64], right: usize) -> bool {
    scores
        .iter()
        .enumerate()
        .all(|(i, score)| i == right || scores[right] > *score)
}

fn unjudged(error: StatisticsError) -> SlmError {
    SlmError::Axis {
        axis: "data",
        found: error.to_string(),
        expected: "text or questions enough to judge by".to_owned(),
    }
}

#[cfg(test)]
mod tests;
