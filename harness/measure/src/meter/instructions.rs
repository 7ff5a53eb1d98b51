//! Instructions, cycles, misses of caches and branches, through Linux's perf
//! events; user space only, as the kernel lets everyone count that. For a
//! comparison also the clock: all cycles, the kernel's too, over the time on a
//! processor, where the kernel lets one count those.
//!
//! Every thread that exists at the first start gets its own counters, which
//! threads made later inherit; they stay open, so that a window costs no
//! opening, and what a window counted is what they grew by. Counters that share
//! the hardware are scaled by the time that they ran, as `perf stat` does, and
//! it is said.

#[cfg(all(target_os = "linux", feature = "counters"))]
pub use linux::InstructionMeter;
#[cfg(not(all(target_os = "linux", feature = "counters")))]
pub use other::InstructionMeter;

const METRICS: [&str; 4] =
    ["instructions", "cycles", "cache_misses", "branch_misses"];

/// Below this share of the time a count is an estimate worth telling.
#[cfg(all(target_os = "linux", feature = "counters"))]
const RAN_ENOUGH: f64 = 0.99;

/// Instructions in which caches and branches cannot have missed nothing: in
/// their third of a second the scheduler's tick alone comes some hundred times.
#[cfg(any(all(target_os = "linux", feature = "counters"), test))]
const MANY: f64 = 1e9;

/// Why a count of nothing is no reading; `None` where it may be one.
#[cfg(any(all(target_os = "linux", feature = "counters"), test))]
fn no_reading(name: &str, instructions: f64) -> Option<String> {
    if name == "instructions" || name == "cycles" {
        // Whatever ran took some.
        return Some("none was counted, though code ran".to_owned());
    }
    (instructions >= MANY).then(|| {
        format!(
            "none was counted beside {instructions:.1e} instructions: this \
             processor (a virtual one?) does not count them"
        )
    })
}

/// What a counter read.
#[cfg(any(all(target_os = "linux", feature = "counters"), test))]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Count {
    events: u64,
    /// Nanoseconds that it was to count.
    enabled: u64,
    /// Nanoseconds that it did.
    running: u64,
}

#[cfg(any(all(target_os = "linux", feature = "counters"), test))]
impl Count {
    /// What it grew by since an earlier reading.
    fn since(self, then: Self) -> Self {
        Self {
            events: self.events.saturating_sub(then.events),
            enabled: self.enabled.saturating_sub(then.enabled),
            running: self.running.saturating_sub(then.running),
        }
    }
}

/// Events of all threads, scaled up to all the time, and the share of the
/// time that was counted. A thread whose counter never ran is taken to have
/// done in its time what the others did in theirs.
#[cfg(any(all(target_os = "linux", feature = "counters"), test))]
fn scaled(counts: &[Count]) -> Result<(f64, f64), String> {
    let sum = |of: fn(&Count) -> u64| counts.iter().map(of).sum::<u64>() as f64;
    let (enabled, running) = (sum(|c| c.enabled), sum(|c| c.running));
    if enabled <= 0.0 {
        return Err("nothing was run".to_owned());
    }
    if running <= 0.0 {
        return Err("the counters never ran: the processor lends them to \
                    something else"
            .to_owned());
    }
    let ran = || counts.iter().filter(|count| count.running > 0);
    let events: f64 = ran()
        .map(|count| {
            let share = count.enabled as f64 / count.running as f64;
            count.events as f64 * share
        })
        .sum();
    let seen = ran().map(|count| count.enabled).sum::<u64>() as f64;
    Ok((events * (enabled / seen), running / enabled))
}

#[cfg(all(target_os = "linux", feature = "counters"))]
mod linux {
    use std::path::Path;

    use assay_schema::{Better, Metric, Warning};
    use perf_event::events::{Hardware, Software};
    use perf_event::{Builder, Counter};

    use super::super::{Meter, Readout, Window, per_iteration};
    use super::{Count, METRICS, RAN_ENOUGH, no_reading, scaled};

