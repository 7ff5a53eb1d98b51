//! The study of the intents as a session: an iteration is one stage, trained
//! and judged, or read back from the file that an earlier run left.
//!
//! Stages: `words`, pre-training without a call, whose model is judged as it
//! is before fine-tuning; `adapters`, LoRA on it; `full`, all its weights
//! instead, as a comparison. Every model answers the same held-out requests,
//! freely and among what the grammar allows.

use std::collections::VecDeque;
use std::time::Instant;

use assay_kit::Parameters;
use assay_measure::{Context, Pace, Progress, Session, Watch, WorkloadError};
use assay_schema::{Better, Metric, Seconds, Verification};
use assay_slm::{Config, Decoder};
use burn::module::Module;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::call::{Prompt, answers, check};
use super::generator::{Example, Generator, HeldOut};
use super::judge::{Mark, Score};
use super::kept::{Kept, weights, with_weights};
use super::language::Language;
use super::lessons::{Lessons, Subject, called, prose};
use super::model::{self, LONGEST, Learned, Row};
use super::tuning::{Course, fresh, recipe, trainable, with_adapters};
use crate::PhoneLmError;
use crate::request::{Call, Methods, Tuning};

/// Raised whenever stages change in what no constant says.
const RECIPE: u32 = 3;

/// A stage of the study.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Pre-training.
    Words,
    /// Fine-tuning of adapters.
    Adapters,
    /// Fine-tuning of all weights.
    Full,
}

impl Stage {
    fn of(methods: Methods) -> VecDeque<Self> {
        match methods {
            Methods::Adapters => [Self::Words, Self::Adapters].into(),
            Methods::All => [Self::Words, Self::Adapters, Self::Full].into(),
        }
    }

    /// Names its file.
    fn name(self) -> &'static str {
        match self {
            Self::Words => "words",
            Self::Adapters => "adapters",
            Self::Full => "full",
        }
    }

    /// The place of its metrics: what the model is when it is judged.
    fn place(self) -> &'static str {
        match self {
            Self::Words => "before",
            Self::Adapters => "adapters",
            Self::Full => "full",
        }
    }

    /// The part that its time is told as.
    fn part(self) -> &'static str {
        match self {
            Self::Words => "pretrain",
            Self::Adapters | Self::Full => "fine-tune",
        }
    }
}

/// What a stage told; stands in its file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Told {
    /// Of training, s.
    seconds: f64,
    /// Of judging, s.
    judging: f64,
    metrics: Vec<Metric>,
    /// Whether an earlier run made the stage.
    #[serde(skip)]
    earlier: bool,
}

/// A study under way.
#[derive(Debug)]
pub(crate) struct TuningSession {
    request: Tuning,
    config: Config,
    generator: Generator,
    language: Language,
    held: HeldOut,
    /// Tokens of prose.
    prose: Vec<u32>,
    kept: Option<Kept>,
    left: VecDeque<Stage>,
    /// The pre-trained model, off the device with gradients.
    base: Option<Decoder>,
}

impl TuningSession {
    /// Prepares a study; nothing is trained yet.
    ///
    /// # Errors
    /// More held-out requests than the wordings give; a folder that cannot be
    /// made.
    pub(crate) fn new(
        request: Tuning,
        context: &Context,
    ) -> Result<Self, PhoneLmError> {
        let generator = Generator::new(Call::OFFERED)?;
        let prose = prose()?;
        let texts = generator.texts();
        let language = Language::new(&texts, &prose)?;
        let held = generator.held_out(request.seed, request.tested)?;
        let cores = std::thread::available_parallelism();
        let cores = cores.map_or(0, std::num::NonZero::get);
        // What weights and times depend on: a file of other constants or of
        // another machine is none to go on from.
        let study = format!(
            "version={} cores={cores} recipe={RECIPE} {} {request:?}",
            env!("CARGO_PKG_VERSION"),
            recipe()
        );
        let folder = context.scratch.as_deref();
        Ok(Self {
            config: model::config(),
            prose: language.tokens(&prose),
            kept: folder.map(|path| Kept::new(path, study)).transpose()?,
            left: Stage::of(request.methods),
            base: None,
            generator,
            language,
            held,
            request,
        })
    }

