//! The rule by example: every verdict, every reason.

use assay_schema::{Better, Verdict};

use super::*;
use crate::{Block, MetricKind, Units, find, units_of};

fn timed(candidate: &[f64], null: &[f64], rule: &VerdictRule) -> Finding {
    let units = Units {
        candidate: candidate.to_vec(),
        null: null.to_vec(),
        ..Units::default()
    };
    find(&units, MetricKind::Timed, Better::Lower, rule).unwrap()
}

fn alone(finding: Finding, rule: &VerdictRule) -> Judged {
    judge(&[finding], rule).remove(0)
}

/// Eight units around `mean`, none more than `spread` away.
fn around(mean: f64, spread: f64) -> Vec<f64> {
    [-1.0, 0.9, -0.5, 0.6, 0.2, -0.3, 0.8, -0.7]
        .map(|x| mean + spread * x)
        .to_vec()
}

fn close(found: f64, expected: f64, digits: i32) -> bool {
    (found - expected).abs() < 0.51 * 0.1_f64.powi(digits)
}

/// The worked example of METHODOLOGY.md, number for number.
#[test]
fn the_worked_example_comes_out_as_written() {
    let rule = VerdictRule::default();
    let block =
        |baseline, candidate, repeat| Block { baseline, candidate, repeat };
    // The first unit: four blocks in ms, the third hit by a burst.
    let first = units_of(&[vec![
        block(10.00, 10.31, 10.04),
        block(10.10, 10.37, 10.06),
        block(10.02, 14.00, 10.00),
        block(10.06, 10.39, 10.12),
    ]])
    .unwrap();
    assert!(close(first.candidate[0], 0.0314, 4), "{first:?}");
    assert!(close(first.again[0], 0.0284, 4), "{first:?}");
    assert!(close(first.null[0], 0.0010, 4), "{first:?}");

    let null = [0.0010, -0.0040, 0.0030, 0.0050, -0.0020, -0.0015];
    let parse =
        timed(&[0.0299, 0.0270, 0.0340, 0.0290, 0.0320, 0.0275], &null, &rule);
    let print = timed(
        &[0.0020, -0.0030, 0.0010, 0.0040, -0.0020, 0.0010],
        &null,
        &rule,
    );
    let sort =
        timed(&[0.0250, -0.0100, 0.0300, 0.0050, 0.0200, 0.0140], &null, &rule);

    let percent = |x: f64| 100.0 * x;
    assert!(close(percent(parse.change.point), 3.04, 2), "{parse:?}");
    assert!(close(percent(parse.change.low), 2.74, 2), "{parse:?}");
    assert!(close(percent(parse.change.high), 3.33, 2), "{parse:?}");
    assert!(close(percent(parse.change_any_time.low), 2.42, 2));
    assert!(close(percent(parse.change_any_time.high), 3.65, 2));
    assert!(close(1e6 * parse.p.unwrap(), 1.3, 1), "{parse:?}");
    assert!(close(parse.e.unwrap(), 115.2, 1), "{parse:?}");
    assert!(close(parse.null_p.unwrap(), 0.86, 2), "{parse:?}");
    assert!(close(parse.null_reach(&rule), 0.0038, 4), "{parse:?}");
    assert!(close(percent(parse.detectable.power_80), 1.10, 2), "{parse:?}");
    assert!(close(percent(parse.detectable.power_95), 1.22, 2), "{parse:?}");
    assert!(close(percent(print.change_one_sided.low), -0.16, 2));
    assert!(close(percent(print.change_one_sided.high), 0.26, 2));
    assert!(close(percent(sort.change.point), 1.41, 2), "{sort:?}");
    assert!(close(sort.p.unwrap(), 0.07, 2), "{sort:?}");

    let judged = judge(&[parse, print, sort], &rule);
    let verdicts: Vec<Verdict> =
        judged.iter().map(|judged| judged.verdict).collect();
    assert_eq!(verdicts, [Verdict::Slower, Verdict::Same, Verdict::Unclear]);
    assert!(close(1e6 * judged[0].p_adjusted.unwrap(), 3.8, 1));
    assert!(close(percent(judged[2].detectable.power_80), 3.6, 1));
    assert_eq!(
        judged[0].why,
        [
            "+3.0 % (+2.7 % to +3.3 %, 95 %): beyond the floor of 1 %, and \
             beyond the 0.38 % that the baseline shows against itself",
            "p < 0.0001, after correction for 3 rows < 0.0001",
        ]
    );
    assert_eq!(
        judged[1].why,
        [
            "+0.05 % (-0.16 % to +0.26 %, 90 %): shown to lie within 1 % to \
             either side",
            "a change of 1.1 % would have been called in 80 of 100 such \
             comparisons, one of 1.2 % in 95",
        ]
    );
    assert_eq!(
        judged[2].why,
        [
            "+1.4 % may be chance: p = 0.066, a call needs 0.01 or less",
            "not shown to lie within 1 % to either side: +0.20 % to +2.6 %, \
             90 %",
            "a change of 3.6 % would have been called in 80 of 100 such \
             comparisons, one of 5.0 % in 95",
        ]
    );
}

