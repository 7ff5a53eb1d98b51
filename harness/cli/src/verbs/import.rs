//! `assay import`: another tool's results as a run directory.

use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use assay_ci::{Format, ImportRequest, import};
use assay_measure::host_facts;
use assay_schema::Moment;

use crate::arguments::ImportArgs;
use crate::exit::{Ending, Verdict, print};

pub(crate) fn run(args: &ImportArgs) -> Verdict {
    let format: Format = args.format.parse()?;
    let since = UNIX_EPOCH.elapsed().unwrap_or_default();
    let now = Moment(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
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
