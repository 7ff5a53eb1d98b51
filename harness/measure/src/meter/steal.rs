//! Steal: the share of processor time that the hypervisor gave to others
//! while this machine wanted to run. From `/proc/stat`, all processors.

use std::path::Path;

use assay_schema::{Better, Metric, Warning};

use super::{Meter, Readout, Window};

const NAME: &str = "steal";

/// Past this share a warning is due.
pub(crate) const NOTEWORTHY: f64 = 0.01;

/// Reads the steal time.
#[derive(Debug, Default)]
pub struct StealMeter {
    started: Option<Jiffies>,
    total: Jiffies,
    problem: Option<String>,
}

/// Clock ticks of the kernel, summed over processors.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Jiffies {
    pub(crate) all: f64,
    pub(crate) steal: f64,
    /// Nothing to run, waiting for the disk included.
    pub(crate) idle: f64,
}

impl StealMeter {
    /// A meter that has counted nothing.
    pub fn new() -> Self {
        Self::default()
    }

    fn jiffies(&mut self) -> Option<Jiffies> {
        match jiffies_below(Path::new("/")) {
            Ok(jiffies) => Some(jiffies),
            Err(why) => {
                self.problem = Some(why);
                None
            }
        }
    }
}

impl Meter for StealMeter {
    fn start(&mut self) {
        self.started = self.jiffies();
    }

    fn stop(&mut self) {
        if let (Some(then), Some(now)) = (self.started.take(), self.jiffies()) {
            self.total.all += now.all - then.all;
            self.total.steal += now.steal - then.steal;
        }
    }

    fn read(&mut self, _window: &Window) -> Readout {
        let total = std::mem::take(&mut self.total);
        match self.problem.take() {
            Some(why) => {
                Readout::one(Metric::unavailable(NAME, "1", Better::Lower, why))
            }
            None => readout(total),
        }
    }
}

fn readout(total: Jiffies) -> Readout {
    if total.all <= 0.0 {
        let why = "sampling was shorter than the kernel's clock tick";
        let none = Metric::unavailable(NAME, "1", Better::Lower, why);
        return Readout::one(none);
    }
    let share = total.steal / total.all;
    let mut readout =
        Readout::one(Metric::value(NAME, "1", Better::Lower, share));
    if share > NOTEWORTHY {
        readout.warnings.push(Warning {
            kind: NAME.to_owned(),
            message: format!(
                "the hypervisor took {:.1} % of the processor time for other \
                 guests; run again at a quieter time, or compare only runs \
                 that were interleaved",
                share * 100.0
            ),
        });
    }
    readout
}

/// The ticks of the machine whose files lie below `root` (`/`: this one).
///
/// # Errors
/// Why there is no reading.
#[cfg(target_os = "linux")]
pub(crate) fn jiffies_below(root: &Path) -> Result<Jiffies, String> {
    let file = root.join("proc/stat");
    let stat = std::fs::read_to_string(&file)
        .map_err(|error| format!("{}: {error}", file.display()))?;
    parse(&stat)
        .ok_or_else(|| format!("{} has no steal column", file.display()))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn jiffies_below(_root: &Path) -> Result<Jiffies, String> {
    Err("read from /proc/stat, which only Linux has".to_owned())
}

/// The line `cpu user nice system idle iowait irq softirq steal guest ...`
/// of proc(5). Guest time is part of user time and not added again.
pub(crate) fn parse(stat: &str) -> Option<Jiffies> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let columns: Vec<f64> = line
        .split_whitespace()
        .take(8)
        .map(|word| word.parse().ok())
        .collect::<Option<_>>()?;
    let steal = *columns.get(7)?;
    let idle = columns[3] + columns[4];
    Some(Jiffies { all: columns.iter().sum(), steal, idle })
}

#[cfg(test)]
mod tests {
    use assay_schema::Reading;

    use super::*;

    #[test]
    fn steal_is_the_eighth_column() {
        let stat = "cpu  1 2 3 4 5 6 7 8 100 100\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        let jiffies = Jiffies { all: 36.0, steal: 8.0, idle: 9.0 };
        assert_eq!(parse(stat), Some(jiffies));
        assert_eq!(parse("cpu  1 2 3\n"), None);
        assert_eq!(parse("cpu0 1 2 3 4 5 6 7 8\n"), None);
    }

    fn of_thousand(steal: f64) -> Jiffies {
        Jiffies { all: 1000.0, steal, idle: 0.0 }
    }

    #[test]
    fn more_than_a_hundredth_earns_a_warning_with_advice() {
        let quiet = readout(of_thousand(10.0));
        assert!(quiet.warnings.is_empty());
        let noisy = readout(of_thousand(50.0));
        assert_eq!(noisy.metrics[0].reading, Reading::Value(0.05));
        insta::assert_snapshot!(
            noisy.warnings[0].message,
            @"the hypervisor took 5.0 % of the processor time for other guests; run again at a quieter time, or compare only runs that were interleaved"
        );
    }

    #[test]
    fn no_tick_is_no_zero() {
        let readout = readout(Jiffies::default());
        assert!(matches!(readout.metrics[0].reading, Reading::Unavailable(_)));
    }
}
