//! `assay workloads`, the bare command, `--help`.

use crate::place::Place;

#[test]
fn workloads_names_every_model_phase_axis_and_default() {
    let text = Place::new().ok("workloads");
    for part in [
        "operators: ",
        "matmul attention softmax layernorm rmsnorm elementwise conv2d",
        "all_reduce all_gather reduce_scatter all_to_all send_recv",
        "tiny opt-125m opt-350m opt-1.3b opt-2.7b galactica-125m",
        "phonelm-0.5b phonelm-1.5b",
        "prefill decode generate train-step evaluate",
        "tokens already in the cache (128) [decode]",
        "one of add mul div pow relu gelu tanh silu exp copy",
        "q4_k_m",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn workloads_json_is_an_array_of_the_contracts_objects() {
    let list = Place::new().json("workloads --format json");
    let list = list.as_array().unwrap();
    let names: Vec<&str> =
        list.iter().map(|w| w["workload"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "operators",
            "slm",
            "interference",
            "snr",
            "fastfold",
            "instaflow",
            "phonelm",
            "mstar"
        ]
    );
    for workload in list {
        let keys: Vec<&String> = workload.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["workload", "models", "phases", "axes"]);
    }
    assert_eq!(list[1]["axes"]["context"][0], "128", "the default first");
}

#[test]
fn workloads_does_not_need_the_host_profile() {
    let place = Place::new();
    place.write("host.toml", "not a profile");
    place.ok("workloads");
    place.refused(2, "profiles host", &["host.toml:1: "]);
}

#[test]
fn a_bare_assay_and_an_unknown_verb_show_the_way() {
    let place = Place::new();
    place.refused(2, "", &["Usage:", "workloads", "predict"]);
    place.refused(2, "workload", &["a similar subcommand exists", "workloads"]);
    assert!(place.ok("--help").contains("Exit codes"));
    assert!(place.ok("run --help").contains("--resume <DIR>"));
}
