//! One counting rule for each operation of the engine. An operation without
//! a rule is an error, never free.

use burn::backend::ir::{
    ActivationOperationIr as Activation, BaseOperationIr as Base,
    BoolOperationIr as Bool, FloatOperationIr as Float,
    IntOperationIr as Integer, NumericOperationIr as Numeric, OperationIr,
    TensorIr,
};

use crate::module_rules::module_kind;
use crate::{CostOf, CustomCost, Elementwise, OperatorKind, TraceError};

/// How an operation is counted.
pub(crate) enum Rule {
    /// Shares its first input's storage; whether the result still lies in
    /// row-major order when the input did.
    View { keeps_order: bool },
    /// A reshape: free on row-major data, else a copy.
    Reshape,
    /// Work, with each input read and each output written in full.
    Work(OperatorKind),
    /// Work with traffic of its own.
    Custom(CustomCost),
    /// Nothing happens.
    Nothing,
}

pub(crate) fn elements(tensor: &TensorIr) -> u64 {
    tensor.shape.num_elements() as u64
}

fn elementwise(op: Elementwise, out: &TensorIr, operands: u64) -> Rule {
    Rule::Work(OperatorKind::Elementwise {
        op,
        elements: elements(out),
        operands,
    })
}

fn reduce(input: &TensorIr, out: &TensorIr) -> Rule {
    Rule::Work(OperatorKind::Reduce {
        elements: elements(input),
        results: elements(out),
    })
}

fn copy(out: &TensorIr) -> Rule {
    Rule::Work(OperatorKind::Copy { elements: elements(out) })
}

fn create(out: &TensorIr) -> Rule {
    Rule::Work(OperatorKind::Create { elements: elements(out) })
}

/// Rows picked from a table along `dim`.
fn pick(
    table: &TensorIr,
    dim: usize,
    indices: &TensorIr,
    moved: &TensorIr,
    backward: bool,
) -> CustomCost {
    let tokens = elements(indices).max(1);
    let width = elements(moved) / tokens;
    let vocab = table.shape[dim] as u64;
    let kind = OperatorKind::Embedding { vocab, width, tokens, backward };
    CustomCost {
        kind,
        reads: vec![Some(elements(moved)), None, None],
        writes: vec![None],
        in_place: vec![None],
        scratch_bytes: 0,
    }
}

fn rows_cols(tensor: &TensorIr, dim: usize) -> (u64, u64) {
    let cols = tensor.shape[dim] as u64;
    (elements(tensor) / cols.max(1), cols)
}

/// `[.., m, k] x [.., k, n]`.
pub(crate) fn matmul(lhs: &TensorIr, out: &TensorIr) -> OperatorKind {
    let (d, o) = (lhs.shape.num_dims(), out.shape.num_dims());
    let k = lhs.shape[d - 1] as u64;
    let (m, n) = (out.shape[o - 2] as u64, out.shape[o - 1] as u64);
    OperatorKind::Matmul { batch: elements(out) / (m * n).max(1), m, n, k }
}

