//! What a study of the intents keeps on disk, so that a killed one goes on:
//! the kit's [`StudyFiles`], a model's weights under [`WEIGHTS`].

use assay_kit::{Checkpoint, Named, StudyFiles};
use burn::module::Module;

use crate::PhoneLmError;

/// Before the names of a model's weights.
const WEIGHTS: &str = "weights.";

/// A study's folder.
pub(crate) type Kept = StudyFiles<PhoneLmError>;

/// A model's weights, named for a file.
pub(crate) fn weights<M: Module>(model: &M) -> Vec<Named> {
    assay_kit::module_tensors(WEIGHTS, model)
}

/// A model with the weights of a file: all of them, each of its shape.
///
/// # Errors
/// A weight that is missing, or of another shape.
pub(crate) fn with_weights<M: Module>(
    model: M,
    file: &Checkpoint,
) -> Result<M, PhoneLmError> {
    Ok(assay_kit::module_with(model, file, WEIGHTS)?)
}
