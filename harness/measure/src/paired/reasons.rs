//! Reasons: what moved beside time, and what that says, by rule.
//!
//! Every rule looks at plain numbers and gives at most one sentence. "Moved
//! with time" means in the same direction by at least half as much;
//! "stayed" means by less than a quarter.

use std::collections::BTreeMap;

use assay_schema::{Mode, ModesChange};

/// A quantity on both sides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// Of the baseline.
    pub baseline: f64,
    /// Of the candidate.
    pub candidate: f64,
}

impl Pair {
    /// Candidate / baseline - 1; `None` where that has no meaning.
    fn change(self) -> Option<f64> {
        let ratio = self.candidate / self.baseline;
        (self.baseline > 0.0 && ratio.is_finite()).then_some(ratio - 1.0)
    }
}

/// What moved, time and all else.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moved {
    /// The change of time, candidate / baseline - 1.
    pub time: f64,
    /// Other quantities by name.
    pub beside: BTreeMap<String, Pair>,
    /// The modes of time, where either side has several.
    pub modes: Option<ModesChange>,
}

/// What a machine can do at most, as `assay probe` measured it.
#[derive(Clone, Debug, PartialEq)]
pub struct Ceiling {
    /// Floating-point operations a second.
    pub flops_per_second: f64,
    /// What it is, e.g. `f32 arithmetic of host`.
    pub what: String,
}

/// A probe measures what a good kernel reached, so that a better one may
/// pass it by a little.
const PROBE_SLACK: f64 = 1.15;

impl Ceiling {
    /// Why a time is impossible; `None` where it is not.
    pub fn refuses(&self, flops: f64, seconds: f64) -> Option<String> {
        let rate = flops / seconds;
        (rate.is_finite() && rate > PROBE_SLACK * self.flops_per_second).then(
            || {
                format!(
                    "impossible: {:.3e} FLOP/s is above the {:.3e} FLOP/s \
                     that this machine reached when it was probed ({}): work \
                     was skipped, or the clock is wrong",
                    rate, self.flops_per_second, self.what
                )
            },
        )
    }
}

/// The sentences, in a fixed order.
pub fn reasons(moved: &Moved) -> Vec<String> {
    [work, waiting, allocations, faults, switches, steal, memory, modes]
        .iter()
        .filter_map(|rule| rule(moved))
        .collect()
}

impl Moved {
    fn change(&self, name: &str) -> Option<f64> {
        self.beside.get(name).copied().and_then(Pair::change)
    }

