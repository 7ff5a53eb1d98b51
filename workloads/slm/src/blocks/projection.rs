//! A linear layer, `y = W x + b`, in the three forms that its weight is kept
//! in; and the embedding table, in two of them.
//!
//! - dense: `W` in `f32`, as it is trained and as files are loaded;
//! - packed: `W` in a narrower [`WeightFormat`], multiplied by kernels that
//!   unpack it in registers; `b` stays `f32`. For inference;
//! - adapted: LoRA (Hu et al., *LoRA: Low-Rank Adaptation of Large Language
//!   Models*, arXiv 2106.09685, section 4.1): `W` and `b` are frozen, and
//!   `y = W x + b + (alpha / r) B A x` with `A` `[r, in]` and `B` `[out, r]`.
//!   `B` starts at zero, so that the first answers are those of the base. `A`
//!   starts uniform within `1 / sqrt(in)`, as the authors' code has it (the
//!   text says Gaussian).
//!
//! Enums, not structs of options: a layer is of one form by its type, and the
//! variant of an enum is no part of a parameter's dotted path
//! (`assay_kit::load`). A dense weight is `blocks.0.attention.q.weight` as it
//! would be without this file, so files load, and optimizers resume, by the
//! names that they know.

use assay_kernels::{
    PackedWeight, WeightFormat, embedding, linear, quantised_embedding,
    quantised_linear,
};
use assay_kit::{Linear, Parameters};
use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor};

/// What is done to each linear layer of a model.
pub(crate) type Change<'a> = dyn FnMut(Projection) -> Projection + 'a;

/// A layer from `[.., in]` to `[.., out]`.
#[derive(Module, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a model has few layers, and their weights are elsewhere"
)]
pub enum Projection {
    /// The weight in `f32`.
    Dense(Linear),
    /// The weight packed.
    Packed(PackedLinear),
    /// The weight frozen, beside its adapters.
    Adapted(AdaptedLinear),
}

impl Projection {
    /// A dense layer from `inputs` to `outputs`, as [`Linear::new`] makes it.
    pub(crate) fn new(
        parameters: &mut Parameters,
        inputs: usize,
        outputs: usize,
        bias: bool,
    ) -> Self {
        Self::Dense(Linear::new(parameters, inputs, outputs, bias))
    }

    /// `[.., in]` to `[.., out]`.
    pub(crate) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Dense(layer) => layer.forward(x),
            Self::Packed(layer) => layer.forward(x),
            Self::Adapted(layer) => layer.forward(x),
        }
    }

    /// The layer with one weight in `f32`: packed values unpacked, adapters
    /// added in.
    fn dense(self) -> Linear {
        match self {
            Self::Dense(layer) => layer,
            Self::Packed(layer) => layer.unpacked(),
            Self::Adapted(layer) => layer.merged(),
        }
    }

    /// The layer packed. Its dense weight is freed before this returns.
    pub(crate) fn packed(self, format: WeightFormat) -> Self {
        let Linear { weight, bias } = self.dense();
        let weight = PackedWeight::pack(weight.into_value(), format);
        Self::Packed(PackedLinear { weight, bias })
    }

    /// The layer frozen, with adapters of a rank of at least 1, made by
    /// `parameters`; what `B A x` is multiplied by is `scale`. Adapters that it
    /// had are added to its weight first. A packed layer stays as it is: its
    /// kernels have no gradient.
    pub(crate) fn adapted(
        self,
        parameters: &mut Parameters,
        rank: usize,
        scale: f32,
    ) -> Self {
        match self {
            Self::Packed(layer) => Self::Packed(layer),
            other => Self::Adapted(AdaptedLinear::new(
                other.dense(),
                parameters,
                rank,
                scale,
            )),
        }
    }

    /// The layer without adapters: they are added to its weight.
    pub(crate) fn merged(self) -> Self {
        match self {
            Self::Adapted(layer) => Self::Dense(layer.merged()),
            other => other,
        }
    }
}

/// A layer whose weight is packed.
#[derive(Module, Debug)]
pub struct PackedLinear {
    /// `[out, in]`.
    weight: PackedWeight,
    /// `[out]`.
    bias: Option<Param<Tensor<1>>>,
}

impl PackedLinear {
    /// `[.., in]` to `[.., out]`.
    fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let bias = self.bias.as_ref().map(Param::val);
        quantised_linear(x, &self.weight, bias)
    }

    fn unpacked(self) -> Linear {
        let weight = Param::from_tensor(self.weight.unpack());
        Linear { weight, bias: self.bias }
    }
}

/// A frozen layer and its low-rank adapters.
#[derive(Module, Debug)]
pub struct AdaptedLinear {
    /// `[out, in]`, frozen.
    weight: Param<Tensor<2>>,
    /// `[out]`, frozen.
    bias: Option<Param<Tensor<1>>>,
    /// `A`, `[r, in]`.
    lora_a: Param<Tensor<2>>,
    /// `B`, `[out, r]`.
    lora_b: Param<Tensor<2>>,
    /// `alpha / r`.
    scale: f32,
}

impl AdaptedLinear {
    fn new(
        base: Linear,
        parameters: &mut Parameters,
        rank: usize,
        scale: f32,
    ) -> Self {
        let Linear { weight, bias } = base;
        let [outer, inner] = weight.val().dims();
        let bound = (inner as f32).powf(-0.5);
        let zeros = Tensor::zeros([outer, rank], parameters.device());
        Self {
            weight: weight.set_require_grad(false),
            bias: bias.map(|bias| bias.set_require_grad(false)),
            lora_a: parameters.within([rank, inner], bound),
            lora_b: Param::from_tensor(zeros),
            scale,
        }
    }

    /// `[.., in]` to `[.., out]`.
    fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let bias = self.bias.as_ref().map(Param::val);
        let plain = linear(x.clone(), self.weight.val(), bias); // [.., out]
        let narrow = linear(x, self.lora_a.val(), None); // [.., r]
        plain + linear(narrow, self.lora_b.val(), None) * self.scale
    }

    /// `W + (alpha / r) B A`, a weight of its own that trains.
    fn merged(self) -> Linear {
        let product = self.lora_b.val().matmul(self.lora_a.val());
        let sum = self.weight.val() + product * self.scale; // [out, in]
        Linear { weight: Param::from_tensor(sum.detach()), bias: self.bias }
    }
}

/// The embedding table `[V, E]`, which is the head as well where the two are
/// tied: packed, it is kept once and read by both.
#[derive(Module, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a model has one, and its values are elsewhere"
)]
pub enum Table {
    /// In `f32`.
    Dense(Param<Tensor<2>>),
    /// Packed.
    Packed(PackedWeight),
}

impl Table {
    /// The rows of tokens `[B, T]`: `[B, T, E]`.
    pub(crate) fn rows(&self, tokens: Tensor<2, Int>) -> Tensor<3> {
        match self {
            Self::Dense(table) => embedding(table.val(), tokens),
            Self::Packed(table) => quantised_embedding(table, tokens),
        }
    }

    /// Products of hidden states `[B, T, E]` with every row: `[B, T, V]`.
    pub(crate) fn products(&self, hidden: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Dense(table) => linear(hidden, table.val(), None),
            Self::Packed(table) => quantised_linear(hidden, table, None),
        }
    }

    /// The table packed. Its dense values are freed before this returns.
    pub(crate) fn packed(self, format: WeightFormat) -> Self {
        let values = match self {
            Self::Dense(table) => table.into_value(),
            Self::Packed(table) => table.unpack(),
        };
        Self::Packed(PackedWeight::pack(values, format))
    }
}
