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
const PREFILL_1022: Setting = Setting {
    axes: &[("batch", "1"), ("precision", "int8"), ("prompt", "1022")],
    ..PREFILL
};
const PREFILL_1024: Setting = Setting {
    axes: &[("batch", "1"), ("precision", "int8"), ("prompt", "1024")],
    ..PREFILL
};

/// The model that the engine's own numbers are of.
const QWEN: &str = "qwen1.5-1.8b";

const EXACT_BEFORE: Share = Share { metric: "quality/exact", stage: "before" };
const EXACT_AFTER: Share = Share { metric: "quality/exact", stage: "adapters" };
const SOFT_BEFORE: Share = Share { metric: "quality/soft", stage: "before" };
const SOFT_AFTER: Share = Share { metric: "quality/soft", stage: "adapters" };

/// Of every claim that is not untestable.
pub(super) const JUDGEMENTS: &[Judgement] = &[
    predicted("parameters-0.5b", OfPredictions::Millions { model: SMALLER }),
    predicted("parameters-1.5b", OfPredictions::Millions { model: OWN }),
    front("front-0.5b-cpu", SMALLER, CPU),
    front("front-0.5b-npu", SMALLER, NPU),
    front("front-1.5b-cpu", OWN, CPU),
    front("front-1.5b-npu", OWN, NPU),
    searched("shape-decode", OfSearches::Spread { metric: "quality/decode" }),
    searched("shape-prefill", OfSearches::Spread { metric: "quality/prefill" }),
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
    predicted("same-size-least", OfPredictions::Faster { setting: DECODE }),
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
    published("average-over-stablelm-2-zephyr-1.6b", OVER_STABLELM, NONE),
    published("average-over-smollm-1.7b", OVER_SMOLLM, NONE),
    published("average-over-minicpm-1b-sft-bf16", OVER_MINICPM, NONE),
    published("average-over-qwen1.5-1.8b", OVER_QWEN, NONE),
    published("average-over-openelm-1.1b", OVER_OPENELM, NONE),
    tuned("call-exact", OfIntents::Value(EXACT_AFTER)),
    tuned("call-soft", OfIntents::Value(SOFT_AFTER)),
    tuned("call-before", OfIntents::Value(EXACT_BEFORE)),
    tuned(
        "call-gain",
        OfIntents::Difference { of: EXACT_AFTER, less: EXACT_BEFORE },
    ),
    tuned(
        "call-soft-gain",
        OfIntents::Difference { of: SOFT_AFTER, less: SOFT_BEFORE },
    ),
    tuned(
        "soft-over-exact",
        OfIntents::Difference { of: SOFT_AFTER, less: EXACT_AFTER },
    ),
    published("over-gpt-4o-mini", OVER_GPT, NONE),
    published("below-gpt-4o", BELOW_GPT, NONE),
    published("gemma-gain", GEMMA, NONE),
    published("prompt-format", JSON, CODE_SHORT),
    rate("npu-prefill-1024", QWEN, PREFILL_1024, 1024.0),
    rate("npu-prefill-256", QWEN, PREFILL_256, 256.0),
    rate("npu-prefill-1022-replayed", QWEN, PREFILL_1022, 1022.0),
    rate("npu-prefill-256-replayed", QWEN, PREFILL_256, 256.0),
    published("jetson-w8a8", W8A8, W16A16),
    published("shadow-attention-0.5b", FULL_SMALLER, SHADOW_SMALLER),
    published("shadow-attention-1.5b", FULL, SHADOW),
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

const QUESTIONS: &str = "phonelm/phonelm-1.5b/questions";
const COLUMNS: &[Term] = &[
    column("accuracy_hellaswag"),
    column("accuracy_winogrande"),
    column("accuracy_piqa"),
    column("accuracy_sciq"),
    column("accuracy_boolq"),
    column("accuracy_arc_easy"),
    column("accuracy_arc_challenge"),
];

const OVER_STABLELM: &[Term] = &[
    average(QUESTIONS, 1.0),
    less("phonelm/stablelm-2-zephyr-1.6b/questions"),
];
const OVER_SMOLLM: &[Term] =
    &[average(QUESTIONS, 1.0), less("phonelm/smollm-1.7b/questions")];
const OVER_MINICPM: &[Term] =
    &[average(QUESTIONS, 1.0), less("phonelm/minicpm-1b-sft-bf16/questions")];
const OVER_QWEN: &[Term] =
    &[average(QUESTIONS, 1.0), less("phonelm/qwen1.5-1.8b/questions")];
const OVER_OPENELM: &[Term] =
    &[average(QUESTIONS, 1.0), less("phonelm/openelm-1.1b/questions")];

const OVER_GPT: &[Term] = &[
    exact("phonelm/phonelm-1.5b/droidcall stage=fine-tuned", 1.0),
    exact("phonelm/gpt-4o-mini/droidcall stage=before", -1.0),
];
const BELOW_GPT: &[Term] = &[
    exact("phonelm/phonelm-1.5b/droidcall-paper stage=fine-tuned", 1.0),
    exact("phonelm/gpt-4o/droidcall-paper stage=before", -1.0),
];
const GEMMA: &[Term] = &[
    exact("phonelm/gemma-2-2b/droidcall-paper stage=fine-tuned", 1.0),
    exact("phonelm/gemma-2-2b/droidcall-paper stage=before", -1.0),
];

const JSON: &[Term] = &[prompt("phonelm/prompts/droidcall format=json")];
const CODE_SHORT: &[Term] =
    &[prompt("phonelm/prompts/droidcall format=code-short")];

const W8A8: &[Term] =
    &[speed("phonelm/qwen3-vl-2b/prefill precision=w8a8 prompt=2048")];
const W16A16: &[Term] =
    &[speed("phonelm/qwen3-vl-2b/prefill precision=f16 prompt=2048")];

const FULL_SMALLER: &[Term] =
    &[energy("phonelm/phonelm-0.5b/attention kind=full prompt=1024")];
const SHADOW_SMALLER: &[Term] =
    &[energy("phonelm/phonelm-0.5b/attention kind=shadow prompt=1024")];
const FULL: &[Term] =
    &[energy("phonelm/phonelm-1.5b/attention kind=full prompt=1024")];
const SHADOW: &[Term] =
    &[energy("phonelm/phonelm-1.5b/attention kind=shadow prompt=1024")];

const fn term(case: &'static str, metric: &'static str, factor: f64) -> Term {
    Term { case, metric, factor }
}

const fn tokens(case: &'static str) -> Term {
    term(case, "tokens", 1.0)
}

const fn column(metric: &'static str) -> Term {
    term(QUESTIONS, metric, 1.0 / 7.0)
}

const fn average(case: &'static str, factor: f64) -> Term {
    term(case, "accuracy_average", factor)
}

const fn less(case: &'static str) -> Term {
    average(case, -1.0)
}

const fn exact(case: &'static str, factor: f64) -> Term {
    term(case, "exact", factor)
}

const fn prompt(case: &'static str) -> Term {
    term(case, "prompt_tokens", 1.0)
}

const fn speed(case: &'static str) -> Term {
    term(case, "tokens_per_second", 1.0)
}

const fn energy(case: &'static str) -> Term {
    term(case, "attention_energy", 1.0)
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
