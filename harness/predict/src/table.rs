//! Measured operators of a probed machine as a table of utilisation.
//!
//! A probe times each operator kind at a few shapes. What is kept is not the
//! time but the *utilisation*: the roofline's time over the measured one,
//! which varies far less with the shape than the time does (NeuSight and
//! aiconfigurator interpolate the same quantity, `predictors.md` 1.3). The
//! utilisation of a new shape is the weighted geometric mean of its nearest
//! neighbours', in the space of the logarithms of its dimensions, with weights
//! 1 / distance squared.

use std::collections::BTreeMap;

use assay_hardware_profiles::{Efficiency, Unit};
use assay_schema::Precision;
use assay_trace::{Elementwise, OperatorKind};

/// Rows up to which a product of this project's kernels is one of few (`THIN`
/// of the kernels' `thin.rs`).
const FEW: u64 = 12;

/// Neighbours that are averaged.
const NEIGHBOURS: usize = 3;

/// One probed shape.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    /// Base-2 logarithms of the dimensions.
    pub(crate) place: Vec<f64>,
    /// The operator, for its roofline.
    pub(crate) kind: OperatorKind,
    /// Measured time, seconds.
    pub(crate) seconds: f64,
}

/// The place of an operator among the probed ones: its class, and the
/// logarithms of its dimensions. `None` for a kind that is not probed.
pub(crate) fn place(kind: &OperatorKind) -> Option<(String, Vec<f64>)> {
    let log = |n: u64| (n.max(1) as f64).log2();
    Some(match *kind {
        OperatorKind::Matmul { batch, m, n, k } => {
            // A product of few rows streams its weights: another kernel.
            let class = if m * batch <= FEW { "thin" } else { "thick" };
            (format!("matmul/{class}"), vec![log(m * batch), log(n), log(k)])
        }
        OperatorKind::Attention {
            batch,
            heads,
            head_dim,
            query,
            keys,
            backward: false,
            ..
        } => {
            let class = if query == 1 { "decode" } else { "prefill" };
            (
                format!("attention/{class}"),
                vec![log(batch * heads), log(head_dim), log(query), log(keys)],
            )
        }
        OperatorKind::Softmax { rows, cols, backward: false } => {
            ("softmax".to_owned(), vec![log(rows), log(cols)])
        }
        OperatorKind::LayerNorm { rows, cols, backward: false } => {
            ("layernorm".to_owned(), vec![log(rows), log(cols)])
        }
        OperatorKind::RmsNorm { rows, cols, backward: false } => {
            ("rmsnorm".to_owned(), vec![log(rows), log(cols)])
        }
        OperatorKind::Elementwise { op, elements, operands } => {
            let class = elementwise_class(op, operands);
            (format!("elementwise/{class}"), vec![log(elements)])
        }
        OperatorKind::Embedding { width, tokens, backward: false, .. } => {
            ("embedding".to_owned(), vec![log(width), log(tokens)])
        }
        OperatorKind::Conv {
            batch,
            in_channels,
            out_channels,
            positions,
            ..
        } => (
            "conv".to_owned(),
            vec![
                log(batch),
                log(in_channels),
                log(out_channels),
                log(positions),
            ],
        ),
        OperatorKind::Copy { elements } => {
            ("elementwise/copy".to_owned(), vec![log(elements)])
        }
        _ => return None,
    })
}

/// What stands for a kind that no probe times: a gradient is taken to use the
/// unit as its forward does, a loss of each row as a softmax of it, an
/// optimizer as an operator on two operands that streams, and what only reads
/// or writes as a copy. Without it such kinds would run at the ceilings, where
/// nothing runs.
fn stand_in(kind: &OperatorKind) -> Option<OperatorKind> {
    let mut forward = kind.clone();
    match &mut forward {
        OperatorKind::Attention { backward, .. }
        | OperatorKind::Softmax { backward, .. }
        | OperatorKind::LayerNorm { backward, .. }
        | OperatorKind::RmsNorm { backward, .. }
        | OperatorKind::Embedding { backward, .. }
            if *backward =>
        {
            *backward = false;
            Some(forward)
        }
        OperatorKind::CrossEntropy { rows, cols, .. } => {
            let (rows, cols) = (*rows, *cols);
            Some(OperatorKind::Softmax { rows, cols, backward: false })
        }
        OperatorKind::Optimizer { elements, .. } => {
            let (op, elements) = (Elementwise::Add, *elements);
            Some(OperatorKind::Elementwise { op, elements, operands: 2 })
        }
        OperatorKind::Reduce { elements, .. }
        | OperatorKind::Pool { elements, .. }
        | OperatorKind::Create { elements } => {
            Some(OperatorKind::Copy { elements: *elements })
        }
        _ => None,
    }
}

