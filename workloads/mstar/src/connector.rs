//! Between the vision tower and the decoder: patches become visual tokens as
//! wide as words. Pixel shuffle and two layers (InternVL, Chen et al., 2024;
//! Phi-3-vision, Abdin et al., 2024), or learned queries that attend to the
//! patches (the perceiver resampler of Flamingo, Alayrac et al., 2022, as
//! MiniCPM-V has it, Yao et al., 2024).
//!
//! `N` tiles, `P` patches, `g` of a side, `W` width of the tower, `D` width of
//! the decoder, `Q` queries, `f` factor of the shuffle, `h` heads, `d` width of
//! a head.

use std::sync::Arc;

use assay_kernels::{Activation, activate, attention};
use assay_kit::{LayerNorm, Linear, Parameters};
use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData};

use crate::config;

/// `f` x `f` patches side by side become one token:
/// `second(act(first(norm(x))))`.
#[derive(Module, Debug)]
pub struct PixelShuffle {
    norm: Option<LayerNorm>,
    first: Linear,
    second: Linear,
    #[module(skip)]
    activation: Activation,
    factor: usize,
}

impl PixelShuffle {
    /// `[N, P, W]` to `[N, P / f^2, D]`.
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [n, patches, width] = x.dims();
        let (f, g) = (self.factor, patches.isqrt());
        let x = x
            .reshape([n, g / f, f, g / f, f, width])
            .permute([0, 1, 3, 2, 4, 5]) // [N, g/f, g/f, f, f, W]
            .reshape([n, patches / (f * f), f * f * width]);
        let x = match &self.norm {
            Some(norm) => norm.forward(x),
            None => x,
        };
        let inner = activate(self.first.forward(x), self.activation);
        self.second.forward(inner) // [N, P / f^2, D]
    }
}

/// `Q` learned queries attend once to the patches, whose keys carry their
/// places; then a norm and a projection. There is no residual.
#[derive(Module, Debug)]
pub struct Resampler {
    queries: Param<Tensor<2>>,
    narrow: Linear,
    query_norm: LayerNorm,
    patch_norm: LayerNorm,
    q: Linear,
    k: Linear,
    v: Linear,
    output: Linear,
    output_norm: LayerNorm,
    project: Linear,
    heads: usize,
    #[module(skip)]
    places: Places,
}

/// What places add to keys, `[P, D]`, beside the parameters: a clone shares it.
#[derive(Clone, Debug)]
struct Places(Arc<Vec<f32>>);

impl Resampler {
    /// `[N, P, W]` to `[N, Q, D]`.
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [n, patches, _] = x.dims();
        let [queries, width] = self.queries.val().dims();
        let (h, d) = (self.heads, width / self.heads);
        let seen = self.patch_norm.forward(self.narrow.forward(x)); // [N, P, D]
        let places = TensorData::new(self.places.0.to_vec(), [patches, width]);
        let places = Tensor::<2>::from_data(places, &seen.device());
        let placed = seen.clone() + places.unsqueeze(); // [N, P, D]
        let asked = self.query_norm.forward(self.queries.val()); // [Q, D]
        // The same queries of every tile: one product, then views.
        let q = self.q.forward(asked).reshape([1, queries, h, d]);
        let q = q.expand([n, queries, h, d]);
        let k = self.k.forward(placed).reshape([n, patches, h, d]);
        let v = self.v.forward(seen).reshape([n, patches, h, d]);
        let scale = (d as f32).powf(-0.5);
        let mixed = attention(q, k, v, patches, scale, false); // [N, Q, h, d]
        let mixed = self.output.forward(mixed.reshape([n, queries, width]));
        self.project.forward(self.output_norm.forward(mixed)) // [N, Q, D]
    }
}

/// Sines and cosines of the places of `g` x `g` patches, `[g^2, width]`: half
/// the width is the row's, half the column's, each the sines and then the
/// cosines of `width / 4` frequencies (He et al., *Masked Autoencoders*,
/// 2022).
fn sines(grid: usize, width: usize) -> Vec<f32> {
    let quarter = width / 4;
    let half = |place: usize| -> Vec<f32> {
        let angle = |i: usize| {
            place as f64 / 10_000_f64.powf(i as f64 / quarter as f64)
        };
        let (sines, cosines): (Vec<f32>, Vec<f32>) = (0..quarter)
            .map(|i| (angle(i).sin() as f32, angle(i).cos() as f32))
            .unzip();
        [sines, cosines].concat()
    };
    let halves: Vec<Vec<f32>> = (0..grid).map(half).collect();
    (0..grid * grid)
        .flat_map(|patch| [&halves[patch / grid], &halves[patch % grid]])
        .flatten()
        .copied()
        .collect()
}

/// Either connector.
#[derive(Module, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a model has one of them, and one alone"
)]
pub enum Connector {
    /// Pixel shuffle.
    PixelShuffle(PixelShuffle),
    /// Resampler.
    Resampler(Resampler),
}

