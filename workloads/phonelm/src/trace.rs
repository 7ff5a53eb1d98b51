//! The operator graph of a case.

use assay_schema::Precision;
use assay_slm::Phase;
use assay_trace::Graph;

use crate::request::decoder;
use crate::search::Space;
use crate::{PhoneLmError, Request, Search, intents};

/// Traces a case: nothing is computed, nothing allocated.
///
/// A search is traced as one decode step of the first shape that it draws,
/// fine-tuning as one training step with all weights, a call as the generation
/// of a typical one.
///
/// # Errors
/// A search whose budget no candidate meets; an operator without a cost, a bug
/// of this project.
pub fn trace(request: &Request) -> Result<Graph, PhoneLmError> {
    let traced = match request {
        Request::Decoder(request) => (**request).clone(),
        Request::Search(search) => of_search(search)?,
        Request::Tuning(_) => decoder(
            intents::config(),
            Phase::TrainStep,
            [intents::BATCH, intents::ROW, 1],
            Precision::F32,
        ),
        Request::Call(call) => decoder(
            intents::config(),
            Phase::Generate,
            [1, intents::CALL_PROMPT, intents::CALL_TOKENS],
            call.precision,
        ),
    };
    Ok(assay_slm::trace(&traced)?)
}

fn of_search(search: &Search) -> Result<assay_slm::Request, PhoneLmError> {
    let longest = search.prompt.max(search.context.saturating_add(1));
    let drawn = Space::of(search.budget, longest)?.sample(1, search.seed)?;
    let none = || PhoneLmError::Data("a search drew no candidate".to_owned());
    let config = drawn.first().ok_or_else(none)?.config()?;
    let sizes = [1, search.context, 1];
    Ok(decoder(config, Phase::Decode, sizes, search.precision))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traced(case: &str) -> Graph {
        trace(&Request::new(&case.parse().unwrap(), None).unwrap()).unwrap()
    }

    #[test]
    fn every_phase_has_a_graph() {
        let tiny = "layers=2 width=32 heads=2 kv_heads=1 ffn=64 vocab=128";
        for phase in ["prefill", "decode", "generate", "train-step"] {
            let case = format!("phonelm/candidate/{phase} {tiny}");
            assert!(!traced(&case).operators.is_empty(), "{case}");
        }
        for case in ["phonelm/candidate/search", "phonelm/intents/call"] {
            assert!(!traced(case).operators.is_empty(), "{case}");
        }
        let training = traced("phonelm/intents/fine-tune");
        assert!(!training.operators.is_empty());
    }

    #[test]
    fn a_search_is_traced_as_a_shape_of_its_budget() {
        for budget in [60_000, 2_000_000, 510_000_000, 1_620_000_000_u64] {
            let case = format!("phonelm/candidate/search budget={budget}");
            let found = traced(&case).parameters() as f64;
            let apart = (found / budget as f64 - 1.0).abs();
            assert!(apart <= crate::search::TOLERANCE, "{budget}: {found}");
        }
        let case = "phonelm/candidate/search budget=900".parse().unwrap();
        let request = Request::new(&case, None).unwrap();
        let error = trace(&request).unwrap_err().to_string();
        assert!(error.contains("a budget of 900 parameters"), "{error}");
    }

    #[test]
    fn a_candidate_is_traced_as_the_same_shape_among_the_models() {
        let own = traced(
            "phonelm/candidate/decode layers=24 width=1024 heads=16 \
             kv_heads=16 ffn=4864 activation=relu context=32",
        );
        let case = "slm/phonelm-0.5b/decode context=32".parse().unwrap();
        let other = assay_slm::Request::new(&case, None).unwrap();
        let other = assay_slm::trace(&other).unwrap();
        let work = |graph: &Graph| {
            let one = assay_trace::summary(graph, Precision::F32);
            (one.flops, one.bytes, one.parameters)
        };
        assert_eq!(work(&own), work(&other));
    }
}
