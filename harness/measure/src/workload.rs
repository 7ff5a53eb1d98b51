//! What can be measured: the [`Workload`] and [`Session`] traits.
//!
//! A workload names its cases and prepares one of them; the session that it
//! returns checks its own answer and runs one iteration at a time. Neither
//! knows how it is sampled, stored or shown. The traits are frozen by the
//! toy implementations in `tests/run_case/implementations.rs`: a steady inference phase, a
//! train-to-accuracy run, a run on several ranks, a generate-then-train loop.

use std::path::PathBuf;

use assay_schema::{Bytes, Case, Verification, WorkloadInfo};

use crate::{Watch, WorkloadError};

/// A family of cases: one paper's models and phases.
pub trait Workload: Send + Sync {
    /// Names, phases, and axes with their defaults.
    fn info(&self) -> WorkloadInfo;

    /// Builds one case: weights in memory, inputs made, nothing timed but the
    /// preparation as a whole.
    ///
    /// # Errors
    ///
    /// [`WorkloadError`] when the case is unknown, its files are bad, or this
    /// machine cannot run it.
    fn prepare(
        &self,
        case: &Case,
        context: &Context,
    ) -> Result<Box<dyn Session>, WorkloadError>;
}

/// Where and with what a case runs; but for `scratch` the same for all cases
/// of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Context {
    /// Device to run on: `cpu`, `wgpu:0`, `cuda:0`.
    pub device: String,
    /// Seed of everything random.
    pub seed: u64,
    /// Folder or file of real data.
    pub data: Option<PathBuf>,
    /// Weights, a safetensors file.
    pub weights: Option<PathBuf>,
    /// A model's shape, in place of the built-in one.
    pub model: Option<PathBuf>,
    /// The case's own folder for what it must not lose when it is killed: a
    /// study goes on from there. It need not exist yet.
    pub scratch: Option<PathBuf>,
    /// Size of the last-level cache, for [`Rotation`](crate::Rotation).
    pub last_level_cache: Option<Bytes>,
}

impl Context {
    /// A device and a seed; all else absent.
    pub fn new(device: impl Into<String>, seed: u64) -> Self {
        Self {
            device: device.into(),
            seed,
            data: None,
            weights: None,
            model: None,
            scratch: None,
            last_level_cache: None,
        }
    }
}

/// A prepared case.
pub trait Session {
    /// Computes an answer and compares it with one from an independent
    /// source. Called once, before any timing: a wrong answer is not timed.
    ///
    /// # Errors
    ///
    /// [`WorkloadError`] when no answer could be computed or compared.
    fn verify(&mut self) -> Result<Verification, WorkloadError>;

    /// How its iterations relate to each other. Asked once, after `verify`.
    fn pace(&self) -> Pace;

    /// Does the work once. The whole call is the part `step`; the watch times
    /// parts within it and takes quality metrics.
    ///
    /// # Errors
    ///
    /// [`WorkloadError`] ends the case as failed; samples taken are kept.
    fn iterate(
        &mut self,
        watch: &mut Watch<'_>,
    ) -> Result<Progress, WorkloadError>;

    /// Ends a sample, inside the clock, after its last iteration: waits for
    /// what a device that works behind the caller's back still owes, so that a
    /// sample times finished work. On a processor there is nothing to wait for.
    ///
    /// # Errors
    ///
    /// As of [`iterate`](Self::iterate).
    fn finish_sample(
        &mut self,
        _watch: &mut Watch<'_>,
    ) -> Result<(), WorkloadError> {
        Ok(())
    }
}

/// How iterations relate to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Every iteration does the same work: a kernel, a decode step, a
    /// training step. Sampled until precise or until the budget is spent.
    Steady,
    /// Each iteration advances a run that ends by itself: training to an
    /// accuracy, a rollout-and-update loop. Every iteration is one sample,
    /// and the budget does not cut it: half a study answers nothing.
    Study,
}

/// Whether a session has more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Call again.
    More,
    /// This iteration was the last.
    Done,
}
