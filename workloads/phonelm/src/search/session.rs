//! The search as a study: an iteration is one stage, made or read back from
//! the folder that an earlier run left.
//!
//! First all candidates are predicted; then some are timed here and the
//! predictions' ranking is judged; then the finalists are trained, each with
//! every seed, and one of them with other activations, with which it is timed
//! too; last comes the front with quality on it. Predictions take seconds and
//! are made again when a killed search goes on; timings and trainings are kept.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use assay_kernels::Activation;
use assay_kit::{check_measurable, compare};
use assay_measure::{Context, Pace, Progress, Session, Watch, WorkloadError};
use assay_schema::{Better, Metric, Precision, Verification, fnv1a};
use assay_trace::{Graph, summary};

use super::candidate::{Candidate, activation_name};
use super::finalists::{Found, of_finalists, with_activation};
use super::front::front;
use super::measure::{rank_correlation, time};
use super::predict::{Predicted, Predicting, both_graphs, predict_all};
use super::space::Space;
use super::state::State;
use super::told::{Told, mean, metric, place, report, values};
use crate::score::{Score, scorer};
use crate::train::{Text, held_out_zeros, recipe, savings, train};
use crate::{PhoneLmError, Search};

/// Raised whenever stages change in what no constant here says.
const RECIPE: u32 = 2;

/// Candidates whose graphs are compared with whole traces before a search.
const CHECKED: usize = 4;

/// How far a total of a graph that was put together may lie from the whole
/// trace's, relative to the largest: both are sums of whole numbers.
const TOLERANCE: f64 = 1e-6;

/// Activations that one shape is trained with.
const ACTIVATIONS: [Activation; 3] =
    [Activation::Relu, Activation::Silu, Activation::Gelu];

/// What an iteration does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// All candidates are predicted.
    Predict,
    /// Some are timed here.
    Measure,
    /// A finalist is trained.
    Train { finalist: usize, seed: u64 },
    /// The first finalist is trained with an activation.
    Activate { activation: Activation, seed: u64 },
    /// The first finalist is timed here with each activation.
    Twins { seed: u64 },
    /// The front with quality on it.
    Conclude,
}

impl Stage {
    /// The part that its time is recorded as.
    fn part(self) -> Option<&'static str> {
        match self {
            Self::Predict => Some("predict"),
            Self::Measure | Self::Twins { .. } => Some("measure"),
            Self::Train { .. } | Self::Activate { .. } => Some("train"),
            Self::Conclude => None,
        }
    }
}

/// A search under way.
pub(crate) struct SearchSession {
    search: Search,
    scorer: &'static dyn Score,
    space: Space,
    text: Option<Text>,
    state: Option<State>,
    left: VecDeque<Stage>,
    found: Option<Found>,
    finalists: Vec<Predicted>,
    /// Held-out losses of each finalist, by seed.
    losses: BTreeMap<(usize, u64), f64>,
    /// Shares of closed gates of each finalist, by seed.
    zeros: BTreeMap<(usize, u64), Vec<f64>>,
}

fn stages(search: &Search) -> VecDeque<Stage> {
    let mut all = VecDeque::from([Stage::Predict]);
    if search.measured > 0 {
        all.push_back(Stage::Measure);
    }
    if search.finalists == 0 {
        return all;
    }
    let first = search.seed;
    let seeds = || (0..search.seeds).map(move |i| first.saturating_add(i));
    for finalist in 0..search.finalists {
        all.extend(seeds().map(|seed| Stage::Train { finalist, seed }));
    }
    for activation in ACTIVATIONS {
        all.extend(seeds().map(|seed| Stage::Activate { activation, seed }));
    }
    all.extend(seeds().map(|seed| Stage::Twins { seed }));
    all.push_back(Stage::Conclude);
    all
}

fn absent(what: &str) -> PhoneLmError {
    PhoneLmError::Data(format!("{what} was not made before its use"))
}

