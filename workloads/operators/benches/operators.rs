//! Each operator at two sizes: `cargo bench --bench operators`.
//!
//! For looking at one kernel while working on it. What is reported comes from
//! `assay run`, which rotates its inputs and checks the answer first.

#![allow(
    missing_docs,
    clippy::expect_used,
    reason = "criterion's macro makes an undocumented main; a bench may panic"
)]

use std::hint::black_box;

use assay_operators::{Inputs, Operator, Source};
use burn::tensor::Device;
use criterion::{Criterion, criterion_group, criterion_main};

/// Group, name within it, case.
const CASES: [(&str, &str, &str); 18] = [
    ("matmul", "512 x 512 x 512", "matmul batch=1 m=512 n=512 k=512"),
    ("matmul", "1 x 2048 x 8192", "matmul batch=1 m=1 n=2048 k=8192"),
    (
        "attention",
        "prefill 128",
        "attention phase=prefill batch=1 heads=8 kv_heads=8 head_dim=64 \
         query=128 context=128 causal=true",
    ),
    (
        "attention",
        "prefill 512",
        "attention phase=prefill batch=1 heads=8 kv_heads=8 head_dim=64 \
         query=512 context=512 causal=true",
    ),
    (
        "attention",
        "decode 128",
        "attention phase=decode batch=1 heads=8 kv_heads=8 head_dim=64 \
         query=1 context=128 causal=true",
    ),
    (
        "attention",
        "decode 1024",
        "attention phase=decode batch=1 heads=8 kv_heads=8 head_dim=64 \
         query=1 context=1024 causal=true",
    ),
    ("softmax", "512 x 512", "softmax rows=512 cols=512"),
    ("softmax", "16384 x 256", "softmax rows=16384 cols=256"),
    ("layernorm", "512 x 2048", "layernorm rows=512 cols=2048"),
    ("layernorm", "4096 x 256", "layernorm rows=4096 cols=256"),
    ("rmsnorm", "128 x 576", "rmsnorm rows=128 cols=576"),
    ("rmsnorm", "512 x 2048", "rmsnorm rows=512 cols=2048"),
    (
        "elementwise",
        "add 65536",
        "elementwise kind=add elements=65536 operands=2",
    ),
    (
        "elementwise",
        "gelu 1048576",
        "elementwise kind=gelu elements=1048576 operands=1",
    ),
    (
        "conv2d",
        "3 x 3, 32 channels of 32 x 32",
        "conv2d batch=1 in_channels=32 out_channels=32 height=32 width=32 \
         kernel=3 stride=1 padding=1 groups=1",
    ),
    (
        "conv2d",
        "3 x 3, 64 channels of 64 x 64",
        "conv2d batch=1 in_channels=64 out_channels=64 height=64 width=64 \
         kernel=3 stride=1 padding=1 groups=1",
    ),
    ("embedding", "32 tokens", "embedding vocab=32000 width=1024 tokens=32"),
    ("embedding", "512 tokens", "embedding vocab=32000 width=1024 tokens=512"),
];

fn operators(criterion: &mut Criterion) {
    let device = Device::flex();
    for (group, name, case) in CASES {
        let case = format!("operators/{case}").parse().expect("a case");
        let operator = Operator::new(&case).expect("an operator");
        let mut group = criterion.benchmark_group(group);
        group.bench_function(name, |bencher| {
            // Made here, so that `--list` makes nothing.
            let mut rng = Source::seeded(1);
            let inputs =
                Inputs::new(&operator, &mut Source::Random(&mut rng), &device)
                    .expect("not a collective");
            bencher.iter(|| black_box(inputs.clone().run(&operator)));
        });
        group.finish();
    }
}

criterion_group!(benches, operators);
criterion_main!(benches);
