//! Every claim through every ruling, and what may judge what.

use assay_schema::{
    Better, Bytes, Case, ClaimData, Evidence, Flops, Metric, Moment,
    Prediction, PublishedPoint, Record, Runtime,
};
use assay_statistics::testing::{self, Trial, drill, unmatched};

use super::runs::{Like, runs};
use super::statistic::{Statistic, Unit, rows};
use super::table::{JUDGEMENTS, Judgement};
use super::{claims, evidence, evidence_for, published};
use crate::Request;

/// A case with what a run would say of it.
#[derive(Clone)]
struct Sketch {
    case: Case,
    place: String,
    seconds: f64,
    peak: f64,
    parameters: f64,
    flops: f64,
    fits: Option<bool>,
}

impl Sketch {
    fn of(case: Case) -> Self {
        let place = "nvidia-a100-sxm4-80gb".to_owned();
        let (seconds, peak) = (1.0, 1.0);
        let (parameters, flops, fits) = (1.0, 1.0, None);
        Self { case, place, seconds, peak, parameters, flops, fits }
    }

    /// With a band of so many times either way.
    fn predicted(&self, spread: f64) -> Prediction {
        Prediction {
            profile: self.place.clone(),
            flops: Flops(self.flops),
            parameters: self.parameters as u64,
            memory_peak_bytes: Bytes(self.peak),
            fits: self.fits,
            ..testing::prediction(&self.case, self.seconds, spread)
        }
    }

    /// With samples on either side.
    fn measured(&self, spread: f64, samples: usize) -> Record {
        let peak = Metric::value("memory_peak", "B", Better::Lower, self.peak);
        let seconds = (0..samples)
            .map(|i| if i % 2 == 0 { 1.0 + spread } else { 1.0 - spread })
            .map(|factor| self.seconds * factor)
            .collect();
        Record {
            samples: testing::samples(seconds),
            ..testing::record(self.case.clone(), vec![peak])
        }
    }
}

/// A case of that kind.
fn case(like: &Like) -> Case {
    let path = match like.path {
        "fastfold/*" | "fastfold/inference/*" => "fastfold/inference/trunk",
        path => path,
    };
    let path = path.replace('*', "initial-training");
    let case: Case = path.parse().unwrap();
    let axes = like.axes.iter();
    axes.fold(case, |case, (axis, value)| case.with(*axis, value))
}

/// Cases in which a statistic is `x`, or goes to either side of it.
fn sketches(judgement: &Judgement, x: f64, spread: f64) -> Vec<Sketch> {
    let limit = |case: Case, limited: bool| {
        case.with("memory_limit", u8::from(limited))
    };
    let length = |like: &Like, residues: f64, limited: bool, fits: bool| {
        let case = case(like).with("residues", residues.round());
        Sketch { fits: Some(fits), ..Sketch::of(limit(case, limited)) }
    };
    let mut all = match &judgement.statistic {
        Statistic::Latency { source, path, precision } => {
            let points = published().unwrap();
            let rows = rows(&points, source, path, precision);
            let sketch = |(case, row): (Case, &PublishedPoint)| Sketch {
                place: row.profile.clone(),
                seconds: row.value * x,
                ..Sketch::of(case)
            };
            return rows.into_iter().map(sketch).collect();
        }
        Statistic::Ratio { of, axis, over, .. } => {
            let [above, below] =
                over.map(|value| Sketch::of(case(of).with(*axis, value)));
            vec![Sketch { seconds: x, peak: x, ..above }, below]
        }
        Statistic::Memory { of, chunked, factor, unit } => {
            let unit = match unit {
                Unit::Gibibytes => f64::from(1 << 30),
                Unit::GbOrGib => 1e9,
            };
            let peak = x * unit / factor;
            vec![Sketch { peak, ..Sketch::of(limit(case(of), *chunked)) }]
        }
        Statistic::Saving { of, .. } => [1.0 - spread, 1.0 + spread]
            .into_iter()
            .enumerate()
            .flat_map(|(i, factor)| {
                [(false, 100.0), (true, 100.0 - x * factor)].map(
                    |(limited, peak)| Sketch {
                        peak,
                        ..length(of, 100.0 + i as f64, limited, true)
                    },
                )
            })
            .collect(),
        Statistic::Slowing { of } => {
            let free = Sketch::of(limit(case(of), false));
            let limited = Sketch::of(limit(case(of), true));
            vec![
                Sketch { peak: 100.0, ..free },
                Sketch { peak: 10.0, seconds: 1.0 + x / 100.0, ..limited },
            ]
        }
        Statistic::Lengthening { of } => vec![
            length(of, 1e4, false, true),
            length(of, 1e4 * (1.0 + spread) + 1.0, false, false),
            length(of, 1e4 * x, true, true),
        ],
        Statistic::Longest { of, tried } => {
            let beyond = if spread > 0.0 {
                x * (1.0 + spread)
            } else {
                tried.max(x + 1.0)
            };
            vec![length(of, x, true, true), length(of, beyond, true, false)]
        }
        Statistic::Parameters { of, factor } => {
            vec![Sketch { parameters: x / factor, ..Sketch::of(case(of)) }]
        }
        Statistic::Rate { of } => {
            vec![Sketch { flops: x * 1e12, ..Sketch::of(case(of)) }]
        }
        Statistic::Recomputed { .. } => Vec::new(),
    };
    if let Some(place) = judgement.place {
        all.iter_mut().for_each(|one| one.place = place.to_owned());
    }
    all
}

