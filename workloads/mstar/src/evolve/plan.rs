//! What a study trains and compares: its factors, each an axis of the case
//! (M-STaR, arXiv 2412.17451, sections 3.1 to 3.4 and tables 1 to 3).
//!
//! An [`Arm`] is one way to evolve; the arms of a study share a warm-up and a
//! process reward model, and have the same budget, whatever their interval: as
//! many rollouts, and as many updates at most. Where few replies are right an
//! arm makes fewer, and each iteration tells how many.

use std::path::Path;

use assay_kit::{AxisError, named, parsed};
use assay_schema::{Case, fnv1a};

use crate::config::Model;
use crate::error::MstarError;
use crate::examples::Layout;
use crate::request::Request;
use crate::task::{
    Family, LONGEST_QUESTION, LONGEST_RESPONSE, PAD, Problem, Split,
    Vocabulary, problems,
};

/// What an iteration starts from (table 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The last model, with its optimizer and its schedule: the paper's
    /// continuous self-evolving.
    Continuous,
    /// The last model, with a fresh optimizer: iterative RFT.
    Rft,
    /// The warmed-up model, with a fresh optimizer: ReST-EM (Singh et al.,
    /// 2023).
    RestEm,
    /// Nothing is rolled out: answers alone are learnt, without steps, those
    /// of the warm-up's problems by a fresh model, then those of the prompts.
    /// The paper's row of supervised fine-tuning, which is a training of its
    /// own beside the warm-up; no axis asks for it.
    AnswersOnly,
}

impl Method {
    /// Names, the default first.
    pub const NAMES: [(&'static str, Self); 3] = [
        ("continuous", Self::Continuous),
        ("rft", Self::Rft),
        ("rest-em", Self::RestEm),
    ];
}

/// Which of a prompt's right responses train (table 2). Equal ones count
/// once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// So many of the largest process reward; of two the paper's best.
    Top(usize),
    /// All.
    None,
    /// So many by chance.
    Random(usize),
    /// Those whose process reward is at least [`THRESHOLD`].
    Threshold,
}

/// The least process reward that trains; the paper's is not published.
pub const THRESHOLD: f64 = 0.5;

/// A selection's name, and what the axis `kept` makes of it.
pub type Named = (&'static str, fn(usize) -> Selection);

impl Selection {
    /// All of them, the default first.
    pub const NAMES: [Named; 4] = [
        ("top", Self::Top),
        ("none", |_| Self::None),
        ("random", Self::Random),
        ("threshold", |_| Self::Threshold),
    ];

    /// Whether it asks the process reward model.
    pub fn asks(self) -> bool {
        matches!(self, Self::Top(_) | Self::Threshold)
    }
}

/// What the temperature is tuned on (section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    /// The share of prompts with a right response among the two of the
    /// largest process reward: the paper's.
    RewardPass,
    /// The share with a right response.
    Pass,
    /// Nothing: it stays.
    None,
}

impl Balance {
    /// Names, the default first.
    pub const NAMES: [(&'static str, Self); 3] = [
        ("reward-pass", Self::RewardPass),
        ("pass", Self::Pass),
        ("none", Self::None),
    ];
}

/// Which arms a study has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arms {
    /// What the paper's main tables compare.
    Headline,
    /// Also each other factor, one at a time.
    All,
    /// The one that the axes describe.
    Own,
}

impl Arms {
    /// Names, the default first.
    pub const NAMES: [(&'static str, Self); 3] =
        [("headline", Self::Headline), ("all", Self::All), ("own", Self::Own)];
}

/// One way to evolve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arm {
    /// Its name in records.
    pub name: &'static str,
    /// What an iteration starts from.
    pub method: Method,
    /// The share of the prompts that an iteration traverses.
    pub interval: f64,
    /// Which responses train.
    pub selection: Selection,
    /// What the temperature is tuned on.
    pub balance: Balance,
    /// The share of the training after which half of an iteration's prompts
    /// come without an answer, which is then voted for (table 3); 1: never.
    pub unlabelled: f64,
}

/// The name of the paper's whole recipe.
pub const WHOLE_RECIPE: &str = "m-star";

/// The name of the arm that the axes describe.
pub const OWN: &str = "own";

impl Arm {
    /// Continuous at the paper's interval, with nothing else.
    const PLAIN: Self = Self {
        name: "continuous",
        method: Method::Continuous,
        interval: 0.25,
        selection: Selection::None,
        balance: Balance::None,
        unlabelled: 1.0,
    };

