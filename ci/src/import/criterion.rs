//! criterion.rs: `target/criterion`, as versions up to 0.8 write it.
//!
//! ```text
//! GROUP[/FUNCTION][/VALUE]/BASELINE/benchmark.json   names, throughput
//! GROUP[/FUNCTION][/VALUE]/BASELINE/sample.json      raw samples
//! GROUP[/FUNCTION][/VALUE]/BASELINE/estimates.json   criterion's statistics
//! ```
//!
//! `BASELINE` is `new` (the last run), `base` (the one before it, or the last
//! itself) or a name from `--save-baseline`. Folder names are shortened and
//! have characters replaced, so names are taken from `benchmark.json` alone:
//! a benchmark is `criterion/GROUP[/FUNCTION] [value=VALUE]`, escaped as
//! `names` says. criterion calls these files internal; their shape is that of
//! its source, 0.8.2, and of older files that it wrote.
//!
//! This file finds the folders; `files` reads what is in them.

mod files;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use assay_schema::{Moment, nearest};

use super::{Foreign, ImportError};

const EXPECTED: &str = "criterion's folder, e.g. target/criterion";
const BENCHMARK: &str = "benchmark.json";
const SAMPLE: &str = "sample.json";
const ESTIMATES: &str = "estimates.json";

/// All benchmarks below the paths that have the baseline, by path, and what
/// was left out.
pub(super) fn read(
    paths: &[PathBuf],
    baseline: &str,
) -> Result<(Vec<Foreign>, Vec<String>), ImportError> {
    if paths.is_empty() {
        return Err(ImportError::NoPath { expected: EXPECTED });
    }
    let (mut read, mut notes) = (Vec::new(), Vec::new());
    for path in paths {
        let found = Found::below(path)?;
        let wanted = found.with(baseline);
        if wanted.is_empty() {
            return Err(found.nothing(path, baseline));
        }
        for folder in found.without(baseline) {
            notes.push(format!(
                "{}: has no baseline `{baseline}`, left out",
                folder.display()
            ));
        }
        for folder in wanted {
            read.push(benchmark(folder)?);
        }
    }
    Ok((read, notes))
}

/// Folders of baselines.
struct Found {
    folders: Vec<PathBuf>,
}

impl Found {
    /// Looks everywhere below a path, and at the path itself.
    fn below(path: &Path) -> Result<Self, ImportError> {
        let not = |found| ImportError::NotOfTheTool {
            path: path.to_owned(),
            found,
            expected: EXPECTED,
        };
        if !path.exists() {
            return Err(not("there is nothing"));
        }
        if !path.is_dir() {
            return Err(not("a file"));
        }
        let mut found = Self { folders: Vec::new() };
        let mut waiting = vec![path.to_owned()];
        while let Some(folder) = waiting.pop() {
            let mut is_baseline = false;
            let problem = |error: std::io::Error| {
                ImportError::file(&folder, format!("cannot be read: {error}"))
            };
            for entry in std::fs::read_dir(&folder).map_err(problem)? {
                let entry = entry.map_err(problem)?;
                // Links are not followed: they may lead in a circle.
                if entry.file_type().map_err(problem)?.is_dir() {
                    waiting.push(entry.path());
                }
                // `change/` has estimates alone and is no baseline.
                let name = entry.file_name();
                is_baseline |= name == SAMPLE || name == BENCHMARK;
            }
            if is_baseline {
                found.folders.push(folder);
            }
        }
        if found.folders.is_empty() {
            return Err(not("no benchmark of criterion below it"));
        }
        found.folders.sort();
        Ok(found)
    }

    fn with(&self, baseline: &str) -> Vec<&Path> {
        let named = |folder: &&PathBuf| name(folder) == baseline;
        self.folders.iter().filter(named).map(PathBuf::as_path).collect()
    }

    /// Benchmarks that have other baselines only.
    fn without(&self, baseline: &str) -> BTreeSet<&Path> {
        let with: BTreeSet<_> =
            self.with(baseline).iter().filter_map(|f| f.parent()).collect();
        let all = self.folders.iter().filter_map(|folder| folder.parent());
        all.filter(|folder| !with.contains(folder)).collect()
    }

    fn nothing(&self, path: &Path, baseline: &str) -> ImportError {
        let known: BTreeSet<String> =
            self.folders.iter().map(|folder| name(folder)).collect();
        let names = || known.iter().map(String::as_str);
        ImportError::NoBaseline {
            path: path.to_owned(),
            baseline: baseline.to_owned(),
            known: names().collect::<Vec<_>>().join(", "),
            nearest: nearest(baseline, names()).unwrap_or_default().to_owned(),
        }
    }
}

/// The last part of a path.
fn name(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Reads the three files of one baseline.
fn benchmark(folder: &Path) -> Result<Foreign, ImportError> {
    let text = |name: &str| -> Result<_, ImportError> {
        let path = folder.join(name);
        let text = std::fs::read_to_string(&path).map_err(|error| {
            ImportError::file(
                &path,
                format!(
                    "cannot be read: {error}; expected a file of criterion"
                ),
            )
        })?;
        Ok((path, text))
    };
    let (path, benchmark) = text(BENCHMARK)?;
    let identity = files::identity(&path, &benchmark)?;
    let (path, sample) = text(SAMPLE)?;
    let at = written(&path);
    let samples = files::samples(&path, &sample)?;
    let (path, estimates) = text(ESTIMATES)?;
    let estimates = files::estimates(&path, &estimates)?;
    let warnings = estimates.disagreement(&samples).into_iter().collect();
    let mut metrics = identity.work;
    metrics.extend(estimates.metrics());
    Ok(Foreign {
        folder: folder.to_owned(),
        case: identity.case,
        at,
        samples,
        metrics,
        warnings,
    })
}

/// When a file was last written; 1970 where the system does not tell.
fn written(path: &Path) -> Moment {
    let since = std::fs::metadata(path)
        .and_then(|meta| meta.modified())
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .unwrap_or_default();
    Moment(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
