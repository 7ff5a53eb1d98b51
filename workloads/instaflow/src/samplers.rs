//! From noise to data along a learned field: the samplers that the paper
//! compares, each written once for numbers and for tensors.
//!
//! ```text
//! X_t = alpha(t) X1 + sigma(t) X0      t = 0: noise X0,  t = 1: data X1
//! ```
//!
//! [`Path`] says what alpha and sigma are and what the field gives (velocity
//! of a rectified flow, noise of Stable Diffusion); [`Times`] where a sampler
//! stops; [`Sampler`] how it goes from one stop to the next.
//!
//! | name | order | calls of the field | source |
//! |---|---|---|---|
//! | `euler` | 1 | N | Liu et al., 2209.03003; `pipeline_rf.py` |
//! | `heun` | 2 | 2 N | Karras et al., 2206.00364, without their last step |
//! | `ddim` | 1 | N | Song et al., 2010.02502, eta 0 |
//! | `dpm-solver++` | 2 | N | Lu et al., 2211.01095, 2M |
//! | `rk45` | 5 | as the tolerance asks | Dormand and Prince, 1980 |
//!
//! All of them solve the probability-flow equation in the variable in which
//! the field is its whole right side: `dX/dt = v` on the straight path,
//! `d(X / alpha) / d(sigma / alpha) = noise` on the diffusion path. There
//! Euler's step is DDIM's (Song et al., section 4.3): two formulas for one
//! step, kept apart because their users know them by two names.
//!
//! Not here: samplers that add noise on the way; thresholding of pictures.

mod dpm_solver;
mod fixed;
#[cfg(test)]
pub(crate) mod mixture;
mod path;
mod runge_kutta;
mod schedule;
mod state;
mod straightness;
#[cfg(test)]
mod tests;
mod times;

use std::fmt;
use std::str::FromStr;

use assay_schema::nearest;
use serde::Deserialize;

use crate::InstaFlowError;

pub use path::{Coefficients, Path, Prediction};
pub use runge_kutta::{
    RK45_ABSOLUTE, RK45_MOST_EVALUATIONS, RK45_RELATIVE, Tolerance, rk45,
};
pub use schedule::DiffusionSchedule;
pub use state::State;
pub use straightness::{Straightness, straightness};
pub use times::Times;

/// What is asked for a value at a state and a time: velocity on the straight
/// path, noise on the diffusion path.
pub type Field<'a, S> = dyn FnMut(&S, f64) -> S + 'a;

/// Who is shown each time and state on the way, both ends included.
pub type See<'a, S> = dyn FnMut(f64, &S) + 'a;

/// How the field is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub enum Sampler {
    /// Euler's method.
    Euler,
    /// Heun's method: Euler's step, then the mean of the slopes at its ends.
    Heun,
    /// The deterministic sampler of denoising diffusion implicit models.
    Ddim,
    /// DPM-Solver++(2M): second order with one call a step.
    DpmSolver,
    /// Runge-Kutta of orders 5 and 4 with steps as long as a tolerance lets
    /// them be.
    Rk45,
}

impl Sampler {
    /// Names, in the order in which they are listed.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("euler", Self::Euler),
        ("heun", Self::Heun),
        ("ddim", Self::Ddim),
        ("dpm-solver++", Self::DpmSolver),
        ("rk45", Self::Rk45),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        let found = Self::NAMES.iter().find(|(_, known)| *known == self);
        found.map_or("", |(name, _)| name)
    }

    /// Calls of the field in `steps` steps; `None`: not known beforehand.
    pub fn evaluations(self, steps: usize) -> Option<usize> {
        match self {
            Self::Euler | Self::Ddim | Self::DpmSolver => Some(steps),
            Self::Heun => Some(2 * steps),
            Self::Rk45 => None,
        }
    }

    /// Where it stops in `steps` steps: evenly in time, and `dpm-solver++`
    /// on the diffusion path evenly in the log signal-to-noise ratio, in
    /// which it is of second order (on the straight path that ratio is
    /// infinite at both ends). `rk45` takes nothing but the ends.
    ///
    /// # Errors
    /// No step, unless the sampler chooses its own.
    pub fn times(
        self,
        path: &Path,
        steps: usize,
    ) -> Result<Times, InstaFlowError> {
        match (self, path) {
            (Self::Rk45, _) => Times::uniform(1),
            (Self::DpmSolver, Path::Diffusion(schedule)) => {
                Times::even_in_log_snr(schedule, steps)
            }
            _ => Times::uniform(steps),
        }
    }
}

