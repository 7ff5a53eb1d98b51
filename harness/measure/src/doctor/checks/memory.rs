//! Swap, memory pressure, huge pages.

use super::{grown, keyed, measured, per_cent};
use crate::doctor::{Amount, Facts, Finding, Snapshot};

/// Waiting for memory may take this share of the time.
const NO_WAIT: f64 = 0.001;

/// Memory on disk.
pub(super) fn swap(facts: &Facts) -> Finding {
    let check = "swap";
    let read = || -> Result<(f64, f64), String> {
        let text = facts.after.text("proc/meminfo")?;
        let of = |key: &str| {
            keyed(text, key).ok_or(format!("/proc/meminfo has no {key}"))
        };
        let used = of("SwapTotal")? - of("SwapFree")?;
        let moved = grown(facts, |snapshot: &Snapshot| {
            let text = snapshot.text("proc/vmstat")?;
            let of = |key: &str| {
                keyed(text, key).ok_or(format!("/proc/vmstat has no {key}"))
            };
            Ok(of("pswpin")? + of("pswpout")?)
        })?;
        Ok((used, moved))
    };
    let (used, moved) = match read() {
        Ok(read) => read,
        Err(why) => return Finding::unknown(check, why, ""),
    };
    let seen = format!(
        "{:.0} MB in use, {moved:.0} pages moved while this looked",
        used * 1024.0 / 1e6
    );
    if moved == 0.0 {
        return Finding::good(check, seen);
    }
    Finding::matters(
        check,
        seen,
        Amount::NotMeasured,
        "end what takes the memory, or sudo swapoff --all",
    )
}

/// Time that tasks waited for memory (pressure stall information).
pub(super) fn pressure(facts: &Facts) -> Finding {
    let check = "memory-pressure";
    let path = "proc/pressure/memory";
    let waited = grown(facts, |snapshot| {
        let text = snapshot.text(path)?;
        let line = text.lines().find(|line| line.starts_with("some "));
        let total = line.and_then(|line| line.rsplit_once("total="));
        total
            .and_then(|(_, microseconds)| microseconds.parse::<f64>().ok())
            .map(|microseconds| microseconds * 1e-6)
            .ok_or(format!("/{path} has no total"))
    });
    let share = match waited {
        Ok(waited) => waited / facts.seconds(),
        Err(why) => return Finding::unknown(check, why, ""),
    };
    if share <= NO_WAIT {
        let seen = format!("tasks waited {} of the time", per_cent(share));
        return Finding::good(check, seen);
    }
    Finding::matters(
        check,
        "tasks wait for memory",
        measured(share, "of the time waiting"),
        "end what takes the memory, or measure smaller cases",
    )
}

/// Pages of 2 MB that come and go by themselves.
pub(super) fn huge_pages(facts: &Facts) -> Finding {
    let check = "huge-pages";
    let path = "sys/kernel/mm/transparent_hugepage/enabled";
    let text = match facts.before.text(path) {
        Ok(text) => text,
        Err(why) => return Finding::unknown(check, why, ""),
    };
    let chosen = text
        .split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'))
        .map_or(text, |(chosen, _)| chosen);
    if chosen != "always" {
        return Finding::good(check, format!("{chosen}: only where asked for"));
    }
    Finding::matters(
        check,
        "always: the kernel makes pages huge when it finds the time, so that \
         two runs of a program may have different ones",
        Amount::NotMeasured,
        format!("echo madvise | sudo tee /{path}"),
    )
}
