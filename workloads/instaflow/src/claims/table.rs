//! Which statistic judges each claim.

use assay_schema::ClaimData;
use assay_statistics::Term;

use super::predicted::{Like, OfPredictions, Times};
use super::study::{FRECHET, OfStudies, Setting};

/// How a claim is judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judgement {
    /// The claim's id.
    pub(super) claim: &'static str,
    /// What is computed.
    pub(super) statistic: Statistic,
}

/// What is computed, by what it is computed of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Statistic {
    /// Of records: measured on generated data.
    Measured(OfStudies),
    /// Of predictions.
    Predicted(OfPredictions),
    /// Of published numbers: a sum over another.
    Published { of: &'static [Term], over: &'static [Term] },
}

impl Statistic {
    /// The kind of data that it is computed from.
    pub(super) const fn data(&self) -> ClaimData {
        match self {
            Self::Measured(_) => ClaimData::Generated,
            Self::Predicted(_) => ClaimData::Predicted,
            Self::Published { .. } => ClaimData::Published,
        }
    }
}

/// Shares of pictures that show all that their caption asks for.
const AGREEMENT: &str = "quality/agreement";
/// Mean of |(Z1 - Z0) - v|^2 along the way.
const STRAIGHTNESS: &str = "quality/straightness";
/// Calls of the velocity by an adaptive sampler.
const EVALUATIONS: &str = "quality/evaluations";
/// Seconds a picture.
const SAMPLING_TIME: &str = "quality/sampling_time";

/// Methods by the names that studies report.
const FIRST: &str = "1-flow";
const SECOND: &str = "2-flow";
const DISTILLED: &str = "2-flow-distilled";
const DIRECT: &str = "direct";
const PROGRESSIVE: &str = "progressive";
const THIRD: &str = "3-flow";
const THIRD_DISTILLED: &str = "3-flow-distilled";
const STACKED: &str = "stacked";

const SD15: Like = Like {
    path: "instaflow/sd15/sample",
    axes: &[
        ("batch", "1"),
        ("guidance", "7.5"),
        ("picture", "512"),
        ("precision", "f16"),
        ("sampler", "dpm-solver++"),
        ("steps", "25"),
    ],
};

/// As the paper's pairs were made.
const PAIRS: Like = Like {
    path: "instaflow/sd15/sample",
    axes: &[
        ("batch", "16"),
        ("guidance", "7.5"),
        ("picture", "512"),
        ("precision", "f16"),
        ("sampler", "dpm-solver++"),
        ("steps", "25"),
    ],
};

const ONE_STEP: &[(&str, &str)] = &[
    ("batch", "1"),
    ("guidance", "1"),
    ("picture", "512"),
    ("precision", "f16"),
    ("sampler", "euler"),
    ("steps", "1"),
];

const INSTAFLOW: Like =
    Like { path: "instaflow/instaflow-0.9b/sample", axes: ONE_STEP };
const INSTAFLOW_STACKED: Like =
    Like { path: "instaflow/instaflow-1.7b/sample", axes: ONE_STEP };

const UNET: Like = Like {
    path: "instaflow/sd15-unet/forward",
    axes: &[("batch", "1"), ("picture", "512"), ("precision", "f16")],
};

/// A text encoder, two whole U-Nets and a decoder.
const TWO_UNETS: &[Like] = &[INSTAFLOW, UNET];

const TRAIN: Like = Like {
    path: "instaflow/sd15-unet/train-step",
    axes: &[("batch", "4"), ("picture", "512"), ("precision", "bf16")],
};

/// Seconds of a day.
const DAY: f64 = 86_400.0;

/// Samples of the stages with the L2 loss: 70,000 steps of 64, 25,000 and
/// 21,500 of 1,024.
const L2_SAMPLES: f64 = 70e3 * 64.0 + (25e3 + 21.5e3) * 1024.0;
/// Those of the stage with the perceptual loss: 18,000 steps of 1,024.
const LPIPS_SAMPLES: f64 = 18e3 * 1024.0;
const PAIRS_MADE: f64 = 3.2e6;

