//! The derived files of a run: predictions, the profiles that they were made
//! with, and what became of a paper's claims. Written whole, in one step;
//! delete them and they are made again.

use std::path::{Path, PathBuf};

use assay_schema::{ClaimFinding, Prediction, ProfileSummary, TextError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::case_file::read_bytes;
use crate::case_writer::line;
use crate::{RunDirectory, StoreError, atomic};

pub(crate) const PREDICTIONS: &str = "predictions.jsonl";
pub(crate) const PROFILES: &str = "profiles.json";
pub(crate) const CLAIMS: &str = "claims.json";

impl RunDirectory {
    /// Replaces `predictions.jsonl`.
    ///
    /// # Errors
    /// The disk, or a number that is not finite.
    pub fn save_predictions(
        &self,
        predictions: &[Prediction],
    ) -> Result<(), StoreError> {
        let path = self.path().join(PREDICTIONS);
        let lines = predictions.iter().map(|one| line(one, &path));
        let text = lines.collect::<Result<String, _>>()?;
        atomic::write(&path, text.as_bytes())
    }

    /// The predictions, in order; none without the file.
    ///
    /// # Errors
    /// The disk, or a line that does not parse, with its file and line.
    pub fn predictions(&self) -> Result<Vec<Prediction>, StoreError> {
        let Some(path) = existing(self.path(), PREDICTIONS) else {
            return Ok(Vec::new());
        };
        let bytes = read_bytes(&path)?;
        let lines = bytes.split(|&b| b == b'\n').enumerate();
        lines
            .filter(|(_, line)| !line.is_empty())
            .map(|(index, line)| {
                let wrong = |error| wrong(&path, index + 1, error);
                serde_json::from_slice(line).map_err(wrong)
            })
            .collect()
    }

    /// Replaces `profiles.json`.
    ///
    /// # Errors
    /// The disk, or a number that is not finite.
    pub fn save_profiles(
        &self,
        profiles: &[ProfileSummary],
    ) -> Result<(), StoreError> {
        save_list(&self.path().join(PROFILES), profiles)
    }

    /// The profiles; none without the file.
    ///
    /// # Errors
    /// The disk, or a text that does not parse, with its file and line.
    pub fn profiles(&self) -> Result<Vec<ProfileSummary>, StoreError> {
        load_list(self.path(), PROFILES)
    }

    /// Replaces `claims.json`.
    ///
    /// # Errors
    /// The disk, or a number that is not finite.
    pub fn save_claims(
        &self,
        claims: &[ClaimFinding],
    ) -> Result<(), StoreError> {
        save_list(&self.path().join(CLAIMS), claims)
    }

    /// The claims; none without the file.
    ///
    /// # Errors
    /// The disk, or a text that does not parse, with its file and line.
    pub fn claims(&self) -> Result<Vec<ClaimFinding>, StoreError> {
        load_list(self.path(), CLAIMS)
    }
}

/// One item a line, so that a diff of two runs reads well.
fn save_list<T: Serialize + DeserializeOwned>(
    path: &Path,
    items: &[T],
) -> Result<(), StoreError> {
    let lines = items.iter().map(|item| line(item, path));
    let lines = lines.collect::<Result<Vec<_>, _>>()?;
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    atomic::write(path, format!("[\n{}\n]\n", lines.join(",\n")).as_bytes())
}

fn load_list<T: DeserializeOwned>(
    folder: &Path,
    name: &str,
) -> Result<Vec<T>, StoreError> {
    let Some(path) = existing(folder, name) else { return Ok(Vec::new()) };
    serde_json::from_slice(&read_bytes(&path)?)
        .map_err(|error| wrong(&path, error.line(), error))
}

/// The file, or its compressed twin in a published run.
fn existing(folder: &Path, name: &str) -> Option<PathBuf> {
    [name.to_owned(), format!("{name}.zst")]
        .into_iter()
        .map(|name| folder.join(name))
        .find(|path| path.exists())
}

fn wrong(path: &Path, line: usize, error: serde_json::Error) -> StoreError {
    StoreError::Text(TextError {
        file: path.display().to_string(),
        line,
        message: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{finding, header, prediction, profile};

    #[test]
    fn derived_files_read_back_and_are_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDirectory::create(folder.path(), &header(&[])).unwrap();
        assert_eq!(run.predictions().unwrap(), []);
        assert_eq!(run.claims().unwrap(), []);

        let (a, b) = (prediction(0.1), prediction(0.2));
        run.save_predictions(&[a.clone(), b.clone()]).unwrap();
        assert_eq!(run.predictions().unwrap(), [a.clone(), b.clone()]);
        run.save_predictions(std::slice::from_ref(&b)).unwrap();
        assert_eq!(run.predictions().unwrap(), [b]);

        run.save_profiles(&[profile(), profile()]).unwrap();
        assert_eq!(run.profiles().unwrap(), [profile(), profile()]);
        run.save_claims(&[finding()]).unwrap();
        assert_eq!(run.claims().unwrap(), [finding()]);
        run.save_claims(&[]).unwrap();
        assert_eq!(run.claims().unwrap(), []);
    }

    #[test]
    fn a_prediction_that_is_not_finite_is_refused_and_the_old_file_kept() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDirectory::create(folder.path(), &header(&[])).unwrap();
        run.save_predictions(&[prediction(0.1)]).unwrap();
        let error = run.save_predictions(&[prediction(f64::INFINITY)]);
        assert!(error.unwrap_err().to_string().contains("not finite"));
        assert_eq!(run.predictions().unwrap(), [prediction(0.1)]);
    }

    #[test]
    fn a_damaged_derived_file_names_file_and_line() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDirectory::create(folder.path(), &header(&[])).unwrap();
        run.save_predictions(&[prediction(0.1)]).unwrap();
        let path = folder.path().join(PREDICTIONS);
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("{}\n");
        std::fs::write(&path, text).unwrap();
        let error = run.predictions().unwrap_err().to_string();
        assert!(error.contains("predictions.jsonl:2: missing"), "{error}");
    }
}
