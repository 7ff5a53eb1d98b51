//! What a study's answer is checked against: the cached, fused model that
//! rolls out, word by word, against the plain, uncached one over whole rows;
//! and the task's own references against its rewards.

use assay_kernels::with_plain_twins;
use assay_kit::{compare, floats, merge};
use assay_schema::Verification;
use burn::tensor::{Device, Tensor};

use super::rollout::{Policy, integers};
use crate::error::MstarError;
use crate::examples::pictures;
use crate::task::Problem;

/// The relative tolerance of an answer in `f32`.
const TOLERANCE: f64 = 1e-4;

/// Words of each reply that are compared: enough for the cache to matter, few
/// enough for the plain twin.
const WORDS: usize = 5;

/// Compares the logits of the first words of the problems' reference replies,
/// read in both ways.
///
/// # Errors
/// No problem; a question that does not fit the layout; a picture of another
/// size.
pub(crate) fn check(
    policy: &Policy<'_>,
    problems: &[Problem],
) -> Result<Verification, MstarError> {
    let Policy { shape, network, layout } = *policy;
    let device = Device::flex();
    let pixels: Vec<&[f32]> =
        problems.iter().map(|problem| problem.picture.values()).collect();
    let tiles = pictures(shape, &pixels, &device)?;
    let replies: Vec<Vec<u32>> =
        problems.iter().map(Problem::response).collect();
    let shortest = replies.iter().map(Vec::len).min().unwrap_or(0);
    // A model may have been made for rows of fewer.
    let words = shortest.min(WORDS).min(layout.reply);
    let rows = problems.len();
    let mut text: Vec<i64> = Vec::new();
    for (problem, reply) in problems.iter().zip(&replies) {
        let question = layout.question(&problem.question)?;
        let all = question.iter().chain(&reply[..words]);
        text.extend(all.map(|&word| i64::from(word)));
    }
    let length = layout.prompt + words;
    let text = integers(text, [rows, length], &device);
    let seen = shape.visual(1) + layout.prompt;

    let visual = network.encode(tiles.clone());
    let question = text.clone().narrow(1, 0, layout.prompt);
    let (first, mut cache) = network.see(shape, visual, question, seen + words);
    let mut parts: Vec<Tensor<3>> = vec![first];
    for i in 0..words {
        let word = text.clone().narrow(1, layout.prompt + i, 1);
        parts.push(network.decode(word, seen + i, &mut cache));
    }
    let cached = floats(Tensor::cat(parts, 1)); // [B, 1 + words, V]
    let plain = with_plain_twins(|| {
        let visual = network.encode(tiles);
        let hidden = network.hidden(visual, text);
        let last = hidden.narrow(1, seen - 1, words + 1);
        floats(network.logits(last))
    });
    let read = compare(
        "the plain, uncached model over whole rows",
        &cached,
        &plain,
        TOLERANCE,
    );
    // Right answers have reward 1 and sound steps; their first word alone
    // has neither.
    let rewards: Vec<f32> = problems
        .iter()
        .zip(&replies)
        .flat_map(|(problem, reply)| {
            let sound = problem.sound_steps(reply).iter().all(|step| *step);
            let cut = problem.is_right(&reply[..1]);
            [problem.is_right(reply), sound, !cut]
        })
        .map(|yes| f32::from(u8::from(yes)))
        .collect();
    let right = vec![1.0; rewards.len()];
    let rewarded = compare(
        "the task's own references by exact match",
        &rewards,
        &right,
        TOLERANCE,
    );
    merge(vec![read, rewarded])
        .ok_or_else(|| MstarError::Data("nothing was compared".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::rollout::tests::{LAYOUT, some, untrained};
    use super::*;

    #[test]
    fn what_rolls_out_is_what_is_trained_and_references_are_right() {
        let (shape, network) = untrained(4);
        let policy =
            Policy { shape: &shape, network: &network, layout: LAYOUT };
        let mut problems = some(3);
        let found = check(&policy, &problems).unwrap();
        assert!(found.passed(), "{found:?}");
        assert!(found.against.contains("uncached"));
        // A wrong reference is found.
        problems[1].answer = problems[0].answer;
        let other = problems[2].chain.clone();
        problems[1].chain = other;
        problems[1].readings.clear();
        assert!(!check(&policy, &problems).unwrap().passed());
        assert!(check(&policy, &[]).is_err());
    }
}
