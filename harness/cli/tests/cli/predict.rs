//! `assay predict` of one case.

use serde_json::Value;

use crate::place::Place;

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn json_has_the_contracts_keys_one_object_a_profile() {
    let list = Place::new().json(
        "predict slm/phonelm-1.5b/decode context=256 --on \
         nvidia-a100-sxm4-80gb,snapdragon-8-gen-3:npu --format json",
    );
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 2);
    for object in list {
        assert_eq!(
            keys(object),
            [
                "case",
                "axes",
                "profile",
                "unit",
                "runtime",
                "latency_s",
                "time_by_class", // beyond the contract
                "flops",
                "bytes",
                "parameters",
                "memory_peak_bytes",
                "fits", // beyond the contract
                "energy_j",
                "bound",
                "provenance",
            ]
        );
        let latency = &object["latency_s"];
        // `n` and `method` are beyond the contract.
        assert_eq!(
            keys(latency),
            ["point", "low", "high", "confidence", "n", "method"]
        );
        assert_eq!(latency["confidence"], 0.8);
        let number = |key: &str| latency[key].as_f64().unwrap();
        assert!(number("low") < number("point"));
        assert!(number("point") < number("high"));
        assert_eq!(object["case"], "slm/phonelm-1.5b/decode");
        assert_eq!(object["axes"]["context"], "256");
        assert_eq!(object["axes"]["batch"], "1", "defaults are filled in");
        assert_eq!(object["axes"]["precision"], "f16");
        assert_eq!(object["provenance"], "predicted");
    }
    assert_eq!(list[0]["unit"], "gpu");
    assert_eq!(list[0]["runtime"], "graph");
    assert_eq!(list[1]["unit"], "npu");
    assert_eq!(list[1]["runtime"], "qnn");
}

#[test]
fn text_and_csv_show_the_same_prediction() {
    let place = Place::new();
    let words = "predict slm/tiny/decode --on \
                 snapdragon-8-gen-3:cpu,nvidia-jetson-orin-nx-16gb";
    let text = place.ok(words);
    assert!(text.starts_with("slm/tiny/decode batch=1 context=128: "));
    assert!(text.contains("229696 parameters, predicted"), "{text}");
    let json = place.json(&format!("{words} --format json"));
    let csv = place.ok(&format!("{words} --format csv"));
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    for (row, object) in reader.records().zip(json.as_array().unwrap()) {
        let row = row.unwrap();
        assert_eq!(
            &row[0],
            "slm/tiny/decode batch=1 context=128 precision=f16"
        );
        assert_eq!(&row[2], "llama-cpp", "language models on small machines");
        let point: f64 = row[3].parse().unwrap();
        assert_eq!(Some(point), object["latency_s"]["point"].as_f64());
    }
}

#[test]
fn the_runtime_is_as_asked_and_eager_is_slower_than_graph() {
    let place = Place::new();
    let latency = |runtime: &str| {
        let list = place.json(&format!(
            "predict slm/smollm-135m/decode --on nvidia-a100-sxm4-80gb \
             --runtime {runtime} --format json"
        ));
        assert_eq!(list[0]["runtime"], runtime);
        list[0]["latency_s"]["point"].as_f64().unwrap()
    };
    assert!(latency("eager") > latency("graph"));
    // A compiled graph fuses; the bare kernels do not.
    assert!(latency("graph") <= latency("kernel"));
}

/// Bytes of a MiB.
const MIB: f64 = 1_048_576.0;

