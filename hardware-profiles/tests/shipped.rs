//! What ships: every profile loads, agrees with the table of facts, writes
//! back, and does not contradict itself.

#![allow(missing_docs, reason = "a test has no public items")]
#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]
#![allow(
    clippy::float_cmp,
    reason = "units are converted by one exact-by-construction factor"
)]

use assay_hardware_profiles::{
    Architecture, Bits, BitsPerSecond, Count, Fact, HardwareProfile, Quantity,
    Severity, Trust, UnitName, check, load, load_file, names, parse, resolve,
};
use assay_schema::{Precision, Provenance};

fn every() -> impl Iterator<Item = HardwareProfile> {
    names().iter().map(|name| load(name).unwrap())
}

#[test]
fn every_shipped_profile_loads_under_its_own_name() {
    // 45 devices of the tables, two clusters, three written by hand.
    assert_eq!(names().len(), 50);
    assert!(names().is_sorted());
    for (name, profile) in names().iter().zip(every()) {
        assert_eq!(*name, profile.name);
    }
}

#[test]
fn the_machines_of_the_study_are_there_with_their_units() {
    use UnitName::{Cpu, Gpu, Npu};
    for (name, default, units) in [
        ("nvidia-a100-sxm4-40gb", Gpu, vec![Gpu]),
        ("nvidia-a100-sxm4-80gb", Gpu, vec![Gpu]),
        ("nvidia-h100-sxm5-80gb", Gpu, vec![Gpu]),
        ("nvidia-v100-sxm2-32gb", Gpu, vec![Gpu]),
        ("nvidia-t4", Gpu, vec![Gpu]),
        ("nvidia-geforce-rtx-4090", Gpu, vec![Gpu]),
        ("nvidia-jetson-orin-nx-16gb", Gpu, vec![Cpu, Gpu, Npu]),
        ("snapdragon-8-gen-3", Cpu, vec![Cpu, Gpu, Npu]),
        ("snapdragon-888", Cpu, vec![Cpu, Gpu, Npu]),
        ("snapdragon-8-gen-1", Cpu, vec![Cpu]),
        ("google-pixel-8-tensor-g3", Cpu, vec![Cpu, Gpu]),
        ("apple-m2-max-38-core-gpu", Gpu, vec![Gpu, Npu]),
        ("raspberry-pi-5-bcm2712", Cpu, vec![Cpu]),
        ("amd-epyc-9654-genoa", Cpu, vec![Cpu]),
        ("intel-xeon-platinum-8480-sapphire-rapids", Cpu, vec![Cpu]),
    ] {
        let (profile, unit) = resolve(name).unwrap();
        assert_eq!(unit, default, "{name}");
        let found: Vec<UnitName> = profile.units.keys().copied().collect();
        assert_eq!(found, units, "{name}");
    }
}

#[test]
fn a_target_names_a_unit() {
    let (profile, unit) = resolve("snapdragon-8-gen-3:gpu").unwrap();
    assert_eq!(unit, UnitName::Gpu);
    let architecture = profile.units[&unit].architecture;
    assert_eq!(architecture, Architecture::Adreno);
}

/// `tests/facts.csv` is an extract of the table that `convert.py` reads: all
/// devices, the columns of plain numbers. That every other cell arrived too,
/// `convert.py` itself asserts when it is run.
#[test]
fn the_numbers_are_those_of_the_table_of_facts() {
    let mut table =
        csv::Reader::from_reader(include_str!("facts.csv").as_bytes());
    let columns = table.headers().unwrap().clone();
    let mut compared = 0;
    for row in table.records() {
        let row = row.unwrap();
        let profile = every().find(|p| p.title == row[0]).unwrap();
        for (column, cell) in columns.iter().zip(&row).skip(1) {
            if cell.is_empty() {
                continue;
            }
            let expected: f64 = cell.parse().unwrap();
            let found = cell_of(&profile, column).unwrap_or(f64::NAN);
            assert!(
                (found / expected - 1.0).abs() < 1e-12,
                "{}: {column}: {found} instead of {expected}",
                profile.name
            );
            compared += 1;
        }
    }
    assert!(compared > 400, "{compared}");
}

