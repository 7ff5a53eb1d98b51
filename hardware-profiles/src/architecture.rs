//! Architecture families: the key under which a predictor keeps constants.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! architectures {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// A family of units that behave alike per peak and per byte.
        ///
        /// `unknown` is lawful: a predictor then falls back on constants of
        /// all families and widens its band.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord,
            Serialize, Deserialize,
        )]
        #[non_exhaustive]
        pub enum Architecture {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)+
        }

        impl Architecture {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name that files use.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

architectures! {
    /// NVIDIA, 2016; no matrix unit.
    Pascal = "pascal",
    /// NVIDIA V100.
    Volta = "volta",
    /// NVIDIA T4.
    Turing = "turing",
    /// NVIDIA A100.
    AmpereDc = "ampere-dc",
    /// NVIDIA Ampere with GDDR: RTX 30, A40, A6000.
    AmpereGeforce = "ampere-geforce",
    /// NVIDIA Orin.
    AmpereJetson = "ampere-jetson",
    /// NVIDIA RTX 40, L4, L40S.
    Ada = "ada",
    /// NVIDIA H100, H200.
    Hopper = "hopper",
    /// NVIDIA B200.
    Blackwell = "blackwell",
    /// NVIDIA RTX 50.
    BlackwellGeforce = "blackwell-geforce",
    /// AMD MI200.
    Cdna2 = "cdna2",
    /// AMD MI300.
    Cdna3 = "cdna3",
    /// Intel Arc B.
    Xe2 = "xe2",
    /// Apple GPU family 7: M1.
    Apple7 = "apple7",
    /// Apple GPU family 8: M2.
    Apple8 = "apple8",
    /// Apple GPU family 9: M3, A17 Pro.
    Apple9 = "apple9",
    /// Qualcomm GPU.
    Adreno = "adreno",
    /// Arm GPU.
    Mali = "mali",
    /// x86 CPU with 256-bit fused multiply-add.
    Avx2 = "avx2",
    /// x86 CPU with AVX-512.
    Avx512 = "avx512",
    /// x86 CPU with AVX-512 and AMX tiles.
    Amx = "amx",
    /// Arm CPU with 128-bit vectors.
    Neon = "neon",
    /// Qualcomm NPU.
    Hexagon = "hexagon",
    /// Apple Neural Engine.
    Ane = "ane",
    /// MediaTek NPU.
    Apu = "apu",
    /// NVIDIA's deep-learning accelerator in Orin.
    Nvdla = "nvdla",
    /// None of these.
    Unknown = "unknown",
}

impl Architecture {
    /// Whether it is an NVIDIA GPU with tensor cores, whose int8 rate is
    /// twice its f16 rate unless f16 accumulates at half rate.
    pub fn has_tensor_cores(self) -> bool {
        matches!(
            self,
            Self::Volta
                | Self::Turing
                | Self::AmpereDc
                | Self::AmpereGeforce
                | Self::AmpereJetson
                | Self::Ada
                | Self::Hopper
                | Self::Blackwell
                | Self::BlackwellGeforce
        )
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
