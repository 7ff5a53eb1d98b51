//! How a workload reads the axes of a case.

use assay_schema::Case;

/// An axis without a lawful value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("axis `{axis}`: found `{found}`, expected {expected}")]
pub struct AxisError {
    /// The axis.
    pub axis: &'static str,
    /// What was found.
    pub found: String,
    /// What was expected.
    pub expected: String,
}

impl AxisError {
    /// `axis` held `found`; `expected` says what would do.
    pub fn new(
        axis: &'static str,
        found: impl ToString,
        expected: impl Into<String>,
    ) -> Self {
        Self { axis, found: found.to_string(), expected: expected.into() }
    }
}

/// The value of an axis that is one of several words; the first by default.
///
/// # Errors
/// Another word: all that would do are listed.
pub fn named<T: Copy>(
    case: &Case,
    axis: &'static str,
    names: &[(&'static str, T)],
) -> Result<T, AxisError> {
    let text = case.axis(axis).unwrap_or(names[0].0);
    let found = names.iter().find(|(name, _)| *name == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let all: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        AxisError::new(axis, text, all.join(", "))
    })
}

/// The value of an axis, read and found `lawful`.
///
/// # Errors
/// One that does not read or is not lawful.
pub fn parsed<T: std::str::FromStr>(
    case: &Case,
    axis: &'static str,
    default: T,
    expected: &str,
    lawful: impl Fn(&T) -> bool,
) -> Result<T, AxisError> {
    let Some(text) = case.axis(axis) else { return Ok(default) };
    text.parse()
        .ok()
        .filter(lawful)
        .ok_or_else(|| AxisError::new(axis, text, expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_takes_its_default_or_a_lawful_value() {
        let case: Case = "w/m/p rows=7 kind=b".parse().unwrap();
        let rows = |least| {
            parsed(&case, "rows", 1, "enough", |&rows: &usize| rows >= least)
        };
        assert_eq!(rows(7), Ok(7));
        let error = rows(8).unwrap_err().to_string();
        assert_eq!(error, "axis `rows`: found `7`, expected enough");
        assert_eq!(parsed(&case, "cols", 3, "any", |_| true), Ok(3));
        assert_eq!(named(&case, "kind", &[("a", 1), ("b", 2)]), Ok(2));
        let error = named(&case, "kind", &[("a", 1), ("c", 2)]).unwrap_err();
        assert!(error.to_string().contains("expected a, c"));
    }
}
