//! The judge of pictures: a small convolutional network that reads what a
//! picture shows, and whose features the Frechet distance compares.
//!
//! `B` pictures, `F` features. Four convolutions of 3 x 3, two linear layers
//! to 32 features, and from these alone, each by one linear layer: the shape,
//! the colour, the count, the place; a thumbnail of 4 x 4; and how much noise
//! and blur was added. The last two make the features see what a reader of
//! captions would pass over: a washed-out picture of the right thing is far
//! from a real one.
//!
//! [`shipped`] embeds the trained files of `judges/` and checks them;
//! [`training`] made them. The network of the perceptual loss
//! ([`crate::perceptual`]) is another one, of other pictures, so that a model
//! trained with it is not judged by it.

pub mod shipped;
pub mod training;

use assay_kernels::{Activation, Convolution, activate, conv};
use assay_kit::{Linear, Parameters, floats, load_published};
use burn::Tensor;
use burn::module::{Module, Param};
use burn::tensor::{Device, TensorData};

use crate::InstaFlowError;
use crate::data::{Caption, Colour, Place, SIDE, Shape};

/// Values of one picture.
const VALUES: usize = SIDE * SIDE * 3;

/// Pictures of one forward pass.
const BATCH: usize = 256;

/// Pixels of a thumbnail's side.
pub(crate) const THUMBNAIL: usize = 4;

/// A convolution of 3 x 3 that keeps the size, or halves it.
#[derive(Module, Debug)]
pub struct Windows {
    weight: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
    stride: usize,
    relu: bool,
}

impl Windows {
    /// From `channels[0]` to `channels[1]`, started as PyTorch does.
    pub fn new(
        parameters: &mut Parameters,
        channels: [usize; 2],
        stride: usize,
        relu: bool,
    ) -> Self {
        let [inputs, outputs] = channels;
        let bound = ((inputs * 9) as f32).powf(-0.5);
        Self {
            weight: parameters.within([outputs, inputs, 3, 3], bound),
            bias: parameters.within([outputs], bound),
            stride,
            relu,
        }
    }

    /// `[B, H, W, C]` to `[B, H / stride, W / stride, O]`, rounded up.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let how = Convolution {
            padding: [1, 1],
            stride: [self.stride; 2],
            relu: self.relu,
        };
        conv(x, self.weight.val(), Some(self.bias.val()), how)
    }
}

/// The judge's network.
#[derive(Module, Debug)]
pub struct JudgeNetwork {
    windows: Vec<Windows>,
    hidden: Linear,
    features: Linear,
    shape: Linear,
    colour: Linear,
    count: Linear,
    place: Linear,
    thumbnail: Linear,
    damage: Linear,
}

/// What a network says of pictures.
pub(crate) struct Reading {
    /// Scores of the shapes, `[B, 4]`.
    pub(crate) shape: Tensor<2>,
    /// Of the colours, `[B, 6]`.
    pub(crate) colour: Tensor<2>,
    /// Of the counts, `[B, 3]`.
    pub(crate) count: Tensor<2>,
    /// Of the places, `[B, 5]`.
    pub(crate) place: Tensor<2>,
}

impl JudgeNetwork {
    /// The network with new parameters.
    pub fn new(parameters: &mut Parameters) -> Self {
        let windows = [
            ([3, 16], 1),  // [B, 32, 32, 16]
            ([16, 32], 2), // [B, 16, 16, 32]
            ([32, 48], 2), // [B, 8, 8, 48]
            ([48, 32], 2), // [B, 4, 4, 32]
        ];
        let windows = windows.map(|(channels, stride)| {
            Windows::new(parameters, channels, stride, true)
        });
        let flat = SIDE * SIDE / 64 * 32;
        let mut layer = |inputs, outputs| {
            Linear::to_be_trained(parameters, inputs, outputs)
        };
        Self {
            windows: windows.into(),
            hidden: layer(flat, 64),
            features: layer(64, Judge::WIDTH),
            shape: layer(Judge::WIDTH, Shape::ALL.len()),
            colour: layer(Judge::WIDTH, Colour::ALL.len()),
            count: layer(Judge::WIDTH, 3),
            place: layer(Judge::WIDTH, Place::ALL.len()),
            thumbnail: layer(Judge::WIDTH, THUMBNAIL * THUMBNAIL * 3),
            damage: layer(Judge::WIDTH, 2),
        }
    }

