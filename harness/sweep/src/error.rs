//! What can be wrong with a plan, a pattern or a case. Each message says what
//! was found, what was expected, and the nearest valid name.

use assay_schema::TextError;

/// A request that names nothing that can be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SweepError {
    /// A plan file that is no plan, with its file and line.
    #[error(transparent)]
    File(#[from] TextError),
    /// Something wrong in one entry of a plan file.
    #[error("{origin}: {fault}")]
    Entry {
        /// `plan.toml:12`, or how the entry came to be.
        origin: String,
        /// What is wrong.
        fault: Box<SweepError>,
    },
    /// No workload of that name.
    #[error("unknown workload `{found}`; nearest valid: `{nearest}`")]
    UnknownWorkload {
        /// What was written.
        found: String,
        /// The nearest name.
        nearest: String,
    },
    /// The workload has no such model.
    #[error(
        "unknown model `{found}` of `{workload}`; nearest valid: `{nearest}`"
    )]
    UnknownModel {
        /// The workload.
        workload: String,
        /// What was written.
        found: String,
        /// The nearest name.
        nearest: String,
    },
    /// The model has phases, but not this one.
    #[error("unknown phase `{found}` of `{model}`; nearest valid: `{nearest}`")]
    UnknownPhase {
        /// `workload/model`.
        model: String,
        /// What was written.
        found: String,
        /// The nearest name.
        nearest: String,
    },
    /// A phase is needed and was not given.
    #[error("`{model}` names no phase; expected one of {phases}")]
    MissingPhase {
        /// `workload/model`.
        model: String,
        /// Its phases, joined.
        phases: String,
    },
    /// A phase was given and there are none.
    #[error("`{model}` has no phases; found `{found}`: leave it out")]
    NoPhases {
        /// `workload/model`.
        model: String,
        /// What was written.
        found: String,
    },
    /// A pattern of `except` that takes away nothing, or everything.
    #[error(
        "except `{pattern}` leaves {left} of what `{case}` matches; expected a \
         pattern of some of its paths (`slm/tiny/*`)"
    )]
    Except {
        /// The pattern of the entry.
        case: String,
        /// The pattern of `except`.
        pattern: String,
        /// `all` or `nothing`.
        left: &'static str,
    },
    /// The case has no such axis.
    #[error("`{case}` has no axis `{found}`; nearest valid: `{nearest}`")]
    UnknownAxis {
        /// Path of the case, or the pattern.
        case: String,
        /// What was written.
        found: String,
        /// The nearest name.
        nearest: String,
    },
    /// The axis does not take this value.
    #[error(
        "axis `{axis}` of `{case}`: found `{found}`, expected {expected}{}",
        nearest.as_ref().map_or(String::new(), |n| format!("; nearest valid: `{n}`"))
    )]
    Value {
        /// Path of the case.
        case: String,
        /// The axis.
        axis: String,
        /// What was written.
        found: String,
        /// What is allowed.
        expected: String,
        /// The nearest word, where words are expected.
        nearest: Option<String>,
    },
    /// A pattern that matches nothing.
    #[error("`{pattern}` matches no case; nearest valid: `{nearest}`")]
    NothingMatched {
        /// The pattern.
        pattern: String,
        /// The nearest path.
        nearest: String,
    },
    /// An axis with an empty list of values.
    #[error("axis `{axis}` of `{case}` has no values; expected at least one")]
    NoValues {
        /// The pattern.
        case: String,
        /// The axis.
        axis: String,
    },
    /// Too many cases for a plan.
    #[error(
        "`{case}` makes the plan longer than {most} cases; give its axes fewer values"
    )]
    TooMany {
        /// The pattern.
        case: String,
        /// The limit.
        most: usize,
    },
}
