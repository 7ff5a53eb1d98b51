//! Overlays: to which unit one belongs, what a file of one may say, and what
//! ships.

#![allow(missing_docs, reason = "a test has no public items")]
#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use assay_hardware_profiles::{
    HardwareProfile, Kind, OVERLAY_FORMAT_VERSION, Overlay, OverlayClass,
    OverlayError, OverlayPoint, ProfileError, Trust, UnitName, facts_digest,
    load, names, overlay_for, parse,
};
use proptest::prelude::*;
use toml::{Table, Value};

/// The last example of FORMAT.md.
fn sound() -> &'static str {
    let format = include_str!("../FORMAT.md");
    let start = format.rfind("```toml\n").unwrap() + "```toml\n".len();
    format[start..].strip_suffix("```\n").unwrap()
}

fn refusal(from: &str, to: &str) -> String {
    assert!(sound().contains(from), "the example has no `{from}`");
    let text = sound().replacen(from, to, 1);
    Overlay::parse(&text, "gpu.toml").unwrap_err().to_string()
}

fn line_of(needle: &str) -> usize {
    1 + sound().lines().position(|line| line.contains(needle)).unwrap()
}

fn every() -> impl Iterator<Item = HardwareProfile> {
    names().iter().map(|name| load(name).unwrap())
}

// To which unit one belongs.

#[test]
fn renaming_a_profile_and_what_surrounds_its_numbers_keep_the_digest() {
    let profile = load("nvidia-a100-sxm4-80gb").unwrap();
    let mut renamed = profile.clone();
    renamed.name = "card-7".to_owned();
    renamed.title = "Card 7".to_owned();
    renamed.vendor = "nobody".to_owned();
    renamed.class = "card".to_owned();
    renamed.notes = "another text".to_owned();
    renamed.explained.clear();
    renamed.memory.bandwidth.source = "a sheet".to_owned();
    renamed.memory.bandwidth.trust = Trust::Recalled;
    renamed.memory.bandwidth.note = Some("see the sheet".to_owned());
    renamed.memory.bus_width = None;
    renamed.memory.pin_rate = None;
    let unit = renamed.units.get_mut(&UnitName::Gpu).unwrap();
    unit.detail = Some("108 of 128".to_owned());
    unit.simd = None;
    unit.link.name = Some("cable".to_owned());
    unit.gemm.clear();
    unit.bandwidth.clear();
    for changed in [&renamed, &reread(&renamed)] {
        assert_eq!(
            facts_digest(changed, UnitName::Gpu),
            facts_digest(&profile, UnitName::Gpu)
        );
    }
}

fn reread(profile: &HardwareProfile) -> HardwareProfile {
    parse("again.toml", &profile.to_toml().unwrap()).unwrap()
}

#[test]
fn a_number_in_another_unit_of_measure_keeps_the_digest() {
    let text = load("nvidia-a100-sxm4-80gb").unwrap().to_toml().unwrap();
    let (from, to) =
        ("value = 2039, unit = \"GB/s\"", "value = 2.039, unit = \"TB/s\"");
    assert!(text.contains(from), "{text}");
    let [a, b] = [text.clone(), text.replace(from, to)]
        .map(|text| facts_digest(&parse("a", &text).unwrap(), UnitName::Gpu));
    assert_eq!(a, b);
}

/// Whatever fact a profile gains later: it is digested or listed here.
#[test]
fn every_number_of_a_unit_and_its_machine_changes_the_digest() {
    let example = include_str!("../FORMAT.md");
    let start = example.find("```toml\n").unwrap() + "```toml\n".len();
    let end = start + example[start..].find("```").unwrap();
    let example = parse("example", &example[start..end]).unwrap();
    for profile in every().chain([example]) {
        let unit = profile.default_unit;
        let digest = facts_digest(&profile, unit);
        let tree: Table = profile.to_toml().unwrap().parse().unwrap();
        let mut paths = Vec::new();
        facts_of(&tree, &mut Vec::new(), &mut paths);
        for path in paths {
            let mut changed = tree.clone();
            double(&mut changed, &path);
            let text = toml::to_string(&changed).unwrap();
            let changed = parse("changed", &text).unwrap();
            let another = path[0] == "unit" && path[1] != unit.name();
            // How many devices share a node is no fact of the device.
            let last = path.last().unwrap();
            let of_node = last.ends_with("_per_node");
            // The bus only says the bandwidth again.
            let of_bus = path[0] == "memory"
                && ["bus_width", "pin_rate"].contains(&last.as_str());
            let counts = !another
                && !of_node
                && !of_bus
                && !path.contains(&"timer".to_owned());
            assert_eq!(
                facts_digest(&changed, unit) != digest,
                counts,
                "{}: {path:?}",
                profile.name
            );
        }
    }
}

