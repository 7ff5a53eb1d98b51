//! What a measuring program stands on: its clock, its counters, its build,
//! the layout of its memory.

use assay_schema::Reading;

use crate::doctor::{Amount, Facts, Finding};

/// A read of the clock may cost this much, seconds.
const CHEAP: f64 = 100e-9;

/// The clock may step by this much, seconds.
const FINE: f64 = 1e-6;

/// The clock.
pub(super) fn timer(facts: &Facts) -> Finding {
    let check = "timer";
    let timer = &facts.timer;
    let path =
        "sys/devices/system/clocksource/clocksource0/current_clocksource";
    let source = facts.before.text(path).unwrap_or("unknown");
    let (resolution, cost) = (timer.resolution.0, timer.read_cost.0);
    let seen = format!(
        "{}, steps of {:.0} ns, a read costs {:.0} ns; the kernel's own is \
         {source}",
        timer.clock,
        resolution * 1e9,
        cost * 1e9
    );
    if resolution <= FINE && cost <= CHEAP {
        return Finding::good(check, seen);
    }
    Finding::matters(
        check,
        seen,
        Amount::NotMeasured,
        "take samples of a hundred steps or more; choose a better source \
         (boot with clocksource=tsc) where the processor has one",
    )
}

/// Instructions and cycles.
pub(super) fn counters(facts: &Facts) -> Finding {
    let check = "counters";
    let path = "proc/sys/kernel/perf_event_paranoid";
    let why = match &facts.counters {
        Reading::Value(_) => {
            let level = facts.before.text(path).unwrap_or("absent");
            let seen = format!(
                "instructions and cycles are counted (perf_event_paranoid \
                 {level})"
            );
            return Finding::good(check, seen);
        }
        Reading::Unavailable(why) => why,
    };
    let forbidden = facts.before.number(path).is_ok_and(|level| level > 2.0);
    Finding::matters(
        check,
        format!("no instructions, no cycles: {why}"),
        Amount::NotMeasured,
        if forbidden {
            "sudo sysctl kernel.perf_event_paranoid=2"
        } else {
            "a slower row will lack its reason; count with `--instructions \
             callgrind` (package valgrind)"
        },
    )
}

/// Where a process's memory lies.
pub(super) fn address_layout(facts: &Facts) -> Finding {
    let check = "aslr";
    let path = "proc/sys/kernel/randomize_va_space";
    match facts.before.number(path) {
        Err(why) => Finding::unknown(check, why, ""),
        Ok(level) if level > 0.0 => Finding::good(
            check,
            "on: each process has a layout of its own, and fresh processes \
             average over layouts",
        ),
        Ok(_) => Finding::matters(
            check,
            "off: all processes share one layout, so that a difference may be \
             of layout and not of code",
            Amount::NotMeasured,
            format!("echo 2 | sudo tee /{path}"),
        ),
    }
}

/// This very program.
pub(super) fn build(facts: &Facts) -> Finding {
    let check = "build";
    if !facts.debug_build {
        return Finding::good(check, "this assay is a release build");
    }
    Finding::matters(
        check,
        "this assay is a debug build",
        Amount::NotMeasured,
        "cargo build --release",
    )
}