const L2_STAGES: &[Times] = &[trained(L2_SAMPLES)];
const WHOLE_TRAINING: &[Times] = &[
    Times { of: PAIRS, factor: PAIRS_MADE / 16.0 / DAY },
    trained(L2_SAMPLES + LPIPS_SAMPLES),
];

/// Of every claim that is not untestable.
pub(super) const JUDGEMENTS: &[Judgement] = &[
    frechet("one-step-direct", in_1(DIRECT), in_1(DISTILLED)),
    frechet("one-step-progressive", in_1(PROGRESSIVE), in_1(DISTILLED)),
    difference("one-step-agreement", in_1(DISTILLED), in_1(PROGRESSIVE)),
    frechet("distillation-after-reflow", in_1(SECOND), in_1(DISTILLED)),
    frechet("distillation-alone", in_1(FIRST), in_1(DIRECT)),
    frechet("reflow-alone", in_1(FIRST), in_1(SECOND)),
    frechet("one-step-many-steps", in_1(DISTILLED), at(FIRST, "25")),
    difference("one-step-teacher-agreement", in_1(DISTILLED), at(FIRST, "25")),
    ratio(
        "one-step-speed-measured",
        SAMPLING_TIME,
        at(FIRST, "25"),
        in_1(DISTILLED),
    ),
    frechet("second-reflow", in_1(SECOND), in_1(THIRD)),
    frechet("second-reflow-distilled", in_1(DISTILLED), in_1(THIRD_DISTILLED)),
    frechet(
        "second-reflow-distilled-cifar",
        in_1(THIRD_DISTILLED),
        in_1(DISTILLED),
    ),
    frechet("stacked", in_1(DISTILLED), in_1(STACKED)),
    ratio("straightness", STRAIGHTNESS, whole(FIRST), whole(SECOND)),
    ratio("evaluations", EVALUATIONS, whole(FIRST), whole(SECOND)),
    frechet("few-steps-2", at(FIRST, "2"), at(SECOND, "2")),
    frechet("few-steps-4", at(FIRST, "4"), at(SECOND, "4")),
    frechet("few-steps-8", at(FIRST, "8"), at(SECOND, "8")),
    frechet("many-steps", at(SECOND, "25"), at(FIRST, "25")),
    measured("guidance", OfStudies::BestGuidance { of: at(SECOND, "25") }),
    latency("time-sd15-25", SD15_25_STEPS),
    latency("time-sd15-8", SD15_8_STEPS),
    latency("time-instaflow-0.9b", INSTAFLOW_TIME),
    latency("time-instaflow-1.7b", STACKED_TIME),
    latency("split-text", TEXT_TIME),
    latency("split-unet", UNET_TIME),
    latency("split-decoder", DECODER_TIME),
    latency("guided-step", GUIDED_UNET_TIME),
    predicted("speedup", OfPredictions::Ratio { of: SD15, over: INSTAFLOW }),
    predicted(
        "stacked-time",
        OfPredictions::Saving { of: INSTAFLOW_STACKED, against: TWO_UNETS },
    ),
    predicted(
        "training-throughput",
        OfPredictions::Rate { of: TRAIN, numerator: 4.0 },
    ),
    predicted(
        "data-generation",
        OfPredictions::Rate { of: PAIRS, numerator: 16.0 * DAY },
    ),
    predicted("gpu-days-l2", OfPredictions::Sum { of: L2_STAGES }),
    predicted("gpu-days", OfPredictions::Sum { of: WHOLE_TRAINING }),
    parameters("parameters-unet", "instaflow/sd15-unet/forward", 1.0),
    parameters("parameters-vae", "instaflow/sd15-vae/forward", 1.0),
    parameters("parameters-decoder", "instaflow/sd15-vae-decoder/forward", 1.0),
    parameters("parameters-text", "instaflow/sd15-text/forward", 1.0),
    parameters("parameters-0.9b", "instaflow/sd15-unet/forward", 1e-9),
    parameters("parameters-1.7b", "instaflow/stacked-1.7b-unet/forward", 1e-9),
    published("split-sum", SPLIT, NONE),
    published("step-by-subtraction", STEP, NONE),
    published("gpu-days-sum", ALL_STAGES, NONE),
    published("gpu-days-reflow", REFLOW, NONE),
    published("gpu-days-distillation", DISTILLATION, NONE),
    published("gpu-days-1.7b", STACKED_STAGES, NONE),
    published("throughput-recomputed", REFLOW_2_STEPS, REFLOW_2_DAYS),
    published("throughput-lpips-recomputed", LPIPS_STEPS, LPIPS_DAYS),
    published("data-generation-recomputed", PAIRS_COUNT, PAIRS_DAYS),
    published("cost-stylegan-t", STYLEGAN_T_DAYS, TOTAL_DAYS),
    published("cost-gigagan", GIGAGAN_DAYS, TOTAL_DAYS),
    published("cost-sd14", SD14_DAYS, TOTAL_DAYS),
    published("best-at-a-tenth-of-a-second", STYLEGAN_T_FID, INSTAFLOW_FID),
];

