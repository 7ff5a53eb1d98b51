//! The benchmarks that two executables share, in lockstep.

use std::collections::BTreeSet;

use anyhow::anyhow;
use assay_measure::paired::{
    Executable, Lockstep, PairedError, Side, SuiteFacts, compare, failed_row,
    is_decided, list, rows, suite,
};
use assay_measure::{CommandLine, MonotonicClock};

use super::instructions::{Counted, instructions};
use super::{
    Blocks, Compared, Turns, ends_all, note_answers, notes_of, unanswered,
};
use crate::exit::{Fault, machine};
use crate::progress::Progress;

pub(crate) fn benches(
    baseline: &str,
    candidate: &str,
    filter: &str,
    how: &Blocks,
    turns: &mut Turns,
) -> Result<Compared, Fault> {
    let Blocks { settings, rule, counted, same_output, force } = how;
    let (a, b) = (executable(baseline), executable(candidate));
    let shared = shared(&a, &b, filter, *force)?;
    let benchmarks = shared.names.len();
    let mut facts = SuiteFacts {
        kind: "benchmarks in lockstep".to_owned(),
        baseline: baseline.to_owned(),
        candidate: candidate.to_owned(),
        notes: shared.notes,
    };
    let mut found = Vec::new();
    let mut failed = false;
    let mut progress = Progress::new(shared.names.len() as u64);
    for name in &shared.names {
        progress.begin(name);
        let mut starter = Lockstep::new(a.clone(), b.clone(), name, settings);
        let made = compare(
            &mut starter,
            &MonotonicClock::new(),
            settings,
            &mut |turn| turns.keep(turn),
            &mut |run| is_decided(run, rule, benchmarks),
        );
        match made.map_err(ends_all) {
            Ok(run) => {
                facts.notes.extend(notes_of(&run));
                if *same_output {
                    facts.notes.extend(unanswered(&run));
                }
                let mut of_bench = rows(&run, rule);
                if *counted {
                    let arms = [&a, &b, &a].map(|arm| body(arm, name));
                    let made = instructions(name, &arms, how)?;
                    failed |= made.failed;
                    made.join(&mut of_bench);
                }
                found.extend(of_bench);
                progress.end(name);
            }
            Err(Ok(fault)) => return Err(fault),
            Err(Err(error)) => {
                failed = true;
                progress.end(&format!("{name}: {error}"));
                found.push(failed_row(name, error.to_string()));
            }
        }
    }
    drop(progress);
    if *counted {
        facts.notes.push(
            "instructions are callgrind's: set-up and one run of the body, \
             start-up taken off; its misses are simulated and of that first, \
             cold run"
                .to_owned(),
        );
    }
    let mut comparison = suite(found, rule, facts);
    note_answers(&mut comparison, *same_output);
    Ok(Compared { comparison, failed })
}

/// The file as typed: without a slash it is one of this folder, not of PATH.
fn executable(name: &str) -> Executable {
    let path = std::path::Path::new(name);
    Executable::new(match path.components().count() {
        1 => std::path::Path::new(".").join(path),
        _ => path.to_owned(),
    })
}

/// What both sides have.
struct Shared {
    names: Vec<String>,
    notes: Vec<String>,
}

fn shared(
    a: &Executable,
    b: &Executable,
    filter: &str,
    force: bool,
) -> Result<Shared, Fault> {
    let listed = |executable, side| {
        list(executable, side).map_err(|error: PairedError| {
            if error.is_machine() { machine(error) } else { error.into() }
        })
    };
    let before = listed(a, Side::Baseline)?;
    let after = listed(b, Side::Candidate)?;
    let matching = |names: &[String]| -> Vec<String> {
        names.iter().filter(|name| name.contains(filter)).cloned().collect()
    };
    let (before, after) = (matching(&before), matching(&after));
    let in_before: BTreeSet<&String> = before.iter().collect();
    let in_after: BTreeSet<&String> = after.iter().collect();
    let names: Vec<String> =
        before.iter().filter(|name| in_after.contains(name)).cloned().collect();
    if names.is_empty() {
        let all = list(a, Side::Baseline).unwrap_or_default();
        let nearest =
            assay_schema::nearest(filter, all.iter().map(String::as_str));
        let hint = nearest
            .map_or(String::new(), |name| format!("; nearest: `{name}`"));
        return Err(anyhow!(
            "no benchmark that matches `{filter}` is in both executables \
             ({} match in the baseline, {} in the candidate){hint}",
            before.len(),
            after.len()
        )
        .into());
    }
    let lost = only_in(&before, &in_after);
    if !lost.is_empty() && !force {
        return Err(anyhow!(
            "the candidate lacks benchmarks of the baseline: {}; --force \
             compares the others",
            lost.join(", ")
        )
        .into());
    }
    let mut notes = Vec::new();
    if !lost.is_empty() {
        notes
            .push(format!("forced: only in the baseline: {}", lost.join(", ")));
    }
    let new = only_in(&after, &in_before);
    if !new.is_empty() {
        notes.push(format!("only in the candidate: {}", new.join(", ")));
    }
    Ok(Shared { names, notes })
}

fn only_in<'a>(these: &'a [String], those: &BTreeSet<&String>) -> Vec<&'a str> {
    these
        .iter()
        .filter(|name| !those.contains(name))
        .map(String::as_str)
        .collect()
}

/// Set-up and one run of the body, less a run that starts and lists nothing:
/// of ignored benchmarks there are none. After `--` a name is no flag.
fn body(arm: &Executable, name: &str) -> Counted {
    let of = |words: &[&str]| CommandLine::new(&arm.program, words);
    Counted {
        whole: of(&["--test", "--exact", "--", name]),
        less: Some(of(&["--list", "--ignored"])),
    }
}