    /// Pictures `[B, 32, 32, 3]` to features `[B, F]`.
    pub(crate) fn features(&self, pictures: Tensor<4>) -> Tensor<2> {
        let mut x = pictures;
        for windows in &self.windows {
            x = windows.forward(x);
        }
        let [batch, height, width, channels] = x.dims();
        let x = x.reshape([batch, height * width * channels]); // [B, 512]
        let x = activate(self.hidden.forward(x), Activation::Relu); // [B, 64]
        self.features.forward(x) // [B, F]
    }

    /// What features `[B, F]` say.
    pub(crate) fn read(&self, features: Tensor<2>) -> Reading {
        Reading {
            shape: self.shape.forward(features.clone()),
            colour: self.colour.forward(features.clone()),
            count: self.count.forward(features.clone()),
            place: self.place.forward(features),
        }
    }

    /// The thumbnail that features `[B, F]` remember, `[B, 48]`, and the noise
    /// and blur that they saw, `[B, 2]`.
    pub(crate) fn recall(&self, features: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let thumbnail = self.thumbnail.forward(features.clone());
        (thumbnail, self.damage.forward(features))
    }
}

/// Reads pictures, and makes the features that a Frechet distance compares.
#[derive(Clone, Debug)]
pub struct Judge {
    network: JudgeNetwork,
}

impl Judge {
    /// Features of a picture.
    pub const WIDTH: usize = 32;

    /// The judge that this crate ships: the same for every study.
    ///
    /// # Errors
    /// The embedded file is not the one that its checksum names.
    pub fn shipped() -> Result<Self, InstaFlowError> {
        let file = shipped::judge()?;
        let mut shapes = Parameters::shapes(&Device::flex());
        let network = load_published(JudgeNetwork::new(&mut shapes), &file)?;
        Ok(Self::of(&network))
    }

    /// A judge of a trained network.
    pub fn of(network: &JudgeNetwork) -> Self {
        Self { network: network.valid() }
    }

    /// Features of pictures `[count, 32, 32, 3]` in [-1, 1], `[count, WIDTH]`.
    /// What lies outside the range is cut off first, as it would be shown.
    ///
    /// # Panics
    /// When there are not `count` pictures.
    pub fn features(&self, pictures: &[f32], count: usize) -> Vec<f32> {
        let mut found = Vec::with_capacity(count * Self::WIDTH);
        for batch in batches(pictures, count) {
            found.extend(floats(self.network.features(batch)));
        }
        found
    }

    /// What pictures `[count, 32, 32, 3]` show.
    ///
    /// # Panics
    /// As [`features`](Self::features).
    pub fn read(&self, pictures: &[f32], count: usize) -> Vec<Caption> {
        let mut found = Vec::with_capacity(count);
        for batch in batches(pictures, count) {
            let said = self.network.read(self.network.features(batch));
            let shapes = likeliest(said.shape).into_iter();
            let colours = likeliest(said.colour);
            let counts = likeliest(said.count);
            let places = likeliest(said.place);
            let rest = colours.into_iter().zip(counts).zip(places);
            for (shape, ((colour, count), place)) in shapes.zip(rest) {
                found.push(Caption {
                    shape: Shape::ALL[shape],
                    colour: Colour::ALL[colour],
                    count: count as u8 + 1,
                    place: Place::ALL[place],
                });
            }
        }
        found
    }
}

