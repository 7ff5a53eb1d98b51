//! A vision-language model: pictures become tokens that stand before the
//! words, and a decoder goes on from there. M-STaR (arXiv 2412.17451) trains
//! MiniCPM-V-2.5, Phi-3.5-vision and InternVL2-2B; this is their common
//! shape, with the parts of `vision.rs`, `connector.rs` and `slm`.
//!
//! Left out: the separators between tiles and around a picture (words of the
//! prompt to the decoder, two learned vectors in Phi-3.5-vision), and texts
//! with pictures between words: here they stand in front.
//!
//! Legend: `N` tiles, `C` channels, `S` side of a tile in pixels, `t` visual
//! tokens of a row, `B` rows, `T` text tokens, `D` width, `V` vocabulary,
//! `R` tokens that are scored.

use assay_kernels::{cross_entropy, embedding};
use assay_kit::Parameters;
use assay_slm::{Cache, Decoder};
use assay_trace::span;
use burn::module::Module;
use burn::tensor::{Int, Tensor};

use crate::config::Model;
use crate::connector::Connector;
use crate::examples::Examples;
use crate::vision::VisionTransformer;

/// The whole model.
#[derive(Module, Debug)]
pub struct VisionLanguage {
    vision: VisionTransformer,
    connector: Connector,
    language: Decoder,
}

impl VisionLanguage {
    /// A model of that shape, for rows of at most `longest` tokens, visual
    /// ones included.
    pub fn new(
        parameters: &mut Parameters,
        model: &Model,
        longest: usize,
    ) -> Self {
        Self {
            vision: VisionTransformer::new(parameters, &model.vision),
            connector: Connector::new(parameters, model),
            language: Decoder::new(parameters, &model.language, longest),
        }
    }

    /// The decoder.
    pub fn language(&self) -> &Decoder {
        &self.language
    }

    /// Tiles `[N, C, S, S]` to visual tokens `[N, tokens of a tile, D]`.
    ///
    /// # Panics
    /// When tiles have another side than the model's.
    pub fn encode(&self, tiles: Tensor<4>) -> Tensor<3> {
        // [N, P, W]
        let features = span("vision", || self.vision.forward(tiles));
        span("connector", || self.connector.forward(features)) // [N, ., D]
    }

    /// Visual tokens `[B, t, D]` and words `[B, T]` behind them to the
    /// decoder's input `[B, t + T, D]`.
    pub fn prompt(
        &self,
        visual: Tensor<3>,
        tokens: Tensor<2, Int>,
    ) -> Tensor<3> {
        let [_, seen, _] = visual.dims();
        let words = self.language.embed(tokens, seen); // [B, T, D]
        Tensor::cat(vec![visual, words], 1) // [B, t + T, D]
    }

    /// A whole row, no cache: hidden states `[B, t + T, D]`, past the last
    /// norm. Each sees itself and what stands before it.
    pub fn hidden(
        &self,
        visual: Tensor<3>,
        tokens: Tensor<2, Int>,
    ) -> Tensor<3> {
        let x = self.prompt(visual, tokens);
        span("language", || self.language.transform(x, 0, None))
    }

    /// Hidden states `[B, T, D]` to logits `[B, T, V]`.
    pub fn logits(&self, hidden: Tensor<3>) -> Tensor<3> {
        span("language", || self.language.logits(hidden))
    }

    /// Reads visual tokens `[B, t, D]` and words `[B, T]`: the logits of what
    /// follows, `[B, 1, V]`, and a cache with room for `capacity` tokens in
    /// all.
    ///
    /// # Panics
    /// When `capacity` is below `t + T`.
    pub fn see(
        &self,
        model: &Model,
        visual: Tensor<3>,
        tokens: Tensor<2, Int>,
        capacity: usize,
    ) -> (Tensor<3>, Cache) {
        let x = self.prompt(visual, tokens); // [B, t + T, D]
        let [b, _, _] = x.dims();
        let config = &model.language;
        let cache = Cache::with_capacity(config, b, capacity, &x.device());
        self.read(x, cache)
    }

