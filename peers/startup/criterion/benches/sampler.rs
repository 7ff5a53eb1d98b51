//! One iteration a sample: flat sampling in no time.

use std::time::Duration;

use criterion::{Criterion, SamplingMode};

const SAMPLES: usize = 10_000;

fn main() {
    let mut criterion = Criterion::default()
        .without_plots()
        .nresamples(1001)
        .warm_up_time(Duration::from_millis(1))
        .measurement_time(Duration::from_nanos(1))
        .sample_size(SAMPLES);
    let mut group = criterion.benchmark_group("empty");
    group.sampling_mode(SamplingMode::Flat);
    group.bench_function("body", |b| b.iter(startup_criterion::body));
    group.finish();
    startup_criterion::print_cost(SAMPLES);
}
