//! Tensors into a safetensors file, written beside its place and renamed into
//! it: whoever is killed while writing leaves the old file or the new one.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize};

use crate::KitError;
use crate::checkpoint::NOTE;

/// A tensor to be written: name, shape, row-major values.
pub type Named = (String, Vec<usize>, Vec<f32>);

/// Writes tensors in `f32`.
///
/// # Errors
///
/// A shape that does not fit its values; a name that stands twice; whatever
/// the system says.
pub fn save(path: &Path, tensors: &[Named]) -> Result<(), KitError> {
    write_whole(path, &bytes_of(path, tensors, None)?)
}

/// As [`save`], with a text in the file's header: what the tensors are of.
/// [`Checkpoint::note`](crate::Checkpoint::note) reads it. The text and the
/// tensors are one file, so that neither is ever there without the other.
///
/// # Errors
///
/// As [`save`].
pub fn save_with_note(
    path: &Path,
    tensors: &[Named],
    note: &str,
) -> Result<(), KitError> {
    write_whole(path, &bytes_of(path, tensors, Some(note))?)
}

fn bytes_of(
    path: &Path,
    tensors: &[Named],
    note: Option<&str>,
) -> Result<Vec<u8>, KitError> {
    let refused =
        |message: String| KitError::Format { path: path.to_owned(), message };
    let mut names: Vec<&str> =
        tensors.iter().map(|(name, _, _)| name.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(refused(format!("`{}` stands twice", twice[0])));
    }
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, values)| {
            values.iter().flat_map(|value| value.to_le_bytes()).collect()
        })
        .collect();
    let mut views = Vec::with_capacity(tensors.len());
    for ((name, shape, _), bytes) in tensors.iter().zip(&bytes) {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes)
            .map_err(|error| refused(format!("`{name}`: {error}")))?;
        views.push((name.as_str(), view));
    }
    let notes =
        note.map(|note| HashMap::from([(NOTE.to_owned(), note.to_owned())]));
    serialize(views, notes).map_err(|error| refused(error.to_string()))
}

/// Writes a file whole: beside it first, then renamed, so that a killed
/// process leaves the old one or the new one.
///
/// # Errors
/// Whatever the system says.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), KitError> {
    let failed = |error| KitError::Write { path: path.to_owned(), error };
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let mut file = File::create(&beside).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    // The name must not reach the disk before what it names.
    file.sync_data().map_err(failed)?;
    std::fs::rename(&beside, path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Checkpoint;

    fn place(name: &str) -> PathBuf {
        let file = format!("assay-kit-{}-{name}", std::process::id());
        std::env::temp_dir().join(file)
    }

    #[test]
    fn what_was_saved_is_read_back_with_its_note() {
        let path = place("save");
        let tensors = [
            ("b".to_owned(), vec![2, 2], vec![1.0, -2.5, 0.0, 1e-30]),
            ("a".to_owned(), vec![1], vec![7.0]),
        ];
        save_with_note(&path, &tensors, "{\"step\": 3}").unwrap();
        let file = Checkpoint::open(&path).unwrap();
        assert_eq!(file.names().unwrap(), ["a", "b"]);
        let b = file.floats("b").unwrap();
        assert_eq!((b.shape, b.values), (vec![2, 2], tensors[0].2.clone()));
        assert_eq!(file.note().unwrap().as_deref(), Some("{\"step\": 3}"));

        save(&path, &tensors[1..]).unwrap();
        let file = Checkpoint::open(&path).unwrap();
        assert_eq!(file.names().unwrap(), ["a"]);
        assert_eq!(file.note().unwrap(), None);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_shape_that_does_not_fit_and_a_name_that_stands_twice_are_refused() {
        let path = place("refused");
        let one = |name: &str| (name.to_owned(), vec![1], vec![0.5]);
        let short = ("a".to_owned(), vec![3], vec![0.5]);
        assert!(save(&path, &[short]).is_err());
        let error = save(&path, &[one("a"), one("a")]).unwrap_err();
        assert!(error.to_string().contains("`a` stands twice"), "{error}");
        assert!(!path.exists());
    }
}
