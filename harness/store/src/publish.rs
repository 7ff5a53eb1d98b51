//! The copy of a run that is published: the same files, events and
//! predictions compressed. It reads like the original.

use std::path::Path;

use crate::case_file::read_bytes;
use crate::derived::{CLAIMS, PREDICTIONS, PROFILES};
use crate::directory::{CASES, HEADER};
use crate::{RunDirectory, StoreError, atomic};

/// Slow and small: a run is published once and cloned often.
const LEVEL: i32 = 19;

/// Writes a compressed copy of a run into a new directory.
///
/// The bytes of each file come back exactly, torn lines and all. The README
/// that stands beside a published run is its author's to write.
///
/// # Errors
/// `out` holds a run already, or the disk.
pub fn compress(run: &RunDirectory, out: &Path) -> Result<(), StoreError> {
    let cases = out.join(CASES);
    if out.join(HEADER).exists() || cases.exists() {
        return Err(StoreError::AlreadyARun(out.to_owned()));
    }
    std::fs::create_dir_all(&cases)
        .map_err(StoreError::io("create", &cases))?;
    for path in run.case_paths()? {
        copy_compressed(&path, &cases)?;
    }
    for name in [PREDICTIONS, PROFILES, CLAIMS] {
        let plain = run.path().join(name);
        let compressed = run.path().join(format!("{name}.zst"));
        if plain.exists() {
            copy_compressed(&plain, out)?;
        } else if compressed.exists() {
            copy_compressed(&compressed, out)?;
        }
    }
    // The header last: a copy that was killed half way is no run.
    let header = read_bytes(&run.path().join(HEADER))?;
    atomic::write(&out.join(HEADER), &header)
}

fn copy_compressed(from: &Path, folder: &Path) -> Result<(), StoreError> {
    let bytes = read_bytes(from)?;
    let name = from.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".zst").unwrap_or(&name);
    let to = folder.join(format!("{name}.zst"));
    let packed = zstd::encode_all(&bytes[..], LEVEL)
        .map_err(StoreError::io("compress", from))?;
    atomic::write(&to, &packed)
}
