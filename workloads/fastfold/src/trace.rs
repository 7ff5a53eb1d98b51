//! The operator graph of a case.

use assay_kernels::with_plain_twins;
use assay_kit::Parameters;
use assay_trace::{Graph, Recorder, Role, Tape, capture, span};
use burn::Tensor;

use crate::evoformer::{EvoformerBlock, Masks};
use crate::inputs::Inputs;
use crate::model::AlphaFold;
use crate::pass::{Chunks, Pass};
use crate::planner::plan;
use crate::steps::block_loss;
use crate::{FastFoldError, Phase, Request};

/// Traces a case, chunked to its memory limit: nothing is computed, nothing
/// allocated.
///
/// # Errors
/// A memory limit that no chunking meets; an operator without a cost: a bug of
/// this project.
pub fn trace(request: &Request) -> Result<Graph, FastFoldError> {
    trace_with(request, plan(request)?)
}

/// Traces a case with given chunks.
pub(crate) fn trace_with(
    request: &Request,
    chunks: Chunks,
) -> Result<Graph, FastFoldError> {
    traced(request, Pass::inference(request.intermediates, chunks))
}

/// Traces what decides the peak of memory: see [`crate::planner`].
pub(crate) fn trace_sampled(
    request: &Request,
    chunks: Chunks,
) -> Result<Graph, FastFoldError> {
    let pass = Pass::inference(request.intermediates, chunks);
    traced(
        &Request { passes: request.passes.min(2), ..request.clone() },
        pass.sampled(),
    )
}

fn traced(request: &Request, pass: Pass) -> Result<Graph, FastFoldError> {
    let record = || {
        capture(assay_kernels::cost, |recorder| match request.phase {
            Phase::BlockForward => block_forward(request, recorder, pass),
            Phase::BlockTrain => block_train(request, recorder),
            Phase::Trunk | Phase::Inference => {
                model_forward(request, recorder, pass);
            }
        })
    };
    Ok(if request.stock { with_plain_twins(record)? } else { record()? })
}

/// The inputs of a block, in the recorder's books.
fn block_inputs(
    request: &Request,
    recorder: &Recorder,
    device: &burn::tensor::Device,
) -> (Tensor<3>, Tensor<3>, Masks) {
    let (s, r) = (request.sequences, request.residues);
    let m = Tensor::<3>::zeros([s, r, request.config.c_m], device);
    let z = Tensor::<3>::zeros([r, r, request.config.c_z], device);
    let masks = Masks {
        msa: Tensor::zeros([s, r], device),
        pair: Tensor::zeros([r, r], device),
    };
    recorder.role(&m, Role::Input);
    recorder.role(&z, Role::Input);
    recorder.role(&masks.msa, Role::Input);
    recorder.role(&masks.pair, Role::Input);
    (m, z, masks)
}

fn block_forward(request: &Request, recorder: &Recorder, mut pass: Pass) {
    let device = recorder.device();
    let mut shapes = Parameters::shapes(&device);
    let block = EvoformerBlock::new(&mut shapes, &request.config);
    recorder.weights(&block);
    let (m, z, masks) = block_inputs(request, recorder, &device);
    let (m, z) = block.forward(m, z, &masks, &mut pass, &mut |_, _| {});
    recorder.output(&m);
    recorder.output(&z);
}

fn block_train(request: &Request, recorder: &Recorder) {
    let device = recorder.training_device();
    let mut shapes = Parameters::shapes(&device);
    let block = EvoformerBlock::new(&mut shapes, &request.config);
    recorder.weights(&block);
    let (m, z, masks) = block_inputs(request, recorder, &device);
    let (m, z) = (m.require_grad(), z.require_grad());
    let mut pass = Pass::training(request.intermediates, 1);
    let loss = block_loss(&block, m, z, &masks, &mut pass);
    recorder.output(&loss);
    span("backward", || Tape::of(loss));
}

/// Says what of the inputs is given.
fn mark(inputs: &Inputs, recorder: &Recorder) {
    let given = Role::Input;
    recorder.role(&inputs.target, given);
    recorder.role(&inputs.residue_index, given);
    recorder.role(&inputs.msa, given);
    recorder.role(&inputs.msa_mask, given);
    recorder.role(&inputs.residue_mask, given);
    if let Some(extra) = &inputs.extra {
        recorder.role(&extra.msa, given);
        recorder.role(&extra.mask, given);
    }
    if let Some(templates) = &inputs.templates {
        recorder.role(&templates.angles, given);
        recorder.role(&templates.angle_mask, given);
        recorder.role(&templates.mask, given);
        for pairs in &templates.pairs {
            recorder.role(pairs, given);
        }
    }
}

fn model_forward(request: &Request, recorder: &Recorder, mut pass: Pass) {
    let device = recorder.device();
    let mut shapes = Parameters::shapes(&device);
    let model = AlphaFold::new(&mut shapes, &request.config, request.parts());
    recorder.weights(&model);
    let inputs = Inputs::new(request, &mut shapes);
    mark(&inputs, recorder);
    if request.phase == Phase::Trunk {
        let see = &mut |_: &str, _: &Tensor<3>| {};
        let found = model.trunk(&inputs, None, &mut pass, see);
        recorder.output(&found.z);
        recorder.output(&found.single);
    } else if let Some(found) =
        model.predict(&inputs, &request.config, request.passes, &mut pass)
    {
        recorder.output(&found.structure.frames.translation);
        recorder.output(&found.logits.distogram);
    }
}