#[test]
fn llama_cpps_memory_is_what_the_survey_saw_it_allocate() {
    let place = Place::new();
    let words = "predict slm/bloom-560m/decode precision=q4_k_m \
                 context=2047 --format json --on";
    let board = "nvidia-jetson-orin-nx-16gb";
    let list = place.json(&format!("{words} {board}"));
    let found = &list[0];
    assert_eq!(found["runtime"], "llama-cpp");
    let parts = found["memory_parts"].as_array().unwrap();
    // Figure 11 of the survey, MiB: workloads/slm/claims/memory.csv.
    let published = [
        ("weights", 523.40),
        ("kv cache", 192.0),
        ("compute buffer", 492.0),
        ("other", 6.96),
    ];
    assert_eq!(parts.len(), published.len());
    let mut sum = 0.0;
    for (part, (name, published)) in parts.iter().zip(published) {
        assert_eq!(part["name"], name);
        let bytes = part["bytes"].as_f64().unwrap();
        let off = bytes / MIB / published - 1.0;
        assert!(off.abs() < 1e-3, "{name}: {bytes}");
        sum += bytes;
    }
    assert_eq!(found["memory_peak_bytes"], sum);
    assert_eq!(found["fits"], true);
    // A table says the same of it.
    place.write(
        "cases.csv",
        &format!(
            "case,profile,context,precision\n\
             slm/bloom-560m/decode,{board},2047,q4_k_m\n\
             slm/bloom-560m/decode,{board}:gpu@llama-cpp,2047,q4_k_m\n"
        ),
    );
    let table = place.ok("predict --from cases.csv");
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let heading = reader.headers().unwrap().clone();
    let at = heading.iter().position(|name| name == "memory_peak_bytes");
    let mut rows = 0;
    for row in reader.records() {
        let peak: f64 = row.unwrap()[at.unwrap()].parse().unwrap();
        assert_eq!(peak, sum);
        rows += 1;
    }
    assert_eq!(rows, 2);
}

#[test]
fn other_runtimes_and_several_rows_keep_the_graphs_memory() {
    let place = Place::new();
    let traced = |axes: &str| {
        let words = format!("trace slm/tiny/decode {axes} --format json");
        place.json(&words)["memory_peak_bytes"].as_f64().unwrap()
    };
    for (axes, runtime, has_parts) in [
        ("precision=f16", "llama-cpp", true),
        ("precision=f16", "graph", false),
        ("precision=f16 batch=4", "llama-cpp", false),
        ("precision=fp8", "llama-cpp", false),
    ] {
        let list = place.json(&format!(
            "predict slm/tiny/decode {axes} --runtime {runtime} --on \
             nvidia-h100-sxm5-80gb --format json"
        ));
        let parts = list[0].get("memory_parts");
        assert_eq!(parts.is_some(), has_parts, "{axes} {runtime}");
        if !has_parts {
            assert_eq!(list[0]["memory_peak_bytes"], traced(axes), "{axes}");
        }
    }
}

#[test]
fn all_is_every_shipped_profile() {
    let place = Place::new();
    let list = place.json("predict operators/softmax --on all --format json");
    let shipped = place.json("profiles --format json");
    assert_eq!(
        list.as_array().unwrap().len(),
        shipped.as_array().unwrap().len()
    );
}

#[test]
fn host_is_a_probed_profile_in_f32_on_flex() {
    let place = Place::new();
    place.refused(
        2,
        "predict slm/tiny/decode --on host",
        &["no profile yet: run `assay probe` first"],
    );
    let shipped = place.ok("profiles amd-epyc-7763-milan");
    let name = "name = \"amd-epyc-7763-milan\"";
    assert!(shipped.contains(name));
    place.write("host.toml", &shipped.replace(name, "name = \"host\""));
    let list = place.json("predict slm/tiny/decode --on host --format json");
    assert_eq!(list[0]["profile"], "host");
    assert_eq!(list[0]["runtime"], "flex");
    assert_eq!(list[0]["axes"]["precision"], "f32");
}

#[test]
fn a_model_file_gives_the_shape() {
    let place = Place::new();
    place.golden("llama");
    let list = place.json(
        "predict slm/mine/prefill prompt=16 --model llama-tiny.config.json \
         --on nvidia-l4 --format json",
    );
    let traced = place.json(
        "trace slm/mine/prefill prompt=16 --model llama-tiny.config.json \
         --format json",
    );
    assert_eq!(list[0]["case"], "slm/mine/prefill");
    assert_eq!(list[0]["parameters"], traced["parameters"]);
    assert_eq!(list[0]["flops"], traced["flops"]);
}

#[test]
fn an_overlay_that_is_not_there_is_refused_by_name() {
    let place = Place::new();
    let words = "predict slm/tiny/decode --on nvidia-l4 --calibration";
    place.ok(&format!("{words} none"));
    place.refused(2, &format!("{words} mine.toml"), &["mine.toml"]);
}
