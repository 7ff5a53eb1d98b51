//! Every rule, with what it says and when it is silent.

use super::*;

fn moved(time: f64, beside: &[(&str, f64, f64)]) -> Moved {
    let beside = beside
        .iter()
        .map(|&(name, baseline, candidate)| {
            (name.to_owned(), Pair { baseline, candidate })
        })
        .collect();
    Moved { time, beside, ..Moved::default() }
}

fn only(time: f64, beside: &[(&str, f64, f64)]) -> String {
    let found = reasons(&moved(time, beside));
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].clone()
}

#[test]
fn a_lower_clock_is_told_from_code() {
    insta::assert_snapshot!(
        only(0.04, &[
            ("instructions", 1e6, 1e6),
            ("cpu_frequency", 3.0e9, 2.88e9),
        ]),
        @"time +4.0 %, instructions 0.0 %, clock -4.0 %: frequency, not code"
    );
    // Cycles that stay while time grows are the same finding, but for the
    // kernel's share, which they do not hold.
    insta::assert_snapshot!(
        only(0.04, &[("instructions", 1e6, 1e6), ("cycles", 2e6, 2e6)]),
        @"time +4.0 %, instructions 0.0 %, clock -3.8 % by cycles over time: frequency or the kernel, not code"
    );
}

#[test]
fn instructions_that_moved_with_time_are_work() {
    insta::assert_snapshot!(
        only(0.04, &[("instructions", 1e6, 1.041e6)]),
        @"time +4.0 %, instructions +4.1 %: more work is done"
    );
    insta::assert_snapshot!(
        only(-0.5, &[("instructions", 1e6, 0.4e6)]),
        @"time -50.0 %, instructions -60.0 %: less work is done"
    );
    insta::assert_snapshot!(
        only(0.1, &[("instructions", 1e6, 1.04e6)]),
        @"time +10.0 %, instructions +4.0 %: the amount of work explains a part of it at most"
    );
}

#[test]
fn instructions_that_take_longer_are_told_by_cycles() {
    insta::assert_snapshot!(
        only(0.1, &[("instructions", 1e6, 1e6), ("cycles", 1e6, 1.1e6)]),
        @"time +10.0 %, instructions 0.0 %, cycles +10.0 %: the same work, each instruction takes longer (caches, branches, alignment)"
    );
    insta::assert_snapshot!(
        only(0.1, &[("instructions", 1e6, 1e6)]),
        @"time +10.0 %, instructions 0.0 %: the same work took longer; cycles are not counted here, so clock and caches cannot be told apart"
    );
}

#[test]
fn cycles_that_were_counted_and_stayed_are_not_called_uncounted() {
    insta::assert_snapshot!(
        only(0.1, &[
            ("instructions", 1e6, 1e6),
            ("cpu_frequency", 3e9, 3e9),
            ("cycles", 1e6, 1e6),
        ]),
        @"time +10.0 %, instructions 0.0 %, cycles 0.0 %: the same work took longer, but not in cycles of its own: the kernel, waiting or the clock"
    );
}

#[test]
fn processor_time_that_stays_is_waiting() {
    insta::assert_snapshot!(
        only(0.5, &[("cpu_time", 1.0, 1.01)]),
        @"time +50.0 %, processor time +1.0 %: it waits more (files, locks, other processes), it does not compute more"
    );
    assert!(reasons(&moved(0.5, &[("cpu_time", 1.0, 1.5)])).is_empty());
}

