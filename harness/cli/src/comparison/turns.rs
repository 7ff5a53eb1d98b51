//! Raw turns on disk: `--out DIR` keeps every turn in `turns.jsonl`, one
//! object a line, and the result in `comparison.json`.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use assay_measure::paired::Turn;
use assay_schema::Comparison;

const TURNS: &str = "turns.jsonl";

/// Where turns go; nowhere without `--out`.
pub(crate) struct Turns {
    kept: Option<(PathBuf, File)>,
}

impl Turns {
    pub(crate) fn create(folder: Option<&Path>) -> Result<Self> {
        let Some(folder) = folder else { return Ok(Self { kept: None }) };
        std::fs::create_dir_all(folder)
            .with_context(|| format!("{}: cannot be made", folder.display()))?;
        let path = folder.join(TURNS);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::AlreadyExists => anyhow!(
                    "{} already holds a comparison; choose another --out",
                    folder.display()
                ),
                _ => anyhow::Error::from(error)
                    .context(format!("{}: cannot be made", path.display())),
            })?;
        Ok(Self { kept: Some((folder.to_owned(), file)) })
    }

    /// Appends a turn, at once: a kill loses at most this line.
    pub(crate) fn keep(&mut self, turn: &Turn) -> std::io::Result<()> {
        let Some((_, file)) = &mut self.kept else { return Ok(()) };
        let mut line = serde_json::to_vec(turn)?;
        line.push(b'\n');
        file.write_all(&line)
    }

    /// Where a comparison came to nothing: takes a file without turns away
    /// again, so that `--out` can name the folder once more.
    pub(crate) fn give_up(self) {
        let Some((folder, file)) = self.kept else { return };
        if file.metadata().is_ok_and(|data| data.len() == 0) {
            // What stays is an empty file.
            let _kept = std::fs::remove_file(folder.join(TURNS));
        }
    }

    pub(crate) fn finish(self, comparison: &Comparison) -> Result<()> {
        let Some((folder, _)) = self.kept else { return Ok(()) };
        let path = folder.join("comparison.json");
        let text = serde_json::to_string_pretty(comparison)?;
        std::fs::write(&path, text + "\n")
            .with_context(|| format!("{}: cannot be written", path.display()))
    }
}
