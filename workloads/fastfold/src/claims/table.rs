//! Which runs and which statistic judge each claim.

use assay_schema::ClaimData;
use assay_statistics::Term;

use super::runs::Like;
use super::statistic::{Pick, Statistic, Unit, What};

/// How a claim is judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judgement {
    /// The claim's id.
    pub(super) claim: &'static str,
    /// The kind of runs that judge it.
    pub(super) data: ClaimData,
    /// Where they must have been; `None` where the statistic says so itself,
    /// or any place will do.
    pub(super) place: Option<&'static str>,
    /// What is computed of them.
    pub(super) statistic: Statistic,
}

const A100_80_GB: &str = "nvidia-a100-sxm4-80gb";
const A100_40_GB: &str = "nvidia-a100-sxm4-40gb";

const CUDA: &str = "hpcaitech/FastFold PR 78 (CUDA kernels)";
const TRITON: &str = "hpcaitech/FastFold PR 78 (Triton kernels)";
const UNI_FOLD: &str = "dptech-corp/Uni-Fold PR 10";

const FORWARD: &str = "fastfold/initial-training/block-forward";
const TRAIN: &str = "fastfold/initial-training/block-train";
const WHOLE: &str = "fastfold/inference/inference";

/// The size of Uni-Fold's benchmark, with FastFold's kernels or without.
const BENCHMARK: &[(&str, &str)] = &[
    ("sequences", "128"),
    ("residues", "256"),
    ("precision", "bf16"),
    ("attention", "stored"),
];

const BENCHMARK_FUSED: &[(&str, &str)] = &[
    ("sequences", "128"),
    ("residues", "256"),
    ("precision", "bf16"),
    ("attention", "stored"),
    ("kernels", "fused"),
];

const BF16: &[(&str, &str)] = &[("precision", "bf16")];
const F32: &[(&str, &str)] = &[("precision", "f32")];

/// Nothing left out of the whole model.
const COMPLETE: &[(&str, &str)] =
    &[("blocks", "48"), ("extra", "5120"), ("templates", "4")];

const STORED: &[(&str, &str)] =
    &[("attention", "stored"), ("kernels", "fused")];

