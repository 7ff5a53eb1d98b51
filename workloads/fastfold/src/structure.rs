//! The structure module (Jumper et al., *Highly accurate protein structure
//! prediction with AlphaFold*, Nature 2021, supplement 1.8, algorithms 20, 22
//! and 23): backbone frames, torsion angles, and where each C-beta is.
//!
//! Changed, with the same result: the pairs' bias in attention is computed
//! once, since neither they nor the weights change between iterations. As in
//! DeepMind's code, and not in the supplement: ReLU before the first layers of
//! the angle network.
//!
//! Left out: side chains (algorithm 24), so that recycled positions are those
//! of an ideal C-beta, glycine's too; dropout and the stopped gradient between
//! iterations, which only training has.
//!
//! `R` residues; lengths within are tens of angstroms. Fields carry the names
//! of OpenFold's published weights.

use assay_kernels::{Activation, activate};
use assay_kit::{LayerNorm, Linear, Parameters};
use assay_trace::{span, span_at};
use burn::Tensor;
use burn::module::Module;

use crate::config::Config;
use crate::layers::layer_norm;

mod frames;
mod point_attention;

pub use frames::Frames;
pub use point_attention::InvariantPointAttention;

/// Angstroms in the module's unit of length.
const UNIT: f32 = 10.0;
/// Keeps the length of an angle's vector away from zero.
const EPSILON: f32 = 1e-8;
/// Layers of the transition.
const TRANSITIONS: usize = 1;

/// Algorithm 23: how each frame moves, seen from itself.
#[derive(Module, Debug)]
pub struct BackboneUpdate {
    linear: Linear,
}

impl BackboneUpdate {
    /// Of the architecture's widths.
    pub fn new(p: &mut Parameters, config: &Config) -> Self {
        Self { linear: Linear::new(p, config.c_s, 6, true) }
    }

    /// `s` `[R, c_s]` to frames.
    pub fn forward(&self, s: &Tensor<2>) -> Frames {
        let update = self.linear.forward(s.clone()); // [R, 6]
        Frames::moved(update.clone().narrow(1, 0, 3), update.narrow(1, 3, 3))
    }
}

/// Algorithm 20, lines 8 and 9.
#[derive(Module, Debug)]
pub struct StructureTransition {
    layers: Vec<TransitionLayer>,
    layer_norm: LayerNorm,
}

/// A layer of [`StructureTransition`].
#[derive(Module, Debug)]
pub struct TransitionLayer {
    linear_1: Linear,
    linear_2: Linear,
    linear_3: Linear,
}

impl StructureTransition {
    /// Of the architecture's widths.
    pub fn new(p: &mut Parameters, config: &Config) -> Self {
        let c = config.c_s;
        let layers = (0..TRANSITIONS).map(|_| TransitionLayer {
            linear_1: Linear::new(p, c, c, true),
            linear_2: Linear::new(p, c, c, true),
            linear_3: Linear::new(p, c, c, true),
        });
        Self { layers: layers.collect(), layer_norm: layer_norm(p, c) }
    }

    /// `[R, c_s]` to the same.
    pub fn forward(&self, s: Tensor<2>) -> Tensor<2> {
        let s = self.layers.iter().fold(s, |s, layer| {
            let x = layer.linear_1.forward(s.clone());
            let x = layer.linear_2.forward(activate(x, Activation::Relu));
            s + layer.linear_3.forward(activate(x, Activation::Relu))
        });
        self.layer_norm.forward(s)
    }
}

/// Algorithm 20, lines 11 to 14.
#[derive(Module, Debug)]
pub struct AngleResnet {
    linear_in: Linear,
    linear_initial: Linear,
    layers: Vec<AngleLayer>,
    linear_out: Linear,
}

/// A block of [`AngleResnet`].
#[derive(Module, Debug)]
pub struct AngleLayer {
    linear_1: Linear,
    linear_2: Linear,
}

impl AngleResnet {
    /// Of the architecture's widths.
    pub fn new(p: &mut Parameters, config: &Config) -> Self {
        let (c_s, sizes) = (config.c_s, &config.structure);
        let c = sizes.resnet_width;
        let layers = (0..sizes.resnet_blocks).map(|_| AngleLayer {
            linear_1: Linear::new(p, c, c, true),
            linear_2: Linear::new(p, c, c, true),
        });
        Self {
            layers: layers.collect(),
            linear_in: Linear::new(p, c_s, c, true),
            linear_initial: Linear::new(p, c_s, c, true),
            linear_out: Linear::new(p, c, 2 * sizes.angles, true),
        }
    }

