//! Phases of language models: `cargo bench --bench phases`.
//!
//! All four of `slm/tiny`, and prefill and decode of `slm/smollm-135m`, on
//! random weights and real text. For looking at a change while working on it;
//! what is reported comes from `assay run`, which checks the answer first.

#![allow(
    missing_docs,
    clippy::expect_used,
    reason = "criterion's macro makes an undocumented main; a bench may panic"
)]

use std::hint::black_box;

use assay_kit::{Optimizer, Parameters};
use assay_slm::{
    ADAMW, Config, Decoder, decode, model_config, passage, prefill, seen, train,
};
use burn::tensor::{Device, Int, Tensor, TensorData};
use criterion::{
    BenchmarkGroup, Criterion, criterion_group, criterion_main,
    measurement::WallTime,
};

/// Tokens of a prompt, and of what a cache holds.
const TOKENS: usize = 128;
/// Tokens that `generate` adds.
const GENERATED: usize = 8;

/// A model, and a row of tokens.
struct Subject {
    config: Config,
    model: Decoder,
    prompt: Tensor<2, Int>, // [1, TOKENS]
    next: Tensor<2, Int>,   // [1, 1]
}

impl Subject {
    /// Made within a bench, so that `--list` makes nothing.
    fn new(name: &str, device: &Device) -> Self {
        let config = model_config(name).expect("a shipped model");
        let longest = TOKENS + GENERATED;
        let mut parameters = Parameters::random(device, 1);
        let model = Decoder::new(&mut parameters, &config, longest);
        let tokens = |count: usize| {
            let ids = passage(0, count, config.vocab).expect("the text");
            Tensor::from_data(TensorData::new(ids, [1, count]), device)
        };
        Self { prompt: tokens(TOKENS), next: tokens(1), model, config }
    }
}

fn bench_prefill(group: &mut BenchmarkGroup<'_, WallTime>, name: &str) {
    group.bench_function("prefill", |bencher| {
        let s = Subject::new(name, &Device::flex());
        bencher
            .iter(|| black_box(prefill(&s.model, &s.config, s.prompt.clone())));
    });
}

fn bench_decode(group: &mut BenchmarkGroup<'_, WallTime>, name: &str) {
    group.bench_function("decode", |bencher| {
        let s = Subject::new(name, &Device::flex());
        let (_, mut cache) =
            seen(&s.model, &s.config, s.prompt.clone(), TOKENS + 1);
        bencher.iter(|| {
            black_box(decode(&s.model, s.next.clone(), TOKENS, &mut cache))
        });
    });
}

fn bench_generate(group: &mut BenchmarkGroup<'_, WallTime>, name: &str) {
    group.bench_function("generate", |bencher| {
        let s = Subject::new(name, &Device::flex());
        bencher.iter(|| {
            let room = TOKENS + GENERATED;
            let (mut logits, mut cache) =
                seen(&s.model, &s.config, s.prompt.clone(), room);
            for i in 0..GENERATED {
                let next = logits.argmax(2).reshape([1, 1]);
                logits = decode(&s.model, next, TOKENS + i, &mut cache);
            }
            black_box(logits)
        });
    });
}

fn bench_train(group: &mut BenchmarkGroup<'_, WallTime>, name: &str) {
    group.bench_function("train-step", |bencher| {
        let s = Subject::new(name, &Device::flex().autodiff());
        let mut optimizer = Optimizer::new(ADAMW);
        optimizer.prepare(&s.model);
        let mut model = Some(s.model);
        bencher.iter(|| {
            let before = model.take().expect("put back below");
            let (loss, after) = train(before, &mut optimizer, s.prompt.clone());
            model = Some(after);
            black_box(loss)
        });
    });
}

fn phases(criterion: &mut Criterion) {
    let mut tiny = criterion.benchmark_group("tiny");
    bench_prefill(&mut tiny, "tiny");
    bench_decode(&mut tiny, "tiny");
    bench_generate(&mut tiny, "tiny");
    bench_train(&mut tiny, "tiny");
    tiny.finish();
    let mut smollm = criterion.benchmark_group("smollm-135m");
    smollm.sample_size(10);
    bench_prefill(&mut smollm, "smollm-135m");
    bench_decode(&mut smollm, "smollm-135m");
    smollm.finish();
}

criterion_group!(benches, phases);
criterion_main!(benches);
