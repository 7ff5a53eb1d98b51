//! Complex baseband waveforms before the channel.

use std::f64::consts::{PI, TAU};

use rustfft::num_complex::Complex;

use super::audio::Speech;
use super::constants::Constants;
use super::modulation::Modulation;
use super::pulse::{gaussian_rectangle, rrc_arms};
use crate::Random;

/// Makes waveforms; pulses and constellations are computed once.
pub(super) struct Modulator<'a> {
    constants: &'a Constants,
    arms: Vec<Vec<f64>>,
    frequency_pulse: Vec<f64>,
    points: Vec<Vec<Complex<f64>>>,
}

impl<'a> Modulator<'a> {
    pub(super) fn new(constants: &'a Constants) -> Self {
        let Constants { linear, gfsk, .. } = constants;
        let sps = linear.samples_per_symbol;
        Self {
            constants,
            arms: rrc_arms(linear.rolloff, sps, linear.span_symbols),
            frequency_pulse: gaussian_rectangle(
                gfsk.bandwidth_time,
                sps,
                gfsk.span_symbols,
            ),
            points: Modulation::ALL.map(|m| m.constellation()).to_vec(),
        }
    }

    /// `length` samples from sample `start` of an endless run: only the place
    /// within a symbol matters. Symbols, phase and audio are drawn.
    pub(super) fn wave(
        &self,
        modulation: Modulation,
        start: usize,
        length: usize,
        random: &mut Random,
    ) -> Vec<Complex<f64>> {
        let points = &self.points[modulation as usize];
        if !points.is_empty() {
            let symbols: Vec<_> = (0..self.symbols(length))
                .map(|_| points[random.below(points.len())])
                .collect();
            return self.shaped(&symbols, start, length);
        }
        let rate = self.constants.window.sample_rate_hz;
        let mut speech = || Speech::draw(&self.constants.audio, random);
        let carrier = self.constants.am.carrier;
        match modulation {
            Modulation::AmDsb => speech()
                .analytic(rate, length, |_| Complex::new(1.0, 0.0))
                .iter()
                .map(|audio| Complex::new(carrier + audio.re, 0.0))
                .collect(),
            // The upper sideband is the analytic signal; the original's filter
            // of 401 taps leaves some of the lower one below 500 Hz.
            Modulation::AmSsb => speech()
                .analytic(rate, length, |_| Complex::new(1.0, 0.0))
                .iter()
                .map(|audio| carrier + audio)
                .collect(),
            Modulation::Wbfm => self.wide_fm(&speech(), length),
            Modulation::Gfsk => {
                let signs = self.signs(length, random);
                self.gaussian_fsk(&signs, start, length, TAU * random.unit())
            }
            // CPFSK; the linear ones are done above.
            _ => {
                let signs = self.signs(length, random);
                self.rectangular_fsk(&signs, start, length, TAU * random.unit())
            }
        }
    }

    /// Symbols that `length` samples of a linear modulation need at most.
    pub(super) fn symbols(&self, length: usize) -> usize {
        length / self.arms.len() + 2 + self.constants.linear.span_symbols
    }

    /// Symbols under root-raised-cosine pulses. The pulse of symbol `span / 2`
    /// has its middle `start % sps` samples before the first sample.
    pub(super) fn shaped(
        &self,
        symbols: &[Complex<f64>],
        start: usize,
        length: usize,
    ) -> Vec<Complex<f64>> {
        let sps = self.arms.len();
        let first = start % sps;
        (first..first + length)
            .map(|at| {
                let arm = &self.arms[at % sps];
                let (mut re, mut im) = (0.0, 0.0);
                for (tap, symbol) in arm.iter().zip(&symbols[at / sps..]) {
                    re += tap * symbol.re;
                    im += tap * symbol.im;
                }
                Complex::new(re, im)
            })
            .collect()
    }

    fn signs(&self, length: usize, random: &mut Random) -> Vec<f64> {
        let sps = self.arms.len();
        let count = length / sps + 2 + self.frequency_pulse.len() / sps;
        (0..count).map(|_| if random.bit() { 1.0 } else { -1.0 }).collect()
    }

    fn gaussian_fsk(
        &self,
        signs: &[f64],
        start: usize,
        length: usize,
        mut phase: f64,
    ) -> Vec<Complex<f64>> {
        let sps = self.arms.len();
        let pulse = &self.frequency_pulse;
        let older = pulse.len() / sps;
        let first = start % sps;
        let gfsk = &self.constants.gfsk;
        (first..first + length)
            .map(|at| {
                // Pulses that have begun and not ended, the newest first.
                let newest = at / sps + older;
                let taps = pulse[at % sps..].iter().step_by(sps);
                let ages = signs[..=newest].iter().rev();
                let deviation: f64 = taps.zip(ages).map(|(t, s)| t * s).sum();
                phase += gfsk.sensitivity * deviation;
                Complex::from_polar(gfsk.amplitude, phase)
            })
            .collect()
    }

    fn rectangular_fsk(
        &self,
        signs: &[f64],
        start: usize,
        length: usize,
        mut phase: f64,
    ) -> Vec<Complex<f64>> {
        let sps = self.arms.len();
        let step = PI * self.constants.cpfsk.index / sps as f64;
        let first = start % sps;
        (first..first + length)
            .map(|at| {
                phase += step * signs[at / sps];
                Complex::from_polar(1.0, phase)
            })
            .collect()
    }

    /// The phase is the integral of the pre-emphasised audio, taken exactly on
    /// each sinusoid: division by `j f`.
    fn wide_fm(&self, speech: &Speech, length: usize) -> Vec<Complex<f64>> {
        let wbfm = &self.constants.wbfm;
        let phase = |hz: f64| {
            let lift = Complex::new(1.0, TAU * hz * wbfm.preemphasis_s);
            lift * Complex::new(0.0, -wbfm.deviation_hz / hz)
        };
        speech
            .analytic(wbfm.quadrature_rate_hz, length, phase)
            .iter()
            .map(|phase| Complex::from_polar(1.0, phase.re))
            .collect()
    }
}
