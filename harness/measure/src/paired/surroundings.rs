//! What the machine did round a turn: energy, steal, the clock, the quota.
//!
//! Each is read from files of the kernel, 20 to 100 us a time, and moves in
//! steps of a millisecond or a tick: too dear and too coarse for a slot of
//! 0.15 ms. So they are read round a whole process where a turn is one, and
//! else round a *long turn*, of which an arm takes one in a round (only where
//! there is an energy counter to read), and round all blocks of a round, which
//! says what met all arms alike.
//!
//! The files lie below a root: `/`, or what a test gives.

use std::path::{Path, PathBuf};

use assay_schema::{Better, LockstepMetric, Seconds};

use super::ArmSample;
use crate::meter::energy::{Counters, STEP_S};
use crate::meter::frequency::hertz_below;
#[cfg(feature = "nvidia")]
use crate::meter::nvidia::NvidiaMeter;
use crate::meter::quota::{held_back, stat_files};
use crate::meter::steal::{Jiffies, jiffies_below};

/// Steps that a counter of energy takes in a stretch worth judging: the step
/// under way at either end is then 2 % of it at most.
pub(crate) const LEAST_STEPS: f64 = 50.0;

/// Seconds between two steps of a GPU's counter: it moves every 20 to 100 ms
/// (PETSc's manual on `PetscLogGpuEnergyMeter`, of this very counter; Yang,
/// Adamek and Armour, arXiv 2312.02741, of the readings of power behind it).
#[cfg(feature = "nvidia")]
const GPU_STEP_S: f64 = 0.1;

/// A counter of energy that can be read here.
#[derive(Clone, Debug, PartialEq)]
pub struct Energy {
    /// `energy`, `energy_dram`, `energy_gpu`.
    pub metric: &'static str,
    /// Seconds between two of its steps.
    pub step_s: f64,
    /// Whose energy it is, in words.
    pub whose: &'static str,
}

/// What a comparison saw of the machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Around {
    /// Counters of energy that were read.
    pub energies: Vec<Energy>,
    /// Metrics that could not be read, and why.
    pub unread: Vec<(&'static str, String)>,
    /// Whether counters saw the set-up of each input, as the clock did not:
    /// of benchmarks.
    pub with_set_up: bool,
    /// Why no long turn was taken though there is a counter.
    pub no_long_turns: Option<String>,
    /// Share of processor time that the hypervisor took while arms shared it.
    pub steal: Option<f64>,
    /// Processor-seconds a second that the control group's quota held all
    /// arms back for; the kernel adds up processors, so it may exceed 1.
    pub throttled: Option<f64>,
    /// The lowest and the highest clock after a round, Hz.
    pub clock_hz: Option<[f64; 2]>,
}

enum Source {
    Rapl(Counters),
    #[cfg(feature = "nvidia")]
    Device(Box<NvidiaMeter>),
}

/// What is read of a machine.
pub(crate) struct Surroundings {
    root: PathBuf,
    sources: Vec<(Energy, Source)>,
    unread: Vec<(&'static str, String)>,
    groups: Vec<PathBuf>,
    has_clock: bool,
}

/// The machine at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Moment {
    /// Joules of a device, or microjoules of each counter.
    energies: Vec<Option<Vec<f64>>>,
    jiffies: Option<Jiffies>,
    /// Processor-seconds of each group.
    held_back: Vec<Option<f64>>,
}

/// What passed between two moments.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Passed {
    /// Joules, in the order of the sources.
    energies: Vec<Option<f64>>,
    /// Ticks of processor time, and those that were stolen.
    pub(crate) ticks: Option<[f64; 2]>,
    /// Processor-seconds, of the group that was held back most.
    pub(crate) held_back: Option<f64>,
}

