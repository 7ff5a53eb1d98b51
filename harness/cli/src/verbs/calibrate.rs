//! `assay calibrate`: measurements of a device -> an overlay on its profile.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, anyhow};
use assay_hardware_profiles::{UnitName, digest};
use assay_predict::{Calibrated, HeldOut, Observation, calibrate, refit};

use crate::arguments::CalibrateArgs;
use crate::device::Place;
use crate::exit::{Ending, Fault, Verdict, machine, print};
use crate::measured::MeasuredTable;
use crate::micro_kernels;
use crate::predictions::{Calibration, On, Predictor};
use crate::reporting::write_file;
use crate::table::aligned;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

pub(crate) fn run(args: &CalibrateArgs) -> Verdict {
    let table = match &args.from {
        Some(from) => MeasuredTable::read(from)?,
        None => measured_here(args)?,
    };
    let mut predictor = Predictor::with(Calibration::Off);
    let (seen, left) = table.observations(&mut predictor);
    say_left(&table, &left);
    if args.joint
        && let Some(from) = &args.from
    {
        joint(args, &table, from, &seen)?;
        return Ok(Ending::Done);
    }
    let found = fit(&table, &seen)?;
    found.overlay.save(&args.out)?;
    let unfit = found.unfit.iter();
    let unfit: Vec<(usize, String)> =
        unfit.map(|u| (seen[u.index].0, u.why.clone())).collect();
    say_left(&table, &unfit);
    print(&said(&found, &args.out));
    Ok(Ending::Done)
}

fn fit(
    table: &MeasuredTable,
    seen: &[(usize, Observation)],
) -> Result<Calibrated> {
    let observations: Vec<Observation> =
        seen.iter().map(|(_, o)| o.clone()).collect();
    let source = format!("{} rows of {}", observations.len(), table.name);
    Ok(calibrate(&observations, &today(), &source)?)
}

/// Measures the micro-kernels on this machine.
fn measured_here(args: &CalibrateArgs) -> Result<MeasuredTable, Fault> {
    let device = args.device.as_deref().unwrap_or("cpu");
    let place = Place::open(device)?;
    let on = profile_of(&place, args.profile.as_deref())?;
    for file in [Some(&args.out), args.rows.as_ref()].into_iter().flatten() {
        has_folder(file)?;
    }
    let name = match &args.rows {
        Some(file) => file.display().to_string(),
        None => format!("assay calibrate on {}", on.profile.title),
    };
    let (cases, source) = match place.gpu() {
        None => {
            (micro_kernels::cases()?, format!("assay calibrate {}", today()))
        }
        Some(gpu) => (
            micro_kernels::gpu_cases()?,
            format!("assay calibrate {} on {}", today(), gpu.adapter),
        ),
    };
    let table = |seconds: &[f64]| {
        micro_kernels::table(&name, &cases, seconds, &on, &source)
    };
    // What cannot be fitted is said now: not after a minute of measuring that
    // leaves nothing behind.
    if args.rows.is_none() {
        let mut predictor = Predictor::with(Calibration::Off);
        let seconds = micro_kernels::predicted(&cases, &on, &mut predictor)?;
        let table = table(&seconds);
        fit(&table, &table.observations(&mut predictor).0)
            .context("nothing was measured")?;
    }
    let _ = ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed));
    let seconds = micro_kernels::measure(&cases, &place, &INTERRUPTED)
        .map_err(machine)?;
    let table = table(&seconds);
    if let Some(file) = &args.rows {
        write_file(file, micro_kernels::csv(&table)?.as_bytes())?;
        eprintln!("measured rows written to {}", file.display());
    }
    Ok(table)
}