pub(crate) fn rule(
    operation: &OperationIr,
    cost: CostOf,
) -> Result<Rule, TraceError> {
    let unknown = || TraceError::Unknown(short_name(operation));
    Ok(match operation {
        OperationIr::BaseFloat(op)
        | OperationIr::BaseInt(op)
        | OperationIr::BaseBool(op) => base(op).ok_or_else(unknown)?,
        OperationIr::NumericFloat(_, op) | OperationIr::NumericInt(_, op) => {
            numeric(op).ok_or_else(unknown)?
        }
        OperationIr::Bool(op) => match op {
            Bool::IntoFloat(x) | Bool::IntoInt(x) => {
                elementwise(Elementwise::Cast, &x.out, 1)
            }
            Bool::Not(x) => elementwise(Elementwise::Compare, &x.out, 1),
            Bool::And(x) | Bool::Or(x) | Bool::Xor(x) => {
                elementwise(Elementwise::Compare, &x.out, 2)
            }
        },
        OperationIr::Int(op) => match op {
            Integer::IntoFloat(x) => elementwise(Elementwise::Cast, &x.out, 1),
            Integer::Matmul(x) => Rule::Work(matmul(&x.lhs, &x.out)),
            Integer::BitwiseAnd(x)
            | Integer::BitwiseOr(x)
            | Integer::BitwiseXor(x)
            | Integer::BitwiseLeftShift(x)
            | Integer::BitwiseRightShift(x) => {
                elementwise(Elementwise::Other, &x.out, 2)
            }
            Integer::BitwiseAndScalar(x)
            | Integer::BitwiseOrScalar(x)
            | Integer::BitwiseXorScalar(x)
            | Integer::BitwiseLeftShiftScalar(x)
            | Integer::BitwiseRightShiftScalar(x) => {
                elementwise(Elementwise::Other, &x.out, 1)
            }
            Integer::BitwiseNot(x) => {
                elementwise(Elementwise::Other, &x.out, 1)
            }
        },
        OperationIr::Float(_, op) => float(op).ok_or_else(unknown)?,
        OperationIr::Module(op) => {
            Rule::Custom(module_kind(op).ok_or_else(unknown)?)
        }
        OperationIr::Activation(op) => activation(op).ok_or_else(unknown)?,
        OperationIr::Init(_) | OperationIr::Drop(_) => Rule::Nothing,
        OperationIr::Custom(op) => Rule::Custom(
            cost(op).ok_or_else(|| TraceError::NoCost(op.id.clone()))?,
        ),
        OperationIr::Distributed(_) => return Err(unknown()),
    })
}

/// The operation's own name, without its tensors: `NumericFloat.Sort` of
/// `NumericFloat(F32, Sort(DimOpIr { .. }))`.
fn short_name(operation: &OperationIr) -> String {
    let text = format!("{operation:?}");
    let mut parts = text.split('(');
    let outer = parts.next().unwrap_or_default();
    let inner = parts.next().unwrap_or_default();
    let inner = inner.rsplit(", ").next().unwrap_or_default();
    let inner = inner.split(' ').next().unwrap_or_default();
    format!("{outer}.{inner}")
}

fn base(op: &Base) -> Option<Rule> {
    Some(match op {
        Base::Reshape(_) => Rule::Reshape,
        Base::SwapDims(x) => Rule::View {
            // Neighbours of which one has a single place lie as before.
            keeps_order: x.dim1 == x.dim2
                || x.dim1.abs_diff(x.dim2) == 1
                    && (x.input.shape[x.dim1] == 1
                        || x.input.shape[x.dim2] == 1),
        },
        Base::Permute(_) | Base::Expand(_) | Base::Flip(_) => {
            Rule::View { keeps_order: false }
        }
        Base::Slice(x) => Rule::View {
            keeps_order: (1..x.tensor.shape.num_dims())
                .all(|dim| x.tensor.shape[dim] == x.out.shape[dim]),
        },
        Base::Unfold(x) => copy(&x.out),
        Base::SliceAssign(x) => Rule::Custom(CustomCost {
            kind: OperatorKind::Copy { elements: elements(&x.value) },
            reads: vec![Some(0), None],
            writes: vec![Some(elements(&x.value))],
            in_place: vec![Some(0)],
            scratch_bytes: 0,
        }),
        Base::Select(x) => {
            Rule::Custom(pick(&x.tensor, x.dim, &x.indices, &x.out, false))
        }
        Base::SelectAssign(x) => {
            Rule::Custom(pick(&x.tensor, x.dim, &x.indices, &x.value, true))
        }
        Base::MaskWhere(x) => elementwise(Elementwise::Select, &x.out, 3),
        Base::MaskFill(x) => elementwise(Elementwise::Select, &x.out, 2),
        Base::Gather(x) => Rule::Custom(CustomCost {
            kind: OperatorKind::Copy { elements: elements(&x.out) },
            reads: vec![Some(elements(&x.out)), None],
            writes: vec![None],
            in_place: vec![None],
            scratch_bytes: 0,
        }),
        Base::GatherNd(x) => copy(&x.out),
        Base::Scatter(x) => elementwise(Elementwise::Add, &x.value, 2),
        Base::ScatterNd(x) => elementwise(Elementwise::Add, &x.values, 2),
        Base::Equal(x) | Base::NotEqual(x) => {
            elementwise(Elementwise::Compare, &x.out, 2)
        }
        Base::EqualElem(x) | Base::NotEqualElem(x) => {
            elementwise(Elementwise::Compare, &x.out, 1)
        }
        Base::RepeatDim(x) => copy(&x.out),
        Base::Cat(x) => copy(&x.out),
        Base::Cast(x) => elementwise(Elementwise::Cast, &x.out, 1),
        Base::Empty(x) | Base::Ones(x) | Base::Zeros(x) => create(&x.out),
        Base::All(x) | Base::Any(x) => reduce(&x.input, &x.out),
        Base::AllDim(x) | Base::AnyDim(x) => reduce(&x.input, &x.out),
    })
}

