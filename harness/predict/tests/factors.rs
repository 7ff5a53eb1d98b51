//! The overlay of a unit that a roofline prices, from whole graphs: the factors
//! that made the times are found again, for the runtime that was measured.

#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "a test fails by panicking, and compares numbers of the same bits"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use assay_hardware_profiles::{
    HardwareProfile, Overlay, OverlayClass, OverlayError, OverlayPoint,
    UnitName, facts_digest, load,
};
use assay_predict::{Observation, Target, Traced, calibrate, predict};
use assay_schema::{Case, Estimate, Precision, Runtime};
use assay_trace::{Role, capture};
use burn::tensor::Tensor;

/// The class that holds llama.cpp's factors.
const CLASS: &str = "roofline-llama-cpp";

/// What a phone's table may look like: three widths, four numbers of tokens.
const WIDTHS: [usize; 3] = [256, 1024, 2048];
const TOKENS: [usize; 4] = [1, 4, 16, 64];

/// Eight products of `rows` rows in a chain, `width` wide, at q4_0.
fn graph(rows: usize, width: usize) -> Arc<Traced> {
    let graph = capture(
        |_| None,
        |recorder| {
            let device = recorder.device();
            let mut x = Tensor::<2>::zeros([rows, width], &device);
            recorder.role(&x, Role::Input);
            for _ in 0..8 {
                let w = Tensor::<2>::zeros([width, width], &device);
                recorder.role(&w, Role::Weight);
                x = x.matmul(w);
            }
            recorder.output(&x);
        },
    );
    Arc::new(Traced::new(Arc::new(graph.unwrap()), Precision::Q4_0))
}

/// The time of such a graph on a phone's CPU.
fn time(
    profile: &HardwareProfile,
    traced: &Traced,
    runtime: Runtime,
    overlay: Option<&Overlay>,
) -> Estimate {
    let case = Case::new("slm", "tiny", Some("prefill"));
    let target =
        Target::new(profile, Some("cpu"), Precision::Q4_0, overlay).unwrap();
    predict(&case, traced, &target, runtime).unwrap().latency_s
}

/// An overlay of a phone's CPU that is known.
fn truth(profile: &HardwareProfile) -> Overlay {
    let times =
        [("compute", 0.7), ("memory", 0.8), ("output", 4.0), ("launch", 3.0)];
    let class = OverlayClass {
        times: times.map(|(name, by)| (name.to_owned(), by)).into(),
        rows: 12,
        phases: Some(6),
        error: OverlayError {
            method: "made up".to_owned(),
            before: Some(0.9),
            after: Some(0.1),
            n: 12,
            models: Some(3),
        },
        outliers: Vec::new(),
        points: Vec::new(),
    };
    Overlay {
        format_version: 1,
        profile: profile.name.clone(),
        unit: UnitName::Cpu,
        facts: facts_digest(profile, UnitName::Cpu),
        made: "2026-11-28".to_owned(),
        source: "made up".to_owned(),
        rows: 12,
        classes: BTreeMap::from([(CLASS.to_owned(), class)]),
    }
}

/// A table as a machine with the true factors would have given it.
fn table(profile: &Arc<HardwareProfile>) -> Vec<Observation> {
    let truth = truth(profile);
    let shapes = WIDTHS.iter().flat_map(|w| TOKENS.map(|t| (*w, t)));
    let row = |(width, tokens)| {
        let traced = graph(tokens, width);
        let runtime = Runtime::LlamaCpp;
        let phase = if tokens == 1 { "decode" } else { "prefill" };
        Observation {
            case: format!("slm/w{width}/{phase} prompt={tokens}"),
            seconds: time(profile, &traced, runtime, Some(&truth)).point,
            traced,
            profile: Arc::clone(profile),
            unit: UnitName::Cpu,
            runtime,
            source: "made up".to_owned(),
            weight: 1.0,
        }
    };
    shapes.map(row).collect()
}

fn phone() -> Arc<HardwareProfile> {
    Arc::new(load("snapdragon-888").unwrap())
}

#[test]
fn a_size_that_nobody_measured_is_predicted_as_the_table_was_made() {
    let profile = phone();
    let found = calibrate(&table(&profile), "2026-11-28", "a table").unwrap();
    assert!(found.unfit.is_empty(), "{:?}", found.unfit);
    assert_eq!((found.overlay.unit, found.overlay.rows), (UnitName::Cpu, 12));
    let class = &found.overlay.classes[CLASS];
    let names: Vec<&str> = class.times.keys().map(String::as_str).collect();
    assert_eq!(names, ["compute", "launch", "memory", "output"]);
    assert_eq!((class.rows, class.phases), (12, Some(6)));
    let error = &class.error;
    assert_eq!((error.n, error.models), (12, Some(3)));
    assert!(error.after.unwrap() < error.before.unwrap() / 2.0, "{error:?}");
    // A width and a number of tokens between those of the table.
    let traced = graph(8, 1536);
    let at = |overlay: Option<&Overlay>| {
        time(&profile, &traced, Runtime::LlamaCpp, overlay)
    };
    let (bare, own) = (at(None), at(Some(&found.overlay)));
    let true_time = at(Some(&truth(&profile))).point;
    assert!((own.point / true_time - 1.0).abs() < 0.1, "{own:?} {true_time}");
    assert!(bare.point < 0.5 * true_time, "{bare:?} {true_time}");
    assert!(own.method.contains("overlay of a table"), "{}", own.method);
}

