//! How many gates a ReLU closes, and what skipping what they close could
//! save.
//!
//! PhoneLM's feed-forward layer is `down(relu(gate x) * up x)` (facts, section
//! 6.1: `modeling_phonelm.py`): where `relu(gate x)` is 0, a column of `down`
//! and a row of `up` have no say. The share of zeros is counted on held-out
//! text, layer by layer.
//!
//! The decoder keeps its gates to itself, so that a forward is written out
//! here from its weights, by the same kernels; its hidden states are compared
//! with the decoder's, and a difference is an error. ALiBi is not written out:
//! such a candidate has no count.
//!
//! Legend: `B` rows, `T` tokens, `D` width, `H` heads, `K` key-value heads,
//! `d` head width, `F` feed-forward width.

use std::collections::BTreeMap;

use assay_kernels::{
    Activation, Rotary, activate, attention, embedding, gated, linear,
    rms_norm, rotary,
};
use assay_kit::{floats, parameter_values};
use assay_slm::{Config, Decoder, Phase, Positions};
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::PhoneLmError;
use crate::search::{Candidate, whole};

/// Largest difference of hidden states, relative to the largest of them, that
/// sums in another order explain.
const SAME: f32 = 1e-3;

/// What skipping closed gates would save of a decode step, as shares of the
/// whole step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Savings {
    /// Of the arithmetic, without the columns of `down`.
    pub flops: f64,
    /// Of the weights' bytes.
    pub bytes: f64,
    /// Of the arithmetic, without the rows of `up` too.
    pub flops_with_up: f64,
    /// Of the weights' bytes.
    pub bytes_with_up: f64,
}

/// Weights by dotted path.
struct Weights {
    values: BTreeMap<String, Vec<f32>>,
    device: Device,
}

impl Weights {
    fn tensor<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
    ) -> Result<Tensor<D>, PhoneLmError> {
        let expected: usize = shape.iter().product();
        match self.values.get(name) {
            Some(values) if values.len() == expected => {
                let data = TensorData::new(values.clone(), shape);
                Ok(Tensor::from_data(data, &self.device))
            }
            found => Err(PhoneLmError::Data(format!(
                "`{name}` has {} value(s), expected {expected}",
                found.map_or(0, Vec::len)
            ))),
        }
    }
}

/// A decoder written out, ready to count.
struct WrittenOut<'a> {
    config: &'a Config,
    weights: Weights,
    table: Option<Rotary>,
}

