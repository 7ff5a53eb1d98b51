//! The paper as a workload: what can be run, and the sessions that run it.

use assay_kit::classification::{Timed, steady};
use assay_kit::{Parameters, check_measurable, precision_axis};
use assay_measure::{Context, Session, Workload, WorkloadError};
use assay_schema::{AxisSpec, Case, WorkloadInfo};

use crate::bands::Band;
use crate::features::Representation;
use crate::networks::Network;
use crate::request::{CONVENTIONS, PUBLISHED_PER_CELL, SHARES, snrs_db};
use crate::select::Method;
use crate::study::StudySession;
use crate::{InterferenceError, Phase, Request, config, golden};

/// Interference identification (arXiv 1905.08054).
#[derive(Debug, Default)]
pub struct Interference;

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
                precision_axis("number format")
                    .only_for(["train-step", "infer"]),
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
        let (length, classes) = (request.length(), request.band.classes.len());
        let timed = Timed {
            trains: request.phase == Phase::TrainStep,
            batch: request.batch,
            length,
            classes,
            learning_rate: request.config.learning_rate(),
        };
        let golden = golden::check_of(&request.model);
        let make = |parameters: &mut Parameters| {
            Network::new(parameters, &request.config, length, classes)
        };
        Ok(steady::<_, InterferenceError>(&timed, context, golden, make)?)
    }
}
