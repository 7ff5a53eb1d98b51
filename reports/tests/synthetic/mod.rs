//! A made-up run for tests and for looking at the page: every number comes
//! from a formula here, nothing was measured.

#![allow(
    dead_code,
    reason = "each test file and the example use their own part of it"
)]
#![allow(
    clippy::unwrap_used,
    reason = "a made-up case that does not parse is a bug of this file"
)]

pub(crate) mod blocks;
pub(crate) mod studies;
pub(crate) mod survey;

use std::collections::BTreeMap;

use assay_reports::RunData;
use assay_schema::PublishedPoint;
use assay_schema::{
    Better, Bound, Bytes, BytesPerSecond, Case, Claim, ClaimData, ClaimFinding,
    Depth, Direction, Estimate, Evidence, Flops, FlopsPerSecond, Host,
    MemoryParts, Metric, Moment, Outcome, Plan, PlannedCase, Prediction,
    ProfileSummary, Provenance, Record, Ruling, RunHeader, Runtime,
    SampleBatch, Seconds, StopReason, Verification, Warning, WorkSummary,
};

/// Name and parameters of made-up measurements of real shapes.
const MODELS: [(&str, f64); 7] = [
    ("opt-125m", 125.2e6),
    ("smollm-135m", 134.5e6),
    ("pythia-160m", 162.3e6),
    ("qwen1.5-0.5b", 464.0e6),
    ("qwen2-0.5b", 494.0e6),
    ("phonelm-0.5b", 500.5e6),
    ("phonelm-1.5b", 1562.9e6),
];

/// Profile, unit, title, FLOP/s, B/s, memory, precision, runtime.
type Machine = (
    &'static str,
    &'static str,
    &'static str,
    f64,
    f64,
    f64,
    &'static str,
    Runtime,
);
const MACHINES: [Machine; 12] = [
    ("host", "cpu", "made-up host", 1.9e11, 2.6e10, 8e9, "f32", Runtime::Flex),
    (
        "nvidia-a100-sxm4-80gb",
        "gpu",
        "A",
        3.1e14,
        2.0e12,
        8e10,
        "f16",
        Runtime::Graph,
    ),
    (
        "nvidia-h100-sxm5-80gb",
        "gpu",
        "H",
        9.9e14,
        3.3e12,
        8e10,
        "f16",
        Runtime::Graph,
    ),
    (
        "nvidia-v100-sxm2-32gb",
        "gpu",
        "V",
        1.2e14,
        9.0e11,
        3.2e10,
        "f16",
        Runtime::Graph,
    ),
    ("nvidia-t4", "gpu", "T", 6.5e13, 3.2e11, 1.6e10, "f16", Runtime::Graph),
    (
        "nvidia-geforce-rtx-4090",
        "gpu",
        "R",
        3.3e14,
        1.0e12,
        2.4e10,
        "f16",
        Runtime::Graph,
    ),
    (
        "nvidia-jetson-orin-nx-16gb",
        "gpu",
        "J",
        5.0e13,
        1.0e11,
        1.6e10,
        "f16",
        Runtime::LlamaCpp,
    ),
    (
        "snapdragon-8-gen-3",
        "cpu",
        "S",
        5.6e11,
        7.7e10,
        1.2e10,
        "q4_0",
        Runtime::LlamaCpp,
    ),
    (
        "snapdragon-888",
        "cpu",
        "S",
        3.0e11,
        5.1e10,
        8e9,
        "q4_0",
        Runtime::LlamaCpp,
    ),
    ("pixel-8", "cpu", "P", 2.8e11, 5.1e10, 8e9, "q4_0", Runtime::LlamaCpp),
    (
        "apple-m2-max-38-core-gpu",
        "gpu",
        "M",
        1.3e13,
        4.0e11,
        6.4e10,
        "f16",
        Runtime::LlamaCpp,
    ),
    (
        "raspberry-pi-5-8gb",
        "cpu",
        "R",
        7.0e10,
        1.7e10,
        1.2e9,
        "f32",
        Runtime::Flex,
    ),
];

/// A stable number in -1 .. 1 that looks random.
fn wobble(seed: u64) -> f64 {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678;
    x ^= x >> 31;
    x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 29;
    (x % 20_001) as f64 / 10_000.0 - 1.0
}

fn seed(text: &str) -> u64 {
    text.bytes().fold(7, |sum, byte| sum * 31 % 1_000_003 + u64::from(byte))
}

