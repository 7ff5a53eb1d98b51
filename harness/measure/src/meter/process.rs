//! What the kernel counts for the process: processor time, page faults,
//! context switches (`getrusage`). All threads, for one iteration.
//!
//! One meter, because one system call gives them all.

use super::{Meter, Readout, Window};

/// Names and units, in the order of [`Counts`].
const METRICS: [(&str, &str); 6] = [
    ("cpu_time_user", "s"),
    ("cpu_time_system", "s"),
    ("page_faults_minor", "1"),
    ("page_faults_major", "1"),
    ("context_switches_voluntary", "1"),
    ("context_switches_involuntary", "1"),
];

type Counts = [f64; METRICS.len()];

/// Reads `getrusage`.
#[derive(Debug, Default)]
pub struct ProcessMeter {
    started: Option<Counts>,
    total: Counts,
    problem: Option<String>,
}

impl ProcessMeter {
    /// A meter that has counted nothing.
    pub fn new() -> Self {
        Self::default()
    }

    fn counts(&mut self) -> Option<Counts> {
        match counts() {
            Ok(counts) => Some(counts),
            Err(why) => {
                self.problem = Some(why);
                None
            }
        }
    }
}

impl Meter for ProcessMeter {
    fn start(&mut self) {
        self.started = self.counts();
    }

    fn stop(&mut self) {
        let (Some(started), Some(now)) = (self.started.take(), self.counts())
        else {
            return;
        };
        for ((total, now), then) in self.total.iter_mut().zip(now).zip(started)
        {
            *total += now - then;
        }
    }

    fn read(&mut self, window: &Window) -> Readout {
        use assay_schema::{Better, Metric};
        let total = std::mem::take(&mut self.total);
        let problem = self.problem.take();
        let metrics = METRICS
            .iter()
            .zip(total)
            .map(|(&(name, unit), total)| match &problem {
                Some(why) => {
                    Metric::unavailable(name, unit, Better::Lower, why)
                }
                None => super::per_iteration(name, unit, total, window),
            })
            .collect();
        Readout { metrics, warnings: Vec::new() }
    }
}

#[cfg(unix)]
fn counts() -> Result<Counts, String> {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeVal;
    let usage = getrusage(UsageWho::RUSAGE_SELF)
        .map_err(|error| format!("getrusage: {error}"))?;
    let seconds =
        |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 * 1e-6;
    Ok([
        seconds(usage.user_time()),
        seconds(usage.system_time()),
        usage.minor_page_faults() as f64,
        usage.major_page_faults() as f64,
        usage.voluntary_context_switches() as f64,
        usage.involuntary_context_switches() as f64,
    ])
}

#[cfg(not(unix))]
fn counts() -> Result<Counts, String> {
    Err("read through getrusage, which this system has not".to_owned())
}

#[cfg(test)]
mod tests {
    use assay_schema::Reading;

    use super::*;

    #[cfg(unix)]
    #[test]
    fn touching_fresh_memory_shows_as_minor_page_faults() {
        let mut meter = ProcessMeter::new();
        meter.start();
        // 16 MiB, written: beyond what an allocator keeps at hand.
        let memory = std::hint::black_box(vec![1_u8; 16 << 20]);
        meter.stop();
        drop(memory);
        let window = Window { iterations: 1, ..Window::default() };
        let readout = meter.read(&window);
        let faults = &readout.metrics[2];
        assert_eq!(faults.name, "page_faults_minor");
        let Reading::Value(faults) = faults.reading else {
            panic!("{faults:?}")
        };
        assert!(faults >= 1.0, "{faults}");
    }

    #[test]
    fn a_meter_begins_afresh_after_a_reading() {
        let mut meter = ProcessMeter { total: [8.0; 6], ..Default::default() };
        let window = Window { iterations: 2, ..Window::default() };
        let first = meter.read(&window);
        assert_eq!(first.metrics[0].reading, Reading::Value(4.0));
        let second = meter.read(&window);
        assert_eq!(second.metrics[0].reading, Reading::Value(0.0));
    }
}
