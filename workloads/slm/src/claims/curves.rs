//! Times by length on two machines: the survey's Figure 9. Nothing is
//! predicted in its place, since the overlays of both machines were fitted to
//! Bloom-1B1, the phone's to the prefill curve itself.
//!
//! The published decode curve of the phone is an average over the tokens so
//! far of which the first took no time, `T (n - 1) / n` with a `T` that does
//! not change. It is undone before anything is said of it, except where the
//! claim is about the curve as it was drawn.

use std::collections::BTreeMap;

use assay_schema::{ClaimData, Estimate};
use assay_statistics::{Bootstrap, LineFit};

use super::readings::{FORMAT, MEIZU, Readings, exact};
use crate::Phase;

/// A model's curves on two machines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Two {
    pub(super) model: &'static str,
    pub(super) of: &'static str,
    pub(super) over: &'static str,
}

/// What is computed.
#[derive(Clone, Copy, Debug)]
pub(super) enum OfCurves {
    /// Mean over lengths of the ratio of times.
    MeanRatio { phase: Phase, two: Two },
    /// The mean ratio at prefill over that at decode.
    Edge { two: Two },
    /// Time a token of the last twenty over that of the first ten.
    Rise { model: &'static str, machine: &'static str },
    /// Scatter about a curve's own line, relative to its mean, on one machine
    /// over that on the other.
    Scatter { phase: Phase, two: Two },
}

impl OfCurves {
    /// Its value; `None` where a curve is missing.
    pub(super) fn of(&self, readings: &Readings) -> Option<Estimate> {
        match *self {
            Self::MeanRatio { phase, two } => {
                mean_of(&ratios(readings, phase, two))
            }
            Self::Edge { two } => {
                let of = |phase| ratios(readings, phase, two);
                edge(&of(Phase::Prefill), &of(Phase::Decode))
            }
            Self::Rise { model, machine } => rise(readings, model, machine),
            Self::Scatter { phase, two } => scatter(readings, phase, two),
        }
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn bootstrap() -> Bootstrap {
    Bootstrap { resamples: 2000, confidence: 0.95, seed: 2409 }
}

fn mean_of(values: &[f64]) -> Option<Estimate> {
    let name = "mean of ratios over lengths, bootstrap over them";
    match values {
        [] => None,
        [one] => Some(exact(*one, name)),
        values => bootstrap().one(name, values, mean).ok(),
    }
}

fn edge(prefill: &[f64], decode: &[f64]) -> Option<Estimate> {
    let name = "mean ratio at prefill over that at decode, bootstrap over \
                lengths";
    if prefill.len() < 2 || decode.len() < 2 {
        let ratio = mean(prefill) / mean(decode);
        return ratio.is_finite().then(|| exact(ratio, name));
    }
    let ratio = |a: &[f64], b: &[f64]| mean(a) / mean(b);
    bootstrap().two(name, prefill, decode, ratio).ok()
}

/// A curve in the survey's format, averages undone where they were taken.
fn curve(
    readings: &Readings,
    model: &str,
    phase: Phase,
    machine: &str,
) -> BTreeMap<u32, f64> {
    let is_average = readings.data == ClaimData::Published
        && phase == Phase::Decode
        && machine == MEIZU;
    readings
        .curve(model, phase, FORMAT, machine)
        .into_iter()
        .filter(|(n, _)| !is_average || *n > 1)
        .map(|(n, reading)| {
            let tokens = f64::from(n);
            let undone = if is_average { tokens / (tokens - 1.0) } else { 1.0 };
            (n, reading.value.point * undone)
        })
        .collect()
}

/// One machine's times over the other's, at the lengths that both have.
fn ratios(readings: &Readings, phase: Phase, two: Two) -> Vec<f64> {
    let of = curve(readings, two.model, phase, two.of);
    let over = curve(readings, two.model, phase, two.over);
    of.iter().filter_map(|(n, time)| Some(time / over.get(n)?)).collect()
}

fn rise(readings: &Readings, model: &str, machine: &str) -> Option<Estimate> {
    let times = curve(readings, model, Phase::Decode, machine);
    let part = |from: u32, to: u32| -> Vec<f64> {
        times.range(from..=to).map(|(_, time)| *time).collect()
    };
    bootstrap()
        .two(
            "time a token from the thirtieth on over that up to the tenth, \
             the averaging undone; bootstrap over tokens",
            &part(30, u32::MAX),
            &part(1, 10),
            |late, early| mean(late) / mean(early),
        )
        .ok()
}

/// Root mean square of the residuals of a line, over the mean.
fn scatter_of(points: &[(f64, f64)], picked: &[usize]) -> f64 {
    let x: Vec<f64> = picked.iter().map(|&i| points[i].0).collect();
    let y: Vec<f64> = picked.iter().map(|&i| points[i].1).collect();
    LineFit::new(&x, &y).map_or(f64::NAN, |fit| {
        let squares: f64 = fit.residuals.iter().map(|r| r * r).sum();
        (squares / y.len() as f64).sqrt() / mean(&y)
    })
}

fn scatter(readings: &Readings, phase: Phase, two: Two) -> Option<Estimate> {
    let of = curve(readings, two.model, phase, two.of);
    let over = curve(readings, two.model, phase, two.over);
    let both: Vec<u32> =
        of.keys().copied().filter(|n| over.contains_key(n)).collect();
    // A line through fewer says nothing of scatter.
    if both.len() < 10 {
        return None;
    }
    let points = |curve: &BTreeMap<u32, f64>| -> Vec<(f64, f64)> {
        both.iter().map(|n| (f64::from(*n), curve[n])).collect()
    };
    let (of, over) = (points(&of), points(&over));
    bootstrap()
        .rows(
            "relative scatter about its own line, ratio; bootstrap over \
             lengths",
            both.len(),
            |picked| scatter_of(&of, picked) / scatter_of(&over, picked),
        )
        .ok()
}