#[test]
fn counts_speak_when_they_moved_the_way_of_time() {
    insta::assert_snapshot!(
        only(0.2, &[("allocations", 100.0, 120.0)]),
        @"allocations +20.0 % (100 to 120)"
    );
    insta::assert_snapshot!(
        only(0.2, &[("allocations", 0.0, 3.0)]),
        @"allocations (0 to 3.00)"
    );
    insta::assert_snapshot!(
        only(0.2, &[("page_faults", 100.0, 400.0)]),
        @"page faults +300.0 % (100 to 400): memory is touched for the first time more often"
    );
    insta::assert_snapshot!(
        only(0.2, &[("context_switches_involuntary", 1.0, 9.0)]),
        @"involuntary context switches +800.0 % (1.00 to 9.00): the processor was shared with others"
    );
    for quiet in [
        ("allocations", 120.0, 100.0),
        ("allocations", 100.0, 100.0),
        ("page_faults", 100.0, 105.0),
        ("context_switches_involuntary", 9.0, 10.0),
    ] {
        assert!(reasons(&moved(0.2, &[quiet])).is_empty(), "{quiet:?}");
    }
}

#[test]
fn steal_moves_by_points() {
    insta::assert_snapshot!(
        only(0.1, &[("steal", 0.0, 0.05)]),
        @"steal +5.0 points (0.0 % to 5.0 %): the hypervisor gave the processor to others, not code"
    );
    assert!(reasons(&moved(0.1, &[("steal", 0.001, 0.004)])).is_empty());
}

#[test]
fn a_quota_that_held_back_is_named_in_processor_seconds() {
    insta::assert_snapshot!(
        only(0.3, &[("throttled", 0.0, 0.25)]),
        @"held back by the quota of its control group for +0.25 processor-seconds a second (0.00 to 0.25): the quota, not code"
    );
    // Four processors stopped for half of the time are no share of it.
    let four = only(0.3, &[("throttled", 0.0, 2.0)]);
    assert!(four.contains("+2.00 processor-seconds"), "{four}");
    assert!(reasons(&moved(0.3, &[("throttled", 0.25, 0.0)])).is_empty());
}

#[test]
fn steal_that_all_arms_shared_is_said_to_be_no_reason() {
    let shared = |share| {
        let shared_steal = Some(share);
        reasons(&Moved { time: 0.1, shared_steal, ..Moved::default() })
    };
    insta::assert_snapshot!(
        shared(0.08)[0],
        @"the hypervisor took 8.0 % of the processor time while the arms took turns: all of them alike, so it is no reason for a difference (it widens the interval)"
    );
    assert!(shared(0.004).is_empty());
}

#[test]
fn misses_of_caches_and_branches_are_told_from_the_code_path() {
    insta::assert_snapshot!(
        only(0.04, &[
            ("instructions", 1e6, 1e6),
            ("cache_misses", 1000.0, 1300.0),
        ]),
        @"time +4.0 %, instructions 0.0 %, cache misses +30.0 %: memory, not code path"
    );
    insta::assert_snapshot!(
        only(0.04, &[
            ("instructions", 1e6, 1e6),
            ("branch_misses", 1000.0, 1500.0),
        ]),
        @"time +4.0 %, instructions 0.0 %, branch misses +50.0 %: branches predicted otherwise, not more or less work"
    );
    insta::assert_snapshot!(
        only(-0.2, &[
            ("instructions", 1e6, 1e6),
            ("cache_misses", 1000.0, 500.0),
            ("branch_misses", 1000.0, 500.0),
        ]),
        @"time -20.0 %, instructions 0.0 %, cache misses -50.0 %, branch misses -50.0 %: memory and branches"
    );
}

#[test]
fn simulated_misses_are_called_simulated() {
    insta::assert_snapshot!(
        only(0.5, &[
            ("instructions", 1e6, 1e6),
            (CACHE_MISSES_SIMULATED, 1000.0, 9000.0),
        ]),
        @"time +50.0 %, instructions 0.0 %, simulated cache misses +800.0 %: memory, not code path"
    );
}

