//! Properties of whole snapshots.

use std::sync::OnceLock;

use rustfft::FftPlanner;

use super::*;
use crate::interference::SnrConvention::{InBand, InChannel};

fn generator() -> &'static Generator {
    static SHARED: OnceLock<Generator> = OnceLock::new();
    SHARED
        .get_or_init(|| Generator::new(&Constants::frozen().unwrap()).unwrap())
}

fn class(index: usize) -> Class {
    Class::new(index).unwrap()
}

fn power(samples: &[Sample]) -> f64 {
    samples.iter().map(|s| s.norm_sqr()).sum::<f64>() / samples.len() as f64
}

fn decibel(ratio: f64) -> f64 {
    10.0 * ratio.log10()
}

fn many(
    generator: &Generator,
    class: Class,
    count: usize,
    convention: SnrConvention,
) -> Vec<Signal> {
    (0..count)
        .into_par_iter()
        .map(|index| generator.signal(class, 4, index, 5, convention))
        .collect()
}

/// Snapshots of a WiFi class, made once: wide signals vary, so many.
fn wifi(index: usize) -> &'static [Signal] {
    static SHARED: [OnceLock<Vec<Signal>>; 3] = [const { OnceLock::new() }; 3];
    SHARED[index - 10]
        .get_or_init(|| many(generator(), class(index), 900, InBand))
}

/// Mean power spectrum of the clean parts; bin 0 is -5 MHz, 78.125 kHz each.
/// A Hann window, so that the edges of a snapshot do not smear strong bins
/// over empty ones.
fn mean_spectrum<'a>(signals: impl Iterator<Item = &'a Signal>) -> Vec<f64> {
    let plan = FftPlanner::new().plan_fft_forward(128);
    let mut mean = vec![0.0; 128];
    for signal in signals {
        let mut bins: Vec<Sample> = (0..)
            .zip(&signal.clean)
            .map(|(i, s)| s * (TAU * f64::from(i) / 256.0).sin().powi(2))
            .collect();
        plan.process(&mut bins);
        bins.rotate_right(64);
        mean.iter_mut().zip(&bins).for_each(|(m, b)| *m += b.norm_sqr());
    }
    mean
}

fn mhz(bin: usize) -> f64 {
    (bin as f64 - 64.0) * 10.0 / 128.0
}

#[test]
fn measured_snr_is_the_label_in_both_conventions() {
    let generator = generator();
    for index in 0..15 {
        let class = class(index);
        let name = class.name();
        let mean = |made: &[Signal], of: &dyn Fn(&Signal) -> f64| {
            decibel(made.iter().map(of).sum::<f64>() / made.len() as f64)
        };
        // The signal is the same in both; wide ones vary more.
        let made = match index {
            10..13 => wifi(index).to_vec(),
            _ => many(generator, class, 120, InBand),
        };
        let clean = mean(&made, &|s| power(&s.clean));
        assert!(clean.abs() < 0.1, "{name}: {clean} dB");
        let other = many(generator, class, 120, InChannel);
        for made in [made, other] {
            let excess = mean(&made, &|s| {
                let noise = 10_f64.powf(-s.truth.snr_in_band_db / 10.0);
                power(&s.noise) / noise
            });
            assert!(excess.abs() < 0.1, "{name}: noise by {excess} dB");
        }
        for convention in [InBand, InChannel] {
            let truth = generator.signal(class, 4, 0, 5, convention).truth;
            let label = match convention {
                InBand => truth.snr_in_band_db,
                InChannel => truth.snr_in_channel_db,
            };
            assert!((label - 4.0).abs() < 1e-9, "{name}");
        }
    }
}

#[test]
fn noise_in_the_channel_counts_as_wide_as_the_channel() {
    let generator = generator();
    // Where the whole signal is in the band: 1 and 2 of 10 MHz.
    for (index, gain_db) in [(4, 10.0), (13, decibel(5.0))] {
        let made = many(generator, class(index), 200, InChannel);
        let ratio: f64 = made.iter().map(|s| power(&s.clean)).sum::<f64>()
            / made.iter().map(|s| power(&s.noise)).sum::<f64>();
        let measured = decibel(ratio) + gain_db;
        assert!((measured - 4.0).abs() < 0.15, "{index}: {measured}");
    }
}

