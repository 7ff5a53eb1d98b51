//! The paper as a workload: what can be run, and the sessions that run it.

use assay_kit::{check_measurable, precision_axis};
use assay_measure::{Context, Session, Workload, WorkloadError};
use assay_schema::{AxisSpec, Case, WorkloadInfo};

use crate::config::{self, Pipeline};
use crate::request::{EVALUATED, PAIRS, TRAIN_STEPS};
use crate::session::NetworkSession;
use crate::study::StudySession;
use crate::{Methods, Phase, Request, Sampler};

/// Many steps to one (arXiv 2309.06380).
#[derive(Debug, Default)]
pub struct InstaFlow;

/// An axis whose default is each pipeline's own.
fn by_pipeline<T: ToString>(
    axis: AxisSpec,
    value: impl Fn(&Pipeline) -> T,
) -> AxisSpec {
    config::pipeline_names().fold(axis, |axis, name| {
        match config::pipeline(name) {
            Ok(pipeline) => axis.defaulting(name, value(&pipeline)),
            Err(_) => axis,
        }
    })
}

impl Workload for InstaFlow {
    fn info(&self) -> WorkloadInfo {
        let integer = AxisSpec::integer;
        let only = |phases: &[&str]| {
            phases.iter().map(|phase| (*phase).to_owned()).collect()
        };
        let networks: Vec<String> =
            config::network_names().map(str::to_owned).collect();
        let pipelines: Vec<String> =
            config::pipeline_names().map(str::to_owned).collect();
        let phases_of = |name: &String| {
            let phases = if pipelines.contains(name) {
                let trained = name == "small" || name == "tiny";
                only(if trained { &["sample", "study"] } else { &["sample"] })
            } else if name.ends_with("-unet") {
                only(&["forward", "train-step"])
            } else {
                only(&["forward"])
            };
            (name.clone(), phases)
        };
        let models: Vec<String> =
            networks.iter().chain(&pipelines).cloned().collect();
        WorkloadInfo {
            workload: "instaflow".to_owned(),
            doc: "diffusion models of many steps made one-step (InstaFlow, \
                  arXiv 2309.06380)"
                .to_owned(),
            phases: Phase::NAMES.map(|(name, _)| name.to_owned()).to_vec(),
            phases_by_model: models.iter().map(phases_of).collect(),
            models,
            axes: vec![
                integer("batch", 1, 1, "pictures at once")
                    .defaulting("study", 64)
                    .listing([1, 4, 16, 64]),
                integer("picture", 8, 512, "side of a picture, pixels")
                    .defaulting("small*", 32)
                    .defaulting("tiny*", 32)
                    .listing([32, 256, 512]),
                precision_axis("number format").only_for([
                    "forward",
                    "train-step",
                    "sample",
                ]),
                by_pipeline(
                    integer("steps", 1, 25, "steps along the flow"),
                    |pipeline| pipeline.steps,
                )
                .only_for(["sample"])
                .listing([1, 2, 4, 8, 25]),
                by_pipeline(
                    AxisSpec::words(
                        "sampler",
                        Sampler::NAMES
                            .into_iter()
                            .filter(|(_, one)| *one != Sampler::Rk45)
                            .map(|(name, _)| name),
                        "how the flow is followed",
                    ),
                    |pipeline| pipeline.sampler.name(),
                )
                .only_for(["sample"]),
                by_pipeline(
                    AxisSpec::number(
                        "guidance",
                        0.0,
                        100.0,
                        1.0,
                        "scale of classifier-free guidance; 1: none",
                    ),
                    |pipeline| pipeline.guidance,
                )
                .only_for(["sample"])
                .listing(["1", "1.5", "5", "7.5"]),
                AxisSpec::words(
                    "methods",
                    Methods::NAMES.map(|(name, _)| name),
                    "what is trained: the paper's ordering at one step, or \
                     also the 3-flow and the stacked network",
                )
                .only_for(["study"]),
                integer(
                    "train_steps",
                    8,
                    TRAIN_STEPS as u64,
                    "steps of the 1-flow's training; others have half",
                )
                .only_for(["study"])
                .listing([32, TRAIN_STEPS]),
                integer("pairs", 64, PAIRS as u64, "triplets for reflow")
                    .only_for(["study"])
                    .listing([128, PAIRS]),
                integer(
                    "evaluated",
                    64,
                    EVALUATED as u64,
                    "pictures that a method is judged on",
                )
                .only_for(["study"])
                .listing([64, EVALUATED]),
                integer("seed", 1, 1, "of weights, noise and order")
                    .only_for(["study"])
                    .listing([1, 2, 3]),
            ],
        }
    }

    fn prepare(
        &self,
        case: &Case,
        context: &Context,
    ) -> Result<Box<dyn Session>, WorkloadError> {
        let request = Request::new(case, context.model.as_deref())?;
        check_measurable(request.precision, &context.device)?;
        if request.phase == Phase::Study {
            return Ok(Box::new(StudySession::new(request, context)?));
        }
        Ok(Box::new(NetworkSession::new(request, context)?))
    }
}
