//! Live bytes and allocations, from a counting global allocator.
//!
//! The allocator itself stands in the binary; this is the door to it.
//! `memory_peak` is the most bytes alive at once during iterations, less what
//! was alive before the case was prepared: weights, activations and caches,
//! as a prediction from a trace counts them. On a device with memory of its own
//! it would count the host's part of the work alone, so there it says so.

use assay_schema::{Better, Metric};

use super::{Meter, Readout, Window, per_iteration};

/// A global allocator that counts.
pub trait AllocationCounter: Sync {
    /// Sets the peak to the bytes that are alive now.
    fn reset_peak(&self);

    /// The counts.
    fn snapshot(&self) -> AllocationSnapshot;
}

/// What a counting allocator has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AllocationSnapshot {
    /// Bytes alive.
    pub current_bytes: u64,
    /// Most bytes alive since the last reset.
    pub peak_bytes: u64,
    /// Allocations since the program began.
    pub allocations: u64,
}

/// Reads an [`AllocationCounter`]; says so where there is none.
pub struct AllocationMeter<'a> {
    counter: Result<&'a dyn AllocationCounter, String>,
    /// Bytes alive that are not the session's: those before it was prepared,
    /// and what the harness has taken between windows since.
    foreign: i64,
    /// At the last start.
    started: AllocationSnapshot,
    /// Bytes alive at the last stop; none before the first.
    left: Option<u64>,
    peak: i64,
    allocations: u64,
}

impl<'a> AllocationMeter<'a> {
    /// To be made before the case is prepared: what is alive now is not the
    /// case's.
    pub fn new(counter: Option<&'a dyn AllocationCounter>) -> Self {
        let none = || "this program has no counting allocator".to_owned();
        Self::counting(counter.ok_or_else(none))
    }

    /// For a case on a device: as [`new`](Self::new) on the `cpu`; of what
    /// another takes nothing is counted here.
    pub fn on(
        device: &str,
        counter: Option<&'a dyn AllocationCounter>,
    ) -> Self {
        if device == "cpu" {
            return Self::new(counter);
        }
        Self::counting(Err(format!(
            "the allocator counts what the processor's side takes; on {device} \
             a case's tensors lie in the device's memory, of which its driver \
             tells nothing per case"
        )))
    }

    fn counting(counter: Result<&'a dyn AllocationCounter, String>) -> Self {
        let before = counter
            .as_ref()
            .map_or(0, |counter| counter.snapshot().current_bytes);
        Self {
            counter,
            foreign: before as i64,
            started: AllocationSnapshot::default(),
            left: None,
            peak: 0,
            allocations: 0,
        }
    }
}

impl Meter for AllocationMeter<'_> {
    fn start(&mut self) {
        let Ok(counter) = self.counter else { return };
        counter.reset_peak();
        self.started = counter.snapshot();
        // Between windows no session runs: a change is the harness's, which
        // keeps samples.
        if let Some(left) = self.left {
            self.foreign += self.started.current_bytes as i64 - left as i64;
        }
    }

    fn stop(&mut self) {
        let Ok(counter) = self.counter else { return };
        let now = counter.snapshot();
        self.left = Some(now.current_bytes);
        self.peak = self.peak.max(now.peak_bytes as i64 - self.foreign);
        self.allocations +=
            now.allocations.saturating_sub(self.started.allocations);
    }

    fn read(&mut self, window: &Window) -> Readout {
        if let Err(why) = &self.counter {
            let none = |n, u| Metric::unavailable(n, u, Better::Lower, why);
            return Readout {
                metrics: vec![
                    none("memory_peak", "B"),
                    none("allocations", "1"),
                ],
                warnings: Vec::new(),
            };
        }
        let peak = std::mem::take(&mut self.peak).max(0) as f64;
        let allocations = std::mem::take(&mut self.allocations) as f64;
        Readout {
            metrics: vec![
                Metric::value("memory_peak", "B", Better::Lower, peak),
                per_iteration("allocations", "1", allocations, window),
            ],
            warnings: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use assay_schema::Reading;

    use super::*;

    #[derive(Default)]
    struct FakeCounter(Mutex<AllocationSnapshot>);

    impl FakeCounter {
        fn take(&self, bytes: u64) {
            let mut counts = self.0.lock().unwrap();
            counts.current_bytes += bytes;
            counts.peak_bytes = counts.peak_bytes.max(counts.current_bytes);
            counts.allocations += 1;
        }

        fn free(&self, bytes: u64) {
            self.0.lock().unwrap().current_bytes -= bytes;
        }
    }

    impl AllocationCounter for FakeCounter {
        fn reset_peak(&self) {
            let mut counts = self.0.lock().unwrap();
            counts.peak_bytes = counts.current_bytes;
        }

        fn snapshot(&self) -> AllocationSnapshot {
            *self.0.lock().unwrap()
        }
    }

    #[test]
    fn the_peak_holds_weights_and_activations_and_nothing_of_the_harness() {
        let counter = FakeCounter::default();
        counter.take(1_000); // the program
        let mut meter = AllocationMeter::new(Some(&counter));
        counter.take(100); // weights
        for _ in 0..2 {
            meter.start();
            counter.take(40); // activations
            counter.free(40);
            meter.stop();
            counter.take(7_000); // the harness keeps samples
        }
        let window = Window { iterations: 2, ..Window::default() };
        let readout = meter.read(&window);
        assert_eq!(readout.metrics[0].reading, Reading::Value(140.0));
        assert_eq!(readout.metrics[1].reading, Reading::Value(1.0));
    }

    #[test]
    fn without_a_counting_allocator_nothing_reads_zero() {
        let mut meter = AllocationMeter::new(None);
        meter.start();
        meter.stop();
        for metric in meter.read(&Window::default()).metrics {
            assert!(matches!(metric.reading, Reading::Unavailable(_)));
        }
    }

    #[test]
    fn memory_of_another_device_is_not_the_hosts() {
        let counter = FakeCounter::default();
        counter.take(1_000);
        let mut meter = AllocationMeter::on("wgpu:0", Some(&counter));
        meter.start();
        counter.take(40);
        meter.stop();
        for metric in meter.read(&Window::default()).metrics {
            let Reading::Unavailable(why) = metric.reading else {
                panic!("{metric:?}")
            };
            assert!(why.contains("wgpu:0"), "{why}");
        }
        let mut meter = AllocationMeter::on("cpu", Some(&counter));
        meter.start();
        meter.stop();
        let metrics = meter.read(&Window::default()).metrics;
        assert_eq!(metrics[0].reading, Reading::Value(0.0));
    }
}
