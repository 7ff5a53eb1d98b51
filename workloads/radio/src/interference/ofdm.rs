//! Packets of 802.11g with orthogonal carriers: 8 us of short training, 8 us
//! of long training, a header symbol, data symbols of 4 us.
//!
//! 64 carriers 312.5 kHz apart, of which -26 to 26 without 0 are used; a cyclic
//! prefix of 0.8 us. Symbols meet without the smoothing that the standard
//! allows. Coded and interleaved data are random bits.

use std::sync::Arc;

use rustfft::{Fft, FftPlanner};

use super::constants::{OfdmModulation, WifiConstants};
use super::packet::{Packet, PacketPart, Sample, Shape, Stretch};
use crate::Random;

/// Carriers with power, on each side.
const SIDE: i64 = 26;
/// Of these, the ones that a receiver knows, and their signs.
const PILOTS: [(i64, f64); 4] = [(-21, 1.0), (-7, 1.0), (7, 1.0), (21, -1.0)];

/// Signs of (1 + j) on carriers -24, -20 to 24 of the short training, 0 left
/// out (standard, from memory).
const SHORT: [i8; 12] = [1, -1, 1, -1, -1, 1, -1, -1, 1, 1, 1, 1];

/// Carriers -26 to 26 of the long training (standard, from memory).
const LONG: &[u8; 53] =
    b"++--++-+-++++++--++-+-++++0+--++-+-+-----++--+-+-++++";

/// Makes packets.
pub(super) struct Ofdm {
    /// From `size` carriers to the samples of 3.2 us.
    inverse: Arc<dyn Fft<f64>>,
    /// 3.2 us of each training.
    short: Vec<Sample>,
    long: Vec<Sample>,
    /// Signs of the pilots, symbol by symbol.
    polarity: Vec<f64>,
    modulations: Vec<OfdmModulation>,
    psdu_bytes: usize,
}

impl Ofdm {
    pub(super) fn new(constants: &WifiConstants, sample_hz: u64) -> Self {
        let size = (sample_hz / 312_500) as usize;
        let mut ofdm = Self {
            inverse: FftPlanner::new().plan_fft_inverse(size),
            short: Vec::new(),
            long: Vec::new(),
            polarity: polarity(),
            modulations: constants.ofdm_modulations.value.clone(),
            psdu_bytes: constants.psdu_bytes.value,
        };
        // 12 carriers have the power of 52.
        let strength = (52.0_f64 / 24.0).sqrt();
        ofdm.short = ofdm.samples_of(|k| {
            if k % 4 != 0 || k == 0 || k.abs() > 24 {
                return Sample::ZERO;
            }
            let place = (k + 24) / 4 - i64::from(k > 0);
            let sign = f64::from(SHORT[place as usize]);
            Sample::new(1.0, 1.0) * sign * strength
        });
        ofdm.long = ofdm.samples_of(|k| match LONG[(k + SIDE) as usize] {
            b'+' => Sample::ONE,
            b'-' => -Sample::ONE,
            _ => Sample::ZERO,
        });
        ofdm
    }

    /// The samples of 3.2 us whose carriers are given, of unit mean power.
    fn samples_of(&self, carrier: impl FnMut(i64) -> Sample) -> Vec<Sample> {
        let size = self.inverse.len();
        let mut samples = vec![Sample::ZERO; size];
        for (k, value) in (-SIDE..=SIDE).zip((-SIDE..=SIDE).map(carrier)) {
            let place = k.rem_euclid(size as i64) as usize;
            samples[place] = value / 52.0_f64.sqrt();
        }
        self.inverse.process(&mut samples);
        samples
    }

    pub(super) fn draw(&self, random: &mut Random) -> OfdmPacket<'_> {
        self.packet(self.modulations[random.below(self.modulations.len())])
    }

    fn packet(&self, modulation: OfdmModulation) -> OfdmPacket<'_> {
        // Bits of a symbol at 6, 12, 24 and 54 Mb/s; 16 bits of service and 6
        // of tail go with the payload.
        let bits = match modulation {
            OfdmModulation::Bpsk => 24,
            OfdmModulation::Qpsk => 48,
            OfdmModulation::Qam16 => 96,
            OfdmModulation::Qam64 => 216,
        };
        let symbols = (16 + 8 * self.psdu_bytes + 6).div_ceil(bits);
        OfdmPacket { ofdm: self, modulation, symbols: symbols as i64 }
    }

    /// Samples of `us` microseconds times 10.
    fn tenths(&self, us: i64) -> i64 {
        self.inverse.len() as i64 * us / 32
    }

    /// Samples of a symbol with its prefix.
    pub(super) fn symbol(&self) -> i64 {
        self.tenths(40)
    }
}

