//! Times by number format as a run measured them: how much less the formats
//! that this project runs take than 16 bits of the same model, on the same
//! device, at the same length.
//!
//! The formats, lengths and models are those that were measured, all of them:
//! what is uncertain is each time, and its interval is carried through.

use std::collections::BTreeMap;

use assay_schema::Estimate;
use assay_statistics::ratio_estimate;

use super::readings::{Quantity, Readings, TEST_MODEL};
use super::statistic::less;
use crate::Phase;

/// Formats that this project runs, beside 16 bits.
const FORMATS: [&str; 2] = ["q8_0", "q4_0"];

/// Model, device and length of times that may be compared.
type Place<'a> = (&'a str, &'a str, u32);

/// The times of one place.
struct Times<'a> {
    /// In 16 bits.
    half: &'a Estimate,
    /// In each of [`FORMATS`].
    formats: Vec<&'a Estimate>,
}

impl<'a> Times<'a> {
    /// `None` unless all formats are there.
    fn new(by_format: &BTreeMap<&str, &'a Estimate>) -> Option<Self> {
        let half = *by_format.get("f16").or_else(|| by_format.get("bf16"))?;
        let formats = FORMATS
            .iter()
            .map(|format| by_format.get(format).copied())
            .collect::<Option<Vec<_>>>()?;
        Some(Self { half, formats })
    }

    /// How much less each format takes, percent.
    fn reductions(&self) -> Vec<Estimate> {
        self.formats
            .iter()
            .filter_map(|time| ratio_estimate(time, self.half).ok())
            .map(|ratio| less(&ratio))
            .collect()
    }

    /// How much less they take in the mean, percent. The means of times come
    /// first: all formats share the time in 16 bits and its error.
    fn mean_reduction(&self) -> Option<Estimate> {
        let time = mean(&self.formats)?;
        Some(less(&ratio_estimate(&time, self.half).ok()?))
    }
}

/// The places where all formats were measured. Of a case that was measured
/// twice the first, which is the latest, counts.
fn places(readings: &Readings, phase: Phase) -> BTreeMap<Place<'_>, Times<'_>> {
    let mut times: BTreeMap<Place<'_>, BTreeMap<&str, &Estimate>> =
        BTreeMap::new();
    for one in &readings.all {
        if one.phase == phase
            && one.quantity == Quantity::Time
            && one.model != TEST_MODEL
        {
            times
                .entry((one.model.as_str(), one.machine.as_str(), one.length))
                .or_default()
                .entry(one.precision.as_str())
                .or_insert(&one.value);
        }
    }
    times
        .into_iter()
        .filter_map(|(place, of)| Some((place, Times::new(&of)?)))
        .collect()
}

/// The smallest reduction of all formats, lengths and models. Its ends are the
/// smallest ends: the smallest of several is smaller than each by chance too.
pub(super) fn smallest(readings: &Readings, phase: Phase) -> Option<Estimate> {
    let all: Vec<Estimate> =
        places(readings, phase).values().flat_map(Times::reductions).collect();
    let found = all.iter().min_by(|a, b| a.point.total_cmp(&b.point))?;
    let least = |of: fn(&Estimate) -> f64| {
        all.iter().map(of).fold(f64::INFINITY, f64::min)
    };
    Some(Estimate {
        low: least(|one| one.low),
        high: least(|one| one.high),
        method: format!("smallest of {}; {}", all.len(), found.method),
        ..found.clone()
    })
}

/// Mean reduction at decode less that at prefill, over the places that both
/// have.
pub(super) fn decode_less_prefill(readings: &Readings) -> Option<Estimate> {
    let of_prefill = places(readings, Phase::Prefill);
    let (mut decode, mut prefill) = (Vec::new(), Vec::new());
    for (place, times) in places(readings, Phase::Decode) {
        if let Some(others) = of_prefill.get(&place) {
            decode.push(times.mean_reduction()?);
            prefill.push(others.mean_reduction()?);
        }
    }
    let decode = mean(&decode.iter().collect::<Vec<_>>())?;
    let prefill = mean(&prefill.iter().collect::<Vec<_>>())?;
    let point = decode.point - prefill.point;
    let below = (decode.point - decode.low).hypot(prefill.high - prefill.point);
    let above = (decode.high - decode.point).hypot(prefill.point - prefill.low);
    Some(Estimate {
        point,
        low: point - below,
        high: point + above,
        confidence: decode.confidence.min(prefill.confidence),
        n: decode.n.min(prefill.n),
        method: format!("({}) - ({})", decode.method, prefill.method),
    })
}

