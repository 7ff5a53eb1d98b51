//! How the bands of the shipped constants cover what was measured.

use assay_statistics::median;

use super::groups::share;
use crate::document::{Block, Cell, Column, Section, Table};
use crate::findings::{Constants, by_class, class_title, errors};
use crate::{Fold, ValidationRow};

/// The fold that is nearest to how a device with an overlay is predicted.
const OVERLAY: Constants = Constants::HeldOut(Fold::Overlay);

/// The section; `None` without rows.
pub(super) fn section(rows: &[&ValidationRow]) -> Option<Section> {
    let confidence = rows.first()?.predicted.confidence;
    let percents = |title: &str, key: &str| {
        let mut column = Column::exact(title, key);
        column.said_unit = Some("%");
        column
    };
    let mut table = Table::new(
        "bands",
        format!(
            "Measured times inside the shipped constants' {:.0} % band, in %",
            confidence * 100.0
        ),
        vec![
            Column::words("Class", "class"),
            Column::counts("Rows", "rows"),
            percents("Inside", "inside"),
            percents("Below it", "below"),
            percents("Above it", "above"),
            percents("Half width", "half_width"),
            percents("Mean error", "mean_error"),
            percents("Held out, inside", "held_out_inside"),
        ],
    );
    for (class, rows) in by_class(rows) {
        table.rows.extend(line(class_title(class), &rows));
    }
    table.rows.extend(line("All classes", rows));
    Some(Section {
        id: "bands".into(),
        title: "How the bands cover".into(),
        blocks: vec![
            Block::Paragraph(format!(
                "A band is meant to hold the measured time in {:.0} of 100 \
                 cases. Half width: half of high less low, over \
                 the prediction; the median. The predictions are those of the shipped \
                 constants and overlays, which were fitted to the published \
                 rows, so that more lie inside than of others would. Held \
                 out: the same band around the prediction of an overlay that \
                 had not seen the row ({}).",
                confidence * 100.0,
                OVERLAY.title()
            )),
            Block::Table(table),
        ],
    })
}

fn line(title: &str, rows: &[&ValidationRow]) -> Option<Vec<Cell>> {
    let n = rows.len() as f64;
    let part = |test: fn(&ValidationRow) -> bool| {
        share(rows.iter().filter(|row| test(row)).count() as f64 / n)
    };
    let widths: Vec<f64> = rows
        .iter()
        .map(|row| {
            let p = &row.predicted;
            (p.high - p.low) / 2.0 / p.point
        })
        .collect();
    let below = |row: &ValidationRow| row.observed.point() < row.predicted.low;
    let above = |row: &ValidationRow| row.observed.point() > row.predicted.high;
    let inside = |row: &ValidationRow| {
        (row.predicted.low..=row.predicted.high).contains(&row.observed.point())
    };
    Some(vec![
        Cell::text(title),
        Cell::Count(rows.len()),
        part(inside),
        part(below),
        part(above),
        share(median(&widths).ok()?),
        share(errors(rows, Constants::Shipped)?.mean),
        held_out(rows),
    ])
}

/// Share inside the shipped band moved to the held-out prediction.
fn held_out(rows: &[&ValidationRow]) -> Cell {
    let inside: Vec<bool> = rows
        .iter()
        .filter_map(|row| {
            let moved = OVERLAY.predicted(row)? / row.predicted.point;
            let (low, high) = (row.predicted.low, row.predicted.high);
            let band = low * moved..=high * moved;
            Some(band.contains(&row.observed.point()))
        })
        .collect();
    if inside.is_empty() {
        return Cell::none();
    }
    let count = inside.iter().filter(|inside| **inside).count();
    share(count as f64 / inside.len() as f64)
}
