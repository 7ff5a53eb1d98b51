//! How the judge and the network of the perceptual loss were trained.
//!
//! Both learn from pictures drawn as they go, each seen once. They share
//! nothing else: the judge sees all captions, so that it can read those held
//! out, and remembers a thumbnail and the damage done; the other one sees the
//! captions of the training part only, from another seed, and has other
//! layers and another task. Half of the pictures are noisy and half blurred,
//! since generated ones are.

use assay_kernels::{AdamW, cross_entropy};
use assay_kit::{Draws, Optimizer, Parameters, floats};
use assay_trace::{Tape, inner};
use burn::Tensor;
use burn::module::Module;
use burn::tensor::{Device, Int, TensorData};

use super::{JudgeNetwork, THUMBNAIL, VALUES, stacked};
use crate::data::{Caption, Part, SIDE, drawn};
use crate::perceptual::PerceptualNetwork;

/// How long, from which seed, how fast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// Of the first weights and of all pictures.
    pub seed: u64,
    /// Steps of AdamW.
    pub steps: usize,
    /// Pictures a step.
    pub batch: usize,
    /// Its step size after a warm-up of a twentieth of all steps; from there
    /// it falls to 0 along half a cosine.
    pub learning_rate: f64,
}

impl Schedule {
    /// What made `judges/judge.safetensors`.
    pub fn judge() -> Self {
        Self { seed: 0x1A55_0001, steps: 3000, batch: 128, learning_rate: 2e-3 }
    }

    /// What made `judges/perceptual.safetensors`.
    pub fn perceptual() -> Self {
        Self { seed: 0x1A55_0002, steps: 2000, ..Self::judge() }
    }

    fn rate(&self, step: usize) -> f64 {
        let warm = (self.steps / 20).max(1);
        if step < warm {
            return self.learning_rate * (step + 1) as f64 / warm as f64;
        }
        let left = (self.steps - warm).max(1) as f64;
        let done = (step - warm) as f64 / left;
        let cosine = (std::f64::consts::PI * done).cos();
        self.learning_rate * (1.0 + cosine) / 2.0
    }
}

/// What is done to a picture before a network sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Damage {
    /// Deviation of normal noise on each value.
    pub noise: f64,
    /// Share of the mean over 3 x 3 pixels in each value.
    pub blur: f64,
}

/// A seed's own for damage: what is drawn for it says nothing of pictures.
const DAMAGE: u64 = 0x5EED_DA3A_6E00_0000;

impl Damage {
    /// Half of all pictures are noisy, half are blurred, each by chance.
    fn of(seed: u64, picture: u64) -> Self {
        let mut draws = Draws::new(seed ^ DAMAGE, picture);
        let mut perhaps = |most: f64| {
            let (is, much) = (draws.unit() < 0.5, draws.uniform(0.0, most));
            if is { much } else { 0.0 }
        };
        Self { noise: perhaps(0.5), blur: perhaps(1.0) }
    }

    /// Does it to picture number `picture` of a seed, `[32, 32, 3]`, which is
    /// cut to [-1, 1] after.
    pub fn apply(self, values: &mut [f32], seed: u64, picture: u64) {
        if self.blur > 0.0 {
            let sharp = values.to_vec();
            for (at, value) in values.iter_mut().enumerate() {
                let share = self.blur as f32;
                *value += share * (mean_about(&sharp, at) - *value);
            }
        }
        if self.noise > 0.0 {
            let mut draws = Draws::new(seed ^ !DAMAGE, picture);
            for value in values.iter_mut() {
                *value += (self.noise * draws.normal()) as f32;
            }
        }
        for value in values {
            *value = value.clamp(-1.0, 1.0);
        }
    }
}

/// The mean of one channel over the pixels about a value; fewer at an edge.
fn mean_about(picture: &[f32], at: usize) -> f32 {
    let (pixel, channel) = (at / 3, at % 3);
    let (row, column) = (pixel / SIDE, pixel % SIDE);
    let near = |middle: usize| middle.saturating_sub(1)..SIDE.min(middle + 2);
    let (mut sum, mut count) = (0.0, 0.0);
    for row in near(row) {
        for column in near(column) {
            sum += picture[(row * SIDE + column) * 3 + channel];
            count += 1.0;
        }
    }
    sum / count
}

