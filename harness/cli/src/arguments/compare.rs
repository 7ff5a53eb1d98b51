//! Arguments of `assay compare`.

use std::path::PathBuf;

use assay_schema::typed_share;
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
    #[arg(long, value_name = "PERCENT", value_parser = typed_share, default_value = "1%")]
    pub(crate) floor: f64,
    /// Go on until a change, or sameness within this size, is shown; a
    /// larger --floor becomes this size.
    #[arg(long, value_name = "PERCENT", value_parser = size)]
    pub(crate) prove: Option<f64>,
    /// Fail if an answer changed, or if none was compared.
    #[arg(long)]
    pub(crate) same_output: bool,
    /// Count instructions as well (commands and benchmarks), and simulate
    /// misses of caches and branches, to explain with; each execution may take
    /// 100 times --time-limit, or an hour.
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

/// A share above 0: nothing can be shown to lie within nothing.
fn size(text: &str) -> Result<f64, String> {
    typed_share(text).and_then(|share| {
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
    fn nothing_is_shown_to_lie_within_nothing() {
        assert!(size("0%").is_err());
        assert_eq!(size("2%"), Ok(0.02));
    }
}
