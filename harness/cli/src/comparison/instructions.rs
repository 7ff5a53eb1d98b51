//! Instructions of both sides, as callgrind counts them, and the misses of its
//! simulated caches and branch predictor, which explain and are not judged.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::anyhow;
use assay_measure::paired::{
    BRANCH_MISSES_SIMULATED, CACHE_MISSES_SIMULATED, Pair, PairedSettings, Row,
    counted_row, failed_row,
};
use assay_measure::{
    CallgrindError, CommandLine, Counts, count_difference, count_instructions,
};

use super::Blocks;
use crate::exit::{Fault, machine};

/// The row's metric; what the processor itself counted gives way to it.
const INSTRUCTIONS: &str = "instructions";

/// Callgrind with its caches is some hundred times slower than the processor.
const SLOWER: f64 = 100.0;

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
    fn count(&self, limit: Duration) -> Result<Counts, CallgrindError> {
        match &self.less {
            Some(less) => count_difference(&self.whole, less, limit),
            None => count_instructions(&self.whole, limit),
        }
    }
}

/// The row of one case, and whether there is no count.
pub(super) struct Instructions {
    row: Row,
    /// What explains time, by name.
    beside: BTreeMap<String, Pair>,
    pub(super) failed: bool,
}

impl Instructions {
    /// Puts the row among those of its case, in the place of the processor's
    /// own count, and what was counted beside the case's time.
    pub(super) fn join(self, rows: &mut Vec<Row>) {
        rows.retain(|row| row.metric != INSTRUCTIONS);
        for moved in rows.iter_mut().filter_map(|row| row.moved.as_mut()) {
            for (name, pair) in &self.beside {
                // What was counted in the very turns says more of them.
                moved.beside.entry(name.clone()).or_insert(*pair);
            }
        }
        rows.push(self.row);
    }
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
    let counts = || -> Result<[Counts; 3], CallgrindError> {
        Ok([a.count(limit)?, b.count(limit)?, again.count(limit)?])
    };
    match counts() {
        Ok(counts) => Ok(counted(case, &counts, how.rule.floor)),
        Err(error) if error.is_machine() => Err(machine(error)),
        Err(error) => {
            let row = Row {
                metric: INSTRUCTIONS.to_owned(),
                unit: "1".to_owned(),
                ..failed_row(case, error.to_string())
            };
            Ok(Instructions { row, beside: BTreeMap::new(), failed: true })
        }
    }
}

/// What three counts come to.
fn counted(case: &str, counts: &[Counts; 3], floor: f64) -> Instructions {
    let of = |count: fn(&Counts) -> Option<u64>| -> Option<[f64; 3]> {
        let [a, b, again] = counts;
        Some([count(a)?, count(b)?, count(again)?].map(|n| n as f64))
    };
    let instructions = of(Counts::instructions).unwrap_or_default();
    let mut row = counted_row(case, INSTRUCTIONS, instructions, floor);
    let simulated: [(&str, Option<[f64; 3]>); 3] = [
        ("cache misses of the last level", of(Counts::cache_misses)),
        ("of the first level", of(Counts::first_level_misses)),
        ("branch misses", of(Counts::branch_misses)),
    ];
    let told: Vec<String> = simulated
        .iter()
        .filter_map(|(words, counts)| {
            let [a, b, again] = (*counts)?;
            Some(format!("{words} {a} and {again} to {b}"))
        })
        .collect();
    if !told.is_empty() {
        row.reasons.push(format!(
            "simulated by callgrind, not judged: {}",
            told.join(", ")
        ));
    }
    let beside = [
        (INSTRUCTIONS, Some(instructions)),
        (CACHE_MISSES_SIMULATED, of(Counts::cache_misses)),
        (BRANCH_MISSES_SIMULATED, of(Counts::branch_misses)),
    ]
    .into_iter()
    .filter_map(|(name, counts)| Some((name.to_owned(), repeated(counts?)?)))
    .collect();
    Instructions { row, beside, failed: false }
}

/// The pair of three counts; none where the baseline's own two lie further
/// apart than a thousandth and than half of what the candidate moved by.
fn repeated([a, b, again]: [f64; 3]) -> Option<Pair> {
    let baseline = f64::midpoint(a, again);
    let wavers = (again - a).abs();
    let steady = wavers <= (b - baseline).abs() / 2.0 || wavers <= 1e-3 * a;
    steady.then_some(Pair { baseline, candidate: b })
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
        assert_eq!(after(Some(2.0)), Duration::from_secs(200));
        assert_eq!(after(Some(1e300)), Duration::MAX);
    }

    fn counts(ir: u64, last: u64, branches: u64) -> Counts {
        let events = [
            ("Ir", ir),
            ("I1mr", 2 * last),
            ("D1mr", 0),
            ("D1mw", 0),
            ("ILmr", last),
            ("DLmr", 0),
            ("DLmw", 0),
            ("Bcm", branches),
            ("Bim", 0),
        ];
        let events = events.map(|(name, n)| (name.to_owned(), n));
        Counts { events: events.into() }
    }

    #[test]
    fn simulated_misses_stand_beside_time_and_are_told_but_not_judged() {
        let (a, again) = (counts(1000, 10, 5), counts(1000, 10, 9));
        let made = counted("sort", &[a, counts(1000, 90, 7), again], 0.01);
        assert_eq!(
            made.row.reasons.join("\n"),
            "simulated by callgrind, not judged: cache misses of the last \
             level 10 and 10 to 90, of the first level 20 and 20 to 180, \
             branch misses 5 and 9 to 7"
        );
        let names: Vec<&String> = made.beside.keys().collect();
        // The baseline's own branches waver by more than the change.
        assert_eq!(names, [CACHE_MISSES_SIMULATED, INSTRUCTIONS]);
        let mut rows = vec![Row {
            moved: Some(Default::default()),
            ..failed_row("sort", "")
        }];
        made.join(&mut rows);
        let moved = rows[0].moved.as_ref().unwrap();
        let pair = Pair { baseline: 10.0, candidate: 90.0 };
        assert_eq!(moved.beside[CACHE_MISSES_SIMULATED], pair);
        assert_eq!(rows[1].metric, INSTRUCTIONS);
    }

    #[test]
    fn without_simulation_only_instructions_are_counted() {
        let plain = |ir| Counts { events: [("Ir".to_owned(), ir)].into() };
        let made = counted("sort", &[plain(9), plain(9), plain(9)], 0.01);
        assert_eq!(made.row.reasons, Vec::<String>::new());
        assert_eq!(made.beside.len(), 1);
    }
}
