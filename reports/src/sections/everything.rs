//! Everything in one table: each measured case with its outcome, each
//! prediction, each published number; and beside it every meter reading.

use assay_schema::{Provenance, Reading, Record};

use crate::document::{Block, Cell, Column, Section, Table, Tone};
use crate::findings::{RunFindings, is_study, tokens, why_not_charted};

/// The section; `None` when there is nothing at all.
pub(super) fn section(runs: &[RunFindings<'_>]) -> Option<Section> {
    let blocks: Vec<Block> = [everything(runs), meters(runs), published(runs)]
        .into_iter()
        .flatten()
        .map(Block::Table)
        .collect();
    (!blocks.is_empty()).then_some(Section {
        id: "everything".into(),
        title: "Everything".into(),
        blocks,
    })
}

fn everything(runs: &[RunFindings<'_>]) -> Option<Table> {
    let mut table = Table::new(
        "everything",
        "Every case, measured and predicted",
        vec![
            Column::words("Case", "case"),
            Column::words("Where", "where"),
            Column::words("Runtime", "runtime"),
            Column::words("Status", "status"),
            Column::numbers("Time", "time"),
            Column {
                said_unit: Some("tokens/s"),
                ..Column::numbers("Tokens/s", "tokens_per_second")
            },
            Column::exact("FLOP", "flops"),
            Column::exact("Traffic", "bytes"),
            Column::exact("Parameters", "parameters"),
            Column::exact("Memory peak", "memory_peak"),
            Column::numbers("Energy", "energy"),
            Column::words("Remark", "remark"),
        ],
    );
    table.bulk = true;
    for run in runs {
        for record in &run.records {
            table.rows.extend(measured_rows(run, record));
        }
    }
    for run in runs {
        table.rows.extend(predicted_rows(run));
    }
    (!table.rows.is_empty()).then_some(table)
}

/// A row for each part of a record; one row for a case that is not charted.
fn measured_rows(run: &RunFindings<'_>, record: &Record) -> Vec<Vec<Cell>> {
    let traced = |value: Option<f64>, unit: &str| match value {
        Some(value) => Cell::value(value, unit, Provenance::Predicted),
        None => Cell::Gap("not traced".into()),
    };
    let meter = |name: &str, unit: &str| match record.metric(name) {
        Some(value) => Cell::value(value, unit, Provenance::Measured),
        None => Cell::Gap("no reading".into()),
    };
    let work = record.work.as_ref();
    let row = |name: String, status: Cell, time, rate, remark: String| {
        vec![
            Cell::name(&name),
            Cell::text(&run.machine),
            Cell::text(&record.device),
            status,
            time,
            rate,
            traced(work.map(|work| work.flops.value()), "FLOP"),
            traced(work.map(|work| work.bytes.value()), "B"),
            traced(work.map(|work| work.parameters as f64), "parameters"),
            meter("memory_peak", "B"),
            meter("energy", "J"),
            Cell::text(&remark),
        ]
    };
    if let Some((word, reason)) = why_not_charted(record) {
        let tone = match word {
            "failed" | "wrong answer" => Tone::Bad,
            _ => Tone::Unsure,
        };
        return vec![row(
            record.case.to_string(),
            Cell::status(word, tone),
            Cell::Gap("not charted".into()),
            Cell::none(),
            reason,
        )];
    }
    let remark = record
        .warnings
        .iter()
        .map(|warning| warning.kind.as_str())
        .collect::<Vec<_>>()
        .join(", ");
    let parts: Vec<_> = run
        .measured
        .iter()
        .filter(|measured| std::ptr::eq(measured.record, record))
        .collect();
    if is_study(&record.case) {
        return vec![row(
            record.case.to_string(),
            Cell::status("measured", Tone::Good),
            Cell::Gap("a training run: see its study".into()),
            Cell::none(),
            remark,
        )];
    }
    if parts.is_empty() {
        return vec![row(
            record.case.to_string(),
            Cell::status("no interval", Tone::Unsure),
            Cell::Gap("too few samples".into()),
            Cell::none(),
            remark,
        )];
    }
    parts
        .into_iter()
        .map(|measured| {
            let name = if measured.whole {
                record.case.to_string()
            } else {
                format!("{} [{}]", record.case, measured.part)
            };
            let rate = match tokens(&record.case) {
                Some(count) if measured.whole => Cell::estimate(
                    &measured.latency.inverted(count),
                    "tokens/s",
                    Provenance::Measured,
                ),
                Some(_) | None => Cell::none(),
            };
            let time =
                Cell::estimate(&measured.latency, "s", Provenance::Measured);
            let status = Cell::status("measured", Tone::Good);
            row(name, status, time, rate, remark.clone())
        })
        .collect()
}

fn predicted_rows<'a>(
    run: &'a RunFindings<'_>,
) -> impl Iterator<Item = Vec<Cell>> + 'a {
    run.predictions.iter().map(|prediction| {
        let case = prediction.full_case();
        let name = match &case {
            Some(case) => case.to_string(),
            None => prediction.case.clone(),
        };
        let profile = match prediction.profile.as_str() {
            "host" => format!("{} (host)", run.machine),
            name => format!("{name}:{}", prediction.unit),
        };
        let rate = case.as_ref().and_then(tokens).map(|count| {
            Cell::estimate(
                &prediction.latency_s.inverted(count),
                "tokens/s",
                Provenance::Predicted,
            )
        });
        let (status, remark) = if prediction.fits == Some(false) {
            (
                Cell::status("does not fit", Tone::Unsure),
                "needs more memory than the profile has".to_owned(),
            )
        } else {
            (
                Cell::status("predicted", Tone::Neutral),
                format!("bound by {}", prediction.bound.name()),
            )
        };
        let number =
            |value, unit| Cell::value(value, unit, Provenance::Predicted);
        vec![
            Cell::name(&name),
            Cell::text(&profile),
            Cell::text(prediction.runtime.name()),
            status,
            Cell::estimate(&prediction.latency_s, "s", Provenance::Predicted),
            rate.unwrap_or(Cell::none()),
            number(prediction.flops.value(), "FLOP"),
            number(prediction.bytes.value(), "B"),
            number(prediction.parameters as f64, "parameters"),
            number(prediction.memory_peak_bytes.value(), "B"),
            match &prediction.energy_j {
                Some(energy) => {
                    Cell::estimate(energy, "J", Provenance::Predicted)
                }
                None => Cell::Gap("no power in the profile".into()),
            },
            Cell::text(&remark),
        ]
    })
}