impl SearchSession {
    /// A search with the scoring function that the harness handed in.
    ///
    /// # Errors
    /// No scoring function; a budget that no candidate meets; a text that is
    /// too short or cannot be read; a device that is not in this build.
    pub(crate) fn new(
        search: Search,
        context: &Context,
    ) -> Result<Self, PhoneLmError> {
        let scorer = scorer().ok_or_else(|| PhoneLmError::NoScorer {
            target: search.target.clone(),
        })?;
        Self::with_scorer(search, context, scorer)
    }

    fn with_scorer(
        search: Search,
        context: &Context,
        scorer: &'static dyn Score,
    ) -> Result<Self, PhoneLmError> {
        let longest = search.prompt.max(search.context.saturating_add(1));
        let space = Space::of(search.budget, longest)?;
        let trains = search.finalists > 0;
        if trains || search.measured > 0 {
            check_measurable(Precision::F32, &context.device)
                .map_err(|error| PhoneLmError::Data(error.to_string()))?;
        }
        let text = match (trains, context.data.as_deref()) {
            (false, _) => None,
            (true, Some(path)) => Some(Text::from_file(path)?),
            (true, None) => Some(Text::shipped()?),
        };
        let cores = std::thread::available_parallelism();
        let cores = cores.map_or(0, std::num::NonZero::get);
        // What timings and weights depend on: a file of other constants or of
        // another machine is none to go on from.
        let fingerprint = text.as_ref().map_or(0, Text::fingerprint);
        let study = format!(
            "version={} recipe={RECIPE} cores={cores} text={fingerprint:08x} \
             {} prompt={} context={} train_tokens={}",
            env!("CARGO_PKG_VERSION"),
            recipe(),
            search.prompt,
            search.context,
            search.train_tokens
        );
        let folder = context.scratch.as_deref();
        let state =
            folder.map(|folder| State::new(folder, study)).transpose()?;
        Ok(Self {
            left: stages(&search),
            search,
            scorer,
            space,
            text,
            state,
            found: None,
            finalists: Vec::new(),
            losses: BTreeMap::new(),
            zeros: BTreeMap::new(),
        })
    }

