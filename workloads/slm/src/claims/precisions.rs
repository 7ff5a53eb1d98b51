//! Times by number format: how much less each format takes than `f16`, by
//! length, and what the survey says of it.
//!
//! A reduction is `100 (1 - t / t_f16)` at one length, percent. Means are over
//! lengths, with a bootstrap over them. A prediction's band widens what is
//! said of a reduction itself; a difference of two reductions keeps the
//! interval over lengths, since both come from one model of one machine.
//! What was measured here goes to `measured_formats`.

use std::collections::{BTreeMap, BTreeSet};

use assay_schema::{ClaimData, Estimate};
use assay_statistics::Bootstrap;

use super::measured_formats;
use super::readings::{JETSON, Reading, Readings, exact};
use crate::Phase;

/// The survey's model.
pub(super) const MODEL: &str = "phi-1.5";
/// Formats of the survey.
const SURVEYED: [&str; 5] = ["q8_0", "q6_k", "q5_k", "q4_k_m", "q3_k"];

/// What is computed.
#[derive(Clone, Copy, Debug)]
pub(super) enum OfPrecisions {
    /// Mean reduction of a format.
    Mean { phase: Phase, precision: &'static str },
    /// Reduction of a format at one length.
    At { phase: Phase, precision: &'static str, length: u32 },
    /// The smallest reduction of all formats at one length.
    SmallestAt { phase: Phase, length: u32 },
    /// The smallest of all formats and lengths.
    Smallest { phase: Phase },
    /// The largest of all formats and lengths.
    Largest { phase: Phase },
    /// Mean reduction of a format less that of another.
    Difference { phase: Phase, of: &'static str, less: &'static str },
    /// Mean reduction of a format less the best of the others'.
    OverOthers { phase: Phase, of: &'static str },
    /// Mean reduction at one length, over formats, less that at another.
    Shrinks { phase: Phase, from: u32, to: u32 },
    /// Mean reduction at decode, over formats, less that at prefill.
    DecodeLessPrefill,
}

/// Reductions of the formats at lengths that all have.
struct Table {
    lengths: Vec<u32>,
    /// By format, in the order of the lengths.
    by_format: BTreeMap<&'static str, Vec<f64>>,
    /// Half of a prediction's band on a logarithmic scale; 0 for others.
    half_band: f64,
}

impl Table {
    /// `None` unless every format has a length with the others and with
    /// `f16`.
    fn new(readings: &Readings, phase: Phase) -> Option<Self> {
        let half = ["f16", "bf16"]
            .into_iter()
            .map(|format| readings.curve(MODEL, phase, format, JETSON))
            .find(|curve| !curve.is_empty())?;
        let curves: Vec<_> = SURVEYED
            .iter()
            .map(|format| readings.curve(MODEL, phase, format, JETSON))
            .collect();
        let lengths: Vec<u32> = half
            .keys()
            .copied()
            .filter(|n| curves.iter().all(|curve| curve.contains_key(n)))
            .collect();
        let first = half.get(lengths.first()?)?;
        let half_band = match readings.data {
            ClaimData::Predicted => {
                0.5 * (first.value.high / first.value.point).ln()
            }
            ClaimData::Published | ClaimData::Generated | ClaimData::Real => {
                0.0
            }
        };
        let reduction = |curve: &BTreeMap<u32, &Reading>| {
            lengths
                .iter()
                .map(|n| {
                    let ratio = curve[n].value.point / half[n].value.point;
                    100.0 * (1.0 - ratio)
                })
                .collect::<Vec<f64>>()
        };
        let by_format = SURVEYED
            .iter()
            .zip(&curves)
            .map(|(format, curve)| (*format, reduction(curve)))
            .collect();
        Some(Self { lengths, by_format, half_band })
    }

    fn place(&self, length: u32) -> Option<usize> {
        self.lengths.iter().position(|n| *n == length)
    }

    /// Mean over the lengths that were picked.
    fn mean(&self, format: &str, picked: &[usize]) -> f64 {
        let Some(values) = self.by_format.get(format) else { return f64::NAN };
        let sum: f64 = picked.iter().map(|&i| values[i]).sum();
        sum / picked.len() as f64
    }

    /// Mean over formats too.
    fn mean_of_all(&self, picked: &[usize]) -> f64 {
        let sum: f64 =
            self.by_format.keys().map(|f| self.mean(f, picked)).sum();
        sum / self.by_format.len() as f64
    }

    fn everything(&self) -> impl Iterator<Item = f64> {
        self.by_format.values().flatten().copied()
    }

    /// With the band of a prediction.
    fn banded(&self, estimate: Estimate) -> Estimate {
        let ends =
            |reduction: f64, by: f64| 100.0 - (100.0 - reduction) * by.exp();
        if self.half_band > 0.0 {
            return Estimate {
                low: ends(estimate.low, self.half_band),
                high: ends(estimate.high, -self.half_band),
                confidence: 0.8,
                n: 0,
                method: format!("{}, half of the band", estimate.method),
                ..estimate
            };
        }
        estimate
    }

    /// The statistic over lengths, with a bootstrap where there are several.
    fn over_lengths(
        &self,
        name: &str,
        statistic: impl Fn(&[usize]) -> f64,
    ) -> Option<Estimate> {
        let all: Vec<usize> = (0..self.lengths.len()).collect();
        if all.len() == 1 {
            let point = statistic(&all);
            return point.is_finite().then(|| exact(point, name));
        }
        let bootstrap =
            Bootstrap { resamples: 2000, confidence: 0.95, seed: 2409 };
        bootstrap.rows(name, all.len(), statistic).ok()
    }
}

const OVER_LENGTHS: &str = "mean over lengths, bootstrap over them";

impl OfPrecisions {
    /// Its value; `None` where a format is missing.
    pub(super) fn of(&self, readings: &Readings) -> Option<Estimate> {
        if readings.is_own() {
            return self.of_measured(readings);
        }
        match *self {
            Self::Mean { phase, precision } => {
                let table = Table::new(readings, phase)?;
                let mean = table.over_lengths(OVER_LENGTHS, |rows| {
                    table.mean(precision, rows)
                })?;
                Some(table.banded(mean))
            }
            Self::At { phase, precision, length } => {
                let table = Table::new(readings, phase)?;
                let place = table.place(length)?;
                let value = *table.by_format.get(precision)?.get(place)?;
                Some(table.banded(exact(value, "at one length")))
            }
            Self::SmallestAt { phase, length } => {
                let table = Table::new(readings, phase)?;
                let place = table.place(length)?;
                let least = table
                    .by_format
                    .values()
                    .map(|values| values[place])
                    .reduce(f64::min)?;
                Some(table.banded(exact(least, "least format at one length")))
            }
            Self::Smallest { phase } => {
                let table = Table::new(readings, phase)?;
                let least = table.everything().reduce(f64::min)?;
                Some(table.banded(exact(least, "least format and length")))
            }
            Self::Largest { phase } => {
                let table = Table::new(readings, phase)?;
                let most = table.everything().reduce(f64::max)?;
                Some(table.banded(exact(most, "best format and length")))
            }
            Self::Difference { phase, of, less } => {
                let table = Table::new(readings, phase)?;
                table.over_lengths(OVER_LENGTHS, |rows| {
                    table.mean(of, rows) - table.mean(less, rows)
                })
            }
            Self::OverOthers { phase, of } => {
                let table = Table::new(readings, phase)?;
                table.over_lengths(OVER_LENGTHS, |rows| {
                    let others = table
                        .by_format
                        .keys()
                        .filter(|format| **format != of)
                        .map(|format| table.mean(format, rows))
                        .fold(f64::NEG_INFINITY, f64::max);
                    table.mean(of, rows) - others
                })
            }
            Self::Shrinks { phase, from, to } => {
                let table = Table::new(readings, phase)?;
                let (from, to) = (table.place(from)?, table.place(to)?);
                let change =
                    table.mean_of_all(&[from]) - table.mean_of_all(&[to]);
                Some(exact(change, "mean over formats at two lengths"))
            }
            Self::DecodeLessPrefill => decode_less_prefill(readings),
        }
    }

    /// Of what was measured here. `None` of statistics that name a format or
    /// a length of the survey's, which this project need not run.
    fn of_measured(&self, readings: &Readings) -> Option<Estimate> {
        match *self {
            Self::Smallest { phase } => {
                measured_formats::smallest(readings, phase)
            }
            Self::DecodeLessPrefill => {
                measured_formats::decode_less_prefill(readings)
            }
            _ => None,
        }
    }
}

/// Paired by length.
fn decode_less_prefill(readings: &Readings) -> Option<Estimate> {
    let prefill = Table::new(readings, Phase::Prefill)?;
    let decode = Table::new(readings, Phase::Decode)?;
    let both: BTreeSet<u32> = prefill
        .lengths
        .iter()
        .copied()
        .filter(|n| decode.place(*n).is_some())
        .collect();
    let changes = both
        .into_iter()
        .map(|n| {
            let change = decode.mean_of_all(&[decode.place(n)?]);
            Some(change - prefill.mean_of_all(&[prefill.place(n)?]))
        })
        .collect::<Option<Vec<f64>>>()?;
    let name = "mean over formats and lengths, bootstrap over lengths";
    match changes[..] {
        [] => None,
        [one] => Some(exact(one, name)),
        _ => {
            let bootstrap =
                Bootstrap { resamples: 2000, confidence: 0.95, seed: 2409 };
            let mean =
                |drawn: &[f64]| drawn.iter().sum::<f64>() / drawn.len() as f64;
            bootstrap.one(name, &changes, mean).ok()
        }
    }
}
