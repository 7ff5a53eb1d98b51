//! What can go wrong with a prediction.

use assay_hardware_profiles::ProfileError;
use assay_schema::Precision;

/// A prediction that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PredictError {
    /// The profile or its unit.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The unit has no arithmetic that could stand for this format.
    #[error(
        "{profile}:{unit} has no peak that serves precision {precision}; it has {has}"
    )]
    NoPeak {
        /// Hardware profile.
        profile: String,
        /// Unit.
        unit: String,
        /// What was asked for.
        precision: Precision,
        /// The formats that it has.
        has: String,
    },
    /// Communication on a profile without a link.
    #[error(
        "{profile}:{unit} states no link between devices; ranks > 1 cannot be predicted"
    )]
    NoLink {
        /// Hardware profile.
        profile: String,
        /// Unit.
        unit: String,
    },
    /// A class or a constant of an overlay that this build does not know.
    #[error(
        "unknown {what}: `{found}`; nearest valid: `{nearest}` (one of {valid})"
    )]
    UnknownName {
        /// What kind of name it is, and in which overlay.
        what: String,
        /// The name.
        found: String,
        /// The nearest name.
        nearest: String,
        /// All of them.
        valid: String,
    },
    /// Measurements that no overlay can be fitted to.
    #[error("cannot calibrate: {0}")]
    Calibration(String),
    /// The embedded constants do not read: a bug of this crate.
    #[error("harness/predict/constants: {0}")]
    Constants(String),
}
