//! Number formats: how many bits a stored value takes, and what it computes
//! in. Block formats count their scales.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A number format, by the names that every command accepts.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[allow(missing_docs, reason = "each name is the field's own term")]
pub enum Precision {
    F64,
    F32,
    Tf32,
    F16,
    Bf16,
    Fp8,
    Int8,
    Int4,
    #[serde(rename = "q8_0")]
    Q8_0,
    #[serde(rename = "q6_k")]
    Q6K,
    #[serde(rename = "q5_k")]
    Q5K,
    #[serde(rename = "q4_0")]
    Q4_0,
    #[serde(rename = "q4_k_m")]
    Q4KM,
    #[serde(rename = "q3_k")]
    Q3K,
}

impl Precision {
    /// All of them, widest first.
    pub const ALL: [Self; 14] = [
        Self::F64,
        Self::F32,
        Self::Tf32,
        Self::F16,
        Self::Bf16,
        Self::Fp8,
        Self::Int8,
        Self::Int4,
        Self::Q8_0,
        Self::Q6K,
        Self::Q5K,
        Self::Q4_0,
        Self::Q4KM,
        Self::Q3K,
    ];

    /// The name that commands, files and tables use.
    pub fn name(self) -> &'static str {
        match self {
            Self::F64 => "f64",
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Fp8 => "fp8",
            Self::Int8 => "int8",
            Self::Int4 => "int4",
            Self::Q8_0 => "q8_0",
            Self::Q6K => "q6_k",
            Self::Q5K => "q5_k",
            Self::Q4_0 => "q4_0",
            Self::Q4KM => "q4_k_m",
            Self::Q3K => "q3_k",
        }
    }

    /// Bits that one **weight** takes in memory, scales included.
    ///
    /// Block formats as in llama.cpp's `ggml-common.h`: `q8_0` 34 bytes for
    /// 32 values, `q4_0` 18 for 32, `q6_k` 210, `q5_k` 176, `q4_k` 144 and
    /// `q3_k` 110 bytes for 256. `q4_k_m` mixes `q4_k` with `q6_k` on half of
    /// the value and down projections and on the output matrix: 4.85 bits on
    /// the average of a LLaMA-like model (llama.cpp's own quantise table).
    pub fn weight_bits(self) -> f64 {
        match self {
            Self::F64 => 64.0,
            Self::F32 | Self::Tf32 => 32.0,
            Self::F16 | Self::Bf16 => 16.0,
            Self::Fp8 | Self::Int8 => 8.0,
            Self::Int4 => 4.0 + 16.0 / 128.0, // a 16-bit scale for 128 values
            Self::Q8_0 => 34.0 * 8.0 / 32.0,
            Self::Q6K => 210.0 * 8.0 / 256.0,
            Self::Q5K => 176.0 * 8.0 / 256.0,
            Self::Q4_0 => 18.0 * 8.0 / 32.0,
            Self::Q4KM => 4.85,
            Self::Q3K => 110.0 * 8.0 / 256.0,
        }
    }

    /// Whether only weights are stored so, while activations and the KV cache
    /// keep [`Precision::compute`].
    pub fn is_weight_only(self) -> bool {
        matches!(
            self,
            Self::Int4
                | Self::Q8_0
                | Self::Q6K
                | Self::Q5K
                | Self::Q4_0
                | Self::Q4KM
                | Self::Q3K
        )
    }

    /// The format that activations are held and multiplied in: block formats
    /// compute in `f16`.
    pub fn compute(self) -> Self {
        if self.is_weight_only() { Self::F16 } else { self }
    }

    /// Bytes of one activation.
    pub fn activation_bytes(self) -> f64 {
        self.compute().weight_bits() / 8.0
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A word that names no number format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown precision `{found}`; nearest valid: `{nearest}` (one of {all})", all = names())]
pub struct ParsePrecisionError {
    /// What was written.
    pub found: String,
    /// The nearest name.
    pub nearest: &'static str,
}

fn names() -> String {
    Precision::ALL.map(Precision::name).join(", ")
}

impl FromStr for Precision {
    type Err = ParsePrecisionError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|p| p.name() == word).ok_or_else(|| {
            ParsePrecisionError {
                found: word.to_owned(),
                nearest: crate::nearest(
                    word,
                    Self::ALL.iter().map(|p| p.name()),
                )
                .unwrap_or("f32"),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_back_and_is_its_own_serde_name() {
        for precision in Precision::ALL {
            assert_eq!(precision.name().parse(), Ok(precision));
            let json = serde_json::to_string(&precision).unwrap();
            assert_eq!(json, format!("\"{precision}\""));
        }
    }

    #[test]
    fn block_formats_count_their_scales() {
        assert_eq!(Precision::Q8_0.weight_bits(), 8.5);
        assert_eq!(Precision::Q4_0.weight_bits(), 4.5);
        assert_eq!(Precision::Q4_0.activation_bytes(), 2.0);
    }

    #[test]
    fn an_unknown_name_suggests_the_nearest() {
        let error = "fp16".parse::<Precision>().unwrap_err();
        assert!(error.to_string().contains("`f16`"), "{error}");
    }
}
