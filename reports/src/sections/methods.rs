//! How the numbers were had, written from the run itself, and the glossary
//! of provenance.

use std::collections::BTreeSet;

use assay_schema::{Estimate, Outcome, StopReason};

use super::counted;
use crate::document::{Block, Section, percent, printable};
use crate::findings::{RunFindings, is_study};

/// The section.
pub(super) fn section(runs: &[RunFindings<'_>]) -> Section {
    let mut blocks: Vec<Block> = runs
        .iter()
        .map(|run| {
            let text = [
                plan(run),
                samples(run),
                studies(run),
                stopping(run),
                verification(run),
                predictions(run),
            ]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" ");
            Block::Paragraph(if runs.len() > 1 {
                format!("{}: {text}", printable(&run.machine))
            } else {
                text
            })
        })
        .collect();
    blocks.push(Block::Paragraph(
        "Measured: timed here, by this run, after its answer was found \
         right. Predicted: computed from a trace of the same code and a \
         hardware profile, or counted by the trace alone. Published: taken \
         from somebody's paper or table, with its source. The three are \
         never averaged together."
            .into(),
    ));
    Section { id: "methods".into(), title: "Methods".into(), blocks }
}

fn plan(run: &RunFindings<'_>) -> Option<String> {
    let plan = &run.data.header.plan;
    Some(format!(
        "The plan `{}` holds {}; everything random starts from seed {}.",
        printable(&plan.name),
        counted(plan.cases.len(), "case"),
        plan.seed
    ))
}

fn range(values: impl Iterator<Item = usize>) -> Option<String> {
    let values: Vec<usize> = values.collect();
    let (low, high) = (values.iter().min()?, values.iter().max()?);
    Some(if low == high { low.to_string() } else { format!("{low} to {high}") })
}

fn samples(run: &RunFindings<'_>) -> Option<String> {
    let count = |warm_up: bool| {
        range(run.measured.iter().map(|measured| {
            measured
                .record
                .samples
                .iter()
                .filter(|batch| {
                    batch.warm_up == warm_up && batch.part == measured.part
                })
                .map(|batch| batch.seconds.len())
                .sum()
        }))
    };
    let methods: BTreeSet<&str> = run
        .measured
        .iter()
        .map(|measured| common_method(&measured.latency.method))
        .collect();
    let confidence = run.measured.first()?.latency.confidence * 100.0;
    Some(format!(
        "A measured time is the median of {} steady samples a case, with an \
         interval of {confidence:.0} % ({}); the {} samples that the run \
         found to be warm-up are dropped.",
        count(false)?,
        printable(&methods.into_iter().collect::<Vec<_>>().join("; ")),
        count(true)?,
    ))
}

fn studies(run: &RunFindings<'_>) -> Option<String> {
    let trained = run
        .records
        .iter()
        .filter(|record| record.is_sound() && is_study(&record.case))
        .count();
    (trained > 0).then(|| {
        format!(
            "{} of studies finished; what is said of a setting is the mean \
             over its seeds, with the smallest and the largest seed. That \
             is no confidence interval: a few seeds do not tell one.",
            counted(trained, "training run")
        )
    })
}

/// The method without the effective sample size, which differs by case.
fn common_method(method: &str) -> &str {
    let cut =
        method.split(", ").take_while(|part| !part.ends_with(" effective"));
    let length: usize = cut.map(|part| part.len() + 2).sum();
    method.get(..length.saturating_sub(2)).unwrap_or(method)
}

fn stopping(run: &RunFindings<'_>) -> Option<String> {
    let (mut precise, mut spent, mut completed, mut interrupted) = (0, 0, 0, 0);
    let mut widest: Option<f64> = None;
    for record in &run.records {
        let Outcome::Finished(stop) = &record.outcome else { continue };
        let reached = match stop {
            StopReason::Precise { relative_half_width } => {
                precise += 1;
                Some(*relative_half_width)
            }
            StopReason::BudgetSpent { relative_half_width, .. } => {
                spent += 1;
                *relative_half_width
            }
            StopReason::Completed => {
                completed += 1;
                None
            }
            StopReason::Interrupted => {
                interrupted += 1;
                None
            }
        };
        if let Some(width) = reached.filter(|width| width.is_finite()) {
            widest = Some(widest.map_or(width, |w| w.max(width)));
        }
    }
    let parts: Vec<String> = [
        (precise, "when the interval was narrow enough"),
        (spent, "when the budget was spent"),
        (completed, "at the end of its study"),
        (interrupted, "because the user stopped it"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, how)| format!("{} {how}", counted(count, "case")))
    .collect();
    if parts.is_empty() {
        return None;
    }
    let mut text = format!("Sampling ended: {}.", parts.join(", "));
    if let Some(widest) = widest {
        text.push_str(&format!(
            " The widest interval reached is the median ±{}.",
            percent(widest).replace('+', "")
        ));
    }
    Some(text)
}

fn verification(run: &RunFindings<'_>) -> Option<String> {
    let sources: BTreeSet<&str> = run
        .records
        .iter()
        .filter_map(|record| record.verification.as_ref())
        .map(|check| check.against.as_str())
        .collect();
    if sources.is_empty() {
        return None;
    }
    Some(format!(
        "Answers were checked against: {}.",
        printable(&sources.into_iter().collect::<Vec<_>>().join("; "))
    ))
}

fn predictions(run: &RunFindings<'_>) -> Option<String> {
    let bands: BTreeSet<String> = run
        .predictions
        .iter()
        .map(|prediction| &prediction.latency_s)
        .map(|Estimate { confidence, method, .. }| {
            format!("{:.0} %, {method}", confidence * 100.0)
        })
        .collect();
    if bands.is_empty() {
        return None;
    }
    Some(format!(
        "Predicted times carry a band ({}).",
        printable(&bands.into_iter().collect::<Vec<_>>().join("; "))
    ))
}
