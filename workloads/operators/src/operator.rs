//! One operator with its axes read: `CONTRACT.md` lists them.

use assay_schema::{Case, Precision};
use assay_trace::Collective;

/// An element-wise kind, by the names of the axis `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each name is the operation")]
pub enum ElementwiseKind {
    Add,
    Mul,
    Div,
    Pow,
    Relu,
    Gelu,
    Tanh,
    Silu,
    Exp,
    Copy,
}

impl ElementwiseKind {
    /// All of them, with their names.
    pub const ALL: [(&'static str, Self); 10] = [
        ("add", Self::Add),
        ("mul", Self::Mul),
        ("div", Self::Div),
        ("pow", Self::Pow),
        ("relu", Self::Relu),
        ("gelu", Self::Gelu),
        ("tanh", Self::Tanh),
        ("silu", Self::Silu),
        ("exp", Self::Exp),
        ("copy", Self::Copy),
    ];

    /// Whether it joins two numbers. Of the others an activation with two
    /// operands is its gated form, `f(x) * y`.
    pub fn is_binary(self) -> bool {
        matches!(self, Self::Add | Self::Mul | Self::Div | Self::Pow)
    }
}

/// An operator and its shape. Letters and names are those of the axes.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "fields are the contract's axes")]
pub enum Operator {
    Matmul {
        batch: usize,
        m: usize,
        n: usize,
        k: usize,
    },
    Attention {
        batch: usize,
        heads: usize,
        kv_heads: usize,
        head_dim: usize,
        query: usize,
        context: usize,
        causal: bool,
    },
    Softmax {
        rows: usize,
        cols: usize,
    },
    LayerNorm {
        rows: usize,
        cols: usize,
    },
    RmsNorm {
        rows: usize,
        cols: usize,
    },
    Elementwise {
        kind: ElementwiseKind,
        elements: usize,
        operands: usize,
    },
    Conv2d {
        batch: usize,
        in_channels: usize,
        out_channels: usize,
        height: usize,
        width: usize,
        kernel: usize,
        stride: usize,
        padding: usize,
        groups: usize,
    },
    Embedding {
        vocab: usize,
        width: usize,
        tokens: usize,
    },
    Collective {
        operation: Collective,
        bytes: usize,
        ranks: usize,
        ranks_per_node: usize,
    },
}

/// A case that is no operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperatorError {
    /// No operator of that name.
    #[error("unknown operator `{found}`; nearest valid: `{nearest}`")]
    Unknown {
        /// What was asked for.
        found: String,
        /// The nearest name.
        nearest: String,
    },
    /// An axis that is missing or cannot be.
    #[error("{case}: axis `{axis}` is `{found}`, expected {expected}")]
    Axis {
        /// The case.
        case: String,
        /// The axis.
        axis: String,
        /// What was found.
        found: String,
        /// What was expected.
        expected: String,
    },
}

/// Names of the operators, in the order in which they are listed.
pub const NAMES: [&str; 13] = [
    "matmul",
    "attention",
    "softmax",
    "layernorm",
    "rmsnorm",
    "elementwise",
    "conv2d",
    "embedding",
    "all_reduce",
    "all_gather",
    "reduce_scatter",
    "all_to_all",
    "send_recv",
];

/// The largest product of a case's axes: 2^60, so that bytes still count in
/// 64 bits.
const LARGEST: f64 = (1_u64 << 60) as f64;

struct Axes<'a>(&'a Case);

impl Axes<'_> {
    fn error(&self, axis: &str, expected: &str) -> OperatorError {
        OperatorError::Axis {
            case: self.0.to_string(),
            axis: axis.to_owned(),
            found: self.0.axis(axis).unwrap_or("nothing").to_owned(),
            expected: expected.to_owned(),
        }
    }

    fn from(&self, axis: &str, least: usize) -> Result<usize, OperatorError> {
        self.0
            .axis(axis)
            .and_then(|text| text.parse().ok())
            .filter(|&n| n >= least)
            .ok_or_else(|| {
                let expected = format!("a whole number of at least {least}");
                self.error(axis, &expected)
            })
    }

    /// Whether sizes, counts of elements and FLOPs stay whole numbers: the
    /// product of all axes bounds each of them.
    fn countable(&self) -> Result<(), OperatorError> {
        let numbers = self.0.axes.iter().filter_map(|(axis, text)| {
            Some((axis, text.parse::<f64>().ok().filter(|&n| n > 1.0)?))
        });
        let product: f64 = numbers.clone().map(|(_, n)| n).product();
        if product <= LARGEST {
            return Ok(());
        }
        let largest = numbers.max_by(|a, b| a.1.total_cmp(&b.1));
        let axis = largest.map_or("", |(axis, _)| axis);
        Err(self.error(axis, "a smaller one: the axes' product is over 2^60"))
    }

    fn size(&self, axis: &str) -> Result<usize, OperatorError> {
        self.from(axis, 1)
    }
}

