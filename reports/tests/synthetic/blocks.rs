//! Made-up blocks of a network whose steps come apart by class of kernel, at
//! several sizes: every number comes from a formula here.

use assay_reports::RunData;
use assay_schema::{
    Bytes, Case, Flops, MemoryParts, Prediction, Record, Seconds, WorkSummary,
};

use super::{MACHINES, empty_run, prediction, record, seed, wobble};

/// Shares of a measured step; the rest is the engine's own operators.
const MEASURED: [(&str, f64); 4] =
    [("matmul", 0.42), ("attention", 0.2), ("norm", 0.09), ("softmax", 0.05)];
/// Shares of a predicted step, of any machine.
const PREDICTED: [(&str, f64); 4] =
    [("matmul", 0.3), ("attention", 0.34), ("norm", 0.16), ("overhead", 0.2)];

/// A case that exists in several sizes.
pub(crate) fn block(phase: &str, length: u64, way: &str) -> String {
    format!("blocks/wide/{phase} length={length} way={way}")
}

/// Work that grows with the square of the length, memory with the cube where
/// scores are stored.
pub(crate) fn work(case: &str) -> WorkSummary {
    let case: Case = case.parse().unwrap();
    let length: f64 = case.axis("length").unwrap().parse().unwrap();
    let stored = if case.axis("way") == Some("stored") { 32.0 } else { 0.0 };
    let activations = length * length * (2048.0 + stored * length);
    WorkSummary {
        flops: Flops(4e5 * length * length),
        bytes: Bytes(3.0 * activations),
        parameters: 1_829_952,
        memory_peak: MemoryParts {
            weights_bytes: Bytes(4096.0),
            activations_bytes: Bytes(activations),
            ..MemoryParts::default()
        },
        operators: 120,
        ..WorkSummary::default()
    }
}

/// A record whose steps have parts of these shares.
pub(crate) fn parted(case: &str, shares: &[(&str, f64)]) -> Record {
    let work = work(case);
    let seconds = work.flops.value() / 9e10;
    let mut record =
        record(&format!("{case} precision=f32"), seconds, Some(work));
    let step = record.samples.clone();
    for (index, (class, share)) in shares.iter().enumerate() {
        let noise = |at: u64| wobble(seed(case) + at * 31 + index as u64);
        for mut batch in step.iter().cloned() {
            batch.part = (*class).to_owned();
            for (at, time) in batch.seconds.iter_mut().enumerate() {
                *time *= share * (1.0 + 0.01 * noise(at as u64));
            }
            record.samples.push(batch);
        }
    }
    record
}

/// A prediction on a machine of the list with its time by class.
pub(crate) fn apart(case: &str, machine: usize) -> Prediction {
    let mut found = prediction(case, &work(case), &MACHINES[machine]);
    let latency = found.latency_s.point;
    found.time_by_class = PREDICTED
        .into_iter()
        .map(|(class, share)| (class.to_owned(), Seconds(latency * share)))
        .collect();
    found
}

/// Three sizes of two ways forward and one training step, all measured; one
/// with the engine's own operators alone. Predicted on this machine and on
/// three GPUs, of which the plan names two first.
pub(crate) fn small_blocks() -> RunData {
    let mut run = empty_run("bench-1");
    run.header.plan.name = "synthetic blocks".into();
    run.header.plan.predict_on =
        vec!["nvidia-t4".into(), "nvidia-a100-sxm4-80gb:gpu".into()];
    let mut cases: Vec<String> = Vec::new();
    for way in ["streamed", "stored"] {
        for length in [32, 64, 128] {
            cases.push(block("forward", length, way));
        }
    }
    cases.push(block("train", 64, "streamed"));
    for case in &cases {
        let mut shares = MEASURED.to_vec();
        if case.contains("train") {
            shares.push(("optimizer", 0.08));
        }
        run.records.push(parted(case, &shares));
        for machine in [0, 1, 2, 4] {
            run.predictions.push(apart(case, machine));
        }
    }
    let stock = block("forward", 64, "stock");
    run.records.push(parted(&stock, &[]));
    run
}
