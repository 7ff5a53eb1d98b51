//! The study as a session: an iteration is one stage, made and judged, or read
//! back from the folder that an earlier run left.

use std::collections::VecDeque;
use std::time::Instant;

use assay_kit::{Checkpoint, Named, Parameters};
use assay_measure::{Context, Pace, Progress, Session, Watch, WorkloadError};
use assay_schema::{Better, Verification};
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::error::MstarError;
use crate::evolve::check::check;
use crate::evolve::explore::Explored;
use crate::evolve::iterate::{Grounds, Held, Standing, iterate, standing};
use crate::evolve::judge::Judge;
use crate::evolve::plan::Plan;
use crate::evolve::process_reward::{Fit, Lesson, ProcessReward, fit, label};
use crate::evolve::rollout::{Policy, Sampling, Tally};
use crate::evolve::seed_of;
use crate::evolve::state::{
    State, module_tensors, module_with, moment_tensors, moments_of,
};
use crate::evolve::told::Told;
use crate::evolve::warm_up::{Warm, warm_up};
use crate::evolve::work::Work;
use crate::model::VisionLanguage;
use crate::task::{Family, Split};

/// Raised whenever stages change in what their axes do not say.
const RECIPE: &str = "recipe=3";

/// One stage of a study.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// A fresh model learns chains of thought.
    WarmUp,
    /// The same with every picture blank.
    Blanked,
    /// Steps get their labels.
    Labels,
    /// The process reward model learns them.
    RewardModel,
    /// Iteration `index`, from 0, of the plan's arm at a place.
    Arm { arm: usize, index: usize },
}

impl Stage {
    /// All of a plan, in order.
    fn of(plan: &Plan) -> VecDeque<Self> {
        let mut stages = VecDeque::from([
            Self::WarmUp,
            Self::Blanked,
            Self::Labels,
            Self::RewardModel,
        ]);
        for (arm, own) in plan.arms.iter().enumerate() {
            let iterations = 0..plan.iterations(own);
            stages.extend(iterations.map(|index| Self::Arm { arm, index }));
        }
        stages
    }

    /// The name of its file.
    fn name(self, plan: &Plan) -> String {
        match self {
            Self::WarmUp => "warm-up".to_owned(),
            Self::Blanked => "blanked".to_owned(),
            Self::Labels => "labels".to_owned(),
            Self::RewardModel => "reward-model".to_owned(),
            Self::Arm { arm, index } => {
                let name = plan.arms.get(arm).map_or("", |arm| arm.name);
                format!("{name}.{}", index + 1)
            }
        }
    }

    /// Whether it starts from what `earlier` makes, at once or by others.
    fn needs(self, earlier: Self) -> bool {
        match (earlier, self) {
            // Chance is judged, and starts nothing.
            (Self::Blanked, _) | (_, Self::Blanked) => false,
            (
                Self::Arm { arm, index },
                Self::Arm { arm: own, index: later },
            ) => arm == own && index < later,
            _ => earlier.rank() < self.rank(),
        }
    }

    /// Its place among those that start from each other.
    fn rank(self) -> u8 {
        match self {
            Self::WarmUp | Self::Blanked => 0,
            Self::Labels => 1,
            Self::RewardModel => 2,
            Self::Arm { .. } => 3,
        }
    }
}

/// A study under way.
pub(crate) struct StudySession {
    plan: Plan,
    state: Option<State>,
    left: VecDeque<Stage>,
    made: Made,
}

/// What stages have made so far.
#[derive(Default)]
struct Made {
    judge: Option<Judge>,
    work: Option<Work>,
    warm: Option<VisionLanguage>,
    blanked: Option<VisionLanguage>,
    lessons: Option<Vec<Lesson>>,
    reward: Option<ProcessReward>,
    start: Standing,
    /// Of the arm under way.
    held: Option<Held>,
}

/// What stands in a stage's file beside its tensors.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    told: Told,
    /// Of the stage `labels`.
    lessons: Vec<Lesson>,
    /// Of the stage `reward-model`: greedy accuracy, Pass@K, Reward-Pass@2
    /// of the warmed-up model.
    start: [f64; 3],
    /// Of an arm: bits of its temperature (text would round it).
    temperature: u64,
    /// Of an arm: steps of the optimizer that the next iteration inherits.
    steps: u32,
    /// Of an arm: tokens trained on so far.
    tokens: u64,
    /// Of an arm: seconds so far.
    seconds: f64,
    /// Of an arm: whether its tensors are gone, once the next are kept.
    #[serde(default)]
    stripped: bool,
}

