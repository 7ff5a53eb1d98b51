//! What the cores do by themselves: how fast, how evenly, with whom they
//! share.

use assay_schema::Reading;

use super::{counted, grown, measured, per_cent};
use crate::doctor::{Amount, Facts, Finding, Snapshot};

const CPU: &str = "sys/devices/system/cpu/cpu";
const NO_TURBO: &str = "sys/devices/system/cpu/intel_pstate/no_turbo";
const BOOST: &str = "sys/devices/system/cpu/cpufreq/boost";
const SMT: &str = "sys/devices/system/cpu/smt/active";

/// A sample in a hundred may be this much longer than the median.
const EVEN: f64 = 0.05;

/// Interruptions may take this share of the time.
const UNDISTURBED: f64 = 0.01;

/// The core may slow down by this much.
const STEADY: f64 = 0.01;

/// A zone that is hotter than this is about to throttle, Celsius.
const HOT: f64 = 90.0;

/// The loop's samples.
pub(super) fn spread(facts: &Facts) -> Finding {
    let check = "spread";
    let Some(spread) = &facts.spread else {
        let why = "the clock is too coarse for samples of 20 us";
        return Finding::unknown(check, why, "see `timer`");
    };
    let p99 = spread.p99_over_median - 1.0;
    let seen = format!(
        "a fixed loop of {:.1} us: one sample in a hundred {} over the \
         median, the longest gap {:.2} ms",
        spread.median.0 * 1e6,
        per_cent(p99),
        spread.largest_gap.0 * 1e3
    );
    if p99 <= EVEN && spread.interrupted <= UNDISTURBED {
        return Finding::good(check, seen);
    }
    Finding::matters(
        check,
        seen,
        measured(spread.interrupted, "of the time lost to interruptions"),
        "look at steal, quota and load for who interrupts; give comparisons \
         a longer budget",
    )
}

/// Whether the core keeps its speed.
pub(super) fn frequency(facts: &Facts) -> Finding {
    let check = "frequency";
    let Some(spread) = &facts.spread else {
        let why = "the clock is too coarse to see it";
        return Finding::unknown(check, why, "see `timer`");
    };
    let reading = match &facts.frequency {
        Reading::Value(hertz) => format!("{:.2} GHz after it", hertz * 1e-9),
        Reading::Unavailable(why) => format!("no reading: {why}"),
    };
    if spread.drift <= STEADY {
        let seen = format!(
            "the loop kept its speed to within {} ({reading})",
            per_cent(spread.drift)
        );
        return Finding::good(check, seen);
    }
    Finding::matters(
        check,
        format!("the loop did not keep its speed ({reading})"),
        measured(spread.drift, "between the fastest and the slowest stretch"),
        "see governor, turbo, smt and thermal; pin the frequency where you \
         may, compare in interleaved blocks where not",
    )
}

/// Who sets the frequency.
pub(super) fn governor(facts: &Facts) -> Finding {
    let check = "governor";
    let governors: Vec<&str> = facts
        .before
        .matching(CPU, "/cpufreq/scaling_governor")
        .map(|(_, governor)| governor)
        .collect();
    if governors.is_empty() {
        let why = "no cpufreq below /sys (virtual machines rarely have it)";
        return Finding::unknown(check, why, "see `frequency`");
    }
    let others: Vec<&str> =
        governors.iter().copied().filter(|g| *g != "performance").collect();
    let of = counted(governors.len(), "processor");
    let Some(other) = others.first() else {
        return Finding::good(check, format!("performance on {of}"));
    };
    Finding::matters(
        check,
        format!("{other} on {} of {of}", others.len()),
        range(facts, "cpuinfo_min_freq", "cpuinfo_max_freq"),
        "sudo cpupower frequency-set --governor performance",
    )
}

