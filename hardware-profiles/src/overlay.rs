//! Overlays: how one device differs from the constants of its class, found by
//! `assay calibrate`. `FORMAT.md` specifies the file.
//!
//! An overlay belongs to a unit by the digest of its numbers
//! ([`facts_digest`]), never by a name. What the constants and the points mean
//! is the business of `assay-predict`; here they are numbers in a file.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use toml::{Table, Value};

use crate::write::write_whole;
use crate::{HardwareProfile, ProfileError, UnitName, facts_digest};

mod embedded {
    //! Made by `build.rs`: `OVERLAYS`, file and text, sorted by file.
    include!(concat!(env!("OUT_DIR"), "/overlays.rs"));
}

/// The overlay format that this build writes. A reader takes every version up
/// to its own and refuses a newer one by name.
pub const OVERLAY_FORMAT_VERSION: u32 = 1;

/// How one unit of one machine differs from the constants that its
/// predictions start from. The order of fields is the order in the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overlay {
    /// [`OVERLAY_FORMAT_VERSION`] of the writer.
    pub format_version: u32,
    /// Name that the profile had: a label for people, matched with nothing.
    pub profile: String,
    /// The unit that was measured.
    pub unit: UnitName,
    /// [`facts_digest`] of that unit: where the overlay applies.
    #[serde(deserialize_with = "digest")]
    pub facts: String,
    /// Date on which it was made, e.g. `2026-11-24`.
    pub made: String,
    /// What it was fitted on, in words; not empty.
    #[serde(deserialize_with = "words")]
    pub source: String,
    /// Measured rows that it was made from, a count over all classes.
    pub rows: usize,
    /// Differences by class of operator, e.g. `matmul`.
    #[serde(
        rename = "class",
        default,
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub classes: BTreeMap<String, OverlayClass>,
}

/// How the unit differs in one class of operators.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverlayClass {
    /// Constant to the factor on its joint or family value; a pure number,
    /// finite and above zero.
    #[serde(deserialize_with = "multipliers")]
    pub times: BTreeMap<String, f64>,
    /// Measured rows of the class, a count.
    pub rows: usize,
    /// How many phases of different models they are, where rows of one say
    /// one thing over again: a count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phases: Option<usize>,
    /// What the overlay does to predictions that it did not see.
    #[serde(deserialize_with = "error")]
    pub error: OverlayError,
    /// Cases that the fit set aside, each with its reason, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outliers: Vec<String>,
    /// What is left at the measured shapes after `times`.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "points"
    )]
    pub points: Vec<OverlayPoint>,
}

/// How far predictions lie from rows that the overlay was not fitted on. (No
/// error of the program: those are [`ProfileError`]s.)
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverlayError {
    /// How rows were held out, in words.
    pub method: String,
    /// Mean absolute relative error without the overlay; a fraction: 0.1 is
    /// 10 %. Absent where no row was held out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<f64>,
    /// The same with the overlay, on the same rows; a fraction. Absent as
    /// `before` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<f64>,
    /// Rows held out, a count.
    pub n: usize,
    /// Models held out, each predicted from the others, where rows of one are
    /// no errors of their own: a count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<usize>,
}

/// What is left of the difference at one measured shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverlayPoint {
    /// Which of the class, e.g. a precision or a kind.
    pub group: String,
    /// Base-2 logarithms of the operator's dimensions; as many at every point
    /// of a group in a class.
    pub at: Vec<f64>,
    /// Natural logarithm of measured over predicted time, `times` applied; a
    /// pure number.
    pub residual: f64,
    /// How much the point counts beside others; a pure number, not negative.
    pub weight: f64,
}

impl Overlay {
    /// An overlay from a file.
    ///
    /// # Errors
    /// [`ProfileError::ReadOverlay`], or as [`Overlay::parse`].
    pub fn load_file(path: &Path) -> Result<Self, ProfileError> {
        let text = fs::read_to_string(path).map_err(|source| {
            ProfileError::ReadOverlay { path: path.to_owned(), source }
        })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// An overlay from the text of a file; `file` is what errors call it.
    ///
    /// # Errors
    /// [`ProfileError::NewerOverlay`] for a format of a later build, else
    /// [`ProfileError::Content`] with file and line.
    pub fn parse(text: &str, file: &str) -> Result<Self, ProfileError> {
        let parsed = toml::from_str::<Self>(text);
        // A file of a later build often fails on a key that this build does
        // not know; its version is the true reason.
        let version = match &parsed {
            Ok(overlay) => Some(i64::from(overlay.format_version)),
            Err(_) => text.parse::<Table>().ok().and_then(|table| {
                table.get("format_version").and_then(Value::as_integer)
            }),
        };
        if let Some(found) =
            version.filter(|v| *v > i64::from(OVERLAY_FORMAT_VERSION))
        {
            return Err(ProfileError::NewerOverlay {
                file: file.to_owned(),
                found,
                supported: OVERLAY_FORMAT_VERSION,
            });
        }
        parsed.map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            let before = text.get(..offset).unwrap_or_default();
            ProfileError::Content {
                file: file.to_owned(),
                line: before.matches('\n').count() + 1,
                key: String::new(),
                message: error.message().trim_end().replace('\n', " "),
            }
        })
    }

    /// The overlay as the text of a file, every number to five significant
    /// digits. Parsing it gives the overlay so rounded.
    ///
    /// # Errors
    /// [`ProfileError::Format`] when a count does not fit the format.
    pub fn to_toml(&self) -> Result<String, ProfileError> {
        let tree = Table::try_from(self).map_err(|source| {
            ProfileError::Format { name: self.profile.clone(), source }
        })?;
        let mut text = String::new();
        for (key, value) in &tree {
            let Value::Table(classes) = value else {
                let _ = writeln!(text, "{key} = {}", inline(value));
                continue;
            };
            for (name, class) in classes {
                let _ = writeln!(text, "\n[{key}.{name}]");
                for (key, value) in class.as_table().into_iter().flatten() {
                    let _ = writeln!(text, "{key} = {}", listed(value));
                }
            }
        }
        Ok(text)
    }

    /// Writes the overlay to a file: whole, or not at all. The text goes to a
    /// temporary file beside it, which then takes its name. What could not be
    /// read back is not written.
    ///
    /// # Errors
    /// [`ProfileError::WriteOverlay`], [`ProfileError::Format`], or as
    /// [`Overlay::parse`] where a value is not lawful.
    pub fn save(&self, path: &Path) -> Result<(), ProfileError> {
        let text = self.to_toml()?;
        Self::parse(&text, &path.display().to_string())?;
        write_whole(path, &text).map_err(|source| ProfileError::WriteOverlay {
            path: path.to_owned(),
            source,
        })
    }

    /// The overlays of `calibrations/`, sorted by file. Parses all of them.
    ///
    /// # Errors
    /// As [`Overlay::parse`]; none in a build whose tests pass.
    pub fn shipped() -> Result<Vec<Self>, ProfileError> {
        embedded::OVERLAYS
            .iter()
            .map(|(file, text)| Self::parse(text, file))
            .collect()
    }
}

