//! Zigbee: the acknowledgement frame of 802.15.4 in the 2450 MHz band.
//!
//! 4 bits choose one of 16 sequences of 32 chips; even chips go to I, odd
//! ones to Q half a pulse later, each a half sine two chips long. The whole
//! frame is known but for its sequence number and what is computed from it.

use std::f64::consts::PI;

use super::constants::ZigbeeConstants;
use super::packet::{Packet, PacketPart, Sample, Shape, Stretch};
use crate::Random;

/// Chips of symbol 0, first chip first (802.15.4; the other rows follow).
const SYMBOL_0: &[u8; 32] = b"11011001110000110101001000101110";

/// Symbols of the frame: 8 of preamble, 2 of delimiter, 2 of length, 10 of
/// payload.
const SYMBOLS: usize = 22;
const CHIPS: i64 = 32 * SYMBOLS as i64;

/// Chip `chip` of one of the 16 symbols, 1 or -1: a shift by 4 chips a symbol,
/// from the ninth symbol on with every odd chip inverted.
fn chip(symbol: u8, chip: usize) -> f64 {
    let shifted = (chip + 32 - 4 * usize::from(symbol % 8)) % 32;
    let inverted = symbol >= 8 && chip % 2 == 1;
    if (SYMBOL_0[shifted] == b'1') != inverted { 1.0 } else { -1.0 }
}

/// Frame check: x^16 + x^12 + x^5 + 1, lowest bit first, from 0.
fn frame_check(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |state, &byte| {
        (0..8).fold(state ^ u16::from(byte), |state, _| {
            (state >> 1) ^ if state & 1 == 1 { 0x8408 } else { 0 }
        })
    })
}

/// The symbols of an acknowledgement, low half of a byte first.
fn acknowledgement(sequence: u8) -> [u8; SYMBOLS] {
    let payload = [2, 0, sequence];
    let [check_low, check_high] = frame_check(&payload).to_le_bytes();
    let bytes = [0, 0, 0, 0, 0xA7, 5, 2, 0, sequence, check_low, check_high];
    std::array::from_fn(|i| (bytes[i / 2] >> (4 * (i % 2))) & 15)
}

/// Makes frames.
pub(super) struct Zigbee {
    /// Half a sine, two chips long.
    half_sine: Vec<f64>,
}

impl Zigbee {
    pub(super) fn new(constants: &ZigbeeConstants, sample_hz: u64) -> Self {
        let length = (2 * sample_hz / constants.chip_hz.value) as usize;
        let half_sine = (0..length)
            .map(|i| (PI * i as f64 / length as f64).sin())
            .collect();
        Self { half_sine }
    }

    /// A frame with a random sequence number.
    pub(super) fn draw(&self, random: &mut Random) -> Frame<'_> {
        Frame {
            half_sine: &self.half_sine,
            symbols: acknowledgement(random.below(256) as u8),
        }
    }
}

/// One acknowledgement frame.
pub(super) struct Frame<'a> {
    half_sine: &'a [f64],
    symbols: [u8; SYMBOLS],
}

impl Frame<'_> {
    fn chip(&self, at: i64) -> f64 {
        if !(0..CHIPS).contains(&at) {
            return 0.0;
        }
        chip(self.symbols[at as usize / 32], at as usize % 32)
    }

    /// The rail whose pulses begin `late` chips after the even ones.
    fn rail(&self, sample: i64, late: i64) -> f64 {
        let length = self.half_sine.len() as i64;
        let at = sample - late * length / 2;
        let pulse = at.div_euclid(length);
        self.chip(2 * pulse + late)
            * self.half_sine[at.rem_euclid(length) as usize]
    }
}

impl Packet for Frame<'_> {
    fn samples(&self) -> usize {
        // The last chip is half a pulse late.
        (CHIPS as usize + 1) * self.half_sine.len() / 2
    }

    fn mode(&self) -> &'static str {
        "ack"
    }

    fn part(&self, sample: usize) -> PacketPart {
        match sample / (16 * self.half_sine.len()) {
            0..10 => PacketPart::Preamble,
            10..12 => PacketPart::Header,
            _ => PacketPart::Payload,
        }
    }

    fn stretches(&self) -> Vec<Stretch> {
        let (shape, samples) = (Shape::Oqpsk, self.samples());
        vec![Stretch { shape, samples, power: 1.0 }]
    }

    fn render(&self, from: i64, out: &mut [Sample], _: &mut Random) {
        for (sample, value) in (from..).zip(out) {
            *value += Sample::new(self.rail(sample, 0), self.rail(sample, 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interference::Constants;

    fn zigbee() -> Zigbee {
        Zigbee::new(&Constants::frozen().unwrap().zigbee, 40_000_000)
    }

    #[test]
    fn the_chip_table_follows_its_rule_and_its_rows_are_far_apart() {
        let row = |s: u8| -> String {
            let bit = |c| if chip(s, c) > 0.0 { '1' } else { '0' };
            (0..32).map(bit).collect()
        };
        // Rows 0, 1, 8 and 15 of the standard's table.
        assert_eq!(row(0), "11011001110000110101001000101110");
        assert_eq!(row(1), "11101101100111000011010100100010");
        assert_eq!(row(8), "10001100100101100000011101111011");
        assert_eq!(row(15), "11001001011000000111011110111000");
        for a in 0..16 {
            for b in 0..a {
                let same: f64 = (0..32).map(|c| chip(a, c) * chip(b, c)).sum();
                assert!(same <= 8.0, "rows {a} and {b}: {same}");
            }
        }
    }

    #[test]
    fn the_frame_is_an_acknowledgement() {
        assert_eq!(frame_check(b"123456789"), 0x2189, "published check value");
        let symbols = acknowledgement(0x5C);
        assert_eq!(symbols[..8], [0; 8]);
        assert_eq!(symbols[8..12], [7, 10, 5, 0]);
        assert_eq!(symbols[12..18], [2, 0, 0, 0, 12, 5]);
    }

    #[test]
    fn the_envelope_is_constant_and_every_chip_reads_at_its_peak() {
        let (zigbee, mut random) = (zigbee(), Random::new(3, 0));
        let frame = zigbee.draw(&mut random);
        assert_eq!(frame.samples(), 352 * 40 + 20, "352 us and half a pulse");
        let mut out = vec![Sample::ZERO; frame.samples()];
        frame.render(0, &mut out, &mut random);
        for sample in &out[20..out.len() - 20] {
            assert!((sample.norm_sqr() - 1.0).abs() < 1e-12);
        }
        for at in 0..CHIPS {
            let peak = out[20 * at as usize + 20];
            let rail = if at % 2 == 0 { peak.re } else { peak.im };
            assert!((rail - frame.chip(at)).abs() < 1e-12, "chip {at}");
        }
        let mut outside = vec![Sample::ZERO; 100];
        frame.render(-100, &mut outside, &mut random);
        assert!(outside.iter().all(|s| s.norm_sqr() == 0.0));
    }

    #[test]
    fn the_parts_are_160_32_and_160_us() {
        let (zigbee, mut random) = (zigbee(), Random::new(3, 0));
        let frame = zigbee.draw(&mut random);
        assert_eq!(frame.part(160 * 40 - 1), PacketPart::Preamble);
        assert_eq!(frame.part(160 * 40), PacketPart::Header);
        assert_eq!(frame.part(192 * 40), PacketPart::Payload);
    }
}
