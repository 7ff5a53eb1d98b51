//! A prepared case: a model with its inputs, checked and then run again and
//! again.

use std::hint::black_box;

use assay_kernels::{with_class_times, with_plain_twins};
use assay_kit::{Checkpoint, Parameters, compare, floats, merge};
use assay_measure::{Context, Pace, Progress, Session, Watch, WorkloadError};
use assay_schema::{Seconds, Verification};
use assay_trace::Tape;
use burn::Tensor;
use burn::tensor::Device;

use crate::evoformer::{EvoformerBlock, Masks};
use crate::golden::{self, TOLERANCE};
use crate::inputs::Inputs;
use crate::model::{AlphaFold, Found};
use crate::pass::{Chunks, Pass};
use crate::planner::plan;
use crate::steps::block_loss;
use crate::weights::load_published;
use crate::{FastFoldError, Phase, Request};

/// Sequences and residues of the check at full width: the plain twins are
/// slow, and widths are what kernels choose their ways by.
const CHECKED: [usize; 2] = [9, 33];

/// What a case runs, with its weights and inputs.
enum Prepared {
    Block(Box<Block>),
    Model(Box<AlphaFold>, Box<Inputs>),
}

/// A block, its inputs, and what is there of them.
struct Block {
    block: EvoformerBlock,
    m: Tensor<3>,
    z: Tensor<3>,
    masks: Masks,
}

pub(crate) struct FastFoldSession {
    request: Request,
    chunks: Chunks,
    prepared: Prepared,
    seed: u64,
    steps: u64,
}

impl FastFoldSession {
    pub(crate) fn new(
        request: Request,
        context: &Context,
    ) -> Result<Self, FastFoldError> {
        // Whether the limit can be met is said before anything is allocated.
        let chunks = plan(&request)?;
        let weights =
            context.weights.as_deref().map(Checkpoint::open).transpose()?;
        let prepared = prepare(&request, weights.as_ref(), context.seed)?;
        Ok(Self { request, chunks, prepared, seed: context.seed, steps: 0 })
    }

    /// The answer at the widths that are timed, few sequences and residues:
    /// kernels, chunked to one row where the case is chunked, against the
    /// plain twins.
    fn check_at_width(&self) -> Result<Verification, WorkloadError> {
        let [s, r] = CHECKED;
        let mut shallow = Request {
            sequences: self.request.sequences.min(s),
            residues: self.request.residues.min(r),
            extra: self.request.extra.min(s),
            templates: self.request.templates.min(1),
            passes: self.request.passes.min(2),
            ..self.request.clone()
        };
        shallow.config.evoformer.blocks = 1;
        let prepared = prepare(&shallow, None, self.seed)?;
        let chunks = match self.request.limit {
            Some(_) => Chunks::every(2),
            None => Chunks::default(),
        };
        let answer = |chunks| {
            let all = run(&shallow, &prepared, chunks, self.seed);
            all.into_iter().flat_map(floats).collect::<Vec<f32>>()
        };
        let fused = answer(chunks);
        let plain = with_plain_twins(|| answer(Chunks::default()));
        let what = format!(
            "plain twins at {} x {}",
            shallow.sequences, shallow.residues
        );
        Ok(compare(what, &fused, &plain, TOLERANCE))
    }
}

