//! An error in a text that a person wrote, with its file and line.
//!
//! The same for plan files, run headers, profiles and models, so that every
//! bad TOML reads alike. It takes a parser's message and byte range and so
//! needs no parser here.

use std::ops::Range;

/// What is wrong, in which file and line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct TextError {
    /// The file, as the user named it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// What was found and what was expected.
    pub message: String,
}

impl TextError {
    /// From a parser's message and the byte range that it points at; an
    /// unknown key gets its nearest valid name.
    pub fn new(
        file: impl Into<String>,
        text: &str,
        span: Option<Range<usize>>,
        message: &str,
    ) -> Self {
        let start = span.map_or(0, |span| span.start);
        Self {
            file: file.into(),
            line: line_of(text, start),
            message: with_nearest(message.trim()),
        }
    }
}

/// The line, from 1, in which a byte stands.
pub fn line_of(text: &str, byte: usize) -> usize {
    let before = &text.as_bytes()[..byte.min(text.len())];
    1 + before.iter().filter(|&&b| b == b'\n').count()
}

/// serde quotes the unknown name first and the valid ones after it.
fn with_nearest(message: &str) -> String {
    let message = message.replace('\n', "; ");
    if !message.starts_with("unknown ") {
        return message;
    }
    let mut quoted = message.split('`').skip(1).step_by(2);
    let found = quoted.next().unwrap_or_default();
    match crate::nearest(found, quoted) {
        Some(nearest) => format!("{message}; nearest valid: `{nearest}`"),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_has_file_line_and_nearest_name() {
        let error = TextError::new(
            "plan.toml",
            "a = 1\nsed = 2\n",
            Some(6..9),
            "unknown field `sed`, expected one of `name`, `seed`",
        );
        assert_eq!(
            error.to_string(),
            "plan.toml:2: unknown field `sed`, expected one of `name`, \
             `seed`; nearest valid: `seed`"
        );
    }

    #[test]
    fn a_position_past_the_end_is_the_last_line() {
        assert_eq!(line_of("a\nb", 99), 2);
        assert_eq!(line_of("", 0), 1);
    }
}