    /// What is counted; the first ones in the order of [`METRICS`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Kind {
        Instructions,
        Cycles,
        CacheMisses,
        BranchMisses,
        /// The kernel's too.
        AllCycles,
        /// Nanoseconds on a processor.
        TaskClock,
    }

    const OF_METRICS: [Kind; METRICS.len()] = [
        Kind::Instructions,
        Kind::Cycles,
        Kind::CacheMisses,
        Kind::BranchMisses,
    ];
    const OF_CLOCK: [Kind; 2] = [Kind::AllCycles, Kind::TaskClock];

    /// A counter, and what it read when the last window ended.
    struct Open {
        counter: Counter,
        seen: Count,
    }

    /// One kind's counters, a thread each; or why there are none.
    struct Counters {
        kind: Kind,
        open: Result<Vec<Open>, String>,
    }

    /// Reads the processor's own counters.
    pub struct InstructionMeter {
        /// Opened at the first start, when the threads are there.
        counters: Vec<Counters>,
        with_clock: bool,
        /// A counter that was open failed: the next window opens all afresh.
        failed: bool,
    }

    impl InstructionMeter {
        /// A meter without counters yet.
        pub fn new() -> Self {
            Self { counters: Vec::new(), with_clock: false, failed: false }
        }

        /// With `cpu_frequency`, for where no
        /// [`FrequencyMeter`](crate::FrequencyMeter) reads it.
        pub fn with_clock() -> Self {
            Self { with_clock: true, ..Self::new() }
        }

        fn each(&mut self, act: impl Fn(&mut Counter) -> std::io::Result<()>) {
            for counters in &mut self.counters {
                let Ok(open) = &mut counters.open else { continue };
                let error =
                    open.iter_mut().find_map(|o| act(&mut o.counter).err());
                if let Some(error) = error {
                    counters.open = Err(format!("perf event: {error}"));
                    self.failed = true;
                }
            }
        }

        /// Events of the window, and the share of time counted.
        fn counted(&mut self, kind: Kind) -> Result<(f64, f64), String> {
            let counters = self
                .counters
                .iter_mut()
                .find(|counters| counters.kind == kind)
                .ok_or("nothing was run")?;
            let open = counters.open.as_mut().map_err(|why| why.clone())?;
            let counts: std::io::Result<Vec<Count>> =
                open.iter_mut().map(grown).collect();
            match counts {
                Ok(counts) => scaled(&counts),
                Err(error) => {
                    self.failed = true;
                    Err(format!("perf event: {error}"))
                }
            }
        }

        /// Hertz: all cycles over the time on a processor.
        fn clock(&mut self) -> Result<f64, String> {
            let (cycles, _) = self.counted(Kind::AllCycles)?;
            let (nanoseconds, _) = self.counted(Kind::TaskClock)?;
            let hertz = cycles / nanoseconds * 1e9;
            if hertz.is_finite() && hertz > 0.0 {
                Ok(hertz)
            } else {
                Err("no time on a processor was counted".to_owned())
            }
        }
    }

    /// What a counter counted since it was asked last.
    fn grown(open: &mut Open) -> std::io::Result<Count> {
        let read = open.counter.read_count_and_time()?;
        let now = Count {
            events: read.count,
            enabled: read.time_enabled,
            running: read.time_running,
        };
        Ok(now.since(std::mem::replace(&mut open.seen, now)))
    }

    impl Default for InstructionMeter {
        fn default() -> Self {
            Self::new()
        }
    }

    impl Meter for InstructionMeter {
        fn start(&mut self) {
            if self.counters.is_empty() {
                self.counters = open(self.with_clock);
            }
            self.each(Counter::enable);
        }

        fn stop(&mut self) {
            self.each(Counter::disable);
        }

        fn read(&mut self, window: &Window) -> Readout {
            let mut readout = Readout::default();
            let mut ran: f64 = 1.0;
            let mut instructions = 0.0;
            for (name, kind) in METRICS.into_iter().zip(OF_METRICS) {
                let counted = self.counted(kind).and_then(|(events, share)| {
                    let none = (events <= 0.0)
                        .then(|| no_reading(name, instructions))
                        .flatten();
                    none.map_or(Ok((events, share)), Err)
                });
                readout.metrics.push(match counted {
                    Ok((events, share)) => {
                        if kind == Kind::Instructions {
                            instructions = events;
                        }
                        ran = ran.min(share);
                        per_iteration(name, "1", events, window)
                    }
                    Err(why) => {
                        Metric::unavailable(name, "1", Better::Lower, why)
                    }
                });
            }
            if self.with_clock {
                let (name, unit) = ("cpu_frequency", "Hz");
                readout.metrics.push(match self.clock() {
                    Ok(hertz) => {
                        Metric::value(name, unit, Better::Neither, hertz)
                    }
                    Err(why) => {
                        Metric::unavailable(name, unit, Better::Neither, why)
                    }
                });
            }
            if ran < RAN_ENOUGH {
                let name = "counters_ran";
                readout.metrics.push(Metric::value(
                    name,
                    "1",
                    Better::Neither,
                    ran,
                ));
                readout.warnings.push(Warning {
                    kind: name.to_owned(),
                    message: format!(
                        "the processor has fewer counters than were asked \
                         for: they took turns and ran {:.0} % of the time, \
                         and counts are scaled up from that; end what else \
                         counts (another perf, the NMI watchdog)",
                        ran * 100.0
                    ),
                });
            }
            if std::mem::take(&mut self.failed) {
                self.counters.clear();
            }
            readout
        }
    }

    /// All counters. Where instructions are refused nothing else is tried.
    fn open(with_clock: bool) -> Vec<Counters> {
        let threads = match threads() {
            Ok(threads) => threads,
            Err(why) => return refused(&why),
        };
        let instructions = open_for(Kind::Instructions, &threads);
        if let Err(why) = &instructions {
            return refused(why);
        }
        let first = Counters { kind: Kind::Instructions, open: instructions };
        let clock = OF_CLOCK.into_iter().filter(|_| with_clock);
        std::iter::once(first)
            .chain(
                OF_METRICS.into_iter().skip(1).chain(clock).map(|kind| {
                    Counters { kind, open: open_for(kind, &threads) }
                }),
            )
            .collect()
    }

    fn refused(why: &str) -> Vec<Counters> {
        OF_METRICS
            .into_iter()
            .chain(OF_CLOCK)
            .map(|kind| Counters { kind, open: Err(why.to_owned()) })
            .collect()
    }

    /// Numbers of this process's threads.
    fn threads() -> Result<Vec<i32>, String> {
        let threads = std::fs::read_dir("/proc/self/task")
            .map_err(|error| format!("/proc/self/task: {error}"))?;
        let number = |entry: std::fs::DirEntry| {
            entry.file_name().to_str().and_then(|name| name.parse().ok())
        };
        Ok(threads.flatten().filter_map(number).collect())
    }

    fn open_for(kind: Kind, threads: &[i32]) -> Result<Vec<Open>, String> {
        let mut counters = Vec::new();
        for &thread in threads {
            let mut builder = match kind {
                Kind::Instructions => Builder::new(Hardware::INSTRUCTIONS),
                Kind::Cycles | Kind::AllCycles => {
                    Builder::new(Hardware::CPU_CYCLES)
                }
                Kind::CacheMisses => Builder::new(Hardware::CACHE_MISSES),
                Kind::BranchMisses => Builder::new(Hardware::BRANCH_MISSES),
                Kind::TaskClock => Builder::new(Software::TASK_CLOCK),
            };
            if kind == Kind::AllCycles {
                builder.include_kernel();
            }
            match builder.observe_pid(thread).inherit(true).build() {
                Ok(counter) => {
                    counters.push(Open { counter, seen: Count::default() });
                }
                // The thread has ended since it was listed (ESRCH).
                Err(error) if error.raw_os_error() == Some(3) => {}
                Err(error) => return Err(refusal(&error, kind)),
            }
        }
        Ok(counters)
    }

    /// What to do about a refused counter.
    fn refusal(error: &std::io::Error, kind: Kind) -> String {
        let paranoid = Path::new("/proc/sys/kernel/perf_event_paranoid");
        let level = std::fs::read_to_string(paranoid)
            .map_or("absent".to_owned(), |text| text.trim().to_owned());
        let needed = if kind == Kind::AllCycles { 1 } else { 2 };
        let meaning = match (error.kind(), kind) {
            (std::io::ErrorKind::NotFound, Kind::Instructions) => {
                "; this kernel offers no hardware counters (a virtual machine \
                 without them?)"
                    .to_owned()
            }
            (std::io::ErrorKind::NotFound, _) => {
                "; this processor does not count it".to_owned()
            }
            (std::io::ErrorKind::PermissionDenied, _) => {
                format!("; a level of {needed} or less lets a user count")
            }
            _ => String::new(),
        };
        format!("perf event: {error}; perf_event_paranoid is {level}{meaning}")
    }

    #[cfg(test)]
    mod tests {
        use assay_schema::Reading;

        use super::*;

        #[test]
        fn a_reading_is_a_reason_or_a_count_and_only_misses_may_be_none() {
            let mut meter = InstructionMeter::with_clock();
            // The second window has the counters of the first.
            for _ in 0..2 {
                meter.start();
                let sum: u64 = (0..10_000_u64).map(std::hint::black_box).sum();
                meter.stop();
                assert_eq!(std::hint::black_box(sum), 49_995_000);
                let window = Window { iterations: 1, ..Window::default() };
                let metrics = meter.read(&window).metrics;
                let names: Vec<&str> =
                    metrics.iter().map(|metric| metric.name.as_str()).collect();
                assert_eq!(names[..4], METRICS);
                assert_eq!(names[4], "cpu_frequency");
                for metric in metrics {
                    let least = match metric.name.as_str() {
                        "instructions" | "cycles" => 1000.0,
                        "cpu_frequency" => 1e6,
                        _ => 0.0,
                    };
                    match metric.reading {
                        Reading::Value(count) => assert!(count >= least),
                        Reading::Unavailable(why) => assert!(!why.is_empty()),
                    }
                }
            }
        }

        #[test]
        fn a_refusal_names_the_kernel_setting() {
            let error = std::io::Error::from_raw_os_error(13);
            let text = refusal(&error, Kind::Instructions);
            assert!(text.contains("perf_event_paranoid is"), "{text}");
            assert!(text.contains("2 or less"), "{text}");
            let text = refusal(&error, Kind::AllCycles);
            assert!(text.contains("1 or less"), "{text}");
            let absent = std::io::Error::from_raw_os_error(2);
            let text = refusal(&absent, Kind::CacheMisses);
            assert!(text.contains("does not count it"), "{text}");
        }
    }
}

