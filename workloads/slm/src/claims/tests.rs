//! Every claim through every ruling, what the published numbers say, and
//! which readings a statistic takes.

use std::collections::BTreeSet;

use assay_schema::{
    Claim, ClaimData, ClaimFile, Estimate, Evidence, Provenance,
    PublishedPoint, Record, Ruling,
};
use assay_statistics::testing::{self, Trial, doubtful, drill, unmatched};
use assay_statistics::{allowed_region, rule};

use super::curves::OfCurves;
use super::precisions::MODEL as PRECISIONS_MODEL;
use super::readings::{
    FITTED, FORMAT, JETSON, MEIZU, PIXEL, Quantity, Reading, Readings, exact,
};
use super::statistic::Statistic;
use super::table::JUDGEMENTS;
use super::{claims, evidence, figure_7, published, sources, tables};
use crate::Phase;

/// What the overlays of the survey's machines were fitted to.
const SURVEY_FIT: &str =
    include_str!("../../../../hardware-profiles/measurements/survey-fit.csv");

/// Evidence well inside, well outside, about a border, near null.
fn candidates(claim: &Claim, data: ClaimData) -> Vec<Evidence> {
    let step = claim.margin.max(0.1 * claim.value.abs()).max(1.0);
    let mut points = vec![claim.value, claim.null + claim.noise / 2.0];
    for border in allowed_region(claim) {
        if border.is_finite() {
            // Null may stand on either side, near or far.
            for noises in [0.25, 2.0, 5.0] {
                let far = step + noises * claim.noise;
                points.extend([border - far, border, border + far]);
            }
            points.push(claim.value + 0.9 * (border - claim.value));
        }
    }
    let spreads = [0.0, step];
    points
        .iter()
        .flat_map(|&point| spreads.map(|spread| (point, spread)))
        .map(|(point, spread)| Evidence {
            claim: claim.id.clone(),
            estimate: Estimate {
                point,
                low: point - spread,
                high: point + spread,
                confidence: 0.95,
                n: claim.least_seeds,
                method: "made by this test".to_owned(),
            },
            data,
            provenance: Provenance::Measured,
        })
        .collect()
}

#[test]
fn every_claim_has_an_id_of_its_own_and_one_judgement_or_a_reason() {
    let judged: Vec<(String, ClaimData)> = JUDGEMENTS
        .iter()
        .flat_map(|one| one.data.iter().map(|data| (one.id(*data), *data)))
        .collect();
    let judged = judged.iter().map(|(id, data)| (id.as_str(), Some(*data)));
    assert_eq!(unmatched(&claims().unwrap(), judged), [""; 0]);
}

#[test]
fn every_claim_meets_every_ruling() {
    let faults = drill(&claims().unwrap(), |claim| {
        let data = claim.data[0];
        let is_judged = claim.untestable.is_none();
        is_judged.then(|| Trial::Each(candidates(claim, data)))
    });
    assert_eq!(faults, [""; 0]);
}

#[test]
fn another_kind_of_data_has_a_claim_of_its_own() {
    let ClaimFile { paper, claim } = claims().unwrap();
    for claim in claim.iter().filter(|one| one.untestable.is_none()) {
        let other = match claim.data[0] {
            ClaimData::Published => ClaimData::Predicted,
            ClaimData::Predicted | ClaimData::Generated | ClaimData::Real => {
                ClaimData::Published
            }
        };
        let found = rule(&paper, claim, &candidates(claim, other));
        assert_eq!(found.ruling, Ruling::NotTested, "{}", claim.id);
    }
}

/// The survey's noise is of its own runs: what is predicted or measured to be
/// just as the survey says does not drown in it.
#[test]
fn an_exact_reproduction_is_supported() {
    let file = claims().unwrap();
    for claim in &file.claim {
        if claim.untestable.is_some()
            || claim.data.contains(&ClaimData::Published)
        {
            continue;
        }
        let found = Evidence {
            claim: claim.id.clone(),
            estimate: Estimate {
                n: claim.least_seeds,
                ..exact(claim.value, "made by this test")
            },
            data: claim.data[0],
            provenance: Provenance::Measured,
        };
        let ruled = rule(&file.paper, claim, &[found]);
        assert_eq!(ruled.ruling, Ruling::Supported, "{}", claim.id);
    }
}

