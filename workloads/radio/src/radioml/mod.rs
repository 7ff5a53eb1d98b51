//! RadioML 2016: the modulations of 10a (11) and 10b (10), synthesised.
//!
//! Written from the parameters of the authors' generator (O'Shea and West,
//! "Radio Machine Learning Dataset Generation with GNU Radio", 2016; github
//! radioML/dataset), not from its code: waveform ([`Modulation`]), then clock
//! offset, carrier offset, three fading paths, then noise. All numbers stand
//! in `constants/radioml.toml`.
//!
//! What differs, each on purpose:
//!
//! * Bits are uniform. The original whitens a text with a repeating block.
//! * Audio is synthetic (see the constants): no recording is shipped.
//! * Every window has a channel of its own. The original restarts one seed
//!   each run, so that its windows share few channels.
//! * A window's channel is held still: in 128 samples the walks move 0.1 Hz
//!   and the paths 0.004 rad.
//! * The SNR convention is a parameter ([`Convention`]): the published label
//!   is not an SNR.

mod audio;
mod channel;
mod constants;
mod error;
mod generate;
mod modulation;
mod pulse;
mod waveform;

pub use constants::{
    Am, Audio, Calibration, Channel, Constants, Cpfsk, Gfsk, Linear, Stream,
    Wbfm, Window,
};
pub use error::RadioMlError;
pub use generate::{
    Convention, Parts, Request, Scale, Truth, ensemble_power, generate, parts,
};
pub use modulation::{Modulation, Set};

#[cfg(test)]
mod tests;