/// A finished and verified record whose samples scatter around a time.
pub(crate) fn record(
    case: &str,
    seconds: f64,
    work: Option<WorkSummary>,
) -> Record {
    let samples = (0..31)
        .map(|index| {
            let wobble = wobble(seed(case) + index * 7919);
            seconds * (1.0 + 0.02 * wobble.abs() + 0.01 * wobble)
        })
        .collect();
    let batch = |warm_up, seconds| SampleBatch {
        part: "step".into(),
        rank: None,
        warm_up,
        iterations: 1,
        seconds,
    };
    let peak = work.as_ref().map_or(0.0, |w| w.memory_peak.total().value());
    let measured_peak = peak * (1.03 + 0.04 * wobble(seed(case)));
    Record {
        case: case.parse().unwrap(),
        started: Moment(1_795_519_300_000),
        device: "cpu".into(),
        work,
        verification: Some(Verification {
            against: "golden file (synthetic)".into(),
            largest_difference: 1e-6,
            relative_difference: 2e-6,
            tolerance: 1e-4,
        }),
        samples: vec![
            batch(true, vec![seconds * 1.6, seconds * 1.2]),
            batch(false, samples),
        ],
        metrics: vec![
            (
                None,
                Metric::value("memory_peak", "B", Better::Lower, measured_peak),
            ),
            (
                None,
                Metric::unavailable(
                    "instructions",
                    "1",
                    Better::Lower,
                    "perf_event_paranoid is 4: the kernel allows no counters",
                ),
            ),
        ],
        pictures: Vec::new(),
        warnings: Vec::new(),
        outcome: Outcome::Finished(StopReason::Precise {
            relative_half_width: 0.008,
        }),
    }
}

/// Work of a model in a phase, roughly.
fn model_work(parameters: f64, phase: &str) -> WorkSummary {
    let (tokens, training) = match phase {
        "prefill" => (128.0, false),
        "decode" => (1.0, false),
        _ => (128.0, true),
    };
    let weights = Bytes(4.0 * parameters);
    let factor = if training { 3.0 } else { 1.0 };
    WorkSummary {
        flops: Flops(2.0 * parameters * tokens * factor),
        bytes: weights * (1.25 * factor) + Bytes(tokens * 3e6),
        parameters: parameters as u64,
        memory_peak: MemoryParts {
            weights_bytes: weights,
            kv_cache_bytes: if training {
                Bytes::ZERO
            } else {
                Bytes(parameters.sqrt() * 3000.0)
            },
            gradients_bytes: if training { weights } else { Bytes::ZERO },
            optimizer_bytes: if training { weights * 2.0 } else { Bytes::ZERO },
            activations_bytes: Bytes(
                tokens * parameters.sqrt() * 60.0 * factor,
            ),
        },
        operators: 400,
        ..WorkSummary::default()
    }
}

fn axes(phase: &str) -> &'static str {
    match phase {
        "prefill" => "batch=1 prompt=128",
        "decode" => "batch=1 context=128",
        _ => "batch=1 prompt=128",
    }
}

/// `max(compute, memory) + fixed`, seconds.
fn time(work: &WorkSummary, machine: &Machine, bytes_factor: f64) -> f64 {
    let compute = work.flops.value() / (machine.3 * 0.7);
    let memory = work.bytes.value() * bytes_factor / (machine.4 * 0.8);
    compute.max(memory) + 2e-5
}

fn band(point: f64, share: f64) -> Estimate {
    Estimate {
        point,
        low: point / (1.0 + share),
        high: point * (1.0 + share),
        confidence: 0.8,
        n: 0,
        method: "error band of the runtime".into(),
    }
}

/// A prediction on a machine of the list.
fn prediction(case: &str, work: &WorkSummary, machine: &Machine) -> Prediction {
    let case: Case = format!("{case} precision={}", machine.6).parse().unwrap();
    let bits = match machine.6 {
        "f32" => 1.0,
        "q4_0" => 0.14,
        _ => 0.5,
    };
    let peak = work.memory_peak.total() * bits;
    Prediction {
        case: case.path(),
        axes: case.axes.clone(),
        profile: machine.0.into(),
        unit: machine.1.into(),
        runtime: machine.7,
        latency_s: band(time(work, machine, bits), 0.28),
        time_by_class: BTreeMap::new(),
        flops: work.flops,
        bytes: work.bytes * bits,
        parameters: work.parameters,
        memory_peak_bytes: peak,
        memory_parts: Vec::new(),
        fits: Some(peak.value() < machine.5),
        energy_j: None,
        bound: if work.flops.value() / work.bytes.value() < 9.0 {
            Bound::Memory
        } else {
            Bound::Compute
        },
        provenance: Provenance::Predicted,
    }
}

