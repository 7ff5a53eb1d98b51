//! A task that needs both eyes and steps: seeded pictures, questions of one
//! to four steps, reference chains of thought, and answers that can be
//! checked.
//!
//! It stands for the mathematical questions about pictures on which M-STaR
//! (arXiv 2412.17451) trains and judges, at a size that two cores can train.
//! Three families are trained on ([`Family::IN_DOMAIN`]), two only judge.
//! `words` is the vocabulary, `chain` what is asked and how an answer is read,
//! `charts`, `geometry`, `counting` and `tables` the scenes, `draw` their
//! pictures, `split` which scenes train, and `baseline` what can be answered
//! without looking.
//!
//! One row of training is the picture's visual tokens, the question and the
//! response:
//!
//! ```text
//! height red + blue - 2 ?
//! red 5 ; blue 3 ; 5 + 3 = 8 ; 8 - 2 = 6 ; answer 6 <end>
//! ```
//!
//! Not here: models, batches, files.

mod baseline;
mod chain;
mod charts;
mod counting;
mod draw;
mod geometry;
mod split;
mod tables;
mod words;

use assay_kit::Draws;

use crate::error::MstarError;

pub use baseline::MostFrequent;
pub use chain::{
    Answer, LONGEST_QUESTION, LONGEST_RESPONSE, MOST_STEPS, answer_of,
    step_ends, until_end,
};
pub use draw::Picture;
pub use split::{Split, problems};
pub use words::{ANSWER, ASK, END, PAD, STEP, Vocabulary};

use chain::{Asked, Reading};
use charts::{Chart, Style};
use counting::Items;
use draw::Canvas;
use geometry::Geometry;
use tables::Table;

/// What a picture shows, before it is drawn.
trait Scene {
    /// Bytes that two scenes of a family share only when they are the same.
    fn key(&self) -> Vec<u8>;

    /// Everything that can be read off the picture.
    fn readings(&self) -> Vec<Reading>;

    /// A question of so many steps; none when there is none.
    fn ask(&self, steps: usize, draws: &mut Draws) -> Option<Asked>;

    /// The scene upon the background.
    fn paint(&self, canvas: &mut Canvas);
}

/// A kind of pictures and of questions about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Bar charts.
    Bars,
    /// Rectangles with marked sides, and angles on a straight line.
    Geometry,
    /// Shapes to be counted.
    Counting,
    /// Line charts: not trained on.
    Lines,
    /// Tables whose cells hold dots: not trained on.
    Tables,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Bars, Self::Geometry, Self::Counting, Self::Lines, Self::Tables];

    /// What is trained on.
    pub const IN_DOMAIN: [Self; 3] =
        [Self::Bars, Self::Geometry, Self::Counting];

    /// What only judges.
    pub const OUT_OF_DOMAIN: [Self; 2] = [Self::Lines, Self::Tables];

    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bars => "bars",
            Self::Geometry => "geometry",
            Self::Counting => "counting",
            Self::Lines => "lines",
            Self::Tables => "tables",
        }
    }

    /// Whether it is trained on.
    pub fn in_domain(self) -> bool {
        Self::IN_DOMAIN.contains(&self)
    }

    /// One of its scenes, fit for a question of so many steps.
    fn scene(self, steps: usize, draws: &mut Draws) -> Box<dyn Scene> {
        match self {
            Self::Bars => Box::new(Chart::new(Style::Bars, draws)),
            Self::Geometry => Box::new(Geometry::new(steps, draws)),
            Self::Counting => Box::new(Items::new(draws)),
            Self::Lines => Box::new(Chart::new(Style::Line, draws)),
            Self::Tables => Box::new(Table::new(draws)),
        }
    }
}

impl std::str::FromStr for Family {
    type Err = MstarError;