/// Paths of facts in tables. Lists (clusters, measurements) are left out.
fn facts_of(table: &Table, at: &mut Vec<String>, to: &mut Vec<Vec<String>>) {
    for (key, value) in table {
        at.push(key.clone());
        match value {
            Value::Table(fact) if fact.contains_key("value") => {
                to.push(at.clone());
            }
            Value::Table(inner) => facts_of(inner, at, to),
            Value::Integer(_) | Value::Float(_) => {
                assert_eq!(key, "format_version", "a bare number: {at:?}");
            }
            _ => {}
        }
        at.pop();
    }
}

fn double(table: &mut Table, path: &[String]) {
    let inner = table.get_mut(&path[0]).and_then(Value::as_table_mut).unwrap();
    if path.len() > 1 {
        return double(inner, &path[1..]);
    }
    for key in ["value", "low", "high"] {
        if let Some(value) = inner.get_mut(key) {
            let number = value.as_float().unwrap_or_else(|| {
                value.as_integer().unwrap().to_string().parse().unwrap()
            });
            *value = Value::Float(number * 2.0);
        }
    }
}

#[test]
fn the_units_of_a_machine_and_declared_and_measured_facts_differ() {
    let mut profile = load("snapdragon-8-gen-3").unwrap();
    let digests: BTreeSet<String> = profile
        .units
        .keys()
        .map(|unit| facts_digest(&profile, *unit))
        .collect();
    assert_eq!(digests.len(), 3);
    assert!(digests.iter().all(|digest| digest.len() == 32));
    profile.memory.bandwidth.kind = Kind::Measured;
    assert!(!digests.contains(&facts_digest(&profile, UnitName::Gpu)));
}

// What a file may say.

#[test]
fn the_example_of_the_specification_loads_and_is_written_as_it_stands() {
    let overlay = Overlay::parse(sound(), "gpu.toml").unwrap();
    assert_eq!(overlay.to_toml().unwrap(), sound());
    assert_eq!(overlay.unit, UnitName::Gpu);
    let matmul = &overlay.classes["matmul"];
    assert_eq!((matmul.rows, matmul.times["ec"]), (116, 1.043));
    assert_eq!(matmul.error.n, 115);
    assert_eq!(matmul.points[0].at, [0.0, 10.0, 11.585, 12.0]);
    assert!(overlay.classes["elementwise"].points.is_empty());
}

#[test]
fn saving_and_loading_give_the_overlay_and_leave_no_other_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gpu.toml");
    for source in ["one set", "\"another\"\nset of rows"] {
        let mut overlay = Overlay::parse(sound(), "gpu.toml").unwrap();
        overlay.source = source.to_owned();
        overlay.save(&path).unwrap();
        assert_eq!(Overlay::load_file(&path).unwrap(), overlay);
    }
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);
}

#[test]
fn three_hundred_points_stay_below_sixty_kilobytes() {
    let mut overlay = Overlay::parse(sound(), "gpu.toml").unwrap();
    let point = OverlayPoint {
        group: "precision-of-it".to_owned(),
        at: vec![11.0_f64.log2(); 6],
        residual: -0.123_456_789,
        weight: 1.0 / 3.0,
    };
    let class = overlay.classes.get_mut("matmul").unwrap();
    class.points = vec![point; 300];
    let text = overlay.to_toml().unwrap();
    assert!(text.len() < 60_000, "{}", text.len());
    assert!(text.contains("residual = -0.12346, weight = 0.33333 },\n"));
}

