//! Properties of OFDM packets.

use super::*;
use crate::interference::Constants;

const US: usize = 40;

fn ofdm() -> Ofdm {
    Ofdm::new(&Constants::frozen().unwrap().wifi, 40_000_000)
}

fn rendered(packet: &OfdmPacket, from: usize, count: usize) -> Vec<Sample> {
    let mut out = vec![Sample::ZERO; count];
    packet.render(from as i64, &mut out, &mut Random::new(6, 0));
    out
}

/// Carriers -64 to 63 of 3.2 us.
fn carriers(samples: &[Sample]) -> Vec<Sample> {
    let mut bins = samples[..128].to_vec();
    FftPlanner::new().plan_fft_forward(128).process(&mut bins);
    bins.rotate_right(64);
    bins.iter().map(|bin| bin * 52_f64.sqrt() / 128.0).collect()
}

fn peak_to_mean_db(samples: &[Sample]) -> f64 {
    let power = samples.iter().map(|s| s.norm_sqr());
    let mean = power.clone().sum::<f64>() / samples.len() as f64;
    10.0 * (power.fold(0.0, f64::max) / mean).log10()
}

#[test]
fn symbols_have_52_carriers_no_0_hz_and_a_cyclic_prefix() {
    let ofdm = ofdm();
    let packet = ofdm.packet(OfdmModulation::Qpsk);
    let out = rendered(&packet, 20 * US, 160 * 150);
    let mut power = 0.0;
    for symbol in out.chunks_exact(160) {
        for (prefix, end) in symbol[..32].iter().zip(&symbol[128..]) {
            assert!((prefix - end).norm() < 1e-12);
        }
        let bins = carriers(&symbol[32..]);
        let used: Vec<i64> = (-64..64)
            .zip(&bins)
            .filter(|(_, bin)| bin.norm() > 1e-9)
            .map(|(k, _)| k)
            .collect();
        let expected: Vec<i64> = (-26..=26).filter(|&k| k != 0).collect();
        assert_eq!(used, expected);
        for (k, bin) in (-64..64_i64).zip(&bins).filter(|b| b.1.norm() > 0.1) {
            assert!((bin.norm() - 1.0).abs() < 1e-9);
            let pilot = [7, 21].contains(&k.abs());
            assert_eq!(bin.im.abs() < 1e-9, pilot, "carrier {k}");
        }
        power += symbol.iter().map(|s| s.norm_sqr()).sum::<f64>();
    }
    let mean = power / out.len() as f64;
    assert!((mean - 1.0).abs() < 0.02, "{mean}");
}

#[test]
fn constellations_have_unit_power_and_their_number_of_points() {
    let ofdm = ofdm();
    for (modulation, points) in [
        (OfdmModulation::Bpsk, 2),
        (OfdmModulation::Qpsk, 4),
        (OfdmModulation::Qam16, 16),
        (OfdmModulation::Qam64, 64),
    ] {
        let packet = ofdm.packet(modulation);
        let out = rendered(&packet, 20 * US, 30 * 160);
        let mut seen = std::collections::BTreeSet::new();
        let mut power = 0.0;
        for symbol in out.chunks_exact(160) {
            for (k, bin) in (-64..64_i64).zip(carriers(&symbol[32..])) {
                if k != 0 && k.abs() <= 26 && k.abs() != 7 && k.abs() != 21 {
                    let place = (bin * 1000.0) / 10.0;
                    seen.insert((
                        place.re.round() as i64,
                        place.im.round() as i64,
                    ));
                    power += bin.norm_sqr() / (30.0 * 48.0);
                }
            }
        }
        assert_eq!(seen.len(), points);
        assert!((power - 1.0).abs() < 0.06, "{points}: {power}");
    }
}

#[test]
fn training_repeats_and_is_flat_as_published() {
    let ofdm = ofdm();
    let packet = ofdm.packet(OfdmModulation::Bpsk);
    let out = rendered(&packet, 0, 20 * US);
    let (short, long) = (&out[..8 * US], &out[8 * US..16 * US]);
    for at in 0..short.len() - 32 {
        assert!((short[at] - short[at + 32]).norm() < 1e-12, "0.8 us");
    }
    for at in 0..long.len() - 128 {
        assert!((long[at] - long[at + 128]).norm() < 1e-12, "3.2 us");
    }
    // The sequences were chosen for a flat envelope; a wrong sign spoils it.
    assert!(peak_to_mean_db(short) < 2.5, "{}", peak_to_mean_db(short));
    assert!(peak_to_mean_db(long) < 3.8, "{}", peak_to_mean_db(long));
    let used = carriers(&long[64..]);
    assert!(used[64].norm() < 1e-9);
    assert!((used[64 - 26] - Sample::ONE).norm() < 1e-9);
    assert!((used[64 + 2] + Sample::ONE).norm() < 1e-9);
    for part in [short, long] {
        let power: f64 = part.iter().map(|s| s.norm_sqr()).sum();
        assert!((power / 320.0 - 1.0).abs() < 1e-9);
    }
}

#[test]
fn the_header_is_bpsk_and_the_parts_have_their_lengths() {
    let ofdm = ofdm();
    let packet = ofdm.packet(OfdmModulation::Qam64);
    // 16 + 8192 + 6 bits at 216 a symbol.
    assert_eq!(packet.samples(), (20 + 39 * 4) * US);
    let header = rendered(&packet, 16 * US, 160);
    let bins = carriers(&header[32..]);
    assert!(bins.iter().all(|bin| bin.im.abs() < 1e-9));
    assert_eq!(packet.part(16 * US - 1), PacketPart::Preamble);
    assert_eq!(packet.part(16 * US), PacketPart::Header);
    assert_eq!(packet.part(20 * US), PacketPart::Payload);
    let after = rendered(&packet, packet.samples(), 100);
    assert!(after.iter().all(|s| s.norm_sqr() == 0.0));
}

#[test]
fn pilots_follow_the_scrambler() {
    let signs = polarity();
    let start = [1, 1, 1, 1, -1, -1, -1, 1, -1, -1, -1, -1].map(f64::from);
    assert_eq!(signs[..12], start);
    assert_eq!(signs.iter().filter(|&&s| s < 0.0).count(), 64);
}
