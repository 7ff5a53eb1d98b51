//! The operators as a workload.

use assay_measure::{Context, Session, Workload, WorkloadError};
use assay_schema::{AxisSpec, Case, Precision, WorkloadInfo};

use crate::operator::{ElementwiseKind, NAMES, Operator, precision};
use crate::session::OperatorSession;

/// Single operators: the alphabet of the models.
#[derive(Debug, Default)]
pub struct Operators;

fn sizes(name: &str, default: u64, only_for: &[&str], doc: &str) -> AxisSpec {
    AxisSpec::integer(name, 1, default, doc).only_for(only_for.iter().copied())
}

const COLLECTIVES: [&str; 5] =
    ["all_reduce", "all_gather", "reduce_scatter", "all_to_all", "send_recv"];

fn axes() -> Vec<AxisSpec> {
    let rowwise = ["softmax", "layernorm", "rmsnorm"];
    let kinds = ElementwiseKind::ALL.map(|(name, _)| name);
    let precisions = std::iter::once(Precision::F32)
        .chain(Precision::ALL.into_iter().filter(|p| *p != Precision::F32));
    vec![
        sizes("m", 512, &["matmul"], "rows of the result"),
        sizes("n", 512, &["matmul"], "columns of the result"),
        sizes("k", 512, &["matmul"], "terms of each sum"),
        sizes(
            "batch",
            1,
            &["matmul", "attention", "conv2d"],
            "independent problems; a single product has a layer's weights, n x k",
        ),
        AxisSpec::words("phase", ["prefill", "decode"], "decode: query = 1")
            .only_for(["attention"]),
        sizes("heads", 8, &["attention"], "query heads"),
        sizes("kv_heads", 8, &["attention"], "key-value heads")
            .following("heads"),
        sizes("head_dim", 64, &["attention"], "width of a head"),
        sizes("query", 128, &["attention"], "query tokens")
            .following("context"),
        sizes(
            "context",
            128,
            &["attention"],
            "keys attended in all, the queries' own included",
        ),
        AxisSpec::words(
            "causal",
            ["true", "false"],
            "each query sees keys up to itself",
        )
        .only_for(["attention"]),
        sizes("rows", 512, &rowwise, "rows"),
        sizes("cols", 2048, &rowwise, "columns"),
        AxisSpec::words("kind", kinds, "what is computed")
            .only_for(["elementwise"]),
        sizes("elements", 1 << 20, &["elementwise"], "elements"),
        AxisSpec::integer(
            "operands",
            1,
            1,
            "1: the other operand, if any, is a scalar; 2: two tensors (of an \
             activation: f(x) y)",
        )
        .only_for(["elementwise"])
        .listing(["1", "2"]),
        sizes("in_channels", 64, &["conv2d"], "input channels"),
        sizes("out_channels", 64, &["conv2d"], "output channels"),
        sizes("height", 64, &["conv2d"], "rows of the picture"),
        sizes("width", 64, &["conv2d"], "columns of the picture"),
        sizes("kernel", 3, &["conv2d"], "rows and columns of the kernel"),
        sizes("stride", 1, &["conv2d"], "step of the kernel"),
        AxisSpec::integer("padding", 0, 1, "zeros round the picture")
            .only_for(["conv2d"]),
        sizes("groups", 1, &["conv2d"], "groups of channels"),
        sizes("vocab", 32_000, &["embedding"], "rows of the table"),
        sizes("width", 1024, &["embedding"], "columns of the table"),
        sizes("tokens", 128, &["embedding"], "rows picked"),
        sizes("bytes", 1 << 20, &COLLECTIVES, "input of one rank, bytes"),
        sizes("ranks", 8, &COLLECTIVES, "devices"),
        sizes("ranks_per_node", 8, &COLLECTIVES, "devices of a node"),
        AxisSpec::words(
            "precision",
            precisions.map(Precision::name),
            "number format",
        ),
    ]
}

impl Workload for Operators {
    fn info(&self) -> WorkloadInfo {
        WorkloadInfo {
            workload: "operators".to_owned(),
            doc: "single operators: the alphabet of the models".to_owned(),
            models: NAMES.map(str::to_owned).to_vec(),
            axes: axes(),
            ..WorkloadInfo::default()
        }
    }

    fn prepare(
        &self,
        case: &Case,
        context: &Context,
    ) -> Result<Box<dyn Session>, WorkloadError> {
        let read = |error: crate::OperatorError| {
            WorkloadError::other(error.to_string())
        };
        let operator = Operator::new(case).map_err(read)?;
        let precision = precision(case).map_err(read)?;
        assay_kit::check_precision(&[Precision::F32], precision)?;
        Ok(Box::new(OperatorSession::new(operator, context)?))
    }
}
