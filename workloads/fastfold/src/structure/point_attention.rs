//! Invariant point attention (Jumper et al., *Highly accurate protein structure
//! prediction with AlphaFold*, Nature 2021, supplement 1.8.2, algorithm 22).
//!
//! Changed, with the same result: of a squared distance of points
//! `|x|^2 - 2 x y + |y|^2` the first term is the same for every key, so the
//! softmax does not see it, and the others are inner products: `[R, R, H, P]`
//! never exists. As in DeepMind's code, and not in the supplement: biases in
//! the layers of queries, keys and values.
//!
//! `R` residues, `H` heads, `c` width of a head, `P` points of a head.

use assay_kernels::{biased_softmax, matmul};
use assay_kit::{Linear, Parameters};
use burn::Tensor;
use burn::module::{Module, Param};
use burn::tensor::activation::softplus;

use super::Frames;
use crate::config::Config;

/// Keeps the length of a vector away from zero.
const EPSILON: f32 = 1e-8;

/// Algorithm 22: attention whose scores see how far apart points are that the
/// frames carry, and so nothing of where the whole molecule is.
#[derive(Module, Debug)]
pub struct InvariantPointAttention {
    linear_q: Linear,
    linear_kv: Linear,
    linear_q_points: Linear,
    linear_kv_points: Linear,
    linear_b: Linear,
    head_weights: Param<Tensor<1>>,
    linear_out: Linear,
    heads: usize,
    width: usize,
    query_points: usize,
    value_points: usize,
}

impl InvariantPointAttention {
    /// Of the architecture's widths.
    pub fn new(p: &mut Parameters, config: &Config) -> Self {
        let (c_s, c_z, sizes) = (config.c_s, config.c_z, &config.structure);
        let (h, c) = (sizes.heads, sizes.width);
        let (queries, values) = (sizes.query_points, sizes.value_points);
        let mixed = h * (c_z + c + 4 * values);
        Self {
            linear_q: Linear::new(p, c_s, h * c, true),
            linear_kv: Linear::new(p, c_s, 2 * h * c, true),
            linear_q_points: Linear::new(p, c_s, 3 * h * queries, true),
            linear_kv_points: Linear::new(
                p,
                c_s,
                3 * h * (queries + values),
                true,
            ),
            linear_b: Linear::new(p, c_z, h, true),
            // Training starts at 1 after softplus; here no two are equal.
            head_weights: p.weight([h], 0.5),
            linear_out: Linear::new(p, mixed, c_s, true),
            heads: h,
            width: c,
            query_points: queries,
            value_points: values,
        }
    }

    /// What the pairs `[R, R, c_z]` add to the scores, `[H, R, R]`.
    pub fn pair_bias(&self, z: &Tensor<3>) -> Tensor<3> {
        let bias = self.linear_b.forward(z.clone()); // [R, R, H]
        bias.permute([2, 0, 1]) * (1.0_f32 / 3.0).sqrt()
    }

