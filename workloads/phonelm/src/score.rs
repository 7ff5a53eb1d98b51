//! The scoring function: what a graph costs on a machine, asked of the
//! harness.
//!
//! A workload sees no hardware profile, so that whoever knows them hands a
//! [`Score`] in, once a process: the command line does, from `predict` and
//! `hardware-profiles`. The search (arXiv 2411.05046, section 3: the shape
//! for the machine first, training second) knows no other source of times
//! for machines that are not at hand.

use std::sync::OnceLock;

use assay_schema::Precision;
use assay_trace::Graph;

use crate::PhoneLmError;

/// What a graph costs on a machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// Predicted time of one pass, s.
    pub seconds: f64,
    /// Predicted memory at its peak, bytes.
    pub memory_bytes: f64,
}

/// Predicts graphs on machines. Called from several threads at once.
pub trait Score: Send + Sync {
    /// A graph at a number format on a target, as the axis `target` names it:
    /// `host`, or a profile as `NAME[:UNIT]`.
    ///
    /// # Errors
    /// A sentence: an unknown target, or one without arithmetic for the
    /// number format.
    fn score(
        &self,
        graph: &Graph,
        target: &str,
        precision: Precision,
    ) -> Result<Scored, String>;
}

static SCORER: OnceLock<Box<dyn Score>> = OnceLock::new();

/// Hands the scoring function in; `false` where there was one already, which
/// then stays.
pub fn use_scorer(scorer: Box<dyn Score>) -> bool {
    SCORER.set(scorer).is_ok()
}

/// The scoring function, where one was handed in.
pub(crate) fn scorer() -> Option<&'static dyn Score> {
    SCORER.get().map(|boxed| &**boxed)
}

/// A graph's cost on a target by a scoring function, as an error of this
/// crate where it refuses or gives what is no cost.
///
/// # Errors
/// What [`Score::score`] says; a time or a size that is not above 0.
pub(crate) fn score_with(
    scorer: &dyn Score,
    graph: &Graph,
    target: &str,
    precision: Precision,
) -> Result<Scored, PhoneLmError> {
    let refused = |reason: String| PhoneLmError::Score {
        target: target.to_owned(),
        reason,
    };
    let scored = scorer.score(graph, target, precision).map_err(refused)?;
    let lawful = |x: f64| x > 0.0 && x.is_finite();
    if lawful(scored.seconds) && lawful(scored.memory_bytes) {
        return Ok(scored);
    }
    Err(refused(format!(
        "the scoring function gave {} s and {} bytes, expected finite numbers \
         above 0",
        scored.seconds, scored.memory_bytes
    )))
}

#[cfg(test)]
pub(crate) mod tests {
    use assay_trace::memory;

    use super::*;

    /// A machine of 100 GFLOP/s and 20 GB/s that starts an operator in 5 us.
    pub(crate) struct Roofline;

    impl Score for Roofline {
        fn score(
            &self,
            graph: &Graph,
            target: &str,
            precision: Precision,
        ) -> Result<Scored, String> {
            if target != "host" {
                return Err(format!("unknown machine `{target}`"));
            }
            let of_operator = |operator: &assay_trace::Operator| {
                let (read, written) = graph.traffic(operator, precision);
                let arithmetic = operator.kind.flops() / 100e9;
                arithmetic.max((read.0 + written.0) / 20e9) + 5e-6
            };
            Ok(Scored {
                seconds: graph.operators.iter().map(of_operator).sum(),
                memory_bytes: memory(graph, precision).peak.total().0,
            })
        }
    }

    /// A scoring function that gives what is no time.
    struct Nothing;

    impl Score for Nothing {
        fn score(
            &self,
            _: &Graph,
            _: &str,
            _: Precision,
        ) -> Result<Scored, String> {
            Ok(Scored { seconds: f64::NAN, memory_bytes: 1.0 })
        }
    }

    #[test]
    fn a_refusal_and_a_time_that_is_none_name_the_target() {
        let graph = Graph {
            tensors: Vec::new(),
            operators: Vec::new(),
            modules: vec![String::new()],
            outputs: Vec::new(),
        };
        let scorers: [(&dyn Score, &str); 2] =
            [(&Roofline, "unknown machine"), (&Nothing, "NaN s")];
        for (scorer, words) in scorers {
            let error = score_with(scorer, &graph, "moon", Precision::F32);
            let message = error.unwrap_err().to_string();
            assert!(message.contains("`moon`"), "{message}");
            assert!(message.contains(words), "{message}");
        }
    }
}
