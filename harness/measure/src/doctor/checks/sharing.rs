//! What others take: the hypervisor's other guests, the container's quota,
//! other processes.

use std::collections::BTreeMap;

use super::{counted, grown, measured, per_cent};
use crate::doctor::{Amount, Facts, Finding, Snapshot};
use crate::host;
use crate::meter::quota::held_back;
use crate::meter::steal::{Jiffies, NOTEWORTHY, parse};

const PROC_STAT: &str = "proc/stat";

/// Other processes may take this much of one processor.
const QUIET: f64 = 0.05;

fn jiffies(snapshot: &Snapshot) -> Result<Jiffies, String> {
    parse(snapshot.text(PROC_STAT)?)
        .ok_or_else(|| format!("/{PROC_STAT} has no steal column"))
}

/// Ticks between the snapshots, all processors.
fn window(facts: &Facts) -> Result<Jiffies, String> {
    let (then, now) = (jiffies(&facts.before)?, jiffies(&facts.after)?);
    let window = Jiffies {
        all: now.all - then.all,
        steal: now.steal - then.steal,
        idle: now.idle - then.idle,
    };
    if window.all <= 0.0 {
        return Err(format!("/{PROC_STAT} stood still"));
    }
    Ok(window)
}

/// Time that the hypervisor gave to other guests.
pub(super) fn steal(facts: &Facts) -> Finding {
    let check = "steal";
    let share = match window(facts) {
        Ok(window) => window.steal / window.all,
        Err(why) => return Finding::unknown(check, why, ""),
    };
    if share <= NOTEWORTHY {
        let seen = format!("{} of the processor time", per_cent(share));
        return Finding::good(check, seen);
    }
    Finding::matters(
        check,
        "the hypervisor runs other guests on these processors",
        measured(share, "of the processor time"),
        "compare in interleaved blocks only (`assay compare --exec` or \
         `--bench`), never with a stored baseline; or take a machine whose \
         processors are its own",
    )
}

/// A container's share of processors.
pub(super) fn quota(facts: &Facts) -> Finding {
    let check = "quota";
    let groups: Vec<f64> = quotas(&facts.before);
    let any = facts.before.text("proc/self/cgroup").is_ok();
    let Some(quota) = groups.into_iter().reduce(f64::min) else {
        return if any {
            Finding::good(check, "no control group limits processor time")
        } else {
            let why = "/proc/self/cgroup cannot be read";
            Finding::unknown(check, why, "")
        };
    };
    let of = counted(facts.processors, "processor");
    let seen = format!("a quota of {quota:.2} of {of}");
    let throttled = throttled(facts);
    if throttled > 0.0 {
        return Finding::matters(
            check,
            format!("{seen}; stopped while this looked"),
            measured(throttled, "of a processor's time stopped, all added up"),
            "give the container more processor time, or nothing at all to \
             measure with: a stop hits one sample and not the next",
        );
    }
    if quota >= facts.processors as f64 {
        return Finding::good(check, format!("{seen}; never stopped"));
    }
    Finding::matters(
        check,
        format!("{seen}; one thread alone was not stopped"),
        Amount::NotMeasured,
        format!(
            "use no more threads than the quota has processors \
             (RAYON_NUM_THREADS={}), or lift it",
            (quota.floor() as usize).max(1)
        ),
    )
}

/// Quotas of all control groups, in processors. Version 2 has `max 100000` or
/// two numbers, version 1 a quota of -1 for none.
fn quotas(snapshot: &Snapshot) -> Vec<f64> {
    let ratio = |quota: &str, period: &str| {
        let (quota, period): (f64, f64) =
            (quota.parse().ok()?, period.parse().ok()?);
        (quota > 0.0 && period > 0.0).then_some(quota / period)
    };
    let version_2 = snapshot.matching("sys/fs/cgroup", "/cpu.max").filter_map(
        |(_, text)| {
            let (quota, period) = text.split_once(' ')?;
            ratio(quota, period)
        },
    );
    let version_1 = snapshot
        .matching("sys/fs/cgroup", "/cpu.cfs_quota_us")
        .filter_map(|(path, quota)| {
            let period = path.replace("cfs_quota_us", "cfs_period_us");
            ratio(quota, snapshot.text(&period).ok()?)
        });
    version_2.chain(version_1).collect()
}

/// Processor-seconds a second that a group was stopped for, of the one that
/// was stopped most: the kernel adds up processors, so it may exceed 1.
fn throttled(facts: &Facts) -> f64 {
    facts
        .after
        .matching("sys/fs/cgroup", "/cpu.stat")
        .filter_map(|(path, now)| {
            let then = held_back(facts.before.text(path).ok()?)?;
            Some((held_back(now)? - then) / facts.seconds())
        })
        .fold(0.0, f64::max)
}

