//! One function a class of operators: constants x facts x shape -> time.
//!
//! Pure, without allocation, without a device's name. Constants come as a
//! slice in the order of the class's names, so that a fit can move them.

mod attention;
mod collective;
mod common;
mod llama_cpp;
mod matmul;
mod named;
mod traffic;

use assay_schema::{Precision, Runtime};
use assay_trace::OperatorKind;
use named::constants;

use crate::ceilings::Ceilings;
use crate::kernels::Kernel;
use crate::target::Times;

/// A class of operators with constants of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Products on the matrix unit.
    Matmul,
    /// Products on vector lanes.
    MatmulVector,
    /// Convolutions on the matrix unit, as products of unfolded pictures.
    Conv,
    /// The same on vector lanes.
    ConvVector,
    /// Attention of many queries.
    AttentionPrefill,
    /// Attention of one query.
    AttentionDecode,
    /// Softmax, and the cross entropy that starts with one.
    Softmax,
    /// LayerNorm.
    LayerNorm,
    /// Root-mean-square norm.
    RmsNorm,
    /// One result an element, and everything that only moves data.
    Elementwise,
    /// Rows picked from a table.
    Embedding,
    /// Communication between ranks.
    Collective,
    /// All kernels of a llama.cpp graph of at most 8 tokens.
    LlamaDecode,
    /// All kernels of a larger one.
    LlamaPrefill,
}

impl Class {
    /// All of them, in the order of [`Self::index`].
    pub(crate) const ALL: [Self; 14] = [
        Self::Matmul,
        Self::MatmulVector,
        Self::Conv,
        Self::ConvVector,
        Self::AttentionPrefill,
        Self::AttentionDecode,
        Self::Softmax,
        Self::LayerNorm,
        Self::RmsNorm,
        Self::Elementwise,
        Self::Embedding,
        Self::Collective,
        Self::LlamaDecode,
        Self::LlamaPrefill,
    ];

