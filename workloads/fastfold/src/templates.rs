//! Templates (Jumper et al., *Highly accurate protein structure prediction
//! with AlphaFold*, Nature 2021, supplement 1.7.1): their torsion angles become
//! rows of the MSA (algorithm 2, line 7), their pairs go through a stack of
//! their own (algorithm 16) and are attended to, template by template, from
//! each pair of residues (algorithm 17).
//!
//! Templates go through the stack one after the other, so that only one's
//! intermediates live at a time. Left out: the making of the features.
//!
//! `T` templates, `R` residues, `H` heads, `d` width of a head; `z` is the
//! pair representation `[R, R, c_z]`. Fields carry the names of OpenFold's
//! published weights.

use assay_kernels::{Activation, Along, activate};
use assay_kit::{LayerNorm, Linear, Parameters};
use assay_trace::{span, span_at};
use burn::Tensor;
use burn::module::Module;
use burn::tensor::activation::softmax;

use crate::attention::TriangleAttention;
use crate::config::Config;
use crate::evoformer::{Direction, Transition, TriangleMultiplication};
use crate::layers::layer_norm;
use crate::pass::{Part, Pass, rows};

/// What the score of a missing template is lowered by.
const MASKED: f32 = 1e9;

/// Torsion angles (algorithm 2, line 7).
#[derive(Module, Debug)]
pub struct TemplateAngleEmbedder {
    linear_1: Linear,
    linear_2: Linear,
}

impl TemplateAngleEmbedder {
    /// Of the architecture's widths.
    pub fn new(p: &mut Parameters, config: &Config) -> Self {
        let (angles, c_m) = (config.template.angle_features, config.c_m);
        Self {
            linear_1: Linear::new(p, angles, c_m, true),
            linear_2: Linear::new(p, c_m, c_m, true),
        }
    }

    /// `[T, R, 57]` to rows of the MSA representation, `[T, R, c_m]`.
    pub fn forward(&self, angles: &Tensor<3>) -> Tensor<3> {
        let hidden = self.linear_1.forward(angles.clone()); // [T, R, c_m]
        self.linear_2.forward(activate(hidden, Activation::Relu))
    }
}

/// Pairs of one template (algorithm 2, line 9).
#[derive(Module, Debug)]
pub struct TemplatePairEmbedder {
    linear: Linear,
}

impl TemplatePairEmbedder {
    /// Of the architecture's widths.
    pub fn new(p: &mut Parameters, config: &Config) -> Self {
        let features = config.template.pair_features;
        Self { linear: Linear::new(p, features, config.c_t, true) }
    }

    /// `[R, R, 88]` to `[R, R, c_t]`.
    pub fn forward(&self, pairs: &Tensor<3>) -> Tensor<3> {
        self.linear.forward(pairs.clone())
    }
}

/// A block of [`TemplatePairStack`]. The Evoformer has the same parts in
/// another order.
#[derive(Module, Debug)]
pub struct TemplatePairBlock {
    tri_att_start: TriangleAttention,
    tri_att_end: TriangleAttention,
    tri_mul_out: TriangleMultiplication,
    tri_mul_in: TriangleMultiplication,
    pair_transition: Transition,
}

impl TemplatePairBlock {
    fn new(p: &mut Parameters, config: &Config) -> Self {
        let (c, sizes) = (config.c_t, &config.template);
        let (outgoing, incoming) = (Direction::Outgoing, Direction::Incoming);
        let (heads, d) = (sizes.heads, sizes.head_width);
        let part = Part::PairTransition;
        Self {
            tri_att_start: TriangleAttention::new(p, c, heads, d, Along::Rows),
            tri_att_end: TriangleAttention::new(p, c, heads, d, Along::Columns),
            tri_mul_out: TriangleMultiplication::new(
                p,
                c,
                sizes.hidden,
                outgoing,
            ),
            tri_mul_in: TriangleMultiplication::new(
                p,
                c,
                sizes.hidden,
                incoming,
            ),
            pair_transition: Transition::new(p, c, sizes.factor, part),
        }
    }

