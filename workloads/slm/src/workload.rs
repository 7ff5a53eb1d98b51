//! The language models as a workload: what can be run, and the sessions that
//! run it.

use assay_kit::{check_measurable, precision_axis};
use assay_measure::{Context, Session, Workload, WorkloadError};
use assay_schema::{AxisSpec, Case, WorkloadInfo};

use crate::evaluate::{EvaluateSession, TASKS};
use crate::session::SlmSession;
use crate::{Config, Phase, Request, SlmError, models};

/// Small language models.
#[derive(Debug, Default)]
pub struct Slm;

impl Workload for Slm {
    fn info(&self) -> WorkloadInfo {
        let integer = AxisSpec::integer;
        WorkloadInfo {
            workload: "slm".to_owned(),
            doc: "decoder-only language models of the SLM survey (arXiv \
                  2409.15790) and PhoneLM (arXiv 2411.05046)"
                .to_owned(),
            models: models::names().map(str::to_owned).collect(),
            phases: Phase::NAMES.map(str::to_owned).to_vec(),
            axes: vec![
                integer("batch", 1, 1, "rows").listing(["1", "4", "16"]),
                integer(
                    "prompt",
                    1,
                    128,
                    "tokens of the prompt, or of a row that trains",
                )
                .only_for(["prefill", "generate", "train-step"])
                .listing(["32", "128", "512"]),
                integer("context", 1, 128, "tokens already in the cache")
                    .only_for(["decode"])
                    .listing(["128", "512", "1024"]),
                integer("tokens", 1, 32, "tokens generated")
                    .only_for(["generate"])
                    .listing(["32", "128"]),
                AxisSpec::words(
                    "task",
                    TASKS,
                    "questions that are answered, or perplexity of a text; \
                     `--data` brings others",
                )
                .only_for(["evaluate"]),
                integer("shots", 0, 0, "solved examples before a question")
                    .only_for(["evaluate"])
                    .listing(["0", "5"]),
                precision_axis("number format of the weights"),
            ],
            ..WorkloadInfo::default()
        }
    }

    fn prepare(
        &self,
        case: &Case,
        context: &Context,
    ) -> Result<Box<dyn Session>, WorkloadError> {
        let config = match &context.model {
            Some(path) => Some(Config::from_file(path)?),
            None => None,
        };
        let request = Request::new(case, config)?;
        session(request, context)
    }
}

/// The session of a request: for a workload of models that are no files here.
///
/// # Errors
///
/// [`WorkloadError`] for what this engine does not measure, for weights or
/// data that do not fit.
pub fn session(
    request: Request,
    context: &Context,
) -> Result<Box<dyn Session>, WorkloadError> {
    check_measurable(request.precision, &context.device)?;
    if request.phase == Phase::Evaluate {
        return Ok(Box::new(EvaluateSession::new(request, context)?));
    }
    Ok(Box::new(SlmSession::new(request, context)?))
}

impl From<SlmError> for WorkloadError {
    fn from(error: SlmError) -> Self {
        Self::other(error.to_string())
    }
}