impl fmt::Display for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Sampler {
    type Err = InstaFlowError;

    /// # Errors
    /// No sampler of that name: the nearest is given.
    fn from_str(text: &str) -> Result<Self, InstaFlowError> {
        let found = Self::NAMES.iter().find(|(name, _)| *name == text);
        found.map(|(_, sampler)| *sampler).ok_or_else(|| {
            let names = Self::NAMES.iter().map(|(name, _)| *name);
            InstaFlowError::Unknown {
                what: "sampler",
                found: text.to_owned(),
                nearest: nearest(text, names).unwrap_or("euler").to_owned(),
            }
        })
    }
}

impl TryFrom<String> for Sampler {
    type Error = InstaFlowError;

    fn try_from(text: String) -> Result<Self, InstaFlowError> {
        text.parse()
    }
}

/// What a sampler came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampled<S> {
    /// The state at the last time.
    pub end: S,
    /// Calls of the field.
    pub evaluations: usize,
}

/// Follows `field` from noise `start` at time 0 to data at time 1 in `steps`
/// steps (of `rk45` they are ignored: [`RK45_ABSOLUTE`] and
/// [`RK45_RELATIVE`] decide).
///
/// `euler` on the straight path is the authors' `Z + (1/N) v(Z, i/N)`. On
/// the diffusion path `start` is the noise itself (times `sigma(0)`, which
/// is within 0.3 % of 1 for Stable Diffusion), and the end keeps the noise of
/// timestep 0.
///
/// # Errors
/// No step; `rk45` without an end: see [`rk45`].
pub fn sample<S: State>(
    sampler: Sampler,
    path: &Path,
    steps: usize,
    start: S,
    field: &mut Field<'_, S>,
    see: &mut See<'_, S>,
) -> Result<Sampled<S>, InstaFlowError> {
    let times = sampler.times(path, steps)?;
    sample_at(sampler, path, &times, start, field, see)
}

/// The same with stops of one's own: `start` is the state at the first of
/// `times`, the end that at the last.
///
/// # Errors
/// `rk45` without an end: see [`rk45`].
pub fn sample_at<S: State>(
    sampler: Sampler,
    path: &Path,
    times: &Times,
    start: S,
    field: &mut Field<'_, S>,
    see: &mut See<'_, S>,
) -> Result<Sampled<S>, InstaFlowError> {
    let mut evaluations = 0;
    let mut counted = |state: &S, time: f64| {
        evaluations += 1;
        field(state, time)
    };
    let end = match sampler {
        Sampler::Euler => fixed::euler(path, times, start, &mut counted, see),
        Sampler::Heun => fixed::heun(path, times, start, &mut counted, see),
        Sampler::Ddim => fixed::ddim(path, times, start, &mut counted, see),
        Sampler::DpmSolver => {
            dpm_solver::two_m(path, times, start, &mut counted, see)
        }
        Sampler::Rk45 => rk45(
            path,
            times.ends(),
            Tolerance::default(),
            start,
            &mut counted,
            see,
        )?,
    };
    Ok(Sampled { end, evaluations })
}

/// Classifier-free guidance of velocities or of noises:
/// `scale conditional + (1 - scale) unconditional` (Ho and Salimans,
/// 2207.12598, with `scale = w + 1`; InstaFlow's `v^alpha`). 1 is no
/// guidance, 0 no caption.
#[must_use]
pub fn guided<S: State>(conditional: &S, unconditional: &S, scale: f64) -> S {
    S::combine(&[(scale, conditional), (1.0 - scale, unconditional)])
}