    /// What the paper's main tables compare.
    fn headline() -> Vec<Self> {
        let plain = Self::PLAIN;
        let top = Self { selection: Selection::Top(2), ..plain };
        let whole = Self { interval: 1.0, ..plain };
        vec![
            Self { name: "rft", method: Method::Rft, ..whole },
            Self { name: "rest-em", method: Method::RestEm, ..whole },
            plain,
            Self { name: "top-2", ..top },
            Self { name: WHOLE_RECIPE, balance: Balance::RewardPass, ..top },
        ]
    }

    /// Each other factor, one at a time (tables 1 to 3).
    fn factors() -> Vec<Self> {
        let plain = Self::PLAIN;
        let every = |name, interval| Self { name, interval, ..plain };
        let keeping = |name, selection| Self { name, selection, ..plain };
        let top = Self { selection: Selection::Top(2), ..plain };
        let joined = |name, unlabelled| Self { name, unlabelled, ..top };
        vec![
            every("interval-1", 1.0),
            every("interval-0.5", 0.5),
            every("interval-0.125", 0.125),
            every("interval-0.0625", 0.0625),
            keeping("random-2", Selection::Random(2)),
            keeping("threshold", Selection::Threshold),
            keeping("top-1", Selection::Top(1)),
            keeping("top-4", Selection::Top(4)),
            joined("unlabelled-0", 0.0),
            joined("unlabelled-0.25", 0.25),
            joined("unlabelled-0.5", 0.5),
            joined("unlabelled-0.75", 0.75),
            Self { name: "balanced-pass", balance: Balance::Pass, ..top },
            Self {
                name: "answers-only",
                method: Method::AnswersOnly,
                interval: 1.0,
                ..plain
            },
        ]
    }

    /// Iterations that together traverse all prompts once.
    fn parts(&self) -> usize {
        (1.0 / self.interval).round().max(1.0) as usize
    }

    /// Refuses an interval that does not part the prompts evenly: it would
    /// run as another.
    fn check_interval(&self) -> Result<(), MstarError> {
        let parts = self.parts() as f64;
        if (self.interval * parts - 1.0).abs() <= UNEVEN {
            return Ok(());
        }
        let parts = 1.0 / self.interval;
        let expected = format!(
            "one part of a whole number, as {:.4} or {:.4}",
            1.0 / parts.ceil(),
            1.0 / parts.floor()
        );
        Err(AxisError::new("interval", self.interval, expected).into())
    }

    /// Whether iteration `index`, from 0, of so many has prompts without an
    /// answer.
    pub fn is_unlabelled(&self, index: usize, iterations: usize) -> bool {
        self.unlabelled < 1.0
            && index as f64 >= self.unlabelled * iterations as f64
    }
}

/// Sizes of a study that says none, as `axes.rs` lists them.
mod defaults {
    pub(super) const WARM_UP: usize = 1500;
    pub(super) const PROMPTS: [usize; 2] = [256, 512];
    pub(super) const PASSES: usize = 2;
    pub(super) const UPDATES: usize = 160;
    pub(super) const LABELLED: [usize; 2] = [64, 128];
    pub(super) const TESTED: usize = 300;
    pub(super) const TEMPERATURE: f64 = 1.0;
}

/// By how much of itself an interval may miss a whole number of parts: thirds
/// are written with three digits.
const UNEVEN: f64 = 0.005;

/// Mixed into the seed of the problems that validate and test: each seed of a
/// study has its own, all of its arms the same.
const HELD_OUT: u64 = 0x4D53_5441;

/// Most of anything that an axis counts.
const LARGEST: usize = 1 << 20;

/// A study's case, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The case with the sizes that all phases share: `batch`, `rows`,
    /// `rollouts`.
    pub request: Request,
    /// What is compared.
    pub arms: Vec<Arm>,
    /// Updates of the warm-up.
    pub warm_up: usize,
    /// Prompts with an answer.
    pub prompts: usize,
    /// Traversals of the prompts.
    pub passes: usize,
    /// Updates of an arm, at most.
    pub updates: usize,
    /// Temperature of the first rollouts.
    pub temperature: f64,
    /// Prompts whose steps are labelled.
    pub labelled: usize,
    /// Problems of each family that judge; as many in all validate, and some
    /// more choose temperatures, up to what the judge takes.
    pub tested: usize,
    /// Seed of weights, problems and draws.
    pub seed: u64,
}

