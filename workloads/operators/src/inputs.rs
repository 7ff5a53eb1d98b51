//! An operator's inputs on a device, and the operator itself.

use assay_kernels::{
    Activation, activate, attention, embedding, exp, gated, layer_norm, linear,
    matmul, pow, pow_scalar, rms_norm, softmax,
};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::operator::{ElementwiseKind, Operator};

/// Epsilons of the two norms, as in the golden file.
pub(crate) const LAYER_NORM_EPSILON: f32 = 1e-5;
pub(crate) const RMS_NORM_EPSILON: f32 = 1e-6;

/// The scalar that stands for a second operand.
pub(crate) const SCALAR: f32 = 1.5;

/// Tensors of one call, shaped as the operator wants them.
#[derive(Clone, Debug)]
pub enum Inputs {
    /// One product as a layer has it: `[m, k]`, weights `[n, k]`.
    Layer(Tensor<2>, Tensor<2>),
    /// Several: `[batch, m, k]`, `[batch, k, n]`.
    Matmul(Tensor<3>, Tensor<3>),
    /// `[B, T, H, d]`, twice `[B, S, K, d]`.
    Attention(Tensor<4>, Tensor<4>, Tensor<4>),
    /// `[rows, cols]`, gain, offset (`cols` each; unused ones are not made).
    Rows(Tensor<2>, Option<Tensor<1>>, Option<Tensor<1>>),
    /// One or two of `[elements]`.
    Elements(Tensor<1>, Option<Tensor<1>>),
    /// Picture `[N, C, H, W]`, weight `[O, C/groups, k, k]`.
    Picture(Tensor<4>, Tensor<4>),
    /// Table `[V, D]`, ids `[1, T]`.
    Table(Tensor<2>, Tensor<2, Int>),
}

/// Where an operator's numbers come from.
pub enum Source<'a> {
    /// Zeros, for a trace.
    Shapes,
    /// Seeded uniform numbers in [-1, 1), ids below the vocabulary.
    Random(&'a mut ChaCha8Rng),
}

impl Source<'_> {
    /// A seeded generator.
    pub fn seeded(seed: u64) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(seed)
    }

    fn floats<const D: usize>(
        &mut self,
        shape: [usize; D],
        device: &Device,
    ) -> Tensor<D> {
        match self {
            Self::Shapes => Tensor::zeros(shape, device),
            Self::Random(rng) => {
                let count = shape.iter().product();
                let values: Vec<f32> = (0..count)
                    .map(|_| (rng.next_u32() >> 8) as f32 / 8_388_608.0 - 1.0)
                    .collect();
                Tensor::from_data(TensorData::new(values, shape), device)
            }
        }
    }

    /// Numbers of at least a half in size, lawful divisors and bases.
    fn positive<const D: usize>(
        &mut self,
        shape: [usize; D],
        device: &Device,
    ) -> Tensor<D> {
        match self {
            Self::Shapes => Tensor::zeros(shape, device),
            Self::Random(_) => self.floats(shape, device).abs() + 0.5,
        }
    }

    fn ids(
        &mut self,
        count: usize,
        below: usize,
        device: &Device,
    ) -> Tensor<2, Int> {
        match self {
            Self::Shapes => Tensor::zeros([1, count], device),
            Self::Random(rng) => {
                let ids: Vec<i64> = (0..count)
                    .map(|_| i64::from(rng.next_u32()) % below as i64)
                    .collect();
                Tensor::from_data(TensorData::new(ids, [1, count]), device)
            }
        }
    }
}

impl Inputs {
    /// Inputs of an operator; `None` for a collective, which has none on one
    /// machine.
    pub fn new(
        operator: &Operator,
        source: &mut Source<'_>,
        device: &Device,
    ) -> Option<Self> {
        Some(match *operator {
            Operator::Matmul { batch: 1, m, n, k } => Self::Layer(
                source.floats([m, k], device),
                source.floats([n, k], device),
            ),
            Operator::Matmul { batch, m, n, k } => Self::Matmul(
                source.floats([batch, m, k], device),
                source.floats([batch, k, n], device),
            ),
            Operator::Attention {
                batch,
                heads,
                kv_heads,
                head_dim,
                query,
                context,
                ..
            } => {
                let seen = [batch, context, kv_heads, head_dim];
                Self::Attention(
                    source.floats([batch, query, heads, head_dim], device),
                    source.floats(seen, device),
                    source.floats(seen, device),
                )
            }
            Operator::Softmax { rows, cols } => {
                Self::Rows(source.floats([rows, cols], device), None, None)
            }
            Operator::LayerNorm { rows, cols } => Self::Rows(
                source.floats([rows, cols], device),
                Some(source.positive([cols], device)),
                Some(source.floats([cols], device)),
            ),
            Operator::RmsNorm { rows, cols } => Self::Rows(
                source.floats([rows, cols], device),
                Some(source.positive([cols], device)),
                None,
            ),
            Operator::Elementwise { kind, elements, operands } => {
                let first = match kind {
                    ElementwiseKind::Pow => source.positive([elements], device),
                    _ => source.floats([elements], device),
                };
                let second = (operands == 2)
                    .then(|| source.positive([elements], device));
                Self::Elements(first, second)
            }
            Operator::Conv2d {
                batch,
                in_channels,
                out_channels,
                height,
                width,
                kernel,
                groups,
                ..
            } => Self::Picture(
                source.floats([batch, in_channels, height, width], device),
                source.floats(
                    [out_channels, in_channels / groups, kernel, kernel],
                    device,
                ),
            ),
            Operator::Embedding { vocab, width, tokens } => Self::Table(
                source.floats([vocab, width], device),
                source.ids(tokens, vocab, device),
            ),
            Operator::Collective { .. } => return None,
        })
    }

