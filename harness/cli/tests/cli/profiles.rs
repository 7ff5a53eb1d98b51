//! `assay profiles`.

use crate::place::Place;

#[test]
fn profiles_lists_every_machine_that_the_issue_asks_for() {
    let text = Place::new().ok("profiles");
    for name in [
        "nvidia-a100-sxm4-40gb",
        "nvidia-a100-sxm4-80gb",
        "nvidia-h100-sxm5-80gb",
        "nvidia-v100-",
        "nvidia-t4",
        "nvidia-geforce-rtx-4090",
        "nvidia-jetson-orin-nx-16gb",
        "snapdragon-8-gen-3",
        "snapdragon-888",
        "google-pixel-8-tensor-g3",
        "apple-m2-max-38-core-gpu",
        "raspberry-pi-5-bcm2712",
        "amd-epyc-9654-genoa",
        "intel-xeon-platinum-8480-sapphire-rapids",
    ] {
        assert!(text.contains(&format!("\n{name}")), "{name}\n{text}");
    }
    assert!(text.contains("`assay probe` makes it"), "{text}");
}

#[test]
fn one_profile_is_its_file_with_a_source_for_every_number() {
    let place = Place::new();
    let text = place.ok("profiles snapdragon-8-gen-3");
    assert!(text.contains("[unit.npu"), "{text}");
    assert!(text.contains("source = "), "{text}");
}

#[test]
fn profiles_json_gives_each_unit_its_ceilings() {
    let list = Place::new().json("profiles snapdragon-8-gen-3 --format json");
    let profile = &list[0];
    assert_eq!(profile["profile"], "snapdragon-8-gen-3");
    let units: Vec<&str> = profile["units"]
        .as_array()
        .unwrap()
        .iter()
        .map(|unit| unit["unit"].as_str().unwrap())
        .collect();
    assert_eq!(units, ["cpu", "gpu", "npu"]);
}

#[test]
fn the_shipped_profiles_do_not_contradict_themselves() {
    let place = Place::new();
    let text = place.ok("profiles --check");
    assert!(text.contains(" 0 contradiction(s)"), "{text}");
    for finding in
        place.json("profiles --check --format json").as_array().unwrap()
    {
        assert_eq!(finding["severity"], "note");
    }
}

#[test]
fn a_profile_that_contradicts_itself_fails_the_check() {
    let place = Place::new();
    let shipped = place.ok("profiles nvidia-l4");
    assert!(shipped.contains("name = \"nvidia-l4\""));
    let mut host = shipped.replace("name = \"nvidia-l4\"", "name = \"host\"");
    // A matrix peak a thousand times below the vector peak.
    let line = host
        .split("[unit.gpu.matrix]")
        .nth(1)
        .and_then(|matrix| matrix.lines().find(|line| line.starts_with("f16")))
        .unwrap_or_else(|| panic!("{host}"))
        .to_owned();
    let wrong = line.replace("TFLOP/s", "GFLOP/s");
    assert_ne!(line, wrong, "{line}");
    host = host.replace(&line, &wrong);
    place.write("host.toml", &host);
    let said = place.assay("profiles host --check");
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    assert!(said.out.contains("host: contradiction: "), "{}", said.out);
}