    /// The update of `s` `[R, c_s]`; `bias` is the [`Self::pair_bias`] of `z`,
    /// `mask` `[R]`.
    pub fn forward(
        &self,
        s: &Tensor<2>,
        z: &Tensor<3>,
        bias: &Tensor<3>,
        frames: &Frames,
        mask: &Tensor<1>,
    ) -> Tensor<2> {
        let ([r, _, c_z], h, c) = (z.dims(), self.heads, self.width);
        let (p, v) = (3 * self.query_points, 3 * self.value_points);
        // Nothing below sees a common shift; small numbers keep more digits.
        let frames = frames.centred();

        let q = self.linear_q.forward(s.clone()).reshape([r, h, c]);
        let kv = self.linear_kv.forward(s.clone()).reshape([r, h, 2 * c]);
        let (k, values) = (kv.clone().narrow(2, 0, c), kv.narrow(2, c, c));
        let q_points = points(&self.linear_q_points, s, &frames);
        let q_points = q_points.reshape([r, h, p]);
        let kv_points = points(&self.linear_kv_points, s, &frames);
        let kv_points = kv_points.reshape([r, h, p + v]);
        let k_points = kv_points.clone().narrow(2, 0, p); // [R, H, 3 P]
        let v_points = kv_points.narrow(2, p, v); // [R, H, 3 P]

        let weight = self.point_weights().reshape([1, h, 1]);
        let own = k_points.clone().square().sum_dim(2) * weight.clone() * -0.5;
        let query = Tensor::cat(
            vec![
                q * (1.0 / (3.0 * c as f32)).sqrt(),
                q_points * weight,
                own.ones_like(),
            ],
            2,
        ); // [R, H, c + 3 P + 1]
        let key = Tensor::cat(vec![k, k_points, own], 2);
        let scores = matmul(query.swap_dims(0, 1), key.permute([1, 2, 0])); // [H, R, R]
        let weights = biased_softmax(
            scores.unsqueeze(),
            1.0,
            mask.clone().unsqueeze(),
            Some(bias.clone()),
        );
        let weights = weights.reshape([h, r, r]);

        let values = Tensor::cat(vec![values, v_points], 2).swap_dims(0, 1);
        let mixed = matmul(weights.clone(), values).swap_dims(0, 1);
        let scalars = mixed.clone().narrow(2, 0, c).reshape([r, h * c]);
        let seen = mixed.narrow(2, c, v).reshape([r, h * v / 3, 3]);
        let seen = frames.invert_apply(seen); // [R, H P, 3]
        let lengths = (seen.clone().square().sum_dim(2) + EPSILON).sqrt();
        let pairs = matmul(weights.swap_dims(0, 1), z.clone()); // [R, H, c_z]
        let all = vec![
            scalars,
            seen.swap_dims(1, 2).reshape([r, h * v]),
            lengths.reshape([r, h * v / 3]),
            pairs.reshape([r, h * c_z]),
        ];
        self.linear_out.forward(Tensor::cat(all, 1)) // [R, c_s]
    }

    /// Twice what a squared distance lowers a head's scores by: `[H]`.
    fn point_weights(&self) -> Tensor<1> {
        let variance = 27.0 / 2.0 * self.query_points as f32;
        softplus(self.head_weights.val(), 1.0) * (1.0 / variance).sqrt()
    }
}

