//! Bluetooth basic and enhanced rate: Gaussian frequency shift keying, and
//! differential phase shift keying for the payloads at 2 and 3 Mb/s.
//!
//! Packet: access code of 72 bits, header of 18 bits each sent three times,
//! payload of full length. An enhanced payload follows a guard, 11 known
//! symbols before it and 2 after. Addresses, header and payload are random
//! bits (whitening makes them so); the (15, 10) code of the `DM` packets is
//! left out, the threefold repetition of `HV1` is not.

use std::f64::consts::{FRAC_PI_4, LN_2, PI, TAU};

use super::bluetooth_packets::{Modulation, PACKETS, PacketType};
use super::constants::{BluetoothConstants, Transport};
use super::packet::{Packet, PacketPart, Sample, Shape, Stretch};
use super::pulse::Shaper;
use crate::Random;

const ACCESS_CODE: i64 = 72;
const HEADER: i64 = 54;
/// Reference symbol and synchronisation before an enhanced payload.
const SYNCHRONISATION: i64 = 11;
/// Symbols after it.
const TRAILER: i64 = 2;

/// Eighth turns from symbol to symbol in the synchronisation, after the
/// reference symbol (standard, from memory).
const SYNCHRONISATION_TURNS: [i64; 10] = [3, -3, 3, -3, 3, -3, -3, 3, 3, 3];

/// Makes packets.
pub(super) struct Bluetooth {
    symbol: i64,
    /// `[3, symbol]`: share of the deviation that the symbol before, this one
    /// and the next have at every sample of a symbol.
    pulse: Vec<f64>,
    shaper: Shaper,
    guard: i64,
    enhanced_amplitude: f64,
    index: [f64; 2],
    transports: Vec<Transport>,
}

impl Bluetooth {
    pub(super) fn new(constants: &BluetoothConstants, sample_hz: u64) -> Self {
        let symbol_hz = constants.symbol_hz.value;
        let symbol = (sample_hz / symbol_hz) as usize;
        Self {
            symbol: symbol as i64,
            pulse: frequency_pulse(constants.bandwidth_time.value, symbol),
            shaper: Shaper::new(
                symbol_hz,
                sample_hz,
                constants.enhanced_rolloff.value,
                constants.enhanced_span.value,
            ),
            guard: (constants.guard_us.value * sample_hz / 1_000_000) as i64,
            enhanced_amplitude: 10_f64
                .powf(constants.enhanced_gain_db.value / 20.0),
            index: [
                constants.modulation_index_low.value,
                constants.modulation_index_high.value,
            ],
            transports: constants.transports.value.clone(),
        }
    }

    /// A transport, then a packet type of it, then a modulation index.
    pub(super) fn draw(&self, random: &mut Random) -> BluetoothPacket<'_> {
        let transport = self.transports[random.below(self.transports.len())];
        let count = PACKETS.iter().filter(|p| p.transport == transport).count();
        let chosen = random.below(count);
        let kind = PACKETS
            .iter()
            .filter(|p| p.transport == transport)
            .nth(chosen)
            .unwrap_or(&PACKETS[0]);
        self.packet(kind, random.uniform(self.index[0], self.index[1]))
    }

    fn packet(
        &self,
        kind: &'static PacketType,
        index: f64,
    ) -> BluetoothPacket<'_> {
        BluetoothPacket { bluetooth: self, kind, index }
    }

    /// A basic packet of 5 slots, for the mean spectrum.
    pub(super) fn long_basic(&self) -> BluetoothPacket<'_> {
        let kind = PACKETS.iter().find(|p| p.name == "DH5");
        let index = (self.index[0] + self.index[1]) / 2.0;
        self.packet(kind.unwrap_or(&PACKETS[0]), index)
    }
}

/// A rectangle of one symbol through the Gaussian filter, cut to three
/// symbols; a symbol turns the phase by exactly its share.
fn frequency_pulse(bandwidth_time: f64, symbol: usize) -> Vec<f64> {
    let deviation = LN_2.sqrt() / (TAU * bandwidth_time);
    let gauss = |t: f64| (-t * t / (2.0 * deviation * deviation)).exp();
    // Midpoints, relative to the middle symbol's centre: the rectangle is the
    // integral over one symbol.
    let steps = 64;
    let mut pulse: Vec<f64> = (0..3 * symbol)
        .map(|i| {
            let t = (i as f64 + 0.5) / symbol as f64 - 1.5;
            (0..steps)
                .map(|s| gauss(t - 0.5 + (f64::from(s) + 0.5) / 64.0))
                .sum()
        })
        .collect();
    let sum = pulse.iter().sum::<f64>() / symbol as f64;
    pulse.iter_mut().for_each(|value| *value /= sum);
    pulse
}

/// One packet.
pub(super) struct BluetoothPacket<'a> {
    bluetooth: &'a Bluetooth,
    kind: &'static PacketType,
    index: f64,
}