    fn base(&self) -> Result<&Decoder, PhoneLmError> {
        self.base.as_ref().ok_or_else(|| {
            PhoneLmError::Data("fine-tuning before pre-training".to_owned())
        })
    }

    fn course(&self, stage: Stage) -> Course<'_> {
        let (steps, learned) = match stage {
            Stage::Words => (self.request.pretrain_steps, Learned::Everything),
            Stage::Adapters | Stage::Full => {
                (self.request.tune_steps, Learned::Answers)
            }
        };
        Course {
            name: stage.name(),
            steps: steps as u64,
            learned,
            kept: self.kept.as_ref(),
        }
    }

    /// Trains a stage's model; gives it merged and off the device with
    /// gradients, and what its training told.
    fn train(
        &self,
        stage: Stage,
    ) -> Result<(Decoder, f64, Vec<Metric>), PhoneLmError> {
        let Tuning { seed, rank, .. } = self.request;
        let (start, subject) = match stage {
            Stage::Words => (fresh(seed), Subject::Words),
            Stage::Adapters => {
                (with_adapters(self.base()?, rank, seed), Subject::Calls)
            }
            Stage::Full => (self.base()?.clone().train(), Subject::Calls),
        };
        let changed = trainable(&start);
        let mut lessons = Lessons::new(
            &self.generator,
            &self.language,
            &self.held,
            &self.prose,
            subject,
            seed,
        )?;
        let course = self.course(stage);
        let trained = course
            .fit(start, |step| lessons.rows(step).map(<[Row]>::to_vec))?;
        let model = match stage {
            Stage::Adapters => trained.model.merged(),
            Stage::Words | Stage::Full => trained.model,
        };
        let at = [("stage", stage.place())];
        let one = |name: &str, unit: &str, better: Better, value: f64| {
            Metric::value(name, unit, better, value).at(at)
        };
        let metrics = vec![
            one("train_loss", "nat", Better::Lower, trained.loss),
            one("training_time", "s", Better::Lower, trained.seconds),
            one("trainable_parameters", "1", Better::Neither, changed as f64),
        ];
        Ok((model.valid(), trained.seconds, metrics))
    }

    /// A model's answers to the held-out requests, judged; with a run's
    /// folder they are written beside its stages, to be read.
    fn judge(
        &self,
        stage: Stage,
        model: &Decoder,
    ) -> Result<Vec<Metric>, PhoneLmError> {
        let mut metrics = Vec::new();
        let examples = &self.held.examples;
        let mut told: Vec<Answered<'_>> = examples
            .iter()
            .map(|one| Answered::new(&self.language, one))
            .collect();
        for (decoding, is_bound) in [("free", false), ("constrained", true)] {
            let prompts: Vec<Prompt<'_>> = examples
                .iter()
                .map(|one| Prompt {
                    tokens: self.language.prompt(&one.tools, &one.request),
                    tools: is_bound.then_some(one.tools.as_slice()),
                })
                .collect();
            let found = answers(model, &self.config, &self.language, &prompts)?;
            let (mut all, mut seen, mut unseen) =
                (Score::default(), Score::default(), Score::default());
            for ((answer, one), told) in
                found.iter().zip(examples).zip(&mut told)
            {
                let mark =
                    Mark::of(&self.language, answer, &one.tools, &one.call);
                let text = self.language.render(answer);
                told.answers.push((decoding, text, mark.is_exact));
                all.add(mark);
                if one.is_seen { seen.add(mark) } else { unseen.add(mark) }
            }
            let at = [("stage", stage.place()), ("decoding", decoding)];
            metrics.push(share("well_formed", all.well_formed()).at(at));
            let scores = [("all", all), ("seen", seen), ("unseen", unseen)];
            for (tools, score) in scores {
                if score.requests == 0 {
                    continue;
                }
                let at = [at[0], at[1], ("tools", tools)];
                let [exact, low, high] = score.exact()?;
                metrics.push(share("exact", exact).at(at));
                metrics.push(share("exact_low", low).at(at));
                metrics.push(share("exact_high", high).at(at));
                metrics.push(share("soft", score.soft()).at(at));
            }
        }
        if let Some(kept) = &self.kept {
            let lines: String = told.iter().map(Answered::line).collect();
            kept.write_text(&format!("answers-{}.txt", stage.place()), &lines)?;
        }
        Ok(metrics)
    }

    /// What the held-out requests are: how many, and how long.
    fn requests(&self) -> Vec<Metric> {
        let examples = &self.held.examples;
        let count = examples.len();
        let seen = examples.iter().filter(|one| one.is_seen).count();
        let (mut prompts, mut calls) = (0, 0);
        for example in examples {
            let row = called(&self.language, example);
            let call = row.answers.iter().map(|a| a.len()).sum::<usize>();
            prompts += row.tokens.len() - call;
            calls += call;
        }
        let number = |name: &str, value: f64| {
            Metric::value(name, "1", Better::Neither, value)
        };
        let tools = |tools: &str, count: usize| {
            number("requests", count as f64).at([("tools", tools)])
        };
        vec![
            tools("all", count),
            tools("seen", seen),
            tools("unseen", count - seen),
            number("prompt_tokens", prompts as f64 / count as f64),
            number("call_tokens", calls as f64 / count as f64),
        ]
    }

    /// One stage, from its file or made and kept.
    fn advance(&mut self, stage: Stage) -> Result<Told, PhoneLmError> {
        let kept = match &self.kept {
            Some(kept) => kept.read::<Told>(stage.name())?,
            None => None,
        };
        if let Some((file, told)) = kept {
            if stage == Stage::Words {
                let mut start = Parameters::shapes(&Device::flex());
                let model = Decoder::new(&mut start, &self.config, LONGEST);
                self.base = Some(with_weights(model, &file)?);
            }
            return Ok(Told { earlier: true, ..told });
        }
        // What was made of this stage is of no use once it is made again.
        if let Some(kept) = &self.kept {
            for later in &self.left {
                kept.remove(later.name())?;
                kept.remove(&format!("{}.part", later.name()))?;
            }
        }
        let (model, seconds, mut metrics) = self.train(stage)?;
        let began = Instant::now();
        metrics.extend(self.judge(stage, &model)?);
        if stage == Stage::Words {
            metrics.extend(self.requests());
        }
        let judging = began.elapsed().as_secs_f64();
        let told = Told { seconds, judging, metrics, earlier: false };
        if let Some(kept) = &self.kept {
            kept.write(stage.name(), &weights(&model), &told)?;
        }
        self.course(stage).forget()?;
        if stage == Stage::Words {
            self.base = Some(model);
        }
        Ok(told)
    }
}

