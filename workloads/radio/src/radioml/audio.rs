//! A stand-in for speech: sinusoids of random phase, as a sum that can be
//! taken at any time, filtered, integrated or shifted in phase exactly.

use std::f64::consts::TAU;

use rustfft::num_complex::Complex;

use super::constants::Audio;
use crate::Random;

/// The audio of one window.
pub(super) struct Speech {
    /// Frequency, Hz, and complex amplitude at time 0.
    lines: Vec<(f64, Complex<f64>)>,
}

impl Speech {
    /// A pause, or some loudness of a syllable.
    pub(super) fn draw(constants: &Audio, random: &mut Random) -> Self {
        let speaking = random.unit() >= constants.pause_share;
        // A half sine wave: mean power 1 over a syllable's course.
        let syllable = 2.0_f64.sqrt() * (TAU / 2.0 * random.unit()).sin();
        let level = if speaking { constants.rms * syllable } else { 0.0 };
        let count = constants.sinusoids;
        let amplitude = level * (2.0 / count as f64).sqrt();
        let lines = (0..count)
            .map(|_| {
                let hz = frequency(constants, random.unit());
                let phase = TAU * random.unit();
                (hz, Complex::from_polar(amplitude, phase))
            })
            .collect();
        Self { lines }
    }

    /// `length` samples at `rate_hz` of the analytic signal, whose real part
    /// is the audio, after a filter whose response at a frequency in Hz is
    /// `response`.
    pub(super) fn analytic(
        &self,
        rate_hz: f64,
        length: usize,
        response: impl Fn(f64) -> Complex<f64>,
    ) -> Vec<Complex<f64>> {
        let mut sum = vec![Complex::new(0.0, 0.0); length];
        for &(hz, amplitude) in &self.lines {
            let turn = Complex::from_polar(1.0, TAU * hz / rate_hz);
            let mut value = amplitude * response(hz);
            for sample in &mut sum {
                *sample += value;
                value *= turn;
            }
        }
        sum
    }
}

/// The frequency below which the share `at` of the power lies.
fn frequency(constants: &Audio, at: f64) -> f64 {
    let Audio { low_hz, corner_hz, high_hz, slope, .. } = *constants;
    let flat = corner_hz - low_hz;
    // Integral of (f / corner)^-slope from the corner to the upper end.
    let fall = slope - 1.0;
    let kept = 1.0 - (high_hz / corner_hz).powf(-fall);
    let tail = corner_hz / fall * kept;
    let mass = at * (flat + tail);
    if mass < flat {
        return low_hz + mass;
    }
    let share = (mass - flat) / tail * kept;
    corner_hz * (1.0 - share).powf(-1.0 / fall)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::radioml::Constants;

    #[test]
    fn frequencies_span_the_band_and_fall_beyond_the_corner() {
        let audio = Constants::built_in().unwrap().audio;
        assert!((frequency(&audio, 0.0) - 100.0).abs() < 1e-9);
        assert!((frequency(&audio, 1.0 - 1e-12) - 8000.0).abs() < 1.0);
        // 400 flat and 500 / 2 (1 - 1 / 256) falling.
        let corner = 400.0 / (400.0 + 250.0 * (1.0 - 1.0 / 256.0));
        assert!((frequency(&audio, corner) - 500.0).abs() < 1e-6);
    }

    #[test]
    fn loudness_and_pauses_are_those_of_the_constants() {
        let audio = Constants::built_in().unwrap().audio;
        let mut random = Random::new(1, 2);
        let (mut power, mut pauses) = (0.0, 0);
        let count = 4000;
        for _ in 0..count {
            let speech = Speech::draw(&audio, &mut random);
            let samples =
                speech.analytic(44100.0, 40, |_| Complex::new(1.0, 0.0));
            let sum: f64 = samples.iter().map(|s| s.re * s.re).sum();
            power += sum / 40.0;
            pauses += usize::from(sum <= 0.0);
        }
        let share = pauses as f64 / f64::from(count);
        assert!((share - 0.3).abs() < 0.03, "{share}");
        let mean = power / f64::from(count);
        let expected = 0.7 * 0.08 * 0.08;
        assert!((mean / expected - 1.0).abs() < 0.15, "{mean} {expected}");
    }
}
