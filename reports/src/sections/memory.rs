//! Memory at its peak, by what holds it, with the measured peak as a mark.

use assay_schema::{MemoryParts, Provenance, Record};

use super::several;
use crate::document::{
    Block, Cell, Column, Figure, Picture, Section, StackRow, Stacked, Table,
    show_bare,
};
use crate::findings::{Labels, RunFindings, is_study};

/// Parts in the order in which they are stacked.
pub(crate) const PARTS: [&str; 5] =
    ["weights", "KV cache", "gradients", "optimizer", "activations"];

const CAPTION: &str = "Bars are predicted from the trace at the moment of \
    the peak; the mark is the allocator's measured peak.";

/// Bars beyond this many are left to the table.
const MOST_ROWS: usize = 20;

fn values(parts: &MemoryParts) -> [f64; 5] {
    [
        parts.weights_bytes,
        parts.kv_cache_bytes,
        parts.gradients_bytes,
        parts.optimizer_bytes,
        parts.activations_bytes,
    ]
    .map(|bytes| bytes.value())
}

/// A charted record with its traced peak.
struct Peak<'a> {
    machine: &'a str,
    record: &'a Record,
    parts: [f64; 5],
    measured: Option<f64>,
}

impl Peak<'_> {
    fn total(&self) -> f64 {
        self.parts.iter().sum()
    }
}

/// The section; `None` without a traced peak. Studies stay out: a hundred
/// seeds have one peak, which the table of everything has.
pub(super) fn section(runs: &[RunFindings<'_>]) -> Option<Section> {
    let mut peaks: Vec<Peak<'_>> = runs
        .iter()
        .flat_map(|run| {
            run.records.iter().map(|record| (run.machine.as_str(), *record))
        })
        .filter(|(_, record)| record.is_sound() && !is_study(&record.case))
        .filter_map(|(machine, record)| {
            let parts = values(&record.work.as_ref()?.memory_peak);
            let measured = record.metric("memory_peak");
            Some(Peak {
                machine,
                record,
                parts,
                measured: measured.filter(|peak| peak.is_finite()),
            })
        })
        .filter(|peak| peak.total().is_finite() && peak.total() > 0.0)
        .collect();
    if peaks.is_empty() {
        return None;
    }
    peaks.sort_by(|a, b| {
        b.total()
            .total_cmp(&a.total())
            .then_with(|| a.record.case.cmp(&b.record.case))
    });
    // Operators are dwarfed by models: bars for models, if there are any.
    let has_model = peaks.iter().any(|peak| peak.record.case.phase.is_some());
    let drawn: Vec<&Peak<'_>> = peaks
        .iter()
        .filter(|peak| !has_model || peak.record.case.phase.is_some())
        .take(MOST_ROWS)
        .collect();
    let named = several(runs);
    Some(Section {
        id: "memory".into(),
        title: "Memory at its peak".into(),
        blocks: vec![
            Block::Figure(figure(&drawn, named)),
            Block::Table(table(&peaks, named)),
        ],
    })
}

fn figure(peaks: &[&Peak<'_>], named: bool) -> Figure {
    let labels = Labels::of(peaks.iter().map(|peak| &peak.record.case));
    let rows = peaks
        .iter()
        .map(|peak| {
            let mut label = labels.short(&peak.record.case);
            if named {
                label.push_str(&format!(" · {}", peak.machine));
            }
            let traced = show_bare(peak.total(), "B");
            let remark = match peak.measured {
                Some(measured) => {
                    format!("{traced}, measured {}", show_bare(measured, "B"))
                }
                None => traced,
            };
            StackRow {
                label,
                remark,
                values: peak.parts.to_vec(),
                provenance: None,
                mark: peak.measured,
            }
        })
        .collect();
    Figure {
        id: "memory".into(),
        title: "Predicted peak by part, and the peak that was measured".into(),
        caption: match labels.shared_text() {
            text if text.is_empty() => CAPTION.to_owned(),
            text => format!("{CAPTION} All cases: {text}."),
        },
        picture: Picture::Stacked(Stacked {
            parts: PARTS.map(str::to_owned).into(),
            rows,
            unit: "B",
            mark: Some("measured peak"),
        }),
        data: None,
    }
}

fn table(peaks: &[Peak<'_>], named: bool) -> Table {
    let mut columns = vec![Column::words("Case", "case")];
    if named {
        columns.push(Column::words("Machine", "machine"));
    }
    columns.extend(PARTS.iter().map(|part| {
        Column::exact(part, &part.to_lowercase().replace(' ', "_"))
    }));
    columns.push(Column::exact("Predicted peak", "predicted_peak"));
    columns.push(Column::exact("Measured peak", "measured_peak"));
    columns.push(Column::numbers("Error", "error"));
    let mut table =
        Table::new("memory", "Memory at its peak, by what holds it", columns);
    for peak in peaks {
        let mut row = vec![Cell::name(&peak.record.case.to_string())];
        if named {
            row.push(Cell::text(peak.machine));
        }
        row.extend(
            peak.parts
                .iter()
                .map(|part| Cell::value(*part, "B", Provenance::Predicted)),
        );
        row.push(Cell::value(peak.total(), "B", Provenance::Predicted));
        row.push(match peak.measured {
            Some(measured) => Cell::value(measured, "B", Provenance::Measured),
            None => Cell::Gap("no allocator reading".into()),
        });
        row.push(match peak.measured {
            Some(measured) if measured > 0.0 => {
                Cell::Change(peak.total() / measured - 1.0)
            }
            Some(_) | None => Cell::none(),
        });
        table.rows.push(row);
    }
    table
}