    fn how(&self) -> Predicting<'_> {
        Predicting {
            scorer: self.scorer,
            target: &self.search.target,
            precision: self.search.precision,
            prompt: self.search.prompt,
            context: self.search.context,
        }
    }

    /// A stage's file, or what `make` makes, kept.
    fn kept(
        &self,
        name: &str,
        make: impl FnOnce(&Self) -> Result<Told, PhoneLmError>,
    ) -> Result<Told, PhoneLmError> {
        let Some(state) = &self.state else { return make(self) };
        if let Some(told) = state.read_note(name)? {
            return Ok(told);
        }
        let told = make(self)?;
        state.write_note(name, &told)?;
        Ok(told)
    }

    fn predict(&mut self) -> Result<Told, PhoneLmError> {
        let search = &self.search;
        let begun = Instant::now();
        let (count, seed) = (search.candidates, search.seed);
        let found = Found::of(&self.space, &self.how(), count, seed)?;
        let seconds = begun.elapsed().as_secs_f64();
        let mut metrics = found.metrics(seconds);
        self.finalists = found.finalists(&self.how(), search.finalists)?;
        metrics.extend(of_finalists(&self.finalists));
        self.found = Some(found);
        Ok(Told { seconds, metrics, ..Told::default() })
    }

    fn measure(&self) -> Result<Told, PhoneLmError> {
        let found = self.found.as_ref().ok_or_else(|| absent("the front"))?;
        let chosen = found.to_measure(self.search.measured);
        let names: Vec<String> =
            chosen.iter().map(|one| one.candidate.to_string()).collect();
        let name = format!("measure-{:08x}", fnv1a(&names.join(" ")));
        let mut told = self.kept(&name, |own| own.timed(&chosen))?;
        let of_phase = |metrics: &[Metric], name: &str, phase: &str| {
            values(metrics, name, &[("phase", phase)])
        };
        // Predictions are of now, timings may be of an earlier run.
        for (one, name) in chosen.iter().zip(&names) {
            for (phase, time) in
                [("prefill", one.prefill), ("decode", one.decode)]
            {
                let at = place(&[("candidate", name), ("phase", phase)]);
                let lower = Better::Lower;
                let own = metric("predicted_time", "s", lower, time, &at);
                told.metrics.push(own);
            }
        }
        for phase in ["prefill", "decode"] {
            let predicted = of_phase(&told.metrics, "predicted_time", phase);
            let measured = of_phase(&told.metrics, "measured_time", phase);
            let found =
                rank_correlation(&predicted, &measured, self.search.seed)?;
            for (name, value) in [
                ("rank_correlation", found.point),
                ("rank_correlation_low", found.low),
                ("rank_correlation_high", found.high),
            ] {
                let at = place(&[("phase", phase)]);
                let higher = Better::Higher;
                told.metrics.push(metric(name, "1", higher, value, &at));
            }
        }
        let count = chosen.len() as f64;
        let neither = Better::Neither;
        told.metrics.push(metric("ranked", "1", neither, count, &[]));
        Ok(told)
    }

    /// Candidates timed here, in their order.
    fn timed(&self, chosen: &[Predicted]) -> Result<Told, PhoneLmError> {
        let Search { prompt, context, seed, .. } = self.search;
        let begun = Instant::now();
        let mut metrics = Vec::new();
        let all: Vec<Candidate> =
            chosen.iter().map(|one| one.candidate).collect();
        let took = time(&all, prompt, context, seed)?;
        for (one, took) in chosen.iter().zip(took) {
            let name = one.candidate.to_string();
            for (phase, time) in
                [("prefill", took.prefill), ("decode", took.decode)]
            {
                let at = place(&[("candidate", &name), ("phase", phase)]);
                let lower = Better::Lower;
                metrics.push(metric("measured_time", "s", lower, time, &at));
            }
        }
        let seconds = begun.elapsed().as_secs_f64();
        Ok(Told { seconds, metrics, ..Told::default() })
    }

    /// A candidate trained with a seed, from its file or made and kept.
    fn trained(
        &self,
        candidate: &Candidate,
        seed: u64,
    ) -> Result<Told, PhoneLmError> {
        let name = format!("train-{candidate}-{seed}");
        self.kept(&name, |own| own.make_trained(candidate, seed))
    }

    fn make_trained(
        &self,
        candidate: &Candidate,
        seed: u64,
    ) -> Result<Told, PhoneLmError> {
        let text = self.text.as_ref().ok_or_else(|| absent("the text"))?;
        let config = candidate.config()?;
        let tokens = self.search.train_tokens;
        let trained = train(&config, text, tokens, seed)?;
        let at = place(&[
            ("candidate", &candidate.to_string()),
            ("seed", &seed.to_string()),
        ]);
        let (lower, higher, neither) =
            (Better::Lower, Better::Higher, Better::Neither);
        let (seconds, loss) = (trained.seconds, trained.held_out_loss);
        let speed = trained.tokens as f64 / seconds.max(f64::MIN_POSITIVE);
        let mut metrics = vec![
            metric("heldout_loss", "nat", lower, loss, &at),
            metric("train_loss", "nat", lower, trained.train_loss, &at),
            metric("training_time", "s", lower, seconds, &at),
            metric("tokens_per_second", "1/s", higher, speed, &at),
        ];
        let zeros = held_out_zeros(&config, &trained.model, text)?;
        if let Some(zeros) = &zeros {
            let saved = savings(candidate, zeros, self.search.context)?;
            for (name, better, value) in [
                ("gate_zeros", neither, mean(zeros)),
                ("sparse_decode_flops", higher, saved.flops),
                ("sparse_decode_bytes", higher, saved.bytes),
                ("sparse_decode_flops_with_up", higher, saved.flops_with_up),
                ("sparse_decode_bytes_with_up", higher, saved.bytes_with_up),
            ] {
                metrics.push(metric(name, "1", better, value, &at));
            }
        }
        Ok(Told { seconds, metrics, loss: Some(loss), zeros })
    }

    fn train(
        &mut self,
        finalist: usize,
        seed: u64,
    ) -> Result<Told, PhoneLmError> {
        // Fewer candidates than were asked for have fewer finalists.
        let Some(own) = self.finalists.get(finalist).copied() else {
            return Ok(Told::default());
        };
        let mut told = self.trained(&own.candidate, seed)?;
        if let Some(loss) = told.loss {
            self.losses.insert((finalist, seed), loss);
        }
        if let Some(zeros) = &told.zeros {
            self.zeros.insert((finalist, seed), zeros.clone());
        }
        let last = self.search.seed.saturating_add(self.search.seeds - 1);
        if seed == last {
            told.metrics.extend(self.zeros_by_layer(finalist, &own.candidate));
        }
        Ok(told)
    }

    /// Shares of closed gates by layer, the mean of all seeds.
    fn zeros_by_layer(
        &self,
        finalist: usize,
        candidate: &Candidate,
    ) -> Vec<Metric> {
        let of_seed: Vec<&Vec<f64>> = self
            .zeros
            .range((finalist, 0)..=(finalist, u64::MAX))
            .map(|(_, zeros)| zeros)
            .collect();
        if of_seed.is_empty() {
            return Vec::new();
        }
        (0..candidate.layers)
            .map(|layer| {
                let own = of_seed.iter().filter_map(|one| one.get(layer));
                let own: Vec<f64> = own.copied().collect();
                let at = place(&[
                    ("candidate", &candidate.to_string()),
                    ("layer", &layer.to_string()),
                ]);
                let neither = Better::Neither;
                metric("gate_zeros_layer", "1", neither, mean(&own), &at)
            })
            .collect()
    }

    fn activate(
        &self,
        activation: Activation,
        seed: u64,
    ) -> Result<Told, PhoneLmError> {
        let Some(first) = self.finalists.first() else {
            return Ok(Told::default());
        };
        let candidate = with_activation(first.candidate, activation);
        let name = activation_name(activation);
        // The finalist itself was trained already, here or in its file.
        let known = self.losses.get(&(0, seed)).copied();
        let same = candidate == first.candidate;
        let (loss, seconds) = match known.filter(|_| same) {
            Some(loss) => (loss, 0.0),
            None => {
                let told = self.trained(&candidate, seed)?;
                let loss = told.loss.ok_or_else(|| absent("a loss"))?;
                (loss, told.seconds)
            }
        };
        let seed_at = seed.to_string();
        let at = place(&[("activation", name), ("seed", &seed_at)]);
        let lower = Better::Lower;
        let mut metrics =
            vec![metric("activation_loss", "nat", lower, loss, &at)];
        if seed == self.search.seed {
            let at = place(&[("activation", name)]);
            for own in predict_all(&[candidate], &self.how())? {
                let time = own.decode;
                metrics.push(metric(
                    "activation_decode",
                    "s",
                    lower,
                    time,
                    &at,
                ));
            }
        }
        Ok(Told { seconds, metrics, ..Told::default() })
    }

    /// The first finalist with each activation, timed here; from its file, or
    /// made and kept.
    fn twins(&self, seed: u64) -> Result<Told, PhoneLmError> {
        let Some(first) = self.finalists.first() else {
            return Ok(Told::default());
        };
        let candidate = first.candidate;
        let name = format!("twins-{candidate}-{seed}");
        self.kept(&name, |own| own.make_twins(&candidate, seed))
    }

    /// Decode steps of each activation by turns, with the same weights; each
    /// seed begins with another, so that none always comes first.
    fn make_twins(
        &self,
        candidate: &Candidate,
        seed: u64,
    ) -> Result<Told, PhoneLmError> {
        let Search { prompt, context, .. } = self.search;
        let begun = Instant::now();
        let mut order = ACTIVATIONS;
        order.rotate_left((seed % ACTIVATIONS.len() as u64) as usize);
        let mut metrics = Vec::new();
        let twins = order.map(|one| with_activation(*candidate, one));
        let took = time(&twins, prompt, context, seed)?;
        for (activation, took) in order.into_iter().zip(took) {
            let at = place(&[
                ("activation", activation_name(activation)),
                ("seed", &seed.to_string()),
            ]);
            let (lower, took) = (Better::Lower, took.decode);
            metrics.push(metric("activation_time", "s", lower, took, &at));
        }
        let seconds = begun.elapsed().as_secs_f64();
        Ok(Told { seconds, metrics, ..Told::default() })
    }

    /// Which finalists nobody dominates in prefill, decode, memory and loss.
    fn conclude(&self) -> Told {
        let mut points = Vec::new();
        let mut names = Vec::new();
        for (at, own) in self.finalists.iter().enumerate() {
            let losses: Vec<f64> = self
                .losses
                .range((at, 0)..=(at, u64::MAX))
                .map(|(_, loss)| *loss)
                .collect();
            let [prefill, decode, memory] = own.costs();
            points.push([prefill, decode, memory, mean(&losses)]);
            names.push(own.candidate.to_string());
        }
        let members = front(&points);
        let mut metrics = Vec::new();
        for (at, (name, own)) in names.iter().zip(&self.finalists).enumerate() {
            let place = place(&[("candidate", name)]);
            let on_front = f64::from(u8::from(members.contains(&at)));
            let (higher, lower) = (Better::Higher, Better::Lower);
            let is_on = metric("finalist_front", "1", higher, on_front, &place);
            let [prefill, decode, _] = own.costs();
            metrics.extend([
                is_on,
                metric("finalist_prefill", "s", lower, prefill, &place),
                metric("finalist_decode", "s", lower, decode, &place),
            ]);
        }
        Told { metrics, ..Told::default() }
    }

    fn advance(&mut self, stage: Stage) -> Result<Told, PhoneLmError> {
        match stage {
            Stage::Predict => self.predict(),
            Stage::Measure => self.measure(),
            Stage::Train { finalist, seed } => self.train(finalist, seed),
            Stage::Activate { activation, seed } => {
                self.activate(activation, seed)
            }
            Stage::Twins { seed } => self.twins(seed),
            Stage::Conclude => Ok(self.conclude()),
        }
    }
}

/// What a graph costs in all.
fn totals(graph: &Graph) -> Vec<f32> {
    let work = summary(graph, Precision::F32);
    let numbers = [
        work.flops.value(),
        work.bytes.value(),
        work.parameters as f64,
        work.memory_peak.total().value(),
        work.operators as f64,
    ];
    numbers.map(|number| number as f32).to_vec()
}

impl Session for SearchSession {
    /// Graphs that were put together against whole traces.
    fn verify(&mut self) -> Result<Verification, WorkloadError> {
        let Search { prompt, context, seed, .. } = self.search;
        let (mut found, mut right) = (Vec::new(), Vec::new());
        for candidate in self.space.sample(CHECKED, seed)? {
            for [quick, whole] in both_graphs(&candidate, prompt, context)? {
                // Each by itself: one total is millions of times another.
                for (own, whole) in totals(&quick).iter().zip(totals(&whole)) {
                    found.push(own / whole);
                    right.push(1.0);
                }
            }
        }
        let what = "totals of whole traces";
        Ok(compare(what, &found, &right, TOLERANCE))
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
        report(watch, stage.part(), told);
        let done = self.left.is_empty();
        Ok(if done { Progress::Done } else { Progress::More })
    }
}

#[cfg(test)]
mod tests;
