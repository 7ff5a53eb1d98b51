//! Peak resident memory of the process: `VmHWM`, reset before sampling.
//!
//! Linux forgets the peak when `5` is written to `/proc/self/clear_refs`.
//! Where that is refused, the peak covers the whole process so far, and a
//! warning says so.

use super::{Meter, Readout, Window};

const NAME: &str = "resident_peak";

/// Reads the peak resident memory.
#[derive(Debug, Default)]
pub struct ResidentMeter {
    /// Set at the first start of a window: what came of the reset.
    reset: Option<Result<(), String>>,
}

impl ResidentMeter {
    /// A meter that has not been started.
    pub fn new() -> Self {
        Self::default()
    }
}

#[cfg(target_os = "linux")]
impl Meter for ResidentMeter {
    fn start(&mut self) {
        if self.reset.is_none() {
            let reset = std::fs::write("/proc/self/clear_refs", "5")
                .map_err(|error| format!("/proc/self/clear_refs: {error}"));
            self.reset = Some(reset);
        }
    }

    fn stop(&mut self) {}

    fn read(&mut self, _window: &Window) -> Readout {
        let status = std::fs::read_to_string("/proc/self/status")
            .map_err(|error| format!("/proc/self/status: {error}"));
        readout(status, self.reset.take())
    }
}

/// From the text of `/proc/self/status` and what came of the reset.
#[cfg(any(target_os = "linux", test))]
fn readout(
    status: Result<String, String>,
    reset: Option<Result<(), String>>,
) -> Readout {
    use assay_schema::{Better, Metric, Warning};
    let peak = status.and_then(|status| {
        super::number_after(&status, "VmHWM")
            .ok_or("/proc/self/status has no VmHWM".to_owned())
    });
    let mut readout = Readout::one(match peak {
        Ok(kib) => Metric::value(NAME, "B", Better::Lower, kib * 1024.0),
        Err(why) => Metric::unavailable(NAME, "B", Better::Lower, why),
    });
    if let Some(Err(why)) = reset {
        readout.warnings.push(Warning {
            kind: "resident-peak".to_owned(),
            message: format!(
                "{NAME} covers the whole process, not this case alone \
                 ({why}); run the case in a process of its own to have its \
                 own peak"
            ),
        });
    }
    readout
}

#[cfg(not(target_os = "linux"))]
impl Meter for ResidentMeter {
    fn start(&mut self) {
        self.reset = Some(Ok(()));
    }

    fn stop(&mut self) {}

    fn read(&mut self, _window: &Window) -> Readout {
        use assay_schema::{Better, Metric};
        let why = "read from /proc, which only Linux has";
        Readout::one(Metric::unavailable(NAME, "B", Better::Lower, why))
    }
}

#[cfg(test)]
mod tests {
    use assay_schema::Reading;

    use super::*;

    #[test]
    fn the_peak_is_in_bytes() {
        let status = Ok("VmHWM:\t   2 kB\n".to_owned());
        let readout = readout(status, Some(Ok(())));
        assert_eq!(readout.metrics[0].reading, Reading::Value(2048.0));
        assert!(readout.warnings.is_empty());
    }

    #[test]
    fn a_refused_reset_is_said() {
        let status = Ok("VmHWM:\t   2 kB\n".to_owned());
        let readout = readout(status, Some(Err("refused".to_owned())));
        assert!(readout.warnings[0].message.contains("whole process"));
    }

    #[test]
    fn without_a_peak_there_is_a_reason() {
        let readout = readout(Ok(String::new()), None);
        assert_eq!(
            readout.metrics[0].reading,
            Reading::Unavailable("/proc/self/status has no VmHWM".into())
        );
    }
}
