//! `assay selftest`: how far can verdicts be trusted on this machine?

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::arguments::{SelftestArgs, TextOrMarkdown};
use crate::exit::{Ending, Verdict, print};
use crate::progress::Progress;
use crate::selftest::plan::Plan;
use crate::selftest::record::{Header, Held, Record, read};
use crate::selftest::{make, table};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

pub(crate) fn run(args: &SelftestArgs) -> Verdict {
    let path = args.out.clone().unwrap_or_else(|| {
        let name = if args.quick { "selftest-quick" } else { "selftest" };
        PathBuf::from(format!("runs/{name}.jsonl"))
    });
    let held = if args.table { read(&path)? } else { made(args, &path)? };
    let plan = Plan::shipped(held.header.quick)?;
    let report = table::report(&plan, &held)?;
    print(&match args.format {
        TextOrMarkdown::Text => report.text(),
        TextOrMarkdown::Markdown => report.markdown(),
    });
    if INTERRUPTED.load(Ordering::Relaxed) {
        eprintln!("interrupted; the same command goes on");
    }
    let is_good = report.missed == 0 && report.failed == 0;
    Ok(if is_good { Ending::Done } else { Ending::Failed })
}

/// The record once everything that was open has been made.
fn made(args: &SelftestArgs, path: &Path) -> anyhow::Result<Held> {
    let begin = Header::now(args.seed, args.quick);
    let mut record = match &args.again {
        None => Record::open(path, begin)?,
        Some(earlier) => {
            Record::again(path, &read(earlier)?, &args.times()?, begin)?
        }
    };
    let Header { seed, quick, .. } = record.held.header;
    let plan = Plan::shipped(quick)?;
    // What has been made is kept; the next call goes on.
    let _ = ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            assay_measure::paired::kill_running();
            std::process::exit(130);
        }
    });
    let asked: usize =
        plan.part.iter().map(|p| p.comparisons + p.criterion).sum();
    eprintln!(
        "{} of {asked} comparisons are in {}",
        record.done().len(),
        path.display()
    );
    let groups = plan.groups(seed).len() as u64;
    make(&plan, &mut record, &INTERRUPTED, &mut Progress::new(groups))?;
    Ok(record.held)
}
