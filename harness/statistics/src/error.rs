//! What can be wrong with the input of a statistic.

/// An input that no statistic can be made from. Each variant says what was
/// found and what was expected.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StatisticsError {
    /// Too few samples, none included.
    #[error("{statistic} of {found} samples; expected at least {needed}")]
    TooFew {
        /// What was asked for.
        statistic: &'static str,
        /// How many samples came.
        found: usize,
        /// How many it takes.
        needed: usize,
    },
    /// A sample is NaN or infinite.
    #[error("sample {index} is {value}; expected a finite number")]
    NotFinite {
        /// Its place in the input, from 0.
        index: usize,
        /// What stands there.
        value: f64,
    },
    /// A sample is zero or negative where a ratio or a logarithm needs more.
    #[error("sample {index} is {value}; {statistic} needs numbers above 0")]
    NotPositive {
        /// What was asked for.
        statistic: &'static str,
        /// Its place in the input, from 0.
        index: usize,
        /// What stands there.
        value: f64,
    },
    /// An argument outside its range.
    #[error("{name} is {value}; expected {expected}")]
    Argument {
        /// The argument.
        name: &'static str,
        /// What came.
        value: f64,
        /// Its range, in words.
        expected: &'static str,
    },
    /// Two samples that belong together differ in length.
    #[error("{left} values beside {right}; expected as many")]
    Lengths {
        /// Length of the first.
        left: usize,
        /// Length of the second.
        right: usize,
    },
    /// All values of a variable are equal, so that nothing can follow it.
    #[error("all {n} values are {value}; {statistic} needs two different ones")]
    Constant {
        /// What was asked for.
        statistic: &'static str,
        /// How many values.
        n: usize,
        /// The one value.
        value: f64,
    },
    /// A caller's statistic is NaN or infinite on the sample itself, or on
    /// more than half of the resamples.
    #[error(
        "the statistic is undefined on {undefined} of {resamples} resamples; expected at most half, and a finite value on the sample itself"
    )]
    Undefined {
        /// Resamples without a finite value.
        undefined: usize,
        /// Resamples in all.
        resamples: usize,
    },
    /// An interval whose ends are not in order around its point.
    #[error("{low} <= {point} <= {high} does not hold")]
    Disordered {
        /// Lower end.
        low: f64,
        /// Point.
        point: f64,
        /// Upper end.
        high: f64,
    },
}

/// The samples are finite and at least `needed`.
pub(crate) fn check(
    samples: &[f64],
    needed: usize,
    statistic: &'static str,
) -> Result<(), StatisticsError> {
    if samples.len() < needed {
        return Err(StatisticsError::TooFew {
            statistic,
            found: samples.len(),
            needed,
        });
    }
    match samples.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(index) => {
            Err(StatisticsError::NotFinite { index, value: samples[index] })
        }
    }
}

/// The samples are finite, at least `needed`, and above zero.
pub(crate) fn check_positive(
    samples: &[f64],
    needed: usize,
    statistic: &'static str,
) -> Result<(), StatisticsError> {
    check(samples, needed, statistic)?;
    match samples.iter().position(|&value| value <= 0.0) {
        None => Ok(()),
        Some(index) => Err(StatisticsError::NotPositive {
            statistic,
            index,
            value: samples[index],
        }),
    }
}

/// Two columns that belong together are finite, as long as each other, and
/// have at least `needed` rows.
pub(crate) fn check_columns(
    x: &[f64],
    y: &[f64],
    needed: usize,
    statistic: &'static str,
) -> Result<(), StatisticsError> {
    if x.len() != y.len() {
        return Err(StatisticsError::Lengths { left: x.len(), right: y.len() });
    }
    check(x, needed, statistic)?;
    check(y, needed, statistic)
}

/// A confidence is strictly between 0 and 1.
pub(crate) fn check_confidence(confidence: f64) -> Result<(), StatisticsError> {
    if confidence > 0.0 && confidence < 1.0 {
        return Ok(());
    }
    Err(StatisticsError::Argument {
        name: "confidence",
        value: confidence,
        expected: "a number between 0 and 1, both excluded",
    })
}
