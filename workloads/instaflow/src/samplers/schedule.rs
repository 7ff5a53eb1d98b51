//! The noise schedule that Stable Diffusion was trained with, made
//! continuous.
//!
//! At timestep `i` of `n` the state is `sqrt(A_i) X1 + sqrt(1 - A_i) X0` with
//! `A_i = (1 - beta_0) ... (1 - beta_i)` and `sqrt(beta)` rising evenly
//! (`scaled_linear` of diffusers, `linear` of CompVis). Between timesteps the
//! half log signal-to-noise ratio `lambda = ln(alpha / sigma)` is taken to be
//! straight, so `alpha^2 + sigma^2 = 1` holds everywhere. Time 0 is timestep
//! `n - 1` and time 1 is timestep 0: nothing is asked of a network that it
//! was not trained on, and the end keeps the noise of timestep 0 (a standard
//! deviation of 0.029 for Stable Diffusion).

use crate::InstaFlowError;

/// Half log signal-to-noise ratios, one a timestep.
#[derive(Clone, Debug, PartialEq)]
pub struct DiffusionSchedule {
    /// Falling: timestep 0 is nearly data.
    lambdas: Vec<f64>,
}

impl DiffusionSchedule {
    /// Stable Diffusion 1: 1000 timesteps, `beta` from 0.00085 to 0.012
    /// (CompVis/stable-diffusion, `v1-inference.yaml`).
    pub fn stable_diffusion() -> Self {
        Self::between(0.00085, 0.012, 1000)
    }

    /// A schedule of `timesteps` with `sqrt(beta)` rising evenly from that
    /// of `first` to that of `last`.
    ///
    /// # Errors
    /// Fewer than two timesteps, or betas that are not between 0 and 1.
    pub fn scaled_linear(
        first: f64,
        last: f64,
        timesteps: usize,
    ) -> Result<Self, InstaFlowError> {
        let lawful = |beta: f64| beta > 0.0 && beta < 1.0;
        if timesteps < 2 || !lawful(first) || !lawful(last) {
            return Err(InstaFlowError::Sampling(format!(
                "noise schedule: found {timesteps} timesteps with betas from \
                 {first} to {last}; expected at least 2 timesteps and betas \
                 between 0 and 1, ends excluded"
            )));
        }
        Ok(Self::between(first, last, timesteps))
    }

    fn between(first: f64, last: f64, timesteps: usize) -> Self {
        let (low, high) = (first.sqrt(), last.sqrt());
        let mut kept = 1.0; // A_i
        let lambdas = (0..timesteps).map(|i| {
            let share = i as f64 / (timesteps - 1) as f64;
            kept *= 1.0 - (low + share * (high - low)).powi(2);
            0.5 * (kept / (1.0 - kept)).ln()
        });
        Self { lambdas: lambdas.collect() }
    }

    /// The timestep at a time, not rounded: `(1 - t) (n - 1)`. Times outside
    /// `[0, 1]` are taken to its ends.
    pub fn timestep(&self, time: f64) -> f64 {
        let last = (self.lambdas.len() - 1) as f64;
        ((1.0 - time) * last).clamp(0.0, last)
    }

    /// `ln(alpha / sigma)` at a time.
    pub fn half_log_snr(&self, time: f64) -> f64 {
        let (lambda, slope, into) = self.piece(time);
        lambda + slope * into
    }

    /// Its derivative by time; at a timestep, that of the noisier side.
    pub fn half_log_snr_slope(&self, time: f64) -> f64 {
        let (_, slope, _) = self.piece(time);
        // Timesteps run against time.
        -slope * (self.lambdas.len() - 1) as f64
    }

    /// The time at which `ln(alpha / sigma)` is `half_log_snr`; beyond the
    /// ends, the ends.
    pub fn time(&self, half_log_snr: f64) -> f64 {
        let lambdas = &self.lambdas;
        let after = lambdas.partition_point(|lambda| *lambda > half_log_snr);
        if after == 0 {
            return 1.0;
        }
        if after == lambdas.len() {
            return 0.0;
        }
        let (before, behind) = (lambdas[after - 1], lambdas[after]);
        let share = (before - half_log_snr) / (before - behind);
        let timestep = (after - 1) as f64 + share;
        1.0 - timestep / (lambdas.len() - 1) as f64
    }

    /// The timestep before a time, its ratio, the ratio's change to the next
    /// and how far in between the time is.
    fn piece(&self, time: f64) -> (f64, f64, f64) {
        let timestep = self.timestep(time);
        let before = (timestep as usize).min(self.lambdas.len() - 2);
        let lambda = self.lambdas[before];
        let slope = self.lambdas[before + 1] - lambda;
        (lambda, slope, timestep - before as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_noise_of_stable_diffusion_runs_from_14_6_to_0_029() {
        // sigma / alpha as printed in huggingface/diffusers issue 9531.
        let schedule = DiffusionSchedule::stable_diffusion();
        let noise = |time| (-schedule.half_log_snr(time)).exp();
        assert!((noise(0.0) - 14.6146).abs() < 5e-5, "{}", noise(0.0));
        assert!((noise(1.0) - 0.0292).abs() < 5e-5, "{}", noise(1.0));
        assert_eq!([0.0, 1.0].map(|t| schedule.timestep(t)), [999.0, 0.0]);
    }

    #[test]
    fn a_time_is_found_again_from_its_ratio() {
        let schedule = DiffusionSchedule::stable_diffusion();
        let mut last = f64::NEG_INFINITY;
        for i in 0..=1234 {
            let time = f64::from(i) / 1234.0;
            let lambda = schedule.half_log_snr(time);
            assert!(lambda > last, "at {time}");
            assert!((schedule.time(lambda) - time).abs() < 1e-12, "{time}");
            last = lambda;
        }
        assert_eq!([-99.0, 99.0].map(|l| schedule.time(l)), [0.0, 1.0]);
    }

    #[test]
    fn the_slope_is_that_of_the_ratio() {
        let schedule = DiffusionSchedule::stable_diffusion();
        for time in [0.000_3, 0.123_4, 0.567_8, 0.999_6] {
            let [up, down] =
                [1e-7, -1e-7].map(|d| schedule.half_log_snr(time + d));
            let found = schedule.half_log_snr_slope(time);
            let expected = (up - down) / 2e-7;
            assert!((found / expected - 1.0).abs() < 1e-5, "{time}");
        }
    }

    #[test]
    fn a_schedule_without_a_way_is_refused() {
        for (first, last, steps) in
            [(0.1, 0.2, 1), (0.0, 0.2, 9), (0.1, 1.0, 9), (f64::NAN, 0.2, 9)]
        {
            let error = DiffusionSchedule::scaled_linear(first, last, steps);
            let error = error.unwrap_err().to_string();
            assert!(error.contains("noise schedule"), "{error}");
        }
        let own = DiffusionSchedule::scaled_linear(0.00085, 0.012, 1000);
        assert_eq!(own.unwrap(), DiffusionSchedule::stable_diffusion());
    }
}
