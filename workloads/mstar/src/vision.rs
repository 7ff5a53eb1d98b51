//! The vision transformer (Dosovitskiy et al., *An Image is Worth 16x16
//! Words*, 2021) with the switches of the three towers that M-STaR's models
//! have: CLIP ViT-L (class token, norm before the layers, the last layer held
//! and not run), SigLIP-SO400M (no class token, a table of positions larger
//! than the picture), InternViT (scaled branches).
//!
//! Left out: dropout and stochastic depth (the papers' models are fine-tuned
//! without), pictures that are not square, positions resampled between places
//! of the table (a smaller picture reads the place below, as MiniCPM-V does).
//!
//! Legend: `N` tiles, `C` channels, `S` side of a tile in pixels, `p` side of
//! a patch, `g` patches of a side, `P` patches, `W` width, `h` heads, `d` width
//! of a head, `T` tokens (patches, and the class token).

use assay_kernels::{Activation, activate, attention, embedding};
use assay_kit::{LayerNorm, Linear, Parameters, RmsNorm};
use assay_trace::{span, span_at};
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::config::{PostNorm, Vision};

/// Channels of a picture.
pub const CHANNELS: usize = 3;

/// Deviation of new rows of tables.
const DEVIATION: f32 = 0.02;

/// Attention of patches to all patches, queries and keys normed where asked.
#[derive(Module, Debug)]
pub struct PatchAttention {
    q: Linear,
    k: Linear,
    v: Linear,
    q_norm: Option<RmsNorm>,
    k_norm: Option<RmsNorm>,
    output: Linear,
    heads: usize,
}

impl PatchAttention {
    fn new(p: &mut Parameters, config: &Vision) -> Self {
        let width = config.width;
        let norm = |p: &mut Parameters| {
            config.qk_norm.then(|| RmsNorm::new(p, width, config.norm_epsilon))
        };
        Self {
            q: Linear::new(p, width, width, true),
            k: Linear::new(p, width, width, true),
            v: Linear::new(p, width, width, true),
            q_norm: norm(p),
            k_norm: norm(p),
            output: Linear::new(p, width, width, true),
            heads: config.heads,
        }
    }

    /// `[N, T, W]` to the same.
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [n, t, width] = x.dims();
        let (h, d) = (self.heads, width / self.heads);
        let normed = |x: Tensor<3>, norm: &Option<RmsNorm>| match norm {
            Some(norm) => norm.forward(x),
            None => x,
        };
        let q = normed(self.q.forward(x.clone()), &self.q_norm); // [N, T, W]
        let k = normed(self.k.forward(x.clone()), &self.k_norm); // [N, T, W]
        let v = self.v.forward(x); // [N, T, W]
        let heads = |x: Tensor<3>| x.reshape([n, t, h, d]);
        let scale = (d as f32).powf(-0.5);
        // [N, T, h, d]
        let mixed = attention(heads(q), heads(k), heads(v), t, scale, false);
        self.output.forward(mixed.reshape([n, t, width])) // [N, T, W]
    }
}

/// Attention and feed-forward, each after its norm and beside the residual.
#[derive(Module, Debug)]
pub struct VisionLayer {
    norm_1: LayerNorm,
    attention: PatchAttention,
    scale_1: Option<Param<Tensor<1>>>,
    norm_2: LayerNorm,
    up: Linear,
    down: Linear,
    scale_2: Option<Param<Tensor<1>>>,
    #[module(skip)]
    activation: Activation,
}

impl VisionLayer {
    fn new(p: &mut Parameters, config: &Vision) -> Self {
        let (width, epsilon) = (config.width, config.norm_epsilon);
        let scale = |p: &mut Parameters| {
            config.layer_scale.then(|| p.constant(width, 0.1))
        };
        Self {
            norm_1: LayerNorm::new(p, width, epsilon, true),
            attention: PatchAttention::new(p, config),
            scale_1: scale(p),
            norm_2: LayerNorm::new(p, width, epsilon, true),
            up: Linear::new(p, width, config.mlp, true),
            down: Linear::new(p, config.mlp, width, true),
            scale_2: scale(p),
            activation: config.activation,
        }
    }

    /// `[N, T, W]` to the same.
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let update = span("attention", || {
            let normed = self.norm_1.forward(x.clone());
            scaled(self.attention.forward(normed), self.scale_1.as_ref())
        });
        let x = x + update; // [N, T, W]
        let update = span("mlp", || {
            let inner = self.up.forward(self.norm_2.forward(x.clone()));
            let inner = activate(inner, self.activation);
            scaled(self.down.forward(inner), self.scale_2.as_ref())
        });
        x + update // [N, T, W]
    }
}

fn scaled(x: Tensor<3>, scale: Option<&Param<Tensor<1>>>) -> Tensor<3> {
    match scale {
        Some(scale) => x * scale.val().unsqueeze(),
        None => x,
    }
}

