//! What two papers really share: layers, parameters, weights by published
//! names, golden files, the optimizer step, the training of classifiers, what
//! a study keeps on disk, seeded draws, strips of pictures.
//!
//! Here: modules of a line or two over `kernels`, and the ways in and out of
//! a model. Not here: models, and anything that only one workload uses.

#![cfg_attr(
    test,
    allow(
        clippy::float_cmp,
        reason = "tests compare values that are exact by construction"
    )
)]

mod axes;
mod checkpoint;
pub mod classification;
mod device;
mod draws;
mod error;
mod golden;
mod layers;
mod load;
mod measurable;
mod networks;
mod optimizer;
mod parameters;
mod save;
mod strip;
mod study_files;
mod weights;

pub use axes::{AxisError, named, parsed};
pub use checkpoint::{Checkpoint, Values};
pub use device::{
    Adapter, DeviceError, DeviceName, Gpu, Queue, open_device, open_gpu,
};
pub use draws::Draws;
pub use error::KitError;
pub use golden::{compare, merge};
pub use layers::{LayerNorm, Linear, RmsNorm};
pub use load::{
    Binding, Slice, floats, gradient_values, load, load_published,
    parameter_shapes, parameter_values, published_name, rows, with_values,
};
pub use measurable::{
    check_measurable, check_measurable_among, check_precision, precision_axis,
};
pub use networks::{BatchNorm, Conv, Lstm, Mode, Training};
pub use optimizer::{Optimizer, OptimizerState};
pub use parameters::Parameters;
pub use save::{Named, save, save_with_note, write_whole};
pub use strip::{Strip, StripError, strip_png};
pub use study_files::{StudyFileError, StudyFiles};
pub use weights::{
    module_tensors, module_with, moment_tensors, moments_of, values_under,
};
