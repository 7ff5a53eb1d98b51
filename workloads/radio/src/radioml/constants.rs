//! The numbers of `constants/radioml.toml`, where each has its source.

use assay_schema::TextError;
use serde::Deserialize;

use super::RadioMlError;

pub(super) const TEXT: &str = include_str!("../../constants/radioml.toml");
const FILE: &str = "workloads/radio/constants/radioml.toml";

/// All constants of the generator.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constants {
    /// Version of the file's format: 1.
    pub format_version: u32,
    /// A snapshot.
    pub window: Window,
    /// The run that windows are cut from.
    pub stream: Stream,
    /// Modulations with a constellation.
    pub linear: Linear,
    /// GFSK.
    pub gfsk: Gfsk,
    /// CPFSK.
    pub cpfsk: Cpfsk,
    /// WBFM.
    pub wbfm: Wbfm,
    /// AM-DSB and AM-SSB.
    pub am: Am,
    /// What analogue modulations carry.
    pub audio: Audio,
    /// Clock, carrier, fading.
    pub channel: Channel,
    /// How the mean power of a modulation is found.
    pub calibration: Calibration,
}

/// A snapshot.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Complex samples.
    pub samples: usize,
    /// Nominal rate, Hz.
    pub sample_rate_hz: f64,
}

/// The run that windows are cut from.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// Bits, or audio samples.
    pub items: usize,
    /// Bits for QAM16.
    pub items_qam16: usize,
    /// Bits for QAM64.
    pub items_qam64: usize,
    /// First sample where a window may start.
    pub first_sample: usize,
}

/// Modulations with a constellation.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// Samples a symbol, of all digital modulations.
    pub samples_per_symbol: usize,
    /// Excess bandwidth of the root-raised-cosine pulse.
    pub rolloff: f64,
    /// Its length, symbols.
    pub span_symbols: usize,
}

/// GFSK.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gfsk {
    /// Half-power bandwidth of the Gaussian x symbol time.
    pub bandwidth_time: f64,
    /// Peak deviation, rad a sample.
    pub sensitivity: f64,
    /// Length of the Gaussian, symbols.
    pub span_symbols: usize,
    /// Magnitude.
    pub amplitude: f64,
}

/// CPFSK.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cpfsk {
    /// Modulation index: a symbol turns the phase by pi times it.
    pub index: f64,
}

/// WBFM.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wbfm {
    /// Rate of the modulator, Hz.
    pub quadrature_rate_hz: f64,
    /// Deviation for an audio value of 1, Hz.
    pub deviation_hz: f64,
    /// Time constant of the pre-emphasis, seconds; 0 for none.
    pub preemphasis_s: f64,
}

/// AM-DSB and AM-SSB.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Am {
    /// Added to the audio.
    pub carrier: f64,
    /// Whether AM-SSB is noise only under [`super::Convention::Label`].
    pub ssb_silent_under_label: bool,
}

/// What analogue modulations carry.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audio {
    /// Rate of the original's audio, Hz.
    pub rate_hz: f64,
    /// Sinusoids of a window.
    pub sinusoids: usize,
    /// Lowest frequency, Hz.
    pub low_hz: f64,
    /// Where the power density begins to fall, Hz.
    pub corner_hz: f64,
    /// Highest frequency, Hz.
    pub high_hz: f64,
    /// Power density falls as frequency to minus this; above 1.
    pub slope: f64,
    /// Root mean square while speaking.
    pub rms: f64,
    /// Share of windows in a pause.
    pub pause_share: f64,
}

/// Clock, carrier, fading.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// Step of the clock offset, Hz a sample.
    pub sro_step_hz: f64,
    /// Its limit, Hz.
    pub sro_limit_hz: f64,
    /// Step of the carrier offset, Hz a sample.
    pub cfo_step_hz: f64,
    /// Its limit, Hz.
    pub cfo_limit_hz: f64,
    /// Sinusoids of a fading path.
    pub sinusoids: usize,
    /// Power of the first path's steady part over its scattered part.
    pub rician_k: f64,
    /// Delays of the paths, samples.
    pub delays_samples: Vec<f64>,
    /// Their magnitudes.
    pub magnitudes: Vec<f64>,
    /// Taps onto which they are interpolated.
    pub taps: usize,
    /// Taps of the interpolator of the clock offset.
    pub interpolator_taps: usize,
}

