//! Where the snapshots come from: the generator, or the real files.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use assay_measure::{Context, available_memory};
use assay_radio::interference::{self, Constants, SnrConvention};
use assay_radio::{Snapshots, files};

use crate::InterferenceError;
use crate::request::snrs_db;

/// The set that was made last: the cases of a study share one.
static LAST: Mutex<Option<(String, Arc<Snapshots>)>> = Mutex::new(None);

/// A set for a study: real where the context names some, else generated with
/// `per_cell` snapshots of a class at an SNR.
///
/// # Errors
/// Files that do not read, or that do not fit in memory; data with a mistake.
pub fn snapshots(
    context: &Context,
    per_cell: usize,
    convention: SnrConvention,
) -> Result<Arc<Snapshots>, InterferenceError> {
    let key = match &context.data {
        Some(path) => path.display().to_string(),
        None => format!("{} {per_cell} {convention:?}", context.seed),
    };
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((known, set)) = &*last
        && *known == key
    {
        return Ok(Arc::clone(set));
    }
    // Two sets need not fit at once.
    *last = None;
    let set = match &context.data {
        Some(path) => read(path)?,
        None => generate(context.seed, per_cell, convention)?,
    };
    set.check().map_err(|error| {
        let path = context.data.as_ref().map_or_else(
            || "the generated set".to_owned(),
            |path| path.display().to_string(),
        );
        InterferenceError::Data { path, error }
    })?;
    let set = Arc::new(set);
    *last = Some((key, Arc::clone(&set)));
    Ok(set)
}

fn read(path: &Path) -> Result<Snapshots, InterferenceError> {
    check_fits(path, files::Kind::Interference)?;
    Ok(files::load(path, files::Kind::Interference)?)
}

/// Refuses data files that would not fit in free memory, by an estimate from
/// their sizes.
///
/// # Errors
/// [`InterferenceError::TooLarge`]; files that are not there.
pub fn check_fits(
    path: &Path,
    kind: files::Kind,
) -> Result<(), InterferenceError> {
    let needed = files::estimate_bytes(path, kind)?;
    if let Some(free) = available_memory()
        && needed as f64 > free.value()
    {
        return Err(InterferenceError::TooLarge {
            what: path.display().to_string(),
            needed,
            free: free.value() as u64,
        });
    }
    Ok(())
}

/// The generated set.
///
/// # Errors
/// The frozen constants do not read: a bug.
pub fn generate(
    seed: u64,
    per_cell: usize,
    convention: SnrConvention,
) -> Result<Snapshots, InterferenceError> {
    let constants = Constants::frozen()?;
    let request = interference::Request {
        snrs_db: snrs_db().collect(),
        per_cell,
        first: 0,
        seed,
        convention,
    };
    Ok(interference::generate(&request, &constants)?.0)
}
