//! Packets of 802.11b: a preamble and header of Barker chips, then a payload
//! of Barker, CCK or PBCC chips, in one stream at 11 Mchip/s shaped by a root
//! raised cosine.

use super::chips::Coding;
use super::constants::{Preamble, WifiConstants, WifiFamily};
use super::packet::{Packet, PacketPart, Sample, Shape, Stretch};
use super::pulse::Shaper;
use crate::Random;

/// Makes packets.
pub(super) struct Dsss {
    shaper: Shaper,
    chip_hz: u64,
    sample_hz: u64,
    preambles: Vec<Preamble>,
    psdu_bytes: usize,
}

impl Dsss {
    pub(super) fn new(constants: &WifiConstants, sample_hz: u64) -> Self {
        let chip_hz = constants.chip_hz.value;
        let rolloff = constants.chip_rolloff.value;
        let span = constants.chip_span.value;
        Self {
            shaper: Shaper::new(chip_hz, sample_hz, rolloff, span),
            chip_hz,
            sample_hz,
            preambles: constants.preambles.value.clone(),
            psdu_bytes: constants.psdu_bytes.value,
        }
    }

    /// A preamble and one of the two rates of a family.
    pub(super) fn draw(
        &self,
        family: WifiFamily,
        random: &mut Random,
    ) -> DsssPacket<'_> {
        let preamble = self.preambles[random.below(self.preambles.len())];
        let high = random.bit();
        let (mode, coding) = match (family, high) {
            (WifiFamily::Dsss, false) => ("dsss-1", Coding::Barker1),
            (WifiFamily::Dsss, true) => ("dsss-2", Coding::Barker2),
            (WifiFamily::Pbcc, false) => ("pbcc-5.5", Coding::Pbcc5),
            (WifiFamily::Pbcc, true) => ("pbcc-11", Coding::Pbcc11),
            (_, false) => ("cck-5.5", Coding::Cck5),
            (_, true) => ("cck-11", Coding::Cck11),
        };
        self.packet(mode, coding, preamble)
    }

    fn packet(
        &self,
        mode: &'static str,
        coding: Coding,
        preamble: Preamble,
    ) -> DsssPacket<'_> {
        // Synchronisation and delimiter, then 48 bits of header.
        let (sync, header) = match preamble {
            Preamble::Long => (128 + 16, (Coding::Barker1, 48)),
            Preamble::Short => (56 + 16, (Coding::Barker2, 24)),
        };
        let payload = (16 * self.psdu_bytes).div_ceil(coding.half_bits());
        let parts = [
            (PacketPart::Preamble, Coding::Barker1, sync),
            (PacketPart::Header, header.0, header.1),
            (PacketPart::Payload, coding, payload as i64),
        ];
        let mut start = 0;
        let runs = parts.map(|(part, coding, symbols)| {
            let chips = symbols * coding.length();
            start += chips;
            Run { part, coding, start: start - chips, chips }
        });
        DsssPacket { dsss: self, mode, runs }
    }

    fn samples(&self, chips: i64) -> usize {
        (chips as u64 * self.sample_hz / self.chip_hz) as usize
    }
}

/// A run of chips of one coding.
struct Run {
    part: PacketPart,
    coding: Coding,
    start: i64,
    chips: i64,
}

/// One packet.
pub(super) struct DsssPacket<'a> {
    dsss: &'a Dsss,
    mode: &'static str,
    runs: [Run; 3],
}

impl DsssPacket<'_> {
    fn chips(&self) -> i64 {
        self.runs.iter().map(|run| run.chips).sum()
    }

    /// The chips `low..high`, zero outside the packet.
    fn stream(&self, low: i64, high: i64, random: &mut Random) -> Vec<Sample> {
        let mut stream = vec![Sample::ZERO; (high - low) as usize];
        let mut phase = 0;
        for run in &self.runs {
            let start = low.max(run.start) - run.start;
            let end = high.min(run.start + run.chips) - run.start;
            if start >= end {
                continue;
            }
            let length = run.coding.length();
            let symbols = start / length..(end + length - 1) / length;
            let skip = (start - symbols.start * length) as usize;
            let chips = run.coding.chips(symbols, &mut phase, random);
            let place = (run.start + start - low) as usize;
            let count = (end - start) as usize;
            stream[place..][..count].copy_from_slice(&chips[skip..][..count]);
        }
        stream
    }
}

