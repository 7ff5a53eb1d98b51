//! Cases of another tool as a run directory.

use assay_schema::{
    Depth, Event, FORMAT_VERSION, Plan, PlannedCase, RunHeader, Seconds,
    StopReason, Warning,
};
use assay_store::RunDirectory;

use super::{Foreign, Format, ImportError, ImportRequest};

/// The device of an imported run: the tool does not say on what it ran.
const DEVICE: &str = "imported";

/// Writes all cases into a new run directory.
pub(super) fn write(
    format: Format,
    request: &ImportRequest<'_>,
    found: &[Foreign],
) -> Result<(), ImportError> {
    let header = header(format, request, found);
    let run = RunDirectory::create(request.out, &header)?;
    for one in found {
        let mut writer = run.writer(&one.case)?;
        for event in events(format, request.baseline, one) {
            writer.append(&event)?;
        }
    }
    Ok(())
}

fn header(
    format: Format,
    request: &ImportRequest<'_>,
    found: &[Foreign],
) -> RunHeader {
    let cases = found.iter().map(|one| PlannedCase {
        case: one.case.clone(),
        budget_s: measured(one),
        measure: true,
        given: one.case.axes.keys().cloned().collect(),
        why: format!("imported from {}", format.name()),
        experiments: Vec::new(),
    });
    RunHeader {
        format_version: FORMAT_VERSION,
        started: request.now,
        command: request.command.clone(),
        assay_version: request.assay_version.to_owned(),
        // Of the code that was measured nothing is known.
        commit: "unknown".to_owned(),
        dirty: None,
        toolchain: "unknown".to_owned(),
        device: DEVICE.to_owned(),
        hardware_profile: "none: imported".to_owned(),
        host: request.host.clone(),
        plan: Plan {
            name: format!("imported from {}", format.name()),
            depth: Depth::Default,
            seed: 0,
            predict_on: Vec::new(),
            cases: cases.collect(),
        },
    }
}

/// Time that the samples took.
fn measured(one: &Foreign) -> Seconds {
    let batch = |batch: &assay_schema::SampleBatch| {
        batch.seconds.iter().sum::<f64>() * batch.iterations as f64
    };
    Seconds(one.samples.iter().map(batch).sum())
}

/// The events of a case, in the order of a case that ran here.
fn events(format: Format, baseline: &str, one: &Foreign) -> Vec<Event> {
    let started = Event::Started {
        case: one.case.clone(),
        at: one.at,
        device: DEVICE.to_owned(),
        work: None,
    };
    let imported = Event::Warning(Warning {
        kind: "imported".to_owned(),
        message: format!(
            "measured by {}, baseline `{baseline}`, read from {}: no answer \
             was checked, and the host is the machine that imported; compare \
             it with imports from the same machine alone",
            format.name(),
            one.folder.display()
        ),
    });
    let warnings = one.warnings.iter().cloned().map(Event::Warning);
    let samples = one.samples.iter().cloned().map(Event::Sample);
    let metrics = one
        .metrics
        .iter()
        .map(|metric| Event::Meter { step: None, metric: metric.clone() });
    let finished = Event::Finished { at: one.at, stop: StopReason::Completed };
    [started, imported]
        .into_iter()
        .chain(warnings)
        .chain(samples)
        .chain(metrics)
        .chain([finished])
        .collect()
}
