//! From a class and an SNR label to a snapshot.
//!
//! A packet is drawn, a window of it synthesised at a random place with the
//! margins of the filter, moved to its channel, filtered, decimated, scaled by
//! the packet's mean power in the band, and given white noise.

use std::f64::consts::TAU;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::class::{Class, Technology};
use super::constants::{Constants, ConstantsError};
use super::lowpass::LowPass;
use super::packet::{PacketPart, Sample};
use super::spectra::Passed;
use super::waveforms::Waveforms;
use crate::{Random, Snapshots};

/// What an SNR label means.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SnrConvention {
    /// Mean power of the packet behind the filter over the noise in the whole
    /// band.
    InBand,
    /// Mean power of the whole packet over the noise in as much as its channel
    /// is wide: 1, 2 or 20 MHz.
    InChannel,
}

/// What has unit power.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// The packet's mean in the band.
    Signal,
    /// The noise.
    Noise,
    /// Both together.
    Total,
}

/// What is known of a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Truth {
    /// Class index, from 0.
    pub class: usize,
    /// Whose signal it is.
    pub technology: Technology,
    /// Name of the mode, such as `2-EV3`, `cck-11`, `ofdm-qpsk` or `ack`.
    pub mode: &'static str,
    /// Centre of the channel from the centre of the band, Hz.
    pub offset_hz: f64,
    /// What of the packet is in the middle of the snapshot.
    pub part: PacketPart,
    /// SNR behind the filter, noise in the whole band, dB, by the mean power
    /// of the packet.
    pub snr_in_band_db: f64,
    /// SNR of the whole signal, noise in the channel's width, dB.
    pub snr_in_channel_db: f64,
    /// Carrier offset, Hz.
    pub cfo_hz: f64,
    /// Where the snapshot starts in the packet, in samples of the rate of
    /// synthesis.
    pub start: usize,
}

/// A snapshot in its parts; they add to what a receiver gets.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// Without noise.
    pub clean: Vec<Sample>,
    /// The noise alone.
    pub noise: Vec<Sample>,
    /// What is known of it.
    pub truth: Truth,
}

/// A set: of every class, at every label, `per_cell` snapshots.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// SNR labels, dB, in the order wanted.
    pub snrs_db: Vec<i8>,
    /// Snapshots a class and label.
    pub per_cell: usize,
    /// Index of the first of each cell: a set from `n` on goes on where one of
    /// `n` ended.
    pub first: usize,
    /// The seed.
    pub seed: u64,
    /// What the labels mean.
    pub convention: SnrConvention,
}

/// Everything prepared: takes milliseconds once, so make one and keep it.
pub struct Generator {
    constants: Constants,
    waveforms: Waveforms,
    low: LowPass,
    passed: Passed,
}

impl Generator {
    /// Prepares filters, pulses and mean spectra.
    ///
    /// # Errors
    /// When the constants are not sound.
    pub fn new(constants: &Constants) -> Result<Self, ConstantsError> {
        constants.check()?;
        let rate = constants.sampling.synthesis_hz.value;
        let waveforms = Waveforms::new(constants);
        let low = LowPass::new(&constants.filter, rate);
        let passed = Passed::new(constants, &waveforms, &low);
        let constants = constants.clone();
        Ok(Self { constants, waveforms, low, passed })
    }