#[test]
fn a_published_number_in_another_unit_is_no_reading() {
    let mut points = tables().unwrap();
    let read = |points: &[PublishedPoint]| sources::published(points).all.len();
    let own = read(&[]);
    let used = points
        .iter()
        .filter(|one| {
            ["time", "part_attention", "part_ffn", "kernel_mul_mat_vec_q"]
                .iter()
                .any(|metric| one.metric.contains(metric))
        })
        .count();
    assert_eq!(read(&points), own + used);
    for point in &mut points {
        point.unit = "ms".to_owned();
    }
    assert_eq!(read(&points), own);
}

#[test]
fn the_published_tables_read_whole() {
    let points = tables().unwrap();
    let lines: usize =
        super::PUBLISHED.iter().map(|(_, text)| text.lines().count() - 1).sum();
    assert_eq!(points.len(), lines);
    // The figures and the recipes stand before them.
    let all = published().unwrap();
    assert!(all.ends_with(&points));
    for metric in ["time", "memory_peak", "training_tokens"] {
        let beside = &all[..all.len() - points.len()];
        assert!(beside.iter().any(|one| one.metric == metric), "{metric}");
    }
    let doubts = doubtful(&points, "slm", |point| {
        [&point.case, &point.profile, &point.metric]
    });
    assert_eq!(doubts, [""; 0]);
    assert_eq!(figure_7().len(), 20);
}

/// The ruling of what is published on a claim, and its point.
fn as_published(id: &str, found: &[Evidence]) -> (Ruling, f64) {
    let file = claims().unwrap();
    let claim = file.claim.iter().find(|claim| claim.id == id).unwrap();
    let own = found.iter().find(|one| one.claim == id);
    let point = own.unwrap_or_else(|| panic!("{id}")).estimate.point;
    (rule(&file.paper, claim, found).ruling, point)
}

#[test]
fn without_a_run_the_published_figures_rule_on_the_text() {
    use Ruling::{Contradicted, InsideNoise, Supported};
    let found = evidence(&[], &[], &[]);
    assert!(found.iter().all(|one| one.data == ClaimData::Published));
    for (id, ruling, point, tolerance) in [
        ("qwen-parameters", Supported, 25.5, 0.1),
        ("qwen-prefill", Supported, 31.9, 0.05),
        ("qwen-decode", InsideNoise, 11.8, 0.05),
        ("qwen1.8-prefill", Supported, 18.5, 0.05),
        ("openelm-phi2-prefill", InsideNoise, 9.9, 0.1),
        ("qwen2-first-token", Supported, 1.468, 0.001),
        ("qwen2-openelm-first-token", Supported, 0.976, 0.001),
        ("pythia-smollm-prefill", InsideNoise, 1.055, 0.001),
        ("pythia-qwen2-prefill", Supported, 1.188, 0.001),
        ("phi2-openelm-first-token", InsideNoise, 1.11, 0.002),
        ("openelm-bloom-memory", Supported, 23.8, 0.05),
        ("openelm-gemma-memory", Supported, 13.8, 0.05),
        ("memory-smallest", Supported, 275.0, 0.01),
        ("memory-largest", Contradicted, 2513.3, 0.1),
        ("memory-outliers", Supported, 91.6, 0.1),
        ("quant-short-prompts", Supported, 26.9, 0.05),
        ("quant-shrinks", Supported, 28.5, 0.05),
        ("quant-q6-k-long", InsideNoise, 2.74, 0.05),
        ("quant-q3-k-long", Supported, -23.4, 0.05),
        ("quant-mean-prefill", Contradicted, 26.9, 0.05),
        ("quant-largest-decode", Contradicted, 56.7, 0.05),
        ("quant-smallest-decode", InsideNoise, 18.2, 0.05),
        ("quant-decode-more", Supported, 19.66, 0.05),
        ("quant-best-decode", InsideNoise, 5.4, 0.05),
        ("quant-5-over-8-decode", InsideNoise, 9.96, 0.05),
        ("hardware-prefill", Contradicted, 23.2, 0.05),
        ("hardware-label", Contradicted, 1.246, 0.001),
        ("hardware-decode-rise", InsideNoise, 0.992, 0.002),
        ("hardware-steadier-prefill", Contradicted, 0.213, 0.01),
        ("products-70", Supported, 74.97, 0.01),
        ("products-80", Contradicted, 74.97, 0.01),
        ("qwen2-ffn-decode", Supported, 1.68, 0.01),
        ("qwen1.5-attention", Contradicted, -2.15, 0.01),
        ("bloom-compute-buffer-ratio", Supported, 3.51, 0.01),
        ("openelm-kv-cache-ratio", Supported, 3.90, 0.01),
        ("long-context-qwen2-0.5b", Contradicted, 91.0, 1.5),
        ("long-context-qwen2-1.5b", Supported, 86.0, 1.5),
        ("kv-cache-long-qwen1.5-1.8b", Contradicted, 74.0, 1.5),
        ("ffn-ratio-smallest", Contradicted, 0.5, 1e-9),
        ("ffn-ratio-largest", Supported, 8.0, 1e-9),
        ("large-vocabulary", Supported, 71.2, 0.1),
    ] {
        let (ruled, value) = as_published(id, &found);
        assert_eq!(ruled, ruling, "{id}: {value}");
        assert!((value - point).abs() <= tolerance, "{id}: {value}");
    }
    // Everything that published numbers may judge has its evidence.
    for judgement in JUDGEMENTS {
        if judgement.data.contains(&ClaimData::Published) {
            as_published(&judgement.id(ClaimData::Published), &found);
        }
    }
}

