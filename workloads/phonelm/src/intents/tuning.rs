//! Training: from nothing, all weights again, or adapters alone.
//!
//! Fine-tuning follows DroidCall's recipe (facts, section 6.6) in kind: LoRA
//! of rank 8 with alpha twice the rank, AdamW, a warm-up over a tenth of the
//! steps and a line down. Their learning rate of 1.4e-5 is for 1.5 billion
//! parameters; a model a thousand times smaller learns at [`RATE`].

use std::time::Instant;

use assay_kernels::AdamW;
use assay_kit::{
    Named, Optimizer, Parameters, floats, moment_tensors, moments_of,
    parameter_shapes,
};
use assay_slm::{ADAMW, Decoder};
use assay_trace::{Tape, inner};
use burn::module::Module;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::kept::{Kept, weights, with_weights};
use super::model::{self, LONGEST, Learned, Row};
use crate::PhoneLmError;

/// The learning rate at its highest.
pub(crate) const RATE: f64 = 2e-3;

/// What is left of it at the end, as a share.
const LAST: f64 = 0.05;

/// The share of the steps over which it rises.
const WARM_UP: f64 = 0.1;

/// The norm at which gradients are clipped.
const CLIPPED_AT: f64 = 1.0;

/// Adapters are scaled by `alpha / rank`; alpha is so many ranks.
const ALPHA: f64 = 2.0;

/// Steps between two files.
const KEPT_EVERY: u64 = 200;

/// Adapters' seeds are apart from the base's by this.
const ADAPTERS: u64 = 0x104A;

/// The optimizer: AdamW as the language models train with it, without decay
/// of weights: no row is seen twice, so that nothing is learned by heart.
const OPTIMIZER: AdamW = AdamW { weight_decay: 0.0, ..ADAMW };

/// One training.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course<'a> {
    /// Names its file.
    pub(crate) name: &'static str,
    /// Steps in all.
    pub(crate) steps: u64,
    /// What is learned of each row.
    pub(crate) learned: Learned,
    /// Where it is kept, if anywhere.
    pub(crate) kept: Option<&'a Kept>,
}

/// What a training ended in.
#[derive(Debug)]
pub(crate) struct Trained {
    /// On the device with gradients, as it was trained.
    pub(crate) model: Decoder,
    /// Mean loss of the last tenth of the steps, nats a token; where
    /// everything is learned, the sum of that of all tokens and of answers.
    pub(crate) loss: f64,
    /// Time that all steps took, those before a kill included, s.
    pub(crate) seconds: f64,
}

/// How far a training is; stands in its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Progress {
    steps: u64,
    seconds: f64,
    loss_sum: f64,
    loss_count: u64,
}

/// What belongs to a training beside its case: a study of another recipe does
/// not go on from what this one kept.
pub(crate) fn recipe() -> String {
    format!(
        "rate={RATE} last={LAST} warm_up={WARM_UP} clipped={CLIPPED_AT} \
         alpha={ALPHA} batch={} {OPTIMIZER:?}",
        model::BATCH
    )
}

/// The device that trains.
pub(crate) fn device() -> Device {
    Device::flex().autodiff()
}

/// A model before its first step.
pub(crate) fn fresh(seed: u64) -> Decoder {
    let mut start = Parameters::random(&device(), seed);
    Decoder::new(&mut start, &model::config(), LONGEST)
}

/// The base with adapters of a rank, which alone are trained.
pub(crate) fn with_adapters(base: &Decoder, rank: usize, seed: u64) -> Decoder {
    let mut start = Parameters::random(&device(), seed ^ ADAPTERS);
    base.clone().train().adapted(&mut start, rank, ALPHA * rank as f64)
}

/// Parameters that a training changes: of an adapted model the adapters'.
pub(crate) fn trainable(model: &Decoder) -> usize {
    let shapes = parameter_shapes(model);
    let is_adapter = |name: &str| {
        let last = name.rsplit('.').next().unwrap_or_default();
        matches!(last, "lora_a" | "lora_b")
    };
    let adapted = shapes.keys().any(|name| is_adapter(name));
    shapes
        .iter()
        .filter(|(name, _)| !adapted || is_adapter(name))
        .map(|(_, shape)| shape.iter().product::<usize>())
        .sum()
}

