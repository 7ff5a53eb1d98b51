//! Which scenes are trained on, and which only judge.
//!
//! A scene's part follows from a hash of what it shows, so that no picture is
//! of two parts, whatever the seeds, and nothing has to be kept to know it:
//! half of all scenes train, a quarter are prompts whose answers are not told
//! (the paper halves MathV360K in such a way, arXiv 2412.17451), an eighth
//! each validates and tests. Jitter of position and brightness is no part of
//! the hash: a scene is in its part however it is drawn.

use assay_kit::Draws;

use super::draw::{CELLS, Canvas, SIDES};
use super::{Family, MOST_STEPS, Problem};
use crate::error::MstarError;

/// Parts of the scenes' hash range.
const SHARES: u64 = 16;

/// Scenes that are drawn before a part is given up. An eighth of all scenes is
/// of the smallest part: not one among so many is a bug, not bad luck.
const TRIES: usize = 4096;

/// What problems are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Split {
    /// Warm-up, and prompts with answers.
    Train,
    /// Prompts whose answers the loop must not see.
    Unlabelled,
    /// To choose temperatures and the like by.
    Validation,
    /// To judge by.
    Test,
}

impl Split {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::Train, Self::Unlabelled, Self::Validation, Self::Test];

    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Unlabelled => "unlabelled",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }

    /// Whether problems of a family that is not trained on may be of it.
    pub fn judges(self) -> bool {
        matches!(self, Self::Validation | Self::Test)
    }

    /// The part of a scene, by its hash.
    pub fn of(scene: u64) -> Self {
        match scene % SHARES {
            0..8 => Self::Train,
            8..12 => Self::Unlabelled,
            12..14 => Self::Validation,
            _ => Self::Test,
        }
    }
}

impl std::str::FromStr for Split {
    type Err = MstarError;

    fn from_str(text: &str) -> Result<Self, MstarError> {
        let known = Self::ALL.into_iter().find(|split| split.name() == text);
        known.ok_or_else(|| {
            let nearest =
                assay_schema::nearest(text, Self::ALL.map(Self::name));
            MstarError::Data(format!(
                "unknown split `{text}`; nearest valid: `{}`",
                nearest.unwrap_or_default()
            ))
        })
    }
}

/// Problems `first..first + count` of a split, endless and without order:
/// problem `i` is of family `families[i % len]` and takes `1 + (i / len) % 4`
/// steps, so that every family has as many of each. It depends on what is
/// given here and on `i` alone; pictures have `side` pixels a side, and show
/// the same scene at any.
///
/// # Errors
/// No families; a side that is no multiple of 8 from 16 to 64; a family that
/// is not trained on, in a split that is.
pub fn problems(
    families: &[Family],
    split: Split,
    side: usize,
    seed: u64,
    first: u64,
    count: usize,
) -> Result<Vec<Problem>, MstarError> {
    check(families, split, side)?;
    (first..)
        .take(count)
        .map(|i| {
            let family = families[(i % families.len() as u64) as usize];
            let round = i / families.len() as u64;
            let steps = 1 + (round % MOST_STEPS as u64) as usize;
            problem(family, steps, split, side, seed, i)
        })
        .collect()
}

fn check(
    families: &[Family],
    split: Split,
    side: usize,
) -> Result<(), MstarError> {
    if families.is_empty() {
        return Err(MstarError::Data(
            "found no families of problems, expected at least one".to_owned(),
        ));
    }
    let (least, most) = SIDES;
    if !(least..=most).contains(&side) || !side.is_multiple_of(CELLS) {
        return Err(MstarError::Data(format!(
            "found pictures of {side} pixels a side, expected a multiple of \
             {CELLS} from {least} to {most}"
        )));
    }
    let stranger = families.iter().find(|family| !family.in_domain());
    match stranger {
        Some(family) if !split.judges() => Err(MstarError::Data(format!(
            "`{}` is not trained on: its problems are of `{}` and `{}`, not \
             of `{}`",
            family.name(),
            Split::Validation.name(),
            Split::Test.name(),
            split.name()
        ))),
        _ => Ok(()),
    }
}

