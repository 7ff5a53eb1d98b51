//! Where time goes: the classes of kernels of each step, measured, and beside
//! them what is predicted of the same cases.
//!
//! Bars are shares, so that a step of a second here and one of a millisecond
//! elsewhere can be compared; the times stand beside them and in the table.

use assay_schema::Provenance;

use super::counted;
use crate::document::{
    Block, Cell, Column, Figure, Picture, Section, StackRow, Stacked, Table,
    Tone, printable, show,
};
use crate::findings::{
    ClassTimes, Labels, RunFindings, all_classes, measured_times,
    predicted_elsewhere, predicted_here,
};

/// Measured cases that are drawn.
const MOST_CASES: usize = 4;
/// Parts that a bar can show in colours of their own.
const MOST_PARTS: usize = 9;
/// What the smallest classes are gathered under, where there are more.
const OTHERS: &str = "other classes";
/// Longer tables are left to CSV by Markdown and LaTeX.
const LONG: usize = 60;

const CAPTION: &str = "The share of a step that each class of kernels takes. \
    Measured: medians of the kernels' own times; what is left of the step's \
    median is the engine's own operators. Predicted: from the trace and the \
    machine's profile; overhead is what the host adds beside the kernels, and \
    what is fused into a kernel is of that kernel's class. Drawn are, of each \
    model and phase, the case with the longest measured step, and the same \
    case, or the nearest that was predicted, on other machines.";

