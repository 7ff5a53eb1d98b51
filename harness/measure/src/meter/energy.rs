//! Energy of the processor packages, through Linux's powercap (RAPL).
//!
//! The whole package counts: other processes, caches and, on some machines,
//! nothing of the memory. Counters wrap; a wrap between two readings is
//! mended, two are not (they take minutes at least).

use std::path::{Path, PathBuf};

use assay_schema::{Better, Metric};

use super::{Meter, Readout, Window, per_iteration};

const NAME: &str = "energy";
const ROOT: &str = "/sys/class/powercap";

/// Reads the packages' energy counters.
#[derive(Debug)]
pub struct EnergyMeter {
    packages: Result<Vec<Package>, String>,
    joules: f64,
}

#[derive(Debug, PartialEq)]
struct Package {
    counter: PathBuf,
    /// Where the counter wraps, microjoules.
    range: f64,
    /// Microjoules.
    started: Option<f64>,
}

impl EnergyMeter {
    /// Finds the packages of this machine.
    pub fn new() -> Self {
        Self { packages: packages_below(Path::new(ROOT)), joules: 0.0 }
    }
}

impl Default for EnergyMeter {
    fn default() -> Self {
        Self::new()
    }
}

impl Meter for EnergyMeter {
    fn start(&mut self) {
        for package in self.packages.iter_mut().flatten() {
            package.started = number_in(&package.counter).ok();
        }
    }

    fn stop(&mut self) {
        let Ok(packages) = &mut self.packages else { return };
        for package in packages {
            let now = number_in(&package.counter).ok();
            if let (Some(then), Some(now)) = (package.started.take(), now) {
                self.joules += spent(then, now, package.range) * 1e-6;
            }
        }
    }

    fn read(&mut self, window: &Window) -> Readout {
        let joules = std::mem::take(&mut self.joules);
        Readout::one(match &self.packages {
            Err(why) => Metric::unavailable(NAME, "J", Better::Lower, why),
            // The counter moves every millisecond: nothing is no reading.
            Ok(_) if joules <= 0.0 => Metric::unavailable(
                NAME,
                "J",
                Better::Lower,
                "the counter did not move while sampling",
            ),
            Ok(_) => per_iteration(NAME, "J", joules, window),
        })
    }
}

/// Microjoules between two readings, at most one wrap apart.
fn spent(then: f64, now: f64, range: f64) -> f64 {
    if now >= then { now - then } else { now + range - then }
}

/// The packages (`intel-rapl:0`, not its parts `intel-rapl:0:0`), each tried
/// once.
fn packages_below(root: &Path) -> Result<Vec<Package>, String> {
    let entries = std::fs::read_dir(root)
        .map_err(|error| format!("{}: {error}", root.display()))?;
    let mut packages = Vec::new();
    for folder in entries.flatten().map(|entry| entry.path()) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        if name.matches(':').count() != 1 || name.contains("mmio") {
            continue;
        }
        let counter = folder.join("energy_uj");
        number_in(&counter)?;
        let range = number_in(&folder.join("max_energy_range_uj"))?;
        packages.push(Package { counter, range, started: None });
    }
    if packages.is_empty() {
        return Err(format!("no RAPL package below {}", root.display()));
    }
    packages.sort_by(|a, b| a.counter.cmp(&b.counter));
    Ok(packages)
}

fn number_in(file: &Path) -> Result<f64, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("{}: {error}", file.display()))?;
    text.trim().parse().map_err(|_| format!("{}: no number", file.display()))
}

#[cfg(test)]
mod tests {
    use assay_schema::Reading;

    use super::*;

    fn set(root: &Path, package: &str, microjoules: &str) {
        let folder = root.join(package);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("energy_uj"), microjoules).unwrap();
        std::fs::write(folder.join("max_energy_range_uj"), "10000000").unwrap();
    }

    #[test]
    fn packages_add_up_and_a_wrap_is_mended() {
        let root = tempfile::tempdir().unwrap();
        set(root.path(), "intel-rapl:0", "9000000\n");
        set(root.path(), "intel-rapl:1", "1000000\n");
        set(root.path(), "intel-rapl:0:0", "5\n");
        let packages = packages_below(root.path());
        let mut meter = EnergyMeter { packages, joules: 0.0 };
        meter.start();
        set(root.path(), "intel-rapl:0", "1000000\n");
        set(root.path(), "intel-rapl:1", "2000000\n");
        meter.stop();
        let window = Window { iterations: 2, ..Window::default() };
        // 2 J past the wrap and 1 J, in two iterations.
        assert_eq!(meter.read(&window).metrics[0].reading, Reading::Value(1.5));
        assert!(matches!(
            meter.read(&window).metrics[0].reading,
            Reading::Unavailable(_)
        ));
    }

    #[test]
    fn a_machine_without_rapl_says_so() {
        let root = tempfile::tempdir().unwrap();
        let nowhere = root.path().join("powercap");
        assert!(packages_below(&nowhere).unwrap_err().contains("powercap"));
        assert!(packages_below(root.path()).unwrap_err().contains("no RAPL"));
    }
}
