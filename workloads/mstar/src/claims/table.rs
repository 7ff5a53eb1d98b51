//! Which statistic judges each claim.

use assay_schema::ClaimData;
use assay_statistics::Term;

use super::study::OfStudies;

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
    /// Of predictions: learned values of a case, times a factor.
    Parameters { path: &'static str, factor: f64 },
    /// Of published numbers: a sum.
    Published { of: &'static [Term] },
}

impl Statistic {
    /// The kind of data that it is computed from.
    pub(super) const fn data(&self) -> ClaimData {
        match self {
            Self::Measured(_) => ClaimData::Generated,
            Self::Parameters { .. } => ClaimData::Predicted,
            Self::Published { .. } => ClaimData::Published,
        }
    }
}

/// Greedy accuracy on test problems.
const ACCURACY: &str = "quality/test_accuracy";
/// Of several rollouts: the answer of most, of most reward, of the best.
const MAJORITY: &str = "quality/majority_accuracy";
const WEIGHTED: &str = "quality/weighted_accuracy";
const BEST_OF: &str = "quality/best_of_accuracy";
/// Along the iterations, on validation problems.
const GREEDY: &str = "quality/greedy_accuracy";
const PASS: &str = "quality/pass_at_k";
const REWARD_PASS: &str = "quality/reward_pass_at_2";

/// Families that were trained on, and those that were not.
const IN: &str = "in-domain";
const OUT: &str = "out-of-domain";

/// A published accuracy.
macro_rules! study {
    ($model:literal, $arm:literal, $set:literal, $factor:expr) => {
        Term {
            case: concat!("mstar/", $model, "/study arm=", $arm, " set=", $set),
            metric: "accuracy",
            factor: $factor,
        }
    };
}

/// The mean of five published benchmarks.
macro_rules! average {
    ($model:literal, $arm:literal) => {
        &[
            study!($model, $arm, "mathvista", 0.2),
            study!($model, $arm, "m3cot", 0.2),
            study!($model, $arm, "mmstar-r", 0.2),
            study!($model, $arm, "mmbench-r", 0.2),
            study!($model, $arm, "ai2d", 0.2),
        ]
    };
}

/// The whole recipe less a rival, as published.
macro_rules! over {
    ($rival:literal) => {
        &[
            study!("minicpm-v-2.5", "m-star", "mathvista", 1.0),
            Term {
                case: concat!("mstar/", $rival, "/study set=mathvista"),
                metric: "accuracy",
                factor: -1.0,
            },
        ]
    };
}

/// Of every claim that is not untestable.
pub(super) const JUDGEMENTS: &[Judgement] = &[
    accuracy("answers-only-in", "answers-only", "warm-up", IN),
    accuracy("answers-only-out", "answers-only", "warm-up", OUT),
    accuracy("rft-in", "rft", "warm-up", IN),
    accuracy("rft-out", "rft", "warm-up", OUT),
    accuracy("rest-em-in", "rest-em", "warm-up", IN),
    accuracy("rest-em-out", "rest-em", "warm-up", OUT),
    accuracy("continuous-in", "continuous", "warm-up", IN),
    accuracy("continuous-out", "continuous", "warm-up", OUT),
    accuracy("continuous-rft-in", "continuous", "rft", IN),
    accuracy("continuous-rft-out", "continuous", "rft", OUT),
    accuracy("continuous-rest-em-in", "continuous", "rest-em", IN),
    accuracy("continuous-rest-em-out", "continuous", "rest-em", OUT),
    accuracy("continuous-answers-in", "continuous", "answers-only", IN),
    accuracy("continuous-answers-out", "continuous", "answers-only", OUT),
    accuracy("inheritance-in", "interval-1", "rft", IN),
    accuracy("inheritance-out", "interval-1", "rft", OUT),
    accuracy("interval-100-in", "continuous", "interval-1", IN),
    accuracy("interval-100-out", "continuous", "interval-1", OUT),
    accuracy("interval-50-in", "continuous", "interval-0.5", IN),
    accuracy("interval-50-out", "continuous", "interval-0.5", OUT),
    accuracy("interval-12-in", "continuous", "interval-0.125", IN),
    accuracy("interval-12-out", "continuous", "interval-0.125", OUT),
    accuracy("interval-6-in", "continuous", "interval-0.0625", IN),
    accuracy("interval-6-out", "continuous", "interval-0.0625", OUT),
    accuracy("top-2-in", "top-2", "continuous", IN),
    accuracy("top-2-out", "top-2", "continuous", OUT),
    accuracy("random-2-in", "random-2", "continuous", IN),
    accuracy("random-2-out", "random-2", "continuous", OUT),
    accuracy("top-2-random-in", "top-2", "random-2", IN),
    accuracy("top-2-random-out", "top-2", "random-2", OUT),
    accuracy("threshold-in", "threshold", "continuous", IN),
    accuracy("threshold-out", "threshold", "continuous", OUT),
    accuracy("top-2-threshold-in", "top-2", "threshold", IN),
    accuracy("top-2-threshold-out", "top-2", "threshold", OUT),
    accuracy("top-2-top-1-in", "top-2", "top-1", IN),
    accuracy("top-2-top-1-out", "top-2", "top-1", OUT),
    accuracy("top-2-top-4-in", "top-2", "top-4", IN),
    accuracy("top-2-top-4-out", "top-2", "top-4", OUT),
    verifier("verifier-best-of", MAJORITY, BEST_OF),
    verifier("verifier-vote", MAJORITY, WEIGHTED),
    accuracy("unlabelled-start-in", "unlabelled-0", "top-2", IN),
    accuracy("unlabelled-start-out", "unlabelled-0", "top-2", OUT),
    accuracy("unlabelled-half-in", "unlabelled-0.5", "top-2", IN),
    accuracy("unlabelled-half-out", "unlabelled-0.5", "top-2", OUT),
    accuracy("unlabelled-later-in", "unlabelled-0.5", "unlabelled-0", IN),
    accuracy("unlabelled-later-out", "unlabelled-0.5", "unlabelled-0", OUT),
    accuracy("unlabelled-quarter-in", "unlabelled-0.25", "top-2", IN),
    accuracy("unlabelled-quarter-out", "unlabelled-0.25", "top-2", OUT),
    accuracy("unlabelled-late-in", "unlabelled-0.75", "top-2", IN),
    accuracy("unlabelled-late-out", "unlabelled-0.75", "top-2", OUT),
    change("pass-falls", PASS, "continuous"),
    change("greedy-rises", GREEDY, "continuous"),
    saturation("reward-pass-saturates", REWARD_PASS, "top-2"),
    last("balance-pass", PASS, "m-star", "top-2"),
    last("balance-reward-pass", REWARD_PASS, "m-star", "top-2"),
    accuracy("balance-top-2-in", "m-star", "top-2", IN),
    accuracy("balance-top-2-out", "m-star", "top-2", OUT),
    accuracy("balance-by-pass-in", "m-star", "balanced-pass", IN),
    accuracy("balance-by-pass-out", "m-star", "balanced-pass", OUT),
    accuracy("m-star-in", "m-star", "warm-up", IN),
    accuracy("m-star-out", "m-star", "warm-up", OUT),
    accuracy("m-star-answers-in", "m-star", "answers-only", IN),
    accuracy("m-star-answers-out", "m-star", "answers-only", OUT),
    accuracy("task-geometry", "m-star", "warm-up", "geometry"),
    accuracy("task-bars", "m-star", "warm-up", "bars"),
    published("average-base-minicpm-v-2.5", average!("minicpm-v-2.5", "base")),
    published(
        "average-warm-up-minicpm-v-2.5",
        average!("minicpm-v-2.5", "warm-up"),
    ),
    published(
        "average-m-star-minicpm-v-2.5",
        average!("minicpm-v-2.5", "m-star"),
    ),
    published(
        "average-base-phi-3.5-vision",
        average!("phi-3.5-vision", "base"),
    ),
    published(
        "average-warm-up-phi-3.5-vision",
        average!("phi-3.5-vision", "warm-up"),
    ),
    published(
        "average-m-star-phi-3.5-vision",
        average!("phi-3.5-vision", "m-star"),
    ),
    published("average-base-internvl2-2b", average!("internvl2-2b", "base")),
    published(
        "average-warm-up-internvl2-2b",
        average!("internvl2-2b", "warm-up"),
    ),
    published(
        "average-m-star-internvl2-2b",
        average!("internvl2-2b", "m-star"),
    ),
    published("mathvista-gemini-1.5-flash", over!("gemini-1.5-flash")),
    published("mathvista-gpt-4t", over!("gpt-4t")),
    published("mathvista-gpt-4o", over!("gpt-4o")),
    parameters(
        "parameters-internvl2-language",
        "mstar/internvl2-2b-language/prefill",
        1.0,
    ),
    parameters("parameters-minicpm-v-2.5", "mstar/minicpm-v-2.5/prefill", 1e-9),
    parameters(
        "parameters-phi-3.5-vision",
        "mstar/phi-3.5-vision/prefill",
        1e-9,
    ),
    parameters("parameters-internvl2-2b", "mstar/internvl2-2b/prefill", 1e-9),
];

const fn measured(claim: &'static str, statistic: OfStudies) -> Judgement {
    Judgement { claim, statistic: Statistic::Measured(statistic) }
}

/// Greedy accuracy of one arm less that of another.
const fn accuracy(
    claim: &'static str,
    of: &'static str,
    less: &'static str,
    set: &'static str,
) -> Judgement {
    let metric = ACCURACY;
    measured(claim, OfStudies::Difference { metric, of, less, set })
}

/// Two ways to answer by several rollouts of the warmed-up model.
const fn verifier(
    claim: &'static str,
    of: &'static str,
    less: &'static str,
) -> Judgement {
    let (arm, set) = ("warm-up", IN);
    measured(claim, OfStudies::Beside { of, less, arm, set })
}

const fn change(
    claim: &'static str,
    metric: &'static str,
    arm: &'static str,
) -> Judgement {
    measured(claim, OfStudies::Change { metric, arm })
}

const fn saturation(
    claim: &'static str,
    metric: &'static str,
    arm: &'static str,
) -> Judgement {
    measured(claim, OfStudies::Saturation { metric, arm })
}

const fn last(
    claim: &'static str,
    metric: &'static str,
    of: &'static str,
    less: &'static str,
) -> Judgement {
    measured(claim, OfStudies::Last { metric, of, less })
}

const fn parameters(
    claim: &'static str,
    path: &'static str,
    factor: f64,
) -> Judgement {
    Judgement { claim, statistic: Statistic::Parameters { path, factor } }
}

const fn published(claim: &'static str, of: &'static [Term]) -> Judgement {
    Judgement { claim, statistic: Statistic::Published { of } }
}