impl Surroundings {
    /// The machine whose files lie below `root`; `/` is this one, with its
    /// GPU.
    pub(crate) fn below(root: &Path) -> Self {
        let mut sources = Vec::new();
        let mut unread = Vec::new();
        let rapl = |metric, whose| Energy { metric, step_s: STEP_S, whose };
        match Counters::of_packages(root) {
            Ok(packages) => {
                let whose = "the whole processor package's: what it takes \
                             when idle and what other programs took are in it";
                let energy = rapl("energy", whose);
                sources.push((energy, Source::Rapl(packages)));
            }
            Err(why) => unread.push(("energy", why)),
        }
        match Counters::of_memory(root) {
            Ok(Some(memory)) => {
                let whose = "of all memory, other programs' included";
                let energy = rapl("energy_dram", whose);
                sources.push((energy, Source::Rapl(memory)));
            }
            Ok(None) => {}
            // Said once, with the package, where nothing of it can be read.
            Err(why) if unread.is_empty() => {
                unread.push(("energy_dram", why));
            }
            Err(_) => {}
        }
        #[cfg(feature = "nvidia")]
        sources.extend(device(root));
        Self {
            root: root.to_owned(),
            sources,
            unread,
            groups: stat_files(root),
            has_clock: hertz_below(root).is_ok(),
        }
    }

    /// What it has, before anything was seen.
    pub(crate) fn around(&self) -> Around {
        Around {
            energies: self.sources.iter().map(|(e, _)| e.clone()).collect(),
            unread: self.unread.clone(),
            ..Around::default()
        }
    }

    /// The shortest stretch that a counter of energy can judge; `None`
    /// without one.
    pub(crate) fn stretch(&self) -> Option<Seconds> {
        let steps = self.sources.iter().map(|(energy, _)| energy.step_s);
        // A fifth on top, as no two turns last the same.
        steps.reduce(f64::min).map(|s| Seconds(1.2 * LEAST_STEPS * s))
    }

    pub(crate) fn now(&self) -> Moment {
        let text = |file: &PathBuf| std::fs::read_to_string(file).ok();
        Moment {
            energies: self
                .sources
                .iter()
                .map(|(_, source)| match source {
                    Source::Rapl(counters) => counters.read().ok(),
                    #[cfg(feature = "nvidia")]
                    Source::Device(device) => {
                        device.joules().ok().map(|joules| vec![joules])
                    }
                })
                .collect(),
            jiffies: jiffies_below(&self.root).ok(),
            held_back: self
                .groups
                .iter()
                .map(|file| held_back(&text(file)?))
                .collect(),
        }
    }

    /// The clock, right after work; `None` where it is not known.
    pub(crate) fn clock_hz(&self) -> Option<f64> {
        self.has_clock.then(|| hertz_below(&self.root).ok())?
    }

    pub(crate) fn between(&self, then: &Moment, now: &Moment) -> Passed {
        let energies = self
            .sources
            .iter()
            .zip(&then.energies)
            .zip(&now.energies)
            .map(|(((_, source), then), now)| {
                let (then, now) = (then.as_ref()?, now.as_ref()?);
                Some(match source {
                    Source::Rapl(counters) => counters.spent(then, now),
                    #[cfg(feature = "nvidia")]
                    Source::Device(_) => now[0] - then[0],
                })
            })
            .collect();
        let ticks = then
            .jiffies
            .zip(now.jiffies)
            .map(|(then, now)| [now.all - then.all, now.steal - then.steal]);
        // Not the difference of the largest: the total of a group further up
        // may be the larger one and stand still.
        let held_back = then
            .held_back
            .iter()
            .zip(&now.held_back)
            .filter_map(|(then, now)| Some((*now)? - (*then)?))
            .reduce(f64::max);
        Passed { energies, ticks, held_back }
    }

