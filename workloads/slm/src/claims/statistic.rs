//! What is computed of readings: comparisons of two models, and statistics
//! over all of them.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use assay_schema::{ClaimData, Estimate};
use assay_statistics::{Bootstrap, LineFit};

use super::curves::OfCurves;
use super::memory_parts;
use super::precisions::OfPrecisions;
use super::readings::{
    FITTED, FORMAT, JETSON, NEAR, Quantity, Readings, Spot, TEST_MODEL, exact,
};
use super::shapes::{self, OfShapes};
use super::sources::BROKEN_DOWN;
use crate::Phase;

/// Fewest models of which anything is said.
const LEAST_MODELS: usize = 5;
/// The survey's models have fewer parameters.
const MOST_PARAMETERS: f64 = 5e9;

/// A statistic of one kind of data.
#[derive(Clone, Copy, Debug)]
pub(super) enum Statistic {
    /// A number as it stands.
    Value(Spot),
    /// One number over another.
    Ratio { of: Spot, over: Spot },
    /// How much less one is than another, percent.
    Less { of: Spot, than: Spot },
    /// How much more one is than another, percent.
    More { of: Spot, than: Spot },
    /// One number less another, in their unit.
    Difference { of: Spot, less: Spot },
    /// The smallest share of products of the broken-down models, either phase.
    SmallestProducts,
    /// The smallest memory of all models, MiB.
    SmallestMemory,
    /// The largest.
    LargestMemory,
    /// R² of decode time on parameters less R² of prefill time.
    DecodeFitLessPrefill,
    /// R² of memory on parameters.
    MemoryFit,
    /// The smallest residual of memory on parameters of these models less the
    /// largest of all others, MiB.
    Outliers { of: &'static [&'static str] },
    /// R² of the compute buffer on width times vocabulary less R² on the
    /// vocabulary.
    Mechanism,
    /// Share of memory at a longer context, percent.
    LongContext { model: &'static str, context: u32, with_buffer: bool },
    /// Of the shapes of the survey's models.
    Shapes(OfShapes),
    /// Of times by number format.
    Precisions(OfPrecisions),
    /// Of times by length on two machines.
    Curves(OfCurves),
}

impl Statistic {
    /// Its value; `None` where the readings lack what it takes.
    pub(super) fn of(&self, readings: &Readings) -> Option<Estimate> {
        match self {
            Self::Value(spot) => Some(readings.at(spot).first()?.value.clone()),
            Self::Ratio { of, over } => ratio(readings, of, over),
            Self::Less { of, than } => Some(less(&ratio(readings, of, than)?)),
            Self::More { of, than } => Some(more(&ratio(readings, of, than)?)),
            Self::Difference { of, less } => difference(readings, of, less),
            Self::SmallestProducts => smallest_products(readings),
            Self::SmallestMemory => memory(readings, f64::min),
            Self::LargestMemory => memory(readings, f64::max),
            Self::DecodeFitLessPrefill => decode_less_prefill(readings),
            Self::MemoryFit => memory_fit(readings),
            Self::Outliers { of } => outliers(readings, of),
            Self::Mechanism => memory_parts::mechanism(),
            Self::LongContext { model, context, with_buffer } => {
                memory_parts::share_at(readings, model, *context, *with_buffer)
            }
            Self::Shapes(one) => shapes::of(*one),
            Self::Precisions(one) => one.of(readings),
            Self::Curves(one) => one.of(readings),
        }
    }
}

/// Resamples models: the claim is about models at large.
pub(super) fn over_models(
    name: &str,
    n: usize,
    statistic: impl Fn(&[usize]) -> f64,
) -> Option<Estimate> {
    let bootstrap = Bootstrap { resamples: 2000, confidence: 0.95, seed: 2409 };
    bootstrap.rows(name, n, statistic).ok()
}

/// The share of the variance of `y` that a line on `x` explains.
pub(super) fn r_squared(x: &[f64], y: &[f64]) -> f64 {
    LineFit::new(x, y).map_or(f64::NAN, |fit| fit.r_squared)
}

