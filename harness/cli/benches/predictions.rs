//! Tracing and predicting 1, 2, 4 and 8 models on all shipped profiles at 4
//! shapes and 2 precisions: time grows linearly with the work.
//!
//! `cargo bench --bench predictions`. The same steps as `assay predict`, with
//! what it remembers: a graph is traced once for all precisions, a unit is
//! prepared once for all cases.

#![allow(
    missing_docs,
    clippy::expect_used,
    reason = "criterion's macro makes an undocumented main; a bench may panic"
)]

use std::hint::black_box;
use std::sync::Arc;

use assay_hardware_profiles::{HardwareProfile, load, names};
use assay_predict::{Target, Traced, predict};
use assay_schema::{Case, Precision, Runtime};
use assay_slm::{Request, model_names, trace};
use criterion::{
    BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};

const SHAPES: [&str; 4] = [
    "prefill batch=1 prompt=128",
    "prefill batch=4 prompt=512",
    "decode batch=1 context=128",
    "train-step batch=1 prompt=128",
];
const PRECISIONS: [Precision; 2] = [Precision::F16, Precision::F32];

/// Predictions made.
fn trace_and_predict(models: &[&str], profiles: &[HardwareProfile]) -> u64 {
    let mut made = 0;
    let targets: Vec<Vec<Target>> = PRECISIONS
        .iter()
        .map(|&precision| {
            let target =
                |p| Target::new(p, None, precision, None).expect("a unit");
            profiles.iter().map(target).collect()
        })
        .collect();
    for model in models {
        for shape in SHAPES {
            let case: Case =
                format!("slm/{model}/{shape}").parse().expect("a case");
            let request = Request::new(&case, None).expect("a request");
            let graph = Arc::new(trace(&request).expect("a graph"));
            for (precision, targets) in PRECISIONS.iter().zip(&targets) {
                let traced = Traced::new(Arc::clone(&graph), *precision);
                for target in targets {
                    let prediction =
                        predict(&case, &traced, target, Runtime::Graph);
                    black_box(prediction.expect("a prediction"));
                    made += 1;
                }
            }
        }
    }
    made
}

fn models(criterion: &mut Criterion) {
    let all: Vec<&str> = model_names().collect();
    let profiles: Vec<HardwareProfile> =
        names().iter().map(|name| load(name).expect("shipped")).collect();
    let mut group = criterion.benchmark_group("trace and predict");
    group.sample_size(10);
    for count in [1, 2, 4, 8] {
        let models = &all[..count];
        let each = profiles.len() * SHAPES.len() * PRECISIONS.len();
        group.throughput(Throughput::Elements((count * each) as u64));
        group.bench_function(BenchmarkId::new("models", count), |bencher| {
            bencher.iter(|| trace_and_predict(models, &profiles));
        });
    }
    group.finish();
}

criterion_group!(benches, models);
criterion_main!(benches);