    /// As [`see`](Self::see), with a cache that has no room for more: nothing
    /// is copied into it.
    pub fn prefill(
        &self,
        model: &Model,
        visual: Tensor<3>,
        tokens: Tensor<2, Int>,
    ) -> (Tensor<3>, Cache) {
        let x = self.prompt(visual, tokens); // [B, t + T, D]
        self.read(x, Cache::of_prompt(&model.language))
    }

    fn read(&self, x: Tensor<3>, mut cache: Cache) -> (Tensor<3>, Cache) {
        let [b, t, _] = x.dims();
        let hidden = span("language", || {
            self.language.transform(x, 0, Some(&mut cache))
        }); // [B, t + T, D]
        let last = hidden.slice([0..b, t - 1..t]); // [B, 1, D]
        (self.logits(last), cache)
    }

    /// One step: words `[B, 1]` at position `at`, which is the number of
    /// tokens in the cache, to logits `[B, 1, V]`.
    pub fn decode(
        &self,
        tokens: Tensor<2, Int>,
        at: usize,
        cache: &mut Cache,
    ) -> Tensor<3> {
        let hidden = span("language", || {
            self.language.hidden(tokens, at, Some(cache)) // [B, 1, D]
        });
        self.logits(hidden)
    }

    /// Mean cross entropy of the words of the replies, `[1]`: each given the
    /// picture, the question, and the words before it.
    pub fn loss(&self, examples: &Examples) -> Tensor<1> {
        let tokens = examples.tokens.clone(); // [B, T]
        let [b, _] = tokens.dims();
        let visual = joined(self.encode(examples.pictures.clone()), b);
        let hidden = self.hidden(visual, tokens); // [B, t + T, D]
        let [_, t, width] = hidden.dims();
        // Only what is scored meets the head: a question costs no logits.
        let rows = hidden.reshape([b * t, width]);
        let picked = embedding(rows, examples.places.clone()); // [1, R, D]
        let logits = self.logits(picked); // [1, R, V]
        let [_, scored, vocab] = logits.dims();
        span("loss", || {
            cross_entropy(
                logits.reshape([scored, vocab]),
                examples.targets.clone(),
            )
        })
    }
}

/// Visual tokens of tiles `[N, t, D]` as those of `rows` pictures,
/// `[rows, N / rows t, D]`: a picture's tiles lie one behind the other.
pub fn joined(visual: Tensor<3>, rows: usize) -> Tensor<3> {
    let [tiles, tokens, width] = visual.dims();
    visual.reshape([rows, tiles / rows.max(1) * tokens, width])
}

#[cfg(test)]
mod tests {
    use assay_kernels::with_plain_twins;
    use assay_kit::{Optimizer, floats, gradient_values, parameter_shapes};
    use assay_trace::{Tape, inner};
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::config::model;
    use crate::examples::Layout;
    use crate::request::Request;
    use crate::steps::{ADAMW, train};
    use crate::trace::trace;
    use crate::vision::CHANNELS;

    /// Small enough for the plain twins.
    fn shape() -> Model {
        let mut tiny = model("tiny").unwrap();
        tiny.vision.picture = 16;
        tiny.vision.position_side = 4;
        tiny
    }

    fn made(device: &Device) -> (Model, VisionLanguage) {
        let shape = shape();
        let mut parameters = Parameters::random(device, 11);
        let model = VisionLanguage::new(&mut parameters, &shape, 24);
        (shape, model)
    }

    fn tiles(model: &Model, count: usize, device: &Device) -> Tensor<4> {
        let shape = [count, CHANNELS, model.picture(), model.picture()];
        Parameters::random(device, 5).weight(shape, 1.0).val()
    }

    fn words(rows: &[[i64; 5]], device: &Device) -> Tensor<2, Int> {
        let data = TensorData::new(rows.concat(), [rows.len(), 5]);
        Tensor::from_data(data, device)
    }

    fn near(found: &[f32], right: &[f32]) {
        assert_eq!(found.len(), right.len());
        for (found, right) in found.iter().zip(right) {
            assert!((found - right).abs() < 1e-4, "{found} {right}");
        }
    }