    /// Adds what passed since `then` to the turn that took place meanwhile,
    /// amounts for one iteration.
    ///
    /// A counter's reading stands even where an arm has a metric of its name
    /// (a benchmark's own is `quality/<name>`): its row says whose energy it
    /// is. Of all else the arm knows better.
    pub(crate) fn add(
        &self,
        sample: &mut ArmSample,
        then: &Moment,
        iterations: u64,
    ) {
        let passed = self.between(then, &self.now());
        // Last: it walks over all processors, which takes energy and time.
        let clock = self.clock_hz();
        let seconds = sample.seconds;
        for ((energy, _), joules) in self.sources.iter().zip(&passed.energies) {
            sample.metrics.remove(energy.metric);
            if let Some(joules) = joules {
                let each = joules / iterations.max(1) as f64;
                let metric = metric_of("J", Better::Lower, each);
                sample.metrics.insert(energy.metric.to_owned(), metric);
            }
        }
        let mut add = |name: &str, unit: &str, better, value: f64| {
            let metric = metric_of(unit, better, value);
            sample.metrics.entry(name.to_owned()).or_insert(metric);
        };
        if let Some([all, steal]) = passed.ticks
            && all > 0.0
        {
            add("steal", "1", Better::Lower, steal / all);
        }
        if let Some(hertz) = clock {
            add("cpu_frequency", "Hz", Better::Neither, hertz);
        }
        if let Some(held_back) = passed.held_back
            && seconds > 0.0
        {
            add("throttled", "1", Better::Lower, held_back / seconds);
        }
    }
}

fn metric_of(unit: &str, better: Better, value: f64) -> LockstepMetric {
    LockstepMetric { value, unit: unit.to_owned(), better }
}

/// The first NVIDIA device, where this machine has a driver that tells.
#[cfg(feature = "nvidia")]
fn device(root: &Path) -> Option<(Energy, Source)> {
    if root != Path::new("/") {
        return None; // The driver is of this machine, not of a test's.
    }
    let device = NvidiaMeter::new(0);
    device.joules().ok()?;
    let energy = Energy {
        metric: "energy_gpu",
        step_s: GPU_STEP_S,
        whose: "the whole device's (NVIDIA device 0): what it takes when \
                idle and what other programs took are in it",
    };
    Some((energy, Source::Device(Box::new(device))))
}

/// What met all arms of lockstep rounds alike, added up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared {
    ticks: [f64; 2],
    held_back: Option<f64>,
    seconds: f64,
    clock_hz: Option<[f64; 2]>,
}

impl Shared {
    pub(crate) fn add(
        &mut self,
        passed: &Passed,
        seconds: Seconds,
        clock_hz: Option<f64>,
    ) {
        if let Some([all, steal]) = passed.ticks {
            self.ticks[0] += all;
            self.ticks[1] += steal;
        }
        if let Some(held_back) = passed.held_back {
            *self.held_back.get_or_insert(0.0) += held_back;
        }
        self.seconds += seconds.0;
        if let Some(hertz) = clock_hz {
            let [low, high] = self.clock_hz.unwrap_or([hertz, hertz]);
            self.clock_hz = Some([low.min(hertz), high.max(hertz)]);
        }
    }

    /// Puts it into what was seen.
    pub(crate) fn fill(&self, around: &mut Around) {
        let [all, steal] = self.ticks;
        around.steal = (all > 0.0).then(|| steal / all);
        around.throttled = self
            .held_back
            .filter(|_| self.seconds > 0.0)
            .map(|held_back| held_back / self.seconds);
        around.clock_hz = self.clock_hz;
    }
}

impl Around {
    /// What a reader must know of what all arms met alike.
    pub(crate) fn notes(&self, name: &str) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(steal) = self.steal.filter(|&share| share >= 0.01) {
            notes.push(format!(
                "{name}: the hypervisor took {:.1} % of the processor time; \
                 it met all arms alike, and widens the interval",
                steal * 100.0
            ));
        }
        if let Some(held_back) = self.throttled.filter(|&held| held >= 0.01) {
            notes.push(format!(
                "{name}: the quota of the control group held it back for \
                 {held_back:.2} processor-seconds a second (processors added \
                 up); give it more processor time, or a --budget that the \
                 quota lasts for"
            ));
        }
        if let Some([low, high]) = self.clock_hz.filter(|[low, high]| {
            high / low >= 1.02 // A rise of less moves no verdict.
        }) {
            notes.push(format!(
                "{name}: the clock read {:.2} to {:.2} GHz after the rounds; \
                 arms take turns, so it met them alike",
                low * 1e-9,
                high * 1e-9
            ));
        }
        notes
    }
}

#[cfg(test)]
mod tests;
