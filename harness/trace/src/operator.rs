//! Operator kinds, and the arithmetic that each needs.
//!
//! One rule for every count: a multiply and an add are two; `exp`, `tanh`,
//! a division, a square root and a comparison are one each. What a kind costs
//! in arithmetic follows from its shape alone, so the count is exact and the
//! same on every machine; how long it takes is `predict`'s business.

use serde::{Deserialize, Serialize};

/// What an element-wise operator computes.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "each name is the operation")]
pub enum Elementwise {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    Relu,
    Gelu,
    Tanh,
    Sigmoid,
    Silu,
    Exp,
    Log,
    Sqrt,
    Trigonometric,
    Compare,
    Select,
    Cast,
    Copy,
    /// `activation(a) * b`, fused.
    Gated,
    /// Rotary position embedding.
    Rotary,
    /// Anything else with one operation an element.
    Other,
}

impl Elementwise {
    /// Operations for one output element.
    ///
    /// `gelu` is `x * (1 + erf(x / sqrt 2)) / 2`: scale, erf, add, two
    /// multiplications. `silu` is `x / (1 + exp(-x))`. A gated unit adds its
    /// product. Rotary is two products and a sum. Copies and casts compute
    /// nothing.
    pub fn flops_per_element(self) -> f64 {
        match self {
            Self::Copy | Self::Cast => 0.0,
            Self::Gelu | Self::Gated => 5.0,
            Self::Silu | Self::Sigmoid => 4.0,
            Self::Rotary => 3.0,
            Self::Add
            | Self::Sub
            | Self::Mul
            | Self::Div
            | Self::Pow
            | Self::Relu
            | Self::Tanh
            | Self::Exp
            | Self::Log
            | Self::Sqrt
            | Self::Trigonometric
            | Self::Compare
            | Self::Select
            | Self::Other => 1.0,
        }
    }

    /// Whether it needs a transcendental function for each element.
    pub fn is_transcendental(self) -> bool {
        matches!(
            self,
            Self::Pow
                | Self::Gelu
                | Self::Tanh
                | Self::Sigmoid
                | Self::Silu
                | Self::Exp
                | Self::Log
                | Self::Trigonometric
                | Self::Gated
        )
    }
}

/// An operator with its shape.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
#[allow(missing_docs, reason = "dimensions carry the field's own letters")]
pub enum OperatorKind {
    /// `batch` products `[m, k] x [k, n]`.
    Matmul { batch: u64, m: u64, n: u64, k: u64 },
    /// Fused `softmax(Q K^T * scale + mask) V`: each of `query` rows attends
    /// to the keys up to itself (`causal`) or to all `keys`. `backward`: its
    /// gradient, with the probabilities computed again.
    Attention {
        batch: u64,
        heads: u64,
        kv_heads: u64,
        head_dim: u64,
        query: u64,
        keys: u64,
        causal: bool,
        backward: bool,
    },
    /// Softmax of each row; `backward`: its gradient.
    Softmax { rows: u64, cols: u64, backward: bool },
    /// LayerNorm of each row.
    #[serde(rename = "layernorm")]
    LayerNorm { rows: u64, cols: u64, backward: bool },
    /// Root-mean-square norm of each row.
    #[serde(rename = "rmsnorm")]
    RmsNorm { rows: u64, cols: u64, backward: bool },
    /// Mean cross entropy of rows of logits.
    CrossEntropy { rows: u64, cols: u64, backward: bool },
    /// One result an element.
    Elementwise { op: Elementwise, elements: u64, operands: u64 },
    /// A sum, mean or maximum: `elements` in, `results` out.
    Reduce { elements: u64, results: u64 },
    /// Rows of a table picked by index; `backward`: rows added into a table.
    Embedding { vocab: u64, width: u64, tokens: u64, backward: bool },
    /// A convolution, `outputs` positions in all; `taps` is the number of
    /// inputs that one output sums.
    Conv {
        batch: u64,
        in_channels: u64,
        out_channels: u64,
        positions: u64,
        taps: u64,
    },
    /// A pool: `elements` read, `results` written.
    Pool { elements: u64, results: u64 },
    /// Data moved without arithmetic: concatenation, slice assignment, a
    /// reshape that must copy.
    Copy { elements: u64 },
    /// A value made from nothing: zeros, random numbers.
    Create { elements: u64 },
    /// One update of an optimizer with `state` values a parameter.
    Optimizer { elements: u64, flops_per_element: u64 },
    /// Communication between ranks: `bytes` of one rank's input.
    Collective {
        operation: Collective,
        bytes: u64,
        ranks: u64,
        ranks_per_node: u64,
    },
}

