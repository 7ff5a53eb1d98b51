//! What a prediction asks of an overlay before it believes it: whether this
//! build knows its names, and how wide a band its held-out rows call for.

use std::f64::consts::FRAC_PI_2;

use assay_hardware_profiles::{Overlay, OverlayError};
use assay_schema::{Runtime, nearest};
use assay_statistics::student_quantile;

use crate::PredictError;
use crate::machine::Factors;
use crate::models::Class;

/// Refuses classes and constants that this build does not know: what is
/// misspelt would be left out without a word.
///
/// # Errors
///
/// [`PredictError::UnknownName`] with the nearest valid name.
pub(crate) fn check_names(overlay: &Overlay) -> Result<(), PredictError> {
    let runtimes = Runtime::ALL.map(Factors::class);
    for (name, own) in &overlay.classes {
        let known = Class::ALL.into_iter().find(|c| c.name() == name.as_str());
        let constants: &[&str] = match known {
            Some(class) => class.constants(),
            None if runtimes.contains(name) => &Factors::NAMES,
            None => {
                let mut valid: Vec<&str> =
                    Class::ALL.into_iter().map(Class::name).collect();
                valid.extend(runtimes.iter().map(String::as_str));
                return Err(unknown(overlay, "class", name, &valid));
            }
        };
        for constant in own.times.keys() {
            if !constants.contains(&constant.as_str()) {
                let what = format!("constant of `{name}`");
                return Err(unknown(overlay, &what, constant, constants));
            }
        }
    }
    Ok(())
}

fn unknown(
    overlay: &Overlay,
    what: &str,
    found: &str,
    valid: &[&str],
) -> PredictError {
    let nearest = nearest(found, valid.iter().copied()).unwrap_or_default();
    PredictError::UnknownName {
        what: format!(
            "{what} in the overlay of {}:{}",
            overlay.profile, overlay.unit
        ),
        found: found.to_owned(),
        nearest: nearest.to_owned(),
        valid: valid.join(", "),
    }
}

/// Natural logarithm of the half width of a band of 80 % round what an overlay
/// moved: Student's quantile of the deviation that the mean absolute error of
/// the held-out rows stands for, were the errors normal. Its degrees are one
/// fewer than the models held out (of single shapes: the rows), since each was
/// predicted from the others. `None` where nothing was held out.
pub(crate) fn held_out_band(error: &OverlayError) -> Option<f64> {
    let after = error.after.filter(|_| error.n > 0)?;
    let apart = error.models.unwrap_or(error.n);
    let degrees = apart.saturating_sub(1).max(1) as f64;
    // A normal distribution's deviation over its mean absolute deviation.
    let deviation = after * FRAC_PI_2.sqrt();
    Some((student_quantile(0.9, degrees) * deviation).ln_1p())
}