/// The section; `None` when no record says what its kernels took.
pub(super) fn section(runs: &[RunFindings<'_>]) -> Option<Section> {
    let mut measured: Vec<(&RunFindings<'_>, ClassTimes)> = runs
        .iter()
        .flat_map(|run| {
            measured_times(run).into_iter().map(move |one| (run, one))
        })
        .collect();
    if measured.is_empty() {
        return None;
    }
    // Longest first: what is drawn is the first of its model and phase.
    measured.sort_by(|(_, a), (_, b)| {
        b.step
            .point
            .total_cmp(&a.step.point)
            .then_with(|| (&a.case, &a.place).cmp(&(&b.case, &b.place)))
    });
    let mut met: Vec<(&str, String)> = Vec::new();
    let mut bars: Vec<ClassTimes> = Vec::new();
    let mut rows: Vec<ClassTimes> = Vec::new();
    for (run, one) in &measured {
        let group = (one.place.as_str(), one.case.path());
        let drawn = met.len() < MOST_CASES && !met.contains(&group);
        rows.push(one.clone());
        rows.extend(predicted_here(run, &one.case));
        if drawn {
            met.push(group);
            let elsewhere = predicted_elsewhere(run, &one.case);
            rows.extend(elsewhere.iter().cloned());
            bars.push(one.clone());
            bars.extend(elsewhere);
        }
    }
    let left_out = measured.len() - met.len();
    Some(Section {
        id: "time-by-class".into(),
        title: "Where time goes".into(),
        blocks: vec![
            Block::Figure(figure(&bars, left_out)),
            Block::Table(table(&rows)),
        ],
    })
}

/// The classes that have a part of their own in the bars, in order: all that
/// occur, or the largest where those are too many.
fn own_parts(bars: &[ClassTimes]) -> Vec<&'static str> {
    let largest = |class: &str| {
        bars.iter().map(|bar| bar.share(class)).fold(0.0, f64::max)
    };
    let mut parts: Vec<&str> =
        all_classes().filter(|class| largest(class) > 0.0).collect();
    if parts.len() > MOST_PARTS {
        let mut by_size = parts.clone();
        by_size.sort_by(|a, b| largest(b).total_cmp(&largest(a)));
        by_size.truncate(MOST_PARTS - 1);
        parts.retain(|class| by_size.contains(class));
    }
    parts
}

fn figure(bars: &[ClassTimes], left_out: usize) -> Figure {
    let labels = Labels::of(bars.iter().map(|bar| &bar.case));
    let own = own_parts(bars);
    let others = |bar: &ClassTimes| -> f64 {
        all_classes()
            .filter(|class| !own.contains(class))
            .map(|class| bar.share(class))
            .sum()
    };
    let gathered = bars.iter().any(|bar| others(bar) > 0.0);
    let rows = bars
        .iter()
        .map(|bar| {
            let mut values: Vec<f64> =
                own.iter().map(|class| 100.0 * bar.share(class)).collect();
            if gathered {
                values.push(100.0 * others(bar));
            }
            let interval = (bar.step.low, bar.step.high);
            let step = show(bar.step.point, Some(interval), "s").value();
            StackRow {
                label: format!(
                    "{} · {}",
                    labels.short(&bar.case),
                    printable(&bar.place)
                ),
                remark: format!("{step} a step, {}", bar.provenance),
                values,
                provenance: Some(bar.provenance),
                mark: None,
            }
        })
        .collect();
    let mut caption = CAPTION.to_owned();
    if left_out > 0 {
        caption.push_str(&format!(
            " {} more in the table only.",
            match left_out {
                1 => "One measured case is".to_owned(),
                n => format!("{} are", counted(n, "measured case")),
            }
        ));
    }
    let shared = labels.shared_text();
    if !shared.is_empty() {
        caption.push_str(&format!(" All cases: {shared}."));
    }
    let parts = own.into_iter().chain(gathered.then_some(OTHERS));
    Figure {
        id: "time-by-class".into(),
        title: "Share of a step by class of kernel".into(),
        caption,
        picture: Picture::Stacked(Stacked {
            parts: parts.map(str::to_owned).collect(),
            rows,
            unit: "%",
            mark: None,
        }),
        data: None,
    }
}

/// Shares in columns; the long form has the times, too.
fn table(rows: &[ClassTimes]) -> Table {
    let caption = "Time of a step, the longest first, and the share of it \
                   that each class of kernels takes, in per cent";
    let fixed = || {
        vec![
            Column::words("Case", "case"),
            Column::words("Where", "where"),
            Column::words("Status", "status"),
        ]
    };
    let classes: Vec<&str> = all_classes()
        .filter(|class| rows.iter().any(|row| row.share(class) > 0.0))
        .collect();
    let mut shown = Table::new("time-by-class", caption, fixed());
    shown.columns.push(Column::numbers("Step", "step_s"));
    shown.columns.extend(classes.iter().map(|class| Column {
        said_unit: Some("%"),
        ..Column::exact(class, class)
    }));
    let mut long = Table::new("time-by-class", caption, fixed());
    long.columns.extend([
        Column::numbers("Step", "step_s"),
        Column::words("Class", "class"),
        Column::numbers("Time", "time_s"),
        Column::exact("Share", "share"),
    ]);
    for row in rows {
        let tone = match row.provenance {
            Provenance::Measured => Tone::Good,
            Provenance::Predicted | Provenance::Published => Tone::Neutral,
        };
        let names = [
            Cell::name(&row.case.to_string()),
            Cell::text(&row.place),
            Cell::status(&row.provenance.to_string(), tone),
            Cell::estimate(&row.step, "s", row.provenance),
        ];
        let share = |class| 100.0 * row.share(class);
        let mut cells = names.to_vec();
        cells.extend(classes.iter().map(|class| match share(class) {
            0.0 => Cell::none(),
            share => Cell::value(share, "%", row.provenance),
        }));
        shown.rows.push(cells);
        for one in &row.classes {
            let mut line = names.to_vec();
            line.extend([
                Cell::text(one.class),
                match &one.measured {
                    Some(time) => Cell::estimate(time, "s", row.provenance),
                    None => Cell::value(one.seconds, "s", row.provenance),
                },
                Cell::value(row.share(one.class), "1", row.provenance),
            ]);
            long.rows.push(line);
        }
    }
    shown.bulk = rows.len() > LONG;
    shown.long = Some(Box::new(long));
    shown
}
