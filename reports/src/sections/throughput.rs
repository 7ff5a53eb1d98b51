//! Tokens a second: machines over models, one table a setting; and what a
//! batch gains over one row.

use std::collections::{BTreeMap, BTreeSet};

use assay_schema::{Case, Estimate, Provenance};

use super::{file_word, several};
use crate::document::{Block, Cell, Column, Section, Table, Tone, printable};
use crate::findings::{
    BatchGain, RunFindings, Setting, batch_gains, settings, tokens,
};

/// Tables a phase; what is beyond stands in the table of everything.
const TABLES_A_PHASE: usize = 2;

/// A row's machine, runtime and precision; measured rows sort first.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    provenance: Provenance,
    machine: String,
    runtime: String,
    precision: String,
}

/// The section; `None` without a phase that counts tokens, or a batch.
pub(super) fn section(runs: &[RunFindings<'_>]) -> Option<Section> {
    let mut blocks = Vec::new();
    let mut left_out = 0;
    let mut phases: BTreeMap<String, usize> = BTreeMap::new();
    for setting in settings(runs) {
        let Some(table) = table(runs, &setting, blocks.len()) else {
            continue;
        };
        let count = phases.entry(setting.phase.clone()).or_default();
        *count += 1;
        if *count > TABLES_A_PHASE {
            left_out += 1;
        } else {
            blocks.push(Block::Table(table));
        }
    }
    if left_out > 0 {
        blocks.push(Block::Paragraph(format!(
            "{left_out} more settings are in the table of everything."
        )));
    }
    blocks.extend(batching(runs).map(Block::Table));
    (!blocks.is_empty()).then_some(Section {
        id: "tokens".into(),
        title: "Tokens a second, machine by machine".into(),
        blocks,
    })
}

/// What decoding several rows at once gains over one, and the share of what
/// the predicted times allow; `None` where nothing was measured at both.
fn batching(runs: &[RunFindings<'_>]) -> Option<Table> {
    let mut table = Table::new(
        "batched-decode",
        "Batched decoding: tokens a second over those of one row; what the \
         predicted times of both (roofline plus overhead, on this machine's \
         own profile) allow; the share of it that is reached; and the two \
         speeds over the predicted ones whose ratio the share is: a row that \
         is faster than predicted lowers it, a slower one raises it",
        vec![
            Column::words("Machine", "machine"),
            Column::words("Case", "case"),
            Column::counts("Rows", "rows"),
            Column::numbers("Gain", "gain"),
            Column::exact("Allowed", "allowed"),
            Column::numbers("Share of it", "share"),
            Column::numbers("One row over predicted", "one_row_speed"),
            Column::numbers("Batch over predicted", "batch_speed"),
        ],
    );
    for run in runs {
        let gains = batch_gains(&run.pairs);
        table.rows.extend(gains.iter().map(|one| gain_row(run, one)));
    }
    if table.rows.is_empty() {
        return None;
    }
    if !several(runs) {
        table.columns.remove(0);
        table.rows.iter_mut().for_each(|row| {
            row.remove(0);
        });
    }
    Some(table)
}

fn gain_row(run: &RunFindings<'_>, one: &BatchGain) -> Vec<Cell> {
    vec![
        Cell::name(&run.machine),
        Cell::name(&one.case.to_string()),
        Cell::Count(one.rows),
        Cell::estimate(&one.gain, "1", Provenance::Measured),
        Cell::value(one.allowed, "1", Provenance::Predicted),
        Cell::estimate(&one.share, "1", Provenance::Measured),
        Cell::estimate(&one.one_row, "1", Provenance::Measured),
        Cell::estimate(&one.batch, "1", Provenance::Measured),
    ]
}

fn table(
    runs: &[RunFindings<'_>],
    setting: &Setting,
    index: usize,
) -> Option<Table> {
    let mut cells: BTreeMap<Place, BTreeMap<String, Cell>> = BTreeMap::new();
    let mut sizes: BTreeMap<String, u64> = BTreeMap::new();
    let rate = |latency: &Estimate, case: &Case, provenance| {
        let tokens = tokens(case)?;
        Some(Cell::estimate(&latency.inverted(tokens), "tokens/s", provenance))
    };
    for run in runs {
        for one in run.measured.iter().filter(|one| one.whole) {
            let case = &one.record.case;
            if Setting::of(case).as_ref() != Some(setting) {
                continue;
            }
            let cell = rate(&one.latency, case, Provenance::Measured)?;
            let size = one.record.work.as_ref().map_or(0, |w| w.parameters);
            let known = sizes.entry(case.model.clone()).or_default();
            *known = size.max(*known);
            let place = Place {
                provenance: Provenance::Measured,
                machine: run.machine.clone(),
                runtime: one.record.device.clone(),
                precision: case.axis("precision").unwrap_or("f32").to_owned(),
            };
            cells.entry(place).or_default().insert(case.model.clone(), cell);
        }
        for prediction in &run.predictions {
            let Some(case) = prediction.full_case() else { continue };
            if Setting::of(&case).as_ref() != Some(setting) {
                continue;
            }
            let cell = if prediction.fits == Some(false) {
                Cell::status("does not fit", Tone::Unsure)
            } else {
                rate(&prediction.latency_s, &case, Provenance::Predicted)?
            };
            let known = sizes.entry(case.model.clone()).or_default();
            *known = prediction.parameters.max(*known);
            let machine = match prediction.profile.as_str() {
                "host" => format!("{} (host)", run.machine),
                name if prediction.unit.is_empty() => name.to_owned(),
                name => format!("{name}:{}", prediction.unit),
            };
            let place = Place {
                provenance: Provenance::Predicted,
                machine,
                runtime: prediction.runtime.name().to_owned(),
                precision: case.axis("precision").unwrap_or("").to_owned(),
            };
            cells
                .entry(place)
                .or_default()
                .entry(case.model.clone())
                .or_insert(cell);
        }
    }
    if cells.is_empty() {
        return None;
    }
    let mut models: Vec<(u64, String)> =
        sizes.into_iter().map(|(model, size)| (size, model)).collect();
    models.sort();
    Some(lay_out(setting, index, &cells, &models))
}

fn lay_out(
    setting: &Setting,
    index: usize,
    cells: &BTreeMap<Place, BTreeMap<String, Cell>>,
    models: &[(u64, String)],
) -> Table {
    let id = format!("tokens-{}-{}", file_word(&setting.phase), index + 1);
    let caption = format!("Tokens a second: {}", setting.text());
    let precisions: BTreeSet<&str> =
        cells.keys().map(|place| place.precision.as_str()).collect();
    let fixed = || {
        vec![
            Column::words("Machine", "machine"),
            Column::words("Runtime", "runtime"),
            Column::words("Precision", "precision"),
        ]
    };
    let mut shown = Table::new(id.clone(), caption.clone(), fixed());
    let mut long = Table::new(id, caption, fixed());
    shown.columns.extend(models.iter().map(|(_, model)| Column {
        said_unit: Some("tokens/s"),
        ..Column::numbers(model, model)
    }));
    long.columns.push(Column::words("Model", "model"));
    long.columns.push(Column::numbers("Rate", "tokens_per_second"));
    for (place, by_model) in cells {
        let names = [
            Cell::name(&place.machine),
            Cell::text(&place.runtime),
            Cell::text(&place.precision),
        ];
        let mut row = names.to_vec();
        for (_, model) in models {
            let cell = by_model.get(model).cloned();
            row.push(cell.clone().unwrap_or(Cell::none()));
            if let Some(cell) = cell {
                let mut line = names.to_vec();
                line.extend([Cell::name(model), cell]);
                long.rows.push(line);
            }
        }
        shown.rows.push(row);
    }
    if let (1, Some(precision)) = (precisions.len(), precisions.first()) {
        shown.caption.push_str(&format!(", {}", printable(precision)));
        shown.columns.remove(2);
        shown.rows.iter_mut().for_each(|row| {
            row.remove(2);
        });
    }
    shown.long = Some(Box::new(long));
    shown
}
