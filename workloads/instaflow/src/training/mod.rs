//! The recipe of InstaFlow, really trained at CPU size.
//!
//! In the order in which a study runs: `autoencoder.rs` makes latents,
//! `flow.rs` the 1-flow (a rectified flow on data, with its text encoder),
//! `pairs.rs` has a teacher draw (caption, noise, latent) triplets,
//! `reflow.rs` straightens the flow on them, `distill.rs` makes one step of
//! it, `progressive.rs` is the rival that halves the steps. `fit.rs` is the
//! one loop that they share, `average.rs` its averaged weights, `draws.rs` the
//! random numbers, `words.rs` captions as tokens and as states. What survives
//! a kill are the kit's [`StudyFiles`](assay_kit::StudyFiles).
//!
//! What differs from the paper, beside the size: learning rates are those of
//! a small network; the averages' memory is shorter; pairs come from Heun's
//! method, not from DPM-Solver; the perceptual loss keeps a share of L2 (see
//! `distill.rs`). Budgets follow the paper's study on SD 1.4 (facts,
//! section 2): direct distillation has the steps and pairs of reflow and
//! distillation together.

mod autoencoder;
mod average;
mod distill;
mod draws;
mod fit;
mod flow;
mod generate;
mod pairs;
mod progressive;
mod reflow;
mod words;

pub(crate) use autoencoder::{Latents, train_autoencoder};
pub(crate) use distill::{Critic, Lessons, distill};
pub(crate) use draws::Draws;
pub(crate) use fit::{Course, Fitted};
pub(crate) use flow::{FlowModel, Pool, train_flow};
pub(crate) use generate::{Drawing, generate, guided_velocity, one_by_one};
pub(crate) use pairs::{Pairs, Teaching};
pub(crate) use progressive::{Halving, halve};
pub(crate) use reflow::reflow;
pub(crate) use words::{TextStates, Words};

use crate::request::Methods;
use progressive::TEACHER_STEPS;

/// One stage of a study: one training, or one set of pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// The VAE.
    Autoencoder,
    /// Rectified flow on data.
    Flow,
    /// Triplets of the 1-flow.
    Pairs,
    /// The 2-flow.
    Reflow,
    /// Triplets of the 2-flow.
    PairsOfTwo,
    /// One step of the 2-flow.
    DistillTwo,
    /// One step of the 1-flow, without reflow.
    DistillDirect,
    /// A student of so many steps.
    Progressive(Student),
    /// The 3-flow.
    ReflowAgain,
    /// Triplets of the 3-flow.
    PairsOfThree,
    /// One step of the 3-flow.
    DistillThree,
    /// One step of the 2-flow, by the stacked network.
    DistillStacked,
}

/// The students of progressive distillation, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Student {
    /// 8 steps.
    Eight,
    /// 4 steps.
    Four,
    /// 2 steps.
    Two,
    /// 1 step.
    One,
}

impl Student {
    /// All, in the order in which they are trained.
    pub(crate) const ALL: [Self; 4] =
        [Self::Eight, Self::Four, Self::Two, Self::One];

    /// Its steps.
    pub(crate) fn steps(self) -> usize {
        match self {
            Self::Eight => TEACHER_STEPS / 2,
            Self::Four => 4,
            Self::Two => 2,
            Self::One => 1,
        }
    }

    /// Who teaches it; `None`: the 1-flow.
    pub(crate) fn teacher(self) -> Option<Self> {
        match self {
            Self::Eight => None,
            Self::Four => Some(Self::Eight),
            Self::Two => Some(Self::Four),
            Self::One => Some(Self::Two),
        }
    }
}

impl Stage {
    /// The stages that methods need, in order.
    pub(crate) fn of(methods: Methods) -> Vec<Self> {
        let mut stages = vec![
            Self::Autoencoder,
            Self::Flow,
            Self::Pairs,
            Self::Reflow,
            Self::PairsOfTwo,
            Self::DistillTwo,
            Self::DistillDirect,
        ];
        stages.extend(Student::ALL.map(Self::Progressive));
        if methods == Methods::All {
            stages.extend([
                Self::ReflowAgain,
                Self::PairsOfThree,
                Self::DistillThree,
                Self::DistillStacked,
            ]);
        }
        stages
    }

