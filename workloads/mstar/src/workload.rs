//! The paper as a workload: what can be run, and the sessions that run it.

use assay_kit::check_measurable;
use assay_measure::{Context, Session, Workload, WorkloadError};
use assay_schema::{Case, WorkloadInfo};

use crate::axes;
use crate::evolve::Plan;
use crate::evolve::measured::IterationSession;
use crate::network_session::NetworkSession;
use crate::request::{Phase, Request};
use crate::session::StudySession;

/// Self-evolving training for multimodal reasoning (arXiv 2412.17451).
#[derive(Debug, Default)]
pub struct Mstar;

impl Workload for Mstar {
    fn info(&self) -> WorkloadInfo {
        axes::info()
    }

    fn prepare(
        &self,
        case: &Case,
        context: &Context,
    ) -> Result<Box<dyn Session>, WorkloadError> {
        let file = context.model.as_deref();
        let request = Request::new(case, file)?;
        check_measurable(request.precision, &context.device)?;
        match request.phase {
            Phase::Study => {
                let plan = Plan::new(case, file)?;
                Ok(Box::new(StudySession::new(plan, context)?))
            }
            Phase::Iteration if request.model.trains_here() => {
                Ok(Box::new(IterationSession::new(request, context)?))
            }
            Phase::Iteration => Err(WorkloadError::Unsupported(format!(
                "an iteration of `{}` is predicted, not measured here; \
                 `small` and `tiny` are measured",
                request.name
            ))),
            Phase::Encode
            | Phase::Prefill
            | Phase::Decode
            | Phase::TrainStep => {
                Ok(Box::new(NetworkSession::new(request, context)?))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_and_other_devices_are_skipped() {
        let prepared = |case: &str, device: &str| {
            let case = case.parse().unwrap();
            let error = Mstar.prepare(&case, &Context::new(device, 1)).err();
            error.unwrap()
        };
        let error = prepared("mstar/internvl2-2b/iteration", "cpu");
        assert!(error.is_skip(), "{error}");
        assert!(error.to_string().contains("predicted"), "{error}");
        assert!(prepared("mstar/tiny/study", "cuda:0").is_skip());
        let error = prepared("mstar/internvl2-2b/study", "cpu");
        assert!(error.to_string().contains("phase"), "{error}");
    }
}