/// A held-out request beside what was answered, to be read.
struct Answered<'a> {
    request: &'a str,
    right: String,
    is_seen: bool,
    /// Decoding, text, whether it is exact.
    answers: Vec<(&'static str, String, bool)>,
}

impl<'a> Answered<'a> {
    fn new(language: &Language, example: &'a Example) -> Self {
        let tool = &example.tools[example.right];
        let right = language.render(&language.call(tool, &example.call));
        Self {
            request: &example.request,
            right,
            is_seen: example.is_seen,
            answers: Vec::new(),
        }
    }

    fn line(&self) -> String {
        let tools = if self.is_seen { "seen" } else { "unseen" };
        let mut text = format!(
            "{tools}: {}\n  right {}\n",
            self.request,
            self.right.trim()
        );
        for (decoding, answer, is_exact) in &self.answers {
            let mark = if *is_exact { "exact" } else { "other" };
            let answer = answer.trim();
            text.push_str(&format!("  {decoding}, {mark}: {answer}\n"));
        }
        text
    }
}

/// A share of answers.
fn share(name: &str, value: f64) -> Metric {
    Metric::value(name, "1", Better::Higher, value)
}

/// What a stage told, into the record.
fn report(watch: &mut Watch<'_>, stage: Stage, told: Told) {
    if told.earlier {
        watch.took_earlier(Seconds(told.seconds + told.judging));
    }
    watch.record(stage.part(), Seconds(told.seconds));
    watch.record("evaluate", Seconds(told.judging));
    for metric in told.metrics {
        watch.tell(metric);
    }
}

