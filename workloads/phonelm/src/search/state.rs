//! What a search keeps on disk, so that a killed one goes on: the kit's
//! [`StudyFiles`]. A prediction takes seconds and is made again; timings and
//! trainings are kept. Trained weights are not: what a stage told is its file,
//! a note without tensors.

use assay_kit::StudyFiles;

use crate::PhoneLmError;

/// A search's folder.
pub(super) type State = StudyFiles<PhoneLmError>;