impl WrittenOut<'_> {
    /// Tokens `[B, T]` to hidden states `[B, T, D]`; `closed` receives each
    /// layer's activations `[B, T, F]`.
    fn hidden(
        &self,
        tokens: Tensor<2, Int>,
        mut closed: impl FnMut(usize, Tensor<3>),
    ) -> Result<Tensor<3>, PhoneLmError> {
        let (config, w) = (self.config, &self.weights);
        let (width, epsilon) = (config.width, config.norm_epsilon as f32);
        let [_, t] = tokens.dims();
        let rows = w.tensor("embedding", [config.vocab, width])?;
        let mut x = embedding(rows, tokens); // [B, T, D]
        if let Positions::Learned { offset } = config.positions {
            let rows = config.context + offset;
            let table = w.tensor("positions", [rows, width])?;
            let table: Tensor<2> = table.narrow(0, offset, t); // [T, D]
            x = x + table.unsqueeze();
        }
        for layer in 0..config.layers {
            let at = format!("blocks.{layer}");
            let gain =
                w.tensor(&format!("{at}.attention_norm.weight"), [width])?;
            let normed = rms_norm(x.clone(), gain, epsilon);
            x = x + self.attention(&at, normed)?;
            let gain = w.tensor(&format!("{at}.mlp_norm.weight"), [width])?;
            let normed = rms_norm(x.clone(), gain, epsilon);
            let (open, branch) = self.feed_forward(&at, normed)?;
            closed(layer, open);
            x = x + branch;
        }
        let gain = w.tensor("norm.weight", [width])?;
        Ok(rms_norm(x, gain, epsilon))
    }

    fn attention(
        &self,
        at: &str,
        x: Tensor<3>,
    ) -> Result<Tensor<3>, PhoneLmError> {
        let config = self.config;
        let [b, t, width] = x.dims();
        let (h, kv, d) = (config.heads, config.kv_heads, config.head_dim);
        let weight = |name: &str, shape: [usize; 2]| {
            let name = format!("{at}.attention.{name}.weight");
            self.weights.tensor(&name, shape)
        };
        let q = linear(x.clone(), weight("q", [h * d, width])?, None);
        let k = linear(x.clone(), weight("k", [kv * d, width])?, None);
        let v = linear(x, weight("v", [kv * d, width])?, None);
        let q = q.reshape([b, t, h, d]); // [B, T, H, d]
        let k = k.reshape([b, t, kv, d]); // [B, T, K, d]
        let v = v.reshape([b, t, kv, d]); // [B, T, K, d]
        let (q, k) = match &self.table {
            Some(table) => (rotary(q, table, 0), rotary(k, table, 0)),
            None => (q, k),
        };
        let scale = (d as f32).powf(-0.5);
        let mixed = attention(q, k, v, t, scale, true); // [B, T, H, d]
        let mixed = mixed.reshape([b, t, h * d]);
        Ok(linear(mixed, weight("output", [width, h * d])?, None))
    }

    /// What the activation leaves `[B, T, F]`, and the branch `[B, T, D]`.
    fn feed_forward(
        &self,
        at: &str,
        x: Tensor<3>,
    ) -> Result<(Tensor<3>, Tensor<3>), PhoneLmError> {
        let (width, ffn) = (self.config.width, self.config.ffn);
        let activation = self.config.activation;
        let weight = |name: &str, shape: [usize; 2]| {
            let name = format!("{at}.mlp.{name}.weight");
            self.weights.tensor(&name, shape)
        };
        let up = linear(x.clone(), weight("up", [ffn, width])?, None);
        let (open, hidden) = if self.config.gated {
            let gate = linear(x, weight("gate", [ffn, width])?, None);
            let open = activate(gate.clone(), activation);
            (open, gated(gate, up, activation))
        } else {
            let open = activate(up, activation);
            (open.clone(), open)
        };
        Ok((open, linear(hidden, weight("down", [width, ffn])?, None)))
    }
}

/// The largest of some numbers; NaN where one of them is.
fn largest(values: impl Iterator<Item = f32>) -> f32 {
    values.fold(0.0, |most: f32, x| {
        if most.is_nan() || x.is_nan() { f32::NAN } else { most.max(x) }
    })
}

/// The largest difference of two lists, relative to the largest of the second.
fn difference(found: &[f32], right: &[f32]) -> f32 {
    let apart = found.iter().zip(right).map(|(a, b)| (a - b).abs());
    let size = largest(right.iter().map(|x| x.abs()));
    largest(apart) / size.max(f32::MIN_POSITIVE)
}

/// The share of exact zeros that the ReLU of each layer leaves on rows of
/// tokens, all as long; `None` for another activation and for ALiBi.
///
/// # Errors
/// The forward that is written out here gives other hidden states than the
/// model: a bug of this project.
pub fn zeros(
    config: &Config,
    model: &Decoder,
    rows: &[&[i64]],
) -> Result<Option<Vec<f64>>, PhoneLmError> {
    let length = rows.first().map_or(0, |row| row.len());
    let counted = config.activation == Activation::Relu
        && config.positions != Positions::Alibi;
    if !counted || length == 0 {
        return Ok(None);
    }
    let device = Device::flex();
    let table = match config.positions {
        Positions::Rotary { theta, .. } => {
            Some(Rotary::new(theta, config.rotated(), length))
        }
        Positions::Learned { .. } | Positions::Alibi => None,
    };
    let values = parameter_values(model);
    let weights = Weights { values, device: device.clone() };
    let written = WrittenOut { config, weights, table };
    let mut shut = vec![(0_u64, 0_u64); config.layers];
    for few in rows.chunks(super::BATCH) {
        let ids: Vec<i64> = few.concat();
        let ids = TensorData::new(ids, [few.len(), length]);
        let tokens = Tensor::<2, Int>::from_data(ids, &device); // [B, T]
        let hidden = written.hidden(tokens.clone(), |layer, open| {
            let open = floats(open);
            let none = open.iter().filter(|x| **x <= 0.0).count();
            shut[layer].0 += none as u64;
            shut[layer].1 += open.len() as u64;
        })?;
        let own = floats(model.hidden(tokens, 0, None));
        let apart = difference(&floats(hidden), &own);
        if apart.is_nan() || apart > SAME {
            return Err(PhoneLmError::Data(format!(
                "`{}` written out differs from the model by {apart}, expected \
                 at most {SAME}",
                config.name
            )));
        }
    }
    let share = |(none, all): (u64, u64)| none as f64 / all.max(1) as f64;
    Ok(Some(shut.into_iter().map(share).collect()))
}

