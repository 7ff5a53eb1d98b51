//! Batched rollouts: one reading of each prompt, its cache once for each of
//! its rollouts, then a word at a time for all rows together.
//!
//! Rows of a batch have prefixes of one length, so that all stand at the same
//! position; starts are sorted by it. A row draws from a stream of its own,
//! which names its prompt and its place there: what is drawn depends on no
//! other row. A rollout that does not end within the layout's reply is cut,
//! and has no answer.

use std::collections::BTreeMap;
use std::time::Instant;

use assay_kit::{Draws, floats};
use assay_slm::Cache;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::config::Model;
use crate::error::MstarError;
use crate::examples::{Layout, pictures};
use crate::model::VisionLanguage;
use crate::task::{END, Problem};

/// A model that answers, on the device without gradients.
#[derive(Clone, Copy)]
pub(crate) struct Policy<'a> {
    /// Its shape.
    pub(crate) shape: &'a Model,
    /// Its weights.
    pub(crate) network: &'a VisionLanguage,
    /// How its rows are laid out.
    pub(crate) layout: Layout,
}

/// Where a rollout starts.
#[derive(Clone, Copy)]
pub(crate) struct Start<'a> {
    /// What is asked.
    pub(crate) problem: &'a Problem,
    /// What of the response is written already.
    pub(crate) prefix: &'a [u32],
    /// The stream that it draws from.
    pub(crate) stream: u64,
}

/// How words are drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sampling {
    /// Above 0; none: always the likeliest word.
    pub(crate) temperature: Option<f64>,
    /// Rows at once.
    pub(crate) rows: usize,
    /// Seed of all streams.
    pub(crate) seed: u64,
    /// Whether `<end>` is never drawn, so that every rollout is as long as it
    /// may be: the same work each time.
    pub(crate) endless: bool,
}

/// What rollouts cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    /// Prompts read.
    pub(crate) prompts: u64,
    /// Tokens read, visual ones included.
    pub(crate) read: u64,
    /// Words drawn.
    pub(crate) drawn: u64,
    /// Words drawn from decode steps: all but the first of each rollout.
    pub(crate) decoded: u64,
    /// Seconds of reading: pictures, prompts.
    pub(crate) prefill: f64,
    /// Seconds of drawing.
    pub(crate) decode: f64,
}

/// A row of a batch.
struct Row {
    /// Its place among all starts.
    place: usize,
    draws: Draws,
    last: u32,
    done: bool,
}

/// The starts of `count` rollouts of each prompt, from nothing.
pub(crate) fn fresh(problems: &[Problem], count: usize) -> Vec<Start<'_>> {
    problems
        .iter()
        .enumerate()
        .flat_map(|(i, problem)| {
            (0..count).map(move |k| Start {
                problem,
                prefix: &[],
                stream: (i * count + k) as u64,
            })
        })
        .collect()
}

