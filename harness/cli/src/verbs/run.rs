//! `assay run`: plan -> run -> record -> analyse -> report.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, anyhow, bail};
use assay_measure::{
    Context, Instruments, Job, SystemClock, available_memory, host_facts,
    run_case,
};
use assay_schema::{
    Case, Event, FORMAT_VERSION, Outcome, Plan, PlannedCase, RunHeader,
    WorkSummary,
};
use assay_store::RunDirectory;
use assay_sweep::{remaining, select};
use assay_trace::summary;

use crate::arguments::{Cli, RunArgs, Verb};
use crate::device::Place;
use crate::exit::{Ending, Fault, Verdict, machine, print};
use crate::predictions::{On, Predictor};
use crate::probe::{Depth, probe};
use crate::progress::Progress;
use crate::sources::{now, sources};
use crate::table::si;
use crate::{claims, defaults, host_profile, plans, registry, reporting};

/// Set by ctrl-C: the case at hand ends, its samples are kept.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

pub(crate) fn run(args: &RunArgs) -> Verdict {
    if args.host != "local" {
        return Err(anyhow!(
            "--host {}: this version measures on the local machine only \
             (`local`)",
            args.host
        )
        .into());
    }
    registry::check_model(args.model.as_deref())?;
    watch_for_ctrl_c();
    let (directory, place) = open(args)?;
    let args = &as_first_asked(args, &directory);
    registry::check_model(args.model.as_deref())?;
    let plan = directory.header().plan.clone();
    let on = profiles(&plan, &place)?;
    let failed = measure(args, &plan, &directory, &place)?;
    if INTERRUPTED.load(Ordering::Relaxed) {
        print(&format!(
            "interrupted; what was measured is kept. To finish:\n  assay run \
             --resume {}\n",
            directory.path().display()
        ));
        return Ok(Ending::Failed);
    }
    analyse(args, &plan, &directory, &on)?;
    reporting::write_run_report(&directory)?;
    print(&reporting::summary(&directory)?);
    Ok(if failed { Ending::Failed } else { Ending::Done })
}

/// Whether the tour is asked for.
fn is_tour(args: &RunArgs) -> bool {
    args.words.is_empty()
        && args.resume.is_none()
        && args.plan.as_deref().is_none_or(|plan| plan == "tour")
}

/// Whether something is searched for on this machine, which it takes a profile
/// of.
fn searches_here(plan: &Plan) -> bool {
    plan.cases.iter().any(|planned| {
        planned.measure && planned.case.axis("target") == Some(defaults::HOST)
    })
}

/// The tour sets predictions beside measurements, and a search for this
/// machine stands on them, so a machine that was never probed is probed first,
/// quickly.
fn probe_once() -> Result<()> {
    if host_profile::load()?.is_some() {
        return Ok(());
    }
    let path = host_profile::path()?;
    eprintln!(
        "this machine has no profile yet: a quick probe first, about 40 s; \
         `assay probe` looks longer"
    );
    let profile = probe(Depth::Quick, &INTERRUPTED)?;
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)
            .with_context(|| format!("{}", parent.display()))?;
    }
    Ok(profile.save(&path)?)
}

/// Cases that words name, without axes filled in; all of them for no words.
pub(crate) fn cases(
    words: &[String],
    model: Option<&Path>,
) -> Result<Vec<Case>> {
    let (axes, mut patterns): (Vec<String>, Vec<String>) =
        words.iter().cloned().partition(|word| word.contains('='));
    if patterns.is_empty() {
        patterns.push(match model {
            Some(path) if assay_instaflow::config::is_network(path) => bail!(
                "{}: a network of a diffusion model; name its case, e.g. \
                 instaflow/mine/forward",
                path.display()
            ),
            Some(path) if registry::sees(path) => bail!(
                "{}: a model that sees; name its case, e.g. \
                 mstar/mine/prefill",
                path.display()
            ),
            Some(path) => {
                format!("slm/{}", assay_slm::Config::from_file(path)?.name)
            }
            None => "*".to_owned(),
        });
    }
    let catalogue = match patterns[0].parse() {
        Ok(case) => registry::catalogue_for(&case, model),
        Err(_) => registry::catalogue(),
    };
    select(&patterns, &catalogue)?
        .iter()
        .map(|path| registry::read_case(path, &axes))
        .collect()
}