/// Evidence in which the statistic is `x`; published numbers have fewer digits
/// with a spread.
fn made(
    judgement: &Judgement,
    x: f64,
    spread: f64,
    samples: usize,
) -> Vec<Evidence> {
    let mut points = published().unwrap();
    if let Statistic::Recomputed { of, over } = judgement.statistic {
        points = testing::points_as(points, of, over, x, spread).unwrap();
    }
    let sketches = sketches(judgement, x, spread);
    let (mut records, mut predictions) = (Vec::new(), Vec::new());
    for sketch in &sketches {
        match judgement.data {
            ClaimData::Generated => {
                records.push(sketch.measured(spread, samples));
            }
            ClaimData::Predicted => predictions.push(sketch.predicted(spread)),
            ClaimData::Published | ClaimData::Real => {}
        }
    }
    let runs = runs(&records, &predictions);
    evidence_for(judgement, &runs, &points).into_iter().collect()
}

#[test]
fn every_claim_has_an_id_of_its_own_and_one_judgement_or_a_reason() {
    let judged = JUDGEMENTS.iter().map(|one| (one.claim, Some(one.data)));
    assert_eq!(unmatched(&claims().unwrap(), judged), [""; 0]);
}

#[test]
fn every_claim_meets_every_ruling() {
    let faults = drill(&claims().unwrap(), |claim| {
        let own = JUDGEMENTS.iter().find(|one| one.claim == claim.id)?;
        Some(Trial::at_values(move |x, spread, samples| {
            made(own, x, spread, samples)
        }))
    });
    assert_eq!(faults, [""; 0]);
}

#[test]
fn every_number_of_a_claim_is_published_with_its_source_and_trust() {
    let points = published().unwrap();
    let text = include_str!("../../claims/published.csv");
    assert_eq!(points.len(), text.lines().count() - 1);
    for point in &points {
        assert!(!point.source.is_empty(), "{point:?}");
        assert!(!point.trust.is_empty(), "{point:?}");
    }
    for claim in claims().unwrap().claim {
        let judgement = JUDGEMENTS.iter().find(|one| one.claim == claim.id);
        let statistic = judgement.map(|one| one.statistic);
        let own: Vec<&PublishedPoint> = points
            .iter()
            .filter(|point| point.source == claim.source)
            .filter(|point| match statistic {
                // The claim is 1: predicted over published.
                Some(Statistic::Latency { .. }) => true,
                _ => point.value == claim.value && point.unit == claim.unit,
            })
            .collect();
        assert!(!own.is_empty(), "{}", claim.id);
        for point in own {
            let from_memory = point.trust.starts_with("from memory");
            let says_so = claim.source.contains("from memory");
            assert_eq!(from_memory, says_so, "{}", claim.id);
        }
    }
}