fn numeric(op: &Numeric) -> Option<Rule> {
    use Elementwise as E;
    Some(match op {
        Numeric::Add(x) => elementwise(E::Add, &x.out, 2),
        Numeric::Sub(x) => elementwise(E::Sub, &x.out, 2),
        Numeric::Mul(x) => elementwise(E::Mul, &x.out, 2),
        Numeric::Div(x) | Numeric::Rem(x) => elementwise(E::Div, &x.out, 2),
        Numeric::AddScalar(x) => elementwise(E::Add, &x.out, 1),
        Numeric::SubScalar(x) => elementwise(E::Sub, &x.out, 1),
        Numeric::MulScalar(x) => elementwise(E::Mul, &x.out, 1),
        Numeric::DivScalar(x) | Numeric::RemScalar(x) => {
            elementwise(E::Div, &x.out, 1)
        }
        Numeric::Powi(x) => elementwise(E::Pow, &x.out, 2),
        Numeric::PowiScalar(x) => elementwise(E::Pow, &x.out, 1),
        Numeric::Abs(x) | Numeric::Neg(x) | Numeric::Sign(x) => {
            elementwise(E::Other, &x.out, 1)
        }
        Numeric::Clamp(x) => elementwise(E::Compare, &x.out, 1),
        Numeric::ClampMin(x) | Numeric::ClampMax(x) => {
            elementwise(E::Compare, &x.out, 1)
        }
        Numeric::Greater(x)
        | Numeric::GreaterEqual(x)
        | Numeric::Lower(x)
        | Numeric::LowerEqual(x) => elementwise(E::Compare, &x.out, 2),
        Numeric::GreaterElem(x)
        | Numeric::GreaterEqualElem(x)
        | Numeric::LowerElem(x)
        | Numeric::LowerEqualElem(x) => elementwise(E::Compare, &x.out, 1),
        Numeric::Full(x) => create(&x.out),
        Numeric::IntRandom(x) => create(&x.out),
        Numeric::Mean(x)
        | Numeric::Sum(x)
        | Numeric::Prod(x)
        | Numeric::Max(x)
        | Numeric::Min(x)
        | Numeric::MaxAbs(x) => reduce(&x.input, &x.out),
        Numeric::MeanDim(x)
        | Numeric::SumDim(x)
        | Numeric::ProdDim(x)
        | Numeric::MaxDim(x)
        | Numeric::MinDim(x)
        | Numeric::MaxAbsDim(x)
        | Numeric::ArgMax(x)
        | Numeric::ArgMin(x) => reduce(&x.input, &x.out),
        Numeric::SumDims(x) => reduce(&x.input, &x.out),
        Numeric::CumSum(x)
        | Numeric::CumProd(x)
        | Numeric::CumMin(x)
        | Numeric::CumMax(x) => elementwise(E::Add, &x.out, 1),
        Numeric::Pad(x) => copy(&x.out),
        Numeric::MaxDimWithIndices(x) | Numeric::MinDimWithIndices(x) => {
            Rule::Work(OperatorKind::Reduce {
                elements: elements(&x.tensor),
                results: elements(&x.out),
            })
        }
        // Sorting has no fixed count of operations.
        Numeric::ArgTopK(_)
        | Numeric::TopK(_)
        | Numeric::TopKWithIndices(_)
        | Numeric::Sort(_)
        | Numeric::SortWithIndices(_)
        | Numeric::ArgSort(_) => return None,
    })
}

