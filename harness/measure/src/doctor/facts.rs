//! What is looked at: the system's files, twice, and what was measured
//! between.

use std::collections::BTreeMap;

use assay_schema::{Reading, Seconds};

use super::{Files, Spread};
use crate::meter::quota::group_folders;
use crate::{
    Clock, FrequencyMeter, InstructionMeter, Meter, SystemClock, TimerReport,
    Window, timer_report,
};

/// Files whose absence is a finding too.
const FIXED: [&str; 18] = [
    "proc/cpuinfo",
    "proc/stat",
    "proc/loadavg",
    "proc/vmstat",
    "proc/meminfo",
    "proc/pressure/memory",
    "proc/self/cgroup",
    "proc/self/stat",
    "proc/sys/kernel/randomize_va_space",
    "proc/sys/kernel/perf_event_paranoid",
    "sys/kernel/mm/transparent_hugepage/enabled",
    "sys/devices/system/clocksource/clocksource0/current_clocksource",
    "sys/devices/system/cpu/smt/active",
    "sys/devices/system/cpu/intel_pstate/no_turbo",
    "sys/devices/system/cpu/cpufreq/boost",
    "sys/devices/system/cpu/online",
    "sys/hypervisor/type",
    "sys/class/dmi/id/product_name",
];

const PROCESSORS: &str = "sys/devices/system/cpu";

/// Files of each processor.
const OF_PROCESSOR: [&str; 7] = [
    "cpufreq/scaling_governor",
    "cpufreq/cpuinfo_min_freq",
    "cpufreq/cpuinfo_max_freq",
    "cpufreq/base_frequency",
    "topology/thread_siblings_list",
    "thermal_throttle/core_throttle_count",
    "thermal_throttle/package_throttle_count",
];

/// Files of a control group, versions 2 and 1.
const OF_GROUP: [&str; 4] =
    ["cpu.max", "cpu.stat", "cpu.cfs_quota_us", "cpu.cfs_period_us"];

/// The system's files at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    texts: BTreeMap<String, String>,
    problems: BTreeMap<String, String>,
}

impl Snapshot {
    /// Reads all that the checks look at.
    pub fn read(files: &dyn Files) -> Self {
        let mut snapshot = Self::default();
        for path in FIXED {
            match files.text(path) {
                Ok(text) => snapshot.keep(path.to_owned(), text),
                Err(why) => {
                    snapshot.problems.insert(path.to_owned(), why);
                }
            }
        }
        let mut wanted = Vec::new();
        for name in numbered(files, PROCESSORS, "cpu") {
            let folder = format!("{PROCESSORS}/{name}");
            wanted.extend(OF_PROCESSOR.map(|file| format!("{folder}/{file}")));
        }
        for name in numbered(files, "sys/class/thermal", "thermal_zone") {
            wanted.push(format!("sys/class/thermal/{name}/temp"));
        }
        for name in numbered(files, "proc", "") {
            wanted.push(format!("proc/{name}/stat"));
        }
        let groups = snapshot.text("proc/self/cgroup").unwrap_or_default();
        for folder in group_folders(groups) {
            wanted.extend(OF_GROUP.map(|file| format!("{folder}/{file}")));
        }
        for path in wanted {
            if let Ok(text) = files.text(&path) {
                snapshot.keep(path, text);
            }
        }
        snapshot
    }

    fn keep(&mut self, path: String, text: String) {
        self.texts.insert(path, text);
    }

    /// The text of a file.
    ///
    /// # Errors
    /// Why there is none, with its path.
    pub fn text(&self, path: &str) -> Result<&str, String> {
        self.texts.get(path).map(|text| text.trim_end()).ok_or_else(|| {
            let why = self.problems.get(path).map_or("not there", |why| why);
            format!("/{path}: {why}")
        })
    }

    /// A file's text as a number.
    pub(super) fn number(&self, path: &str) -> Result<f64, String> {
        let text = self.text(path)?;
        text.parse().map_err(|_| format!("/{path}: `{text}` is no number"))
    }

    /// Texts whose paths begin and end so, with their paths.
    pub(super) fn matching<'a>(
        &'a self,
        start: &'a str,
        end: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> + 'a {
        self.texts
            .iter()
            .filter(move |(path, _)| {
                path.starts_with(start) && path.ends_with(end)
            })
            .map(|(path, text)| (path.as_str(), text.trim_end()))
    }

    /// Whether nothing could be read.
    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }
}

/// Names that are `start` and a number.
fn numbered(files: &dyn Files, folder: &str, start: &str) -> Vec<String> {
    let is_number = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let mut names = files.names(folder);
    names.retain(|name| name.strip_prefix(start).is_some_and(is_number));
    names
}

/// All that the checks judge.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The files at first.
    pub before: Snapshot,
    /// The files after the loop.
    pub after: Snapshot,
    /// Time between the two.
    pub between: Seconds,
    /// Processors that this process may use.
    pub processors: usize,
    /// How the loop went; none where the clock is too coarse for it.
    pub spread: Option<Spread>,
    /// What the clock can do.
    pub timer: TimerReport,
    /// The clock frequency right after the loop, Hz, or why there is none.
    pub frequency: Reading,
    /// Instructions counted, or why there is no counter.
    pub counters: Reading,
    /// Whether this program was built without optimisation.
    pub debug_build: bool,
}

impl Facts {
    /// Time between the snapshots, never zero.
    pub(super) fn seconds(&self) -> f64 {
        self.between.0.max(1e-3)
    }
}

/// Looks at a machine; takes about 1.3 s, one processor of it busy.
pub fn observe(files: &dyn Files) -> Facts {
    let clock = SystemClock::detect();
    let timer = timer_report(&clock);
    let (mut frequency, mut counters) =
        (FrequencyMeter::new(), InstructionMeter::new());
    let before = Snapshot::read(files);
    let start = clock.now();
    counters.start();
    frequency.start();
    let spread = Spread::measure(&clock);
    frequency.stop();
    counters.stop();
    let between = clock.seconds(clock.now().saturating_sub(start));
    let after = Snapshot::read(files);
    Facts {
        before,
        after,
        between,
        processors: std::thread::available_parallelism()
            .map_or(1, std::num::NonZero::get),
        spread,
        timer,
        frequency: reading(&mut frequency),
        counters: reading(&mut counters),
        debug_build: cfg!(debug_assertions),
    }
}

/// A meter's first figure.
fn reading(meter: &mut dyn Meter) -> Reading {
    let window = Window { iterations: 1, ..Window::default() };
    let metric = meter.read(&window).metrics.into_iter().next();
    metric.map_or_else(
        || Reading::Unavailable("the meter said nothing".to_owned()),
        |metric| metric.reading,
    )
}
