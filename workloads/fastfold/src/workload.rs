//! The paper as a workload: what can be run, and the sessions that run it.

use assay_kit::{check_measurable, precision_axis};
use assay_measure::{Context, Session, Workload, WorkloadError};
use assay_schema::{AxisSpec, Case, WorkloadInfo};

use crate::config::{self, Model};
use crate::session::FastFoldSession;
use crate::{Phase, Request};

/// AlphaFold 2's Evoformer as FastFold runs it (arXiv 2203.00854).
#[derive(Debug, Default)]
pub struct FastFold;

/// An axis whose default is each model's own, in `phase` or (`*`) in all.
/// A model's name alone would not do: one is called as a phase is.
fn sized(
    axis: AxisSpec,
    phase: &str,
    size: impl Fn(&Model) -> usize,
) -> AxisSpec {
    config::names().fold(axis, |axis, name| match config::model(name) {
        Ok((model, _)) => {
            axis.defaulting(format!("{name}/{phase}"), size(&model))
        }
        Err(_) => axis,
    })
}

impl Workload for FastFold {
    fn info(&self) -> WorkloadInfo {
        let integer = AxisSpec::integer;
        let whole = "inference";
        let depth = |model: &Model| {
            let config = config::architecture(&model.architecture);
            config.map_or(1, |config| config.evoformer.blocks)
        };
        WorkloadInfo {
            workload: "fastfold".to_owned(),
            doc: "AlphaFold 2's Evoformer, its kernels and its memory \
                  (FastFold, arXiv 2203.00854)"
                .to_owned(),
            models: config::names().map(str::to_owned).collect(),
            phases: Phase::NAMES.map(|(name, _)| name.to_owned()).to_vec(),
            axes: vec![
                sized(
                    integer("sequences", 1, 128, "MSA clusters"),
                    "*",
                    |model| model.sequences,
                )
                .listing([64, 128, 512]),
                sized(integer("residues", 1, 256, "residues"), "*", |model| {
                    model.residues
                })
                .listing([128, 256, 384, 512]),
                sized(integer("blocks", 1, 48, "Evoformer blocks"), "*", depth)
                    .only_for(["trunk", "inference"])
                    .listing([1, 48]),
                sized(
                    integer(
                        "extra",
                        0,
                        0,
                        "sequences of the extra MSA; 0: no such stack",
                    ),
                    whole,
                    |model| model.extra_sequences,
                )
                .only_for(["trunk", "inference"])
                .listing([0, 1024, 5120]),
                sized(
                    integer("templates", 0, 0, "templates; 0: no such stack"),
                    whole,
                    |model| model.templates,
                )
                .only_for(["inference"])
                .listing([0, 4]),
                sized(
                    integer("passes", 1, 1, "passes: recycling and one"),
                    whole,
                    |model| model.recycles + 1,
                )
                .only_for(["inference"])
                .listing([1, 4]),
                precision_axis("number format"),
                AxisSpec::words(
                    "attention",
                    ["streamed", "stored"],
                    "scores and outer products: never whole tensors, or \
                     stored as in the paper",
                ),
                AxisSpec::words(
                    "kernels",
                    ["fused", "stock"],
                    "this project's kernels, or the engine's own operators",
                ),
                integer(
                    "memory_limit",
                    0,
                    0,
                    "bytes that the peak must not pass, by chunking; 0: none",
                )
                .only_for(["block-forward", "trunk", "inference"])
                .listing([0_u64, 3_000_000_000]),
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
        Ok(Box::new(FastFoldSession::new(request, context)?))
    }
}
