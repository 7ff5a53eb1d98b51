//! What the loader refuses, and the words it does it in.

#![allow(missing_docs, reason = "a test has no public items")]
#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

use assay_hardware_profiles::{
    Count, HardwareProfile, Level, ProfileError, UnitName, load, load_file,
    parse, resolve,
};
use assay_schema::Provenance;

/// The example of FORMAT.md: every table and key of the format.
fn sound() -> String {
    let format = include_str!("../FORMAT.md");
    let start = format.find("```toml\n").unwrap() + "```toml\n".len();
    let end = start + format[start..].find("```").unwrap();
    format[start..end].to_owned()
}

fn after(from: &str, to: &str) -> Result<HardwareProfile, ProfileError> {
    let text = sound();
    assert!(text.contains(from), "the example has no `{from}`");
    parse("bench.toml", &text.replacen(from, to, 1))
}

fn refusal(from: &str, to: &str) -> String {
    after(from, to).unwrap_err().to_string()
}

fn line_of(needle: &str) -> usize {
    1 + sound().lines().position(|line| line.contains(needle)).unwrap()
}

const BANDWIDTH: &str = "bandwidth = { value = 25.6, unit = \"GB/s\"";

#[test]
fn the_example_of_the_specification_loads_and_survives_writing() {
    let profile = parse("bench.toml", &sound()).unwrap();
    let text = profile.to_toml().unwrap();
    assert_eq!(parse("again.toml", &text).unwrap(), profile);
    assert!(profile.is_probed());
    let summary = profile.summary(Some("cpu")).unwrap();
    assert_eq!(summary.provenance, Provenance::Measured);
    let cpu = &profile.units[&UnitName::Cpu];
    assert!(cpu.timer.is_some());
    assert_eq!(cpu.link.adapters_per_node.as_ref().unwrap().value, Count(1.0));
    assert!(cpu.stream(Level::L2).unwrap().interval.is_some());
    let entry = &cpu.efficiency[0];
    assert_eq!((entry.operator.as_str(), entry.dims["m"]), ("matmul", 64.0));
}

#[test]
fn a_number_without_unit_is_refused_with_file_line_and_key() {
    let message = refusal(BANDWIDTH, "bandwidth = { value = 25.6");
    let place =
        format!("bench.toml:{}: memory.bandwidth: ", line_of(BANDWIDTH));
    assert_eq!(
        message,
        format!(
            "{place}a number without `unit`; expected one of B/s, MB/s, \
             GB/s, TB/s"
        )
    );
}

#[test]
fn a_number_without_source_is_refused_with_file_line_and_key() {
    let text = sound();
    let line = text.lines().find(|line| line.contains(BANDWIDTH)).unwrap();
    let start = line.find("source = ").unwrap();
    let end = line.find("trust = ").unwrap();
    let mut cut = line.to_owned();
    cut.replace_range(start..end, "");
    let message = refusal(line, &cut);
    let place =
        format!("bench.toml:{}: memory.bandwidth: ", line_of(BANDWIDTH));
    assert!(message.starts_with(&place), "{message}");
    assert!(message.contains("without `source`"), "{message}");
}

#[test]
fn a_wrong_unit_is_refused_with_the_lawful_ones() {
    let wrong = "bandwidth = { value = 25.6, unit = \"TFLOP/s\"";
    let message = refusal(BANDWIDTH, wrong);
    assert!(message.contains("found unit `TFLOP/s`"), "{message}");
    assert!(message.contains("GB/s"), "{message}");
}

#[test]
fn a_bare_number_is_refused_with_the_shape_of_a_fact() {
    let text = sound();
    let line = text.lines().find(|line| line.contains(BANDWIDTH)).unwrap();
    let message = refusal(line, "bandwidth = 25.6");
    assert!(
        message.contains("a fact { value, unit, source, trust, kind }"),
        "{message}"
    );
}

