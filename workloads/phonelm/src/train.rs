//! Quality by really training: every finalist sees as many tokens of the same
//! text, by the same recipe, and is judged on what was held out.
//!
//! The recipe is PhoneLM's in kind (facts, section 6.2: AdamW 0.9/0.95, weight
//! decay 0.1, a cosine down to a tenth of the learning rate), with a learning
//! rate for models of a few million parameters. A seed fixes weights and
//! order: the same seed trains the same model on any number of threads.
//!
//! `train/text.rs` is the text, `train/gates.rs` counts the gates that ReLU
//! closes. Not here: which shapes are trained, which is the search's business.

mod gates;
mod text;

use std::time::Instant;

use assay_kit::{Optimizer, Parameters, floats};
use assay_slm::{ADAMW, Config, Decoder};
use assay_trace::{Tape, inner};
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};

pub use gates::{Savings, savings, zeros};
pub(crate) use text::ROW;
pub use text::Text;

use crate::PhoneLmError;

/// Rows of a step.
pub(crate) const BATCH: usize = 8;

/// Learning rate after the warm-up.
const LEARNING_RATE: f64 = 3e-3;

/// What is left of it in the end, as a share.
const LAST_SHARE: f64 = 0.1;

/// The share of the steps over which the learning rate rises.
const WARM_UP: f64 = 0.1;

/// The norm at which gradients are clipped.
const CLIPPED_AT: f64 = 1.0;

/// What belongs to a training beside its case: a study that kept another
/// recipe's results does not go on from them.
pub(crate) fn recipe() -> String {
    format!(
        "row={ROW} batch={BATCH} rate={LEARNING_RATE} last={LAST_SHARE} \
         warm_up={WARM_UP} clipped={CLIPPED_AT} {ADAMW:?}"
    )
}

/// A trained model, off the device with gradients, and how it went.
#[derive(Debug)]
pub struct Trained {
    /// The model.
    pub model: Decoder,
    /// Tokens that it saw.
    pub tokens: usize,
    /// Mean loss of the last tenth of the steps, nats a token.
    pub train_loss: f64,
    /// Loss on what was held out, nats a token.
    pub held_out_loss: f64,
    /// Time of all steps, s.
    pub seconds: f64,
}

/// The learning rate of a step of so many: a line up, then a cosine down.
fn rate(step: u64, steps: u64) -> f64 {
    let warm_up = (steps as f64 * WARM_UP).ceil().max(1.0);
    let done = step as f64 + 1.0;
    if done <= warm_up {
        return LEARNING_RATE * done / warm_up;
    }
    let left = (steps as f64 - warm_up).max(1.0);
    let turn = std::f64::consts::PI * (done - warm_up) / left;
    let share = LAST_SHARE + (1.0 - LAST_SHARE) * (1.0 + turn.cos()) / 2.0;
    LEARNING_RATE * share
}

/// Rows of tokens, all of one length, as a tensor `[B, T]`.
fn tensor(ids: Vec<i64>, rows: usize, device: &Device) -> Tensor<2, Int> {
    let width = ids.len() / rows.max(1);
    Tensor::from_data(TensorData::new(ids, [rows, width]), device)
}

/// A loss's value; NaN of nothing.
fn value_of(loss: &Tensor<1>) -> f64 {
    let value = floats(inner(loss.clone()));
    value.first().map_or(f64::NAN, |&value| f64::from(value))
}

