//! Readers of the real files: CRAWDAD `owl/interference` and RadioML 2016.
//!
//! [`load`] takes a file, or a folder with the files' known names. Pickles are
//! data here, never programs: arrays, tuples, lists, dictionaries, numbers and
//! strings are read, and whatever else one asks for is refused by name.
//! Nothing is downloaded or unpacked.

mod array;
mod crawdad;
mod error;
mod find;
mod npy;
mod pickle;
mod radioml_pickle;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use crate::Snapshots;

pub use array::ArrayError;
pub use error::FilesError;
pub use find::estimate_bytes;
pub use pickle::{PickleError, PickleFault};

use array::Array;

/// Which data a path holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// CRAWDAD `owl/interference`: `data_iq` and, where present, `labels`.
    Interference,
    /// RML2016.10a or 10b: one pickle.
    RadioMl,
}

/// Reads a file, or the known files of a folder.
///
/// # Errors
/// [`FilesError`], with the path.
pub fn load(path: &Path, kind: Kind) -> Result<Snapshots, FilesError> {
    let found = find::find(path, kind)?;
    let snapshots = match kind {
        Kind::Interference => {
            let labels = found.labels.as_deref().map(read_array).transpose()?;
            let data = read_array(&found.data)?;
            crawdad::snapshots(&data, labels.as_ref(), &found)?
        }
        Kind::RadioMl => {
            let (reader, length) = open(&found.data)?;
            let pickle = pickle::read(reader, length)
                .map_err(|source| FilesError::pickle(&found.data, source))?;
            radioml_pickle::snapshots(pickle, &found.data)?
        }
    };
    snapshots
        .check()
        .map_err(|source| FilesError::Set { path: found.data, source })?;
    Ok(snapshots)
}

/// One array, from a pickle or a `.npy`, whichever it begins as.
fn read_array(path: &Path) -> Result<Array, FilesError> {
    let (mut reader, length) = open(path)?;
    if npy::begins(&mut reader).map_err(|e| FilesError::io(path, e))? {
        return npy::read(reader, length).map_err(|message| FilesError::Npy {
            path: path.to_owned(),
            message,
        });
    }
    let mut pickle = pickle::read(reader, length)
        .map_err(|source| FilesError::pickle(path, source))?;
    let root = pickle.root();
    let array = pickle.take_array(root).ok_or_else(|| FilesError::Shape {
        path: path.to_owned(),
        what: "content".to_owned(),
        found: pickle.describe(root).to_owned(),
        expected: "one array".to_owned(),
    })?;
    array.map_err(|source| FilesError::array(path, source))
}

fn open(path: &Path) -> Result<(BufReader<File>, u64), FilesError> {
    let file = File::open(path).map_err(|e| FilesError::io(path, e))?;
    let length = file.metadata().map_err(|e| FilesError::io(path, e))?.len();
    Ok((BufReader::new(file), length))
}

#[cfg(test)]
mod tests;
