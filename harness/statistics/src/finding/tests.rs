//! Findings: coverage of the intervals, and what bad input gives.

use proptest::prelude::*;

use super::*;
use crate::simulated::{normal, uniform};

fn found(candidate: &[f64], null: &[f64], kind: MetricKind) -> Finding {
    let units = Units {
        candidate: candidate.to_vec(),
        null: null.to_vec(),
        ..Units::default()
    };
    find(&units, kind, Better::Lower, &VerdictRule::default()).unwrap()
}

fn timed(candidate: &[f64], null: &[f64]) -> Finding {
    found(candidate, null, MetricKind::Timed)
}

/// The share of 3,000 simulated comparisons of `n` units whose fixed-budget
/// interval holds the true change of 3 %.
fn coverage(n: usize, units: impl Fn(u64, usize) -> Vec<f64>) -> f64 {
    let truth = 1.03_f64.ln();
    let held = (0..3000)
        .filter(|&seed| {
            let units: Vec<f64> =
                units(seed, n).iter().map(|x| truth + 0.02 * x).collect();
            let change = timed(&units, &[0.1, -0.1]).change;
            change.low <= 0.03 && 0.03 <= change.high
        })
        .count();
    held as f64 / 3000.0
}

#[test]
fn the_fixed_interval_of_normal_units_covers_as_promised() {
    for n in [3, 8, 20, 60] {
        let share = coverage(n, normal);
        assert!((0.93..=0.97).contains(&share), "n = {n}: {share}");
    }
}

#[test]
fn the_fixed_interval_of_contaminated_units_covers_as_promised() {
    // One unit in twenty has three times the spread.
    for n in [8, 20, 60] {
        let share = coverage(n, |seed, n| {
            let hit = uniform(seed + 1_000_000, n);
            normal(seed, n)
                .iter()
                .zip(hit)
                .map(|(x, hit)| if hit < 0.05 { 3.0 * x } else { *x })
                .collect()
        });
        assert!((0.93..=0.97).contains(&share), "n = {n}: {share}");
    }
}

#[test]
fn a_few_processes_of_twice_the_time_do_not_widen_the_interval() {
    let clean: Vec<f64> = normal(5, 32).iter().map(|x| 0.01 * x).collect();
    let mut hit = clean.clone();
    for (unlucky, by) in [(3, 0.7), (11, -0.32), (20, 0.65), (29, -0.31)] {
        hit[unlucky] += by;
    }
    let width = |units: &[f64]| {
        let change = timed(units, &clean).change;
        change.high - change.low
    };
    assert!(width(&hit) < 1.5 * width(&clean), "{}", width(&hit));
}

#[test]
fn the_fixed_interval_covers_where_units_have_heavy_tails() {
    // One unit in ten is hit by a process of twice the time, on either side.
    for n in [16, 32] {
        let share = coverage(n, |seed, n| {
            let hit = uniform(seed + 1_000_000, n);
            let by = |hit: f64| match hit {
                h if h < 0.05 => 30.0,
                h if h < 0.10 => -30.0,
                _ => 0.0,
            };
            normal(seed, n).iter().zip(hit).map(|(x, h)| x + by(h)).collect()
        });
        assert!((0.93..=0.975).contains(&share), "n = {n}: {share}");
    }
}

