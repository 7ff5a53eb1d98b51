//! The trunk (supplement 1.6, algorithms 6 and 18): embedded inputs, the
//! extra MSA stack where there are extra sequences, the Evoformer stack, and
//! the single representation.

use assay_kit::{Linear, Parameters};
use assay_trace::{span, span_at};
use burn::Tensor;
use burn::module::Module;

use crate::config::Config;
use crate::evoformer::{EvoformerBlock, Masks};
use crate::pass::Pass;

/// The 48 blocks, and the projection of the first MSA row.
#[derive(Module, Debug)]
pub struct EvoformerStack {
    blocks: Vec<EvoformerBlock>,
    linear: Linear,
}

impl EvoformerStack {
    /// As many blocks as the architecture has.
    pub fn new(p: &mut Parameters, config: &Config) -> Self {
        let blocks = (0..config.evoformer.blocks)
            .map(|_| EvoformerBlock::new(p, config))
            .collect();
        Self { blocks, linear: Linear::new(p, config.c_m, config.c_s, true) }
    }

    /// `m` `[S, R, c_m]` and `z` `[R, R, c_z]` to the same, and the single
    /// representation `[R, c_s]` of the first sequence.
    pub fn forward(
        &self,
        m: Tensor<3>,
        z: Tensor<3>,
        masks: &Masks,
        pass: &mut Pass,
    ) -> (Tensor<3>, Tensor<3>, Tensor<2>) {
        let (m, z) = run("evoformer", &self.blocks, m, z, masks, pass);
        let [_, r, c] = m.dims();
        let first = m.clone().narrow(0, 0, 1).reshape([r, c]);
        let single = span("single", || self.linear.forward(first));
        (m, z, single)
    }
}

/// The extra MSA stack: its pairs go on, its MSA does not.
#[derive(Module, Debug)]
pub struct ExtraMsaStack {
    blocks: Vec<EvoformerBlock>,
}

impl ExtraMsaStack {
    /// As many blocks as the architecture has.
    pub fn new(p: &mut Parameters, config: &Config) -> Self {
        let blocks = (0..config.extra.blocks)
            .map(|_| EvoformerBlock::extra(p, config))
            .collect();
        Self { blocks }
    }

    /// `m` `[extra, R, c_e]` and `z` to `z`.
    pub fn forward(
        &self,
        m: Tensor<3>,
        z: Tensor<3>,
        masks: &Masks,
        pass: &mut Pass,
    ) -> Tensor<3> {
        run("extra_msa", &self.blocks, m, z, masks, pass).1
    }
}

fn run(
    name: &str,
    blocks: &[EvoformerBlock],
    m: Tensor<3>,
    z: Tensor<3>,
    masks: &Masks,
    pass: &mut Pass,
) -> (Tensor<3>, Tensor<3>) {
    // One block's memory is every block's; a second one still asks for the
    // MSA that the first gives, while the first works on pairs.
    let count = if pass.is_sampled() { 2 } else { blocks.len() };
    let ran = blocks.iter().take(count).enumerate();
    ran.fold((m, z), |(m, z), (i, block)| {
        span_at(name, i, || block.forward(m, z, masks, pass, &mut |_, _| {}))
    })
}