#[test]
fn misses_too_few_to_cost_what_time_moved_by_are_no_reason() {
    let of = |seconds| {
        let beside = [("instructions", 1e6, 1e6), ("cache_misses", 10.0, 20.0)];
        let seconds = Some(seconds);
        reasons(&Moved { seconds, ..moved(0.04, &beside) })[0].clone()
    };
    // 10 misses cost 2 us at most; 4 % are 0.4 us of 10 us, 40 us of 1 ms.
    assert!(of(10e-6).contains("cache misses +100.0 %"), "{}", of(10e-6));
    assert!(!of(1e-3).contains("cache misses"), "{}", of(1e-3));
    // Misses that moved by less than a tenth, or against time, say nothing.
    for candidate in [1020.0, 700.0] {
        let quiet = ("cache_misses", 1000.0, candidate);
        assert!(reasons(&moved(0.04, &[quiet])).is_empty());
    }
}

#[test]
fn the_clock_comes_before_misses_and_needs_no_count_of_instructions() {
    insta::assert_snapshot!(
        only(0.04, &[
            ("instructions", 1e6, 1e6),
            ("cpu_frequency", 3.0e9, 2.88e9),
            ("cache_misses", 1000.0, 1300.0),
        ]),
        @"time +4.0 %, instructions 0.0 %, clock -4.0 %: frequency, not code"
    );
    insta::assert_snapshot!(
        only(0.04, &[("cpu_frequency", 3.0e9, 2.88e9)]),
        @"time +4.0 %, clock -4.0 %: frequency, not code (instructions are not counted here)"
    );
    insta::assert_snapshot!(
        only(0.04, &[("cache_misses", 1000.0, 1300.0)]),
        @"time +4.0 %, cache misses +30.0 %: memory, not code path (instructions are not counted here)"
    );
    // Cycles alone are not set against an unknown amount of work.
    assert!(reasons(&moved(0.04, &[("cycles", 2e6, 2e6)])).is_empty());
}

#[test]
fn counters_that_took_turns_are_said_to_be_scaled() {
    insta::assert_snapshot!(
        only(0.1, &[("counters_ran", 0.62, 0.65)]),
        @"the processor's counters took turns and ran 62 % of the time: their counts are scaled up from that"
    );
}

#[test]
fn memory_that_moved_far_is_said_either_way() {
    insta::assert_snapshot!(
        only(0.1, &[("memory_peak", 1e6, 0.5e6)]),
        @"memory at its peak -50.0 %"
    );
}

#[test]
fn modes_are_named_and_their_weight_compared() {
    let modes = |shares: [f64; 2]| {
        let [low, high] = shares;
        vec![Mode { at: 0.010, share: low }, Mode { at: 0.013, share: high }]
    };
    let both = |baseline, candidate| Moved {
        time: 0.1,
        modes: Some(ModesChange { baseline, candidate }),
        ..Moved::default()
    };
    insta::assert_snapshot!(
        reasons(&both(modes([0.8, 0.2]), modes([0.3, 0.7])))[0],
        @"the baseline has its modes at 0.0100 s (80 %), 0.0130 s (20 %), the candidate at 0.0100 s (30 %), 0.0130 s (70 %): the modes stay, their weight changed"
    );
    let one = vec![Mode { at: 0.010, share: 1.0 }];
    let sentence = &reasons(&both(one, modes([0.3, 0.7])))[0];
    assert!(sentence.ends_with("a mode came or went"), "{sentence}");
}

#[test]
fn a_time_above_the_ceiling_is_impossible() {
    let ceiling = Ceiling {
        flops_per_second: 1e11,
        what: "f32 arithmetic of host".to_owned(),
    };
    insta::assert_snapshot!(
        ceiling.refuses(1e9, 1e-3).unwrap(),
        @"impossible: 1.000e12 FLOP/s is above the 1.000e11 FLOP/s that this machine reached when it was probed (f32 arithmetic of host): work was skipped, or the clock is wrong"
    );
    assert_eq!(ceiling.refuses(1e9, 0.0095), None);
    assert_eq!(ceiling.refuses(0.0, 1.0), None);
    assert!(ceiling.refuses(1e9, 0.0).is_none(), "no time, no rate");
}
