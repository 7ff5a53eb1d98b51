//! The time, as the U-Net sees it: cosines and sines of many frequencies
//! (Vaswani et al., 2017, section 3.5; Ho et al., 2020), through two layers.

use assay_kernels::{Activation, activate};
use assay_kit::{Linear, Parameters};
use assay_trace::{Role, mark};
use burn::Tensor;
use burn::module::Module;
use burn::tensor::{Device, TensorData};

use crate::layers::new_linear;

/// The longest period, in timesteps and radians.
const LONGEST: f32 = 10_000.0;

/// Cosines, then sines, of each time: `[times, width]`, row-major, `width`
/// even. In diffusers' words, `flip_sin_to_cos` with `freq_shift` 0; in `f32`
/// as there.
pub(crate) fn sinusoids(times: &[f32], width: usize) -> Vec<f32> {
    let half = width / 2;
    let frequency = |i: usize| (-LONGEST.ln() * i as f32 / half as f32).exp();
    let frequencies: Vec<f32> = (0..half).map(frequency).collect();
    let mut values = Vec::with_capacity(times.len() * width);
    for time in times {
        values.extend(frequencies.iter().map(|f| (time * f).cos()));
        values.extend(frequencies.iter().map(|f| (time * f).sin()));
    }
    values
}

/// The layers.
#[derive(Module, Debug)]
pub(crate) struct TimeEmbedding {
    linear_1: Linear,
    linear_2: Linear,
    channels: usize,
}

impl TimeEmbedding {
    /// From `channels` sinusoids to four times as many values.
    pub(super) fn new(p: &mut Parameters, channels: usize) -> Self {
        Self {
            linear_1: new_linear(p, channels, 4 * channels, true),
            linear_2: new_linear(p, 4 * channels, 4 * channels, true),
            channels,
        }
    }

    /// Times `[B]` to `[B, 4 C0]`, past the SiLU with which every block would
    /// begin; `[1, 4 C0]` when all are equal, as they are when pictures are
    /// drawn.
    pub(super) fn forward(&self, times: &[f32], device: &Device) -> Tensor<2> {
        let equal = times.windows(2).all(|t| t[0].total_cmp(&t[1]).is_eq());
        let times = if equal { &times[..times.len().min(1)] } else { times };
        let values = sinusoids(times, self.channels);
        let values = TensorData::new(values, [times.len(), self.channels]);
        let x = Tensor::<2>::from_data(values, device); // [B, C0]
        mark(&x, Role::Input);
        let x = activate(self.linear_1.forward(x), Activation::Silu);
        activate(self.linear_2.forward(x), Activation::Silu) // [B, 4 C0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosines_come_first_and_periods_grow_to_the_longest() {
        let found = sinusoids(&[0.0, 2.0], 4);
        let slow = 2.0 * LONGEST.powf(-0.5);
        let right = [
            [1.0, 1.0, 0.0, 0.0],
            [2.0_f32.cos(), slow.cos(), 2.0_f32.sin(), slow.sin()],
        ];
        for (found, right) in found.iter().zip(right.as_flattened()) {
            assert!((found - right).abs() < 1e-6, "{found} and {right}");
        }
        assert_eq!(found.len(), 8);
    }

    #[test]
    fn equal_times_are_one_row() {
        let device = Device::flex();
        let mut p = Parameters::random(&device, 3);
        let embedding = TimeEmbedding::new(&mut p, 8);
        let rows = |times: &[f32]| embedding.forward(times, &device).dims();
        assert_eq!(rows(&[5.0, 5.0, 5.0]), [1, 32]);
        assert_eq!(rows(&[5.0, 5.5]), [2, 32]);
    }
}
