//! Two run directories.

use std::path::Path;

use anyhow::anyhow;
use assay_hardware_profiles::HardwareProfile;
use assay_measure::paired::Ceiling;
use assay_measure::paired::runs::{
    RunOptions, RunSide, compare_runs, differences,
};
use assay_schema::{Case, Precision, Record, RunHeader};
use assay_store::RunDirectory;

use super::{Blocks, Compared, note_answers};
use crate::exit::Fault;
use crate::host_profile;

pub(crate) fn run_directories(
    baseline: &str,
    candidate: &str,
    how: &Blocks,
) -> Result<Compared, Fault> {
    let Blocks { rule, same_output, force, .. } = how;
    let read = |name: &str| -> Result<(RunHeader, Vec<Record>), Fault> {
        let run = RunDirectory::open(Path::new(name))?;
        let records = run.records()?;
        Ok((run.header().clone(), records))
    };
    let (a, b) = (read(baseline)?, read(candidate)?);
    let a = RunSide { name: baseline, header: &a.0, records: &a.1 };
    let b = RunSide { name: candidate, header: &b.0, records: &b.1 };
    let forced = differences(&a, &b);
    if !forced.is_empty() && !force {
        return Err(anyhow!(
            "{baseline} and {candidate} cannot be compared:\n  {}\n--force \
             compares them in spite of it, and says so in every row",
            forced.join("\n  ")
        )
        .into());
    }
    let profile = probed(&[a.header, b.header]);
    let ceiling = |case: &Case| ceiling(profile.as_ref()?, case);
    let options = RunOptions { rule: *rule, forced, ceiling: &ceiling };
    let mut made = compare_runs(&a, &b, &options)
        .map_err(|why| Fault::Input(anyhow!(why)))?;
    if *same_output {
        made.comparison.suite.notes.extend(unanswered(a.records, b.records));
    }
    note_answers(&mut made.comparison, *same_output);
    Ok(Compared {
        comparison: made.comparison,
        failed: !made.failed.is_empty(),
    })
}

/// A note for each case of both runs without an answer on a side.
fn unanswered(baseline: &[Record], candidate: &[Record]) -> Vec<String> {
    let answered = |record: &Record| record.verification.is_some();
    baseline
        .iter()
        .filter_map(|a| {
            let b = candidate.iter().find(|b| b.case == a.case)?;
            (!answered(a) || !answered(b)).then(|| {
                format!(
                    "--same-output: {} has no verified answer to compare",
                    a.case
                )
            })
        })
        .collect()
}

/// This machine's profile, if both runs were made here, on its processor.
/// A profile that cannot be read is no reason not to compare.
fn probed(headers: &[&RunHeader]) -> Option<HardwareProfile> {
    let profile = host_profile::load().ok().flatten()?;
    let here = |header: &&RunHeader| {
        let host = &header.host;
        header.device == "cpu"
            && profile.title == format!("{} ({})", host.cpu, host.name)
    };
    headers.iter().all(here).then_some(profile)
}

fn ceiling(profile: &HardwareProfile, case: &Case) -> Option<Ceiling> {
    let precision: Precision =
        case.axis("precision").unwrap_or("f32").parse().ok()?;
    let (_, unit) = profile.unit(None).ok()?;
    let peak = unit.peak(precision)?;
    let high = peak.interval.as_ref().map_or(peak.value, |i| i.high);
    Some(Ceiling {
        flops_per_second: high.0,
        what: format!("{} arithmetic of {}", precision.name(), profile.title),
    })
}
