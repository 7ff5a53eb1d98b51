//! The workload of one-step diffusion from the command line.

use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use crate::place::Place;

const STUDY: &str = "instaflow/tiny/study batch=16 train_steps=40 pairs=64 \
                     evaluated=64";

/// The names of the files that a study has kept.
fn kept(place: &Place) -> Vec<String> {
    let Ok(cases) = std::fs::read_dir(place.path("r/state")) else {
        return Vec::new();
    };
    let files = cases.flatten().flat_map(|case| {
        std::fs::read_dir(case.path()).into_iter().flatten().flatten()
    });
    files.map(|file| file.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_killed_study_goes_on_and_its_record_is_whole() {
    let place = Place::new();
    let mut child = place
        .command(&format!("run {STUDY} --out r"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Killed once it has kept a stage, wherever it then is.
    while kept(&place).is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    place.ok("run --resume r");

    let record = &place.run("r").records().unwrap()[0];
    let parts = record.parts();
    for stage in ["autoencoder", "1-flow", "pairs", "reflow", "distill-2-flow"]
    {
        assert!(parts.contains(&stage), "{stage}: {parts:?}");
    }
    for method in ["2-flow-distilled", "direct", "progressive"] {
        let at = [("method", method), ("steps", "1")];
        let distance = record.metric_at("quality/frechet_distance", &at);
        assert!(distance.unwrap() > 0.0, "{method}");
    }
    assert!(record.pictures.len() > 8);
    let page = place.read("r/report/index.html");
    assert!(page.contains("data:image/png;base64,"), "no pictures");
    assert!(page.contains("2309.06380"), "no claims");
    place.ok("report r --out again --format markdown,svg");
    assert!(place.path("again/figures/pictures-1-1.png").is_file());
}

#[test]
fn a_networks_shape_is_read_as_diffusers_writes_it() {
    let place = Place::new();
    let shape =
        include_str!("../../../../workloads/instaflow/networks/tiny-unet.json");
    place.write("config.json", shape);
    let words =
        "trace instaflow/mine/forward --model config.json --format json";
    assert_eq!(place.json(words)["parameters"], 181_820);
    place.write("config.json", &shape.replace("\"silu\"", "\"mish\""));
    place.refused(
        2,
        "trace instaflow/mine/forward --model config.json",
        &["config.json: ", "`act_fn`"],
    );
    let other = shape.replace("UNet2DConditionModel", "UNet3DConditionModel");
    place.write("config.json", &other);
    place.refused(
        2,
        "run instaflow/mine/forward --model config.json --out out",
        &["config.json: ", "UNet3DConditionModel"],
    );
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    let place = Place::new();
    for (words, parts) in [
        ("trace instaflow/sd15/sample steps=0", ["`steps`", "1 or more"]),
        (
            "trace instaflow/instaflow-0.9b/sample guidance=2",
            ["guidance", "one step"],
        ),
        ("trace instaflow/sd15/study", ["study", "sample"]),
    ] {
        place.refused(2, words, &parts);
    }
}

#[test]
fn a_runtime_stands_after_an_at_sign() {
    let place = Place::new();
    let said = place.json(
        "predict instaflow/sd15-unet/forward precision=f16 --on \
         nvidia-l4@eager,nvidia-l4 --format json",
    );
    assert_eq!(said[0]["runtime"], "eager");
    assert_eq!(said[1]["runtime"], "graph");
    assert_eq!(said[0]["parameters"], 859_520_964);
    let latency = |i: usize| said[i]["latency_s"]["point"].as_f64().unwrap();
    assert!(latency(0) > latency(1));
    let words = "predict instaflow/sd15-unet/forward --on nvidia-l4@egar";
    place.refused(2, words, &["egar"]);
}