/// The mean colours of a picture's `THUMBNAIL` squared blocks.
fn thumbnail(picture: &[f32]) -> Vec<f32> {
    const BLOCK: usize = SIDE / THUMBNAIL;
    let mut sums = vec![0.0; THUMBNAIL * THUMBNAIL * 3];
    for (at, value) in picture.iter().enumerate() {
        let (pixel, channel) = (at / 3, at % 3);
        let (row, column) = (pixel / SIDE / BLOCK, pixel % SIDE / BLOCK);
        let block = (row * THUMBNAIL + column) * 3 + channel;
        sums[block] += value / (BLOCK * BLOCK) as f32;
    }
    sums
}

/// Pictures of one step and what is right of them.
struct Batch {
    captions: Vec<Caption>,
    /// `[B, 32, 32, 3]`.
    pictures: Tensor<4>,
    /// `[B, 48]`, of the pictures as they are shown.
    thumbnails: Tensor<2>,
    /// Noise and blur, `[B, 2]`.
    damage: Tensor<2>,
    device: Device,
}

impl Batch {
    /// That of a step, on a device.
    fn new(
        captions: &[Caption],
        schedule: &Schedule,
        step: usize,
        device: &Device,
    ) -> Self {
        let (seed, count) = (schedule.seed, schedule.batch);
        let first = step as u64 * count as u64;
        let (captions, mut pictures) = drawn(captions, seed, 2, first, count);
        let (mut thumbnails, mut damages) = (Vec::new(), Vec::new());
        for (i, picture) in pictures.chunks_exact_mut(VALUES).enumerate() {
            let number = first + i as u64;
            let damage = Damage::of(seed, number);
            damage.apply(picture, seed, number);
            thumbnails.extend(thumbnail(picture));
            damages.extend([damage.noise as f32, damage.blur as f32]);
        }
        let rows = |values: Vec<f32>| {
            let shape = [count, values.len() / count.max(1)];
            Tensor::<2>::from_data(TensorData::new(values, shape), device)
        };
        Self {
            captions,
            pictures: stacked(pictures, device),
            thumbnails: rows(thumbnails),
            damage: rows(damages),
            device: device.clone(),
        }
    }

    /// Cross entropy of scores with an attribute of the captions.
    fn miss(&self, scores: Tensor<2>, of: fn(&Caption) -> usize) -> Tensor<1> {
        let right: Vec<i64> =
            self.captions.iter().map(|caption| of(caption) as i64).collect();
        let right = TensorData::new(right, [self.captions.len()]);
        let right = Tensor::<1, Int>::from_data(right, &self.device);
        cross_entropy(scores, right)
    }
}

fn count_of(caption: &Caption) -> usize {
    usize::from(caption.count) - 1
}

/// Trains a judge; `see` gets each step's number, from 0, and its loss.
pub fn train_judge(
    schedule: &Schedule,
    see: &mut dyn FnMut(usize, f32),
) -> JudgeNetwork {
    let device = Device::flex().autodiff();
    let mut parameters = Parameters::random(&device, schedule.seed);
    let captions = Caption::all();
    let network = JudgeNetwork::new(&mut parameters);
    fit(network, schedule, see, |network, step| {
        let batch = Batch::new(&captions, schedule, step, &device);
        let features = network.features(batch.pictures.clone());
        let said = network.read(features.clone());
        let (thumbnails, damage) = network.recall(features);
        let apart = |a: Tensor<2>, b: &Tensor<2>| (a - b.clone()).square();
        batch.miss(said.shape, |caption| caption.shape.index())
            + batch.miss(said.colour, |caption| caption.colour.index())
            + batch.miss(said.count, count_of)
            + batch.miss(said.place, |caption| caption.place.index())
            + apart(thumbnails, &batch.thumbnails).mean()
            + apart(damage, &batch.damage).mean()
    })
}

/// Trains the network of the perceptual loss; `see` as in [`train_judge`].
pub fn train_perceptual(
    schedule: &Schedule,
    see: &mut dyn FnMut(usize, f32),
) -> PerceptualNetwork {
    let device = Device::flex().autodiff();
    let mut parameters = Parameters::random(&device, schedule.seed);
    let captions = Caption::of_part(Part::Train);
    let network = PerceptualNetwork::new(&mut parameters);
    fit(network, schedule, see, |network, step| {
        let batch = Batch::new(&captions, schedule, step, &device);
        let [shape, colour, count] = network.scores(batch.pictures.clone());
        batch.miss(shape, |caption| caption.shape.index())
            + batch.miss(colour, |caption| caption.colour.index())
            + batch.miss(count, count_of)
    })
}

