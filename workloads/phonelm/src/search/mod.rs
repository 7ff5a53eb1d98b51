//! The search: shapes at a parameter budget, predicted by the thousand for a
//! machine, and the front of what they cost.
//!
//! `space.rs` has the axes and draws from them, `candidate.rs` is a shape,
//! `quick_trace.rs` its operator graph from the trace of three layers,
//! `predict.rs` predicts on all cores, `front.rs` is Pareto's. `measure.rs`
//! times candidates here, for how well predictions rank them, and
//! `session.rs` is the study: predictions, timings, finalists trained
//! ([`crate::train`]), with its state in `state.rs`.
//!
//! Paper: PhoneLM (arXiv 2411.05046), section 3: the shape for the machine
//! first, training second.

mod candidate;
mod finalists;
mod front;
mod measure;
mod predict;
mod quick_trace;
mod session;
mod space;
mod state;
mod told;

pub use candidate::{Candidate, Layer, Placing};
pub use front::{distance, front, hypervolume};
pub use measure::{Timed, rank_correlation, time};
pub use predict::{Predicted, Predicting, predict_all};
pub(crate) use quick_trace::whole;
pub(crate) use session::SearchSession;
pub use space::{Space, TOLERANCE};