/// Of every claim that is not untestable.
pub(super) const JUDGEMENTS: &[Judgement] = &[
    latency("block-forward-cuda-tf32", CUDA, FORWARD, "tf32"),
    latency("block-forward-cuda-f16", CUDA, FORWARD, "f16"),
    latency("block-train-cuda-tf32", CUDA, TRAIN, "tf32"),
    latency("block-train-cuda-f16", CUDA, TRAIN, "f16"),
    latency("block-forward-triton-tf32", TRITON, FORWARD, "tf32"),
    latency("block-forward-triton-f16", TRITON, FORWARD, "f16"),
    latency("block-train-triton-tf32", TRITON, TRAIN, "tf32"),
    latency("block-train-triton-f16", TRITON, TRAIN, "f16"),
    latency("block-forward-bf16", UNI_FOLD, FORWARD, "bf16"),
    latency("block-train-bf16", UNI_FOLD, TRAIN, "bf16"),
    latency("t1050-cuda", CUDA, WHOLE, "tf32"),
    latency("t1050-triton", TRITON, WHOLE, "tf32"),
    predicted("openfold-forward", A100_40_GB, kernels(FORWARD, What::Time)),
    predicted("openfold-train", A100_40_GB, kernels(TRAIN, What::Time)),
    predicted(
        "training-memory-openfold",
        A100_40_GB,
        kernels(TRAIN, What::Memory),
    ),
    measured(
        "openfold-forward-measured",
        measured_kernels("fastfold/*/block-forward"),
    ),
    measured(
        "openfold-train-measured",
        measured_kernels("fastfold/*/block-train"),
    ),
    anywhere("parameters-block", parameters(FORWARD, &[], 1.0)),
    anywhere("parameters-stack", parameters(FORWARD, &[], 48e-6)),
    anywhere("parameters-model", parameters(WHOLE, COMPLETE, 1e-6)),
    predicted(
        "training-memory",
        A100_40_GB,
        Statistic::Memory {
            of: Like { path: TRAIN, axes: BENCHMARK_FUSED },
            chunked: false,
            factor: 4.0,
            unit: Unit::GbOrGib,
        },
    ),
    predicted(
        "autochunk-memory",
        A100_80_GB,
        saving("fastfold/inference/*", Pick::Typical),
    ),
    measured("autochunk-memory-measured", saving("fastfold/*", Pick::Typical)),
    predicted(
        "release-memory",
        A100_80_GB,
        saving("fastfold/inference/*", Pick::Largest),
    ),
    predicted(
        "autochunk-speed",
        A100_80_GB,
        Statistic::Slowing {
            of: Like { path: "fastfold/inference/*", axes: STORED },
        },
    ),
    measured(
        "autochunk-speed-measured",
        Statistic::Slowing { of: Like { path: "fastfold/*", axes: STORED } },
    ),
    predicted(
        "autochunk-length",
        A100_80_GB,
        Statistic::Lengthening {
            of: Like { path: "fastfold/inference/*", axes: STORED },
        },
    ),
    predicted(
        "residues-10000-memory",
        A100_80_GB,
        Statistic::Memory {
            of: Like {
                path: WHOLE,
                axes: &[("residues", "10000"), ("precision", "bf16")],
            },
            chunked: true,
            factor: 1.0,
            unit: Unit::GbOrGib,
        },
    ),
    longest("residues-10000", A100_80_GB, BF16, 10_000.0),
    longest("residues-8000", A100_80_GB, F32, 8_000.0),
    longest("residues-5000", A100_80_GB, F32, 5_000.0),
    longest("residues-5000-on-40-gb", A100_40_GB, F32, 5_000.0),
    unchunked("unchunked-h1044", H1044, 1.0 / 2.0),
    unchunked("unchunked-1805", LENGTH_1805, 1.0 / 3.0),
    anywhere(
        "openfold-kernel-memory",
        Statistic::Ratio {
            of: Like {
                path: "fastfold/*/block-forward",
                axes: &[("kernels", "fused"), ("memory_limit", "0")],
            },
            axis: "attention",
            over: ["stored", "streamed"],
            what: What::Memory,
        },
    ),
    predicted(
        "flops-per-gpu",
        A100_80_GB,
        Statistic::Rate {
            of: Like {
                path: "fastfold/fine-tuning/block-train",
                axes: &[
                    ("sequences", "512"),
                    ("residues", "384"),
                    ("precision", "bf16"),
                    ("attention", "stored"),
                    ("kernels", "fused"),
                ],
            },
        },
    ),
    recomputed("training-hours", FASTFOLD_HOURS, &[]),
    recomputed("training-speedup-alphafold", ALPHAFOLD_HOURS, FASTFOLD_HOURS),
    recomputed("training-speedup-openfold", OPENFOLD_HOURS, FASTFOLD_HOURS),
    recomputed("training-gpu-hours", FASTFOLD_GPU_HOURS, &[]),
];

/// H1044's residues. On two devices, which pad it to 2,182, the scores of
/// triangle attention are 4 x 2182^3 / 2 values: 77.4 GiB in f32.
const H1044: &[(&str, &str)] = &[
    ("residues", "2180"),
    ("precision", "f32"),
    ("attention", "stored"),
    ("kernels", "fused"),
];

/// The same on three devices, which pad to 1,806: 29.26 GiB.
const LENGTH_1805: &[(&str, &str)] = &[
    ("residues", "1805"),
    ("precision", "f32"),
    ("attention", "stored"),
    ("kernels", "fused"),
];

/// Hours that 10 million samples take, per second of a step of 128; and 1.5
/// million.
const INITIAL: f64 = 10e6 / 128.0 / 3600.0;
const FINE: f64 = 1.5e6 / 128.0 / 3600.0;