    /// `s` of an iteration and the initial one, `[R, c_s]`, to sine and cosine
    /// of each angle, `[R, 7, 2]`.
    pub fn forward(&self, s: &Tensor<2>, initial: &Tensor<2>) -> Tensor<3> {
        let relu = |x: Tensor<2>| activate(x, Activation::Relu);
        let a = self.linear_in.forward(relu(s.clone()))
            + self.linear_initial.forward(relu(initial.clone())); // [R, c]
        let a = self.layers.iter().fold(a, |a, layer| {
            let x = layer.linear_1.forward(relu(a.clone()));
            a + layer.linear_2.forward(relu(x))
        });
        let a = self.linear_out.forward(relu(a)); // [R, 14]
        let [r, width] = a.dims();
        let a = a.reshape([r, width / 2, 2]);
        let square = a.clone().square().sum_dim(2); // [R, 7, 1]
        a / square.clamp_min(EPSILON).sqrt()
    }
}

/// What the structure module finds.
#[derive(Clone, Debug)]
pub struct Predicted {
    /// The backbone after the last iteration, angstroms.
    pub frames: Frames,
    /// Sine and cosine of torsion angles after each iteration,
    /// `[iterations, R, 7, 2]`.
    pub angles: Tensor<4>,
    /// The single representation, `[R, c_s]`.
    pub single: Tensor<2>,
    /// Of each C-beta, `[R, 3]`, angstroms.
    pub positions: Tensor<2>,
}

/// Algorithm 20. Its iterations share their weights.
#[derive(Module, Debug)]
pub struct StructureModule {
    layer_norm_s: LayerNorm,
    layer_norm_z: LayerNorm,
    linear_in: Linear,
    ipa: InvariantPointAttention,
    layer_norm_ipa: LayerNorm,
    transition: StructureTransition,
    bb_update: BackboneUpdate,
    angle_resnet: AngleResnet,
    iterations: usize,
}

/// What stays the same between iterations.
struct Given<'a> {
    z: Tensor<3>,
    bias: Tensor<3>,
    initial: Tensor<2>,
    mask: &'a Tensor<1>,
}

impl StructureModule {
    /// Of the architecture's widths.
    pub fn new(p: &mut Parameters, config: &Config) -> Self {
        let (c_s, c_z) = (config.c_s, config.c_z);
        Self {
            layer_norm_s: layer_norm(p, c_s),
            layer_norm_z: layer_norm(p, c_z),
            linear_in: Linear::new(p, c_s, c_s, true),
            ipa: InvariantPointAttention::new(p, config),
            layer_norm_ipa: layer_norm(p, c_s),
            transition: StructureTransition::new(p, config),
            bb_update: BackboneUpdate::new(p, config),
            angle_resnet: AngleResnet::new(p, config),
            iterations: config.structure.iterations,
        }
    }

    /// `single` `[R, c_s]` and `z` `[R, R, c_z]` of the Evoformer, `mask`
    /// `[R]`, to a structure.
    pub fn forward(
        &self,
        single: &Tensor<2>,
        z: &Tensor<3>,
        mask: &Tensor<1>,
    ) -> Predicted {
        let [r, _] = single.dims();
        let initial = self.layer_norm_s.forward(single.clone()); // [R, c_s]
        let z = self.layer_norm_z.forward(z.clone()); // [R, R, c_z]
        let bias = span("ipa", || self.ipa.pair_bias(&z)); // [H, R, R]
        let mut s = self.linear_in.forward(initial.clone()); // [R, c_s]
        let given = Given { z, bias, initial, mask };
        let mut frames = Frames::identity(r, &s.device());
        let mut angles = Vec::with_capacity(self.iterations);
        for i in 0..self.iterations {
            let (next, moved, turned) =
                span_at("iterations", i, || self.iteration(s, frames, &given));
            (s, frames) = (next, moved); // [R, c_s]
            angles.push(turned); // [R, 7, 2]
        }
        let frames = frames.scaled(UNIT);
        let positions = frames.c_beta(); // [R, 3]
        let angles = Tensor::stack(angles, 0); // [iterations, R, 7, 2]
        Predicted { frames, angles, single: s, positions }
    }

    /// Algorithm 20, lines 6 to 14.
    fn iteration(
        &self,
        s: Tensor<2>,
        frames: Frames,
        given: &Given<'_>,
    ) -> (Tensor<2>, Frames, Tensor<3>) {
        let Given { z, bias, initial, mask } = given;
        let s = span("ipa", || {
            let update = self.ipa.forward(&s, z, bias, &frames, mask);
            self.layer_norm_ipa.forward(s + update)
        }); // [R, c_s]
        let s = span("transition", || self.transition.forward(s));
        let frames =
            span("bb_update", || frames.compose(&self.bb_update.forward(&s)));
        let angles =
            span("angle_resnet", || self.angle_resnet.forward(&s, initial));
        (s, frames, angles)
    }
}

