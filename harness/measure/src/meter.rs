//! Meters: what is read beside time, in the same run.
//!
//! A meter is started before a burst of samples and stopped after it, as often
//! as there are bursts; its figures add up until they are read. So the
//! harness's own work between bursts (statistics, writing) stays outside.
//! What cannot be read here says why; it never reads zero.
//!
//! Figures of an amount (instructions, allocations, energy) are for one
//! iteration: the window's total over the window's iterations, warm-up
//! included except the first sample where many follow.

mod allocation;
pub(crate) mod energy;
pub(crate) mod frequency;
mod instructions;
#[cfg(feature = "nvidia")]
pub(crate) mod nvidia;
mod process;
pub(crate) mod quota;
mod resident;
pub(crate) mod steal;

use assay_schema::{Better, Metric, Seconds, Warning};

pub use allocation::{AllocationCounter, AllocationMeter, AllocationSnapshot};
pub use energy::EnergyMeter;
pub use frequency::FrequencyMeter;
pub use instructions::InstructionMeter;
#[cfg(feature = "nvidia")]
pub use nvidia::NvidiaMeter;
pub use process::ProcessMeter;
pub use resident::ResidentMeter;
pub use steal::StealMeter;

/// Something that reads more than time.
pub trait Meter {
    /// Begins counting; costs microseconds, as it stands before each burst.
    fn start(&mut self);

    /// Ends counting; what was counted adds up.
    fn stop(&mut self);

    /// The figures since the last reading, and a fresh beginning.
    fn read(&mut self, window: &Window) -> Readout;
}

/// What was run while the meters counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Window {
    /// Iterations.
    pub iterations: u64,
    /// Time between the starts and the stops.
    pub seconds: Seconds,
}

/// What a meter says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Readout {
    /// Its metrics, those without a value included.
    pub metrics: Vec<Metric>,
    /// What a reader of the record must know.
    pub warnings: Vec<Warning>,
}

impl Readout {
    /// One metric, no warning.
    pub(crate) fn one(metric: Metric) -> Self {
        Self { metrics: vec![metric], warnings: Vec::new() }
    }
}

/// All meters of this machine except that of the allocator, in the order in
/// which they are started: those that cost most first. `gpu` is the number of
/// the NVIDIA device to read.
#[cfg(feature = "nvidia")]
pub fn standard_meters(gpu: u32) -> Vec<Box<dyn Meter>> {
    vec![
        Box::new(NvidiaMeter::new(gpu)),
        Box::new(ResidentMeter::new()),
        Box::new(StealMeter::new()),
        Box::new(FrequencyMeter::new()),
        Box::new(EnergyMeter::new()),
        Box::new(ProcessMeter::new()),
        Box::new(InstructionMeter::new()),
    ]
}

/// `total` an iteration, or that there was none.
pub(crate) fn per_iteration(
    name: &str,
    unit: &str,
    total: f64,
    window: &Window,
) -> Metric {
    if window.iterations == 0 {
        let why = "no iteration was metered";
        return Metric::unavailable(name, unit, Better::Lower, why);
    }
    let value = total / window.iterations as f64;
    Metric::value(name, unit, Better::Lower, value)
}

/// The first number after `key` in a text like that of `/proc/self/status`.
pub(crate) fn number_after(text: &str, key: &str) -> Option<f64> {
    text.lines()
        .find_map(|line| line.strip_prefix(key))?
        .split(|c: char| c.is_whitespace() || c == ':')
        .find_map(|word| word.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_after_its_key() {
        let text = "VmPeak:\t  900 kB\nVmHWM:\t  12 kB\nempty:\n";
        assert_eq!(number_after(text, "VmHWM"), Some(12.0));
        assert_eq!(number_after(text, "VmSwap"), None);
        assert_eq!(number_after(text, "empty"), None);
    }

    #[test]
    fn an_amount_is_for_one_iteration() {
        let window = Window { iterations: 4, seconds: Seconds(1.0) };
        let metric = per_iteration("instructions", "1", 100.0, &window);
        assert_eq!(metric.reading, assay_schema::Reading::Value(25.0));
        let none = per_iteration("energy", "J", 0.0, &Window::default());
        assert!(matches!(none.reading, assay_schema::Reading::Unavailable(_)));
    }
}
