//! A table of measurements, each row predicted: by the shipped constants, by
//! fits that had not seen it, by two rooflines, by other predictors.
//!
//! A row that cannot be read or predicted is listed with its reason; only a
//! table that is none is an error.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, anyhow, bail};
use assay_reports::{LeftOut, LeftOutBy, Observed, Validation, ValidationRow};
use assay_schema::{Case, Runtime};

use super::baselines::{Rooflines, on_vector_lanes};
use super::beside::{HeldOutTable, PeerTable};
use crate::measured::{Measured, MeasuredTable};
use crate::predictions::{On, Predictor};
use crate::registry;

/// The table at `path` with what stands beside it.
///
/// Fails for a file that cannot be read or lacks a column, and for held-out
/// predictions that are of another table.
pub(super) fn read(
    path: &Path,
    held_out: Option<&Path>,
    peers: &[String],
) -> Result<Validation> {
    let table = MeasuredTable::read(path)?;
    let mut predictor = Predictor::default();
    let held_out = held_out.map(HeldOutTable::read).transpose()?;
    let peers: Vec<PeerTable> = peers
        .iter()
        .map(|peer| PeerTable::read(peer, path, &predictor))
        .collect::<Result<_>>()?;
    if let Some(held_out) = &held_out {
        held_out.check_lines(&table.name, 1 + table.rows.len())?;
    }
    let mut found = Validation {
        table: file_name(path),
        held_out: held_out.as_ref().map(|held| file_name(&held.path)),
        ..Validation::default()
    };
    for (line, row) in &table.rows {
        let left_out =
            |case: &str, profile: &str, source: &str, by, why| LeftOut {
                line: *line,
                case: case.to_owned(),
                profile: profile.to_owned(),
                source: source.to_owned(),
                by,
                why,
            };
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                let why = format!("{error:#}");
                found.left_out.push(left_out(
                    "",
                    "",
                    "",
                    LeftOutBy::Predictor,
                    why,
                ));
                continue;
            }
        };
        let left = |by, why| {
            left_out(
                &row.case.to_string(),
                &device(&row.on),
                &row.source,
                by,
                why,
            )
        };
        if let Some(note) = &row.set_aside {
            found.left_out.push(left(LeftOutBy::Note, note.clone()));
            continue;
        }
        let mut scored = match predicted(row, &mut predictor) {
            Ok(scored) => scored,
            Err(error) => {
                let why = format!("{error:#}");
                found.left_out.push(left(LeftOutBy::Predictor, why));
                continue;
            }
        };
        if let Some(held) = held_out.as_ref().and_then(|h| h.lines.get(line)) {
            scored.class = joined(&held.class, &scored.class).ok_or_else(|| {
                anyhow!(
                    "{}: {}:{line} is of class `{}`, and its case {} of `{}`: \
                     the predictions are of another version of the table",
                    held_out.as_ref().map_or_else(String::new, |h| {
                        h.path.display().to_string()
                    }),
                    table.name,
                    held.class,
                    scored.case,
                    scored.class
                )
            })?;
            scored.held_out.clone_from(&held.folds);
        }
        for peer in &peers {
            let seconds = peer.seconds(&scored.case, &row.on, row.runtime);
            if let Some(seconds) = seconds {
                scored.peers.insert(peer.name.clone(), seconds);
            }
        }
        found.rows.push(scored);
    }
    for peer in &peers {
        if !found.rows.iter().any(|row| row.peers.contains_key(&peer.name)) {
            bail!(
                "--peer {}: none of its cases is in {}",
                peer.name,
                table.name
            );
        }
    }
    Ok(found)
}

/// What the terminal says: how many rows are scored, and why others are not.
pub(super) fn said(found: &Validation) -> String {
    let count = |by| found.left_out.iter().filter(|row| row.by == by).count();
    let mut reasons: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for row in &found.left_out {
        if row.by == LeftOutBy::Predictor {
            reasons.entry(&row.why).or_insert((row.line, 0)).1 += 1;
        }
    }
    for (why, (line, count)) in reasons {
        eprintln!("{}:{line}: {why} ({count} such)", found.table);
    }
    format!(
        "rows: {} scored, {} set aside by a note, {} without a prediction\n",
        found.rows.len(),
        count(LeftOutBy::Note),
        count(LeftOutBy::Predictor)
    )
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The profile, with its unit where that is not the default one.
fn device(on: &On) -> String {
    if on.unit == on.profile.default_unit {
        on.profile.name.clone()
    } else {
        format!("{}:{}", on.profile.name, on.unit.name())
    }
}

fn predicted(
    row: &Measured,
    predictor: &mut Predictor,
) -> Result<ValidationRow> {
    let prediction = row.predict(predictor)?;
    let case = prediction
        .full_case()
        .ok_or_else(|| anyhow!("{}: no case", prediction.case))?;
    let traced = predictor.traced(&case, row.model.as_ref())?;
    let rooflines = Rooflines::of(&prediction, &case, &traced, &row.on);
    let class = class(&case, &row.on, row.runtime)?;
    Ok(ValidationRow {
        class,
        roofline: rooflines.plain,
        three_constants: rooflines.three_constants,
        ..ValidationRow::new(
            case,
            device(&row.on),
            prediction.latency_s,
            Observed::Published(row.seconds),
            row.source.clone(),
        )
    })
}

/// The class of a case, by the names of the predictor's classes; language
/// models by phase.
fn class(case: &Case, on: &On, runtime: Runtime) -> Result<String> {
    let phase = || case.phase.clone().unwrap_or_default();
    Ok(match (case.workload.as_str(), case.model.as_str()) {
        ("operators", "matmul") => {
            let precision = registry::precision(case)?;
            if on_vector_lanes(on, precision) {
                "matmul-vector"
            } else {
                "matmul"
            }
            .into()
        }
        ("operators", "attention") => {
            format!("attention-{}", case.axis("phase").unwrap_or("prefill"))
        }
        ("operators", "conv2d") => "conv".into(),
        (
            "operators",
            "all_reduce" | "all_gather" | "reduce_scatter" | "all_to_all"
            | "send_recv",
        ) => "collective".into(),
        ("operators", operator) => operator.into(),
        ("slm" | "phonelm", _) if runtime == Runtime::LlamaCpp => {
            format!("llama-cpp-{}", phase())
        }
        ("slm" | "phonelm", _) => format!("language-model-{}", phase()),
        _ => "network".into(),
    })
}

/// The held-out table's class, or the finer one of the case; `None` where they
/// contradict each other. Which lanes a product runs on the fit knows better.
fn joined(held: &str, of_case: &str) -> Option<String> {
    let products = ["matmul", "matmul-vector"];
    if held == of_case
        || (products.contains(&held) && products.contains(&of_case))
    {
        Some(held.to_owned())
    } else if held == "llama-cpp" && of_case.starts_with("llama-cpp-") {
        Some(of_case.to_owned())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn classes_of_both_tables_are_joined_or_contradict() {
        assert_eq!(joined("matmul", "matmul-vector").unwrap(), "matmul");
        assert_eq!(
            joined("llama-cpp", "llama-cpp-decode").unwrap(),
            "llama-cpp-decode"
        );
        assert_eq!(joined("softmax", "matmul"), None);
    }
}
