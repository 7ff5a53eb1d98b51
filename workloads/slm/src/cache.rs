//! What a decoder keeps of the tokens that it has seen: keys and values, or
//! the state of a recurrence.

use assay_kernels::cache_write;
use burn::tensor::{Device, Int, Tensor, TensorData};

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

    /// The cache of one row, repeated to `rows` rows with room for `capacity`
    /// tokens: many continuations of one prompt, which is read once. Tokens
    /// past `capacity` are left behind; the first step writes after the last
    /// token of the prompt, as it would have in this cache.
    ///
    /// # Panics
    ///
    /// When this cache has another number of rows than 1.
    pub fn spread(
        &self,
        config: &Config,
        rows: usize,
        capacity: usize,
    ) -> Self {
        let layers = self.layers.iter().enumerate().map(|(i, layer)| {
            let [keys, values] = config.cache_shapes(i, rows, capacity);
            let spread = |kept: &Option<Tensor<4>>, shape: [usize; 4]| {
                kept.as_ref().map(|kept| repeated(kept.clone(), shape))
            };
            Kept {
                keys: spread(&layer.keys, keys),
                values: spread(&layer.values, values),
            }
        });
        Self { layers: layers.collect() }
    }

    /// The cache of some of its rows, in the order given; a row may stand
    /// there several times or not at all: what is left when some of a batch
    /// have ended, or a beam goes on from another.
    ///
    /// # Panics
    ///
    /// When one is not a row of this cache.
    pub fn select(&self, rows: &[usize]) -> Self {
        let pick = |kept: &Option<Tensor<4>>| {
            kept.as_ref().map(|kept| selected(kept.clone(), rows))
        };
        let layers = self.layers.iter().map(|layer| Kept {
            keys: pick(&layer.keys),
            values: pick(&layer.values),
        });
        Self { layers: layers.collect() }
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

/// One row `[1, s, K, d]` repeated into zeros `[B, S, K, d]`.
fn repeated(row: Tensor<4>, shape: [usize; 4]) -> Tensor<4> {
    let ([batch, held, _, _], [rows, capacity, ..]) = (row.dims(), shape);
    assert_eq!(batch, 1, "spread: a cache of {batch} rows, expected 1");
    let device = row.device();
    let row = if held > capacity { row.narrow(1, 0, capacity) } else { row };
    let all = row.repeat_dim(0, rows); // [B, min(s, S), K, d]
    if held >= capacity {
        return all;
    }
    cache_write(Tensor::zeros(shape, &device), all, 0) // [B, S, K, d]
}

/// Rows of `[B, S, K, d]`.
fn selected(kept: Tensor<4>, rows: &[usize]) -> Tensor<4> {
    let [batch, ..] = kept.dims();
    let lost = rows.iter().find(|&&row| row >= batch);
    assert_eq!(lost, None, "select: a row of a cache of {batch} rows");
    let ids: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
    let data = TensorData::new(ids, [rows.len()]);
    let ids = Tensor::<1, Int>::from_data(data, &kept.device());
    kept.select(0, ids)
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