#[test]
fn a_baseline_that_differs_from_itself_makes_everything_unclear() {
    let rule = VerdictRule::default();
    let null = around(0.021, 0.002);
    for mean in [0.5, 0.0] {
        let judged = alone(timed(&around(mean, 0.002), &null, &rule), &rule);
        assert_eq!(judged.verdict, Verdict::Unclear);
        assert!(judged.null_called);
        assert_eq!(
            judged.why[0],
            "the baseline differs from itself by 2.1 % in the same blocks: \
             nothing can be called here"
        );
    }
}

#[test]
fn a_change_within_the_baselines_reach_is_not_called() {
    let rule = VerdictRule::default();
    let finding = timed(&around(0.03, 0.004), &around(0.0, 0.05), &rule);
    let judged = alone(finding, &rule);
    assert_eq!(judged.verdict, Verdict::Unclear);
    assert!(!judged.null_called);
    assert!(
        judged.why[0].ends_with("that the baseline shows against itself"),
        "{judged:?}"
    );
}

#[test]
fn a_certain_change_below_the_floor_is_the_same_or_unclear_never_a_call() {
    let rule = VerdictRule::default();
    let units = around(0.007, 0.0005);
    let judged = alone(timed(&units, &around(0.0, 0.0005), &rule), &rule);
    assert!(judged.p.unwrap() < 1e-6);
    assert_eq!(judged.verdict, Verdict::Same);
    let strict = VerdictRule { equivalence: 0.005, ..rule };
    let judged = alone(timed(&units, &around(0.0, 0.0005), &strict), &strict);
    assert_eq!(judged.verdict, Verdict::Unclear);
    assert!(
        judged.why[0].ends_with("is not beyond the floor of 1 %"),
        "{judged:?}"
    );
}

#[test]
fn a_call_wins_over_a_wide_equivalence() {
    let rule = VerdictRule { equivalence: 0.1, ..VerdictRule::default() };
    let finding = timed(&around(0.03, 0.002), &around(0.0, 0.002), &rule);
    assert_eq!(alone(finding, &rule).verdict, Verdict::Slower);
}

#[test]
fn the_better_way_decides_between_faster_and_slower() {
    let rule = VerdictRule::default();
    for (mean, better, expected) in [
        (0.03, Better::Lower, Verdict::Slower),
        (-0.03, Better::Lower, Verdict::Faster),
        (0.03, Better::Higher, Verdict::Faster),
        (-0.03, Better::Higher, Verdict::Slower),
        (0.03, Better::Neither, Verdict::Unclear),
    ] {
        let units = Units {
            candidate: around(mean, 0.002),
            null: around(0.0, 0.002),
            ..Units::default()
        };
        let finding = find(&units, MetricKind::Timed, better, &rule).unwrap();
        let judged = alone(finding, &rule);
        assert_eq!(judged.verdict, expected, "{mean}, {better:?}");
        assert_eq!(judged.p.is_none(), better == Better::Neither);
    }
}

#[test]
fn a_large_suite_asks_for_more_of_a_lone_change() {
    let rule = VerdictRule::default();
    // p between 0.05 / 40 and 0.01.
    let weak = timed(&around(0.025, 0.026), &around(0.0, 0.01), &rule);
    let p = weak.p.unwrap();
    assert!(p > 0.002 && p < 0.01, "{p}");
    let mut rows = vec![weak.clone()];
    rows.extend(vec![timed(&around(0.0, 0.02), &around(0.0, 0.01), &rule); 39]);
    let among = judge(&rows, &rule).remove(0);
    let by_itself = alone(weak, &rule);
    assert_eq!(by_itself.verdict, Verdict::Slower);
    assert_eq!(among.verdict, Verdict::Unclear);
    assert!(among.why[0].contains("after correction for 40 rows"), "{among:?}");
    assert!(among.detectable.power_80 > by_itself.detectable.power_80);
    // Among rows that changed too, it is called.
    for row in &mut rows[1..] {
        *row = timed(&around(0.1, 0.01), &around(0.0, 0.01), &rule);
    }
    assert_eq!(judge(&rows, &rule)[0].verdict, Verdict::Slower);
}