/// A reading of a time.
fn time(model: &str, phase: Phase, precision: &str, length: u32) -> Reading {
    Reading {
        model: model.to_owned(),
        phase,
        precision: precision.to_owned(),
        length,
        machine: JETSON.to_owned(),
        quantity: Quantity::Time,
        value: exact(1.0, "made by this test"),
    }
}

#[test]
fn two_models_are_compared_in_one_format_at_one_length() {
    let judgement =
        JUDGEMENTS.iter().find(|one| one.claim == "qwen-prefill").unwrap();
    let of = |all: Vec<Reading>| {
        let readings = Readings { data: ClaimData::Predicted, all };
        judgement.statistic.of(&readings).map(|one| one.point)
    };
    let (first, second) = ("qwen1.5-0.5b", "qwen2-0.5b");
    let prefill = |model, precision, length, seconds: f64| Reading {
        value: exact(seconds, "made by this test"),
        ..time(model, Phase::Prefill, precision, length)
    };
    // The survey's format and length before others.
    let all = vec![
        prefill(first, "f16", 50, 9.0),
        prefill(second, "f16", 50, 1.0),
        prefill(first, FORMAT, 50, 0.6),
        prefill(second, FORMAT, 50, 1.0),
        prefill(first, FORMAT, 128, 9.0),
        prefill(second, FORMAT, 128, 1.0),
    ];
    assert!((of(all).unwrap() - 40.0).abs() < 1e-9);
    // Never across formats, lengths or machines.
    let across = vec![
        prefill(first, "f16", 50, 0.6),
        prefill(second, FORMAT, 50, 1.0),
        prefill(second, "f16", 128, 1.0),
        Reading {
            machine: "host".to_owned(),
            ..prefill(second, "f16", 50, 1.0)
        },
    ];
    assert_eq!(of(across), None);
}

/// A prefill whose band is a factor either way.
fn banded(model: &str, machine: &str, seconds: f64, factor: f64) -> Reading {
    Reading {
        machine: machine.to_owned(),
        value: Estimate {
            low: seconds / factor,
            high: seconds * factor,
            confidence: 0.8,
            n: 0,
            ..exact(seconds, "made by this test")
        },
        ..time(model, Phase::Prefill, FORMAT, 50)
    }
}

#[test]
fn two_machines_bring_a_band_each_and_one_machine_half_of_one() {
    let readings = Readings { data: ClaimData::Predicted, all: Vec::new() };
    let factor = 2.0_f64;
    let first = banded("a", MEIZU, 4.0, factor);
    let width = |other: &Reading| {
        let ratio = readings.over(&first, other).unwrap();
        assert!((ratio.point - 2.0).abs() < 1e-12, "{ratio:?}");
        let (below, above) =
            (ratio.point / ratio.low, ratio.high / ratio.point);
        assert!((below - above).abs() < 1e-9, "{ratio:?}");
        above.ln() / factor.ln()
    };
    assert!((width(&banded("b", MEIZU, 2.0, factor)) - 0.5).abs() < 1e-9);
    let across = width(&banded("b", PIXEL, 2.0, factor));
    assert!((across - 2.0_f64.sqrt()).abs() < 1e-9, "{across}");
}

