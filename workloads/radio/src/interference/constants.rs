//! The constants of the set: `constants/interference.toml`, every number with
//! its source. Frozen: a test knows the hash of the file.

use serde::Deserialize;

use super::{Scale, SnrConvention};

const EMBEDDED: &str = include_str!("../../constants/interference.toml");

/// A value, where it comes from, and why it is so.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Sourced<T> {
    /// The value, in the unit that the name of the field says.
    pub value: T,
    /// A document, `paper`, `standard` or `choice`.
    pub source: String,
    /// The reason, where the source alone does not tell.
    #[serde(default)]
    pub why: Option<String>,
}

/// Everything that the generator is free to choose.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Constants {
    /// Rates and lengths.
    pub sampling: Sampling,
    /// The low-pass before decimation.
    pub filter: Filter,
    /// What an SNR label means.
    pub snr: Snr,
    /// Classes `BT1` to `BT10`.
    pub bluetooth: BluetoothConstants,
    /// Classes `Zigbee1` and `Zigbee2`.
    pub zigbee: ZigbeeConstants,
    /// Classes `WiFi1` to `WiFi3`.
    pub wifi: WifiConstants,
}

/// Rates and lengths.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// Rate of synthesis, samples a second.
    pub synthesis_hz: Sourced<u64>,
    /// Rate of a snapshot, samples a second.
    pub output_hz: Sourced<u64>,
    /// Complex samples of a snapshot.
    pub snapshot: Sourced<usize>,
    /// Centre of the band, Hz.
    pub band_centre_hz: Sourced<u64>,
}

/// A windowed sinc.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Half amplitude, Hz.
    pub cutoff_hz: Sourced<f64>,
    /// Length, odd, samples of the rate of synthesis.
    pub taps: Sourced<usize>,
    /// Shape of the Kaiser window.
    pub kaiser_beta: Sourced<f64>,
}

/// What an SNR label means.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Snr {
    /// The convention, unless a request names another.
    pub convention: Sourced<SnrConvention>,
    /// Added to every label, dB.
    pub shift_db: Sourced<f64>,
    /// What has unit power in a snapshot.
    pub scale: Sourced<Scale>,
}

/// Bluetooth basic and enhanced rate.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct BluetoothConstants {
    /// Symbols a second.
    pub symbol_hz: Sourced<u64>,
    /// Width of a channel, Hz.
    pub width_hz: Sourced<f64>,
    /// Bandwidth times symbol time of the Gaussian filter.
    pub bandwidth_time: Sourced<f64>,
    /// Least modulation index.
    pub modulation_index_low: Sourced<f64>,
    /// Greatest modulation index.
    pub modulation_index_high: Sourced<f64>,
    /// Roll-off of the enhanced payload's root raised cosine.
    pub enhanced_rolloff: Sourced<f64>,
    /// Symbols on each side of its pulse.
    pub enhanced_span: Sourced<usize>,
    /// Power of the enhanced payload to the header's, dB.
    pub enhanced_gain_db: Sourced<f64>,
    /// Silence before an enhanced payload, us.
    pub guard_us: Sourced<u64>,
    /// Greatest carrier offset, Hz.
    pub cfo_hz: Sourced<f64>,
    /// Logical transports, each alike.
    pub transports: Sourced<Vec<Transport>>,
}

/// A Bluetooth logical transport.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Asynchronous data.
    Acl,
    /// Synchronous voice.
    Sco,
    /// Synchronous voice with retransmission.
    Esco,
}

/// Zigbee in the 2450 MHz band.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ZigbeeConstants {
    /// Chips a second, I and Q together.
    pub chip_hz: Sourced<u64>,
    /// Width of a channel, Hz.
    pub width_hz: Sourced<f64>,
    /// Greatest carrier offset, parts in a million of the carrier.
    pub cfo_ppm: Sourced<f64>,
}

