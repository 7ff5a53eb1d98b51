//! Which files of a path are read, and what memory that takes.

use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use super::{FilesError, Kind, npy, open};

const DATA_IQ: [&str; 3] = ["data_iq.p", "data_iq.pkl", "data_iq.npy"];
const LABELS: [&str; 3] = ["labels.p", "labels.pkl", "labels.npy"];
const RADIOML: [&str; 7] = [
    "RML2016.10a_dict.pkl",
    "RML2016.10a_dict.dat",
    "RML2016.10a.pkl",
    "RML2016.10a.dat",
    "RML2016.10b.dat",
    "RML2016.10b.pkl",
    "RML2016.10b_dict.dat",
];

/// The files of one set.
pub(super) struct Found {
    pub(super) data: PathBuf,
    pub(super) labels: Option<PathBuf>,
}

/// Looks for the known names in a folder, or takes a file as it is; labels lie
/// beside the data.
pub(super) fn find(path: &Path, kind: Kind) -> Result<Found, FilesError> {
    let data = if path.is_dir() {
        let names: &[&str] = match kind {
            Kind::Interference => &DATA_IQ,
            Kind::RadioMl => &RADIOML,
        };
        only(path, names)?.ok_or_else(|| FilesError::NoneFound {
            path: path.to_owned(),
            names: names.join(", "),
        })?
    } else {
        path.to_owned()
    };
    let folder = data.parent().unwrap_or(Path::new(""));
    let labels = match kind {
        Kind::Interference => only(folder, &LABELS)?,
        Kind::RadioMl => None,
    };
    for file in [Some(&data), labels.as_ref()].into_iter().flatten() {
        let (mut reader, _) = open(file)?;
        let start = reader.fill_buf().map_err(|e| FilesError::io(file, e))?;
        if let Some(by) = compression(start) {
            return Err(FilesError::Compressed { path: file.clone(), by });
        }
    }
    Ok(Found { data, labels })
}

/// The one of these names that the folder has, if any.
fn only(folder: &Path, names: &[&str]) -> Result<Option<PathBuf>, FilesError> {
    let there: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| folder.join(name).is_file())
        .collect();
    match there[..] {
        [] => Ok(None),
        [name] => Ok(Some(folder.join(name))),
        _ => Err(FilesError::Several {
            path: folder.to_owned(),
            names: there.join(" and "),
        }),
    }
}

fn compression(start: &[u8]) -> Option<&'static str> {
    [
        (&b"\x1f\x8b"[..], "gzip"),
        (b"BZh", "bzip2"),
        (b"PK\x03\x04", "zip"),
        (b"\xfd7zXZ", "xz"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
    ]
    .into_iter()
    .find_map(|(magic, name)| start.starts_with(magic).then_some(name))
}

/// Memory that [`super::load`] needs at its peak, bytes, roughly and rather
/// above: from the files' lengths and their first bytes, without reading them.
///
/// # Errors
/// As [`super::load`], for files that are missing or cannot be opened.
pub fn estimate_bytes(path: &Path, kind: Kind) -> Result<u64, FilesError> {
    let found = find(path, kind)?;
    let labels = found.labels.as_deref().map_or(Ok(0), one)?;
    Ok(one(&found.data)? + labels)
}

fn one(path: &Path) -> Result<u64, FilesError> {
    let (mut reader, length) = open(path)?;
    let io = |e| FilesError::io(path, e);
    if npy::begins(&mut reader).map_err(io)? {
        let header = npy::header(&mut reader).map_err(|message| {
            FilesError::Npy { path: path.to_owned(), message }
        })?;
        let snapshots = header.elements().unwrap_or(u64::MAX);
        return Ok(length.saturating_add(snapshots.saturating_mul(4)));
    }
    let mut start = Vec::new();
    reader.take(4096).read_to_end(&mut start).map_err(io)?;
    let text = start.windows(7).any(|part| part == b"_codecs");
    Ok(match start.first() {
        // Python 3 wrote bytes as text: the text, the bytes, the snapshots.
        _ if text => length.saturating_mul(3),
        // Protocol 0, as cPickle wrote RadioML: most bytes as four letters,
        // so that bytes and snapshots together are less than the file.
        Some(b'(') => length,
        _ => length.saturating_mul(2),
    })
}