/// The run directory, new or resumed, and the device that it measures on.
fn open(args: &RunArgs) -> Result<(RunDirectory, Place), Fault> {
    if let Some(path) = &args.resume {
        let directory = RunDirectory::resume(path)?;
        let first = as_first_asked(args, &directory);
        let place = Place::open(&first.device)?;
        let (then, now) = (&directory.header().device, place.title());
        if *then != now {
            return Err(machine(anyhow!(
                "{}: measured on {then}, and the device is {now} now: one \
                 run, one device",
                path.display()
            )));
        }
        return Ok((directory, place));
    }
    let place = Place::open(&args.device)?;
    let started = now();
    let plan = planned(args, &place)?;
    // What is wrong is said before the probe, and leaves no directory behind.
    let is_elsewhere = |name: &&String| !name.starts_with(defaults::HOST);
    let elsewhere: Vec<String> =
        plan.predict_on.iter().filter(is_elsewhere).cloned().collect();
    On::read_all(&elsewhere)?;
    if is_tour(args) || searches_here(&plan) {
        probe_once()?;
    }
    profiles(&plan, &place)?;
    let (commit, dirty) = sources();
    let header = RunHeader {
        format_version: FORMAT_VERSION,
        started,
        command: std::env::args().collect(),
        assay_version: env!("CARGO_PKG_VERSION").to_owned(),
        commit,
        dirty,
        toolchain: env!("ASSAY_TOOLCHAIN").to_owned(),
        device: place.title(),
        hardware_profile: if place.gpu().is_some() {
            "none: a GPU is not probed".to_owned()
        } else if host_profile::load()?.is_some() {
            defaults::HOST.to_owned()
        } else {
            "none: this machine was never probed".to_owned()
        },
        host: host_facts(),
        plan,
    };
    let path = match &args.out {
        Some(path) => path.clone(),
        None => PathBuf::from(format!("runs/{}", started.0)),
    };
    Ok((RunDirectory::create(&path, &header)?, place))
}

/// The plan that the arguments ask for, if it can be run on the device.
fn planned(args: &RunArgs, place: &Place) -> Result<Plan> {
    let mut plan = plans::plan(args)?;
    place.check(&plan)?;
    if place.gpu().is_none() {
        return Ok(plan);
    }
    // The profile of the host is of its processor, which does not do the work.
    let is_host = |name: &String| name.starts_with(defaults::HOST);
    if args.on.iter().any(is_host) {
        bail!(
            "--on host: that profile is of this machine's processor, and \
             {} is to be measured; name the profile of the GPU",
            place.name()
        );
    }
    plan.predict_on.retain(|name| !is_host(name));
    Ok(plan)
}

/// A resumed run goes on with the model, weights and data of its first
/// command, which its header keeps.
fn as_first_asked(args: &RunArgs, directory: &RunDirectory) -> RunArgs {
    use clap::Parser as _;
    let first = Cli::try_parse_from(&directory.header().command);
    match first.map(|cli| cli.verb) {
        Ok(Verb::Run(first)) if args.resume.is_some() => first,
        _ => args.clone(),
    }
}

fn watch_for_ctrl_c() {
    // A second ctrl-C ends the program at once; the store loses at most the
    // line being written. Without a handler the first does.
    let _ = ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    });
}

/// The units to predict for: those of the plan, and this machine's processor
/// when it was probed and measures.
fn profiles(plan: &Plan, place: &Place) -> Result<Vec<On>> {
    let mut on = On::read_all(&plan.predict_on)?;
    let named = |on: &On| on.profile.name == defaults::HOST;
    if place.gpu().is_none()
        && !on.iter().any(named)
        && host_profile::load()?.is_some()
    {
        on.push(On::read(defaults::HOST)?);
    }
    Ok(on)
}

