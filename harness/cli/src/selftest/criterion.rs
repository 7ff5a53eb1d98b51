//! Criterion 0.8 as a peer: the same bodies, the same budget, its own rule.
//!
//! As its users do: one process measures the baseline and saves it, the next
//! measures the candidate against it; the verdict is what it prints. The
//! budget is cut as criterion cuts its own default (3 s of warm-up to 5 s of
//! measuring). Its analysis comes on top and is not counted; it draws 10,000
//! bootstrap resamples where the default is 100,000, which moves a p of 0.05
//! by 0.002 and saves a second of every comparison.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use assay_schema::Verdict;

use super::bodies::Body;

/// Bootstrap resamples of criterion's analysis.
const RESAMPLES: usize = 10_000;

/// Compares `candidate` units of a body with `baseline` units of it.
pub(crate) fn compare(
    body: Body,
    units: [u32; 2],
    budget_s: f64,
) -> Result<Verdict> {
    let folder = tempfile::tempdir()?;
    let mut printed = String::new();
    for units in units {
        let step = if printed.is_empty() { "save" } else { "compare" };
        printed = run(folder.path(), step, body, units, budget_s / 2.0)?;
    }
    verdict(&printed)
}

fn run(
    folder: &Path,
    step: &str,
    body: Body,
    units: u32,
    seconds: f64,
) -> Result<String> {
    let output = Command::new(std::env::current_exe()?)
        .args([super::CHILD, "criterion", step, body.name()])
        .arg(units.to_string())
        .arg(seconds.to_string())
        .arg(folder)
        .stdin(Stdio::null())
        .output()
        .context("cannot start criterion")?;
    if !output.status.success() {
        bail!(
            "criterion ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What criterion printed, as a verdict.
fn verdict(printed: &str) -> Result<Verdict> {
    [
        ("Performance has regressed", Verdict::Slower),
        ("Performance has improved", Verdict::Faster),
        ("Change within noise threshold", Verdict::Same),
        ("No change in performance detected", Verdict::Same),
    ]
    .into_iter()
    .find_map(|(text, verdict)| printed.contains(text).then_some(verdict))
    .with_context(|| format!("criterion printed no verdict:\n{printed}"))
}

/// The child: one benchmark, as `cargo bench` would run it.
pub(crate) fn child(arguments: &[String]) -> Result<()> {
    let [step, body, units, seconds, folder] = arguments else {
        bail!("criterion child: {} arguments", arguments.len());
    };
    let body = Body::named(body).context("criterion child: no such body")?;
    let mut work = body.work(units.parse()?);
    let seconds: f64 = seconds.parse()?;
    let baseline = "base".to_owned();
    let criterion = criterion::Criterion::default()
        .without_plots()
        .nresamples(RESAMPLES)
        .output_directory(Path::new(folder))
        .warm_up_time(Duration::from_secs_f64(seconds * 3.0 / 8.0))
        .measurement_time(Duration::from_secs_f64(seconds * 5.0 / 8.0));
    let mut criterion = if step == "save" {
        criterion.save_baseline(baseline)
    } else {
        criterion.retain_baseline(baseline, true)
    };
    criterion.bench_function(body.name(), |bencher| bencher.iter(&mut work));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn criterions_words_are_verdicts() {
        let text = "change: [+4 %]\n  Performance has regressed.\nFound 3";
        assert_eq!(verdict(text).unwrap(), Verdict::Slower);
        assert!(verdict("panicked").is_err());
    }
}