fn absent(what: &str) -> MstarError {
    MstarError::Data(format!("`{what}` was not made before its use"))
}

impl StudySession {
    pub(crate) fn new(
        plan: Plan,
        context: &Context,
    ) -> Result<Self, MstarError> {
        if context.weights.is_some() || context.data.is_some() {
            return Err(MstarError::Data(
                "a study trains its own weights on problems that it draws: \
                 found `--weights` or `--data`, expected neither"
                    .to_owned(),
            ));
        }
        let study = plan.description(RECIPE);
        let folder = context.scratch.as_deref();
        let state =
            folder.map(|folder| State::new(folder, study)).transpose()?;
        let left = Stage::of(&plan);
        Ok(Self { plan, state, left, made: Made::default() })
    }

    fn warm(&self) -> Result<&VisionLanguage, MstarError> {
        self.made.warm.as_ref().ok_or_else(|| absent("warm-up"))
    }

    fn reward(&self) -> Result<&ProcessReward, MstarError> {
        self.made.reward.as_ref().ok_or_else(|| absent("reward-model"))
    }

    fn judge(&self) -> Result<&Judge, MstarError> {
        self.made.judge.as_ref().ok_or_else(|| absent("judge"))
    }

    fn work(&self) -> Result<&Work, MstarError> {
        self.made.work.as_ref().ok_or_else(|| absent("work"))
    }

    fn policy<'a>(&'a self, network: &'a VisionLanguage) -> Policy<'a> {
        let layout = self.plan.layout();
        Policy { shape: self.plan.shape(), network, layout }
    }

    /// Problems and costs that every stage may ask for.
    fn prepare(&mut self) -> Result<(), MstarError> {
        if self.made.judge.is_none() {
            self.made.judge = Some(Judge::new(&self.plan)?);
        }
        if self.made.work.is_none() {
            self.made.work = Some(Work::of(&self.plan)?);
        }
        Ok(())
    }

    fn make(&mut self, stage: Stage) -> Result<Told, MstarError> {
        self.prepare()?;
        match stage {
            Stage::WarmUp => self.warm_up(),
            Stage::Blanked => self.blanked(),
            Stage::Labels => self.labels(),
            Stage::RewardModel => self.reward_model(),
            Stage::Arm { arm, index } => self.arm(arm, index),
        }
    }

    fn warm_up(&mut self) -> Result<Told, MstarError> {
        let Warm { network, loss, tokens, seconds } =
            warm_up(&self.plan, false)?;
        let mut told = Told::default();
        let at = [("arm", "warm-up"), ("iteration", "0")];
        told.quality("loss", "nat", Better::Lower, loss, &at);
        told.time("warm_up_time", seconds, &[]);
        told.rate("warm_up_rate", tokens, seconds, &[]);
        told.plain("training_tokens", tokens as f64, &at[..1]);
        told.plain("parameters", self.work()?.parameters as f64, &[]);
        let began = Instant::now();
        let judge = self.judge()?;
        judge.rules(&self.plan, &mut told)?;
        let policy = self.policy(&network);
        judge.accuracies(&policy, "warm-up", &mut told)?;
        told.picture(judge.gallery(&policy, None, "warm-up")?);
        told.part("warm-up", seconds);
        told.part("judge", began.elapsed().as_secs_f64());
        self.made.warm = Some(network);
        Ok(told)
    }

    fn blanked(&mut self) -> Result<Told, MstarError> {
        let Warm { network, loss, seconds, .. } = warm_up(&self.plan, true)?;
        let mut told = Told::default();
        let at = [("arm", "blanked"), ("iteration", "0")];
        told.quality("loss", "nat", Better::Lower, loss, &at);
        told.time("blanked_time", seconds, &[]);
        let began = Instant::now();
        let policy = self.policy(&network);
        let judge = self.judge()?;
        judge.accuracies_blanked(&policy, "blanked", &mut told)?;
        told.part("blanked", seconds);
        told.part("judge", began.elapsed().as_secs_f64());
        self.made.blanked = Some(network);
        Ok(told)
    }

