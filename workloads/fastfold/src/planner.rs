//! Which parts work in chunks of how many rows, so that the peak of memory
//! stays under a limit: what the paper calls AutoChunk.
//!
//! The planner traces the forward, finds the part at the peak, halves that
//! part's chunk, and traces again until the peak is under the limit. So only
//! what stands in the way is chunked, and no further than it must be. A trace
//! computes nothing, and one of a plan runs the first two chunks of each loop
//! and the first two blocks of each stack alone: all others live in the same
//! memory.

use assay_trace::{Graph, MemoryProfile, memory};

use crate::pass::{Chunks, Part};
use crate::trace::trace_sampled;
use crate::{FastFoldError, Request};

/// The chunks with which a case keeps to its memory limit; none without one.
///
/// # Errors
/// No chunking meets the limit: the least peak that was found.
pub fn plan(request: &Request) -> Result<Chunks, FastFoldError> {
    let Some(limit) = request.limit else { return Ok(Chunks::default()) };
    let mut chunks = Chunks::default();
    loop {
        let graph = trace_sampled(request, chunks)?;
        let profile = memory(&graph, request.precision);
        if profile.peak.total().0 <= limit as f64 {
            return Ok(chunks);
        }
        let at = module_at_peak(&graph, &profile);
        let shorter = part_of(at).and_then(|part| {
            let rows = chunks.of(part).unwrap_or_else(|| rows(request, part));
            (rows > 1).then(|| chunks.with(part, rows.div_ceil(2)))
        });
        chunks = shorter.ok_or_else(|| FastFoldError::Limit {
            sequences: request.sequences,
            residues: request.residues,
            limit,
            least: profile.peak.total().0 as u64,
            weights: profile.peak.weights_bytes.0 as u64,
            peak_at: at.to_owned(),
        })?;
    }
}

fn module_at_peak<'a>(graph: &'a Graph, profile: &MemoryProfile) -> &'a str {
    profile
        .peak_operator
        .map_or("", |peak| graph.modules[graph.operators[peak].module].as_str())
}

/// Modules outside of a block that take pairs as its transition does.
const AS_TRANSITION: [&str; 2] = ["recycling_embedder", "templates"];

/// The part that a module of the trace belongs to: `evoformer.0.tri_mul_out`.
fn part_of(module: &str) -> Option<Part> {
    let is = |name: &str| module.split('.').any(|word| word.starts_with(name));
    let found = Part::ALL.into_iter().find(|(_, name)| is(name));
    let outside = AS_TRANSITION.into_iter().any(is);
    found.map(|(part, _)| part).or(outside.then_some(Part::PairTransition))
}

/// Rows that a part's chunks share out.
fn rows(request: &Request, part: Part) -> usize {
    match part {
        Part::MsaRow | Part::MsaTransition => {
            request.sequences.max(request.extra)
        }
        Part::OuterProduct => {
            request.residues.max(request.sequences).max(request.extra)
        }
        Part::MsaColumn
        | Part::TriangleMultiplication
        | Part::TriangleAttention
        | Part::PairTransition => request.residues,
    }
}

#[cfg(test)]
mod tests {
    use assay_trace::memory;

    use super::*;
    use crate::trace::trace_with;

    fn request(axes: &str) -> Request {
        let text = format!("fastfold/initial-training/{axes}");
        Request::new(&text.parse().unwrap()).unwrap()
    }

    fn peak(request: &Request, chunks: Chunks) -> f64 {
        let graph = trace_with(request, chunks).unwrap();
        memory(&graph, request.precision).peak.total().0
    }

    #[test]
    fn a_plan_keeps_to_its_limit_in_the_whole_trace() {
        // The second is at its peak in the pairs of the extra stack, while its
        // MSA waits for the next block.
        for axes in [
            "trunk sequences=32 residues=128 blocks=3",
            "trunk sequences=4 residues=64 blocks=1 extra=160",
        ] {
            let free = request(axes);
            let without = peak(&free, Chunks::default());
            for share in [0.9, 0.75] {
                let limit = (share * without) as u64;
                let planned = Request { limit: Some(limit), ..free.clone() };
                let chunks = plan(&planned).unwrap();
                assert_ne!(chunks, Chunks::default());
                let held = peak(&planned, chunks);
                assert!(held <= limit as f64, "{axes} {share} {held}");
            }
        }
    }

    #[test]
    fn what_takes_pairs_outside_of_a_block_is_chunked_as_a_transition() {
        for (module, part) in [
            ("recycling_embedder", Some(Part::PairTransition)),
            ("templates", Some(Part::PairTransition)),
            ("templates.blocks.0.tri_att_end", Some(Part::TriangleAttention)),
            ("evoformer.3.tri_mul_out", Some(Part::TriangleMultiplication)),
            ("input_embedder", None),
        ] {
            assert_eq!(part_of(module), part, "{module}");
        }
    }

    #[test]
    fn without_need_nothing_is_chunked() {
        let roomy =
            request("trunk sequences=8 residues=16 memory_limit=10000000000");
        assert_eq!(plan(&roomy).unwrap(), Chunks::default());
    }

    #[test]
    fn a_limit_below_the_weights_is_refused_before_anything_starts() {
        let error = plan(&request("trunk residues=64 memory_limit=1000000"));
        let message = error.unwrap_err().to_string();
        assert!(message.contains("no chunking"), "{message}");
        assert!(message.contains("weights"), "{message}");
    }
}
