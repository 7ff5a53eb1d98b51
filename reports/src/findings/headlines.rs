//! Headlines: three to five sentences with numbers that a hurried reader
//! takes away, each with its interval.

use assay_schema::{Provenance, Ruling};

use super::{
    Measured, RunFindings, Setting, error_summary, name, studies, tokens,
    validation_rows,
};
use crate::document::{Spread, percent, printable, show};

/// The sentences of a report over runs.
pub(crate) fn headlines(runs: &[RunFindings<'_>]) -> Vec<String> {
    let mut sentences = Vec::new();
    let several = runs.len() > 1;
    for run in runs {
        let place = if several {
            format!("on {}", printable(&run.machine))
        } else {
            "here".into()
        };
        // One run speaks of each phase; several speak of one phase each.
        let most = if several { 1 } else { 3 };
        let phases = ["decode", "prefill", "train-step"];
        sentences.extend(
            phases
                .into_iter()
                .filter_map(|phase| speed(run, phase, &place))
                .take(most),
        );
        if run.counts.sound == 0 && run.counts.all > 0 {
            sentences.push(format!(
                "No case {} finished with a verified answer; nothing \
                 measured is charted.",
                if several { place.as_str() } else { "of this run" }
            ));
        }
        if !several && sentences.is_empty() {
            sentences.extend(fastest_operator(run));
        }
    }
    sentences.extend(trained(runs));
    sentences.extend(accuracy(runs));
    sentences.extend(elsewhere(runs));
    sentences.extend(claims(runs));
    sentences
}

/// How fast the largest measured model goes through a phase.
fn speed(run: &RunFindings<'_>, phase: &str, place: &str) -> Option<String> {
    let of_phase = run.measured.iter().filter(|measured| {
        measured.whole && measured.record.case.phase.as_deref() == Some(phase)
    });
    // The largest model says most; the last of equals is the largest setting.
    let Measured { record, latency, .. } = of_phase.max_by_key(|measured| {
        measured.record.work.as_ref().map_or(0, |work| work.parameters)
    })?;
    let model = printable(&record.case.model);
    let confidence = latency.confidence * 100.0;
    let axis = |name: &str| record.case.axis(name).unwrap_or("?").to_owned();
    let text = |estimate: &assay_schema::Estimate, unit: &str| {
        let shown =
            show(estimate.point, Some((estimate.low, estimate.high)), unit);
        match shown.interval.clone() {
            Some((low, high)) => format!(
                "{} {place} ({low} to {high}, {confidence:.0} %)",
                shown.value()
            ),
            None => format!("{} {place}", shown.value()),
        }
    };
    Some(match (phase, tokens(&record.case)) {
        ("decode", Some(count)) => format!(
            "{model} decodes at {}, with {} tokens in the cache.",
            text(&latency.inverted(count), "tokens/s"),
            printable(&axis("context")),
        ),
        ("prefill", Some(count)) => format!(
            "{model} reads a prompt of {} tokens at {}.",
            printable(&axis("prompt")),
            text(&latency.inverted(count), "tokens/s"),
        ),
        _ => format!(
            "One {} of {model} takes {}.",
            printable(phase),
            text(latency, "s"),
        ),
    })
}

/// The operator with the highest rate of arithmetic.
fn fastest_operator(run: &RunFindings<'_>) -> Option<String> {
    let rate = |measured: &Measured<'_>| {
        let flops = measured.record.work.as_ref()?.flops.value();
        (flops > 0.0).then(|| measured.latency.inverted(flops))
    };
    let (measured, rate) = run
        .measured
        .iter()
        .filter(|measured| measured.whole)
        .filter_map(|measured| Some((measured, rate(measured)?)))
        .max_by(|(_, a), (_, b)| a.point.total_cmp(&b.point))?;
    let shown = show(rate.point, Some((rate.low, rate.high)), "FLOP/s");
    Some(format!(
        "The highest rate of arithmetic here is {}, in {}.",
        shown.text(),
        printable(&measured.record.case.to_string())
    ))
}

