//! What the channel needs to know of a packet, whatever its technology.

use rustfft::num_complex::Complex;
use serde::Serialize;

use crate::Random;

/// A complex sample.
pub(super) type Sample = Complex<f64>;

/// Where in its packet a snapshot was cut.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PacketPart {
    /// Known symbols: access code, synchronisation, training.
    Preamble,
    /// What describes the payload, guard and second training included.
    Header,
    /// The data.
    Payload,
}

/// Kinds of signal that differ in their mean spectrum.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Shape {
    /// Bluetooth basic rate.
    Gfsk,
    /// Bluetooth enhanced payload.
    Dpsk,
    /// Zigbee frame.
    Oqpsk,
    /// Barker chips.
    Barker,
    /// Chips without correlation: CCK and PBCC.
    Chips,
    /// Short training of OFDM.
    ShortTraining,
    /// Long training of OFDM.
    LongTraining,
    /// Data symbols of OFDM.
    Carriers,
}

impl Shape {
    /// All, in order of declaration.
    pub(super) const ALL: [Self; 8] = [
        Self::Gfsk,
        Self::Dpsk,
        Self::Oqpsk,
        Self::Barker,
        Self::Chips,
        Self::ShortTraining,
        Self::LongTraining,
        Self::Carriers,
    ];
}

/// A stretch of a packet, in samples of the rate of synthesis.
pub(super) struct Stretch {
    /// Its spectrum.
    pub(super) shape: Shape,
    /// Its length.
    pub(super) samples: usize,
    /// Its mean power; 1 but where a standard lets it differ.
    pub(super) power: f64,
}

/// A packet that is drawn but not yet synthesised: only the window that is
/// asked for ever is.
pub(super) trait Packet {
    /// Length in samples.
    fn samples(&self) -> usize;

    /// Name of the mode, such as `2-EV3` or `ofdm-qpsk`.
    fn mode(&self) -> &'static str;

    /// What lies at a sample.
    fn part(&self, sample: usize) -> PacketPart;

    /// Its stretches; their lengths add to at most that of the packet (the
    /// rest is silence).
    fn stretches(&self) -> Vec<Stretch>;

    /// Adds the samples from `from` on to `out`; nothing before and after the
    /// packet. Draws the data of the window from `random`.
    fn render(&self, from: i64, out: &mut [Sample], random: &mut Random);
}
