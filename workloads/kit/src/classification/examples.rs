//! Examples: sequences of pairs with a class and a group.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// Labelled examples in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Examples {
    /// Pairs an example, `L`.
    pub length: usize,
    /// `[N, L, 2]`.
    pub features: Vec<f32>,
    /// Class of each.
    pub class: Vec<u8>,
    /// What results are told apart by: an SNR in dB.
    pub group: Vec<i8>,
    /// Names of the classes.
    pub classes: Vec<String>,
}

impl Examples {
    /// How many.
    pub fn len(&self) -> usize {
        self.class.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.class.is_empty()
    }

    /// Values an example.
    pub fn width(&self) -> usize {
        2 * self.length
    }

    /// Some of them as tensors: `[B, L, 2]` and classes `[B]`.
    ///
    /// # Panics
    /// When a pick is none of the examples, as indexing does.
    pub fn batch(
        &self,
        picks: &[usize],
        device: &Device,
    ) -> (Tensor<3>, Tensor<1, Int>) {
        let width = self.width();
        let mut values = Vec::with_capacity(picks.len() * width);
        for &pick in picks {
            let own = pick * width..(pick + 1) * width;
            values.extend_from_slice(&self.features[own]);
        }
        let x = TensorData::new(values, [picks.len(), self.length, 2]);
        let class: Vec<i64> =
            picks.iter().map(|&pick| i64::from(self.class[pick])).collect();
        let class = TensorData::new(class, [picks.len()]);
        (Tensor::from_data(x, device), Tensor::from_data(class, device))
    }
}