/// The signs of the pilots: the scrambler x^7 + x^4 + 1 from ones, 0 as 1 and
/// 1 as -1.
fn polarity() -> Vec<f64> {
    let mut register = 127_u8;
    (0..127)
        .map(|_| {
            let bit = (register >> 6 ^ register >> 3) & 1;
            register = (register << 1 | bit) & 127;
            if bit == 0 { 1.0 } else { -1.0 }
        })
        .collect()
}

/// A point of a constellation of unit mean power.
fn point(modulation: OfdmModulation, random: &mut Random) -> Sample {
    let mut level = |levels: usize| {
        2.0 * random.below(levels) as f64 - (levels as f64 - 1.0)
    };
    match modulation {
        OfdmModulation::Bpsk => Sample::new(level(2), 0.0),
        OfdmModulation::Qpsk => Sample::new(level(2), level(2)) / 2_f64.sqrt(),
        OfdmModulation::Qam16 => {
            Sample::new(level(4), level(4)) / 10_f64.sqrt()
        }
        OfdmModulation::Qam64 => {
            Sample::new(level(8), level(8)) / 42_f64.sqrt()
        }
    }
}

/// One packet.
pub(super) struct OfdmPacket<'a> {
    ofdm: &'a Ofdm,
    modulation: OfdmModulation,
    symbols: i64,
}

impl OfdmPacket<'_> {
    /// The symbol after the training: 0 is the header.
    fn symbol(&self, number: i64, random: &mut Random) -> Vec<Sample> {
        let sign = self.ofdm.polarity[number as usize % 127];
        let modulation = match number {
            0 => OfdmModulation::Bpsk,
            _ => self.modulation,
        };
        self.ofdm.samples_of(|k| {
            if k == 0 {
                return Sample::ZERO;
            }
            match PILOTS.iter().find(|pilot| pilot.0 == k) {
                Some(pilot) => Sample::new(sign * pilot.1, 0.0),
                None => point(modulation, random),
            }
        })
    }
}

impl Packet for OfdmPacket<'_> {
    fn samples(&self) -> usize {
        let training = self.ofdm.tenths(160);
        (training + (1 + self.symbols) * self.ofdm.symbol()) as usize
    }

    fn mode(&self) -> &'static str {
        match self.modulation {
            OfdmModulation::Bpsk => "ofdm-bpsk",
            OfdmModulation::Qpsk => "ofdm-qpsk",
            OfdmModulation::Qam16 => "ofdm-16qam",
            OfdmModulation::Qam64 => "ofdm-64qam",
        }
    }

    fn part(&self, sample: usize) -> PacketPart {
        let after = sample as i64 - self.ofdm.tenths(160);
        match after {
            ..0 => PacketPart::Preamble,
            _ if after < self.ofdm.symbol() => PacketPart::Header,
            _ => PacketPart::Payload,
        }
    }

    fn stretches(&self) -> Vec<Stretch> {
        let stretch = |shape, samples: i64| {
            let samples = samples as usize;
            Stretch { shape, samples, power: 1.0 }
        };
        let training = self.ofdm.tenths(80);
        let data = (1 + self.symbols) * self.ofdm.symbol();
        vec![
            stretch(Shape::ShortTraining, training),
            stretch(Shape::LongTraining, training),
            stretch(Shape::Carriers, data),
        ]
    }

    fn render(&self, from: i64, out: &mut [Sample], random: &mut Random) {
        let end = self.samples() as i64;
        let size = self.ofdm.inverse.len() as i64;
        let length = self.ofdm.symbol();
        let [short, training] = [80, 160].map(|t| self.ofdm.tenths(t));
        let mut current = (-1, Vec::new());
        for (sample, value) in (from..).zip(out) {
            if !(0..end).contains(&sample) {
                continue;
            }
            if sample < short {
                *value += self.ofdm.short[(sample % size) as usize];
                continue;
            }
            if sample < training {
                // Its second half ahead of two whole periods.
                let at = sample - short + size / 2;
                *value += self.ofdm.long[(at % size) as usize];
                continue;
            }
            let number = (sample - training) / length;
            if current.0 != number {
                current = (number, self.symbol(number, random));
            }
            let at = (sample - training) % length + size - (length - size);
            *value += current.1[(at % size) as usize];
        }
    }
}

#[cfg(test)]
#[path = "ofdm_tests.rs"]
mod tests;