impl Connector {
    /// The connector of a model.
    pub fn new(p: &mut Parameters, model: &config::Model) -> Self {
        let (from, to) = (model.vision.width, model.language.width);
        match model.connector {
            config::Connector::PixelShuffle {
                factor,
                norm,
                hidden,
                activation,
                norm_epsilon,
            } => {
                let inner = from * factor.pow(2);
                Self::PixelShuffle(PixelShuffle {
                    norm: norm
                        .then(|| LayerNorm::new(p, inner, norm_epsilon, true)),
                    first: Linear::new(p, inner, hidden, true),
                    second: Linear::new(p, hidden, to, true),
                    activation,
                    factor,
                })
            }
            config::Connector::Resampler { queries, heads, norm_epsilon } => {
                let norm = |p: &mut Parameters| {
                    LayerNorm::new(p, to, norm_epsilon, true)
                };
                Self::Resampler(Resampler {
                    queries: p.weight([queries, to], 0.02),
                    narrow: Linear::new(p, from, to, false),
                    query_norm: norm(p),
                    patch_norm: norm(p),
                    q: Linear::new(p, to, to, true),
                    k: Linear::new(p, to, to, true),
                    v: Linear::new(p, to, to, true),
                    output: Linear::new(p, to, to, true),
                    output_norm: norm(p),
                    project: Linear::new(p, to, to, false),
                    heads,
                    places: Places(Arc::new(sines(model.vision.grid(), to))),
                })
            }
        }
    }

    /// Features of patches `[N, P, W]` to visual tokens `[N, t, D]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::PixelShuffle(shuffle) => shuffle.forward(x),
            Self::Resampler(resampler) => resampler.forward(x),
        }
    }
}

#[cfg(test)]
mod tests {
    use assay_kernels::with_plain_twins;
    use assay_kit::{floats, parameter_shapes};
    use burn::tensor::Device;

    use super::*;
    use crate::config::{Model, model};

    fn resampled() -> Model {
        let mut tiny = model("tiny").unwrap();
        tiny.connector = config::Connector::Resampler {
            queries: 5,
            heads: 3,
            norm_epsilon: 1e-6,
        };
        tiny
    }

    fn features(model: &Model, device: &Device) -> Tensor<3> {
        let shape = [2, model.vision.patches(), model.vision.width];
        Parameters::random(device, 9).weight(shape, 1.0).val()
    }

    #[test]
    fn both_give_a_tiles_tokens_and_what_the_plain_twins_give() {
        let device = Device::flex();
        for model in [model("tiny").unwrap(), resampled()] {
            let mut parameters = Parameters::random(&device, 3);
            let connector = Connector::new(&mut parameters, &model);
            let run = || connector.forward(features(&model, &device));
            let tokens = [2, model.tile_tokens(), model.language.width];
            assert_eq!(run().dims(), tokens);
            let (fused, plain) = (floats(run()), with_plain_twins(run));
            for (fused, plain) in fused.iter().zip(floats(plain)) {
                assert!((fused - plain).abs() < 1e-4, "{fused} {plain}");
            }
        }
    }

    /// The shuffle itself, without its layers.
    #[test]
    fn neighbours_and_no_others_become_one_token() {
        let device = Device::flex();
        let mut parameters = Parameters::shapes(&device);
        let identity = |p: &mut Parameters| {
            let mut layer = Linear::new(p, 4, 4, false);
            let ones: Vec<f32> =
                (0..16).map(|i| f32::from(u8::from(i % 5 == 0))).collect();
            let data = TensorData::new(ones, [4, 4]);
            layer.weight = Param::from_data(data, p.device());
            layer
        };
        let shuffle = PixelShuffle {
            norm: None,
            first: identity(&mut parameters),
            second: identity(&mut parameters),
            activation: Activation::Relu,
            factor: 2,
        };
        // Patch i of 4 x 4 has the one feature i.
        let places: Vec<f32> = (0..16_u8).map(f32::from).collect();
        let x = TensorData::new(places, [1, 16, 1]);
        let found = floats(shuffle.forward(Tensor::from_data(x, &device)));
        let right =
            [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15_u8]];
        let right: Vec<f32> =
            right.concat().into_iter().map(f32::from).collect();
        assert_eq!(found, right);
    }

    #[test]
    fn a_resampler_has_the_parameters_that_its_widths_give() {
        let device = Device::flex();
        let model = resampled();
        let connector =
            Connector::new(&mut Parameters::shapes(&device), &model);
        let found: usize = parameter_shapes(&connector)
            .values()
            .map(|shape| shape.iter().product::<usize>())
            .sum();
        let (w, d) = (model.vision.width, model.language.width);
        let layers = w * d + 4 * (d * d + d) + d * d;
        assert_eq!(found, 5 * d + layers + 3 * 2 * d);
    }

    #[test]
    fn every_place_of_a_resamplers_patches_is_its_own() {
        let (grid, width) = (8, 96);
        let values = sines(grid, width);
        let rows: Vec<&[f32]> = values.chunks(width).collect();
        assert_eq!(rows.len(), grid * grid);
        // Place (0, 0): every sine is 0, every cosine 1.
        for (i, value) in rows[0].iter().enumerate() {
            let cosine = (i / (width / 4)) % 2 == 1;
            let right = f32::from(u8::from(cosine));
            assert!((value - right).abs() < 1e-6, "{i}: {value}");
        }
        for (i, row) in rows.iter().enumerate() {
            assert!(!rows[..i].contains(row), "{i}");
        }
    }
}
