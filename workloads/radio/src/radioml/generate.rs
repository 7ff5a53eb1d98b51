//! From a request to snapshots, each with the truth about it.

use std::collections::BTreeMap;

use rayon::prelude::*;
use rustfft::num_complex::Complex;

use super::RadioMlError;
use super::channel::{Channel, filter, path_taps};
use super::constants::Constants;
use super::modulation::{Modulation, Set};
use super::waveform::Modulator;
use crate::{Random, Snapshots};

/// What an SNR label means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Convention {
    /// As published: noise of amplitude `10^(-label / 10)`, so of power
    /// `10^(-label / 5)`, whatever the signal: 2 dB of SNR for a label's dB.
    #[default]
    Label,
    /// dB of mean signal power over noise power, both a sample and in the whole
    /// band; the mean is that of the modulation over all windows and channels
    /// ([`ensemble_power`]), so that a faded window has less.
    True,
}

/// How a snapshot is scaled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// Sum of magnitudes 1, as published.
    #[default]
    UnitSum,
    /// Mean power 1.
    UnitPower,
    /// As it leaves the channel: the signal's mean power is about 1.73.
    AsReceived,
}

/// What to generate.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Which modulations.
    pub modulations: Set,
    /// SNR labels, dB.
    pub snrs_db: Vec<i8>,
    /// Snapshots of each modulation at each label.
    pub per_cell: usize,
    /// Seed. A snapshot depends on it, its modulation, its label and its place
    /// in the cell only: a larger request holds a smaller one's snapshots.
    pub seed: u64,
    /// What a label means.
    pub convention: Convention,
    /// How a snapshot is scaled.
    pub scale: Scale,
}

impl Request {
    /// Labels -20, -18 to 18 dB, as published.
    pub fn published_snrs() -> Vec<i8> {
        (-20..20).step_by(2).collect()
    }
}

/// What is known about a snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    /// Its modulation.
    pub modulation: Modulation,
    /// Its label, dB.
    pub label_db: i8,
    /// First sample of the run that it would have been cut from.
    pub position: usize,
    /// Mean signal power of this window after the channel, before scaling.
    pub signal_power: f64,
    /// Power of the noise that was drawn, as set; before scaling.
    pub noise_power: f64,
    /// Carrier offset, Hz.
    pub cfo_hz: f64,
    /// Clock offset, Hz at the nominal sample rate.
    pub sro_hz: f64,
    /// Gain of each path, its magnitude included.
    pub paths: Vec<Complex<f64>>,
}

impl Truth {
    /// SNR of this window, dB a sample in the whole band; none when there is
    /// no signal (AM-SSB as published).
    pub fn snr_db(&self) -> Option<f64> {
        let ratio = self.signal_power / self.noise_power;
        (ratio > 0.0).then(|| 10.0 * ratio.log10())
    }

    /// Power gain of the channel: that of the paths together.
    pub fn power_gain(&self) -> f64 {
        self.paths.iter().map(|gain| gain.norm_sqr()).sum()
    }
}

/// Signal and noise of a snapshot, apart and not scaled.
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    /// After the channel.
    pub signal: Vec<Complex<f64>>,
    /// To be added.
    pub noise: Vec<Complex<f64>>,
    /// What is known.
    pub truth: Truth,
}

/// Mean power of a modulation after the channel: over the windows of the
/// calibration, and exactly over the fading of independent paths.
pub fn ensemble_power(modulation: Modulation, constants: &Constants) -> f64 {
    let modulator = Modulator::new(constants);
    let length = constants.window.samples + constants.channel.taps - 1;
    let responses: Vec<_> = (0..constants.channel.magnitudes.len())
        .map(|path| path_taps(&constants.channel, path))
        .collect();
    let windows = constants.calibration.windows;
    let power = |window: usize| -> f64 {
        // A bit that no snapshot has: no stream is used twice.
        let item = item(modulation, 0, window) | 1 << 63;
        let mut random = Random::new(constants.calibration.seed, item);
        let start = random.below(constants.linear.samples_per_symbol);
        let wave = modulator.wave(modulation, start, length, &mut random);
        let paths = constants.channel.magnitudes.iter().zip(&responses);
        paths.map(|(m, taps)| m * m * mean_power(&filter(taps, &wave))).sum()
    };
    // Collected first: the order of a sum must not hang on the threads.
    let powers: Vec<f64> = (0..windows).into_par_iter().map(power).collect();
    powers.iter().sum::<f64>() / windows as f64
}

/// Snapshots by modulation, then label as asked for, then place in the cell,
/// and the truth about each. The same on any number of threads.
///
/// # Errors
/// [`RadioMlError`], when nothing is asked for or a label twice.
pub fn generate(
    request: &Request,
    constants: &Constants,
) -> Result<(Snapshots, Vec<Truth>), RadioMlError> {
    check(request)?;
    let modulations = request.modulations.modulations();
    let source = Source::new(request, constants, &modulations);
    let cells = modulations.iter().enumerate().flat_map(|(class, &m)| {
        request.snrs_db.iter().map(move |&label| (class as u8, m, label))
    });
    let items: Vec<(u8, Modulation, i8, usize)> = cells
        .flat_map(|(class, m, label)| {
            (0..request.per_cell).map(move |index| (class, m, label, index))
        })
        .collect();
    let length = constants.window.samples;
    let mut iq = vec![0.0_f32; items.len() * 2 * length];
    let truths = iq
        .par_chunks_exact_mut(2 * length)
        .zip(&items)
        .map(|(values, &(_, modulation, label, index))| {
            let parts = source.parts(modulation, label, index);
            write(&parts, request.scale, values);
            parts.truth
        })
        .collect();
    let snapshots = Snapshots {
        length,
        iq,
        class: items.iter().map(|item| item.0).collect(),
        snr_db: items.iter().map(|item| item.2).collect(),
        classes: modulations.iter().map(|m| m.name().to_owned()).collect(),
    };
    Ok((snapshots, truths))
}

