//! GPUs by the engine's wgpu back end: adapters listed, one opened, work
//! launched and waited for.
//!
//! Adapters are those of one graphics interface, the one that the engine takes
//! too: the first that offers a GPU, or else the first that offers anything.
//! Numbers count GPUs first, software rasterisers last.
//!
//! **Time.** A launch returns before its work is done, and often before it has
//! begun. [`Queue::wait`] ends a sample: it returns when the device has
//! nothing left to do. The first launch after a wait is timed by the device as
//! well, where it has a clock: from when it begins to when it ends there, which
//! leaves the host and the wait out. Those times are the part `device`. The
//! window costs the host one more submission a sample.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use assay_measure::{Watch, WorkloadError};
use assay_schema::Seconds;
use burn::backend::wgpu::graphics::AutoGraphicsApi;
use burn::backend::wgpu::{RuntimeOptions, try_init_setup};
use burn::backend::{WgpuDevice, WgpuDeviceKind};
use burn::tensor::wgpu::{WgpuBackend, wgpu};
use burn::tensor::{Device, ProfileDuration, TimingMethod};
use futures_lite::future::block_on;
use wgpu::{AdapterInfo, Backend, DeviceType, Features, Instance};

use super::{Adapter, DeviceError, DeviceName, Gpu};

/// The part of a sample that the device's own clock takes.
const DEVICE: &str = "device";

/// What was opened, by number. Locked while adapters are listed and opened:
/// Vulkan's loader does not bear instances that come and go on several threads.
static OPENED: Mutex<BTreeMap<usize, Gpu>> = Mutex::new(BTreeMap::new());

/// Graphics interfaces to ask, best first: the engine's own order.
const INTERFACES: &[(Backend, WgpuBackend)] = if cfg!(target_os = "macos") {
    &[(Backend::Metal, WgpuBackend::Metal)]
} else {
    &[
        (Backend::Vulkan, WgpuBackend::Vulkan),
        (Backend::Dx12, WgpuBackend::Dx12),
        (Backend::Gl, WgpuBackend::Gl),
    ]
};

/// An adapter and the engine's word for it.
struct Found {
    adapter: Adapter,
    selector: WgpuDevice,
}

pub(super) fn open(number: usize) -> Result<Gpu, DeviceError> {
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(gpu) = opened.get(&number) {
        return Ok(gpu.clone());
    }
    let name = DeviceName::Wgpu(number);
    let found = adapters();
    if found.is_empty() {
        return Err(DeviceError::NoAdapter(name));
    }
    let Some(Found { adapter, selector }) = found.get(number) else {
        let found = found.into_iter().map(|one| one.adapter).collect();
        return Err(DeviceError::OutOfRange { name, found });
    };
    RuntimeOptions::try_default()
        .and_then(|options| {
            try_init_setup::<AutoGraphicsApi>(selector, options)
        })
        .map_err(|error| DeviceError::Open {
            adapter: Box::new(adapter.clone()),
            why: error.to_string(),
        })?;
    let device = Device::new(selector.clone());
    let gpu = Gpu { device, adapter: adapter.clone() };
    opened.insert(number, gpu.clone());
    Ok(gpu)
}

/// The adapters that the engine could compute on, in the order of their
/// numbers.
fn adapters() -> Vec<Found> {
    let mut software = Vec::new();
    for (backend, pinned) in INTERFACES {
        let found = adapters_of(*backend, *pinned);
        if found.iter().any(|one| !one.adapter.is_software) {
            return found;
        }
        if software.is_empty() {
            software = found;
        }
    }
    software
}

