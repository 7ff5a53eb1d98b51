//! Where predicted time goes, models side by side: by kind of kernel and by
//! module, prefill and decode apart.

use assay_schema::Provenance;

use super::{LONG, left_out_text, status};
use crate::document::{
    Block, Cell, Column, Figure, Picture, Section, StackRow, Stacked, Table,
    printable, show,
};
use crate::findings::{Bar, Breakdown, RunFindings, by_kernel, by_module};
use crate::sections::{file_word, several, unique};

/// Predicted models that are drawn; all are in the table.
const MOST_MODELS: usize = 24;
/// Parts that a bar can show in colours of their own.
const MOST_PARTS: usize = 9;
/// What the smallest parts are gathered under, where there are more.
const OTHERS: &str = "other parts";

/// What time is taken apart by.
struct Way {
    word: &'static str,
    title: &'static str,
    explained: &'static str,
}

const KERNELS: Way = Way {
    word: "kernels",
    title: "by kind of kernel",
    explained: "What is fused into a kernel is of that kernel's kind; \
        overhead is what the host adds beside the kernels.",
};

const MODULES: Way = Way {
    word: "modules",
    title: "by module",
    explained: "A module's time is that of its kernels, a fused kernel's \
        shared equally by the operators in it; modules of all layers are \
        added up; overhead is what the host adds beside the kernels. \
        Published bars follow the prediction of the same model.",
};

/// The section; `None` when no unit was predicted for enough models.
pub(super) fn section(runs: &[RunFindings<'_>]) -> Option<Section> {
    let named = several(runs);
    let mut ids: Vec<String> = Vec::new();
    let mut blocks = Vec::new();
    for run in runs {
        let all = [(KERNELS, by_kernel(run)), (MODULES, by_module(run))];
        for (way, found) in all {
            for breakdown in &found {
                let id = id(&way, breakdown, &ids);
                ids.push(id.clone());
                let mut title = title(&way, breakdown);
                if named {
                    title.push_str(&format!(", {}", printable(&run.machine)));
                }
                let figure = figure(&way, breakdown, &id, &title);
                blocks.push(Block::Figure(figure));
                blocks.push(Block::Table(table(breakdown, id, title)));
            }
        }
    }
    (!blocks.is_empty()).then_some(Section {
        id: "survey-breakdown".into(),
        title: "Where predicted time goes, model by model".into(),
        blocks,
    })
}

fn id(way: &Way, breakdown: &Breakdown, taken: &[String]) -> String {
    let workload = file_word(&breakdown.workload);
    let phase = file_word(&breakdown.setting.phase);
    unique(&format!("breakdown-{}-{workload}-{phase}", way.word), taken)
}

fn title(way: &Way, breakdown: &Breakdown) -> String {
    let mut title = format!(
        "{} {}: share of predicted time {}",
        printable(&breakdown.workload),
        breakdown.setting.text(),
        way.title
    );
    if !breakdown.precision.is_empty() {
        title.push_str(&format!(", {}", printable(&breakdown.precision)));
    }
    title
}

/// The bars that are drawn: every model of which something is published, and
/// others evenly along parameters, and how many are not.
fn drawn(bars: &[Bar]) -> (Vec<&Bar>, usize) {
    let is_published = |model: &str| {
        bars.iter().any(|bar| {
            bar.model == model && bar.provenance == Provenance::Published
        })
    };
    let predicted: Vec<&Bar> = bars
        .iter()
        .filter(|bar| bar.provenance == Provenance::Predicted)
        .collect();
    let count = predicted.len();
    let is_kept = |index: usize| {
        count <= MOST_MODELS
            || index * MOST_MODELS / count != (index + 1) * MOST_MODELS / count
    };
    let kept: Vec<&str> = predicted
        .iter()
        .enumerate()
        .filter(|(index, bar)| is_kept(*index) || is_published(&bar.model))
        .map(|(_, bar)| bar.model.as_str())
        .collect();
    let shown =
        bars.iter().filter(|bar| kept.contains(&bar.model.as_str())).collect();
    (shown, count - kept.len())
}

/// The parts with a colour of their own, in order: all, or the largest where
/// those are too many.
fn own_parts<'a>(breakdown: &'a Breakdown, bars: &[&Bar]) -> Vec<&'a str> {
    let largest =
        |part: &str| bars.iter().map(|bar| bar.share(part)).fold(0.0, f64::max);
    let mut parts: Vec<&str> = breakdown
        .parts
        .iter()
        .map(String::as_str)
        .filter(|part| largest(part) > 0.0)
        .collect();
    if parts.len() > MOST_PARTS {
        let mut by_size = parts.clone();
        by_size.sort_by(|a, b| largest(b).total_cmp(&largest(a)));
        by_size.truncate(MOST_PARTS - 1);
        parts.retain(|part| by_size.contains(part));
    }
    parts
}

