//! Axes to plan: what `assay run` is asked for becomes a list of cases.
//!
//! [`parse_plan_file`] reads a plan file (specified in this crate's README);
//! [`expand`] multiplies its axes out against a catalogue of what can be run;
//! [`complete`] checks one case and fills its defaults in; [`select`] turns
//! names and globs of the command line into case paths. [`keep`],
//! [`split_budget`] and [`remaining`] each make a smaller plan from a plan.
//!
//! Pure: no clock, no files, no environment. The text of a plan file is
//! passed in. What a case costs and how it is run is not known here.

mod case;
mod error;
mod expand;
mod plan_file;
mod select;
mod shrink;

#[cfg(test)]
mod fixture;

pub use case::complete;
pub use error::SweepError;
pub use expand::{MOST_CASES, expand};
pub use plan_file::{DEFAULT_BUDGET, PlanEntry, PlanFile, parse_plan_file};
pub use select::select;
pub use shrink::{Filter, keep, remaining, split_budget};
