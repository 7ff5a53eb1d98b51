//! Which statistic judges each claim.

use assay_schema::ClaimData;
use assay_statistics::Term;

use super::intents::{OfIntents, Share};
use super::predicted::{OWN, OfPredictions, Setting};
use super::searches::OfSearches;

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
    /// Of records of searches: predicted, or measured on a book.
    Searched(OfSearches),
    /// Of records of the intents' study: measured on generated requests.
    Tuned(OfIntents),
    /// Of predictions.
    Predicted(OfPredictions),
    /// Of published numbers: a sum over another.
    Published { of: &'static [Term], over: &'static [Term] },
}

impl Statistic {
    /// The kind of data that it is computed from.
    pub(super) const fn data(&self) -> ClaimData {
        match self {
            Self::Searched(statistic) => statistic.data(),
            Self::Tuned(_) => ClaimData::Generated,
            Self::Predicted(_) => ClaimData::Predicted,
            Self::Published { .. } => ClaimData::Published,
        }
    }
}

const SMALLER: &str = "phonelm-0.5b";
const CPU: &str = "snapdragon-8-gen-3:cpu";
const NPU: &str = "snapdragon-8-gen-3:npu";

const DECODE: Setting = Setting {
    phase: "decode",
    unit: "cpu",
    axes: &[("batch", "1"), ("context", "64"), ("precision", "q4_0")],
};

/// A chunk of the authors' demo.
const PREFILL: Setting = Setting {
    phase: "prefill",
    unit: "npu",
    axes: &[("batch", "1"), ("precision", "int8"), ("prompt", "64")],
};

const PREFILL_256: Setting = Setting {
    axes: &[("batch", "1"), ("precision", "int8"), ("prompt", "256")],
    ..PREFILL
};
const PREFILL_1024: Setting = Setting {
    axes: &[("batch", "1"), ("precision", "int8"), ("prompt", "1024")],
    ..PREFILL
};

/// The model that the engine's own numbers are of.
const QWEN: &str = "qwen1.5-1.8b";

const EXACT_AFTER: Share = Share { metric: "quality/exact", stage: "adapters" };
const SOFT_AFTER: Share = Share { metric: "quality/soft", stage: "adapters" };

/// Of every claim that is not untestable.
pub(super) const JUDGEMENTS: &[Judgement] = &[
    predicted("parameters-0.5b", OfPredictions::Millions { model: SMALLER }),
    predicted("parameters-1.5b", OfPredictions::Millions { model: OWN }),
    front("front-0.5b-cpu", SMALLER, CPU),
    front("front-0.5b-npu", SMALLER, NPU),
    front("front-1.5b-cpu", OWN, CPU),
    front("front-1.5b-npu", OWN, NPU),
    searched("shape-decode", OfSearches::Spread { phase: "decode" }),
    searched("shape-prefill", OfSearches::Spread { phase: "prefill" }),
    searched("shape-for-speed", OfSearches::SpeedOverLoss),
    searched(
        "relu-loss",
        OfSearches::ActivationLoss { of: "relu", over: "silu" },
    ),
    searched(
        "relu-decode",
        OfSearches::ActivationDecode { of: "silu", over: "relu" },
    ),
    searched("relu-sparsity", OfSearches::GateZeros),
    published("pre-training-tokens", TOKENS, NONE),
    published("pre-training-tokens-card", TOKENS, NONE),
    rate("decode-cpu", OWN, DECODE, 1.0),
    rate("prefill-npu", OWN, PREFILL, 64.0),
    predicted(
        "same-size-least",
        OfPredictions::FasterAtLeast { setting: DECODE },
    ),
    predicted(
        "same-size-most",
        OfPredictions::FasterAtMost { setting: DECODE },
    ),
    predicted(
        "capability-decode-cpu",
        OfPredictions::AgainstTheAsGood { setting: DECODE },
    ),
    predicted(
        "capability-prefill-npu",
        OfPredictions::AgainstTheAsGood { setting: PREFILL },
    ),
    published("average", COLUMNS, NONE),
    tuned("call-exact", OfIntents::Value(EXACT_AFTER)),
    tuned("call-soft", OfIntents::Value(SOFT_AFTER)),
    tuned(
        "soft-over-exact",
        OfIntents::Difference { of: SOFT_AFTER, less: EXACT_AFTER },
    ),
    rate("npu-prefill-1024", QWEN, PREFILL_1024, 1024.0),
    rate("npu-prefill-256", QWEN, PREFILL_256, 256.0),
];

// Sums of published numbers.

const NONE: &[Term] = &[];

const TOKENS: &[Term] = &[
    tokens("phonelm/phonelm-1.5b/pre-training part=dclm-baseline"),
    tokens("phonelm/phonelm-1.5b/pre-training part=starcoder"),
    tokens("phonelm/phonelm-1.5b/pre-training part=openwebmath"),
    tokens("phonelm/phonelm-1.5b/pre-training part=dolma-algebraic"),
    tokens("phonelm/phonelm-1.5b/pre-training part=dolma-arxiv"),
];

const CAPABILITY: &str = "phonelm/phonelm-1.5b";
const COLUMNS: &[Term] = &[
    column("accuracy_hellaswag"),
    column("accuracy_winogrande"),
    column("accuracy_piqa"),
    column("accuracy_sciq"),
    column("accuracy_boolq"),
    column("accuracy_arc_easy"),
    column("accuracy_arc_challenge"),
];

const fn term(case: &'static str, metric: &'static str, factor: f64) -> Term {
    Term { case, metric, factor }
}

const fn tokens(case: &'static str) -> Term {
    term(case, "tokens", 1.0)
}

const fn column(metric: &'static str) -> Term {
    term(CAPABILITY, metric, 1.0 / 7.0)
}

const fn searched(claim: &'static str, statistic: OfSearches) -> Judgement {
    Judgement { claim, statistic: Statistic::Searched(statistic) }
}

const fn front(
    claim: &'static str,
    shape: &'static str,
    target: &'static str,
) -> Judgement {
    searched(claim, OfSearches::FrontDistance { shape, target })
}

const fn tuned(claim: &'static str, statistic: OfIntents) -> Judgement {
    Judgement { claim, statistic: Statistic::Tuned(statistic) }
}

const fn predicted(claim: &'static str, statistic: OfPredictions) -> Judgement {
    Judgement { claim, statistic: Statistic::Predicted(statistic) }
}

const fn rate(
    claim: &'static str,
    model: &'static str,
    setting: Setting,
    tokens: f64,
) -> Judgement {
    predicted(claim, OfPredictions::Rate { model, setting, tokens })
}

const fn published(
    claim: &'static str,
    of: &'static [Term],
    over: &'static [Term],
) -> Judgement {
    Judgement { claim, statistic: Statistic::Published { of, over } }
}
