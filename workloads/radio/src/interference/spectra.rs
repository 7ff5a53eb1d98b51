//! Long-run mean spectra of the waveforms, and with them the share of each
//! one's power that a receiver of the band sees on each channel.
//!
//! A snapshot is scaled by the mean of its packet, not by its own power: a
//! packet keeps its loud and its silent stretches, and WiFi beyond the edge of
//! the band keeps how much of it happens to fall inside. In closed form where
//! the symbols are without correlation, else from a long piece.

use std::f64::consts::{PI, TAU};

use rustfft::FftPlanner;

use super::chips::BARKER;
use super::class::Class;
use super::constants::Constants;
use super::lowpass::LowPass;
use super::packet::{Packet, Sample, Shape, Stretch};
use super::waveforms::Waveforms;
use crate::Random;

/// Width of a bin, Hz: divides every offset and the spacing of carriers.
const BIN_HZ: u64 = 2_500;

/// Power behind the low-pass, for unit power before it.
pub(super) struct Passed {
    /// `[Shape::ALL]`, `[Class::COUNT]`.
    share: Vec<[f64; Class::COUNT]>,
}

/// Mean power over a packet, silence included.
#[derive(Clone, Copy, Debug)]
pub(super) struct MeanPower {
    /// All of it.
    pub(super) total: f64,
    /// What passes the low-pass.
    pub(super) in_band: f64,
}

impl Passed {
    pub(super) fn new(
        constants: &Constants,
        waveforms: &Waveforms,
        low: &LowPass,
    ) -> Self {
        let sample_hz = constants.sampling.synthesis_hz.value;
        let bins = (sample_hz / BIN_HZ) as usize;
        let mut response = vec![Sample::ZERO; bins];
        for (value, &tap) in response.iter_mut().zip(low.taps()) {
            value.re = tap;
        }
        let gain = power_spectrum(response);
        let band = constants.sampling.band_centre_hz.value;
        let mut moved = [0_i64; Class::COUNT];
        for (moved, class) in moved.iter_mut().zip(Class::all()) {
            *moved = (class.offset_hz(band) / BIN_HZ as f64) as i64;
        }
        let share = Shape::ALL.map(|shape| {
            let density = density(shape, constants, waveforms, bins);
            let total = density.iter().sum::<f64>();
            std::array::from_fn(|index| {
                let offset = Class::all()
                    .nth(index)
                    .map_or(0.0, |class| class.offset_hz(band) / BIN_HZ as f64);
                let moved = offset as i64;
                let passed = (0..)
                    .zip(&density)
                    .map(|(bin, power)| {
                        let at = (bin + moved).rem_euclid(bins as i64);
                        power * gain[at as usize]
                    })
                    .sum::<f64>();
                passed / total
            })
        });
        Self { share: share.to_vec() }
    }

    /// Share of a waveform's power that passes on the channel of a class.
    pub(super) fn share(&self, shape: Shape, class: Class) -> f64 {
        self.share[shape as usize][class.index()]
    }

    /// Mean power of a packet on the channel of a class.
    pub(super) fn mean_power(
        &self,
        packet: &dyn Packet,
        class: Class,
    ) -> MeanPower {
        let samples = packet.samples() as f64;
        let mut mean = MeanPower { total: 0.0, in_band: 0.0 };
        for Stretch { shape, samples: length, power } in packet.stretches() {
            let part = power * length as f64 / samples;
            mean.total += part;
            mean.in_band += part * self.share(shape, class);
        }
        mean
    }
}