#[test]
fn an_unknown_key_is_refused_with_file_and_line_at_every_depth() {
    let top = refusal("vendor = ", "colour = \"red\"\nvendor = ");
    let line = line_of("vendor = ");
    assert!(top.starts_with(&format!("bench.toml:{line}: colour: ")), "{top}");
    assert!(top.contains("unknown field `colour`"), "{top}");

    let unit = refusal("architecture = ", "colour = 1\narchitecture = ");
    let line = line_of("architecture = ");
    let place = format!("bench.toml:{line}: unit.cpu.colour: ");
    assert!(unit.starts_with(&place), "{unit}");

    let fact = refusal(BANDWIDTH, "bandwidth = { valeu = 1, unit = \"GB/s\"");
    assert!(fact.contains("unknown field `valeu`"), "{fact}");
    assert!(fact.contains(&format!(":{}:", line_of(BANDWIDTH))), "{fact}");
}

#[test]
fn unknown_words_of_closed_lists_are_refused_with_the_list() {
    for (from, to, expected) in [
        ("peaks = \"dense\"", "peaks = \"sparse\"", "`dense`"),
        ("[unit.cpu]", "[unit.tpu]", "`gpu`"),
        ("architecture = \"avx512\"", "architecture = \"z80\"", "`avx512`"),
        ("trust = \"measured\"", "trust = \"sure\"", "`recalled`"),
        ("level = \"l2\"", "level = \"l9\"", "`dram`"),
    ] {
        let message = refusal(from, to);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_malformed_file_has_file_and_line() {
    let message = refusal("vendor = ", "vendor = = ");
    let line = line_of("vendor = ");
    assert!(message.starts_with(&format!("bench.toml:{line}: ")), "{message}");
    assert!(matches!(
        parse("empty.toml", ""),
        Err(ProfileError::Content { line: 1, .. })
    ));
    assert!(parse("torn.toml", &sound()[..300]).is_err());
}

#[test]
fn a_default_unit_that_is_not_there_is_refused_with_its_line() {
    let message = refusal("default_unit = \"cpu\"", "default_unit = \"npu\"");
    let line = line_of("default_unit");
    assert_eq!(
        message,
        format!(
            "bench.toml:{line}: default_unit: found `npu`; expected a unit \
             that the file has (cpu)"
        )
    );
}

#[test]
fn a_name_that_no_command_could_take_is_refused() {
    for name in ["My Machine", "a:b", "a--b", "", "../a"] {
        let message =
            refusal("name = \"bench-host\"", &format!("name = {name:?}"));
        assert!(message.contains(": name: "), "{message}");
    }
}

#[test]
fn a_newer_format_is_refused_by_name_whatever_else_it_has() {
    let newer = "format_version = 2\nnovelty = true";
    let message = refusal("format_version = 1", newer);
    assert_eq!(
        message,
        "bench.toml: profile format 2 is newer than 1, which this build \
         reads; update assay"
    );
    assert!(matches!(
        after("format_version = 1", "format_version = 2"),
        Err(ProfileError::Newer { found: 2, .. })
    ));
}

#[test]
fn an_unknown_profile_suggests_the_nearest() {
    for (word, nearest) in [
        ("nvidia-t5", "nvidia-t4"),
        ("h200", "nvidia-h200-sxm-141gb"),
        ("snapdragon-8-gen3", "snapdragon-8-gen-3"),
    ] {
        let message = load(word).unwrap_err().to_string();
        assert!(message.contains(&format!("`{nearest}`")), "{message}");
    }
}

#[test]
fn an_unknown_unit_lists_those_that_there_are() {
    let message = resolve("snapdragon-888:gpus").unwrap_err().to_string();
    assert_eq!(
        message,
        "profile `snapdragon-888` has no unit `gpus`; nearest valid: `gpu` \
         (it has cpu, gpu, npu)"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.toml");
    let message = load_file(&path).unwrap_err().to_string();
    assert!(message.contains("none.toml"), "{message}");
}
