//! Case by case: every scored row with all that was predicted of it. A long
//! table is left to CSV.

use std::collections::BTreeSet;

use assay_schema::Provenance::{Measured, Predicted, Published};

use super::language::key;
use crate::document::{Block, Cell, Column, Section, Table};
use crate::findings::{Constants, constants_of};
use crate::{Observed, ValidationRow};

/// More rows than this are left to CSV.
const MOST_ROWS: usize = 300;

/// The section; `None` without rows.
pub(super) fn section(rows: &[&ValidationRow]) -> Option<Section> {
    (!rows.is_empty()).then(|| Section {
        id: "cases".into(),
        title: "Case by case".into(),
        blocks: vec![Block::Table(table(rows))],
    })
}

fn table(rows: &[&ValidationRow]) -> Table {
    let folds: Vec<Constants> = constants_of(rows)
        .into_iter()
        .filter(|constants| *constants != Constants::Shipped)
        .collect();
    let peers: BTreeSet<&str> = rows
        .iter()
        .flat_map(|row| row.peers.keys().map(String::as_str))
        .collect();
    let mut table = Table::new(
        "validation",
        "Measured and predicted time of each case",
        vec![
            Column::words("Case", "case"),
            Column::words("Class", "class"),
            Column::words("Device", "device"),
            Column::numbers("Measured", "observed_s"),
            Column::numbers("Shipped constants", "predicted_s"),
            Column::numbers("Error", "error"),
        ],
    );
    let mut column = |title: &str, key: &str| {
        table
            .columns
            .push(Column::exact(title, &format!("{}_s", self::key(key))));
    };
    for fold in &folds {
        column(fold.title(), fold.title());
    }
    column("Three constants", "three constants");
    column("Plain roofline", "roofline");
    for peer in &peers {
        column(peer, peer);
    }
    table.columns.push(Column::words("Source", "source"));
    table.bulk = rows.len() > 60;
    table.aside = rows.len() > MOST_ROWS;
    let seconds = |seconds: Option<f64>| {
        seconds.map_or_else(Cell::none, |s| Cell::value(s, "s", Predicted))
    };
    for row in rows {
        let observed = match &row.observed {
            Observed::Measured(estimate) => {
                Cell::estimate(estimate, "s", Measured)
            }
            Observed::Published(value) => Cell::value(*value, "s", Published),
        };
        let mut line = vec![
            Cell::name(&row.case.to_string()),
            Cell::text(&row.class),
            Cell::text(&row.profile),
            observed,
            Cell::estimate(&row.predicted, "s", Predicted),
            Cell::Change(row.predicted.point / row.observed.point() - 1.0),
        ];
        line.extend(folds.iter().map(|fold| seconds(fold.predicted(row))));
        line.push(seconds(row.three_constants));
        line.push(seconds(row.roofline));
        line.extend(peers.iter().map(|p| seconds(row.peers.get(*p).copied())));
        line.push(Cell::text(&row.source));
        table.rows.push(line);
    }
    table
}
