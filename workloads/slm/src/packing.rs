//! A decoder with packed weights: what is packed, what that costs in bytes and
//! in right answers, and how far a packed product may lie from its plain twin.
//!
//! Every linear layer is packed, and the embedding table, which is kept once
//! where the head is tied to it. Norms, biases, learned positions and what a
//! recurrence has beside its linear layers stay `f32`, as llama.cpp keeps them;
//! so do activations and the cache (llama.cpp's cache is `f16`).
//!
//! Definitions, for logits `l` of the `f32` model and `m` of the packed one,
//! `p` and `q` their softmax at one position:
//!
//! ```text
//! logit error     max |m - l| / max |l|      over all positions and ids
//! KL divergence   mean of sum p ln (p / q)   over positions, in nats
//! ```

use assay_kernels::WeightFormat;
use assay_kit::{compare, floats};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Int, Tensor};

use crate::{Decoder, SlmError};

/// Values of a row that share a scale in the block formats: ggml's `QK8_0` and
/// `QK4_0`.
const BLOCK: usize = 32;

/// How the visit of a module names the enums whose matrices are packed.
const PACKED: [&str; 2] = ["Enum:Projection", "Enum:Table"];

/// The relative tolerance of an answer in `f32` against its plain twin: the
/// order of additions.
pub(crate) const EXACT: f64 = 1e-4;

/// The relative tolerance of a model's logits against the plain twins, where
/// the same packed weights are unpacked to `f32` and multiplied there.
///
/// Halves are widened and multiplied in `f32`: as exact as `f32` itself. With
/// the block formats the kernels quantise activations too, 32 at a time, to
/// 8 bits: a value errs by half a step at most, a step being the block's
/// largest over 127. A token passes `4 L + 1` such products one behind the
/// other: two in attention, two in the feed-forward layer, one in the head.
/// Their errors are independent, so they add as roots do, and each is at most
/// half a step of its largest input; allowed is four times that,
/// `2 sqrt(4 L + 1) / 127`: 5 % for 2 layers, 18 % for 32. That is an estimate
/// with room, not a bound: blocks with an outlier have coarse steps, norms and
/// gates bend errors. (The bound of one product is proved and tested in
/// `kernels`.) What it is there to find, a wrong scale or a wrong row, moves
/// logits by their own size.
pub(crate) fn tolerance(format: Option<WeightFormat>, layers: usize) -> f64 {
    match format {
        None | Some(WeightFormat::F16 | WeightFormat::Bf16) => EXACT,
        Some(WeightFormat::Q8_0 | WeightFormat::Q4_0) => {
            let products = (4 * layers + 1) as f64;
            2.0 * products.sqrt() / 127.0
        }
    }
}

/// What packing did to a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Packing {
    /// The largest difference of a logit to the `f32` model's, over the largest
    /// magnitude of any of its logits.
    pub logit_error: f64,
    /// Mean divergence of the distribution of the next token from the `f32`
    /// model's, in nats.
    pub kl_divergence: f64,
    /// Bytes of the packed model's weights.
    pub weight_bytes: u64,
}

impl Decoder {
    /// The model with all linear weights and the table in `format`, for
    /// inference. Each dense weight is freed once it is packed, so that the
    /// peak is the dense model and one packed weight. Adapters are merged
    /// first; what is packed already is unpacked and packed anew.
    ///
    /// # Errors
    ///
    /// [`SlmError::Unpackable`] where a block format meets rows that are no
    /// multiple of its blocks: ggml has no such tensor, and the bytes would be
    /// those of no engine. Nothing is packed then.
    ///
    /// # Panics
    ///
    /// On a capture device, which has no values: traces are of dense models.
    pub fn packed(self, format: WeightFormat) -> Result<Self, SlmError> {
        let model = self.merged();
        if matches!(format, WeightFormat::Q8_0 | WeightFormat::Q4_0) {
            let mut check = Check::new(format);
            model.visit(&mut check);
            if let Some(refused) = check.refused {
                return Err(refused);
            }
        }
        Ok(model.with_all_changed(&mut |layer| layer.packed(format), |table| {
            table.packed(format)
        }))
    }

    /// As [`packed`](Self::packed), and what that did to the answers for
    /// `tokens` `[B, T]`. The `f32` model is gone afterwards.
    ///
    /// # Errors
    ///
    /// As [`packed`](Self::packed).
    pub fn packed_and_compared(
        self,
        format: WeightFormat,
        tokens: Tensor<2, Int>,
    ) -> Result<(Self, Packing), SlmError> {
        let all = |model: &Self| {
            let hidden = model.hidden(tokens.clone(), 0, None); // [B, T, D]
            let logits = model.logits(hidden); // [B, T, V]
            let [_, _, vocab] = logits.dims();
            (floats(logits), vocab)
        };
        let (right, vocab) = all(&self);
        let model = self.packed(format)?;
        let (found, _) = all(&model);
        let compared = compare("f32", &found, &right, 0.0);
        let packing = Packing {
            logit_error: compared.relative_difference,
            kl_divergence: mean_divergence(&right, &found, vocab),
            weight_bytes: model.weight_bytes(),
        };
        Ok((model, packing))
    }