impl Plan {
    /// Reads a case of the phase `study`; `file` is a model's shape in place
    /// of the named one.
    ///
    /// # Errors
    /// An axis without a lawful value; a model whose context is too short for
    /// the task's rows, or that does not have the task's words.
    pub fn new(case: &Case, file: Option<&Path>) -> Result<Self, MstarError> {
        let request = Request::new(case, file)?;
        let sized = |[tiny, small]: [usize; 2]| {
            if request.model.name == "tiny" { tiny } else { small }
        };
        let count = |axis, default: usize, least: usize| {
            let expected = format!("a whole number from {least} to {LARGEST}");
            parsed(case, axis, default, &expected, |n| {
                (least..=LARGEST).contains(n)
            })
        };
        let number = |axis, default: f64, least: f64, most: f64| {
            let expected = format!("a number from {least} to {most}");
            parsed(case, axis, default, &expected, |x: &f64| {
                (least..=most).contains(x)
            })
        };
        let selection = named(case, "selection", &Selection::NAMES)?;
        let own = Arm {
            name: OWN,
            method: named(case, "method", &Method::NAMES)?,
            interval: number("interval", Arm::PLAIN.interval, 0.0625, 1.0)?,
            selection: selection(request.kept),
            balance: named(case, "balance", &Balance::NAMES)?,
            unlabelled: number("unlabelled", 1.0, 0.0, 1.0)?,
        };
        own.check_interval()?;
        let arms = match named(case, "arms", &Arms::NAMES)? {
            Arms::Headline => Arm::headline(),
            Arms::All => [Arm::headline(), Arm::factors()].concat(),
            Arms::Own => vec![own],
        };
        let plan = Self {
            warm_up: count("warm_up", defaults::WARM_UP, 1)?,
            prompts: count("prompts", sized(defaults::PROMPTS), 1)?,
            passes: count("passes", defaults::PASSES, 1)?,
            updates: count("updates", defaults::UPDATES, 1)?,
            temperature: number(
                "temperature",
                defaults::TEMPERATURE,
                0.1,
                2.0,
            )?,
            labelled: count("labelled", sized(defaults::LABELLED), 1)?,
            tested: count("tested", defaults::TESTED, 1)?,
            seed: parsed(case, "seed", 1, "a whole number", |_| true)?,
            arms,
            request,
        };
        plan.check()?;
        Ok(plan)
    }

    /// What no single axis can say.
    fn check(&self) -> Result<(), MstarError> {
        let shape = self.shape();
        self.layout().check(shape, 1)?;
        let words = shape.language.vocab;
        if words < Vocabulary::SIZE {
            return Err(MstarError::Shape(format!(
                "`{}` has {words} words, expected at least the task's {}",
                shape.name,
                Vocabulary::SIZE
            )));
        }
        let refused = |axis, found: usize, expected: String| {
            Err(MstarError::from(AxisError::new(axis, found, expected)))
        };
        // Fewer have no two best ones.
        if self.request.rollouts < 2 {
            let expected = "at least 2: two are looked at".to_owned();
            return refused("rollouts", self.request.rollouts, expected);
        }
        let parts = self.arms.iter().map(Arm::parts).max().unwrap_or(1);
        if self.prompts < parts {
            let expected = format!(
                "at least {parts}, one for each iteration of the smallest \
                 `interval`"
            );
            return refused("prompts", self.prompts, expected);
        }
        Ok(())
    }

