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
    /// Seconds of the baseline, where they are known: what an event can cost
    /// at most is held against them.
    pub seconds: Option<f64>,
    /// Other quantities by name.
    pub beside: BTreeMap<String, Pair>,
    /// The modes of time, where either side has several.
    pub modes: Option<ModesChange>,
    /// Steal while the arms took turns of less than a tick, as a share of
    /// processor time: it met all of them alike.
    pub shared_steal: Option<f64>,
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
    [
        work,
        waiting,
        allocations,
        faults,
        switches,
        steal,
        throttled,
        shared_steal,
        memory,
        modes,
        scaled,
    ]
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

    /// The clock's change and how it is known: measured, or cycles over time,
    /// which the kernel's share of the time moves too.
    fn clock(&self) -> Option<(f64, &'static str)> {
        let measured = self.change("cpu_frequency").map(|clock| (clock, ""));
        measured.or_else(|| {
            let cycles = self.change("cycles")?;
            let clock = (1.0 + cycles) / (1.0 + self.time) - 1.0;
            Some((clock, " by cycles over time"))
        })
    }

    /// A count of events that moved with time by a tenth or more, and could
    /// cost at least half of what time moved by.
    fn costly(&self, event: &Event) -> Option<f64> {
        let pair = *self.beside.get(event.name)?;
        let change = pair.change()?;
        let moved = (pair.candidate - pair.baseline).abs();
        let enough = self.seconds.is_none_or(|seconds| {
            moved * event.costs_at_most >= (self.time * seconds).abs() / 2.0
        });
        (self.with_time(change) && change.abs() >= LEAST_CHANGE && enough)
            .then_some(change)
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

/// Events that cost time without being work.
struct Event {
    /// The metric.
    name: &'static str,
    /// As a reader calls it.
    words: &'static str,
    /// What it comes to, where it moved.
    verdict: &'static str,
    /// Seconds of one, at most: a trip to another socket's memory; the refill
    /// of a deep pipeline at a low clock. Generous, so that only counts too
    /// small to matter are passed over.
    costs_at_most: f64,
}

const EVENTS: [Event; 4] = [
    Event {
        name: "cache_misses",
        words: "cache misses",
        verdict: "memory, not code path",
        costs_at_most: 200e-9,
    },
    Event {
        name: "branch_misses",
        words: "branch misses",
        verdict: "branches predicted otherwise, not more or less work",
        costs_at_most: 20e-9,
    },
    Event {
        name: CACHE_MISSES_SIMULATED,
        words: "simulated cache misses",
        verdict: "memory, not code path",
        costs_at_most: 200e-9,
    },
    Event {
        name: BRANCH_MISSES_SIMULATED,
        words: "simulated branch misses",
        verdict: "branches predicted otherwise, not more or less work",
        costs_at_most: 20e-9,
    },
];

/// Misses of the last level of callgrind's caches.
pub const CACHE_MISSES_SIMULATED: &str = "cache_misses_simulated";
/// Branches that callgrind's predictor got wrong.
pub const BRANCH_MISSES_SIMULATED: &str = "branch_misses_simulated";

/// Misses that move by less come and go with the addresses of a process.
const LEAST_CHANGE: f64 = 0.1;

/// Instructions, clock, misses, cycles.
fn work(moved: &Moved) -> Option<String> {
    let time = format!("time {}", percent(moved.time));
    let Some(instructions) = moved.change("instructions") else {
        return uncounted(moved, &time);
    };
    let counted = format!("{time}, instructions {}", percent(instructions));
    if moved.with_time(instructions) {
        let amount = if moved.time > 0.0 { "more" } else { "less" };
        return Some(format!("{counted}: {amount} work is done"));
    }
    if !moved.stayed(instructions) {
        return Some(format!(
            "{counted}: the amount of work explains a part of it at most"
        ));
    }
    if let Some(said) = frequency(moved).or_else(|| misses(moved)) {
        return Some(format!("{counted}, {said}"));
    }
    let pace = if moved.time > 0.0 { "longer" } else { "less" };
    Some(match moved.change("cycles") {
        Some(cycles) if moved.with_time(cycles) => format!(
            "{counted}, cycles {}: the same work, each instruction takes \
             {pace} (caches, branches, alignment)",
            percent(cycles)
        ),
        Some(cycles) => format!(
            "{counted}, cycles {}: the same work took {pace}, but not in \
             cycles of its own: the kernel, waiting or the clock",
            percent(cycles)
        ),
        None => format!(
            "{counted}: the same work took {pace}; cycles are not counted \
             here, so clock and caches cannot be told apart"
        ),
    })
}

/// What can be said without a count of instructions: only what was measured.
fn uncounted(moved: &Moved, time: &str) -> Option<String> {
    let clock = moved.change("cpu_frequency").and_then(|_| frequency(moved));
    let said = clock.or_else(|| misses(moved))?;
    Some(format!("{time}, {said} (instructions are not counted here)"))
}

fn frequency(moved: &Moved) -> Option<String> {
    let (clock, how) =
        moved.clock().filter(|(clock, _)| moved.against_time(*clock))?;
    let or_kernel = if how.is_empty() { "" } else { " or the kernel" };
    Some(format!(
        "clock {}{how}: frequency{or_kernel}, not code",
        percent(clock)
    ))
}

fn misses(moved: &Moved) -> Option<String> {
    let found: Vec<(&Event, f64)> = EVENTS
        .iter()
        .filter_map(|event| Some((event, moved.costly(event)?)))
        .collect();
    let (first, _) = found.first()?;
    let listed: Vec<String> = found
        .iter()
        .map(|(event, change)| format!("{} {}", event.words, percent(*change)))
        .collect();
    let alike = found.iter().all(|(event, _)| event.verdict == first.verdict);
    let verdict = if alike { first.verdict } else { "memory and branches" };
    Some(format!("{}: {verdict}", listed.join(", ")))
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
    let Pair { baseline, candidate } = by_a_point(moved, "steal")?;
    Some(format!(
        "steal {:+.1} points ({:.1} % to {:.1} %): the hypervisor gave the \
         processor to others, not code",
        (candidate - baseline) * 100.0,
        baseline * 100.0,
        candidate * 100.0
    ))
}

/// A quota of the control group: the kernel adds up the processors that it
/// stops, so this is no share of the time.
fn throttled(moved: &Moved) -> Option<String> {
    let pair = by_a_point(moved, "throttled")?;
    Some(format!(
        "held back by the quota of its control group for {:+.2} \
         processor-seconds a second ({:.2} to {:.2}): the quota, not code",
        pair.candidate - pair.baseline,
        pair.baseline,
        pair.candidate
    ))
}

/// What moved with time by 0.01 or more.
fn by_a_point(moved: &Moved, name: &str) -> Option<Pair> {
    let pair = *moved.beside.get(name)?;
    let grown = pair.candidate - pair.baseline;
    (grown.abs() >= 0.01 && grown * moved.time > 0.0).then_some(pair)
}

/// Turns shorter than a tick share what the hypervisor takes.
fn shared_steal(moved: &Moved) -> Option<String> {
    let steal = moved.shared_steal.filter(|&share| share >= 0.01)?;
    Some(format!(
        "the hypervisor took {:.1} % of the processor time while the arms \
         took turns: all of them alike, so it is no reason for a difference \
         (it widens the interval)",
        steal * 100.0
    ))
}

/// Counters that had to share the hardware.
fn scaled(moved: &Moved) -> Option<String> {
    let ran = moved.beside.get("counters_ran")?;
    let least = ran.baseline.min(ran.candidate);
    Some(format!(
        "the processor's counters took turns and ran {:.0} % of the time: \
         their counts are scaled up from that",
        least * 100.0
    ))
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
mod tests;