proptest! {
    #[test]
    fn an_overlay_reads_back_to_five_digits_and_then_exactly(
        factor in 1e-12_f64..1e12, after in 0.0_f64..10.0,
        points in prop::collection::vec(
            ("[a-z0-9_-]{0,9}", 0.0_f64..40.0, -9.0_f64..9.0, 0.0_f64..1.0),
            0..9,
        ),
        words in "[ -~äéλ\n\t]{0,20}",
    ) {
        let class = OverlayClass {
            times: BTreeMap::from([("ec".to_owned(), factor)]),
            rows: points.len(),
            phases: None,
            error: OverlayError {
                method: words.clone(),
                before: Some(0.5),
                after: Some(after),
                n: 3,
                models: None,
            },
            outliers: vec![words.clone()],
            points: points
                .into_iter()
                .map(|(group, at, residual, weight)| OverlayPoint {
                    group, at: vec![at, 0.0], residual, weight,
                })
                .collect(),
        };
        let overlay = Overlay {
            format_version: OVERLAY_FORMAT_VERSION,
            profile: words,
            unit: UnitName::Npu,
            facts: "0123456789abcdef".repeat(2),
            made: "2026-11-24".to_owned(),
            source: "here".to_owned(),
            rows: 9,
            classes: BTreeMap::from([("softmax".to_owned(), class)]),
        };
        let text = overlay.to_toml().unwrap();
        let read = Overlay::parse(&text, "a").unwrap();
        let class = &read.classes["softmax"];
        prop_assert!((class.times["ec"] / factor - 1.0).abs() <= 5e-5);
        prop_assert_eq!(&read.profile, &overlay.profile);
        prop_assert_eq!(read.to_toml().unwrap(), text);
    }
}

#[test]
fn a_factor_that_is_not_above_zero_is_refused_with_file_line_and_name() {
    let line = line_of("times = { ec");
    for (factor, found) in
        [("0", "0"), ("-1.5", "-1.5"), ("nan", "NaN"), ("inf", "inf")]
    {
        let message = refusal("ec = 1.043", &format!("ec = {factor}"));
        assert_eq!(
            message,
            format!(
                "gpu.toml:{line}: times.ec: found {found}; expected a finite \
                 number above zero"
            )
        );
    }
}

#[test]
fn points_of_unequal_dimension_in_a_group_are_refused() {
    assert_eq!(
        refusal("at = [0, 12, 12, 12]", "at = [12, 12, 12]"),
        format!(
            "gpu.toml:{}: points, number 2: found 3 dimensions; expected 4, \
             as at the first point of `f16`",
            line_of("points = [")
        )
    );
    // Another group may have others.
    let other = sound().replace("at = [3, 10, 11.585, 12]", "at = [3]");
    Overlay::parse(&other, "gpu.toml").unwrap();
}