/// The mean of independent estimates. How far each lies from its ends adds up
/// in squares, as in a ratio's variance recovery.
fn mean(all: &[&Estimate]) -> Option<Estimate> {
    let first = all.first()?;
    let count = all.len() as f64;
    let point = all.iter().map(|one| one.point).sum::<f64>() / count;
    let away = |end: fn(&Estimate) -> f64| {
        let squares: f64 =
            all.iter().map(|one| (one.point - end(one)).powi(2)).sum();
        squares.sqrt() / count
    };
    Some(Estimate {
        point,
        low: point - away(|one| one.low),
        high: point + away(|one| one.high),
        confidence: all
            .iter()
            .map(|one| one.confidence)
            .fold(first.confidence, f64::min),
        n: all.iter().map(|one| one.n).min()?,
        method: format!("mean of {}, the first {}", all.len(), first.method),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

    use assay_schema::ClaimData;

    use super::*;
    use crate::claims::readings::Reading;

    /// A time known to a tenth.
    fn time(
        model: &str,
        phase: Phase,
        precision: &str,
        machine: &str,
        seconds: f64,
    ) -> Reading {
        Reading {
            model: model.to_owned(),
            phase,
            precision: precision.to_owned(),
            length: 50,
            machine: machine.to_owned(),
            quantity: Quantity::Time,
            value: Estimate {
                point: seconds,
                low: 0.9 * seconds,
                high: 1.1 * seconds,
                confidence: 0.95,
                n: 20,
                method: "made by this test".to_owned(),
            },
        }
    }

    fn both(model: &str, phase: Phase, times: [f64; 3]) -> Vec<Reading> {
        ["bf16", "q8_0", "q4_0"]
            .into_iter()
            .zip(times)
            .map(|(format, s)| time(model, phase, format, "cpu", s))
            .collect()
    }

    fn measured(all: Vec<Reading>) -> Readings {
        Readings { data: ClaimData::Generated, all }
    }

    #[test]
    fn no_model_is_preferred_and_intervals_are_carried_through() {
        // The first by name gains more than the second.
        let mut all = both("a", Phase::Decode, [1.0, 0.6, 0.4]);
        all.extend(both("b", Phase::Decode, [1.0, 0.9, 0.5]));
        all.extend(both(TEST_MODEL, Phase::Decode, [1.0, 2.0, 2.0]));
        let found = smallest(&measured(all.clone()), Phase::Decode).unwrap();
        assert!((found.point - 10.0).abs() < 1e-9, "{found:?}");
        // 0.9 with two errors of a tenth: 0.9 x exp(±0.142).
        assert!((-5.0..0.0).contains(&found.low), "{found:?}");
        assert!((20.0..25.0).contains(&found.high), "{found:?}");
        assert_eq!(found.n, 20);
        // Gains of 50 and 30 at decode, 10 and 10 at prefill.
        all.extend(both("a", Phase::Prefill, [1.0, 0.9, 0.9]));
        all.extend(both("b", Phase::Prefill, [1.0, 0.9, 0.9]));
        let more = decode_less_prefill(&measured(all)).unwrap();
        assert!((more.point - 30.0).abs() < 1e-9, "{more:?}");
        assert!((5.0..25.0).contains(&more.low), "{more:?}");
        assert!((35.0..55.0).contains(&more.high), "{more:?}");
    }

    #[test]
    fn formats_of_two_devices_do_not_meet() {
        let mut all = both("a", Phase::Decode, [1.0, 0.6, 0.4]);
        all[0].machine = "cuda".to_owned();
        assert!(smallest(&measured(all), Phase::Decode).is_none());
    }
}
