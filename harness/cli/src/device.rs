//! `--device`: what a name stands for on this machine, which cases it runs,
//! how long its samples last, and what is read beside their time.
//!
//! On a GPU the processor's meters say nothing of the work: what they would
//! read is recorded as not available, with the reason.

use anyhow::{Result, anyhow, bail};
use assay_kit::{DeviceError, DeviceName, Gpu, open_gpu};
use assay_measure::{
    Clock, FrequencyMeter, Meter, NvidiaMeter, ProcessMeter, Readout,
    ResidentMeter, Settings, StealMeter, SystemClock, Window, last_level_cache,
    standard_meters,
};
use assay_schema::{
    Better, Bytes, Case, Metric, Plan, Seconds, Warning, WorkSummary,
};
use burn::tensor::Tensor;

use crate::exit::{Fault, machine};

/// The workload whose cases run on a GPU.
const ON_GPUS: &str = "operators";

/// Taken for a GPU's largest cache, which no driver tells: twice as much
/// rotates, more than the second level of any NVIDIA GPU of the profiles (96
/// MB). AMD's last level of 256 MB it does not exceed.
const GPU_CACHE: Bytes = Bytes(64.0 * 1024.0 * 1024.0);

/// A sample on a GPU lasts at least this many round trips: the wait at its end
/// then is at most a twentieth of it.
const ROUND_TRIPS: f64 = 20.0;

/// And at least this long.
const SHORTEST_SAMPLE: Seconds = Seconds(1e-3);

/// Samples that a budget is cut into, where round trips are long, at least.
const FEWEST_SAMPLES: f64 = 20.0;

/// Round trips of which the median is taken.
const TRIED: usize = 51;

/// A device of this machine, ready to measure on.
pub(crate) struct Place {
    name: DeviceName,
    gpu: Option<Opened>,
}

/// A GPU, and how long it takes to launch nothing much and wait for it.
struct Opened {
    gpu: Gpu,
    round_trip: Seconds,
}

impl Place {
    /// The processor.
    pub(crate) fn cpu() -> Self {
        Self { name: DeviceName::Cpu, gpu: None }
    }

    /// The device of a name. A name that is none is the user's fault; a device
    /// that is not here, or not built in, the machine's.
    pub(crate) fn open(name: &str) -> Result<Self, Fault> {
        let name: DeviceName = match name.parse() {
            Ok(name) => name,
            Err(error @ DeviceError::Number(_)) => {
                return Err(Fault::Input(anyhow!("--device {error}")));
            }
            Err(error) => return Err(machine(anyhow!("--device {error}"))),
        };
        let number = match name {
            DeviceName::Cpu => return Ok(Self::cpu()),
            DeviceName::Wgpu(number) => number,
        };
        let gpu = open_gpu(number)
            .map_err(|error| machine(anyhow!("--device {error}")))?;
        let round_trip = round_trip(&gpu).map_err(machine)?;
        Ok(Self { name, gpu: Some(Opened { gpu, round_trip }) })
    }

    /// The GPU, if it is one.
    pub(crate) fn gpu(&self) -> Option<&Gpu> {
        self.gpu.as_ref().map(|opened| &opened.gpu)
    }

    /// The name as a workload's context takes it: `wgpu:0`.
    pub(crate) fn name(&self) -> String {
        self.name.to_string()
    }

    /// What a run's header says of it: name, adapter, interface and driver.
    pub(crate) fn title(&self) -> String {
        match self.gpu() {
            None => self.name(),
            Some(gpu) => format!("{} ({})", self.name, gpu.adapter),
        }
    }

    /// Refuses a plan with a case that does not run here.
    pub(crate) fn check(&self, plan: &Plan) -> Result<()> {
        let mut measured = plan.cases.iter().filter(|one| one.measure);
        match measured.find(|one| !runs_on(self.name, &one.case)) {
            None => Ok(()),
            Some(one) => bail!(
                "--device {}: `{}` is measured on the processor alone; of the \
                 workloads only `{ON_GPUS}` runs on a GPU, e.g. `assay run \
                 {ON_GPUS} --quick --device {}`",
                self.name,
                one.case,
                self.name
            ),
        }
    }

    /// The cache that rotating inputs must exceed.
    pub(crate) fn cache(&self) -> Option<Bytes> {
        match self.gpu() {
            Some(gpu) if !gpu.adapter.is_software => Some(GPU_CACHE),
            Some(_) | None => last_level_cache(),
        }
    }

    /// Why a case cannot be held in memory, by its traced peak. Nobody tells
    /// what is free on a GPU: there a case that does not fit fails with the
    /// driver's word.
    pub(crate) fn does_not_fit(
        &self,
        work: &WorkSummary,
        free: Option<Bytes>,
    ) -> Option<(Bytes, Bytes)> {
        if self.gpu().is_some_and(|gpu| !gpu.adapter.is_software) {
            return None;
        }
        let (needed, free) = (work.memory_peak.total(), free?);
        (needed > free).then_some((needed, free))
    }

    /// How to sample for a budget.
    pub(crate) fn settings(&self, budget: Seconds) -> Settings {
        let settings = Settings::with_budget(budget);
        let Some(opened) = &self.gpu else { return settings };
        let shortest = (opened.round_trip * ROUND_TRIPS).max(SHORTEST_SAMPLE);
        let most = (budget.0 / shortest.0).max(FEWEST_SAMPLES);
        Settings { most_samples: most.min(settings.most_samples), ..settings }
    }

