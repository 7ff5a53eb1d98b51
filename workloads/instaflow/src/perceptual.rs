//! A perceptual distance of pictures, as a loss: how far the features of a
//! trained network are apart, layer by layer (Zhang et al., *The Unreasonable
//! Effectiveness of Deep Features as a Perceptual Metric*, 2018).
//!
//! `B` pictures of `H x W`, `C_l` channels of layer `l`. Each of four layers
//! gives every position a vector; vectors are made of unit length, and
//! `d = mean_l mean_bhw |u_l(a) - u_l(b)|^2`. The paper weighs channels by what
//! people said of distortions; nobody was asked here, so all weigh the same.
//!
//! The network is not the judge's ([`crate::judge`]): other layers (pools,
//! SiLU, means over all positions), another task, another seed, and the
//! captions of the training part only. Its parameters are frozen.

use assay_kernels::{Activation, activate, max_pool};
use assay_kit::{Linear, Parameters, load_published};
use burn::Tensor;
use burn::module::Module;
use burn::tensor::Device;

use crate::InstaFlowError;
use crate::data::{Colour, Shape};
use crate::judge::{Windows, shipped};

/// Added to a vector's squared length: where there is nothing to see, there is
/// no direction either.
const EPSILON: f32 = 1e-4;

/// The network of the perceptual distance.
#[derive(Module, Debug)]
pub struct PerceptualNetwork {
    windows: Vec<Windows>,
    shape: Linear,
    colour: Linear,
    count: Linear,
}

impl PerceptualNetwork {
    /// The network with new parameters.
    pub fn new(parameters: &mut Parameters) -> Self {
        const LAST: usize = 64;
        // [B, H, W, 16], and half the size each further layer.
        let channels = [[3, 16], [16, 32], [32, 48], [48, LAST]];
        let windows = channels
            .map(|channels| Windows::new(parameters, channels, 1, false));
        let mut layer =
            |outputs| Linear::to_be_trained(parameters, LAST, outputs);
        Self {
            windows: windows.into(),
            shape: layer(Shape::ALL.len()),
            colour: layer(Colour::ALL.len()),
            count: layer(3),
        }
    }

    /// Pictures `[B, H, W, 3]` to what each layer sees, the size halved from
    /// one to the next.
    fn layers(&self, pictures: Tensor<4>) -> Vec<Tensor<4>> {
        let mut seen: Vec<Tensor<4>> = Vec::with_capacity(self.windows.len());
        for windows in &self.windows {
            let x = match seen.last() {
                None => pictures.clone(),
                Some(last) => max_pool(last.clone(), [2, 2]),
            };
            seen.push(activate(windows.forward(x), Activation::Silu));
        }
        seen
    }

    /// Scores of the shapes, colours and counts, from the last layer's mean
    /// over all positions: what it is trained by.
    pub(crate) fn scores(&self, pictures: Tensor<4>) -> [Tensor<2>; 3] {
        let mut seen = self.layers(pictures);
        let Some(last) = seen.pop() else {
            // `new` makes four layers, and nothing else makes the struct.
            unreachable!("a network without layers")
        };
        let [batch, height, width, channels] = last.dims();
        let positions = last.reshape([batch, height * width, channels]);
        let mean = positions.mean_dim(1).reshape([batch, channels]);
        [&self.shape, &self.colour, &self.count]
            .map(|layer| layer.forward(mean.clone()))
    }
}

/// A distance of pictures that can be trained by.
#[derive(Clone, Debug)]
pub struct Perceptual {
    network: PerceptualNetwork,
}

impl Perceptual {
    /// Values of the smallest picture's side: the last layer sees an eighth.
    pub const SMALLEST: usize = 8;

    /// The distance that this crate ships, on the device of the pictures that
    /// it will compare.
    ///
    /// # Errors
    /// The embedded file is not the one that its checksum names.
    pub fn shipped(device: &Device) -> Result<Self, InstaFlowError> {
        let file = shipped::perceptual()?;
        let mut shapes = Parameters::shapes(device);
        let network = PerceptualNetwork::new(&mut shapes);
        Ok(Self::of(load_published(network, &file)?))
    }

    /// The distance of a trained network, which is frozen.
    pub fn of(network: PerceptualNetwork) -> Self {
        Self { network: network.no_grad() }
    }

