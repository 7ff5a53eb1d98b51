//! What a search keeps on disk, so that a killed one goes on: one file a
//! stage, written aside and renamed, with a note of which search it belongs
//! to.
//!
//! A prediction takes seconds and is made again; timings and trainings are
//! kept. A file that is cut short, or of another search, is an error that
//! says so: training again in silence could cost an hour.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::PhoneLmError;

/// The format of the files; a change of what they hold raises it.
const FORMAT: u32 = 1;

/// A search's folder.
#[derive(Clone, Debug)]
pub(super) struct State {
    folder: PathBuf,
    search: String,
}

/// What a file holds.
#[derive(Debug, Serialize, Deserialize)]
struct Kept<T> {
    format: u32,
    search: String,
    content: T,
}

impl State {
    /// The state of the search that `search` describes, in `folder`, which is
    /// made where it is not there.
    pub(super) fn new(
        folder: &Path,
        search: String,
    ) -> Result<Self, PhoneLmError> {
        std::fs::create_dir_all(folder).map_err(|error| {
            PhoneLmError::State {
                path: folder.to_owned(),
                reason: format!("the folder cannot be made: {error}"),
            }
        })?;
        Ok(Self { folder: folder.to_owned(), search })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }

    /// Writes a file whole.
    pub(super) fn write<T: Serialize>(
        &self,
        name: &str,
        content: &T,
    ) -> Result<(), PhoneLmError> {
        let path = self.path(name);
        let refused = |error: &dyn std::fmt::Display| PhoneLmError::State {
            path: path.clone(),
            reason: format!("it cannot be written: {error}"),
        };
        let search = self.search.clone();
        let kept = Kept { format: FORMAT, search, content };
        let text = serde_json::to_string(&kept).map_err(|e| refused(&e))?;
        let beside = path.with_extension("json.new");
        std::fs::write(&beside, text).map_err(|e| refused(&e))?;
        std::fs::rename(&beside, &path).map_err(|e| refused(&e))
    }

    /// Reads a file; `None` where there is none.
    pub(super) fn read<T: DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<Option<T>, PhoneLmError> {
        let path = self.path(name);
        let refused = |what: String| PhoneLmError::State {
            path: path.clone(),
            reason: format!(
                "{what}; delete it, and the search makes this stage again"
            ),
        };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(error) => {
                return Err(refused(format!("it cannot be read: {error}")));
            }
        };
        let any: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| {
                refused(format!("it was cut short or damaged ({error})"))
            })?;
        // The format first: a later one may hold anything else.
        let format = any.get("format").and_then(serde_json::Value::as_u64);
        if format != Some(u64::from(FORMAT)) {
            let found = format.map_or("none".to_owned(), |f| f.to_string());
            return Err(refused(format!(
                "its format is {found}, this program reads {FORMAT}"
            )));
        }
        let kept: Kept<T> = serde_json::from_value(any)
            .map_err(|error| refused(format!("its content is bad: {error}")))?;
        if kept.search != self.search {
            return Err(refused(format!(
                "it belongs to another search (`{}`, this one is `{}`)",
                kept.search, self.search
            )));
        }
        Ok(Some(kept.content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_comes_back_and_bad_ones_are_refused_by_name() {
        let own = format!("assay-search-{}", std::process::id());
        let folder = std::env::temp_dir().join(own);
        let state = State::new(&folder, "seed=1".into()).unwrap();
        assert!(state.read::<u32>("a").unwrap().is_none());
        state.write("a", &7_u32).unwrap();
        assert_eq!(state.read::<u32>("a").unwrap(), Some(7));

        let other = State::new(&folder, "seed=2".into()).unwrap();
        let error = other.read::<u32>("a").unwrap_err().to_string();
        for word in ["a.json", "another search", "delete it"] {
            assert!(error.contains(word), "{error}");
        }
        let whole = std::fs::read_to_string(state.path("a")).unwrap();
        std::fs::write(state.path("a"), &whole[..whole.len() - 2]).unwrap();
        let error = state.read::<u32>("a").unwrap_err().to_string();
        assert!(error.contains("cut short"), "{error}");
        let later = whole.replace("\"format\":1", "\"format\":9");
        std::fs::write(state.path("a"), later).unwrap();
        let error = state.read::<u32>("a").unwrap_err().to_string();
        assert!(error.contains("its format is 9"), "{error}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
