//! Sessions of a classifier: a training step, an inference, and what a study
//! reports.

use std::hint::black_box;

use assay_kernels::{AdamW, with_plain_twins};
use assay_measure::{Context, Pace, Progress, Session, Watch, WorkloadError};
use assay_schema::{Better, Flops, Verification};
use assay_trace::{Graph, Pass};
use burn::tensor::{Device, Int, Tensor};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Classifier, Evaluation, Examples, adam, training_step};
use crate::{
    Checkpoint, KitError, Mode, Optimizer, Parameters, Training, compare,
    floats, load_published, merge,
};

/// The relative tolerance of an answer in `f32`.
const TOLERANCE: f64 = 1e-4;

/// Examples of the check at full size: the plain twins are slow.
const CHECKED: usize = 8;

/// A check against an answer from elsewhere.
pub type Golden = Box<dyn Fn() -> Result<Verification, WorkloadError>>;

/// The answer at the size that is timed, with kernels against plain twins.
fn at_size(
    compute: impl Fn() -> Result<Vec<f32>, WorkloadError>,
    what: &str,
) -> Result<Verification, WorkloadError> {
    let fused = compute()?;
    let plain = with_plain_twins(&compute)?;
    Ok(compare(what, &fused, &plain, TOLERANCE))
}

fn worst(parts: Vec<Verification>) -> Result<Verification, WorkloadError> {
    merge(parts).ok_or_else(|| WorkloadError::other("nothing was compared"))
}

/// Forward, backward and optimizer on one batch, again and again.
struct TrainSession<M> {
    model: Option<M>,
    optimizer: Optimizer,
    training: Training,
    batches: Vec<(Tensor<3>, Tensor<1, Int>)>,
    turn: usize,
    golden: Golden,
}

impl<M: Classifier> TrainSession<M> {
    /// `model` on a device with gradients; batches of `batch` examples are
    /// taken in turn.
    fn new(
        model: M,
        examples: &Examples,
        batch: usize,
        adam: AdamW,
        golden: Golden,
    ) -> Self {
        let mut optimizer = Optimizer::new(adam);
        optimizer.prepare(&model);
        Self {
            model: Some(model),
            optimizer,
            training: Training::new(1),
            batches: batches(examples, batch, &Device::flex().autodiff()),
            turn: 0,
            golden,
        }
    }
}

/// The examples in batches of equal size; shorter ends are left out.
fn batches(
    examples: &Examples,
    batch: usize,
    device: &Device,
) -> Vec<(Tensor<3>, Tensor<1, Int>)> {
    let places: Vec<usize> = (0..examples.len()).collect();
    places
        .chunks_exact(batch)
        .map(|picks| examples.batch(picks, device))
        .collect()
}

fn lost() -> WorkloadError {
    WorkloadError::other("the model was lost in a training step that failed")
}

impl<M: Classifier> Session for TrainSession<M> {
    fn verify(&mut self) -> Result<Verification, WorkloadError> {
        let model = self.model.as_ref().ok_or_else(lost)?;
        let (x, class) = &self.batches[0];
        let few = x.dims()[0].min(CHECKED);
        let x = x.clone().narrow(0, 0, few);
        let class = class.clone().narrow(0, 0, few);
        // The same seed drops the same units in both.
        let loss = || {
            let mut training = Training::new(1);
            let mode = &mut Mode::Training(&mut training);
            let logits = model.logits(x.clone(), mode);
            let loss = assay_kernels::cross_entropy(logits, class.clone());
            Ok(floats(assay_trace::inner(loss)))
        };
        worst(vec![
            (self.golden)()?,
            at_size(loss, "loss of the plain twins at size")?,
        ])
    }

    fn pace(&self) -> Pace {
        Pace::Steady
    }