/// The shipped overlay of a unit, found by [`facts_digest`] alone. Parses that
/// one.
pub fn overlay_for(
    profile: &HardwareProfile,
    unit: UnitName,
) -> Option<Overlay> {
    let digest = facts_digest(profile, unit);
    embedded::OVERLAYS
        .iter()
        .filter(|(_, text)| text.contains(&digest))
        // A test parses every shipped overlay.
        .filter_map(|(file, text)| Overlay::parse(text, file).ok())
        .find(|overlay| overlay.facts == digest)
}

fn digest<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let digits = String::deserialize(from)?;
    let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if digits.len() != 32 || !digits.bytes().all(is_digit) {
        return Err(D::Error::custom(format!(
            "facts: found `{digits}`; expected 32 lower-case hexadecimal \
             digits"
        )));
    }
    Ok(digits)
}

fn words<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let words = String::deserialize(from)?;
    if words.trim().is_empty() {
        return Err(D::Error::custom(
            "source: found nothing; expected what the overlay was fitted on",
        ));
    }
    Ok(words)
}

fn multipliers<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<String, f64>, D::Error> {
    let times = BTreeMap::<String, f64>::deserialize(from)?;
    for (name, factor) in &times {
        if !(factor.is_finite() && *factor > 0.0) {
            return Err(D::Error::custom(format!(
                "times.{name}: found {factor}; expected a finite number above \
                 zero"
            )));
        }
    }
    Ok(times)
}

fn error<'de, D: Deserializer<'de>>(from: D) -> Result<OverlayError, D::Error> {
    let error = OverlayError::deserialize(from)?;
    for (key, share) in [("before", error.before), ("after", error.after)] {
        match share {
            None if error.n > 0 => {
                return Err(D::Error::custom(format!(
                    "error.{key}: found nothing; expected the error of the {} \
                     rows held out",
                    error.n
                )));
            }
            Some(share) if error.n == 0 => {
                return Err(D::Error::custom(format!(
                    "error.{key}: found {share}; expected nothing, since no \
                     row was held out (n = 0)"
                )));
            }
            Some(share) if !(share.is_finite() && share >= 0.0) => {
                return Err(D::Error::custom(format!(
                    "error.{key}: found {share}; expected a finite fraction, \
                     not negative"
                )));
            }
            _ => {}
        }
    }
    Ok(error)
}

fn points<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Vec<OverlayPoint>, D::Error> {
    let points = Vec::<OverlayPoint>::deserialize(from)?;
    let mut dimensions = BTreeMap::new();
    for (point, number) in points.iter().zip(1..) {
        let OverlayPoint { group, at, residual, weight } = point;
        let expected = *dimensions.entry(group).or_insert(at.len());
        if at.len() != expected {
            return Err(D::Error::custom(format!(
                "points, number {number}: found {} dimensions; expected \
                 {expected}, as at the first point of `{group}`",
                at.len()
            )));
        }
        if !at.iter().chain([residual, weight]).all(|n| n.is_finite())
            || *weight < 0.0
        {
            return Err(D::Error::custom(format!(
                "points, number {number}: found at {at:?}, residual \
                 {residual}, weight {weight}; expected finite numbers and a \
                 weight that is not negative"
            )));
        }
    }
    Ok(points)
}

/// A value of a class; of a list, an entry a line.
fn listed(value: &Value) -> String {
    let Value::Array(entries) = value else { return inline(value) };
    let mut text = String::from("[\n");
    for entry in entries {
        let _ = writeln!(text, "    {},", inline(entry));
    }
    text + "]"
}

fn inline(value: &Value) -> String {
    let joined = |parts: Vec<String>| parts.join(", ");
    match value {
        Value::Table(table) => {
            let part = |(key, value)| format!("{key} = {}", inline(value));
            format!("{{ {} }}", joined(table.iter().map(part).collect()))
        }
        Value::Array(entries) => {
            format!("[{}]", joined(entries.iter().map(inline).collect()))
        }
        Value::Float(number) if number.is_finite() => {
            let rounded = format!("{number:.4e}").parse().unwrap_or(*number);
            // Whole numbers without a point, as people write them.
            if rounded.fract() == 0.0 && rounded.abs() < 1e15 {
                format!("{rounded}")
            } else {
                format!("{rounded:?}")
            }
        }
        other => other.to_string(),
    }
}