/// The last reading of every meter of every charted case.
fn meters(runs: &[RunFindings<'_>]) -> Option<Table> {
    let mut table = Table::new(
        "meters",
        "The last reading of every meter",
        vec![
            Column::words("Case", "case"),
            Column::words("Machine", "machine"),
            Column::words("Meter", "meter"),
            Column::exact("Reading", "reading"),
        ],
    );
    table.bulk = true;
    for run in runs {
        for record in run.records.iter().filter(|record| record.is_sound()) {
            let mut names: Vec<&str> = Vec::new();
            for (_, metric) in record.metrics.iter().rev() {
                let value = match &metric.reading {
                    Reading::Value(value) => *value,
                    Reading::Unavailable(_) => continue,
                };
                // What has axes of its own stands in its study.
                let placed = !metric.at.is_empty();
                if placed || names.contains(&metric.name.as_str()) {
                    continue;
                }
                names.push(&metric.name);
                table.rows.push(vec![
                    Cell::name(&record.case.to_string()),
                    Cell::text(&run.machine),
                    Cell::name(&metric.name),
                    Cell::value(value, &metric.unit, Provenance::Measured),
                ]);
            }
        }
    }
    (!table.rows.is_empty()).then_some(table)
}

fn published(runs: &[RunFindings<'_>]) -> Option<Table> {
    let mut table = Table::new(
        "published",
        "Published numbers, with their sources",
        vec![
            Column::words("Case", "case"),
            Column::words("Where", "where"),
            Column::words("Metric", "metric"),
            Column::exact("Value", "value"),
            Column::words("Source", "source"),
            Column::words("Trust", "trust"),
        ],
    );
    table.bulk = true;
    let mut points: Vec<_> =
        runs.iter().flat_map(|run| &run.data.published).collect();
    points.sort_by(|a, b| {
        (&a.case, &a.profile, &a.metric, &a.source)
            .cmp(&(&b.case, &b.profile, &b.metric, &b.source))
            .then_with(|| a.value.total_cmp(&b.value))
    });
    // Several runs carry the same published numbers: each stands once.
    points.dedup();
    for point in points {
        table.rows.push(vec![
            Cell::name(&point.case),
            Cell::text(&point.profile),
            Cell::text(&point.metric),
            Cell::value(point.value, &point.unit, Provenance::Published),
            Cell::text(&point.source),
            Cell::text(&point.trust),
        ]);
    }
    (!table.rows.is_empty()).then_some(table)
}
