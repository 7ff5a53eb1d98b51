//! The joint fit, and what it and its like get wrong on rows held out.

use std::collections::{BTreeMap, BTreeSet};

use assay_hardware_profiles::{Architecture, Overlay};
use rayon::prelude::*;

use super::bands::{ByDevice, ByDistance, bands, rounded, widening};
use super::joint::{fit_families, fit_joint};
use super::overlay::{LEAST_ROWS as LEAST_OVERLAY, Own, PARTS, calibrate_with};
use super::rows::{Observation, Row, Unfit, rows};
use crate::PredictError;
use crate::library::{
    Distance, Entry, Fitted, FittedClass, FittedFamily, Library, Provenance,
};
use crate::models::Class;
use crate::residuals::Covariance;

/// A class with fewer rows keeps its priors.
const LEAST_ROWS: usize = 20;

/// Rows of a new device that a calibration gets to see.
const CALIBRATION_ROWS: usize = 30;

/// A row predicted by fits that had not seen it, s.
#[derive(Clone, Debug)]
pub struct HeldOut {
    /// Index of the observation.
    pub index: usize,
    /// The class that priced it.
    pub class: &'static str,
    /// Its whole family held out: joint constants.
    pub new: Option<f64>,
    /// Its device held out, others of its family not.
    pub family: Option<f64>,
    /// Its family held out but for 30 other rows of the device: an overlay.
    pub calibrated: Option<f64>,
    /// Its shape held out on every device: the device's own overlay.
    pub overlay: Option<f64>,
}

/// What [`refit`] finds.
#[derive(Clone, Debug)]
pub struct Refit {
    /// Text of `constants/fitted.toml`.
    pub constants: String,
    /// Overlays, one a device.
    pub overlays: Vec<Overlay>,
    /// Held-out predictions.
    pub held_out: Vec<HeldOut>,
    /// Observations that no class used.
    pub unfit: Vec<Unfit>,
}

/// Fits the joint constants, families' multipliers, bands and every device's
/// overlay to observations. `data` names the rows (file and digest), `command`
/// how the fit is repeated, `date` the day.
///
/// # Errors
///
/// Constants that cannot be written: a bug.
pub fn refit(
    observations: &[Observation],
    data: &str,
    command: &str,
    date: &str,
) -> Result<Refit, PredictError> {
    let library = Library::get()?;
    let (rows, unfit) = rows(observations)?;
    let id = format!("joint-{date}");
    let found: Vec<(Class, FittedClass, Vec<HeldOut>, ByDistance)> = Class::ALL
        .into_par_iter()
        .filter_map(|class| {
            let own: Vec<&Row> =
                rows.iter().filter(|row| row.class == class).collect();
            if own.len() < LEAST_ROWS {
                return None;
            }
            let (fitted, held, errors) = fit_class(library, class, &own, &id);
            Some((class, fitted, held, errors))
        })
        .collect();
    let widen: BTreeMap<Distance, f64> = Distance::ALL
        .into_iter()
        .map(|distance| {
            let errors =
                found.iter().filter_map(|(.., errors)| errors.get(&distance));
            (distance, widening(errors))
        })
        .collect();
    let mut held_out = Vec::new();
    let mut class = BTreeMap::new();
    for (name, mut fitted, held, errors) in found {
        fitted.band = bands(&errors, &widen);
        class.insert(name.name().to_owned(), fitted);
        held_out.extend(held);
    }
    let fitted = Fitted {
        format_version: 1,
        fit: Provenance {
            id,
            command: command.to_owned(),
            data: data.to_owned(),
        },
        widen,
        class,
    };
    let constants = toml::to_string(&fitted)
        .map_err(|error| PredictError::Constants(error.to_string()))?;
    let renewed = Library::with(&constants)?;
    let overlays = overlays(&renewed, observations, &rows, data, date)?;
    Ok(Refit { constants, overlays, held_out, unfit })
}

