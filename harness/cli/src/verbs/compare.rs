//! `assay compare`: two run directories, two commands, or the benchmarks of
//! two executables.

use anyhow::anyhow;
use assay_measure::paired::PairedSettings;
use assay_schema::{Comparison, Seconds, Verdict as Found};
use assay_statistics::VerdictRule;

use crate::arguments::{CompareArgs, ComparisonFormat};
use crate::comparison::{
    Blocks, Compared, Turns, benches, check_callgrind, commands, markdown,
    run_directories, text,
};
use crate::exit::{Ending, Fault, Verdict, print};

pub(crate) fn run(args: &CompareArgs) -> Verdict {
    let compared = compared(args)?;
    let comparison = &compared.comparison;
    print(&match args.format {
        ComparisonFormat::Text => text(comparison),
        ComparisonFormat::Markdown => markdown(comparison),
        ComparisonFormat::Json => {
            format!("{}\n", serde_json::to_string_pretty(comparison)?)
        }
    });
    Ok(ending(&compared, args))
}

fn compared(args: &CompareArgs) -> Result<Compared, Fault> {
    let rule = VerdictRule {
        // Below a larger floor, and beyond what is to be proved, no change
        // could ever be called or ruled out.
        floor: args.prove.map_or(args.floor, |size| args.floor.min(size)),
        equivalence: args.prove.unwrap_or(args.floor),
        any_time: args.prove.is_some(),
        ..VerdictRule::default()
    };
    let defaults = PairedSettings::default();
    let settings = PairedSettings {
        budget: args.budget.map_or(defaults.budget, Seconds),
        prove: args.prove.is_some(),
        seed: args.seed.unwrap_or(defaults.seed),
        time_limit: args.time_limit.map(Seconds),
        machine: Some("/".into()),
        ..defaults
    };
    let how = Blocks {
        settings,
        rule,
        counted: args.instructions.is_some(),
        same_output: args.same_output,
        force: args.force,
    };
    match between(args)? {
        Between::Runs(baseline, candidate) => {
            refuse_options_of_blocks(args)?;
            run_directories(baseline, candidate, &how)
        }
        Between::Commands(a, b) => {
            kept(args, |turns| commands(a, b, &how, turns))
        }
        Between::Benches(a, b, filter) => {
            kept(args, |turns| benches(a, b, filter, &how, turns))
        }
    }
}

/// Compares in blocks, with the turns and the result kept where asked for.
fn kept(
    args: &CompareArgs,
    compare: impl FnOnce(&mut Turns) -> Result<Compared, Fault>,
) -> Result<Compared, Fault> {
    if args.instructions.is_some() {
        check_callgrind()?;
    }
    let mut turns = Turns::create(args.out.as_deref())?;
    // A command has its own process group, which no terminal interrupts.
    let _ = ctrlc::set_handler(|| {
        assay_measure::paired::kill_running();
        std::process::exit(130);
    });
    match compare(&mut turns) {
        Ok(compared) => {
            turns.finish(&compared.comparison)?;
            Ok(compared)
        }
        Err(fault) => {
            turns.give_up();
            Err(fault)
        }
    }
}

/// What is compared with what.
#[derive(Clone, Copy)]
enum Between<'a> {
    Runs(&'a str, &'a str),
    Commands(&'a str, &'a str),
    Benches(&'a str, &'a str, &'a str),
}

fn between(args: &CompareArgs) -> anyhow::Result<Between<'_>> {
    let sides: Vec<&str> = args.sides.iter().map(String::as_str).collect();
    let commands: Vec<&str> = args.exec.iter().map(String::as_str).collect();
    match (args.bench, &commands[..], &sides[..]) {
        (false, [a, b], []) => Ok(Between::Commands(a, b)),
        (false, [], [a, b]) => Ok(Between::Runs(a, b)),
        (true, [], [a, b]) => Ok(Between::Benches(a, b, "")),
        (true, [], [a, b, filter]) => Ok(Between::Benches(a, b, filter)),
        (_, [_, ..], _) => Err(anyhow!(
            "{} of --exec; expected two: the first is the baseline, the \
             second the candidate",
            commands.len()
        )),
        (true, _, sides) => Err(anyhow!(
            "{} after --bench; expected two executables, BASELINE and \
             CANDIDATE, and at most one FILTER",
            counted(sides.len())
        )),
        (false, _, sides) => Err(anyhow!(
            "{}; expected two run directories, or --exec BASELINE --exec \
             CANDIDATE, or --bench BASELINE CANDIDATE",
            counted(sides.len())
        )),
    }
}

fn counted(names: usize) -> String {
    format!("{names} name{}", if names == 1 { "" } else { "s" })
}

/// Runs are over: nothing can be measured longer or otherwise.
fn refuse_options_of_blocks(args: &CompareArgs) -> anyhow::Result<()> {
    for (name, is_given) in [
        ("--budget", args.budget.is_some()),
        ("--seed", args.seed.is_some()),
        ("--prove", args.prove.is_some()),
        ("--instructions", args.instructions.is_some()),
        ("--time-limit", args.time_limit.is_some()),
        ("--out", args.out.is_some()),
    ] {
        if is_given {
            return Err(anyhow!(
                "{name} is for --exec and --bench; run directories are \
                 compared as they were recorded"
            ));
        }
    }
    Ok(())
}

fn ending(compared: &Compared, args: &CompareArgs) -> Ending {
    let Comparison { rows, suite } = &compared.comparison;
    let worse = rows.iter().any(|row| row.verdict == Found::Slower);
    // Where no answer was compared, none was seen to be the same.
    let differs = args.same_output && suite.output_changed != Some(false);
    if compared.failed || worse || differs {
        Ending::Failed
    } else if args.prove.is_some() && suite.unclear > 0 {
        Ending::Unclear
    } else {
        Ending::Done
    }
}