/// WiFi 802.11b and 802.11g.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct WifiConstants {
    /// Chips a second of everything but OFDM.
    pub chip_hz: Sourced<u64>,
    /// Width of a channel, Hz.
    pub width_hz: Sourced<f64>,
    /// Roll-off of the chips' root raised cosine.
    pub chip_rolloff: Sourced<f64>,
    /// Chips on each side of a pulse.
    pub chip_span: Sourced<usize>,
    /// Families of modes, each alike.
    pub families: Sourced<Vec<WifiFamily>>,
    /// Preambles of 802.11b, each alike.
    pub preambles: Sourced<Vec<Preamble>>,
    /// Length of a payload, bytes.
    pub psdu_bytes: Sourced<usize>,
    /// Greatest carrier offset of 802.11b, parts in a million.
    pub chip_cfo_ppm: Sourced<f64>,
    /// Greatest carrier offset of OFDM, parts in a million.
    pub ofdm_cfo_ppm: Sourced<f64>,
    /// Modulations of OFDM, each alike.
    pub ofdm_modulations: Sourced<Vec<OfdmModulation>>,
}

/// Modes of WiFi that belong together.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum WifiFamily {
    /// Barker spreading, 1 and 2 Mb/s.
    Dsss,
    /// Complementary code keying, 5.5 and 11 Mb/s.
    Cck,
    /// Packet binary convolutional coding, 5.5 and 11 Mb/s.
    Pbcc,
    /// Orthogonal carriers.
    Ofdm,
}

/// A preamble of 802.11b.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Preamble {
    /// 144 us, header 48 us at 1 Mb/s.
    Long,
    /// 72 us, header 24 us at 2 Mb/s.
    Short,
}

/// Modulation of the data carriers.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum OfdmModulation {
    /// 1 bit a carrier.
    Bpsk,
    /// 2 bits.
    Qpsk,
    /// 4 bits.
    Qam16,
    /// 6 bits.
    Qam64,
}

/// What is wrong with constants.
#[derive(Debug, thiserror::Error)]
pub enum ConstantsError {
    /// Not the format.
    #[error("constants of the interference set: {0}")]
    Format(#[from] toml::de::Error),
    /// A value that the generator cannot work with.
    #[error("constants of the interference set: {name} is {found}; {rule}")]
    Value {
        /// Which.
        name: &'static str,
        /// Its value.
        found: String,
        /// What holds for it.
        rule: &'static str,
    },
}

impl Constants {
    /// The frozen ones of this crate.
    ///
    /// # Errors
    /// When the embedded file is not sound, which a test excludes.
    pub fn frozen() -> Result<Self, ConstantsError> {
        Self::parse(EMBEDDED)
    }

    /// From the text of a file.
    ///
    /// # Errors
    /// [`ConstantsError`].
    pub fn parse(text: &str) -> Result<Self, ConstantsError> {
        let constants: Self = toml::from_str(text)?;
        constants.check()?;
        Ok(constants)
    }

    /// Whether the generator can work with them.
    ///
    /// # Errors
    /// [`ConstantsError::Value`], the first that is found.
    pub fn check(&self) -> Result<(), ConstantsError> {
        self.check_sampling()?;
        self.check_pulses()?;
        self.check_lists()
    }

    fn check_sampling(&self) -> Result<(), ConstantsError> {
        let Self { sampling, filter, bluetooth, zigbee, .. } = self;
        let rate = sampling.synthesis_hz.value;
        let divides = |part: u64| part > 0 && rate.is_multiple_of(part);
        sound(
            "sampling.synthesis_hz",
            rate,
            rate > 0 && rate.is_multiple_of(20_000_000),
            "a multiple of the 20 MHz of OFDM",
        )?;
        for (name, part) in [
            ("sampling.output_hz", sampling.output_hz.value),
            ("bluetooth.symbol_hz", bluetooth.symbol_hz.value),
            ("zigbee.chip_hz", zigbee.chip_hz.value),
        ] {
            let rule = "it divides the rate of synthesis";
            sound(name, part, divides(part), rule)?;
        }
        let count = sampling.snapshot.value;
        let longest = sampling.output_hz.value as usize / 10_000;
        sound(
            "sampling.snapshot",
            count,
            (1..=longest).contains(&count),
            "from 1 sample to 100 us: the shortest packet holds it",
        )?;
        let centre = sampling.band_centre_hz.value;
        sound(
            "sampling.band_centre_hz",
            centre,
            centre.is_multiple_of(2_500),
            "a multiple of 2.5 kHz, the bins of the mean spectra",
        )?;
        sound(
            "filter.taps",
            filter.taps.value,
            filter.taps.value % 2 == 1,
            "odd: the delay is a whole number of samples",
        )?;
        let cutoff = filter.cutoff_hz.value;
        sound("filter.cutoff_hz", cutoff, cutoff > 0.0, "above 0")
    }

