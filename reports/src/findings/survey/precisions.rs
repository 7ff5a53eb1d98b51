//! The same case in several number formats: what each takes relative to f16,
//! or to the widest format where there is no f16, at the same place and the
//! same length.
//!
//! Both sides of a ratio have one provenance and one place. A measured ratio
//! has an interval (`assay_statistics::ratio_estimate`); the errors of two
//! predictions on one machine are not independent, so theirs has none.

use std::collections::{BTreeMap, BTreeSet};

use assay_schema::{Case, Estimate, Precision, Provenance};
use assay_statistics::ratio_estimate;

use super::{Quantity, Reading, exact, published_per_token, readings};
use crate::findings::RunFindings;
use crate::findings::settings::phase_rank;

/// The format that others are held against.
const USUAL_BASE: &str = "f16";

/// Axes that count tokens: of axes with as many values, one of these.
const LENGTHS: [&str; 3] = ["prompt", "context", "tokens"];

/// A model and phase at one place, in several formats.
#[derive(Clone, Debug)]
pub(crate) struct PrecisionGroup {
    pub(crate) provenance: Provenance,
    pub(crate) place: String,
    /// What all of it shares: no precision, and no axis.
    pub(crate) case: Case,
    /// Whether times are of one token of a generation.
    pub(crate) per_token: bool,
    /// The axis of whole numbers that varies most, e.g. `prompt`.
    pub(crate) axis: String,
    /// What ratios are relative to.
    pub(crate) base: String,
    /// Widest format first.
    pub(crate) curves: Vec<PrecisionCurve>,
}

/// A format along the axis.
#[derive(Clone, Debug)]
pub(crate) struct PrecisionCurve {
    pub(crate) precision: String,
    /// By size.
    pub(crate) points: Vec<Relative>,
}

/// What a format takes at one size.
#[derive(Clone, Debug)]
pub(crate) struct Relative {
    pub(crate) size: f64,
    pub(crate) reading: Reading,
    /// Over that of the base.
    pub(crate) ratio: Estimate,
}

/// Where a format stands among all, the widest first; names that are no
/// format come last.
pub(crate) fn width_rank(precision: &str) -> usize {
    Precision::ALL
        .iter()
        .position(|known| known.name() == precision)
        .unwrap_or(usize::MAX)
}

/// The format that some formats are held against.
pub(crate) fn base_of<'a>(
    precisions: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    precisions.into_iter().min_by_key(|precision| {
        (*precision != USUAL_BASE, width_rank(precision), *precision)
    })
}