/// The whole tower.
#[derive(Module, Debug)]
pub struct VisionTransformer {
    patches: Linear,
    class_token: Option<Param<Tensor<2>>>,
    positions: Param<Tensor<2>>,
    pre_norm: Option<LayerNorm>,
    layers: Vec<VisionLayer>,
    post_norm: Option<LayerNorm>,
    patch: usize,
    grid: usize,
    position_side: usize,
    layers_run: usize,
    norms_at_the_end: bool,
}

impl VisionTransformer {
    /// A tower of that shape.
    pub fn new(p: &mut Parameters, config: &Vision) -> Self {
        let (width, epsilon) = (config.width, config.norm_epsilon);
        let inputs = CHANNELS * config.patch.pow(2);
        let before = usize::from(config.class_token);
        let places = before + config.position_side.pow(2);
        let norm = |p: &mut Parameters, held: bool| {
            held.then(|| LayerNorm::new(p, width, epsilon, true))
        };
        Self {
            patches: Linear::new(p, inputs, width, config.patch_bias),
            class_token: config
                .class_token
                .then(|| p.weight([1, width], DEVIATION)),
            positions: p.weight([places, width], DEVIATION),
            pre_norm: norm(p, config.pre_norm),
            layers: (0..config.layers)
                .map(|_| VisionLayer::new(p, config))
                .collect(),
            post_norm: norm(p, config.post_norm != PostNorm::None),
            patch: config.patch,
            grid: config.grid(),
            position_side: config.position_side,
            layers_run: config.layers_run(),
            norms_at_the_end: config.post_norm == PostNorm::Applied,
        }
    }

    /// Tiles `[N, C, S, S]` to features of their patches `[N, P, W]`.
    ///
    /// # Panics
    /// When a tile has another side than the tower was made for.
    pub fn forward(&self, tiles: Tensor<4>) -> Tensor<3> {
        let mut x = span("embedding", || self.embedded(tiles)); // [N, T, W]
        for (i, layer) in self.layers.iter().take(self.layers_run).enumerate() {
            x = span_at("layers", i, || layer.forward(x));
        }
        let [_, t, _] = x.dims();
        let patches = self.grid.pow(2);
        // The class token has told the others what it knows.
        let x = x.narrow(1, t - patches, patches); // [N, P, W]
        match &self.post_norm {
            Some(norm) if self.norms_at_the_end => norm.forward(x),
            _ => x,
        }
    }

    /// Tiles to the first layer's input `[N, T, W]`.
    fn embedded(&self, tiles: Tensor<4>) -> Tensor<3> {
        let [n, channels, ..] = tiles.dims();
        let (g, p) = (self.grid, self.patch);
        // A convolution whose windows do not overlap is a linear layer.
        let windows = tiles
            .reshape([n, channels, g, p, g, p])
            .permute([0, 2, 4, 1, 3, 5]) // [N, g, g, C, p, p]
            .reshape([n, g * g, channels * p * p]);
        let x = self.patches.forward(windows); // [N, P, W]
        let x = x + self.places(); // [N, P, W]
        let x = match &self.class_token {
            Some(token) => {
                let first = self.positions.val().narrow(0, 0, 1); // [1, W]
                let [_, width] = first.dims();
                let token = (token.val() + first).reshape([1, 1, width]);
                let token = token.expand([n, 1, width]);
                Tensor::cat(vec![token, x], 1) // [N, T, W]
            }
            None => x,
        };
        match &self.pre_norm {
            Some(norm) => norm.forward(x),
            None => x,
        }
    }

    /// What the places of the patches add, `[1, P, W]`.
    fn places(&self) -> Tensor<3> {
        let table = self.positions.val(); // [1? + side^2, W]
        let before = usize::from(self.class_token.is_some());
        if self.grid == self.position_side {
            let patches = self.grid.pow(2);
            return table.narrow(0, before, patches).unsqueeze();
        }
        let device = table.device();
        let ids = place_ids(self.grid, self.position_side, before, &device);
        embedding(table, ids)
    }
}

/// Rows `[1, P]` of a table of `side` x `side` places, `before` rows behind
/// its start, that a grid of `grid` x `grid` patches reads: patch `i` of a side
/// the place `floor(i side / grid)`.
fn place_ids(
    grid: usize,
    side: usize,
    before: usize,
    device: &Device,
) -> Tensor<2, Int> {
    let along = |i: usize| i * side / grid;
    let ids: Vec<i64> = (0..grid * grid)
        .map(|i| {
            let place = along(i / grid) * side + along(i % grid);
            (before + place) as i64
        })
        .collect();
    Tensor::from_data(TensorData::new(ids, [1, grid * grid]), device)
}

#[cfg(test)]
mod tests {
    use assay_kernels::with_plain_twins;
    use assay_kit::{floats, parameter_shapes, with_values};

    use super::*;
    use crate::config::model;