/// Pictures in batches, cut to [-1, 1].
fn batches(pictures: &[f32], count: usize) -> impl Iterator<Item = Tensor<4>> {
    assert_eq!(
        pictures.len(),
        count * VALUES,
        "{count} pictures of {SIDE} x {SIDE} x 3"
    );
    pictures.chunks(BATCH * VALUES).map(|values| {
        let cut: Vec<f32> = values.iter().map(|x| x.clamp(-1.0, 1.0)).collect();
        stacked(cut, &Device::flex())
    })
}

/// Values of pictures as a tensor, `[B, 32, 32, 3]`.
pub(crate) fn stacked(values: Vec<f32>, device: &Device) -> Tensor<4> {
    let shape = [values.len() / VALUES, SIDE, SIDE, 3];
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// The place of each row's largest score.
fn likeliest(scores: Tensor<2>) -> Vec<usize> {
    let [_, classes] = scores.dims();
    floats(scores)
        .chunks_exact(classes)
        .map(|row| {
            let best = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
            best.map_or(0, |(place, _)| place)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Part, examples};
    use crate::judge::training::Damage;
    use crate::metrics::{Moments, agreement, frechet_distance};

    /// A seed that no training of a judge has.
    const SEED: u64 = 9001;

    #[test]
    fn the_shipped_judge_reads_pictures_of_both_parts() {
        let judge = Judge::shipped().unwrap();
        for part in [Part::Train, Part::HeldOut] {
            let (asked, pictures) = examples(part, SEED, 0, 300);
            let found = agreement(&judge.read(&pictures, 300), &asked);
            assert!(found.all > 0.95, "{part:?}: {found:?}");
        }
    }

    #[test]
    fn the_distance_grows_with_noise_blur_and_missing_colours() {
        let judge = Judge::shipped().unwrap();
        let of = |pictures: &[f32]| {
            let count = pictures.len() / VALUES;
            Moments::of(&judge.features(pictures, count), Judge::WIDTH)
        };
        let (_, real) = examples(Part::HeldOut, SEED, 0, 1000);
        let (captions, other) = examples(Part::HeldOut, SEED, 1000, 500);
        let real = of(&real);
        let distance =
            |pictures: &[f32]| frechet_distance(&of(pictures), &real).unwrap();
        let floor = distance(&other);
        let harmed = |noise, blur| {
            let mut pictures = other.clone();
            for (i, picture) in pictures.chunks_mut(VALUES).enumerate() {
                Damage { noise, blur }.apply(picture, SEED, i as u64);
            }
            distance(&pictures)
        };
        let (little, much) = (harmed(0.1, 0.0), harmed(0.4, 0.0));
        assert!(little > floor && much > little, "{floor} {little} {much}");
        assert!(much > 2.0 * floor, "{floor} {much}");
        let blurred = harmed(0.0, 1.0);
        assert!(blurred > 2.0 * floor, "{floor} {blurred}");
        let red: Vec<f32> = captions
            .iter()
            .zip(other.chunks(VALUES))
            .filter(|(caption, _)| caption.colour == Colour::Red)
            .flat_map(|(_, picture)| picture.to_vec())
            .collect();
        assert!(distance(&red) > 2.0 * floor);
    }

    #[test]
    fn pictures_go_through_one_by_one_as_they_do_together() {
        let mut parameters = Parameters::random(&Device::flex(), 4);
        let judge = Judge::of(&JudgeNetwork::new(&mut parameters));
        let (_, pictures) = examples(Part::Train, SEED, 0, BATCH + 2);
        let together = judge.features(&pictures, BATCH + 2);
        assert_eq!(together.len(), (BATCH + 2) * Judge::WIDTH);
        let last = judge.features(&pictures[(BATCH + 1) * VALUES..], 1);
        let ours = &together[(BATCH + 1) * Judge::WIDTH..];
        for (one, other) in last.iter().zip(ours) {
            assert!((one - other).abs() < 1e-5, "{one} {other}");
        }
        assert!(judge.features(&[], 0).is_empty());
        assert!(judge.read(&[], 0).is_empty());
    }
}
