//! Each rule of `check` finds what it is for, in a profile that is sound but
//! for one number, and nothing in the sound one.

#![allow(missing_docs, reason = "a test has no public items")]
#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

use assay_hardware_profiles::{
    Explained, Fact, Gemm, HardwareProfile, Kind, Quantity, Severity, Unit,
    UnitName, check, load,
};
use assay_schema::{BytesPerSecond, FlopsPerSecond, Precision};

fn a100() -> HardwareProfile {
    load("nvidia-a100-sxm4-80gb").unwrap()
}

fn unit(profile: &mut HardwareProfile) -> &mut Unit {
    let name = profile.default_unit;
    profile.units.get_mut(&name).unwrap()
}

fn scale<U: Quantity>(fact: &mut Option<Fact<U>>, factor: f64) {
    let fact = fact.as_mut().unwrap();
    fact.value = U::from_base(fact.value.base() * factor);
}

/// The rules that find something, worst first, after one change.
fn rules(
    mut profile: HardwareProfile,
    change: impl FnOnce(&mut HardwareProfile),
) -> Vec<(Severity, &'static str)> {
    assert!(check(&profile).is_empty(), "{:?}", check(&profile));
    change(&mut profile);
    check(&profile).iter().map(|f| (f.severity, f.rule)).collect()
}

fn found(change: impl FnOnce(&mut HardwareProfile)) -> Vec<&'static str> {
    rules(a100(), change)
        .into_iter()
        .filter(|(severity, _)| *severity == Severity::Contradiction)
        .map(|(_, rule)| rule)
        .collect()
}

#[test]
fn a_matrix_peak_below_the_vector_peak() {
    let rules = found(|p| scale(&mut unit(p).matrix.bf16, 0.05));
    assert!(rules.contains(&"matrix-below-vector"), "{rules:?}");
}

#[test]
fn fewer_bits_running_slower() {
    let rules = found(|p| scale(&mut unit(p).vector.f64, 3.0));
    assert_eq!(rules, ["narrow-below-wide"]);
}

#[test]
fn a_vector_peak_that_cores_and_clock_do_not_give() {
    // The usual slip: a fused multiply-add counted as one.
    let rules = found(|p| scale(&mut unit(p).flops_per_cycle, 0.5));
    assert_eq!(rules, ["vector-against-clock"]);
}

#[test]
fn a_cpu_peak_may_lie_between_base_and_boost_but_not_beyond() {
    let xeon = || load("intel-xeon-platinum-8380").unwrap();
    let with = |clock: f64| {
        let mut profile = xeon();
        let cpu = unit(&mut profile);
        cpu.clock.sustained = None;
        let peak = 40.0 * 64.0 * clock * 1e9;
        cpu.vector.f32.as_mut().unwrap().value = FlopsPerSecond(peak);
        check(&profile).iter().any(|f| f.rule == "vector-against-clock")
    };
    assert!(!with(2.3) && !with(2.8) && !with(3.4));
    assert!(with(1.8) && with(4.0));
}

#[test]
fn clusters_that_do_not_add_up() {
    let phone = load("snapdragon-888").unwrap();
    let rules = rules(phone, |p| {
        unit(p).cluster.pop();
    });
    assert_eq!(rules, [(Severity::Contradiction, "vector-against-clusters")]);
}

#[test]
fn a_base_clock_above_the_boost_clock() {
    let rules = found(|p| scale(&mut unit(p).clock.base, 2.0));
    assert_eq!(rules, ["clock-order"]);
}

#[test]
fn a_core_with_more_first_level_than_all_have_second_level() {
    let rules = found(|p| scale(&mut unit(p).cache.l1_per_core, 1024.0));
    assert_eq!(rules, ["cache-order"]);
}

#[test]
fn a_last_level_below_the_second_is_a_note() {
    let epyc = load("amd-epyc-7763-milan").unwrap();
    let rules = rules(epyc, |p| scale(&mut unit(p).cache.llc, 0.1));
    assert_eq!(rules, [(Severity::Note, "cache-order")]);
}

#[test]
fn a_measured_peak_above_the_declared_one() {
    let measured = |tera: f64| {
        found(|p| {
            unit(p).gemm.push(Gemm {
                precision: Precision::F16,
                threads: None,
                peak: Fact::measured(FlopsPerSecond(tera * 1e12), "run", None),
            });
        })
    };
    assert!(measured(317.0).is_empty()); // 1.6 % above: clocks and rounding
    assert_eq!(measured(320.0), ["measured-above-peak"]);
}

