//! Energy of the processor packages and of their memory, through Linux's
//! powercap (RAPL).
//!
//! The whole package counts: other processes, caches, what it takes when idle
//! and, on some machines, nothing of the memory. Counters wrap; a wrap between
//! two readings is mended, two are not (they take minutes at least).

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use assay_schema::{Better, Metric};

use super::{Meter, Readout, Window, per_iteration};

const NAME: &str = "energy";
const FOLDER: &str = "sys/class/powercap";

/// Seconds between two steps of a counter (Intel's manual, volume 3, on RAPL:
/// "approximately 1 msec"; AMD's counters follow it).
#[cfg(any(feature = "paired", test))]
pub(crate) const STEP_S: f64 = 1e-3;

/// Counters that are added up: those of all packages, or of all their memory.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Counters(Vec<Counter>);

#[derive(Clone, Debug, PartialEq)]
struct Counter {
    file: PathBuf,
    /// Where the counter wraps, microjoules.
    range: f64,
}

impl Counters {
    /// The packages (`intel-rapl:0`, not its parts `intel-rapl:0:0`, not the
    /// platform, which holds them) of the machine whose files lie below
    /// `root` (`/`: this one), each tried once.
    ///
    /// # Errors
    /// Why there are none, and what to do.
    pub(crate) fn of_packages(root: &Path) -> Result<Self, String> {
        let folder = root.join(FOLDER);
        let of = |name: &str| name != "psys";
        let found = Self::named(&folder, 1, of)?;
        if found.0.is_empty() {
            return Err(format!(
                "no RAPL package below {}: the processor or its kernel driver \
                 (intel_rapl_msr) has none, as in most virtual machines",
                folder.display()
            ));
        }
        Ok(found)
    }

    /// The memory of all packages; none where it has no counter.
    ///
    /// # Errors
    /// As of [`of_packages`](Self::of_packages).
    #[cfg(any(feature = "paired", test))]
    pub(crate) fn of_memory(root: &Path) -> Result<Option<Self>, String> {
        let found = Self::named(&root.join(FOLDER), 2, |name| name == "dram")?;
        Ok((!found.0.is_empty()).then_some(found))
    }

    /// Counters `colons` deep whose name (their file `name`; empty where there
    /// is none) is wanted.
    fn named(
        folder: &Path,
        colons: usize,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Self, String> {
        let entries = std::fs::read_dir(folder).map_err(|error| {
            format!(
                "{}: {error}; virtual machines seldom have RAPL",
                folder.display()
            )
        })?;
        let mut counters = Vec::new();
        for folder in entries.flatten().map(|entry| entry.path()) {
            let zone = folder.file_name().unwrap_or_default().to_string_lossy();
            // `intel-rapl-mmio:0` is the same package once more.
            if zone.matches(':').count() != colons || zone.contains("mmio") {
                continue;
            }
            let name = std::fs::read_to_string(folder.join("name"));
            if !wanted(name.unwrap_or_default().trim()) {
                continue;
            }
            let file = folder.join("energy_uj");
            number_in(&file)?;
            let range = number_in(&folder.join("max_energy_range_uj"))?;
            counters.push(Counter { file, range });
        }
        counters.sort_by(|a, b| a.file.cmp(&b.file));
        Ok(Self(counters))
    }

    /// What each counter reads now, microjoules.
    ///
    /// # Errors
    /// Why one of them could not be read.
    pub(crate) fn read(&self) -> Result<Vec<f64>, String> {
        self.0.iter().map(|counter| number_in(&counter.file)).collect()
    }

    /// Joules between two readings, at most one wrap of each counter apart.
    pub(crate) fn spent(&self, then: &[f64], now: &[f64]) -> f64 {
        let each = self.0.iter().zip(then).zip(now);
        each.map(|((counter, then), now)| {
            let wrapped = if now >= then { 0.0 } else { counter.range };
            (now + wrapped - then) * 1e-6
        })
        .sum()
    }
}

/// Reads the packages' energy counters.
#[derive(Debug)]
pub struct EnergyMeter {
    packages: Result<Counters, String>,
    started: Option<Vec<f64>>,
    joules: f64,
    /// Why a burst is not in `joules`, which are then too few.
    problem: Option<String>,
}

impl EnergyMeter {
    /// Finds the packages of this machine.
    pub fn new() -> Self {
        Self::below(Path::new("/"))
    }

    /// Finds those of the machine whose files lie below a folder.
    pub fn below(root: &Path) -> Self {
        let packages = Counters::of_packages(root);
        Self { packages, started: None, joules: 0.0, problem: None }
    }
}

impl Default for EnergyMeter {
    fn default() -> Self {
        Self::new()
    }
}

impl Meter for EnergyMeter {
    fn start(&mut self) {
        let Ok(packages) = &self.packages else { return };
        match packages.read() {
            Ok(now) => self.started = Some(now),
            Err(why) => self.problem = Some(why),
        }
    }

    fn stop(&mut self) {
        let Ok(packages) = &self.packages else { return };
        let Some(then) = self.started.take() else { return };
        match packages.read() {
            Ok(now) => self.joules += packages.spent(&then, &now),
            Err(why) => self.problem = Some(why),
        }
    }

