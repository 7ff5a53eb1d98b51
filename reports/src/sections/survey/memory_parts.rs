//! Memory by what holds it, model by model: predicted as the engine
//! allocates it, and beside it what is published.

use std::collections::{BTreeMap, BTreeSet};

use assay_schema::Provenance;

use super::{LONG, left_out_text};
use crate::document::{
    Block, Cell, Column, Figure, Picture, Section, StackRow, Stacked, Table,
    printable, show_bare,
};
use crate::findings::{PartedMemory, RunFindings, parted_memory};
use crate::sections::{file_word, unique};

/// Models that are drawn; all are in the table.
const MOST_MODELS: usize = 24;
/// Parts that a bar can show in colours of their own.
const MOST_PARTS: usize = 9;
/// What parts beyond those are gathered under.
const OTHERS: &str = "other parts";
/// The row of the table that has the sum of a model's parts.
const ALL: &str = "all parts";

/// The section; `None` without predictions that say what holds their memory.
pub(super) fn section(runs: &[RunFindings<'_>]) -> Option<Section> {
    let all = parted_memory(runs);
    let mut ids: Vec<String> = Vec::new();
    let mut blocks = Vec::new();
    let alike = |a: &PartedMemory, b: &PartedMemory| a.workload == b.workload;
    for own in all.chunk_by(alike) {
        let Some(first) = own.first() else { continue };
        let id = format!("memory-parts-{}", file_word(&first.workload));
        let id = unique(&id, &ids);
        ids.push(id.clone());
        let title = format!(
            "{} {}: memory by what holds it",
            printable(&first.workload),
            first.setting.text()
        );
        blocks.push(Block::Figure(figure(own, &id, &title)));
        blocks.push(Block::Table(table(own, id, title)));
    }
    (!blocks.is_empty()).then_some(Section {
        id: "survey-memory".into(),
        title: "Memory by part, model by model".into(),
        blocks,
    })
}

/// Every part that occurs: the first prediction's in its order, then others.
fn parts(own: &[PartedMemory]) -> Vec<&str> {
    let mut parts: Vec<&str> = Vec::new();
    let names = own.iter().flat_map(|one| &one.parts);
    for (name, _) in names {
        if !parts.contains(&name.as_str()) {
            parts.push(name);
        }
    }
    parts
}

/// The models that are drawn: those of which something is published before
/// others, else the smallest first; and how many are not.
fn drawn(own: &[PartedMemory]) -> (BTreeSet<&str>, usize) {
    let of = |provenance: Provenance| {
        own.iter()
            .filter(move |one| one.provenance == provenance)
            .map(|one| one.model.as_str())
    };
    let all: BTreeSet<&str> = of(Provenance::Predicted).collect();
    let both = of(Provenance::Published).chain(of(Provenance::Predicted));
    let mut drawn = BTreeSet::new();
    for model in both {
        if drawn.len() < MOST_MODELS {
            drawn.insert(model);
        }
    }
    let left_out = all.len() - drawn.len();
    (drawn, left_out)
}

fn figure(own: &[PartedMemory], id: &str, title: &str) -> Figure {
    let (models, left_out) = drawn(own);
    let all = parts(own);
    let (shown, gathered) = all.split_at(all.len().min(MOST_PARTS - 1));
    let rows = own
        .iter()
        .filter(|one| models.contains(one.model.as_str()))
        .map(|one| {
            let bytes = |part: &&str| one.part(part).unwrap_or(0.0);
            let mut values: Vec<f64> = shown.iter().map(bytes).collect();
            if !gathered.is_empty() {
                values.push(gathered.iter().map(bytes).sum());
            }
            StackRow {
                label: format!(
                    "{} · {}",
                    printable(&one.model),
                    printable(&one.place)
                ),
                remark: format!(
                    "{}, {}",
                    show_bare(one.total(), "B"),
                    one.provenance
                ),
                values,
                provenance: Some(one.provenance),
                mark: None,
            }
        })
        .collect();
    let others = (!gathered.is_empty()).then_some(OTHERS);
    let precision = match own.first().map(|one| one.precision.as_str()) {
        Some("") | None => String::new(),
        Some(precision) => format!(" Predicted in {}.", printable(precision)),
    };
    Figure {
        id: id.to_owned(),
        title: title.to_owned(),
        caption: format!(
            "What the engine allocates, by parameters: {} models predicted, \
             {} published. A published bar follows the prediction of the \
             same model.{precision}{}",
            count(own, Provenance::Predicted),
            count(own, Provenance::Published),
            left_out_text(left_out, "model")
        ),
        picture: Picture::Stacked(Stacked {
            parts: shown.iter().copied().chain(others).map(printable).collect(),
            rows,
            unit: "B",
            mark: None,
        }),
        data: None,
    }
}

/// Models of a provenance.
fn count(own: &[PartedMemory], provenance: Provenance) -> usize {
    let models: BTreeSet<&str> = own
        .iter()
        .filter(|one| one.provenance == provenance)
        .map(|one| one.model.as_str())
        .collect();
    models.len()
}

/// A row for each part of each model, and one for their sum: predicted,
/// published, and how far the prediction is off.
fn table(own: &[PartedMemory], id: String, title: String) -> Table {
    let mut table = Table::new(
        id,
        format!("{title}; the error is predicted over published, less one"),
        vec![
            Column::words("Model", "model"),
            Column::words("Part", "part"),
            Column::exact("Predicted", "predicted"),
            Column::exact("Published", "published"),
            Column::numbers("Error", "error"),
            Column::words("Published on", "published_on"),
        ],
    );
    let mut published: BTreeMap<&str, Vec<&PartedMemory>> = BTreeMap::new();
    for one in own {
        if one.provenance == Provenance::Published {
            published.entry(&one.model).or_default().push(one);
        }
    }
    let predicted =
        own.iter().filter(|one| one.provenance == Provenance::Predicted);
    for one in predicted {
        match published.get(one.model.as_str()) {
            Some(others) => {
                for other in others {
                    table.rows.extend(rows(one, Some(other)));
                }
            }
            None => table.rows.extend(rows(one, None)),
        }
    }
    table.bulk = table.rows.len() > LONG;
    table
}

fn rows(
    predicted: &PartedMemory,
    published: Option<&PartedMemory>,
) -> Vec<Vec<Cell>> {
    let row = |name: &str, ours: Option<f64>, theirs: Option<f64>| {
        let cell = |bytes: Option<f64>, provenance| match bytes {
            Some(bytes) => Cell::value(bytes, "B", provenance),
            None => Cell::none(),
        };
        let error = match (ours, theirs) {
            (Some(ours), Some(theirs)) if theirs > 0.0 => {
                Cell::Change(ours / theirs - 1.0)
            }
            _ => Cell::none(),
        };
        vec![
            Cell::name(&predicted.model),
            Cell::text(name),
            cell(ours, Provenance::Predicted),
            cell(theirs, Provenance::Published),
            error,
            Cell::text(published.map_or("", |one| one.place.as_str())),
        ]
    };
    let mut names: Vec<&str> =
        predicted.parts.iter().map(|(name, _)| name.as_str()).collect();
    let theirs = published.into_iter().flat_map(|one| &one.parts);
    for (name, _) in theirs {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let mut rows: Vec<Vec<Cell>> = names
        .into_iter()
        .map(|name| {
            let other = published.and_then(|one| one.part(name));
            row(name, predicted.part(name), other)
        })
        .collect();
    let total = published.map(PartedMemory::total);
    rows.push(row(ALL, Some(predicted.total()), total));
    rows
}