#[test]
fn a_published_latency_is_at_a_case_of_this_workload() {
    let points = published().unwrap();
    for judgement in JUDGEMENTS {
        let Statistic::Latency { source, path, precision } =
            judgement.statistic
        else {
            continue;
        };
        let rows = rows(&points, source, path, precision);
        let sizes = match judgement.claim.starts_with("block") {
            true if precision == "bf16" => 1,
            true => 3,
            false => 1,
        };
        assert_eq!(rows.len(), sizes, "{}", judgement.claim);
        for (case, row) in rows {
            assert!(Request::new(&case).is_ok(), "{case}");
            assert_eq!(row.unit, "s");
        }
    }
}

#[test]
fn forward_and_backward_add_up_to_a_training_step() {
    let points = published().unwrap();
    let of = |case: &str, metric: &str, source: &str| {
        let mut own = points.iter().filter(|point| {
            point.case == case
                && point.metric == metric
                && point.source == source
        });
        own.next().unwrap().value
    };
    let mut count = 0;
    for point in points.iter().filter(|p| p.trust.starts_with("forward and")) {
        let forward = point
            .case
            .replace("block-train", "block-forward")
            .replace("fused", "fused memory_limit=0");
        let sum = of(&forward, "time", &point.source)
            + of(&point.case, "backward_time", &point.source);
        assert!((sum - point.value).abs() < 1e-9, "{}", point.case);
        count += 1;
    }
    assert_eq!(count, 13);
}

#[test]
fn without_a_run_only_published_numbers_speak() {
    let found = evidence(&[], &[]);
    assert!(found.iter().all(|one| one.data == ClaimData::Published));
    let point = |id: &str| {
        let own = found.iter().find(|one| one.claim == id);
        own.unwrap().estimate.point
    };
    for (id, expected) in [
        ("training-hours", 67.49),
        ("training-speedup-alphafold", 3.91),
        ("training-speedup-openfold", 2.986),
        ("training-gpu-hours", 20_738.0),
    ] {
        let relative = point(id) / expected - 1.0;
        assert!(relative.abs() < 2e-3, "{id}: {}", point(id));
    }
    assert_eq!(found.len(), 4);
}

#[test]
fn the_allocations_that_failed_are_scores_of_triangle_attention() {
    // Four heads, f32, shared out to the devices, which pad the residues.
    let gib = |residues: f64, devices: f64| {
        4.0 * 4.0 * residues.powi(3) / devices / f64::from(1 << 30)
    };
    assert!((gib(2182.0, 2.0) - 77.4).abs() < 0.05);
    assert!((gib(1806.0, 3.0) - 29.26).abs() < 0.01);
}

/// A block at the benchmark's size, with and without its kernels.
fn benchmark(kernels: &str, seconds: f64) -> Sketch {
    let case = format!(
        "fastfold/initial-training/block-forward attention=stored \
         kernels={kernels} memory_limit=0 precision=bf16 residues=256 \
         sequences=128"
    );
    let place = "nvidia-a100-sxm4-40gb".to_owned();
    let case = case.parse().unwrap();
    Sketch { seconds, place, ..Sketch::of(case) }
}

fn ids(found: &[Evidence]) -> Vec<&str> {
    let measured = found.iter().filter(|one| one.data != ClaimData::Published);
    measured.map(|one| one.claim.as_str()).collect()
}

#[test]
fn a_time_measured_here_does_not_judge_a_claim_about_a_gpu() {
    let records = [benchmark("stock", 2.0), benchmark("fused", 1.0)]
        .map(|one| one.measured(0.0, 6));
    let found = evidence(&records, &[]);
    assert_eq!(ids(&found), ["openfold-forward-measured"]);
    assert!((found[0].estimate.point - 2.0).abs() < 1e-9);
}

