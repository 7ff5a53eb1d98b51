//! The validation of runs: predicted against observed, row by row.

use std::collections::BTreeMap;

use assay_schema::Provenance;

use super::usable;
use crate::document::{
    Agreement, AgreementPoint, Block, Cell, Column, Document, Figure, Picture,
    Section, Spread, Table, percent,
};
use crate::findings::{ErrorSummary, error_summary};
use crate::sections::counted;
use crate::{Observed, ValidationRow};

/// The whole document.
pub(in crate::sections) fn document(rows: &[ValidationRow]) -> Document {
    let (usable, dropped) = usable(rows);
    let mut sections = vec![summary(&usable, dropped)];
    if !usable.is_empty() {
        sections.push(detail(&usable));
    }
    Document {
        title: "Predicted against observed".into(),
        subtitle: format!(
            "{} on {}",
            counted(usable.len(), "case"),
            counted(by_profile(&usable).len(), "machine")
        ),
        sections,
    }
}

fn by_profile(rows: &[ValidationRow]) -> BTreeMap<&str, Vec<ValidationRow>> {
    let mut profiles: BTreeMap<&str, Vec<ValidationRow>> = BTreeMap::new();
    for row in rows {
        profiles.entry(&row.profile).or_default().push(row.clone());
    }
    profiles
}

fn summary(rows: &[ValidationRow], dropped: usize) -> Section {
    let mut blocks = Vec::new();
    match error_summary(rows) {
        Some(summary) => {
            blocks.push(Block::Headlines(vec![sentence(&summary)]));
            blocks.push(Block::Table(profiles_table(rows)));
        }
        None => blocks.push(Block::Paragraph(
            "No case was both predicted and observed: predict on `host` \
             beside a measured run, or give a CSV with `latency_s`."
                .into(),
        )),
    }
    if dropped > 0 {
        blocks.push(Block::Warnings(vec![format!(
            "{} left out: a time that is not a finite number above zero",
            counted(dropped, "row")
        )]));
    }
    Section { id: "summary".into(), title: "Summary".into(), blocks }
}

fn unsigned(fraction: f64) -> String {
    percent(fraction).replace('+', "")
}

fn sentence(summary: &ErrorSummary) -> String {
    format!(
        "Median absolute error {} over {}, worst {}; {} lie inside the \
         predicted band.",
        unsigned(summary.median),
        counted(summary.n, "case"),
        unsigned(summary.worst),
        summary.inside,
    )
}

fn profiles_table(rows: &[ValidationRow]) -> Table {
    let mut table = Table::new(
        "error-by-machine",
        "Absolute error by machine",
        vec![
            Column::words("Machine", "machine"),
            Column::counts("Cases", "cases"),
            Column::exact("Median error", "median_error"),
            Column::exact("Worst error", "worst_error"),
            Column::counts("Inside the band", "inside_band"),
        ],
    );
    for (profile, rows) in by_profile(rows) {
        if let Some(summary) = error_summary(&rows) {
            let error = |fraction: f64| {
                Cell::value(fraction * 100.0, "%", Provenance::Predicted)
            };
            table.rows.push(vec![
                Cell::name(profile),
                Cell::Count(summary.n),
                error(summary.median),
                error(summary.worst),
                Cell::Count(summary.inside),
            ]);
        }
    }
    table
}

fn detail(rows: &[ValidationRow]) -> Section {
    let mut table = Table::new(
        "validation",
        "Predicted and observed time of each case",
        vec![
            Column::words("Case", "case"),
            Column::words("Machine", "machine"),
            Column::numbers("Observed time", "observed_s"),
            Column::numbers("Predicted time", "predicted_s"),
            Column::numbers("Error", "error"),
            Column::words("Source", "source"),
        ],
    );
    table.bulk = rows.len() > 60;
    let mut points = Vec::new();
    for row in rows {
        let (cell, observed, provenance) = match &row.observed {
            Observed::Measured(estimate) => (
                Cell::estimate(estimate, "s", Provenance::Measured),
                Spread::from(estimate),
                Provenance::Measured,
            ),
            Observed::Published(value) => (
                Cell::value(*value, "s", Provenance::Published),
                Spread { point: *value, low: *value, high: *value },
                Provenance::Published,
            ),
        };
        points.push(AgreementPoint {
            observed,
            predicted: Spread::from(&row.predicted),
            provenance,
        });
        let error = row.predicted.point / row.observed.point() - 1.0;
        table.rows.push(vec![
            Cell::name(&row.case.to_string()),
            Cell::text(&row.profile),
            cell,
            Cell::estimate(&row.predicted, "s", Provenance::Predicted),
            Cell::Change(error),
            Cell::text(&row.source),
        ]);
    }
    Section {
        id: "validation".into(),
        title: "Case by case".into(),
        blocks: vec![
            Block::Figure(Figure {
                id: "validation".into(),
                title: "Predicted over observed time".into(),
                caption: "Each mark is one case; on the diagonal the \
                    prediction is right. The strip is within 20 %. Lines are \
                    intervals. The mark's shape says how the observation was \
                    had."
                    .into(),
                picture: Picture::Agreement(Agreement { points }),
                data: None,
            }),
            Block::Table(table),
        ],
    }
}