    /// The model's shape.
    pub fn shape(&self) -> &Model {
        &self.request.model
    }

    /// How its rows are laid out.
    pub fn layout(&self) -> Layout {
        Layout {
            prompt: LONGEST_QUESTION,
            reply: LONGEST_RESPONSE,
            padding: PAD,
        }
    }

    /// Tokens of the longest row, visual ones included.
    pub fn longest(&self) -> usize {
        self.layout().longest(self.shape(), 1)
    }

    /// Iterations of an arm.
    pub fn iterations(&self, arm: &Arm) -> usize {
        match arm.method {
            Method::AnswersOnly => 1,
            Method::Continuous | Method::Rft | Method::RestEm => {
                self.passes * arm.parts()
            }
        }
    }

    /// Updates of an arm's iteration `index`, from 0, at most: those of all
    /// iterations together are `updates`.
    pub fn updates_of(&self, arm: &Arm, index: usize) -> usize {
        let iterations = self.iterations(arm);
        let until = |index: usize| self.updates * index / iterations;
        until(index + 1) - until(index)
    }

    /// Places of the prompts that iteration `index`, from 0, traverses.
    pub fn traversed(&self, arm: &Arm, index: usize) -> std::ops::Range<usize> {
        let parts = arm.parts();
        let part = index % parts;
        self.prompts * part / parts..self.prompts * (part + 1) / parts
    }

    /// Problems of the warm-up's update `step`, from 0: none comes twice.
    ///
    /// # Errors
    /// Pictures of a size that the task does not draw.
    pub fn warm_up_of(&self, step: usize) -> Result<Vec<Problem>, MstarError> {
        let batch = self.request.batch;
        self.training(Split::Train, step * batch, batch)
    }

    /// Prompts `range` of the labelled ones, behind those of the warm-up.
    ///
    /// # Errors
    /// As [`warm_up_of`](Self::warm_up_of).
    pub fn with_answers(
        &self,
        range: std::ops::Range<usize>,
    ) -> Result<Vec<Problem>, MstarError> {
        let first = self.warm_up * self.request.batch + range.start;
        self.training(Split::Train, first, range.len())
    }

    /// Prompts `range` of those whose answers are not told.
    ///
    /// # Errors
    /// As [`warm_up_of`](Self::warm_up_of).
    pub fn without_answers(
        &self,
        range: std::ops::Range<usize>,
    ) -> Result<Vec<Problem>, MstarError> {
        self.training(Split::Unlabelled, range.start, range.len())
    }

    /// Prompts whose steps are labelled, behind those with answers.
    ///
    /// # Errors
    /// As [`warm_up_of`](Self::warm_up_of).
    pub fn stepwise(&self) -> Result<Vec<Problem>, MstarError> {
        let first = self.warm_up * self.request.batch + self.prompts;
        self.training(Split::Train, first, self.labelled)
    }

    /// The first problems that anybody trains on, to count answers of.
    ///
    /// # Errors
    /// As [`warm_up_of`](Self::warm_up_of).
    pub fn first(&self, count: usize) -> Result<Vec<Problem>, MstarError> {
        let all = self.warm_up * self.request.batch + self.prompts;
        self.training(Split::Train, 0, count.min(all))
    }

    fn training(
        &self,
        split: Split,
        first: usize,
        count: usize,
    ) -> Result<Vec<Problem>, MstarError> {
        let side = self.shape().picture();
        let first = first as u64;
        problems(&Family::IN_DOMAIN, split, side, self.seed, first, count)
    }

    /// Problems of scenes that no seed trains on, the same for every arm.
    ///
    /// # Errors
    /// As [`warm_up_of`](Self::warm_up_of).
    pub fn held_out(
        &self,
        families: &[Family],
        split: Split,
        count: usize,
    ) -> Result<Vec<Problem>, MstarError> {
        let side = self.shape().picture();
        problems(families, split, side, HELD_OUT ^ self.seed, 0, count)
    }

