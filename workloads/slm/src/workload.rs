//! The language models as a workload: what can be run, and the sessions that
//! run it.

use assay_kit::{check_measurable, check_measurable_among, precision_axis};
use assay_measure::{Context, Session, Workload, WorkloadError};
use assay_schema::{AxisSpec, Case, Precision, WorkloadInfo};

use crate::evaluate::{EvaluateSession, TASKS};
use crate::session::SlmSession;
use crate::{Config, Phase, Request, SlmError, models};

/// Number formats of weights that inference is measured in.
const MEASURED: [Precision; 5] = [
    Precision::F32,
    Precision::F16,
    Precision::Bf16,
    Precision::Q8_0,
    Precision::Q4_0,
];

/// Whether the case can be measured here, before anything is made.
fn check(request: &Request, device: &str) -> Result<(), WorkloadError> {
    let precision = request.precision;
    if request.phase != Phase::TrainStep {
        return check_measurable_among(&MEASURED, precision, device);
    }
    if request.packing().is_some() {
        return Err(WorkloadError::Unsupported(format!(
            "precision {precision} does not train on this engine (f32 does): \
             packed weights have no gradient; prefill, decode, generate and \
             evaluate are measured in it"
        )));
    }
    check_measurable(precision, device)
}

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
                integer(
                    "train_steps",
                    0,
                    0,
                    "steps of training on our text before it is judged",
                )
                .only_for(["evaluate"])
                .listing(["0", "400"]),
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
    check(&request, &context.device)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(case: &str) -> Result<Box<dyn Session>, WorkloadError> {
        Slm.prepare(&case.parse().unwrap(), &Context::new("cpu", 3))
    }

    #[test]
    fn every_measured_format_but_f32_is_one_that_weights_are_packed_in() {
        for precision in MEASURED {
            let case = format!("slm/tiny/decode precision={precision}");
            let request = Request::new(&case.parse().unwrap(), None).unwrap();
            let packed = request.packing().map(|format| format.name());
            let right = (precision != Precision::F32).then(|| precision.name());
            assert_eq!(packed, right);
        }
    }

    #[test]
    fn packed_sessions_agree_with_the_same_weights_unpacked() {
        for precision in ["f16", "bf16", "q8_0", "q4_0"] {
            for phase in
                ["prefill prompt=20", "decode context=20", "generate prompt=20"]
            {
                let case = format!("slm/tiny/{phase} precision={precision}");
                let verified = prepared(&case).unwrap().verify().unwrap();
                assert!(verified.passed(), "{case}: {verified:?}");
            }
        }
    }

    #[test]
    fn a_model_with_a_context_of_one_token_is_checked_too() {
        for positions in ["tiny", "opt-125m"] {
            let small = models::config("tiny").unwrap();
            let positions = models::config(positions).unwrap().positions;
            let config = Config { context: 1, positions, ..small };
            let case = "slm/mine/prefill prompt=1".parse().unwrap();
            let request = Request::new(&case, Some(config)).unwrap();
            let context = Context::new("cpu", 3);
            let mut session = session(request, &context).unwrap();
            assert!(session.verify().unwrap().passed());
        }
    }

    #[test]
    fn what_is_not_measured_is_a_skip_that_says_what_is() {
        for (case, words) in [
            ("slm/tiny/train-step precision=q8_0", "does not train"),
            ("slm/tiny/train-step precision=q6_k", "(f32 is)"),
            ("slm/tiny/decode precision=q6_k", "f32, f16, bf16, q8_0"),
            ("slm/tiny/decode precision=q4_k_m", "q4_k_m is not measured"),
        ] {
            let error = prepared(case).err().unwrap();
            assert!(error.is_skip(), "{case}: {error}");
            assert!(error.to_string().contains(words), "{case}: {error}");
        }
    }
}
