//! The models that are shipped, by name.

use crate::{Config, SlmError};

const FILES: [(&str, &str); 10] = [
    ("tiny", include_str!("../models/tiny.toml")),
    ("smollm-135m", include_str!("../models/smollm-135m.toml")),
    ("qwen2-0.5b", include_str!("../models/qwen2-0.5b.toml")),
    ("qwen1.5-0.5b", include_str!("../models/qwen1.5-0.5b.toml")),
    ("opt-125m", include_str!("../models/opt-125m.toml")),
    ("pythia-160m", include_str!("../models/pythia-160m.toml")),
    ("phonelm-0.5b", include_str!("../models/phonelm-0.5b.toml")),
    ("phonelm-1.5b", include_str!("../models/phonelm-1.5b.toml")),
    ("llama-2-7b", include_str!("../models/llama-2-7b.toml")),
    ("llama-3-8b", include_str!("../models/llama-3-8b.toml")),
];

/// Names, in the order in which they are listed.
pub fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}

/// The text of a model's file.
pub(crate) fn text(name: &str) -> Option<&'static str> {
    FILES.iter().find(|(n, _)| *n == name).map(|(_, text)| *text)
}

/// A model's shape.
///
/// # Errors
///
/// No model of that name: the nearest is given.
pub fn config(name: &str) -> Result<Config, SlmError> {
    let text = text(name).ok_or_else(|| SlmError::UnknownModel {
        found: name.to_owned(),
        nearest: assay_schema::nearest(name, names())
            .unwrap_or("tiny")
            .to_owned(),
    })?;
    Config::from_toml(text, &format!("{name}.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_named_as_it_is_called() {
        for name in names() {
            assert_eq!(config(name).unwrap().name, name);
        }
    }
}