/// What shares of zeros, one a layer, would save of a decode step with
/// `context` tokens in the cache.
///
/// The step reads every weight once, the table as the head; the saving is
/// `D F` weights and `2 D F` operations a layer for all of `down`, and as much
/// for all of `up` where a gate decides before it. Without a gate `up` must
/// run, for it is what is activated.
///
/// # Errors
/// The step cannot be traced: a shape that is none.
pub fn savings(
    candidate: &Candidate,
    zeros: &[f64],
    context: usize,
) -> Result<Savings, PhoneLmError> {
    let step = whole(candidate, Phase::Decode, context)?;
    let (layer, n) = (&candidate.layer, |x: usize| x as f64);
    let weights = candidate.layers as f64 * layer.parameters() as f64
        + n(layer.width) * (n(candidate.vocab) + 1.0);
    let down = n(layer.width) * n(layer.ffn) * zeros.iter().sum::<f64>();
    let both = if layer.gated { 2.0 * down } else { down };
    let flops = step.flops().value();
    Ok(Savings {
        flops: 2.0 * down / flops,
        bytes: down / weights,
        flops_with_up: 2.0 * both / flops,
        bytes_with_up: both / weights,
    })
}

#[cfg(test)]
mod tests {
    use assay_kit::Parameters;

    use super::*;
    use crate::search::{Layer, Placing};

    fn candidate(gated: bool, placing: Placing) -> Candidate {
        Candidate {
            layer: Layer {
                width: 32,
                heads: 4,
                kv_heads: 2,
                ffn: 48,
                gated,
                activation: Activation::Relu,
                placing,
            },
            layers: 2,
            vocab: 64,
            context: 16,
        }
    }

    fn counted(candidate: &Candidate) -> Option<Vec<f64>> {
        let config = candidate.config().unwrap();
        let mut parameters = Parameters::random(&Device::flex(), 5);
        let model = Decoder::new(&mut parameters, &config, 16);
        let rows: Vec<Vec<i64>> = (0..3)
            .map(|row| (0..9).map(|i| (row * 17 + i * 5) % 64).collect())
            .collect();
        let rows: Vec<&[i64]> = rows.iter().map(Vec::as_slice).collect();
        zeros(&config, &model, &rows).unwrap()
    }

    #[test]
    fn about_half_of_random_gates_are_shut() {
        for (gated, placing) in
            [(true, Placing::Rotary), (false, Placing::Learned)]
        {
            let shares = counted(&candidate(gated, placing)).unwrap();
            assert_eq!(shares.len(), 2);
            for share in shares {
                assert!((0.25..0.75).contains(&share), "{gated}: {share}");
            }
        }
    }

    #[test]
    fn another_activation_has_no_zeros_to_count() {
        let mut one = candidate(true, Placing::Rotary);
        one.layer.activation = Activation::Silu;
        assert_eq!(counted(&one), None);
        assert_eq!(counted(&candidate(true, Placing::Alibi)), None);
    }

    #[test]
    fn savings_follow_from_the_shape() {
        let one = candidate(true, Placing::Rotary);
        let all = savings(&one, &[1.0, 1.0], 8).unwrap();
        let down = 2.0 * 32.0 * 48.0;
        // The table, the layers and the last norm; nothing else is learned.
        let weights = one.parameters() as f64;
        assert!((all.bytes - down / weights).abs() < 1e-12);
        assert!((all.bytes_with_up - 2.0 * all.bytes).abs() < 1e-12);
        assert!(all.flops > 0.0 && all.flops_with_up < 1.0);
        let half = savings(&one, &[0.5, 0.5], 8).unwrap();
        assert!((half.flops - all.flops / 2.0).abs() < 1e-12);
        let plain = candidate(false, Placing::Rotary);
        let plain = savings(&plain, &[1.0, 1.0], 8).unwrap();
        assert_eq!(plain.bytes_with_up, plain.bytes);
    }
}