/// One response for each start, in order, its prefix included; it ends in
/// `<end>`, or is as long as the layout lets it be.
///
/// # Errors
/// A question that does not fit the layout, a picture of another size, logits
/// that are no numbers.
pub(crate) fn roll(
    policy: &Policy<'_>,
    starts: &[Start<'_>],
    sampling: &Sampling,
    tally: &mut Tally,
) -> Result<Vec<Vec<u32>>, MstarError> {
    let mut responses: Vec<Vec<u32>> =
        starts.iter().map(|start| start.prefix.to_vec()).collect();
    let mut by_length: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (place, start) in starts.iter().enumerate() {
        let length = start.prefix.len();
        // What has ended, or fills the reply, is all that there will be.
        let ended = start.prefix.last() == Some(&END);
        if !ended && length < policy.layout.reply {
            by_length.entry(length).or_default().push(place);
        }
    }
    for places in by_length.values() {
        for some in places.chunks(sampling.rows.max(1)) {
            batch(policy, starts, some, sampling, &mut responses, tally)?;
        }
    }
    Ok(responses)
}

/// Prompts read, ready to be gone on from.
struct Prompts {
    /// Logits of the first words, a row a prompt.
    first: Vec<f32>,
    cache: Cache,
    /// Tokens in the cache.
    seen: usize,
}

fn batch(
    policy: &Policy<'_>,
    starts: &[Start<'_>],
    places: &[usize],
    sampling: &Sampling,
    responses: &mut [Vec<u32>],
    tally: &mut Tally,
) -> Result<(), MstarError> {
    let began = Instant::now();
    // Neighbours with the same prompt and prefix share one reading.
    let mut reads: Vec<Start<'_>> = Vec::new();
    let mut read_of = Vec::with_capacity(places.len());
    for &place in places {
        let start = starts[place];
        let known = reads.last().is_some_and(|last| {
            std::ptr::eq(last.problem, start.problem)
                && last.prefix == start.prefix
        });
        if !known {
            reads.push(start);
        }
        read_of.push(reads.len() - 1);
    }
    let Prompts { first, cache, seen } = read(policy, &reads)?;
    let mut cache = if reads.len() == places.len() {
        cache
    } else {
        cache.select(&read_of)
    };
    tally.prompts += reads.len() as u64;
    tally.read += (reads.len() * seen) as u64;
    tally.prefill += began.elapsed().as_secs_f64();

    let began = Instant::now();
    let device = Device::flex();
    let vocab = policy.shape.language.vocab;
    let mut rows: Vec<Row> = Vec::with_capacity(places.len());
    for (&place, &read) in places.iter().zip(&read_of) {
        let draws = Draws::new(sampling.seed, starts[place].stream);
        let mut row = Row { place, draws, last: 0, done: false };
        let logits = &first[read * vocab..][..vocab];
        let response = &mut responses[place];
        row.take(logits, sampling, policy.layout.reply, response)?;
        tally.drawn += 1;
        rows.push(row);
    }
    let mut at = seen;
    loop {
        let going: Vec<usize> =
            (0..rows.len()).filter(|&i| !rows[i].done).collect();
        if going.is_empty() {
            break;
        }
        // Rows that ended stay until half of them have: to copy the cache of
        // the others costs as much as a few steps of all.
        if 2 * going.len() <= rows.len() {
            cache = cache.select(&going);
            rows.retain(|row| !row.done);
        }
        let last: Vec<i64> =
            rows.iter().map(|row| i64::from(row.last)).collect();
        let words = integers(last, [rows.len(), 1], &device);
        let logits = floats(policy.network.decode(words, at, &mut cache));
        at += 1;
        for (row, logits) in rows.iter_mut().zip(logits.chunks(vocab)) {
            if !row.done {
                let response = &mut responses[row.place];
                row.take(logits, sampling, policy.layout.reply, response)?;
                tally.drawn += 1;
                tally.decoded += 1;
            }
        }
    }
    tally.decode += began.elapsed().as_secs_f64();
    Ok(())
}

/// Reads prompts with prefixes of one length.
fn read(
    policy: &Policy<'_>,
    reads: &[Start<'_>],
) -> Result<Prompts, MstarError> {
    let Policy { shape, network, layout } = *policy;
    let pixels: Vec<&[f32]> =
        reads.iter().map(|start| start.problem.picture.values()).collect();
    let device = Device::flex();
    let tiles = pictures(shape, &pixels, &device)?;
    let visual = network.encode(tiles); // [P, t, D]
    let mut text: Vec<i64> = Vec::new();
    for start in reads {
        let question = layout.question(&start.problem.question)?;
        let words = question.iter().chain(start.prefix);
        text.extend(words.map(|&word| i64::from(word)));
    }
    let length = text.len() / reads.len().max(1);
    let seen = shape.visual(1) + length;
    let text = integers(text, [reads.len(), length], &device);
    let capacity = layout.longest(shape, 1);
    let (first, cache) = network.see(shape, visual, text, capacity);
    Ok(Prompts { first: floats(first), cache, seen })
}

/// Token ids as a tensor.
pub(super) fn integers(
    ids: Vec<i64>,
    shape: [usize; 2],
    device: &Device,
) -> Tensor<2, Int> {
    Tensor::from_data(TensorData::new(ids, shape), device)
}

impl Row {
    /// Draws the row's next word.
    fn take(
        &mut self,
        logits: &[f32],
        sampling: &Sampling,
        longest: usize,
        response: &mut Vec<u32>,
    ) -> Result<(), MstarError> {
        let word = pick(logits, sampling, &mut self.draws)?;
        response.push(word);
        self.last = word;
        self.done = word == END || response.len() >= longest;
        Ok(())
    }
}

/// A word by its logits: with probability in proportion to
/// `exp(logit / temperature)`, or the first of the likeliest.
fn pick(
    logits: &[f32],
    sampling: &Sampling,
    draws: &mut Draws,
) -> Result<u32, MstarError> {
    if logits.iter().any(|logit| !logit.is_finite()) {
        return Err(MstarError::NotFinite {
            what: "the logit of a word to be drawn".to_owned(),
        });
    }
    let endless = sampling.endless;
    let words = || {
        let all = (0_u32..).zip(logits.iter().copied());
        all.filter(move |(word, _)| !(endless && *word == END))
    };
    // Of equal ones the first.
    let best = words().reduce(
        |best, other| {
            if other.1 > best.1 { other } else { best }
        },
    );
    let Some((best, most)) = best else {
        return Err(MstarError::Shape(
            "no word to be drawn: expected a logit for each".to_owned(),
        ));
    };
    let Some(temperature) = sampling.temperature else { return Ok(best) };
    let weight = |logit: f32| (f64::from(logit - most) / temperature).exp();
    // Each word is weighed once: an exponential takes longer than all else.
    let weights: Vec<f64> = words().map(|(_, logit)| weight(logit)).collect();
    let mut left = draws.unit() * weights.iter().sum::<f64>();
    for ((word, _), weight) in words().zip(weights) {
        left -= weight;
        if left < 0.0 {
            return Ok(word);
        }
    }
    // Rounding left a little over.
    Ok(best)
}

#[cfg(test)]
pub(super) mod tests {
    use assay_kernels::with_plain_twins;
    use assay_kit::Parameters;

    use super::*;
    use crate::config::model;
    use crate::task::{Family, PAD, Split, problems};

    /// An untrained model with room for short replies.
    pub(in super::super) fn untrained(seed: u64) -> (Model, VisionLanguage) {
        let shape = model("tiny").unwrap();
        let mut parameters = Parameters::random(&Device::flex(), seed);
        let network = VisionLanguage::new(&mut parameters, &shape, 40);
        (shape, network)
    }

    pub(in super::super) fn some(count: usize) -> Vec<Problem> {
        let families = &Family::IN_DOMAIN;
        problems(families, Split::Train, 32, 1, 0, count).unwrap()
    }

    pub(in super::super) const LAYOUT: Layout =
        Layout { prompt: 7, reply: 9, padding: PAD };

    #[test]
    fn a_rollout_is_what_the_uncached_model_says_word_for_word() {
        let (shape, network) = untrained(5);
        let policy =
            Policy { shape: &shape, network: &network, layout: LAYOUT };
        let problems = some(3);
        let sampling =
            Sampling { temperature: None, rows: 2, seed: 1, endless: false };
        let mut tally = Tally::default();
        let starts = fresh(&problems, 1);
        let found = roll(&policy, &starts, &sampling, &mut tally).unwrap();
        for (problem, found) in problems.iter().zip(&found) {
            let pixels = problem.picture.values();
            let tiles = pictures(&shape, &[pixels], &Device::flex()).unwrap();
            let mut text = LAYOUT.question(&problem.question).unwrap();
            text.extend(found);
            let ids: Vec<i64> = text.iter().map(|&w| i64::from(w)).collect();
            let length = ids.len();
            let logits = with_plain_twins(|| {
                let visual = network.encode(tiles);
                let ids = integers(ids, [1, length], &Device::flex());
                floats(network.logits(network.hidden(visual, ids)))
            });
            for (i, &word) in found.iter().enumerate() {
                let at = shape.visual(1) + LAYOUT.prompt + i - 1;
                let row = &logits[at * 40..][..40];
                let most = row.iter().copied().fold(f32::MIN, f32::max);
                assert!(row[word as usize] > most - 1e-4);
            }
        }
        let words: usize = found.iter().map(Vec::len).sum();
        assert_eq!(tally.drawn, words as u64);
        assert_eq!(tally.decoded, words as u64 - 3);
        assert_eq!((tally.prompts, tally.read), (3, 3 * (16 + 7)));
    }

    #[test]
    fn draws_depend_on_no_other_row_and_end_in_time() {
        let (shape, network) = untrained(6);
        let policy =
            Policy { shape: &shape, network: &network, layout: LAYOUT };
        let problems = some(4);
        let rolled = |rows: usize, starts: &[Start<'_>]| {
            let sampling = Sampling {
                temperature: Some(1.0),
                rows,
                seed: 3,
                endless: false,
            };
            roll(&policy, starts, &sampling, &mut Tally::default()).unwrap()
        };
        let starts = fresh(&problems, 3);
        let all = rolled(64, &starts);
        assert_eq!(all, rolled(5, &starts));
        assert_eq!(all[4..6], rolled(64, &starts[4..6]));
        for response in &all {
            let end = response.iter().position(|&word| word == END);
            let length = end.map_or(LAYOUT.reply, |end| end + 1);
            assert_eq!(response.len(), length);
        }
        // Rollouts of one prompt differ.
        assert!(all[0] != all[1] || all[1] != all[2]);
    }

    #[test]
    fn a_prefix_is_gone_on_from_and_a_full_one_is_left() {
        let (shape, network) = untrained(7);
        let policy =
            Policy { shape: &shape, network: &network, layout: LAYOUT };
        let problems = some(1);
        let start = |prefix| Start { problem: &problems[0], prefix, stream: 0 };
        let sampling =
            Sampling { temperature: None, rows: 8, seed: 1, endless: false };
        let rolled = |starts: &[Start<'_>]| {
            roll(&policy, starts, &sampling, &mut Tally::default()).unwrap()
        };
        let whole = rolled(&[start(&[])]).remove(0);
        let (full, ended) = ([20; 9], [4, 6, END]);
        let found = rolled(&[
            start(&full),
            start(&whole[..1]),
            start(&ended),
            start(&[]),
        ]);
        let right =
            [full.to_vec(), whole.clone(), ended.to_vec(), whole.clone()];
        assert_eq!(found, right);
    }

    #[test]
    fn words_are_drawn_as_often_as_the_temperature_says() {
        let sampling = |temperature: Option<f64>, endless: bool| Sampling {
            temperature,
            rows: 1,
            seed: 1,
            endless,
        };
        let logits = [0.0, 2.0_f32.ln(), f32::MIN / 2.0];
        let mut draws = Draws::new(1, 0);
        for (temperature, share) in [(1.0, 2.0 / 3.0), (0.5, 0.8)] {
            let mut counts = [0_u32; 3];
            let sampling = sampling(Some(temperature), false);
            for _ in 0..4000 {
                let word = pick(&logits, &sampling, &mut draws).unwrap();
                counts[word as usize] += 1;
            }
            let found = f64::from(counts[1]) / 4000.0;
            // Four deviations of a share of two thirds among 4,000.
            assert!((found - share).abs() < 0.03, "{found} {share}");
            assert_eq!(counts[2], 0);
        }
        let greedy = sampling(None, false);
        let first = pick(&[1.0, 3.0, 3.0], &greedy, &mut draws);
        assert_eq!(first.unwrap(), 1);
        // Word 1 is the end.
        let endless = sampling(None, true);
        let other = pick(&[1.0, 3.0, 2.0], &endless, &mut draws);
        assert_eq!(other.unwrap(), 2);
        for bad in [&[f32::NAN, 1.0][..], &[f32::INFINITY], &[]] {
            assert!(pick(bad, &greedy, &mut draws).is_err());
        }
    }
}
