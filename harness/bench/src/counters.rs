//! The processor's and the kernel's counters around a lap, through the meters
//! of `assay-measure`. They see set-up as well, as the clock does not.
//!
//! Not here: steal, and the frequency where the counters have it not. Each is
//! read from a file of the kernel, 20 to 30 us a read on two processors and
//! more on many, beside a lap of 150 us; and steal is counted in ticks of 4 to
//! 10 ms, so that a lap sees none. Who compares reads them round by round.

use assay_measure::{InstructionMeter, Meter, ProcessMeter, Window};
use assay_schema::{LockstepMetric, Metric, Reading};

use crate::prepared::Named;

/// What is passed on of what the meters say.
const KEPT: [&str; 9] = [
    "instructions",
    "cycles",
    "cache_misses",
    "branch_misses",
    "cpu_frequency",
    "counters_ran",
    "page_faults_minor",
    "page_faults_major",
    "context_switches_involuntary",
];

/// Meters that answer on this machine.
pub(crate) struct Counters {
    meters: Vec<Box<dyn Meter>>,
}

impl Counters {
    pub(crate) fn new() -> Self {
        let meters: Vec<Box<dyn Meter>> = vec![
            Box::new(ProcessMeter::new()),
            Box::new(InstructionMeter::with_clock()),
        ];
        Self { meters }
    }

    /// For another sampler.
    pub(crate) fn into_meters(self) -> Vec<Box<dyn Meter>> {
        self.meters
    }

    pub(crate) fn start(&mut self) {
        for meter in &mut self.meters {
            meter.start();
        }
    }

    pub(crate) fn stop(&mut self) {
        for meter in self.meters.iter_mut().rev() {
            meter.stop();
        }
    }

    /// An iteration's values. A meter that has nothing to say here is not
    /// asked again: a refused perf event costs some 20 us each time.
    pub(crate) fn read(&mut self, iterations: u64) -> Vec<Named> {
        let window = Window { iterations, ..Window::default() };
        let mut values = Vec::new();
        self.meters.retain_mut(|meter| {
            let before = values.len();
            values.extend(
                meter.read(&window).metrics.into_iter().filter_map(kept),
            );
            values.len() > before
        });
        merge_faults(&mut values);
        values
    }
}

/// The metric, if it is one to pass on and has a value.
pub(crate) fn kept(metric: Metric) -> Option<Named> {
    let Metric { name, unit, better, reading, at: _ } = metric;
    match reading {
        Reading::Value(value)
            if value.is_finite() && KEPT.contains(&name.as_str()) =>
        {
            let metric = LockstepMetric { value, unit, better };
            Some(Named { name, metric })
        }
        Reading::Value(_) | Reading::Unavailable(_) => None,
    }
}

/// A comparison asks for `page_faults`, whichever kind they are.
fn merge_faults(values: &mut Vec<Named>) {
    let mut faults: Option<Named> = None;
    values.retain(|named| {
        if !named.name.starts_with("page_faults_") {
            return true;
        }
        match &mut faults {
            Some(sum) => sum.metric.value += named.metric.value,
            None => {
                let name = "page_faults".to_owned();
                faults = Some(Named { name, metric: named.metric.clone() });
            }
        }
        false
    });
    values.extend(faults);
}

#[cfg(test)]
mod tests {
    use assay_schema::Better;

    use super::*;

    #[test]
    fn faults_of_both_kinds_are_one_metric() {
        let mut values: Vec<Named> = [
            ("page_faults_minor", 2.0),
            ("cycles", 7.0),
            ("page_faults_major", 0.5),
        ]
        .into_iter()
        .filter_map(|(name, value)| {
            kept(Metric::value(name, "1", Better::Lower, value))
        })
        .collect();
        merge_faults(&mut values);
        let found: Vec<(&str, f64)> = values
            .iter()
            .map(|named| (named.name.as_str(), named.metric.value))
            .collect();
        assert_eq!(found, [("cycles", 7.0), ("page_faults", 2.5)]);
    }

    #[test]
    fn what_has_no_value_is_left_out() {
        let none = Metric::unavailable("cycles", "1", Better::Lower, "no");
        assert_eq!(kept(none), None);
        let nan = Metric::value("cycles", "1", Better::Lower, f64::NAN);
        assert_eq!(kept(nan), None);
        let other = Metric::value("cpu_time_user", "s", Better::Lower, 1.0);
        assert_eq!(kept(other), None);
    }
}