impl Course<'_> {
    /// The learning rate of a step, from 0: a line up, then a line down.
    fn rate(&self, step: u64) -> f64 {
        let warm_up = (self.steps as f64 * WARM_UP).ceil().max(1.0);
        let done = step as f64 + 1.0;
        if done <= warm_up {
            return RATE * done / warm_up;
        }
        let left = (self.steps as f64 - warm_up).max(1.0);
        let share = (done - warm_up) / left;
        RATE * (1.0 - (1.0 - LAST) * share)
    }

    fn file(&self) -> String {
        format!("{}.part", self.name)
    }

    /// Trains a model, which lies on [`device`]. `rows` gives the rows of a
    /// step and may depend on nothing but the step's number, so that a run
    /// goes on from any step.
    ///
    /// # Errors
    /// A loss or a gradient that is not finite; whatever `rows` says; a file
    /// that cannot be gone on from or not be written.
    pub(crate) fn fit(
        &self,
        model: Decoder,
        rows: impl FnMut(u64) -> Result<Vec<Row>, PhoneLmError>,
    ) -> Result<Trained, PhoneLmError> {
        self.fit_keeping(model, KEPT_EVERY, rows)
    }

    fn fit_keeping(
        &self,
        model: Decoder,
        kept_every: u64,
        mut rows: impl FnMut(u64) -> Result<Vec<Row>, PhoneLmError>,
    ) -> Result<Trained, PhoneLmError> {
        let device = device();
        let (mut model, mut optimizer, mut progress) = self.begin(model)?;
        let mut since = Instant::now();
        while progress.steps < self.steps {
            let step = progress.steps;
            optimizer.set_learning_rate(self.rate(step));
            let loss =
                model::loss(&model, &rows(step)?, self.learned, &device)?;
            let value = floats(inner(loss.clone()));
            let value = value.first().map_or(f64::NAN, |&v| f64::from(v));
            let tape = Tape::of(loss);
            let (after, norm) = optimizer.clipped_step(model, tape, CLIPPED_AT);
            model = after;
            if !(value.is_finite() && norm.is_finite()) {
                return Err(PhoneLmError::Data(format!(
                    "training `{}` diverged at step {step}: loss {value}, \
                     norm of the gradients {norm}",
                    self.name
                )));
            }
            progress.steps += 1;
            if progress.steps > self.steps - self.steps.div_ceil(10) {
                progress.loss_sum += value;
                progress.loss_count += 1;
            }
            let due = progress.steps.is_multiple_of(kept_every)
                && progress.steps < self.steps;
            if let (true, Some(kept)) = (due, self.kept) {
                progress.seconds += since.elapsed().as_secs_f64();
                since = Instant::now();
                let tensors = tensors(&model, &optimizer);
                kept.write(&self.file(), &tensors, &progress)?;
            }
        }
        let Progress { seconds, loss_sum, loss_count, .. } = progress;
        Ok(Trained {
            model,
            loss: loss_sum / loss_count.max(1) as f64,
            seconds: seconds + since.elapsed().as_secs_f64(),
        })
    }

    /// At the first step, or where the file says.
    fn begin(
        &self,
        model: Decoder,
    ) -> Result<(Decoder, Optimizer, Progress), PhoneLmError> {
        let mut optimizer = Optimizer::new(OPTIMIZER);
        let part = match self.kept {
            Some(kept) => kept.read::<Progress>(&self.file())?,
            None => None,
        };
        let Some((file, progress)) = part else {
            optimizer.prepare(&model);
            return Ok((model, optimizer, Progress::default()));
        };
        let model = with_weights(model, &file)?;
        let steps = u32::try_from(progress.steps).unwrap_or(u32::MAX);
        optimizer.restore(&model, &moments_of(&file, steps)?)?;
        Ok((model, optimizer, progress))
    }

    /// Removes the file of a training that ended and whose end is kept.
    ///
    /// # Errors
    /// Whatever the system says.
    pub(crate) fn forget(&self) -> Result<(), PhoneLmError> {
        match self.kept {
            Some(kept) => kept.remove(&self.file()),
            None => Ok(()),
        }
    }
}

/// All that the next step depends on.
fn tensors(model: &Decoder, optimizer: &Optimizer) -> Vec<Named> {
    let mut tensors = weights(model);
    tensors.extend(moment_tensors(&optimizer.state(model)));
    tensors
}

