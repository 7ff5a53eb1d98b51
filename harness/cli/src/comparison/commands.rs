//! Two shell commands in blocks.

use assay_measure::paired::{
    Commands, Starter, SuiteFacts, compare, failed_row, is_decided, rows, suite,
};
use assay_measure::{CommandLine, MonotonicClock};

use super::instructions::{Counted, instructions};
use super::{
    Blocks, Compared, Turns, ends_all, note_answers, notes_of, unanswered,
};
use crate::exit::Fault;
use crate::progress::Progress;

pub(crate) fn commands(
    baseline: &str,
    candidate: &str,
    how: &Blocks,
    turns: &mut Turns,
) -> Result<Compared, Fault> {
    let Blocks { settings, rule, counted, same_output, .. } = how;
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
        &mut |run| is_decided(run, rule, 1),
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
    facts.notes = notes_of(&run);
    if *same_output {
        facts.notes.extend(unanswered(&run));
    }
    let mut found = rows(&run, rule);
    if !found.iter().any(|row| row.metric == "memory_peak") {
        facts.notes.push(
            "memory_peak is not shown: below the memory of assay itself the \
             kernel's account of a command shows assay's"
                .to_owned(),
        );
    }
    let mut failed = false;
    if *counted {
        let arms = [baseline, candidate, baseline].map(|line| Counted {
            whole: CommandLine::shell(line),
            less: None,
        });
        let made = instructions(&name, &arms, how)?;
        failed = made.failed;
        made.join(&mut found);
    }
    let mut comparison = suite(found, rule, facts);
    note_answers(&mut comparison, *same_output);
    Ok(Compared { comparison, failed })
}
