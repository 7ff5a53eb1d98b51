//! Where a new model's parameters come from: shapes alone (for a trace, or to
//! be loaded over), or seeded random numbers.
//!
//! Random weights are uniform with the asked standard deviation. Speed does
//! not depend on the values, and a seed gives the same weights on any number
//! of threads: each block of 65,536 values has a stream of its own.

use burn::Tensor;
use burn::module::Param;
use burn::tensor::{Device, TensorData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Makes parameters on a device.
pub struct Parameters {
    device: Device,
    seed: Option<u64>,
    next_stream: u64,
}

const BLOCK: usize = 65_536;

impl Parameters {
    /// Zeros: on the capture device a shape that costs nothing.
    pub fn shapes(device: &Device) -> Self {
        Self { device: device.clone(), seed: None, next_stream: 0 }
    }

    /// Seeded random numbers.
    pub fn random(device: &Device, seed: u64) -> Self {
        Self { device: device.clone(), seed: Some(seed), next_stream: 0 }
    }

    /// The device that they are made on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// A weight of the given standard deviation.
    pub fn weight<const D: usize>(
        &mut self,
        shape: [usize; D],
        deviation: f32,
    ) -> Param<Tensor<D>> {
        self.uniform(shape, 0.0, deviation)
    }

    /// A gain of a norm: 1, give or take a tenth, so that one left out shows.
    pub fn gain(&mut self, width: usize) -> Param<Tensor<1>> {
        self.uniform([width], 1.0, 0.1)
    }

    /// An offset: 0, give or take.
    pub fn offset(&mut self, width: usize) -> Param<Tensor<1>> {
        self.uniform([width], 0.0, 0.02)
    }

    /// Uniform within `bound` of 0, as PyTorch starts its layers
    /// (`1 / sqrt(inputs)`).
    pub fn within<const D: usize>(
        &mut self,
        shape: [usize; D],
        bound: f32,
    ) -> Param<Tensor<D>> {
        self.uniform(shape, 0.0, bound / 3.0_f32.sqrt())
    }

    /// The same value everywhere, whatever the seed.
    pub fn constant(&mut self, width: usize, value: f32) -> Param<Tensor<1>> {
        Param::from_tensor(Tensor::full([width], value, &self.device))
    }

    fn uniform<const D: usize>(
        &mut self,
        shape: [usize; D],
        centre: f32,
        deviation: f32,
    ) -> Param<Tensor<D>> {
        let Some(seed) = self.seed else {
            return Param::from_tensor(Tensor::zeros(shape, &self.device));
        };
        let count = shape.iter().product();
        let mut values = vec![0.0; count];
        let first = self.next_stream;
        let half_width = deviation * 3.0_f32.sqrt();
        values.par_chunks_mut(BLOCK).enumerate().for_each(|(i, block)| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(first + i as u64);
            for value in block {
                // 24 bits: every value is exact in f32, in [-1, 1).
                let unit = (rng.next_u32() >> 8) as f32 / 8_388_608.0 - 1.0;
                *value = centre + half_width * unit;
            }
        });
        self.next_stream += count.div_ceil(BLOCK) as u64;
        Param::from_data(TensorData::new(values, shape), &self.device)
    }
}