    fn forward(
        &self,
        t: Tensor<3>,
        mask: &Tensor<2>,
        pass: &mut Pass,
    ) -> Tensor<3> {
        let t =
            span("tri_att_start", || self.tri_att_start.forward(t, mask, pass)); // [R, R, c_t]
        let t = span("tri_att_end", || self.tri_att_end.forward(t, mask, pass));
        let t = span("tri_mul_out", || self.tri_mul_out.forward(t, mask, pass));
        let t = span("tri_mul_in", || self.tri_mul_in.forward(t, mask, pass));
        span("pair_transition", || self.pair_transition.forward(t, pass))
    }
}

/// Algorithm 16.
#[derive(Module, Debug)]
pub struct TemplatePairStack {
    blocks: Vec<TemplatePairBlock>,
    layer_norm: LayerNorm,
}

impl TemplatePairStack {
    /// As many blocks as the architecture has.
    pub fn new(p: &mut Parameters, config: &Config) -> Self {
        let blocks = (0..config.template.blocks)
            .map(|_| TemplatePairBlock::new(p, config))
            .collect();
        Self { blocks, layer_norm: layer_norm(p, config.c_t) }
    }

    /// One template, `[R, R, c_t]` to the same; `mask` `[R, R]`.
    pub fn forward(
        &self,
        t: Tensor<3>,
        mask: &Tensor<2>,
        pass: &mut Pass,
    ) -> Tensor<3> {
        // One block's memory is every block's.
        let count = if pass.is_sampled() { 1 } else { self.blocks.len() };
        let ran = self.blocks.iter().take(count).enumerate();
        let t = ran.fold(t, |t, (i, block)| {
            span_at("blocks", i, || block.forward(t, mask, pass))
        }); // [R, R, c_t]
        span("layer_norm", || self.layer_norm.forward(t))
    }
}

/// Algorithm 17: each pair of residues attends over the templates' same pair.
#[derive(Module, Debug)]
pub struct TemplatePointwiseAttention {
    mha: PointwiseAttention,
}

/// The projections of [`TemplatePointwiseAttention`]: no gate.
#[derive(Module, Debug)]
pub struct PointwiseAttention {
    linear_q: Linear,
    linear_k: Linear,
    linear_v: Linear,
    linear_o: Linear,
    heads: usize,
}

impl TemplatePointwiseAttention {
    /// Of the architecture's widths.
    pub fn new(p: &mut Parameters, config: &Config) -> Self {
        let heads = config.template.pointwise_heads;
        let hidden = heads * config.template.pointwise_head_width;
        let mha = PointwiseAttention {
            linear_q: Linear::new(p, config.c_z, hidden, false),
            linear_k: Linear::new(p, config.c_t, hidden, false),
            linear_v: Linear::new(p, config.c_t, hidden, false),
            linear_o: Linear::new(p, hidden, config.c_z, true),
            heads,
        };
        Self { mha }
    }

    /// `z` with the update from the stack's outputs added, each of `templates`
    /// `[R, R, c_t]`; `mask` `[T]`: 1 where there is a template. Without any,
    /// `z` stays.
    ///
    /// Pairs are chunked as those of a transition: keys and values of four
    /// templates are as wide as its hidden layer.
    ///
    /// # Panics
    /// When `mask` is of another number of templates, or of none.
    pub fn forward(
        &self,
        z: Tensor<3>,
        templates: &[Tensor<3>],
        mask: &Tensor<1>,
        pass: &mut Pass,
    ) -> Tensor<3> {
        let count = templates.len();
        assert_eq!(mask.dims(), [count], "templates: one mask for each");
        let bias = (mask.clone() - 1.0) * MASKED;
        let bias = bias.reshape([count, 1, 1, 1]); // [T, 1, 1, 1]
        let any = mask.clone().max().reshape([1, 1, 1]);
        pass.in_chunks(Part::PairTransition, z, 0, |_, z, at| {
            let some = templates.iter().map(|t| rows(t, 0, &at)).collect();
            let t = Tensor::stack(some, 0); // [T, R, R, c_t]
            let update = self.mha.forward(z.clone(), t, bias.clone());
            z + update * any.clone() // [R, R, c_z]
        })
    }
}