#[cfg(test)]
mod tests {
    use assay_kit::parameter_values;

    use super::*;
    use crate::intents::language::glue;

    /// Six tokens, and the same again: what is to be copied differs with the
    /// step.
    fn rows(step: u64) -> Result<Vec<Row>, PhoneLmError> {
        let row = |i: u64| {
            let word = |j: u64| (30 + (step * 7 + i * 3 + j * j) % 90) as u32;
            let half: Vec<u32> = (0..6).map(word).collect();
            let tokens = [&half[..], &[glue::ANSWER], &half[..]].concat();
            let answer = 7..tokens.len();
            Row { tokens, answers: vec![answer] }
        };
        Ok((0..2).map(row).collect())
    }

    fn course(steps: u64, kept: Option<&Kept>) -> Course<'_> {
        Course { name: "test", steps, learned: Learned::Answers, kept }
    }

    #[test]
    fn the_learning_rate_rises_and_falls() {
        let course = course(100, None);
        assert!((course.rate(0) - RATE / 10.0).abs() < 1e-12);
        assert!((course.rate(9) - RATE).abs() < 1e-12);
        assert!((course.rate(99) - RATE * LAST).abs() < 1e-12);
        assert!(course.rate(50) > course.rate(51));
    }

    #[test]
    fn training_goes_downhill() {
        let start = model::loss(
            &fresh(1),
            &rows(0).unwrap(),
            Learned::Answers,
            &device(),
        );
        let start = f64::from(floats(inner(start.unwrap()))[0]);
        let trained = course(12, None).fit(fresh(1), rows).unwrap();
        assert!(trained.loss < start, "{} of {start}", trained.loss);
    }

    #[test]
    fn adapters_alone_are_trained_and_merge_into_the_model() {
        let base = fresh(2).valid();
        let adapted = with_adapters(&base, 8, 2);
        let config = model::config();
        let (d, f, r) = (config.width, config.ffn, 8);
        let layer = 4 * r * (d + d) + 3 * r * (d + f);
        assert_eq!(trainable(&adapted), config.layers * layer);
        let all: usize = parameter_shapes(&base)
            .values()
            .map(|shape| shape.iter().product::<usize>())
            .sum();
        assert_eq!(trainable(&base), all);

        let before = parameter_values(&adapted);
        let trained = course(2, None).fit(adapted, rows).unwrap();
        let after = parameter_values(&trained.model);
        for (name, values) in &before {
            let changed = after[name] != *values;
            assert_eq!(changed, name.contains("lora_"), "{name}");
        }
        let of = |model: &Decoder, device: &Device| {
            let loss =
                model::loss(model, &rows(3).unwrap(), Learned::Answers, device);
            f64::from(floats(inner_of(loss.unwrap()))[0])
        };
        let adapted = of(&trained.model, &device());
        let merged = of(&trained.model.merged().valid(), &Device::flex());
        assert!((adapted - merged).abs() < 1e-4, "{adapted} {merged}");
    }

    /// Without autodiff, wherever it was.
    fn inner_of(loss: burn::Tensor<1>) -> burn::Tensor<1> {
        if loss.is_autodiff() { inner(loss) } else { loss }
    }

    #[test]
    fn a_broken_run_goes_on_to_the_same_bytes() {
        let own = format!("assay-intents-fit-{}", std::process::id());
        let folder = std::env::temp_dir().join(own);
        let kept = Kept::new(&folder, "a study".into()).unwrap();
        let unbroken = course(4, None).fit(fresh(3), rows).unwrap();
        let course = course(4, Some(&kept));
        let broken = course.fit_keeping(fresh(3), 2, |step| {
            let killed = || PhoneLmError::Data("killed".into());
            if step == 3 { Err(killed()) } else { rows(step) }
        });
        assert!(broken.is_err());
        let mut first = None;
        let resumed = course
            .fit_keeping(fresh(3), 2, |step| {
                first.get_or_insert(step);
                rows(step)
            })
            .unwrap();
        assert_eq!(first, Some(2));
        let values = |trained: &Trained| parameter_values(&trained.model);
        assert!(values(&unbroken) == values(&resumed));
        assert_eq!(unbroken.loss, resumed.loss);
        course.forget().unwrap();
        std::fs::remove_dir_all(folder).unwrap();
    }
}
