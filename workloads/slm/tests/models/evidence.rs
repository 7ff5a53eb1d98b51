//! What predictions have to say about the survey's claims.

use std::collections::BTreeMap;

use assay_schema::{
    Bound, Bytes, ClaimData, Estimate, Evidence, Flops, Prediction, Provenance,
    Runtime,
};
use assay_slm::evidence;

/// A prediction on the survey's machine, 1.35 its band.
fn predicted(model: &str, phase: &str, millions: u64, s: f64) -> Prediction {
    Prediction {
        case: format!("slm/{model}/{phase}"),
        axes: BTreeMap::new(),
        profile: "nvidia-jetson-orin-nx-16gb".to_owned(),
        unit: "gpu".to_owned(),
        runtime: Runtime::LlamaCpp,
        latency_s: Estimate {
            point: s,
            low: s / 1.35,
            high: s * 1.35,
            confidence: 0.8,
            n: 0,
            method: "made by this test".to_owned(),
        },
        time_by_class: BTreeMap::new(),
        flops: Flops(1e9),
        bytes: Bytes(1e9),
        parameters: millions * 1_000_000,
        memory_peak_bytes: Bytes(1e9),
        fits: Some(true),
        energy_j: None,
        bound: Bound::Memory,
        provenance: Provenance::Predicted,
    }
}

/// Decode grows with size exactly, prefill not at all so.
fn survey() -> Vec<Prediction> {
    [(135, 4.0), (160, 1.0), (494, 3.0), (464, 1.5), (1500, 2.0), (125, 3.5)]
        .iter()
        .enumerate()
        .flat_map(|(i, &(millions, prefill))| {
            let model = format!("model-{i}");
            [
                predicted(&model, "prefill", millions, prefill),
                predicted(&model, "decode", millions, millions as f64 / 1e4),
            ]
        })
        .collect()
}

fn of<'a>(all: &'a [Evidence], claim: &str) -> Option<&'a Evidence> {
    all.iter().find(|e| e.claim == claim && e.data == ClaimData::Predicted)
}

#[test]
fn predictions_say_how_closely_latency_follows_size() {
    let all = evidence(&[], &survey());
    let found = of(&all, "decode-tracks-size").unwrap();
    assert_eq!(found.provenance, Provenance::Predicted);
    let e = &found.estimate;
    // R² of decode is 1, that of prefill near 0.
    assert!((0.5..=1.0).contains(&e.point), "{e:?}");
    assert!(e.low <= e.point && e.point <= e.high, "{e:?}");
}

#[test]
fn the_direction_of_the_evidence_is_that_of_the_predictions() {
    let swapped: Vec<Prediction> = survey()
        .into_iter()
        .map(|mut p| {
            p.case = if p.case.ends_with("/decode") {
                p.case.replace("/decode", "/prefill")
            } else {
                p.case.replace("/prefill", "/decode")
            };
            p
        })
        .collect();
    let all = evidence(&[], &swapped);
    assert!(of(&all, "decode-tracks-size").unwrap().estimate.point < -0.5);
}

#[test]
fn too_few_models_or_another_machine_are_no_evidence() {
    let few = evidence(&[], &survey()[..8]);
    assert!(of(&few, "decode-tracks-size").is_none());
    let elsewhere: Vec<Prediction> = survey()
        .into_iter()
        .map(|p| Prediction { profile: "host".to_owned(), ..p })
        .collect();
    assert!(of(&evidence(&[], &elsewhere), "decode-tracks-size").is_none());
    assert!(of(&evidence(&[], &[]), "qwen-prefill").is_none());
}

#[test]
fn predictions_compare_the_two_qwens() {
    let predictions = [
        predicted("qwen1.5-0.5b", "prefill", 464, 0.6),
        predicted("qwen2-0.5b", "prefill", 494, 1.0),
    ];
    let all = evidence(&[], &predictions);
    let e = &of(&all, "qwen-prefill").unwrap().estimate;
    assert!((e.point - 40.0).abs() < 1e-9, "{e:?}");
    assert!(e.low < e.point && e.point < e.high, "{e:?}");
    assert_eq!(e.confidence, 0.8);
}
