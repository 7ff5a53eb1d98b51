//! Devices of this machine by the names that commands use: `cpu`, `wgpu:0`.
//!
//! A name is read in every build. That a GPU can be opened takes the feature
//! `gpu` (`device/wgpu.rs`); without it every GPU is refused by the command
//! that builds one in (`device/absent.rs`).

use std::fmt;
use std::str::FromStr;

use assay_measure::WorkloadError;
use burn::tensor::Device;

#[cfg(not(feature = "gpu"))]
mod absent;
#[cfg(feature = "gpu")]
mod wgpu;

#[cfg(not(feature = "gpu"))]
use absent as built;
#[cfg(feature = "gpu")]
use wgpu as built;

pub use built::Queue;

/// Which device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceName {
    /// The processor, by the engine's Flex back end.
    Cpu,
    /// The adapter of that number, by its wgpu back end.
    Wgpu(usize),
}

impl FromStr for DeviceName {
    type Err = DeviceError;

    fn from_str(name: &str) -> Result<Self, DeviceError> {
        if name == "cpu" {
            return Ok(Self::Cpu);
        }
        match name.split_once(':') {
            Some(("wgpu", number)) => number
                .parse()
                .map(Self::Wgpu)
                .map_err(|_| DeviceError::Number(name.to_owned())),
            _ => Err(DeviceError::Unknown(name.to_owned())),
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Wgpu(number) => write!(f, "wgpu:{number}"),
        }
    }
}

/// What a graphics driver says of an adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adapter {
    /// Its number in `wgpu:N`.
    pub number: usize,
    /// Its name for itself.
    pub name: String,
    /// The graphics interface that reaches it, e.g. `Vulkan`.
    pub api: String,
    /// The driver's name and version; `driver unknown` where it tells none.
    pub driver: String,
    /// Whether it computes on the processor: lavapipe, llvmpipe, WARP.
    pub is_software: bool,
    /// The PCI number of its vendor.
    pub vendor: u32,
    /// Its address on the PCI bus, e.g. `0000:01:00.0`, where it is told.
    pub pci_bus: Option<String>,
    /// Whether it takes the time of its own work.
    pub has_clock: bool,
}

/// PCI numbers of vendors, by the names that hardware profiles give them.
const VENDORS: [(u32, &str); 6] = [
    (0x10de, "NVIDIA"),
    (0x1002, "AMD"),
    (0x8086, "Intel"),
    (0x106b, "Apple"),
    (0x5143, "Qualcomm"),
    (0x14e4, "Broadcom"),
];

impl Adapter {
    /// The vendor, as hardware profiles name it.
    pub fn vendor_name(&self) -> Option<&'static str> {
        let known = VENDORS.iter().find(|(number, _)| *number == self.vendor);
        known.map(|(_, name)| *name)
    }
}

impl fmt::Display for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}; {}", self.name, self.api, self.driver)?;
        if self.is_software {
            f.write_str("; a software rasteriser on the processor, no GPU")?;
        }
        Ok(())
    }
}

/// A GPU, ready to compute.
#[derive(Clone, Debug)]
pub struct Gpu {
    /// The engine's device.
    pub device: Device,
    /// What its driver says of it.
    pub adapter: Adapter,
}

/// Why there is no such device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// A kind of device that is not built in, in any build.
    #[error(
        "{0}: this build has no such device; `cpu` it has, and `wgpu:N` (a \
         GPU) with the feature `gpu`"
    )]
    Unknown(String),
    /// No number after `wgpu:`.
    #[error("{0}: expected a number, e.g. wgpu:0")]
    Number(String),
    /// Built without GPUs.
    #[error(
        "{0}: this build has no GPU support; `cpu` it has. To build one: \
         cargo build --release -p assay --features gpu"
    )]
    NotBuilt(DeviceName),
    /// No driver offers an adapter.
    #[error(
        "{0}: no GPU adapter was found; a driver that offers Vulkan, Metal, \
         DirectX 12 or OpenGL is needed (for a try without a GPU: lavapipe, \
         Debian's mesa-vulkan-drivers, a software rasteriser)"
    )]
    NoAdapter(DeviceName),
    /// Fewer adapters than that.
    #[error("{name}: no such adapter; found: {}", listed(found))]
    OutOfRange {
        /// What was asked for.
        name: DeviceName,
        /// What there is.
        found: Vec<Adapter>,
    },
    /// An adapter that gives no device.
    #[error("wgpu:{} ({adapter}) cannot be opened: {why}", adapter.number)]
    Open {
        /// The adapter.
        adapter: Box<Adapter>,
        /// The driver's word.
        why: String,
    },
}