/// The number of a profile that stands in a column, in the column's unit.
fn cell_of(profile: &HardwareProfile, column: &str) -> Option<f64> {
    fn number<U: Quantity>(fact: Option<&Fact<U>>, factor: f64) -> Option<f64> {
        fact.map(|fact| fact.value.base() / factor)
    }
    // Columns of arithmetic speak of the GPU of an SoC, else of the one unit.
    let unit = profile
        .units
        .get(&UnitName::Gpu)
        .or_else(|| profile.units.get(&UnitName::Cpu))?;
    let peak = |precision| number(unit.peak(precision), 1e12);
    match column {
        "fp64_vec_tflops" => number(unit.vector.f64.as_ref(), 1e12),
        "fp32_vec_tflops" => number(unit.vector.f32.as_ref(), 1e12),
        "fp16_vec_tflops" => number(unit.vector.f16.as_ref(), 1e12),
        "tf32_mat_tflops" => number(unit.matrix.tf32.as_ref(), 1e12),
        "fp16_mat_tflops" => {
            let matrix = unit.matrix.f16.as_ref();
            number(matrix.or(unit.vector.f16.as_ref()), 1e12)
        }
        "bf16_mat_tflops" => peak(Precision::Bf16),
        "int8_mat_tops" => peak(Precision::Int8),
        "fp8_mat_tflops" => peak(Precision::Fp8),
        "npu_int8_tops" => {
            let npu = profile.units.get(&UnitName::Npu)?;
            number(npu.matrix.int8.as_ref(), 1e12)
        }
        "mem_bw_gbs" => number(Some(&profile.memory.bandwidth), 1e9),
        "mem_gb" => number(profile.memory.size.as_ref(), 1e9),
        "sm_or_cores" => number(unit.cores.as_ref(), 1.0),
        "boost_clock_mhz" => number(unit.clock.boost.as_ref(), 1e6),
        "l2_mb" => number(unit.cache.l2.as_ref(), 1024.0 * 1024.0),
        "launch_overhead_us" => number(unit.launch_overhead.as_ref(), 1e-6),
        "pcie_gbs_per_dir" => number(unit.link.pcie.as_ref(), 1e9),
        "tdp_w" => number(profile.tdp.as_ref(), 1.0),
        "measured_peak_matmul_tflops" => {
            number(unit.gemm.first().map(|gemm| &gemm.peak), 1e12)
        }
        "measured_peak_bw_gbs" => {
            number(unit.bandwidth.first().map(|entry| &entry.rate), 1e9)
        }
        _ => None,
    }
}

#[test]
fn a_cluster_is_one_of_its_devices_with_the_links_of_a_node() {
    for (node, device, inter_node) in [
        ("nvidia-dgx-a100-8x-80gb", "nvidia-a100-sxm4-80gb", 25e9),
        ("nvidia-dgx-h100-8x-80gb", "nvidia-h100-sxm5-80gb", 50e9),
    ] {
        let (mut node, device) = (load(node).unwrap(), load(device).unwrap());
        assert_eq!(node.memory, device.memory);
        let gpu = node.units.get_mut(&UnitName::Gpu).unwrap();
        let link = std::mem::take(&mut gpu.link);
        assert_eq!(link.devices_per_node.unwrap().value, Count(8.0));
        assert_eq!(link.adapters_per_node.unwrap().value, Count(8.0));
        assert_eq!(link.inter_node.unwrap().value.base(), inter_node);
        gpu.link = device.units[&UnitName::Gpu].link.clone();
        assert!(gpu.link.devices_per_node.is_none());
        assert_eq!(node.units, device.units);
    }
}

#[test]
fn provenance_of_a_cell_is_kept() {
    let a100 = load("nvidia-a100-sxm4-80gb").unwrap();
    assert_eq!(a100.memory.bandwidth.trust, Trust::Seen);
    assert_eq!(a100.memory.bandwidth.source, "aiconfigurator-systems-yaml");
    let gpu = &a100.units[&UnitName::Gpu];
    assert!(gpu.gemm[0].peak.is_measured());
    assert!(!gpu.matrix.f16.as_ref().unwrap().is_measured());
    let p4 = load("nvidia-p4").unwrap();
    assert_eq!(p4.memory.bandwidth.trust, Trust::Recalled);
}

