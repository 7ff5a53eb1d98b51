//! What is not in the figures, and why: cases without a verified answer,
//! warnings, meters that this machine does not offer.

use std::collections::BTreeMap;

use assay_schema::{Reading, Warning};

use super::counted;
use crate::document::{Block, Cell, Column, Section, Table, Tone};
use crate::findings::{RunFindings, is_study, why_not_charted};

/// The section; `None` when nothing was lost.
pub(super) fn section(runs: &[RunFindings<'_>]) -> Option<Section> {
    let blocks: Vec<Block> = [not_charted(runs), warnings(runs), meters(runs)]
        .into_iter()
        .flatten()
        .map(Block::Table)
        .collect();
    (!blocks.is_empty()).then_some(Section {
        id: "losses".into(),
        title: "Not charted, warnings, missing meters".into(),
        blocks,
    })
}

fn not_charted(runs: &[RunFindings<'_>]) -> Option<Table> {
    let mut table = Table::new(
        "not-charted",
        "Cases that no figure shows, and why",
        vec![
            Column::words("Case", "case"),
            Column::words("Machine", "machine"),
            Column::words("Outcome", "outcome"),
            Column::words("Reason", "reason"),
        ],
    );
    for run in runs {
        for record in &run.records {
            if let Some((word, reason)) = why_not_charted(record) {
                let tone = match word {
                    "failed" | "wrong answer" => Tone::Bad,
                    _ => Tone::Unsure,
                };
                table.rows.push(vec![
                    Cell::name(&record.case.to_string()),
                    Cell::text(&run.machine),
                    Cell::status(word, tone),
                    Cell::text(&reason),
                ]);
            } else if !is_study(&record.case)
                && !run
                    .measured
                    .iter()
                    .any(|measured| measured.record.case == record.case)
            {
                table.rows.push(vec![
                    Cell::name(&record.case.to_string()),
                    Cell::text(&run.machine),
                    Cell::status("no interval", Tone::Unsure),
                    Cell::text(
                        "finished and right, but with too few steady samples \
                         for an interval; give it a larger budget",
                    ),
                ]);
            }
        }
    }
    (!table.rows.is_empty()).then_some(table)
}

fn warnings(runs: &[RunFindings<'_>]) -> Option<Table> {
    let mut table = Table::new(
        "warnings",
        "Warnings, and what to do about them",
        vec![
            Column::words("Case", "case"),
            Column::words("Machine", "machine"),
            Column::words("Warning", "warning"),
            Column::words("What was seen", "message"),
        ],
    );
    for run in runs {
        let row = |case: &str, warning: &Warning| {
            vec![
                Cell::name(case),
                Cell::text(&run.machine),
                Cell::status(&warning.kind, Tone::Unsure),
                Cell::text(&warning.message),
            ]
        };
        // The training runs of a study say the same many times: one row a
        // model and kind, with the first message.
        let mut folded: BTreeMap<(String, &str), (usize, &Warning)> =
            BTreeMap::new();
        for record in &run.records {
            for warning in &record.warnings {
                if is_study(&record.case) {
                    let key = (record.case.path(), warning.kind.as_str());
                    folded.entry(key).or_insert((0, warning)).0 += 1;
                } else {
                    let case = record.case.to_string();
                    table.rows.push(row(&case, warning));
                }
            }
        }
        for ((path, _), (count, warning)) in folded {
            let runs = counted(count, "warning");
            table.rows.push(row(&format!("{path}: {runs}"), warning));
        }
    }
    (!table.rows.is_empty()).then_some(table)
}

fn meters(runs: &[RunFindings<'_>]) -> Option<Table> {
    let mut table = Table::new(
        "unavailable-meters",
        "Meters that gave no reading",
        vec![
            Column::words("Meter", "meter"),
            Column::words("Machine", "machine"),
            Column::words("Why", "reason"),
            Column::words("Where", "where"),
        ],
    );
    for run in runs {
        let mut reasons: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for record in &run.records {
            let mut met: Vec<(&str, &str)> = Vec::new();
            for (_, metric) in &record.metrics {
                if let Reading::Unavailable(why) = &metric.reading {
                    let key = (metric.name.as_str(), why.as_str());
                    if !met.contains(&key) {
                        met.push(key);
                    }
                }
            }
            for key in met {
                *reasons.entry(key).or_default() += 1;
            }
        }
        for ((meter, why), count) in reasons {
            table.rows.push(vec![
                Cell::name(meter),
                Cell::text(&run.machine),
                Cell::text(why),
                Cell::text(&counted(count, "case")),
            ]);
        }
    }
    (!table.rows.is_empty()).then_some(table)
}
