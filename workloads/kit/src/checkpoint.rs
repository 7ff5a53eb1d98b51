//! A safetensors file: tensors by name, widened to `f32`.

use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};

use crate::KitError;

/// The header's key under which a note stands.
pub(crate) const NOTE: &str = "note";

/// A tensor's values in `f32`, with its shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    /// Shape as in the file.
    pub shape: Vec<usize>,
    /// Row-major values.
    pub values: Vec<f32>,
}

/// A safetensors file in memory.
pub struct Checkpoint {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Checkpoint {
    /// Reads a file and checks that it is whole.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, is no safetensors file, or is truncated.
    pub fn open(path: &Path) -> Result<Self, KitError> {
        let bytes = std::fs::read(path)
            .map_err(|error| KitError::Read { path: path.to_owned(), error })?;
        Self::from_bytes(path, bytes)
    }

    /// A file that was embedded at compile time; `name` stands in messages.
    ///
    /// # Errors
    ///
    /// As [`Checkpoint::open`].
    pub fn from_bytes(
        name: impl Into<PathBuf>,
        bytes: Vec<u8>,
    ) -> Result<Self, KitError> {
        let checkpoint = Self { path: name.into(), bytes };
        checkpoint.tensors()?;
        Ok(checkpoint)
    }

    fn tensors(&self) -> Result<SafeTensors<'_>, KitError> {
        SafeTensors::deserialize(&self.bytes).map_err(|error| {
            KitError::Format {
                path: self.path.clone(),
                message: error.to_string(),
            }
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names in the file, sorted.
    ///
    /// # Errors
    ///
    /// As [`Checkpoint::open`].
    pub fn names(&self) -> Result<Vec<String>, KitError> {
        let mut names: Vec<String> =
            self.tensors()?.names().into_iter().map(String::from).collect();
        names.sort();
        Ok(names)
    }

    /// The note that [`save_with_note`](crate::save_with_note) left in the
    /// header; `None` where there is none.
    ///
    /// # Errors
    ///
    /// As [`Checkpoint::open`].
    pub fn note(&self) -> Result<Option<String>, KitError> {
        let (_, header) =
            SafeTensors::read_metadata(&self.bytes).map_err(|error| {
                KitError::Format {
                    path: self.path.clone(),
                    message: error.to_string(),
                }
            })?;
        let notes = header.metadata().as_ref();
        Ok(notes.and_then(|notes| notes.get(NOTE)).cloned())
    }

    /// A float tensor, widened to `f32`.
    ///
    /// # Errors
    ///
    /// The name is missing (the nearest is given), or its dtype is not `f64`,
    /// `f32`, `f16` or `bf16`.
    pub fn floats(&self, name: &str) -> Result<Values, KitError> {
        let tensors = self.tensors()?;
        let view = tensors.tensor(name).map_err(|_| self.missing(name))?;
        let data = view.data();
        let values = match view.dtype() {
            Dtype::F32 => each(data, f32::from_le_bytes),
            Dtype::F64 => each(data, |b| f64::from_le_bytes(b) as f32),
            Dtype::F16 => each(data, |b| half::f16::from_le_bytes(b).to_f32()),
            Dtype::BF16 => {
                each(data, |b| half::bf16::from_le_bytes(b).to_f32())
            }
            other => {
                return Err(self.dtype(name, other, "f64, f32, f16 or bf16"));
            }
        };
        Ok(Values { shape: view.shape().to_vec(), values })
    }

    /// An integer tensor, with its shape.
    ///
    /// # Errors
    ///
    /// The name is missing, or its dtype is not `i64` or `i32`.
    pub fn integers(
        &self,
        name: &str,
    ) -> Result<(Vec<usize>, Vec<i64>), KitError> {
        let tensors = self.tensors()?;
        let view = tensors.tensor(name).map_err(|_| self.missing(name))?;
        let values = match view.dtype() {
            Dtype::I64 => each(view.data(), i64::from_le_bytes),
            Dtype::I32 => {
                each(view.data(), |b| i64::from(i32::from_le_bytes(b)))
            }
            other => return Err(self.dtype(name, other, "i64 or i32")),
        };
        Ok((view.shape().to_vec(), values))
    }

    pub(crate) fn missing(&self, name: &str) -> KitError {
        let names = self.names().unwrap_or_default();
        let nearest =
            assay_schema::nearest(name, names.iter().map(String::as_str));
        KitError::Missing {
            path: self.path.clone(),
            names: vec![name.to_owned()],
            nearest: nearest.map(str::to_owned),
        }
    }

    fn dtype(
        &self,
        name: &str,
        found: Dtype,
        expected: &'static str,
    ) -> KitError {
        KitError::Dtype {
            path: self.path.clone(),
            name: name.to_owned(),
            found: format!("{found:?}"),
            expected,
        }
    }
}

fn each<const N: usize, T>(data: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    data.as_chunks::<N>().0.iter().map(|bytes| read(*bytes)).collect()
}
