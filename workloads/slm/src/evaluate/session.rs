//! An evaluation as a session: one set of questions, or one text.

use std::path::Path;

use assay_kernels::with_plain_twins;
use assay_kit::{Checkpoint, compare};
use assay_measure::{Context, Pace, Progress, Session, Watch, WorkloadError};
use assay_schema::{Better, Verification};
use burn::tensor::{Device, Int, Tensor, TensorData};
use tokenizers::Tokenizer;

use crate::packing::tolerance;
use crate::session::tell;
use crate::text::held_out;
use crate::{Decoder, Packing, Request, SlmError, load_weights, tokenizer};

use super::likelihood::log_probabilities;
use super::training::trained;
use super::{Evaluator, Task, task_from_file, tasks, tokenizer_from_file};

/// What the axis `task` may be.
pub(crate) const TASKS: [&str; 5] =
    ["everyday", "sequences", "sums", "alice", "text"];

/// Tokens of a window of a text.
const WINDOW: usize = 512;

/// What is judged by.
enum Subject {
    Questions(Task),
    Text(String),
}

impl Subject {
    /// `--data` if there is any, else what the axis says; with the data's name
    /// where the case does not say what it is.
    fn of(
        request: &Request,
        context: &Context,
    ) -> Result<(Self, Option<String>), SlmError> {
        if let Some(path) = &context.data {
            let name = path.file_stem().unwrap_or(path.as_os_str());
            let name = Some(name.to_string_lossy().into_owned());
            if path.extension().is_none_or(|end| end != "txt") {
                return Ok((Self::Questions(task_from_file(path)?), name));
            }
            let text = std::fs::read_to_string(path).map_err(|error| {
                SlmError::Read { path: path.clone(), error }
            })?;
            return Ok((Self::Text(text), name));
        }
        if request.task == "text" {
            return Ok((Self::Text(held_out().to_owned()), None));
        }
        let named = tasks()?.into_iter().find(|t| t.name == request.task);
        let named = named.ok_or_else(|| SlmError::Axis {
            axis: "task",
            found: request.task.clone(),
            expected: TASKS.join(", "),
        })?;
        Ok((Self::Questions(named), None))
    }
}

/// The tokenizer that belongs to weights: `tokenizer.json` beside them. Random
/// weights, and weights of our own vocabulary, take the project's.
fn tokenizer_of(
    request: &Request,
    weights: Option<&Path>,
) -> Result<Tokenizer, SlmError> {
    let own = tokenizer()?;
    let Some(weights) = weights else { return Ok(own.clone()) };
    let beside = weights.with_file_name("tokenizer.json");
    if beside.exists() {
        return tokenizer_from_file(&beside);
    }
    if request.config.vocab == own.get_vocab_size(true) {
        return Ok(own.clone());
    }
    Err(SlmError::Tokenizer(format!(
        "{} is not there: weights of a vocabulary of {} need the tokenizer \
         that they were trained with",
        beside.display(),
        request.config.vocab
    )))
}

/// A model and what it is judged by.
pub(crate) struct EvaluateSession {
    request: Request,
    model: Decoder,
    /// What packing did to the model, where it is packed.
    packing: Option<Packing>,
    tokenizer: Tokenizer,
    device: Device,
    subject: Subject,
    /// What `--data` is called; of a shipped set the case says it.
    data: Option<String>,
}

impl EvaluateSession {
    pub(crate) fn new(
        request: Request,
        context: &Context,
    ) -> Result<Self, SlmError> {
        let (subject, data) = Subject::of(&request, context)?;
        let weights = context.weights.as_deref();
        if weights.is_some() && request.train_steps > 0 {
            return Err(SlmError::Axis {
                axis: "train_steps",
                found: request.train_steps.to_string(),
                expected: "0 where --weights brings weights".to_owned(),
            });
        }
        let tokenizer = tokenizer_of(&request, weights)?;
        let device = Device::flex();
        let (config, longest) = (&request.config, request.longest());
        let model = match weights {
            Some(path) => {
                let file = Checkpoint::open(path)?;
                load_weights(config, &file, &device, longest)?
            }
            None => {
                let steps = request.train_steps;
                trained(config, context.seed, steps, longest)?
            }
        };
        let packing = None;
        let session =
            Self { request, model, packing, tokenizer, device, subject, data };
        // A tokenizer that does not fit is said before anything runs.
        session.evaluator()?;
        session.packed()
    }

    /// The session with its model packed, where the case asks for it, and
    /// compared with the `f32` one on the first row.
    fn packed(self) -> Result<Self, SlmError> {
        let Some(format) = self.request.packing() else { return Ok(self) };
        let tokens = self.first_row()?.tokens;
        let data = TensorData::new(tokens.clone(), [1, tokens.len()]);
        let row = Tensor::<2, Int>::from_data(data, &self.device);
        let (model, packing) = self.model.packed_and_compared(format, row)?;
        Ok(Self { model, packing: Some(packing), ..self })
    }

