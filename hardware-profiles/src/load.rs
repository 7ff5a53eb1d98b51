//! Finding and reading profiles: by name from those that are compiled in, or
//! from a file.

use std::fs;
use std::path::Path;

use crate::{FORMAT_VERSION, HardwareProfile, ProfileError, UnitName};

mod embedded {
    //! Made by `build.rs`: `NAMES`, sorted, and `TEXTS` beside them.
    include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
}

/// The names of the shipped profiles, sorted. Parses nothing.
pub fn names() -> &'static [&'static str] {
    &embedded::NAMES
}

/// A shipped profile by name. Parses that one.
///
/// # Errors
/// [`ProfileError::Unknown`] with the nearest name.
pub fn load(name: &str) -> Result<HardwareProfile, ProfileError> {
    let Ok(index) = embedded::NAMES.binary_search(&name) else {
        let nearest = assay_schema::nearest(name, names().iter().copied());
        return Err(ProfileError::Unknown {
            found: name.to_owned(),
            nearest: nearest.unwrap_or_default().to_owned(),
        });
    };
    parse(&format!("profiles/{name}.toml"), embedded::TEXTS[index])
}

/// A shipped profile and one of its units, from `name` or `name:unit`.
/// Without a unit, the profile's default.
///
/// `host` is no shipped profile: who knows where `probe` wrote it loads it
/// with [`load_file`].
///
/// # Errors
/// Unknown profile or unit, each with the nearest name.
pub fn resolve(
    target: &str,
) -> Result<(HardwareProfile, UnitName), ProfileError> {
    let (name, unit) = match target.split_once(':') {
        Some((name, unit)) => (name, Some(unit)),
        None => (target, None),
    };
    let profile = load(name)?;
    let (unit, _) = profile.unit(unit)?;
    Ok((profile, unit))
}

/// A profile from a file.
///
/// # Errors
/// [`ProfileError::Read`], or as [`parse`].
pub fn load_file(path: &Path) -> Result<HardwareProfile, ProfileError> {
    let text = fs::read_to_string(path).map_err(|source| {
        ProfileError::Read { path: path.to_owned(), source }
    })?;
    parse(&path.display().to_string(), &text)
}

/// A profile from the text of a file; `file` is what errors call it.
///
/// # Errors
/// [`ProfileError::Newer`] for a format of a later build, else
/// [`ProfileError::Content`] with file, line and key.
pub fn parse(file: &str, text: &str) -> Result<HardwareProfile, ProfileError> {
    let profile: HardwareProfile = match toml::from_str(text) {
        Ok(profile) => profile,
        Err(error) => return Err(content_error(file, text, &error)),
    };
    if profile.format_version > FORMAT_VERSION {
        return Err(newer(file, i64::from(profile.format_version)));
    }
    let name_is_lawful = !profile.name.is_empty()
        && profile.name.split('-').all(|word| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        });
    if !name_is_lawful {
        let message = format!(
            "found `{}`; expected lower-case letters and digits in words \
             joined by one `-`",
            profile.name
        );
        return Err(at_key(file, text, "name", message));
    }
    if !profile.units.contains_key(&profile.default_unit) {
        let names: Vec<&str> =
            profile.units.keys().map(|unit| unit.name()).collect();
        let message = format!(
            "found `{}`; expected a unit that the file has ({})",
            profile.default_unit,
            names.join(", ")
        );
        return Err(at_key(file, text, "default_unit", message));
    }
    Ok(profile)
}

fn newer(file: &str, found: i64) -> ProfileError {
    ProfileError::Newer {
        file: file.to_owned(),
        found,
        supported: FORMAT_VERSION,
    }
}

/// A file of a later build often fails on a key that this build does not know;
/// its version is the true reason.
fn content_error(
    file: &str,
    text: &str,
    error: &toml::de::Error,
) -> ProfileError {
    let version = text
        .parse::<toml::Table>()
        .ok()
        .and_then(|table| table.get("format_version")?.as_integer());
    if let Some(found) = version.filter(|v| *v > i64::from(FORMAT_VERSION)) {
        return newer(file, found);
    }
    let offset = error.span().map_or(0, |span| span.start).min(text.len());
    let before = text.get(..offset).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    ProfileError::Content {
        file: file.to_owned(),
        line,
        key: key_at(text, line),
        message: error.message().trim_end().replace('\n', " "),
    }
}

/// An error about a top-level key that parsed.
fn at_key(file: &str, text: &str, key: &str, message: String) -> ProfileError {
    let line = text
        .lines()
        .position(|line| line_key(line) == Some(key))
        .map_or(1, |index| index + 1);
    ProfileError::Content {
        file: file.to_owned(),
        line,
        key: key.to_owned(),
        message,
    }
}

/// The dotted key of a line: the table it stands in and its own key.
fn key_at(text: &str, line: usize) -> String {
    let mut table = "";
    let mut key = None;
    for words in text.lines().take(line) {
        key = line_key(words);
        let header = words.trim();
        if header.starts_with('[')
            && let Some(end) = header.find(']')
        {
            table = header[..end].trim_start_matches('[').trim();
            key = None;
        }
    }
    match (table, key) {
        (table, None) => table.to_owned(),
        ("", Some(key)) => key.to_owned(),
        (table, Some(key)) => format!("{table}.{key}"),
    }
}

fn line_key(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    let key = key.trim();
    let plain = |c: char| c.is_alphanumeric() || "_-.".contains(c);
    (!key.is_empty() && key.chars().all(plain)).then_some(key)
}
