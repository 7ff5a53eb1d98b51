//! From run directories to report files.

use std::path::Path;

use anyhow::{Context as _, Result};
use assay_reports::{Format, Kind, OutputFile, RunData, render};
use assay_schema::Outcome;
use assay_store::RunDirectory;

use crate::{claims, modules};

/// What a report needs of a run.
pub(crate) fn data(directory: &RunDirectory) -> Result<RunData> {
    let records = directory.records()?;
    let predictions = directory.predictions()?;
    Ok(RunData {
        header: directory.header().clone(),
        profiles: directory.profiles()?,
        claims: directory.claims()?,
        published: claims::published(&records, &predictions)?,
        modules: modules::times(
            &directory.header().plan.predict_on,
            &predictions,
        ),
        records,
        predictions,
    })
}

/// Writes a run's own report into `report/` inside it.
pub(crate) fn write_run_report(directory: &RunDirectory) -> Result<()> {
    let files = render(&[data(directory)?], Kind::Run, &Format::ALL)?;
    write(&directory.path().join("report"), &files)
}

/// Writes report files, each through a temporary file and a rename, so that a
/// page is never half there.
pub(crate) fn write(folder: &Path, files: &[OutputFile]) -> Result<()> {
    for file in files {
        let path = folder.join(&file.name);
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent)
            .with_context(|| format!("{}: cannot be made", parent.display()))?;
        write_file(&path, &file.bytes)?;
    }
    Ok(())
}

/// Writes a file whole or not at all, for all to read. Its folder is there.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let problem = || format!("{}: cannot be written", path.display());
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let temporary =
        tempfile::NamedTempFile::new_in(folder).with_context(problem)?;
    std::fs::write(temporary.path(), bytes).with_context(problem)?;
    readable(temporary.path()).with_context(problem)?;
    temporary.persist(path).with_context(problem)?;
    Ok(())
}

/// Temporary files are private; a report is for others to read.
#[cfg(unix)]
fn readable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable(_: &Path) -> std::io::Result<()> {
    Ok(())
}

/// What the terminal says at the end of a run.
pub(crate) fn summary(directory: &RunDirectory) -> Result<String> {
    let records = directory.records()?;
    let count = |test: fn(&Outcome) -> bool| {
        records.iter().filter(|r| test(&r.outcome)).count()
    };
    let predictions = directory.predictions()?.len();
    let report = directory.path().join("report").join("index.html");
    let counted = |n: usize, one: &str| {
        format!("{n} {one}{}", if n == 1 { "" } else { "s" })
    };
    Ok(format!(
        "{} measured, {} failed, {} skipped; {}\nrun     {}\nreport  {}\n",
        counted(count(|o| matches!(o, Outcome::Finished(_))), "case"),
        count(|o| matches!(o, Outcome::Failed(_))),
        count(|o| matches!(o, Outcome::Skipped(_))),
        counted(predictions, "prediction"),
        directory.path().display(),
        report.display()
    ))
}
