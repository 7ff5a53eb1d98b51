//! Joint constants of a class, and what families move of them.

use std::collections::{BTreeMap, BTreeSet};

use assay_hardware_profiles::Architecture;

use super::rows::Row;
use super::solve::Problem;
use crate::library::Entry;

/// Expected deviation of the logarithm of a family's multiplier.
const FAMILY: f64 = 0.15;

/// Constants between their bounds as numbers without bounds, and back.
struct Bounded<'a> {
    entry: &'a Entry,
    /// Indices of what is fitted.
    fitted: Vec<usize>,
}

impl<'a> Bounded<'a> {
    fn new(entry: &'a Entry) -> Self {
        let bounds = entry.bounds.iter().enumerate();
        let fitted = bounds.filter(|(_, b)| b.is_some()).map(|(i, _)| i);
        Self { entry, fitted: fitted.collect() }
    }

    fn free(&self, values: &[f64]) -> Vec<f64> {
        self.fitted
            .iter()
            .map(|&i| {
                let (low, high) = self.entry.bounds[i].unwrap_or((0.0, 1.0));
                let share =
                    ((values[i] - low) / (high - low)).clamp(1e-3, 0.999);
                (share / (1.0 - share)).ln()
            })
            .collect()
    }

    fn values(&self, free: &[f64]) -> Vec<f64> {
        let mut values = self.entry.prior.clone();
        for (&i, z) in self.fitted.iter().zip(free) {
            let (low, high) = self.entry.bounds[i].unwrap_or((0.0, 1.0));
            values[i] = low + (high - low) / (1.0 + (-z).exp());
        }
        values
    }
}

/// Rows counted by device: each counts as the square root of its rows; the
/// mean weight is 1.
fn weights(rows: &[&Row]) -> Vec<f64> {
    let mut of_device: BTreeMap<&str, f64> = BTreeMap::new();
    for row in rows {
        *of_device.entry(&row.device).or_default() += 1.0;
    }
    let raw: Vec<f64> = rows
        .iter()
        .map(|row| row.weight / of_device[row.device.as_str()].sqrt())
        .collect();
    let sum: f64 = raw.iter().sum();
    raw.iter().map(|weight| weight * rows.len() as f64 / sum).collect()
}

/// Errors of rows whose groups deviate from common values.
fn errors(
    entry: &Entry,
    rows: &[&Row],
    group: &[usize],
    values: &[f64],
    which: &[usize],
    own: &[f64],
) -> Vec<f64> {
    let kinds = which.len();
    let groups = own.len().checked_div(kinds).unwrap_or(1).max(1);
    let of_group: Vec<Vec<f64>> = (0..groups)
        .map(|g| {
            let mut here = values.to_vec();
            let times = own.iter().skip(g * kinds).map(|log| log.exp());
            entry.multiply(&mut here, which.iter().copied().zip(times));
            here
        })
        .collect();
    rows.iter().zip(group).map(|(row, g)| row.error(&of_group[*g])).collect()
}

/// A class's joint constants on rows: the middle of the devices and sources,
/// each of which deviates in the constants that an overlay may move.
pub(super) fn fit_joint(
    entry: &Entry,
    rows: &[&Row],
    from: &[f64],
) -> Vec<f64> {
    let names: BTreeSet<&str> =
        rows.iter().map(|row| row.group.as_str()).collect();
    let number: BTreeMap<&str, usize> =
        names.iter().enumerate().map(|(i, name)| (*name, i)).collect();
    let group: Vec<usize> =
        rows.iter().map(|row| number[row.group.as_str()]).collect();
    let bounded = Bounded::new(entry);
    let (which, deviations): (Vec<usize>, Vec<f64>) =
        entry.device.iter().copied().unzip();
    let by = group.clone();
    let problem = Problem {
        common: bounded.fitted.len(),
        own: deviations,
        groups: names.len(),
        group,
        weight: weights(rows),
        prior: (
            bounded.free(&entry.prior),
            entry.prior_weight * rows.len() as f64,
        ),
        errors: Box::new(|common, own| {
            let values = bounded.values(common);
            errors(entry, rows, &by, &values, &which, own)
        }),
    };
    let (common, _) = problem.solve(&bounded.free(from));
    bounded.values(&common)
}

/// Multipliers of the constants at `which` on rows of one device or family,
/// drawn to 1 by the expected deviations of their logarithms.
fn multipliers(
    entry: &Entry,
    rows: &[&Row],
    values: &[f64],
    which: &[usize],
    deviations: Vec<f64>,
) -> Vec<f64> {
    let group = vec![0; rows.len()];
    let problem = Problem {
        common: 0,
        own: deviations,
        groups: 1,
        group: group.clone(),
        weight: rows.iter().map(|row| row.weight).collect(),
        prior: (Vec::new(), 0.0),
        errors: Box::new(|_, own| {
            errors(entry, rows, &group, values, which, own)
        }),
    };
    let (_, own) = problem.solve(&[]);
    own.into_iter().map(f64::exp).collect()
}

/// A device's multipliers, in the order of [`Entry::device`].
pub(super) fn device_multipliers(
    entry: &Entry,
    rows: &[&Row],
    values: &[f64],
) -> Vec<f64> {
    let which: Vec<usize> = entry.device.iter().map(|(at, _)| *at).collect();
    multipliers(entry, rows, values, &which, entry.overlay.clone())
}

/// Multipliers of each family that has at least two devices among the rows,
/// with the count of those.
pub(super) fn fit_families(
    entry: &Entry,
    rows: &[&Row],
    values: &[f64],
) -> BTreeMap<Architecture, (usize, Vec<f64>)> {
    let mut families: BTreeMap<Architecture, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        families.entry(row.family).or_default().push(row);
    }
    families
        .into_iter()
        .filter_map(|(family, own)| {
            let devices: BTreeSet<&str> =
                own.iter().map(|row| row.device.as_str()).collect();
            if devices.len() < 2 || entry.family.is_empty() {
                return None;
            }
            let deviations = vec![FAMILY; entry.family.len()];
            let found =
                multipliers(entry, &own, values, &entry.family, deviations);
            Some((family, (devices.len(), found)))
        })
        .collect()
}
