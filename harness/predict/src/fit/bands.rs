//! Error bands: quantiles of measured over predicted on rows held out, and by
//! how much they must be widened to hold on a device that gave none of them.

use std::collections::BTreeMap;

use crate::library::{Band, Distance};

/// Fewer errors than this give no quantile.
const LEAST_ROWS: usize = 20;

/// Logarithms are at least this far out.
const LEAST: f64 = 0.03;

/// What a band is to cover.
const CONFIDENCE: f64 = 0.8;

/// `ln(measured / predicted)` of rows held out, by device.
pub(super) type ByDevice = BTreeMap<String, Vec<f64>>;

/// The same by distance.
pub(super) type ByDistance = BTreeMap<Distance, ByDevice>;

/// The quantiles 10 % and 90 %, as logarithms.
fn quantiles(logs: &mut [f64]) -> Option<(f64, f64)> {
    if logs.len() < LEAST_ROWS {
        return None;
    }
    logs.sort_by(f64::total_cmp);
    let at =
        |share: f64| logs[(share * (logs.len() - 1) as f64).round() as usize];
    let beside = (1.0 - CONFIDENCE) / 2.0;
    Some((at(beside).min(-LEAST), at(1.0 - beside).max(LEAST)))
}

/// A class's bands by distance, each logarithm times `widen`.
pub(super) fn bands(
    errors: &ByDistance,
    widen: &BTreeMap<Distance, f64>,
) -> BTreeMap<Distance, Band> {
    errors
        .iter()
        .filter_map(|(distance, devices)| {
            let mut logs: Vec<f64> =
                devices.values().flatten().copied().collect();
            let (low, high) = quantiles(&mut logs)?;
            let by = widen.get(distance).copied().unwrap_or(1.0);
            let sizes = logs.iter().map(|log| ((-log).exp() - 1.0).abs());
            let band = Band {
                low: rounded((low * by).exp()),
                high: rounded((high * by).exp()),
                n: logs.len(),
                error: rounded(sizes.sum::<f64>() / logs.len() as f64),
            };
            Some((*distance, band))
        })
        .collect()
}

/// Five significant digits.
pub(super) fn rounded(value: f64) -> f64 {
    format!("{value:.4e}").parse().unwrap_or(value)
}

/// How many rows of each device lie inside the band that all other devices of
/// the class give, times a factor; and how many rows there are.
fn covered<'a>(
    classes: impl Iterator<Item = &'a ByDevice>,
    by: f64,
) -> (usize, usize) {
    let (mut inside, mut n) = (0, 0);
    for devices in classes {
        for (device, own) in devices {
            let mut others: Vec<f64> = devices
                .iter()
                .filter(|(name, _)| *name != device)
                .flat_map(|(_, logs)| logs.iter().copied())
                .collect();
            let Some((low, high)) = quantiles(&mut others) else { continue };
            let within = |log: &&f64| (low * by..=high * by).contains(*log);
            inside += own.iter().filter(within).count();
            n += own.len();
        }
    }
    (inside, n)
}

