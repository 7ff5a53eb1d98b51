//! Hardware: the same case on several machines, bars with their bands.

use super::{LONG, left_out_text, status, value};
use crate::document::{
    BarGroup, BarRow, Bars, Block, Cell, Column, Figure, Picture, Section,
    Spread, Table, printable, show,
};
use crate::findings::{
    AcrossPlaces, Quantity, RunFindings, across_places, axes_text, has_width,
    readings,
};

/// Bars of a case; all are in the table.
const MOST_BARS: usize = 16;

/// The section; `None` when no case stands on three machines.
pub(super) fn section(runs: &[RunFindings<'_>]) -> Option<Section> {
    let (cases, left_out) = across_places(&readings(runs, Quantity::Time));
    if cases.is_empty() {
        return None;
    }
    let groups = cases.iter().map(group).collect();
    let cut: usize = cases
        .iter()
        .map(|one| one.readings.len().saturating_sub(MOST_BARS))
        .sum();
    Some(Section {
        id: "survey-hardware".into(),
        title: "The same case on several machines".into(),
        blocks: vec![
            Block::Figure(Figure {
                id: "survey-hardware".into(),
                title: "Time of the same case by machine".into(),
                caption: format!(
                    "Time of one pass, shorter is faster; each group has a \
                     scale of its own. The line on a bar is its interval: of \
                     a measured median, or the band of a prediction; a \
                     published number has none. Shown are, of each workload \
                     and phase, the cases of which the most is known.{}{}",
                    left_out_text(cut, "bar"),
                    match left_out {
                        0 => String::new(),
                        1 => " One more case stands on several machines; the \
                              table of everything has it."
                            .to_owned(),
                        n => format!(
                            " {n} more cases stand on several machines; the \
                             table of everything has them."
                        ),
                    }
                ),
                picture: Picture::Bars(Bars { groups, unit: "s" }),
                data: None,
            }),
            Block::Table(table(&cases)),
        ],
    })
}

fn group(one: &AcrossPlaces) -> BarGroup {
    let case = &one.case;
    let mut title = case.path();
    let axes = axes_text(&case.axes);
    if !axes.is_empty() {
        title.push_str(&format!(", {axes}"));
    }
    let rows = one
        .readings
        .iter()
        .take(MOST_BARS)
        .map(|reading| {
            let value = &reading.value;
            let interval = has_width(value).then_some((value.low, value.high));
            BarRow {
                label: printable(&reading.place),
                remark: show(value.point, interval, "s").value(),
                provenance: reading.provenance,
                value: Spread::from(value),
            }
        })
        .collect();
    BarGroup { title: printable(&title), rows }
}

fn table(cases: &[AcrossPlaces]) -> Table {
    let mut table = Table::new(
        "survey-hardware",
        "Time of the same case by machine",
        vec![
            Column::words("Case", "case"),
            Column::words("Where", "where"),
            Column::words("Status", "status"),
            Column::numbers("Time", "time_s"),
        ],
    );
    for one in cases {
        for reading in &one.readings {
            table.rows.push(vec![
                Cell::name(&one.case.to_string()),
                Cell::text(&reading.place),
                status(reading.provenance),
                value(reading, Quantity::Time),
            ]);
        }
    }
    table.bulk = table.rows.len() > LONG;
    table
}
