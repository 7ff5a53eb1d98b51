//! `run.toml`: the header of a run, its format version checked before
//! anything else is believed.

use std::path::Path;

use assay_schema::{FORMAT_VERSION, RunHeader, TextError};

use crate::{StoreError, atomic};

/// Reads a header.
///
/// A newer version is refused by number before its keys are looked at: a key
/// that this build does not know would only hide the reason.
pub(crate) fn read(path: &Path) -> Result<RunHeader, StoreError> {
    let text =
        std::fs::read_to_string(path).map_err(StoreError::io("read", path))?;
    let wrong = |error: toml::de::Error| {
        let file = path.display().to_string();
        TextError::new(file, &text, error.span(), error.message())
    };
    let table: toml::Table = toml::from_str(&text).map_err(wrong)?;
    let version = table.get("format_version").and_then(toml::Value::as_integer);
    if let Some(found) = version
        && found > i64::from(FORMAT_VERSION)
    {
        return Err(StoreError::Newer {
            path: path.to_owned(),
            found,
            supported: FORMAT_VERSION,
        });
    }
    Ok(toml::from_str(&text).map_err(wrong)?)
}

/// Writes a header in one step.
pub(crate) fn write(path: &Path, header: &RunHeader) -> Result<(), StoreError> {
    let refused = |reason: String| StoreError::WouldNotReadBack {
        path: path.to_owned(),
        reason,
    };
    // E.g. a seed past TOML's 63 bits.
    let text = toml::to_string_pretty(header)
        .map_err(|error| refused(error.to_string()))?;
    match toml::from_str::<RunHeader>(&text) {
        Ok(read) if read == *header => atomic::write(path, text.as_bytes()),
        Ok(_) => Err(refused("the header reads back differently".to_owned())),
        Err(error) => Err(refused(error.message().to_owned())),
    }
}