#[test]
fn a_phones_cpu_peak_is_the_sum_of_its_clusters() {
    let phone = load("snapdragon-888").unwrap();
    let cpu = &phone.units[&UnitName::Cpu];
    let expected = 1e9 * (2.84 * 32.0 + 3.0 * 2.42 * 16.0 + 4.0 * 1.8 * 8.0);
    let f32 = cpu.vector.f32.as_ref().unwrap();
    assert!((f32.value.value() / expected - 1.0).abs() < 1e-9);
    assert_eq!(f32.trust, Trust::Derived);
    assert!(f32.source.contains("Cortex-X1"), "{}", f32.source);
    let f16 = cpu.vector.f16.as_ref().unwrap();
    assert_eq!(f16.value / f32.value, 2.0);
}

#[test]
fn dot_products_of_vector_units_are_no_matrix_peaks() {
    for (name, precision) in [
        ("amd-epyc-9654-genoa:cpu", Precision::Bf16),
        ("nvidia-v100-sxm2-32gb:gpu", Precision::Int8),
        ("intel-xeon-platinum-8480-sapphire-rapids:cpu", Precision::F16),
    ] {
        let (profile, unit) = resolve(name).unwrap();
        let unit = &profile.units[&unit];
        assert!(unit.vector.get(precision).is_some(), "{name}");
        assert!(unit.matrix.get(precision).is_none(), "{name}");
    }
    let xeon = load("intel-xeon-platinum-8480-sapphire-rapids").unwrap();
    let cpu = &xeon.units[&UnitName::Cpu];
    assert_eq!(cpu.architecture, Architecture::Amx);
    assert!(cpu.matrix.bf16.is_some());
}

#[test]
fn writing_a_profile_and_reading_it_gives_the_same_profile() {
    for profile in every() {
        let text = profile.to_toml().unwrap();
        assert_eq!(parse("again.toml", &text).unwrap(), profile, "{text}");
    }
}

#[test]
fn saving_replaces_the_file_and_leaves_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("host.toml");
    for name in ["nvidia-t4", "nvidia-l4"] {
        let profile = load(name).unwrap();
        profile.save(&path).unwrap();
        assert_eq!(load_file(&path).unwrap(), profile);
    }
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    let nowhere = folder.path().join("absent/host.toml");
    let error = load("nvidia-t4").unwrap().save(&nowhere).unwrap_err();
    assert!(error.to_string().contains("absent/host.toml"), "{error}");
}

#[test]
fn no_shipped_profile_contradicts_itself_unexplained() {
    for profile in every() {
        let bad: Vec<_> = check(&profile)
            .into_iter()
            .filter(|finding| finding.severity == Severity::Contradiction)
            .collect();
        assert!(bad.is_empty(), "{}: {bad:#?}", profile.name);
    }
}

#[test]
fn bandwidths_are_said_a_second_time_by_bus_and_rate() {
    let twice = |p: &HardwareProfile| {
        p.memory.bus_width.is_some() && p.memory.pin_rate.is_some()
    };
    assert!(every().filter(twice).count() >= 46);
    let t4 = load("nvidia-t4").unwrap().memory;
    assert_eq!(t4.bus_width.unwrap().value, Bits(256.0));
    assert_eq!(t4.pin_rate.unwrap().value, BitsPerSecond(10e9));
}

#[test]
fn every_explanation_explains_a_finding() {
    for profile in every() {
        let findings = check(&profile);
        for explained in &profile.explained {
            assert!(
                findings.iter().any(|f| f.rule == explained.rule
                    && f.keys.contains(&explained.key)),
                "{}: {explained:?}",
                profile.name
            );
        }
    }
}

#[test]
fn a_summary_has_the_faster_peak_and_says_it_was_published() {
    let summary = load("nvidia-t4").unwrap().summary(None).unwrap();
    assert_eq!(summary.unit, "gpu");
    assert_eq!(summary.peaks["f16"].value(), 65.1e12);
    assert_eq!(summary.peaks["f32"].value(), 8.1e12);
    assert_eq!(summary.memory_bandwidth.value(), 320e9);
    assert_eq!(summary.provenance, Provenance::Published);
}
