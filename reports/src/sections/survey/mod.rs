//! The sections of a survey: many models of one workload side by side. Each
//! appears only when there is data for it, whatever the workload.
//!
//! What was measured, predicted and published has a mark of its own in every
//! figure and a column that says so in every table; no line is fitted through
//! two of them, and no ratio is taken across them.

mod breakdown;
mod capability;
mod fits;
mod hardware;
mod memory_parts;
mod precisions;

use assay_schema::Provenance;

use crate::document::{Cell, Section, Tone, printable};
use crate::findings::{
    Quantity, Reading, RunFindings, fit_panels, has_width, parameters, readings,
};

/// Longer tables are left to CSV by Markdown and LaTeX.
const LONG: usize = 60;

/// Styles that differ in colour.
const STYLES: usize = 8;

/// The sections that have something to say.
pub(super) fn sections(runs: &[RunFindings<'_>]) -> Vec<Section> {
    let parameters = parameters(runs);
    let panels: Vec<_> = Quantity::ALL
        .into_iter()
        .map(|quantity| {
            let readings = readings(runs, quantity);
            (quantity, fit_panels(&readings, &parameters))
        })
        .collect();
    [
        fits::section(&panels),
        breakdown::section(runs),
        memory_parts::section(runs),
        precisions::section(runs),
        hardware::section(runs),
        capability::section(runs, &panels),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A provenance as a status.
fn status(provenance: Provenance) -> Cell {
    let tone = match provenance {
        Provenance::Measured => Tone::Good,
        Provenance::Predicted | Provenance::Published => Tone::Neutral,
    };
    Cell::status(&provenance.to_string(), tone)
}

/// A reading's value, with its interval where it has one.
fn value(reading: &Reading, quantity: Quantity) -> Cell {
    let unit = quantity.unit();
    if has_width(&reading.value) {
        Cell::estimate(&reading.value, unit, reading.provenance)
    } else {
        Cell::value(reading.value.point, unit, reading.provenance)
    }
}

/// `nvidia-t4:gpu, predicted, f16`.
fn series_label(
    place: &str,
    provenance: Provenance,
    precision: &str,
) -> String {
    let mut label = format!("{place}, {provenance}");
    if !precision.is_empty() {
        label.push_str(&format!(", {precision}"));
    }
    printable(&label)
}

/// ` 3 more are in the table only.`; empty for none.
fn left_out_text(count: usize, noun: &str) -> String {
    match count {
        0 => String::new(),
        1 => format!(" One more {noun} is in the table only."),
        n => format!(" {n} more {noun}s are in the table only."),
    }
}
