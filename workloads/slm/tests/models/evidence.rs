//! What predictions have to say about the survey's claims.

use std::collections::BTreeMap;

use assay_schema::{
    Bound, Bytes, ClaimData, Estimate, Evidence, Flops, Prediction, Provenance,
    Runtime, Seconds,
};
use assay_slm::{PartTimes, evidence};

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
        memory_parts: Vec::new(),
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
    let all = evidence(&[], &survey(), &[]);
    let found = of(&all, "decode-tracks-size-predicted").unwrap();
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
    let all = evidence(&[], &swapped, &[]);
    assert!(
        of(&all, "decode-tracks-size-predicted").unwrap().estimate.point < -0.5
    );
}

#[test]
fn too_few_models_or_another_machine_are_no_evidence() {
    let few = evidence(&[], &survey()[..8], &[]);
    assert!(of(&few, "decode-tracks-size-predicted").is_none());
    let elsewhere: Vec<Prediction> = survey()
        .into_iter()
        .map(|p| Prediction { profile: "host".to_owned(), ..p })
        .collect();
    assert!(
        of(&evidence(&[], &elsewhere, &[]), "decode-tracks-size-predicted")
            .is_none()
    );
    let none = evidence(&[], &[], &[]);
    assert!(of(&none, "openelm-phi2-prefill-predicted").is_none());
}

#[test]
fn predictions_compare_two_models() {
    let predictions = [
        predicted("openelm-3b", "prefill", 3036, 0.6),
        predicted("phi-2", "prefill", 2780, 1.0),
    ];
    let all = evidence(&[], &predictions, &[]);
    let e = &of(&all, "openelm-phi2-prefill-predicted").unwrap().estimate;
    assert!((e.point - 40.0).abs() < 1e-9, "{e:?}");
    assert!(e.low < e.point && e.point < e.high, "{e:?}");
    assert_eq!(e.confidence, 0.8);
}

/// What went into an overlay would come out again.
#[test]
fn times_that_an_overlay_was_fitted_to_are_no_evidence() {
    let predictions = [
        predicted("qwen1.5-0.5b", "prefill", 464, 0.6),
        predicted("qwen2-0.5b", "prefill", 494, 1.0),
    ];
    let all = evidence(&[], &predictions, &[]);
    assert!(of(&all, "qwen-prefill-predicted").is_none());
    // Nor do they stand on the line of many models.
    let mut many = survey();
    let before = evidence(&[], &many, &[]);
    for phase in ["prefill", "decode"] {
        many.push(predicted("smollm-1.7b", phase, 1711, 99.0));
    }
    let tracks = |all: &[Evidence]| {
        let found = of(all, "decode-tracks-size-predicted").unwrap();
        found.estimate.clone()
    };
    assert_eq!(tracks(&evidence(&[], &many, &[])), tracks(&before));
}

#[test]
fn memory_is_predicted_as_the_surveys_engine_allocates_it() {
    let axes = [("batch", "1"), ("context", "2047"), ("precision", "q4_k_m")]
        .map(|(axis, value)| (axis.to_owned(), value.to_owned()));
    let of_model = |model: &str| Prediction {
        axes: BTreeMap::from(axes.clone()),
        ..predicted(model, "decode", 559, 1.0)
    };
    let predictions = [of_model("bloom-560m"), of_model("openelm-1.1b")];
    let all = evidence(&[], &predictions, &[]);
    let buffer = of(&all, "bloom-compute-buffer-predicted").unwrap();
    assert!((buffer.estimate.point - 492.0).abs() < 4.92, "{buffer:?}");
    let ratio = of(&all, "bloom-compute-buffer-ratio-predicted").unwrap();
    assert!((ratio.estimate.point - 3.51).abs() < 0.05, "{ratio:?}");
    // Of another format nothing is said of memory.
    let f16: Vec<Prediction> = predictions
        .into_iter()
        .map(|mut one| {
            one.axes.insert("precision".to_owned(), "f16".to_owned());
            one
        })
        .collect();
    assert!(
        of(&evidence(&[], &f16, &[]), "bloom-compute-buffer-predicted")
            .is_none()
    );
}

#[test]
fn the_breakdown_is_of_predicted_time_by_module_and_by_kernel() {
    let of_phase = |model: &str, phase: &str| {
        let mut one = predicted(model, phase, 494, 1.0);
        one.time_by_class = BTreeMap::from([
            ("matmul".to_owned(), Seconds(0.75)),
            ("overhead".to_owned(), Seconds(0.25)),
        ]);
        one
    };
    let predictions = [
        of_phase("qwen2-0.5b", "prefill"),
        of_phase("qwen2-0.5b", "decode"),
        of_phase("qwen1.5-0.5b", "prefill"),
        of_phase("qwen1.5-0.5b", "decode"),
    ];
    // A quarter of the time is the host's, and no module's.
    let parts_of = |one: &Prediction, [attention, mlp]: [f64; 2]| PartTimes {
        case: one.full_case().unwrap(),
        profile: one.profile.clone(),
        unit: one.unit.clone(),
        runtime: one.runtime,
        seconds: BTreeMap::from([
            ("attention".to_owned(), Seconds(attention)),
            ("mlp".to_owned(), Seconds(mlp)),
            ("head".to_owned(), Seconds(0.75 - attention - mlp)),
        ]),
    };
    let mut parts: Vec<PartTimes> = predictions
        .iter()
        .zip([[0.3, 0.2], [0.1, 0.4], [0.3, 0.2], [0.2, 0.2]])
        .map(|(one, seconds)| parts_of(one, seconds))
        .collect();
    let all = evidence(&[], &predictions, &parts);
    let products = of(&all, "products-70-predicted").unwrap();
    assert!((products.estimate.point - 75.0).abs() < 1e-9, "{products:?}");
    let point = |claim: &str| of(&all, claim).unwrap().estimate.point;
    assert!((point("qwen2-ffn-prefill-predicted") - 2.0 / 3.0).abs() < 1e-9);
    assert!((point("qwen2-ffn-decode-predicted") - 4.0).abs() < 1e-9);
    assert!((point("qwen1.5-attention-predicted") + 10.0).abs() < 1e-9);
    // Without one of the four nothing is the smallest.
    let three = evidence(&[], &predictions[..3], &parts);
    assert!(of(&three, "products-70-predicted").is_none());
    // Times by module of another runtime are of another prediction.
    for one in &mut parts {
        one.runtime = Runtime::Graph;
    }
    let other = evidence(&[], &predictions, &parts);
    assert!(of(&other, "qwen2-ffn-decode-predicted").is_none());
}
