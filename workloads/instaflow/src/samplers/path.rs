//! How noise and data are mixed on the way, and what a field says about
//! them.
//!
//! A state is `X_t = alpha X1 + sigma X0`. Whichever of velocity, noise and
//! data a field gives, the state and that value fix the other two: they are
//! linear in both.
//!
//! ```text
//! velocity  v = alpha' X1 + sigma' X0      (' is d/dt)
//! given v:     X1 = (sigma v - sigma' X) / w
//!              X0 = (alpha' X - alpha v) / w
//!                   w = alpha' sigma - alpha sigma'
//! given noise: X1 = (X - sigma X0) / alpha
//! given data:  X0 = (X - alpha X1) / sigma
//! ```

use std::fmt;

use super::times::Step;
use super::{DiffusionSchedule, State};
use crate::InstaFlowError;

/// From noise (time 0) to data (time 1).
#[derive(Clone, Debug, PartialEq)]
pub enum Path {
    /// Rectified flow: `alpha = t`, `sigma = 1 - t`. Its field gives the
    /// velocity `X1 - X0`.
    Straight,
    /// Diffusion: `alpha^2 + sigma^2 = 1`. Its field gives the noise `X0`.
    Diffusion(DiffusionSchedule),
}

/// The mixture at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coefficients {
    /// Share of the data.
    pub alpha: f64,
    /// Share of the noise.
    pub sigma: f64,
    /// Derivative of `alpha` by time.
    pub alpha_slope: f64,
    /// Derivative of `sigma` by time.
    pub sigma_slope: f64,
}

/// What a value says about a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prediction {
    /// Where the state goes: `alpha' X1 + sigma' X0`.
    Velocity,
    /// The noise `X0` in it.
    Noise,
    /// The data `X1` in it.
    Data,
}

impl fmt::Display for Prediction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Velocity => "velocity",
            Self::Noise => "noise",
            Self::Data => "data",
        })
    }
}

/// A value as `[a, b]`: `a` times the state plus `b` times what was given.
pub(super) type Terms = [f64; 2];

impl Path {
    /// The mixture at `time`.
    pub fn at(&self, time: f64) -> Coefficients {
        match self {
            Self::Straight => Coefficients {
                alpha: time,
                sigma: 1.0 - time,
                alpha_slope: 1.0,
                sigma_slope: -1.0,
            },
            Self::Diffusion(schedule) => {
                let lambda = schedule.half_log_snr(time);
                let slope = schedule.half_log_snr_slope(time);
                // alpha^2 is the logistic function of 2 lambda.
                let alpha = (1.0 + (-2.0 * lambda).exp()).sqrt().recip();
                let sigma = (1.0 + (2.0 * lambda).exp()).sqrt().recip();
                Coefficients {
                    alpha,
                    sigma,
                    alpha_slope: slope * alpha * sigma * sigma,
                    sigma_slope: -slope * sigma * alpha * alpha,
                }
            }
        }
    }

    /// The timestep that a network is told at `time`, not rounded: 1000 to 0
    /// on the straight path (`pipeline_rf.py`: `(1 - i/N) * 1000`), 999 to 0
    /// on that of Stable Diffusion.
    pub fn timestep(&self, time: f64) -> f64 {
        match self {
            Self::Straight => (1.0 - time) * 1000.0,
            Self::Diffusion(schedule) => schedule.timestep(time),
        }
    }

    /// What the samplers take a field's values for.
    pub fn field(&self) -> Prediction {
        match self {
            Self::Straight => Prediction::Velocity,
            Self::Diffusion(_) => Prediction::Noise,
        }
    }

    /// Another prediction from the one given for `state` at `time`.
    ///
    /// # Errors
    /// The one given does not say: data from the noise where the state is
    /// all noise, noise from the data where it is all data.
    pub fn convert<S: State>(
        &self,
        time: f64,
        state: &S,
        given: (Prediction, &S),
        wanted: Prediction,
    ) -> Result<S, InstaFlowError> {
        let (kind, value) = given;
        if kind == wanted {
            return Ok(value.clone());
        }
        let (data, noise) = self.parts(time, kind);
        let at = self.at(time);
        let terms = match wanted {
            Prediction::Data => data,
            Prediction::Noise => noise,
            Prediction::Velocity => [0, 1]
                .map(|i| at.alpha_slope * data[i] + at.sigma_slope * noise[i]),
        };
        if !terms.iter().all(|term| term.is_finite()) {
            return Err(InstaFlowError::Sampling(format!(
                "at time {time} a state holds {} data and {} noise: the \
                 {kind} in it does not say the {wanted}",
                at.alpha, at.sigma
            )));
        }
        Ok(S::combine(&[(terms[0], state), (terms[1], value)]))
    }

    /// Data and noise from a state and what is `given` for it. Finite for
    /// what this path's own field gives.
    pub(super) fn parts(&self, time: f64, given: Prediction) -> (Terms, Terms) {
        let Coefficients { alpha, sigma, alpha_slope, sigma_slope } =
            self.at(time);
        match given {
            Prediction::Velocity => {
                let width = alpha_slope * sigma - alpha * sigma_slope;
                (
                    [-sigma_slope / width, sigma / width],
                    [alpha_slope / width, -alpha / width],
                )
            }
            Prediction::Noise => ([alpha.recip(), -sigma / alpha], [0.0, 1.0]),
            Prediction::Data => ([0.0, 1.0], [sigma.recip(), -alpha / sigma]),
        }
    }