#[test]
fn unlucky_processes_lean_the_change_to_neither_side() {
    // One process in ten is slow by a half, whichever arm it is.
    let arm = |seed: u64, stream: u64| {
        let luck = uniform(7 * seed + stream, 32);
        let noise = normal(7 * seed + stream + 3, 32);
        let slow = |(luck, x): (f64, f64)| {
            0.01 * x + if luck < 0.1 { 0.5 } else { 0.0 }
        };
        luck.into_iter().zip(noise).map(slow).collect::<Vec<f64>>()
    };
    let less = |b: &[f64], a: &[f64]| -> Vec<f64> {
        b.iter().zip(a).map(|(b, a)| b - a).collect()
    };
    let (mut sum, mut squares, mut held, mut lean) = (0.0, 0.0, 0, 0.0);
    for seed in 0..2000 {
        let (a, b, other) = (arm(seed, 0), arm(seed, 1), arm(seed, 2));
        let units = Units {
            candidate: less(&b, &a),
            again: less(&b, &other),
            null: less(&other, &a),
        };
        let of = |units: &Units| {
            let rule = VerdictRule::default();
            let kind = MetricKind::Timed;
            find(units, kind, Better::Lower, &rule).unwrap().change
        };
        let change = of(&units);
        sum += change.point;
        squares += change.point * change.point;
        held += u32::from(change.low <= 0.0 && 0.0 <= change.high);
        // Both baselines in one series would lean towards "faster".
        let mean = units.candidate.iter().zip(&units.again);
        let mean = mean.map(|(x, y)| f64::midpoint(*x, *y)).collect();
        lean += of(&Units { candidate: mean, again: vec![], ..units }).point;
    }
    let error = (squares / 2000.0).sqrt() / 2000_f64.sqrt();
    assert!((sum / 2000.0).abs() < 4.0 * error, "{} +- {error}", sum / 2000.0);
    assert!(lean / 2000.0 < -10.0 * error, "{}", lean / 2000.0);
    assert!((1860..=1950).contains(&held), "{held} of 2000");
}

#[test]
fn the_any_time_interval_covers_at_all_looks_with_units_cut_too() {
    let held = (0..1000)
        .filter(|&seed| {
            let units = normal(seed, 120);
            (3..=120).all(|n| {
                let change = timed(&units[..n], &[0.1, -0.1]).change_any_time;
                change.low <= 0.0 && 0.0 <= change.high
            })
        })
        .count();
    assert!(held >= 950, "{held} of 1000");
}

#[test]
fn counts_of_which_most_agree_keep_those_that_differ() {
    let mut counts = [0.0; 20];
    counts[7] = 0.3;
    let finding = found(&counts, &[0.0; 20], MetricKind::Counted);
    assert_eq!(finding.certainty, Certainty::Sampled);
    assert!(finding.change.low < finding.change.high);
}

#[test]
fn intervals_and_p_agree_with_a_hand_worked_example() {
    // Mean 0.03, deviation 0.01 (squares 1 + 0 + 1 over 2), t = 3 sqrt(3).
    let finding = timed(&[0.02, 0.03, 0.04], &[0.01, -0.01, 0.0]);
    // T(2) at 95 % is 4.3027, at 90 % 2.9200.
    let reach = 4.3027 * 0.01 / 3.0_f64.sqrt();
    assert!((finding.change.point - 0.03_f64.exp_m1()).abs() < 1e-9);
    assert!((finding.change.low - (0.03 - reach).exp_m1()).abs() < 1e-5);
    assert!((finding.change.high - (0.03 + reach).exp_m1()).abs() < 1e-5);
    let reach = 2.92 * 0.01 / 3.0_f64.sqrt();
    let high = finding.change_one_sided.high;
    assert!((high - (0.03 + reach).exp_m1()).abs() < 1e-5);
    // p of t with 2 degrees is 1 - t / sqrt(t^2 + 2).
    let expected = 1.0 - (27.0 / 29.0_f64).sqrt();
    assert!((finding.p.unwrap() - expected).abs() < 1e-9);
    // e = (1/2) [(1 + 27/2) / (1 + 27/8)]^(3/2).
    let expected = 0.5 * (14.5 / 4.375_f64).powf(1.5);
    assert!((finding.e.unwrap() - expected).abs() < 1e-9);
    assert_eq!(finding.null_p, Some(1.0));
}

#[test]
fn the_any_time_interval_is_the_wider_one_and_may_be_endless() {
    let few = timed(&[0.02, 0.03, 0.04], &[0.01, -0.01, 0.0]);
    assert_eq!(few.change_any_time.low, -1.0);
    assert_eq!(few.change_any_time.high, f64::INFINITY);
    let many: Vec<f64> = normal(1, 30).iter().map(|x| 0.02 * x).collect();
    let finding = timed(&many, &many);
    assert!(finding.change_any_time.low < finding.change.low);
    assert!(finding.change_any_time.high > finding.change.high);
    assert!(finding.change_any_time.high < 0.1);
}

