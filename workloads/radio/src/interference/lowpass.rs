//! The receiver's low-pass: a sinc under a Kaiser window, and decimation.

use std::f64::consts::PI;

use super::constants::Filter;
use super::packet::Sample;

/// A symmetric filter of unit gain at 0 Hz.
pub(super) struct LowPass {
    taps: Vec<f64>,
}

impl LowPass {
    pub(super) fn new(constants: &Filter, sample_hz: u64) -> Self {
        let half = (constants.taps.value / 2) as i64;
        let edge = 2.0 * constants.cutoff_hz.value / sample_hz as f64;
        let beta = constants.kaiser_beta.value;
        let mut taps: Vec<f64> = (-half..=half)
            .map(|i| {
                let place = i as f64 / half.max(1) as f64;
                let window = bessel(beta * (1.0 - place * place).sqrt());
                sinc(edge * i as f64) * window
            })
            .collect();
        let sum = taps.iter().sum::<f64>();
        taps.iter_mut().for_each(|tap| *tap /= sum);
        Self { taps }
    }

    pub(super) fn taps(&self) -> &[f64] {
        &self.taps
    }

    /// Samples on each side of the one that comes out.
    pub(super) fn half(&self) -> usize {
        self.taps.len() / 2
    }

    /// Samples that go in for `count` that come out, one in `step`.
    pub(super) fn reach(&self, count: usize, step: usize) -> usize {
        (count - 1) * step + self.taps.len()
    }

    /// Filters, keeping one sample in `step`.
    pub(super) fn apply(&self, samples: &[Sample], step: usize) -> Vec<Sample> {
        samples
            .windows(self.taps.len())
            .step_by(step)
            .map(|window| {
                // Several sums at once: one would wait for itself.
                let mut sums = [Sample::ZERO; 8];
                let chunks = window.chunks_exact(8);
                let taps = self.taps.chunks_exact(8);
                let rest = chunks.remainder().iter().zip(taps.remainder());
                let last: Sample = rest.map(|(s, tap)| s * tap).sum();
                for (chunk, taps) in chunks.zip(taps) {
                    for (sum, (s, tap)) in
                        sums.iter_mut().zip(chunk.iter().zip(taps))
                    {
                        *sum += s * tap;
                    }
                }
                sums.iter().sum::<Sample>() + last
            })
            .collect()
    }
}

fn sinc(x: f64) -> f64 {
    if x.abs() < 1e-12 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

/// The modified Bessel function of order 0, by its series.
fn bessel(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let mut term = 1.0;
    let mut sum = 1.0;
    for k in 1..60 {
        term *= quarter / f64::from(k * k);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interference::Constants;

    #[test]
    fn the_band_passes_and_what_would_fold_far_in_does_not() {
        let constants = Constants::frozen().unwrap();
        let low = LowPass::new(&constants.filter, 40_000_000);
        let gain_db = |mhz: f64| {
            let sum: Sample = (0..)
                .zip(low.taps())
                .map(|(i, tap)| {
                    let turn = std::f64::consts::TAU * mhz / 40.0;
                    Sample::cis(turn * f64::from(i)) * tap
                })
                .sum();
            20.0 * sum.norm().log10()
        };
        for mhz in [0.0, 2.0, -4.0, 4.7, -4.7] {
            assert!(gain_db(mhz).abs() < 0.05, "{mhz}: {}", gain_db(mhz));
        }
        assert!((gain_db(5.0) + 6.02).abs() < 0.1, "{}", gain_db(5.0));
        for mhz in [5.3, -5.3, 6.0, 9.1, 19.9] {
            assert!(gain_db(mhz) < -55.0, "{mhz}: {}", gain_db(mhz));
        }
    }

    #[test]
    fn filtering_is_the_sum_of_products() {
        let low = LowPass { taps: (1..=11).map(f64::from).collect() };
        let samples: Vec<Sample> =
            (0..40).map(|i| Sample::new(f64::from(i), -1.0)).collect();
        let out = low.apply(&samples, 4);
        assert_eq!(out.len(), 8);
        assert_eq!(low.reach(8, 4), 39);
        // Sum of i * (i + 8 - 1) over 1 to 11, at the third output.
        let expected: f64 =
            (1..=11).map(|i| f64::from(i) * f64::from(i + 7)).sum();
        assert!((out[2].re - expected).abs() < 1e-9);
        assert!((out[2].im + 66.0).abs() < 1e-9);
    }
}
