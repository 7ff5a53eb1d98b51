//! The machine, as a record needs to know it.

use assay_schema::{Bytes, Host};
use sysinfo::System;

/// The facts of this machine. What it does not tell is `unknown`, absent, or
/// 0 bytes of memory.
pub fn host_facts() -> Host {
    let unknown = |_: sysinfo::Error| "unknown".to_owned();
    let system = System::new().ok();
    let memory = system.map(|mut system| {
        system.refresh_memory();
        // A container may have less than the machine.
        let allowed = system.cgroup_limits().map(|limits| limits.total_memory);
        system.total_memory().min(allowed.unwrap_or(u64::MAX))
    });
    Host {
        name: System::host_name().unwrap_or_else(unknown),
        os: System::long_os_version().unwrap_or_else(unknown),
        kernel: System::kernel_version().unwrap_or_else(unknown),
        cpu: processor_name().unwrap_or_else(|| "unknown".to_owned()),
        cores: std::thread::available_parallelism()
            .map_or(1, |cores| cores.get() as u32),
        memory_bytes: memory.unwrap_or(0),
        last_level_cache_bytes: last_level_cache().map(|bytes| bytes.0 as u64),
        features: vector_features(),
        hypervisor: hypervisor(),
    }
}

/// The first processor's name for itself.
fn processor_name() -> Option<String> {
    let mut system = System::new().ok()?;
    system.refresh_cpu_list(sysinfo::CpuRefreshKind::nothing());
    let brand = system.cpus().first()?.brand().trim().to_owned();
    (!brand.is_empty()).then_some(brand)
}

/// Memory that a new case could take now, of the machine or the container;
/// `None` where the system does not tell.
pub fn available_memory() -> Option<Bytes> {
    let mut system = System::new().ok()?;
    system.refresh_memory();
    let free = system.available_memory();
    let allowed = system.cgroup_limits().map(|limits| limits.free_memory);
    Some(Bytes(free.min(allowed.unwrap_or(u64::MAX)) as f64))
}

/// The cache of the highest level that processor 0 has (Linux sysfs).
pub fn last_level_cache() -> Option<Bytes> {
    caches_below("/sys/devices/system/cpu/cpu0/cache".as_ref())
}

fn caches_below(folder: &std::path::Path) -> Option<Bytes> {
    let caches = std::fs::read_dir(folder).ok()?;
    let read = |path: std::path::PathBuf| std::fs::read_to_string(path).ok();
    caches
        .flatten()
        .filter_map(|entry| {
            let level = read(entry.path().join("level"))?;
            let size = read(entry.path().join("size"))?;
            Some((level.trim().parse::<u32>().ok()?, size_in_bytes(&size)?))
        })
        .max_by_key(|(level, _)| *level)
        .map(|(_, size)| size)
}

/// `32768K` or `32M`, as the kernel writes cache sizes.
fn size_in_bytes(text: &str) -> Option<Bytes> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "" => 1.0,
        "K" => 1024.0,
        "M" => 1024.0 * 1024.0,
        _ => return None,
    };
    Some(Bytes(digits.parse::<f64>().ok()? * factor))
}

/// Whether `/proc/cpuinfo` tells of a hypervisor.
pub(crate) fn is_guest(cpuinfo: &str) -> bool {
    cpuinfo.lines().find(|line| line.starts_with("flags")).is_some_and(
        |flags| flags.split_whitespace().any(|flag| flag == "hypervisor"),
    )
}

/// What the hypervisor calls itself, or `yes` where only its presence shows.
fn hypervisor() -> Option<String> {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    if !is_guest(&cpuinfo) {
        return None;
    }
    let name = [
        "/sys/hypervisor/type",
        "/sys/class/dmi/id/product_name",
        "/sys/class/dmi/id/sys_vendor",
    ]
    .iter()
    .filter_map(|path| std::fs::read_to_string(path).ok())
    .map(|text| text.trim().to_owned())
    .find(|text| !text.is_empty());
    Some(name.or_else(vendor).unwrap_or_else(|| "yes".to_owned()))
}

/// The hypervisor's signature (CPUID leaf 0x4000_0000), e.g. `KVMKVMKVM`.
#[cfg(target_arch = "x86_64")]
fn vendor() -> Option<String> {
    let leaf = std::arch::x86_64::__cpuid(0x4000_0000);
    let bytes: Vec<u8> = [leaf.ebx, leaf.ecx, leaf.edx]
        .iter()
        .flat_map(|register| register.to_le_bytes())
        .filter(u8::is_ascii_graphic)
        .collect();
    String::from_utf8(bytes).ok().filter(|name| !name.is_empty())
}

#[cfg(not(target_arch = "x86_64"))]
fn vendor() -> Option<String> {
    None
}

/// Vector extensions that decide which kernels run.
#[cfg(target_arch = "x86_64")]
fn vector_features() -> Vec<String> {
    macro_rules! found {
        ($($feature:tt),*) => {
            [$(($feature, std::arch::is_x86_feature_detected!($feature))),*]
        };
    }
    names(&found!(
        "sse4.2",
        "avx",
        "f16c",
        "fma",
        "avx2",
        "avx512f",
        "avx512bw",
        "avx512vnni",
        "avx512bf16"
    ))
}

/// Vector extensions that decide which kernels run.
#[cfg(target_arch = "aarch64")]
fn vector_features() -> Vec<String> {
    macro_rules! found {
        ($($feature:tt),*) => {
            [$((
                $feature,
                std::arch::is_aarch64_feature_detected!($feature)
            )),*]
        };
    }
    names(&found!("neon", "fp16", "dotprod", "bf16", "i8mm", "sve", "sve2"))
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn vector_features() -> Vec<String> {
    Vec::new()
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn names(found: &[(&str, bool)]) -> Vec<String> {
    found
        .iter()
        .filter(|(_, found)| *found)
        .map(|(name, _)| (*name).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_size_is_read_as_the_kernel_writes_it() {
        assert_eq!(size_in_bytes("32768K\n"), Some(Bytes(33_554_432.0)));
        assert_eq!(size_in_bytes("2M"), Some(Bytes(2_097_152.0)));
        assert_eq!(size_in_bytes("512"), Some(Bytes(512.0)));
        assert_eq!(size_in_bytes("1G?"), None);
        assert_eq!(size_in_bytes(""), None);
    }

    #[test]
    fn the_highest_level_is_the_last() {
        let sysfs = tempfile::tempdir().unwrap();
        for (index, level, size) in
            [("index0", "1", "32K"), ("index3", "3", "8M"), ("x", "2", "1M")]
        {
            let folder = sysfs.path().join(index);
            std::fs::create_dir(&folder).unwrap();
            std::fs::write(folder.join("level"), level).unwrap();
            std::fs::write(folder.join("size"), size).unwrap();
        }
        let size = caches_below(sysfs.path());
        assert_eq!(size, Some(Bytes(8.0 * 1024.0 * 1024.0)));
    }

    #[test]
    fn this_machine_has_a_name_cores_and_memory() {
        let host = host_facts();
        assert!(host.cores >= 1);
        assert!(host.memory_bytes > 1 << 20);
        assert!(!host.os.is_empty());
        let free = available_memory().unwrap();
        assert!(free.0 <= host.memory_bytes as f64);
    }
}
