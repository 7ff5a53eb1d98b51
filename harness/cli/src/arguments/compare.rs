//! Arguments of `assay compare`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::duration;

/// How a comparison is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ComparisonFormat {
    /// For a terminal.
    #[default]
    Text,
    /// One document.
    Json,
    /// For a comment on a change.
    Markdown,
}

/// Who counts instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum InstructionCounter {
    /// Valgrind's simulated processor: slow, and repeatable.
    Callgrind,
}

#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 nothing got worse; 1 a regression, a \
                        failure, or with --same-output a changed answer or \
                        none to compare; 2 wrong input; 3 this machine cannot \
                        do it; 4 unclear where --prove was asked")]
pub(crate) struct CompareArgs {
    /// Two run directories; with --bench two benchmark executables and
    /// optionally a part of the names to compare.
    #[arg(value_name = "BASELINE CANDIDATE [FILTER]")]
    pub(crate) sides: Vec<String>,
    /// A shell command; given twice, the first is the baseline.
    #[arg(
        long,
        value_name = "COMMAND",
        conflicts_with_all = ["bench", "sides", "force"]
    )]
    pub(crate) exec: Vec<String>,
    /// Compare two benchmark executables in lockstep.
    #[arg(long)]
    pub(crate) bench: bool,
    /// Time for all arms of one benchmark or pair of commands together
    /// [default: 10s].
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) budget: Option<f64>,
    /// The smallest change that is called.
    #[arg(long, value_name = "PERCENT", value_parser = percent, default_value = "1%")]
    pub(crate) floor: f64,
    /// Go on until a change, or sameness within this size, is shown; a
    /// larger --floor becomes this size.
    #[arg(long, value_name = "PERCENT", value_parser = size)]
    pub(crate) prove: Option<f64>,
    /// Fail if an answer changed, or if none was compared.
    #[arg(long)]
    pub(crate) same_output: bool,
    /// Count instructions as well (commands and benchmarks); each execution
    /// may take 50 times --time-limit, or an hour.
    #[arg(long, value_enum)]
    pub(crate) instructions: Option<InstructionCounter>,
    /// Compare runs of other machines, devices, seeds, units or cases, and
    /// executables of which the candidate lacks benchmarks.
    #[arg(long)]
    pub(crate) force: bool,
    /// Longest wait for one execution or answer
    /// [default: 10 times what is expected, at least 60s].
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) time_limit: Option<f64>,
    /// Seed of every order [default: 1].
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Keep every turn in DIR/turns.jsonl, and the result beside it.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: ComparisonFormat,
}

/// A share from `1%`: 0 or more, below 100 %.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().strip_suffix('%').ok_or_else(|| {
        format!("`{text}` has no %: expected a percentage such as 1%")
    })?;
    number
        .trim()
        .parse::<f64>()
        .ok()
        .map(|percent| percent / 100.0)
        .filter(|share| (0.0..1.0).contains(share))
        .ok_or_else(|| {
            format!(
                "`{text}` is no percentage from 0% to below 100%, such as 1%"
            )
        })
}

/// A share above 0: nothing can be shown to lie within nothing.
fn size(text: &str) -> Result<f64, String> {
    percent(text).and_then(|share| {
        if share > 0.0 {
            Ok(share)
        } else {
            Err(format!("`{text}`: expected a percentage above 0%"))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_has_its_sign_and_a_range() {
        assert_eq!(percent("1%"), Ok(0.01));
        assert_eq!(percent(" 0.5 %"), Ok(0.005));
        assert_eq!(percent("0%"), Ok(0.0));
        for wrong in ["1", "", "%", "-1%", "100%", "nan%", "inf%", "a%", "1%%"]
        {
            let error = percent(wrong).unwrap_err();
            assert!(error.contains(&format!("`{wrong}`")), "{error}");
        }
        assert!(size("0%").is_err());
        assert_eq!(size("2%"), Ok(0.02));
    }
}
