//! What a study keeps on disk, so that a killed one goes on: one safetensors
//! file a stage, written aside and renamed, with a note in its header of
//! which study it belongs to and what it told.
//!
//! A file that is cut short, or of another study, is an error that says so:
//! training it again in silence could cost an hour.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use assay_kit::{
    Checkpoint, KitError, Named, parameter_shapes, parameter_values,
    save_with_note, with_values,
};
use burn::module::Module;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::InstaFlowError;

/// The format of the note; a change of what the files hold raises it.
const FORMAT: u32 = 1;

/// A study's folder.
#[derive(Clone, Debug)]
pub(crate) struct State {
    folder: PathBuf,
    study: String,
}

/// What a file says of itself.
#[derive(Debug, Serialize, Deserialize)]
struct Note<T> {
    format: u32,
    study: String,
    content: T,
}

impl State {
    /// The state of the study that `study` describes, in `folder`, which is
    /// made where it is not there.
    pub(crate) fn new(
        folder: &Path,
        study: String,
    ) -> Result<Self, InstaFlowError> {
        std::fs::create_dir_all(folder).map_err(|error| {
            InstaFlowError::State {
                path: folder.to_owned(),
                why: format!("the folder cannot be made: {error}"),
            }
        })?;
        Ok(Self { folder: folder.to_owned(), study })
    }

    /// Where the file `name` stands.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.safetensors"))
    }

    /// Writes a file whole.
    pub(crate) fn write<T: Serialize>(
        &self,
        name: &str,
        tensors: &[Named],
        content: &T,
    ) -> Result<(), InstaFlowError> {
        let path = self.path(name);
        let note = Note { format: FORMAT, study: self.study.clone(), content };
        let note = serde_json::to_string(&note).map_err(|error| {
            let why = format!("its note cannot be written: {error}");
            InstaFlowError::State { path: path.clone(), why }
        })?;
        Ok(save_with_note(&path, tensors, &note)?)
    }

    /// Reads a file; `None` where there is none.
    pub(crate) fn read<T: DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<Option<(Checkpoint, T)>, InstaFlowError> {
        let path = self.path(name);
        if !path.exists() {
            return Ok(None);
        }
        let refused = |what: String| InstaFlowError::State {
            path: path.clone(),
            why: format!(
                "{what}; delete it, and the study makes this stage again"
            ),
        };
        let file = Checkpoint::open(&path).map_err(|error| match error {
            KitError::Format { message, .. } => {
                refused(format!("it was cut short or damaged ({message})"))
            }
            other => InstaFlowError::Kit(other),
        })?;
        let note = file.note()?.ok_or_else(|| {
            refused("it says nothing of the study that it belongs to".into())
        })?;
        // The format first: a later one may hold anything else.
        let format = serde_json::from_str::<serde_json::Value>(&note)
            .ok()
            .and_then(|note| note.get("format")?.as_u64());
        if format != Some(u64::from(FORMAT)) {
            let found = format.map_or("none".to_owned(), |f| f.to_string());
            return Err(refused(format!(
                "its format is {found}, this program reads {FORMAT}"
            )));
        }
        let note: Note<T> = serde_json::from_str(&note)
            .map_err(|error| refused(format!("its note is bad: {error}")))?;
        if note.study != self.study {
            return Err(refused(format!(
                "it belongs to another study (`{}`, this one is `{}`)",
                note.study, self.study
            )));
        }
        Ok(Some((file, note.content)))
    }

    /// Removes a file that is not needed any more.
    pub(crate) fn remove(&self, name: &str) -> Result<(), InstaFlowError> {
        let path = self.path(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let why = format!("it cannot be removed: {error}");
                Err(InstaFlowError::State { path, why })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// A module's weights under a prefix.
pub(crate) fn module_tensors<M: Module>(
    prefix: &str,
    module: &M,
) -> Vec<Named> {
    let mut shapes = parameter_shapes(module);
    parameter_values(module)
        .into_iter()
        .map(|(name, values)| {
            let shape = shapes.remove(&name).unwrap_or_default();
            (format!("{prefix}{name}"), shape, values)
        })
        .collect()
}

/// All tensors of a file whose names begin with `prefix`, without it.
pub(crate) fn values_under(
    file: &Checkpoint,
    prefix: &str,
) -> Result<BTreeMap<String, Vec<f32>>, InstaFlowError> {
    let mut found = BTreeMap::new();
    for name in file.names()? {
        if let Some(own) = name.strip_prefix(prefix) {
            found.insert(own.to_owned(), file.floats(&name)?.values);
        }
    }
    Ok(found)
}

/// A module with the weights that stand under a prefix: all of them.
pub(crate) fn module_with<M: Module>(
    module: M,
    file: &Checkpoint,
    prefix: &str,
) -> Result<M, InstaFlowError> {
    let values = values_under(file, prefix)?;
    let missing = parameter_shapes(&module)
        .into_keys()
        .find(|name| !values.contains_key(name));
    if let Some(name) = missing {
        return Err(InstaFlowError::State {
            path: file.path().to_owned(),
            why: format!(
                "`{prefix}{name}` is missing; delete it, and the study makes \
                 this stage again"
            ),
        });
    }
    Ok(with_values(module, &values)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let own = format!("assay-state-{}-{name}", std::process::id());
        std::env::temp_dir().join(own)
    }

    #[test]
    fn a_file_comes_back_and_bad_ones_are_refused_by_name() {
        let folder = folder("bad");
        let state = State::new(&folder, "seed=1".into()).unwrap();
        assert!(state.read::<u32>("flow").unwrap().is_none());
        let tensors = [("w.a".to_owned(), vec![3], vec![1.0, 2.0, 3.0])];
        state.write("flow", &tensors, &7_u32).unwrap();
        let (file, content) = state.read::<u32>("flow").unwrap().unwrap();
        assert_eq!(content, 7);
        let found = values_under(&file, "w.").unwrap();
        assert_eq!(found["a"], [1.0, 2.0, 3.0]);

        let other = State::new(&folder, "seed=2".into()).unwrap();
        let error = other.read::<u32>("flow").err().unwrap().to_string();
        for word in ["flow.safetensors", "another study", "delete it"] {
            assert!(error.contains(word), "{error}");
        }
        let path = state.path("flow");
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
        let error = state.read::<u32>("flow").err().unwrap().to_string();
        for word in ["flow.safetensors", "cut short", "delete it"] {
            assert!(error.contains(word), "{error}");
        }
        state.remove("flow").unwrap();
        state.remove("flow").unwrap();
        assert!(state.read::<u32>("flow").unwrap().is_none());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
