//! What a decoder keeps of the tokens that it has seen: keys and values, or
//! the state of a recurrence.

use assay_kernels::cache_write;
use burn::tensor::{Device, Tensor};

use crate::Config;

/// One layer's keys `[B, capacity, K, d]` and values, as wide or not; of a
/// recurrence its state `[B, 1, 1, W]` and last inputs `[B, c, 1, W]`.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    keys: Option<Tensor<4>>,
    values: Option<Tensor<4>>,
}

/// The cache of a whole decoder.
#[derive(Clone, Debug)]
pub struct Cache {
    layers: Vec<Kept>,
}

impl Cache {
    /// A cache with room for `capacity` tokens.
    pub fn with_capacity(
        config: &Config,
        batch: usize,
        capacity: usize,
        device: &Device,
    ) -> Self {
        let room = |shape: [usize; 4]| Some(Tensor::zeros(shape, device));
        let layer = |layer: usize| {
            let [keys, values] = config.cache_shapes(layer, batch, capacity);
            Kept { keys: room(keys), values: room(values) }
        };
        Self { layers: (0..config.layers).map(layer).collect() }
    }

    /// A cache that takes over the keys and values of one prompt as they are:
    /// no copy, and no room for more.
    pub fn of_prompt(config: &Config) -> Self {
        let layer = Kept { keys: None, values: None };
        Self { layers: vec![layer; config.layers] }
    }

    pub(crate) fn layer(&mut self, index: usize) -> &mut Kept {
        &mut self.layers[index]
    }

    /// All tensors, keys and values of each layer in turn.
    pub fn tensors(&self) -> impl Iterator<Item = &Tensor<4>> {
        self.layers
            .iter()
            .flat_map(|layer| [&layer.keys, &layer.values])
            .flatten()
    }
}

impl Kept {
    /// Appends new keys and values `[B, T, K, d]` at position `first` and
    /// returns all: in place, when nobody else holds the cache.
    pub(crate) fn append(
        &mut self,
        k: Tensor<4>,
        v: Tensor<4>,
        first: usize,
    ) -> (Tensor<4>, Tensor<4>) {
        let write = |room: Option<Tensor<4>>, new: Tensor<4>| match room {
            Some(cache) => cache_write(cache, new, first),
            None => new,
        };
        let k = write(self.keys.take(), k);
        let v = write(self.values.take(), v);
        self.keys = Some(k.clone());
        self.values = Some(v.clone());
        (k, v)
    }

    /// Takes out what a recurrence left: its state and last inputs.
    pub(crate) fn recall(&mut self) -> (Option<Tensor<4>>, Option<Tensor<4>>) {
        (self.keys.take(), self.values.take())
    }

    /// Keeps what a recurrence leaves.
    pub(crate) fn keep(&mut self, state: Tensor<4>, inputs: Tensor<4>) {
        self.keys = Some(state);
        self.values = Some(inputs);
    }
}
