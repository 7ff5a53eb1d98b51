//! The whole forward (Jumper et al., *Highly accurate protein structure
//! prediction with AlphaFold*, Nature 2021, supplement, algorithm 2): embedded
//! inputs, what the pass before found, templates, the extra MSA, the
//! Evoformer, the structure, the heads.
//!
//! Left out: ensembles of MSA samples, side-chain atoms, losses.
//!
//! `S` sequences, `R` residues, `T` templates, `E` extra sequences. Fields
//! carry the names of OpenFold's published weights.

use assay_kit::Parameters;
use assay_trace::span;
use burn::Tensor;
use burn::module::Module;

use crate::config::Config;
use crate::embed::{
    ExtraMsaEmbedder, InputEmbedder, Recycled, RecyclingEmbedder,
};
use crate::evoformer::{Masks, See};
use crate::heads::{AuxiliaryHeads, Logits, Representations};
use crate::inputs::{Extra, Inputs, Templates};
use crate::pass::Pass;
use crate::structure::{Predicted, StructureModule};
use crate::templates::{
    TemplateAngleEmbedder, TemplatePairEmbedder, TemplatePairStack,
    TemplatePointwiseAttention,
};
use crate::trunk::{EvoformerStack, ExtraMsaStack};

/// Which parts a model has beside its Evoformer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The extra MSA stack.
    pub extra: bool,
    /// The template stack.
    pub templates: bool,
    /// Recycling, structure module and heads.
    pub ends: bool,
}

impl Parts {
    /// All of them.
    pub const ALL: Self = Self { extra: true, templates: true, ends: true };
}

/// AlphaFold 2, or a part of it.
#[derive(Module, Debug)]
pub struct AlphaFold {
    input_embedder: InputEmbedder,
    recycling_embedder: Option<RecyclingEmbedder>,
    template_angle_embedder: Option<TemplateAngleEmbedder>,
    template_pair_embedder: Option<TemplatePairEmbedder>,
    template_pair_stack: Option<TemplatePairStack>,
    template_pointwise_att: Option<TemplatePointwiseAttention>,
    extra_msa_embedder: Option<ExtraMsaEmbedder>,
    extra_msa_stack: Option<ExtraMsaStack>,
    evoformer: EvoformerStack,
    structure_module: Option<StructureModule>,
    aux_heads: Option<AuxiliaryHeads>,
}

/// What a pass through the trunk leaves.
#[derive(Clone, Debug)]
pub struct Represented {
    /// MSA representation without the rows of templates, `[S, R, c_m]`.
    pub m: Tensor<3>,
    /// Pair representation, `[R, R, c_z]`.
    pub z: Tensor<3>,
    /// Single representation, `[R, c_s]`.
    pub single: Tensor<2>,
}

/// What a pass through the whole model finds.
#[derive(Clone, Debug)]
pub struct Found {
    /// The representations.
    pub represented: Represented,
    /// Frames, angles and positions.
    pub structure: Predicted,
    /// What the heads say.
    pub logits: Logits,
}

impl AlphaFold {
    /// A model with these parts.
    pub fn new(p: &mut Parameters, config: &Config, parts: Parts) -> Self {
        let Parts { extra, templates, ends } = parts;
        Self {
            input_embedder: InputEmbedder::new(p, config),
            recycling_embedder: ends.then(|| RecyclingEmbedder::new(p, config)),
            template_angle_embedder: templates
                .then(|| TemplateAngleEmbedder::new(p, config)),
            template_pair_embedder: templates
                .then(|| TemplatePairEmbedder::new(p, config)),
            template_pair_stack: templates
                .then(|| TemplatePairStack::new(p, config)),
            template_pointwise_att: templates
                .then(|| TemplatePointwiseAttention::new(p, config)),
            extra_msa_embedder: extra.then(|| ExtraMsaEmbedder::new(p, config)),
            extra_msa_stack: extra.then(|| ExtraMsaStack::new(p, config)),
            evoformer: EvoformerStack::new(p, config),
            structure_module: ends.then(|| StructureModule::new(p, config)),
            aux_heads: ends.then(|| AuxiliaryHeads::new(p, config)),
        }
    }

