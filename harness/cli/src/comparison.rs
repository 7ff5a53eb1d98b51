//! Comparisons: how each kind is made, and how people read it.
//!
//! [`run_directories`], [`commands`] and [`benches`] bring files, processes
//! and progress to what `assay_measure::paired` does; [`text`] and
//! [`markdown`] show the result, JSON is the value itself. Not here: how
//! verdicts come about.

mod benches;
mod cells;
mod commands;
mod instructions;
mod markdown;
mod run_directories;
mod text;
mod turns;

use assay_measure::paired::{PairedError, PairedRun, PairedSettings};
use assay_schema::Comparison;
use assay_statistics::VerdictRule;

use crate::exit::Fault;

pub(crate) use benches::benches;
pub(crate) use commands::commands;
pub(crate) use instructions::check_callgrind;
pub(crate) use markdown::{escaped, markdown};
pub(crate) use run_directories::run_directories;
pub(crate) use text::text;
pub(crate) use turns::Turns;

/// How blocks are taken and judged.
pub(crate) struct Blocks {
    pub(crate) settings: PairedSettings,
    pub(crate) rule: VerdictRule,
    /// Have callgrind count instructions too.
    pub(crate) counted: bool,
    /// The same answer is asked for: say where none could be compared.
    pub(crate) same_output: bool,
    /// Compare what is there, in spite of what is not.
    pub(crate) force: bool,
}

/// A comparison that was made.
pub(crate) struct Compared {
    pub(crate) comparison: Comparison,
    /// A side failed where it should not: exit 1, whatever the verdicts.
    pub(crate) failed: bool,
}

/// What ends the whole comparison; `Err` gives the error back where only its
/// row failed.
fn ends_all(error: PairedError) -> Result<Fault, PairedError> {
    if error.is_wrong_input() {
        Ok(Fault::Input(error.into()))
    } else if error.is_machine() {
        Ok(Fault::Machine(error.into()))
    } else {
        Err(error)
    }
}

/// What a finished run adds to the notes.
fn notes_of(run: &PairedRun) -> Vec<String> {
    let slot = run.schedule.slot;
    let blocks = run.blocks().count();
    let mut notes = vec![format!(
        "{}: {} rounds, {blocks} blocks of A, B and A again, {} iterations a \
         turn after {} unmeasured, {:.1} s; {}",
        run.name,
        run.rounds.len(),
        slot.iterations,
        slot.warm_up,
        run.elapsed.0,
        run.placement.as_deref().unwrap_or("not pinned")
    )];
    notes.extend(run.notes.iter().cloned());
    notes
}

/// Why a run says nothing of `--same-output`; `None` where answers were
/// compared.
fn unanswered(run: &PairedRun) -> Option<String> {
    if run.answer_changed().is_some() {
        return None;
    }
    let why = if run.answer_wavers() {
        "the baseline's own answer changes from turn to turn"
    } else {
        "a side gives no answer"
    };
    Some(format!("--same-output: {} was not compared: {why}", run.name))
}

/// Adds what the notes say of answers: where they differ, and that none was
/// compared though the same was asked for.
fn note_answers(comparison: &mut Comparison, same_output: bool) {
    let mut cases: Vec<&str> = comparison
        .rows
        .iter()
        .filter(|row| row.answer_changed == Some(true))
        .map(|row| row.case.as_str())
        .collect();
    cases.sort_unstable();
    cases.dedup();
    let suite = &mut comparison.suite;
    if !cases.is_empty() {
        suite.notes.push(format!("the answer differs: {}", cases.join(", ")));
    }
    if same_output && suite.output_changed.is_none() {
        suite.notes.push(
            "--same-output: no answer was compared, so none is shown to be \
             the same"
                .to_owned(),
        );
    }
}
