//! Classes of measured cases: their names for people, their order, and the
//! errors that the project set itself.
//!
//! The aims are those of the issue that asked for the predictor, fixed before
//! any prediction was made; they hold for the mean error.

use std::collections::BTreeMap;

use super::errors::{Beside, Constants, Errors, beside};
use crate::{Fold, ValidationRow};

/// A class and what it is called, in the order of tables.
const TITLES: [(&str, &str); 20] = [
    ("matmul", "Matmul, matrix unit"),
    ("matmul-vector", "Matmul, vector lanes"),
    ("conv", "Convolution"),
    ("attention-prefill", "Attention, prefill"),
    ("attention-decode", "Attention, decode"),
    ("softmax", "Softmax"),
    ("layernorm", "LayerNorm"),
    ("rmsnorm", "RMSNorm"),
    ("elementwise", "Element-wise"),
    ("embedding", "Embedding"),
    ("collective", "Collectives"),
    ("llama-cpp-prefill", "llama.cpp, prefill"),
    ("llama-cpp-decode", "llama.cpp, decode"),
    ("llama-cpp-generate", "llama.cpp, whole answer"),
    ("language-model-prefill", "Other runtimes, prefill"),
    ("language-model-decode", "Other runtimes, decode"),
    ("language-model-generate", "Other runtimes, whole answer"),
    ("language-model-train-step", "Other runtimes, training step"),
    ("network", "Other networks"),
    ("", "Of no class"),
];

/// What a class is called.
pub(crate) fn class_title(class: &str) -> &str {
    TITLES
        .iter()
        .find(|(name, _)| *name == class)
        .map_or(class, |(_, title)| title)
}

/// Whether a class is of whole language models.
pub(crate) fn is_language_model(class: &str) -> bool {
    class.starts_with("llama-cpp-") || class.starts_with("language-model-")
}

/// The rows of each class, in the order of tables; classes without a title
/// come last.
pub(crate) fn by_class<'a>(
    rows: &[&'a ValidationRow],
) -> Vec<(&'a str, Vec<&'a ValidationRow>)> {
    let place = |class: &str| {
        TITLES.iter().position(|(name, _)| *name == class).unwrap_or(99)
    };
    let mut classes: BTreeMap<(usize, &str), Vec<&ValidationRow>> =
        BTreeMap::new();
    for row in rows {
        let key = (place(&row.class), row.class.as_str());
        classes.entry(key).or_default().push(row);
    }
    classes.into_iter().map(|((_, class), rows)| (class, rows)).collect()
}

/// What the mean error of a class is held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Aim {
    /// At most this share.
    AtMost(f64),
    /// On no device above the roofline with three constants.
    NeverWorse,
}

/// The aim of a class in a fold; `None` where none was set. Shipped constants
/// have none: they are no test of the rows that they were fitted to.
pub(crate) fn aim(class: &str, constants: Constants) -> Option<Aim> {
    let Constants::HeldOut(fold) = constants else { return None };
    Some(match (class, fold) {
        ("matmul" | "matmul-vector", Fold::New) => Aim::NeverWorse,
        ("matmul" | "matmul-vector", Fold::Family) => Aim::AtMost(0.10),
        ("matmul" | "matmul-vector", _) => Aim::AtMost(0.12),
        (
            "attention-prefill" | "attention-decode" | "softmax" | "layernorm"
            | "elementwise",
            _,
        ) => Aim::AtMost(0.15),
        ("collective" | "llama-cpp-prefill", _) => Aim::AtMost(0.20),
        ("llama-cpp-decode", _) => Aim::AtMost(0.08),
        _ => return None,
    })
}

/// How an aim came out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Aimed {
    pub(crate) aim: Aim,
    pub(crate) met: bool,
    /// Of an aim for each device: on how many of how many it was missed.
    pub(crate) missed_on: Option<(usize, usize)>,
}

/// Holds a class's rows in a fold against its aim. Three constants that
/// predict nothing decide nothing.
pub(crate) fn judge(
    class: &str,
    constants: Constants,
    rows: &[&ValidationRow],
    errors: &Errors,
) -> Option<Aimed> {
    let aim = aim(class, constants)?;
    match aim {
        Aim::AtMost(share) => Some(Aimed {
            aim,
            // A hair of rounding decides nothing.
            met: errors.mean <= share + 1e-9,
            missed_on: None,
        }),
        Aim::NeverWorse => {
            let devices: Vec<Beside> = by_device(rows)
                .values()
                .filter_map(|rows| {
                    beside(rows, constants, |row| row.three_constants)
                })
                .collect();
            if devices.is_empty() {
                return None;
            }
            let missed = devices
                .iter()
                .filter(|device| device.ours > device.theirs.mean)
                .count();
            Some(Aimed {
                aim,
                met: missed == 0,
                missed_on: Some((missed, devices.len())),
            })
        }
    }
}

/// The rows of each device.
pub(crate) fn by_device<'a>(
    rows: &[&'a ValidationRow],
) -> BTreeMap<&'a str, Vec<&'a ValidationRow>> {
    grouped(rows, |row| row.profile.as_str())
}

/// The rows of each publisher.
pub(crate) fn by_publisher<'a>(
    rows: &[&'a ValidationRow],
) -> BTreeMap<&'a str, Vec<&'a ValidationRow>> {
    grouped(rows, |row| publisher(&row.source))
}

fn grouped<'a>(
    rows: &[&'a ValidationRow],
    key: impl Fn(&'a ValidationRow) -> &'a str,
) -> BTreeMap<&'a str, Vec<&'a ValidationRow>> {
    let mut groups: BTreeMap<&str, Vec<&ValidationRow>> = BTreeMap::new();
    for row in rows {
        groups.entry(key(row)).or_default().push(row);
    }
    groups
}

/// A source without its commit, file and engine:
/// `github:owner/name@1234567:file [engine]` -> `github:owner/name`.
fn publisher(source: &str) -> &str {
    let source = source.split(" [").next().unwrap_or(source);
    let source = source.split('@').next().unwrap_or(source);
    let start = source.strip_prefix("github:").map_or(0, |_| "github:".len());
    let end = source[start..].find(':').map_or(source.len(), |at| start + at);
    source[..end].trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_known_by_its_publisher() {
        for (source, expected) in [
            ("github:a/b@12:c/d.csv [engine 1]", "github:a/b"),
            ("github:a/b:README.md [x]", "github:a/b"),
            (
                "llama.cpp discussion #4167 [Metal]",
                "llama.cpp discussion #4167",
            ),
            ("a paper", "a paper"),
            ("", ""),
        ] {
            assert_eq!(publisher(source), expected);
        }
    }

    #[test]
    fn shipped_constants_have_no_aim() {
        assert_eq!(aim("matmul", Constants::Shipped), None);
        let held = Constants::HeldOut(Fold::Family);
        assert_eq!(aim("matmul", held), Some(Aim::AtMost(0.10)));
        assert_eq!(aim("embedding", held), None);
    }
}