/// One cell of a request, signal and noise apart.
///
/// # Errors
/// As [`generate`].
pub fn parts(
    request: &Request,
    constants: &Constants,
    modulation: Modulation,
    label_db: i8,
) -> Result<Vec<Parts>, RadioMlError> {
    check(request)?;
    let source = Source::new(request, constants, &[modulation]);
    Ok((0..request.per_cell)
        .into_par_iter()
        .map(|index| source.parts(modulation, label_db, index))
        .collect())
}

fn check(request: &Request) -> Result<(), RadioMlError> {
    if request.snrs_db.is_empty() {
        return Err(RadioMlError::Empty { what: "SNR label" });
    }
    if request.per_cell == 0 {
        return Err(RadioMlError::Empty { what: "snapshot in a cell" });
    }
    for (place, &snr_db) in request.snrs_db.iter().enumerate() {
        if request.snrs_db[..place].contains(&snr_db) {
            return Err(RadioMlError::Repeated { snr_db });
        }
    }
    Ok(())
}

struct Source<'a> {
    constants: &'a Constants,
    modulator: Modulator<'a>,
    seed: u64,
    convention: Convention,
    /// Mean power by modulation; empty where the convention needs none.
    powers: BTreeMap<Modulation, f64>,
}

impl<'a> Source<'a> {
    fn new(
        request: &Request,
        constants: &'a Constants,
        modulations: &[Modulation],
    ) -> Self {
        let powers = match request.convention {
            Convention::Label => BTreeMap::new(),
            Convention::True => modulations
                .iter()
                .map(|&m| (m, ensemble_power(m, constants)))
                .collect(),
        };
        Self {
            constants,
            modulator: Modulator::new(constants),
            seed: request.seed,
            convention: request.convention,
            powers,
        }
    }

    fn parts(&self, modulation: Modulation, label: i8, index: usize) -> Parts {
        let Constants { window, channel, stream, am, .. } = self.constants;
        let item = item(modulation, label, index);
        let mut random = Random::new(self.seed, item);
        let last = run_samples(modulation, self.constants) - window.samples;
        let position =
            stream.first_sample + random.below(last - stream.first_sample);
        let met = Channel::draw(
            channel,
            window.sample_rate_hz,
            position,
            &mut random,
        );
        let length = window.samples + Channel::margin(channel);
        let wave =
            self.modulator.wave(modulation, position, length, &mut random);
        let mut signal = met.apply(&wave);
        let decibels = f64::from(label) / 10.0;
        let noise_power = match self.convention {
            Convention::Label => {
                if modulation == Modulation::AmSsb && am.ssb_silent_under_label
                {
                    signal.fill(Complex::new(0.0, 0.0));
                }
                10.0_f64.powf(-2.0 * decibels)
            }
            Convention::True => {
                self.powers[&modulation] * 10.0_f64.powf(-decibels)
            }
        };
        let noise = (0..signal.len())
            .map(|_| random.complex_normal(noise_power))
            .collect();
        let truth = Truth {
            modulation,
            label_db: label,
            position,
            signal_power: mean_power(&signal),
            noise_power,
            cfo_hz: met.cfo_hz,
            sro_hz: met.sro_hz,
            paths: met.paths,
        };
        Parts { signal, noise, truth }
    }
}

/// Samples of one run of the original.
fn run_samples(modulation: Modulation, constants: &Constants) -> usize {
    let Constants { stream, window, wbfm, audio, .. } = constants;
    let sps = constants.linear.samples_per_symbol;
    let resampled =
        |rate_hz: f64| (stream.items as f64 * rate_hz / audio.rate_hz) as usize;
    match modulation {
        Modulation::Bpsk | Modulation::Gfsk | Modulation::Cpfsk => {
            stream.items * sps
        }
        Modulation::Qpsk | Modulation::Pam4 => stream.items / 2 * sps,
        Modulation::Psk8 => stream.items / 3 * sps,
        Modulation::Qam16 => stream.items_qam16 / 4 * sps,
        Modulation::Qam64 => stream.items_qam64 / 6 * sps,
        Modulation::AmDsb | Modulation::AmSsb => {
            resampled(window.sample_rate_hz)
        }
        Modulation::Wbfm => resampled(wbfm.quadrature_rate_hz),
    }
}

/// The stream of random numbers of one snapshot.
fn item(modulation: Modulation, label: i8, index: usize) -> u64 {
    let label = u64::from(label.cast_unsigned());
    ((modulation as u64) << 48) | (label << 40) | index as u64
}

fn mean_power(samples: &[Complex<f64>]) -> f64 {
    let total: f64 = samples.iter().map(|sample| sample.norm_sqr()).sum();
    total / samples.len() as f64
}

fn write(parts: &Parts, scale: Scale, values: &mut [f32]) {
    let received: Vec<Complex<f64>> =
        parts.signal.iter().zip(&parts.noise).map(|(s, n)| s + n).collect();
    let divisor = match scale {
        Scale::UnitSum => received.iter().map(|sample| sample.norm()).sum(),
        Scale::UnitPower => mean_power(&received).sqrt(),
        Scale::AsReceived => 1.0,
    };
    for (pair, sample) in values.chunks_exact_mut(2).zip(&received) {
        pair[0] = (sample.re / divisor) as f32;
        pair[1] = (sample.im / divisor) as f32;
    }
}
