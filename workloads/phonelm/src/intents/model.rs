//! The small model that answers with calls, and its loss.
//!
//! PhoneLM's architecture (facts, section 6.1: pre-norm RMSNorm, rotary
//! positions, a feed-forward layer gated by ReLU, one table for embedding and
//! head) at 0.87 million parameters. Copying a request's words into a call is
//! the work of two layers, one that looks one token back and one that looks
//! for what stood there before (Olsson et al., *In-context learning and
//! induction heads*, 2022, section 3); the other two choose tool and
//! parameter.
//!
//! What it costs: 6 FLOPs a parameter and token, of which a head on a fraction
//! of the positions and a table that is looked up count little: 4 MFLOP a
//! token. A step of pre-training with 16 rows of about 96 tokens is 6 GFLOP and
//! takes some 70 ms on two cores; 4,000 of them are nearly five minutes. A step of
//! fine-tuning leaves the base's gradients out and costs about two thirds.
//!
//! Legend: `B` rows, `T` tokens of the longest, `D` width, `V` vocabulary,
//! `n` tokens that are judged.

use std::ops::Range;

use assay_kernels::{Activation, cross_entropy, embedding};
use assay_slm::{
    AttentionBias, Config, Decoder, Family, NormKind, Positions, Variation,
};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::language::{VOCABULARY, glue};
use crate::PhoneLmError;

/// Rows of a training step.
pub(crate) const BATCH: usize = 16;
/// Tokens that the longest row of a step typically has.
pub(crate) const ROW: usize = 96;
/// Tokens of a typical prompt of four tools.
pub(crate) const CALL_PROMPT: usize = 70;
/// Tokens of a typical call, its end included.
pub(crate) const CALL_TOKENS: usize = 17;
/// Tokens of a prompt with its answer at most.
pub(crate) const LONGEST: usize = 320;

/// The model's shape.
pub(crate) fn config() -> Config {
    Config {
        format_version: 1,
        name: "intents".to_owned(),
        title: "Intents".to_owned(),
        source: "PhoneLM's architecture at the size that trains here".into(),
        family: Family::Llama,
        layers: 4,
        width: 128,
        heads: 4,
        kv_heads: 4,
        head_dim: 32,
        ffn: 256,
        vocab: VOCABULARY,
        context: LONGEST,
        activation: Activation::Relu,
        gated: true,
        norm: NormKind::RmsNorm,
        norm_epsilon: 1e-6,
        positions: Positions::Rotary { theta: 10_000.0, fraction: 1.0 },
        attention_bias: AttentionBias::None,
        mlp_bias: false,
        parallel_residual: false,
        tied_embeddings: true,
        published_params_m: None,
        // As Gemma: without it a token of deviation 0.02 is lost beside what
        // the branches add, and copying is learned late.
        variation: Variation {
            embedding_scale: Some(128.0_f64.sqrt()),
            ..Variation::default()
        },
    }
}

/// A row of tokens to learn from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    /// Ids.
    pub(crate) tokens: Vec<u32>,
    /// Where its answers stand; none begins at 0.
    pub(crate) answers: Vec<Range<usize>>,
}

/// What of a row is learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Learned {
    /// Every token, and the answers once more as a mean of their own: they
    /// are a tenth of all tokens, and reading is learned from them.
    Everything,
    /// The answers alone.
    Answers,
}

/// A row's ids and a target: place in `[B T]`, token.
type Judged = (usize, u32);

/// Rows as tokens `[B, T]`, padded on the right, where a decoder never looks.
fn padded(rows: &[Row], device: &Device) -> (Tensor<2, Int>, usize) {
    let longest = rows.iter().map(|row| row.tokens.len()).max().unwrap_or(0);
    let ids: Vec<i64> = rows
        .iter()
        .flat_map(|row| {
            let padding = longest - row.tokens.len();
            let padding = std::iter::repeat_n(glue::PAD, padding);
            row.tokens.iter().copied().chain(padding).map(i64::from)
        })
        .collect();
    let ids = TensorData::new(ids, [rows.len(), longest]);
    (Tensor::from_data(ids, device), longest)
}

/// The places before the tokens of these ranges, and those tokens.
fn judged<'a>(
    rows: &'a [Row],
    longest: usize,
    ranges: impl Fn(&'a Row) -> Vec<Range<usize>>,
) -> Vec<Judged> {
    let mut found = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        for range in ranges(row) {
            let first = range.start.max(1);
            let tokens = row.tokens.get(first..range.end).unwrap_or_default();
            found.extend(
                tokens
                    .iter()
                    .enumerate()
                    .map(|(j, token)| (i * longest + first - 1 + j, *token)),
            );
        }
    }
    found
}