/// Adapters with their numbers, one after another.
fn listed(found: &[Adapter]) -> String {
    let each = found.iter().map(|a| format!("wgpu:{} ({a})", a.number));
    each.collect::<Vec<_>>().join(", ")
}

/// A GPU by its number, opened once a process.
///
/// # Errors
///
/// Built without GPUs, no adapter, none of that number, or a driver that
/// refuses.
pub fn open_gpu(number: usize) -> Result<Gpu, DeviceError> {
    built::open(number)
}

/// A device by its name, with the queue that work on it goes through where
/// the device works behind the caller's back.
///
/// # Errors
///
/// [`WorkloadError::Unsupported`] where there is no such device here.
pub fn open_device(
    name: &str,
) -> Result<(Device, Option<Queue>), WorkloadError> {
    let opened = match name.parse() {
        Ok(DeviceName::Cpu) => return Ok((Device::flex(), None)),
        Ok(DeviceName::Wgpu(number)) => open_gpu(number),
        Err(error) => Err(error),
    };
    let gpu =
        opened.map_err(|why| WorkloadError::Unsupported(why.to_string()))?;
    let queue = built::queue(&gpu);
    Ok((gpu.device, queue))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(is_software: bool) -> Adapter {
        Adapter {
            number: 0,
            name: "NVIDIA L4".to_owned(),
            api: "Vulkan".to_owned(),
            driver: "NVIDIA 550.54.14".to_owned(),
            is_software,
            vendor: 0x10de,
            pci_bus: None,
            has_clock: true,
        }
    }

    #[test]
    fn a_name_is_read_and_another_named_in_the_error() {
        assert_eq!("cpu".parse(), Ok(DeviceName::Cpu));
        assert_eq!("wgpu:12".parse(), Ok(DeviceName::Wgpu(12)));
        for name in ["cpu", "wgpu:3"] {
            let read: DeviceName = name.parse().unwrap();
            assert_eq!(read.to_string(), name);
        }
        for name in ["cuda:0", "gpu", "wgpu", ""] {
            let error = name.parse::<DeviceName>().unwrap_err();
            assert_eq!(error, DeviceError::Unknown(name.to_owned()));
        }
        for name in ["wgpu:", "wgpu:x", "wgpu:-1"] {
            let error = name.parse::<DeviceName>().unwrap_err().to_string();
            assert!(error.contains("e.g. wgpu:0"), "{error}");
        }
    }

    #[test]
    fn a_software_rasteriser_is_called_one() {
        assert!(!adapter(false).to_string().contains("software"));
        assert!(adapter(true).to_string().contains("software rasteriser"));
        assert_eq!(adapter(true).vendor_name(), Some("NVIDIA"));
    }

    #[test]
    fn a_number_too_high_lists_what_there_is() {
        let (name, found) = (DeviceName::Wgpu(7), vec![adapter(false)]);
        let error = DeviceError::OutOfRange { name, found }.to_string();
        assert!(error.starts_with("wgpu:7: no such adapter"), "{error}");
        assert!(error.contains("wgpu:0 (NVIDIA L4; Vulkan"), "{error}");
    }

    #[cfg(not(feature = "gpu"))]
    #[test]
    fn a_build_without_gpus_says_how_to_build_one() {
        let error = open_gpu(0).unwrap_err().to_string();
        assert!(error.contains("--features gpu"), "{error}");
        let error = open_device("wgpu:0").unwrap_err();
        assert!(error.is_skip());
    }
}