    fn iterate(
        &mut self,
        watch: &mut Watch<'_>,
    ) -> Result<Progress, WorkloadError> {
        self.turn = (self.turn + 1) % self.batches.len();
        let (x, class) = self.batches[self.turn].clone();
        let model = self.model.take().ok_or_else(lost)?;
        let (loss, model) = training_step(
            model,
            &mut self.optimizer,
            &mut self.training,
            x,
            class,
        );
        self.model = Some(model);
        let loss = floats(loss).first().copied().unwrap_or(f32::NAN);
        if !loss.is_finite() {
            let what = "training loss".to_owned();
            return Err(WorkloadError::NotFinite { what });
        }
        watch.quality("loss", "nat", Better::Lower, f64::from(loss));
        Ok(Progress::More)
    }
}

/// A forward pass on one batch, again and again.
struct InferSession<M> {
    model: M,
    batches: Vec<(Tensor<3>, Tensor<1, Int>)>,
    turn: usize,
    golden: Golden,
}

impl<M: Classifier> InferSession<M> {
    /// `model` on a device without gradients.
    fn new(
        model: M,
        examples: &Examples,
        batch: usize,
        golden: Golden,
    ) -> Self {
        let batches = batches(examples, batch, &Device::flex());
        Self { model, batches, turn: 0, golden }
    }
}

impl<M: Classifier> Session for InferSession<M> {
    fn verify(&mut self) -> Result<Verification, WorkloadError> {
        let x = self.batches[0].0.clone();
        let few = x.dims()[0].min(CHECKED);
        let x = x.narrow(0, 0, few);
        let logits =
            || Ok(floats(self.model.logits(x.clone(), &mut Mode::Inference)));
        worst(vec![
            (self.golden)()?,
            at_size(logits, "scores of the plain twins at size")?,
        ])
    }

    fn pace(&self) -> Pace {
        Pace::Steady
    }

    fn iterate(
        &mut self,
        _: &mut Watch<'_>,
    ) -> Result<Progress, WorkloadError> {
        self.turn = (self.turn + 1) % self.batches.len();
        let x = self.batches[self.turn].0.clone();
        black_box(self.model.logits(x, &mut Mode::Inference));
        Ok(Progress::More)
    }
}

/// What a case that is only timed is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timed {
    /// A training step, else an inference.
    pub trains: bool,
    /// Examples a step.
    pub batch: usize,
    /// Pairs an example.
    pub length: usize,
    /// Classes.
    pub classes: usize,
    /// Adam's step size.
    pub learning_rate: f64,
}

/// Batches that are taken in turn, so that no iteration sees the values of
/// the one before.
const TURNS: usize = 4;

/// Examples of random values, uniform with deviation 1.
pub fn timed_examples(
    seed: u64,
    count: usize,
    length: usize,
    classes: usize,
) -> Examples {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let unit = 3.0_f32.sqrt();
    let mut value =
        || unit * ((rng.next_u32() >> 8) as f32 / 8_388_608.0 - 1.0);
    Examples {
        length,
        features: (0..count * length * 2).map(|_| value()).collect(),
        class: (0..count).map(|i| (i % classes) as u8).collect(),
        group: vec![0; count],
        classes: (0..classes).map(|class| class.to_string()).collect(),
    }
}

/// The session of a training step or an inference: a classifier that `make`
/// makes, with random weights or those of the context's file.
///
/// # Errors
/// What `make` says; a weight file that does not fit.
pub fn steady<M: Classifier + 'static, E: From<KitError>>(
    timed: &Timed,
    context: &Context,
    golden: Golden,
    make: impl FnOnce(&mut Parameters) -> Result<M, E>,
) -> Result<Box<dyn Session>, E> {
    let flex = Device::flex();
    let device = if timed.trains { flex.autodiff() } else { flex };
    let model = match &context.weights {
        Some(path) => {
            let file = Checkpoint::open(path)?;
            load_published(make(&mut Parameters::shapes(&device))?, &file)?
        }
        None => make(&mut Parameters::random(&device, context.seed))?,
    };
    let Timed { batch, length, classes, learning_rate, .. } = *timed;
    let examples = timed_examples(context.seed, TURNS * batch, length, classes);
    Ok(if timed.trains {
        let adam = adam(learning_rate);
        Box::new(TrainSession::new(model, &examples, batch, adam, golden))
    } else {
        Box::new(InferSession::new(model, &examples, batch, golden))
    })
}

