//! Calls of Android intents: a small model that answers a request with a call
//! of one of the tools that the prompt offers.
//!
//! In the order of use: `families.rs` reads what tools there are and how
//! people ask for them (`data/intents.toml`), `generator.rs` draws requests
//! with the right calls, `schema.rs` is what tools and calls are,
//! `language.rs` turns them into tokens and back. `model.rs` is the model,
//! `lessons.rs` what it learns from, `tuning.rs` how. `grammar.rs` keeps an
//! answer to the offered tools, `call.rs` writes answers and times them,
//! `judge.rs` says which are right. `session.rs` is the study, `kept.rs` what
//! it keeps on disk.
//!
//! After DroidCall (facts, section 6.6), on whose data PhoneLM-1.5B-Call is
//! tuned. What is measured here is a model a thousand times smaller, trained
//! from nothing on a language of its own: whether fine-tuning with adapters
//! turns a model that never saw a call into one that calls tools, new ones
//! among them. It says nothing of how well the authors' model does.

mod call;
mod families;
mod generator;
mod glue;
mod grammar;
mod judge;
mod kept;
mod language;
mod lessons;
mod model;
mod schema;
mod session;
mod times;
mod tuning;

pub(crate) use call::CallSession;
pub(crate) use model::{BATCH, CALL_PROMPT, CALL_TOKENS, ROW, config};
pub(crate) use session::TuningSession;