fn adapters_of(backend: Backend, pinned: WgpuBackend) -> Vec<Found> {
    let instance = Instance::new(wgpu::InstanceDescriptor {
        backends: backend.into(),
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let mut of_kind: BTreeMap<u8, usize> = BTreeMap::new();
    let mut found = Vec::new();
    for adapter in block_on(instance.enumerate_adapters(backend.into())) {
        let info = adapter.get_info();
        // The engine counts each kind by itself.
        let place = of_kind.entry(info.device_type as u8).or_default();
        let kind = kind(info.device_type, *place);
        *place += 1;
        // It knows one software rasteriser.
        let Some(kind) = kind else { continue };
        let has_clock = adapter.features().contains(Features::TIMESTAMP_QUERY);
        found.push(Found {
            adapter: described(&info, has_clock),
            selector: WgpuDevice::new(kind).on(pinned),
        });
    }
    // A stable sort: among themselves they stay in the driver's order.
    found.sort_by_key(|one| one.adapter.is_software);
    for (number, one) in found.iter_mut().enumerate() {
        one.adapter.number = number;
    }
    found
}

fn kind(device_type: DeviceType, place: usize) -> Option<WgpuDeviceKind> {
    match device_type {
        DeviceType::DiscreteGpu => Some(WgpuDeviceKind::DiscreteGpu(place)),
        DeviceType::IntegratedGpu => Some(WgpuDeviceKind::IntegratedGpu(place)),
        DeviceType::VirtualGpu => Some(WgpuDeviceKind::VirtualGpu(place)),
        DeviceType::Other => Some(WgpuDeviceKind::Other(place)),
        DeviceType::Cpu => (place == 0).then_some(WgpuDeviceKind::Cpu),
    }
}

fn described(info: &AdapterInfo, has_clock: bool) -> Adapter {
    let driver = [info.driver.trim(), info.driver_info.trim()];
    let driver: Vec<&str> =
        driver.into_iter().filter(|word| !word.is_empty()).collect();
    let bus = info.device_pci_bus_id.trim();
    Adapter {
        number: 0,
        name: info.name.trim().to_owned(),
        api: format!("{:?}", info.backend),
        driver: if driver.is_empty() {
            "driver unknown".to_owned()
        } else {
            driver.join(" ")
        },
        is_software: info.device_type == DeviceType::Cpu,
        vendor: info.vendor,
        pci_bus: (!bus.is_empty()).then(|| bus.to_owned()),
        has_clock,
    }
}

pub(super) fn queue(gpu: &Gpu) -> Option<Queue> {
    Some(Queue::new(gpu))
}

/// Work on its way on a GPU.
pub struct Queue {
    device: Device,
    has_clock: bool,
    /// The first launch since the last wait, timed by the device.
    timed: Option<ProfileDuration>,
    /// Whether something was launched since the last wait.
    busy: bool,
}

impl Queue {
    fn new(gpu: &Gpu) -> Self {
        Self {
            device: gpu.device.clone(),
            has_clock: gpu.adapter.has_clock,
            timed: None,
            busy: false,
        }
    }

    /// Runs `body`, which launches work. The first one after a wait finds the
    /// device idle, and is timed by it too.
    ///
    /// # Errors
    ///
    /// The device's word.
    pub fn launch<T: Send + 'static>(
        &mut self,
        body: impl FnOnce() -> T + Send,
    ) -> Result<T, WorkloadError> {
        if self.busy || !self.has_clock {
            self.busy = true;
            return Ok(body());
        }
        self.busy = true;
        let (value, timed) = self.device.profile(body).map_err(failed)?;
        self.timed = Some(timed);
        Ok(value)
    }

    /// Waits until all that was launched is done, and hands over what the
    /// device took for the first of it.
    ///
    /// # Errors
    ///
    /// The device's word.
    pub fn wait(&mut self, watch: &mut Watch<'_>) -> Result<(), WorkloadError> {
        self.settle()?;
        let timed = self.timed.take();
        let taken = watch.untimed(|| timed.and_then(seconds));
        if let Some(taken) = taken {
            watch.record(DEVICE, taken);
        }
        Ok(())
    }

    /// Waits until all that was launched or uploaded is done.
    ///
    /// # Errors
    ///
    /// The device's word.
    pub fn settle(&mut self) -> Result<(), WorkloadError> {
        self.busy = false;
        self.device.sync().map_err(failed)
    }
}

/// What the device took; none where it gave no time, or only the host's.
fn seconds(timed: ProfileDuration) -> Option<Seconds> {
    if timed.timing_method() != TimingMethod::Device {
        return None;
    }
    let ticks = block_on(timed.resolve())?;
    let seconds = ticks.duration().as_secs_f64();
    (seconds > 0.0).then_some(Seconds(seconds))
}

fn failed(error: impl std::fmt::Display) -> WorkloadError {
    WorkloadError::other(format!("the device: {error}"))
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;

    use super::*;

    /// The first adapter, or a line that says what was skipped.
    fn gpu(test: &str) -> Option<Gpu> {
        match open(0) {
            Ok(gpu) => Some(gpu),
            Err(error) => {
                println!("skipped: {test}: {error}");
                None
            }
        }
    }

    #[test]
    fn an_adapter_is_opened_once_and_computes() {
        let Some(gpu) = gpu("an_adapter_is_opened_once_and_computes") else {
            return;
        };
        let again = open(0).unwrap();
        assert_eq!(gpu.adapter, again.adapter);
        let x = Tensor::<1>::from_floats([1.0, 2.0, 3.0], &again.device);
        assert_eq!(crate::floats(x + 0.5), [1.5, 2.5, 3.5]);
    }

    #[test]
    fn a_number_past_the_last_lists_what_there_is() {
        let Some(gpu) = gpu("a_number_past_the_last_lists_what_there_is")
        else {
            return;
        };
        let Err(DeviceError::OutOfRange { found, .. }) = open(999) else {
            panic!("there are 1,000 adapters")
        };
        assert_eq!(found[0], gpu.adapter);
        assert!(!gpu.adapter.name.is_empty() && !gpu.adapter.api.is_empty());
    }

    #[test]
    fn the_first_launch_after_a_wait_is_timed_by_the_device() {
        let name = "the_first_launch_after_a_wait_is_timed_by_the_device";
        let Some(gpu) = gpu(name) else { return };
        let mut queue = Queue::new(&gpu);
        let mut times = Vec::new();
        for _ in 0..3 {
            let x = Tensor::<2>::ones([256, 256], &gpu.device);
            queue.settle().unwrap();
            for _ in 0..4 {
                let (a, b) = (x.clone(), x.clone());
                let y = queue.launch(move || a.matmul(b)).unwrap();
                assert_eq!(y.dims(), [256, 256]);
            }
            assert_eq!(queue.timed.is_some(), gpu.adapter.has_clock);
            queue.device.sync().unwrap();
            times.extend(queue.timed.take().and_then(seconds));
            queue.busy = false;
        }
        if gpu.adapter.has_clock {
            assert_eq!(times.len(), 3);
            assert!(times.iter().all(|t| t.0 > 0.0 && t.0 < 60.0), "{times:?}");
        }
    }
}