    /// What a file of this study's state must be of: everything that its
    /// weights and times depend on. Which arms there are is none of it, but
    /// for what `own` means.
    pub(crate) fn description(&self, recipe: &str) -> String {
        let cores = std::thread::available_parallelism();
        let cores = cores.map_or(0, std::num::NonZero::get);
        let shape = fnv1a(&format!("{:?}", self.shape()));
        let own = self.arms.iter().find(|arm| arm.name == OWN);
        let own = own.map_or(0, |arm| fnv1a(&format!("{arm:?}")));
        format!(
            "version={} cores={cores} {recipe} model={} shape={shape:08x} \
             own={own:08x} warm_up={} prompts={} passes={} updates={} \
             batch={} rollouts={} rows={} temperature={} labelled={} \
             tested={} seed={}",
            env!("CARGO_PKG_VERSION"),
            self.shape().name,
            self.warm_up,
            self.prompts,
            self.passes,
            self.updates,
            self.request.batch,
            self.request.rollouts,
            self.request.rows,
            self.temperature,
            self.labelled,
            self.tested,
            self.seed,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(axes: &str) -> Result<Plan, MstarError> {
        let case = format!("mstar/tiny/study {axes}");
        Plan::new(&case.parse().unwrap(), None)
    }

    #[test]
    fn every_arm_has_the_same_budget_and_a_name_of_its_own() {
        let plan = read("arms=all updates=100 prompts=250").unwrap();
        let mut names: Vec<&str> =
            plan.arms.iter().map(|arm| arm.name).collect();
        for arm in &plan.arms {
            let iterations = plan.iterations(arm);
            let updates: usize =
                (0..iterations).map(|i| plan.updates_of(arm, i)).sum();
            assert_eq!(updates, 100, "{}", arm.name);
            let seen: usize =
                (0..iterations).map(|i| plan.traversed(arm, i).len()).sum();
            let passes = if arm.method == Method::AnswersOnly { 1 } else { 2 };
            assert_eq!(seen, 250 * passes, "{}", arm.name);
        }
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        let headline = read("").unwrap();
        assert_eq!(plan.arms[..5], headline.arms);
    }

    #[test]
    fn an_own_arm_is_what_its_axes_say() {
        let plan = read(
            "arms=own method=rft interval=0.5 selection=random kept=3 \
             balance=pass unlabelled=0.5",
        )
        .unwrap();
        let own = plan.arms[0];
        assert_eq!(own.method, Method::Rft);
        assert_eq!(own.selection, Selection::Random(3));
        assert_eq!(own.balance, Balance::Pass);
        assert_eq!(plan.iterations(&own), 4);
        let asked: Vec<bool> =
            (0..4).map(|i| own.is_unlabelled(i, 4)).collect();
        assert_eq!(asked, [false, false, true, true]);
        assert!(!Arm::PLAIN.is_unlabelled(7, 8));
        let third = read("arms=own interval=0.333").unwrap();
        assert_eq!(third.iterations(&third.arms[0]), 6);
    }

    #[test]
    fn what_cannot_be_studied_is_refused_by_name() {
        for (axes, word) in [
            ("arms=none", "arms"),
            ("method=sft", "continuous, rft, rest-em"),
            ("arms=own interval=0.01", "0.0625"),
            ("arms=own interval=0.3", "0.2500 or 0.3333"),
            ("arms=own interval=0.7", "0.5000 or 1.0000"),
            ("rollouts=1", "two are looked at"),
            ("prompts=3", "smallest"),
            ("arms=all prompts=15", "at least 16"),
            ("temperature=0", "0.1"),
            ("seed=one", "whole number"),
        ] {
            let error = read(axes).unwrap_err().to_string();
            assert!(error.contains(word), "{axes}: {error}");
        }
        let large = "mstar/internvl2-2b/study".parse().unwrap();
        assert!(Plan::new(&large, None).is_err());
    }
}