#[test]
fn the_share_that_passes_is_that_of_the_filtered_waveform() {
    let generator = generator();
    for index in [0, 8, 10, 11, 12, 14] {
        let class = class(index);
        let mut random = Random::new(9, index as u64);
        let (mut passed, mut whole) = (0.0, 0.0);
        let (mut in_band, mut total) = (0.0, 0.0);
        for _ in 0..60 {
            let drawn =
                generator.waveforms.draw(class.technology(), &mut random);
            let packet = drawn.packet();
            let samples = 6000;
            let from = random.below(packet.samples() - samples) as i64;
            let mut window = vec![Sample::ZERO; samples + 290];
            packet.render(from - 145, &mut window, &mut random);
            whole += power(&window[145..145 + samples]);
            let offset = class.offset_hz(2_426_500_000) / 40e6;
            turn(&mut window, 0.0, offset);
            passed += power(&generator.low.apply(&window, 4));
            let mean = generator.passed.mean_power(packet, class);
            in_band += mean.in_band;
            total += mean.total;
        }
        let error = decibel(passed / in_band);
        assert!(error.abs() < 0.15, "{}: {error} dB", class.name());
        let error = decibel(whole / total);
        assert!(error.abs() < 0.1, "{}: {error} dB", class.name());
    }
}

#[test]
fn narrow_classes_are_centred_on_their_channel() {
    let generator = generator();
    for index in (0..10).chain([13, 14]) {
        let class = class(index);
        let made = many(generator, class, 80, InBand);
        let spectrum = mean_spectrum(made.iter());
        let total: f64 = spectrum.iter().sum();
        let offset = class.offset_hz(2_426_500_000) / 1e6;
        // Around the circle: what leaves at one edge enters at the other.
        let from =
            |bin: usize| (mhz(bin) - offset + 5.0).rem_euclid(10.0) - 5.0;
        let error: f64 =
            (0..128).map(|bin| from(bin) * spectrum[bin] / total).sum();
        assert!(error.abs() < 0.06, "{}: {error} MHz", class.name());
        let half = if index < 10 { 0.6 } else { 1.3 };
        let near: f64 = (0..128)
            .filter(|&bin| from(bin).abs() < half)
            .map(|bin| spectrum[bin])
            .sum();
        assert!(near / total > 0.97, "{}: {}", class.name(), near / total);
    }
}

#[test]
fn wifi_leaves_its_end_of_the_band_empty() {
    // Mean density outside, over that inside, by class: the first ends at
    // 2430.3 MHz, the third starts at 2423.7 MHz.
    for (index, empty, full) in
        [(10, 4.2..4.8, -4.0..3.0), (12, -4.8..-3.2, -1.5..4.5)]
    {
        let spectrum = mean_spectrum(wifi(index).iter());
        let mean = |range: &std::ops::Range<f64>| {
            let inside: Vec<f64> = (0..128)
                .filter(|&bin| range.contains(&mhz(bin)))
                .map(|bin| spectrum[bin])
                .collect();
            inside.iter().sum::<f64>() / inside.len() as f64
        };
        let ratio = decibel(mean(&empty) / mean(&full));
        assert!(ratio < -17.0, "class {index}: {ratio} dB");
    }
    // The second has no end in the band.
    let spectrum = mean_spectrum(wifi(11).iter());
    let mean = spectrum[5..123].iter().sum::<f64>() / 118.0;
    let least = spectrum[5..123].iter().copied().fold(f64::MAX, f64::min);
    assert!(decibel(least / mean) > -8.0, "{}", decibel(least / mean));
}

#[test]
fn the_middle_carrier_of_ofdm_is_missing() {
    let ofdm = wifi(11).iter().filter(|s| s.truth.mode.starts_with("ofdm"));
    let spectrum = mean_spectrum(ofdm);
    // 0.5 MHz is bin 70.4, and a carrier is 4 bins wide.
    let near = (spectrum[70] + spectrum[71]) / 2.0;
    let around = (spectrum[60..66].iter().sum::<f64>()
        + spectrum[76..82].iter().sum::<f64>())
        / 12.0;
    assert!(decibel(near / around) < -4.0, "{}", decibel(near / around));
}

