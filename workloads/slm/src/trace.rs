//! The operator graph of a case.
//!
//! It is always that of the dense model, whatever the case's precision: a
//! graph says how many values an operator reads, and whoever counts bytes reads
//! it at a precision (`assay_trace`). So one trace serves all precisions of a
//! case, parameters are counted as values and not as packed words, and number
//! formats are predicted that no kernel here multiplies. What runs at a packed
//! precision has the same operators in the same places, but for the quantised
//! activations of the block formats, which are of no account in bytes.

use assay_kit::{Optimizer, Parameters};
use assay_trace::{Graph, Recorder, Role, capture};
use burn::tensor::{Device, Int, Tensor};

use crate::steps::{ADAMW, decode, prefill, seen, train};
use crate::{Cache, Decoder, Phase, Request, SlmError};

/// Traces a case: nothing is computed, nothing allocated.
///
/// # Errors
///
/// An operator without a cost: a bug of this project.
pub fn trace(request: &Request) -> Result<Graph, SlmError> {
    Ok(capture(assay_kernels::cost, |recorder| match request.phase {
        Phase::TrainStep => trace_train(request, recorder),
        Phase::Prefill | Phase::Decode | Phase::Generate | Phase::Evaluate => {
            trace_inference(request, recorder)
        }
    })?)
}

/// Marks the rotary tables, which a model holds beside its weights.
fn mark_tables(request: &Request, recorder: &Recorder, device: &Device) {
    let elements = request.config.rotated() * request.longest();
    if elements > 0 {
        let tables = Tensor::<1>::zeros([elements], device);
        recorder.role(&tables, Role::Input);
    }
}

fn trace_inference(request: &Request, recorder: &Recorder) {
    let device = recorder.device();
    let config = &request.config;
    let mut shapes = Parameters::shapes(&device);
    let model = Decoder::new(&mut shapes, config, request.longest());
    recorder.weights(&model);
    mark_tables(request, recorder, &device);
    let tokens = |count: usize| {
        let tokens = Tensor::<2, Int>::zeros([request.batch, count], &device);
        recorder.input(&tokens);
        tokens
    };
    let remember = |cache: &Cache| {
        for tensor in cache.tensors() {
            recorder.role(tensor, Role::KvCache);
        }
    };
    match request.phase {
        Phase::Prefill => {
            let (logits, cache) =
                prefill(&model, config, tokens(request.prompt));
            remember(&cache);
            recorder.output(&logits);
        }
        Phase::Decode => {
            let capacity = request.context + 1;
            let mut cache =
                Cache::with_capacity(config, request.batch, capacity, &device);
            remember(&cache);
            let logits = decode(&model, tokens(1), request.context, &mut cache);
            remember(&cache);
            recorder.output(&logits);
        }
        // One row of the longest kind, judged at every position.
        Phase::Evaluate => {
            let hidden = model.hidden(tokens(request.longest()), 0, None);
            recorder.output(&model.logits(hidden));
        }
        Phase::Generate | Phase::TrainStep => {
            let capacity = request.prompt + request.tokens;
            let (mut logits, mut cache) =
                seen(&model, config, tokens(request.prompt), capacity);
            remember(&cache);
            for i in 1..request.tokens {
                let at = request.prompt + i - 1;
                logits = decode(&model, tokens(1), at, &mut cache);
            }
            remember(&cache);
            recorder.output(&logits);
        }
    }
}

fn trace_train(request: &Request, recorder: &Recorder) {
    let device = recorder.training_device();
    let mut shapes = Parameters::shapes(&device);
    let model = Decoder::new(&mut shapes, &request.config, request.longest());
    recorder.weights(&model);
    mark_tables(request, recorder, &device);
    let mut optimizer = Optimizer::new(ADAMW);
    optimizer.prepare(&model);
    let tokens =
        Tensor::<2, Int>::zeros([request.batch, request.prompt], &device);
    recorder.input(&tokens);
    let (loss, _model) = train(model, &mut optimizer, tokens);
    recorder.output(&loss);
}