/// Other processes.
pub(super) fn load(facts: &Facts) -> Finding {
    let check = "load";
    let average = |text: &str| {
        let first = text.split(' ').next().unwrap_or_default();
        format!("load average {first}")
    };
    let average = facts.after.text("proc/loadavg").map(average);
    let (window, own) = match (window(facts), own(facts)) {
        (Ok(window), Ok(own)) => (window, own),
        (Err(why), _) | (_, Err(why)) => {
            return Finding::unknown(check, why, "");
        }
    };
    let busy = window.all - window.idle - window.steal;
    let share = ((busy - own) / window.all).max(0.0);
    let processors = share * machine_processors(facts);
    let mut seen = format!("others used {processors:.2} processors");
    let top = top(facts, window.all);
    if !top.is_empty() {
        seen.push_str(&format!(" ({})", top.join(", ")));
    }
    if let Ok(average) = average {
        seen.push_str(&format!(", {average}"));
    }
    if processors <= QUIET {
        return Finding::good(check, seen);
    }
    Finding::matters(
        check,
        seen,
        measured(share, "of all processor time"),
        "end them or wait; measure on as many threads as are left over",
    )
}

/// Processors of the machine: `cpu0`, `cpu1`, ... of `/proc/stat`.
fn machine_processors(facts: &Facts) -> f64 {
    let text = facts.after.text(PROC_STAT).unwrap_or_default();
    let lines = text.lines().filter(|line| {
        line.strip_prefix("cpu")
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    });
    lines.count().max(1) as f64
}

/// Ticks of this process between the snapshots.
fn own(facts: &Facts) -> Result<f64, String> {
    let path = "proc/self/stat";
    grown(facts, |snapshot| {
        let process = process(snapshot.text(path)?);
        Ok(process.ok_or(format!("/{path} is not as proc(5) says"))?.ticks)
    })
}

/// The processes that used most, other than this one, with their share of one
/// processor.
fn top(facts: &Facts, all: f64) -> Vec<String> {
    const MOST: usize = 3;
    let of = |snapshot: &Snapshot| -> BTreeMap<u64, Process> {
        let stats = snapshot.matching("proc/", "/stat");
        stats
            .filter(|(path, _)| *path != "proc/self/stat")
            .filter_map(|(_, text)| process(text))
            .map(|process| (process.id, process))
            .collect()
    };
    let own = facts.after.text("proc/self/stat").ok().and_then(process);
    let own = own.map(|process| process.id);
    let before = of(&facts.before);
    let mut used: Vec<(f64, String)> = of(&facts.after)
        .into_values()
        .filter(|process| Some(process.id) != own)
        .map(|process| {
            let then = before.get(&process.id).map_or(0.0, |then| then.ticks);
            (process.ticks - then, process.name)
        })
        .filter(|(ticks, _)| *ticks > 0.0)
        .collect();
    used.sort_by(|a, b| b.0.total_cmp(&a.0));
    let processors = machine_processors(facts);
    used.into_iter()
        .take(MOST)
        .map(|(ticks, name)| format!("{name} {:.2}", ticks / all * processors))
        .collect()
}

struct Process {
    id: u64,
    name: String,
    /// User and system time.
    ticks: f64,
}

/// A line of `/proc/[pid]/stat`: `pid (name) state ...`, where a name may
/// hold blanks and brackets; `utime` and `stime` are fields 14 and 15. A name
/// is its process's to choose and is shown without control characters.
fn process(text: &str) -> Option<Process> {
    let (id, rest) = text.split_once(" (")?;
    let (name, fields) = rest.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some(Process {
        id: id.parse().ok()?,
        name: name.replace(char::is_control, " "),
        ticks: ticks()? + ticks()?,
    })
}

/// A virtual machine.
pub(super) fn virtualisation(facts: &Facts) -> Finding {
    let check = "virtualisation";
    let cpuinfo = match facts.before.text("proc/cpuinfo") {
        Ok(cpuinfo) => cpuinfo,
        Err(why) => return Finding::unknown(check, why, ""),
    };
    if !cpuinfo.lines().any(|line| line.starts_with("flags")) {
        let why = "/proc/cpuinfo has no flags on this kind of processor";
        return Finding::unknown(check, why, "");
    }
    if !host::is_guest(cpuinfo) {
        return Finding::good(check, "no hypervisor");
    }
    let names = ["sys/hypervisor/type", "sys/class/dmi/id/product_name"];
    let name = names
        .iter()
        .find_map(|path| facts.before.text(path).ok())
        .map_or(String::new(), |name| format!(" ({name})"));
    Finding::matters(
        check,
        format!(
            "a virtual machine{name}: what its host does to it shows only as \
             steal and spread"
        ),
        Amount::NotMeasured,
        "trust interleaved comparisons, and times of one hour only",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_may_hold_brackets_and_blanks() {
        let line = "42 (a) b (c)) S 1 1 1 0 -1 0 0 0 0 0 30 12 0 0 20 0 1";
        let process = process(line).unwrap();
        assert_eq!((process.id, process.ticks), (42, 42.0));
        assert_eq!(process.name, "a) b (c)");
        let line = line.replace("a) b (c)", "a\u{1b}[2J\nb");
        assert_eq!(super::process(&line).unwrap().name, "a [2J b");
        assert!(super::process("42 (a) S 1").is_none());
        assert!(super::process("").is_none());
    }
}