    #[test]
    fn a_row_read_through_the_cache_is_the_row_read_at_once() {
        let device = Device::flex();
        let (shape, model) = made(&device);
        let visual = model.encode(tiles(&shape, 2, &device));
        assert_eq!(visual.dims(), [2, 4, 96]);
        let all = words(&[[1, 2, 3, 4, 5], [9, 8, 7, 6, 5]], &device);
        let whole = with_plain_twins(|| {
            model.logits(model.hidden(visual.clone(), all.clone()))
        });
        let right = |at: usize| floats(whole.clone().narrow(1, at, 1));
        let first = all.clone().narrow(1, 0, 3);
        let (logits, mut cache) =
            model.see(&shape, visual.clone(), first.clone(), 9);
        near(&floats(logits), &right(4 + 2));
        for at in [7, 8] {
            let next = all.clone().narrow(1, at - 4, 1);
            near(&floats(model.decode(next, at, &mut cache)), &right(at));
        }
        let (logits, _) = model.prefill(&shape, visual, first);
        near(&floats(logits), &right(4 + 2));
    }

    #[test]
    fn a_picture_changes_the_answer_and_only_of_its_own_row() {
        let device = Device::flex();
        let (shape, model) = made(&device);
        let all = words(&[[1, 2, 3, 4, 5]; 2], &device);
        let both = tiles(&shape, 2, &device);
        let of = |pictures: Tensor<4>| {
            let visual = model.encode(pictures);
            floats(model.logits(model.hidden(visual, all.clone())))
        };
        let before = of(both.clone());
        let blank = both.clone().narrow(0, 1, 1) * 0.0;
        let after = of(Tensor::cat(vec![both.narrow(0, 0, 1), blank], 0));
        let half = before.len() / 2;
        near(&before[..half], &after[..half]);
        let moved = before[half..]
            .iter()
            .zip(&after[half..])
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(moved > 1e-3, "{moved}");
    }

    #[test]
    fn parameters_are_those_of_the_parts_and_near_the_published_count() {
        // Counted in the trace: nothing of that size is allocated here.
        for name in crate::config::names() {
            let model = model(name).unwrap();
            let Some(published) = model.published_params_m else { continue };
            let case = format!("mstar/{name}/prefill prompt=2");
            let request = Request::new(&case.parse().unwrap(), None).unwrap();
            let found = trace(&request).unwrap().parameters();
            let ratio = found as f64 / (published * 1e6);
            assert!((ratio - 1.0).abs() < 0.01, "{name}: {found}");
        }
        let case = "mstar/internvl2-2b-language/prefill prompt=2";
        let request = Request::new(&case.parse().unwrap(), None).unwrap();
        let found = trace(&request).unwrap().parameters();
        assert_eq!(found, 1_889_146_880); // facts/mstar.md, section 2
    }

    #[test]
    fn training_touches_every_parameter_and_lowers_the_loss() {
        let device = Device::flex().autodiff();
        let (shape, mut model) = made(&device);
        let layout = Layout { prompt: 3, reply: 3, padding: 0 };
        let examples = Examples::new(
            &layout,
            &shape,
            tiles(&shape, 2, &device),
            &[&[5, 6, 7], &[8]],
            &[&[9, 10, 1], &[11, 1]],
        )
        .unwrap();
        let gradients =
            gradient_values(&model, Tape::of(model.loss(&examples)));
        for name in parameter_shapes(&model).keys() {
            // What all keys have in common does not change a softmax.
            if name.ends_with("attention.k.bias") {
                continue;
            }
            let moved = gradients
                .get(name)
                .is_some_and(|values| values.iter().any(|v| v.abs() > 0.0));
            assert!(moved, "{name}");
        }
        let fused = floats(inner(model.loss(&examples)));
        let plain = with_plain_twins(|| floats(inner(model.loss(&examples))));
        near(&fused, &plain);
        let mut optimizer = Optimizer::new(ADAMW);
        optimizer.set_learning_rate(3e-3);
        let mut losses = Vec::new();
        for _ in 0..30 {
            let (loss, after) = train(model, &mut optimizer, &examples);
            losses.extend(floats(loss));
            model = after;
        }
        assert!(losses[29] < 0.5 * losses[0], "{losses:?}");
    }
}
