//! The paper as a workload: what can be run, and the sessions that run it.

use assay_kit::classification::{
    Examples, InferSession, Schedule, TrainSession,
};
use assay_kit::{Checkpoint, Parameters};
use assay_measure::{Context, Session, Workload, WorkloadError};
use assay_schema::{AxisSpec, Case, Precision, WorkloadInfo};
use burn::tensor::Device;

use crate::bands::Band;
use crate::features::Representation;
use crate::networks::Network;
use crate::request::{CONVENTIONS, PUBLISHED_PER_CELL, SHARES, snrs_db};
use crate::select::Method;
use crate::study::{StudySession, schedule};
use crate::{InterferenceError, Phase, Request, config, golden};

/// Interference identification (arXiv 1905.08054).
#[derive(Debug, Default)]
pub struct Interference;

/// The axis of number formats, `f32` first.
pub fn precision_axis() -> AxisSpec {
    let mut names = vec![Precision::F32.name()];
    let others = Precision::ALL.into_iter().filter(|&p| p != Precision::F32);
    names.extend(others.map(Precision::name));
    AxisSpec::words("precision", names, "number format")
}

/// Refuses what only predictions know: other number formats, other devices.
///
/// # Errors
/// [`WorkloadError::Unsupported`] with what is supported.
pub fn check_measurable(
    precision: Precision,
    device: &str,
) -> Result<(), WorkloadError> {
    if precision != Precision::F32 {
        return Err(WorkloadError::Unsupported(format!(
            "precision {precision} is not measured on this engine yet (f32 \
             is); it is predicted"
        )));
    }
    if device != "cpu" {
        return Err(WorkloadError::Unsupported(format!(
            "device {device} is not in this build; cpu is"
        )));
    }
    Ok(())
}

/// Batches that a step or an inference takes in turn, so that no iteration
/// sees the values of the one before.
pub const TURNS: usize = 4;

/// Examples of random values for what is only timed.
pub fn timed_examples(
    seed: u64,
    count: usize,
    length: usize,
    classes: usize,
) -> Examples {
    let mut random = assay_radio::Random::new(seed, 0);
    Examples {
        length,
        features: (0..count * length * 2)
            .map(|_| random.normal() as f32)
            .collect(),
        class: (0..count).map(|i| (i % classes) as u8).collect(),
        group: vec![0; count],
        classes: (0..classes).map(|class| class.to_string()).collect(),
    }
}

impl Workload for Interference {
    fn info(&self) -> WorkloadInfo {
        let names = |list: Vec<&'static str>| list;
        let mut snrs = vec!["all".to_owned()];
        snrs.extend(snrs_db().map(|snr| snr.to_string()));
        let study = ["study"];
        WorkloadInfo {
            workload: "interference".to_owned(),
            doc: "identification of Bluetooth, WiFi and Zigbee channels \
                  (arXiv 1905.08054)"
                .to_owned(),
            models: config::names().map(str::to_owned).collect(),
            phases: Phase::NAMES.map(str::to_owned).to_vec(),
            axes: vec![
                AxisSpec::words(
                    "size",
                    ["full", "small", "tiny"],
                    "widths: the paper's, an eighth for 2 cores, for tests",
                )
                .defaulting("study", "small"),
                AxisSpec::integer("batch", 1, 256, "examples a step")
                    .defaulting("infer", 1)
                    .listing([1, 64, 256, 512]),
                precision_axis().only_for(["train-step", "infer"]),
                AxisSpec::words(
                    "band_mhz",
                    Band::NAMES,
                    "sub-band, by its width in MHz",
                ),
                AxisSpec::words(
                    "representation",
                    names(Representation::NAMES.map(|(n, _)| n).to_vec()),
                    "what the two columns of an example are",
                ),
                AxisSpec::words(
                    "select",
                    names(Method::NAMES.map(|(n, _)| n).to_vec()),
                    "how values are sub-sampled",
                ),
                AxisSpec::words(
                    "keep",
                    names(SHARES.map(|(n, _)| n).to_vec()),
                    "share of the values that is kept",
                ),
                AxisSpec::words(
                    "train_snr_db",
                    snrs,
                    "the only SNR that is trained on, dB; or all",
                )
                .only_for(study),
                AxisSpec::integer(
                    "per_cell",
                    3,
                    PUBLISHED_PER_CELL,
                    "snapshots of a class at an SNR (the published set: 715)",
                )
                .only_for(study)
                .listing([32, 96, 715]),
                AxisSpec::words(
                    "snr",
                    names(CONVENTIONS.map(|(n, _)| n).to_vec()),
                    "what the SNR of the generated set refers to",
                )
                .only_for(study),
                AxisSpec::integer("epochs", 1, 100, "most epochs")
                    .only_for(study)
                    .listing([20, 100]),
                AxisSpec::integer(
                    "seed",
                    1,
                    1,
                    "of split, weights, order and dropout",
                )
                .only_for(study)
                .listing([1, 2, 3, 4, 5]),
            ],
            ..WorkloadInfo::default()
        }
    }

    fn prepare(
        &self,
        case: &Case,
        context: &Context,
    ) -> Result<Box<dyn Session>, WorkloadError> {
        let request = Request::new(case)?;
        check_measurable(request.precision, &context.device)?;
        if request.phase == Phase::Study {
            return Ok(Box::new(StudySession::new(&request, context)?));
        }
        let training = request.phase == Phase::TrainStep;
        let flex = Device::flex();
        let device = if training { flex.autodiff() } else { flex };
        let model = model(&request, context, &device)?;
        let (batch, length) = (request.batch, request.length());
        let classes = request.band.classes.len();
        let examples =
            timed_examples(context.seed, TURNS * batch, length, classes);
        let golden = golden::check_of(&request.model);
        Ok(if training {
            let learning_rate = request.config.learning_rate();
            let schedule = Schedule { learning_rate, ..schedule(batch) };
            let adam = schedule.adam();
            let session =
                TrainSession::new(model, &examples, batch, adam, golden);
            Box::new(session)
        } else {
            Box::new(InferSession::new(model, &examples, batch, golden))
        })
    }
}

fn model(
    request: &Request,
    context: &Context,
    device: &Device,
) -> Result<Network, InterferenceError> {
    let (length, classes) = (request.length(), request.band.classes.len());
    let mut parameters = match context.weights {
        Some(_) => Parameters::shapes(device),
        None => Parameters::random(device, context.seed),
    };
    let model =
        Network::new(&mut parameters, &request.config, length, classes)?;
    Ok(match &context.weights {
        Some(path) => golden::load_published(model, &Checkpoint::open(path)?)?,
        None => model,
    })
}
