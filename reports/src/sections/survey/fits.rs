//! Latency and memory against parameters, with a line of least squares
//! through what each place says, and how well it fits.

use std::collections::BTreeMap;

use assay_schema::Provenance;

use super::{STYLES, left_out_text, series_label, status, value};
use crate::document::{
    Block, Cell, Column, Figure, Picture, Scale, Scatter, ScatterGroup,
    ScatterPanel, ScatterPoint, Section, Spread, Table, printable,
};
use crate::findings::{FitPanel, FitSeries, Quantity};

/// Points that draw a line, which is bent on logarithmic axes.
const LINE_POINTS: usize = 32;
/// A billion parameters, by which slopes are told.
const BILLION: f64 = 1e9;

/// Panels of a quantity.
type Panels = (Quantity, Vec<FitPanel>);

/// The section; `None` when no setting has enough models.
pub(super) fn section(panels: &[Panels]) -> Option<Section> {
    let drawn: Vec<&Panels> =
        panels.iter().filter(|(_, own)| !own.is_empty()).collect();
    if drawn.is_empty() {
        return None;
    }
    let mut blocks: Vec<Block> = drawn
        .iter()
        .map(|(quantity, own)| Block::Figure(figure(*quantity, own)))
        .collect();
    blocks.push(Block::Table(fits(&drawn)));
    blocks.push(Block::Table(points(&drawn)));
    Some(Section {
        id: "survey-parameters".into(),
        title: "Against parameters, with fits".into(),
        blocks,
    })
}

/// File name, title and axis of a quantity's figure.
fn names(quantity: Quantity) -> (&'static str, &'static str, &'static str) {
    match quantity {
        Quantity::Time => (
            "survey-latency",
            "Time of one pass against parameters, with lines of least squares",
            "time of one pass",
        ),
        Quantity::Memory => (
            "survey-memory-peak",
            "Memory at its peak against parameters, with lines of least \
             squares",
            "memory at its peak",
        ),
    }
}

fn figure(quantity: Quantity, panels: &[FitPanel]) -> Figure {
    let (id, title, y_name) = names(quantity);
    // A series keeps its colour from panel to panel.
    let mut styles: BTreeMap<(Provenance, &str), usize> = BTreeMap::new();
    let mut left_out = 0;
    let mut drawn = Vec::new();
    for panel in panels {
        let mut groups = Vec::new();
        for series in &panel.series {
            let next = styles.len();
            let key = (series.provenance, series.place.as_str());
            let style = *styles.entry(key).or_insert(next);
            if style < STYLES {
                groups.push(group(series, style));
            } else {
                left_out += 1;
            }
        }
        drawn.push(ScatterPanel {
            title: panel_title(panel),
            x: Scale {
                name: "parameters".into(),
                unit: "parameters",
                logarithmic: true,
                ends: None,
            },
            y: Scale {
                name: y_name.into(),
                unit: quantity.unit(),
                logarithmic: true,
                ends: None,
            },
            groups,
        });
    }
    Figure {
        id: id.into(),
        title: title.into(),
        caption: format!(
            "A panel a phase, at the setting that stands in the most ways \
             (measured, predicted, published), of several the one that the \
             most models are published at; a mark a model. The line through the marks of a place is that of \
             least squares, intercept + slope x parameters, fitted to that \
             place's own marks alone; it is bent because both axes are \
             logarithmic. R² and the number of models n stand beside each \
             place. Parameters are counted by the trace, for published \
             values too. Vertical lines are intervals.{}",
            left_out_text(left_out, "place")
        ),
        picture: Picture::Scatter(Scatter { panels: drawn }),
        data: None,
    }
}

fn panel_title(panel: &FitPanel) -> String {
    format!("{} {}", printable(&panel.workload), panel.setting.text())
}

