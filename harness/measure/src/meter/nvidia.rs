//! Energy and memory of an NVIDIA device, through its management library.
//!
//! The library is loaded at run time: without a driver the metrics say so.
//! Both figures are of the whole device, other processes included.

use assay_schema::{Better, Metric};
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};

use super::{Meter, Readout, Window, per_iteration};

const ENERGY: &str = "energy_gpu";
const MEMORY: &str = "memory_used_gpu";

/// Which device.
#[derive(Clone, Debug)]
enum Which {
    /// As the driver counts.
    Number(u32),
    /// By its address on the PCI bus.
    Bus(String),
}

/// Reads one device.
pub struct NvidiaMeter {
    library: Result<Nvml, String>,
    which: Which,
    /// Millijoules.
    started: Result<u64, String>,
    energy: Result<f64, String>,
    memory: Result<u64, String>,
}

impl NvidiaMeter {
    /// Loads the library; `number` counts devices as the driver does.
    pub fn new(number: u32) -> Self {
        Self::of(Which::Number(number))
    }

    /// Loads the library, for the device at an address on the PCI bus, e.g.
    /// `0000:01:00.0`: other interfaces count devices in another order.
    pub fn at(bus: impl Into<String>) -> Self {
        Self::of(Which::Bus(bus.into()))
    }

    fn of(which: Which) -> Self {
        let mut meter = Self {
            library: Nvml::init().map_err(|error| {
                format!("no NVIDIA management library: {error}")
            }),
            which,
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
        self.ask(|device| device.total_energy_consumption())
    }

    /// One question to the device.
    fn ask<T>(
        &self,
        question: impl FnOnce(&Device<'_>) -> Result<T, NvmlError>,
    ) -> Result<T, String> {
        let library = self.library.as_ref().map_err(Clone::clone)?;
        let (device, name) = match &self.which {
            Which::Number(number) => {
                (library.device_by_index(*number), number.to_string())
            }
            Which::Bus(bus) => {
                (library.device_by_pci_bus_id(bus.as_str()), bus.clone())
            }
        };
        device
            .and_then(|device| question(&device))
            .map_err(|error| format!("NVIDIA device {name}: {error}"))
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
        self.ask(|device| device.memory_info()).map(|memory| memory.used)
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
        for mut meter in [NvidiaMeter::new(0), NvidiaMeter::at("0000:01:00.0")]
        {
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
}