/// The profile that measurements of a device correct.
fn profile_of(place: &Place, named: Option<&str>) -> Result<On, Fault> {
    let Some(gpu) = place.gpu() else {
        if named.is_some() {
            return Err(anyhow!(
                "--profile names a GPU's profile, for --device wgpu:N; `cpu` \
                 corrects the profile `host`, which `assay probe` makes"
            )
            .into());
        }
        return Ok(On::read("host:cpu")?);
    };
    let (name, adapter) = (place.name(), &gpu.adapter);
    if adapter.is_software {
        return Err(machine(anyhow!(
            "--device {name} is {adapter}: what it takes says nothing of a \
             GPU, and no GPU's profile is corrected by it; `assay run \
             operators --device {name}` measures it as what it is"
        )));
    }
    if !adapter.has_clock {
        return Err(machine(anyhow!(
            "--device {name} is {adapter}: it takes no time of its own work, \
             and the host's launches are not the kernels'; a driver with \
             timestamps is needed"
        )));
    }
    let Some(named) = named else {
        return Err(anyhow!(
            "--device {name} is {adapter}: name its profile with --profile, \
             e.g. --profile nvidia-l4 (`assay profiles` lists them)"
        )
        .into());
    };
    let on = On::read(named)?;
    if on.unit != UnitName::Gpu {
        return Err(anyhow!(
            "--profile {named}: its unit `{}` is no GPU; name a GPU's \
             profile, with its unit where it has several, e.g. \
             snapdragon-8-gen-3:gpu",
            on.unit
        )
        .into());
    }
    match adapter.vendor_name() {
        Some(vendor) if vendor != on.profile.vendor => Err(anyhow!(
            "--profile {named} is of a GPU by {}, and {name} ({adapter}) is \
             by {vendor}",
            on.profile.vendor
        )
        .into()),
        Some(_) | None => Ok(on),
    }
}

/// Whether a file can be made where it is wanted, before time is spent.
fn has_folder(file: &Path) -> Result<()> {
    let folder = folder(file);
    anyhow::ensure!(
        folder.is_dir(),
        "{}: no such folder as {}",
        file.display(),
        folder.display()
    );
    Ok(())
}