    /// Runs the operator: its result, flat.
    pub fn run(self, operator: &Operator) -> Tensor<1> {
        match (self, operator) {
            (Self::Layer(x, weight), _) => flat(linear(x, weight, None)),
            (Self::Matmul(a, b), _) => flat(matmul(a, b)),
            (
                Self::Attention(q, k, v),
                Operator::Attention { head_dim, context, causal, .. },
            ) => {
                let scale = (*head_dim as f32).powf(-0.5);
                flat(attention(q, k, v, *context, scale, *causal))
            }
            (Self::Rows(x, None, _), _) => flat(softmax(x, 1.0)),
            (Self::Rows(x, Some(gain), Some(offset)), _) => {
                flat(layer_norm(x, gain, Some(offset), LAYER_NORM_EPSILON))
            }
            (Self::Rows(x, Some(gain), None), _) => {
                flat(rms_norm(x, gain, RMS_NORM_EPSILON))
            }
            (Self::Elements(x, second), Operator::Elementwise { kind, .. }) => {
                elementwise(*kind, x, second)
            }
            (
                Self::Picture(x, weight),
                Operator::Conv2d { stride, padding, groups, .. },
            ) => {
                let options = ConvOptions::new(
                    [*stride; 2],
                    [*padding; 2],
                    [1, 1],
                    *groups,
                );
                flat(conv2d(x, weight, None, options))
            }
            (Self::Table(table, ids), _) => flat(embedding(table, ids)),
            (Self::Attention(q, ..), _) => flat(q),
            (Self::Elements(x, _), _) => x,
            (Self::Picture(x, _), _) => flat(x),
        }
    }
}

fn flat<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let count = x.shape().num_elements();
    x.reshape([count])
}

fn elementwise(
    kind: ElementwiseKind,
    x: Tensor<1>,
    second: Option<Tensor<1>>,
) -> Tensor<1> {
    match (kind, second) {
        (ElementwiseKind::Add, Some(y)) => x + y,
        (ElementwiseKind::Add, None) => x + SCALAR,
        (ElementwiseKind::Mul, Some(y)) => x * y,
        (ElementwiseKind::Mul, None) => x * SCALAR,
        (ElementwiseKind::Div, Some(y)) => x / y,
        (ElementwiseKind::Div, None) => x / SCALAR,
        (ElementwiseKind::Pow, Some(y)) => pow(x, y),
        (ElementwiseKind::Pow, None) => pow_scalar(x, SCALAR),
        (ElementwiseKind::Relu, y) => activated(x, y, Activation::Relu),
        (ElementwiseKind::Gelu, y) => activated(x, y, Activation::Gelu),
        (ElementwiseKind::Tanh, y) => activated(x, y, Activation::Tanh),
        (ElementwiseKind::Silu, y) => activated(x, y, Activation::Silu),
        (ElementwiseKind::Exp, Some(y)) => gated(x, y, Activation::Exp),
        (ElementwiseKind::Exp, None) => exp(x),
        (ElementwiseKind::Copy, _) => copy(x),
    }
}

/// `f(x)`, or `f(x) * y`.
fn activated(
    x: Tensor<1>,
    y: Option<Tensor<1>>,
    activation: Activation,
) -> Tensor<1> {
    match y {
        Some(y) => gated(x, y, activation),
        None => activate(x, activation),
    }
}

/// A real copy: joining one tensor to nothing would be a view of it, so its
/// two halves are joined.
fn copy(x: Tensor<1>) -> Tensor<1> {
    let [count] = x.dims();
    if count < 2 {
        return Tensor::cat(vec![x], 0);
    }
    let half = count / 2;
    let halves =
        vec![x.clone().narrow(0, 0, half), x.narrow(0, half, count - half)];
    Tensor::cat(halves, 0)
}
