//! The study as a session: an iteration is one stage, trained and judged, or
//! read back from the folder that an earlier run left.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use assay_kit::{
    Checkpoint, Named, Parameters, StudyFiles, merge, module_tensors,
    module_with,
};
use assay_measure::{Context, Pace, Progress, Session, Watch, WorkloadError};
use assay_schema::{Better, Metric, Pictures, Seconds, Verification};
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::evaluate::{Drawer, Evaluation, Judged, metric};
use crate::samplers::Sampler;
use crate::text::TextEncoder;
use crate::training::{
    Course, Critic, Drawing, Fitted, FlowModel, Halving, Latents, Lessons,
    Pairs, Pool, SECOND_GUIDANCE, Stage, Student, TEACHER_GUIDANCE, Teaching,
    TextStates, Words, distill, halve, reflow, train_autoencoder, train_flow,
};
use crate::unet::{StackedUNet, Velocity};
use crate::vae::Vae;
use crate::{InstaFlowError, Request, golden};

/// Learning rates from nothing, and from a trained network.
const FRESH: f64 = 1e-3;
const TUNED: f64 = 5e-4;

/// Raised whenever stages change in what no constant here says.
const RECIPE: u32 = 1;

/// Heun steps of the 1-flow as a teacher, and of straighter ones.
const TEACHER_HEUN: usize = 8;
const STRAIGHT_HEUN: usize = 4;

/// A study under way.
pub(crate) struct StudySession {
    request: Request,
    state: Option<StudyFiles<InstaFlowError>>,
    left: VecDeque<Stage>,
    words: Words,
    made: Made,
}

/// What stages have made so far.
#[derive(Default)]
struct Made {
    latents: Option<Latents>,
    pool: Option<Pool>,
    text: Option<(TextEncoder, TextStates)>,
    velocities: BTreeMap<Stage, Velocity>,
    pairs: BTreeMap<Stage, Pairs>,
    evaluation: Option<Evaluation>,
}

/// What a stage told; stands in its file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Told {
    seconds: f64,
    judging: f64,
    metrics: Vec<Metric>,
    pictures: Vec<Pictures>,
    /// Whether an earlier run made the stage.
    #[serde(skip)]
    earlier: bool,
}

fn absent(what: &str) -> InstaFlowError {
    InstaFlowError::Sampling(format!("`{what}` was not made before its use"))
}

impl StudySession {
    pub(crate) fn new(
        request: Request,
        context: &Context,
    ) -> Result<Self, InstaFlowError> {
        let cores = std::thread::available_parallelism();
        let cores = cores.map_or(0, std::num::NonZero::get);
        // What weights and times depend on: a file of other constants or of
        // another machine is none to go on from.
        let study = format!(
            "version={} cores={cores} recipe={RECIPE} \
             rates={FRESH},{TUNED} heun={TEACHER_HEUN},{STRAIGHT_HEUN} \
             guidance={TEACHER_GUIDANCE},{SECOND_GUIDANCE} model={} seed={} \
             methods={:?} train_steps={} pairs={} evaluated={} batch={}",
            env!("CARGO_PKG_VERSION"),
            request.pipeline.name,
            request.seed,
            request.methods,
            request.train_steps,
            request.pairs,
            request.evaluated,
            request.batch
        );
        let folder = context.scratch.as_deref();
        let state =
            folder.map(|folder| StudyFiles::new(folder, study)).transpose()?;
        let words = Words::new(request.pipeline.tokens)?;
        let left = Stage::of(request.methods).into();
        Ok(Self { request, state, left, words, made: Made::default() })
    }

    fn shape(&self) -> [usize; 3] {
        let pipeline = &self.request.pipeline;
        let side = pipeline.picture / pipeline.vae.factor();
        [side, side, pipeline.unet.in_channels]
    }