#[test]
fn a_measured_bandwidth_above_the_declared_one() {
    let rules = found(|p| {
        unit(p).bandwidth[0].rate.value = BytesPerSecond(2.1e12);
    });
    assert_eq!(rules, ["measured-above-bandwidth"]);
}

#[test]
fn int8_at_four_times_f16_is_a_note_on_tensor_cores_only() {
    let slip = |p: &mut HardwareProfile| scale(&mut unit(p).matrix.int8, 2.0);
    assert_eq!(rules(a100(), slip), [(Severity::Note, "int8-against-f16")]);
    let mi300x = load("amd-instinct-mi300x").unwrap();
    assert!(rules(mi300x, slip).is_empty());
}

#[test]
fn more_arithmetic_for_a_watt_than_chips_do() {
    let rules = found(|p| scale(&mut p.tdp, 0.1));
    assert_eq!(rules, ["peak-against-power"]);
}

#[test]
fn bandwidth_memory_and_power_out_of_range() {
    // The usual slips: GB/s for MB/s, GB for KB, mW for W.
    let bandwidth = found(|p| {
        unit(p).bandwidth.clear();
        p.memory.bandwidth.value = BytesPerSecond(2.0e8);
    });
    assert_eq!(bandwidth, ["implausible", "bandwidth-against-bus"]);
    assert_eq!(found(|p| scale(&mut p.memory.size, 1e6)), ["implausible"]);
    assert_eq!(found(|p| scale(&mut p.tdp, 1e3)), ["implausible"]);
}

#[test]
fn a_bandwidth_that_bus_and_rate_do_not_give() {
    let with = |factor: f64| found(|p| scale(&mut p.memory.pin_rate, factor));
    // The usual slip: the clock of a bus that transfers twice a cycle.
    assert_eq!(with(0.5), ["bandwidth-against-bus"]);
    assert_eq!(with(1.06), ["bandwidth-against-bus"]);
    assert!(with(0.97).is_empty() && with(1.04).is_empty());
    // Half a bus is not there, and nothing to compare with.
    assert!(found(|p| p.memory.bus_width = None).is_empty());
    let mut profile = a100();
    scale(&mut profile.memory.bus_width, 2.0);
    let finding = &check(&profile)[0];
    assert!(finding.keys.contains(&"memory.bus_width".to_owned()));
    assert_eq!(
        finding.sentence,
        "memory.bandwidth is 2039.0000 GB/s; 10240 bit x 3.1860 Gbit/s give \
         4078.0800."
    );
    profile.explained.push(Explained {
        rule: "bandwidth-against-bus".to_owned(),
        key: "memory.bandwidth".to_owned(),
        why: "half of the stacks are spares".to_owned(),
    });
    assert_eq!(check(&profile)[0].severity, Severity::Note);
}

#[test]
fn a_measured_bandwidth_may_lie_below_the_bus_but_not_above() {
    let measured = |factor: f64| {
        found(|p| {
            unit(p).bandwidth.clear();
            let bandwidth = &mut p.memory.bandwidth;
            bandwidth.kind = Kind::Measured;
            bandwidth.value = bandwidth.value * factor;
        })
    };
    assert!(measured(0.7).is_empty());
    assert_eq!(measured(1.2), ["bandwidth-against-bus"]);
}

#[test]
fn a_unit_without_any_peak() {
    let rules = found(|p| {
        unit(p).vector = Default::default();
        unit(p).matrix = Default::default();
    });
    assert_eq!(rules, ["no-peak"]);
}

#[test]
fn an_explained_contradiction_is_a_note_that_carries_the_reason() {
    let mut profile = a100();
    scale(&mut unit(&mut profile).clock.base, 2.0);
    profile.explained.push(Explained {
        rule: "clock-order".to_owned(),
        key: "unit.gpu.clock.base".to_owned(),
        why: "the sheet swaps the columns".to_owned(),
    });
    let findings = check(&profile);
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].severity, Severity::Note);
    assert!(findings[0].sentence.contains("swaps the columns"));
    // Another rule's or another key's contradiction stays one.
    profile.explained[0].key = "unit.gpu.clock.sustained".to_owned();
    assert_eq!(check(&profile)[0].severity, Severity::Contradiction);
    assert_eq!(profile.default_unit, UnitName::Gpu);
}
