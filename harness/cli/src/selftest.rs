//! `assay selftest`: identical code against itself, and slowdowns of known
//! size, under the very settings of `assay compare --bench`; criterion beside
//! it on the same bodies, in the same minutes.
//!
//! The arms are real processes: this program starts itself as the benchmark
//! executable of a lockstep comparison ([`child`]). What comes out is a record
//! that is only appended to ([`record`]) and a table that is a view of it
//! ([`table`]).

pub(crate) mod bodies;
pub(crate) mod criterion;
pub(crate) mod noise;
pub(crate) mod plan;
pub(crate) mod record;
pub(crate) mod table;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use assay_measure::MonotonicClock;
use assay_measure::paired::{
    Executable, Lockstep, PairedRun, PairedSettings, compare,
};
use assay_schema::{Better, Seconds};
use assay_statistics::{MetricKind, Units, VerdictRule, find, judge, units_of};

use crate::progress::Progress;
use crate::sources::now;
use bodies::Body;
use noise::Noise;
use plan::{BASELINE_UNITS, Part, Plan, Task, Tool};
use record::{Made, Record};

/// The first argument of a child of the selftest. No verb of a user's.
pub(crate) const CHILD: &str = "selftest-child";

/// Makes what the plan asks and the record does not hold yet.
pub(crate) fn make(
    plan: &Plan,
    record: &mut Record,
    interrupted: &AtomicBool,
    progress: &mut Progress,
) -> Result<()> {
    let done = record.done();
    let seed = record.held.header.seed;
    for tasks in plan.groups(seed) {
        let open = |task: &&Task| {
            let part = plan.part[task.part].name.clone();
            !done.contains(&(part, task.tool, task.index))
        };
        let open: Vec<Task> = tasks.iter().filter(open).copied().collect();
        let Some(first) = open.first() else { continue };
        let part = &plan.part[first.part];
        progress.begin(&format!("{} ({} comparisons)", part.name, open.len()));
        let mut neighbour = part.noise.start()?;
        for task in &open {
            if interrupted.load(Ordering::Relaxed) {
                return Ok(());
            }
            let made = one(task, part, seed);
            // A signal reaches the children too: what it touched is not kept.
            if interrupted.load(Ordering::Relaxed) {
                return Ok(());
            }
            if let Some(neighbour) = &mut neighbour {
                neighbour.check()?;
            }
            record.add(made)?;
        }
        drop(neighbour);
        progress.end(&format!("{}: {} made", part.name, open.len()));
    }
    Ok(())
}

/// One comparison. A failure is a line of the record, not an end.
fn one(task: &Task, part: &Part, seed: u64) -> Made {
    let body = task.body();
    let began = Instant::now();
    let mut made = Made {
        part: part.name.clone(),
        tool: task.tool,
        index: task.index,
        body: body.name().to_owned(),
        at: now(),
        seconds: 0.0,
        verdict: None,
        change: None,
        change_any_time: None,
        candidate_units: Vec::new(),
        again_units: Vec::new(),
        null_units: Vec::new(),
        error: None,
    };
    let units = [BASELINE_UNITS, part.candidate_units()];
    let judged = match task.tool {
        Tool::Criterion => criterion::compare(body, units, part.budget_s)
            .map(|verdict| made.verdict = Some(verdict)),
        Tool::Assay => {
            let seed = seed ^ (task.index as u64) << 8 ^ task.part as u64;
            lockstep(body, units, part.budget_s, seed)
                .and_then(|run| fill(&mut made, &run))
        }
    };
    made.error = judged.err().map(|error| format!("{error:#}"));
    made.seconds = began.elapsed().as_secs_f64();
    made
}

/// A comparison as `assay compare --bench` makes it.
fn lockstep(
    body: Body,
    [baseline, candidate]: [u32; 2],
    budget_s: f64,
    seed: u64,
) -> Result<PairedRun> {
    let program = std::env::current_exe()?;
    let arm = |units: u32| Executable {
        program: program.clone(),
        arguments: vec![CHILD.to_owned(), "arm".to_owned(), units.to_string()],
    };
    let settings = PairedSettings {
        budget: Seconds(budget_s),
        seed,
        machine: Some("/".into()),
        ..PairedSettings::default()
    };
    let mut starter =
        Lockstep::new(arm(baseline), arm(candidate), body.name(), &settings);
    let run = compare(
        &mut starter,
        &MonotonicClock::new(),
        &settings,
        &mut |_| Ok(()),
        &mut |_| false,
    )?;
    Ok(run)
}

/// The run's units and verdict.
fn fill(made: &mut Made, run: &PairedRun) -> Result<()> {
    let mut units = units_of(&run.blocks_of(|sample| sample.seconds))?;
    let Units { candidate, again, null } = &mut units;
    for unit in candidate.iter_mut().chain(again).chain(null) {
        *unit = as_kept(*unit);
    }
    let rule = VerdictRule::default();
    let finding = find(&units, MetricKind::Timed, Better::Lower, &rule)?;
    made.change = Some(finding.change);
    made.change_any_time = Some(finding.change_any_time);
    made.verdict = judge(&[finding], &rule).first().map(|row| row.verdict);
    made.candidate_units = units.candidate;
    made.again_units = units.again;
    made.null_units = units.null;
    Ok(())
}

/// A unit to a millionth, a tenth of the narrowest interval, so that a record
/// of thousands of comparisons stays small. It is judged as it is kept.
fn as_kept(unit: f64) -> f64 {
    (unit * 1e6).round() / 1e6
}

/// A child of the selftest: an arm, a neighbour, or criterion.
pub(crate) fn child(arguments: &[String]) -> Result<()> {
    let (role, rest) = arguments.split_first().context("no role")?;
    match role.as_str() {
        "arm" => arm(rest),
        "noise" => {
            let name = rest.first().context("no neighbour")?;
            Noise::named(name).context("no such neighbour")?.make();
            Ok(())
        }
        "criterion" => criterion::child(rest),
        other => bail!("no role `{other}`"),
    }
}

/// A benchmark executable with the four bodies.
fn arm(arguments: &[String]) -> Result<()> {
    let [units, _flag, socket] = arguments else {
        bail!("an arm takes a count, a flag and a socket");
    };
    let units: u32 = units.parse()?;
    let mut bench = assay_bench::Bench::new();
    for body in Body::ALL {
        bench.bench(body.name(), move |b| b.iter(body.work(units)));
    }
    assay_bench::serve_lockstep(&bench, Path::new(socket))?;
    Ok(())
}
