//! Capture -> operator graph -> work (FLOPs, bytes), memory over time.
//!
//! A model runs once on the engine's capture device, which computes nothing
//! and allocates nothing; [`capture`] turns what it recorded into a [`Graph`]
//! of [`Operator`]s with exact shapes, for the forward pass and for a whole
//! training step. From the graph follow FLOPs by kind, bytes, parameters,
//! memory over time ([`memory`]) and the cost of each module.
//!
//! Models mark their parts with [`span`]; outside a trace that costs one
//! thread-local read. Custom kernels declare their cost through [`CostOf`].
//!
//! Not here: time. How long an operator takes is `predict`'s business.

#![cfg_attr(
    test,
    allow(
        clippy::float_cmp,
        reason = "tests compare counts that are exact by construction"
    )
)]

mod chrome;
mod cost;
mod error;
mod graph;
mod lower;
mod memory;
mod module_rules;
mod modules;
mod operator;
mod recorder;
mod rules;
mod summary;
mod tape;

pub use chrome::chrome_trace;
pub use cost::{CostOf, CustomCost};
pub use error::TraceError;
pub use graph::{Elements, Graph, Operator, Pass, Role, TensorInfo, Use};
pub use memory::{MemoryProfile, memory};
pub use modules::{ModuleWork, by_module};
pub use operator::{Collective, Elementwise, OperatorKind, causal_pairs};
pub use recorder::{Recorder, capture, mark, optimizer_begins, span, span_at};
pub use summary::summary;
pub use tape::{Tape, inner, tracked};