    fn labels(&mut self) -> Result<Told, MstarError> {
        let began = Instant::now();
        let plan = &self.plan;
        let problems = plan.stepwise()?;
        let sampling = Sampling {
            temperature: Some(plan.temperature),
            rows: plan.request.rows,
            seed: seed_of(plan.seed, "labels", 0),
            endless: false,
        };
        let policy = self.policy(self.warm()?);
        let mut tally = Tally::default();
        let lessons = label(&policy, &problems, &sampling, &mut tally)?;
        let seconds = began.elapsed().as_secs_f64();
        let mut told = Told::default();
        told.part("labels", seconds);
        told.time("label_time", seconds, &[]);
        let steps: usize = lessons.iter().map(|one| one.good.len()).sum();
        let higher = Better::Higher;
        told.quality("labelled_steps", "1", higher, steps as f64, &[]);
        if steps > 0 {
            let good = lessons.iter().flat_map(|one| &one.good);
            let good = good.filter(|good| **good).count();
            told.plain("good_steps", good as f64 / steps as f64, &[]);
            // A true step may lead nowhere, and luck may mend a false one.
            let agreed: usize = lessons
                .iter()
                .map(|one| {
                    let sound =
                        problems[one.problem].sound_steps(&one.response);
                    let both = one.good.iter().zip(sound);
                    both.filter(|(good, sound)| **good == *sound).count()
                })
                .sum();
            told.share("label_agreement", agreed as f64 / steps as f64, &[]);
        }
        self.made.lessons = Some(lessons);
        Ok(told)
    }

    fn reward_model(&mut self) -> Result<Told, MstarError> {
        let began = Instant::now();
        let plan = &self.plan;
        let lessons = self.made.lessons.as_ref();
        let lessons = lessons.ok_or_else(|| absent("labels"))?;
        let problems = plan.stepwise()?;
        let (shape, layout) = (plan.shape(), plan.layout());
        let seed = seed_of(plan.seed, "reward-model", 0);
        let mut start = Parameters::random(&Device::flex(), seed);
        let warm = self.warm()?;
        let reward = ProcessReward::new(warm.clone(), &mut start, shape);
        let how = Fit { batch: plan.request.batch, seed };
        let (reward, loss) =
            fit(reward, shape, &layout, &problems, lessons, how)?;
        let seconds = began.elapsed().as_secs_f64();
        let mut told = Told::default();
        told.part("reward-model", seconds);
        told.time("reward_model_time", seconds, &[]);
        if !lessons.is_empty() {
            told.quality("reward_loss", "nat", Better::Lower, loss, &[]);
        }
        let began = Instant::now();
        let (policy, judge) = (self.policy(warm), self.judge()?);
        judge.reward_quality(&policy, &reward, &mut told)?;
        let temperature = plan.temperature;
        judge.votes(&policy, &reward, "warm-up", temperature, &mut told)?;
        let start = standing(&policy, &reward, judge, plan, temperature)?;
        told.part("judge", began.elapsed().as_secs_f64());
        self.made.start = start;
        self.made.reward = Some(reward);
        Ok(told)
    }

    fn arm(&mut self, arm: usize, index: usize) -> Result<Told, MstarError> {
        let held = self.made.held.take();
        let own = self.plan.arms.get(arm).ok_or_else(|| absent("arm"))?;
        let grounds = Grounds {
            plan: &self.plan,
            warm: self.warm()?,
            reward: self.reward()?,
            judge: self.judge()?,
            work: self.work()?,
            start: self.made.start,
        };
        let held = match (index, held) {
            (0, _) => grounds.first(),
            (_, Some(held)) => held,
            (_, None) => {
                return Err(MstarError::Data(format!(
                    "`{name}.{index}` has no weights any more: delete \
                     `{name}.*` in the run's `state/`, and the arm is made \
                     again",
                    name = own.name
                )));
            }
        };
        let (held, told) = iterate(&grounds, own, index, held)?;
        self.made.held = Some(held);
        Ok(told)
    }

    fn tensors(&self, stage: Stage) -> Result<Vec<Named>, MstarError> {
        Ok(match stage {
            Stage::WarmUp => module_tensors(self.warm()?),
            Stage::Blanked => {
                let blanked = self.made.blanked.as_ref();
                module_tensors(blanked.ok_or_else(|| absent("blanked"))?)
            }
            Stage::Labels => {
                let lessons = self.made.lessons.as_ref();
                let lessons = lessons.ok_or_else(|| absent("labels"))?;
                let count = vec![lessons.len() as f32];
                vec![("lessons".to_owned(), vec![1], count)]
            }
            Stage::RewardModel => module_tensors(self.reward()?),
            Stage::Arm { .. } => {
                let held = self.made.held.as_ref();
                let held = held.ok_or_else(|| absent("arm"))?;
                let mut tensors = module_tensors(&held.network);
                if let Some(moments) = &held.moments {
                    tensors.extend(moment_tensors(moments));
                }
                tensors
            }
        })
    }