/// What a study says of a trained classifier.
pub struct Findings<'a> {
    /// Names of classes and groups.
    pub examples: &'a Examples,
    /// Answers on the test set.
    pub test: &'a Evaluation,
    /// Named sets of classes, e.g. the technologies; may be empty.
    pub kinds: &'a [(&'a str, Vec<u8>)],
    /// Epochs up to the chosen one, over all trainings that make the answer.
    pub best_epoch: f64,
    /// Training time up to the chosen epoch, seconds.
    pub training_seconds: f64,
    /// Training time of an epoch, seconds.
    pub epoch_seconds: f64,
    /// Examples trained on.
    pub training_examples: usize,
    /// Authors' protocol: accuracy and training time, seconds.
    pub authors: Option<(f64, f64)>,
    /// Time spent choosing what to train on, seconds.
    pub search_seconds: Option<f64>,
    /// Whether the data are real, not generated.
    pub real_data: bool,
    /// Arithmetic of an example: forward, and backward.
    pub flops: [Flops; 2],
}

/// Arithmetic of an example, forward and backward, from the graph of a
/// training step over `batch` examples.
pub fn flops_of_example(graph: &Graph, batch: usize) -> [Flops; 2] {
    [Pass::Forward, Pass::Backward]
        .map(|pass| Flops(graph.flops_of(pass).value() / batch as f64))
}

/// Writes the findings as quality metrics; accuracies are shares of 1.
pub fn report(watch: &mut Watch<'_>, found: &Findings<'_>) {
    let higher = Better::Higher;
    let accuracy = found.test.accuracy();
    watch.quality("accuracy", "1", higher, accuracy);
    for group in found.test.groups() {
        if let Some(share) = found.test.accuracy_of(|g, _| g == group) {
            let at = [("snr_db", &*group.to_string())];
            watch.quality_at("accuracy", "1", higher, share, at);
        }
    }
    for (name, classes) in found.kinds {
        let share = found.test.accuracy_of(|_, class| classes.contains(&class));
        if let Some(share) = share {
            let at = [("technology", *name)];
            watch.quality_at("accuracy", "1", higher, share, at);
        }
        for group in found.test.groups() {
            let own = |g, class| g == group && classes.contains(&class);
            if let Some(share) = found.test.accuracy_of(own) {
                let snr_db = group.to_string();
                let at = [("technology", *name), ("snr_db", &*snr_db)];
                watch.quality_at("accuracy", "1", higher, share, at);
            }
        }
    }
    let class = |class: u8| &*found.examples.classes[usize::from(class)];
    for ((right, given), count) in found.test.confusion() {
        let at = [("true", class(right)), ("predicted", class(given))];
        watch.quality_at("confusion", "1", Better::Neither, count as f64, at);
    }
    let neither = Better::Neither;
    let lower = Better::Lower;
    watch.quality("classes", "1", neither, found.examples.classes.len() as f64);
    watch.quality("best_epoch", "1", neither, found.best_epoch);
    watch.quality("training_time", "s", lower, found.training_seconds);
    watch.quality("epoch_time", "s", lower, found.epoch_seconds);
    let examples = found.training_examples as f64;
    watch.quality("training_examples", "1", neither, examples);
    if let Some((accuracy, seconds)) = found.authors {
        watch.quality("accuracy_authors", "1", higher, accuracy);
        watch.quality("training_time_authors", "s", lower, seconds);
    }
    for (name, flops) in
        ["flops_forward", "flops_backward"].into_iter().zip(found.flops)
    {
        watch.quality(name, "FLOP", lower, flops.value());
    }
    if found.real_data {
        watch.quality("real_data", "1", neither, 1.0);
    }
    if let Some(seconds) = found.search_seconds {
        watch.quality("search_time", "s", lower, seconds);
    }
}
