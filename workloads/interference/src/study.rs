//! One training run as a session: an iteration is an epoch.

use assay_kit::Parameters;
use assay_kit::classification::{
    Evaluation, Examples, Findings, Fit, Golden, Schedule, Split,
    flops_of_example, report,
};
use assay_measure::{Context, Pace, Progress, Session, Watch, WorkloadError};
use assay_schema::{Better, Flops, Verification};
use burn::tensor::Device;

use crate::networks::Network;
use crate::{InterferenceError, Request, data, features, golden, trace};

/// Share of a cell that is kept for the test (the authors': 0.33).
pub const TEST_SHARE: f64 = 0.33;

/// Share of what is left that chooses the epoch.
pub const VALIDATION_SHARE: f64 = 1.0 / 6.0;

/// Epochs without improvement that end a run, as the authors have it.
const PATIENCE: usize = 5;

/// The technologies, and which of these classes are theirs.
pub fn technologies(classes: &[String]) -> Vec<(&'static str, Vec<u8>)> {
    [("Bluetooth", "BT"), ("WiFi", "WiFi"), ("Zigbee", "Zigbee")]
        .into_iter()
        .map(|(name, prefix)| {
            let own = classes.iter().enumerate();
            let own = own.filter(|(_, class)| class.starts_with(prefix));
            (name, own.map(|(place, _)| place as u8).collect())
        })
        .collect()
}

/// Examples and split of a request.
///
/// # Errors
/// As [`data::snapshots`].
pub fn examples_of(
    request: &Request,
    context: &Context,
) -> Result<(Examples, Split), InterferenceError> {
    let set = data::snapshots(context, request.per_cell, request.convention)?;
    let raw = features::examples(&set, request.representation, &request.band);
    let split =
        Split::by_cell(&raw, TEST_SHARE, VALIDATION_SHARE, request.seed);
    // The scale is that of all SNRs together, whichever are trained on.
    let ready = features::prepare(&raw, &split, &request.keep, request.seed);
    let split = match request.train_snr_db {
        Some(snr_db) => split.training_only(|place| raw.group[place] == snr_db),
        None => split,
    };
    Ok((ready, split))
}

/// A study under way.
pub(crate) struct StudySession {
    examples: Examples,
    split: Split,
    fit: Fit<Network>,
    golden: Golden,
    real_data: bool,
    flops: [Flops; 2],
}

impl StudySession {
    pub(crate) fn new(
        request: &Request,
        context: &Context,
    ) -> Result<Self, InterferenceError> {
        let (examples, split) = examples_of(request, context)?;
        let device = Device::flex().autodiff();
        let mut parameters = Parameters::random(&device, request.seed);
        let model = Network::new(
            &mut parameters,
            &request.config,
            examples.length,
            examples.classes.len(),
        )?;
        let schedule = Schedule {
            batch: request.batch,
            learning_rate: request.config.learning_rate(),
            patience: PATIENCE,
            most_epochs: request.epochs,
            seed: request.seed,
            authors: true,
        };
        let fit = Fit::new(model, &split, schedule);
        let golden = golden::check_of(&request.model);
        let real_data = context.data.is_some();
        let flops = flops_of_example(&trace(request)?, request.batch);
        Ok(Self { examples, split, fit, golden, real_data, flops })
    }

    fn report(&self, watch: &mut Watch<'_>) {
        let Some(best) = self.fit.best() else { return };
        let authors = self.fit.best_of_authors();
        report(
            watch,
            &Findings {
                examples: &self.examples,
                test: &best.test,
                kinds: &technologies(&self.examples.classes),
                best_epoch: best.epoch as f64,
                training_seconds: best.seconds,
                epoch_seconds: self.fit.seconds() / self.fit.epoch() as f64,
                training_examples: self.fit.examples(),
                authors: authors.map(|(accuracy, _, time)| (accuracy, time)),
                search_seconds: None,
                real_data: self.real_data,
                flops: self.flops,
            },
        );
    }
}

impl Session for StudySession {
    fn verify(&mut self) -> Result<Verification, WorkloadError> {
        (self.golden)()
    }

    fn pace(&self) -> Pace {
        Pace::Study
    }

    fn iterate(
        &mut self,
        watch: &mut Watch<'_>,
    ) -> Result<Progress, WorkloadError> {
        let (loss, _) =
            epoch(&mut self.fit, &self.examples, &self.split, watch);
        if !loss.is_finite() {
            let what = "training loss".to_owned();
            return Err(WorkloadError::NotFinite { what });
        }
        if !self.fit.is_done() {
            return Ok(Progress::More);
        }
        self.report(watch);
        Ok(Progress::Done)
    }
}

/// One epoch of a fit, timed, and judged outside of that time: the training
/// loss and the validation set's evaluation, both recorded.
pub fn epoch<M: assay_kit::classification::Classifier>(
    fit: &mut Fit<M>,
    examples: &Examples,
    split: &Split,
    watch: &mut Watch<'_>,
) -> (f64, Evaluation) {
    let (loss, time) = watch.timed_part("training", |_| fit.train(examples));
    let validation =
        watch.part("evaluation", |_| fit.judge(examples, split, time.value()));
    watch.quality("training_loss", "nat", Better::Lower, loss);
    let accuracy = validation.accuracy();
    watch.quality("validation_accuracy", "1", Better::Higher, accuracy);
    (loss, validation)
}
