//! Weight files made for a test from the golden ones.

use std::path::PathBuf;

use assay_kit::Checkpoint;
use assay_slm::Family;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

pub(crate) const FAMILIES: [(Family, &str); 4] = [
    (Family::Llama, "llama"),
    (Family::Qwen2, "qwen2"),
    (Family::GptNeox, "gpt_neox"),
    (Family::Opt, "opt"),
];

/// A tensor that a test may change.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Vec<u8>,
}

impl Entry {
    /// Multiplies the f32 values that `which` picks.
    pub(crate) fn scale(&mut self, factor: f32, which: impl Fn(usize) -> bool) {
        assert_eq!(self.dtype, Dtype::F32);
        for (i, value) in
            self.data.as_chunks_mut::<4>().0.iter_mut().enumerate()
        {
            if which(i) {
                *value = (f32::from_le_bytes(*value) * factor).to_le_bytes();
            }
        }
    }
}

pub(crate) fn golden_path(file: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "goldens", file].iter().collect()
}

pub(crate) fn read(file: &str) -> Vec<Entry> {
    let bytes = std::fs::read(golden_path(file)).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    tensors
        .iter()
        .map(|(name, view)| Entry {
            name: name.to_owned(),
            dtype: view.dtype(),
            shape: view.shape().to_vec(),
            data: view.data().to_vec(),
        })
        .collect()
}

pub(crate) fn bytes(entries: &[Entry]) -> Vec<u8> {
    let views = entries.iter().map(|entry| {
        let view =
            TensorView::new(entry.dtype, entry.shape.clone(), &entry.data);
        (entry.name.clone(), view.unwrap())
    });
    serialize(views, None).unwrap()
}

pub(crate) fn checkpoint(name: &str, entries: &[Entry]) -> Checkpoint {
    Checkpoint::from_bytes(name, bytes(entries)).unwrap()
}