#[cfg(test)]
mod tests {
    use assay_kernels::matmul;
    use assay_trace::capture;
    use burn::tensor::{Device, Distribution, Tolerance};

    use super::*;
    use crate::config::architecture;

    const R: usize = 6;

    fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
        let normal = Distribution::Normal(0.0, 1.0);
        Tensor::random(shape, normal, &Device::flex())
    }

    fn close<const D: usize>(left: &Tensor<D>, right: &Tensor<D>) {
        let right = right.to_data();
        let tolerance = Tolerance::absolute(1e-4);
        left.to_data().assert_approx_eq::<f32>(&right, tolerance);
    }

    #[test]
    fn frames_are_rigid_and_angles_on_the_circle() {
        let config = architecture("tiny").unwrap();
        let mut p = Parameters::random(&Device::flex(), 3);
        let module = StructureModule::new(&mut p, &config);
        let found = module.forward(
            &random([R, config.c_s]),
            &random([R, R, config.c_z]),
            &Tensor::ones([R], &Device::flex()),
        );
        assert_eq!(found.angles.dims(), [config.structure.iterations, R, 7, 2]);
        let lengths = found.angles.square().sum_dim(3);
        close(&lengths, &lengths.ones_like());
        let frames = &found.frames;
        let turned = frames.rotation.clone().swap_dims(1, 2);
        let still = Frames::identity(R, &Device::flex());
        close(&matmul(frames.rotation.clone(), turned), &still.rotation);
        close(&found.positions, &frames.c_beta());
        let spread = frames.translation.clone().abs().max();
        assert!(spread.into_scalar::<f32>() > 1.0);
    }

    #[test]
    fn an_iteration_more_moves_the_frames_on() {
        let mut config = architecture("tiny").unwrap();
        let (s, z) = (random([R, config.c_s]), random([R, R, config.c_z]));
        let mask = Tensor::ones([R], &Device::flex());
        let run = |config: &Config| {
            let mut p = Parameters::random(&Device::flex(), 4);
            StructureModule::new(&mut p, config).forward(&s, &z, &mask)
        };
        let two = run(&config);
        config.structure.iterations = 1;
        let one = run(&config);
        close(&two.angles.clone().narrow(0, 0, 1), &one.angles);
        let moved = two.frames.translation - one.frames.translation;
        assert!(moved.abs().max().into_scalar::<f32>() > 0.1);
    }

    #[test]
    fn parameters_are_those_of_the_supplement() {
        let config = architecture("alphafold-2").unwrap();
        let mut p = Parameters::shapes(&Device::flex());
        let linear = |inputs: usize, outputs: usize| (inputs + 1) * outputs;
        let ipa = InvariantPointAttention::new(&mut p, &config).num_params();
        let update = BackboneUpdate::new(&mut p, &config).num_params();
        assert_eq!(update, linear(384, 6));
        let transition = StructureTransition::new(&mut p, &config);
        let transition = transition.num_params();
        assert_eq!(transition, 3 * linear(384, 384) + 2 * 384);
        let angles = AngleResnet::new(&mut p, &config).num_params();
        let layers = 2 * linear(384, 128) + 4 * linear(128, 128);
        assert_eq!(angles, layers + linear(128, 14));
        let all = StructureModule::new(&mut p, &config).num_params();
        let norms = 2 * (384 + 128 + 384);
        let parts = ipa + update + transition + angles;
        assert_eq!(all, norms + linear(384, 384) + parts);
    }

    #[test]
    fn the_module_can_be_traced() {
        let config = architecture("tiny").unwrap();
        let graph = capture(assay_kernels::cost, |recorder| {
            let device = recorder.device();
            let mut p = Parameters::shapes(&device);
            let module = StructureModule::new(&mut p, &config);
            let found = module.forward(
                &Tensor::zeros([R, config.c_s], &device),
                &Tensor::zeros([R, R, config.c_z], &device),
                &Tensor::ones([R], &device),
            );
            assert_eq!(found.positions.dims(), [R, 3]);
            assert_eq!(found.single.dims(), [R, config.c_s]);
        });
        let modules = graph.unwrap().modules;
        for part in ["ipa", "transition", "bb_update", "angle_resnet"] {
            assert!(modules.contains(&format!("iterations.1.{part}")));
        }
    }
}