// Cases as they are written in the table of published numbers.

const SD15_25_STEPS: &str = "instaflow/sd15/sample batch=1 guidance=7.5 \
    picture=512 precision=f16 sampler=dpm-solver++ steps=25";
const SD15_8_STEPS: &str = "instaflow/sd15/sample batch=1 guidance=7.5 \
    picture=512 precision=f16 sampler=dpm-solver++ steps=8";
const INSTAFLOW_TIME: &str = "instaflow/instaflow-0.9b/sample batch=1 \
    guidance=1 picture=512 precision=f16 sampler=euler steps=1";
const STACKED_TIME: &str = "instaflow/instaflow-1.7b/sample batch=1 \
    guidance=1 picture=512 precision=f16 sampler=euler steps=1";
const GUIDED_UNET_TIME: &str =
    "instaflow/sd15-unet/forward batch=2 picture=512 precision=f16";
const TEXT_TIME: &str =
    "instaflow/sd15-text/forward batch=1 picture=512 precision=f16";
const UNET_TIME: &str =
    "instaflow/sd15-unet/forward batch=1 picture=512 precision=f16";
const DECODER_TIME: &str =
    "instaflow/sd15-vae-decoder/forward batch=1 picture=512 precision=f16";

const PAIRS_STAGE: &str = "instaflow/instaflow-0.9b/training stage=pairs";
const REFLOW_1: &str = "instaflow/instaflow-0.9b/training stage=reflow-1 \
    loss=l2 batch=64";
const REFLOW_2: &str = "instaflow/instaflow-0.9b/training stage=reflow-2 \
    loss=l2 batch=1024";
const DISTILL_1: &str = "instaflow/instaflow-0.9b/training stage=distill-1 \
    loss=l2 batch=1024";
const DISTILL_2: &str = "instaflow/instaflow-0.9b/training stage=distill-2 \
    loss=lpips batch=1024";
const STACKED_DISTILL_1: &str = "instaflow/instaflow-1.7b/training \
    stage=distill-1 loss=l2 batch=64";
const STACKED_DISTILL_2: &str = "instaflow/instaflow-1.7b/training \
    stage=distill-2 loss=lpips batch=320";

// Sums of published numbers.

const NONE: &[Term] = &[];

const SPLIT: &[Term] =
    &[time(TEXT_TIME, 1.0), time(UNET_TIME, 1.0), time(DECODER_TIME, 1.0)];

/// Four steps less one are three.
const STEP: &[Term] = &[
    time("instaflow/progressive-distillation/sample steps=4", 1.0 / 3.0),
    time("instaflow/progressive-distillation/sample steps=1", -1.0 / 3.0),
];

const ALL_STAGES: &[Term] = &[
    days(PAIRS_STAGE),
    days(REFLOW_1),
    days(REFLOW_2),
    days(DISTILL_1),
    days(DISTILL_2),
];
const REFLOW: &[Term] = &[days(REFLOW_1), days(REFLOW_2)];
const DISTILLATION: &[Term] = &[days(DISTILL_1), days(DISTILL_2)];
const STACKED_STAGES: &[Term] =
    &[days(STACKED_DISTILL_1), days(STACKED_DISTILL_2)];

