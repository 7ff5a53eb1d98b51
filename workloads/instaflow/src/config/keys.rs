//! A `config.json` read key by key: keys that this project does not know are
//! passed over, but a known key whose value would change the computation to
//! one that is not built here is refused by name.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::InstaFlowError;

/// The only values of a key that are built here. A key that is left out has
/// the library's default, which is built.
pub(super) enum Only {
    /// A whole number, not a list of them.
    Whole,
    /// A whole number, or `null`.
    WholeOrNone,
    /// This number.
    Number(f64),
    /// This truth value, or `null`.
    Flag(bool),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of these words.
    Words(&'static [&'static str]),
    /// `null`.
    None,
}

impl Only {
    fn allows(&self, value: &Value) -> bool {
        let is_word = |value: &Value, words: &[&str]| {
            value.as_str().is_some_and(|word| words.contains(&word))
        };
        match self {
            Self::Whole => value.is_u64(),
            Self::WholeOrNone => value.is_null() || value.is_u64(),
            Self::Number(only) => {
                value.as_f64().is_some_and(|n| n.total_cmp(only).is_eq())
            }
            Self::Flag(only) => {
                value.is_null() || value.as_bool() == Some(*only)
            }
            Self::Word(words) => is_word(value, words),
            Self::Words(words) => value.as_array().is_some_and(|values| {
                values.iter().all(|value| is_word(value, words))
            }),
            Self::None => value.is_null(),
        }
    }

    /// What is built, in words.
    fn expected(&self) -> String {
        match self {
            Self::Whole => "one whole number".to_owned(),
            Self::WholeOrNone => "one whole number or null".to_owned(),
            Self::Number(only) => only.to_string(),
            Self::Flag(only) => only.to_string(),
            Self::Word(words) => words.join(" or "),
            Self::Words(words) => format!("a list of {}", words.join(" and ")),
            Self::None => "null".to_owned(),
        }
    }
}

/// An error about a file's contents.
pub(super) fn refused(file: &str, why: impl Into<String>) -> InstaFlowError {
    InstaFlowError::Config { file: file.to_owned(), why: why.into() }
}

/// The shape that a config's object describes.
///
/// # Errors
/// A key of `supported` with another value than those that are built; a key
/// that is missing or of another type.
pub(super) fn read<T: DeserializeOwned>(
    object: &Map<String, Value>,
    supported: &[(&str, Only)],
    file: &str,
) -> Result<T, InstaFlowError> {
    for (key, only) in supported {
        if let Some(value) = object.get(*key)
            && !only.allows(value)
        {
            let expected = only.expected();
            return Err(refused(
                file,
                format!("`{key}` is {value}; built here: {expected}"),
            ));
        }
    }
    // What is null has the library's default, as what is left out.
    let given: Map<String, Value> = object
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    serde_json::from_value(Value::Object(given))
        .map_err(|error| refused(file, error.to_string()))
}