#[test]
fn a_snapshot_depends_on_its_own_arguments_only() {
    let generator = generator();
    let request = |per_cell, first| Request {
        snrs_db: vec![-20, 0, 18],
        per_cell,
        first,
        seed: 11,
        convention: InBand,
    };
    let (large, truths) = generator.set(&request(5, 0));
    assert_eq!(large.check(), Ok(()));
    assert_eq!(large.len(), 15 * 3 * 5);
    assert_eq!(large.class[15], 1, "class by class");
    assert_eq!(
        large.snr_db[..11],
        [[-20; 5], [0; 5]].concat()[..10]
            .iter()
            .copied()
            .chain([18])
            .collect::<Vec<i8>>()[..]
    );
    let (small, _) = generator.set(&request(2, 0));
    let (rest, _) = generator.set(&request(3, 2));
    for cell in 0..45 {
        for index in 0..5 {
            let whole = large.snapshot(5 * cell + index);
            let part = match index {
                0..2 => small.snapshot(2 * cell + index),
                _ => rest.snapshot(3 * cell + index - 2),
            };
            assert_eq!(whole, part);
        }
    }
    let (alone, truth) = generator.snapshot(class(2), 18, 3, 11, InBand);
    let place = 2 * 15 + 2 * 5 + 3;
    assert_eq!(alone, large.snapshot(place));
    assert_eq!(truth, truths[place]);
    let (other, _) = generator.snapshot(class(2), 18, 3, 12, InBand);
    assert_ne!(alone, other);

    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let pool = pool.build().unwrap();
        let (again, same) = pool.install(|| generator.set(&request(5, 0)));
        assert_eq!(again, large, "{threads} threads");
        assert_eq!(same, truths);
    }
}

#[test]
fn conventions_share_the_signal_and_scales_the_snr() {
    let generator = generator();
    let at = |convention| generator.signal(class(12), 0, 7, 1, convention);
    let [band, channel] = [at(InBand), at(InChannel)];
    assert_eq!(band.clean, channel.clean);
    assert_ne!(band.noise, channel.noise);

    let mut constants = Constants::frozen().unwrap();
    for (scale, expected) in [(Scale::Noise, 2.512), (Scale::Total, 0.7153)] {
        constants.snr.scale.value = scale;
        let other = Generator::new(&constants).unwrap();
        let one = generator.signal(class(5), 4, 0, 1, InBand);
        let two = other.signal(class(5), 4, 0, 1, InBand);
        let clean = power(&two.clean) / power(&one.clean);
        let noise = power(&two.noise) / power(&one.noise);
        assert!((clean - expected).abs() < 1e-3, "{scale:?}: {clean}");
        assert!((noise - expected).abs() < 1e-3, "{scale:?}: {noise}");
    }
}

#[test]
fn carrier_offsets_fill_the_tolerance_and_no_more() {
    let generator = generator();
    for (index, limit_hz) in [(3, 75e3), (11, 25e-6 * 2427e6), (13, 97e3)] {
        let most = (0..120)
            .map(|n| {
                let signal = generator.signal(class(index), 4, n, 5, InBand);
                signal.truth.cfo_hz.abs()
            })
            .fold(0.0, f64::max);
        assert!(most <= limit_hz, "{index}: {most}");
        assert!(most > 0.95 * limit_hz, "{index}: {most}");
    }
}

#[test]
fn every_mode_of_wifi_and_every_part_occurs() {
    let made = wifi(11);
    let count = |mode: &str| {
        made.iter().filter(|s| s.truth.mode.starts_with(mode)).count() as f64
    };
    for family in ["cck", "pbcc", "ofdm"] {
        assert!((count(family) / 300.0 - 1.0).abs() < 0.2, "{family}");
    }
    for mode in ["cck-5.5", "cck-11", "pbcc-5.5", "pbcc-11"] {
        assert!((count(mode) / 150.0 - 1.0).abs() < 0.3, "{mode}");
    }
    for part in [PacketPart::Preamble, PacketPart::Header, PacketPart::Payload]
    {
        assert!(made.iter().any(|s| s.truth.part == part), "{part:?}");
    }
}
