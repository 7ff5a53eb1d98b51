//! Instructions and cycles, through Linux's perf events; user space only,
//! as the kernel lets everyone count that.
//!
//! Every thread that exists at the first start gets its own pair of counters,
//! which threads made later inherit. Counters that share the hardware are
//! scaled by the time that they ran, as `perf stat` does.

#[cfg(all(target_os = "linux", feature = "counters"))]
pub use linux::InstructionMeter;
#[cfg(not(all(target_os = "linux", feature = "counters")))]
pub use other::InstructionMeter;

const METRICS: [&str; 2] = ["instructions", "cycles"];

#[cfg(all(target_os = "linux", feature = "counters"))]
mod linux {
    use std::path::Path;

    use assay_schema::{Better, Metric};
    use perf_event::events::Hardware;
    use perf_event::{Builder, Counter};

    use super::super::{Meter, Readout, Window, per_iteration};
    use super::METRICS;

    /// Reads the processor's own counters.
    pub struct InstructionMeter {
        /// Opened at the first start of a window, when the threads are there.
        counters: Option<Result<Vec<[Counter; 2]>, String>>,
    }

    impl InstructionMeter {
        /// A meter without counters yet.
        pub fn new() -> Self {
            Self { counters: None }
        }

        fn each(&mut self, act: impl Fn(&mut Counter) -> std::io::Result<()>) {
            let Some(Ok(counters)) = &mut self.counters else { return };
            let failed =
                counters.iter_mut().flatten().find_map(|c| act(c).err());
            if let Some(error) = failed {
                self.counters = Some(Err(format!("perf event: {error}")));
            }
        }
    }

    impl Default for InstructionMeter {
        fn default() -> Self {
            Self::new()
        }
    }

    impl Meter for InstructionMeter {
        fn start(&mut self) {
            if self.counters.is_none() {
                self.counters = Some(open_for_all_threads());
            }
            self.each(Counter::enable);
        }

        fn stop(&mut self) {
            self.each(Counter::disable);
        }

        fn read(&mut self, window: &Window) -> Readout {
            let counted = match self.counters.take() {
                None => Err("nothing was run".to_owned()),
                Some(Err(why)) => Err(why),
                Some(Ok(mut counters)) => totals(&mut counters),
            };
            let metrics = (0..METRICS.len())
                .map(|kind| match &counted {
                    Ok(totals) => {
                        per_iteration(METRICS[kind], "1", totals[kind], window)
                    }
                    Err(why) => Metric::unavailable(
                        METRICS[kind],
                        "1",
                        Better::Lower,
                        why,
                    ),
                })
                .collect();
            Readout { metrics, warnings: Vec::new() }
        }
    }

    fn open_for_all_threads() -> Result<Vec<[Counter; 2]>, String> {
        let threads = std::fs::read_dir("/proc/self/task")
            .map_err(|error| format!("/proc/self/task: {error}"))?;
        let mut counters = Vec::new();
        for name in threads.flatten().map(|entry| entry.file_name()) {
            let Some(thread) = name.to_str().and_then(|n| n.parse().ok())
            else {
                continue;
            };
            let open = |event| {
                Builder::new(event).observe_pid(thread).inherit(true).build()
            };
            let pair = open(Hardware::INSTRUCTIONS).and_then(|instructions| {
                Ok([instructions, open(Hardware::CPU_CYCLES)?])
            });
            match pair {
                Ok(pair) => counters.push(pair),
                // The thread has ended since it was listed (ESRCH).
                Err(error) if error.raw_os_error() == Some(3) => {}
                Err(error) => return Err(refusal(&error)),
            }
        }
        Ok(counters)
    }

    /// Instructions and cycles of all threads.
    fn totals(counters: &mut [[Counter; 2]]) -> Result<[f64; 2], String> {
        let mut totals = [0.0; 2];
        for pair in counters {
            for (total, counter) in totals.iter_mut().zip(pair) {
                let read = counter
                    .read_count_and_time()
                    .map_err(|error| format!("perf event: {error}"))?;
                if read.time_running > 0 {
                    let share =
                        read.time_enabled as f64 / read.time_running as f64;
                    *total += read.count as f64 * share;
                }
            }
        }
        if totals.contains(&0.0) {
            return Err("the counters never ran: the processor lends them to \
                        something else"
                .to_owned());
        }
        Ok(totals)
    }

    /// What to do about a refused counter.
    fn refusal(error: &std::io::Error) -> String {
        let paranoid = Path::new("/proc/sys/kernel/perf_event_paranoid");
        let level = std::fs::read_to_string(paranoid)
            .map_or("absent".to_owned(), |text| text.trim().to_owned());
        let meaning = match error.kind() {
            std::io::ErrorKind::NotFound => {
                "; this kernel offers no hardware counters (a virtual machine \
                 without them?)"
            }
            std::io::ErrorKind::PermissionDenied => {
                "; a level of 2 or less lets a user count"
            }
            _ => "",
        };
        format!("perf event: {error}; perf_event_paranoid is {level}{meaning}")
    }

    #[cfg(test)]
    mod tests {
        use assay_schema::Reading;

        use super::*;

        #[test]
        fn a_reading_is_a_count_or_a_reason_but_never_zero() {
            let mut meter = InstructionMeter::new();
            meter.start();
            let sum: u64 = (0..10_000_u64).map(std::hint::black_box).sum();
            meter.stop();
            assert_eq!(std::hint::black_box(sum), 49_995_000);
            let window = Window { iterations: 1, ..Window::default() };
            for metric in meter.read(&window).metrics {
                match metric.reading {
                    Reading::Value(count) => assert!(count > 1000.0),
                    Reading::Unavailable(why) => assert!(!why.is_empty()),
                }
            }
        }

        #[test]
        fn a_refusal_names_the_kernel_setting() {
            let error = std::io::Error::from_raw_os_error(13);
            let text = refusal(&error);
            assert!(text.contains("perf_event_paranoid is"), "{text}");
            assert!(text.contains("2 or less"), "{text}");
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
    pub struct InstructionMeter;

    impl InstructionMeter {
        /// A meter that reads nothing.
        pub fn new() -> Self {
            Self
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
            let metrics = METRICS
                .iter()
                .map(|name| Metric::unavailable(*name, "1", Better::Lower, why))
                .collect();
            Readout { metrics, warnings: Vec::new() }
        }
    }
}