#[cfg(not(all(target_os = "linux", feature = "counters")))]
mod other {
    use assay_schema::{Better, Metric};

    use super::super::{Meter, Readout, Window};
    use super::METRICS;

    /// Says that there are no counters here.
    #[derive(Default)]
    pub struct InstructionMeter {
        with_clock: bool,
    }

    impl InstructionMeter {
        /// A meter that reads nothing.
        pub fn new() -> Self {
            Self::default()
        }

        /// A meter that reads nothing, and says so of the clock too.
        pub fn with_clock() -> Self {
            Self { with_clock: true }
        }
    }

    impl Meter for InstructionMeter {
        fn start(&mut self) {}

        fn stop(&mut self) {}

        fn read(&mut self, _window: &Window) -> Readout {
            let why = if cfg!(feature = "counters") {
                "counted through perf events, which only Linux has"
            } else {
                "built without the feature `counters`"
            };
            let none = |name: &str, unit: &str, better| {
                Metric::unavailable(name, unit, better, why)
            };
            let counts =
                METRICS.iter().map(|name| none(name, "1", Better::Lower));
            let clock = self
                .with_clock
                .then(|| none("cpu_frequency", "Hz", Better::Neither));
            let metrics = counts.chain(clock).collect();
            Readout { metrics, warnings: Vec::new() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_that_took_turns_are_scaled_thread_by_thread() {
        let count =
            |events, enabled, running| Count { events, enabled, running };
        let whole = [count(100, 10, 10), count(50, 10, 10)];
        assert_eq!(scaled(&whole), Ok((150.0, 1.0)));
        // Half of the time: twice the events.
        let shared = [count(100, 10, 5), count(50, 10, 10)];
        assert_eq!(scaled(&shared), Ok((250.0, 0.75)));
        // A thread that slept counts nothing, and is no gap.
        let asleep = [count(100, 10, 10), count(0, 0, 0)];
        assert_eq!(scaled(&asleep), Ok((100.0, 1.0)));
        let never = [count(0, 10, 0)];
        assert!(scaled(&never).unwrap_err().contains("never ran"));
        let nothing = [count(0, 0, 0)];
        assert_eq!(scaled(&nothing), Err("nothing was run".to_owned()));
        // One that never got the hardware did what the other did.
        let starved = [count(100, 10, 10), count(0, 10, 0)];
        assert_eq!(scaled(&starved), Ok((200.0, 0.5)));
        let grown = count(150, 30, 20).since(count(100, 10, 15));
        assert_eq!(grown, count(50, 20, 5));
    }

    #[test]
    fn work_without_a_count_is_unread_and_few_misses_may_be_none() {
        assert!(no_reading("cycles", 1e6).is_some());
        assert!(no_reading("instructions", 0.0).is_some());
        // A slot of a tight loop may miss nothing; seconds of code cannot.
        assert_eq!(no_reading("cache_misses", 1e6), None);
        let why = no_reading("branch_misses", 4e9).unwrap();
        assert!(why.contains("beside 4.0e9 instructions"), "{why}");
    }
}