/// Trains a decoder from random weights on `tokens` tokens of a text, in whole
/// steps of `BATCH` rows of `ROW` tokens and at least one.
///
/// # Errors
/// A vocabulary or a context too small for the text's rows; a loss that is not
/// finite.
pub fn train(
    config: &Config,
    text: &Text,
    tokens: usize,
    seed: u64,
) -> Result<Trained, PhoneLmError> {
    check(config, text)?;
    let device = Device::flex().autodiff();
    let mut parameters = Parameters::random(&device, seed);
    let mut model = Decoder::new(&mut parameters, config, ROW);
    let mut optimizer = Optimizer::new(ADAMW);
    optimizer.prepare(&model);
    let steps = (tokens / (BATCH * ROW)).max(1) as u64;
    let last_tenth = steps - steps.div_ceil(10);
    let (mut sum, mut counted) = (0.0, 0_u32);
    let begun = Instant::now();
    for step in 0..steps {
        optimizer.set_learning_rate(rate(step, steps));
        let batch = tensor(text.batch(BATCH, step, seed), BATCH, &device);
        let loss = model.loss(batch);
        let value = value_of(&loss);
        let gradients = Tape::of(loss);
        let (next, norm) = optimizer.clipped_step(model, gradients, CLIPPED_AT);
        model = next;
        if !(value.is_finite() && norm.is_finite()) {
            return Err(PhoneLmError::Data(format!(
                "training `{}` with seed {seed} diverged at step {step}: loss \
                 {value}, norm of the gradients {norm}",
                config.name
            )));
        }
        if step >= last_tenth {
            sum += value;
            counted += 1;
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    let model = model.valid();
    Ok(Trained {
        held_out_loss: held_out_loss(&model, text)?,
        model,
        tokens: steps as usize * BATCH * ROW,
        train_loss: sum / f64::from(counted.max(1)),
        seconds,
    })
}

/// Whether a model can read the text's rows.
fn check(config: &Config, text: &Text) -> Result<(), PhoneLmError> {
    let needed = text.vocabulary();
    if config.vocab < needed {
        return Err(PhoneLmError::Excluded(format!(
            "vocab={} and a text with token ids up to {}",
            config.vocab,
            needed - 1
        )));
    }
    if config.context < ROW {
        return Err(PhoneLmError::Excluded(format!(
            "a context of {} tokens and training rows of {ROW}",
            config.context
        )));
    }
    Ok(())
}

/// Mean loss of a model, on a device without gradients, over the rows that a
/// text holds out, nats a token: every token once, each given those before it
/// in its row.
///
/// # Errors
/// A loss that is not finite.
pub fn held_out_loss(
    model: &Decoder,
    text: &Text,
) -> Result<f64, PhoneLmError> {
    let device = Device::flex();
    let rows = text.held_out();
    let mut sum = 0.0;
    for few in rows.chunks(BATCH) {
        let ids = tensor(few.concat(), few.len(), &device);
        // Rows are equally long, so that their mean weighs tokens alike.
        let mean = floats(model.loss(ids)).first().copied();
        sum += few.len() as f64 * f64::from(mean.unwrap_or(f32::NAN));
    }
    let loss = sum / rows.len() as f64;
    if loss.is_finite() {
        return Ok(loss);
    }
    let what = format!("the held-out loss is {loss}, expected a finite number");
    Err(PhoneLmError::Data(what))
}

/// The share of zeros behind the ReLU of each layer on a part of what a text
/// holds out, as [`zeros`].
///
/// # Errors
/// As [`zeros`].
pub(crate) fn held_out_zeros(
    config: &Config,
    model: &Decoder,
    text: &Text,
) -> Result<Option<Vec<f64>>, PhoneLmError> {
    /// Rows that are counted: 4,096 tokens fix a share to less than 1 %.
    const COUNTED: usize = 32;
    let rows: Vec<&[i64]> = text
        .held_out()
        .into_iter()
        .take(COUNTED)
        .filter_map(|row| row.get(..ROW))
        .collect();
    zeros(config, model, &rows)
}

#[cfg(test)]
mod tests {
    use assay_kernels::Activation;
    use assay_kit::parameter_values;

    use super::*;
    use crate::Shape;

    fn tiny() -> Config {
        let shape = Shape {
            layers: 1,
            width: 16,
            heads: 2,
            kv_heads: 1,
            ffn: 32,
            vocab: 2048,
            context: 256,
            activation: Activation::Relu,
            ..Shape::default()
        };
        shape.config("tiny").unwrap()
    }

    #[test]
    fn the_learning_rate_rises_and_falls_to_its_last_share() {
        let steps = 200;
        let rates: Vec<f64> =
            (0..steps).map(|step| rate(step, steps)).collect();
        assert!(rates[..20].windows(2).all(|pair| pair[0] < pair[1]));
        assert!(rates[19..].windows(2).all(|pair| pair[0] > pair[1]));
        assert!((rates[19] / LEARNING_RATE - 1.0).abs() < 1e-12);
        let last = rates[199] / LEARNING_RATE;
        assert!((last - LAST_SHARE).abs() < 1e-9, "{last}");
        assert_eq!(rate(0, 1), LEARNING_RATE);
    }

    #[test]
    fn a_model_learns_and_its_gates_are_counted() {
        let (config, text) = (tiny(), Text::shipped().unwrap());
        let tokens = 20 * BATCH * ROW;
        let trained = train(&config, &text, tokens + 5, 1).unwrap();
        assert_eq!(trained.tokens, tokens);
        // Without learning the loss is that of guessing.
        let guessing = 2048_f64.ln();
        let loss = trained.held_out_loss;
        assert!(loss < guessing - 0.05, "{loss} of {guessing}");
        let zeros = held_out_zeros(&config, &trained.model, &text).unwrap();
        let [share] = zeros.unwrap()[..] else { panic!("one layer") };
        assert!((0.05..0.95).contains(&share), "{share}");
    }

    #[test]
    fn a_seed_is_a_model() {
        let (config, text) = (tiny(), Text::shipped().unwrap());
        let trained = |seed| {
            let trained = train(&config, &text, 2 * BATCH * ROW, seed).unwrap();
            (parameter_values(&trained.model), trained.held_out_loss)
        };
        let first = trained(1);
        assert!(first == trained(1));
        assert!(first != trained(2));
    }

    #[test]
    fn a_model_that_cannot_read_the_text_is_refused() {
        let text = Text::shipped().unwrap();
        let small = Config { vocab: 100, ..tiny() };
        let error = train(&small, &text, 1, 1).unwrap_err().to_string();
        assert!(error.contains("vocab=100"), "{error}");
        let short = Config { context: 64, ..tiny() };
        let error = train(&short, &text, 1, 1).unwrap_err().to_string();
        assert!(error.contains("a context of 64"), "{error}");
    }
}
