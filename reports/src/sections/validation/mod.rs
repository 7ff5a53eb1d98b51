//! The validation report: predicted against observed.
//!
//! Of runs it says how far each pair is off (`runs`). Of a table of
//! measurements, which is long and of many devices and sources, it says how
//! far each class is off under constants that had not seen it, beside two
//! rooflines (`headline`); the other files are a section each.

mod bands;
mod cases;
mod groups;
mod headline;
mod language;
mod left_out;
mod runs;
mod scatter;
mod worst;

use super::counted;
use crate::document::Document;
use crate::findings::{by_device, is_time};
use crate::{Observed, Validation, ValidationRow};

pub(super) use runs::document as of_runs;

/// The document of a table.
pub(super) fn of_table(validation: &Validation) -> Document {
    let (usable, dropped) = usable(&validation.rows);
    let rows: Vec<&ValidationRow> = usable.iter().collect();
    let sections = [
        Some(headline::section(validation, &rows, dropped)),
        language::section(&rows),
        groups::section(&rows),
        scatter::section(&rows),
        worst::section(&rows),
        bands::section(&rows),
        left_out::section(validation),
        cases::section(&rows),
    ];
    Document {
        title: "Predicted against measured".into(),
        subtitle: format!(
            "{} of {} on {}",
            counted(rows.len(), "measured case"),
            validation.table,
            counted(by_device(&rows).len(), "device")
        ),
        sections: sections.into_iter().flatten().collect(),
    }
}

/// The rows whose times are times, sorted, and how many are not.
fn usable(rows: &[ValidationRow]) -> (Vec<ValidationRow>, usize) {
    let mut usable: Vec<ValidationRow> =
        rows.iter().filter(|row| is_usable(row)).cloned().collect();
    usable.sort_by(|a, b| {
        (&a.profile, &a.case, &a.source)
            .cmp(&(&b.profile, &b.case, &b.source))
            .then_with(|| a.predicted.point.total_cmp(&b.predicted.point))
            .then_with(|| a.observed.point().total_cmp(&b.observed.point()))
    });
    let dropped = rows.len() - usable.len();
    (usable, dropped)
}

fn is_usable(row: &ValidationRow) -> bool {
    let measured = match &row.observed {
        Observed::Measured(estimate) => vec![estimate.low, estimate.high],
        Observed::Published(_) => Vec::new(),
    };
    [
        row.predicted.point,
        row.predicted.low,
        row.predicted.high,
        row.observed.point(),
    ]
    .into_iter()
    .chain(measured)
    .all(is_time)
}