    /// Its name: of its file, its part of the time, its random numbers.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Autoencoder => "autoencoder",
            Self::Flow => "1-flow",
            Self::Pairs => "pairs",
            Self::Reflow => "reflow",
            Self::PairsOfTwo => "pairs-of-2-flow",
            Self::DistillTwo => "distill-2-flow",
            Self::DistillDirect => "distill-direct",
            Self::Progressive(Student::Eight) => "progressive-8",
            Self::Progressive(Student::Four) => "progressive-4",
            Self::Progressive(Student::Two) => "progressive-2",
            Self::Progressive(Student::One) => "progressive-1",
            Self::ReflowAgain => "reflow-2",
            Self::PairsOfThree => "pairs-of-3-flow",
            Self::DistillThree => "distill-3-flow",
            Self::DistillStacked => "distill-stacked",
        }
    }

    /// The method that it ends in, as the record names it; pairs are none.
    pub(crate) fn method(self) -> Option<&'static str> {
        match self {
            Self::Autoencoder => Some("autoencoder"),
            Self::Flow => Some("1-flow"),
            Self::Reflow => Some("2-flow"),
            Self::DistillTwo => Some("2-flow-distilled"),
            Self::DistillDirect => Some("direct"),
            Self::Progressive(_) => Some("progressive"),
            Self::ReflowAgain => Some("3-flow"),
            Self::DistillThree => Some("3-flow-distilled"),
            Self::DistillStacked => Some("stacked"),
            Self::Pairs | Self::PairsOfTwo | Self::PairsOfThree => None,
        }
    }

    /// The numbers of steps that its method is judged at.
    pub(crate) fn judged_at(self) -> &'static [usize] {
        match self {
            // 16: as many as the teacher of progressive distillation has.
            Self::Flow => &[1, 2, 4, 8, TEACHER_STEPS, 25],
            Self::Reflow | Self::ReflowAgain => &[1, 2, 4, 8, 25],
            Self::Progressive(Student::Eight) => &[8],
            Self::Progressive(Student::Four) => &[4],
            Self::Progressive(Student::Two) => &[2],
            Self::Progressive(Student::One)
            | Self::DistillTwo
            | Self::DistillDirect
            | Self::DistillThree
            | Self::DistillStacked => &[1],
            Self::Autoencoder
            | Self::Pairs
            | Self::PairsOfTwo
            | Self::PairsOfThree => &[],
        }
    }

    /// The guidance that its method is sampled with. Only the 1-flow is
    /// guided: the triplets of a guided teacher have its guidance in them.
    pub(crate) fn guidance(self) -> f64 {
        if self == Self::Flow { TEACHER_GUIDANCE } else { 1.0 }
    }
}

/// Guidance of the 1-flow as a teacher. Ours; the paper's 5 to 6 is of Stable
/// Diffusion, whose captions leave far more open (facts, section 2).
pub(crate) const TEACHER_GUIDANCE: f64 = 2.0;

/// Guidance of the 2-flow as the teacher of its distillation, as the paper's
/// (facts, section 2).
pub(crate) const SECOND_GUIDANCE: f64 = 1.5;

/// The share of captions that are dropped in training, for guidance (Ho and
/// Salimans, 2022: 0.1 and 0.2 did best).
pub(crate) const DROPPED: f64 = 0.1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_have_names_of_their_own_and_all_includes_the_headline() {
        let headline = Stage::of(Methods::Headline);
        let all = Stage::of(Methods::All);
        assert_eq!(all[..headline.len()], headline);
        let mut names: Vec<_> = all.iter().map(|stage| stage.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all.len());
    }

    #[test]
    fn each_student_has_half_the_steps_of_its_teacher() {
        for student in Student::ALL {
            let teacher =
                student.teacher().map_or(TEACHER_STEPS, Student::steps);
            assert_eq!(2 * student.steps(), teacher);
        }
    }
}