/// Path, axes, FLOPs and bytes of operators.
const OPERATORS: [(&str, f64, f64); 8] = [
    ("operators/matmul m=64 n=2048 k=2048", 5.4e8, 1.78e7),
    ("operators/matmul m=512 n=512 k=512", 2.7e8, 3.1e6),
    ("operators/matmul m=1024 n=4096 k=1024", 8.6e9, 3.8e7),
    ("operators/matmul m=1 n=2048 k=8192", 3.4e7, 6.7e7),
    ("operators/layernorm rows=512 cols=2048", 8.4e6, 8.4e6),
    ("operators/softmax rows=16384 cols=256", 2.1e7, 3.4e7),
    (
        "operators/attention batch=1 context=512 head_dim=64 heads=8 kv_heads=8 phase=prefill query=512",
        5.4e8,
        4.2e6,
    ),
    (
        "operators/attention batch=1 context=1024 head_dim=64 heads=8 kv_heads=8 phase=decode query=1",
        2.1e6,
        4.2e6,
    ),
];

/// A run with a header and nothing else.
pub(crate) fn empty_run(host: &str) -> RunData {
    RunData {
        header: RunHeader {
            format_version: 1,
            started: Moment(1_795_519_259_000),
            command: vec!["assay".into(), "run".into(), "--quick".into()],
            assay_version: "0.1.0".into(),
            commit: "0123456789abcdef0123456789abcdef01234567".into(),
            dirty: Some(false),
            toolchain: "rustc 1.95.0".into(),
            device: "cpu".into(),
            hardware_profile: "host".into(),
            host: Host {
                name: host.into(),
                os: "Debian GNU/Linux 12".into(),
                kernel: "6.1.0".into(),
                cpu: "SYNTHETIC EPYC 9R14".into(),
                cores: 2,
                memory_bytes: 8_000_000_000,
                last_level_cache_bytes: Some(32_000_000),
                features: vec!["avx2".into()],
                hypervisor: Some("kvm".into()),
            },
            plan: Plan {
                name: "synthetic tour".into(),
                depth: Depth::Quick,
                seed: 1,
                predict_on: vec!["host".into()],
                cases: Vec::<PlannedCase>::new(),
            },
        },
        records: Vec::new(),
        predictions: Vec::new(),
        profiles: Vec::new(),
        claims: Vec::new(),
        published: Vec::new(),
        modules: Vec::new(),
    }
}

/// A small run for snapshots: two measured cases, one failed, one predicted
/// elsewhere, one claim, one published number.
pub(crate) fn small_run() -> RunData {
    let mut run = empty_run("bench-1");
    let work = model_work(134.5e6, "decode");
    let decode = "slm/smollm-135m/decode batch=1 context=128";
    run.records = vec![
        record(&format!("{decode} precision=f32"), 0.0243, Some(work.clone())),
        record(
            "operators/softmax cols=256 precision=f32 rows=16384",
            1.3e-3,
            None,
        ),
        Record {
            outcome: Outcome::Failed("output is NaN at token 3".into()),
            ..record(
                "slm/tiny/prefill batch=1 precision=f32 prompt=8",
                1.0,
                None,
            )
        },
    ];
    run.predictions = vec![
        prediction(decode, &work, &MACHINES[0]),
        prediction(decode, &work, &MACHINES[1]),
    ];
    run.claims = claims();
    run.published = published();
    run
}

fn claims() -> Vec<ClaimFinding> {
    let claim = |id: &str, statement: &str, value: f64, unit: &str| Claim {
        id: id.into(),
        statement: statement.into(),
        source: "section 4.2".into(),
        value,
        unit: unit.into(),
        statistic: "ratio of medians".into(),
        direction: Direction::AtLeast,
        margin: 0.1,
        noise: 0.0,
        null: 1.0,
        least_seeds: 1,
        data: vec![ClaimData::Predicted],
        untestable: None,
    };
    let paper = "A survey that was made up";
    vec![
        ClaimFinding {
            paper: paper.into(),
            claim: claim(
                "prefill-ratio",
                "Prefill of one model is twice as slow as of another of its \
                 size",
                2.0,
                "1",
            ),
            evidence: Some(Evidence {
                claim: "prefill-ratio".into(),
                estimate: band(2.4, 0.08),
                data: ClaimData::Predicted,
                provenance: Provenance::Predicted,
            }),
            ruling: Ruling::Supported,
            reason: "2.22 to 2.59 lies above 1.9".into(),
        },
        ClaimFinding {
            paper: paper.into(),
            claim: claim("accuracy", "Accuracy grew by 13 %", 13.0, "%"),
            evidence: None,
            ruling: Ruling::NotTested,
            reason: "needs trained checkpoints that are not here".into(),
        },
    ]
}