/// Points `[R, H P, 3]` that a layer places in each residue's frame. Its
/// outputs are all x, then all y, then all z.
fn points(layer: &Linear, s: &Tensor<2>, frames: &Frames) -> Tensor<3> {
    let placed = layer.forward(s.clone()); // [R, 3 H P]
    let [r, width] = placed.dims();
    frames.apply(placed.reshape([r, 3, width / 3]).swap_dims(1, 2))
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Tolerance};

    use super::*;
    use crate::config::architecture;

    const R: usize = 6;

    fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
        let normal = Distribution::Normal(0.0, 1.0);
        Tensor::random(shape, normal, &Device::flex())
    }

    fn frames() -> Frames {
        Frames::moved(random([R, 3]), random([R, 3]))
    }

    fn close<const D: usize>(left: &Tensor<D>, right: &Tensor<D>) {
        let right = right.to_data();
        let tolerance = Tolerance::absolute(1e-4);
        left.to_data().assert_approx_eq::<f32>(&right, tolerance);
    }

    /// Attention and what it reads beside the frames.
    struct Case {
        ipa: InvariantPointAttention,
        s: Tensor<2>,
        z: Tensor<3>,
        mask: Tensor<1>,
    }

    impl Case {
        fn new(seed: u64) -> Self {
            let config = architecture("tiny").unwrap();
            let mut p = Parameters::random(&Device::flex(), seed);
            Self {
                ipa: InvariantPointAttention::new(&mut p, &config),
                s: random([R, config.c_s]),
                z: random([R, R, config.c_z]),
                mask: Tensor::ones([R], &Device::flex()),
            }
        }

        fn run(&self, frames: &Frames) -> Tensor<2> {
            let bias = self.ipa.pair_bias(&self.z);
            self.ipa.forward(&self.s, &self.z, &bias, frames, &self.mask)
        }

        /// Algorithm 22, line by line, distances as it writes them.
        fn by_the_letter(&self, frames: &Frames) -> Tensor<2> {
            let (ipa, s) = (&self.ipa, &self.s);
            let (h, c) = (ipa.heads, ipa.width);
            let (p, v) = (ipa.query_points, ipa.value_points);
            let q = ipa.linear_q.forward(s.clone()).reshape([R, 1, h, c]);
            let kv = ipa.linear_kv.forward(s.clone()).reshape([1, R, h, 2 * c]);
            let k = kv.clone().narrow(3, 0, c);
            let values = kv.narrow(3, c, c);
            let q_points = points(&ipa.linear_q_points, s, frames);
            let q_points = q_points.reshape([R, 1, h, 3 * p]);
            let kv_points = points(&ipa.linear_kv_points, s, frames);
            let kv_points = kv_points.reshape([1, R, h, 3 * (p + v)]);
            let k_points = kv_points.clone().narrow(3, 0, 3 * p);
            let v_points = kv_points.narrow(3, 3 * p, 3 * v);
            let products = (q * k).sum_dim(3) / (c as f32).sqrt();
            let bias = ipa.linear_b.forward(self.z.clone()).unsqueeze_dim(3);
            let squares = (q_points - k_points).square().sum_dim(3);
            let gamma = softplus(ipa.head_weights.val(), 1.0);
            let gamma = gamma.reshape([1, 1, h, 1]);
            let w_c = (2.0 / (9.0 * p as f32)).sqrt();
            let distances = squares * gamma * (w_c / 2.0);
            let scores = (products + bias - distances) * (1.0_f32 / 3.0).sqrt();
            let hidden = (self.mask.clone() - 1.0) * 1e9;
            let scores = scores + hidden.reshape([1, R, 1, 1]);
            let a = burn::tensor::activation::softmax(scores, 1); // [R, R, H, 1]
            let scalars = (a.clone() * values).sum_dim(1).reshape([R, h * c]);
            let seen = (a.clone() * v_points).sum_dim(1);
            let seen = frames.invert_apply(seen.reshape([R, h * v, 3]));
            let lengths = (seen.clone().square().sum_dim(2) + EPSILON).sqrt();
            let pairs = a * self.z.clone().unsqueeze_dim(2); // [R, R, H, c_z]
            let width = h * self.z.dims()[2];
            let pairs = pairs.sum_dim(1).reshape([R, width]);
            let axis = |i| seen.clone().narrow(2, i, 1).reshape([R, h * v]);
            let lengths = lengths.reshape([R, h * v]);
            let all = vec![scalars, axis(0), axis(1), axis(2), lengths, pairs];
            ipa.linear_out.forward(Tensor::cat(all, 1))
        }
    }

    #[test]
    fn attention_is_algorithm_22() {
        let mut case = Case::new(1);
        let frames = frames();
        close(&case.run(&frames), &case.by_the_letter(&frames));
        let mask = [1.0, 1.0, 0.0, 1.0, 0.0, 1.0];
        case.mask = Tensor::from_floats(mask, &Device::flex());
        close(&case.run(&frames), &case.by_the_letter(&frames));
    }

    #[test]
    fn a_rigid_motion_of_the_whole_changes_nothing() {
        let case = Case::new(2);
        let frames = frames();
        let before = case.run(&frames);
        let vector = random([1, 3]).repeat_dim(0, R);
        let shift = (random([1, 3]) * 3.0).repeat_dim(0, R);
        let whole = Frames::moved(vector, shift.clone());
        close(&case.run(&whole.compose(&frames)), &before);
        // What moves residues against one another does.
        let each = Frames::moved(random([R, 3]), shift);
        let after = case.run(&each.compose(&frames));
        let moved = (after - before).abs().max().into_scalar::<f32>();
        assert!(moved > 1e-2, "{moved}");
    }

    #[test]
    fn parameters_are_those_of_the_supplement() {
        let config = architecture("alphafold-2").unwrap();
        let mut p = Parameters::shapes(&Device::flex());
        let linear = |inputs: usize, outputs: usize| (inputs + 1) * outputs;
        let ipa = InvariantPointAttention::new(&mut p, &config).num_params();
        let scalars = linear(384, 192) + linear(384, 384);
        let points = linear(384, 12 * 4 * 3) + linear(384, 12 * 12 * 3);
        let mixed = linear(12 * (128 + 16 + 8 * 4), 384);
        assert_eq!(ipa, scalars + points + linear(128, 12) + 12 + mixed);
    }
}
