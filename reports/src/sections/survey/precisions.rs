//! Number formats: latency and memory of each relative to f16 at the same
//! place and length, and what the format does to the answers.

use std::collections::BTreeMap;

use assay_schema::{Better, Provenance};

use super::{LONG, STYLES, left_out_text, series_label, status, value};
use crate::document::{
    Block, Cell, Column, Curve, CurvePanel, Curves, Figure, Level, Picture,
    Scale, Section, Spread, Table, printable,
};
use crate::findings::{
    PrecisionCurve, PrecisionGroup, Quality, Quantity, RunFindings, axes_text,
    axis_name, base_of, has_width, precision_groups, qualities, width_rank,
};

/// Panels of a figure; all groups are in its table.
const MOST_PANELS: usize = 8;

/// The section; `None` when nothing was read in two formats.
pub(super) fn section(runs: &[RunFindings<'_>]) -> Option<Section> {
    let mut blocks = Vec::new();
    for quantity in Quantity::ALL {
        let groups = precision_groups(runs, quantity);
        if !groups.is_empty() {
            blocks.push(Block::Figure(figure(quantity, &groups)));
            blocks.push(Block::Table(table(quantity, &groups)));
        }
    }
    let found = qualities(runs);
    if !found.is_empty() {
        blocks.push(Block::Table(quality_table(&found, runs.len() > 1)));
    }
    (!blocks.is_empty()).then_some(Section {
        id: "survey-precision".into(),
        title: "Number formats".into(),
        blocks,
    })
}

/// File name and what is drawn.
fn names(quantity: Quantity) -> (&'static str, &'static str) {
    match quantity {
        Quantity::Time => ("precision-time", "Time"),
        Quantity::Memory => ("precision-memory", "Memory at its peak"),
    }
}

fn figure(quantity: Quantity, groups: &[PrecisionGroup]) -> Figure {
    let (id, what) = names(quantity);
    let shown = &groups[..groups.len().min(MOST_PANELS)];
    // A format looks alike in every panel; the widest comes first.
    let mut formats: Vec<&PrecisionCurve> =
        shown.iter().flat_map(|group| &group.curves).collect();
    formats.sort_by_key(|curve| {
        (width_rank(&curve.precision), curve.precision.clone())
    });
    formats.dedup_by(|a, b| a.precision == b.precision);
    let styles: BTreeMap<&str, usize> = formats
        .iter()
        .enumerate()
        .map(|(style, curve)| (curve.precision.as_str(), style % STYLES))
        .collect();
    let panels = shown.iter().map(|group| panel(group, &styles)).collect();
    let mut bases: Vec<&str> =
        shown.iter().map(|group| group.base.as_str()).collect();
    bases.sort_unstable();
    bases.dedup();
    let base = printable(&bases.join(" or "));
    let mut axes: Vec<String> =
        shown.iter().map(|group| axis_name(&group.axis).0).collect();
    axes.sort();
    axes.dedup();
    Figure {
        id: id.into(),
        title: format!("{what} by number format, relative to {base}"),
        caption: format!(
            "{what} in each format over that in {base} of the same model, \
             at the same place and length; below 1 is less. Measured, \
             predicted and published ratios stand in panels of their own: \
             both sides of a ratio are of one provenance. Vertical lines are \
             intervals of measured ratios.{}",
            left_out_text(groups.len() - shown.len(), "group")
        ),
        picture: Picture::Curves(Box::new(Curves {
            panels,
            x: Scale {
                name: printable(&axes.join(" or ")),
                unit: "1",
                logarithmic: true,
                ends: None,
            },
            y: Scale {
                name: format!("over that in {base}"),
                unit: "1",
                logarithmic: false,
                ends: None,
            },
            level: Some(Level { label: base, value: 1.0 }),
        })),
        data: None,
    }
}

fn panel(group: &PrecisionGroup, styles: &BTreeMap<&str, usize>) -> CurvePanel {
    let curves = group
        .curves
        .iter()
        .map(|curve| Curve {
            label: printable(&curve.precision),
            style: styles
                .get(curve.precision.as_str())
                .copied()
                .unwrap_or_default(),
            points: curve
                .points
                .iter()
                .map(|one| (Spread::exact(one.size), Spread::from(&one.ratio)))
                .collect(),
            connected: curve.points.len() > 1,
        })
        .collect();
    CurvePanel {
        title: format!(
            "{}: {}",
            series_label(&group.place, group.provenance, ""),
            group_text(group)
        ),
        curves,
    }
}

/// `phi-1.5 decode, batch 1`, and whether times are of one token.
fn group_text(group: &PrecisionGroup) -> String {
    let case = &group.case;
    let mut text = case.model.clone();
    if let Some(phase) = &case.phase {
        text.push_str(&format!(" {phase}"));
    }
    let axes = axes_text(&case.axes);
    if !axes.is_empty() {
        text.push_str(&format!(", {axes}"));
    }
    if group.per_token {
        text.push_str(", a token");
    }
    printable(&text)
}

fn table(quantity: Quantity, groups: &[PrecisionGroup]) -> Table {
    let (id, what) = names(quantity);
    let mut table = Table::new(
        id,
        format!(
            "{what} by number format; the ratio is to the base format at the \
             same place and length"
        ),
        vec![
            Column::words("Case", "case"),
            Column::words("Where", "where"),
            Column::words("Status", "status"),
            Column::words("Of", "of"),
            Column::words("Axis", "axis"),
            Column::counts("Size", "size"),
            Column::words("Precision", "precision"),
            Column::words("Base", "base"),
            Column::numbers("Value", "value"),
            Column::numbers("Ratio", "ratio"),
        ],
    );
    for group in groups {
        for curve in &group.curves {
            for one in &curve.points {
                table.rows.push(vec![
                    Cell::name(&group.case.to_string()),
                    Cell::text(&group.place),
                    status(group.provenance),
                    Cell::text(match (quantity, group.per_token) {
                        (Quantity::Time, true) => "a token",
                        (Quantity::Time, false) => "one pass",
                        (Quantity::Memory, _) => "peak",
                    }),
                    Cell::text(&group.axis),
                    // A whole number, as it was read.
                    Cell::Count(one.size as usize),
                    Cell::text(&curve.precision),
                    Cell::text(&group.base),
                    value(&one.reading, quantity),
                    if has_width(&one.ratio) {
                        Cell::estimate(&one.ratio, "1", group.provenance)
                    } else {
                        Cell::value(one.ratio.point, "1", group.provenance)
                    },
                ]);
            }
        }
    }
    table.bulk = table.rows.len() > LONG;
    table
}

fn quality_table(found: &[Quality], named: bool) -> Table {
    let mut columns = vec![Column::words("Case", "case")];
    if named {
        columns.push(Column::words("Machine", "machine"));
    }
    columns.extend([
        Column::words("Metric", "metric"),
        Column::words("Better", "better"),
        Column::words("Precision", "precision"),
        Column::exact("Value", "value"),
        Column::words("Base", "base"),
        Column::numbers("Change", "change"),
    ]);
    let mut table = Table::new(
        "precision-quality",
        "What a number format does to the answers; the change is to the base \
         format, where that has a value other than zero. Errors and \
         divergences are distances from the exact answers themselves, and \
         have no change",
        columns,
    );
    for quality in found {
        let formats = quality.values.iter().map(|(format, _)| format.as_str());
        let base = base_of(formats);
        let of_base = quality
            .values
            .iter()
            .find(|(format, _)| Some(format.as_str()) == base)
            .map(|(_, value)| *value)
            .filter(|value| value.is_finite() && *value != 0.0)
            .filter(|_| !quality.is_distance());
        for (format, value) in &quality.values {
            let mut row = vec![Cell::name(&quality.case.to_string())];
            if named {
                row.push(Cell::text(&quality.machine));
            }
            let is_base = Some(format.as_str()) == base;
            row.extend([
                Cell::name(&quality.metric),
                Cell::text(match quality.better {
                    Better::Lower => "lower",
                    Better::Higher => "higher",
                    Better::Neither => "neither",
                }),
                Cell::text(format),
                Cell::value(*value, &quality.unit, Provenance::Measured),
                Cell::text(base.unwrap_or_default()),
                match of_base {
                    Some(of_base) if !is_base && value.is_finite() => {
                        Cell::Change(value / of_base - 1.0)
                    }
                    Some(_) | None => Cell::none(),
                },
            ]);
            table.rows.push(row);
        }
    }
    table.bulk = table.rows.len() > LONG;
    table
}
