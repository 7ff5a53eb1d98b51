//! ggml's number formats, and which of them llama.cpp's quantiser gives to
//! which matrix.
//!
//! The rules are those of `llama_tensor_get_type` in llama.cpp of autumn 2024,
//! restated: the head one step finer, more bits for values and down
//! projections of a third of the layers and both ends, a coarser format's
//! neighbour where a row is no multiple of 256. They reproduce the published
//! weights of 22 models to 0.01 MiB (`claims/memory.csv`).

use assay_schema::Precision;

use super::shape::{Matrix, MatrixUse};

/// How a matrix is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Block {
    F32,
    F16,
    Q8_0,
    Q6K,
    Q5K,
    Q5_1,
    Q5_0,
    Q4K,
    Q4_0,
    Iq4Nl,
    Q3K,
}

/// Values of a block of the k formats.
const LONG: usize = 256;

/// Values of a block of the other quantised formats.
const SHORT: usize = 32;

impl Block {
    /// Bits a value, scales included (`ggml-common.h`: bytes of a block).
    fn bits(self) -> f64 {
        match self {
            Self::F32 => 32.0,
            Self::F16 => 16.0,
            Self::Q8_0 => 8.5,
            Self::Q6K => 6.5625,
            Self::Q5_1 => 6.0,
            Self::Q5K | Self::Q5_0 => 5.5,
            Self::Q4K | Self::Q4_0 | Self::Iq4Nl => 4.5,
            Self::Q3K => 3.4375,
        }
    }

    /// What stands in its place where rows of `columns` values do not fall
    /// into whole blocks.
    fn for_rows_of(self, columns: usize) -> Self {
        let is_whole = columns.is_multiple_of(LONG);
        let short = match self {
            Self::F32 | Self::F16 => return self,
            Self::Q6K | Self::Q5K | Self::Q4K | Self::Q3K if is_whole => {
                return self;
            }
            Self::Q6K => Self::Q8_0,
            Self::Q5K => Self::Q5_1,
            Self::Q4K => Self::Q5_0,
            Self::Q3K => Self::Iq4Nl,
            Self::Q8_0 | Self::Q5_1 | Self::Q5_0 | Self::Q4_0 | Self::Iq4Nl => {
                self
            }
        };
        if columns.is_multiple_of(SHORT) { short } else { Self::F16 }
    }
}

/// The format that a file of this precision has for most of its matrices;
/// `None` where llama.cpp has no such files.
pub(super) fn main_format(precision: Precision) -> Option<Block> {
    Some(match precision {
        Precision::F32 => Block::F32,
        Precision::F16 | Precision::Bf16 => Block::F16,
        Precision::Q8_0 => Block::Q8_0,
        Precision::Q6K => Block::Q6K,
        Precision::Q5K => Block::Q5K,
        Precision::Q4_0 => Block::Q4_0,
        Precision::Q4KM => Block::Q4K,
        Precision::Q3K => Block::Q3K,
        _ => return None,
    })
}

/// Whether layer `place` of `layers` is one of those with more bits: the first
/// and the last eighth, and every third between.
fn has_more_bits(place: usize, layers: usize) -> bool {
    let eighth = layers / 8;
    place < eighth || place >= 7 * layers / 8 || (place - eighth) % 3 == 2
}

/// Bytes of a matrix. `place` counts layers in the order of the file; `None`
/// outside the layers. `is_head` says that logits are taken with it.
pub(super) fn bytes(
    matrix: &Matrix,
    precision: Precision,
    place: Option<(usize, usize)>,
    is_head: bool,
) -> Option<f64> {
    let main = main_format(precision)?;
    let is_quantised = !matches!(main, Block::F32 | Block::F16);
    let mixed = precision == Precision::Q4KM;
    let more =
        place.is_some_and(|(place, layers)| has_more_bits(place, layers));
    let block = match matrix.used_as {
        // Converters write position tables in f32, and no quantiser takes
        // them.
        MatrixUse::Positions => Block::F32,
        _ if is_head && is_quantised && main != Block::Q8_0 => {
            if matrix.columns.is_multiple_of(LONG) {
                Block::Q6K
            } else {
                Block::Q8_0
            }
        }
        MatrixUse::Packed if mixed => Block::Q5K,
        MatrixUse::Value | MatrixUse::Down if mixed && more => Block::Q6K,
        MatrixUse::Embedding
        | MatrixUse::Head
        | MatrixUse::Packed
        | MatrixUse::Value
        | MatrixUse::Down
        | MatrixUse::Other => main,
    };
    let bits = block.for_rows_of(matrix.columns).bits();
    Some(matrix.elements() as f64 * bits / 8.0)
}

#[cfg(test)]
#[allow(
    clippy::float_cmp,
    reason = "bits of a value are exact by construction"
)]
mod tests {
    use super::*;

    fn matrix(used_as: MatrixUse, columns: usize) -> Matrix {
        Matrix { used_as, rows: 8, columns }
    }

    #[test]
    fn half_of_24_layers_have_more_bits() {
        let more: Vec<usize> =
            (0..24).filter(|&i| has_more_bits(i, 24)).collect();
        assert_eq!(more, [0, 1, 2, 5, 8, 11, 14, 17, 20, 21, 22, 23]);
    }

    #[test]
    fn a_row_that_is_no_multiple_of_256_takes_the_neighbouring_format() {
        let size = |columns| {
            let one = matrix(MatrixUse::Other, columns);
            let bytes = bytes(&one, Precision::Q4KM, Some((3, 24)), false);
            bytes.unwrap() / one.elements() as f64 * 8.0
        };
        assert_eq!(size(512), 4.5);
        assert_eq!(size(576), 5.5);
        assert_eq!(size(40), 16.0);
    }

    #[test]
    fn the_head_is_finer_than_the_rest() {
        let head = matrix(MatrixUse::Head, 256);
        let of = |precision| {
            let bytes = bytes(&head, precision, None, true);
            bytes.unwrap() / head.elements() as f64 * 8.0
        };
        assert_eq!(of(Precision::Q4_0), 6.5625);
        assert_eq!(of(Precision::Q8_0), 8.5);
        assert_eq!(of(Precision::F16), 16.0);
        assert!(bytes(&head, Precision::Fp8, None, true).is_none());
    }
}
