//! What a study keeps on disk, so that a killed one goes on: the kit's
//! [`StudyFiles`], a model's weights under `weights.`, and the moments that an
//! optimizer may leave beside them.

use assay_kit::{Checkpoint, Named, OptimizerState, StudyFiles};
use burn::module::Module;

use crate::error::MstarError;

pub(crate) use assay_kit::moment_tensors;

/// Before the names of a model's weights.
const WEIGHTS: &str = "weights.";

/// A study's folder.
pub(crate) type State = StudyFiles<MstarError>;

/// A module's weights, under `weights.`.
pub(crate) fn module_tensors<M: Module>(module: &M) -> Vec<Named> {
    assay_kit::module_tensors(WEIGHTS, module)
}

/// A module with the weights of a file: all of them, each of its shape.
pub(crate) fn module_with<M: Module>(
    module: M,
    file: &Checkpoint,
) -> Result<M, MstarError> {
    Ok(assay_kit::module_with(module, file, WEIGHTS)?)
}

/// The moments of a file, of an optimizer after `steps`; `None` where none
/// were kept.
pub(crate) fn moments_of(
    file: &Checkpoint,
    steps: u32,
) -> Result<Option<OptimizerState>, MstarError> {
    let state = assay_kit::moments_of(file, steps)?;
    Ok((!state.moments.is_empty()).then_some(state))
}
