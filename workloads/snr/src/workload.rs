//! The paper as a workload: what can be run, and the sessions that run it.

use assay_kit::classification::{Timed, steady};
use assay_kit::{Parameters, check_measurable, precision_axis};
use assay_measure::{Context, Session, Workload, WorkloadError};
use assay_schema::{AxisSpec, Case, WorkloadInfo};

use crate::config::{NAMES, Task};
use crate::networks::Network;
use crate::request::{PER_CELL, snrs_db};
use crate::study::StudySession;
use crate::trace::LENGTH;
use crate::{Phase, Request, SnrError, Strategy, golden};

/// Training with a known SNR (arXiv 1912.11896).
#[derive(Debug, Default)]
pub struct Snr;

impl Workload for Snr {
    fn info(&self) -> WorkloadInfo {
        let mut targets = vec!["each".to_owned()];
        targets
            .extend(snrs_db(Task::Channels).iter().map(|snr| snr.to_string()));
        let [channels, modulations] = PER_CELL;
        WorkloadInfo {
            workload: "snr".to_owned(),
            doc: "classifiers of modulations and channels, trained for a test \
                  SNR (arXiv 1912.11896)"
                .to_owned(),
            models: NAMES.map(str::to_owned).to_vec(),
            phases: Phase::NAMES.map(str::to_owned).to_vec(),
            axes: vec![
                AxisSpec::words(
                    "size",
                    ["full", "small", "tiny"],
                    "widths: the paper's, smaller for 2 cores, for tests",
                )
                .defaulting("study", "small"),
                AxisSpec::integer("batch", 1, 256, "examples a step")
                    .defaulting("infer", 1)
                    .listing([1, 64, 256, 1024]),
                AxisSpec::integer("stacks", 1, 3, "stacks of the ResNet")
                    .only_for(["mc-resnet"])
                    .listing([3, 5]),
                precision_axis("number format")
                    .only_for(["train-step", "infer"]),
                AxisSpec::words(
                    "strategy",
                    Strategy::NAMES.map(|(name, _)| name),
                    "what is trained on, given the SNR of the test",
                )
                .only_for(["study"]),
                AxisSpec::words(
                    "test_snr_db",
                    targets,
                    "SNR of the test, dB; or each in turn",
                )
                .only_for(["study"]),
                AxisSpec::words(
                    "offset_db",
                    [
                        "0", "-10", "-8", "-6", "-4", "-2", "2", "4", "6", "8",
                        "10",
                    ],
                    "error of the estimate of the test's SNR, dB",
                )
                .only_for(["study"]),
                AxisSpec::number(
                    "fraction",
                    0.0,
                    1.0,
                    1.0,
                    "share of a single-SNR training set that a network sees",
                )
                .only_for(["study"])
                .listing(["0.02", "0.05", "0.1", "0.2"]),
                AxisSpec::integer(
                    "reach_db",
                    2,
                    40,
                    "how far from the test's the SNRs lie that boosting may \
                     choose, dB",
                )
                .only_for(["study"])
                .listing([6, 40]),
                AxisSpec::integer(
                    "per_cell",
                    4,
                    modulations,
                    "snapshots of a class at an SNR (published: 6000, 715)",
                )
                .only_for(["study"])
                .defaulting("ci-*/study", channels)
                .listing([32, 96]),
                AxisSpec::words("set", ["10b", "10a"], "RadioML 2016")
                    .only_for(["mc-*/study"]),
                AxisSpec::words(
                    "snr",
                    ["label", "true"],
                    "the published label, or a true SNR",
                )
                .only_for(["mc-*/study"]),
                AxisSpec::words(
                    "snr",
                    ["in-band", "in-channel"],
                    "what the SNR of the generated set refers to",
                )
                .only_for(["ci-*/study"]),
                AxisSpec::integer("epochs", 1, 100, "most epochs")
                    .only_for(["study"])
                    .listing([20]),
                AxisSpec::integer(
                    "seed",
                    1,
                    1,
                    "of split, weights, order and dropout",
                )
                .only_for(["study"])
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
            return Ok(Box::new(StudySession::new(request, context)?));
        }
        let classes = request.classes();
        let timed = Timed {
            trains: request.phase == Phase::TrainStep,
            batch: request.batch,
            length: LENGTH,
            classes,
            learning_rate: request.config.learning_rate(),
        };
        let golden = golden::check_of(&request.model);
        let make = |parameters: &mut Parameters| {
            Network::new(parameters, &request.config, LENGTH, classes)
        };
        Ok(steady::<_, SnrError>(&timed, context, golden, make)?)
    }
}
