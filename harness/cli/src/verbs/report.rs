//! `assay report`: run directories as pages, tables and figures.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use assay_reports::{
    Format, Kind, Observed, ValidationRow, render, render_validation,
};
use assay_store::RunDirectory;

use crate::arguments::ReportArgs;
use crate::exit::{Ending, Verdict, print};
use crate::predictions::Predictor;
use crate::reporting;
use crate::verbs::predict::read_row;

pub(crate) fn run(args: &ReportArgs) -> Verdict {
    let kind: Kind = args.kind.parse()?;
    let formats: Vec<Format> = args
        .format
        .iter()
        .map(|name| Ok(name.trim().parse()?))
        .collect::<Result<_>>()?;
    let is_table = |path: &Path| path.extension().is_some_and(|e| e == "csv");
    let files = match &args.runs[..] {
        [table] if kind == Kind::Validation && is_table(table) => {
            render_validation(&validation_rows(table)?, &formats)?
        }
        runs => {
            let data = runs
                .iter()
                .map(|path| reporting::data(&RunDirectory::open(path)?))
                .collect::<Result<Vec<_>>>()?;
            render(&data, kind, &formats)?
        }
    };
    reporting::write(&args.out, &files)?;
    print(&format!("{} files in {}\n", files.len(), args.out.display()));
    Ok(Ending::Done)
}

/// A table of measured latencies, each row predicted.
fn validation_rows(path: &Path) -> Result<Vec<ValidationRow>> {
    let name = path.display();
    let mut reader = csv::Reader::from_path(path)
        .with_context(|| format!("{name}: cannot be read"))?;
    let heading = reader.headers()?.clone();
    let column = |wanted: &str| {
        heading.iter().position(|column| column == wanted).ok_or_else(|| {
            anyhow!(
                "{name}:1: no column `{wanted}`; expected case, profile, \
                 runtime, any axis, latency_s and source"
            )
        })
    };
    let (latency, source) = (column("latency_s")?, column("source")?);
    column("case")?;
    column("profile")?;
    let mut predictor = Predictor::default();
    let mut rows = Vec::new();
    for (index, row) in reader.records().enumerate() {
        let line = index + 2;
        let row = row.with_context(|| format!("{name}:{line}"))?;
        let seconds: f64 = row[latency].trim().parse().with_context(|| {
            format!("{name}:{line}: latency_s `{}`", &row[latency])
        })?;
        let predicted = read_row(&heading, &row)
            .and_then(|(case, on, runtime)| {
                predictor.predict(&case, &on, runtime)
            })
            .with_context(|| format!("{name}:{line}"))?;
        let case = predicted
            .full_case()
            .ok_or_else(|| anyhow!("{name}:{line}: no case"))?;
        rows.push(ValidationRow {
            case,
            profile: predicted.profile,
            predicted: predicted.latency_s,
            observed: Observed::Published(seconds),
            source: row[source].to_owned(),
        });
    }
    Ok(rows)
}