fn ratio(readings: &Readings, of: &Spot, over: &Spot) -> Option<Estimate> {
    let (a, b) = readings.pair(of, over)?;
    readings.over(a, b)
}

/// From a ratio, how much less than 1 it is, percent.
pub(super) fn less(ratio: &Estimate) -> Estimate {
    let percent = |ratio: f64| 100.0 * (1.0 - ratio);
    Estimate {
        point: percent(ratio.point),
        low: percent(ratio.high),
        high: percent(ratio.low),
        ..ratio.clone()
    }
}

/// From a ratio, how much more than 1 it is, percent.
fn more(ratio: &Estimate) -> Estimate {
    let percent = |ratio: f64| 100.0 * (ratio - 1.0);
    Estimate {
        point: percent(ratio.point),
        low: percent(ratio.low),
        high: percent(ratio.high),
        ..ratio.clone()
    }
}

fn difference(readings: &Readings, of: &Spot, less: &Spot) -> Option<Estimate> {
    let (a, b) = readings.pair(of, less)?;
    Some(Estimate {
        point: a.value.point - b.value.point,
        low: a.value.low - b.value.high,
        high: a.value.high - b.value.low,
        ..a.value.clone()
    })
}

fn smallest_products(readings: &Readings) -> Option<Estimate> {
    let mut shares = Vec::new();
    for model in BROKEN_DOWN {
        for (phase, near) in [(Phase::Prefill, 50), (Phase::Decode, 75)] {
            let spot = Spot {
                model,
                phase,
                quantity: Quantity::Products,
                machine: JETSON,
                near,
            };
            shares.push(readings.at(&spot).first()?.value.clone());
        }
    }
    shares.into_iter().min_by(|a, b| a.point.total_cmp(&b.point))
}

/// Times and parameters of one model.
struct Row {
    parameters: f64,
    prefill: f64,
    decode: f64,
}

/// Where times of several models may be compared: a format, a machine, tokens
/// of the prompt, tokens in the cache.
type Setting<'a> = (&'a str, &'a str, u32, u32);

/// Models with both phases, by where both were timed. Predictions leave out
/// those whose times the board's overlay was fitted to.
fn settings(readings: &Readings) -> BTreeMap<Setting<'_>, Vec<Row>> {
    let mut all: BTreeMap<Setting<'_>, Vec<Row>> = BTreeMap::new();
    for model in readings.models() {
        if readings.data == ClaimData::Predicted && FITTED.contains(&model) {
            continue;
        }
        let Some(parameters) = parameters(readings, model) else { continue };
        let prefills = times(readings, model, Phase::Prefill);
        let decodes = times(readings, model, Phase::Decode);
        for (&(precision, machine, prompt), &prefill) in &prefills {
            for (&(format, on, context), &decode) in &decodes {
                if (format, on) == (precision, machine) {
                    all.entry((precision, machine, prompt, context))
                        .or_default()
                        .push(Row { parameters, prefill, decode });
                }
            }
        }
    }
    all
}

/// Times of a model by format, machine and length, on the survey's machine or
/// where they were measured. Of a case that was read twice the first counts.
fn times<'a>(
    readings: &'a Readings,
    model: &str,
    phase: Phase,
) -> BTreeMap<(&'a str, &'a str, u32), f64> {
    let mut times = BTreeMap::new();
    for one in &readings.all {
        if one.model == model
            && one.phase == phase
            && one.quantity == Quantity::Time
            && (readings.is_own() || one.machine == JETSON)
        {
            let place =
                (one.precision.as_str(), one.machine.as_str(), one.length);
            times.entry(place).or_insert(one.value.point);
        }
    }
    times
}

/// The value of a model on the survey's machine, or on this one. The test
/// model is not of the survey.
fn value(
    readings: &Readings,
    model: &str,
    phase: Phase,
    quantity: Quantity,
    near: u32,
) -> Option<f64> {
    readings
        .all
        .iter()
        .filter(|one| {
            one.model == model
                && one.phase == phase
                && one.quantity == quantity
                && (readings.is_own() || one.machine == JETSON)
        })
        .min_by_key(|one| (one.precision != FORMAT, one.length.abs_diff(near)))
        .map(|one| one.value.point)
}