const REFLOW_2_STEPS: &[Term] = &[iterations(REFLOW_2)];
const REFLOW_2_DAYS: &[Term] = &[days(REFLOW_2)];
const LPIPS_STEPS: &[Term] = &[iterations(DISTILL_2)];
const LPIPS_DAYS: &[Term] = &[days(DISTILL_2)];
const PAIRS_COUNT: &[Term] =
    &[Term { case: PAIRS_STAGE, metric: "pairs", factor: 1.0 }];
const PAIRS_DAYS: &[Term] = &[days(PAIRS_STAGE)];

const TOTAL_DAYS: &[Term] = &[days("instaflow/instaflow-0.9b/training")];
const STYLEGAN_T_DAYS: &[Term] = &[days("instaflow/stylegan-t/training")];
const GIGAGAN_DAYS: &[Term] = &[days("instaflow/gigagan/training")];
const SD14_DAYS: &[Term] = &[days("instaflow/sd14/training")];

const STYLEGAN_T_FID: &[Term] =
    &[fid_30k("instaflow/stylegan-t-1b/sample steps=1")];
const INSTAFLOW_FID: &[Term] = &[fid_30k(INSTAFLOW_TIME)];

const fn at(method: &'static str, steps: &'static str) -> Setting {
    Setting { method, steps: Some(steps) }
}

const fn in_1(method: &'static str) -> Setting {
    at(method, "1")
}

/// However many steps the quality was computed along.
const fn whole(method: &'static str) -> Setting {
    Setting { method, steps: None }
}

const fn measured(claim: &'static str, statistic: OfStudies) -> Judgement {
    Judgement { claim, statistic: Statistic::Measured(statistic) }
}

const fn ratio(
    claim: &'static str,
    metric: &'static str,
    of: Setting,
    over: Setting,
) -> Judgement {
    measured(claim, OfStudies::Ratio { metric, of, over })
}

/// Frechet distance over Frechet distance.
const fn frechet(claim: &'static str, of: Setting, over: Setting) -> Judgement {
    ratio(claim, FRECHET, of, over)
}

/// Agreement less agreement: a share may be 0.
const fn difference(
    claim: &'static str,
    of: Setting,
    less: Setting,
) -> Judgement {
    measured(claim, OfStudies::Difference { metric: AGREEMENT, of, less })
}

const fn predicted(claim: &'static str, statistic: OfPredictions) -> Judgement {
    Judgement { claim, statistic: Statistic::Predicted(statistic) }
}

const fn latency(claim: &'static str, case: &'static str) -> Judgement {
    predicted(claim, OfPredictions::Latency { case })
}

/// Whatever the axes: none of them changes the network.
const fn parameters(
    claim: &'static str,
    path: &'static str,
    factor: f64,
) -> Judgement {
    let of = Like { path, axes: &[] };
    predicted(claim, OfPredictions::Parameters { of, factor })
}

/// Days of so many samples in steps of 4.
const fn trained(samples: f64) -> Times {
    Times { of: TRAIN, factor: samples / 4.0 / DAY }
}

const fn published(
    claim: &'static str,
    of: &'static [Term],
    over: &'static [Term],
) -> Judgement {
    Judgement { claim, statistic: Statistic::Published { of, over } }
}

const fn time(case: &'static str, factor: f64) -> Term {
    Term { case, metric: "time", factor }
}

const fn days(case: &'static str) -> Term {
    Term { case, metric: "gpu_days", factor: 1.0 }
}

/// Iterations of batch 1,024 as steps of batch 4.
const fn iterations(case: &'static str) -> Term {
    Term { case, metric: "iterations", factor: 256.0 }
}

const fn fid_30k(case: &'static str) -> Term {
    Term { case, metric: "fid_30k", factor: 1.0 }
}
