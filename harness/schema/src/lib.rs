//! The nouns of Assay: units, cases, plans, events, samples, records,
//! metrics, pictures, claims, hosts and provenance.
//!
//! Here: plain values with serde, and the small functions that only rearrange
//! them. Not here: files, clocks, printing, statistics. Every other crate may
//! import this one; this one imports none of them.
//!
//! The flow `profile -> plan -> run -> record -> analyse -> report` passes
//! these types along: a [`Plan`] names [`Case`]s, a run appends [`Event`]s,
//! a [`Record`] is the view of one case's events, a [`Prediction`] stands
//! beside it, and [`Claim`]s are judged from all of them.

#![cfg_attr(
    test,
    allow(
        clippy::float_cmp,
        reason = "tests compare values that are exact by construction"
    )
)]

mod case;
mod catalogue;
mod claim;
mod comparison;
mod estimate;
mod event;
mod host;
mod lockstep;
mod metric;
mod names;
mod number;
mod pictures;
mod plan;
mod precision;
mod prediction;
mod provenance;
mod published;
mod record;
mod run;
mod runtime;
mod text_error;
mod typed;
mod units;
mod work;

pub use case::{Case, CaseError, fnv1a, glob_matches};
pub use catalogue::{
    AxisSpec, AxisValues, Catalogue, WorkloadInfo, WorkloadListing,
};
pub use claim::{
    Claim, ClaimData, ClaimFile, ClaimFinding, Direction, Evidence, Ruling,
};
pub use comparison::{
    Change, Comparison, ComparisonRow, ComparisonSuite, DetectableChange, Mode,
    ModesChange, PercentileChange, Verdict,
};
pub use estimate::Estimate;
pub use event::{Event, Moment, SampleBatch, StopReason, Warning};
pub use host::Host;
pub use lockstep::{
    LOCKSTEP_VERSION, LockstepMetric, LockstepReply, LockstepRequest,
};
pub use metric::{Better, Metric, Reading};
pub use names::nearest;
pub use pictures::Pictures;
pub use plan::{Depth, Plan, PlannedCase};
pub use precision::{ParsePrecisionError, Precision};
pub use prediction::{Bound, MemoryPart, Prediction, ProfileSummary};
pub use provenance::Provenance;
pub use published::PublishedPoint;
pub use record::{Outcome, Record, Verification};
pub use run::{FORMAT_VERSION, RunHeader};
pub use runtime::{ParseRuntimeError, Runtime};
pub use text_error::{TextError, line_of};
pub use typed::typed_share;
pub use units::{
    Bytes, BytesPerSecond, Flops, FlopsPerSecond, Hertz, Joules, Seconds, Watts,
};
pub use work::{MemoryParts, WorkSummary};