    /// The next state from the field's value taken as constant over a step,
    /// in the variable of [`Path::clock`].
    pub(super) fn advance(&self, step: &Step) -> Terms {
        match self {
            Self::Straight => [1.0, step.width],
            Self::Diffusion(_) => {
                let (from, to) = (self.at(step.from), self.at(step.to));
                let keep = to.alpha / from.alpha;
                [keep, to.sigma - keep * from.sigma]
            }
        }
    }

    /// The variable in which the field is the whole slope of
    /// `X / scale`: time itself, or `sigma / alpha`.
    pub(super) fn clock(&self, time: f64) -> f64 {
        match self {
            Self::Straight => time,
            Self::Diffusion(schedule) => (-schedule.half_log_snr(time)).exp(),
        }
    }

    /// The time at a `clock`.
    pub(super) fn time(&self, clock: f64) -> f64 {
        match self {
            Self::Straight => clock,
            Self::Diffusion(schedule) => schedule.time(-clock.ln()),
        }
    }

    /// What a state is divided by in that variable: 1, or `alpha`.
    pub(super) fn scale(&self, clock: f64) -> f64 {
        match self {
            Self::Straight => 1.0,
            Self::Diffusion(_) => clock.hypot(1.0).recip(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Prediction; 3] =
        [Prediction::Velocity, Prediction::Noise, Prediction::Data];

    fn paths() -> [Path; 2] {
        let schedule = DiffusionSchedule::stable_diffusion();
        [Path::Straight, Path::Diffusion(schedule)]
    }

    fn close(found: &[f64], expected: &[f64], what: &str) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            let apart = (found - expected).abs();
            assert!(apart < 1e-9 * (1.0 + expected.abs()), "{what}: {apart}");
        }
    }

    #[test]
    fn every_prediction_says_the_two_others() {
        let (data, noise) = (vec![0.7, -1.2], vec![-0.3, 2.0]);
        for path in paths() {
            for time in [0.01, 0.3, 0.77, 0.99] {
                let at = path.at(time);
                let mixed = |a: f64, b: f64| -> Vec<f64> {
                    State::combine(&[(a, &data), (b, &noise)])
                };
                let state = mixed(at.alpha, at.sigma);
                let velocity = mixed(at.alpha_slope, at.sigma_slope);
                let value = |kind| match kind {
                    Prediction::Velocity => &velocity,
                    Prediction::Noise => &noise,
                    Prediction::Data => &data,
                };
                for given in KINDS {
                    for wanted in KINDS {
                        let from = (given, value(given));
                        let found = path.convert(time, &state, from, wanted);
                        let what = format!("{given} to {wanted} at {time}");
                        close(&found.unwrap(), value(wanted), &what);
                    }
                }
            }
        }
    }

    #[test]
    fn the_velocity_is_how_the_mixture_moves() {
        for path in paths() {
            for time in [0.123_4, 0.567_8] {
                let [up, down] = [1e-7, -1e-7].map(|d| path.at(time + d));
                let at = path.at(time);
                let found = [at.alpha_slope, at.sigma_slope];
                let expected = [up.alpha - down.alpha, up.sigma - down.sigma];
                for (found, expected) in found.iter().zip(expected) {
                    let apart = (found - expected / 2e-7).abs();
                    assert!(apart < 1e-5, "{path:?} at {time}: {apart}");
                }
            }
        }
    }

    #[test]
    fn pure_noise_does_not_say_the_data() {
        let (state, noise) = (vec![1.0], vec![1.0]);
        let from = (Prediction::Noise, &noise);
        for wanted in [Prediction::Data, Prediction::Velocity] {
            let found = Path::Straight.convert(0.0, &state, from, wanted);
            let error = found.unwrap_err().to_string();
            assert!(error.contains("does not say the"), "{error}");
        }
        let from = (Prediction::Data, &noise);
        let wanted = Prediction::Noise;
        assert!(Path::Straight.convert(1.0, &state, from, wanted).is_err());
        // The velocity says both ends at both ends.
        let from = (Prediction::Velocity, &noise);
        let data = Path::Straight.convert(0.0, &state, from, Prediction::Data);
        assert_eq!(data.unwrap(), [2.0]);
    }

    #[test]
    fn a_network_is_told_the_timesteps_that_it_was_trained_on() {
        let [straight, diffusion] = paths();
        assert_eq!(
            [0.0, 0.75, 1.0].map(|t| straight.timestep(t)),
            [1000.0, 250.0, 0.0]
        );
        assert_eq!([0.0, 1.0].map(|t| diffusion.timestep(t)), [999.0, 0.0]);
        assert_eq!(straight.field(), Prediction::Velocity);
        assert_eq!(diffusion.field(), Prediction::Noise);
    }

    #[test]
    fn a_clock_tells_the_time_and_the_scale() {
        for path in paths() {
            for time in [0.0, 0.25, 0.9, 1.0] {
                let clock = path.clock(time);
                assert!((path.time(clock) - time).abs() < 1e-12);
                let expected = match path {
                    Path::Straight => 1.0,
                    Path::Diffusion(_) => path.at(time).alpha,
                };
                assert!((path.scale(clock) - expected).abs() < 1e-12);
            }
        }
    }
}
