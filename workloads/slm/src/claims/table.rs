//! Which statistic judges each claim, and of which kinds of data it is
//! computed. Predictions judge no claim on a time that a machine's overlay was
//! fitted to: what went in would come out again. The file says so of such a
//! claim, and a test reads what was fitted.

use assay_schema::ClaimData;

use super::curves::{OfCurves, Two};
use super::precisions::OfPrecisions;
use super::readings::{JETSON, MEIZU, PIXEL, Quantity, Spot, XIAOMI};
use super::shapes::OfShapes;
use super::sources::FIGURE_9;
use super::statistic::Statistic;
use crate::Phase::{self, Decode, Prefill};

/// How a claim is judged: once for each kind of data, each with a claim of its
/// own in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judgement {
    /// The claim's id, without what a kind of data adds.
    pub(super) claim: &'static str,
    pub(super) statistic: Statistic,
    pub(super) data: &'static [ClaimData],
}

impl Judgement {
    /// The id of the claim that a kind of data rules on.
    pub(super) fn id(&self, data: ClaimData) -> String {
        let claim = self.claim;
        match data {
            ClaimData::Published => claim.to_owned(),
            ClaimData::Predicted => format!("{claim}-predicted"),
            ClaimData::Generated | ClaimData::Real => {
                format!("{claim}-measured")
            }
        }
    }
}

const P: &[ClaimData] = &[ClaimData::Published];
const D: &[ClaimData] = &[ClaimData::Predicted];
const PG: &[ClaimData] = &[ClaimData::Published, ClaimData::Generated];
const PD: &[ClaimData] = &[ClaimData::Published, ClaimData::Predicted];
const ALL: &[ClaimData] =
    &[ClaimData::Published, ClaimData::Predicted, ClaimData::Generated];

const QWEN15: &str = "qwen1.5-0.5b";
const QWEN15_LARGE: &str = "qwen1.5-1.8b";
const QWEN2: &str = "qwen2-0.5b";
const QWEN2_LARGE: &str = "qwen2-1.5b";
const PYTHIA: &str = "pythia-1.4b";
const OPENELM: &str = "openelm-1.1b";
const OPENELM_3B: &str = "openelm-3b";
const PHI2: &str = "phi-2";
const BLOOM: &str = "bloom-560m";
const BLOOM_1B1: &str = "bloom-1b1";
const GEMMA: &str = "gemma-2b";

/// Models whose memory departs from the line by the survey.
const LARGE_VOCABULARIES: &[&str] = &[BLOOM, BLOOM_1B1, GEMMA];

/// The phone over the board, as the survey drew them.
const DRAWN: Two = Two { model: FIGURE_9, of: MEIZU, over: JETSON };

