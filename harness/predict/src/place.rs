//! Where an operator stands among others of its class: a group, and the
//! base-2 logarithms of its dimensions. Residuals are interpolated there.

use std::fmt;

use assay_schema::Precision;
use assay_trace::{Elementwise, OperatorKind};

/// The most dimensions that a place has.
pub(crate) const DIMENSIONS: usize = 4;

/// A place: dimensions that a kind lacks are 0.
pub(crate) type Place = [f64; DIMENSIONS];

/// What must be alike for two operators to be near: the number format, and
/// what is computed where a class computes several things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    precision: Precision,
    what: &'static str,
}

/// What a group can compute; `""` where the class says it.
const WHAT: [&str; 17] = [
    "",
    "copy",
    "add",
    "div",
    "pow",
    "relu",
    "gelu",
    "tanh",
    "silu",
    "exp",
    "scalar",
    "two",
    "all_reduce",
    "all_gather",
    "reduce_scatter",
    "all_to_all",
    "send_recv",
];

impl Group {
    /// Reads what [`fmt::Display`] writes.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (precision, what) = text.split_once(' ').unwrap_or((text, ""));
        Some(Self {
            precision: precision.parse().ok()?,
            what: WHAT.into_iter().find(|known| *known == what)?,
        })
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            "" => write!(f, "{}", self.precision),
            what => write!(f, "{} {what}", self.precision),
        }
    }
}

/// The group and the place of an operator at a precision; `None` for kinds
/// that no calibration measures.
pub(crate) fn place(
    kind: &OperatorKind,
    precision: Precision,
) -> Option<(Group, Place)> {
    let log = |n: u64| (n.max(1) as f64).log2();
    let (what, at) = match *kind {
        OperatorKind::Matmul { batch, m, n, k } => {
            ("", [log(batch), log(m), log(n), log(k)])
        }
        OperatorKind::Conv { batch, out_channels, positions, taps, .. } => {
            ("", [log(batch), log(positions), log(out_channels), log(taps)])
        }
        OperatorKind::Attention { batch, heads, kv_heads, keys, .. } => {
            ("", [log(batch), log(heads), log(kv_heads), log(keys)])
        }
        OperatorKind::Softmax { rows, cols, .. }
        | OperatorKind::LayerNorm { rows, cols, .. }
        | OperatorKind::RmsNorm { rows, cols, .. } => {
            ("", [log(rows), log(cols), 0.0, 0.0])
        }
        OperatorKind::Elementwise { op, elements, operands } => {
            (computed(op, operands), [log(elements), 0.0, 0.0, 0.0])
        }
        OperatorKind::Copy { elements } => {
            ("copy", [log(elements), 0.0, 0.0, 0.0])
        }
        OperatorKind::Embedding { vocab, width, tokens, .. } => {
            ("", [log(vocab), log(width), log(tokens), 0.0])
        }
        OperatorKind::Collective {
            operation,
            bytes,
            ranks,
            ranks_per_node,
        } => {
            use assay_trace::Collective as C;
            let what = match operation {
                C::AllReduce => "all_reduce",
                C::AllGather => "all_gather",
                C::ReduceScatter => "reduce_scatter",
                C::AllToAll => "all_to_all",
                C::SendRecv => "send_recv",
            };
            (what, [log(bytes), log(ranks), log(ranks_per_node), 0.0])
        }
        _ => return None,
    };
    Some((Group { precision, what }, at))
}

/// Element-wise operations that cost alike go by one name.
fn computed(op: Elementwise, operands: u64) -> &'static str {
    match op {
        Elementwise::Copy | Elementwise::Cast => "copy",
        Elementwise::Div | Elementwise::Sqrt => "div",
        Elementwise::Pow => "pow",
        Elementwise::Relu => "relu",
        Elementwise::Gelu => "gelu",
        Elementwise::Tanh => "tanh",
        Elementwise::Silu | Elementwise::Sigmoid | Elementwise::Gated => "silu",
        Elementwise::Exp | Elementwise::Log | Elementwise::Trigonometric => {
            "exp"
        }
        _ if operands > 1 => "two",
        _ => "scalar",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_reads_as_it_writes() {
        for what in WHAT {
            for precision in Precision::ALL {
                let group = Group { precision, what };
                assert_eq!(Group::parse(&group.to_string()), Some(group));
            }
        }
        assert_eq!(Group::parse("f16 sideways"), None);
    }
}
