//! `cargo ci`: the project's own checks, one command.
//!
//! `fmt`, `lint`, `test`, `tidy`, and `all` of them in that order. The last
//! lines of `test` and `all` are the test runner's own summary.

#![allow(clippy::print_stdout, reason = "a check tells what it found")]

mod tidy;

use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use clap::{Parser, ValueEnum};

/// The project's own checks.
#[derive(Debug, Parser)]
#[command(name = "cargo ci")]
struct Cli {
    /// What to check.
    #[arg(value_enum, default_value = "all")]
    check: Check,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Check {
    /// Formatting.
    Fmt,
    /// Clippy, warnings as errors.
    Lint,
    /// Length of files, headers, machine paths, leftovers.
    Tidy,
    /// The README's test command.
    Test,
    /// All of them.
    All,
}

/// The README's test command: clippy and tests share the release profile's
/// artefacts with `cargo run --release`.
const TEST: [&str; 3] = ["test", "--release", "--workspace"];

fn cargo(arguments: &[&str]) -> Result<()> {
    println!("+ cargo {}", arguments.join(" "));
    let status = Command::new("cargo")
        .args(arguments)
        .status()
        .context("cargo could not be started")?;
    if !status.success() {
        bail!("cargo {} failed", arguments.join(" "));
    }
    Ok(())
}

fn run(check: Check) -> Result<()> {
    match check {
        Check::Fmt => cargo(&["fmt", "--all", "--check"]),
        Check::Lint => cargo(&[
            "clippy",
            "--release",
            "--workspace",
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ]),
        Check::Tidy => tidy::check(),
        Check::Test => cargo(&TEST),
        Check::All => {
            run(Check::Fmt)?;
            run(Check::Tidy)?;
            run(Check::Lint)?;
            run(Check::Test)
        }
    }
}

fn main() -> ExitCode {
    match run(Cli::parse().check) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo ci: {error:#}");
            ExitCode::FAILURE
        }
    }
}
