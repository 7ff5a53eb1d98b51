//! Benchmarks of any crate under `cargo bench`, with verdicts one can trust.
//!
//! The door is [`main!`]: it makes the `main` of a `harness = false` bench
//! target from functions that register benchmarks on a [`Bench`]. A benchmark
//! is a name and a closure that builds a [`Routine`] with a [`Bencher`] when
//! its turn comes. The README shows one.
//!
//! Not here: a second sampler or a second rule for verdicts. `assay-measure`
//! finds the warm-up's end and when to stop, `assay-statistics` judges, and
//! [`serve_lockstep`] lets `assay compare --bench` run two builds by turns.
//! Not here either: Burn, a command-line parser, an async runtime, charts.

#![cfg_attr(
    test,
    allow(
        clippy::float_cmp,
        reason = "tests compare values that are exact by construction"
    )
)]

mod against;
mod allocator;
mod arguments;
mod asynchronous;
mod baseline;
mod bench;
mod counters;
mod error;
mod fingerprint;
mod line;
mod lockstep;
mod prepared;
mod routine;
mod run;
mod session;

pub use std::hint::black_box;

pub use allocator::CountingAllocator;
pub use assay_measure::{AllocationCounter, AllocationSnapshot};
pub use assay_schema::Better;
pub use asynchronous::{LocalFuture, block_on};
pub use bench::{Axis, Bench, Sweep};
pub use error::BenchError;
pub use fingerprint::fingerprint;
pub use lockstep::serve_lockstep;
pub use routine::{Bencher, Routine, Throughput};
pub use run::run;

/// The `main` of a benchmark executable: the functions that register its
/// benchmarks, in order.
///
/// ```no_run
/// fn sums(bench: &mut assay_bench::Bench) {
///     bench.bench("sum", |b| b.iter(|| (0..100_u64).sum::<u64>()));
/// }
///
/// assay_bench::main!(sums);
/// ```
#[macro_export]
macro_rules! main {
    ($($register:path),+ $(,)?) => {
        fn main() -> ::std::process::ExitCode {
            let mut bench = $crate::Bench::named(
                ::std::concat!(
                    ::std::env!("CARGO_PKG_NAME"),
                    "/",
                    ::std::env!("CARGO_CRATE_NAME"),
                ),
            );
            $($register(&mut bench);)+
            $crate::run(
                &bench,
                ::std::env::args_os()
                    .skip(1)
                    .map(|word| word.to_string_lossy().into_owned()),
            )
        }
    };
}

/// The README's examples compile and run as documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
