//! A case: a workload with every axis fixed.
//!
//! Written `workload/model/phase axis=value ...`, for example
//! `slm/phonelm-1.5b/decode batch=1 context=256 precision=f16`; an operator
//! has no phase: `operators/matmul m=512 n=512 k=512`. Axes are kept sorted,
//! so that two spellings of a case are equal.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A workload, a model, a phase, and the axes that are fixed.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(into = "String", try_from = "String")]
pub struct Case {
    /// E.g. `slm`.
    pub workload: String,
    /// E.g. `phonelm-1.5b`; of `operators`, the operator.
    pub model: String,
    /// E.g. `decode`; none for operators.
    pub phase: Option<String>,
    /// Axis to value, both as written.
    pub axes: BTreeMap<String, String>,
}

/// A text that is no case.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaseError {
    /// Not two or three names joined by `/`.
    #[error(
        "`{0}` is no case: expected workload/model/phase or operators/NAME"
    )]
    Path(String),
    /// A word after the path that is not `axis=value`.
    #[error("`{word}` is no axis: expected axis=value in `{case}`")]
    Axis {
        /// The word.
        word: String,
        /// The whole text.
        case: String,
    },
    /// The same axis twice.
    #[error("axis `{axis}` stands twice in `{case}`")]
    Twice {
        /// The axis.
        axis: String,
        /// The whole text.
        case: String,
    },
}

impl Case {
    /// A case without axes.
    pub fn new(
        workload: impl Into<String>,
        model: impl Into<String>,
        phase: Option<&str>,
    ) -> Self {
        Self {
            workload: workload.into(),
            model: model.into(),
            phase: phase.map(str::to_owned),
            axes: BTreeMap::new(),
        }
    }

    /// The same case with one axis set.
    #[must_use]
    pub fn with(
        mut self,
        axis: impl Into<String>,
        value: impl fmt::Display,
    ) -> Self {
        self.axes.insert(axis.into(), value.to_string());
        self
    }

    /// `workload/model/phase`, without axes.
    pub fn path(&self) -> String {
        match &self.phase {
            Some(phase) => {
                format!("{}/{}/{phase}", self.workload, self.model)
            }
            None => format!("{}/{}", self.workload, self.model),
        }
    }

    /// The value of an axis.
    pub fn axis(&self, name: &str) -> Option<&str> {
        self.axes.get(name).map(String::as_str)
    }

    /// A name for the case's file: its text in `[a-z0-9._=+-]`, shortened to
    /// 120 characters, with a hash of the whole text so that no two cases
    /// share a file.
    pub fn file_stem(&self) -> String {
        let text = self.to_string();
        let readable: String = text
            .chars()
            .take(120)
            .map(|c| match c {
                'a'..='z' | '0'..='9' | '.' | '_' | '=' | '-' => c,
                'A'..='Z' => c.to_ascii_lowercase(),
                ' ' => '+',
                _ => '-',
            })
            .collect();
        format!("{}-{:08x}", readable.trim_start_matches('.'), fnv1a(&text))
    }
}

/// The 32-bit Fowler-Noll-Vo hash (FNV-1a): stable across versions, which the
/// standard library's hasher does not promise.
pub fn fnv1a(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path())?;
        for (axis, value) in &self.axes {
            write!(f, " {axis}={value}")?;
        }
        Ok(())
    }
}

impl FromStr for Case {
    type Err = CaseError;

    fn from_str(text: &str) -> Result<Self, CaseError> {
        let mut words = text.split_whitespace();
        let path = words.next().unwrap_or_default();
        let parts: Vec<&str> = path.split('/').collect();
        if parts.iter().any(|part| part.is_empty()) {
            return Err(CaseError::Path(text.to_owned()));
        }
        let mut case = match parts[..] {
            [workload, model] => Self::new(workload, model, None),
            [workload, model, phase] => Self::new(workload, model, Some(phase)),
            _ => return Err(CaseError::Path(text.to_owned())),
        };
        for word in words {
            let axis_error = || CaseError::Axis {
                word: word.to_owned(),
                case: text.to_owned(),
            };
            let (axis, value) = word.split_once('=').ok_or_else(axis_error)?;
            if axis.is_empty() || value.is_empty() {
                return Err(axis_error());
            }
            if case.axes.insert(axis.to_owned(), value.to_owned()).is_some() {
                return Err(CaseError::Twice {
                    axis: axis.to_owned(),
                    case: text.to_owned(),
                });
            }
        }
        Ok(case)
    }
}

impl From<Case> for String {
    fn from(case: Case) -> Self {
        case.to_string()
    }
}

impl TryFrom<String> for Case {
    type Error = CaseError;

    fn try_from(text: String) -> Result<Self, CaseError> {
        text.parse()
    }
}

/// Whether a path matches a pattern in which `*` stands for any text
/// (`/` included) and `?` for one character.
pub fn glob_matches(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), path.chars().collect());
    // `star` remembers the last `*` and where its match could grow.
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < path.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, t));
            p += 1;
        } else if p < pattern.len()
            && (pattern[p] == '?' || pattern[p] == path[t])
        {
            p += 1;
            t += 1;
        } else if let Some((star_p, star_t)) = star {
            p = star_p + 1;
            t = star_t + 1;
            star = Some((star_p, star_t + 1));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_prints_as_it_parses_with_axes_sorted() {
        let text = "slm/phonelm-1.5b/decode precision=f16 batch=1";
        let case: Case = text.parse().unwrap();
        assert_eq!(
            case.to_string(),
            "slm/phonelm-1.5b/decode batch=1 precision=f16"
        );
        assert_eq!(case.to_string().parse(), Ok(case));
    }

    #[test]
    fn wrong_texts_are_refused_with_what_was_expected() {
        for text in ["", "slm", "a//b", "a/b/c/d"] {
            assert!(matches!(text.parse::<Case>(), Err(CaseError::Path(_))));
        }
        assert!(matches!("a/b m".parse::<Case>(), Err(CaseError::Axis { .. })));
        assert!(matches!(
            "a/b m=1 m=2".parse::<Case>(),
            Err(CaseError::Twice { .. })
        ));
    }

    #[test]
    fn file_stems_are_safe_and_distinct() {
        let a: Case = "a/b/c x=../..".parse().unwrap();
        let b: Case = "a/b/c x=..-..".parse().unwrap();
        assert!(!a.file_stem().contains('/'));
        assert_ne!(a.file_stem(), b.file_stem());
    }

    #[test]
    fn a_glob_matches_what_it_says() {
        assert!(glob_matches("slm/*/decode", "slm/tiny/decode"));
        assert!(glob_matches("slm/*", "slm/tiny/decode"));
        assert!(glob_matches("*decode", "slm/tiny/decode"));
        assert!(!glob_matches("slm/*/prefill", "slm/tiny/decode"));
        assert!(glob_matches("a?c", "abc"));
        assert!(!glob_matches("a?c", "ac"));
    }
}