/// The folder of a file.
fn folder(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Rows that take no part, counted by reason.
fn say_left(table: &MeasuredTable, left: &[(usize, String)]) {
    let mut reasons: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (index, why) in left {
        let line = table.rows[*index].0;
        reasons.entry(why).or_insert((line, 0)).1 += 1;
    }
    for (why, (line, count)) in reasons {
        eprintln!("{}:{line}: {why} ({count} such)", table.name);
    }
}

/// `2026-11-24`.
fn today() -> String {
    assay_reports::utc(crate::sources::now()).chars().take(10).collect()
}

/// What a calibration found, for people.
fn said(found: &Calibrated, out: &Path) -> String {
    let mut rows = vec![
        [
            "class",
            "rows",
            "phases",
            "held out",
            "models",
            "error before",
            "error after",
            "outliers",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for (name, class) in &found.overlay.classes {
        let percent = |share: Option<f64>| {
            share.map_or_else(
                || "unknown".to_owned(),
                |share| format!("{:.1} %", share * 100.0),
            )
        };
        let count = |n: Option<usize>| {
            n.map_or_else(|| "-".to_owned(), |n| n.to_string())
        };
        rows.push(vec![
            name.clone(),
            class.rows.to_string(),
            count(class.phases),
            class.error.n.to_string(),
            count(class.error.models),
            percent(class.error.before),
            percent(class.error.after),
            class.outliers.len().to_string(),
        ]);
    }
    let mut text = format!(
        "overlay of {}:{} ({} rows)\n\n{}\n",
        found.overlay.profile,
        found.overlay.unit,
        found.overlay.rows,
        aligned(&rows)
    );
    for (name, class) in &found.overlay.classes {
        if let Some(phases) = class.phases {
            text += &format!(
                "{name}: {} factors from {phases} phases of different models; \
                 what those leave open, the priors decide\n",
                class.times.len()
            );
        }
        for outlier in &class.outliers {
            text += &format!("outlier, left out: {name}: {outlier}\n");
        }
    }
    let fitted: usize = found.overlay.classes.values().map(|c| c.rows).sum();
    if fitted < found.overlay.rows {
        text += &format!(
            "{} rows are of classes with too few rows to fit\n",
            found.overlay.rows - fitted
        );
    }
    text + &format!("written {}\n", out.display())
}

/// The constants of all devices, overlays of each, rows held out.
fn joint(
    args: &CalibrateArgs,
    table: &MeasuredTable,
    from: &Path,
    seen: &[(usize, Observation)],
) -> Result<()> {
    let observations: Vec<Observation> =
        seen.iter().map(|(_, o)| o.clone()).collect();
    let bytes = std::fs::read(from)
        .with_context(|| format!("{}: cannot be read", from.display()))?;
    let data = format!("{} {}", from.display(), digest(&bytes));
    let command = command(args, from);
    let found = refit(&observations, &data, &command, &today())?;
    write_file(&args.out, found.constants.as_bytes())?;
    if let Some(folder) = &args.overlays {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("{}", folder.display()))?;
        for overlay in &found.overlays {
            let file = folder.join(format!("{}.toml", overlay.profile));
            overlay.save(&file)?;
        }
    }
    if let Some(file) = &args.held_out {
        let text = held_out_table(table, seen, &found.held_out)?;
        write_file(file, text.as_bytes())?;
    }
    print(&summary(seen, &found.held_out));
    Ok(())
}

/// The command that repeats a joint fit.
fn command(args: &CalibrateArgs, from: &Path) -> String {
    let mut text = format!("assay calibrate --joint --from {}", from.display());
    for (option, file) in [
        ("--out", Some(&args.out)),
        ("--overlays", args.overlays.as_ref()),
        ("--held-out", args.held_out.as_ref()),
    ] {
        if let Some(file) = file {
            text += &format!(" {option} {}", file.display());
        }
    }
    text
}

/// The folds, in the order of their columns.
const FOLDS: [&str; 4] = ["new", "family", "calibrated", "overlay"];

fn folds(held: &HeldOut) -> [Option<f64>; 4] {
    [held.new, held.family, held.calibrated, held.overlay]
}

fn held_out_table(
    table: &MeasuredTable,
    seen: &[(usize, Observation)],
    held_out: &[HeldOut],
) -> Result<String> {
    let mut lines: Vec<(usize, &HeldOut)> = held_out
        .iter()
        .map(|held| (table.rows[seen[held.index].0].0, held))
        .collect();
    lines.sort_by_key(|(line, _)| *line);
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["line", "class"].iter().chain(&FOLDS))?;
    for (line, held) in lines {
        let mut cells = vec![line.to_string(), held.class.to_owned()];
        cells.extend(folds(held).map(|seconds| {
            seconds.map_or_else(String::new, |s| format!("{s:.4e}"))
        }));
        writer.write_record(&cells)?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// Mean and median absolute errors by class and fold.
fn summary(seen: &[(usize, Observation)], held_out: &[HeldOut]) -> String {
    let mut by_class: BTreeMap<&str, Vec<&HeldOut>> = BTreeMap::new();
    for held in held_out {
        by_class.entry(held.class).or_default().push(held);
    }
    let mut rows = vec![
        [
            "class",
            "fold",
            "rows",
            "mean error",
            "median",
            "90 %",
            "ratio 10 %",
            "ratio 90 %",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for (class, held) in by_class {
        for (at, fold) in FOLDS.iter().enumerate() {
            let mut ratios: Vec<f64> = held
                .iter()
                .filter_map(|h| Some(folds(h)[at]? / seen[h.index].1.seconds))
                .collect();
            if ratios.is_empty() {
                continue;
            }
            ratios.sort_by(f64::total_cmp);
            let mut errors: Vec<f64> =
                ratios.iter().map(|r| (r - 1.0).abs()).collect();
            errors.sort_by(f64::total_cmp);
            let n = errors.len();
            let mean = errors.iter().sum::<f64>() / n as f64;
            let percent = |share: f64| format!("{:.1} %", share * 100.0);
            rows.push(vec![
                class.to_owned(),
                (*fold).to_owned(),
                n.to_string(),
                percent(mean),
                percent(errors[n / 2]),
                percent(errors[n * 9 / 10]),
                format!("{:.2}", ratios[n / 10]),
                format!("{:.2}", ratios[n * 9 / 10]),
            ]);
        }
    }
    aligned(&rows)
}
