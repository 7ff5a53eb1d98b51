//! What can go wrong with weights and golden files.

use std::path::PathBuf;

/// A file that cannot serve as weights or as a golden file.
#[derive(Debug, thiserror::Error)]
pub enum KitError {
    /// The file could not be read.
    #[error("{path}: {error}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// Not a safetensors file, or a truncated one.
    #[error("{path}: not a whole safetensors file ({message}); copy or download it again", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        message: String,
    },
    /// Tensors that the model needs and the file lacks.
    #[error("{path}: {count} tensor(s) missing, first `{first}`{nearest}", path = path.display(), count = names.len(), first = names[0], nearest = nearest.as_ref().map(|n| format!("; nearest in the file: `{n}`")).unwrap_or_default())]
    Missing {
        /// The file.
        path: PathBuf,
        /// All missing names.
        names: Vec<String>,
        /// The name in the file nearest to the first.
        nearest: Option<String>,
    },
    /// Tensors that the file has and the model does not know.
    #[error("{path}: {count} tensor(s) that the model does not have, first `{first}`", path = path.display(), count = names.len(), first = names[0])]
    Extra {
        /// The file.
        path: PathBuf,
        /// All extra names.
        names: Vec<String>,
    },
    /// A tensor of another shape.
    #[error("{path}: `{name}` has shape {found:?}, expected {expected:?}", path = path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its shape in the file.
        found: Vec<usize>,
        /// The model's shape.
        expected: Vec<usize>,
    },
    /// A tensor of a dtype that cannot be read.
    #[error("{path}: `{name}` has dtype {found}, expected {expected}", path = path.display())]
    Dtype {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its dtype.
        found: String,
        /// What is read.
        expected: &'static str,
    },
    /// The file could not be written.
    #[error("{path}: cannot be written: {error}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A parameter, or the state of one, of another size.
    #[error("`{name}` has {found} value(s), expected {expected}")]
    Size {
        /// The parameter's dotted path.
        name: String,
        /// How many values there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
}
