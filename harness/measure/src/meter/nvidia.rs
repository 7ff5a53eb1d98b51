//! Energy and memory of an NVIDIA device, through its management library.
//!
//! The library is loaded at run time: without a driver the metrics say so.
//! Both figures are of the whole device, other processes included.

use assay_schema::{Better, Metric};
use nvml_wrapper::Nvml;

use super::{Meter, Readout, Window, per_iteration};

const ENERGY: &str = "energy_gpu";
const MEMORY: &str = "memory_used_gpu";

/// Reads one device.
pub struct NvidiaMeter {
    library: Result<Nvml, String>,
    number: u32,
    /// Millijoules.
    started: Result<u64, String>,
    energy: Result<f64, String>,
    memory: Result<u64, String>,
}

impl NvidiaMeter {
    /// Loads the library; `number` counts devices as the driver does.
    pub fn new(number: u32) -> Self {
        let mut meter = Self {
            library: Nvml::init().map_err(|error| {
                format!("no NVIDIA management library: {error}")
            }),
            number,
            started: Err(String::new()),
            energy: Ok(0.0),
            memory: Ok(0),
        };
        meter.clear();
        meter
    }

    fn clear(&mut self) {
        self.energy = Ok(0.0);
        self.memory = Err("nothing was run".to_owned());
    }

    /// Millijoules since the driver was loaded.
    fn energy_now(&self) -> Result<u64, String> {
        let library = self.library.as_ref().map_err(Clone::clone)?;
        library
            .device_by_index(self.number)
            .and_then(|device| device.total_energy_consumption())
            .map_err(|error| format!("NVIDIA device {}: {error}", self.number))
    }

    /// Joules since the driver was loaded.
    ///
    /// # Errors
    /// Why there is no reading.
    #[cfg(feature = "paired")]
    pub(crate) fn joules(&self) -> Result<f64, String> {
        self.energy_now().map(|millijoules| millijoules as f64 * 1e-3)
    }

    /// Bytes in use.
    fn memory_now(&self) -> Result<u64, String> {
        let library = self.library.as_ref().map_err(Clone::clone)?;
        library
            .device_by_index(self.number)
            .and_then(|device| device.memory_info())
            .map(|memory| memory.used)
            .map_err(|error| format!("NVIDIA device {}: {error}", self.number))
    }
}

impl Meter for NvidiaMeter {
    fn start(&mut self) {
        self.started = self.energy_now();
    }

    fn stop(&mut self) {
        let spent = match (&self.started, self.energy_now()) {
            (Ok(then), Ok(now)) => Ok(now.saturating_sub(*then) as f64 * 1e-3),
            (Err(why), _) => Err(why.clone()),
            (_, Err(why)) => Err(why),
        };
        self.energy = match (&self.energy, spent) {
            (Ok(total), Ok(spent)) => Ok(total + spent),
            (Err(why), _) => Err(why.clone()),
            (_, Err(why)) => Err(why),
        };
        let used = self.memory_now();
        self.memory = match (&self.memory, used) {
            (Ok(most), Ok(used)) => Ok(used.max(*most)),
            (_, used) => used,
        };
    }

    fn read(&mut self, window: &Window) -> Readout {
        let energy = match &self.energy {
            Ok(joules) if *joules > 0.0 => {
                per_iteration(ENERGY, "J", *joules, window)
            }
            Ok(_) => Metric::unavailable(
                ENERGY,
                "J",
                Better::Lower,
                "the counter did not move while sampling",
            ),
            Err(why) => Metric::unavailable(ENERGY, "J", Better::Lower, why),
        };
        let memory = match &self.memory {
            Ok(bytes) => {
                Metric::value(MEMORY, "B", Better::Lower, *bytes as f64)
            }
            Err(why) => Metric::unavailable(MEMORY, "B", Better::Lower, why),
        };
        self.clear();
        Readout { metrics: vec![energy, memory], warnings: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use assay_schema::Reading;

    use super::*;

    #[test]
    fn without_a_driver_both_metrics_give_the_reason() {
        let mut meter = NvidiaMeter::new(0);
        meter.library = Err("no driver".to_owned());
        meter.start();
        meter.stop();
        for metric in meter.read(&Window::default()).metrics {
            assert_eq!(
                metric.reading,
                Reading::Unavailable("no driver".to_owned())
            );
        }
    }
}