    fn course(&self, stage: Stage, steps: usize, rate: f64) -> Course<'_> {
        Course {
            name: stage.name(),
            steps: steps.max(1) as u64,
            learning_rate: rate,
            seed: self.request.seed,
            state: self.state.as_ref(),
        }
    }

    fn velocity(&self, stage: Stage) -> Result<&Velocity, InstaFlowError> {
        let found = self.made.velocities.get(&stage);
        found.ok_or_else(|| absent(stage.name()))
    }

    fn states(&self) -> Result<&TextStates, InstaFlowError> {
        let text = self.made.text.as_ref();
        text.map(|(_, states)| states).ok_or_else(|| absent("text encoder"))
    }

    fn latents(&self) -> Result<&Latents, InstaFlowError> {
        self.made.latents.as_ref().ok_or_else(|| absent("autoencoder"))
    }

    fn pairs(&self, stage: Stage) -> Result<&Pairs, InstaFlowError> {
        let found = self.made.pairs.get(&stage);
        found.ok_or_else(|| absent(stage.name()))
    }

    /// Latents of real pictures, made again where a resumed study needs them.
    fn fill_pool(&mut self) -> Result<(), InstaFlowError> {
        if self.made.pool.is_none() {
            let wanted = self.request.train_steps * self.request.batch;
            let (shape, seed) = (self.shape(), self.request.seed);
            let pool = Pool::of(self.latents()?, shape, wanted, seed);
            self.made.pool = Some(pool);
        }
        Ok(())
    }

    fn pool(&self) -> Result<&Pool, InstaFlowError> {
        self.made.pool.as_ref().ok_or_else(|| absent("latents"))
    }

    fn keep_text(&mut self, text: TextEncoder) {
        let states = TextStates::of(&text, &self.words);
        self.made.text = Some((text, states));
    }

    /// Trains or draws a stage; its loss, if it has one, and seconds.
    fn make(
        &mut self,
        stage: Stage,
    ) -> Result<(Option<f64>, f64), InstaFlowError> {
        let began = Instant::now();
        let (batch, whole) = (self.request.batch, self.request.train_steps);
        match stage {
            Stage::Autoencoder => {
                let course = self.course(stage, whole, FRESH);
                let config = &self.request.pipeline.vae;
                let few = batch.div_ceil(4);
                let (latents, fitted) =
                    train_autoencoder(config, few, &course)?;
                self.made.latents = Some(latents);
                Ok((Some(fitted.loss), fitted.seconds))
            }
            Stage::Flow => {
                self.fill_pool()?;
                let course = self.course(stage, whole, FRESH);
                let pipeline = &self.request.pipeline;
                let pool = self.pool()?;
                let fitted =
                    train_flow(pipeline, pool, &self.words, batch, &course)?;
                let FlowModel { velocity, text } = fitted.model;
                self.keep_text(text);
                self.made.velocities.insert(stage, velocity);
                Ok((Some(fitted.loss), fitted.seconds))
            }
            Stage::Pairs | Stage::PairsOfTwo | Stage::PairsOfThree => {
                let all = self.request.pairs;
                let (teacher, guidance, steps, count) = match stage {
                    Stage::Pairs => {
                        (Stage::Flow, TEACHER_GUIDANCE, TEACHER_HEUN, all)
                    }
                    Stage::PairsOfTwo => {
                        let guidance = SECOND_GUIDANCE;
                        (Stage::Reflow, guidance, STRAIGHT_HEUN, all / 2)
                    }
                    _ => (Stage::ReflowAgain, 1.0, STRAIGHT_HEUN, all / 2),
                };
                let trained = self.words.trained();
                let sampler = Sampler::Heun;
                let teaching = Teaching {
                    teacher: self.velocity(teacher)?,
                    states: self.states()?,
                    captions: &trained,
                    shape: self.shape(),
                    how: Drawing { sampler, steps, guidance },
                };
                let (count, seed) = (count.max(1), self.request.seed);
                let pairs = Pairs::draw(&teaching, count, seed, stage.name())?;
                self.made.pairs.insert(stage, pairs);
                Ok((None, began.elapsed().as_secs_f64()))
            }
            Stage::Progressive(_) => {
                self.fill_pool()?;
                self.train_velocity(stage)
            }
            _ => self.train_velocity(stage),
        }
    }

    fn train_velocity(
        &mut self,
        stage: Stage,
    ) -> Result<(Option<f64>, f64), InstaFlowError> {
        let (batch, whole) = (self.request.batch, self.request.train_steps);
        let steps = match stage {
            Stage::DistillDirect => whole,
            Stage::Progressive(_) => whole / Student::ALL.len(),
            _ => whole / 2,
        };
        let course = self.course(stage, steps, TUNED);
        let states = self.states()?;
        let again = |start, pairs, count| {
            let start = self.velocity(start)?.clone();
            reflow(start, (self.pairs(pairs)?, count), states, batch, &course)
        };
        let one_step = |start: Velocity, pairs| {
            let critic = &Critic::new(self.latents()?)?;
            let pairs = self.pairs(pairs)?;
            let perceptual = (whole / 4) as u64;
            let lessons = Lessons { pairs, states, critic, batch, perceptual };
            distill(start, &lessons, &course)
        };
        let half = self.request.pairs / 2;
        let fitted: Fitted<Velocity> = match stage {
            Stage::Reflow => again(Stage::Flow, Stage::Pairs, half)?,
            Stage::ReflowAgain => {
                again(Stage::Reflow, Stage::PairsOfTwo, half)?
            }
            Stage::DistillTwo => {
                let start = self.velocity(Stage::Reflow)?.clone();
                one_step(start, Stage::PairsOfTwo)?
            }
            Stage::DistillThree => {
                let start = self.velocity(Stage::ReflowAgain)?.clone();
                one_step(start, Stage::PairsOfThree)?
            }
            Stage::DistillStacked => {
                one_step(self.stacked()?, Stage::PairsOfTwo)?
            }
            Stage::Progressive(student) => {
                let before =
                    student.teacher().map_or(Stage::Flow, Stage::Progressive);
                let halving = Halving {
                    teacher: self.velocity(before)?,
                    guidance: before.guidance(),
                    pool: self.pool()?,
                    states,
                    batch,
                    steps: student.steps(),
                };
                halve(&halving, &course)?
            }
            _ => {
                let start = self.velocity(Stage::Flow)?.clone();
                one_step(start, Stage::Pairs)?
            }
        };
        self.made.velocities.insert(stage, fitted.model);
        Ok((Some(fitted.loss), fitted.seconds))
    }

    /// The stacked network, both halves started from the 2-flow.
    fn stacked(&self) -> Result<Velocity, InstaFlowError> {
        match self.velocity(Stage::Reflow)? {
            Velocity::Single(unet) => {
                Ok(Velocity::Stacked(StackedUNet::twice(unet)))
            }
            Velocity::Stacked(_) => Err(absent("a U-Net to stack")),
        }
    }

    fn drawer(&self, stage: Stage) -> Result<Drawer<'_>, InstaFlowError> {
        let text = self.made.text.as_ref();
        let (text, states) = text.ok_or_else(|| absent("text encoder"))?;
        Ok(Drawer {
            velocity: self.velocity(stage)?,
            stacked: stage == Stage::DistillStacked,
            text,
            states,
            latents: self.latents()?,
            words: &self.words,
        })
    }

    fn judge(&mut self, stage: Stage) -> Result<Judged, InstaFlowError> {
        let Some(name) = stage.method() else {
            return Ok(Judged::default());
        };
        if self.made.evaluation.is_none() {
            let made = Evaluation::new(&self.request, self.shape())?;
            self.made.evaluation = Some(made);
        }
        let evaluation = self.made.evaluation.as_ref();
        let evaluation = evaluation.ok_or_else(|| absent("evaluation"))?;
        if stage == Stage::Autoencoder {
            return evaluation.floors(self.latents()?);
        }
        let (drawer, guidance) = (self.drawer(stage)?, stage.guidance());
        let at = stage.judged_at();
        let mut judged = evaluation.method(name, &drawer, at, guidance)?;
        let flows = [Stage::Flow, Stage::Reflow, Stage::ReflowAgain];
        if flows.contains(&stage) {
            let straight = evaluation.straightness(name, &drawer, guidance)?;
            judged.metrics.push(straight);
            let asked = evaluation.evaluations(name, &drawer, guidance)?;
            judged.metrics.push(asked);
        }
        let all = self.request.methods == crate::Methods::All;
        if all && stage == Stage::Reflow {
            judged.metrics.extend(evaluation.guidance(name, &drawer)?);
        }
        Ok(judged)
    }

    fn tensors(&self, stage: Stage) -> Result<Vec<Named>, InstaFlowError> {
        Ok(match stage {
            Stage::Autoencoder => {
                let latents = self.latents()?;
                let mut tensors = module_tensors("vae.", &latents.vae);
                let scaling = vec![latents.scaling];
                tensors.push(("scaling".to_owned(), vec![1], scaling));
                tensors
            }
            Stage::Pairs | Stage::PairsOfTwo | Stage::PairsOfThree => {
                self.pairs(stage)?.tensors()
            }
            _ => {
                let velocity = self.velocity(stage)?;
                let mut tensors = module_tensors("unet.", velocity);
                if stage == Stage::Flow
                    && let Some((text, _)) = &self.made.text
                {
                    tensors.extend(module_tensors("text.", text));
                }
                tensors
            }
        })
    }

    fn restore(
        &mut self,
        stage: Stage,
        file: &Checkpoint,
    ) -> Result<(), InstaFlowError> {
        let mut start = Parameters::shapes(&Device::flex());
        let pipeline = &self.request.pipeline;
        match stage {
            Stage::Autoencoder => {
                let vae = Vae::new(&mut start, &pipeline.vae);
                let vae = module_with(vae, file, "vae.")?;
                let scaling = file.floats("scaling")?.values;
                let [scaling] = scaling[..] else {
                    return Err(absent("scaling"));
                };
                self.made.latents = Some(Latents { vae, scaling });
            }
            Stage::Pairs | Stage::PairsOfTwo | Stage::PairsOfThree => {
                let pairs = Pairs::from_file(file, self.shape())?;
                self.made.pairs.insert(stage, pairs);
            }
            _ => {
                let stacked = stage == Stage::DistillStacked;
                let own = Velocity::new(&mut start, &pipeline.unet, stacked);
                let own = module_with(own, file, "unet.")?;
                if stage == Stage::Flow {
                    let text = TextEncoder::new(&mut start, &pipeline.text);
                    self.keep_text(module_with(text, file, "text.")?);
                }
                self.made.velocities.insert(stage, own);
            }
        }
        Ok(())
    }

    /// One stage, from its file or made and kept.
    fn advance(&mut self, stage: Stage) -> Result<Told, InstaFlowError> {
        let kept = match &self.state {
            Some(state) => state.read::<Told>(stage.name())?,
            None => None,
        };
        if let Some((file, told)) = kept {
            self.restore(stage, &file)?;
            return Ok(Told { earlier: true, ..told });
        }
        // What is made of this stage is of no use once it is made again.
        if let Some(state) = &self.state {
            for later in &self.left {
                state.remove(later.name())?;
                state.remove(&format!("{}.part", later.name()))?;
            }
        }
        let (loss, seconds) = self.make(stage)?;
        let began = Instant::now();
        let Judged { mut metrics, pictures } = self.judge(stage)?;
        let method = stage.method().unwrap_or(stage.name());
        let mut at = vec![("method", method.to_owned())];
        if let Stage::Progressive(student) = stage {
            at.push(("steps", student.steps().to_string()));
        }
        let lower = Better::Lower;
        metrics.push(metric("training_time", "s", lower, seconds, &at));
        if let Some(loss) = loss {
            metrics.push(metric("loss", "1", lower, loss, &at));
        }
        let judging = began.elapsed().as_secs_f64();
        let earlier = false;
        let told = Told { seconds, judging, metrics, pictures, earlier };
        if let Some(state) = &self.state {
            state.write(stage.name(), &self.tensors(stage)?, &told)?;
        }
        self.course(stage, 1, 0.0).forget()?;
        Ok(told)
    }
}