/// Measures what is left to measure; whether anything failed.
fn measure(
    args: &RunArgs,
    plan: &Plan,
    directory: &RunDirectory,
    place: &Place,
) -> Result<bool, Fault> {
    let done = directory.done_cases()?;
    let left = remaining(plan, &|case: &Case| done.contains(case));
    let to_measure: Vec<&PlannedCase> =
        left.cases.iter().filter(|planned| planned.measure).collect();
    let clock = SystemClock::detect();
    let mut meters = place.meters();
    let context = Context {
        model: args.model.clone(),
        data: args.data.clone(),
        weights: args.weights.clone(),
        last_level_cache: place.cache(),
        ..Context::new(place.name(), plan.seed)
    };
    if !to_measure.is_empty() {
        registry::warm()?;
    }
    let mut progress = Progress::new(to_measure.len() as u64);
    let mut failed = false;
    for planned in to_measure {
        if INTERRUPTED.load(Ordering::Relaxed) {
            break;
        }
        let case = &planned.case;
        progress.begin(&case.to_string());
        let mut writer = directory.writer(case)?;
        let work = match work(case, args.model.as_ref()) {
            Ok(work) => work,
            Err(error) => {
                failed = true;
                for event in refusal(case, &context, format!("{error:#}")) {
                    writer.append(&event)?;
                }
                progress.end(&format!("{case}: failed: {error:#}"));
                continue;
            }
        };
        if let Some(why) = does_not_fit(&work, place) {
            for mut event in refusal(case, &context, why.clone()) {
                if let Event::Failed { skipped, .. } = &mut event {
                    *skipped = true;
                }
                writer.append(&event)?;
            }
            progress.end(&format!("{case}: skipped: {why}"));
            continue;
        }
        let workload = registry::workload(case)?;
        let scratch = Some(directory.state_path(case));
        let context = Context { scratch, ..context.clone() };
        let job = Job { workload, case, context: &context, work: Some(&work) };
        let settings = place.settings(planned.budget_s);
        let instruments = Instruments {
            clock: &clock,
            meters: &mut meters,
            allocations: Some(&crate::ALLOCATOR),
            interrupted: &INTERRUPTED,
        };
        let outcome =
            run_case(job, &settings, instruments, &mut |event: Event| {
                writer.append(&event)
            })?;
        failed |= matches!(outcome, Outcome::Failed(_));
        progress.end(&line(case, &outcome, directory));
    }
    Ok(failed)
}

fn line(case: &Case, outcome: &Outcome, directory: &RunDirectory) -> String {
    match outcome {
        Outcome::Failed(why) => format!("{case}: failed: {why}"),
        Outcome::Skipped(why) => format!("{case}: skipped: {why}"),
        Outcome::Unfinished => format!("{case}: not finished"),
        Outcome::Finished(_) => {
            let median = directory
                .case(case)
                .ok()
                .and_then(|file| file.record())
                .and_then(|record| {
                    let samples = record.steady_samples("step");
                    assay_statistics::median_estimate(&samples, 0.95).ok()
                });
            match median {
                Some(m) => format!(
                    "{case}: {} ({} to {}, {:.0} %, n = {})",
                    si(m.point, "s"),
                    si(m.low, "s"),
                    si(m.high, "s"),
                    m.confidence * 100.0,
                    m.n
                ),
                None => {
                    format!("{case}: done, too few samples for an interval")
                }
            }
        }
    }
}

fn work(case: &Case, model: Option<&PathBuf>) -> Result<WorkSummary> {
    let graph = registry::trace(case, model)?;
    Ok(summary(&graph, registry::precision(case)?))
}

/// Why a case cannot be held in memory, from its trace, before it starts.
fn does_not_fit(work: &WorkSummary, place: &Place) -> Option<String> {
    let (needed, free) = place.does_not_fit(work, available_memory())?;
    Some(format!(
        "needs {} of memory by its trace, {} are free",
        si(needed.value(), "B"),
        si(free.value(), "B")
    ))
}

/// The events of a case that is not run.
fn refusal(case: &Case, context: &Context, error: String) -> [Event; 2] {
    [
        Event::Started {
            case: case.clone(),
            at: now(),
            device: context.device.clone(),
            work: None,
        },
        Event::Failed { at: now(), error, skipped: false },
    ]
}

/// Predictions, profile summaries and rulings: derived, rewritten whole.
fn analyse(
    args: &RunArgs,
    plan: &Plan,
    directory: &RunDirectory,
    on: &[On],
) -> Result<()> {
    let mut predictor = Predictor::default();
    let model = args.model.as_ref();
    let mut predictions = Vec::new();
    let mut unpredicted = std::collections::BTreeMap::new();
    for planned in &plan.cases {
        for unit in on {
            let mut case = planned.case.clone();
            if unit.profile.name != defaults::HOST
                && !planned.given.iter().any(|axis| axis == "precision")
            {
                // Filled in with the profile's own default.
                case.axes.remove("precision");
            }
            match predictor.predict(&case, unit, None, model) {
                Ok(prediction) => predictions.push(prediction),
                Err(error) => {
                    let key = format!("{error:#}");
                    *unpredicted.entry(key).or_insert(0_u32) += 1;
                }
            }
        }
    }
    for (error, count) in unpredicted {
        eprintln!("not predicted ({count} times): {error}");
    }
    directory.save_predictions(&predictions)?;
    let summaries = on
        .iter()
        .map(|unit| Ok(unit.profile.summary(Some(unit.unit.name()))?))
        .collect::<Result<Vec<_>>>()?;
    directory.save_profiles(&summaries)?;
    let records = directory.records().context("records")?;
    directory.save_claims(&claims::judge(&records, &predictions)?)?;
    Ok(())
}
