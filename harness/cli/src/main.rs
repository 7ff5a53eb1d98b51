//! The `assay` command.
//!
//! `profile + workload -> plan -> run -> record -> analyse -> report`: each
//! verb is a file under `verbs/`, and the files beside them are the steps that
//! several verbs share. Printing and exit codes live here alone.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this crate is the one that prints"
)]

mod allocator;
mod arguments;
mod claims;
mod comparison;
mod composed;
mod defaults;
mod device;
mod exit;
mod host_profile;
mod measured;
mod micro_kernels;
mod modules;
mod plans;
mod predictions;
mod probe;
mod progress;
mod registry;
mod reporting;
mod scoring;
mod selftest;
mod sources;
mod table;
mod verbs;

use clap::Parser;

use arguments::{Cli, Verb};

#[global_allocator]
static ALLOCATOR: allocator::Counting = allocator::counting();

fn main() -> std::process::ExitCode {
    allocator::keep_freed_memory();
    // A child of the selftest has one thread: before the pool is made.
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(selftest::CHILD) {
        return exit::finish(child(&arguments.collect::<Vec<_>>()));
    }
    let cli = Cli::parse();
    // Inside the pool, so that the thread that measures is one of its own: a
    // caller from outside makes one runnable thread more than there are cores,
    // which cost a third of the memory bandwidth on two.
    let done = rayon::scope(|_| run(&cli.verb));
    exit::finish(done)
}

fn child(arguments: &[String]) -> exit::Verdict {
    selftest::child(arguments)?;
    Ok(exit::Ending::Done)
}

fn run(verb: &Verb) -> exit::Verdict {
    match verb {
        Verb::Workloads(args) => verbs::workloads::run(args),
        Verb::Profiles(args) => verbs::profiles::run(args),
        Verb::Probe(args) => verbs::probe::run(args),
        Verb::Verify(args) => verbs::verify::run(args),
        Verb::Run(args) => verbs::run::run(args),
        Verb::Trace(args) => verbs::trace::run(args),
        Verb::Predict(args) => verbs::predict::run(args),
        Verb::Calibrate(args) => verbs::calibrate::run(args),
        Verb::Compare(args) => verbs::compare::run(args),
        Verb::Report(args) => verbs::report::run(args),
        Verb::Import(args) => verbs::import::run(args),
        Verb::Export(args) => verbs::export::run(args),
        Verb::Doctor(args) => verbs::doctor::run(args),
        Verb::Selftest(args) => verbs::selftest::run(args),
    }
}