/// What a stage told, into the record.
fn report(watch: &mut Watch<'_>, stage: Stage, told: Told) {
    if told.earlier {
        watch.took_earlier(Seconds(told.seconds + told.judging));
    }
    watch.record(stage.name(), Seconds(told.seconds));
    watch.record("evaluation", Seconds(told.judging));
    for metric in told.metrics {
        watch.tell(metric);
    }
    for drawn in told.pictures {
        watch.pictures(drawn);
    }
}

impl Session for StudySession {
    fn verify(&mut self) -> Result<Verification, WorkloadError> {
        merge(vec![golden::of_unet()?, golden::of_vae()?, golden::of_text()?])
            .ok_or_else(|| WorkloadError::other("nothing was compared"))
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
        report(watch, stage, told);
        let done = self.left.is_empty();
        Ok(if done { Progress::Done } else { Progress::More })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_study_made_again_half_way_ends_in_the_same_bytes() {
        let case = "instaflow/tiny/study train_steps=8 pairs=64 evaluated=64 \
                    batch=8";
        let request = || Request::new(&case.parse().unwrap(), None).unwrap();
        let own = format!("assay-study-{}", std::process::id());
        let base = std::env::temp_dir().join(own);
        let session = |folder: &str| {
            let mut context = Context::new("cpu", 1);
            context.scratch = Some(base.join(folder));
            StudySession::new(request(), &context).unwrap()
        };
        let stages = &Stage::of(crate::Methods::Headline)[..6];
        let mut unbroken = session("unbroken");
        for stage in stages {
            unbroken.advance(*stage).unwrap();
        }
        let mut broken = session("broken");
        for stage in &stages[..3] {
            broken.advance(*stage).unwrap();
        }
        drop(broken);
        let mut resumed = session("broken");
        for stage in stages {
            resumed.advance(*stage).unwrap();
        }
        for stage in stages {
            let tensors = |study: &StudySession| study.tensors(*stage).unwrap();
            assert!(tensors(&unbroken) == tensors(&resumed), "{stage:?}");
        }
        std::fs::remove_dir_all(base).unwrap();
    }
}