/// Mean spectrum of a waveform, 0 Hz first, to any scale.
fn density(
    shape: Shape,
    constants: &Constants,
    waveforms: &Waveforms,
    bins: usize,
) -> Vec<f64> {
    let wifi = &constants.wifi;
    let bluetooth = &constants.bluetooth;
    let frequency = |bin: usize| {
        let below = if 2 * bin < bins { 0 } else { bins as i64 };
        (bin as i64 - below) as f64 * BIN_HZ as f64
    };
    let chip_hz = wifi.chip_hz.value as f64;
    let chips = |f: f64| raised_cosine(f / chip_hz, wifi.chip_rolloff.value);
    let over = |of: &dyn Fn(f64) -> f64| -> Vec<f64> {
        (0..bins).map(|bin| of(frequency(bin))).collect()
    };
    // A fixed stream: the shares are constants.
    let mut random = Random::new(0, u64::MAX);
    match shape {
        Shape::Chips => over(&chips),
        Shape::Barker => over(&|f| chips(f) * spread(f / chip_hz)),
        Shape::Dpsk => over(&|f| {
            let symbol_hz = bluetooth.symbol_hz.value as f64;
            raised_cosine(f / symbol_hz, bluetooth.enhanced_rolloff.value)
        }),
        Shape::Gfsk => {
            let packet = waveforms.bluetooth.long_basic();
            periodogram(&packet, bins / 2, 5, bins, &mut random)
        }
        Shape::Oqpsk => {
            let frame = waveforms.zigbee.draw(&mut random);
            periodogram(&frame, 0, 1, bins, &mut random)
        }
        Shape::ShortTraining => lines(bins, |k| k % 4 == 0 && k.abs() <= 24),
        Shape::LongTraining => lines(bins, |_| true),
        Shape::Carriers => {
            let symbol = waveforms.ofdm.symbol() as usize;
            carriers(symbol, 312_500 / BIN_HZ, bins)
        }
    }
}

/// The spectrum of a root raised cosine, squared; frequency in symbol rates.
fn raised_cosine(frequency: f64, rolloff: f64) -> f64 {
    let beyond = (frequency.abs() - (1.0 - rolloff) / 2.0) / rolloff;
    match beyond {
        ..0.0 => 1.0,
        0.0..1.0 => 0.5 * (1.0 + (PI * beyond).cos()),
        _ => 0.0,
    }
}

/// What Barker spreading does to the spectrum; frequency in chip rates.
fn spread(frequency: f64) -> f64 {
    let sum: Sample = (0..)
        .zip(BARKER)
        .map(|(i, chip)| {
            Sample::cis(TAU * frequency * f64::from(i)) * f64::from(chip)
        })
        .sum();
    sum.norm_sqr()
}

/// Equal lines at the used carriers that are `kept`.
fn lines(bins: usize, kept: impl Fn(i64) -> bool) -> Vec<f64> {
    let spacing = (312_500 / BIN_HZ) as i64;
    let mut density = vec![0.0; bins];
    for k in (-26..=26).filter(|&k| k != 0 && kept(k)) {
        density[(k * spacing).rem_euclid(bins as i64) as usize] = 1.0;
    }
    density
}

/// Carriers that change from symbol to symbol: the autocorrelation falls
/// linearly to 0 over a symbol.
fn carriers(symbol: usize, spacing: u64, bins: usize) -> Vec<f64> {
    let mut correlation = vec![Sample::ZERO; bins];
    for lag in 0..symbol {
        let turn = TAU * spacing as f64 * lag as f64 / bins as f64;
        let sum: f64 =
            (1..=26).map(|k| 2.0 * (turn * f64::from(k)).cos()).sum();
        let value = sum * (1.0 - lag as f64 / symbol as f64);
        correlation[lag].re = value;
        if lag > 0 {
            correlation[bins - lag].re = value;
        }
    }
    FftPlanner::new().plan_fft_forward(bins).process(&mut correlation);
    correlation.iter().map(|value| value.re.max(0.0)).collect()
}

/// Mean power spectrum of `blocks` pieces of a packet, 0 Hz first.
pub(super) fn periodogram(
    packet: &dyn Packet,
    from: usize,
    blocks: usize,
    length: usize,
    random: &mut Random,
) -> Vec<f64> {
    let mut mean = vec![0.0; length];
    for block in 0..blocks {
        let mut samples = vec![Sample::ZERO; length];
        packet.render((from + block * length) as i64, &mut samples, random);
        for (mean, power) in mean.iter_mut().zip(power_spectrum(samples)) {
            *mean += power;
        }
    }
    mean
}

fn power_spectrum(mut samples: Vec<Sample>) -> Vec<f64> {
    FftPlanner::new().plan_fft_forward(samples.len()).process(&mut samples);
    samples.iter().map(Sample::norm_sqr).collect()
}
