//! One iteration of self-evolving training as a sum of cases, and the memory
//! of its updates with and without a sharded optimizer (M-STaR, arXiv
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

use assay_schema::{Bytes, Case, Estimate, Flops, Precision};

use crate::MstarError;
use crate::request::{Part, Phase, Request, Sharding};
use crate::trace::trace;

/// Devices of a node, where ranks meet over its links.
const RANKS_PER_NODE: usize = 8;

/// A case that an iteration runs so many times on each rank.
#[derive(Clone, Debug, PartialEq)]
pub struct IterationPart {
    /// `encode`, `prefill`, `decode`, `reward`, `update`, or what ranks say to
    /// each other.
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
    let mut parts = vec![
        part(
            "encode",
            rounds,
            of(Phase::Encode).with("batch", at_once).with("tiles", r.tiles),
        ),
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

/// The time of an iteration: its parts' times as `score` knows them, each so
/// many times. The ends of the band are the parts' together: one machine, one
/// model of it, errors of one sign. `None` unless every part has a time.
pub fn iteration_latency(
    parts: &[IterationPart],
    mut score: impl FnMut(&Case) -> Option<Estimate>,
) -> Option<Estimate> {
    let times = parts
        .iter()
        .map(|part| Some(score(&part.case)?.scaled(part.count)))
        .collect::<Option<Vec<Estimate>>>()?;
    let total = |end: fn(&Estimate) -> f64| times.iter().map(end).sum::<f64>();
    let names: Vec<&str> = parts.iter().map(|part| part.name).collect();
    Some(Estimate {
        point: total(|one| one.point),
        low: total(|one| one.low),
        high: total(|one| one.high),
        confidence: times.iter().map(|one| one.confidence).reduce(f64::min)?,
        n: 0,
        method: format!("sum of {}", names.join(", ")),
    })
}

/// The arithmetic of an iteration on one rank, from the traces of its parts.
///
/// # Errors
/// As [`trace`].
pub fn iteration_flops(request: &Request) -> Result<Flops, MstarError> {
    let mut total = Flops::ZERO;
    for part in iteration_parts(request)? {
        // What ranks say to each other is no arithmetic of the model.
        if part.case.workload == "mstar" {
            let model = request.model.clone();
            let part_of = Request::of(&part.case, model, Part::Whole)?;
            total += trace(&part_of)?.flops() * part.count;
        }
    }
    Ok(total)
}

/// What one rank holds of a model that is being trained, before activations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainingMemory {
    /// Weights in the number format.
    pub weights: Bytes,
    /// Gradients in the number format.
    pub gradients: Bytes,
    /// Moments in `f32`, and weights in `f32` where the format is narrower:
    /// the rank's share.
    pub optimizer: Bytes,
}

impl TrainingMemory {
    /// All of it.
    pub fn total(&self) -> Bytes {
        self.weights + self.gradients + self.optimizer
    }
}

/// The arithmetic of ZeRO (Rajbhandari et al., *ZeRO: Memory Optimizations
/// Toward Training Trillion Parameter Models*, 2020, section 3.1 and figure
/// 1): of `parameters` values in 16 bits with Adam, 2 bytes a weight, 2 a
/// gradient and 12 of the optimizer (weights and two moments in `f32`); its
/// first stage divides the 12 by the ranks. In `f32` there is no second copy
/// of the weights: 4, 4 and 8.
pub fn training_memory(
    parameters: u64,
    precision: Precision,
    ranks: usize,
    sharding: Sharding,
) -> TrainingMemory {
    let count = parameters as f64;
    let each = precision.activation_bytes();
    let copy = if each < 4.0 { 4.0 } else { 0.0 };
    let moments = 2.0 * each.max(4.0);
    let holders = match sharding {
        Sharding::None => 1.0,
        Sharding::Optimizer => ranks.max(1) as f64,
    };
    TrainingMemory {
        weights: Bytes(count * each),
        gradients: Bytes(count * each),
        optimizer: Bytes(count * (copy + moments) / holders),
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(names, ["encode", "prefill", "decode", "reward", "update"]);
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
        for name in ["encode", "decode", "reward", "update"] {
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
        let parts = iteration_flops(&request).unwrap();
        let ratio = parts / whole;
        assert!((ratio - 1.0).abs() < 0.01, "{ratio}");
    }

    #[test]
    fn a_sum_has_the_ends_of_its_terms_and_needs_them_all() {
        let parts = iteration_parts(&read("mstar/tiny/iteration")).unwrap();
        let one = Estimate {
            point: 1.0,
            low: 0.5,
            high: 3.0,
            confidence: 0.8,
            n: 0,
            method: "test".to_owned(),
        };
        let steps: f64 = parts.iter().map(|part| part.count).sum();
        let found = iteration_latency(&parts, |_| Some(one.clone())).unwrap();
        assert!((found.point - steps).abs() < 1e-9);
        assert!((found.low - 0.5 * steps).abs() < 1e-9);
        assert!((found.high - 3.0 * steps).abs() < 1e-9);
        let some = iteration_latency(&parts, |case| {
            (case.phase.as_deref() != Some("decode")).then(|| one.clone())
        });
        assert_eq!(some, None);
        let error = iteration_parts(&read("mstar/tiny/decode")).unwrap_err();
        assert!(error.to_string().contains("`decode` has no parts"));
    }

    #[test]
    fn memory_is_as_the_zero_paper_prints_it() {
        // Its figure 1: 7.5 billion parameters on 64 devices take 120 GB,
        // and 31.4 GB with the optimizer's state sharded.
        let of = |ranks, sharding| {
            let found =
                training_memory(7_500_000_000, Precision::F16, ranks, sharding);
            found.total().value() / 1e9
        };
        assert!((of(64, Sharding::None) - 120.0).abs() < 0.05);
        assert!((of(64, Sharding::Optimizer) - 31.4).abs() < 0.05);
        let plain = training_memory(10, Precision::F32, 1, Sharding::None);
        assert!((plain.total().value() - 160.0).abs() < 1e-9);
    }
}