fn group(series: &FitSeries, style: usize) -> ScatterGroup {
    let n = series.points.len();
    let place =
        series_label(&series.place, series.provenance, &series.precision);
    let label = match &series.line {
        Some(line) => format!("{place}: R² {:.3}, n {n}", line.r_squared),
        None => format!("{place}: no line, n {n}"),
    };
    ScatterGroup {
        label,
        provenance: series.provenance,
        style,
        points: series
            .points
            .iter()
            .map(|(parameters, reading)| ScatterPoint {
                x: *parameters,
                y: Spread::from(&reading.value),
                name: String::new(),
            })
            .collect(),
        line: line(series),
    }
}

/// The line from the smallest model to the largest, where it is above zero.
fn line(series: &FitSeries) -> Vec<(f64, f64)> {
    let ends = (series.points.first(), series.points.last());
    let (Some(line), (Some((low, _)), Some((high, _)))) = (&series.line, ends)
    else {
        return Vec::new();
    };
    let step = (high / low).ln() / (LINE_POINTS - 1) as f64;
    (0..LINE_POINTS)
        .map(|index| low * (step * index as f64).exp())
        .map(|parameters| (parameters, line.at(parameters)))
        .filter(|(_, y)| y.is_finite() && *y > 0.0)
        .collect()
}

fn fits(panels: &[&Panels]) -> Table {
    let mut table = Table::new(
        "survey-fits",
        "Lines of least squares against parameters: what a billion \
         parameters add, what is left at none, and the share R² of the \
         variance that the line explains, of n models",
        vec![
            Column::words("Quantity", "quantity"),
            Column::words("Setting", "setting"),
            Column::words("Where", "where"),
            Column::words("Status", "status"),
            Column::words("Precision", "precision"),
            Column::counts("n", "n"),
            Column::exact("Per billion", "slope_per_billion"),
            Column::exact("Intercept", "intercept"),
            Column::exact("R²", "r_squared"),
        ],
    );
    for (quantity, own) in panels {
        for panel in own {
            for series in &panel.series {
                table.rows.push(fit_row(*quantity, panel, series));
            }
        }
    }
    table.bulk = table.rows.len() > super::LONG;
    table
}

fn fit_row(
    quantity: Quantity,
    panel: &FitPanel,
    series: &FitSeries,
) -> Vec<Cell> {
    let unit = quantity.unit();
    let mut row = vec![
        Cell::text(word(quantity)),
        Cell::text(&panel_title(panel)),
        Cell::text(&series.place),
        status(series.provenance),
        Cell::text(&series.precision),
        Cell::Count(series.points.len()),
    ];
    match &series.line {
        Some(line) => row.extend([
            Cell::value(line.slope * BILLION, unit, series.provenance),
            Cell::value(line.intercept, unit, series.provenance),
            Cell::value(line.r_squared, "1", series.provenance),
        ]),
        None => row.extend([
            Cell::Gap("fewer than three models, or all alike".into()),
            Cell::none(),
            Cell::none(),
        ]),
    }
    row
}

/// What a quantity is called in tables.
fn word(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Time => "time",
        Quantity::Memory => "memory",
    }
}

/// Every mark, the tables' source of all that is drawn.
fn points(panels: &[&Panels]) -> Table {
    let mut table = Table::new(
        "survey-points",
        "Every model of these panels",
        vec![
            Column::words("Quantity", "quantity"),
            Column::words("Setting", "setting"),
            Column::words("Where", "where"),
            Column::words("Status", "status"),
            Column::words("Precision", "precision"),
            Column::words("Model", "model"),
            Column::exact("Parameters", "parameters"),
            Column::numbers("Value", "value"),
        ],
    );
    table.bulk = true;
    for (quantity, own) in panels {
        for panel in own {
            for series in &panel.series {
                for (parameters, reading) in &series.points {
                    table.rows.push(vec![
                        Cell::text(word(*quantity)),
                        Cell::text(&panel_title(panel)),
                        Cell::text(&series.place),
                        status(series.provenance),
                        Cell::text(&series.precision),
                        Cell::name(&reading.case.model),
                        Cell::value(
                            *parameters,
                            "parameters",
                            Provenance::Predicted,
                        ),
                        value(reading, *quantity),
                    ]);
                }
            }
        }
    }
    table
}