    /// The part of a sample that is the kernels' own time.
    pub(crate) fn kernel_part(&self) -> &'static str {
        match self.gpu {
            None => "step",
            Some(_) => "device",
        }
    }

    /// What is read beside time.
    pub(crate) fn meters(&self) -> Vec<Box<dyn Meter>> {
        let Some(opened) = &self.gpu else { return standard_meters(0) };
        let adapter = &opened.gpu.adapter;
        let mut meters: Vec<Box<dyn Meter>> = Vec::new();
        let bus = adapter.pci_bus.as_ref();
        match bus.filter(|_| adapter.vendor_name() == Some("NVIDIA")) {
            Some(bus) => meters.push(Box::new(NvidiaMeter::at(bus))),
            None => meters.push(Box::new(NotRead {
                what: &[("energy_gpu", "J"), ("memory_used_gpu", "B")],
                why: "read through NVIDIA's library, for a device of theirs \
                      whose PCI address the driver tells"
                    .to_owned(),
            })),
        }
        meters.push(Box::new(GpuMeter {
            adapter: adapter.to_string(),
            is_software: adapter.is_software,
            has_clock: adapter.has_clock,
            round_trip: opened.round_trip,
        }));
        meters.push(Box::new(NotRead {
            what: &[
                ("instructions", "1"),
                ("cycles", "1"),
                ("cache_misses", "1"),
                ("branch_misses", "1"),
                ("energy", "J"),
            ],
            why: format!(
                "it counts on the processor, and the work is done on {}",
                self.name
            ),
        }));
        meters.push(Box::new(ResidentMeter::new()));
        meters.push(Box::new(StealMeter::new()));
        meters.push(Box::new(FrequencyMeter::new()));
        meters.push(Box::new(ProcessMeter::new()));
        meters
    }
}

fn runs_on(name: DeviceName, case: &Case) -> bool {
    match name {
        DeviceName::Cpu => true,
        DeviceName::Wgpu(_) => case.workload == ON_GPUS,
    }
}

/// The median time to launch one addition and to wait for it.
fn round_trip(gpu: &Gpu) -> Result<Seconds> {
    let clock = SystemClock::detect();
    let one = Tensor::<1>::from_floats([1.0], &gpu.device);
    let mut taken = Vec::with_capacity(TRIED);
    // As many again before: kernels are compiled at first use.
    for _ in 0..2 * TRIED {
        let start = clock.now();
        let sum = one.clone() + 1.0;
        gpu.device
            .sync()
            .map_err(|error| anyhow!("{}: {error}", gpu.adapter))?;
        let ticks = clock.now().saturating_sub(start);
        drop(sum);
        taken.push(clock.seconds(ticks).0);
    }
    Ok(Seconds(assay_statistics::median(&taken[TRIED..])?))
}

/// What a run on a GPU has to say of the device.
struct GpuMeter {
    adapter: String,
    is_software: bool,
    has_clock: bool,
    round_trip: Seconds,
}

impl Meter for GpuMeter {
    fn start(&mut self) {}

    fn stop(&mut self) {}

    fn read(&mut self, _window: &Window) -> Readout {
        let round_trip = Metric::value(
            "device_round_trip",
            "s",
            Better::Lower,
            self.round_trip.0,
        );
        let mut warnings = Vec::new();
        let mut warn = |kind: &str, message: String| {
            warnings.push(Warning { kind: kind.to_owned(), message });
        };
        if self.is_software {
            warn(
                "software-device",
                format!(
                    "{}: its times say nothing of any GPU; give --device the \
                     number of one",
                    self.adapter
                ),
            );
        }
        if !self.has_clock {
            warn(
                "no-device-clock",
                format!(
                    "{} takes no time of its own work: there is no part \
                     `device`, and `step` holds the host's launches and the \
                     wait",
                    self.adapter
                ),
            );
        }
        Readout { metrics: vec![round_trip], warnings }
    }
}

/// Metrics that are not read, for one reason.
struct NotRead {
    what: &'static [(&'static str, &'static str)],
    why: String,
}

impl Meter for NotRead {
    fn start(&mut self) {}

    fn stop(&mut self) {}

    fn read(&mut self, _window: &Window) -> Readout {
        let none = |&(name, unit): &(&str, &str)| {
            Metric::unavailable(name, unit, Better::Lower, self.why.clone())
        };
        let metrics = self.what.iter().map(none).collect();
        Readout { metrics, warnings: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use assay_schema::Reading;

    use super::*;

    #[test]
    fn the_processor_runs_everything_and_a_gpu_single_operators() {
        for (case, on_gpu) in
            [("operators/softmax rows=7", true), ("slm/tiny/decode", false)]
        {
            let case: Case = case.parse().unwrap();
            assert!(runs_on(DeviceName::Cpu, &case));
            assert_eq!(runs_on(DeviceName::Wgpu(0), &case), on_gpu);
        }
        let place = Place::cpu();
        assert_eq!(place.title(), "cpu");
        assert!(place.gpu().is_none());
        let budget = Seconds(3.0);
        assert_eq!(place.settings(budget), Settings::with_budget(budget));
    }

    #[test]
    fn what_is_not_read_says_why_and_a_rasteriser_is_warned_of() {
        let what = &[("energy", "J"), ("cycles", "1")];
        let mut meter = NotRead { what, why: "not here".to_owned() };
        for metric in meter.read(&Window::default()).metrics {
            assert_eq!(metric.reading, Reading::Unavailable("not here".into()));
        }
        let mut meter = GpuMeter {
            adapter: "llvmpipe".to_owned(),
            is_software: true,
            has_clock: false,
            round_trip: Seconds(1e-4),
        };
        let Readout { metrics, warnings } = meter.read(&Window::default());
        assert_eq!(metrics[0].reading, Reading::Value(1e-4));
        let kinds: Vec<&str> =
            warnings.iter().map(|one| one.kind.as_str()).collect();
        assert_eq!(kinds, ["software-device", "no-device-clock"]);
    }
}