fn float(op: &Float) -> Option<Rule> {
    use Elementwise as E;
    Some(match op {
        Float::Exp(x) => elementwise(E::Exp, &x.out, 1),
        Float::Log(x) | Float::Log1p(x) => elementwise(E::Log, &x.out, 1),
        Float::Sqrt(x) => elementwise(E::Sqrt, &x.out, 1),
        Float::Recip(x) => elementwise(E::Div, &x.out, 1),
        Float::Tanh(x) => elementwise(E::Tanh, &x.out, 1),
        Float::Cos(x)
        | Float::Cosh(x)
        | Float::Sin(x)
        | Float::Sinh(x)
        | Float::Tan(x)
        | Float::ArcCos(x)
        | Float::ArcCosh(x)
        | Float::ArcSin(x)
        | Float::ArcSinh(x)
        | Float::ArcTan(x)
        | Float::ArcTanh(x)
        | Float::Erf(x) => elementwise(E::Trigonometric, &x.out, 1),
        Float::ArcTan2(x) | Float::Hypot(x) => {
            elementwise(E::Trigonometric, &x.out, 2)
        }
        Float::Round(x)
        | Float::Floor(x)
        | Float::Ceil(x)
        | Float::Trunc(x)
        | Float::IsNan(x)
        | Float::IsInf(x) => elementwise(E::Other, &x.out, 1),
        Float::PowfScalar(x) => elementwise(E::Pow, &x.out, 1),
        Float::Powf(x) => elementwise(E::Pow, &x.out, 2),
        Float::IntoInt(x) => elementwise(E::Cast, &x.out, 1),
        Float::Matmul(x) => Rule::Work(matmul(&x.lhs, &x.out)),
        Float::Random(x) => create(&x.out),
        Float::Cross(_)
        | Float::Quantize(_)
        | Float::Dequantize(_)
        | Float::GridSample2d(_) => return None,
    })
}

fn activation(op: &Activation) -> Option<Rule> {
    use Elementwise as E;
    Some(match op {
        Activation::Relu(x) => elementwise(E::Relu, &x.out, 1),
        Activation::LeakyRelu(x) => elementwise(E::Relu, &x.out, 1),
        Activation::PRelu(x) => elementwise(E::Relu, &x.out, 2),
        Activation::Gelu(x) => elementwise(E::Gelu, &x.out, 1),
        Activation::Sigmoid(x) | Activation::LogSigmoid(x) => {
            elementwise(E::Sigmoid, &x.out, 1)
        }
        Activation::HardSigmoid(x) => elementwise(E::Relu, &x.out, 1),
        Activation::ReluBackward(x) => elementwise(E::Mul, &x.out, 2),
        Activation::GeluBackward(x) => elementwise(E::Gelu, &x.out, 2),
        Activation::SigmoidBackward(x) | Activation::LogSigmoidBackward(x) => {
            elementwise(E::Sigmoid, &x.out, 2)
        }
        Activation::Softmax(x)
        | Activation::LogSoftmax(x)
        | Activation::Softmin(x) => {
            let (rows, cols) = rows_cols(&x.input, x.axis);
            Rule::Work(OperatorKind::Softmax { rows, cols, backward: false })
        }
    })
}