/// Of every claim that is not untestable.
pub(super) const JUDGEMENTS: &[Judgement] = &[
    more("qwen-parameters", parameters(QWEN15), parameters(QWEN2)),
    less("qwen-prefill", prefill(QWEN15), prefill(QWEN2), PG),
    less("qwen-decode", decode(QWEN15), decode(QWEN2), PG),
    more("qwen1.8-parameters", parameters(QWEN15_LARGE), parameters(PYTHIA)),
    less("qwen1.8-prefill", prefill(QWEN15_LARGE), prefill(PYTHIA), P),
    more("openelm-phi2-parameters", parameters(OPENELM_3B), parameters(PHI2)),
    less("openelm-phi2-prefill", prefill(OPENELM_3B), prefill(PHI2), PD),
    ratio("qwen2-first-token", prefill(QWEN2), prefill(QWEN15), P),
    ratio("qwen2-openelm-first-token", prefill(QWEN2), prefill(OPENELM), PD),
    ratio("openelm-qwen2-size", parameters(OPENELM), parameters(QWEN2), PD),
    ratio("pythia-smollm-prefill", prefill(PYTHIA), prefill("smollm-1.7b"), P),
    ratio("pythia-qwen2-prefill", prefill(PYTHIA), prefill(QWEN2_LARGE), P),
    ratio("pythia-qwen1.5-prefill", prefill(PYTHIA), prefill(QWEN15_LARGE), P),
    ratio("phi2-openelm-first-token", prefill(PHI2), prefill(OPENELM_3B), PD),
    one("decode-tracks-size", Statistic::DecodeFitLessPrefill, ALL),
    more("openelm-bloom-parameters", parameters(OPENELM), parameters(BLOOM)),
    less("openelm-bloom-memory", memory(OPENELM), memory(BLOOM), PD),
    more("openelm-gemma-parameters", parameters(OPENELM_3B), parameters(GEMMA)),
    less("openelm-gemma-memory", memory(OPENELM_3B), memory(GEMMA), PD),
    one("memory-smallest", Statistic::SmallestMemory, P),
    one("memory-largest", Statistic::LargestMemory, P),
    one("memory-linear", Statistic::MemoryFit, PD),
    one("memory-outliers", Statistic::Outliers { of: LARGE_VOCABULARIES }, P),
    // Quantisation.
    formats(
        "quant-short-prompts",
        OfPrecisions::SmallestAt { phase: Prefill, length: 8 },
        PD,
    ),
    formats(
        "quant-shrinks",
        OfPrecisions::Shrinks { phase: Prefill, from: 8, to: 50 },
        PD,
    ),
    formats("quant-q6-k-long", at_50("q6_k"), PD),
    formats("quant-q3-k-long", at_50("q3_k"), PD),
    formats("quant-best-prefill", best(Prefill), PD),
    formats("quant-best-decode", best(Decode), PD),
    formats(
        "quant-mean-prefill",
        OfPrecisions::Mean { phase: Prefill, precision: "q4_k_m" },
        PD,
    ),
    formats(
        "quant-largest-decode",
        OfPrecisions::Largest { phase: Decode },
        PD,
    ),
    formats(
        "quant-smallest-decode",
        OfPrecisions::Smallest { phase: Decode },
        ALL,
    ),
    formats("quant-decode-more", OfPrecisions::DecodeLessPrefill, ALL),
    formats("quant-4-over-3-prefill", gain(Prefill, "q4_k_m", "q3_k"), PD),
    formats("quant-4-over-3-decode", gain(Decode, "q4_k_m", "q3_k"), PD),
    formats("quant-6-over-8-prefill", gain(Prefill, "q6_k", "q8_0"), PD),
    formats("quant-6-over-8-decode", gain(Decode, "q6_k", "q8_0"), PD),
    formats("quant-5-over-8-prefill", gain(Prefill, "q5_k", "q8_0"), PD),
    formats("quant-5-over-8-decode", gain(Decode, "q5_k", "q8_0"), PD),
    // Hardware.
    curves(
        "hardware-prefill",
        OfCurves::MeanRatio { phase: Prefill, two: DRAWN },
        P,
    ),
    curves("hardware-edge", OfCurves::Edge { two: DRAWN }, P),
    ratio("hardware-label", prefill(FIGURE_9), prefill(BLOOM_1B1), P),
    curves(
        "hardware-decode-rise",
        OfCurves::Rise { model: FIGURE_9, machine: MEIZU },
        P,
    ),
    curves(
        "hardware-steadier-prefill",
        OfCurves::Scatter { phase: Prefill, two: DRAWN },
        P,
    ),
    curves(
        "hardware-steadier-decode",
        OfCurves::Scatter { phase: Decode, two: DRAWN },
        P,
    ),
    socs("soc-meizu-pixel-prefill", Prefill, MEIZU, PIXEL, PD),
    socs("soc-meizu-pixel-decode", Decode, MEIZU, PIXEL, PD),
    socs("soc-pixel-xiaomi-prefill", Prefill, PIXEL, XIAOMI, D),
    socs("soc-pixel-xiaomi-decode", Decode, PIXEL, XIAOMI, D),
    // Breakdown.
    one("products-70", Statistic::SmallestProducts, PD),
    one("products-80", Statistic::SmallestProducts, PD),
    ratio(
        "qwen2-ffn-prefill",
        part(QWEN2, Prefill, Quantity::FeedForward),
        part(QWEN2, Prefill, Quantity::Attention),
        PD,
    ),
    ratio(
        "qwen2-ffn-decode",
        part(QWEN2, Decode, Quantity::FeedForward),
        part(QWEN2, Decode, Quantity::Attention),
        PD,
    ),
    one(
        "qwen1.5-attention",
        Statistic::Difference {
            of: part(QWEN15, Decode, Quantity::Attention),
            less: part(QWEN15, Prefill, Quantity::Attention),
        },
        PD,
    ),
    // Memory.
    one("bloom-compute-buffer", Statistic::Value(buffer(BLOOM)), PD),
    ratio("bloom-compute-buffer-ratio", buffer(BLOOM), buffer(OPENELM), PD),
    one("bloom-1b1-compute-buffer", Statistic::Value(buffer(BLOOM_1B1)), PD),
    ratio(
        "bloom-1b1-compute-buffer-ratio",
        buffer(BLOOM_1B1),
        buffer(QWEN2_LARGE),
        PD,
    ),
    one("compute-buffer-mechanism", Statistic::Mechanism, P),
    one("openelm-kv-cache", Statistic::Value(kv_cache(OPENELM_3B)), PD),
    ratio(
        "openelm-kv-cache-ratio",
        kv_cache("stablelm-zephyr-3b"),
        kv_cache(OPENELM_3B),
        PD,
    ),
    long_context("long-context-qwen2-0.5b", QWEN2, 131_072, true),
    long_context("long-context-qwen2-1.5b", QWEN2_LARGE, 131_072, true),
    long_context("long-context-qwen1.5-0.5b", QWEN15, 32_768, true),
    long_context("long-context-qwen1.5-1.8b", QWEN15_LARGE, 32_768, true),
    long_context("kv-cache-long-qwen1.5-0.5b", QWEN15, 32_768, false),
    long_context("kv-cache-long-qwen1.5-1.8b", QWEN15_LARGE, 32_768, false),
    // Shapes.
    one(
        "ffn-ratio-smallest",
        Statistic::Shapes(OfShapes::Smallest("ffn_ratio_least")),
        P,
    ),
    one(
        "ffn-ratio-largest",
        Statistic::Shapes(OfShapes::Largest("ffn_ratio_most")),
        P,
    ),
    one(
        "large-vocabulary",
        Statistic::Shapes(OfShapes::ShareAbove("vocabulary", 50_000.0)),
        P,
    ),
];

