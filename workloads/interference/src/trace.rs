//! The operator graph of a case.

use assay_kit::classification::{Classifier, adam, training_step};
use assay_kit::{Mode, Optimizer, Parameters, Training};
use assay_trace::{Graph, Recorder, Role, capture};
use burn::tensor::{Int, Tensor};

use crate::networks::Network;
use crate::request::snrs_db;
use crate::{InterferenceError, Phase, Request};

/// Traces a case: nothing is computed, nothing allocated. A study is traced
/// as one of its training steps, beside the examples that it holds.
///
/// # Errors
/// An operator without a cost: a bug of this project.
pub fn trace(request: &Request) -> Result<Graph, InterferenceError> {
    let classes = request.band.classes.len();
    let mut shapes = Parameters::shapes(&burn::tensor::Device::flex());
    // Whether the network can be made is said before anything is recorded.
    Network::new(&mut shapes, &request.config, request.length(), classes)?;
    let make = |parameters: &mut Parameters| {
        Network::new(parameters, &request.config, request.length(), classes)
            .ok()
    };
    let held = match request.phase {
        Phase::Study => {
            classes
                * snrs_db().count()
                * request.per_cell
                * 2
                * (2 * 128 + request.length())
        }
        Phase::TrainStep | Phase::Infer => 0,
    };
    let size = [request.batch, request.length()];
    Ok(capture(assay_kernels::cost, |recorder| {
        if request.phase == Phase::Infer {
            trace_inference(recorder, size, make);
        } else {
            let rate = request.config.learning_rate();
            trace_training(recorder, size, held, rate, make);
        }
    })?)
}

/// Traces a forward pass of the classifier that `make` makes, over `[B, L]`.
pub fn trace_inference<M: Classifier>(
    recorder: &Recorder,
    [batch, length]: [usize; 2],
    make: impl FnOnce(&mut Parameters) -> Option<M>,
) {
    let device = recorder.device();
    let Some(model) = make(&mut Parameters::shapes(&device)) else { return };
    mark_weights(recorder, &model);
    let x = Tensor::<3>::zeros([batch, length, 2], &device);
    recorder.role(&x, Role::Input);
    recorder.output(&model.logits(x, &mut Mode::Inference));
}

/// Traces a training step of the classifier that `make` makes, over `[B, L]`,
/// beside `held` values of data; `learning_rate` changes no graph.
pub fn trace_training<M: Classifier>(
    recorder: &Recorder,
    [batch, length]: [usize; 2],
    held: usize,
    learning_rate: f64,
    make: impl FnOnce(&mut Parameters) -> Option<M>,
) {
    let device = recorder.training_device();
    let Some(model) = make(&mut Parameters::shapes(&device)) else { return };
    mark_weights(recorder, &model);
    let mut optimizer = Optimizer::new(adam(learning_rate));
    optimizer.prepare(&model);
    if held > 0 {
        let data = Tensor::<1>::zeros([held], &recorder.device());
        recorder.role(&data, Role::Input);
    }
    let x = Tensor::<3>::zeros([batch, length, 2], &device);
    recorder.role(&x, Role::Input);
    let class = Tensor::<1, Int>::zeros([batch], &device);
    recorder.input(&class);
    let mut training = Training::new(1);
    let (loss, _model) =
        training_step(model, &mut optimizer, &mut training, x, class);
    recorder.output(&loss);
}

/// Marks the weights; running statistics of norms are no parameters.
fn mark_weights<M: Classifier>(recorder: &Recorder, model: &M) {
    recorder.weights(model);
    struct Statistics<'a>(&'a Recorder, Vec<String>);
    impl burn::module::ModuleVisitor for Statistics<'_> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.1.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.1.pop();
        }
        fn visit_float<const D: usize>(
            &mut self,
            param: &burn::module::Param<Tensor<D>>,
        ) {
            if self.1.last().is_some_and(|name| name.starts_with("running_")) {
                self.0.role(&param.val(), Role::Input);
            }
        }
    }
    model.visit(&mut Statistics(recorder, Vec::new()));
}