    /// The first of these names that is there.
    fn any(&self, names: &[&'static str]) -> Option<(&'static str, Pair)> {
        names.iter().find_map(|name| Some((*name, *self.beside.get(*name)?)))
    }

    /// As measured, or cycles over time.
    fn clock(&self) -> Option<f64> {
        self.change("cpu_frequency").or_else(|| {
            let cycles = self.change("cycles")?;
            Some((1.0 + cycles) / (1.0 + self.time) - 1.0)
        })
    }

    fn with_time(&self, change: f64) -> bool {
        change * self.time > 0.0 && change.abs() >= self.time.abs() / 2.0
    }

    fn against_time(&self, change: f64) -> bool {
        self.with_time(-change)
    }

    fn stayed(&self, change: f64) -> bool {
        change.abs() < self.time.abs() / 4.0
    }
}

/// Instructions, cycles, clock.
fn work(moved: &Moved) -> Option<String> {
    let time = percent(moved.time);
    let instructions = moved.change("instructions")?;
    let counted =
        format!("time {time}, instructions {}", percent(instructions));
    if moved.with_time(instructions) {
        let amount = if moved.time > 0.0 { "more" } else { "less" };
        return Some(format!("{counted}: {amount} work is done"));
    }
    if !moved.stayed(instructions) {
        return Some(format!(
            "{counted}: the amount of work explains a part of it at most"
        ));
    }
    if let Some(clock) = moved.clock().filter(|&c| moved.against_time(c)) {
        return Some(format!(
            "{counted}, clock {}: frequency, not code",
            percent(clock)
        ));
    }
    let pace = if moved.time > 0.0 { "longer" } else { "less" };
    Some(match moved.change("cycles").filter(|&c| moved.with_time(c)) {
        Some(cycles) => format!(
            "{counted}, cycles {}: the same work, each instruction takes \
             {pace} (caches, branches, alignment)",
            percent(cycles)
        ),
        None => format!(
            "{counted}: the same work took {pace}; cycles are not counted \
             here, so clock and caches cannot be told apart"
        ),
    })
}

/// Processor time that did not follow.
fn waiting(moved: &Moved) -> Option<String> {
    let cpu = moved.change("cpu_time")?;
    let amount = if moved.time > 0.0 { "more" } else { "less" };
    moved.stayed(cpu).then(|| {
        format!(
            "time {}, processor time {}: it waits {amount} (files, locks, \
             other processes), it does not compute {amount}",
            percent(moved.time),
            percent(cpu),
        )
    })
}

fn allocations(moved: &Moved) -> Option<String> {
    let (_, pair) = moved.any(&["allocations"])?;
    counted(moved, "allocations", pair, 0.01, "")
}

fn faults(moved: &Moved) -> Option<String> {
    let (_, pair) = moved.any(&[
        "page_faults",
        "page_faults_minor",
        "page_faults_major",
    ])?;
    let why = ": memory is touched for the first time more often";
    let why = if moved.time > 0.0 { why } else { "" };
    counted(moved, "page faults", pair, 0.1, why)
}

fn switches(moved: &Moved) -> Option<String> {
    let (_, pair) =
        moved.any(&["context_switches_involuntary", "context_switches"])?;
    let why = ": the processor was shared with others";
    let why = if moved.time > 0.0 { why } else { "" };
    counted(moved, "involuntary context switches", pair, 0.5, why)
}

/// A count that moved in the direction of time, by `least` at least.
fn counted(
    moved: &Moved,
    words: &str,
    pair: Pair,
    least: f64,
    why: &str,
) -> Option<String> {
    let Pair { baseline, candidate } = pair;
    let same_way = (candidate - baseline) * moved.time > 0.0;
    let far = (candidate - baseline).abs() >= least * baseline.abs();
    let shown = match pair.change() {
        Some(change) => format!("{words} {}", percent(change)),
        None => words.to_owned(),
    };
    (same_way && far).then(|| {
        format!("{shown} ({} to {}){why}", short(baseline), short(candidate))
    })
}

/// Steal is a share: it moves by points, not by parts.
fn steal(moved: &Moved) -> Option<String> {
    let pair = moved.beside.get("steal")?;
    let grown = pair.candidate - pair.baseline;
    (grown.abs() >= 0.01 && grown * moved.time > 0.0).then(|| {
        format!(
            "steal {:.1} % to {:.1} %: the hypervisor gave the processor to \
             others, not code",
            pair.baseline * 100.0,
            pair.candidate * 100.0
        )
    })
}

fn memory(moved: &Moved) -> Option<String> {
    let change = moved.change("memory_peak")?;
    (change.abs() >= 0.05)
        .then(|| format!("memory at its peak {}", percent(change)))
}

/// Modes that came, went, or changed weight.
fn modes(moved: &Moved) -> Option<String> {
    let modes = moved.modes.as_ref()?;
    let listed = |modes: &[Mode]| {
        modes
            .iter()
            .map(|mode| {
                format!("{} s ({:.0} %)", short(mode.at), mode.share * 100.0)
            })
            .collect::<Vec<_>>()
            .join(", ")
    };
    let (a, b) = (&modes.baseline, &modes.candidate);
    let shown = format!(
        "the baseline has its modes at {}, the candidate at {}",
        listed(a),
        listed(b)
    );
    if a.len() != b.len() {
        return Some(format!("{shown}: a mode came or went"));
    }
    let near = a.iter().zip(b).all(|(a, b)| (b.at / a.at - 1.0).abs() < 0.02);
    let shifted = a.iter().zip(b).any(|(a, b)| (b.share - a.share).abs() > 0.2);
    Some(if near && shifted {
        format!("{shown}: the modes stay, their weight changed")
    } else {
        shown
    })
}

/// `+4.0 %`.
fn percent(change: f64) -> String {
    // Not "-0.0 %".
    let percent = (change * 1000.0).round() / 10.0 + 0.0;
    if percent == 0.0 { "0.0 %".to_owned() } else { format!("{percent:+.1} %") }
}

/// Three significant digits.
pub(crate) fn short(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude == 0.0 || (0.01..1e6).contains(&magnitude) {
        let digits = match magnitude {
            m if m >= 100.0 || m == 0.0 => 0,
            m if m >= 10.0 => 1,
            m if m >= 1.0 => 2,
            _ => 4,
        };
        format!("{value:.digits$}")
    } else {
        format!("{value:.2e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(time: f64, beside: &[(&str, f64, f64)]) -> Moved {
        let beside = beside
            .iter()
            .map(|&(name, baseline, candidate)| {
                (name.to_owned(), Pair { baseline, candidate })
            })
            .collect();
        Moved { time, beside, modes: None }
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
        // Cycles that stay while time grows are the same finding.
        insta::assert_snapshot!(
            only(0.04, &[("instructions", 1e6, 1e6), ("cycles", 2e6, 2e6)]),
            @"time +4.0 %, instructions 0.0 %, clock -3.8 %: frequency, not code"
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
            @"steal 0.0 % to 5.0 %: the hypervisor gave the processor to others, not code"
        );
        assert!(reasons(&moved(0.1, &[("steal", 0.001, 0.004)])).is_empty());
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
            vec![
                Mode { at: 0.010, share: low },
                Mode { at: 0.013, share: high },
            ]
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
}
