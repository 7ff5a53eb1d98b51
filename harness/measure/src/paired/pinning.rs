//! Placing the arms of a round on one core.
//!
//! Cores differ: in clock, in who else runs there, in what a hypervisor does
//! with them. Three processes of one thread each are therefore pinned to one
//! and the same core, another one each round, so that a core's luck meets all
//! arms alike. A process of several threads is never pinned: on one core it
//! would be another program.

/// Cores that this process may use; empty where that cannot be known.
#[cfg(target_os = "linux")]
pub(crate) fn allowed_cores() -> Vec<usize> {
    use nix::sched::{CpuSet, sched_getaffinity};
    use nix::unistd::Pid;
    let Ok(set) = sched_getaffinity(Pid::from_raw(0)) else {
        return Vec::new();
    };
    (0..CpuSet::count())
        .filter(|&core| set.is_set(core).unwrap_or(false))
        .collect()
}

/// Pins a process of one thread.
#[cfg(target_os = "linux")]
pub(crate) fn pin(process: u32, core: usize) -> std::io::Result<()> {
    use nix::sched::{CpuSet, sched_setaffinity};
    use nix::unistd::Pid;
    let mut set = CpuSet::new();
    set.set(core)?;
    let process = i32::try_from(process).map_err(std::io::Error::other)?;
    Ok(sched_setaffinity(Pid::from_raw(process), &set)?)
}

/// Threads that a process has now.
#[cfg(target_os = "linux")]
pub(crate) fn threads(process: u32) -> Option<u64> {
    let status =
        std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    threads_in(&status)
}

#[cfg(any(target_os = "linux", test))]
fn threads_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|l| l.strip_prefix("Threads:"))?;
    line.trim().parse().ok()
}

/// Processor time that a process has used, all its threads, dead ones too.
#[cfg(target_os = "linux")]
pub(crate) fn processor_time(process: u32) -> Option<std::time::Duration> {
    use nix::time::clock_getcpuclockid;
    use nix::unistd::Pid;
    let process = Pid::from_raw(i32::try_from(process).ok()?);
    Some(clock_getcpuclockid(process).ok()?.now().ok()?.into())
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn allowed_cores() -> Vec<usize> {
    Vec::new()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn pin(_: u32, _: usize) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn threads(_: u32) -> Option<u64> {
    None
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn processor_time(_: u32) -> Option<std::time::Duration> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_read_from_the_status_file() {
        let status = "Name:\tx\nThreads:\t12\nSigQ:\t0/1\n";
        assert_eq!(threads_in(status), Some(12));
        assert_eq!(threads_in("Name:\tx\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_cores_threads_and_has_used_time() {
        let me = std::process::id();
        assert!(!allowed_cores().is_empty());
        assert!(threads(me).unwrap() >= 1);
        assert!(processor_time(me).unwrap() > std::time::Duration::ZERO);
    }
}
