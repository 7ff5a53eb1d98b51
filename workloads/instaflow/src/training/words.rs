//! Captions as tokens, and as states of a frozen text encoder.
//!
//! There are few captions, so both are tables: a training on a frozen encoder
//! looks states up in place of computing them again.

use assay_kit::floats;
use burn::Tensor;
use burn::tensor::{Device, Int, TensorData};

use crate::data::Caption;
use crate::steps::ids;
use crate::text::TextEncoder;
use crate::{InstaFlowError, Tokenizer};

/// Captions that the encoder sees at once.
const AT_ONCE: usize = 64;

/// Token ids of every caption, by its index, and of none.
pub(crate) struct Words {
    captions: Vec<Caption>,
    rows: Vec<Vec<i64>>,
    null: Vec<i64>,
}

impl Words {
    /// Of all captions, `positions` tokens each.
    ///
    /// # Errors
    /// Too few positions for the longest caption.
    pub(crate) fn new(positions: usize) -> Result<Self, InstaFlowError> {
        let tokenizer = Tokenizer::of_captions()?;
        let captions: Vec<Caption> = Caption::all().into_iter().collect();
        let rows = captions
            .iter()
            .map(|caption| tokenizer.encode(&caption.to_string(), positions))
            .collect::<Result<_, _>>()?;
        Ok(Self { captions, rows, null: tokenizer.null(positions) })
    }

    /// Indices of those that are trained on.
    pub(crate) fn trained(&self) -> Vec<usize> {
        let all = self.captions.iter().enumerate();
        all.filter(|(_, caption)| !caption.held_out())
            .map(|(index, _)| index)
            .collect()
    }

    /// Token ids `[B, T]`; `None` is no caption.
    pub(crate) fn batch(
        &self,
        captions: &[Option<usize>],
        device: &Device,
    ) -> Tensor<2, Int> {
        let rows: Vec<Vec<i64>> = captions
            .iter()
            .map(|caption| match caption {
                Some(index) => self.rows[*index].clone(),
                None => self.null.clone(),
            })
            .collect();
        ids(&rows, device)
    }
}

/// States of every caption, and of none, by a frozen encoder.
pub(crate) struct TextStates {
    values: Vec<f32>,
    shape: [usize; 2],
    captions: usize,
}

impl TextStates {
    /// By `encoder`, which lies on the device without gradients.
    pub(crate) fn of(encoder: &TextEncoder, words: &Words) -> Self {
        let captions = words.captions.len();
        let mut all: Vec<Option<usize>> = (0..captions).map(Some).collect();
        all.push(None);
        let (mut values, mut shape) = (Vec::new(), [0, 0]);
        for some in all.chunks(AT_ONCE) {
            let states = encoder.forward(words.batch(some, &Device::flex()));
            let [_, tokens, width] = states.dims();
            shape = [tokens, width];
            values.extend(floats(states));
        }
        Self { values, shape, captions }
    }

    /// States `[B, T, D]`; `None` is no caption.
    pub(crate) fn batch(
        &self,
        captions: &[Option<usize>],
        device: &Device,
    ) -> Tensor<3> {
        let [tokens, width] = self.shape;
        let size = tokens * width;
        let mut values = Vec::with_capacity(captions.len() * size);
        for caption in captions {
            let row = caption.unwrap_or(self.captions);
            values.extend_from_slice(&self.values[row * size..][..size]);
        }
        let data = TensorData::new(values, [captions.len(), tokens, width]);
        Tensor::from_data(data, device)
    }
}