const STEP_INITIAL: &str = "fastfold/initial-training/train-step ranks=256";
const STEP_FINE: &str = "fastfold/fine-tuning/train-step ranks=512";

const FASTFOLD_HOURS: &[Term] =
    &[step(STEP_INITIAL, INITIAL), step(STEP_FINE, FINE)];

const FASTFOLD_GPU_HOURS: &[Term] =
    &[step(STEP_INITIAL, 256.0 * INITIAL), step(STEP_FINE, 512.0 * FINE)];

const OPENFOLD_HOURS: &[Term] = &[
    step(
        "fastfold/initial-training/train-step framework=openfold ranks=128",
        INITIAL,
    ),
    step("fastfold/fine-tuning/train-step framework=openfold ranks=128", FINE),
];

const ALPHAFOLD_HOURS: &[Term] = &[Term {
    case: "fastfold/training framework=alphafold",
    metric: "training_time",
    factor: 24.0,
}];

const fn step(case: &'static str, factor: f64) -> Term {
    Term { case, metric: "step_time", factor }
}

const fn predicted(
    claim: &'static str,
    place: &'static str,
    statistic: Statistic,
) -> Judgement {
    let data = ClaimData::Predicted;
    Judgement { claim, data, place: Some(place), statistic }
}

/// Predicted, where the profile plays no part.
const fn anywhere(claim: &'static str, statistic: Statistic) -> Judgement {
    let data = ClaimData::Predicted;
    Judgement { claim, data, place: None, statistic }
}

const fn measured(claim: &'static str, statistic: Statistic) -> Judgement {
    let data = ClaimData::Generated;
    Judgement { claim, data, place: None, statistic }
}

const fn recomputed(
    claim: &'static str,
    of: &'static [Term],
    over: &'static [Term],
) -> Judgement {
    let data = ClaimData::Published;
    let statistic = Statistic::Recomputed { of, over };
    Judgement { claim, data, place: None, statistic }
}

const fn latency(
    claim: &'static str,
    source: &'static str,
    path: &'static str,
    precision: &'static str,
) -> Judgement {
    anywhere(claim, Statistic::Latency { source, path, precision })
}

/// The engine's own operators over the kernels, at the benchmark's size.
const fn kernels(path: &'static str, what: What) -> Statistic {
    let (axis, over) = ("kernels", ["stock", "fused"]);
    Statistic::Ratio { of: Like { path, axes: BENCHMARK }, axis, over, what }
}

/// The same, at whatever size was run.
const fn measured_kernels(path: &'static str) -> Statistic {
    let of = Like { path, axes: &[("attention", "stored")] };
    let (axis, over) = ("kernels", ["stock", "fused"]);
    Statistic::Ratio { of, axis, over, what: What::Time }
}

const fn parameters(
    path: &'static str,
    axes: &'static [(&'static str, &'static str)],
    factor: f64,
) -> Statistic {
    Statistic::Parameters { of: Like { path, axes }, factor }
}

const fn saving(path: &'static str, pick: Pick) -> Statistic {
    Statistic::Saving { of: Like { path, axes: STORED }, pick }
}

const fn longest(
    claim: &'static str,
    place: &'static str,
    axes: &'static [(&'static str, &'static str)],
    tried: f64,
) -> Judgement {
    let of = Like { path: WHOLE, axes };
    predicted(claim, place, Statistic::Longest { of, tried })
}

/// The share of a block's peak that falls to one of several devices.
const fn unchunked(
    claim: &'static str,
    axes: &'static [(&'static str, &'static str)],
    share: f64,
) -> Judgement {
    anywhere(
        claim,
        Statistic::Memory {
            of: Like { path: "fastfold/inference/block-forward", axes },
            chunked: false,
            factor: share,
            unit: Unit::Gibibytes,
        },
    )
}
