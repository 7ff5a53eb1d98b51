//! Modes: found where there are two, not made of noise.

use proptest::prelude::*;

use super::*;
use crate::simulated::{exponential, normal, uniform};

/// The share of `many` simulated samples with `wanted` modes.
fn share_with(wanted: usize, many: u64, law: impl Fn(u64) -> Vec<f64>) -> f64 {
    let found = (0..many)
        .filter(|&seed| modes(&law(seed)).unwrap().len() == wanted)
        .count();
    found as f64 / many as f64
}

/// Lognormal samples around 1, of which `share` are `factor` as much.
fn mixed(seed: u64, n: usize, share: f64, factor: f64) -> Vec<f64> {
    normal(seed, n)
        .iter()
        .zip(uniform(seed + 100_000, n))
        .map(|(x, other)| {
            let base = (0.02 * x).exp();
            if other < share { factor * base } else { base }
        })
        .collect()
}

#[test]
fn samples_with_one_mode_show_another_in_fewer_than_one_of_a_hundred() {
    type Law = fn(u64, usize) -> Vec<f64>;
    let laws: [(&str, Law); 6] = [
        ("narrow lognormal", |seed, n| mixed(seed, n, 0.0, 1.0)),
        ("wide lognormal", |seed, n| {
            normal(seed, n).iter().map(|x| (0.5 * x).exp()).collect()
        }),
        ("exponential", exponential),
        ("a tail on a floor", |seed, n| {
            normal(seed, n)
                .iter()
                .zip(exponential(seed + 100_000, n))
                .map(|(x, tail)| 1.0 + 0.005 * x + 0.05 * tail)
                .collect()
        }),
        ("uniform", |seed, n| {
            uniform(seed, n).iter().map(|x| 1.0 + 0.3 * x).collect()
        }),
        ("one in twenty far out", |seed, n| mixed(seed, n, 0.05, 3.0)),
    ];
    for (name, law) in laws {
        for n in [30, 60, 300] {
            let one = share_with(1, 600, |seed| law(seed, n));
            assert!(one > 0.99, "{name}, n = {n}: {one}");
        }
    }
}

#[test]
fn two_clear_modes_are_found() {
    for (n, share, factor) in
        [(40, 0.5, 1.3), (100, 0.3, 1.2), (200, 0.2, 1.15), (1000, 0.5, 3.0)]
    {
        let two = share_with(2, 200, |seed| mixed(seed, n, share, factor));
        assert!(two > 0.95, "{n}, {share}, {factor}: {two}");
    }
}

#[test]
fn modes_lie_where_they_were_put_and_have_their_shares() {
    let found = modes(&mixed(3, 2000, 0.3, 1.3)).unwrap();
    assert_eq!(found.len(), 2);
    assert!((found[0].at - 1.0).abs() < 0.01, "{found:?}");
    assert!((found[1].at - 1.3).abs() < 0.01, "{found:?}");
    assert!((found[0].share - 0.7).abs() < 0.03, "{found:?}");
    let three: Vec<f64> = normal(4, 900)
        .iter()
        .enumerate()
        .map(|(i, x)| 1.4_f64.powi(i as i32 % 3) * (0.02 * x).exp())
        .collect();
    assert_eq!(modes(&three).unwrap().len(), 3);
}

#[test]
fn modes_whose_samples_all_agree_are_found() {
    let mut samples = vec![2.0; 60];
    samples.extend([3.0; 20]);
    let found = modes(&samples).unwrap();
    assert_eq!(found.len(), 2);
    assert!((found[1].share - 0.25).abs() < 1e-12);
    assert_eq!(modes(&[7.0; 50]).unwrap().len(), 1);
}

#[test]
fn the_steps_of_a_coarse_clock_are_no_modes() {
    let one = share_with(1, 200, |seed| {
        normal(seed, 300)
            .iter()
            .map(|x| (20.0 + 1.5 * x).round().max(1.0) * 1e-8)
            .collect()
    });
    assert!(one > 0.99, "{one}");
}

#[test]
fn few_samples_have_one_mode_at_their_median() {
    let mut samples = vec![1.0; 15];
    samples.extend([2.0; 14]);
    assert_eq!(modes(&samples).unwrap(), [Mode { at: 1.0, share: 1.0 }]);
    assert_eq!(modes(&[5.0]).unwrap().len(), 1);
}

#[test]
fn what_has_no_logarithm_is_an_error() {
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let mut samples = vec![1.0; 40];
        samples[7] = bad;
        assert!(modes(&samples).is_err(), "{bad}");
    }
    assert!(modes(&[]).is_err());
}

#[test]
fn samples_over_the_whole_range_of_numbers_have_modes() {
    let mut samples = vec![f64::MIN_POSITIVE; 40];
    samples.extend([f64::MAX; 40]);
    assert_eq!(modes(&samples).unwrap().len(), 2);
}

proptest! {
    #[test]
    fn modes_ascend_and_their_shares_add_up(
        samples in proptest::collection::vec(
            prop_oneof![0.9..1.1_f64, 1.9..2.1_f64, 0.1..10.0_f64],
            1..200,
        ),
    ) {
        let found = modes(&samples).unwrap();
        prop_assert!(!found.is_empty());
        prop_assert!(found.windows(2).all(|pair| pair[0].at < pair[1].at));
        let whole: f64 = found.iter().map(|mode| mode.share).sum();
        prop_assert!((whole - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_unit_does_not_matter(
        samples in proptest::collection::vec(0.5..4.0_f64, 30..100),
    ) {
        let scaled: Vec<f64> = samples.iter().map(|x| x * 1024.0).collect();
        let (a, b) = (modes(&samples).unwrap(), modes(&scaled).unwrap());
        prop_assert_eq!(a.len(), b.len());
    }
}