#[test]
fn counts_that_agree_are_exact() {
    let up = 1.02_f64.ln();
    let finding = found(&[up; 4], &[0.0; 4], MetricKind::Counted);
    assert_eq!(finding.certainty, Certainty::Exact);
    assert!((finding.change.point - 0.02).abs() < 1e-12);
    assert_eq!(finding.change.low, finding.change.high);
    assert_eq!((finding.p, finding.e), (None, None));
    assert!((finding.detectable.power_95 - 0.01).abs() < 1e-12);
}

#[test]
fn counts_that_agree_by_luck_have_the_noise_of_the_baseline() {
    let finding =
        found(&[0.5, 0.5, 0.5], &[0.001, -0.001, 0.002], MetricKind::Counted);
    assert_eq!(finding.certainty, Certainty::Sampled);
    assert!(finding.change.low < finding.change.point);
    assert!(finding.p.unwrap() < 0.001);
}

#[test]
fn times_that_agree_exactly_say_that_the_clock_is_too_coarse() {
    for (candidate, null) in
        [([0.3, 0.3], [0.0, 0.1]), ([0.3, 0.2], [0.0, 0.0])]
    {
        let finding = timed(&candidate, &null);
        assert_eq!(finding.certainty, Certainty::ClockTooCoarse);
        assert_eq!(finding.change.high, f64::INFINITY);
        assert_eq!(finding.p, None);
        assert_eq!(finding.detectable.power_80, f64::INFINITY);
    }
}

#[test]
fn a_single_unit_has_a_point_and_no_interval() {
    for null in [&[][..], &[0.0], &[0.0, 0.1]] {
        for kind in [MetricKind::Timed, MetricKind::Counted] {
            let finding = found(&[0.2], null, kind);
            assert_eq!(finding.certainty, Certainty::TooFew);
            assert!((finding.change.point - 0.2_f64.exp_m1()).abs() < 1e-12);
            assert_eq!(finding.change.low, -1.0);
            assert_eq!(finding.change.high, f64::INFINITY);
            assert_eq!(finding.null_change.is_none(), null.is_empty());
        }
    }
    assert_eq!(timed(&[0.1, 0.2], &[0.1]).certainty, Certainty::TooFew);
}

#[test]
fn nan_infinity_and_no_units_are_errors() {
    let rule = VerdictRule::default();
    let odd = Units {
        candidate: vec![0.0, 0.1],
        again: vec![0.1],
        null: vec![0.0, 0.1],
    };
    assert!(find(&odd, MetricKind::Timed, Better::Lower, &rule).is_err());
    for (candidate, null) in [
        (vec![], vec![0.0]),
        (vec![f64::NAN, 0.0], vec![0.0, 0.1]),
        (vec![0.0, 0.1], vec![f64::INFINITY, 0.1]),
    ] {
        let units = Units { candidate, null, ..Units::default() };
        assert!(
            find(&units, MetricKind::Timed, Better::Lower, &rule).is_err(),
            "{units:?}"
        );
    }
}

#[test]
fn extreme_units_have_finite_points() {
    let finding = timed(&[1400.0, 1401.0], &[5e-324, 0.0]);
    assert!(finding.change.point.is_finite());
    assert!(finding.change.low.is_finite());
    assert!(finding.null_p.is_some_and(f64::is_finite));
    assert!(finding.null_e.is_some_and(f64::is_finite));
}

proptest! {
    #[test]
    fn intervals_hold_their_points_and_swapping_sides_mirrors_them(
        candidate in proptest::collection::vec(-0.5..0.5_f64, 2..40),
        null in proptest::collection::vec(-0.5..0.5_f64, 2..40),
    ) {
        let there = timed(&candidate, &null);
        let mirrored: Vec<f64> = candidate.iter().map(|x| -x).collect();
        let back = timed(&mirrored, &null);
        for (a, b) in [
            (there.change, back.change),
            (there.change_any_time, back.change_any_time),
            (there.change_one_sided, back.change_one_sided),
        ] {
            prop_assert!(a.low <= a.point && a.point <= a.high);
            if a.high.is_finite() {
                let product = (1.0 + a.low) * (1.0 + b.high);
                prop_assert!((product - 1.0).abs() < 1e-6, "{}", product);
            }
        }
        prop_assert!((there.p.unwrap() - back.p.unwrap()).abs() < 1e-9);
        prop_assert!(
            there.detectable.power_80 <= there.detectable.power_95
        );
    }
}