impl PointwiseAttention {
    /// `z` `[X, Y, c_z]` over `t` `[T, X, Y, c_t]`.
    fn forward(
        &self,
        z: Tensor<3>,
        t: Tensor<4>,
        bias: Tensor<4>,
    ) -> Tensor<3> {
        let ([n, x, y, _], h) = (t.dims(), self.heads);
        let q = self.linear_q.forward(z); // [X, Y, H d]
        let d = q.dims()[2] / h;
        let k = self.linear_k.forward(t.clone()); // [T, X, Y, H d]
        let v = self.linear_v.forward(t).reshape([n, x, y, h, d]);
        let products = (k * q.unsqueeze_dim(0)).reshape([n, x, y, h, d]);
        let scores = products.sum_dim(4).reshape([n, x, y, h]);
        let scores = scores * (d as f32).powf(-0.5) + bias; // [T, X, Y, H]
        let weights = softmax(scores, 0).reshape([n, x, y, h, 1]);
        let mixed = (v * weights).sum_dim(0).reshape([x, y, h * d]);
        self.linear_o.forward(mixed) // [X, Y, c_z]
    }
}

#[cfg(test)]
mod tests {
    use assay_trace::capture;
    use burn::tensor::{Device, Distribution, Tolerance};

    use super::*;
    use crate::config::architecture;
    use crate::pass::{Chunks, Intermediates};

    const R: usize = 5;

    fn tiny() -> Config {
        architecture("tiny").unwrap()
    }

    fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
        let normal = Distribution::Normal(0.0, 1.0);
        Tensor::random(shape, normal, &Device::flex())
    }

    fn close<const D: usize>(left: &Tensor<D>, right: &Tensor<D>) {
        let right = right.to_data();
        let tolerance = Tolerance::absolute(1e-5);
        left.to_data().assert_approx_eq::<f32>(&right, tolerance);
    }

    fn pass(chunks: Chunks) -> Pass {
        Pass::inference(Intermediates::Stored, chunks)
    }

    fn attend(
        attention: &TemplatePointwiseAttention,
        z: &Tensor<3>,
        templates: &[Tensor<3>],
        mask: &[f32],
        chunks: Chunks,
    ) -> Tensor<3> {
        let mask = Tensor::from_floats(mask, &Device::flex());
        attention.forward(z.clone(), templates, &mask, &mut pass(chunks))
    }

    #[test]
    fn a_lone_template_is_taken_whatever_the_query() {
        let config = tiny();
        let mut p = Parameters::random(&Device::flex(), 1);
        let attention = TemplatePointwiseAttention::new(&mut p, &config);
        let z = random([R, R, config.c_z]);
        let t = [random([R, R, config.c_t])];
        let after = attend(&attention, &z, &t, &[1.0], Chunks::default());
        let mha = &attention.mha;
        let value = mha.linear_v.forward(t[0].clone());
        close(&(after - z), &mha.linear_o.forward(value));
    }

    #[test]
    fn a_masked_template_is_not_seen_and_without_any_z_stays() {
        let config = tiny();
        let mut p = Parameters::random(&Device::flex(), 2);
        let attention = TemplatePointwiseAttention::new(&mut p, &config);
        let z = random([R, R, config.c_z]);
        let t: Vec<_> = (0..3).map(|_| random([R, R, config.c_t])).collect();
        let whole = Chunks::default();
        let two = attend(&attention, &z, &t[..2], &[1.0, 1.0], whole);
        let masked = attend(&attention, &z, &t, &[1.0, 1.0, 0.0], whole);
        close(&masked, &two);
        let three = attend(&attention, &z, &t, &[1.0; 3], whole);
        let moved = (three - two).abs().max().into_scalar::<f32>();
        assert!(moved > 1e-3, "{moved}");
        let none = attend(&attention, &z, &t, &[0.0; 3], whole);
        assert_eq!(none.to_data(), z.to_data());
    }

    #[test]
    fn chunks_change_nothing() {
        let config = tiny();
        let mut p = Parameters::random(&Device::flex(), 3);
        let attention = TemplatePointwiseAttention::new(&mut p, &config);
        let z = random([R, R, config.c_z]);
        let t: Vec<_> = (0..3).map(|_| random([R, R, config.c_t])).collect();
        let whole = attend(&attention, &z, &t, &[1.0; 3], Chunks::default());
        let parts = attend(&attention, &z, &t, &[1.0; 3], Chunks::every(2));
        close(&parts, &whole);

        let stack = TemplatePairStack::new(&mut p, &config);
        let mask = Tensor::ones([R, R], &Device::flex());
        let run =
            |chunks| stack.forward(t[0].clone(), &mask, &mut pass(chunks));
        close(&run(Chunks::every(2)), &run(Chunks::default()));
    }

    #[test]
    fn parameters_are_those_of_the_supplement() {
        let config = architecture("alphafold-2").unwrap();
        let mut p = Parameters::shapes(&Device::flex());
        let linear = |inputs: usize, outputs: usize| (inputs + 1) * outputs;
        let angles = TemplateAngleEmbedder::new(&mut p, &config).num_params();
        assert_eq!(angles, linear(57, 256) + linear(256, 256));
        let pairs = TemplatePairEmbedder::new(&mut p, &config).num_params();
        assert_eq!(pairs, linear(88, 64));
        // Norm, bias of the heads, q, k and v, gate, output.
        let attention =
            2 * 64 + 64 * 4 + 3 * 64 * 64 + linear(64, 64) + linear(64, 64);
        // Two norms; two sides with a gate each, a gate, output.
        let multiplication = 4 * 64 + 6 * linear(64, 64);
        let transition = 2 * 64 + linear(64, 128) + linear(128, 64);
        let block = 2 * attention + 2 * multiplication + transition;
        let stack = TemplatePairStack::new(&mut p, &config).num_params();
        assert_eq!(stack, 2 * block + 2 * 64);
        let pointwise = TemplatePointwiseAttention::new(&mut p, &config);
        let projections = 128 * 64 + 2 * 64 * 64 + linear(64, 128);
        assert_eq!(pointwise.num_params(), projections);
    }

    #[test]
    fn templates_can_be_traced() {
        let config = tiny();
        let graph = capture(assay_kernels::cost, |recorder| {
            let device = recorder.device();
            let mut p = Parameters::shapes(&device);
            let mut pass = pass(Chunks::every(2));
            let rows = TemplateAngleEmbedder::new(&mut p, &config)
                .forward(&Tensor::zeros([2, R, 57], &device));
            assert_eq!(rows.dims(), [2, R, config.c_m]);
            let pairs = TemplatePairEmbedder::new(&mut p, &config)
                .forward(&Tensor::zeros([R, R, 88], &device));
            let mask = Tensor::ones([R, R], &device);
            let t = TemplatePairStack::new(&mut p, &config)
                .forward(pairs, &mask, &mut pass);
            let z = TemplatePointwiseAttention::new(&mut p, &config).forward(
                Tensor::zeros([R, R, config.c_z], &device),
                &[t],
                &Tensor::ones([1], &device),
                &mut pass,
            );
            assert_eq!(z.dims(), [R, R, config.c_z]);
        });
        let modules = graph.unwrap().modules;
        assert!(modules.contains(&"blocks.0.tri_mul_in".to_owned()));
    }
}
