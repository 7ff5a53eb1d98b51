//! Heads (Jumper et al., *Highly accurate protein structure prediction with
//! AlphaFold*, Nature 2021, supplement 1.9): confidence (1.9.6), distogram
//! (1.9.8), masked MSA (1.9.9), resolved atoms (1.9.10). All of them return
//! logits.
//!
//! Left out: their losses, and the heads of predicted TM-scores and aligned
//! errors, which AlphaFold's first models do not have either.
//!
//! `S` sequences, `R` residues; `m` is the MSA representation `[S, R, c_m]`,
//! `z` the pair representation `[R, R, c_z]`. Fields carry the names of
//! OpenFold's published weights.

use assay_kernels::{Activation, activate};
use assay_kit::{LayerNorm, Linear, Parameters};
use assay_trace::span;
use burn::Tensor;
use burn::module::Module;

use crate::config::Config;
use crate::layers::layer_norm;

/// How far each residue's place is to be trusted (algorithm 29).
#[derive(Module, Debug)]
pub struct PlddtHead {
    layer_norm: LayerNorm,
    linear_1: Linear,
    linear_2: Linear,
    linear_3: Linear,
}

impl PlddtHead {
    /// Of the architecture's widths.
    pub fn new(p: &mut Parameters, config: &Config) -> Self {
        let (hidden, bins) =
            (config.heads.plddt_hidden, config.heads.plddt_bins);
        Self {
            layer_norm: layer_norm(p, config.c_s),
            linear_1: Linear::new(p, config.c_s, hidden, true),
            linear_2: Linear::new(p, hidden, hidden, true),
            linear_3: Linear::new(p, hidden, bins, true),
        }
    }

    /// The structure module's `single` `[R, c_s]` to `[R, 50]`.
    pub fn forward(&self, single: &Tensor<2>) -> Tensor<2> {
        let x = self.layer_norm.forward(single.clone()); // [R, c_s]
        let x = activate(self.linear_1.forward(x), Activation::Relu);
        let x = activate(self.linear_2.forward(x), Activation::Relu);
        self.linear_3.forward(x) // [R, 50]
    }
}

/// How far apart two residues are.
#[derive(Module, Debug)]
pub struct DistogramHead {
    linear: Linear,
}

impl DistogramHead {
    /// Of the architecture's widths.
    pub fn new(p: &mut Parameters, config: &Config) -> Self {
        let bins = config.heads.distogram_bins;
        Self { linear: Linear::new(p, config.c_z, bins, true) }
    }

    /// `z` to `[R, R, 64]`, the same for `i, j` and `j, i`.
    pub fn forward(&self, z: &Tensor<3>) -> Tensor<3> {
        let half = self.linear.forward(z.clone()); // [R, R, 64]
        half.clone() + half.swap_dims(0, 1)
    }
}

/// What was masked in the MSA.
#[derive(Module, Debug)]
pub struct MaskedMsaHead {
    linear: Linear,
}

impl MaskedMsaHead {
    /// Of the architecture's widths.
    pub fn new(p: &mut Parameters, config: &Config) -> Self {
        let classes = config.heads.masked_msa_classes;
        Self { linear: Linear::new(p, config.c_m, classes, true) }
    }

    /// `m`, without the rows of templates, to `[S, R, 23]`.
    pub fn forward(&self, m: &Tensor<3>) -> Tensor<3> {
        self.linear.forward(m.clone())
    }
}

/// Which atoms an experiment resolves.
#[derive(Module, Debug)]
pub struct ResolvedHead {
    linear: Linear,
}

impl ResolvedHead {
    /// Of the architecture's widths.
    pub fn new(p: &mut Parameters, config: &Config) -> Self {
        let atoms = config.heads.resolved_atoms;
        Self { linear: Linear::new(p, config.c_s, atoms, true) }
    }

    /// The Evoformer's `single` `[R, c_s]` to `[R, 37]`.
    pub fn forward(&self, single: &Tensor<2>) -> Tensor<2> {
        self.linear.forward(single.clone())
    }
}

/// All of them.
#[derive(Module, Debug)]
pub struct AuxiliaryHeads {
    plddt: PlddtHead,
    distogram: DistogramHead,
    masked_msa: MaskedMsaHead,
    experimentally_resolved: ResolvedHead,
}

/// What the heads read.
#[derive(Clone, Copy, Debug)]
pub struct Representations<'a> {
    /// MSA representation without the rows of templates, `[S, R, c_m]`.
    pub m: &'a Tensor<3>,
    /// Pair representation, `[R, R, c_z]`.
    pub z: &'a Tensor<3>,
    /// Single representation of the Evoformer, `[R, c_s]`.
    pub single: &'a Tensor<2>,
    /// Single representation of the structure module, `[R, c_s]`.
    pub structure: &'a Tensor<2>,
}

/// What the heads say: logits.
#[derive(Clone, Debug)]
pub struct Logits {
    /// `[R, 50]`.
    pub plddt: Tensor<2>,
    /// `[R, R, 64]`.
    pub distogram: Tensor<3>,
    /// `[S, R, 23]`.
    pub masked_msa: Tensor<3>,
    /// `[R, 37]`.
    pub resolved: Tensor<2>,
}

