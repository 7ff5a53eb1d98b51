//! Thousands of candidates predicted: one trace a kind of layer, a graph a
//! candidate, both cores.
//!
//! Candidates that share a layer are one piece of work, so that the layer is
//! traced once for each phase, for all their depths and vocabularies
//! ([`super::quick_trace`]).

use std::collections::HashMap;

use assay_schema::Precision;
use assay_slm::Phase;
use assay_trace::Graph;
use rayon::prelude::*;

use super::candidate::{Candidate, Layer};
use super::quick_trace::{Template, whole};
use crate::PhoneLmError;
use crate::score::{Score, score_with};

/// What is predicted, for which machine, by whom.
#[derive(Clone, Copy)]
pub struct Predicting<'a> {
    /// Gives times and memory.
    pub scorer: &'a dyn Score,
    /// The machine, as the scorer names it.
    pub target: &'a str,
    /// Number format.
    pub precision: Precision,
    /// Tokens of the prefill.
    pub prompt: usize,
    /// Tokens in the cache of the decode step.
    pub context: usize,
}

/// A candidate with its predicted costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Predicted {
    /// The shape.
    pub candidate: Candidate,
    /// Time of the prefill, s.
    pub prefill: f64,
    /// Time of a decode step, s.
    pub decode: f64,
    /// Memory of a decode step at its peak, bytes.
    pub memory: f64,
}

impl Predicted {
    /// What the search minimises: prefill, decode, memory.
    pub fn costs(&self) -> [f64; 3] {
        [self.prefill, self.decode, self.memory]
    }
}

/// One phase of the candidates of a layer.
struct Traces {
    template: Option<Template>,
    phase: Phase,
    tokens: usize,
}

impl Traces {
    fn new(
        candidate: &Candidate,
        phase: Phase,
        tokens: usize,
    ) -> Result<Self, PhoneLmError> {
        let template = Template::new(candidate, phase, tokens)?;
        Ok(Self { template, phase, tokens })
    }

    fn graph(&self, candidate: &Candidate) -> Result<Graph, PhoneLmError> {
        let Candidate { layers, vocab, .. } = *candidate;
        let known = self.template.as_ref();
        match known.and_then(|template| template.graph(layers, vocab)) {
            Some(graph) => Ok(graph),
            None => whole(candidate, self.phase, self.tokens),
        }
    }
}

/// Graphs of a candidate put together from three layers, and traced whole:
/// prefill, then decode step.
///
/// # Errors
/// An operator without a cost; a shape that is none.
pub(crate) fn both_graphs(
    candidate: &Candidate,
    prompt: usize,
    context: usize,
) -> Result<[[Graph; 2]; 2], PhoneLmError> {
    let of = |phase, tokens| -> Result<[Graph; 2], PhoneLmError> {
        let quick = Traces::new(candidate, phase, tokens)?.graph(candidate)?;
        Ok([quick, whole(candidate, phase, tokens)?])
    };
    Ok([of(Phase::Prefill, prompt)?, of(Phase::Decode, context)?])
}

/// Predicts candidates, in their order.
///
/// # Errors
/// What the scoring function refuses; a shape that is none.
pub fn predict_all(
    candidates: &[Candidate],
    how: &Predicting<'_>,
) -> Result<Vec<Predicted>, PhoneLmError> {
    let mut order: Vec<Vec<usize>> = Vec::new();
    let mut known: HashMap<(Layer, usize), usize> = HashMap::new();
    for (at, candidate) in candidates.iter().enumerate() {
        let key = (candidate.layer, candidate.context);
        let group = *known.entry(key).or_insert_with(|| {
            order.push(Vec::new());
            order.len() - 1
        });
        order[group].push(at);
    }
    let groups: Vec<Vec<(usize, Predicted)>> = order
        .par_iter()
        .map(|group| of_layer(candidates, group, how))
        .collect::<Result<_, PhoneLmError>>()?;
    let mut all: Vec<(usize, Predicted)> =
        groups.into_iter().flatten().collect();
    all.sort_unstable_by_key(|(at, _)| *at);
    Ok(all.into_iter().map(|(_, predicted)| predicted).collect())
}

/// The candidates of one layer.
fn of_layer(
    candidates: &[Candidate],
    group: &[usize],
    how: &Predicting<'_>,
) -> Result<Vec<(usize, Predicted)>, PhoneLmError> {
    let Some(&first) = group.first() else { return Ok(Vec::new()) };
    let kind = &candidates[first];
    let prefill = Traces::new(kind, Phase::Prefill, how.prompt)?;
    let decode = Traces::new(kind, Phase::Decode, how.context)?;
    let score = |graph: &Graph| {
        score_with(how.scorer, graph, how.target, how.precision)
    };
    group
        .iter()
        .map(|&at| {
            let candidate = candidates[at];
            let first = score(&prefill.graph(&candidate)?)?;
            let step = score(&decode.graph(&candidate)?)?;
            let predicted = Predicted {
                candidate,
                prefill: first.seconds,
                decode: step.seconds,
                memory: step.memory_bytes,
            };
            Ok((at, predicted))
        })
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::candidate::tests::small;
    use super::*;
    use crate::score::tests::Roofline;

    /// Predictions by the tests' machine.
    pub(crate) const HERE: Predicting<'static> = Predicting {
        scorer: &Roofline,
        target: "host",
        precision: Precision::F32,
        prompt: 8,
        context: 8,
    };

    #[test]
    fn predictions_keep_their_order_and_are_those_of_whole_traces() {
        let wide = |layers| {
            let mut one = small(layers);
            one.layer.ffn = 96;
            one
        };
        let candidates = [small(9), wide(4), small(2), wide(3), small(5)];
        let found = predict_all(&candidates, &HERE).unwrap();
        for (predicted, candidate) in found.iter().zip(&candidates) {
            assert_eq!(predicted.candidate, *candidate);
            let score = |phase| {
                let graph = whole(candidate, phase, 8).unwrap();
                HERE.scorer.score(&graph, "host", Precision::F32).unwrap()
            };
            assert_eq!(predicted.prefill, score(Phase::Prefill).seconds);
            let step = score(Phase::Decode);
            assert_eq!(predicted.decode, step.seconds);
            assert_eq!(predicted.memory, step.memory_bytes);
        }
        assert!(found[0].decode > found[4].decode);
    }

    #[test]
    fn a_machine_that_nobody_knows_is_an_error_by_name() {
        let how = Predicting { target: "moon", ..HERE };
        let error = predict_all(&[small(4)], &how).unwrap_err();
        assert!(error.to_string().contains("`moon`"), "{error}");
    }
}
