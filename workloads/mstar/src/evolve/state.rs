//! What a study keeps on disk, so that a killed one goes on: one safetensors
//! file a stage, written aside and renamed, with a note in its header of
//! which study it belongs to and what it told.
//!
//! A file that is cut short, of another study, or of a model of another shape
//! is an error that says so: training it again in silence could cost an hour.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use assay_kit::{
    Checkpoint, KitError, Named, OptimizerState, parameter_shapes,
    parameter_values, save_with_note, with_values,
};
use burn::module::Module;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::MstarError;

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

fn refused(path: &Path, what: &str) -> MstarError {
    MstarError::State {
        path: path.to_owned(),
        reason: format!(
            "{what}; delete it and the files of later stages, and the study \
             makes them again"
        ),
    }
}

impl State {
    /// The state of the study that `study` describes, in `folder`, which is
    /// made where it is not there.
    pub(crate) fn new(
        folder: &Path,
        study: String,
    ) -> Result<Self, MstarError> {
        std::fs::create_dir_all(folder).map_err(|error| MstarError::State {
            path: folder.to_owned(),
            reason: format!("the folder cannot be made: {error}"),
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
    ) -> Result<(), MstarError> {
        let path = self.path(name);
        let note = Note { format: FORMAT, study: self.study.clone(), content };
        let note = serde_json::to_string(&note).map_err(|error| {
            let reason = format!("its note cannot be written: {error}");
            MstarError::State { path: path.clone(), reason }
        })?;
        Ok(save_with_note(&path, tensors, &note)?)
    }

    /// Reads a file; `None` where there is none.
    pub(crate) fn read<T: DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<Option<(Checkpoint, T)>, MstarError> {
        let path = self.path(name);
        if !path.exists() {
            return Ok(None);
        }
        let file = Checkpoint::open(&path).map_err(|error| match error {
            KitError::Format { message, .. } => {
                let what = format!("it was cut short or damaged ({message})");
                refused(&path, &what)
            }
            other => MstarError::Kit(other),
        })?;
        let note = file.note()?.ok_or_else(|| {
            refused(&path, "it says nothing of the study that it belongs to")
        })?;
        // The format first: a later one may hold anything else.
        let format = serde_json::from_str::<serde_json::Value>(&note)
            .ok()
            .and_then(|note| note.get("format")?.as_u64());
        if format != Some(u64::from(FORMAT)) {
            let found = format.map_or("none".to_owned(), |f| f.to_string());
            let what =
                format!("its format is {found}, this program reads {FORMAT}");
            return Err(refused(&path, &what));
        }
        let note: Note<T> = serde_json::from_str(&note).map_err(|error| {
            refused(&path, &format!("its note is bad: {error}"))
        })?;
        if note.study != self.study {
            let what = format!(
                "it belongs to another study (`{}`, this one is `{}`)",
                note.study, self.study
            );
            return Err(refused(&path, &what));
        }
        Ok(Some((file, note.content)))
    }

    /// Removes a file that is not needed any more.
    pub(crate) fn remove(&self, name: &str) -> Result<(), MstarError> {
        let path = self.path(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let reason = format!("it cannot be removed: {error}");
                Err(MstarError::State { path, reason })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// A module's weights, under `weights.`.
pub(crate) fn module_tensors<M: Module>(module: &M) -> Vec<Named> {
    let mut shapes = parameter_shapes(module);
    parameter_values(module)
        .into_iter()
        .map(|(name, values)| {
            let shape = shapes.remove(&name).unwrap_or_default();
            (format!("weights.{name}"), shape, values)
        })
        .collect()
}

/// An optimizer's moments, under `first.` and `second.`.
pub(crate) fn moment_tensors(state: &OptimizerState) -> Vec<Named> {
    let mut tensors = Vec::new();
    for (name, [first, second]) in &state.moments {
        for (prefix, values) in [("first", first), ("second", second)] {
            let name = format!("{prefix}.{name}");
            tensors.push((name, vec![values.len()], values.clone()));
        }
    }
    tensors
}

/// All tensors of a file whose names begin with `prefix`, without it.
fn values_under(
    file: &Checkpoint,
    prefix: &str,
) -> Result<BTreeMap<String, Vec<f32>>, MstarError> {
    let mut found = BTreeMap::new();
    for name in file.names()? {
        if let Some(own) = name.strip_prefix(prefix) {
            found.insert(own.to_owned(), file.floats(&name)?.values);
        }
    }
    Ok(found)
}

/// A module with the weights of a file: all of them, each of its shape.
pub(crate) fn module_with<M: Module>(
    module: M,
    file: &Checkpoint,
) -> Result<M, MstarError> {
    let values = values_under(file, "weights.")?;
    for (name, shape) in parameter_shapes(&module) {
        let stored = format!("weights.{name}");
        if !values.contains_key(&name) {
            let what = format!("`{stored}` is missing");
            return Err(refused(file.path(), &what));
        }
        let found = file.floats(&stored)?.shape;
        if found != shape {
            let what = format!(
                "`{stored}` has shape {found:?}, this model's is {shape:?}"
            );
            return Err(refused(file.path(), &what));
        }
    }
    Ok(with_values(module, &values)?)
}

/// The moments of a file, of an optimizer after `steps`; none where none were
/// kept.
pub(crate) fn moments_of(
    file: &Checkpoint,
    steps: u32,
) -> Result<Option<OptimizerState>, MstarError> {
    let mut second = values_under(file, "second.")?;
    let moments: BTreeMap<String, [Vec<f32>; 2]> =
        values_under(file, "first.")?
            .into_iter()
            .map(|(name, first)| {
                let second = second.remove(&name).unwrap_or_default();
                (name, [first, second])
            })
            .collect();
    Ok((!moments.is_empty()).then_some(OptimizerState { steps, moments }))
}

#[cfg(test)]
mod tests {
    use assay_kit::{Linear, Parameters};
    use burn::tensor::Device;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let own = format!("assay-mstar-{}-{name}", std::process::id());
        std::env::temp_dir().join(own)
    }

    fn layer(inputs: usize) -> Linear {
        let mut start = Parameters::random(&Device::flex(), 3);
        Linear::new(&mut start, inputs, 2, true)
    }

    #[test]
    fn a_stage_comes_back_and_bad_files_are_refused_by_name() {
        let folder = folder("bad");
        let state = State::new(&folder, "seed=1".into()).unwrap();
        assert!(state.read::<u32>("warm-up").unwrap().is_none());
        let mut tensors = module_tensors(&layer(3));
        let moments = BTreeMap::from([(
            "weight".to_owned(),
            [vec![0.5_f32; 6], vec![0.25; 6]],
        )]);
        let kept = OptimizerState { steps: 4, moments };
        tensors.extend(moment_tensors(&kept));
        state.write("warm-up", &tensors, &7_u32).unwrap();
        let (file, content) = state.read::<u32>("warm-up").unwrap().unwrap();
        assert_eq!(content, 7);
        let zeros = {
            let mut start = Parameters::shapes(&Device::flex());
            Linear::new(&mut start, 3, 2, true)
        };
        let found = module_with(zeros, &file).unwrap();
        assert_eq!(parameter_values(&found), parameter_values(&layer(3)));
        assert_eq!(moments_of(&file, 4).unwrap(), Some(kept));

        let error = module_with(layer(4), &file).unwrap_err().to_string();
        for word in ["warm-up.safetensors", "[2, 3]", "[2, 4]", "delete it"] {
            assert!(error.contains(word), "{error}");
        }
        let other = State::new(&folder, "seed=2".into()).unwrap();
        let error = other.read::<u32>("warm-up").err().unwrap().to_string();
        assert!(error.contains("another study"), "{error}");
        let path = state.path("warm-up");
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
        let error = state.read::<u32>("warm-up").err().unwrap().to_string();
        for word in ["warm-up.safetensors", "cut short", "delete it"] {
            assert!(error.contains(word), "{error}");
        }
        state.remove("warm-up").unwrap();
        state.remove("warm-up").unwrap();
        assert!(state.read::<u32>("warm-up").unwrap().is_none());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