/// Element-wise operators that cost alike share their points.
fn elementwise_class(op: Elementwise, operands: u64) -> String {
    let name = match op {
        Elementwise::Copy | Elementwise::Cast => "copy",
        Elementwise::Add
        | Elementwise::Sub
        | Elementwise::Mul
        | Elementwise::Compare
        | Elementwise::Select
        | Elementwise::Other => "add",
        Elementwise::Div | Elementwise::Sqrt => "div",
        Elementwise::Pow => "pow",
        Elementwise::Relu => "relu",
        Elementwise::Gelu => "gelu",
        Elementwise::Tanh => "tanh",
        Elementwise::Sigmoid | Elementwise::Silu | Elementwise::Gated => "silu",
        Elementwise::Exp | Elementwise::Log => "exp",
        Elementwise::Trigonometric => "exp",
        Elementwise::Rotary => "mul",
    };
    if operands > 1 && (name == "add" || name == "mul") {
        "add/2".to_owned()
    } else {
        name.replace("mul", "add")
    }
}

/// The operator that a profile's efficiency entry measured; `None` for one
/// that this build does not know.
pub(crate) fn entry_kind(entry: &Efficiency) -> Option<OperatorKind> {
    let n = |name: &str| entry.dims.get(name).map(|x| *x as u64);
    Some(match &entry.operator[..] {
        "matmul" => OperatorKind::Matmul {
            batch: n("batch").unwrap_or(1),
            m: n("m")?,
            n: n("n")?,
            k: n("k")?,
        },
        "attention" => OperatorKind::Attention {
            batch: n("batch").unwrap_or(1),
            heads: n("heads")?,
            kv_heads: n("kv_heads")?,
            head_dim: n("head_dim")?,
            query: n("query")?,
            keys: n("context")?,
            causal: n("causal").unwrap_or(1) == 1,
            backward: false,
        },
        "softmax" => OperatorKind::Softmax {
            rows: n("rows")?,
            cols: n("cols")?,
            backward: false,
        },
        "layernorm" => OperatorKind::LayerNorm {
            rows: n("rows")?,
            cols: n("cols")?,
            backward: false,
        },
        "rmsnorm" => OperatorKind::RmsNorm {
            rows: n("rows")?,
            cols: n("cols")?,
            backward: false,
        },
        "embedding" => OperatorKind::Embedding {
            vocab: n("vocab")?,
            width: n("width")?,
            tokens: n("tokens")?,
            backward: false,
        },
        "conv2d" => OperatorKind::Conv {
            batch: n("batch")?,
            in_channels: n("in_channels")?,
            out_channels: n("out_channels")?,
            positions: n("positions")?,
            taps: n("taps")?,
        },
        "elementwise" => OperatorKind::Elementwise {
            op: match entry.kind.as_deref()? {
                "add" => Elementwise::Add,
                "mul" => Elementwise::Mul,
                "div" => Elementwise::Div,
                "pow" => Elementwise::Pow,
                "relu" => Elementwise::Relu,
                "gelu" => Elementwise::Gelu,
                "tanh" => Elementwise::Tanh,
                "silu" => Elementwise::Silu,
                "exp" => Elementwise::Exp,
                "copy" => Elementwise::Copy,
                _ => return None,
            },
            elements: n("elements")?,
            operands: n("operands").unwrap_or(1),
        },
        _ => return None,
    })
}

/// The probed points of a unit, by class and by whether their inputs lay in
/// the last-level cache.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    points: BTreeMap<(String, bool), Vec<Point>>,
}

impl Table {
    /// The unit's points at a precision.
    pub(crate) fn of(unit: &Unit, precision: Precision) -> Self {
        let mut table = Self::default();
        for entry in unit.efficiency.iter().filter(|e| e.precision == precision)
        {
            if let Some(kind) = entry_kind(entry)
                && let Some((class, place)) = place(&kind)
            {
                let seconds = entry.seconds.value.value();
                let key = (class, entry.cached);
                let point = Point { place, kind, seconds };
                table.points.entry(key).or_default().push(point);
            }
        }
        table
    }