/// The loss of rows, nats a token.
///
/// # Errors
/// Rows without anything to learn, or longer than the model reads.
pub(crate) fn loss(
    model: &Decoder,
    rows: &[Row],
    learned: Learned,
    device: &Device,
) -> Result<Tensor<1>, PhoneLmError> {
    let (tokens, longest) = padded(rows, device); // [B, T]
    if longest > LONGEST {
        return Err(PhoneLmError::Data(format!(
            "a row of {longest} tokens; the model reads at most {LONGEST}"
        )));
    }
    let answers = judged(rows, longest, |row| row.answers.clone());
    let all = match learned {
        Learned::Answers => Vec::new(),
        Learned::Everything => {
            let whole =
                |row: &Row| vec![Range { start: 1, end: row.tokens.len() }];
            judged(rows, longest, whole)
        }
    };
    let hidden = model.hidden(tokens, 0, None); // [B, T, D]
    let [b, t, d] = hidden.dims();
    let flat = hidden.reshape([b * t, d]); // [B T, D]
    let mean = |judged: &[Judged]| {
        let n = judged.len();
        let places: Vec<i64> = judged.iter().map(|one| one.0 as i64).collect();
        let targets: Vec<i64> =
            judged.iter().map(|one| i64::from(one.1)).collect();
        let places = TensorData::new(places, [1, n]);
        let targets = TensorData::new(targets, [n]);
        let places = Tensor::<2, Int>::from_data(places, device);
        let targets = Tensor::<1, Int>::from_data(targets, device);
        // Rows picked by index are what an embedding is: the head sees the
        // places that are judged alone.
        let picked = embedding(flat.clone(), places); // [1, n, D]
        let logits = model.logits(picked); // [1, n, V]
        let [_, _, vocab] = logits.dims();
        cross_entropy(logits.reshape([n, vocab]), targets)
    };
    match (all.is_empty(), answers.is_empty()) {
        (false, false) => Ok(mean(&all) + mean(&answers)),
        (false, true) => Ok(mean(&all)),
        (true, false) => Ok(mean(&answers)),
        (true, true) => Err(PhoneLmError::Data(
            "rows without a token to learn from".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use assay_kit::{Parameters, floats, parameter_shapes};

    use super::*;

    /// The smallest model of the kind.
    fn small() -> (Decoder, Device) {
        let config = Config {
            layers: 1,
            width: 16,
            heads: 1,
            kv_heads: 1,
            head_dim: 16,
            ffn: 16,
            vocab: 50,
            ..config()
        };
        let device = Device::flex();
        let mut start = Parameters::random(&device, 1);
        (Decoder::new(&mut start, &config, LONGEST), device)
    }

    fn row(tokens: &[u32], answer: Range<usize>) -> Row {
        Row { tokens: tokens.to_vec(), answers: vec![answer] }
    }

    #[test]
    fn the_shape_is_lawful_and_as_large_as_it_says() {
        let config = config();
        config.check().unwrap();
        let mut start = Parameters::shapes(&Device::flex());
        let model = Decoder::new(&mut start, &config, 8);
        let count: usize = parameter_shapes(&model)
            .values()
            .map(|shape| shape.iter().product::<usize>())
            .sum();
        let (d, f) = (config.width, config.ffn);
        let layer = 4 * d * d + 3 * d * f + 2 * d;
        let right = config.vocab * d + config.layers * layer + d;
        assert_eq!(count, right);
        assert!((0.86e6..0.88e6).contains(&(count as f64)), "{count}");
    }

    #[test]
    fn the_loss_of_everything_is_the_decoders_own() {
        let (model, device) = small();
        let tokens: Vec<u32> = (0..12).map(|i| 7 * i % 50).collect();
        let found =
            loss(&model, &[row(&tokens, 0..0)], Learned::Everything, &device);
        let ids: Vec<i64> = tokens.iter().map(|id| i64::from(*id)).collect();
        let ids = TensorData::new(ids, [1, 12]);
        let right = model.loss(Tensor::from_data(ids, &device));
        let (found, right) = (floats(found.unwrap())[0], floats(right)[0]);
        assert!((found - right).abs() < 1e-5, "{found} {right}");
    }

    #[test]
    fn answers_are_judged_alone_and_padding_changes_nothing() {
        let (model, device) = small();
        let short = row(&[4, 9, 3, 8, 1], 3..5);
        let long = row(&[4, 9, 7, 7, 3, 6, 2, 1], 5..8);
        let of = |rows: &[Row]| {
            let loss = loss(&model, rows, Learned::Answers, &device);
            f64::from(floats(loss.unwrap())[0])
        };
        let one = of(std::slice::from_ref(&short));
        let other = of(std::slice::from_ref(&long));
        let both = of(&[short.clone(), long.clone()]);
        // Means of two and of three tokens.
        let right = (2.0 * one + 3.0 * other) / 5.0;
        assert!((both - right).abs() < 1e-5, "{both} {right}");
        let changed = row(&[4, 9, 3, 8, 2], 3..5);
        assert!((of(&[changed]) - one).abs() > 1e-4);
        let everything = loss(&model, &[short], Learned::Everything, &device);
        let everything = f64::from(floats(everything.unwrap())[0]);
        assert!(everything > one);
    }

    #[test]
    fn rows_without_anything_to_learn_and_long_ones_are_errors() {
        let (model, device) = small();
        let none = row(&[4, 5], 0..0);
        let error = loss(&model, &[none], Learned::Answers, &device);
        assert!(error.unwrap_err().to_string().contains("without a token"));
        let long = row(&[3; LONGEST + 1], 1..2);
        let error = loss(&model, &[long], Learned::Answers, &device);
        assert!(error.unwrap_err().to_string().contains("at most"));
    }
}