fn problem(
    family: Family,
    steps: usize,
    split: Split,
    side: usize,
    seed: u64,
    i: u64,
) -> Result<Problem, MstarError> {
    let parts = Split::ALL.len() as u64;
    let stream = i.wrapping_mul(parts).wrapping_add(split as u64);
    let mut draws = Draws::new(seed, stream);
    for _ in 0..TRIES {
        let scene = family.scene(steps, &mut draws);
        let mut key = vec![family as u8];
        key.extend(scene.key());
        let hashed = hash(&key);
        if Split::of(hashed) != split {
            continue;
        }
        let Some(asked) = scene.ask(steps, &mut draws) else {
            continue;
        };
        key.extend(asked.question.iter().flat_map(|word| word.to_le_bytes()));
        let mut canvas = Canvas::new(side, &mut draws);
        scene.paint(&mut canvas);
        return Ok(Problem {
            family,
            steps,
            picture: canvas.finish(),
            question: asked.question,
            chain: asked.chain,
            answer: asked.answer,
            readings: scene.readings(),
            scene: hashed,
            id: hash(&key),
        });
    }
    Err(MstarError::Data(format!(
        "found no problem of `{}` with {steps} step(s) for `{}` among {TRIES} \
         scenes",
        family.name(),
        split.name()
    )))
}

