//! The rule as a whole, on simulated comparisons: false alarms, power, and
//! equivalence shown where there is none.
//!
//! Three arms spread alike, so that the mean of B / A and B / A' spreads by
//! 2 %: far enough that the floor does not do all the work.

use assay_schema::{Better, Verdict};

use super::*;
use crate::simulated::normal;
use crate::{MetricKind, Units, find};

const SPREAD: f64 = 0.02;

/// A comparison of `n` units whose true change is `truth`, a logarithm.
fn units(seed: u64, n: usize, truth: f64, spread: f64) -> Units {
    // Three arms, so that the mean of B / A and B / A' spreads as asked.
    let arm = |stream: u64| {
        let spread = spread / 1.5_f64.sqrt();
        normal(4 * seed + stream, n).into_iter().map(move |x| spread * x)
    };
    Units {
        candidate: arm(1).zip(arm(0)).map(|(b, a)| truth + b - a).collect(),
        again: arm(1).zip(arm(2)).map(|(b, a)| truth + b - a).collect(),
        null: arm(2).zip(arm(0)).map(|(again, a)| again - a).collect(),
    }
}

fn finding(units: &Units, rule: &VerdictRule) -> Finding {
    find(units, MetricKind::Timed, Better::Lower, rule).unwrap()
}

fn verdict(units: &Units, rule: &VerdictRule) -> Verdict {
    judge(&[finding(units, rule)], rule)[0].verdict
}

fn is_call(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Faster | Verdict::Slower)
}

/// The share of `many` simulated comparisons that `holds`.
fn share(many: u64, holds: impl Fn(u64) -> bool) -> f64 {
    (0..many).filter(|&seed| holds(seed)).count() as f64 / many as f64
}

#[test]
fn identical_code_is_called_in_at_most_one_comparison_of_a_hundred() {
    let rule = VerdictRule::default();
    for n in [6, 20] {
        let called = share(6000, |seed| {
            is_call(verdict(&units(seed, n, 0.0, SPREAD), &rule))
        });
        assert!(called <= 0.01, "n = {n}: {called}");
        // The floor alone lets far more through.
        let beyond = share(2000, |seed| {
            let change = finding(&units(seed, n, 0.0, SPREAD), &rule).change;
            change.point.abs() > rule.floor
        });
        assert!(beyond > 0.02, "n = {n}: {beyond}");
    }
}

#[test]
fn suites_of_50_identical_rows_have_a_call_in_at_most_one_of_twenty() {
    let rule = VerdictRule::default();
    let any = share(300, |suite| {
        let rows: Vec<Finding> = (0..50)
            .map(|row| {
                let units = units(50 * suite + row, 20, 0.0, SPREAD);
                finding(&units, &rule)
            })
            .collect();
        judge(&rows, &rule).iter().any(|judged| is_call(judged.verdict))
    });
    assert!(any <= 0.05, "{any}");
}

#[test]
fn the_stated_detectable_change_is_detected_as_often_as_stated() {
    let rule = VerdictRule::default();
    // All is measured anew, the null arm too.
    let detected = |n: usize, of: fn(&DetectableChange) -> f64| {
        share(2000, |seed| {
            let stated = units(seed, n, 0.0, SPREAD);
            let change = of(&finding(&stated, &rule).detectable);
            let again = units(seed + 50_000, n, change.ln_1p(), SPREAD);
            verdict(&again, &rule) == Verdict::Slower
        })
    };
    for n in [12, 20, 40] {
        let power = detected(n, |change| change.power_80);
        assert!((0.75..=0.90).contains(&power), "n = {n}: {power}");
        let power = detected(n, |change| change.power_95);
        assert!((0.90..=0.99).contains(&power), "n = {n}: {power}");
    }
}

#[test]
fn a_change_at_the_border_is_shown_the_same_in_one_of_twenty() {
    let rule = VerdictRule::default();
    for truth in [0.01_f64, -0.01] {
        for spread in [0.005, SPREAD] {
            let same = share(3000, |seed| {
                let units = units(seed, 20, truth.ln_1p(), spread);
                verdict(&units, &rule) == Verdict::Same
            });
            // 0.05 exactly where the noise is small, so three standard
            // errors of this simulation above it.
            assert!(same <= 0.062, "{truth}, {spread}: {same}");
        }
    }
}

/// Whether `wanted` is ever the verdict of a comparison that looks after
/// every fourth unit up to 100 and stops there.
fn ever(
    seed: u64,
    truth: f64,
    rule: &VerdictRule,
    wanted: impl Fn(Verdict) -> bool,
) -> bool {
    let all = units(seed, 100, truth, SPREAD);
    (4..=100).step_by(4).any(|n| {
        let seen = Units {
            candidate: all.candidate[..n].to_vec(),
            again: all.again[..n].to_vec(),
            null: all.null[..n].to_vec(),
        };
        wanted(verdict(&seen, rule))
    })
}

#[test]
fn stopping_when_the_answer_is_seen_keeps_the_promises_of_any_time() {
    let rule = VerdictRule { any_time: true, ..VerdictRule::default() };
    let border = 0.01_f64.ln_1p();
    let same = share(400, |seed| {
        ever(seed, border, &rule, |verdict| verdict == Verdict::Same)
    });
    assert!(same <= 0.05, "{same}");
    let called = share(400, |seed| ever(seed, 0.0, &rule, is_call));
    assert!(called <= 0.01, "{called}");
    // And it does come to answers.
    let proved = share(100, |seed| {
        ever(seed, 0.0, &rule, |verdict| verdict == Verdict::Same)
    });
    assert!(proved > 0.5, "{proved}");
    let found = share(100, |seed| {
        ever(seed, 0.05, &rule, |verdict| verdict == Verdict::Slower)
    });
    assert!(found > 0.9, "{found}");
}

#[test]
fn stopping_when_the_answer_is_seen_breaks_the_promises_of_fixed_budget() {
    let rule = VerdictRule::default();
    let border = 0.01_f64.ln_1p();
    let same = share(300, |seed| {
        ever(seed, border, &rule, |verdict| verdict == Verdict::Same)
    });
    assert!(same > 0.07, "{same}");
}
