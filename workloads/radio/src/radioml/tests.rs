//! Defining properties of the waveforms and of the sets.

use std::f64::consts::PI;

use rustfft::FftPlanner;
use rustfft::num_complex::Complex;

use super::pulse::rrc_arms;
use super::waveform::Modulator;
use super::*;
use crate::Random;

fn constants() -> Constants {
    Constants::built_in().unwrap()
}

/// Shorter pulses, for statistics over many windows without optimisation.
fn quick() -> Constants {
    let mut constants = constants();
    constants.linear.span_symbols = 16;
    constants
}

fn request(snrs_db: Vec<i8>, per_cell: usize) -> Request {
    Request {
        modulations: Set::TenA,
        snrs_db,
        per_cell,
        seed: 7,
        convention: Convention::Label,
        scale: Scale::UnitSum,
    }
}

fn wave(m: Modulation, length: usize) -> Vec<Complex<f64>> {
    let constants = constants();
    let mut random = Random::new(11, m as u64);
    Modulator::new(&constants).wave(m, 0, length, &mut random)
}

#[test]
fn constellations_have_mean_magnitude_one() {
    let decibels = |m: Modulation| {
        let points = m.constellation();
        let magnitude: f64 = points.iter().map(|p| p.norm()).sum();
        assert!((magnitude / points.len() as f64 - 1.0).abs() < 1e-12);
        let power: f64 = points.iter().map(|p| p.norm_sqr()).sum();
        10.0 * (power / points.len() as f64).log10()
    };
    assert!(decibels(Modulation::Qpsk).abs() < 1e-9);
    assert!((decibels(Modulation::Qam16) - 0.47).abs() < 0.01);
    assert!((decibels(Modulation::Qam64) - 0.54).abs() < 0.01);
    assert!((decibels(Modulation::Pam4) - 0.97).abs() < 0.01);
}

#[test]
fn a_matched_filter_recovers_the_symbols() {
    let constants = constants();
    let modulator = Modulator::new(&constants);
    let arms = rrc_arms(0.35, 8, 88);
    for m in Modulation::ALL {
        let points = m.constellation();
        if points.is_empty() {
            continue;
        }
        let mut random = Random::new(1, 1);
        let length = 8 * 200;
        let symbols: Vec<_> = (0..modulator.symbols(length))
            .map(|_| points[random.below(points.len())])
            .collect();
        let samples = modulator.shaped(&symbols, 0, length);
        // Symbol 44 + k has its middle at sample 8 k; the pulse is even.
        for k in 60..140 {
            let mut found = Complex::new(0.0, 0.0);
            for j in 0..88 {
                for (phase, arm) in arms.iter().enumerate() {
                    let at = 8 * (k + 44 - j) + phase;
                    found += samples[at] * arm[j] / 8.0;
                }
            }
            let error = (found - symbols[44 + k]).norm();
            assert!(error < 0.01, "{m:?} {k}: {error}");
        }
    }
}

#[test]
fn frequency_modulations_have_a_constant_envelope() {
    for (m, magnitude) in [
        (Modulation::Gfsk, 0.999),
        (Modulation::Cpfsk, 1.0),
        (Modulation::Wbfm, 1.0),
    ] {
        for sample in wave(m, 1000) {
            assert!((sample.norm() - magnitude).abs() < 1e-9, "{m:?}");
        }
    }
    let spread = wave(Modulation::Qpsk, 1000);
    assert!(spread.iter().any(|s| (s.norm() - 1.0).abs() > 0.2));
}

#[test]
fn the_phase_of_cpfsk_and_gfsk_shows_their_deviation() {
    let turns = |m: Modulation| -> Vec<f64> {
        let samples = wave(m, 4000);
        let pairs = samples.windows(2);
        pairs.map(|p| (p[1] * p[0].conj()).arg()).collect()
    };
    for turn in turns(Modulation::Cpfsk) {
        assert!((turn.abs() - 0.5 * PI / 8.0).abs() < 1e-9, "{turn}");
    }
    let gfsk = turns(Modulation::Gfsk);
    let peak = gfsk.iter().fold(0.0_f64, |a, b| a.max(b.abs()));
    assert!((peak - 0.1).abs() < 1e-3, "{peak}");
    // A bit between two others never comes near it: the Gaussian rounds it.
    let rounded = gfsk.iter().filter(|turn| turn.abs() < 0.05).count();
    assert!(rounded > 400, "{rounded}");
}

#[test]
fn am_has_its_carrier_and_ssb_one_side() {
    let samples = wave(Modulation::AmDsb, 5000);
    assert!(samples.iter().all(|s| s.im.abs() < 1e-12));
    let mean: f64 = samples.iter().map(|s| s.re).sum::<f64>() / 5000.0;
    assert!((mean - 1.0).abs() < 0.05, "{mean}");

    let length = 8192;
    let constants = constants();
    let modulator = Modulator::new(&constants);
    // The first stream that is not in a pause.
    let mut ssb = (0..)
        .map(|item| {
            let mut random = Random::new(5, item);
            modulator.wave(Modulation::AmSsb, 0, length, &mut random)
        })
        .find(|wave| wave.iter().any(|s| s.im.abs() > 0.05))
        .unwrap();
    for (n, sample) in ssb.iter_mut().enumerate() {
        let angle = PI * (n as f64 + 0.5) / length as f64;
        *sample = (*sample - 1.0) * angle.sin().powi(4);
    }
    FftPlanner::new().plan_fft_forward(length).process(&mut ssb);
    let power = |bins: &[Complex<f64>]| -> f64 {
        bins.iter().map(|bin| bin.norm_sqr()).sum()
    };
    let (upper, lower) = ssb.split_at(length / 2);
    assert!(power(lower) < 1e-3 * power(upper));
    assert!(power(upper) > 1.0);
}