/// `model/phase on profile`.
fn place(model: &str, phase: Phase, machine: &str) -> String {
    let phase = if phase == Phase::Decode { "decode" } else { "prefill" };
    format!("{model}/{phase} on {machine}")
}

/// The times that a statistic names, each of its place.
fn times_of(statistic: &Statistic) -> Vec<String> {
    let spots = match *statistic {
        Statistic::Value(of) => vec![of],
        Statistic::Ratio { of, over } => vec![of, over],
        Statistic::Less { of, than } | Statistic::More { of, than } => {
            vec![of, than]
        }
        Statistic::Difference { of, less } => vec![of, less],
        _ => Vec::new(),
    };
    let both = |model: &str, machine: &str| {
        [Phase::Prefill, Phase::Decode]
            .map(|phase| place(model, phase, machine))
    };
    match *statistic {
        Statistic::Precisions(_) => both(PRECISIONS_MODEL, JETSON).to_vec(),
        Statistic::Curves(
            OfCurves::MeanRatio { two, .. }
            | OfCurves::Edge { two }
            | OfCurves::Scatter { two, .. },
        ) => [both(two.model, two.of), both(two.model, two.over)].concat(),
        Statistic::Curves(OfCurves::Rise { model, machine }) => {
            both(model, machine).to_vec()
        }
        _ => spots
            .iter()
            .filter(|one| one.quantity == Quantity::Time)
            .map(|one| place(one.model, one.phase, one.machine))
            .collect(),
    }
}

/// Nothing is fitted to what it is judged on.
#[test]
fn predictions_judge_no_time_that_an_overlay_was_fitted_to() {
    let fitted: BTreeSet<String> = SURVEY_FIT
        .lines()
        .skip(1)
        .map(|line| {
            let (case, rest) = line.split_once(',').unwrap();
            let profile = rest.split([':', ',']).next().unwrap();
            format!("{} on {profile}", case.strip_prefix("slm/").unwrap())
        })
        .collect();
    for phase in [Phase::Prefill, Phase::Decode] {
        let own: BTreeSet<String> =
            FITTED.iter().map(|model| place(model, phase, JETSON)).collect();
        let end = place("", phase, JETSON);
        let found: BTreeSet<String> =
            fitted.iter().filter(|one| one.ends_with(&end)).cloned().collect();
        assert_eq!(own, found);
    }
    let mut named = 0;
    for one in JUDGEMENTS {
        if one.data.contains(&ClaimData::Predicted) {
            for time in times_of(&one.statistic) {
                assert!(!fitted.contains(&time), "{}: {time}", one.claim);
                named += 1;
            }
        }
    }
    assert!(named > 0);
}

#[test]
fn measured_times_are_compared_on_one_device() {
    let on = |model: &str, device: &str, seconds: f64| Reading {
        machine: device.to_owned(),
        value: exact(seconds, "made by this test"),
        ..time(model, Phase::Prefill, FORMAT, 50)
    };
    let judgement =
        JUDGEMENTS.iter().find(|one| one.claim == "qwen-prefill").unwrap();
    let of = |all: &[Reading]| {
        let readings =
            Readings { data: ClaimData::Generated, all: all.to_vec() };
        judgement.statistic.of(&readings).map(|one| one.point)
    };
    let (first, second) = ("qwen1.5-0.5b", "qwen2-0.5b");
    // The latest of each are of two devices.
    let mut all = vec![on(first, "cuda:0", 0.1), on(second, "cpu", 1.0)];
    assert_eq!(of(&all), None);
    all.push(on(first, "cpu", 0.6));
    assert!((of(&all).unwrap() - 40.0).abs() < 1e-9);
}

/// A sound record with these times.
fn record(case: &str, seconds: &[f64]) -> Record {
    Record {
        samples: testing::samples(seconds.to_vec()),
        ..testing::record(case.parse().unwrap(), Vec::new())
    }
}

