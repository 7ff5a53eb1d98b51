//! Writing a profile in the shape that people read and edit: one line a fact.
//!
//! The field list is not repeated here: serde gives the tree, and this file
//! lays it out. A table that holds a `value` is a fact and stays on one line.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use toml::{Table, Value};

use crate::{HardwareProfile, ProfileError};

impl HardwareProfile {
    /// The profile as the text of a file; parsing it gives an equal profile.
    ///
    /// # Errors
    /// [`ProfileError::Format`] when a value does not fit the format.
    pub fn to_toml(&self) -> Result<String, ProfileError> {
        let tree = Table::try_from(self).map_err(|source| {
            ProfileError::Format { name: self.name.clone(), source }
        })?;
        let mut text = String::new();
        write_table(&mut text, "", &tree);
        Ok(text)
    }

    /// Writes the profile to a file: whole, or not at all. The text goes to a
    /// temporary file beside it, which then takes its name.
    ///
    /// # Errors
    /// [`ProfileError::Write`], [`ProfileError::Format`].
    pub fn save(&self, path: &Path) -> Result<(), ProfileError> {
        let text = self.to_toml()?;
        write_whole(path, &text).map_err(|source| ProfileError::Write {
            path: path.to_owned(),
            source,
        })
    }
}

/// Writes a file whole or not at all: a temporary file beside it takes its
/// name.
pub(crate) fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Scalars and facts first, as TOML wants it, then tables and lists of tables.
fn write_table(text: &mut String, path: &str, table: &Table) {
    for (key, value) in table.iter().filter(|(k, v)| is_line(k, v)) {
        let _ = writeln!(text, "{key} = {}", inline(value));
    }
    for (key, value) in table.iter().filter(|(k, v)| !is_line(k, v)) {
        let path =
            if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match value {
            Value::Table(inner) => {
                // `[unit]` alone says nothing: its tables name it.
                if inner.iter().any(|(k, v)| is_line(k, v)) {
                    let _ = writeln!(text, "\n[{path}]");
                }
                write_table(text, &path, inner);
            }
            Value::Array(entries) => {
                for entry in entries.iter().filter_map(Value::as_table) {
                    let _ = writeln!(text, "\n[[{path}]]");
                    write_table(text, &path, entry);
                }
            }
            _ => {}
        }
    }
}

/// Whether a value is written on its key's line.
fn is_line(key: &str, value: &Value) -> bool {
    match value {
        Value::Table(table) => table.contains_key("value") || key == "dims",
        Value::Array(_) => false,
        _ => true,
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::Table(table) => {
            let parts: Vec<String> = table
                .iter()
                .map(|(key, value)| format!("{key} = {}", inline(value)))
                .collect();
            format!("{{ {} }}", parts.join(", "))
        }
        // Whole numbers without a point, as people write them.
        Value::Float(number)
            if number.fract() == 0.0 && number.abs() < 1e15 =>
        {
            format!("{number}")
        }
        Value::Float(number) => format!("{number:?}"),
        other => other.to_string(),
    }
}