    /// From inputs to representations. `see` gets the first ones
    /// (`embedded_m`, `embedded_z`) and `z` after templates and extra MSA
    /// (`templates_z`, `extra_z`).
    pub fn trunk(
        &self,
        inputs: &Inputs,
        previous: Option<Recycled>,
        pass: &mut Pass,
        see: See<'_>,
    ) -> Represented {
        let [s, r, _] = inputs.msa.dims();
        let pair = inputs.pair_mask(); // [R, R]
        let (target, index) = (&inputs.target, &inputs.residue_index);
        let (m, z) = span("input_embedder", || {
            self.input_embedder.forward(target, index, &inputs.msa)
        });
        let (m, z) = match (&self.recycling_embedder, previous) {
            (Some(embedder), Some(previous)) => {
                span("recycling_embedder", || {
                    embedder.forward(m, z, &previous, pass)
                })
            }
            _ => (m, z),
        }; // [S, R, c_m], [R, R, c_z]
        see("embedded_m", &m);
        see("embedded_z", &z);
        let (mut m, mut z, mut seen) = (m, z, inputs.msa_mask.clone());
        if let Some(templates) = &inputs.templates {
            z = span("templates", || self.pairs(z, templates, &pair, pass));
            see("templates_z", &z);
            if let Some(embedder) = &self.template_angle_embedder {
                let rows = span("template_angles", || {
                    embedder.forward(&templates.angles)
                }); // [T, R, c_m]
                m = Tensor::cat(vec![m, rows], 0); // [S + T, R, c_m]
                let mask = templates.angle_mask.clone();
                seen = Tensor::cat(vec![seen, mask], 0);
            }
        }
        if let Some(extra) = &inputs.extra {
            z = self.extra(z, extra, &pair, pass);
            see("extra_z", &z);
        }
        let masks = Masks { msa: seen, pair };
        let (m, z, single) = self.evoformer.forward(m, z, &masks, pass);
        let m = if m.dims()[0] > s { m.narrow(0, 0, s) } else { m };
        debug_assert_eq!(m.dims()[1], r);
        Represented { m, z, single }
    }

    /// Algorithm 2, lines 9 to 13: the templates' pairs.
    fn pairs(
        &self,
        z: Tensor<3>,
        templates: &Templates,
        mask: &Tensor<2>,
        pass: &mut Pass,
    ) -> Tensor<3> {
        let (Some(embedder), Some(stack), Some(attention)) = (
            &self.template_pair_embedder,
            &self.template_pair_stack,
            &self.template_pointwise_att,
        ) else {
            return z;
        };
        let embedded: Vec<Tensor<3>> = templates
            .pairs
            .iter()
            .map(|pairs| stack.forward(embedder.forward(pairs), mask, pass))
            .collect(); // T of [R, R, c_t]
        attention.forward(z, &embedded, &templates.mask, pass)
    }

    /// Algorithm 2, lines 14 to 16: the extra MSA.
    fn extra(
        &self,
        z: Tensor<3>,
        extra: &Extra,
        pair: &Tensor<2>,
        pass: &mut Pass,
    ) -> Tensor<3> {
        let (Some(embedder), Some(stack)) =
            (&self.extra_msa_embedder, &self.extra_msa_stack)
        else {
            return z;
        };
        let m = span("extra_msa_embedder", || embedder.forward(&extra.msa));
        let masks = Masks { msa: extra.mask.clone(), pair: pair.clone() };
        stack.forward(m, z, &masks, pass) // [R, R, c_z]
    }

    /// One pass; `None` of a model without its ends.
    pub fn forward(
        &self,
        inputs: &Inputs,
        previous: Recycled,
        pass: &mut Pass,
        see: See<'_>,
    ) -> Option<Found> {
        let module = self.structure_module.as_ref()?;
        let heads = self.aux_heads.as_ref()?;
        let represented = self.trunk(inputs, Some(previous), pass, see);
        let Represented { m, z, single } = &represented;
        let structure = span("structure_module", || {
            module.forward(single, z, &inputs.residue_mask)
        });
        let structured = &structure.single;
        let read = Representations { m, z, single, structure: structured };
        let logits = span("heads", || heads.forward(read));
        Some(Found { represented, structure, logits })
    }

    /// As many passes as are asked for, each given what the one before found;
    /// `None` of a model without its ends.
    pub fn predict(
        &self,
        inputs: &Inputs,
        config: &Config,
        passes: usize,
        pass: &mut Pass,
    ) -> Option<Found> {
        let [_, r, _] = inputs.msa.dims();
        let device = inputs.msa.device();
        let mut previous = Recycled::none(r, config, &device);
        let mut last = None;
        for _ in 0..passes {
            drop(last.take());
            let found = self.forward(inputs, previous, pass, &mut |_, _| {})?;
            let Represented { m, z, .. } = &found.represented;
            let width = m.dims()[2];
            previous = Recycled {
                m: m.clone().narrow(0, 0, 1).reshape([r, width]),
                z: z.clone(),
                positions: found.structure.positions.clone(),
            };
            last = Some(found);
        }
        last
    }
}
