//! What can go wrong with a trace.

/// A trace that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The engine refused the capture.
    #[error("the engine could not capture the model: {0}")]
    Capture(String),
    /// An operator of the engine that has no counting rule here.
    #[error(
        "operator `{0}` has no counting rule; add one to harness/trace/src/rules.rs"
    )]
    Unknown(String),
    /// A custom operator without a declared cost.
    #[error(
        "custom operator `{0}` declares no cost; add it to its crate's `cost` function"
    )]
    NoCost(String),
    /// A tensor that is not of the capture device.
    #[error(
        "a tensor given to the recorder does not live on the capture device"
    )]
    Foreign,
}
