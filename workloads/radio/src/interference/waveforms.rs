//! The generators of all technologies, prepared once, and the draw of a
//! packet of a class.

use super::bluetooth::Bluetooth;
use super::class::Technology;
use super::constants::{Constants, WifiFamily};
use super::dsss::Dsss;
use super::ofdm::Ofdm;
use super::packet::Packet;
use super::zigbee::Zigbee;
use crate::Random;

/// All technologies.
pub(super) struct Waveforms {
    pub(super) bluetooth: Bluetooth,
    pub(super) zigbee: Zigbee,
    pub(super) dsss: Dsss,
    pub(super) ofdm: Ofdm,
    families: Vec<WifiFamily>,
}

impl Waveforms {
    pub(super) fn new(constants: &Constants) -> Self {
        let sample_hz = constants.sampling.synthesis_hz.value;
        Self {
            bluetooth: Bluetooth::new(&constants.bluetooth, sample_hz),
            zigbee: Zigbee::new(&constants.zigbee, sample_hz),
            dsss: Dsss::new(&constants.wifi, sample_hz),
            ofdm: Ofdm::new(&constants.wifi, sample_hz),
            families: constants.wifi.families.value.clone(),
        }
    }

    /// A packet and whether it is OFDM, whose carrier is more exact.
    pub(super) fn draw(
        &self,
        technology: Technology,
        random: &mut Random,
    ) -> Drawn<'_> {
        match technology {
            Technology::Bluetooth => {
                Drawn::Bluetooth(Box::new(self.bluetooth.draw(random)))
            }
            Technology::Zigbee => {
                Drawn::Zigbee(Box::new(self.zigbee.draw(random)))
            }
            Technology::Wifi => {
                match self.families[random.below(self.families.len())] {
                    WifiFamily::Ofdm => {
                        Drawn::Ofdm(Box::new(self.ofdm.draw(random)))
                    }
                    family => {
                        let packet = self.dsss.draw(family, random);
                        Drawn::Dsss(Box::new(packet))
                    }
                }
            }
        }
    }
}

/// A packet with the standard that says how exact its carrier is.
pub(super) enum Drawn<'a> {
    Bluetooth(Box<dyn Packet + 'a>),
    Zigbee(Box<dyn Packet + 'a>),
    Dsss(Box<dyn Packet + 'a>),
    Ofdm(Box<dyn Packet + 'a>),
}

impl<'a> Drawn<'a> {
    /// The packet.
    pub(super) fn packet(&self) -> &(dyn Packet + 'a) {
        match self {
            Self::Bluetooth(packet)
            | Self::Zigbee(packet)
            | Self::Dsss(packet)
            | Self::Ofdm(packet) => packet.as_ref(),
        }
    }

    /// Greatest carrier offset on a channel, Hz.
    pub(super) fn cfo_limit_hz(
        &self,
        constants: &Constants,
        centre_hz: u64,
    ) -> f64 {
        let ppm = match self {
            Self::Bluetooth(_) => return constants.bluetooth.cfo_hz.value,
            Self::Zigbee(_) => constants.zigbee.cfo_ppm.value,
            Self::Dsss(_) => constants.wifi.chip_cfo_ppm.value,
            Self::Ofdm(_) => constants.wifi.ofdm_cfo_ppm.value,
        };
        ppm * 1e-6 * centre_hz as f64
    }
}