/// AdamW on the loss of each step.
fn fit<M: Module>(
    mut network: M,
    schedule: &Schedule,
    see: &mut dyn FnMut(usize, f32),
    loss: impl Fn(&M, usize) -> Tensor<1>,
) -> M {
    let mut optimizer = Optimizer::new(AdamW::default());
    for step in 0..schedule.steps {
        let found = loss(&network, step);
        let tape = Tape::of(found.clone());
        optimizer.set_learning_rate(schedule.rate(step));
        network = optimizer.step(network, tape);
        let found = floats(inner(found));
        see(step, found.first().copied().unwrap_or(f32::NAN));
    }
    network
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::picture;

    fn losses(
        train: impl Fn(&Schedule, &mut dyn FnMut(usize, f32)),
    ) -> Vec<f32> {
        let schedule = Schedule { steps: 60, batch: 16, ..Schedule::judge() };
        let mut losses = Vec::new();
        train(&schedule, &mut |step, loss| {
            assert_eq!(step, losses.len());
            losses.push(loss);
        });
        losses
    }

    fn falls(losses: &[f32]) {
        let mean = |part: &[f32]| part.iter().sum::<f32>() / part.len() as f32;
        let (first, last) = (mean(&losses[..8]), mean(&losses[52..]));
        assert!(last < 0.99 * first, "{losses:?}");
    }

    #[test]
    fn a_few_steps_lower_the_loss_of_both_and_repeat() {
        let judge = |schedule: &Schedule, see: &mut dyn FnMut(usize, f32)| {
            train_judge(schedule, see);
        };
        let found = losses(judge);
        falls(&found);
        assert_eq!(found, losses(judge));
        falls(&losses(|schedule, see| {
            train_perceptual(schedule, see);
        }));
    }

    #[test]
    fn the_step_size_rises_and_falls_to_nothing() {
        let schedule = Schedule { steps: 100, ..Schedule::judge() };
        let rates: Vec<f64> = (0..100).map(|s| schedule.rate(s)).collect();
        assert!(rates[..5].is_sorted());
        assert!((rates[4] / schedule.learning_rate - 1.0).abs() < 1e-12);
        assert!(rates[5..].iter().rev().is_sorted());
        assert!(rates[99] < 0.001 * schedule.learning_rate);
    }

    #[test]
    fn damage_is_what_it_says() {
        let sharp = picture(Caption::all()[7], 1);
        let mut same = sharp.clone();
        Damage { noise: 0.0, blur: 0.0 }.apply(&mut same, 1, 0);
        assert_eq!(same, sharp);

        let mut noisy = vec![0.0; VALUES];
        Damage { noise: 0.1, blur: 0.0 }.apply(&mut noisy, 1, 0);
        let power = noisy.iter().map(|x| f64::from(x * x)).sum::<f64>();
        let deviation = (power / VALUES as f64).sqrt();
        assert!((deviation - 0.1).abs() < 0.01, "{deviation}");

        let mut dot = vec![-1.0; VALUES];
        dot[(5 * SIDE + 6) * 3] = 1.0;
        Damage { noise: 0.0, blur: 1.0 }.apply(&mut dot, 1, 0);
        let lit = dot.iter().filter(|&&x| x > -0.99).count();
        assert_eq!(lit, 9);
        assert!((dot[(4 * SIDE + 7) * 3] - (-1.0 + 2.0 / 9.0)).abs() < 1e-6);

        let all: Vec<Damage> = (0..400).map(|i| Damage::of(3, i)).collect();
        let noisy = all.iter().filter(|damage| damage.noise > 0.0).count();
        assert!((150..=250).contains(&noisy), "{noisy}");
    }

    #[test]
    fn a_thumbnail_holds_the_means_of_its_blocks() {
        let mut picture = vec![0.0; VALUES];
        for row in 8..16 {
            for column in 24..32 {
                picture[(row * SIDE + column) * 3 + 1] = 1.0;
            }
        }
        let found = thumbnail(&picture);
        assert_eq!(found.len(), 48);
        let expected = (THUMBNAIL + 3) * 3 + 1;
        for (at, value) in found.iter().enumerate() {
            let right = if at == expected { 1.0 } else { 0.0 };
            assert!((value - right).abs() < 1e-6, "{at}: {value}");
        }
    }
}