/// A hash that means the same on every machine and in every version: FNV-1a of
/// 64 bits, its bits mixed at the end so that any of them can be a part.
fn hash(bytes: &[u8]) -> u64 {
    let sum = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let sum = (sum ^ (sum >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    sum ^ (sum >> 33)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::task::{
        ASK, END, LONGEST_QUESTION, LONGEST_RESPONSE, Picture, Vocabulary,
        answer_of, step_ends,
    };

    fn of_split(split: Split, seed: u64, count: usize) -> Vec<Problem> {
        problems(&Family::IN_DOMAIN, split, 16, seed, 0, count).unwrap()
    }

    #[test]
    fn no_scene_and_no_question_is_of_two_splits() {
        let mut scenes: Vec<BTreeSet<u64>> = Vec::new();
        let mut ids: Vec<BTreeSet<u64>> = Vec::new();
        for split in Split::ALL {
            // Two seeds: what keeps splits apart is not the seed.
            let mut found = of_split(split, 1, 480);
            found.extend(of_split(split, 2, 480));
            assert!(found.iter().all(|p| Split::of(p.scene) == split));
            scenes.push(found.iter().map(|p| p.scene).collect());
            ids.push(found.iter().map(|p| p.id).collect());
        }
        for parts in [scenes, ids] {
            let sum: usize = parts.iter().map(BTreeSet::len).sum();
            let union: BTreeSet<u64> = parts.into_iter().flatten().collect();
            assert_eq!(union.len(), sum);
            // Problems of a split are hardly ever the same.
            assert!(sum > 4 * 960 * 8 / 10, "{sum}");
        }
    }

    #[test]
    fn the_same_scene_in_other_words_has_another_id() {
        let found = of_split(Split::Train, 1, 960);
        let ids: BTreeSet<u64> = found.iter().map(|p| p.id).collect();
        let pairs: BTreeSet<(u64, &[u32])> = found
            .iter()
            .map(|problem| (problem.scene, problem.question.as_slice()))
            .collect();
        assert_eq!(ids.len(), pairs.len());
    }

    #[test]
    fn a_problem_depends_on_its_number_alone() {
        let early = of_split(Split::Test, 3, 40);
        let late =
            problems(&Family::IN_DOMAIN, Split::Test, 16, 3, 30, 10).unwrap();
        assert_eq!(early[30..], late);
        assert_ne!(of_split(Split::Test, 4, 40), early);
        let large =
            problems(&Family::IN_DOMAIN, Split::Test, 64, 3, 0, 40).unwrap();
        for (small, large) in early.iter().zip(&large) {
            assert_eq!(small.id, large.id);
            assert_eq!(small.response(), large.response());
            assert_eq!(large.picture.values().len(), 3 * 64 * 64);
        }
    }

    #[test]
    fn families_and_steps_are_equally_many() {
        let all =
            problems(&Family::ALL, Split::Test, 16, 5, 0, 20 * 5).unwrap();
        for family in Family::ALL {
            for steps in 1..=MOST_STEPS {
                let is = |p: &&Problem| p.family == family && p.steps == steps;
                assert_eq!(all.iter().filter(is).count(), 5);
            }
        }
    }

    #[test]
    fn references_are_right_sound_and_within_the_lengths() {
        let all = problems(&Family::ALL, Split::Test, 16, 7, 0, 2000).unwrap();
        let mut longest = (0, 0);
        for problem in &all {
            let response = problem.response();
            assert_eq!(problem.chain.len(), problem.steps);
            assert_eq!(response.last(), Some(&END));
            assert_eq!(answer_of(&response), Some(problem.answer));
            assert!(problem.is_right(&response));
            assert_eq!(step_ends(&response).len(), problem.steps + 1);
            let sound = problem.sound_steps(&response);
            assert!(
                sound.iter().all(|&is| is),
                "{} {}",
                Vocabulary::decode(&problem.question),
                Vocabulary::decode(&response)
            );
            let cut = &response[..response.len() - 1];
            assert!(!problem.is_right(cut));
            let question = &problem.question;
            assert_eq!(question.last(), Some(&ASK));
            longest.0 = longest.0.max(question.len());
            longest.1 = longest.1.max(response.len());
            let words = question.iter().chain(&response);
            assert!(words.copied().all(|w| Vocabulary::word(w).is_some()));
        }
        assert_eq!(longest, (LONGEST_QUESTION, LONGEST_RESPONSE));
    }

    #[test]
    fn a_blanked_problem_is_the_same_without_its_picture() {
        let problem = of_split(Split::Test, 1, 1).remove(0);
        let blanked = problem.blanked();
        assert_eq!(blanked.picture, Picture::blank(16));
        assert_ne!(blanked.picture, problem.picture);
        let picture = problem.picture.clone();
        assert_eq!(Problem { picture, ..blanked }, problem);
    }

    #[test]
    fn what_cannot_be_had_is_said() {
        let why = |families: &[Family], split, side| {
            let found = problems(families, split, side, 1, 0, 1);
            found.unwrap_err().to_string()
        };
        let bars = [Family::Bars];
        assert!(why(&[], Split::Train, 32).contains("no families"));
        assert!(why(&bars, Split::Train, 30).contains("30 pixels"));
        assert!(why(&bars, Split::Train, 8).contains("from 16 to 64"));
        assert!(why(&bars, Split::Train, 72).contains("multiple of 8"));
        let why = why(&Family::ALL, Split::Unlabelled, 32);
        assert!(why.contains("`lines` is not trained on"), "{why}");
        assert!("tset".parse::<Split>().is_err());
        assert_eq!("test".parse::<Split>().unwrap(), Split::Test);
        let none = problems(&bars, Split::Train, 32, 1, 0, 0).unwrap();
        assert!(none.is_empty());
    }

    #[test]
    fn parts_have_their_shares() {
        let mut counts = [0_u32; 4];
        for number in 0..16_000_u32 {
            counts[Split::of(hash(&number.to_le_bytes())) as usize] += 1;
        }
        for (count, wanted) in counts.into_iter().zip([8, 4, 2, 2]) {
            // Of 16,000: deviations are below 64.
            assert!(count.abs_diff(wanted * 1000) < 320, "{counts:?}");
        }
    }
}