/// How the mean power of a modulation is found.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Windows of a modulation.
    pub windows: usize,
    /// Seed of theirs.
    pub seed: u64,
}

impl Constants {
    /// The constants that come with the crate.
    ///
    /// # Errors
    /// As [`Constants::parse`]; a test shows that there is none.
    pub fn built_in() -> Result<Self, RadioMlError> {
        Self::parse(FILE, TEXT)
    }

    /// From the text of a file.
    ///
    /// # Errors
    /// [`RadioMlError::Constants`], with the file and the line.
    pub fn parse(file: &str, text: &str) -> Result<Self, RadioMlError> {
        let constants: Self = toml::from_str(text).map_err(|error| {
            TextError::new(file, text, error.span(), error.message())
        })?;
        match constants.fault() {
            None => Ok(constants),
            Some((key, message)) => {
                let place = text.find(key).map(|at| at..at);
                Err(TextError::new(file, text, place, message).into())
            }
        }
    }

    /// The first unlawful number: its key, and what is wrong.
    fn fault(&self) -> Option<(&'static str, &'static str)> {
        let Self { window, stream, linear, audio, channel, .. } = self;
        let bits = [stream.items, stream.items_qam16, stream.items_qam64];
        // Six bits a symbol is the most that is read.
        let shortest = bits.into_iter().min().unwrap_or(0) / 6;
        let room = stream.first_sample + window.samples;
        let checks = [
            (self.format_version == 1, "format_version", "must be 1"),
            (window.samples > 0, "samples", "must not be 0"),
            (window.sample_rate_hz > 0.0, "sample_rate_hz", "must be > 0"),
            (
                linear.samples_per_symbol > 0,
                "samples_per_symbol",
                "must not be 0",
            ),
            (
                linear.rolloff > 0.0 && linear.rolloff <= 1.0,
                "rolloff",
                "must be above 0 and at most 1",
            ),
            (linear.span_symbols > 1, "span_symbols", "must be 2 or more"),
            (self.gfsk.span_symbols > 0, "[gfsk]", "span must not be 0"),
            (shortest > room, "items", "a run is shorter than a window"),
            (
                self.wbfm.quadrature_rate_hz > 0.0,
                "quadrature_rate_hz",
                "must be > 0",
            ),
            (audio.rate_hz > 0.0, "rate_hz", "must be > 0"),
            (audio.sinusoids > 0, "sinusoids", "must not be 0"),
            (
                0.0 < audio.low_hz
                    && audio.low_hz < audio.corner_hz
                    && audio.corner_hz < audio.high_hz,
                "low_hz",
                "low, corner and high must ascend from above 0",
            ),
            (audio.slope > 1.0, "slope", "must be above 1"),
            (channel.sinusoids > 0, "[channel]", "sinusoids must not be 0"),
            (
                channel.delays_samples.len() == channel.magnitudes.len()
                    && !channel.magnitudes.is_empty(),
                "delays_samples",
                "one delay for each magnitude, and one path at least",
            ),
            (channel.taps > 0, "taps", "must not be 0"),
            (
                channel.interpolator_taps > 1,
                "interpolator_taps",
                "must be 2 or more",
            ),
            (self.calibration.windows > 0, "windows", "must not be 0"),
        ];
        let (_, key, message) = checks.into_iter().find(|(ok, ..)| !ok)?;
        Some((key, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Results are only comparable while these hold. To change one, say so
    /// in the changelog, and retrain.
    #[test]
    fn the_constants_are_frozen() {
        let hash = assay_schema::fnv1a(TEXT);
        assert_eq!(hash, 0x7cac_05f1, "frozen before training: {hash:#010x}");
    }

    #[test]
    fn the_built_in_constants_are_lawful() {
        assert_eq!(Constants::built_in().unwrap().window.samples, 128);
    }

    #[test]
    fn an_unknown_key_and_an_unlawful_number_name_their_line() {
        let text = TEXT.replace("rolloff =", "roloff =");
        let error = Constants::parse("a.toml", &text).unwrap_err();
        assert!(error.to_string().contains("`rolloff`"), "{error}");
        let text = TEXT.replace("slope = 3.0", "slope = 1.0");
        let error = Constants::parse("a.toml", &text).unwrap_err().to_string();
        assert!(error.contains("must be above 1"), "{error}");
        assert!(error.starts_with("a.toml:"), "{error}");
    }
}