    fn check_pulses(&self) -> Result<(), ConstantsError> {
        let Self { bluetooth, wifi, .. } = self;
        let product = bluetooth.bandwidth_time.value;
        sound(
            "bluetooth.bandwidth_time",
            product,
            product >= 0.3,
            "at least 0.3: the pulse is cut to 3 symbols",
        )?;
        for (name, rolloff) in [
            ("bluetooth.enhanced_rolloff", bluetooth.enhanced_rolloff.value),
            ("wifi.chip_rolloff", wifi.chip_rolloff.value),
        ] {
            let fits = rolloff > 0.0 && rolloff <= 1.0;
            sound(name, rolloff, fits, "above 0, at most 1")?;
        }
        for (name, span) in [
            ("bluetooth.enhanced_span", bluetooth.enhanced_span.value),
            ("wifi.chip_span", wifi.chip_span.value),
        ] {
            sound(name, span, (1..=64).contains(&span), "from 1 to 64")?;
        }
        let chip_hz = wifi.chip_hz.value;
        sound("wifi.chip_hz", chip_hz, chip_hz > 0, "above 0")
    }

    fn check_lists(&self) -> Result<(), ConstantsError> {
        let Self { bluetooth, wifi, .. } = self;
        for (name, length) in [
            ("bluetooth.transports", bluetooth.transports.value.len()),
            ("wifi.families", wifi.families.value.len()),
            ("wifi.preambles", wifi.preambles.value.len()),
            ("wifi.ofdm_modulations", wifi.ofdm_modulations.value.len()),
        ] {
            sound(name, length, length > 0, "at least one")?;
        }
        let bytes = wifi.psdu_bytes.value;
        let rule = "from 700 to 4095: the shortest packet holds a snapshot";
        sound("wifi.psdu_bytes", bytes, (700..=4095).contains(&bytes), rule)
    }
}

fn sound(
    name: &'static str,
    found: impl ToString,
    holds: bool,
    rule: &'static str,
) -> Result<(), ConstantsError> {
    if holds {
        return Ok(());
    }
    Err(ConstantsError::Value { name, found: found.to_string(), rule })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The set of a published study is made from these bytes. Whoever changes
    /// them makes another set: name it so, in another file, and leave this
    /// hash.
    #[test]
    fn the_constants_are_frozen() {
        let hash = assay_schema::fnv1a(EMBEDDED);
        assert_eq!(format!("{hash:08x}"), "940544e2");
    }

    #[test]
    fn an_unknown_key_and_an_impossible_value_are_refused() {
        assert!(Constants::frozen().is_ok());
        let unknown = EMBEDDED.replace("[snr]", "[snr]\nspare = 1");
        let error = Constants::parse(&unknown).unwrap_err().to_string();
        assert!(error.contains("spare"), "{error}");
        let even = EMBEDDED.replace("value = 291", "value = 290");
        let error = Constants::parse(&even).unwrap_err().to_string();
        assert!(error.contains("filter.taps is 290; odd"), "{error}");
    }

    #[test]
    fn every_choice_says_why() {
        let value: toml::Table = toml::from_str(EMBEDDED).unwrap();
        let mut seen = 0;
        for (section, entries) in &value {
            for (name, entry) in entries.as_table().unwrap() {
                seen += 1;
                let source = entry["source"].as_str().unwrap();
                if source == "choice" {
                    let why = entry.get("why").and_then(|why| why.as_str());
                    assert!(why.is_some(), "{section}.{name} has no why");
                }
            }
        }
        assert!(seen > 30, "{seen}");
    }
}
