//! A module's weights and an optimizer's moments as the tensors of a file
//! that a study keeps, and back: names under prefixes, so that one file holds
//! several modules.

use std::collections::BTreeMap;

use burn::module::Module;

use crate::{
    Checkpoint, KitError, Named, OptimizerState, StudyFileError,
    parameter_shapes, parameter_values, with_values,
};

/// Before the names of an optimizer's first and second moments.
const MOMENTS: [&str; 2] = ["first.", "second."];

/// A module's weights, their names with `prefix` before them.
pub fn module_tensors<M: Module>(prefix: &str, module: &M) -> Vec<Named> {
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
///
/// # Errors
/// A tensor that is no float.
pub fn values_under(
    file: &Checkpoint,
    prefix: &str,
) -> Result<BTreeMap<String, Vec<f32>>, KitError> {
    let mut found = BTreeMap::new();
    for name in file.names()? {
        if let Some(own) = name.strip_prefix(prefix) {
            found.insert(own.to_owned(), file.floats(&name)?.values);
        }
    }
    Ok(found)
}

/// A module with the weights that stand under `prefix`: all of them, each of
/// its shape.
///
/// # Errors
/// A weight that is missing, or of another shape.
pub fn module_with<M: Module>(
    module: M,
    file: &Checkpoint,
    prefix: &str,
) -> Result<M, StudyFileError> {
    // Sorted.
    let stored = file.names()?;
    let mut values = BTreeMap::new();
    for (name, shape) in parameter_shapes(&module) {
        let theirs = format!("{prefix}{name}");
        if stored.binary_search(&theirs).is_err() {
            let what = format!("`{theirs}` is missing");
            return Err(StudyFileError::refused(file.path(), what));
        }
        let found = file.floats(&theirs)?;
        if found.shape != shape {
            let what = format!(
                "`{theirs}` has shape {:?}, this model's is {shape:?}",
                found.shape
            );
            return Err(StudyFileError::refused(file.path(), what));
        }
        values.insert(name, found.values);
    }
    Ok(with_values(module, &values)?)
}

/// An optimizer's moments, under `first.` and `second.`.
pub fn moment_tensors(state: &OptimizerState) -> Vec<Named> {
    let mut tensors = Vec::new();
    for (name, both) in &state.moments {
        for (prefix, values) in MOMENTS.into_iter().zip(both) {
            let name = format!("{prefix}{name}");
            tensors.push((name, vec![values.len()], values.clone()));
        }
    }
    tensors
}

/// The moments of a file, of an optimizer after `steps`; there are none where
/// none were kept.
///
/// # Errors
/// A tensor that is no float.
pub fn moments_of(
    file: &Checkpoint,
    steps: u32,
) -> Result<OptimizerState, KitError> {
    let [first, second] = MOMENTS;
    let mut second = values_under(file, second)?;
    let moments = values_under(file, first)?
        .into_iter()
        .map(|(name, first)| {
            let second = second.remove(&name).unwrap_or_default();
            (name, [first, second])
        })
        .collect();
    Ok(OptimizerState { steps, moments })
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::{Linear, Parameters, StudyFiles};

    fn layer(seed: u64, inputs: usize) -> Linear {
        let mut start = Parameters::random(&Device::flex(), seed);
        Linear::new(&mut start, inputs, 2, true)
    }

    #[test]
    fn weights_and_moments_come_back_and_misfits_are_refused_by_name() {
        let own = format!("assay-weights-{}", std::process::id());
        let folder = std::env::temp_dir().join(own);
        let files: StudyFiles<StudyFileError> =
            StudyFiles::new(&folder, "seed=1".into()).unwrap();
        let kept = OptimizerState {
            steps: 4,
            moments: BTreeMap::from([(
                "weight".to_owned(),
                [vec![0.5, -1.0], vec![0.25, 1.0]],
            )]),
        };
        let mut tensors = module_tensors("w.", &layer(3, 3));
        assert_eq!(tensors.len(), 2);
        tensors.extend(moment_tensors(&kept));
        files.write("both", &tensors, &()).unwrap();
        let (file, ()) = files.read("both").unwrap().unwrap();
        let found = module_with(layer(4, 3), &file, "w.").unwrap();
        assert_eq!(parameter_values(&found), parameter_values(&layer(3, 3)));
        assert_eq!(moments_of(&file, 4).unwrap(), kept);

        let error = module_with(layer(3, 4), &file, "w.").unwrap_err();
        let error = error.to_string();
        for word in ["both.safetensors", "[2, 3]", "[2, 4]", "delete it"] {
            assert!(error.contains(word), "{error}");
        }
        files.write("few", &tensors[..1], &()).unwrap();
        let (file, ()) = files.read("few").unwrap().unwrap();
        assert!(moments_of(&file, 4).unwrap().moments.is_empty());
        let error = module_with(layer(3, 3), &file, "w.").unwrap_err();
        let error = error.to_string();
        for word in ["few.safetensors", "`w.weight` is missing; delete it"] {
            assert!(error.contains(word), "{error}");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