fn parameters(readings: &Readings, model: &str) -> Option<f64> {
    let of = |phase| value(readings, model, phase, Quantity::Parameters, 0);
    let count = of(Phase::Decode).or_else(|| of(Phase::Prefill))?;
    (count < MOST_PARAMETERS && model != TEST_MODEL).then_some(count)
}

/// Of the setting of most models: times in two formats, at two lengths or on
/// two machines do not lie on one line. The survey's format comes first, and
/// its lengths where the same models have several.
fn decode_less_prefill(readings: &Readings) -> Option<Estimate> {
    let ((precision, machine, prompt, context), rows) = settings(readings)
        .into_iter()
        .filter(|(_, rows)| rows.len() >= LEAST_MODELS)
        .max_by_key(|((precision, _, prompt, context), rows)| {
            let away = prompt.abs_diff(50).saturating_add(context.abs_diff(75));
            (*precision == FORMAT, rows.len(), Reverse(away))
        })?;
    let name = format!(
        "R² of decode minus R² of prefill, {precision} on {machine}, prompt \
         {prompt}, context {context}, bootstrap over models"
    );
    over_models(&name, rows.len(), |picked| {
        let column = |of: fn(&Row) -> f64| -> Vec<f64> {
            picked.iter().map(|&i| of(&rows[i])).collect()
        };
        let size = column(|row| row.parameters);
        r_squared(&size, &column(|row| row.decode))
            - r_squared(&size, &column(|row| row.prefill))
    })
}

/// Parameters in millions and memory in MiB of each model at a context of
/// about 2,048: at a short one there is no cache to speak of.
fn memory_rows(readings: &Readings) -> Vec<(String, f64, f64)> {
    let is_long = |model: &str| {
        readings.all.iter().any(|one| {
            one.model == model
                && one.quantity == Quantity::Memory
                && one.phase == Phase::Decode
                && one.length.abs_diff(2048) <= NEAR
        })
    };
    readings
        .models()
        .into_iter()
        .filter(|model| is_long(model))
        .filter_map(|model| {
            let mib =
                value(readings, model, Phase::Decode, Quantity::Memory, 2048)?;
            Some((model.to_owned(), parameters(readings, model)? / 1e6, mib))
        })
        .collect()
}

/// The smallest or the largest memory.
fn memory(
    readings: &Readings,
    choose: fn(f64, f64) -> f64,
) -> Option<Estimate> {
    let rows = memory_rows(readings);
    if rows.len() < LEAST_MODELS {
        return None;
    }
    let found = rows.iter().map(|(_, _, mib)| *mib).reduce(choose)?;
    Some(exact(found, "over the models of the figure"))
}

fn memory_fit(readings: &Readings) -> Option<Estimate> {
    let rows = memory_rows(readings);
    if rows.len() < LEAST_MODELS {
        return None;
    }
    over_models(
        "R² of memory on parameters, bootstrap over models",
        rows.len(),
        |picked| {
            let size: Vec<f64> = picked.iter().map(|&i| rows[i].1).collect();
            let memory: Vec<f64> = picked.iter().map(|&i| rows[i].2).collect();
            r_squared(&size, &memory)
        },
    )
}

fn outliers(readings: &Readings, of: &[&str]) -> Option<Estimate> {
    let rows = memory_rows(readings);
    let size: Vec<f64> = rows.iter().map(|row| row.1).collect();
    let memory: Vec<f64> = rows.iter().map(|row| row.2).collect();
    let fit = LineFit::new(&size, &memory).ok()?;
    let is_named = |row: &(String, f64, f64)| of.contains(&row.0.as_str());
    let residuals = |wanted: bool| {
        rows.iter()
            .zip(&fit.residuals)
            .filter(move |pair| is_named(pair.0) == wanted)
            .map(|(_, residual)| *residual)
    };
    if residuals(true).count() < of.len() {
        return None;
    }
    let named = residuals(true).reduce(f64::min)?;
    let others = residuals(false).reduce(f64::max)?;
    Some(exact(named - others, "residuals of a line over all models"))
}