impl Operator {
    /// Reads a case whose axes are complete.
    ///
    /// # Errors
    ///
    /// An unknown operator; an axis that is missing, no number, or does not go
    /// with the others.
    pub fn new(case: &Case) -> Result<Self, OperatorError> {
        let axes = Axes(case);
        axes.countable()?;
        Ok(match case.model.as_str() {
            "matmul" => Self::Matmul {
                batch: axes.size("batch")?,
                m: axes.size("m")?,
                n: axes.size("n")?,
                k: axes.size("k")?,
            },
            "attention" => attention(&axes)?,
            "softmax" => Self::Softmax {
                rows: axes.size("rows")?,
                cols: axes.size("cols")?,
            },
            "layernorm" => Self::LayerNorm {
                rows: axes.size("rows")?,
                cols: axes.size("cols")?,
            },
            "rmsnorm" => Self::RmsNorm {
                rows: axes.size("rows")?,
                cols: axes.size("cols")?,
            },
            "elementwise" => elementwise(&axes)?,
            "conv2d" => conv2d(&axes)?,
            "embedding" => Self::Embedding {
                vocab: axes.size("vocab")?,
                width: axes.size("width")?,
                tokens: axes.size("tokens")?,
            },
            other => Self::Collective {
                operation: collective(other)?,
                bytes: axes.size("bytes")?,
                ranks: axes.size("ranks")?,
                ranks_per_node: axes.size("ranks_per_node")?,
            },
        })
    }
}

/// The number format of a case; `f32` when it names none.
///
/// # Errors
///
/// A word that names no format.
pub fn precision(case: &Case) -> Result<Precision, OperatorError> {
    let Some(text) = case.axis("precision") else { return Ok(Precision::F32) };
    text.parse().map_err(|_| Axes(case).error("precision", "a number format"))
}

fn attention(axes: &Axes<'_>) -> Result<Operator, OperatorError> {
    let context = axes.size("context")?;
    let (heads, kv_heads) = (axes.size("heads")?, axes.size("kv_heads")?);
    if !heads.is_multiple_of(kv_heads) {
        return Err(axes.error("kv_heads", "a divisor of `heads`"));
    }
    let query = match axes.0.axis("phase") {
        Some("decode") => 1,
        Some("prefill") => axes.size("query")?,
        _ => return Err(axes.error("phase", "prefill or decode")),
    };
    if query > context {
        return Err(axes.error("query", "at most `context`"));
    }
    let causal = match axes.0.axis("causal") {
        Some("true") => true,
        Some("false") => false,
        _ => return Err(axes.error("causal", "true or false")),
    };
    Ok(Operator::Attention {
        batch: axes.size("batch")?,
        heads,
        kv_heads,
        head_dim: axes.size("head_dim")?,
        query,
        context,
        causal,
    })
}

fn elementwise(axes: &Axes<'_>) -> Result<Operator, OperatorError> {
    let word = axes.0.axis("kind").unwrap_or_default();
    let kind = ElementwiseKind::ALL
        .iter()
        .find(|(name, _)| *name == word)
        .map(|(_, kind)| *kind)
        .ok_or_else(|| {
            let names = ElementwiseKind::ALL.map(|(name, _)| name).join(", ");
            axes.error("kind", &format!("one of {names}"))
        })?;
    let operands = axes.size("operands")?;
    if operands > 2 || operands == 2 && kind == ElementwiseKind::Copy {
        return Err(axes.error("operands", "1, or 2 for all kinds but copy"));
    }
    Ok(Operator::Elementwise {
        kind,
        elements: axes.size("elements")?,
        operands,
    })
}

fn conv2d(axes: &Axes<'_>) -> Result<Operator, OperatorError> {
    let (kernel, padding) = (axes.size("kernel")?, axes.from("padding", 0)?);
    let (height, width) = (axes.size("height")?, axes.size("width")?);
    let groups = axes.size("groups")?;
    let in_channels = axes.size("in_channels")?;
    let out_channels = axes.size("out_channels")?;
    if !in_channels.is_multiple_of(groups)
        || !out_channels.is_multiple_of(groups)
    {
        return Err(axes.error("groups", "a divisor of both channel counts"));
    }
    if height.min(width) + 2 * padding < kernel {
        return Err(axes.error("kernel", "at most the padded picture"));
    }
    Ok(Operator::Conv2d {
        batch: axes.size("batch")?,
        in_channels,
        out_channels,
        height,
        width,
        kernel,
        stride: axes.size("stride")?,
        padding,
        groups,
    })
}

fn collective(name: &str) -> Result<Collective, OperatorError> {
    Ok(match name {
        "all_reduce" => Collective::AllReduce,
        "all_gather" => Collective::AllGather,
        "reduce_scatter" => Collective::ReduceScatter,
        "all_to_all" => Collective::AllToAll,
        "send_recv" => Collective::SendRecv,
        other => {
            return Err(OperatorError::Unknown {
                found: other.to_owned(),
                nearest: assay_schema::nearest(other, NAMES)
                    .unwrap_or("matmul")
                    .to_owned(),
            });
        }
    })
}
