//! The 15 classes, in the order of the CRAWDAD arrays (table I of arXiv
//! 1905.08054): ten Bluetooth channels, three of WiFi, two of Zigbee.

use serde::Serialize;

/// Whose signal it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Technology {
    /// Bluetooth basic and enhanced rate.
    Bluetooth,
    /// WiFi 802.11b and 802.11g.
    Wifi,
    /// Zigbee, 802.15.4 at 2450 MHz.
    Zigbee,
}

/// A technology on a channel.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Class(u8);

/// Centre of each, Hz.
const CENTRES_HZ: [u64; 15] = [
    // Bluetooth channels 20 to 29: 2402 + k MHz
    2_422_000_000,
    2_423_000_000,
    2_424_000_000,
    2_425_000_000,
    2_426_000_000,
    2_427_000_000,
    2_428_000_000,
    2_429_000_000,
    2_430_000_000,
    2_431_000_000,
    // WiFi channels 3 to 5; the last lies outside the band
    2_422_000_000,
    2_427_000_000,
    2_432_000_000,
    // Zigbee channels 15 and 16: 2405 + 5 (k - 11) MHz
    2_425_000_000,
    2_430_000_000,
];

impl Class {
    /// How many.
    pub const COUNT: usize = CENTRES_HZ.len();

    /// The class of an index; `None` from 15 on.
    pub fn new(index: usize) -> Option<Self> {
        (index < Self::COUNT).then_some(Self(index as u8))
    }

    /// All, in order.
    pub fn all() -> impl ExactSizeIterator<Item = Self> {
        (0..Self::COUNT as u8).map(Self)
    }

    /// Its place, from 0.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// `BT1` to `BT10`, `WiFi1` to `WiFi3`, `Zigbee1`, `Zigbee2`.
    pub fn name(self) -> String {
        match self.0 {
            place @ 0..=9 => format!("BT{}", place + 1),
            place @ 10..=12 => format!("WiFi{}", place - 9),
            place => format!("Zigbee{}", place - 12),
        }
    }

    /// Whose signal it is.
    pub fn technology(self) -> Technology {
        match self.0 {
            0..=9 => Technology::Bluetooth,
            10..=12 => Technology::Wifi,
            _ => Technology::Zigbee,
        }
    }

    /// Centre of the channel, Hz.
    pub fn centre_hz(self) -> u64 {
        CENTRES_HZ[self.index()]
    }

    /// Centre of the channel from the centre of the band, Hz.
    pub fn offset_hz(self, band_centre_hz: u64) -> f64 {
        self.centre_hz() as f64 - band_centre_hz as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_classes_are_those_of_the_published_table() {
        let offsets: Vec<f64> =
            Class::all().map(|c| c.offset_hz(2_426_500_000) / 1e6).collect();
        let bluetooth = [-4.5, -3.5, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5, 4.5];
        assert_eq!(offsets[..10], bluetooth);
        assert_eq!(offsets[10..], [-4.5, 0.5, 5.5, -1.5, 3.5]);
        let names: Vec<String> = Class::all().map(Class::name).collect();
        assert_eq!(names[0], "BT1");
        assert_eq!(names[9..12], ["BT10", "WiFi1", "WiFi2"]);
        assert_eq!(names[12..], ["WiFi3", "Zigbee1", "Zigbee2"]);
        assert_eq!(Class::new(14).map(Class::index), Some(14));
        assert_eq!(Class::new(15), None);
    }
}
