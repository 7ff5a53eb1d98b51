//! The interference set: ten Bluetooth, three WiFi and two Zigbee channels in
//! 10 MHz, 128 complex samples a snapshot, after arXiv 1703.00737 as used by
//! arXiv 1905.08054.
//!
//! The originals were made with signal generators and are not here; this makes
//! waveforms of the same standards. What the papers leave open is a constant
//! with its source in `constants/interference.toml`. Deliberately absent:
//! multipath, more than one signal at a time, receiver imperfections other
//! than carrier offset and filter, channel coding where random bits look the
//! same.
//!
//! ```
//! use assay_radio::interference::{
//!     Constants, Generator, Request, SnrConvention,
//! };
//!
//! let generator = Generator::new(&Constants::frozen()?)?;
//! let (snapshots, truths) = generator.set(&Request {
//!     snrs_db: vec![-10, 10],
//!     per_cell: 2,
//!     first: 0,
//!     seed: 1,
//!     convention: SnrConvention::InBand,
//! });
//! assert_eq!(snapshots.len(), 15 * 2 * 2);
//! assert_eq!(truths[0].offset_hz, -4.5e6);
//! # Ok::<(), assay_radio::interference::ConstantsError>(())
//! ```

mod bluetooth;
mod bluetooth_packets;
mod chips;
mod class;
mod constants;
mod dsss;
mod generator;
mod lowpass;
mod ofdm;
mod packet;
mod pulse;
mod spectra;
mod waveforms;
mod zigbee;

pub use class::{Class, Technology};
pub use constants::{
    BluetoothConstants, Constants, ConstantsError, Filter, OfdmModulation,
    Preamble, Sampling, Snr, Sourced, Transport, WifiConstants, WifiFamily,
    ZigbeeConstants,
};
pub use generator::{
    Generator, Request, Scale, Signal, SnrConvention, Truth, generate,
};
pub use packet::PacketPart;
