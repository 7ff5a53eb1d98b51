//! `assay import`: another tool's results as a run directory.

use std::path::PathBuf;

use assay_ci::{Format, ImportRequest, import};
use assay_measure::host_facts;

use crate::arguments::ImportArgs;
use crate::exit::{Ending, Verdict, print};
use crate::sources::now;

pub(crate) fn run(args: &ImportArgs) -> Verdict {
    let format: Format = args.format.parse()?;
    let now = now();
    let out = match &args.out {
        Some(out) => out.clone(),
        None => PathBuf::from(format!("runs/{}", now.0)),
    };
    let did = import(
        format,
        &ImportRequest {
            paths: &args.paths,
            baseline: &args.baseline,
            out: &out,
            now,
            host: host_facts(),
            command: std::env::args().collect(),
            assay_version: env!("CARGO_PKG_VERSION"),
        },
    )?;
    for note in &did.notes {
        eprintln!("assay: {note}");
    }
    let one = did.cases == 1;
    print(&format!(
        "{} {} with {} samples imported from {}; no answer was checked\nrun     \
         {}\n",
        did.cases,
        if one { "case" } else { "cases" },
        did.samples,
        format.name(),
        out.display()
    ));
    Ok(Ending::Done)
}
