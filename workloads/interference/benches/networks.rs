//! Training steps and inferences of the study's sizes: `cargo bench --bench
//! networks`. For looking at a change while working on it; what is reported
//! comes from `assay run`, which checks the answer first.

#![allow(
    missing_docs,
    clippy::expect_used,
    reason = "criterion's macro makes an undocumented main; a bench may panic"
)]

use std::hint::black_box;

use assay_interference::networks::Network;
use assay_interference::{config, names};
use assay_kit::classification::{
    Classifier, adam, timed_examples, training_step,
};
use assay_kit::{Mode, Optimizer, Parameters, Training};
use burn::tensor::Device;
use criterion::{Criterion, criterion_group, criterion_main};

const LENGTH: usize = 128;
const CLASSES: usize = 15;
const BATCH: usize = 64;

fn network(name: &str, device: &Device) -> Network {
    let config = config(name, "small").expect("a shipped network");
    let mut parameters = Parameters::random(device, 1);
    Network::new(&mut parameters, &config, LENGTH, CLASSES).expect("it fits")
}

fn bench(criterion: &mut Criterion) {
    let examples = timed_examples(1, BATCH, LENGTH, CLASSES);
    let places: Vec<usize> = (0..BATCH).collect();
    for name in names() {
        let mut group =
            criterion.benchmark_group(format!("interference/{name}"));
        group.sample_size(10);
        group.bench_function("infer", |bencher| {
            let device = Device::flex();
            let model = network(name, &device);
            let (x, _) = examples.batch(&places, &device);
            bencher.iter(|| {
                black_box(model.logits(x.clone(), &mut Mode::Inference))
            });
        });
        group.bench_function("train-step", |bencher| {
            let device = Device::flex().autodiff();
            let mut model = Some(network(name, &device));
            let (x, class) = examples.batch(&places, &device);
            let mut optimizer = Optimizer::new(adam(1e-4));
            let mut training = Training::new(1);
            bencher.iter(|| {
                let now = model.take().expect("put back below");
                let (loss, next) = training_step(
                    now,
                    &mut optimizer,
                    &mut training,
                    x.clone(),
                    class.clone(),
                );
                model = Some(next);
                black_box(loss)
            });
        });
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
