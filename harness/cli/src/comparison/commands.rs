//! Two shell commands in blocks.

use std::time::Duration;

use assay_measure::paired::{
    Commands, Row, Starter, SuiteFacts, compare, counted_row, failed_row,
    is_decided, rows, suite,
};
use assay_measure::{CommandLine, MonotonicClock, count_instructions};
use assay_statistics::VerdictRule;

use super::{Blocks, Compared, Turns, ends_all, notes_of};
use crate::exit::{Fault, machine};
use crate::progress::Progress;

/// Callgrind is some fifty times slower than the processor.
const CALLGRIND_LIMIT: Duration = Duration::from_secs(3600);

pub(crate) fn commands(
    baseline: &str,
    candidate: &str,
    how: &Blocks,
    turns: &mut Turns,
) -> Result<Compared, Fault> {
    let Blocks { settings, rule, counted } = how;
    let mut starter = Commands::new(baseline, candidate, settings);
    let name = starter.name().to_owned();
    let mut facts = SuiteFacts {
        kind: "commands in blocks".to_owned(),
        baseline: baseline.to_owned(),
        candidate: candidate.to_owned(),
        ..SuiteFacts::default()
    };
    let progress = Progress::new(1);
    progress.begin(&name);
    let made = compare(
        &mut starter,
        &MonotonicClock::new(),
        settings,
        &mut |turn| turns.keep(turn),
        &mut |run| is_decided(run, rule),
    );
    drop(progress);
    let run = match made.map_err(ends_all) {
        Ok(run) => run,
        Err(Ok(fault)) => return Err(fault),
        Err(Err(error)) => {
            let rows = vec![failed_row(name, error.to_string())];
            let comparison = suite(rows, rule, facts);
            return Ok(Compared { comparison, failed: true });
        }
    };
    facts.output_changed = run.answer_changed();
    facts.notes = notes_of(&run);
    let mut found = rows(&run, rule);
    if !found.iter().any(|row| row.metric == "memory_peak") {
        facts.notes.push(
            "memory_peak is not shown: below the memory of assay itself the \
             kernel's account of a command shows assay's"
                .to_owned(),
        );
    }
    if *counted {
        found.retain(|row| row.metric != "instructions");
        found.push(instructions(&name, baseline, candidate, rule)?);
    }
    let comparison = suite(found, rule, facts);
    Ok(Compared { comparison, failed: false })
}

fn instructions(
    name: &str,
    baseline: &str,
    candidate: &str,
    rule: &VerdictRule,
) -> Result<Row, Fault> {
    let mut counts = [0.0; 3];
    for (count, line) in counts.iter_mut().zip([baseline, candidate, baseline])
    {
        let command = CommandLine::shell(line);
        *count = counted_once(&command)?;
    }
    Ok(counted_row(name, "instructions", counts, rule.floor))
}

/// Instructions of one execution under callgrind.
pub(super) fn counted_once(command: &CommandLine) -> Result<f64, Fault> {
    let counts = match count_instructions(command, CALLGRIND_LIMIT) {
        Ok(counts) => counts,
        Err(error) if error.is_machine() => return Err(machine(error)),
        Err(error) => return Err(error.into()),
    };
    let count = counts.instructions().ok_or_else(|| {
        anyhow::anyhow!("callgrind gave no count of `{command}`")
    })?;
    Ok(count as f64)
}
