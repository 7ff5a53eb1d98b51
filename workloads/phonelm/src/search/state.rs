//! What a search keeps on disk, so that a killed one goes on: the kit's
//! [`StudyFiles`]. A prediction takes seconds and is made again; timings and
//! trainings are kept. Trained weights are not: what a stage told is its file.

use std::path::Path;

use assay_kit::StudyFiles;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::PhoneLmError;

/// A search's folder.
#[derive(Debug)]
pub(super) struct State(StudyFiles<PhoneLmError>);

impl State {
    /// The state of the search that `search` describes, in `folder`, which is
    /// made where it is not there.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub(super) fn new(
        folder: &Path,
        search: String,
    ) -> Result<Self, PhoneLmError> {
        Ok(Self(StudyFiles::new(folder, search)?))
    }

    /// Writes a stage's file whole.
    ///
    /// # Errors
    /// Whatever the system says.
    pub(super) fn write<T: Serialize>(
        &self,
        name: &str,
        content: &T,
    ) -> Result<(), PhoneLmError> {
        self.0.write_note(name, content)
    }

    /// Reads a stage's file; `None` where there is none.
    ///
    /// # Errors
    /// A file that is damaged, of another format or of another search.
    pub(super) fn read<T: DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<Option<T>, PhoneLmError> {
        self.0.read_note(name)
    }
}
