//! One iteration of self-evolving training as a sum of cases (M-STaR, arXiv
//! 2412.17451, section 3; facts/mstar.md, section 1: 45,000 prompts of 16
//! rollouts are 720,000 replies, and two kept of each at most 703 updates of
//! 128).
//!
//! An upper bound, said where it is one: every reply is as long as replies
//! get and is scored by the process reward model, every prompt has enough
//! right replies, and the optimizer's update counts with every micro-batch,
//! not once an update. Rollouts and scores are shared evenly between ranks;
//! what ranks say to each other is added, not hidden behind arithmetic. Left
//! out: loading data, drawing words, and copying weights into the engine that
//! decodes.
//!
//! The process reward model is a network like the policy's: it encodes each
//! picture again, and its weights are held beside whatever runs. Training in
//! 16 bits is of that format alone, as `train-step` is traced: weights and
//! gradients of 2 bytes and two moments of 4, no copy of the weights in `f32`.

use assay_schema::{Bytes, Case};

use crate::MstarError;
use crate::request::{Part, Phase, Request, Sharding};
use crate::trace::trace;

/// Devices of a node, where ranks meet over its links.
const RANKS_PER_NODE: usize = 8;

/// A case that an iteration runs so many times on each rank.
#[derive(Clone, Debug, PartialEq)]
pub struct IterationPart {
    /// `encode`, `prefill`, `decode`, `reward-encode`, `reward`, `update`, or
    /// what ranks say to each other.
    pub name: &'static str,
    /// How many times.
    pub count: f64,
    /// What runs.
    pub case: Case,
}

/// What an iteration is made of, on one of its ranks.
///
/// # Errors
/// A request of another phase; an operator without a cost, a bug of this
/// project.
pub fn iteration_parts(
    request: &Request,
) -> Result<Vec<IterationPart>, MstarError> {
    if request.phase != Phase::Iteration {
        return Err(MstarError::Data(format!(
            "`{}` has no parts, an `iteration` has",
            request.phase.name()
        )));
    }
    let r = request;
    let of = |phase: Phase| {
        Case::new("mstar", &r.name, Some(phase.name()))
            .with("precision", r.precision)
    };
    let part = |name, count: usize, case| IterationPart {
        name,
        count: count as f64,
        case,
    };
    let (rounds, at_once) = (r.rounds(), r.prompts_at_once());
    let seen = r.visual() + r.prompt;
    let micro = r.at_once();
    let encode =
        of(Phase::Encode).with("batch", at_once).with("tiles", r.tiles);
    let mut parts = vec![
        part("encode", rounds, encode.clone()),
        part(
            "prefill",
            rounds,
            of(Phase::Prefill)
                .with("batch", at_once)
                .with("tiles", r.tiles)
                .with("prompt", r.prompt),
        ),
        // The first word comes of the prefill. Attention and its traffic grow
        // in proportion to the context: the mean stands for all.
        part(
            "decode",
            rounds * (r.tokens - 1),
            of(Phase::Decode)
                .with("batch", r.rows)
                .with("context", seen + r.tokens.saturating_sub(2) / 2),
        ),
        // By weights of its own: rollouts of a prompt share the reading.
        part("reward-encode", rounds, encode),
        part(
            "reward",
            rounds,
            of(Phase::Prefill)
                .with("batch", r.rows)
                .with("tiles", r.tiles)
                .with("prompt", r.prompt + r.tokens),
        ),
        part(
            "update",
            r.updates() * (r.share() / micro),
            of(Phase::TrainStep)
                .with("batch", micro * r.ranks)
                .with("tiles", r.tiles)
                .with("prompt", r.prompt)
                .with("tokens", r.tokens)
                .with("ranks", r.ranks)
                .with("sharding", r.sharding.name()),
        ),
    ];
    if r.ranks > 1 {
        let gradients = parameters(r)? as f64 * r.precision.activation_bytes();
        let say = |operation: &str, bytes: f64| {
            Case::new("operators", operation, None)
                .with("bytes", bytes.ceil() as u64)
                .with("ranks", r.ranks)
                .with("ranks_per_node", RANKS_PER_NODE.min(r.ranks))
        };
        let updates = r.updates();
        match r.sharding {
            Sharding::None => parts.push(part(
                "all-reduce",
                updates,
                say("all_reduce", gradients),
            )),
            // Each rank gets the sum of its share of the gradients, and gives
            // its share of the weights: together as much as the other way.
            Sharding::Optimizer => {
                let share = gradients / r.ranks as f64;
                parts.push(part(
                    "reduce-scatter",
                    updates,
                    say("reduce_scatter", gradients),
                ));
                parts.push(part(
                    "all-gather",
                    updates,
                    say("all_gather", share),
                ));
            }
        }
    }
    parts.retain(|part| part.count > 0.0);
    Ok(parts)
}

