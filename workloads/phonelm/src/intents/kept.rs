//! What a study of the intents keeps on disk, so that a killed one goes on:
//! a safetensors file a stage with its weights, and a note of which study it
//! belongs to and what it told.
//!
//! A file that is cut short, or of another study, is an error that says so:
//! training it again in silence could cost many minutes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use assay_kit::{
    Checkpoint, KitError, Named, parameter_shapes, parameter_values,
    save_with_note, with_values,
};
use burn::module::Module;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::PhoneLmError;

/// The format of the files; a change of what they hold raises it.
const FORMAT: u32 = 1;

/// Before the names of a model's weights.
pub(crate) const WEIGHTS: &str = "weights.";

/// A study's folder.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
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

impl Kept {
    /// The files of the study that `study` describes, in `folder`, which is
    /// made where it is not there.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub(crate) fn new(
        folder: &Path,
        study: String,
    ) -> Result<Self, PhoneLmError> {
        std::fs::create_dir_all(folder).map_err(|error| {
            PhoneLmError::State {
                path: folder.to_owned(),
                reason: format!("the folder cannot be made: {error}"),
            }
        })?;
        Ok(Self { folder: folder.to_owned(), study })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.safetensors"))
    }

    /// Writes a file whole.
    ///
    /// # Errors
    /// Whatever the system says.
    pub(crate) fn write<T: Serialize>(
        &self,
        name: &str,
        tensors: &[Named],
        content: &T,
    ) -> Result<(), PhoneLmError> {
        let path = self.path(name);
        let note = Note { format: FORMAT, study: self.study.clone(), content };
        let note = serde_json::to_string(&note).map_err(|error| {
            let reason = format!("its note cannot be written: {error}");
            PhoneLmError::State { path: path.clone(), reason }
        })?;
        Ok(save_with_note(&path, tensors, &note)?)
    }

    /// Reads a file; `None` where there is none.
    ///
    /// # Errors
    /// A file that is damaged, of another format or of another study.
    pub(crate) fn read<T: DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<Option<(Checkpoint, T)>, PhoneLmError> {
        let path = self.path(name);
        if !path.exists() {
            return Ok(None);
        }
        let refused = |what: String| of_stage(&path, &what);
        let file = Checkpoint::open(&path).map_err(|error| match error {
            KitError::Format { message, .. } => {
                refused(format!("it was cut short or damaged ({message})"))
            }
            other => PhoneLmError::Kit(other),
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

    /// Writes a text to be read by people, aside and renamed.
    ///
    /// # Errors
    /// Whatever the system says.
    pub(crate) fn write_text(
        &self,
        name: &str,
        text: &str,
    ) -> Result<(), PhoneLmError> {
        let path = self.folder.join(name);
        Ok(assay_kit::write_whole(&path, text.as_bytes())?)
    }

    /// Removes a file that is not needed any more.
    ///
    /// # Errors
    /// Whatever the system says, but that it is not there.
    pub(crate) fn remove(&self, name: &str) -> Result<(), PhoneLmError> {
        let path = self.path(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let reason = format!("it cannot be removed: {error}");
                Err(PhoneLmError::State { path, reason })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

fn of_stage(path: &Path, what: &str) -> PhoneLmError {
    PhoneLmError::State {
        path: path.to_owned(),
        reason: format!(
            "{what}; delete it, and the study makes this stage again"
        ),
    }
}

/// A model's weights, named for a file.
pub(crate) fn weights<M: Module>(model: &M) -> Vec<Named> {
    let mut shapes = parameter_shapes(model);
    parameter_values(model)
        .into_iter()
        .map(|(name, values)| {
            let shape = shapes.remove(&name).unwrap_or_default();
            (format!("{WEIGHTS}{name}"), shape, values)
        })
        .collect()
}

/// All tensors of a file whose names begin with `prefix`, without it.
///
/// # Errors
/// A tensor that is no float.
pub(crate) fn under(
    file: &Checkpoint,
    prefix: &str,
) -> Result<BTreeMap<String, Vec<f32>>, PhoneLmError> {
    let mut found = BTreeMap::new();
    for name in file.names()? {
        if let Some(own) = name.strip_prefix(prefix) {
            found.insert(own.to_owned(), file.floats(&name)?.values);
        }
    }
    Ok(found)
}

/// A model with the weights of a file: all of them.
///
/// # Errors
/// A weight that is missing, or of another size.
pub(crate) fn with_weights<M: Module>(
    model: M,
    file: &Checkpoint,
) -> Result<M, PhoneLmError> {
    let values = under(file, WEIGHTS)?;
    let missing = parameter_shapes(&model)
        .into_keys()
        .find(|name| !values.contains_key(name));
    if let Some(name) = missing {
        let what = format!("`{WEIGHTS}{name}` is missing");
        return Err(of_stage(file.path(), &what));
    }
    Ok(with_values(model, &values)?)
}

#[cfg(test)]
mod tests {
    use assay_kit::{Linear, Parameters};
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn weights_come_back_and_bad_files_are_refused_by_name() {
        let own = format!("assay-intents-kept-{}", std::process::id());
        let folder = std::env::temp_dir().join(own);
        let kept = Kept::new(&folder, "seed=1".into()).unwrap();
        assert!(kept.read::<u32>("words").unwrap().is_none());
        let layer = |seed| {
            let mut start = Parameters::random(&Device::flex(), seed);
            Linear::new(&mut start, 3, 2, true)
        };
        kept.write("words", &weights(&layer(1)), &7_u32).unwrap();
        let (file, content) = kept.read::<u32>("words").unwrap().unwrap();
        assert_eq!(content, 7);
        let read = with_weights(layer(2), &file).unwrap();
        assert_eq!(parameter_values(&read), parameter_values(&layer(1)));

        kept.write("few", &weights(&layer(1))[..1], &7_u32).unwrap();
        let (few, _) = kept.read::<u32>("few").unwrap().unwrap();
        let error = with_weights(layer(2), &few).unwrap_err().to_string();
        assert!(error.contains("is missing; delete it"), "{error}");
        let other = Kept::new(&folder, "seed=2".into()).unwrap();
        let error = other.read::<u32>("words").err().unwrap().to_string();
        for word in ["words.safetensors", "another study", "delete it"] {
            assert!(error.contains(word), "{error}");
        }
        let path = kept.path("words");
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
        let error = kept.read::<u32>("words").err().unwrap().to_string();
        assert!(error.contains("cut short"), "{error}");
        kept.remove("words").unwrap();
        kept.remove("words").unwrap();
        assert!(kept.read::<u32>("words").unwrap().is_none());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
