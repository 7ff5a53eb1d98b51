//! The system's files, behind a trait so that a test can be another machine.

use std::path::PathBuf;

/// A tree of files. Paths are relative to its root: `proc/stat`.
pub trait Files {
    /// The text of a file.
    ///
    /// # Errors
    /// The system's reason.
    fn text(&self, path: &str) -> Result<String, String>;

    /// Names in a folder, sorted; none where it cannot be read.
    fn names(&self, folder: &str) -> Vec<String>;
}

/// The files below a folder: `/` for this machine.
#[derive(Clone, Debug)]
pub struct Root(pub PathBuf);

impl Files for Root {
    fn text(&self, path: &str) -> Result<String, String> {
        std::fs::read_to_string(self.0.join(path))
            .map_err(|error| error.to_string())
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.join(folder));
        let mut names: Vec<String> = entries
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }
}
