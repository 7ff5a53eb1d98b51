//! The paper as a workload: what can be run, and the sessions that run it.

use assay_kit::{check_measurable, precision_axis};
use assay_measure::{Context, Session, Workload, WorkloadError};
use assay_schema::{AxisSpec, Case, Precision, WorkloadInfo};

use crate::intents::{CallSession, TuningSession};
use crate::request::{
    CANDIDATE, COMPARED, Call, DECODER_PHASES, INTENTS, INTENTS_PHASES,
    PRETRAIN_STEPS, RANK, SEARCH, Search, TESTED, TUNE_STEPS,
};
use crate::search::SearchSession;
use crate::shape::{ACTIVATIONS, FFN_KINDS, POSITIONS};
use crate::{Methods, Request, Shape};

/// A model searched for the machine that it is to run on, and one that
/// answers with calls (arXiv 2411.05046).
#[derive(Debug, Default)]
pub struct PhoneLm {
    targets: Vec<String>,
}

impl PhoneLm {
    /// The workload, with the machines that the scoring function of
    /// [`use_scorer`](crate::use_scorer) knows beside `host`.
    pub fn new(targets: Vec<String>) -> Self {
        Self { targets }
    }
}

/// The phases of a candidate that its shape is asked for in.
fn shaped() -> [String; 4] {
    DECODER_PHASES.map(|phase| format!("{CANDIDATE}/{phase}"))
}

