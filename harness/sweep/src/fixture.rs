//! A small catalogue for this crate's tests.

use assay_schema::{AxisSpec, Catalogue, WorkloadInfo};

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// Two workloads: one with phases, one whose models are operators.
pub(crate) fn catalogue() -> Catalogue {
    let precision = AxisSpec::words("precision", ["f32", "f16"], "Format.");
    Catalogue {
        workloads: vec![
            WorkloadInfo {
                workload: "operators".to_owned(),
                models: words(&["matmul", "softmax"]),
                axes: vec![
                    AxisSpec::integer("m", 1, 512, "Rows.")
                        .only_for(["matmul"]),
                    AxisSpec::integer("n", 1, 512, "Columns.")
                        .only_for(["matmul"]),
                    AxisSpec::integer("rows", 1, 512, "Rows.")
                        .only_for(["softmax"]),
                    AxisSpec::integer("cols", 1, 512, "Columns.")
                        .only_for(["softmax"]),
                    precision.clone(),
                ],
                ..WorkloadInfo::default()
            },
            WorkloadInfo {
                workload: "slm".to_owned(),
                models: words(&["tiny", "qwen2-0.5b"]),
                phases: words(&["prefill", "decode"]),
                axes: vec![
                    AxisSpec::integer("batch", 1, 1, "Rows."),
                    AxisSpec::integer("prompt", 1, 128, "Tokens.")
                        .only_for(["prefill"])
                        .defaulting("tiny", 16),
                    AxisSpec::integer("context", 1, 128, "Tokens.")
                        .only_for(["decode"]),
                    precision,
                ],
                ..WorkloadInfo::default()
            },
        ],
    }
}