/// Learned values of the whole model.
///
/// # Errors
/// As [`trace`].
pub fn parameters(request: &Request) -> Result<u64, MstarError> {
    let smallest = Request {
        phase: Phase::Prefill,
        part: Part::Whole,
        batch: 1,
        tiles: 1,
        prompt: 1,
        sharding: Sharding::None,
        ..request.clone()
    };
    Ok(trace(&smallest)?.parameters())
}

/// Bytes that a rank holds beside whatever part runs: the weights of the
/// process reward model, a network of the policy's shape. Its head of two
/// numbers a step is left out.
///
/// # Errors
/// As [`trace`].
pub fn held_beside(request: &Request) -> Result<Bytes, MstarError> {
    let count = parameters(request)? as f64;
    Ok(Bytes(count * request.precision.activation_bytes()))
}

#[cfg(test)]
mod tests {
    use assay_schema::Flops;

    use super::*;

    fn read(text: &str) -> Request {
        Request::new(&text.parse().unwrap(), None).unwrap()
    }

    fn count(parts: &[IterationPart], name: &str) -> f64 {
        parts.iter().find(|part| part.name == name).map_or(0.0, |p| p.count)
    }

    #[test]
    fn the_papers_iteration_has_the_papers_counts() {
        let request = read("mstar/internvl2-2b/iteration");
        let parts = iteration_parts(&request).unwrap();
        let names: Vec<&str> = parts.iter().map(|part| part.name).collect();
        let right = [
            "encode",
            "prefill",
            "decode",
            "reward-encode",
            "reward",
            "update",
        ];
        assert_eq!(names, right);
        let rollouts = count(&parts, "prefill") * 4.0 * 16.0;
        assert!((rollouts - 720_000.0).abs() < 0.5, "{rollouts}");
        // 703 updates of 128 examples, 8 at a time.
        let updates = count(&parts, "update") * 8.0 / 128.0;
        assert!((updates - 703.0).abs() < 1e-9, "{updates}");
        for part in &parts {
            let case = Request::new(&part.case, None);
            assert!(case.is_ok(), "{}", part.case);
        }
    }

    #[test]
    fn ranks_share_the_work_and_talk() {
        let alone =
            iteration_parts(&read("mstar/internvl2-2b/iteration")).unwrap();
        let of = |sharding: &str| {
            let case = format!(
                "mstar/internvl2-2b/iteration ranks=8 precision=bf16 \
                 sharding={sharding}"
            );
            iteration_parts(&read(&case)).unwrap()
        };
        let (plain, shared) = (of("none"), of("optimizer"));
        for name in ["encode", "decode", "reward-encode", "reward", "update"] {
            let ratio = count(&alone, name) / count(&plain, name);
            assert!((ratio / 8.0 - 1.0).abs() < 0.01, "{name}: {ratio}");
        }
        let bytes = |parts: &[IterationPart], name: &str| {
            let part = parts.iter().find(|part| part.name == name).unwrap();
            part.case.axis("bytes").unwrap().parse::<f64>().unwrap()
        };
        let all = bytes(&plain, "all-reduce");
        assert!((all / (2.0 * 2.2e9) - 1.0).abs() < 0.01, "{all}");
        let (sum, share) =
            (bytes(&shared, "reduce-scatter"), bytes(&shared, "all-gather"));
        assert!((sum / all - 1.0).abs() < 1e-9);
        assert!((8.0 * share / all - 1.0).abs() < 1e-6);
    }

    #[test]
    fn the_parts_arithmetic_is_that_of_the_iteration_written_out() {
        let case = "mstar/tiny/iteration prompts=4 rows=32 batch=8 micro=4";
        let request = read(case);
        let whole = trace(&request).unwrap().flops();
        let mut total = Flops::ZERO;
        for part in iteration_parts(&request).unwrap() {
            let model = request.model.clone();
            let own = Request::of(&part.case, model, Part::Whole).unwrap();
            total += trace(&own).unwrap().flops() * part.count;
        }
        let ratio = total / whole;
        assert!((ratio - 1.0).abs() < 0.01, "{ratio}");
    }

    #[test]
    fn the_reward_model_is_held_in_the_number_format() {
        let of = |precision: &str| {
            let case =
                format!("mstar/internvl2-2b/iteration precision={precision}");
            held_beside(&read(&case)).unwrap().value()
        };
        // 2.2 billion weights.
        assert!((of("bf16") / 4.4e9 - 1.0).abs() < 0.01);
        assert!((of("f32") / of("bf16") - 2.0).abs() < 1e-12);
        let other = read("mstar/tiny/decode");
        let error = iteration_parts(&other).unwrap_err();
        assert!(error.to_string().contains("`decode` has no parts"));
    }
}