#[test]
fn factors_are_of_the_runtime_that_was_measured() {
    let profile = phone();
    let overlay = truth(&profile);
    let traced = graph(8, 1024);
    for runtime in Runtime::ALL {
        let bare = time(&profile, &traced, runtime, None);
        let own = time(&profile, &traced, runtime, Some(&overlay));
        if runtime == Runtime::LlamaCpp {
            assert!(own.point > 2.0 * bare.point, "{own:?} {bare:?}");
        } else {
            assert_eq!(own, bare, "{runtime}");
        }
    }
}

#[test]
fn a_band_is_as_wide_as_the_models_held_out_were_off_and_few() {
    let profile = phone();
    let traced = graph(8, 1024);
    let width = |after: f64, models: Option<usize>| {
        let mut overlay = truth(&profile);
        let error = &mut overlay.classes.get_mut(CLASS).unwrap().error;
        (error.after, error.models) = (Some(after), models);
        let runtime = Runtime::LlamaCpp;
        let found = time(&profile, &traced, runtime, Some(&overlay));
        found.high / found.point
    };
    // Student's table, 0.90: 1 degree of freedom, 2, 11; times sqrt(pi / 2).
    for (models, quantile) in
        [(Some(2), 3.0777), (Some(3), 1.8856), (None, 1.3634)]
    {
        for after in [0.1, 0.5] {
            let expected = 1.0 + quantile * 1.253_31 * after;
            let found = width(after, models);
            assert!((found - expected).abs() < 1e-3, "{found} {expected}");
        }
    }
    assert!(width(0.0, Some(3)) > 1.04, "no band is a point");
}

#[test]
fn a_runtime_with_factors_of_its_own_has_no_residuals_besides() {
    let profile = phone();
    let factors = truth(&profile);
    let traced = graph(8, 1024);
    let mut both = factors.clone();
    for class in ["llama-cpp-prefill", "llama-cpp-decode", "matmul-vector"] {
        let own = OverlayClass {
            times: BTreeMap::new(),
            phases: None,
            points: vec![OverlayPoint {
                group: "q4_0".to_owned(),
                at: vec![0.0, 3.0, 10.0, 10.0],
                residual: 0.5,
                weight: 1.0,
            }],
            ..factors.classes[CLASS].clone()
        };
        both.classes.insert(class.to_owned(), own);
    }
    let at = |overlay: &Overlay, runtime: Runtime| {
        time(&profile, &traced, runtime, Some(overlay)).point
    };
    let own = Runtime::LlamaCpp;
    assert_eq!(at(&both, own), at(&factors, own));
    both.classes.remove(CLASS);
    let nothing = Overlay { classes: BTreeMap::new(), ..factors };
    assert!(at(&both, own) > 1.05 * at(&nothing, own), "residuals alone apply");
}

#[test]
fn names_that_this_build_does_not_know_are_refused_with_the_nearest() {
    let profile = phone();
    let refused = |overlay: &Overlay| {
        Target::new(&profile, Some("cpu"), Precision::Q4_0, Some(overlay))
            .unwrap_err()
            .to_string()
    };
    let mut overlay = truth(&profile);
    let times = &mut overlay.classes.get_mut(CLASS).unwrap().times;
    times.insert("memroy".to_owned(), 0.8);
    assert_eq!(
        refused(&overlay),
        "unknown constant of `roofline-llama-cpp` in the overlay of \
         snapdragon-888:cpu: `memroy`; nearest valid: `memory` (one of \
         compute, memory, output, launch)"
    );
    let mut overlay = truth(&profile);
    let class = overlay.classes.remove(CLASS).unwrap();
    overlay.classes.insert("roofline-lama-cpp".to_owned(), class);
    let message = refused(&overlay);
    assert!(
        message.contains(
            "snapdragon-888:cpu: `roofline-lama-cpp`; nearest valid: \
             `roofline-llama-cpp` (one of matmul, "
        ),
        "{message}"
    );
}

#[test]
fn too_few_graphs_are_refused_with_how_many_are_needed() {
    let profile = phone();
    let rows = table(&profile);
    let refused = calibrate(&rows[..11], "2026-11-28", "a table");
    assert_eq!(
        refused.unwrap_err().to_string(),
        "cannot calibrate: 11 usable rows of whole graphs under llama-cpp, of \
         6 phases of different models; the 4 constants compute, memory, \
         output, launch need 12 rows, of 4 such phases"
    );
    // One row of a phase many times over is no more than one.
    let one: Vec<Observation> =
        rows.iter().take(4).cycle().take(16).cloned().collect();
    let refused = calibrate(&one, "2026-11-28", "a table").unwrap_err();
    assert!(
        refused.to_string().contains("16 usable rows of whole graphs"),
        "{refused}"
    );
    assert!(refused.to_string().contains("of 2 phases"), "{refused}");
}