const fn spot(
    model: &'static str,
    phase: Phase,
    quantity: Quantity,
    near: u32,
) -> Spot {
    Spot { model, phase, quantity, machine: JETSON, near }
}

const fn prefill(model: &'static str) -> Spot {
    spot(model, Prefill, Quantity::Time, 50)
}

/// A prompt of 50 and half of 50 tokens after it.
const fn decode(model: &'static str) -> Spot {
    spot(model, Decode, Quantity::Time, 75)
}

const fn parameters(model: &'static str) -> Spot {
    spot(model, Decode, Quantity::Parameters, 0)
}

const fn memory(model: &'static str) -> Spot {
    spot(model, Decode, Quantity::Memory, 2048)
}

const fn buffer(model: &'static str) -> Spot {
    spot(model, Decode, Quantity::ComputeBuffer, 2048)
}

const fn kv_cache(model: &'static str) -> Spot {
    spot(model, Decode, Quantity::KvCache, 2048)
}

const fn part(model: &'static str, phase: Phase, quantity: Quantity) -> Spot {
    spot(model, phase, quantity, 50)
}

const fn one(
    claim: &'static str,
    statistic: Statistic,
    data: &'static [ClaimData],
) -> Judgement {
    Judgement { claim, statistic, data }
}

const fn ratio(
    claim: &'static str,
    of: Spot,
    over: Spot,
    data: &'static [ClaimData],
) -> Judgement {
    one(claim, Statistic::Ratio { of, over }, data)
}

const fn less(
    claim: &'static str,
    of: Spot,
    than: Spot,
    data: &'static [ClaimData],
) -> Judgement {
    one(claim, Statistic::Less { of, than }, data)
}

/// Counts are published and predicted: a run measures none.
const fn more(claim: &'static str, of: Spot, than: Spot) -> Judgement {
    one(claim, Statistic::More { of, than }, PD)
}

const fn formats(
    claim: &'static str,
    statistic: OfPrecisions,
    data: &'static [ClaimData],
) -> Judgement {
    one(claim, Statistic::Precisions(statistic), data)
}

const fn at_50(precision: &'static str) -> OfPrecisions {
    OfPrecisions::At { phase: Prefill, precision, length: 50 }
}

const fn best(phase: Phase) -> OfPrecisions {
    OfPrecisions::OverOthers { phase, of: "q4_k_m" }
}

const fn gain(
    phase: Phase,
    of: &'static str,
    less: &'static str,
) -> OfPrecisions {
    OfPrecisions::Difference { phase, of, less }
}

const fn curves(
    claim: &'static str,
    statistic: OfCurves,
    data: &'static [ClaimData],
) -> Judgement {
    one(claim, Statistic::Curves(statistic), data)
}

/// One model on two SoCs, as the survey's three phones ran it.
const fn socs(
    claim: &'static str,
    phase: Phase,
    of: &'static str,
    over: &'static str,
    data: &'static [ClaimData],
) -> Judgement {
    let at = spot(QWEN15_LARGE, phase, Quantity::Time, 50);
    ratio(claim, Spot { machine: of, ..at }, Spot { machine: over, ..at }, data)
}

const fn long_context(
    claim: &'static str,
    model: &'static str,
    context: u32,
    with_buffer: bool,
) -> Judgement {
    let statistic = Statistic::LongContext { model, context, with_buffer };
    one(claim, statistic, PD)
}
