//! A run directory's header, `run.toml`.

use serde::{Deserialize, Serialize};

use crate::{Host, Moment, Plan};

/// The format that this build writes.
///
/// Compatibility: a reader takes every version up to its own and refuses a
/// newer one by name. An event may gain a field with a default without a new
/// version; a changed meaning needs one, and so does a new key of `run.toml`,
/// which refuses keys that it does not know, and a new kind of event.
///
/// 2: the event `pictures`.
pub const FORMAT_VERSION: u32 = 2;

/// What a run was: on what, with what, from which sources.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunHeader {
    /// [`FORMAT_VERSION`] of the writer.
    pub format_version: u32,
    /// When it began.
    pub started: Moment,
    /// The command as typed.
    pub command: Vec<String>,
    /// Version of Assay.
    pub assay_version: String,
    /// Commit of the sources, or `unknown`.
    pub commit: String,
    /// Whether the tree differed from the commit; absent when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dirty: Option<bool>,
    /// Compiler.
    pub toolchain: String,
    /// Device measured on, e.g. `cpu`.
    pub device: String,
    /// Hardware profile of this machine: `host` when it was probed.
    pub hardware_profile: String,
    /// The machine.
    pub host: Host,
    /// What was to be run.
    pub plan: Plan,
}