    /// The mean distance of pictures `a` and `b`, `[B, H, W, 3]` in [-1, 1],
    /// `[1]`: 0 for equal ones. Gradients go to both.
    ///
    /// # Panics
    /// When the shapes differ, or a side is shorter than
    /// [`SMALLEST`](Self::SMALLEST).
    pub fn distance(&self, a: Tensor<4>, b: Tensor<4>) -> Tensor<1> {
        assert_eq!(a.dims(), b.dims(), "a distance of equal shapes");
        let [_, height, width, _] = a.dims();
        assert!(
            height.min(width) >= Self::SMALLEST,
            "pictures of {height} x {width} are too small"
        );
        let (a, b) = (self.network.layers(a), self.network.layers(b));
        let layers = a.len() as f32;
        let apart = a.into_iter().zip(b).map(|(a, b)| {
            (unit(a) - unit(b)).square().sum_dim(3).mean() // [1]
        });
        let sum = apart.reduce(|sum, layer| sum + layer);
        let Some(sum) = sum else {
            // `new` makes four layers, and nothing else makes the struct.
            unreachable!("a network without layers")
        };
        sum / layers
    }
}

/// Vectors along channels, made of unit length.
fn unit(x: Tensor<4>) -> Tensor<4> {
    let squares = x.clone().square().sum_dim(3); // [B, H, W, 1]
    x / (squares + EPSILON).sqrt()
}

#[cfg(test)]
mod tests {
    use assay_kit::floats;
    use assay_trace::{Tape, inner, tracked};

    use super::*;
    use crate::data::{Part, SIDE, examples};
    use crate::judge::stacked;
    use crate::judge::training::Damage;

    fn random(device: &Device) -> Perceptual {
        let mut parameters = Parameters::random(device, 2);
        Perceptual::of(PerceptualNetwork::new(&mut parameters))
    }

    fn value(distance: Tensor<1>) -> f32 {
        floats(distance)[0]
    }

    #[test]
    fn equal_pictures_are_not_apart_and_others_are() {
        let device = Device::flex();
        let distance = random(&device);
        let (_, pictures) = examples(Part::Train, 1, 0, 8);
        let a = stacked(pictures.clone(), &device);
        let same = value(distance.distance(a.clone(), a.clone()));
        assert_eq!(same, 0.0);
        let (_, pictures) = examples(Part::Train, 1, 8, 8);
        let b = stacked(pictures, &device);
        let there = value(distance.distance(a.clone(), b.clone()));
        let back = value(distance.distance(b, a));
        assert!(there > 0.001, "{there}");
        assert!((there - back).abs() < 1e-6);
    }

    #[test]
    fn the_shipped_distance_grows_with_noise_and_blur() {
        let device = Device::flex();
        let distance = Perceptual::shipped(&device).unwrap();
        let (_, pictures) = examples(Part::HeldOut, 9001, 0, 32);
        let sharp = stacked(pictures.clone(), &device);
        let harmed = |noise, blur| {
            let mut pictures = pictures.clone();
            let values = SIDE * SIDE * 3;
            for (i, picture) in pictures.chunks_mut(values).enumerate() {
                Damage { noise, blur }.apply(picture, 1, i as u64);
            }
            let harmed = stacked(pictures, &device);
            value(distance.distance(sharp.clone(), harmed))
        };
        let (little, much) = (harmed(0.05, 0.0), harmed(0.3, 0.0));
        assert!(little > 0.0 && much > 2.0 * little, "{little} {much}");
        let (little, much) = (harmed(0.0, 0.2), harmed(0.0, 1.0));
        assert!(little > 0.0 && much > 2.0 * little, "{little} {much}");
    }

    #[test]
    fn the_gradient_is_that_of_small_steps_and_parameters_get_none() {
        let device = Device::flex().autodiff();
        let distance = random(&device);
        let (_, pictures) = examples(Part::Train, 1, 0, 2);
        let (one, other) = pictures.split_at(pictures.len() / 2);
        let target = stacked(other.to_vec(), &device);
        let at = |values: Vec<f32>| {
            let x = tracked(stacked(values, &Device::flex()));
            (x.clone(), distance.distance(x, target.clone()))
        };
        let (x, loss) = at(one.to_vec());
        let mut tape = Tape::of(loss);
        let gradient = floats(tape.remove(&x).unwrap());
        let frozen = assay_kit::gradient_values(&distance.network, tape);
        assert!(frozen.is_empty(), "{:?}", frozen.keys());
        // Along the gradient, the slope is its squared length.
        let squared: f32 = gradient.iter().map(|g| g * g).sum();
        let step = 0.01 / squared.sqrt();
        let moved = |sign: f32| {
            let values = one.iter().zip(&gradient);
            let values = values.map(|(x, g)| x + sign * step * g).collect();
            value(inner(at(values).1))
        };
        let slope = (moved(1.0) - moved(-1.0)) / (2.0 * step);
        assert!(
            (slope / squared - 1.0).abs() < 0.05,
            "{slope} against {squared}"
        );
    }
}