fn published() -> Vec<PublishedPoint> {
    vec![PublishedPoint {
        case: "slm/smollm-135m/decode batch=1 context=128 precision=f16".into(),
        profile: "nvidia-a100-sxm4-80gb".into(),
        metric: "time".into(),
        value: 0.0004,
        unit: "s".into(),
        source: "a table that was made up".into(),
        trust: "table".into(),
    }]
}

/// A run as large as the tour.
pub(crate) fn tour(host: &str) -> RunData {
    let mut run = empty_run(host);
    let mut planned = Vec::new();
    let host_machine = &MACHINES[0];
    for (model, parameters) in MODELS {
        for phase in ["prefill", "decode", "train-step"] {
            let work = model_work(parameters, phase);
            let case = format!("slm/{model}/{phase} {}", axes(phase));
            for machine in &MACHINES {
                run.predictions.push(prediction(&case, &work, machine));
            }
            let small =
                parameters < 2e8 || (parameters < 5e8 && phase != "train-step");
            if small {
                let case = format!("{case} precision=f32");
                let off = 1.0 + 0.22 * wobble(seed(&case));
                let seconds = time(&work, host_machine, 1.0) * off;
                run.records.push(record(&case, seconds, Some(work)));
                planned.push(case);
            }
        }
    }
    for (case, flops, bytes) in OPERATORS {
        let work = WorkSummary {
            flops: Flops(flops),
            bytes: Bytes(bytes),
            operators: 1,
            memory_peak: MemoryParts {
                activations_bytes: Bytes(bytes),
                ..MemoryParts::default()
            },
            ..WorkSummary::default()
        };
        run.predictions.push(prediction(case, &work, host_machine));
        let case = format!("{case} precision=f32");
        let off = 1.0 + 0.3 * wobble(seed(&case));
        let seconds = time(&work, host_machine, 1.0) * off;
        run.records.push(record(&case, seconds, Some(work)));
        planned.push(case);
    }
    for record in run.records.iter_mut().take(3) {
        record.warnings.push(Warning {
            kind: "steal".into(),
            message: "the hypervisor took 4.1 % of the time; run again when \
                      the machine is quiet"
                .into(),
        });
    }
    run.records.push(Record {
        outcome: Outcome::Skipped(
            "needs 25.0 GB, the machine has 8.0 GB: not started".into(),
        ),
        ..record(
            "slm/phonelm-1.5b/train-step batch=1 precision=f32 prompt=128",
            1.0,
            None,
        )
    });
    run.records.push(Record {
        outcome: Outcome::Failed("logits are NaN from token 17 on".into()),
        ..record("slm/tiny/decode batch=1 context=8 precision=f16", 1.0, None)
    });
    run.profiles = MACHINES
        .iter()
        .map(|machine| ProfileSummary {
            profile: machine.0.into(),
            unit: machine.1.into(),
            title: machine.2.into(),
            peaks: [
                ("f32".to_owned(), FlopsPerSecond(machine.3 / 2.0)),
                ("f16".to_owned(), FlopsPerSecond(machine.3)),
            ]
            .into_iter()
            .map(|(name, peak)| {
                let same = machine.6 == "f32" && name == "f32";
                (name, if same { FlopsPerSecond(machine.3) } else { peak })
            })
            .collect(),
            memory_bandwidth: BytesPerSecond(machine.4),
            memory_bytes: Some(Bytes(machine.5)),
            provenance: if machine.0 == "host" {
                Provenance::Measured
            } else {
                Provenance::Published
            },
        })
        .collect();
    run.claims = claims();
    run.published = published();
    run.header.plan.cases = planned
        .iter()
        .map(|case| PlannedCase {
            case: case.parse().unwrap(),
            budget_s: Seconds(3.0),
            measure: true,
            given: Vec::new(),
            why: String::new(),
            experiments: Vec::new(),
        })
        .collect();
    run
}