/// Weights and inputs of a case.
fn prepare(
    request: &Request,
    weights: Option<&Checkpoint>,
    seed: u64,
) -> Result<Prepared, FastFoldError> {
    let flex = Device::flex();
    let training = request.phase == Phase::BlockTrain;
    let device = if training { flex.autodiff() } else { flex };
    let mut p = Parameters::random(&device, seed);
    Ok(match request.phase {
        Phase::BlockForward | Phase::BlockTrain => {
            let block = EvoformerBlock::new(&mut p, &request.config);
            let block = match weights {
                Some(file) => {
                    load_published(block, "evoformer.blocks.0.", file)?
                }
                None => block,
            };
            let (s, r) = (request.sequences, request.residues);
            let m = p.weight([s, r, request.config.c_m], 1.0).val();
            let z = p.weight([r, r, request.config.c_z], 1.0).val();
            let ones = |shape| Tensor::<2>::ones(shape, &device);
            let masks = Masks { msa: ones([s, r]), pair: ones([r, r]) };
            Prepared::Block(Box::new(Block { block, m, z, masks }))
        }
        Phase::Trunk | Phase::Inference => {
            let model =
                AlphaFold::new(&mut p, &request.config, request.parts());
            let model = match weights {
                Some(file) => load_published(model, "", file)?,
                None => model,
            };
            let inputs = Inputs::new(request, &mut p);
            Prepared::Model(Box::new(model), Box::new(inputs))
        }
    })
}

/// One iteration, and its answer, where it lies.
fn run(
    request: &Request,
    prepared: &Prepared,
    chunks: Chunks,
    seed: u64,
) -> Vec<Tensor<1>> {
    let how = request.intermediates;
    let mut pass = Pass::inference(how, chunks);
    match (prepared, request.phase) {
        (Prepared::Block(case), Phase::BlockTrain) => {
            let mut pass = Pass::training(how, seed);
            let inputs = [&case.m, &case.z].map(|x| x.clone().require_grad());
            let ([m, z], masks) = (inputs.clone(), &case.masks);
            let loss = block_loss(&case.block, m, z, masks, &mut pass);
            let mut tape = Tape::of(loss);
            // The gradients of the inputs depend on every part's.
            let found = inputs.iter().filter_map(|x| tape.remove(x));
            found.map(flat).collect()
        }
        (Prepared::Block(case), _) => {
            let see = &mut |_: &str, _: &Tensor<3>| {};
            let (m, z) = (case.m.clone(), case.z.clone());
            let (m, z) = case.block.forward(m, z, &case.masks, &mut pass, see);
            vec![flat(m), flat(z)]
        }
        (Prepared::Model(model, inputs), Phase::Trunk) => {
            let see = &mut |_: &str, _: &Tensor<3>| {};
            let found = model.trunk(inputs, None, &mut pass, see);
            vec![flat(found.z), flat(found.single)]
        }
        (Prepared::Model(model, inputs), _) => {
            let (config, passes) = (&request.config, request.passes);
            let found = model.predict(inputs, config, passes, &mut pass);
            found.map_or_else(Vec::new, |found| {
                let Found { structure, logits, .. } = found;
                vec![flat(structure.frames.translation), flat(logits.distogram)]
            })
        }
    }
}

fn flat<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let count = x.dims().iter().product::<usize>();
    x.reshape([count])
}

impl Session for FastFoldSession {
    fn verify(&mut self) -> Result<Verification, WorkloadError> {
        let how = self.request.intermediates;
        let golden = match self.request.phase {
            Phase::BlockForward | Phase::BlockTrain => golden::of_block(how)?,
            Phase::Trunk | Phase::Inference => golden::of_model(how)?,
        };
        merge(vec![golden, self.check_at_width()?])
            .ok_or_else(|| WorkloadError::other("nothing was compared"))
    }

    fn pace(&self) -> Pace {
        Pace::Steady
    }

    fn iterate(
        &mut self,
        watch: &mut Watch<'_>,
    ) -> Result<Progress, WorkloadError> {
        self.steps += 1;
        let seed = self.seed.wrapping_add(self.steps);
        let once = || run(&self.request, &self.prepared, self.chunks, seed);
        if self.request.stock {
            black_box(with_plain_twins(once));
            return Ok(Progress::More);
        }
        let (answer, times) = with_class_times(once);
        black_box(answer);
        // What is left of the step is the engine's own operators.
        for (class, time) in times.taken() {
            watch.record(class, Seconds(time.as_secs_f64()));
        }
        Ok(Progress::More)
    }
}
