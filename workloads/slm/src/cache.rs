//! Keys and values of tokens that a decoder has seen.

use assay_kernels::cache_write;
use burn::tensor::{Device, Tensor};

use crate::Config;

/// One layer's keys and values, `[B, capacity, K, d]` each.
#[derive(Clone, Debug)]
pub(crate) struct KeyValues {
    keys: Option<Tensor<4>>,
    values: Option<Tensor<4>>,
}

/// The cache of a whole decoder.
#[derive(Clone, Debug)]
pub struct Cache {
    layers: Vec<KeyValues>,
}

impl Cache {
    /// A cache with room for `capacity` tokens.
    pub fn with_capacity(
        config: &Config,
        batch: usize,
        capacity: usize,
        device: &Device,
    ) -> Self {
        let shape = [batch, capacity, config.kv_heads, config.head_dim];
        let room = || Some(Tensor::zeros(shape, device));
        Self {
            layers: (0..config.layers)
                .map(|_| KeyValues { keys: room(), values: room() })
                .collect(),
        }
    }

    /// A cache that takes over the keys and values of one prompt as they are:
    /// no copy, and no room for more.
    pub fn of_prompt(config: &Config) -> Self {
        let layer = KeyValues { keys: None, values: None };
        Self { layers: vec![layer; config.layers] }
    }

    pub(crate) fn layer(&mut self, index: usize) -> &mut KeyValues {
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

impl KeyValues {
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
}