/// The highest mean accuracy of the first experiment.
fn trained(runs: &[RunFindings<'_>]) -> Option<String> {
    let studies = studies(runs);
    let study = studies.iter().find(|study| !study.experiment.is_empty())?;
    let (setting, best) = study
        .settings
        .iter()
        .filter_map(|s| Some((s, s.metric("quality/accuracy")?)))
        .max_by(|(_, a), (_, b)| a.spread.point.total_cmp(&b.spread.point))?;
    let Spread { point, low, high } = best.spread;
    let shown = if best.n > 1 {
        let text = show(point, Some((low, high)), "1").text();
        let seeds = best.n;
        text.replace(')', &format!(", smallest to largest of {seeds} seeds)"))
    } else {
        format!("{} (1 seed)", show(point, None, "1").text())
    };
    let place = if runs.len() > 1 {
        format!(" on {}", printable(study.machine))
    } else {
        String::new()
    };
    // Ranges of seeds may overlap: the highest mean, not "the best".
    Some(format!(
        "In the experiment {}{place}, the highest mean accuracy is {shown}, \
         of {}.",
        printable(&study.experiment),
        name(&setting.case, &study.differing(), &[]),
    ))
}

/// How far predictions of this machine were off.
fn accuracy(runs: &[RunFindings<'_>]) -> Option<String> {
    let rows: Vec<_> = validation_rows(runs)
        .into_iter()
        .filter(|row| matches!(row.observed, crate::Observed::Measured(_)))
        .collect();
    let summary = error_summary(&rows)?;
    let off = |fraction: f64| percent(fraction).replace('+', "");
    Some(format!(
        "Predicted against measured on {}: median error {} over {} {}, \
         worst {}; {} lie inside the predicted band.",
        if runs.len() > 1 { "these machines" } else { "this machine" },
        off(summary.median),
        summary.n,
        if summary.n == 1 { "case" } else { "cases" },
        off(summary.worst),
        summary.inside,
    ))
}

/// The fastest profile predicted for a decode step of the largest model.
fn elsewhere(runs: &[RunFindings<'_>]) -> Option<String> {
    let predictions = runs.iter().flat_map(|run| &run.predictions);
    let decode: Vec<_> = predictions
        .filter(|p| p.profile != "host" && p.fits != Some(false))
        .filter_map(|p| Some((p.full_case()?, *p)))
        .filter(|(case, _)| case.phase.as_deref() == Some("decode"))
        .collect();
    let largest = decode.iter().max_by_key(|(_, p)| p.parameters)?;
    let setting = Setting::of(&largest.0)?;
    let (case, best) = decode
        .iter()
        .filter(|(case, _)| {
            case.model == largest.0.model
                && Setting::of(case).as_ref() == Some(&setting)
        })
        .min_by(|(_, a), (_, b)| {
            a.latency_s.point.total_cmp(&b.latency_s.point)
        })?;
    let rate = best.latency_s.inverted(tokens(case)?);
    let shown = show(rate.point, Some((rate.low, rate.high)), "tokens/s");
    let (low, high) = shown.interval.clone()?;
    Some(format!(
        "{} is {} to decode fastest on {}: {} ({low} to {high}, {:.0} % \
         band).",
        printable(&case.model),
        Provenance::Predicted,
        printable(&best.profile),
        shown.value(),
        best.latency_s.confidence * 100.0,
    ))
}

/// How the claims came out.
fn claims(runs: &[RunFindings<'_>]) -> Option<String> {
    let all: Vec<Ruling> = runs
        .iter()
        .flat_map(|run| &run.data.claims)
        .map(|finding| finding.ruling)
        .collect();
    if all.is_empty() {
        return None;
    }
    let parts: Vec<String> = [
        Ruling::Supported,
        Ruling::Contradicted,
        Ruling::InsideNoise,
        Ruling::NotTested,
    ]
    .into_iter()
    .map(|ruling| {
        (all.iter().filter(|other| **other == ruling).count(), ruling)
    })
    .filter(|(count, _)| *count > 0)
    .map(|(count, ruling)| format!("{count} {}", ruling.name()))
    .collect();
    Some(match all.len() {
        1 => format!("One claim of a paper was judged: {}.", parts.join(", ")),
        n => format!("Of {n} claims of papers: {}.", parts.join(", ")),
    })
}