    fn read(&mut self, window: &Window) -> Readout {
        let joules = std::mem::take(&mut self.joules);
        let problem = self.problem.take();
        let usable = match (&self.packages, problem) {
            (Err(why), _) => Err(why.clone()),
            (Ok(_), Some(why)) => Err(why),
            (Ok(packages), None) => Ok(packages),
        };
        Readout::one(match usable {
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

fn number_in(file: &Path) -> Result<f64, String> {
    let text =
        std::fs::read_to_string(file).map_err(|error| refusal(file, &error))?;
    let text = text.trim();
    text.parse().map_err(|_| {
        format!("{}: found `{text}`, expected a number", file.display())
    })
}

/// Why a counter cannot be read, and what to do.
fn refusal(file: &Path, error: &std::io::Error) -> String {
    let what_to_do = match error.kind() {
        ErrorKind::PermissionDenied => format!(
            "; since 2020 the kernel keeps it for root (it tells what others \
             compute): run as root, or `sudo chmod a+r {}` until the next boot",
            file.display()
        ),
        _ => String::new(),
    };
    format!("{}: {error}{what_to_do}", file.display())
}

#[cfg(test)]
mod tests {
    use assay_schema::Reading;

    use super::*;

    fn set(root: &Path, zone: &str, name: &str, microjoules: &str) {
        let folder = root.join(FOLDER).join(zone);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("name"), format!("{name}\n")).unwrap();
        std::fs::write(folder.join("energy_uj"), microjoules).unwrap();
        std::fs::write(folder.join("max_energy_range_uj"), "10000000").unwrap();
    }

    fn value(meter: &mut EnergyMeter) -> Reading {
        let window = Window { iterations: 2, ..Window::default() };
        meter.read(&window).metrics.remove(0).reading
    }

    #[test]
    fn packages_add_up_and_a_wrap_is_mended() {
        let root = tempfile::tempdir().unwrap();
        let set = |zone, name, uj| set(root.path(), zone, name, uj);
        set("intel-rapl:0", "package-0", "9000000\n");
        set("intel-rapl:1", "package-1", "1000000\n");
        set("intel-rapl:2", "psys", "1000000\n");
        set("intel-rapl:0:0", "core", "5\n");
        let mut meter = EnergyMeter::below(root.path());
        meter.start();
        set("intel-rapl:0", "package-0", "1000000\n");
        set("intel-rapl:1", "package-1", "2000000\n");
        set("intel-rapl:2", "psys", "9000000\n");
        meter.stop();
        // 2 J past the wrap and 1 J, in two iterations; the platform's 8 J
        // hold the packages' and are not added.
        assert_eq!(value(&mut meter), Reading::Value(1.5));
        assert!(matches!(value(&mut meter), Reading::Unavailable(_)));
    }

    #[test]
    fn a_burst_that_could_not_be_read_makes_no_smaller_energy() {
        let root = tempfile::tempdir().unwrap();
        let set = |uj| set(root.path(), "intel-rapl:0", "package-0", uj);
        set("0");
        let mut meter = EnergyMeter::below(root.path());
        let counter = root.path().join(FOLDER).join("intel-rapl:0/energy_uj");
        // Read in the first burst, gone at the end, or at the start, of the
        // second.
        for at_the_end in [true, false] {
            set("0");
            meter.start();
            set("4000000");
            meter.stop();
            if at_the_end {
                meter.start();
            }
            std::fs::remove_file(&counter).unwrap();
            if !at_the_end {
                meter.start();
            }
            meter.stop();
            let Reading::Unavailable(why) = value(&mut meter) else {
                panic!("{at_the_end}")
            };
            assert!(why.contains("energy_uj"), "{why}");
        }
        set("0");
        meter.start();
        set("4000000");
        meter.stop();
        assert_eq!(value(&mut meter), Reading::Value(2.0));
    }

    #[test]
    fn memory_is_apart_and_not_everywhere() {
        let root = tempfile::tempdir().unwrap();
        let set = |zone, name, uj| set(root.path(), zone, name, uj);
        set("intel-rapl:0", "package-0", "0");
        assert_eq!(Counters::of_memory(root.path()), Ok(None));
        set("intel-rapl:0:0", "core", "0");
        set("intel-rapl:0:1", "dram", "0");
        set("intel-rapl:1:0", "dram", "1000");
        let memory = Counters::of_memory(root.path()).unwrap().unwrap();
        let then = memory.read().unwrap();
        assert_eq!(then, [0.0, 1000.0]);
        set("intel-rapl:0:1", "dram", "3000000");
        let now = memory.read().unwrap();
        assert!((memory.spent(&then, &now) - 3.0).abs() < 1e-12);
    }

    #[test]
    fn a_machine_without_rapl_says_so() {
        let root = tempfile::tempdir().unwrap();
        let of = || Counters::of_packages(root.path()).unwrap_err();
        assert!(of().contains("powercap"), "{}", of());
        std::fs::create_dir_all(root.path().join(FOLDER)).unwrap();
        assert!(of().contains("no RAPL package"), "{}", of());
        set(root.path(), "intel-rapl:0", "package-0", "much");
        assert!(of().contains("found `much`"), "{}", of());
        // A folder in the place of the counter: nobody can read it, not even
        // root.
        let counter = root.path().join(FOLDER).join("intel-rapl:0/energy_uj");
        std::fs::remove_file(&counter).unwrap();
        std::fs::create_dir(&counter).unwrap();
        assert!(of().contains("energy_uj"), "{}", of());
    }

    #[test]
    fn a_counter_kept_for_root_says_what_to_do() {
        let denied = ErrorKind::PermissionDenied.into();
        let said = refusal(Path::new("/sys/x/energy_uj"), &denied);
        insta::assert_snapshot!(said, @"/sys/x/energy_uj: permission denied; since 2020 the kernel keeps it for root (it tells what others compute): run as root, or `sudo chmod a+r /sys/x/energy_uj` until the next boot");
    }
}