impl AuxiliaryHeads {
    /// Of the architecture's widths.
    pub fn new(p: &mut Parameters, config: &Config) -> Self {
        Self {
            plddt: PlddtHead::new(p, config),
            distogram: DistogramHead::new(p, config),
            masked_msa: MaskedMsaHead::new(p, config),
            experimentally_resolved: ResolvedHead::new(p, config),
        }
    }

    /// What each head says.
    pub fn forward(&self, read: Representations<'_>) -> Logits {
        let Representations { m, z, single, structure } = read;
        Logits {
            plddt: span("plddt", || self.plddt.forward(structure)),
            distogram: span("distogram", || self.distogram.forward(z)),
            masked_msa: span("masked_msa", || self.masked_msa.forward(m)),
            resolved: span("experimentally_resolved", || {
                self.experimentally_resolved.forward(single)
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use assay_trace::capture;
    use burn::tensor::{Device, Distribution};

    use super::*;
    use crate::config::architecture;

    #[test]
    fn the_distogram_is_symmetric_and_says_something() {
        let (config, device) = (architecture("tiny").unwrap(), Device::flex());
        let mut p = Parameters::random(&device, 1);
        let head = DistogramHead::new(&mut p, &config);
        let normal = Distribution::Normal(0.0, 1.0);
        let z = Tensor::random([5, 5, config.c_z], normal, &device);
        let logits = head.forward(&z);
        let turned = logits.clone().swap_dims(0, 1);
        assert_eq!(logits.to_data(), turned.to_data());
        let bias = head.linear.bias.as_ref().unwrap().val();
        let at = |i, j| z.clone().narrow(0, i, 1).narrow(1, j, 1);
        let both = (at(1, 3) + at(3, 1)).reshape([1, config.c_z]);
        let expected = head.linear.forward(both) + bias.unsqueeze();
        let found = logits.narrow(0, 1, 1).narrow(1, 3, 1).reshape([1, 64]);
        let apart = (found - expected).abs().max().into_scalar::<f32>();
        assert!(apart < 1e-5, "{apart}");
    }

    #[test]
    fn a_residue_is_trusted_for_itself_alone() {
        let (config, device) = (architecture("tiny").unwrap(), Device::flex());
        let mut p = Parameters::random(&device, 2);
        let head = PlddtHead::new(&mut p, &config);
        let normal = Distribution::Normal(0.0, 1.0);
        let single = Tensor::<2>::random([4, config.c_s], normal, &device);
        let other = Tensor::random([1, config.c_s], normal, &device);
        let changed = single.clone().slice_assign([2..3, 0..config.c_s], other);
        let before = head.forward(&single);
        let after = head.forward(&changed);
        let moved = (after - before).abs().sum_dim(1).into_data();
        let moved = moved.try_to_vec::<f32>().unwrap();
        assert_eq!([moved[0], moved[1], moved[3]], [0.0; 3]);
        assert!(moved[2] > 1e-3, "{moved:?}");
    }

    #[test]
    fn parameters_are_those_of_the_supplement() {
        let config = architecture("alphafold-2").unwrap();
        let mut p = Parameters::shapes(&Device::flex());
        let linear = |inputs: usize, outputs: usize| (inputs + 1) * outputs;
        let plddt = PlddtHead::new(&mut p, &config).num_params();
        let hidden = linear(384, 128) + linear(128, 128);
        assert_eq!(plddt, 2 * 384 + hidden + linear(128, 50));
        let distogram = DistogramHead::new(&mut p, &config).num_params();
        assert_eq!(distogram, linear(128, 64));
        let masked = MaskedMsaHead::new(&mut p, &config).num_params();
        assert_eq!(masked, linear(256, 23));
        let resolved = ResolvedHead::new(&mut p, &config).num_params();
        assert_eq!(resolved, linear(384, 37));
        let all = AuxiliaryHeads::new(&mut p, &config).num_params();
        assert_eq!(all, plddt + distogram + masked + resolved);
    }

    #[test]
    fn heads_can_be_traced() {
        let config = architecture("tiny").unwrap();
        let graph = capture(assay_kernels::cost, |recorder| {
            let device = recorder.device();
            let mut p = Parameters::shapes(&device);
            let heads = AuxiliaryHeads::new(&mut p, &config);
            let logits = heads.forward(Representations {
                m: &Tensor::zeros([3, 5, config.c_m], &device),
                z: &Tensor::zeros([5, 5, config.c_z], &device),
                single: &Tensor::zeros([5, config.c_s], &device),
                structure: &Tensor::zeros([5, config.c_s], &device),
            });
            assert_eq!(logits.plddt.dims(), [5, 50]);
            assert_eq!(logits.distogram.dims(), [5, 5, 64]);
            assert_eq!(logits.masked_msa.dims(), [3, 5, 23]);
            assert_eq!(logits.resolved.dims(), [5, 37]);
        })
        .unwrap();
        for name in
            ["plddt", "distogram", "masked_msa", "experimentally_resolved"]
        {
            assert!(graph.modules.iter().any(|module| module == name));
        }
    }
}
