//! A case of this workload, read: which model, which phase, which sizes.

use assay_kit::{AxisError, named, parsed};
use assay_schema::{Case, Precision};

use crate::config::{self, Config};
use crate::model::Parts;
use crate::{FastFoldError, Intermediates};

/// What a case runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// One Evoformer block, forward.
    BlockForward,
    /// One Evoformer block, forward and backward, with dropout; no optimizer,
    /// as in the authors' `benchmark/perf.py`.
    BlockTrain,
    /// Embedded inputs through the stacks, one pass.
    Trunk,
    /// The whole model: templates, extra MSA, trunk, structure, heads, as
    /// many passes as are asked for.
    Inference,
}

impl Phase {
    /// Names, in the order in which they are listed.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("block-forward", Self::BlockForward),
        ("block-train", Self::BlockTrain),
        ("trunk", Self::Trunk),
        ("inference", Self::Inference),
    ];
}

/// Residues and sequences at most: beyond, bytes no longer count in 64 bits.
const LARGEST: usize = 1 << 20;

/// A case with its numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Widths and depths.
    pub config: Config,
    /// The phase.
    pub phase: Phase,
    /// MSA clusters [S].
    pub sequences: usize,
    /// Residues [R].
    pub residues: usize,
    /// Sequences of the extra MSA; 0: no extra stack.
    pub extra: usize,
    /// Templates; 0: no template stack.
    pub templates: usize,
    /// Passes through the trunk: one more than the paper's recycling.
    pub passes: usize,
    /// Number format.
    pub precision: Precision,
    /// Whether large intermediates are stored.
    pub intermediates: Intermediates,
    /// Whether the engine's own operators stand in for the kernels.
    pub stock: bool,
    /// Bytes that the peak must not pass, weights included.
    pub limit: Option<u64>,
}

impl Request {
    /// Reads a case.
    ///
    /// # Errors
    /// An unknown model or phase; an axis without a lawful value.
    pub fn new(case: &Case) -> Result<Self, FastFoldError> {
        let (model, mut config) = config::model(&case.model)?;
        let name = case.phase.as_deref().unwrap_or_default();
        let phase = Phase::NAMES.iter().find(|(known, _)| *known == name);
        let phase = phase.map(|(_, phase)| *phase).ok_or_else(|| {
            let all = Phase::NAMES.map(|(name, _)| name);
            AxisError::new("phase", name, all.join(", "))
        })?;
        let count = |axis, default: usize, least: usize| {
            let expected = format!("a whole number from {least} to {LARGEST}");
            parsed(case, axis, default, &expected, |n| {
                (least..=LARGEST).contains(n)
            })
        };
        let whole = phase == Phase::Inference;
        let only_whole = |n: usize| if whole { n } else { 0 };
        let depth = config.evoformer.blocks;
        config.evoformer.blocks = count("blocks", depth, 1)?;
        let limit = parsed(
            case,
            "memory_limit",
            0,
            "bytes, a whole number; 0: no limit",
            |_| true,
        )?;
        let stored = [
            ("streamed", Intermediates::Streamed),
            ("stored", Intermediates::Stored),
        ];
        Ok(Self {
            phase,
            sequences: count("sequences", model.sequences, 1)?,
            residues: count("residues", model.residues, 1)?,
            extra: count("extra", only_whole(model.extra_sequences), 0)?,
            templates: count("templates", only_whole(model.templates), 0)?,
            passes: if whole {
                count("passes", model.recycles + 1, 1)?
            } else {
                1
            },
            precision: parsed(
                case,
                "precision",
                Precision::F32,
                "a number format",
                |_| true,
            )?,
            intermediates: named(case, "attention", &stored)?,
            stock: named(
                case,
                "kernels",
                &[("fused", false), ("stock", true)],
            )?,
            limit: (limit > 0).then_some(limit),
            config,
        })
    }
}

impl Request {
    /// The parts of the model that the case runs.
    pub fn parts(&self) -> Parts {
        Parts {
            extra: self.extra > 0,
            templates: self.templates > 0,
            ends: self.phase == Phase::Inference,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Request, FastFoldError> {
        Request::new(&text.parse().unwrap())
    }

    #[test]
    fn defaults_are_the_models() {
        let block = read("fastfold/fine-tuning/block-train").unwrap();
        assert_eq!((block.sequences, block.residues), (512, 384));
        assert_eq!((block.extra, block.templates, block.passes), (0, 0, 1));
        let whole = read("fastfold/inference/inference").unwrap();
        assert_eq!((whole.extra, whole.templates, whole.passes), (5120, 4, 4));
    }

    #[test]
    fn what_is_not_lawful_is_refused_by_name() {
        for (text, word) in [
            ("fastfold/tiny/block-forward residues=0", "`residues`"),
            ("fastfold/tiny/block-forward sequences=2000000", "1048576"),
            ("fastfold/tiny/block", "block-forward"),
            ("fastfold/tny/trunk", "nearest valid: `tiny`"),
            ("fastfold/tiny/trunk attention=flash", "streamed, stored"),
            ("fastfold/tiny/trunk memory_limit=3GB", "bytes"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
