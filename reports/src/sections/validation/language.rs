//! Language models: beside the rooflines, what other predictors say of whole
//! steps.

use std::collections::BTreeSet;

use assay_schema::Provenance::{Predicted, Published};

use super::groups::share;
use crate::ValidationRow;
use crate::document::{Block, Cell, Column, Section, Table};
use crate::findings::{
    Constants, beside, by_class, class_title, constants_of, errors,
    is_language_model,
};

/// The section; `None` without such rows.
pub(super) fn section(rows: &[&ValidationRow]) -> Option<Section> {
    let rows: Vec<&ValidationRow> = rows
        .iter()
        .copied()
        .filter(|row| is_language_model(&row.class))
        .collect();
    if rows.is_empty() {
        return None;
    }
    let peers: BTreeSet<&str> = rows
        .iter()
        .flat_map(|row| row.peers.keys().map(String::as_str))
        .collect();
    let peers: Vec<&str> = peers.into_iter().collect();
    let mut blocks = Vec::new();
    if !peers.is_empty() {
        blocks.push(Block::Table(means(&rows, &peers)));
    }
    blocks.push(Block::Table(lines(&rows, &peers)));
    Some(Section {
        id: "language-models".into(),
        title: "Language models".into(),
        blocks,
    })
}

/// Mean errors on the rows that every peer predicts.
fn means(rows: &[&ValidationRow], peers: &[&str]) -> Table {
    let mut columns = vec![
        Column::words("Class", "class"),
        Column::words("Constants", "constants"),
        Column::counts("Rows", "rows"),
    ];
    let mut percents = |title: &str, key: &str| {
        let mut column = Column::exact(title, key);
        column.said_unit = Some("%");
        columns.push(column);
    };
    percents("Mean", "mean_error");
    percents("Median", "median_error");
    percents("3 const.", "three_constants_mean_error");
    percents("Roofline", "roofline_mean_error");
    for peer in peers {
        percents(
            &format!("{peer}, mean"),
            &format!("{}_mean_error", key(peer)),
        );
        percents(
            &format!("{peer}, median"),
            &format!("{}_median_error", key(peer)),
        );
    }
    let mut table = Table::new(
        "language-models",
        format!(
            "Absolute error on the language-model rows that {} too, in %",
            match peers {
                [peer] => format!("{peer} predicts"),
                _ => format!("{} predict", peers.join(", ")),
            }
        ),
        columns,
    );
    for (class, rows) in by_class(rows) {
        let rows: Vec<&ValidationRow> = rows
            .into_iter()
            .filter(|row| peers.iter().all(|p| row.peers.contains_key(*p)))
            .collect();
        for constants in constants_of(&rows) {
            let Some(found) = errors(&rows, constants) else { continue };
            let other = |of: &dyn Fn(&ValidationRow) -> Option<f64>| {
                beside(&rows, constants, of).map(|beside| beside.theirs)
            };
            let mean = |of: &dyn Fn(&ValidationRow) -> Option<f64>| {
                other(of).map_or_else(Cell::none, |e| share(e.mean))
            };
            let mut line = vec![
                Cell::text(class_title(class)),
                Cell::text(constants.title()),
                Cell::Count(found.n),
                share(found.mean),
                share(found.median),
                mean(&|row| row.three_constants),
                mean(&|row| row.roofline),
            ];
            for peer in peers {
                let theirs =
                    |row: &ValidationRow| row.peers.get(*peer).copied();
                line.push(mean(&theirs));
                line.push(
                    other(&theirs).map_or_else(Cell::none, |e| share(e.median)),
                );
            }
            table.rows.push(line);
        }
    }
    table
}

/// A name as a column's key: `GenZ 0.8` as `genz_0_8`.
pub(super) fn key(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
        .collect()
}

/// The rows one by one.
fn lines(rows: &[&ValidationRow], peers: &[&str]) -> Table {
    let constants = constants_of(rows)[0];
    let mut table = Table::new(
        "language-model-rows",
        format!(
            "Each language-model row: its time, and the errors of {}",
            match constants {
                Constants::HeldOut(_) => format!(
                    "the constants that knew least ({}; shipped where no fold \
                     has the row)",
                    constants.title()
                ),
                Constants::Shipped => "the shipped constants".into(),
            }
        ),
        vec![
            Column::words("Case", "case"),
            Column::words("Device", "device"),
            Column::exact("Measured", "measured_s"),
            Column::exact("Predicted", "predicted_s"),
            Column::numbers("Error", "error"),
            Column::numbers("3 const.", "three_constants_error"),
            Column::numbers("Roofline", "roofline_error"),
        ],
    );
    for peer in peers {
        let key = format!("{}_error", key(peer));
        table.columns.push(Column::numbers(peer, &key));
    }
    table.columns.push(Column::words("Source", "source"));
    table.bulk = rows.len() > 30;
    for row in rows {
        let observed = row.observed.point();
        let error = |seconds: Option<f64>| {
            seconds
                .map_or_else(Cell::none, |s| Cell::Change(s / observed - 1.0))
        };
        let predicted = constants.predicted(row).unwrap_or(row.predicted.point);
        let mut line = vec![
            Cell::name(&row.case.to_string()),
            Cell::text(&row.profile),
            Cell::value(observed, "s", Published),
            Cell::value(predicted, "s", Predicted),
            error(Some(predicted)),
            error(row.three_constants),
            error(row.roofline),
        ];
        line.extend(peers.iter().map(|p| error(row.peers.get(*p).copied())));
        line.push(Cell::text(&row.source));
        table.rows.push(line);
    }
    table
}