#[test]
fn a_label_is_two_decibels_of_snr() {
    let request = request(vec![-20, 0, 18], 250);
    let constants = quick();
    for m in Set::TenB.modulations() {
        let measured = |label: i8| measured_db(&request, &constants, m, label);
        let (low, middle, high) = (measured(-20), measured(0), measured(18));
        // Each cell has fading of its own: 250 windows know it to 0.2 dB.
        assert!((middle - low - 40.0).abs() < 1.0, "{m:?} {low} {middle}");
        assert!((high - middle - 36.0).abs() < 1.0, "{m:?} {middle} {high}");
    }
    let truth = &parts(&request, &constants, Modulation::AmSsb, 0).unwrap()[0];
    assert_eq!(truth.truth.snr_db(), None);
}

/// Mean signal power over mean noise power of a cell, dB.
fn measured_db(
    request: &Request,
    constants: &Constants,
    modulation: Modulation,
    label: i8,
) -> f64 {
    let parts = parts(request, constants, modulation, label).unwrap();
    let power = |part: &[Complex<f64>]| -> f64 {
        part.iter().map(|sample| sample.norm_sqr()).sum()
    };
    let signal: f64 = parts.iter().map(|p| power(&p.signal)).sum();
    let noise: f64 = parts.iter().map(|p| power(&p.noise)).sum();
    10.0 * (signal / noise).log10()
}

#[test]
fn a_true_snr_is_measured_within_a_tenth_of_a_decibel() {
    let mut constants = quick();
    // Still paths: what is left of fading is its mean, known exactly, so that
    // a few thousand windows tell a tenth of a decibel.
    constants.channel.magnitudes = vec![1.0, 0.0, 0.0];
    constants.channel.rician_k = 1e12;
    for m in Modulation::ALL {
        // Power varies with the symbols; without them, far less.
        let windows = if m.constellation().is_empty() { 200 } else { 1200 };
        constants.calibration.windows = windows;
        let request = Request {
            convention: Convention::True,
            ..request(vec![-6], windows)
        };
        let measured = measured_db(&request, &constants, m, -6);
        assert!((measured + 6.0).abs() < 0.1, "{m:?}: {measured}");
    }
}

#[test]
fn ensemble_power_holds_over_fading() {
    let constants = quick();
    let request = request(vec![0], 1500);
    for m in [Modulation::Cpfsk, Modulation::AmDsb, Modulation::Qam64] {
        let parts = parts(&request, &constants, m, 0).unwrap();
        let powers = parts.iter().map(|p| p.truth.signal_power);
        let mean = powers.sum::<f64>() / 1500.0;
        let ratio = mean / ensemble_power(m, &constants);
        // One deviation of the mean is 2 % here.
        assert!((ratio - 1.0).abs() < 0.08, "{m:?}: {ratio}");
        assert!((mean / 1.73 - 1.0).abs() < 0.2, "{m:?}: {mean}");
    }
}

#[test]
fn sets_are_lawful_repeatable_and_nested() {
    let constants = constants();
    let small = request(vec![-10, 10], 3);
    let large =
        Request { per_cell: 5, snrs_db: vec![10, -10], ..small.clone() };
    let (set, truths) = generate(&small, &constants).unwrap();
    set.check().unwrap();
    assert_eq!((set.len(), set.classes.len()), (66, 11));
    assert_eq!(set.classes[1], "AM-DSB");
    let (larger, _) = generate(&large, &constants).unwrap();
    let find = |snr: i8, class: u8, index: usize| {
        let matches = (0..larger.len())
            .filter(|&i| larger.class[i] == class && larger.snr_db[i] == snr);
        larger.snapshot(matches.collect::<Vec<_>>()[index]).to_vec()
    };
    assert_eq!(truths.len(), set.len());
    for (i, truth) in truths.iter().enumerate() {
        let expected = find(set.snr_db[i], set.class[i], i % 3);
        assert_eq!(set.snapshot(i), expected, "{i}");
        let sum: f64 = set
            .snapshot(i)
            .chunks_exact(2)
            .map(|c| f64::from(c[0]).hypot(f64::from(c[1])))
            .sum();
        assert!((sum - 1.0).abs() < 1e-5, "{sum}");
        assert_eq!(
            truth.modulation.name(),
            set.classes[usize::from(set.class[i])]
        );
    }
    assert_ne!(set.snapshot(0), set.snapshot(1));
}

#[test]
fn threads_make_no_difference() {
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let request =
            Request { convention: Convention::True, ..request(vec![0], 3) };
        let mut constants = quick();
        constants.calibration.windows = 50;
        pool.build().unwrap().install(|| generate(&request, &constants))
    };
    assert_eq!(on(1), on(5));
}

#[test]
fn an_empty_request_says_so() {
    let constants = constants();
    let error = generate(&request(vec![], 3), &constants).unwrap_err();
    assert!(error.to_string().contains("SNR label"), "{error}");
    let error = generate(&request(vec![0, 0], 3), &constants).unwrap_err();
    assert!(error.to_string().contains("twice"), "{error}");
    let error = generate(&request(vec![0], 0), &constants).unwrap_err();
    assert!(error.to_string().contains("cell"), "{error}");
}
