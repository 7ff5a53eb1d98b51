//! A model of our own to judge: trained on the first four fifths of the text,
//! so that its perplexity on the rest means something, and so does what a
//! number format does to it. Weights at random are as surprised by a word in
//! `q4_0` as in `f32`.

use assay_kit::{Optimizer, Parameters, parameter_values, with_values};
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::steps::{ADAMW, train};
use crate::text::to_train_on;
use crate::{Config, Decoder, SlmError};

/// Rows of a step.
const ROWS: usize = 8;

/// Tokens of a row at most.
const ROW: usize = 128;

/// How far each pass through the text starts behind the one before: no row is
/// seen twice. A prime, so that it takes long to come round.
const SHIFT: usize = 37;

/// A model of that shape after `steps` steps of [`ADAMW`] on the text, from
/// the seed's weights; for rows of at most `longest` tokens, on the CPU,
/// without gradients.
///
/// # Errors
///
/// The embedded text does not tokenize: a bug of this crate.
pub(super) fn trained(
    config: &Config,
    seed: u64,
    steps: usize,
    longest: usize,
) -> Result<Decoder, SlmError> {
    let device = Device::flex().autodiff();
    let mut model =
        Decoder::new(&mut Parameters::random(&device, seed), config, ROW);
    let mut optimizer = Optimizer::new(ADAMW);
    let text = if steps > 0 { to_train_on()? } else { Vec::new() };
    let row = ROW.min(config.context);
    for step in 0..steps {
        let tokens: Vec<i64> = rows(&text, step, row)
            .map(|id| i64::from(id) % config.vocab as i64)
            .collect();
        let data = TensorData::new(tokens, [ROWS, row]);
        let tokens = Tensor::<2, Int>::from_data(data, &device);
        (_, model) = train(model, &mut optimizer, tokens);
    }
    let values = parameter_values(&model);
    let flex = Device::flex();
    let fresh =
        Decoder::new(&mut Parameters::random(&flex, seed), config, longest);
    Ok(with_values(fresh, &values)?)
}

/// The tokens of a step's rows, one after the other; the text is read in a
/// circle.
fn rows(
    text: &[u32],
    step: usize,
    row: usize,
) -> impl Iterator<Item = u32> + '_ {
    let tokens = ROWS * row;
    let first = step * tokens;
    let shift = first / text.len().max(1) * SHIFT;
    text.iter().copied().cycle().skip((first + shift) % text.len()).take(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::Evaluator;
    use crate::text::held_out;
    use crate::{model_config, tokenizer};

    #[test]
    fn training_lowers_the_perplexity_of_text_that_it_has_not_seen() {
        let config = model_config("tiny").unwrap();
        let device = Device::flex();
        let text = &held_out()[..4000];
        let surprise = |steps| {
            let model = trained(&config, 5, steps, 128).unwrap();
            let tokenizer = tokenizer().unwrap();
            let judge =
                Evaluator::new(&model, &config, tokenizer, &device, 128)
                    .unwrap();
            judge.perplexity(text, 64).unwrap().perplexity()
        };
        let (before, after) = (surprise(0), surprise(12));
        assert!(after.high < before.low, "{before:?} {after:?}");
    }

    #[test]
    fn rows_follow_each_other_and_shift_at_each_pass() {
        let text: Vec<u32> = (0..3000).collect();
        let of = |step| rows(&text, step, 128).collect::<Vec<_>>();
        assert_eq!(of(0)[..3], [0, 1, 2]);
        assert_eq!(of(1)[0], 1024);
        assert_eq!(of(2)[1023], 71);
        assert_eq!(of(3)[0], 3072 % 3000 + SHIFT as u32);
    }
}