/// How far two frequencies of one processor are apart, at most.
fn range(facts: &Facts, low: &str, high: &str) -> Amount {
    let kilohertz = |name: &str| {
        let path = format!("{CPU}0/cpufreq/{name}");
        facts.before.number(&path)
    };
    match (kilohertz(low), kilohertz(high)) {
        (Ok(low), Ok(high)) if low > 0.0 && low < high => Amount::AtMost {
            fraction: 1.0 - low / high,
            source: format!(
                "{:.1} to {:.1} GHz by cpufreq",
                low * 1e-6,
                high * 1e-6
            ),
        },
        _ => Amount::NotMeasured,
    }
}

/// Frequencies above the base one, as heat and other cores allow.
pub(super) fn turbo(facts: &Facts) -> Finding {
    let check = "turbo";
    let switches = [(NO_TURBO, "0", "1"), (BOOST, "1", "0")];
    let found = switches.into_iter().find_map(|(path, on, off)| {
        let text = facts.before.text(path).ok()?;
        Some((path, text == on, off))
    });
    match found {
        None => Finding::unknown(
            check,
            "neither intel_pstate/no_turbo nor cpufreq/boost below /sys",
            "see `frequency`",
        ),
        Some((_, false, _)) => Finding::good(check, "off"),
        Some((path, true, off)) => Finding::matters(
            check,
            "on: the frequency depends on heat and on other cores",
            range(facts, "base_frequency", "cpuinfo_max_freq"),
            format!(
                "echo {off} | sudo tee /{path}; or leave it on and compare \
                 in interleaved blocks"
            ),
        ),
    }
}

/// Two threads on one core.
pub(super) fn smt(facts: &Facts) -> Finding {
    let check = "smt";
    let has_sibling = |(_, list): (&str, &str)| list.contains([',', '-']);
    let mut siblings =
        facts.before.matching(CPU, "/topology/thread_siblings_list").peekable();
    let active = match facts.before.text(SMT) {
        Ok(text) => text == "1",
        Err(why) if siblings.peek().is_none() => {
            return Finding::unknown(check, why, "");
        }
        Err(_) => siblings.any(has_sibling),
    };
    if !active {
        return Finding::good(check, "no core runs two threads");
    }
    Finding::matters(
        check,
        "cores run two threads each: a busy sibling takes its share of the core",
        Amount::NotMeasured,
        "use one thread a core (`lscpu --extended` shows the pairs; taskset), \
         or echo off | sudo tee /sys/devices/system/cpu/smt/control",
    )
}

/// Heat.
pub(super) fn thermal(facts: &Facts) -> Finding {
    let check = "thermal";
    let throttles = |snapshot: &Snapshot| -> Result<f64, String> {
        let counts: Vec<f64> = snapshot
            .matching(CPU, "_throttle_count")
            .filter_map(|(_, count)| count.parse().ok())
            .collect();
        if counts.is_empty() {
            return Err("no thermal_throttle below /sys".to_owned());
        }
        Ok(counts.iter().sum())
    };
    let hottest = facts
        .after
        .matching("sys/class/thermal/", "/temp")
        .filter_map(|(_, millicelsius)| millicelsius.parse::<f64>().ok())
        .reduce(f64::max)
        .map(|millicelsius| millicelsius / 1e3);
    let zone = hottest.map_or("no temperature".to_owned(), |celsius| {
        format!("the hottest zone {celsius:.0} C")
    });
    let advice = "let it cool; better cooling, fewer cores, or turbo off";
    let count = throttles(&facts.after);
    match (grown(facts, throttles), count) {
        (Ok(new), _) if new > 0.0 => Finding::matters(
            check,
            format!("throttled {new:.0} times while this looked, {zone}"),
            Amount::NotMeasured,
            advice,
        ),
        (_, _) if hottest.is_some_and(|celsius| celsius >= HOT) => {
            Finding::matters(check, zone, Amount::NotMeasured, advice)
        }
        (Ok(_), Ok(count)) => Finding::good(
            check,
            format!(
                "not throttled while this looked, {count:.0} times since the \
                 start, {zone}"
            ),
        ),
        _ if hottest.is_some() => Finding::good(check, zone),
        (Err(why), _) | (_, Err(why)) => Finding::unknown(
            check,
            format!("{why}, and no thermal zone"),
            "see `frequency`",
        ),
    }
}
