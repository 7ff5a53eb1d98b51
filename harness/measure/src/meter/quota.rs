//! The quota of a control group: how long it held its processes back.

use std::path::Path;

use super::number_after;

/// Processor-seconds that a group was held back for since it was made, by its
/// `cpu.stat`: version 2 counts microseconds, version 1 nanoseconds. The
/// kernel stops a group processor by processor (each has a queue of its own)
/// and adds those times up, so that a second may hold more than one.
pub(crate) fn held_back(cpu_stat: &str) -> Option<f64> {
    number_after(cpu_stat, "throttled_usec").map(|us| us * 1e-6).or_else(|| {
        number_after(cpu_stat, "throttled_time").map(|ns| ns * 1e-9)
    })
}

/// The files that say it, of this process's groups that exist below `root`.
pub(crate) fn stat_files(root: &Path) -> Vec<std::path::PathBuf> {
    let groups = std::fs::read_to_string(root.join("proc/self/cgroup"));
    group_folders(&groups.unwrap_or_default())
        .into_iter()
        .map(|folder| root.join(folder).join("cpu.stat"))
        .filter(|file| {
            let text = std::fs::read_to_string(file);
            text.is_ok_and(|text| held_back(&text).is_some())
        })
        .collect()
}

/// Folders of the control groups that this process is in, each with those
/// above it; from lines `number:controllers:path` of `/proc/self/cgroup`. A
/// container may see its own group at the root whatever the path says.
pub(crate) fn group_folders(cgroup: &str) -> Vec<String> {
    let mut folders = Vec::new();
    for line in cgroup.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let mounts: &[&str] = if controllers.is_empty() {
            &["sys/fs/cgroup", "sys/fs/cgroup/unified"]
        } else if controllers.split(',').any(|name| name == "cpu") {
            &["sys/fs/cgroup/cpu", "sys/fs/cgroup/cpu,cpuacct"]
        } else {
            &[]
        };
        for mount in mounts {
            let mut path = path.trim_end_matches('/');
            loop {
                folders.push(format!("{mount}{path}"));
                match path.rsplit_once('/') {
                    Some((above, _)) => path = above,
                    None => break,
                }
            }
        }
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_say_how_long_they_held_back() {
        assert_eq!(
            held_back("nr_throttled 1\nthrottled_usec 2000000\n"),
            Some(2.0)
        );
        assert_eq!(held_back("throttled_time 500000000\n"), Some(0.5));
        assert_eq!(held_back("usage_usec 5\n"), None);
    }

    #[test]
    fn a_group_is_looked_for_with_those_above_it() {
        assert_eq!(
            group_folders("0::/a/b\n"),
            [
                "sys/fs/cgroup/a/b",
                "sys/fs/cgroup/a",
                "sys/fs/cgroup",
                "sys/fs/cgroup/unified/a/b",
                "sys/fs/cgroup/unified/a",
                "sys/fs/cgroup/unified",
            ]
        );
        assert_eq!(
            group_folders("4:memory:/x\n3:cpu,cpuacct:/\nnonsense\n"),
            ["sys/fs/cgroup/cpu", "sys/fs/cgroup/cpu,cpuacct"]
        );
    }
}