/// Everything that was read in at least two formats: published first, so that
/// what is held against it follows; then measured; then predicted, in the
/// order of the plan.
pub(crate) fn precision_groups(
    runs: &[RunFindings<'_>],
    quantity: Quantity,
) -> Vec<PrecisionGroup> {
    let whole = readings(runs, quantity);
    let per_token = match quantity {
        Quantity::Time => published_per_token(runs),
        Quantity::Memory => Vec::new(),
    };
    let mut all = groups(&whole, false);
    all.extend(groups(&per_token, true));
    // Stable: within a provenance as they were.
    all.sort_by_key(|group| order(group.provenance));
    all
}

/// Published, measured, predicted.
fn order(provenance: Provenance) -> usize {
    match provenance {
        Provenance::Published => 0,
        Provenance::Measured => 1,
        Provenance::Predicted => 2,
    }
}

fn groups(all: &[Reading], per_token: bool) -> Vec<PrecisionGroup> {
    type Key = (usize, usize, String, (String, usize, String, String));
    let mut places: BTreeMap<Key, Vec<&Reading>> = BTreeMap::new();
    for one in all {
        // An operator's formats are its own axis like any other.
        let Some(phase) = one.case.phase.clone() else { continue };
        if one.precision().is_empty() {
            continue;
        }
        let case = &one.case;
        let path = (
            case.workload.clone(),
            phase_rank(&phase),
            phase,
            case.model.clone(),
        );
        places
            .entry((order(one.provenance), one.rank, one.place.clone(), path))
            .or_default()
            .push(one);
    }
    places
        .into_values()
        .flat_map(|own| along_an_axis(&own, per_token))
        .collect()
}

/// The groups of one model and phase at one place: one for each setting of
/// the axes beside precision and the axis that varies most.
fn along_an_axis(own: &[&Reading], per_token: bool) -> Vec<PrecisionGroup> {
    let Some(axis) = longest_axis(own) else { return Vec::new() };
    let mut settings: BTreeMap<Case, Vec<(f64, &Reading)>> = BTreeMap::new();
    for &one in own {
        let size = one.case.axis(&axis).and_then(size);
        let Some(size) = size else { continue };
        let mut case = one.case.clone();
        case.axes.remove("precision");
        case.axes.remove(&axis);
        settings.entry(case).or_default().push((size, one));
    }
    settings
        .into_iter()
        .filter_map(|(case, points)| {
            let formats: BTreeSet<&str> =
                points.iter().map(|(_, one)| one.precision()).collect();
            let base = base_of(formats.iter().copied())?.to_owned();
            let mut curves: Vec<PrecisionCurve> = formats
                .iter()
                .map(|precision| curve(&points, precision, &base))
                .filter(|curve| !curve.points.is_empty())
                .collect();
            curves.sort_by_key(|curve| {
                (width_rank(&curve.precision), curve.precision.clone())
            });
            let (_, first) = points.first()?;
            (curves.len() > 1).then(|| PrecisionGroup {
                provenance: first.provenance,
                place: first.place.clone(),
                case,
                per_token,
                axis: axis.clone(),
                base,
                curves,
            })
        })
        .collect()
}

/// A whole number above zero.
fn size(value: &str) -> Option<f64> {
    let size = value.parse::<u64>().ok().filter(|size| *size > 0)?;
    Some(size as f64)
}

/// The axis of whole numbers with the most values: of as many a length, then
/// the first by name.
fn longest_axis(own: &[&Reading]) -> Option<String> {
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for one in own {
        for (axis, value) in &one.case.axes {
            if axis != "precision" && size(value).is_some() {
                values.entry(axis).or_default().insert(value);
            }
        }
    }
    let longest = values
        .into_iter()
        .rev()
        .max_by_key(|(axis, values)| (values.len(), LENGTHS.contains(axis)));
    longest.map(|(axis, _)| axis.to_owned())
}

/// A format's readings over the base's of the same size.
fn curve(
    points: &[(f64, &Reading)],
    precision: &str,
    base: &str,
) -> PrecisionCurve {
    let of = |format: &str| {
        let own =
            points.iter().filter(move |(_, one)| one.precision() == format);
        own.copied().collect::<Vec<(f64, &Reading)>>()
    };
    let bases = of(base);
    let mut found: Vec<Relative> = of(precision)
        .into_iter()
        .filter_map(|(size, reading)| {
            let (_, against) = bases
                .iter()
                .find(|(other, _)| other.total_cmp(&size).is_eq())?;
            let ratio = ratio(reading, against, precision == base)?;
            Some(Relative { size, reading: reading.clone(), ratio })
        })
        .collect();
    found.sort_by(|a, b| a.size.total_cmp(&b.size));
    PrecisionCurve { precision: precision.to_owned(), points: found }
}

fn ratio(of: &Reading, over: &Reading, is_base: bool) -> Option<Estimate> {
    let point = of.value.point / over.value.point;
    if !point.is_finite() {
        return None;
    }
    let measured = of.provenance == Provenance::Measured && !is_base;
    if measured && super::has_width(&of.value) {
        // Where an interval is too wide for a ratio, the point stands alone.
        if let Ok(ratio) = ratio_estimate(&of.value, &over.value) {
            return Some(ratio);
        }
    }
    Some(exact(point, "ratio of points"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(case: &str, seconds: f64) -> Reading {
        Reading {
            provenance: Provenance::Predicted,
            rank: 0,
            place: "board:gpu".into(),
            case: case.parse().unwrap(),
            value: exact(seconds, "made up"),
        }
    }

    #[test]
    fn ratios_are_to_f16_at_the_same_length() {
        let case = |format: &str, prompt: u32| {
            format!("w/m/prefill batch=1 precision={format} prompt={prompt}")
        };
        let readings = [
            reading(&case("f32", 8), 4.0),
            reading(&case("f16", 8), 2.0),
            reading(&case("q4_0", 8), 0.5),
            reading(&case("f16", 50), 10.0),
            reading(&case("q4_0", 50), 4.0),
            reading(&case("q4_0", 99), 7.0),
        ];
        let found = groups(&readings, false);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].base.as_str(), &*found[0].axis),
            ("f16", "prompt")
        );
        let shown: Vec<(&str, Vec<f64>)> = found[0]
            .curves
            .iter()
            .map(|curve| {
                let points = curve.points.iter();
                let ratios = points.map(|point| point.ratio.point).collect();
                (curve.precision.as_str(), ratios)
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("f32", vec![2.0]),
                ("f16", vec![1.0, 1.0]),
                ("q4_0", vec![0.25, 0.4])
            ]
        );
    }

    #[test]
    fn without_f16_the_widest_format_is_the_base() {
        assert_eq!(base_of(["q4_0", "f32", "q8_0"]), Some("f32"));
        assert_eq!(base_of(["q4_0", "f32", "f16"]), Some("f16"));
        assert_eq!(base_of([]), None);
        assert!(width_rank("q8_0") < width_rank("q4_0"));
        assert_eq!(width_rank("made-up"), usize::MAX);
    }

    #[test]
    fn one_format_is_no_comparison() {
        let readings = [
            reading("w/m/decode context=8 precision=q4_0", 1.0),
            reading("w/m/decode context=9 precision=q4_0", 1.0),
        ];
        assert!(groups(&readings, false).is_empty());
    }
}