    /// Bytes of all weights as they lie in memory, packed ones with their
    /// scales, a tied table once.
    pub fn weight_bytes(&self) -> u64 {
        struct Sum(u64);
        impl Sum {
            fn add(&mut self, elements: usize, bytes: usize) {
                self.0 += elements as u64 * bytes as u64;
            }
        }
        impl ModuleVisitor for Sum {
            fn visit_float<const D: usize>(
                &mut self,
                param: &Param<Tensor<D>>,
            ) {
                let value = param.val();
                self.add(value.shape().num_elements(), value.dtype().size());
            }
            fn visit_int<const D: usize>(
                &mut self,
                param: &Param<Tensor<D, Int>>,
            ) {
                let value = param.val();
                self.add(value.shape().num_elements(), value.dtype().size());
            }
        }
        let mut sum = Sum(0);
        self.visit(&mut sum);
        sum.0
    }
}

/// Looks for a weight that cannot be packed.
struct Check {
    format: WeightFormat,
    path: Vec<Option<String>>,
    /// Enums of [`PACKED`] that the visit is inside of.
    inside: usize,
    refused: Option<SlmError>,
}

impl Check {
    fn new(format: WeightFormat) -> Self {
        Self { format, path: Vec::new(), inside: 0, refused: None }
    }
}

impl ModuleVisitor for Check {
    fn enter_module(&mut self, name: &str, container: &str) {
        // As in `assay_kit::load`: a variant is no part of the path.
        let is_variant = container.starts_with("Enum:");
        self.path.push((!is_variant).then(|| name.to_owned()));
        self.inside += usize::from(PACKED.contains(&container));
    }

    fn exit_module(&mut self, _: &str, container: &str) {
        self.path.pop();
        self.inside -= usize::from(PACKED.contains(&container));
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let shape = param.val().dims();
        let inner = shape[D - 1];
        let is_matrix = self.inside > 0 && D == 2;
        if !is_matrix || inner.is_multiple_of(BLOCK) || self.refused.is_some() {
            return;
        }
        let parts: Vec<&str> =
            self.path.iter().flatten().map(String::as_str).collect();
        self.refused = Some(SlmError::Unpackable {
            name: parts.join("."),
            inner,
            format: self.format.name(),
            block: BLOCK,
        });
    }
}

/// The mean over positions of `sum p ln (p / q)`: `right` and `found` are
/// logits, `vocab` a position.
fn mean_divergence(right: &[f32], found: &[f32], vocab: usize) -> f64 {
    let rows = right.chunks_exact(vocab).zip(found.chunks_exact(vocab));
    let count = rows.len();
    let sum: f64 = rows.map(|(right, found)| divergence(right, found)).sum();
    sum / count as f64
}

fn divergence(right: &[f32], found: &[f32]) -> f64 {
    let (p, q) = (normaliser(right), normaliser(found));
    let sum: f64 = right
        .iter()
        .zip(found)
        .map(|(l, m)| {
            let ln_p = f64::from(*l) - p;
            let ln_q = f64::from(*m) - q;
            ln_p.exp() * (ln_p - ln_q)
        })
        .sum();
    // Rounding can leave a little below zero; `max` would lose a NaN.
    if sum < 0.0 { 0.0 } else { sum }
}

/// `ln sum exp l`: a logit less this is a log-probability.
fn normaliser(logits: &[f32]) -> f64 {
    let largest = logits.iter().fold(f32::NEG_INFINITY, |most, x| most.max(*x));
    let largest = f64::from(largest);
    let sum: f64 = logits.iter().map(|x| (f64::from(*x) - largest).exp()).sum();
    largest + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_divergence_is_that_of_the_definition() {
        // p = (1/2, 1/2), q = (1/4, 3/4): 1/2 ln 2 + 1/2 ln 2/3.
        let (right, found) = ([5.0, 5.0], [0.0, 3.0_f32.ln()]);
        let by_hand = 0.5 * (4.0_f64 / 3.0).ln();
        assert!((divergence(&right, &found) - by_hand).abs() < 1e-7);
        // A shift of all logits changes no probability.
        assert!(divergence(&right, &[-70.0, -70.0]) < 1e-12);
        let both = mean_divergence(
            &[5.0, 5.0, 1.0, 2.0],
            &[0.0, 3.0_f32.ln(), 1.0, 2.0],
            2,
        );
        assert!((both - 0.5 * by_hand).abs() < 1e-7);
        assert!(divergence(&right, &[f32::NAN, 0.0]).is_nan());
    }

    #[test]
    fn only_block_formats_are_allowed_more_than_rounding() {
        assert!((tolerance(None, 24) - EXACT).abs() < 1e-12);
        for format in WeightFormat::ALL {
            let allowed = tolerance(Some(format), 2);
            let blocks = format.bits() < 16.0;
            assert_eq!(blocks, allowed > EXACT, "{format:?}");
            assert!(allowed < 0.05, "{format:?}");
        }
        let deep = tolerance(Some(WeightFormat::Q8_0), 32);
        assert!((deep - 2.0 * 129.0_f64.sqrt() / 127.0).abs() < 1e-12);
    }
}