fn figure(way: &Way, breakdown: &Breakdown, id: &str, title: &str) -> Figure {
    let (bars, left_out) = drawn(&breakdown.bars);
    let own = own_parts(breakdown, &bars);
    let others = |bar: &Bar| -> f64 {
        let gathered =
            breakdown.parts.iter().filter(|part| !own.contains(&part.as_str()));
        gathered.map(|part| bar.share(part)).sum()
    };
    let is_gathered = bars.iter().any(|bar| others(bar) > 0.0);
    let rows = bars
        .iter()
        .map(|bar| {
            let mut values: Vec<f64> =
                own.iter().map(|part| bar.share(part)).collect();
            if is_gathered {
                values.push(others(bar));
            }
            StackRow {
                label: format!(
                    "{} · {}",
                    printable(&bar.model),
                    printable(&bar.place)
                ),
                remark: remark(bar),
                values,
                provenance: Some(bar.provenance),
                mark: None,
            }
        })
        .collect();
    let parts = own.iter().copied().chain(is_gathered.then_some(OTHERS));
    let count = breakdown
        .bars
        .iter()
        .filter(|bar| bar.provenance == Provenance::Predicted)
        .count();
    Figure {
        id: id.to_owned(),
        title: title.to_owned(),
        caption: format!(
            "{count} models on {}, by parameters; shares in per cent of the \
             predicted time of one pass. {}{}",
            printable(&breakdown.place),
            way.explained,
            left_out_text(left_out, "model")
        ),
        picture: Picture::Stacked(Stacked {
            parts: parts.map(printable).collect(),
            rows,
            unit: "%",
            mark: None,
        }),
        data: None,
    }
}

/// `24.1 ms, predicted`.
fn remark(bar: &Bar) -> String {
    match &bar.time {
        Some(time) => {
            let shown = show(time.point, Some((time.low, time.high)), "s");
            format!("{}, {}", shown.value(), bar.provenance)
        }
        None => bar.provenance.to_string(),
    }
}

fn table(breakdown: &Breakdown, id: String, title: String) -> Table {
    let mut columns = vec![
        Column::words("Model", "model"),
        Column::words("Where", "where"),
        Column::words("Status", "status"),
        Column::exact("Parameters", "parameters"),
        Column::numbers("Time", "time_s"),
    ];
    columns.extend(breakdown.parts.iter().map(|part| Column {
        said_unit: Some("%"),
        ..Column::exact(part, &file_word(part))
    }));
    let mut table = Table::new(id, format!("{title}, in per cent"), columns);
    for bar in &breakdown.bars {
        let mut row = vec![
            Cell::name(&bar.model),
            Cell::text(&bar.place),
            status(bar.provenance),
            Cell::value(bar.parameters, "parameters", Provenance::Predicted),
            match &bar.time {
                Some(time) => Cell::estimate(time, "s", bar.provenance),
                None => Cell::none(),
            },
        ];
        row.extend(breakdown.parts.iter().map(
            |part| match bar.shares.get(part) {
                Some(share) => Cell::value(*share, "%", bar.provenance),
                None => Cell::none(),
            },
        ));
        table.rows.push(row);
    }
    table.bulk = table.rows.len() > LONG;
    table
}
