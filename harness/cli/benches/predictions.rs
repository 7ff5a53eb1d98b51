//! Matrix products a second; one decoder step; and tracing and predicting 1, 2,
//! 4 and 8 models on all shipped profiles at 4 shapes and 2 precisions: time
//! grows linearly with the work.
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

use assay_hardware_profiles::{
    HardwareProfile, UnitName, load, names, overlay_for,
};
use assay_predict::{Target, Traced, predict};
use assay_schema::{Case, Precision, Runtime};
use assay_slm::{Request, model_names, trace};
use assay_trace::OperatorKind;
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

/// A shipped GPU at f16, with its overlay where it has one.
fn on(name: &str) -> Target {
    let profile = load(name).expect("shipped");
    let overlay = overlay_for(&profile, UnitName::Gpu);
    Target::new(&profile, None, Precision::F16, overlay.as_ref())
        .expect("a unit")
}

/// Distinct matrix products on a device without an overlay and on one with:
/// interpolating a few hundred residuals is most of the latter.
fn products(criterion: &mut Criterion) {
    let shapes: Vec<OperatorKind> = (0..4096)
        .map(|i| OperatorKind::Matmul {
            batch: 1,
            m: 1 + i * 37 % 4096,
            n: 64 * (1 + i % 128),
            k: 64 * (1 + i / 64),
        })
        .collect();
    let mut group = criterion.benchmark_group("matrix products");
    group.throughput(Throughput::Elements(shapes.len() as u64));
    for name in ["nvidia-l40s", "nvidia-h100-sxm5-80gb"] {
        let target = on(name);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let all = shapes.iter().map(|shape| target.operator(shape));
                let sum: f64 = all.map(|s| s.expect("a time").value()).sum();
                black_box(sum)
            });
        });
    }
    group.finish();
}

/// One decoder step whose graph is traced and whose unit is prepared.
fn step(criterion: &mut Criterion) {
    let case: Case =
        "slm/llama-2-7b/decode context=512".parse().expect("a case");
    let request = Request::new(&case, None).expect("a request");
    let graph = Arc::new(trace(&request).expect("a graph"));
    let traced = Traced::new(graph, Precision::F16);
    let mut group = criterion.benchmark_group("decoder step");
    for name in ["nvidia-l40s", "nvidia-h100-sxm5-80gb"] {
        let target = on(name);
        group.bench_function(name, |bencher| {
            bencher.iter(|| predict(&case, &traced, &target, Runtime::Graph));
        });
    }
    group.finish();
}

criterion_group!(benches, products, step, models);
criterion_main!(benches);
