//! How straight a flow is: 0 means that one step of Euler is exact.
//!
//! Liu et al. (2209.03003, section 3.1 as quoted in the facts):
//!
//! ```text
//! S(Z) = integral over t of E || (Z1 - Z0) - v(Z_t, t) ||^2
//! ```
//!
//! Here `Z_t` is the path that Euler's method takes in N even steps, so the
//! integral is the mean over `t = i/N`, and E the mean over the batch. Since
//! `Z1 - Z0` is then the mean velocity of a path, S is the variance of its
//! velocity along the way. It nears the flow's own S as 1/N.

use super::{Field, Path, State, Times, fixed};
use crate::InstaFlowError;

/// S of a batch of paths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Straightness {
    /// S as defined: squared norms of whole samples. Grows with their size.
    pub squared_norm: f64,
    /// The same divided by the values of a sample: to compare sizes.
    pub per_value: f64,
}

/// S of the velocity `field` from noise `start`, along `steps` steps of
/// Euler's method on the straight path. Holds `steps` velocities at once.
///
/// # Errors
/// No step; a velocity that cannot be read or is not finite.
pub fn straightness<S: State>(
    steps: usize,
    start: S,
    field: &mut Field<'_, S>,
) -> Result<Straightness, InstaFlowError> {
    let times = Times::uniform(steps)?;
    let values = start.sample_values();
    let mut velocities = Vec::new();
    let mut kept = |state: &S, time: f64| {
        let velocity = field(state, time);
        velocities.push(velocity.clone());
        velocity
    };
    let end = fixed::euler(
        &Path::Straight,
        &times,
        start.clone(),
        &mut kept,
        &mut |_, _| {},
    );
    let chord = S::combine(&[(1.0, &end), (-1.0, &start)]);
    let bends = velocities.iter().map(|velocity| {
        S::combine(&[(1.0, &chord), (-1.0, velocity)]).mean_square()
    });
    let per_value = bends.sum::<f64>() / steps as f64;
    if !per_value.is_finite() {
        return Err(InstaFlowError::Sampling(
            "straightness: the velocities are not finite or, while a graph is \
             captured, not there"
                .into(),
        ));
    }
    let squared_norm = per_value * values as f64;
    Ok(Straightness { squared_norm, per_value })
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use burn::Tensor;
    use burn::tensor::Device;

    use super::super::mixture::{Mixture, noise};
    use super::*;

    #[test]
    fn a_gaussian_of_unit_deviation_bends_by_2_less_half_pi() {
        // Z_t = t m + c(t) z with c^2 = t^2 + (1 - t)^2, so that Z1 - Z0 is m
        // and v - m is c'(t) z, whose square integrates to 2 - pi / 2.
        let mixture = Mixture::single([0.7, -0.4], 1.0);
        let start = noise(40, 5);
        let found = straightness(800, start.clone(), &mut |x: &Vec<f64>, t| {
            mixture.field(&Path::Straight, x, t)
        })
        .unwrap();
        let expected = (2.0 - PI / 2.0) * start.mean_square();
        let ratio = found.per_value / expected;
        assert!((ratio - 1.0).abs() < 0.01, "{ratio}");
        let whole = found.squared_norm / found.per_value;
        assert!((whole - 80.0).abs() < 1e-9, "{whole}");
    }

    #[test]
    fn a_flow_along_chords_is_straight() {
        // X1 = 3 X0 + 2: v = X1 - X0 found back from X_t = (1 + 2t) X0 + 2t.
        let mut flow = |x: &Vec<f64>, t: f64| -> Vec<f64> {
            let start = |x: &f64| (x - 2.0 * t) / (1.0 + 2.0 * t);
            x.iter().map(|x| 2.0 * start(x) + 2.0).collect()
        };
        let found = straightness(16, noise(8, 3), &mut flow).unwrap();
        assert!(found.per_value < 1e-24, "{found:?}");
        assert!(straightness(0, noise(8, 3), &mut flow).is_err());
    }

    #[test]
    fn the_norm_of_a_batch_of_tensors_is_the_mean_over_its_samples() {
        // v = 4 t: velocities 0 and 2, their mean 1, S = 1 a value.
        let start = Tensor::<4>::zeros([5, 2, 2, 3], &Device::flex());
        let found = straightness(2, start, &mut |x: &Tensor<4>, t| {
            x.ones_like() * (4.0 * t)
        })
        .unwrap();
        assert_eq!((found.per_value, found.squared_norm), (1.0, 12.0));
    }
}
