//! Clock offset, carrier offset and fading of one window.
//!
//! The original's order is clock, carrier, paths. Clock shift and paths are
//! one filter here and the carrier comes last: over the eight taps of the
//! paths that is a difference of 0.001 rad.

use std::f64::consts::{PI, TAU};

use rustfft::num_complex::Complex;

use super::constants;
use super::pulse::sinc;
use crate::Random;

/// The channel of one window.
pub(super) struct Channel {
    /// Clock shift and paths, as one filter.
    taps: Vec<Complex<f64>>,
    /// Gain of each path, magnitude included.
    pub(super) paths: Vec<Complex<f64>>,
    /// Clock offset, Hz.
    pub(super) sro_hz: f64,
    /// Carrier offset, Hz.
    pub(super) cfo_hz: f64,
    /// Phase that the carrier has gained so far, rad.
    phase: f64,
    /// Phase that it gains a sample, rad.
    turn: f64,
}

impl Channel {
    /// What a window meets that begins `position` samples into a run.
    pub(super) fn draw(
        constants: &constants::Channel,
        sample_rate_hz: f64,
        position: usize,
        random: &mut Random,
    ) -> Self {
        let clock = walk(
            constants.sro_step_hz,
            constants.sro_limit_hz,
            position,
            random,
        );
        let carrier = walk(
            constants.cfo_step_hz,
            constants.cfo_limit_hz,
            position,
            random,
        );
        // Whole samples make no difference to a window cut at random.
        let shift = (clock.sum / sample_rate_hz).rem_euclid(1.0);
        let paths = fade(constants, random);
        let together = spread(constants, &paths);
        let interpolator = fractional_shift(shift, constants.interpolator_taps);
        Self {
            taps: convolve(&together, &interpolator),
            paths,
            sro_hz: clock.now,
            cfo_hz: carrier.now,
            phase: TAU * carrier.sum / sample_rate_hz,
            turn: TAU * carrier.now / sample_rate_hz,
        }
    }

    /// Samples that it needs beyond those that it gives.
    pub(super) fn margin(constants: &constants::Channel) -> usize {
        constants.taps + constants.interpolator_taps - 2
    }

    /// All samples that lie wholly inside `wave`.
    pub(super) fn apply(&self, wave: &[Complex<f64>]) -> Vec<Complex<f64>> {
        filter(&self.taps, wave)
            .into_iter()
            .enumerate()
            .map(|(n, sample)| {
                let phase = self.phase + self.turn * n as f64;
                sample * Complex::from_polar(1.0, phase)
            })
            .collect()
    }
}

/// A random walk and its sum so far.
struct Walk {
    now: f64,
    sum: f64,
}

/// Both after `steps` steps: jointly normal, with variances `steps` and
/// `steps^3 / 3` and covariance `steps^2 / 2`. The limit is applied at the end
/// only: at the lengths and steps of the constants it is 17 deviations away.
fn walk(step: f64, limit: f64, steps: usize, random: &mut Random) -> Walk {
    let count = steps as f64;
    let now = step * count.sqrt() * random.normal();
    let bridge = step * count.powf(1.5) / 12.0_f64.sqrt() * random.normal();
    Walk {
        now: now.clamp(-limit, limit),
        sum: (count / 2.0 * now + bridge).clamp(-limit * count, limit * count),
    }
}

/// Gain of each path: a sum of sinusoids at a time when their phases are
/// uniform, I and Q apart, of mean power 1, times the path's magnitude; the
/// first path has a steady part too. (GNU Radio's flat fader; Alimohammad et
/// al., "Compact Rayleigh and Rician fading simulator", 2009.)
fn fade(
    constants: &constants::Channel,
    random: &mut Random,
) -> Vec<Complex<f64>> {
    let count = constants.sinusoids;
    let k = constants.rician_k;
    let mut phase = || TAU * random.unit();
    let mut path = |steady: f64| {
        let (mut re, mut im) = (0.0, 0.0);
        for _ in 0..count {
            re += phase().cos();
            im += phase().sin();
        }
        let scattered = ((1.0 - steady) / count as f64).sqrt();
        let steady = Complex::from_polar(steady.sqrt(), phase());
        Complex::new(re, im) * scattered + steady
    };
    let share = |place: usize| if place == 0 { k / (k + 1.0) } else { 0.0 };
    let places = constants.magnitudes.iter().enumerate();
    places.map(|(place, magnitude)| path(share(place)) * *magnitude).collect()
}

/// Response of one path of gain 1: a sinc cut to the taps, as GNU Radio's
/// selective fading model has it; a delay of 0.9 samples gains 4 % at 0 Hz.
pub(super) fn path_taps(
    constants: &constants::Channel,
    path: usize,
) -> Vec<Complex<f64>> {
    let delay = constants.delays_samples[path];
    let tap = |k: usize| Complex::new(sinc(k as f64 - delay), 0.0);
    (0..constants.taps).map(tap).collect()
}