impl Packet for DsssPacket<'_> {
    fn samples(&self) -> usize {
        self.dsss.samples(self.chips())
    }

    fn mode(&self) -> &'static str {
        self.mode
    }

    fn part(&self, sample: usize) -> PacketPart {
        let chip =
            (sample as u64 * self.dsss.chip_hz / self.dsss.sample_hz) as i64;
        let found = self.runs.iter().find(|run| chip < run.start + run.chips);
        found.map_or(PacketPart::Payload, |run| run.part)
    }

    fn stretches(&self) -> Vec<Stretch> {
        let stretch = |run: &Run| Stretch {
            shape: match run.coding {
                Coding::Barker1 | Coding::Barker2 => Shape::Barker,
                _ => Shape::Chips,
            },
            samples: self.dsss.samples(run.chips),
            power: 1.0,
        };
        self.runs.iter().map(stretch).collect()
    }

    fn render(&self, from: i64, out: &mut [Sample], random: &mut Random) {
        let reach = self.dsss.shaper.reach(from, out.len());
        let symbols = self.stream(reach.start, reach.end, random);
        self.dsss.shaper.shape(from, &symbols, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interference::Constants;

    fn dsss() -> Dsss {
        Dsss::new(&Constants::frozen().unwrap().wifi, 40_000_000)
    }

    #[test]
    fn a_packet_lasts_as_long_as_its_rate_says() {
        let dsss = dsss();
        let us = |mode: Coding, preamble| {
            dsss.packet("", mode, preamble).samples() as f64 / 40.0
        };
        // 8192 bits.
        assert!((us(Coding::Barker1, Preamble::Long) - 8384.0).abs() < 0.1);
        assert!((us(Coding::Cck11, Preamble::Short) - 840.7).abs() < 0.1);
        assert!((us(Coding::Pbcc11, Preamble::Short) - 840.7).abs() < 0.1);
        assert!((us(Coding::Pbcc5, Preamble::Long) - 1681.5).abs() < 0.1);
    }

    #[test]
    fn the_stream_is_barker_until_the_payload() {
        let (dsss, mut random) = (dsss(), Random::new(4, 0));
        let packet = dsss.packet("", Coding::Cck11, Preamble::Short);
        let payload = 96 * 11;
        let low = payload - 50 * 11 - 3;
        let chips = packet.stream(low, payload + 80, &mut random);
        let correlate = |chips: &[Sample]| {
            let sum = chips
                .iter()
                .zip(super::super::chips::BARKER)
                .map(|(c, b)| c * f64::from(b))
                .sum::<Sample>();
            sum.norm()
        };
        for symbol in 0..50 {
            let found = correlate(&chips[3 + 11 * symbol..]);
            assert!((found - 11.0).abs() < 1e-9, "symbol {symbol}: {found}");
        }
        let after = correlate(&chips[3 + 50 * 11..]);
        assert!(after < 10.0, "{after}");
        let before = packet.stream(-40, 11, &mut random);
        assert!(before[..40].iter().all(|c| c.norm_sqr() == 0.0));
        assert!((correlate(&before[40..]) - 11.0).abs() < 1e-9);
    }

    #[test]
    fn the_spectrum_is_16_and_a_half_mhz_wide() {
        let (dsss, mut random) = (dsss(), Random::new(4, 1));
        let packet = dsss.packet("", Coding::Cck11, Preamble::Short);
        let power = super::super::spectra::periodogram(
            &packet,
            6000,
            20,
            400,
            &mut random,
        );
        // 100 kHz a bin, 0 Hz first.
        let at = |low: usize, high: usize| -> f64 {
            let lower: f64 = power[400 - high..=400 - low].iter().sum();
            power[low..high].iter().sum::<f64>() + lower
        };
        let total = power.iter().sum::<f64>();
        assert!(at(1, 83) / total > 0.985, "inside {}", at(1, 83) / total);
        assert!(at(95, 200) / total < 0.01, "outside");
        // Half the density at half the chip rate.
        let density = |low: usize, high| at(low, high) / (high - low) as f64;
        let ratio = density(50, 60) / density(1, 25);
        assert!((ratio - 0.5).abs() < 0.08, "{ratio}");
    }
}
