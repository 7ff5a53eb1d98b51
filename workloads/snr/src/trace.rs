//! The operator graph of a case.

use assay_interference::{trace_inference, trace_training};
use assay_kit::Parameters;
use assay_trace::{Graph, capture};
use burn::tensor::Device;

use crate::networks::Network;
use crate::request::snrs_db;
use crate::{Phase, Request, SnrError};

/// Samples an example.
pub const LENGTH: usize = 128;

/// Traces a case: nothing is computed, nothing allocated. A study is traced
/// as one of its training steps, beside the examples that it holds.
///
/// # Errors
/// An operator without a cost: a bug of this project.
pub fn trace(request: &Request) -> Result<Graph, SnrError> {
    let classes = request.classes();
    // Whether the network can be made is said before anything is recorded.
    let mut shapes = Parameters::shapes(&Device::flex());
    Network::new(&mut shapes, &request.config, LENGTH, classes)?;
    let make = |parameters: &mut Parameters| {
        Network::new(parameters, &request.config, LENGTH, classes).ok()
    };
    let held = match request.phase {
        // Snapshots, their examples, and the examples on a scale.
        Phase::Study => {
            let snrs = snrs_db(request.task()).len();
            3 * classes * snrs * request.per_cell * 2 * LENGTH
        }
        Phase::TrainStep | Phase::Infer => 0,
    };
    let size = [request.batch, LENGTH];
    let rate = request.config.learning_rate();
    Ok(capture(assay_kernels::cost, |recorder| {
        if request.phase == Phase::Infer {
            trace_inference(recorder, size, make);
        } else {
            trace_training(recorder, size, held, rate, make);
        }
    })?)
}