fn overlays(
    library: &Library,
    observations: &[Observation],
    rows: &[Row],
    data: &str,
    date: &str,
) -> Result<Vec<Overlay>, PredictError> {
    let mut devices: BTreeMap<&str, Vec<Observation>> = BTreeMap::new();
    for row in rows {
        let seen = observations[row.index].clone();
        devices.entry(&row.device).or_default().push(seen);
    }
    let mut overlays = Vec::new();
    for seen in devices.values() {
        // A device with too few rows of each class has none.
        match calibrate_with(library, seen, date, data) {
            Ok(calibrated) => overlays.push(calibrated.overlay),
            Err(PredictError::Calibration(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(overlays)
}

/// What a class is held out by.
#[derive(Default)]
struct Found {
    new: BTreeMap<usize, f64>,
    family: BTreeMap<usize, f64>,
    calibrated: BTreeMap<usize, f64>,
    overlay: BTreeMap<usize, f64>,
}

fn fit_class(
    library: &Library,
    class: Class,
    rows: &[&Row],
    id: &str,
) -> (FittedClass, Vec<HeldOut>, ByDistance) {
    let entry = library.entry(class);
    let joint = fit_joint(entry, rows, &entry.prior);
    let families = fit_families(entry, rows, &joint);
    let devices: BTreeSet<&str> =
        rows.iter().map(|row| row.device.as_str()).collect();
    let found = hold_out(entry, library.covariance, rows);
    let names = class.constants();
    let named = |values: &[f64]| -> BTreeMap<String, f64> {
        names
            .iter()
            .zip(values)
            .map(|(name, value)| ((*name).to_owned(), rounded(*value)))
            .collect()
    };
    let fitted = FittedClass {
        fit: id.to_owned(),
        rows: rows.len(),
        devices: devices.len(),
        values: named(&joint),
        family: families
            .iter()
            .map(|(family, (devices, times))| {
                let times = entry
                    .family
                    .iter()
                    .zip(times)
                    .map(|(&at, t)| (names[at].to_owned(), rounded(*t)))
                    .collect();
                (*family, FittedFamily { devices: *devices, times })
            })
            .collect(),
        band: BTreeMap::new(),
    };
    let held = rows
        .iter()
        .map(|row| {
            let of = |errors: &BTreeMap<usize, f64>| {
                errors.get(&row.index).map(|e| row.seconds * e.exp())
            };
            HeldOut {
                index: row.index,
                class: class.name(),
                new: of(&found.new),
                family: of(&found.family),
                calibrated: of(&found.calibrated),
                overlay: of(&found.overlay),
            }
        })
        .collect();
    let errors = [
        (Distance::Overlay, &found.overlay),
        (Distance::Family, &found.family),
        (Distance::New, &found.new),
    ]
    .into_iter()
    .map(|(distance, errors)| (distance, by_device(errors, rows)))
    .collect();
    (fitted, held, errors)
}

/// Errors of a fold as logarithms of measured over predicted, by device. Rows
/// whose source rounds them by more than a tenth say more of the rounding
/// than of the model.
fn by_device(errors: &BTreeMap<usize, f64>, rows: &[&Row]) -> ByDevice {
    let mut devices = ByDevice::new();
    for row in rows.iter().filter(|row| row.is_scored()) {
        if let Some(error) = errors.get(&row.index) {
            devices.entry(row.device.clone()).or_default().push(-error);
        }
    }
    devices
}

fn of_device<'a>(rows: &[&'a Row], device: &str) -> Vec<&'a Row> {
    rows.iter().copied().filter(|row| row.device == device).collect()
}

fn with_family(
    entry: &Entry,
    families: &BTreeMap<Architecture, (usize, Vec<f64>)>,
    joint: &[f64],
    family: Architecture,
) -> Vec<f64> {
    let mut values = joint.to_vec();
    if let Some((_, times)) = families.get(&family) {
        let pairs = entry.family.iter().copied().zip(times.iter().copied());
        entry.multiply(&mut values, pairs);
    }
    values
}

/// A fold's errors, by the index of the observation.
type Errors = Vec<(usize, f64)>;

fn hold_out(entry: &Entry, covariance: Covariance, rows: &[&Row]) -> Found {
    let families: BTreeSet<Architecture> =
        rows.iter().map(|row| row.family).collect();
    let mut found = Found::default();
    if families.len() > 1 {
        let by_family: Vec<(Errors, Errors)> = families
            .into_par_iter()
            .map(|family| without_family(entry, covariance, rows, family))
            .collect();
        for (new, calibrated) in by_family {
            found.new.extend(new);
            found.calibrated.extend(calibrated);
        }
    }
    let devices: BTreeSet<&str> =
        rows.iter().map(|row| row.device.as_str()).collect();
    let by_device: Vec<Errors> = devices
        .into_par_iter()
        .map(|device| without_device(entry, rows, device))
        .collect();
    found.family.extend(by_device.into_iter().flatten());
    let by_shape: Vec<Errors> = (0..PARTS)
        .into_par_iter()
        .map(|part| without_shapes(entry, covariance, rows, part))
        .collect();
    found.overlay.extend(by_shape.into_iter().flatten());
    found
}

/// A family held out: the joint constants' errors on it, and those of an
/// overlay from 30 rows of each of its devices on the others of that device.
fn without_family(
    entry: &Entry,
    covariance: Covariance,
    rows: &[&Row],
    family: Architecture,
) -> (Errors, Errors) {
    let (held, rest): (Vec<&Row>, Vec<&Row>) =
        rows.iter().partition(|row| row.family == family);
    if rest.len() < LEAST_ROWS {
        return (Vec::new(), Vec::new());
    }
    let values = fit_joint(entry, &rest, &entry.prior);
    let new = held.iter().map(|row| (row.index, row.error(&values))).collect();
    let devices: BTreeSet<&str> =
        held.iter().map(|row| row.device.as_str()).collect();
    let mut calibrated = Vec::new();
    for device in devices {
        let mut own = of_device(&held, device);
        own.sort_by_key(|row| (row.drawn, row.index));
        if own.len() < CALIBRATION_ROWS + 10 {
            continue;
        }
        let (seen, unseen) = own.split_at(CALIBRATION_ROWS);
        let overlay = Own::fit(entry, covariance, seen, &values);
        let errors = unseen.iter().map(|row| (row.index, overlay.error(row)));
        calibrated.extend(errors);
    }
    (new, calibrated)
}

/// A device held out of a family that keeps another: the family's constants
/// where it keeps two, else the joint ones.
fn without_device(entry: &Entry, rows: &[&Row], device: &str) -> Errors {
    let (held, rest): (Vec<&Row>, Vec<&Row>) =
        rows.iter().partition(|row| row.device == device);
    let Some(family) = held.first().map(|row| row.family) else {
        return Vec::new();
    };
    let has_sibling = rest.iter().any(|row| row.family == family);
    if !has_sibling || rest.len() < LEAST_ROWS {
        return Vec::new();
    }
    let values = fit_joint(entry, &rest, &entry.prior);
    let families = fit_families(entry, &rest, &values);
    let values = with_family(entry, &families, &values, family);
    held.iter().map(|row| (row.index, row.error(&values))).collect()
}

/// A fifth of the shapes held out on every device: the errors of each
/// device's overlay from the other four.
fn without_shapes(
    entry: &Entry,
    covariance: Covariance,
    rows: &[&Row],
    part: u32,
) -> Errors {
    let (held, rest): (Vec<&Row>, Vec<&Row>) =
        rows.iter().partition(|row| row.drawn % PARTS == part);
    if rest.len() < LEAST_ROWS {
        return Vec::new();
    }
    let values = fit_joint(entry, &rest, &entry.prior);
    let families = fit_families(entry, &rest, &values);
    let devices: BTreeSet<&str> =
        held.iter().map(|row| row.device.as_str()).collect();
    let owns: BTreeMap<&str, Own> = devices
        .iter()
        .filter_map(|device| {
            let own = of_device(&rest, device);
            (own.len() >= LEAST_OVERLAY).then(|| {
                let values =
                    with_family(entry, &families, &values, own[0].family);
                (*device, Own::fit(entry, covariance, &own, &values))
            })
        })
        .collect();
    held.iter()
        .filter_map(|row| {
            let own = owns.get(row.device.as_str())?;
            Some((row.index, own.error(row)))
        })
        .collect()
}