#[test]
fn what_is_tiny_wrong_or_older_judges_nothing() {
    let fused = benchmark("fused", 1.0).measured(0.0, 6);
    let mut records =
        vec![fused.clone(), benchmark("stock", 2.0).measured(0.0, 6)];
    records[1].started = Moment(2);
    // Run before the one above.
    records.push(benchmark("stock", 9.0).measured(0.0, 6));
    let point = |records: &[Record]| {
        let found = evidence(records, &[]);
        let own = found
            .into_iter()
            .find(|one| one.claim == "openfold-forward-measured");
        own.map(|one| one.estimate.point)
    };
    assert!((point(&records).unwrap() - 2.0).abs() < 1e-9);
    for record in &mut records {
        record.case.model = "tiny".to_owned();
    }
    assert_eq!(point(&records), None);
    let mut wrong = benchmark("stock", 2.0).measured(0.0, 6);
    wrong.verification = None;
    assert_eq!(point(&[fused, wrong]), None);
}

#[test]
fn a_source_is_compared_at_all_of_its_sizes_or_not_at_all() {
    let judgement = JUDGEMENTS
        .iter()
        .find(|one| one.claim == "block-forward-cuda-f16")
        .unwrap();
    let points = published().unwrap();
    let mut predictions: Vec<Prediction> = sketches(judgement, 1.2, 0.0)
        .iter()
        .map(|sketch| sketch.predicted(0.1))
        .collect();
    let found =
        evidence_for(judgement, &runs(&[], &predictions), &points).unwrap();
    assert!((found.estimate.point - 1.2).abs() < 1e-9);
    assert!((found.estimate.high - 1.32).abs() < 1e-9);
    // Of several runtimes the eager one, as PyTorch's.
    let eager = Prediction {
        runtime: Runtime::Eager,
        latency_s: predictions[0].latency_s.scaled(8.0),
        ..predictions[0].clone()
    };
    predictions.push(eager);
    let found =
        evidence_for(judgement, &runs(&[], &predictions), &points).unwrap();
    assert!((found.estimate.point - 2.4).abs() < 1e-9);
    predictions.truncate(2);
    let runs = runs(&[], &predictions);
    assert!(evidence_for(judgement, &runs, &points).is_none());
}

#[test]
fn a_length_that_nobody_tried_is_not_contradicted() {
    let judgement =
        JUDGEMENTS.iter().find(|one| one.claim == "residues-8000").unwrap();
    let points = published().unwrap();
    let all: Vec<Prediction> = sketches(judgement, 4000.0, 0.0)
        .iter()
        .map(|sketch| sketch.predicted(0.0))
        .collect();
    let of = |predictions: &[Prediction]| {
        evidence_for(judgement, &runs(&[], predictions), &points)
    };
    assert!(of(&all[..1]).is_none());
    let found = of(&all).unwrap().estimate;
    assert_eq!((found.point, found.high), (4000.0, 7999.0));
}

#[test]
fn chunks_are_compared_with_the_same_case_without() {
    let at = |residues: u32, limit: u32, peak: f64, seconds: f64| {
        let case = format!(
            "fastfold/inference/inference attention=stored kernels=fused \
             memory_limit={limit} precision=f32 residues={residues}"
        );
        let case = case.parse().unwrap();
        Sketch { peak, seconds, ..Sketch::of(case) }.predicted(0.0)
    };
    let predictions = [
        at(512, 0, 100.0, 1.0),
        // Saves too little for its cost to count.
        at(512, 50, 50.0, 1.01),
        at(512, 20, 15.0, 1.3),
        at(512, 10, 10.0, 1.2),
        at(1024, 0, 1000.0, 4.0),
        at(1024, 20, 20.0, 4.2),
        // Nothing to compare with.
        at(2048, 20, 20.0, 9.0),
    ];
    let found = evidence(&[], &predictions);
    let of =
        |id: &str| &found.iter().find(|one| one.claim == id).unwrap().estimate;
    let saved = of("autochunk-memory");
    assert!(
        (saved.low - 90.0).abs() < 1e-9 && (saved.high - 98.0).abs() < 1e-9
    );
    assert!((saved.point - 94.0).abs() < 1e-9);
    assert!((of("release-memory").point - 98.0).abs() < 1e-9);
    // The cheaper of the two that save enough, at the dearer length.
    assert!((of("autochunk-speed").point - 20.0).abs() < 1e-9);
}