    /// The parts of a snapshot, which depends on nothing but the arguments.
    pub fn signal(
        &self,
        class: Class,
        snr_db: i8,
        index: usize,
        seed: u64,
        convention: SnrConvention,
    ) -> Signal {
        let sampling = &self.constants.sampling;
        let rate = sampling.synthesis_hz.value;
        let step = (rate / sampling.output_hz.value) as usize;
        let count = sampling.snapshot.value;
        let span = count * step;
        let mut random = Random::new(seed, stream(class, snr_db, index));

        let drawn = self.waveforms.draw(class.technology(), &mut random);
        let packet = drawn.packet();
        let start = random.below(packet.samples() - span + 1);
        let limit = drawn.cfo_limit_hz(&self.constants, class.centre_hz());
        let cfo_hz = random.uniform(-limit, limit);
        let phase = TAU * random.unit();

        let mut window = vec![Sample::ZERO; self.low.reach(count, step)];
        let from = start as i64 - self.low.half() as i64;
        packet.render(from, &mut window, &mut random);
        let offset_hz = class.offset_hz(sampling.band_centre_hz.value);
        turn(&mut window, phase, (offset_hz + cfo_hz) / rate as f64);
        let mut clean = self.low.apply(&window, step);

        let mean = self.passed.mean_power(packet, class);
        let label = f64::from(snr_db) + self.constants.snr.shift_db.value;
        let channel = self.channel_width_hz(class.technology())
            / sampling.output_hz.value as f64;
        // Between the two ratios, for this packet on this channel.
        let ratio = mean.total / mean.in_band / channel;
        let ratio_db = 10.0 * ratio.log10();
        let snr_in_band_db = match convention {
            SnrConvention::InBand => label,
            SnrConvention::InChannel => label - ratio_db,
        };
        let noise_power = 10_f64.powf(-snr_in_band_db / 10.0);
        let scale = match self.constants.snr.scale.value {
            Scale::Signal => 1.0,
            Scale::Noise => 1.0 / noise_power,
            Scale::Total => 1.0 / (1.0 + noise_power),
        };
        let gain = (scale / mean.in_band).sqrt();
        clean.iter_mut().for_each(|sample| *sample *= gain);
        let noise = (0..count)
            .map(|_| random.complex_normal(noise_power * scale))
            .collect();
        let truth = Truth {
            class: class.index(),
            technology: class.technology(),
            mode: packet.mode(),
            offset_hz,
            part: packet.part(start + span / 2),
            snr_in_band_db,
            snr_in_channel_db: snr_in_band_db + ratio_db,
            cfo_hz,
            start,
        };
        Signal { clean, noise, truth }
    }

    /// A snapshot, I and Q in turn.
    pub fn snapshot(
        &self,
        class: Class,
        snr_db: i8,
        index: usize,
        seed: u64,
        convention: SnrConvention,
    ) -> (Vec<f32>, Truth) {
        let Signal { clean, noise, truth } =
            self.signal(class, snr_db, index, seed, convention);
        let iq = clean
            .iter()
            .zip(&noise)
            .map(|(clean, noise)| clean + noise)
            .flat_map(|sample| [sample.re as f32, sample.im as f32])
            .collect();
        (iq, truth)
    }

    /// A set, class by class, then label by label, then by index, as the
    /// CRAWDAD arrays are.
    pub fn set(&self, request: &Request) -> (Snapshots, Vec<Truth>) {
        let mut cells = Vec::new();
        for class in Class::all() {
            for &snr_db in &request.snrs_db {
                for index in 0..request.per_cell {
                    cells.push((class, snr_db, request.first + index));
                }
            }
        }
        let made: Vec<(Vec<f32>, Truth)> = cells
            .par_iter()
            .map(|&(class, snr_db, index)| {
                let Request { seed, convention, .. } = *request;
                self.snapshot(class, snr_db, index, seed, convention)
            })
            .collect();
        let length = self.constants.sampling.snapshot.value;
        let mut iq = Vec::with_capacity(2 * length * made.len());
        let mut truths = Vec::with_capacity(made.len());
        for (snapshot, truth) in made {
            iq.extend(snapshot);
            truths.push(truth);
        }
        let snapshots = Snapshots {
            length,
            iq,
            class: cells.iter().map(|cell| cell.0.index() as u8).collect(),
            snr_db: cells.iter().map(|cell| cell.1).collect(),
            classes: Class::all().map(Class::name).collect(),
        };
        (snapshots, truths)
    }

    fn channel_width_hz(&self, technology: Technology) -> f64 {
        match technology {
            Technology::Bluetooth => self.constants.bluetooth.width_hz.value,
            Technology::Wifi => self.constants.wifi.width_hz.value,
            Technology::Zigbee => self.constants.zigbee.width_hz.value,
        }
    }
}

/// A set from constants: [`Generator::new`] and [`Generator::set`].
///
/// # Errors
/// When the constants are not sound.
pub fn generate(
    request: &Request,
    constants: &Constants,
) -> Result<(Snapshots, Vec<Truth>), ConstantsError> {
    Ok(Generator::new(constants)?.set(request))
}

/// The random stream of a snapshot: 8 bits of class, 8 of label, 48 of index.
fn stream(class: Class, snr_db: i8, index: usize) -> u64 {
    let label = u64::from(snr_db.cast_unsigned());
    (class.index() as u64) << 56 | label << 48 | index as u64
}

/// Turns samples from `phase` on by `frequency` cycles a sample.
fn turn(samples: &mut [Sample], phase: f64, frequency: f64) {
    let step = Sample::cis(TAU * frequency);
    let mut turned = Sample::cis(phase);
    for sample in samples {
        *sample *= turned;
        turned *= step;
    }
}

#[cfg(test)]
#[path = "generator_tests.rs"]
mod tests;