    /// The name that files use.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Matmul => "matmul",
            Self::MatmulVector => "matmul-vector",
            Self::Conv => "conv",
            Self::ConvVector => "conv-vector",
            Self::AttentionPrefill => "attention-prefill",
            Self::AttentionDecode => "attention-decode",
            Self::Softmax => "softmax",
            Self::LayerNorm => "layernorm",
            Self::RmsNorm => "rmsnorm",
            Self::Elementwise => "elementwise",
            Self::Embedding => "embedding",
            Self::Collective => "collective",
            Self::LlamaDecode => "llama-cpp-decode",
            Self::LlamaPrefill => "llama-cpp-prefill",
        }
    }

    /// Place in [`Self::ALL`].
    pub(crate) fn index(self) -> usize {
        self as usize
    }

    /// Names of its constants, in the order of the values.
    pub(crate) fn constants(self) -> &'static [&'static str] {
        match self {
            Self::Matmul
            | Self::MatmulVector
            | Self::Conv
            | Self::ConvVector => matmul::MatmulConstants::NAMES,
            Self::AttentionPrefill => attention::PrefillConstants::NAMES,
            Self::AttentionDecode => attention::DecodeConstants::NAMES,
            Self::Softmax => traffic::SoftmaxConstants::NAMES,
            Self::LayerNorm | Self::RmsNorm => traffic::NormConstants::NAMES,
            Self::Elementwise => traffic::ElementwiseConstants::NAMES,
            Self::Embedding => traffic::EmbeddingConstants::NAMES,
            Self::Collective => collective::CollectiveConstants::NAMES,
            Self::LlamaDecode | Self::LlamaPrefill => {
                llama_cpp::LlamaCppConstants::NAMES
            }
        }
    }

    /// The class that prices a kernel of a graph. `thin`: no product of the
    /// graph has more than 8 rows.
    pub(crate) fn of(
        kind: &OperatorKind,
        runtime: Runtime,
        thin: bool,
        on_matrix_unit: bool,
    ) -> Self {
        match *kind {
            OperatorKind::Collective { .. } => Self::Collective,
            _ if runtime == Runtime::LlamaCpp && thin => Self::LlamaDecode,
            _ if runtime == Runtime::LlamaCpp => Self::LlamaPrefill,
            OperatorKind::Matmul { .. } if on_matrix_unit => Self::Matmul,
            OperatorKind::Matmul { .. } => Self::MatmulVector,
            OperatorKind::Conv { .. } if on_matrix_unit => Self::Conv,
            OperatorKind::Conv { .. } => Self::ConvVector,
            OperatorKind::Attention { query: 1, .. } => Self::AttentionDecode,
            OperatorKind::Attention { .. } => Self::AttentionPrefill,
            OperatorKind::Softmax { .. }
            | OperatorKind::CrossEntropy { .. } => Self::Softmax,
            OperatorKind::LayerNorm { .. } => Self::LayerNorm,
            OperatorKind::RmsNorm { .. } => Self::RmsNorm,
            OperatorKind::Embedding { .. } => Self::Embedding,
            _ => Self::Elementwise,
        }
    }

    /// The time of a kernel; `None` for communication on a unit without a
    /// link.
    pub(crate) fn times(
        self,
        values: &[f64],
        c: &Ceilings,
        kernel: &Kernel,
    ) -> Option<Times> {
        let f = |n: u64| n as f64;
        Some(match (self, &kernel.kind) {
            (Self::LlamaDecode | Self::LlamaPrefill, _) => {
                let k = llama_cpp::LlamaCppConstants::read(values);
                llama_cpp::times(&k, c, kernel)
            }
            (
                _,
                &OperatorKind::Collective {
                    operation,
                    bytes,
                    ranks,
                    ranks_per_node,
                },
            ) => {
                let k = collective::CollectiveConstants::read(values);
                let network = collective::seconds(
                    &k,
                    c,
                    operation,
                    f(bytes),
                    f(ranks),
                    f(ranks_per_node),
                )?;
                Times { network, ..Times::default() }
            }
            (_, &OperatorKind::Matmul { batch, m, n, k }) => {
                let constants = matmul::MatmulConstants::read(values);
                let product = matmul::Product {
                    batch: f(batch),
                    m: f(m),
                    n: f(n),
                    k: f(k),
                };
                matmul::times(&constants, c, product, kernel)
            }
            (
                _,
                &OperatorKind::Conv {
                    batch,
                    out_channels,
                    positions,
                    taps,
                    ..
                },
            ) => {
                let constants = matmul::MatmulConstants::read(values);
                let product = matmul::Product {
                    batch: 1.0,
                    m: f(batch) * f(positions),
                    n: f(out_channels),
                    k: f(taps),
                };
                matmul::times(&constants, c, product, kernel)
            }
            (
                _,
                &OperatorKind::Attention {
                    batch,
                    heads,
                    kv_heads,
                    head_dim,
                    query,
                    keys,
                    causal,
                    ..
                },
            ) => {
                let shape = attention::Shape {
                    batch,
                    heads,
                    kv_heads,
                    head_dim,
                    query,
                    keys,
                    causal,
                };
                if query == 1 {
                    let k = attention::DecodeConstants::read(values);
                    attention::decode(&k, c, shape, kernel)
                } else {
                    let k = attention::PrefillConstants::read(values);
                    attention::prefill(&k, c, shape, kernel)
                }
            }
            (
                _,
                &(OperatorKind::Softmax { rows, cols, .. }
                | OperatorKind::CrossEntropy { rows, cols, .. }),
            ) => {
                let k = traffic::SoftmaxConstants::read(values);
                traffic::softmax(&k, c, f(rows), f(cols), kernel)
            }
            (
                _,
                &(OperatorKind::LayerNorm { rows, cols, .. }
                | OperatorKind::RmsNorm { rows, cols, .. }),
            ) => {
                let k = traffic::NormConstants::read(values);
                traffic::norm(&k, c, f(rows), f(cols), kernel)
            }
            (_, &OperatorKind::Embedding { width, tokens, .. }) => {
                let k = traffic::EmbeddingConstants::read(values);
                traffic::embedding(&k, c, f(width) * f(tokens), kernel)
            }
            _ => {
                let k = traffic::ElementwiseConstants::read(values);
                traffic::elementwise(&k, c, kernel)
            }
        })
    }

    /// Host time of dispatching one of its kernels, s.
    pub(crate) fn dispatch(self, values: &[f64]) -> f64 {
        self.named("host_us", values) * 1e-6
    }

    /// What timing one of its kernels alone shows beside it, s: the host's
    /// dispatch after an idle queue, between two events. The published f32
    /// rows hold it (inferred: their times start there), but for products of
    /// no batch, some of which were timed in loops and none of which can be
    /// told from the others; nothing is known of convolutions. 16-bit rows do
    /// not hold it.
    pub(crate) fn alone(
        self,
        values: &[f64],
        c: &Ceilings,
        kind: &OperatorKind,
    ) -> f64 {
        let without = matches!(
            kind,
            OperatorKind::Matmul { batch: 1, .. } | OperatorKind::Conv { .. }
        );
        if c.precision == Precision::F32 && !without {
            self.named("alone_us", values) * 1e-6
        } else {
            0.0
        }
    }

    /// Time of a call of the whole graph beside its kernels, s.
    pub(crate) fn call(self, values: &[f64]) -> f64 {
        self.named("call_ms", values) * 1e-3
    }

    /// The value of a constant that not every class has; 0 where it is none.
    fn named(self, name: &str, values: &[f64]) -> f64 {
        let at = self.constants().iter().position(|known| *known == name);
        at.map_or(0.0, |at| values[at])
    }
}