    /// Whether nothing was probed.
    pub(crate) fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// The utilisation of an operator: roofline time over real time. With
    /// inputs in the last-level cache (`cached`) of points that had theirs
    /// there, if there are any. `roofline` gives a probed operator's roofline
    /// in seconds, its inputs in that cache or not. `None` where nothing like
    /// it was probed.
    pub(crate) fn utilisation(
        &self,
        kind: &OperatorKind,
        cached: bool,
        roofline: impl Fn(&OperatorKind, bool) -> f64,
    ) -> Option<f64> {
        let (class, here) = place(kind).or_else(|| place(&stand_in(kind)?))?;
        let (points, cached) =
            [cached, false].into_iter().find_map(|cached| {
                let points = self.points.get(&(class.clone(), cached))?;
                Some((points, cached))
            })?;
        let mut near: Vec<(f64, &Point)> = points
            .iter()
            .map(|point| {
                let squared: f64 = here
                    .iter()
                    .zip(&point.place)
                    .map(|(a, b)| (a - b) * (a - b))
                    .sum();
                (squared, point)
            })
            .collect();
        near.sort_by(|a, b| a.0.total_cmp(&b.0));
        near.truncate(NEIGHBOURS);
        let (mut weights, mut sum) = (0.0, 0.0);
        for (squared, point) in near {
            let weight = 1.0 / (squared + 0.01);
            weights += weight;
            let roof = roofline(&point.kind, cached);
            sum += weight * (roof / point.seconds).ln();
        }
        Some((sum / weights).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kinds that no probe times, each with what stands for it.
    fn unprobed() -> Vec<(OperatorKind, OperatorKind)> {
        let softmax =
            |backward| OperatorKind::Softmax { rows: 8, cols: 16, backward };
        let norm =
            |backward| OperatorKind::LayerNorm { rows: 8, cols: 16, backward };
        let copy = OperatorKind::Copy { elements: 64 };
        let pair = OperatorKind::Elementwise {
            op: Elementwise::Add,
            elements: 64,
            operands: 2,
        };
        let loss =
            OperatorKind::CrossEntropy { rows: 8, cols: 16, backward: true };
        let update =
            OperatorKind::Optimizer { elements: 64, flops_per_element: 12 };
        vec![
            (softmax(true), softmax(false)),
            (norm(true), norm(false)),
            (loss, softmax(false)),
            (update, pair),
            (OperatorKind::Reduce { elements: 64, results: 8 }, copy.clone()),
            (OperatorKind::Pool { elements: 64, results: 16 }, copy.clone()),
            (OperatorKind::Create { elements: 64 }, copy),
        ]
    }

    #[test]
    fn what_no_probe_times_has_a_stand_in_that_one_does() {
        for (kind, stands) in unprobed() {
            assert_eq!(place(&kind), None, "{kind:?}");
            assert_eq!(stand_in(&kind), Some(stands.clone()), "{kind:?}");
            assert!(place(&stands).is_some(), "{stands:?}");
            assert_eq!(stand_in(&stands), None, "it stands for itself");
        }
    }

    #[test]
    fn a_stand_ins_utilisation_is_taken() {
        let copy = OperatorKind::Copy { elements: 64 };
        let (class, place) = place(&copy).unwrap();
        let point = Point { place, kind: copy, seconds: 4.0 };
        let table = Table { points: [((class, false), vec![point])].into() };
        let of =
            |kind: &OperatorKind| table.utilisation(kind, false, |_, _| 1.0);
        let reduce = OperatorKind::Reduce { elements: 64, results: 8 };
        assert!((of(&reduce).unwrap() - 0.25).abs() < 1e-12);
        let softmax =
            OperatorKind::Softmax { rows: 8, cols: 16, backward: true };
        assert_eq!(of(&softmax), None, "no softmax was probed");
    }

    #[test]
    fn inputs_in_the_cache_ask_points_that_had_theirs_there() {
        let kinds = [64, 128].map(|elements| OperatorKind::Copy { elements });
        let point = |kind: &OperatorKind, seconds| {
            let (class, place) = place(kind).unwrap();
            (class, Point { place, kind: kind.clone(), seconds })
        };
        let (class, far) = point(&kinds[0], 4.0);
        let (_, near) = point(&kinds[1], 5.0);
        let mut table =
            Table { points: [((class.clone(), false), vec![far])].into() };
        // The roofline of a cached operator is half as long here.
        let of = |table: &Table, cached| {
            let roof =
                |_: &OperatorKind, cached| if cached { 0.5 } else { 1.0 };
            table.utilisation(&kinds[0], cached, roof).unwrap()
        };
        assert!((of(&table, true) - 0.25).abs() < 1e-12, "as those in memory");
        table.points.insert((class, true), vec![near]);
        assert!((of(&table, true) - 0.1).abs() < 1e-12);
        assert!((of(&table, false) - 0.25).abs() < 1e-12);
    }
}