/// A collective operation.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the field's own terms")]
pub enum Collective {
    AllReduce,
    AllGather,
    ReduceScatter,
    AllToAll,
    SendRecv,
}

/// Query-key pairs that a causal attention looks at: the last `query` of
/// `keys` positions, each up to itself.
pub fn causal_pairs(query: u64, keys: u64) -> u64 {
    // Row i of `query` sees keys - query + i + 1 keys.
    query * (keys - query) + query * (query + 1) / 2
}

impl OperatorKind {
    /// The kind's name in tables and profiles.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Matmul { .. } => "matmul",
            Self::Attention { .. } => "attention",
            Self::Softmax { .. } => "softmax",
            Self::LayerNorm { .. } => "layernorm",
            Self::RmsNorm { .. } => "rmsnorm",
            Self::CrossEntropy { .. } => "cross_entropy",
            Self::Elementwise { .. } => "elementwise",
            Self::Reduce { .. } => "reduce",
            Self::Embedding { .. } => "embedding",
            Self::Conv { .. } => "conv",
            Self::Pool { .. } => "pool",
            Self::Copy { .. } => "copy",
            Self::Create { .. } => "create",
            Self::Optimizer { .. } => "optimizer",
            Self::Collective { .. } => "collective",
        }
    }

    /// The class of kernels that its time is booked under, by the names under
    /// which measured kernels book theirs. A recurrence is traced as the
    /// products that it is made of.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Matmul { .. } => "matmul",
            Self::Attention { .. } => "attention",
            Self::Softmax { .. } | Self::CrossEntropy { .. } => "softmax",
            Self::LayerNorm { .. } | Self::RmsNorm { .. } => "norm",
            Self::Elementwise { op: Elementwise::Copy, .. } => "copy",
            Self::Elementwise { .. }
            | Self::Reduce { .. }
            | Self::Pool { .. } => "elementwise",
            Self::Conv { .. } => "convolution",
            Self::Embedding { .. }
            | Self::Copy { .. }
            | Self::Create { .. } => "copy",
            Self::Optimizer { .. } => "optimizer",
            Self::Collective { .. } => "communication",
        }
    }

    /// Arithmetic, counted as the file's header says.
    ///
    /// Softmax: maximum, subtraction, exponential, sum, division: 5 an
    /// element; its gradient `y (g - sum(g y))`: 4. LayerNorm: mean, centring,
    /// square, sum, scale, gain, offset: 7; gradient 12. RMSNorm: square, sum,
    /// scale, gain: 4; gradient 8. Cross entropy: softmax's 5; gradient 6.
    /// Attention: two products and a softmax over the pairs looked at; its
    /// gradient five products, the softmax again and its gradient.
    pub fn flops(&self) -> f64 {
        let f = |x: u64| x as f64;
        match *self {
            Self::Matmul { batch, m, n, k } => {
                2.0 * f(batch) * f(m) * f(n) * f(k)
            }
            Self::Attention {
                batch,
                heads,
                head_dim,
                query,
                keys,
                causal,
                backward,
                ..
            } => {
                let pairs = if causal {
                    causal_pairs(query, keys)
                } else {
                    query * keys
                };
                let (products, softmax) =
                    if backward { (5.0, 9.0) } else { (2.0, 5.0) };
                f(batch)
                    * f(heads)
                    * f(pairs)
                    * (products * 2.0 * f(head_dim) + softmax)
            }
            Self::Softmax { rows, cols, backward } => {
                f(rows) * f(cols) * if backward { 4.0 } else { 5.0 }
            }
            Self::LayerNorm { rows, cols, backward } => {
                f(rows) * f(cols) * if backward { 12.0 } else { 7.0 }
            }
            Self::RmsNorm { rows, cols, backward } => {
                f(rows) * f(cols) * if backward { 8.0 } else { 4.0 }
            }
            Self::CrossEntropy { rows, cols, backward } => {
                f(rows) * f(cols) * if backward { 6.0 } else { 5.0 }
            }
            Self::Elementwise { op, elements, .. } => {
                f(elements) * op.flops_per_element()
            }
            Self::Reduce { elements, .. } | Self::Pool { elements, .. } => {
                f(elements)
            }
            Self::Embedding { width, tokens, backward, .. } => {
                if backward {
                    f(width) * f(tokens)
                } else {
                    0.0
                }
            }
            Self::Conv { batch, out_channels, positions, taps, .. } => {
                2.0 * f(batch) * f(out_channels) * f(positions) * f(taps)
            }
            Self::Copy { .. } | Self::Create { .. } => 0.0,
            Self::Optimizer { elements, flops_per_element } => {
                f(elements) * f(flops_per_element)
            }
            Self::Collective { operation, bytes, .. } => match operation {
                Collective::AllReduce | Collective::ReduceScatter => {
                    f(bytes) / 4.0
                }
                Collective::AllGather
                | Collective::AllToAll
                | Collective::SendRecv => 0.0,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causal_attention_counts_the_triangle() {
        assert_eq!(causal_pairs(4, 4), 1 + 2 + 3 + 4);
        assert_eq!(causal_pairs(1, 128), 128);
        assert_eq!(causal_pairs(2, 5), 4 + 5);
    }

    #[test]
    fn a_kind_is_booked_under_the_class_of_the_kernels_that_do_it() {
        let (rows, cols, backward) = (4, 8, true);
        let elementwise =
            |op| OperatorKind::Elementwise { op, elements: 32, operands: 1 };
        let classes = [
            (OperatorKind::Matmul { batch: 1, m: 2, n: 3, k: 4 }, "matmul"),
            (
                OperatorKind::Attention {
                    batch: 1,
                    heads: 2,
                    kv_heads: 2,
                    head_dim: 4,
                    query: 8,
                    keys: 8,
                    causal: false,
                    backward,
                },
                "attention",
            ),
            (OperatorKind::Softmax { rows, cols, backward }, "softmax"),
            (OperatorKind::CrossEntropy { rows, cols, backward }, "softmax"),
            (OperatorKind::LayerNorm { rows, cols, backward }, "norm"),
            (OperatorKind::RmsNorm { rows, cols, backward }, "norm"),
            (elementwise(Elementwise::Sigmoid), "elementwise"),
            (elementwise(Elementwise::Copy), "copy"),
            (OperatorKind::Reduce { elements: 32, results: 4 }, "elementwise"),
            (OperatorKind::Pool { elements: 32, results: 8 }, "elementwise"),
            (
                OperatorKind::Conv {
                    batch: 1,
                    in_channels: 3,
                    out_channels: 4,
                    positions: 16,
                    taps: 27,
                },
                "convolution",
            ),
            (
                OperatorKind::Embedding {
                    vocab: 9,
                    width: 4,
                    tokens: 2,
                    backward,
                },
                "copy",
            ),
            (OperatorKind::Copy { elements: 32 }, "copy"),
            (OperatorKind::Create { elements: 32 }, "copy"),
            (
                OperatorKind::Optimizer { elements: 32, flops_per_element: 12 },
                "optimizer",
            ),
            (
                OperatorKind::Collective {
                    operation: Collective::AllToAll,
                    bytes: 64,
                    ranks: 2,
                    ranks_per_node: 2,
                },
                "communication",
            ),
        ];
        for (kind, class) in classes {
            assert_eq!(kind.class(), class, "{}", kind.name());
        }
    }

    #[test]
    fn a_product_counts_two_for_each_multiply_and_add() {
        let kind = OperatorKind::Matmul { batch: 3, m: 4, n: 5, k: 6 };
        assert_eq!(kind.flops(), 2.0 * 3.0 * 4.0 * 5.0 * 6.0);
    }
}
