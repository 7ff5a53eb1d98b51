//! The processor's clock frequency, right after work: the fastest core's, as
//! the working one is.
//!
//! From sysfs `cpufreq`, else `/proc/cpuinfo`. Under a hypervisor the latter
//! is the nominal frequency whatever the core does, and is not given out as a
//! reading.

use std::path::Path;

use assay_schema::{Better, Metric};

use super::{Meter, Readout, Window};

const NAME: &str = "cpu_frequency";

/// Reads the frequency at each stop; gives the mean.
#[derive(Debug, Default)]
pub struct FrequencyMeter {
    sum_hertz: f64,
    readings: u32,
    problem: Option<String>,
}

impl FrequencyMeter {
    /// A meter without a reading.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Meter for FrequencyMeter {
    fn start(&mut self) {}

    fn stop(&mut self) {
        match hertz_below(Path::new("/")) {
            Ok(hertz) => {
                self.sum_hertz += hertz;
                self.readings += 1;
            }
            Err(why) => self.problem = Some(why),
        }
    }

    fn read(&mut self, _window: &Window) -> Readout {
        let this = std::mem::take(self);
        Readout::one(if this.readings == 0 {
            let why = this.problem.unwrap_or("nothing was run".to_owned());
            Metric::unavailable(NAME, "Hz", Better::Neither, why)
        } else {
            let mean = this.sum_hertz / f64::from(this.readings);
            Metric::value(NAME, "Hz", Better::Neither, mean)
        })
    }
}

/// The fastest core's clock of the machine whose files lie below `root`
/// (`/`: this one), Hz.
///
/// # Errors
/// Why there is no reading.
pub(crate) fn hertz_below(root: &Path) -> Result<f64, String> {
    if !cfg!(target_os = "linux") {
        return Err("read from sysfs and /proc, which only Linux has".into());
    }
    if let Some(hertz) = from_cpufreq(&root.join("sys/devices/system/cpu")) {
        return Ok(hertz);
    }
    let file = root.join("proc/cpuinfo");
    let cpuinfo = std::fs::read_to_string(&file)
        .map_err(|error| format!("{}: {error}", file.display()))?;
    from_cpuinfo(&cpuinfo)
}

/// The highest `scaling_cur_freq` (kHz) below a folder of processors.
fn from_cpufreq(processors: &Path) -> Option<f64> {
    std::fs::read_dir(processors)
        .ok()?
        .flatten()
        .filter_map(|entry| {
            let file = entry.path().join("cpufreq/scaling_cur_freq");
            let text = std::fs::read_to_string(file).ok()?;
            text.trim().parse::<f64>().ok()
        })
        .reduce(f64::max)
        .map(|kilohertz| kilohertz * 1e3)
}

fn from_cpuinfo(cpuinfo: &str) -> Result<f64, String> {
    let megahertz = cpuinfo
        .lines()
        .filter(|line| line.starts_with("cpu MHz"))
        .filter_map(|line| line.split(':').nth(1)?.trim().parse::<f64>().ok())
        .reduce(f64::max)
        .ok_or("neither cpufreq nor `cpu MHz` in /proc/cpuinfo")?;
    let hypervisor = cpuinfo
        .lines()
        .find(|line| line.starts_with("flags"))
        .is_some_and(|flags| flags.contains(" hypervisor"));
    if hypervisor {
        return Err(format!(
            "a virtual machine sees the nominal {megahertz:.0} MHz, not what \
             the core runs at"
        ));
    }
    Ok(megahertz * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fastest_core_counts() {
        let sysfs = tempfile::tempdir().unwrap();
        for (cpu, kilohertz) in [("cpu0", "1200000\n"), ("cpu1", "3400000\n")] {
            let folder = sysfs.path().join(cpu).join("cpufreq");
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("scaling_cur_freq"), kilohertz).unwrap();
        }
        assert_eq!(from_cpufreq(sysfs.path()), Some(3.4e9));
        assert_eq!(from_cpufreq(&sysfs.path().join("cpu0")), None);
        let cpuinfo = "flags : fpu\ncpu MHz : 1000.0\ncpu MHz : 2000.5\n";
        assert_eq!(from_cpuinfo(cpuinfo), Ok(2000.5e6));
    }

    #[test]
    fn a_virtual_machine_has_no_reading() {
        let cpuinfo = "cpu MHz : 2596.128\nflags : fpu hypervisor avx\n";
        let why = from_cpuinfo(cpuinfo).unwrap_err();
        assert!(why.contains("nominal 2596 MHz"), "{why}");
    }
}
