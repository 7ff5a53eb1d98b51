//! Measured and predicted side by side, on the machine that measured.

use assay_schema::Estimate;
use assay_schema::Provenance::{Measured, Predicted};

use super::several;
use crate::document::{
    Block, Cell, Column, Figure, IntervalRow, Intervals, Picture, Section,
    Spread, Table, percent, show,
};
use crate::findings::{Labels, Pair, RunFindings};

/// The section; `None` when nothing was both measured and predicted.
pub(super) fn section(runs: &[RunFindings<'_>]) -> Option<Section> {
    if runs.iter().all(|run| run.pairs.is_empty()) {
        return None;
    }
    let mut worst_first: Vec<(&RunFindings<'_>, &Pair<'_>)> = runs
        .iter()
        .flat_map(|run| run.pairs.iter().map(move |pair| (run, pair)))
        .collect();
    worst_first
        .sort_by(|(_, a), (_, b)| b.error.abs().total_cmp(&a.error.abs()));
    Some(Section {
        id: "measured-and-predicted".into(),
        title: "Measured and predicted on this machine".into(),
        blocks: vec![
            Block::Figure(figure(runs, &worst_first)),
            Block::Table(table(runs, &worst_first)),
        ],
    })
}

/// More rows than this make no picture; the table holds the rest.
const MOST_ROWS: usize = 30;

fn figure(
    runs: &[RunFindings<'_>],
    pairs: &[(&RunFindings<'_>, &Pair<'_>)],
) -> Figure {
    let labels =
        Labels::of(pairs.iter().map(|(_, pair)| &pair.measured.record.case));
    let rows = pairs.iter().take(MOST_ROWS).map(|(run, pair)| {
        let mut label = labels.short(&pair.measured.record.case);
        if several(runs) {
            label.push_str(&format!(" · {}", run.machine));
        }
        let measured = &pair.measured.latency;
        let predicted = &pair.predicted.latency_s;
        let over_measured = |estimate: &Estimate| {
            Spread::from(&estimate.scaled(1.0 / measured.point))
        };
        let text =
            |e: &Estimate| show(e.point, Some((e.low, e.high)), "s").value();
        IntervalRow {
            label,
            remark: format!(
                "measured {}, predicted {}, {}",
                text(measured),
                text(predicted),
                percent(pair.error)
            ),
            short_remark: percent(pair.error),
            marks: vec![
                (Predicted, over_measured(predicted)),
                (Measured, over_measured(measured)),
            ],
        }
    });
    let rows: Vec<IntervalRow> = rows.collect();
    let mut caption = format!(
        "Each row is one case, the largest error first. Time is shown over \
         the measured median, so the measured mark stands at 1 with its \
         {:.0} % interval; the predicted mark carries its band. The shaded \
         strip is within 20 %.",
        pairs.first().map_or(95.0, |(_, pair)| {
            pair.measured.latency.confidence * 100.0
        })
    );
    let shared = labels.shared_text();
    if !shared.is_empty() {
        caption.push_str(&format!(" All cases: {shared}."));
    }
    if pairs.len() > rows.len() {
        caption.push_str(&format!(
            " The {} with the smallest errors are in the table only.",
            pairs.len() - rows.len()
        ));
    }
    Figure {
        id: "measured-and-predicted".into(),
        title: "Predicted over measured time".into(),
        caption,
        picture: Picture::Intervals(Intervals {
            axis: "time over measured time".into(),
            rows,
            band: (0.8, 1.2),
        }),
        data: None,
    }
}

fn table(
    runs: &[RunFindings<'_>],
    pairs: &[(&RunFindings<'_>, &Pair<'_>)],
) -> Table {
    let mut columns = vec![
        Column::words("Case", "case"),
        Column::numbers("Measured time", "measured_s"),
        Column::numbers("Predicted time", "predicted_s"),
        Column::numbers("Error", "error"),
        Column::words("Bound by", "bound"),
    ];
    if several(runs) {
        columns.insert(1, Column::words("Machine", "machine"));
    }
    let mut table = Table::new(
        "measured-and-predicted",
        "Measured and predicted time of the same case, the largest error \
         first",
        columns,
    );
    for (run, pair) in pairs {
        let case = pair.measured.record.case.to_string();
        let mut row = vec![
            Cell::name(&case),
            Cell::estimate(&pair.measured.latency, "s", Measured),
            Cell::estimate(&pair.predicted.latency_s, "s", Predicted),
            Cell::Change(pair.error),
            Cell::text(pair.predicted.bound.name()),
        ];
        if several(runs) {
            row.insert(1, Cell::text(&run.machine));
        }
        table.rows.push(row);
    }
    table
}