    fn kept(&self, stage: Stage, told: Told) -> Kept {
        let mut kept = Kept { told, ..Kept::default() };
        match stage {
            Stage::WarmUp | Stage::Blanked => {}
            Stage::Labels => {
                kept.lessons = self.made.lessons.clone().unwrap_or_default();
            }
            Stage::RewardModel => {
                let Standing { greedy, explored } = self.made.start;
                kept.start = [greedy, explored.pass, explored.reward_pass];
            }
            Stage::Arm { .. } => {
                if let Some(held) = &self.made.held {
                    kept.temperature = held.temperature.to_bits();
                    kept.steps =
                        held.moments.as_ref().map_or(0, |state| state.steps);
                    kept.tokens = held.tokens;
                    kept.seconds = held.seconds;
                }
            }
        }
        kept
    }

    fn restore(
        &mut self,
        stage: Stage,
        file: &Checkpoint,
        kept: &Kept,
    ) -> Result<(), MstarError> {
        let mut zeros = Parameters::shapes(&Device::flex());
        let (shape, longest) = (self.plan.shape(), self.plan.longest());
        let empty = VisionLanguage::new(&mut zeros, shape, longest);
        match stage {
            Stage::WarmUp => self.made.warm = Some(module_with(empty, file)?),
            Stage::Blanked => {
                self.made.blanked = Some(module_with(empty, file)?);
            }
            Stage::Labels => self.made.lessons = Some(kept.lessons.clone()),
            Stage::RewardModel => {
                let empty = ProcessReward::new(empty, &mut zeros, shape);
                self.made.reward = Some(module_with(empty, file)?);
                let [greedy, pass, reward_pass] = kept.start;
                let explored = Explored { pass, reward_pass };
                self.made.start = Standing { greedy, explored };
            }
            // The next iteration's file holds what is gone on from.
            Stage::Arm { .. } if kept.stripped => self.made.held = None,
            Stage::Arm { .. } => {
                self.made.held = Some(Held {
                    network: module_with(empty, file)?,
                    moments: moments_of(file, kept.steps)?,
                    temperature: f64::from_bits(kept.temperature),
                    tokens: kept.tokens,
                    seconds: kept.seconds,
                });
            }
        }
        Ok(())
    }

    /// One stage, from its file or made and kept.
    fn advance(&mut self, stage: Stage) -> Result<Told, MstarError> {
        let name = stage.name(&self.plan);
        let found = match &self.state {
            Some(state) => state.read::<Kept>(&name)?,
            None => None,
        };
        if let Some((file, kept)) = found {
            self.restore(stage, &file, &kept)?;
            return Ok(kept.told.read_back());
        }
        // What is made of this stage is of no use once it is made again.
        if let Some(state) = &self.state {
            let of_it = self.left.iter().filter(|later| later.needs(stage));
            for later in of_it {
                state.remove(&later.name(&self.plan))?;
            }
        }
        let began = Instant::now();
        let told = self.make(stage)?.made_in(began.elapsed());
        let Some(state) = &self.state else { return Ok(told) };
        let kept = self.kept(stage, told);
        state.write(&name, &self.tensors(stage)?, &kept)?;
        self.strip_before(stage)?;
        Ok(kept.told)
    }

    /// Drops the tensors of the iteration before, of which nothing starts any
    /// more; `stage` stands whole by then, so that a kill leaves one of both.
    fn strip_before(&self, stage: Stage) -> Result<(), MstarError> {
        let Stage::Arm { arm, index } = stage else { return Ok(()) };
        let (Some(state), Some(index)) = (&self.state, index.checked_sub(1))
        else {
            return Ok(());
        };
        let name = Stage::Arm { arm, index }.name(&self.plan);
        if let Some((_, kept)) = state.read::<Kept>(&name)? {
            let kept = Kept { stripped: true, ..kept };
            let mark = ("stripped".to_owned(), vec![1], vec![1.0]);
            state.write(&name, &[mark], &kept)?;
        }
        Ok(())
    }
}