#[test]
fn points_and_errors_that_are_no_numbers_are_refused() {
    for (from, to, expected) in [
        ("residual = -0.0127", "residual = nan", "points, number 2: found"),
        ("weight = 0.5", "weight = -0.5", "a weight that is not negative"),
        ("at = [0, 10,", "at = [0, inf,", "points, number 1: found"),
        ("before = 0.21", "before = nan", "error.before: found NaN"),
        ("after = 0.071", "after = -1", "error.after: found -1"),
        ("after = 0.071, n", "n", "error.after: found nothing; expected the"),
        ("after = 0.071, n = 64", "n = 0", "error.before: found 0.12; exp"),
    ] {
        let message = refusal(from, to);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn where_nothing_was_held_out_the_file_has_no_error_and_keeps_its_counts() {
    let none = "before = 0.21, after = 0.094, n = 115 }";
    assert!(sound().contains(none));
    let text = sound()
        .replace(none, "n = 0, models = 1 }")
        .replace("rows = 116\n", "rows = 116\nphases = 2\n");
    let overlay = Overlay::parse(&text, "gpu.toml").unwrap();
    let class = &overlay.classes["matmul"];
    let error = &class.error;
    assert_eq!((error.before, error.after, error.n), (None, None, 0));
    assert_eq!((error.models, class.phases), (Some(1), Some(2)));
    assert_eq!(overlay.to_toml().unwrap(), text);
}

#[test]
fn words_that_are_missing_or_no_digest_are_refused_with_their_line() {
    for (from, to, expected) in [
        ("facts = \"6c62", "facts = \"\" #", "32 lower-case hexadecimal"),
        ("facts = \"6c62", "facts = \"6C62", "32 lower-case hexadecimal"),
        ("source = \"kernel", "source = \" \" #", "source: found nothing"),
        ("unit = \"gpu\"", "unit = \"tpu\"", "`npu`"),
        ("rows = 180", "rows = -1", "-1"),
        ("rows = 180", "rows = 1.5", "1.5"),
    ] {
        let message = refusal(from, to);
        let place = format!("gpu.toml:{}: ", line_of(from));
        assert!(message.starts_with(&place), "{message}");
        assert!(message.contains(expected), "{message}");
    }
    let message = refusal("made = \"2026-11-24\"\n", "");
    assert!(message.contains("missing field `made`"), "{message}");
}

#[test]
fn unknown_keys_and_malformed_text_are_refused_with_file_and_line() {
    for before in ["rows = 180", "times = { ec"] {
        let message = refusal(before, &format!("colour = 1\n{before}"));
        let place = format!("gpu.toml:{}: unknown field", line_of(before));
        assert!(message.starts_with(&place), "{message}");
    }
    let error = refusal("before = 0.21", "mean = 0.21");
    assert!(error.contains("unknown field `mean`"), "{error}");
    let point = refusal("weight = 0.5", "weight = 0.5, size = 1");
    assert!(point.contains("unknown field `size`"), "{point}");
    assert!(refusal("rows = 180", "rows = = 1").starts_with("gpu.toml:7: "));
    assert!(Overlay::parse("", "empty.toml").is_err());
    assert!(Overlay::parse(&sound()[..600], "torn.toml").is_err());
}

#[test]
fn a_newer_format_is_refused_by_name_whatever_else_it_has() {
    for more in ["", "\nnovelty = true"] {
        assert_eq!(
            refusal("format_version = 1", &format!("format_version = 2{more}")),
            "gpu.toml: overlay format 2 is newer than 1, which this build \
             reads; update assay"
        );
    }
}

#[test]
fn files_that_cannot_be_read_or_written_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("absent/gpu.toml");
    let message = Overlay::load_file(&path).unwrap_err().to_string();
    assert!(message.starts_with("cannot read overlay "), "{message}");
    let overlay = Overlay::parse(sound(), "gpu.toml").unwrap();
    let message = overlay.save(&path).unwrap_err().to_string();
    assert!(message.starts_with("cannot write overlay "), "{message}");
    assert!(message.contains("absent/gpu.toml"), "{message}");
}

#[test]
fn what_could_not_be_read_back_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gpu.toml");
    for factor in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let mut overlay = Overlay::parse(sound(), "gpu.toml").unwrap();
        let class = overlay.classes.get_mut("matmul").unwrap();
        class.times.insert("ec".to_owned(), factor);
        assert!(matches!(
            overlay.save(&path),
            Err(ProfileError::Content { .. })
        ));
    }
    assert!(!path.exists());
}

// What ships.

#[test]
fn shipped_overlays_parse_and_belong_to_the_profile_that_they_name() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("calibrations");
    let files = folder.read_dir().unwrap().filter(|entry| {
        entry.as_ref().unwrap().path().extension() == Some("toml".as_ref())
    });
    let shipped = Overlay::shipped().unwrap();
    assert_eq!(shipped.len(), files.count());
    let mut digests = BTreeSet::new();
    for overlay in &shipped {
        let profile = load(&overlay.profile).unwrap();
        assert_eq!(
            facts_digest(&profile, overlay.unit),
            overlay.facts,
            "numbers of {}:{} changed since its overlay was made; calibrate \
             it again",
            overlay.profile,
            overlay.unit
        );
        assert!(digests.insert(&overlay.facts), "two of {}", overlay.profile);
        let found = overlay_for(&profile, overlay.unit);
        assert_eq!(found.as_ref(), Some(overlay));
    }
}

#[test]
fn only_a_unit_with_a_digest_among_the_shipped_has_an_overlay() {
    let shipped = Overlay::shipped().unwrap();
    for profile in every() {
        for &unit in profile.units.keys() {
            let digest = facts_digest(&profile, unit);
            assert_eq!(
                overlay_for(&profile, unit).is_some(),
                shipped.iter().any(|overlay| overlay.facts == digest),
                "{}:{unit}",
                profile.name
            );
        }
    }
}
