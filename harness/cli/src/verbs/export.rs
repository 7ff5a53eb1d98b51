//! `assay export`: a run in another form.

use anyhow::anyhow;
use assay_store::{RunDirectory, compress};

use crate::arguments::ExportArgs;
use crate::exit::{Ending, Verdict, print};

/// The forms that there are.
const FORMATS: [&str; 1] = ["published"];

pub(crate) fn run(args: &ExportArgs) -> Verdict {
    if !FORMATS.contains(&args.format.as_str()) {
        let nearest = assay_schema::nearest(&args.format, FORMATS);
        return Err(anyhow!(
            "unknown format `{}`; nearest valid: `{}`",
            args.format,
            nearest.unwrap_or(FORMATS[0])
        )
        .into());
    }
    let run = RunDirectory::open(&args.run)?;
    compress(&run, &args.out)?;
    print(&format!(
        "compressed; write its README: what, why, on what, how to run it \
         again\nrun     {}\n",
        args.out.display()
    ));
    Ok(Ending::Done)
}
