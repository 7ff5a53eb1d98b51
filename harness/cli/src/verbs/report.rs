//! `assay report`: run directories, or a table of measurements, as pages,
//! tables and figures.

mod baselines;
mod beside;
mod validation;

use std::path::Path;

use anyhow::{Result, anyhow};
use assay_reports::{Format, Kind, render, render_validation};
use assay_store::RunDirectory;

use crate::arguments::ReportArgs;
use crate::exit::{Ending, Verdict, print};
use crate::reporting;

pub(crate) fn run(args: &ReportArgs) -> Verdict {
    let kind: Kind = args.kind.parse()?;
    let formats: Vec<Format> = args
        .format
        .iter()
        .map(|name| Ok(name.trim().parse()?))
        .collect::<Result<_>>()?;
    let is_table = |path: &Path| path.extension().is_some_and(|e| e == "csv");
    let (files, said) = match &args.runs[..] {
        [table] if kind == Kind::Validation && is_table(table) => {
            let found =
                validation::read(table, args.held_out.as_deref(), &args.peer)?;
            (render_validation(&found, &formats)?, validation::said(&found))
        }
        _ if args.held_out.is_some() || !args.peer.is_empty() => {
            return Err(anyhow!(
                "--held-out and --peer stand beside one CSV of measurements: \
                 report --kind validation TABLE.csv"
            )
            .into());
        }
        runs => {
            let data = runs
                .iter()
                .map(|path| reporting::data(&RunDirectory::open(path)?))
                .collect::<Result<Vec<_>>>()?;
            (render(&data, kind, &formats)?, String::new())
        }
    };
    reporting::write(&args.out, &files)?;
    print(&format!("{said}{} files in {}\n", files.len(), args.out.display()));
    Ok(Ending::Done)
}