fn words<T>(
    name: &str,
    names: &[(&'static str, T)],
    default: &str,
    doc: &str,
) -> AxisSpec {
    let words = names.iter().map(|(name, _)| *name);
    let axis = AxisSpec::words(name, words, doc).only_for(shaped());
    AxisSpec { default: default.to_owned(), ..axis }
}

/// The axes that spell a candidate's shape out.
fn shape_axes() -> Vec<AxisSpec> {
    let base = Shape::default();
    let count = |name: &str, default: usize, doc: &str| {
        AxisSpec::integer(name, 1, default as u64, doc).only_for(shaped())
    };
    vec![
        count("layers", base.layers, "blocks").listing([12, 19, 24]),
        count("width", base.width, "of the residual stream")
            .listing([768, 1024, 2560]),
        count("heads", base.heads, "query heads").listing([16, 32]),
        count("kv_heads", base.kv_heads, "key and value heads")
            .listing([4, 16]),
        count("ffn", base.ffn, "width of the feed-forward layer")
            .listing([2046, 4864, 6816]),
        words(
            "ffn_kind",
            &FFN_KINDS,
            FFN_KINDS[0].0,
            "whether the feed-forward layer has a gate",
        ),
        words(
            "activation",
            &ACTIVATIONS,
            ACTIVATIONS[0].0,
            "of the feed-forward layer",
        ),
        count("vocab", base.vocab, "vocabulary").listing([2048, 49_152]),
        words("positions", &POSITIONS, POSITIONS[0].0, "how they enter"),
        count("longest", base.context, "tokens that it is made for")
            .listing([2048]),
    ]
}

/// The axes of a run of a decoder.
fn decoder_axes() -> Vec<AxisSpec> {
    let integer = AxisSpec::integer;
    vec![
        integer("batch", 1, 1, "rows")
            .only_for(DECODER_PHASES)
            .listing([1, 4, 16]),
        integer(
            "prompt",
            1,
            128,
            "tokens of the prompt, or of a row that trains; of a search, \
             those of the prefill that is predicted",
        )
        .only_for(["prefill", "generate", "train-step", SEARCH])
        .defaulting(SEARCH, Search::TOKENS)
        .listing([64, 128, 512]),
        integer("context", 1, 128, "tokens already in the cache")
            .only_for(["decode", SEARCH])
            .defaulting(SEARCH, Search::TOKENS)
            .listing([64, 128, 1024]),
        integer("tokens", 1, 32, "tokens generated")
            .only_for(["generate"])
            .listing([32, 128]),
    ]
}

/// Targets worth listing among all profiles: this machine, and the paper's
/// phone.
const EXAMPLES: [&str; 3] =
    ["host", "snapdragon-8-gen-3:cpu", "snapdragon-8-gen-3:npu"];

/// The axes of a search.
fn search_axes(targets: &[String]) -> Vec<AxisSpec> {
    let integer = |name: &str, least: u64, default: u64, doc: &str| {
        AxisSpec::integer(name, least, default, doc).only_for([SEARCH])
    };
    let known = ["host"].into_iter().chain(
        targets.iter().map(String::as_str).filter(|name| *name != "host"),
    );
    vec![
        AxisSpec::words("target", known, "the machine to search for")
            .only_for([SEARCH])
            .listing(EXAMPLES),
        integer("budget", 1, Search::BUDGET, "parameters of a candidate")
            .listing([2_000_000_u64, 500_000_000, 1_600_000_000]),
        integer(
            "candidates",
            1,
            Search::CANDIDATES as u64,
            "shapes that are predicted",
        )
        .listing([1_000, Search::CANDIDATES]),
        integer(
            "measured",
            0,
            0,
            "shapes that are timed here too (target=host)",
        )
        .listing([0, 40]),
        integer("finalists", 0, 0, "shapes that are trained").listing([0, 6]),
        integer(
            "train_tokens",
            1,
            Search::TRAIN_TOKENS as u64,
            "tokens that a finalist sees",
        )
        .listing([20_000, Search::TRAIN_TOKENS]),
        integer("seeds", 1, 1, "seeds of each finalist").listing([1, 3]),
    ]
}

/// The axes of the intents.
fn intents_axes() -> Vec<AxisSpec> {
    let integer = |name: &str, least: u64, default: usize, doc: &str| {
        AxisSpec::integer(name, least, default as u64, doc)
            .only_for(["fine-tune"])
    };
    vec![
        AxisSpec::words(
            "methods",
            Methods::NAMES.map(|(name, _)| name),
            "what is fine-tuned: adapters of low rank, or also all weights",
        )
        .only_for(["fine-tune"]),
        integer("rank", 1, RANK, "of the adapters").listing([4, 8, 16]),
        integer(
            "pretrain_steps",
            1,
            PRETRAIN_STEPS,
            "training steps before the first call",
        )
        .listing([20, PRETRAIN_STEPS]),
        integer("tune_steps", 1, TUNE_STEPS, "training steps with calls")
            .listing([20, TUNE_STEPS]),
        integer("tested", 1, TESTED, "held-out requests").listing([50, TESTED]),
        AxisSpec::integer(
            "offered",
            1,
            Call::OFFERED as u64,
            "tools in the prompt",
        )
        .only_for(["call"])
        .listing([1, 4, 8]),
    ]
}

impl Workload for PhoneLm {
    fn info(&self) -> WorkloadInfo {
        let names = |names: &[&str]| {
            names.iter().map(|&name| name.to_owned()).collect::<Vec<String>>()
        };
        let searched = [&DECODER_PHASES[..], &[SEARCH][..]].concat();
        let mut axes = decoder_axes();
        axes.extend(shape_axes());
        axes.extend(search_axes(&self.targets));
        axes.extend(intents_axes());
        axes.push(
            AxisSpec::integer("seed", 1, 1, "of data, weights and order")
                .only_for([SEARCH, "fine-tune", "call"])
                .listing([1, 2, 3]),
        );
        axes.push(
            precision_axis("number format of the weights").only_for(
                [&DECODER_PHASES[..], &[SEARCH, "call"][..]].concat(),
            ),
        );
        let phases = [&searched[..], &INTENTS_PHASES[..]].concat();
        WorkloadInfo {
            workload: "phonelm".to_owned(),
            doc: "a language model searched for the machine that it runs on, \
                  and calls of Android intents (PhoneLM, arXiv 2411.05046)"
                .to_owned(),
            models: names(&[&[CANDIDATE, INTENTS][..], &COMPARED[..]].concat()),
            phases: names(&phases),
            phases_by_model: [
                (CANDIDATE, names(&searched)),
                (INTENTS, names(&INTENTS_PHASES)),
                // The models beside them; a model file goes by any name.
                ("*", names(&DECODER_PHASES)),
            ]
            .map(|(model, phases)| (model.to_owned(), phases))
            .into(),
            axes,
        }
    }

    fn prepare(
        &self,
        case: &Case,
        context: &Context,
    ) -> Result<Box<dyn Session>, WorkloadError> {
        let request = Request::new(case, context.model.as_deref())?;
        match request {
            Request::Decoder(request) => assay_slm::session(*request, context),
            // Its precision is that of the predictions.
            Request::Search(search) => {
                Ok(Box::new(SearchSession::new(search, context)?))
            }
            Request::Tuning(tuning) => {
                check_measurable(Precision::F32, &context.device)?;
                Ok(Box::new(TuningSession::new(tuning, context)?))
            }
            Request::Call(call) => {
                check_measurable(call.precision, &context.device)?;
                Ok(Box::new(CallSession::new(call, context)?))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_has_its_own_phases_and_a_phase_its_own_axes() {
        let info = PhoneLm::new(vec!["a:cpu".to_owned()]).info();
        assert!(info.phases_of(INTENTS) == INTENTS_PHASES);
        assert!(info.phases_of("anything") == DECODER_PHASES);
        assert_eq!(info.phases_of(CANDIDATE).last().unwrap(), SEARCH);
        let axes = |model: &str, phase: &str| -> Vec<String> {
            info.axes_of(model, Some(phase))
                .iter()
                .map(|axis| axis.name.clone())
                .collect()
        };
        assert!(axes(CANDIDATE, "decode").contains(&"layers".to_owned()));
        // A file says it all.
        assert_eq!(axes("mine", "decode"), ["batch", "context", "precision"]);
        assert_eq!(axes(INTENTS, "call"), ["offered", "seed", "precision"]);
        assert!(axes(CANDIDATE, SEARCH).contains(&"target".to_owned()));
        let target = info.axes.iter().find(|axis| axis.name == "target");
        let values = &target.unwrap().values;
        assert!(values.canonical("a:cpu").is_some());
        assert!(values.canonical("b").is_none());
    }

    #[test]
    fn the_listed_defaults_are_those_that_a_case_is_read_with() {
        let info = PhoneLm::default().info();
        for path in info.paths() {
            let bare: Case = path.parse().unwrap();
            let phase = bare.phase.clone().unwrap();
            let full = info.axes_of(&bare.model, Some(&phase)).iter().fold(
                bare.clone(),
                |case, axis| {
                    let value = axis.default_of(&bare.model, Some(&phase));
                    case.with(axis.name.clone(), value)
                },
            );
            let read = |case: &Case| Request::new(case, None).unwrap();
            assert!(read(&full) == read(&bare), "{path}");
        }
    }

    #[test]
    fn what_this_engine_does_not_measure_is_refused() {
        let context = Context::new("cpu", 1);
        for case in [
            "phonelm/candidate/train-step precision=q4_0",
            "phonelm/intents/call precision=q4_0",
        ] {
            let refused =
                PhoneLm::default().prepare(&case.parse().unwrap(), &context);
            let refused = refused.err().unwrap();
            assert!(matches!(refused, WorkloadError::Unsupported(_)), "{case}");
        }
    }
}