/// The least factor, in steps of 0.02 from 1, at which bands hold on devices
/// that gave none of them.
pub(super) fn widening<'a>(
    classes: impl Iterator<Item = &'a ByDevice> + Clone,
) -> f64 {
    let mut by = 1.0;
    while by < 4.0 {
        let (inside, n) = covered(classes.clone(), by);
        if inside as f64 >= CONFIDENCE * n as f64 {
            break;
        }
        by += 0.02;
    }
    rounded(by)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LEAST_SCORED_WEIGHT;

    /// A scored row that was held out: its class, its profile, and measured
    /// over predicted by fold (new, family, calibrated, overlay).
    struct Held {
        class: String,
        profile: String,
        ratios: [Option<f64>; 4],
    }

    /// The shipped rows held out.
    fn held_out() -> Vec<Held> {
        let folder = "../../hardware-profiles/measurements";
        let read = |file: &str| {
            csv::Reader::from_path(format!("{folder}/{file}")).unwrap()
        };
        let mut measured = read("published.csv");
        let heading = measured.headers().unwrap().clone();
        let column =
            |name: &str| heading.iter().position(|h| h == name).unwrap();
        let (profile, seconds, weight) =
            (column("profile"), column("latency_s"), column("weight"));
        let rows: Vec<csv::StringRecord> =
            measured.records().map(Result::unwrap).collect();
        let mut held_out = read("held-out.csv");
        let folds = ["line", "class", "new", "family", "calibrated", "overlay"];
        assert_eq!(held_out.headers().unwrap(), &folds[..]);
        held_out
            .records()
            .map(Result::unwrap)
            .map(|held| {
                (rows[held[0].parse::<usize>().unwrap() - 2].clone(), held)
            })
            .filter(|(row, _)| {
                row[weight].parse::<f64>().unwrap() >= LEAST_SCORED_WEIGHT
            })
            .map(|(row, held)| {
                let seconds: f64 = row[seconds].parse().unwrap();
                let ratio = |at: usize| {
                    let predicted: f64 = held[at].parse().ok()?;
                    Some(seconds / predicted)
                };
                Held {
                    class: held[1].to_owned(),
                    profile: row[profile].to_owned(),
                    ratios: [2, 3, 4, 5].map(ratio),
                }
            })
            .collect()
    }

    /// The same by distance and class.
    fn shipped() -> BTreeMap<Distance, BTreeMap<String, ByDevice>> {
        let mut found: BTreeMap<_, BTreeMap<String, ByDevice>> =
            BTreeMap::new();
        for held in held_out() {
            for (at, distance) in [
                (0, Distance::New),
                (1, Distance::Family),
                (3, Distance::Overlay),
            ] {
                let Some(ratio) = held.ratios[at] else { continue };
                found
                    .entry(distance)
                    .or_default()
                    .entry(held.class.clone())
                    .or_default()
                    .entry(held.profile.clone())
                    .or_default()
                    .push(ratio.ln());
            }
        }
        found
    }

    /// The mean of |predicted / measured - 1| of each class, in %, that the
    /// shipped fit reaches on rows that it had not seen, with what was aimed
    /// at where that is met: a refit that loses it fails here. Aims that are
    /// not met are in docs/prediction.md.
    #[test]
    fn the_errors_on_rows_held_out_stay_where_they_were_aimed() {
        let rows = held_out();
        for (fold, class, most) in [
            // A new family: what 0.8, 0.8 and 3 us have on the same rows.
            (0, "matmul", 24.6),
            (0, "matmul-vector", 26.6),
            (0, "elementwise", 15.0),
            (0, "softmax", 15.0),
            (0, "layernorm", 15.0),
            (0, "attention-prefill", 15.0),
            (0, "llama-cpp-prefill", 20.0),
            // The device held out, a sibling of its family kept.
            (1, "elementwise", 15.0),
            (1, "softmax", 15.0),
            (1, "layernorm", 15.0),
            // 30 rows of the device.
            (2, "matmul", 12.0),
            (2, "matmul-vector", 12.0),
            (2, "elementwise", 15.0),
            (2, "softmax", 15.0),
            (2, "layernorm", 15.0),
            (2, "attention-prefill", 15.0),
            (2, "collective", 20.0),
            // The device's own overlay, from other shapes.
            (3, "matmul", 10.0),
            (3, "matmul-vector", 12.0),
            (3, "elementwise", 15.0),
            (3, "softmax", 15.0),
            (3, "layernorm", 15.0),
            (3, "attention-prefill", 15.0),
            (3, "collective", 20.0),
            (3, "llama-cpp-decode", 8.0),
            (3, "llama-cpp-prefill", 20.0),
        ] {
            let errors: Vec<f64> = rows
                .iter()
                .filter(|row| row.class == class)
                .filter_map(|row| row.ratios[fold])
                .map(|ratio| (1.0 / ratio - 1.0).abs() * 100.0)
                .collect();
            let mean = errors.iter().sum::<f64>() / errors.len() as f64;
            assert!(mean <= most, "{class}, fold {fold}: {mean}, aim {most}");
        }
    }

    /// Each device against a band from the other devices, widened by what the
    /// other classes need: nothing of a row or its class is in its band.
    #[test]
    fn bands_hold_75_to_85_percent_of_devices_that_gave_none_of_them() {
        for (distance, classes) in shipped() {
            let (mut inside, mut n) = (0, 0);
            for (name, own) in &classes {
                let others = classes
                    .iter()
                    .filter(|(other, _)| *other != name)
                    .map(|(_, devices)| devices);
                let by = widening(others);
                let found = covered(std::iter::once(own), by);
                inside += found.0;
                n += found.1;
            }
            let share = inside as f64 / n as f64;
            assert!(n > 500, "{distance:?} {n}");
            assert!((0.75..=0.85).contains(&share), "{distance:?} {share}");
        }
    }

    #[test]
    fn widening_makes_up_for_devices_that_differ() {
        let device = |middle: f64| -> Vec<f64> {
            (-50..=50).map(|i| middle + f64::from(i) * 1e-3).collect()
        };
        let alike: ByDevice = [("a", 0.0), ("b", 0.0), ("c", 0.0)]
            .map(|(name, middle)| (name.to_owned(), device(middle)))
            .into();
        assert!(widening(std::iter::once(&alike)) < 1.1);
        let apart: ByDevice = [("a", -0.03), ("b", 0.0), ("c", 0.03)]
            .map(|(name, middle)| (name.to_owned(), device(middle)))
            .into();
        let by = widening(std::iter::once(&apart));
        assert!(by > 1.1, "{by}");
        let (inside, n) = covered(std::iter::once(&apart), by);
        assert!(inside as f64 >= 0.8 * n as f64);
    }
}
