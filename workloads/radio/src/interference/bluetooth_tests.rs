//! Properties of the Bluetooth waveforms.

use super::*;
use crate::interference::Constants;
use crate::interference::spectra::periodogram;

fn bluetooth() -> Bluetooth {
    Bluetooth::new(&Constants::frozen().unwrap().bluetooth, 40_000_000)
}

fn kind(name: &str) -> &'static PacketType {
    PACKETS.iter().find(|p| p.name == name).unwrap()
}

fn rendered(packet: &BluetoothPacket, from: i64, count: usize) -> Vec<Sample> {
    let mut out = vec![Sample::ZERO; count];
    packet.render(from, &mut out, &mut Random::new(8, 0));
    out
}

/// Half turns of the phase over a symbol.
fn slope(samples: &[Sample]) -> f64 {
    let turn: f64 =
        samples.windows(2).map(|w| (w[1] * w[0].conj()).arg()).sum();
    turn / PI
}

#[test]
fn equal_bits_turn_the_phase_by_the_modulation_index() {
    let bluetooth = bluetooth();
    for index in [0.28, 0.35] {
        let packet = bluetooth.packet(kind("DH5"), index);
        let out = rendered(&packet, 200 * 40, 2000 * 40);
        assert!(out.iter().all(|s| (s.norm() - 1.0).abs() < 1e-12));
        let turns: Vec<f64> = out
            .chunks_exact(40)
            .map(|symbol| slope(symbol) * 40.0 / 39.0)
            .collect();
        // A long run of equal bits: the middle of 5 alike.
        let runs: Vec<f64> = turns
            .windows(5)
            .filter(|w| {
                w.iter().all(|t| *t > 0.0) || w.iter().all(|t| *t < 0.0)
            })
            .map(|w| w[2].abs())
            .collect();
        assert!(runs.len() > 50, "{}", runs.len());
        for turn in runs {
            assert!((turn - index).abs() < 2e-4, "{turn} for {index}");
        }
        // Alternating bits get less: that is the Gaussian filter.
        let lone = turns
            .windows(3)
            .filter(|w| w[0] * w[1] < 0.0 && w[1] * w[2] < 0.0)
            .map(|w| w[1].abs());
        let most = lone.fold(0.0, f64::max);
        assert!(most < 0.95 * index && most > 0.5 * index, "{most}");
    }
}

#[test]
fn basic_rate_stays_within_its_megahertz() {
    let bluetooth = bluetooth();
    let packet = bluetooth.long_basic();
    let power = periodogram(&packet, 8000, 5, 16000, &mut Random::new(8, 1));
    // 2.5 kHz a bin: 0.5 MHz is 200 bins.
    let total: f64 = power.iter().sum();
    let within = |bins: usize| {
        let upper: f64 = power[..=bins].iter().sum();
        (upper + power[power.len() - bins..].iter().sum::<f64>()) / total
    };
    assert!(within(200) > 0.99, "{}", within(200));
    assert!(within(60) < 0.8, "{}", within(60));
}

#[test]
fn the_access_code_alternates_at_its_ends_and_the_header_repeats() {
    let bluetooth = bluetooth();
    let packet = bluetooth.packet(kind("HV1"), 0.3);
    let bits = packet.bits(0, 366, &mut Random::new(8, 2));
    for ends in [&bits[..4], &bits[68..72]] {
        assert!(ends.windows(2).all(|w| w[0] * w[1] < 0.0), "{ends:?}");
    }
    for three in bits[72..].chunks(3) {
        assert!(three.iter().all(|b| b * three[0] > 0.0), "{three:?}");
    }
    let differ =
        bits[4..68].chunks(3).any(|c| c.iter().any(|b| b * c[0] < 0.0));
    assert!(differ);
    let packet = bluetooth.packet(kind("HV3"), 0.3);
    let bits = packet.bits(126, 240, &mut Random::new(8, 2));
    assert!(bits.chunks(3).any(|c| c.iter().any(|b| b * c[0] < 0.0)));
}

#[test]
fn an_enhanced_payload_lies_on_its_constellation_behind_a_guard() {
    let bluetooth = bluetooth();
    for (name, odd_only) in [("2-DH5", true), ("3-DH5", false)] {
        let packet = bluetooth.packet(kind(name), 0.3);
        let start = packet.enhanced_start();
        assert_eq!(start, (126 + 5) * 40);
        let out = rendered(&packet, start - 800, 800 + 800 * 40);
        // Silence but for the tails of the first pulse.
        let guard = &out[600 + 20..600 + 80];
        assert!(guard.iter().all(|s| s.norm() < 0.05));
        let before = &out[..600 - 1];
        assert!(before.iter().all(|s| (s.norm() - 1.0).abs() < 0.02));
        // Matched sampling: the same root again.
        let reach = 6 * 40_i64;
        let matched = |symbol: i64| -> Sample {
            let centre = 800 + symbol * 40;
            let pulse = |i: i64| {
                let t = i as f64 / 40.0;
                super::super::pulse::root_raised_cosine(t, 0.4)
            };
            (-reach..=reach)
                .map(|i| out[(centre + i) as usize] * pulse(i) / 40.0)
                .sum()
        };
        let symbols: Vec<Sample> = (20..700).map(matched).collect();
        let mut seen = [0; 8];
        for pair in symbols.windows(2) {
            let turn = (pair[1] * pair[0].conj()).arg() / FRAC_PI_4;
            assert!((turn - turn.round()).abs() < 0.03, "{name}: {turn}");
            assert!((pair[0].norm() - 1.0).abs() < 0.02);
            seen[turn.round().rem_euclid(8.0) as usize] += 1;
        }
        for (eighths, count) in seen.iter().enumerate() {
            let expected = !odd_only || eighths % 2 == 1;
            assert_eq!(*count > 40, expected, "{name}: {seen:?}");
        }
        let power: f64 = out[2000..].iter().map(|s| s.norm_sqr()).sum();
        let mean = power / (out.len() - 2000) as f64;
        assert!((mean - 1.0).abs() < 0.03, "{name}: {mean}");
    }
}

#[test]
fn packets_have_the_length_of_their_parts() {
    let bluetooth = bluetooth();
    let us = |name| bluetooth.packet(kind(name), 0.3).samples() / 40;
    assert_eq!(us("DH1"), 366);
    assert_eq!(us("DH5"), 2870);
    assert_eq!(us("2-DH1"), 126 + 5 + 11 + 232 + 2);
    let packet = bluetooth.packet(kind("3-EV3"), 0.3);
    assert_eq!(packet.part(72 * 40 - 1), PacketPart::Preamble);
    assert_eq!(packet.part(142 * 40 - 1), PacketPart::Header);
    assert_eq!(packet.part(142 * 40), PacketPart::Payload);
}

#[test]
fn every_type_of_every_transport_is_drawn() {
    let (bluetooth, mut random) = (bluetooth(), Random::new(8, 3));
    let mut counts = std::collections::BTreeMap::new();
    for _ in 0..6000 {
        let packet = bluetooth.draw(&mut random);
        *counts.entry(packet.kind.name).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), PACKETS.len());
    // A third each, over 4, 12 and 7 types.
    assert!((counts["HV1"] - 500_i32).abs() < 100, "{counts:?}");
    assert!((counts["DH1"] - 167_i32).abs() < 60, "{counts:?}");
    assert!((counts["EV3"] - 286_i32).abs() < 80, "{counts:?}");
}
