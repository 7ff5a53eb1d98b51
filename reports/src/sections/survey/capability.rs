//! Capability against cost: published scores over predicted time and memory,
//! with the Pareto front marked.

use assay_schema::Provenance;

use super::value;
use crate::document::{
    Block, Cell, Column, Figure, Picture, Scale, Scatter, ScatterGroup,
    ScatterPanel, ScatterPoint, Section, Spread, Table, printable,
};
use crate::findings::{Costed, FitPanel, Quantity, RunFindings, Trade, trades};

/// Panels of a figure; all are in the table.
const MOST_PANELS: usize = 8;
/// The colour of models on the front.
const FRONT: usize = 1;
/// The colour of the others: grey.
const OTHERS: usize = 7;

/// The section; `None` unless enough models have both a published capability
/// and a prediction.
pub(super) fn section(
    runs: &[RunFindings<'_>],
    panels: &[(Quantity, Vec<FitPanel>)],
) -> Option<Section> {
    let all = trades(runs, panels);
    let mut blocks = Vec::new();
    for quantity in Quantity::ALL {
        let own: Vec<&Trade> =
            all.iter().filter(|trade| trade.quantity == quantity).collect();
        if !own.is_empty() {
            blocks.push(Block::Figure(figure(quantity, &own)));
        }
    }
    if blocks.is_empty() {
        return None;
    }
    blocks.push(Block::Table(table(&all)));
    Some(Section {
        id: "survey-capability".into(),
        title: "Capability against cost".into(),
        blocks,
    })
}

/// File name and what a cost is called.
fn names(quantity: Quantity) -> (&'static str, &'static str) {
    match quantity {
        Quantity::Time => ("capability-time", "time of one pass"),
        Quantity::Memory => ("capability-memory", "memory at its peak"),
    }
}

fn figure(quantity: Quantity, trades: &[&Trade]) -> Figure {
    let (id, cost) = names(quantity);
    let left_out = trades.len().saturating_sub(MOST_PANELS);
    let panels = trades
        .iter()
        .take(MOST_PANELS)
        .map(|trade| panel(trade, cost))
        .collect();
    Figure {
        id: id.into(),
        title: format!("Published capability against predicted {cost}"),
        caption: format!(
            "The vertical axis is published: a score of the model as a \
             whole, in per cent, more is better. The horizontal axis is \
             predicted: {cost}, less is better. A mark a model, n beside \
             each group. Named and joined are the models on the Pareto \
             front: no other has at least their score for at most their \
             cost, one of the two strictly. The line joins them to guide the \
             eye; it is no fit. Published and predicted numbers of one model \
             may be of different weights: a score is of the published \
             checkpoint, a cost of its shape in the precision named.{}",
            super::left_out_text(left_out, "panel")
        ),
        picture: Picture::Scatter(Scatter { panels }),
        data: None,
    }
}

fn panel(trade: &Trade, cost: &str) -> ScatterPanel {
    let (front, others): (Vec<&Costed>, Vec<&Costed>) =
        trade.models.iter().partition(|one| one.on_front);
    let point = |one: &Costed, is_named: bool| ScatterPoint {
        x: one.cost.value.point,
        y: Spread::exact(one.capability),
        name: if is_named { printable(&one.model) } else { String::new() },
    };
    let mut groups = vec![ScatterGroup {
        label: format!(
            "on the Pareto front, n {}: cost predicted, score published",
            front.len()
        ),
        provenance: Provenance::Predicted,
        style: FRONT,
        points: front.iter().map(|one| point(one, true)).collect(),
        line: front
            .iter()
            .map(|one| (one.cost.value.point, one.capability))
            .collect(),
    }];
    if !others.is_empty() {
        groups.push(ScatterGroup {
            label: format!(
                "other models, n {}: cost predicted, score published",
                others.len()
            ),
            provenance: Provenance::Predicted,
            style: OTHERS,
            points: others.iter().map(|one| point(one, false)).collect(),
            line: Vec::new(),
        });
    }
    let mut place = printable(&trade.place);
    if !trade.precision.is_empty() {
        place.push_str(&format!(", {}", printable(&trade.precision)));
    }
    ScatterPanel {
        title: format!(
            "{}: {}",
            words(&trade.capability),
            trade.setting.text()
        ),
        x: Scale {
            name: format!("{cost}, predicted, {place}"),
            unit: trade.quantity.unit(),
            logarithmic: true,
            ends: None,
        },
        y: Scale {
            name: format!("{}, published (%)", words(&trade.capability)),
            unit: "1",
            logarithmic: false,
            ends: None,
        },
        groups,
    }
}

/// `problem_solving` as `problem solving`.
fn words(metric: &str) -> String {
    printable(&metric.replace('_', " "))
}

fn table(trades: &[Trade]) -> Table {
    let mut table = Table::new(
        "survey-capability",
        "Capability, published, and cost, predicted",
        vec![
            Column::words("Workload", "workload"),
            Column::words("Model", "model"),
            Column::exact("Parameters", "parameters"),
            Column::words("Capability", "capability"),
            Column::exact("Score", "score"),
            Column::words("Cost", "cost"),
            Column::words("Setting", "setting"),
            Column::words("Where", "where"),
            Column::words("Precision", "precision"),
            Column::numbers("Value", "value"),
            Column::words("Pareto front", "on_front"),
        ],
    );
    table.bulk = true;
    for trade in trades {
        let (_, cost) = names(trade.quantity);
        for one in &trade.models {
            table.rows.push(vec![
                Cell::text(&trade.workload),
                Cell::name(&one.model),
                Cell::value(
                    one.parameters,
                    "parameters",
                    Provenance::Predicted,
                ),
                Cell::text(&trade.capability),
                Cell::value(one.capability, "%", Provenance::Published),
                Cell::text(cost),
                Cell::text(&trade.setting.text()),
                Cell::text(&trade.place),
                Cell::text(&trade.precision),
                value(&one.cost, trade.quantity),
                Cell::text(if one.on_front { "yes" } else { "" }),
            ]);
        }
    }
    table
}