    fn from_str(text: &str) -> Result<Self, MstarError> {
        let known = Self::ALL.into_iter().find(|family| family.name() == text);
        known.ok_or_else(|| {
            let nearest =
                assay_schema::nearest(text, Self::ALL.map(Self::name));
            MstarError::Data(format!(
                "unknown family `{text}`; nearest valid: `{}`",
                nearest.unwrap_or_default()
            ))
        })
    }
}

/// A picture, a question about it, and how it is answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// Of which kind.
    pub family: Family,
    /// Steps of the reference chain: 1 to [`MOST_STEPS`].
    pub steps: usize,
    /// What is shown.
    pub picture: Picture,
    /// What is asked, its `?` included.
    pub question: Vec<u32>,
    /// The reference chain of thought, one a step, without separators.
    pub chain: Vec<Vec<u32>>,
    /// The right answer.
    pub answer: Answer,
    /// What can be read off the picture: words and their values.
    pub readings: Vec<(u32, u16)>,
    /// Hash of the scene, by which it is of its [`Split`].
    pub scene: u64,
    /// Hash of the scene and the question.
    pub id: u64,
}

impl Problem {
    /// The reference response: each step and its `;`, `answer`, the answer,
    /// `<end>`.
    pub fn response(&self) -> Vec<u32> {
        let mut response = Vec::with_capacity(LONGEST_RESPONSE);
        for step in &self.chain {
            response.extend_from_slice(step);
            response.push(STEP);
        }
        response.extend(self.answer_alone());
        response
    }

    /// The response without a step: `answer`, the answer, `<end>`.
    pub fn answer_alone(&self) -> Vec<u32> {
        let mut response = vec![ANSWER];
        response.extend(self.answer.tokens());
        response.push(END);
        response
    }

    /// The same without anything to see.
    pub fn blanked(&self) -> Self {
        let picture = Picture::blank(self.picture.side());
        Self { picture, ..self.clone() }
    }

    /// The exact-match reward of section 2.2: whether a response ends in the
    /// right answer. One that never ends does not.
    pub fn is_right(&self, response: &[u32]) -> bool {
        answer_of(response) == Some(self.answer)
    }

    /// Whether each step of a response is true, one for each of its
    /// [`step_ends`]: a value of the picture, a right computation, the right
    /// answer. What a process reward model is to find out.
    pub fn sound_steps(&self, response: &[u32]) -> Vec<bool> {
        chain::sound(response, &self.readings, self.answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_in_or_out_and_are_read_by_their_names() {
        for family in Family::ALL {
            let out = Family::OUT_OF_DOMAIN.contains(&family);
            assert_ne!(family.in_domain(), out);
            assert_eq!(family.name().parse::<Family>().unwrap(), family);
        }
        let error = "bar".parse::<Family>().unwrap_err().to_string();
        assert!(error.contains("nearest valid: `bars`"), "{error}");
    }

    #[test]
    fn a_wrong_step_may_still_end_in_the_right_answer() {
        let picture = Picture::blank(16);
        let tokens = |text: &str| Vocabulary::encode(text).unwrap();
        let problem = Problem {
            family: Family::Bars,
            steps: 3,
            picture,
            question: tokens("height red + blue ?"),
            chain: ["red 5", "blue 3", "5 + 3 = 8"].map(tokens).to_vec(),
            answer: Answer::Number(8),
            readings: vec![(19, 5), (21, 3)],
            scene: 0,
            id: 0,
        };
        let text = "red 5 ; blue 3 ; 5 + 3 = 8 ; answer 8 <end>";
        assert_eq!(problem.response(), tokens(text));
        assert_eq!(problem.answer_alone(), tokens("answer 8 <end>"));
        let lucky = tokens("red 4 ; blue 4 ; 4 + 4 = 8 ; answer 8 <end>");
        assert!(problem.is_right(&lucky));
        assert_eq!(problem.sound_steps(&lucky), [false, false, true, true]);
        assert!(!problem.is_right(&tokens("answer 9 <end>")));
        assert!(!problem.is_right(&[]));
        assert!(problem.sound_steps(&[]).is_empty());
    }
}
