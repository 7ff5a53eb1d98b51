//! `cargo ci`: the project's own checks, one command.
//!
//! `fmt`, `lint`, `test`, `tidy`, and `all` of them in that order. The last
//! line of `test` and `all` sums the test runner's own summaries.

#![allow(clippy::print_stdout, reason = "a check tells what it found")]

mod tidy;

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};

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

/// Passed, failed and ignored tests of one `test result:` line.
fn counts(line: &str) -> Option<[u64; 3]> {
    let rest = line.strip_prefix("test result: ")?;
    let number = |word: &str| {
        let before = rest.split(word).next()?;
        before.trim_end().rsplit(' ').next()?.parse().ok()
    };
    Some([number(" passed")?, number(" failed")?, number(" ignored")?])
}

/// Runs the tests, echoing what they print, and closes with one line for all
/// of their binaries: the runner's own last line is that of an empty doctest.
fn test() -> Result<()> {
    println!("+ cargo {}", TEST.join(" "));
    let mut child = Command::new("cargo")
        .args(TEST)
        .stdout(Stdio::piped())
        .spawn()
        .context("cargo could not be started")?;
    let mut sum = [0; 3];
    if let Some(out) = child.stdout.take() {
        for line in BufReader::new(out).lines() {
            let line = line?;
            println!("{line}");
            if let Some(found) = counts(&line) {
                for (sum, found) in sum.iter_mut().zip(found) {
                    *sum += found;
                }
            }
        }
    }
    let status = child.wait()?;
    let [passed, failed, skipped] = sum;
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    if !status.success() || passed == 0 {
        bail!("cargo {} failed", TEST.join(" "));
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
        Check::Test => test(),
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

#[cfg(test)]
mod tests {
    use super::counts;

    #[test]
    fn the_runners_line_is_read() {
        let line = "test result: ok. 12 passed; 1 failed; 2 ignored; 0 \
                    measured; 0 filtered out; finished in 0.01s";
        assert_eq!(counts(line), Some([12, 1, 2]));
        assert_eq!(counts("test a::b ... ok"), None);
    }
}
