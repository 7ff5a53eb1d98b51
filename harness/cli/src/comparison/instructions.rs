//! Instructions of both sides, as callgrind counts them.

use std::io::ErrorKind;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::anyhow;
use assay_measure::paired::{PairedSettings, Row, counted_row, failed_row};
use assay_measure::{
    CallgrindError, CommandLine, count_difference, count_instructions,
};

use super::Blocks;
use crate::exit::{Fault, machine};

/// The row's metric; what the processor itself counted gives way to it.
pub(super) const INSTRUCTIONS: &str = "instructions";

/// Callgrind is some fifty times slower than the processor.
const SLOWER: f64 = 50.0;

/// Longest wait for one execution without `--time-limit`.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Whether valgrind is here, asked before any time is spent on measuring.
pub(crate) fn check_callgrind() -> Result<(), Fault> {
    let asked = Command::new("valgrind")
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match asked {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(machine(anyhow!(
            "`valgrind --version` ended with {status}; callgrind is part of \
             the package `valgrind`: install it anew"
        ))),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(machine(CallgrindError::NoValgrind))
        }
        Err(error) => Err(machine(anyhow!(
            "valgrind, of the package `valgrind`, cannot be started: {error}"
        ))),
    }
}

/// What is counted of an arm: an execution, less one of what start-up costs.
pub(super) struct Counted {
    pub(super) whole: CommandLine,
    pub(super) less: Option<CommandLine>,
}

impl Counted {
    fn count(&self, limit: Duration) -> Result<f64, CallgrindError> {
        let counts = match &self.less {
            Some(less) => count_difference(&self.whole, less, limit)?,
            None => count_instructions(&self.whole, limit)?,
        };
        Ok(counts.instructions().unwrap_or_default() as f64)
    }
}

/// The row of one case, and whether there is no count.
pub(super) struct Instructions {
    pub(super) row: Row,
    pub(super) failed: bool,
}

/// Counts A, B and A again. An execution that fails is a row that says why;
/// only what is the machine's fault is an error.
pub(super) fn instructions(
    case: &str,
    arms: &[Counted; 3],
    how: &Blocks,
) -> Result<Instructions, Fault> {
    let limit = limit(&how.settings);
    let [a, b, again] = arms;
    let counts = || -> Result<[f64; 3], CallgrindError> {
        Ok([a.count(limit)?, b.count(limit)?, again.count(limit)?])
    };
    match counts() {
        Ok(counts) => {
            let row = counted_row(case, INSTRUCTIONS, counts, how.rule.floor);
            Ok(Instructions { row, failed: false })
        }
        Err(error) if error.is_machine() => Err(machine(error)),
        Err(error) => {
            let row = Row {
                metric: INSTRUCTIONS.to_owned(),
                unit: "1".to_owned(),
                ..failed_row(case, error.to_string())
            };
            Ok(Instructions { row, failed: true })
        }
    }
}

fn limit(settings: &PairedSettings) -> Duration {
    settings.time_limit.map_or(PATIENCE, |limit| {
        Duration::try_from_secs_f64(limit.0 * SLOWER).unwrap_or(Duration::MAX)
    })
}

#[cfg(test)]
mod tests {
    use assay_schema::Seconds;

    use super::*;

    #[test]
    fn the_wait_follows_the_time_limit_and_callgrinds_slowness() {
        let after = |seconds: Option<f64>| {
            limit(&PairedSettings {
                time_limit: seconds.map(Seconds),
                ..PairedSettings::default()
            })
        };
        assert_eq!(after(None), Duration::from_secs(3600));
        assert_eq!(after(Some(2.0)), Duration::from_secs(100));
        assert_eq!(after(Some(1e300)), Duration::MAX);
    }
}