    fn tiny() -> Vision {
        let mut vision = model("tiny").unwrap().vision;
        (vision.picture, vision.patch) = (8, 2);
        (vision.width, vision.mlp) = (12, 20);
        vision.position_side = 4;
        vision
    }

    fn tiles(vision: &Vision, count: usize, device: &Device) -> Tensor<4> {
        let shape = [count, CHANNELS, vision.picture, vision.picture];
        Parameters::random(device, 5).weight(shape, 1.0).val()
    }

    fn counted(vision: &Vision) -> usize {
        let device = Device::flex();
        let tower =
            VisionTransformer::new(&mut Parameters::shapes(&device), vision);
        parameter_shapes(&tower)
            .values()
            .map(|shape| shape.iter().product::<usize>())
            .sum()
    }

    #[test]
    fn a_layer_has_the_parameters_that_its_widths_give() {
        for name in ["minicpm-v-2.5", "phi-3.5-vision", "internvl2-2b"] {
            let mut vision = model(name).unwrap().vision;
            // The shape of one layer and of the rest, at a size that fits.
            (vision.layers, vision.read_after) = (1, None);
            let one = counted(&vision);
            vision.layers = 2;
            let (w, f) = (vision.width, vision.mlp);
            let scales = if vision.layer_scale { 2 * w } else { 0 };
            let layer = 4 * (w * w + w) + 2 * w * f + f + w + 4 * w + scales;
            assert_eq!(counted(&vision) - one, layer, "{name}");
            let inputs = 3 * vision.patch.pow(2) * w;
            let bias = if vision.patch_bias { w } else { 0 };
            let class = if vision.class_token { 2 * w } else { 0 };
            let places = vision.position_side.pow(2) * w;
            let norms = usize::from(vision.pre_norm)
                + usize::from(vision.post_norm != PostNorm::None);
            let rest = inputs + bias + class + places + 2 * w * norms;
            assert_eq!(one - layer, rest, "{name}");
        }
    }

    #[test]
    fn every_switch_gives_what_the_plain_twins_give() {
        let device = Device::flex();
        let mut all = vec![tiny()];
        for change in 0..6 {
            let mut vision = tiny();
            match change {
                0 => vision.class_token = true,
                1 => vision.qk_norm = true,
                2 => vision.layer_scale = true,
                3 => vision.pre_norm = true,
                4 => vision.read_after = Some(1),
                _ => vision.position_side = 7,
            }
            all.push(vision);
        }
        let mut answers: Vec<Vec<f32>> = Vec::new();
        for vision in all {
            let mut parameters = Parameters::random(&device, 3);
            let tower = VisionTransformer::new(&mut parameters, &vision);
            let run = || tower.forward(tiles(&vision, 2, &device));
            assert_eq!(run().dims(), [2, 16, 12]);
            let (fused, plain) = (floats(run()), with_plain_twins(run));
            for (fused, plain) in fused.iter().zip(floats(plain)) {
                assert!((fused - plain).abs() < 1e-4, "{fused} {plain}");
            }
            // Each switch does something.
            assert!(!answers.contains(&fused));
            answers.push(fused);
        }
    }

    #[test]
    fn a_patch_is_a_window_of_the_picture() {
        // A first layer that gives out the mean of its window.
        let device = Device::flex();
        let mut vision = tiny();
        (vision.layers, vision.post_norm) = (1, PostNorm::None);
        let tower = VisionTransformer::new(
            &mut Parameters::random(&device, 3),
            &vision,
        );
        let zeros: std::collections::BTreeMap<String, Vec<f32>> =
            parameter_shapes(&tower)
                .into_iter()
                .map(|(name, shape)| {
                    let count = shape.iter().product();
                    let value =
                        if name == "patches.weight" { 1.0 / 12.0 } else { 0.0 };
                    (name, vec![value; count])
                })
                .collect();
        let tower = with_values(tower, &zeros).unwrap();
        // One window of ones, in row 1 and column 2 of patches.
        let mut pixels = vec![0.0_f32; 3 * 64];
        for channel in 0..3 {
            for (y, x) in [(2, 4), (2, 5), (3, 4), (3, 5)] {
                pixels[channel * 64 + y * 8 + x] = 1.0;
            }
        }
        let data = TensorData::new(pixels, [1, 3, 8, 8]);
        let found = floats(tower.forward(Tensor::from_data(data, &device)));
        for (i, value) in found.iter().enumerate() {
            let right = if i / 12 == 6 { 1.0 } else { 0.0 };
            assert!((value - right).abs() < 1e-6, "{i}: {value}");
        }
    }

    #[test]
    fn places_of_a_small_picture_are_spread_over_the_table() {
        let ids = place_ids(2, 5, 1, &Device::flex());
        let ids = ids.into_data().convert::<i64>();
        let ids = ids.try_into_vec::<i64>().unwrap();
        assert_eq!(ids, [1, 3, 11, 13]);
    }
}