impl Session for StudySession {
    fn verify(&mut self) -> Result<Verification, WorkloadError> {
        let plan = &self.plan;
        let mut start = Parameters::random(&Device::flex(), plan.seed);
        let (shape, longest) = (plan.shape(), plan.longest());
        let network = VisionLanguage::new(&mut start, shape, longest);
        let count = Family::ALL.len();
        let problems = plan.held_out(&Family::ALL, Split::Validation, count)?;
        Ok(check(&self.policy(&network), &problems)?)
    }

    fn pace(&self) -> Pace {
        Pace::Study
    }

    fn iterate(
        &mut self,
        watch: &mut Watch<'_>,
    ) -> Result<Progress, WorkloadError> {
        let Some(stage) = self.left.pop_front() else {
            return Ok(Progress::Done);
        };
        let told = self.advance(stage)?;
        told.report(watch);
        let done = self.left.is_empty();
        Ok(if done { Progress::Done } else { Progress::More })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every stage at its smallest, on a continuous arm of two iterations.
    const CASE: &str = "mstar/tiny/study arms=own method=continuous \
                        interval=0.5 passes=1 selection=top balance=none \
                        unlabelled=0.5 warm_up=2 batch=2 prompts=4 updates=2 \
                        rollouts=2 rows=8 labelled=1 tested=1";

    fn session(base: &std::path::Path, folder: &str) -> StudySession {
        let mut context = Context::new("cpu", 1);
        context.scratch = Some(base.join(folder));
        let plan = Plan::new(&CASE.parse().unwrap(), None).unwrap();
        StudySession::new(plan, &context).unwrap()
    }

    fn folder(name: &str) -> std::path::PathBuf {
        let own = format!("assay-mstar-study-{}-{name}", std::process::id());
        std::env::temp_dir().join(own)
    }

    #[test]
    fn a_study_made_again_half_way_ends_in_the_same_bytes() {
        let base = folder("bytes");
        let mut unbroken = session(&base, "unbroken");
        let stages: Vec<Stage> = unbroken.left.iter().copied().collect();
        assert_eq!(stages.len(), 6);
        let mut right = Vec::new();
        for stage in &stages {
            unbroken.advance(*stage).unwrap();
            right.push(unbroken.tensors(*stage).unwrap());
        }
        // Killed after the first iteration of the arm.
        let mut broken = session(&base, "broken");
        for stage in &stages[..5] {
            broken.advance(*stage).unwrap();
        }
        drop(broken);
        let mut resumed = session(&base, "broken");
        for (stage, right) in stages.iter().zip(&right) {
            let told = resumed.advance(*stage).unwrap();
            assert!(resumed.tensors(*stage).unwrap() == *right, "{stage:?}");
            if *stage == Stage::WarmUp {
                let at = [("arm", "most-frequent"), ("set", "in-domain")];
                assert_eq!(told.value("judged", &at), Some(3.0));
            }
        }
        // Of the first iteration's file what it told is left.
        let mut lost = session(&base, "broken");
        for stage in &stages[..5] {
            lost.advance(*stage).unwrap();
        }
        assert!(lost.tensors(stages[4]).is_err());
        lost.state.as_ref().unwrap().remove("own.2").unwrap();
        let error = lost.advance(stages[5]).err().unwrap().to_string();
        assert!(error.contains("delete `own.*`"), "{error}");
        std::fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn a_stage_that_is_made_again_takes_what_follows_with_it() {
        use Stage::{Arm, Blanked, Labels, RewardModel, WarmUp};
        let second = Arm { arm: 1, index: 1 };
        for earlier in [WarmUp, Labels, RewardModel, Arm { arm: 1, index: 0 }] {
            assert!(second.needs(earlier), "{earlier:?}");
        }
        for other in [Blanked, Arm { arm: 0, index: 0 }, second] {
            assert!(!second.needs(other), "{other:?}");
        }
        assert!(!Blanked.needs(WarmUp) && Labels.needs(WarmUp));
    }

    #[test]
    fn weights_are_not_given_to_a_study() {
        let plan = Plan::new(&CASE.parse().unwrap(), None).unwrap();
        let mut context = Context::new("cpu", 1);
        context.weights = Some("weights.safetensors".into());
        let error = StudySession::new(plan, &context).err().unwrap();
        assert!(error.to_string().contains("--weights"), "{error}");
    }
}