    fn evaluator(&self) -> Result<Evaluator<'_>, SlmError> {
        Evaluator::new(
            &self.model,
            &self.request.config,
            &self.tokenizer,
            &self.device,
            self.request.longest(),
        )
    }

    /// Tells a metric of what was judged. Task and shots are the case's, and
    /// so no place within it; data that was brought is named.
    fn tell_quality(
        &self,
        watch: &mut Watch<'_>,
        (name, unit): (&'static str, &str),
        better: Better,
        value: f64,
    ) {
        match &self.data {
            Some(data) => {
                let at = [("data", &**data)];
                watch.quality_at(name, unit, better, value, at);
            }
            None => watch.quality(name, unit, better, value),
        }
    }

    /// The first row that will be judged, cut to a size for the plain twins.
    fn first_row(&self) -> Result<super::Row, SlmError> {
        let judge = self.evaluator()?;
        let mut row = match &self.subject {
            Subject::Questions(task) => {
                let choice = &task.judged()[0].choices[0];
                judge.row("", choice)?.0
            }
            Subject::Text(text) => {
                let tokens = judge.encode(text)?;
                super::Row { tokens, start: 1 }
            }
        };
        row.tokens.truncate(32.min(self.request.longest()));
        row.start = row.start.min(row.tokens.len().saturating_sub(1)).max(1);
        Ok(row)
    }
}

impl Session for EvaluateSession {
    fn verify(&mut self) -> Result<Verification, WorkloadError> {
        let rows = [self.first_row()?];
        let found = || -> Vec<f32> {
            log_probabilities(&self.model, &self.device, &rows)
                .concat()
                .into_iter()
                .map(|nats| nats as f32)
                .collect()
        };
        let plain = with_plain_twins(found);
        let Request { config, .. } = &self.request;
        Ok(compare(
            "log-probabilities of the plain twins",
            &found(),
            &plain,
            tolerance(self.request.packing(), config.layers),
        ))
    }

    fn pace(&self) -> Pace {
        Pace::Study
    }

    fn iterate(
        &mut self,
        watch: &mut Watch<'_>,
    ) -> Result<Progress, WorkloadError> {
        if let Some(packing) = &self.packing {
            tell(packing, watch);
        }
        let judge = self.evaluator()?;
        match &self.subject {
            Subject::Questions(task) => {
                let found = judge.choose(task, self.request.shots)?;
                let higher = Better::Higher;
                for (name, value) in [
                    ("accuracy", found.accuracy.point),
                    ("accuracy-low", found.accuracy.low),
                    ("accuracy-high", found.accuracy.high),
                    ("accuracy-by-byte", found.by_byte.point),
                    ("accuracy-of-chance", found.chance),
                ] {
                    self.tell_quality(watch, (name, "1"), higher, value);
                }
            }
            Subject::Text(text) => {
                let longest = self.request.longest();
                let window = WINDOW.min(longest / 2 * 2);
                let found = judge.perplexity(text, window)?;
                let perplexity = found.perplexity();
                let lower = Better::Lower;
                for (name, unit, value) in [
                    ("perplexity", "1", perplexity.point),
                    ("perplexity-low", "1", perplexity.low),
                    ("perplexity-high", "1", perplexity.high),
                    ("bits-per-byte", "bit", found.bits_per_byte),
                ] {
                    self.tell_quality(watch, (name, unit), lower, value);
                }
            }
        }
        Ok(Progress::Done)
    }
}

#[cfg(test)]
mod tests {
    use assay_measure::Workload;

    use super::*;
    use crate::Slm;

    fn refusal(case: &str, context: &Context) -> String {
        let case = case.parse().unwrap();
        let error = Slm.prepare(&case, context).err();
        error.map(|e| e.to_string()).unwrap_or_default()
    }

    #[test]
    fn an_evaluation_agrees_with_its_plain_twins() {
        for task in TASKS {
            for precision in ["f32", "q4_0"] {
                let case = format!(
                    "slm/tiny/evaluate task={task} precision={precision}"
                );
                let case = case.parse().unwrap();
                let context = Context::new("cpu", 3);
                let mut session = Slm.prepare(&case, &context).unwrap();
                let verified = session.verify().unwrap();
                assert!(verified.passed(), "{case}: {verified:?}");
            }
        }
    }

    #[test]
    fn an_evaluation_is_traced_as_one_row_of_the_longest_kind() {
        let case = "slm/tiny/evaluate".parse().unwrap();
        let request = Request::new(&case, None).unwrap();
        assert_eq!(request.longest(), 512);
        let judged = crate::trace(&request).unwrap().flops().value();
        let case = "slm/tiny/prefill prompt=512".parse().unwrap();
        let prompt = Request::new(&case, None).unwrap();
        let read = crate::trace(&prompt).unwrap().flops().value();
        // Prefill takes the logits of one position, this of all 512.
        let head = 2.0 * 64.0 * 2048.0;
        assert!((judged - read - 511.0 * head).abs() < 1.0);
    }

    #[test]
    fn what_cannot_be_judged_is_refused_before_it_runs() {
        let context = Context::new("cpu", 3);
        let unknown = refusal("slm/tiny/evaluate task=everydya", &context);
        assert!(unknown.contains("everyday, sequences"), "{unknown}");
        let case = "slm/tiny/evaluate".parse().unwrap();
        let tiny = crate::model_config("tiny").unwrap();
        let short = crate::Config { context: 1, ..tiny };
        let one = Request::new(&case, Some(short)).unwrap_err().to_string();
        assert!(one.contains("expected at least 2"), "{one}");
        let rows = refusal("slm/tiny/evaluate batch=2", &context);
        assert!(rows.contains("axis `batch`"), "{rows}");
        let mut absent = context.clone();
        absent.data = Some("/nowhere/set.jsonl".into());
        let message = refusal("slm/tiny/evaluate", &absent);
        assert!(message.contains("/nowhere/set.jsonl"), "{message}");
        let mut lost = context;
        lost.weights = Some("/nowhere/model.safetensors".into());
        let message = refusal("slm/qwen2-0.5b/evaluate", &lost);
        assert!(message.contains("/nowhere/tokenizer.json"), "{message}");
    }
}