#[test]
fn records_of_this_machine_rule_on_claims_of_their_own() {
    let times = |x: f64| [0.99, 1.0, 1.0, 1.0, 1.01].map(|y| x * y).repeat(4);
    let records = [
        record("slm/qwen1.5-0.5b/prefill batch=1 prompt=50", &times(0.7)),
        record("slm/qwen2-0.5b/prefill batch=1 prompt=50", &times(1.0)),
    ];
    let found = evidence(&records, &[], &[]);
    let own: Vec<&Evidence> =
        found.iter().filter(|one| one.data == ClaimData::Generated).collect();
    assert_eq!(own.len(), 1);
    assert_eq!(own[0].claim, "qwen-prefill-measured");
    let estimate = &own[0].estimate;
    assert!((estimate.point - 30.0).abs() < 1e-9, "{estimate:?}");
    let file = claims().unwrap();
    let ruled = |id: &str| {
        let claim = file.claim.iter().find(|claim| claim.id == id).unwrap();
        rule(&file.paper, claim, &found).ruling
    };
    assert_eq!(ruled("qwen-prefill-measured"), Ruling::Supported);
    // A wrong answer says nothing.
    let mut wrong = records;
    wrong[0].verification = None;
    let found = evidence(&wrong, &[], &[]);
    assert!(found.iter().all(|one| one.data == ClaimData::Published));
}

#[test]
fn times_on_one_line_share_a_format_and_lengths() {
    let judgement = JUDGEMENTS
        .iter()
        .find(|one| one.claim == "decode-tracks-size")
        .unwrap();
    let of = |all: &[Reading]| {
        let readings =
            Readings { data: ClaimData::Generated, all: all.to_vec() };
        judgement.statistic.of(&readings)
    };
    // A model's parameters, and times of both phases in one format.
    let model = |name: &str, size: f64, format: &str, slower: f64| {
        let of = |phase, length, seconds| Reading {
            value: exact(seconds, "made by this test"),
            ..time(name, phase, format, length)
        };
        [
            Reading {
                quantity: Quantity::Parameters,
                ..of(Phase::Decode, 0, 1e6 * size)
            },
            of(Phase::Prefill, 128, size),
            of(Phase::Decode, 128, slower * size),
        ]
    };
    let sizes = [100.0, 200.0, 400.0, 700.0, 1000.0];
    let mut all: Vec<Reading> = sizes
        .iter()
        .flat_map(|&size| model(&format!("model-{size}"), size, "f16", 1.0))
        .collect();
    // Quicker by its format, and nearer to the survey's lengths.
    let mut other: Vec<Reading> =
        model("model-1500", 1500.0, "q4_0", 0.1).to_vec();
    other.extend(
        other.clone().into_iter().map(|one| Reading { length: 50, ..one }),
    );
    let few: Vec<Reading> = all.iter().skip(3).chain(&other).cloned().collect();
    assert!(of(&few).is_none());
    all.extend(other);
    let found = of(&all).unwrap();
    assert!(found.point.abs() < 1e-9, "{found:?}");
    assert!(found.method.contains("f16"), "{found:?}");
    assert!(found.method.contains("prompt 128"), "{found:?}");
}

#[test]
fn measured_formats_stand_beside_16_bits_of_the_same_model() {
    let of = |precision: &str, phase: Phase, seconds: f64| Reading {
        value: exact(seconds, "made by this test"),
        ..time("smollm-360m", phase, precision, 50)
    };
    let decode = Phase::Decode;
    let mut all = vec![
        of("bf16", decode, 1.0),
        of("q8_0", decode, 0.6),
        of("q4_0", decode, 0.4),
    ];
    let judge = |claim: &str, all: &[Reading]| {
        let readings =
            Readings { data: ClaimData::Generated, all: all.to_vec() };
        let judgement =
            JUDGEMENTS.iter().find(|one| one.claim == claim).unwrap();
        judgement.statistic.of(&readings).map(|one| one.point)
    };
    let least = judge("quant-smallest-decode", &all).unwrap();
    assert!((least - 40.0).abs() < 1e-9, "{least}");
    assert_eq!(judge("quant-decode-more", &all), None);
    for (precision, seconds) in [("bf16", 1.0), ("q8_0", 0.9), ("q4_0", 0.9)] {
        all.push(of(precision, Phase::Prefill, seconds));
    }
    let more = judge("quant-decode-more", &all).unwrap();
    assert!((more - 40.0).abs() < 1e-9, "{more}");
}