impl BluetoothPacket<'_> {
    /// Symbols of frequency shift keying.
    fn basic_symbols(&self) -> i64 {
        let payload = match self.kind.modulation {
            Modulation::Gfsk => self.kind.symbols,
            Modulation::Dqpsk | Modulation::D8psk => 0,
        };
        ACCESS_CODE + HEADER + payload
    }

    /// Symbols of phase shift keying.
    fn enhanced_symbols(&self) -> i64 {
        match self.kind.modulation {
            Modulation::Gfsk => 0,
            Modulation::Dqpsk | Modulation::D8psk => {
                SYNCHRONISATION + self.kind.symbols + TRAILER
            }
        }
    }

    /// First sample of the phase shift keying.
    fn enhanced_start(&self) -> i64 {
        self.basic_symbols() * self.bluetooth.symbol + self.bluetooth.guard
    }

    /// The symbols, 1 or -1, from `first` on.
    fn bits(&self, first: i64, count: usize, random: &mut Random) -> Vec<f64> {
        let start = random.bit();
        let mut last = (i64::MIN, false);
        (first..)
            .take(count)
            .map(|k| {
                let body = k - ACCESS_CODE;
                let bit = match k {
                    // Alternating before and after the 64 bits of the address.
                    0..4 | 68..72 => start == (k % 2 == 0),
                    _ if (0..HEADER).contains(&body) || self.repeated(body) => {
                        if last.0 != body / 3 {
                            last = (body / 3, random.bit());
                        }
                        last.1
                    }
                    _ => random.bit(),
                };
                if bit { 1.0 } else { -1.0 }
            })
            .collect()
    }

    fn repeated(&self, body: i64) -> bool {
        self.kind.repeated && body >= HEADER
    }

    fn render_basic(&self, from: i64, out: &mut [Sample], random: &mut Random) {
        let symbol = self.bluetooth.symbol;
        let end = self.basic_symbols() * symbol;
        let (low, high) = clip(from, out.len(), 0, end);
        if low >= high {
            return;
        }
        let first = low / symbol - 1;
        let count = ((high - 1) / symbol + 2 - first) as usize;
        let bits = self.bits(first, count, random);
        let step = PI * self.index / symbol as f64;
        let size = symbol as usize;
        let mut phase = 0.0_f64;
        for sample in low..high {
            let at = (sample % symbol) as usize;
            let near = &bits[(sample / symbol - 1 - first) as usize..][..3];
            // The symbol before is in its third third, the next in its first.
            let share = near[0] * self.bluetooth.pulse[2 * size + at]
                + near[1] * self.bluetooth.pulse[size + at]
                + near[2] * self.bluetooth.pulse[at];
            phase += step * share;
            out[(sample - from) as usize] += Sample::cis(phase);
        }
    }

    fn render_enhanced(
        &self,
        from: i64,
        out: &mut [Sample],
        random: &mut Random,
    ) {
        let shaper = &self.bluetooth.shaper;
        let from = from - self.enhanced_start();
        let reach = shaper.reach(from, out.len());
        if reach.end <= 0 || reach.start >= self.enhanced_symbols() {
            return;
        }
        let mut eighths = 0;
        let symbols: Vec<Sample> = reach
            .map(|k| {
                if !(0..self.enhanced_symbols()).contains(&k) {
                    return Sample::ZERO;
                }
                eighths = (eighths + self.turn(k, random)).rem_euclid(8);
                Sample::cis(FRAC_PI_4 * eighths as f64)
                    * self.bluetooth.enhanced_amplitude
            })
            .collect();
        shaper.shape(from, &symbols, out);
    }

    /// Eighth turns from the symbol before to `k`.
    fn turn(&self, k: i64, random: &mut Random) -> i64 {
        match (k, self.kind.modulation) {
            (1..=10, _) => SYNCHRONISATION_TURNS[k as usize - 1],
            (_, Modulation::D8psk) => random.below(8) as i64,
            _ => 2 * random.below(4) as i64 + 1,
        }
    }
}

/// The part of a window of `count` samples from `from` in `start..end`.
fn clip(from: i64, count: usize, start: i64, end: i64) -> (i64, i64) {
    (from.max(start), (from + count as i64).min(end))
}

impl Packet for BluetoothPacket<'_> {
    fn samples(&self) -> usize {
        let end = match self.enhanced_symbols() {
            0 => self.basic_symbols() * self.bluetooth.symbol,
            more => self.enhanced_start() + more * self.bluetooth.symbol,
        };
        end as usize
    }

    fn mode(&self) -> &'static str {
        self.kind.name
    }

    fn part(&self, sample: usize) -> PacketPart {
        let sample = sample as i64;
        let symbol = self.bluetooth.symbol;
        let payload = match self.kind.modulation {
            Modulation::Gfsk => (ACCESS_CODE + HEADER) * symbol,
            _ => self.enhanced_start() + SYNCHRONISATION * symbol,
        };
        if sample < ACCESS_CODE * symbol {
            PacketPart::Preamble
        } else if sample < payload {
            PacketPart::Header
        } else {
            PacketPart::Payload
        }
    }

    fn stretches(&self) -> Vec<Stretch> {
        let stretch = |shape, symbols: i64, power| Stretch {
            shape,
            samples: (symbols * self.bluetooth.symbol) as usize,
            power,
        };
        let gain = self.bluetooth.enhanced_amplitude.powi(2);
        vec![
            stretch(Shape::Gfsk, self.basic_symbols(), 1.0),
            stretch(Shape::Dpsk, self.enhanced_symbols(), gain),
        ]
    }

    fn render(&self, from: i64, out: &mut [Sample], random: &mut Random) {
        self.render_basic(from, out, random);
        self.render_enhanced(from, out, random);
    }
}

#[cfg(test)]
#[path = "bluetooth_tests.rs"]
mod tests;
