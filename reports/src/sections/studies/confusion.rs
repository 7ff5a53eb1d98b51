//! Confusions: which class was taken for which, each row to its whole.

use std::collections::BTreeMap;

use assay_schema::{Provenance, Record};

use super::counted;
use crate::document::{
    Cell, Column, Figure, Matrix, Picture, Table, printable,
};
use crate::findings::{Study, StudySetting, name};

const METRIC: &str = "quality/confusion";
/// Settings that are drawn, the first of the plan.
const MOST: usize = 2;
/// More classes cannot be read.
const MOST_CLASSES: usize = 32;

/// Counts by true and predicted class.
struct Confusion {
    /// In the order in which the record names them.
    classes: Vec<String>,
    counts: BTreeMap<(String, String), f64>,
    /// Records that have counts.
    seeds: usize,
}

/// The figures, for settings that have counts.
pub(super) fn figures(study: &Study<'_>, id: &str) -> Vec<Figure> {
    let differing = study.differing();
    let found: Vec<(&StudySetting<'_>, Confusion)> = study
        .settings
        .iter()
        .filter_map(|setting| Some((setting, confusion(&setting.records)?)))
        .collect();
    let count = found.len();
    let mut figures: Vec<Figure> = found
        .into_iter()
        .take(MOST)
        .enumerate()
        .map(|(index, (setting, confusion))| {
            let id = format!("{id}-confusion-{}", index + 1);
            let name = name(&setting.case, &differing, &[]);
            figure(id, &name, &confusion)
        })
        .collect();
    if let (Some(last), true) = (figures.last_mut(), count > MOST) {
        last.caption.push_str(&format!(
            " Of {count} settings, the first {MOST} of the plan are drawn."
        ));
    }
    figures
}

/// The counts of all records together; `None` without any.
fn confusion(records: &[&Record]) -> Option<Confusion> {
    let mut counts: BTreeMap<(String, String), f64> = BTreeMap::new();
    let mut classes: Vec<String> = Vec::new();
    let cells = || {
        let all = records.iter().flat_map(|r| r.metric_values(METRIC));
        all.filter_map(|(at, count)| {
            let usable = count.is_finite() && count >= 0.0;
            let pair = (at.get("true")?, at.get("predicted")?);
            (usable && at.len() == 2).then_some((pair, count))
        })
    };
    for ((actual, predicted), count) in cells() {
        let key = (actual.clone(), predicted.clone());
        *counts.entry(key).or_default() += count;
        if !classes.contains(actual) {
            classes.push(actual.clone());
        }
    }
    // A class of which there was no example, but which was predicted.
    for ((_, predicted), _) in cells() {
        if !classes.contains(predicted) {
            classes.push(predicted.clone());
        }
    }
    let readable = (1..=MOST_CLASSES).contains(&classes.len());
    let seeds = records
        .iter()
        .filter(|record| record.metric_values(METRIC).next().is_some())
        .count();
    readable.then_some(Confusion { classes, counts, seeds })
}

fn figure(id: String, name: &str, confusion: &Confusion) -> Figure {
    let title = format!("Confusion of {name}");
    let mut data = Table::new(
        id.clone(),
        title.clone(),
        vec![
            Column::words("True", "true"),
            Column::words("Predicted", "predicted"),
            Column::counts("Examples", "examples"),
            Column::exact("Share of the true class", "share"),
        ],
    );
    let mut shares = Vec::new();
    for actual in &confusion.classes {
        let count = |predicted: &String| {
            let key = (actual.clone(), predicted.clone());
            confusion.counts.get(&key).copied().unwrap_or_default()
        };
        let whole: f64 = confusion.classes.iter().map(count).sum();
        let mut row = Vec::new();
        for predicted in &confusion.classes {
            let share = (whole > 0.0).then(|| count(predicted) / whole);
            row.push(share);
            if let Some(share) = share.filter(|share| *share > 0.0) {
                data.rows.push(vec![
                    Cell::text(actual),
                    Cell::text(predicted),
                    Cell::Count(count(predicted).round() as usize),
                    Cell::value(share, "1", Provenance::Measured),
                ]);
            }
        }
        shares.push(row);
    }
    Figure {
        id,
        caption: format!(
            "A row is a true class, a column what was predicted; cells are \
             per cent of their row, and those under 1 % carry no number. \
             Measured: examples of all test SNRs and of {} together.",
            counted(confusion.seeds, "seed")
        ),
        title,
        picture: Picture::Matrix(Matrix {
            names: confusion.classes.iter().map(|c| printable(c)).collect(),
            rows: "true",
            columns: "predicted",
            shares,
        }),
        data: Some(data),
    }
}