impl Session for TuningSession {
    fn verify(&mut self) -> Result<Verification, WorkloadError> {
        // Of the model that is about to be trained, at its size.
        let mut start = Parameters::random(&Device::flex(), self.request.seed);
        let model = Decoder::new(&mut start, &self.config, LONGEST);
        let first = self.held.examples.first();
        let row = first.map(|one| called(&self.language, one));
        check(&model, &self.config, &row.unwrap_or_default().tokens)
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
    use assay_schema::Reading;

    use super::*;

    fn session(folder: Option<&std::path::Path>) -> TuningSession {
        let request = Tuning {
            seed: 1,
            rank: 2,
            pretrain_steps: 1,
            tune_steps: 1,
            tested: 5,
            methods: Methods::Adapters,
        };
        let mut context = Context::new("cpu", 1);
        context.scratch = folder.map(std::path::Path::to_owned);
        TuningSession::new(request, &context).unwrap()
    }

    fn run(session: &mut TuningSession) -> Vec<Told> {
        let mut told = Vec::new();
        while let Some(stage) = session.left.pop_front() {
            told.push(session.advance(stage).unwrap());
        }
        told
    }

    /// Whether a metric is another, up to the digits that a file keeps.
    fn is_same(a: &Metric, b: &Metric) -> bool {
        let near = match (&a.reading, &b.reading) {
            (Reading::Value(a), Reading::Value(b)) => {
                (a - b).abs() <= 1e-12 * a.abs()
            }
            (a, b) => a == b,
        };
        near && a.name == b.name && a.at == b.at && a.unit == b.unit
    }

    #[test]
    fn a_study_tells_every_metric_and_reads_back_what_it_kept() {
        let own = format!("assay-intents-study-{}", std::process::id());
        let folder = std::env::temp_dir().join(own);
        let made = run(&mut session(Some(&folder)));
        let read = run(&mut session(Some(&folder)));
        for (made, read) in made.iter().zip(&read) {
            assert_eq!(made.metrics.len(), read.metrics.len());
            for (made, read) in made.metrics.iter().zip(&read.metrics) {
                assert!(is_same(made, read), "{made:?} {read:?}");
            }
        }
        let all: Vec<&Metric> =
            made.iter().flat_map(|told| &told.metrics).collect();
        let count = |name: &str| {
            all.iter().filter(|metric| metric.name == name).count()
        };
        // Two models, two decodings, three sets of tools.
        assert_eq!((count("exact"), count("soft")), (12, 12));
        assert_eq!(count("well_formed"), 4);
        assert_eq!((count("train_loss"), count("requests")), (2, 3));
        assert_eq!((count("prompt_tokens"), count("call_tokens")), (1, 1));
        let stages: std::collections::BTreeSet<&str> = all
            .iter()
            .filter_map(|metric| metric.at.get("stage").map(String::as_str))
            .collect();
        let stages: Vec<&str> = stages.into_iter().collect();
        assert_eq!(stages, ["adapters", "before"]);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_model_that_is_trained_verifies() {
        let mut session = session(None);
        assert!(session.verify().unwrap().passed());
        assert_eq!(session.pace(), Pace::Study);
    }
}