fn spread(
    constants: &constants::Channel,
    gains: &[Complex<f64>],
) -> Vec<Complex<f64>> {
    let mut taps = vec![Complex::new(0.0, 0.0); constants.taps];
    for (path, gain) in gains.iter().enumerate() {
        let response = path_taps(constants, path);
        for (tap, value) in taps.iter_mut().zip(response) {
            *tap += gain * value;
        }
    }
    taps
}

/// A Hann-windowed sinc whose delay is `count / 2 - 1 + shift` samples.
fn fractional_shift(shift: f64, count: usize) -> Vec<f64> {
    let middle = (count / 2 - 1) as f64 + shift;
    let half = count as f64 / 2.0;
    (0..count)
        .map(|k| {
            let t = k as f64 - middle;
            let window = (PI * t / (2.0 * half)).cos().powi(2);
            sinc(t) * window
        })
        .collect()
}

fn convolve(a: &[Complex<f64>], b: &[f64]) -> Vec<Complex<f64>> {
    let mut product = vec![Complex::new(0.0, 0.0); a.len() + b.len() - 1];
    for (i, x) in a.iter().enumerate() {
        for (sum, y) in product[i..].iter_mut().zip(b) {
            *sum += x * y;
        }
    }
    product
}

/// The part of a convolution where all taps meet a sample.
pub(super) fn filter(
    taps: &[Complex<f64>],
    wave: &[Complex<f64>],
) -> Vec<Complex<f64>> {
    wave.windows(taps.len())
        .map(|part| {
            part.iter().rev().zip(taps).map(|(sample, tap)| sample * tap).sum()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::radioml::Constants;

    #[test]
    fn the_paths_gain_1_73_on_average() {
        let constants = Constants::built_in().unwrap().channel;
        let mut random = Random::new(3, 0);
        let count = 20_000;
        let mut powers = [0.0; 3];
        for _ in 0..count {
            let gains = fade(&constants, &mut random);
            for (sum, gain) in powers.iter_mut().zip(&gains) {
                *sum += gain.norm_sqr() / f64::from(count);
            }
        }
        // A deviation of a path's power is below its mean: 1 / 140 of it here.
        for (power, expected) in powers.iter().zip([1.0, 0.64, 0.09]) {
            assert!((power / expected - 1.0).abs() < 0.03, "{powers:?}");
        }
        let total: f64 = powers.iter().sum();
        assert!((total - 1.73).abs() < 0.03, "{total}");
    }

    #[test]
    fn the_first_path_is_rician_and_the_second_is_not() {
        // Variance of power over squared mean: (2k + 1) / (k + 1)^2 for Rice,
        // less 3 / (4 sinusoids) of the scattered part's square.
        let constants = Constants::built_in().unwrap().channel;
        let mut random = Random::new(4, 0);
        let count = 20_000;
        let spread = |path: usize, random: &mut Random| -> f64 {
            let powers: Vec<f64> = (0..count)
                .map(|_| fade(&constants, random)[path].norm_sqr())
                .collect();
            let mean = powers.iter().sum::<f64>() / f64::from(count);
            let square = powers.iter().map(|p| p * p).sum::<f64>();
            square / f64::from(count) / mean / mean - 1.0
        };
        let rice = spread(0, &mut random);
        assert!((rice - (9.0 - 0.094) / 25.0).abs() < 0.02, "{rice}");
        let rayleigh = spread(1, &mut random);
        assert!((rayleigh - 0.906).abs() < 0.05, "{rayleigh}");
    }

    #[test]
    fn the_walk_has_the_moments_of_a_stepped_one() {
        let mut random = Random::new(5, 0);
        let (mut now, mut sum, mut both) = (0.0, 0.0, 0.0);
        let (runs, steps) = (20_000, 400_usize);
        for _ in 0..runs {
            let walk = walk(0.01, 50.0, steps, &mut random);
            now += walk.now * walk.now / f64::from(runs);
            sum += walk.sum * walk.sum / f64::from(runs);
            both += walk.now * walk.sum / f64::from(runs);
        }
        let n = steps as f64;
        assert!((now / (1e-4 * n) - 1.0).abs() < 0.05, "{now}");
        assert!((sum / (1e-4 * n.powi(3) / 3.0) - 1.0).abs() < 0.05, "{sum}");
        assert!((both / (1e-4 * n * n / 2.0) - 1.0).abs() < 0.05, "{both}");
    }

    #[test]
    fn the_interpolator_shifts_by_a_fraction() {
        let wave: Vec<_> = (0..64)
            .map(|n| Complex::from_polar(1.0, 0.5 * f64::from(n)))
            .collect();
        for shift in [0.0, 0.25, 0.8] {
            let taps: Vec<_> = fractional_shift(shift, 16)
                .into_iter()
                .map(|tap| Complex::new(tap, 0.0))
                .collect();
            let shifted = filter(&taps, &wave);
            // The first output stands at input 15, less a delay of 7 + shift.
            let expected = Complex::from_polar(1.0, 0.5 * (8.0 - shift));
            let error = (shifted[0] - expected).norm();
            assert!(error < 0.01, "{shift}: {error}");
        }
    }
}
