//! `--device wgpu:N` in a build with GPUs. Where no adapter is, each test says
//! by name that it was skipped; a software rasteriser will do.

use assay_schema::{Outcome, Reading};

use crate::place::Place;

/// A place, if there is an adapter.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn with_adapter(test: &str) -> Option<Place> {
    let place = Place::new();
    let said = place.assay("run operators/softmax --device wgpu:999");
    assert_eq!(said.code, 3, "{}", said.err);
    if said.err.contains("no GPU adapter was found") {
        println!("skipped: {test}: {}", said.err.trim());
        return None;
    }
    assert!(
        said.err.contains("no such adapter; found: wgpu:0"),
        "{}",
        said.err
    );
    Some(place)
}

#[test]
fn an_operator_is_measured_on_an_adapter_that_its_record_names() {
    let name = "an_operator_is_measured_on_an_adapter_that_its_record_names";
    let Some(place) = with_adapter(name) else { return };
    place.ok(
        "run operators/softmax rows=64 cols=128 --device wgpu:0 --budget 1s \
         --out g",
    );
    let run = place.run("g");
    let header = run.header();
    assert!(header.device.starts_with("wgpu:0 ("), "{}", header.device);
    assert!(header.device.matches(';').count() >= 2, "{}", header.device);
    assert!(header.hardware_profile.starts_with("none"));
    let records = run.records().unwrap();
    let [record] = &records[..] else { panic!("{}", records.len()) };
    assert!(record.is_sound(), "{:?}", record.outcome);
    assert_eq!(record.device, "wgpu:0");
    assert!(record.verification.as_ref().unwrap().passed());
    assert!(!record.steady_samples("step").is_empty());
    assert!(record.metric("device_round_trip").unwrap() > 0.0);
    for metric in ["memory_peak", "allocations", "instructions", "energy"] {
        let (_, found) =
            record.metrics.iter().find(|(_, m)| m.name == metric).unwrap();
        assert!(matches!(found.reading, Reading::Unavailable(_)), "{metric}");
    }
    let has_clock =
        !record.warnings.iter().any(|one| one.kind == "no-device-clock");
    assert_eq!(record.steady_samples("device").is_empty(), !has_clock);
    if header.device.contains("software rasteriser") {
        let kinds: Vec<&str> =
            record.warnings.iter().map(|one| one.kind.as_str()).collect();
        assert!(kinds.contains(&"software-device"), "{kinds:?}");
    }
    // What a GPU does not do, and what it is not.
    place.refused(
        2,
        "run slm/tiny/decode --device wgpu:0",
        &["slm/tiny/decode", "only `operators`"],
    );
    place.refused(
        2,
        "run operators --quick --on host --device wgpu:0",
        &["--on host", "processor"],
    );
    let collective =
        place.ok("run operators/all_reduce --device wgpu:0 --out c");
    assert!(!collective.is_empty());
    let records = place.run("c").records().unwrap();
    assert!(matches!(records[0].outcome, Outcome::Skipped(_)));
}

#[test]
fn no_gpus_profile_is_corrected_by_a_software_rasteriser() {
    let name = "no_gpus_profile_is_corrected_by_a_software_rasteriser";
    let Some(place) = with_adapter(name) else { return };
    place.ok(
        "run operators/softmax rows=8 cols=8 --device wgpu:0 --budget 100ms \
         --out g",
    );
    if !place.run("g").header().device.contains("software rasteriser") {
        println!("skipped: {name}: wgpu:0 is a GPU");
        place.refused(
            2,
            "calibrate --device wgpu:0 --out o.toml",
            &["--profile", "assay profiles"],
        );
        place.refused(
            2,
            "calibrate --device wgpu:0 --profile snapdragon-8-gen-3:cpu --out \
             o.toml",
            &["`cpu` is no GPU"],
        );
        return;
    }
    place.refused(
        3,
        "calibrate --device wgpu:0 --profile nvidia-l4 --out o.toml",
        &["software rasteriser", "no GPU's profile"],
    );
}
