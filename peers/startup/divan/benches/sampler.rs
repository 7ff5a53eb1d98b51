//! One iteration a sample.

#[divan::bench(sample_count = 10_000, sample_size = 1)]
fn body() {
    startup_divan::body();
}

fn main() {
    divan::main();
    startup_divan::print_cost(10_000);
}
