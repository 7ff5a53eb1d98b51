//! The modulations, their names and constellations.

use rustfft::num_complex::Complex;

/// A modulation of RadioML 2016, in the order of their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Modulation {
    /// Eight phases.
    Psk8,
    /// Amplitude modulation with carrier, both sidebands.
    AmDsb,
    /// Amplitude modulation with carrier, upper sideband; 10a only.
    AmSsb,
    /// Two phases.
    Bpsk,
    /// Frequency shift keying with continuous phase, rectangular pulse.
    Cpfsk,
    /// The same with a Gaussian pulse.
    Gfsk,
    /// Four amplitudes.
    Pam4,
    /// 4 by 4 amplitudes.
    Qam16,
    /// 8 by 8 amplitudes.
    Qam64,
    /// Four phases.
    Qpsk,
    /// Wide-band frequency modulation.
    Wbfm,
}

/// Which modulations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// The eleven of RML2016.10a.
    TenA,
    /// The ten of RML2016.10b: 10a without AM-SSB.
    TenB,
}

impl Set {
    /// Its modulations, by name: the class order of its snapshots.
    pub fn modulations(self) -> Vec<Modulation> {
        let keep = |m: &Modulation| match self {
            Self::TenA => true,
            Self::TenB => *m != Modulation::AmSsb,
        };
        Modulation::ALL.into_iter().filter(keep).collect()
    }
}

impl Modulation {
    /// All, in the order of their names.
    pub const ALL: [Self; 11] = [
        Self::Psk8,
        Self::AmDsb,
        Self::AmSsb,
        Self::Bpsk,
        Self::Cpfsk,
        Self::Gfsk,
        Self::Pam4,
        Self::Qam16,
        Self::Qam64,
        Self::Qpsk,
        Self::Wbfm,
    ];

    /// The name that the published files use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Psk8 => "8PSK",
            Self::AmDsb => "AM-DSB",
            Self::AmSsb => "AM-SSB",
            Self::Bpsk => "BPSK",
            Self::Cpfsk => "CPFSK",
            Self::Gfsk => "GFSK",
            Self::Pam4 => "PAM4",
            Self::Qam16 => "QAM16",
            Self::Qam64 => "QAM64",
            Self::Qpsk => "QPSK",
            Self::Wbfm => "WBFM",
        }
    }

    /// By its published name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.name() == name)
    }

    /// Symbols of a linear modulation, scaled to a mean magnitude (not power)
    /// of 1 as the original's mapper does; empty for the others. Mean power is
    /// therefore 0 dB for phases, +0.47 dB for QAM16, +0.54 dB for QAM64 and
    /// +0.97 dB for PAM4.
    pub fn constellation(self) -> Vec<Complex<f64>> {
        let points = match self {
            Self::Bpsk => vec![Complex::new(-1.0, 0.0), Complex::new(1.0, 0.0)],
            Self::Qpsk => square(2),
            Self::Psk8 => (0..8)
                .map(|k| {
                    let turn = f64::from(k) / 8.0;
                    Complex::from_polar(1.0, std::f64::consts::TAU * turn)
                })
                .collect(),
            Self::Pam4 => {
                levels(4).into_iter().map(|i| Complex::new(i, 0.0)).collect()
            }
            Self::Qam16 => square(4),
            Self::Qam64 => square(8),
            Self::AmDsb
            | Self::AmSsb
            | Self::Cpfsk
            | Self::Gfsk
            | Self::Wbfm => return Vec::new(),
        };
        let total: f64 = points.iter().map(|p| p.norm()).sum();
        let mean = total / points.len() as f64;
        points.into_iter().map(|p| p / mean).collect()
    }
}

/// `count` levels, two apart, about 0.
fn levels(count: i32) -> Vec<f64> {
    (0..count).map(|k| f64::from(2 * k + 1 - count)).collect()
}

fn square(side: i32) -> Vec<Complex<f64>> {
    let levels = levels(side);
    let row = |q: f64| levels.iter().map(move |&i| Complex::new(i, q));
    levels.iter().flat_map(|&q| row(q)).collect()
}