#[test]
fn rows_without_a_p_take_no_place_in_the_suite() {
    let rule = VerdictRule::default();
    let sampled = timed(&around(0.03, 0.002), &around(0.0, 0.002), &rule);
    let single = timed(&[0.03], &[0.0], &rule);
    let judged = judge(&[single.clone(), sampled, single], &rule);
    assert_eq!(judged[1].p, judged[1].p_adjusted);
    assert_eq!(judged[0].p_adjusted, None);
    assert_eq!(
        judged[0].why,
        ["1 unit of the candidate and 1 of the baseline against itself: an \
          interval needs two of each"]
    );
    assert_eq!(judged[0].verdict, Verdict::Unclear);
}

#[test]
fn a_coarse_clock_is_unclear_and_says_so() {
    let rule = VerdictRule::default();
    let judged = alone(timed(&[0.5; 6], &[0.0; 6], &rule), &rule);
    assert_eq!(judged.verdict, Verdict::Unclear);
    assert!(judged.why[0].contains("clock is too coarse"), "{judged:?}");
}

#[test]
fn counts_that_agree_are_judged_by_the_floor_alone() {
    let rule = VerdictRule::default();
    for (candidate, null, expected) in [
        (102.0, 100.0, Verdict::Slower),
        (98.0, 100.0, Verdict::Faster),
        (101.0, 100.0, Verdict::Same),
        (100.0, 100.0, Verdict::Same),
        (150.0, 103.0, Verdict::Unclear),
    ] {
        let block = Block { baseline: 100.0, candidate, repeat: null };
        // Groups of different length must still agree exactly.
        let groups: Vec<Vec<Block>> = (1..8).map(|n| vec![block; n]).collect();
        let units = units_of(&groups).unwrap();
        let finding =
            find(&units, MetricKind::Counted, Better::Lower, &rule).unwrap();
        assert_eq!(finding.certainty, Certainty::Exact);
        let judged = alone(finding, &rule);
        assert_eq!(judged.verdict, expected, "{candidate}: {judged:?}");
    }
}

#[test]
fn any_time_uses_e_values_and_their_intervals() {
    let rule = VerdictRule { any_time: true, ..VerdictRule::default() };
    let eight = timed(&around(0.03, 0.004), &around(0.0, 0.004), &rule);
    let judged = alone(eight.clone(), &rule);
    assert_eq!(judged.verdict, Verdict::Slower);
    assert!((judged.p.unwrap() * eight.e.unwrap() - 1.0).abs() < 1e-9);
    // Four units cannot bound anything yet at 1 %, however clear.
    let four = timed(
        &[0.500, 0.501, 0.499, 0.5],
        &[0.001, -0.001, 0.0, 0.0005],
        &rule,
    );
    let judged = alone(four.clone(), &rule);
    assert_eq!(judged.verdict, Verdict::Unclear);
    assert_eq!(judged.detectable.power_80, f64::INFINITY);
    let fixed = VerdictRule::default();
    assert_eq!(alone(four, &fixed).verdict, Verdict::Slower);
}

#[test]
fn a_rule_outside_its_range_is_an_error() {
    let good = VerdictRule::default();
    for bad in [
        VerdictRule { floor: -0.01, ..good },
        VerdictRule { floor: f64::NAN, ..good },
        VerdictRule { equivalence: 1.0, ..good },
        VerdictRule { confidence: 0.5, ..good },
        VerdictRule { call: 0.0, ..good },
        VerdictRule { false_discovery_rate: 1.0, ..good },
    ] {
        assert!(bad.check().is_err(), "{bad:?}");
        let units =
            Units { candidate: vec![0.1], null: vec![0.1], ..Units::default() };
        assert!(find(&units, MetricKind::Timed, Better::Lower, &bad).is_err());
    }
    let free = VerdictRule { floor: 0.0, equivalence: 0.0, ..good };
    assert!(free.check().is_ok());
}
