//! `rk45`: the pair of Runge-Kutta methods of orders 5 and 4 of Dormand and
//! Prince (*A family of embedded Runge-Kutta formulae*, 1980), with steps as
//! long as a tolerance lets them be.
//!
//! Control of the step and choice of the first one follow Hairer, Norsett and
//! Wanner, *Solving Ordinary Differential Equations I*, section II.4. The
//! norm of the error is taken over the whole batch, as when the papers hand
//! a batch to SciPy's `RK45`; so the steps of one picture depend on the
//! others beside it.

use super::{Field, Path, See, State};
use crate::InstaFlowError;

/// Absolute error allowed in a step, in units of the state (on the diffusion
/// path of the state over alpha).
pub const RK45_ABSOLUTE: f64 = 1e-5;

/// Error allowed in a step as a share of the state.
pub const RK45_RELATIVE: f64 = 1e-5;

/// Calls after which `rk45` gives up.
pub const RK45_MOST_EVALUATIONS: usize = 100_000;

/// How far a step of `rk45` may be from the true one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// In units of the state.
    pub absolute: f64,
    /// As a share of the state.
    pub relative: f64,
}

impl Default for Tolerance {
    /// [`RK45_ABSOLUTE`] and [`RK45_RELATIVE`].
    fn default() -> Self {
        Self { absolute: RK45_ABSOLUTE, relative: RK45_RELATIVE }
    }
}

/// Where in a step each slope after the first is taken, as a share of it.
const NODES: [f64; 6] = [0.2, 0.3, 0.8, 8.0 / 9.0, 1.0, 1.0];

/// What each of them is taken at: factors of the slopes before it. The last
/// row is the step itself.
const STAGES: [&[f64]; 6] = [
    &[0.2],
    &[3.0 / 40.0, 9.0 / 40.0],
    &[44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0],
    &[
        19_372.0 / 6_561.0,
        -25_360.0 / 2_187.0,
        64_448.0 / 6_561.0,
        -212.0 / 729.0,
    ],
    &[
        9_017.0 / 3_168.0,
        -355.0 / 33.0,
        46_732.0 / 5_247.0,
        49.0 / 176.0,
        -5_103.0 / 18_656.0,
    ],
    &[
        35.0 / 384.0,
        0.0,
        500.0 / 1_113.0,
        125.0 / 192.0,
        -2_187.0 / 6_784.0,
        11.0 / 84.0,
    ],
];

/// The step of order 5 less that of order 4.
const ERROR: [f64; 7] = [
    71.0 / 57_600.0,
    0.0,
    -71.0 / 16_695.0,
    71.0 / 1_920.0,
    -17_253.0 / 339_200.0,
    22.0 / 525.0,
    -1.0 / 40.0,
];

/// A step is this much shorter than the error would just allow.
const SAFETY: f64 = 0.9;
const LEAST_FACTOR: f64 = 0.2;
const MOST_FACTOR: f64 = 10.0;

/// Follows `field` from the state `start` at the first of the times `ends`
/// to the second.
///
/// # Errors
/// Values that cannot be read (a graph is being captured) or are not finite;
/// steps that would have to be shorter than numbers are apart; more than
/// [`RK45_MOST_EVALUATIONS`] calls.
pub fn rk45<S: State>(
    path: &Path,
    ends: [f64; 2],
    tolerance: Tolerance,
    start: S,
    field: &mut Field<'_, S>,
    see: &mut See<'_, S>,
) -> Result<S, InstaFlowError> {
    see(ends[0], &start);
    let [first, last] = ends.map(|time| path.clock(time));
    let direction = (last - first).signum();
    let mut evaluations = 0;
    let mut slope = |clock: f64, point: &S| {
        evaluations += 1;
        // Rounding must not ask for a time beyond the ends.
        let time = path.time(clock).clamp(ends[0], ends[1]);
        let value = field(&S::combine(&[(path.scale(clock), point)]), time);
        (value, evaluations)
    };
    let mut here = first;
    let mut point = S::combine(&[(path.scale(first).recip(), &start)]);
    let (mut head, _) = slope(here, &point);
    let mut size = {
        let guess = first_guess(&point, &head, tolerance)?;
        let guess = guess.min((last - first).abs());
        let ahead = S::combine(&[(1.0, &point), (direction * guess, &head)]);
        let (after, _) = slope(here + direction * guess, &ahead);
        refined(guess, &point, [&head, &after], tolerance)
    };
    let mut was_refused = false;
    loop {
        let left = (last - here).abs();
        // Rounding must not leave a sliver for a step of its own.
        let is_last = size >= left * (1.0 - 1e-9);
        let next = if is_last { last } else { here + direction * size };
        let taken = next - here;
        let mut calls = 0;
        let at_share = |share: f64, at: &S| {
            let (value, count) = slope(here + share * taken, at);
            calls = count;
            value
        };
        let (to, error, tail) = attempt(taken, &point, head.clone(), at_share);
        let norm = S::error_norm(
            &error,
            &point,
            &to,
            tolerance.absolute,
            tolerance.relative,
        );
        if norm <= 1.0 {
            let state = S::combine(&[(path.scale(next), &to)]);
            let time = if is_last { ends[1] } else { path.time(next) };
            see(time, &state);
            if is_last {
                return Ok(state);
            }
            (here, point, head) = (next, to, tail);
            let most = if was_refused { 1.0 } else { MOST_FACTOR };
            size = taken.abs() * factor(norm).min(most);
            was_refused = false;
        } else {
            size = taken.abs() * factor(norm);
            was_refused = true;
        }
        if size < 10.0 * f64::EPSILON * here.abs().max(last.abs()) {
            return Err(gave_up(path.time(here), "no step is short enough"));
        }
        if calls >= RK45_MOST_EVALUATIONS {
            let why = format!("{calls} calls of the field did not do");
            return Err(gave_up(path.time(here), &why));
        }
    }
}

/// One step of width `taken`: where it leads, its error and the slope there.
fn attempt<S: State>(
    taken: f64,
    point: &S,
    head: S,
    mut slope: impl FnMut(f64, &S) -> S,
) -> (S, S, S) {
    let mut slopes = vec![head];
    let mut to = point.clone();
    for (row, node) in STAGES.iter().zip(NODES) {
        let mut terms = vec![(1.0, point)];
        let weighted = row.iter().map(|factor| taken * factor);
        terms.extend(weighted.zip(&slopes));
        to = S::combine(&terms);
        let value = slope(node, &to);
        slopes.push(value);
    }
    let weighted = ERROR.iter().map(|factor| taken * factor);
    let terms: Vec<(f64, &S)> = weighted.zip(&slopes).collect();
    let error = S::combine(&terms);
    let tail = slopes.swap_remove(STAGES.len());
    (to, error, tail)
}

/// How much longer the next step may be than one whose error had this norm.
fn factor(norm: f64) -> f64 {
    // An error that is no number comes of a step that was far too long.
    if !norm.is_finite() {
        return LEAST_FACTOR;
    }
    (SAFETY * norm.powf(-0.2)).clamp(LEAST_FACTOR, MOST_FACTOR)
}

/// A first step that moves the point by a hundredth of its own size.
fn first_guess<S: State>(
    point: &S,
    slope: &S,
    tolerance: Tolerance,
) -> Result<f64, InstaFlowError> {
    let [size, speed] = [point, slope].map(|x| within(x, point, tolerance));
    if !size.is_finite() || !speed.is_finite() {
        return Err(InstaFlowError::Sampling(
            "rk45 chooses its steps by the values of the state, which here \
             are not finite or, while a graph is captured, not there; take \
             `heun` or another sampler of a fixed number of steps"
                .into(),
        ));
    }
    if size < 1e-5 || speed < 1e-5 {
        return Ok(1e-6);
    }
    Ok(0.01 * size / speed)
}

/// The first step from how the slope changed over the guess.
fn refined<S: State>(
    guess: f64,
    point: &S,
    [before, after]: [&S; 2],
    tolerance: Tolerance,
) -> f64 {
    let change = S::combine(&[(1.0, after), (-1.0, before)]);
    let speed = within(before, point, tolerance);
    let bend = within(&change, point, tolerance) / guess;
    let most = speed.max(bend);
    let size = if most <= 1e-15 {
        (guess * 1e-3).max(1e-6)
    } else {
        (0.01 / most).powf(0.2)
    };
    size.min(100.0 * guess)
}

/// The norm of `value` in units of the tolerance at `point`.
fn within<S: State>(value: &S, point: &S, tolerance: Tolerance) -> f64 {
    let Tolerance { absolute, relative } = tolerance;
    S::error_norm(value, point, point, absolute, relative)
}

fn gave_up(time: f64, why: &str) -> InstaFlowError {
    InstaFlowError::Sampling(format!(
        "rk45 stopped at time {time}: {why}; the field is not smooth there \
         or not finite: take a sampler of a fixed number of steps"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unseen() -> impl FnMut(f64, &Vec<f64>) {
        |_, _| {}
    }

    #[test]
    fn the_tableau_meets_the_conditions_of_its_order() {
        for (row, node) in STAGES.iter().zip(NODES) {
            let sum: f64 = row.iter().sum();
            assert!((sum - node).abs() < 1e-14, "{node}: {sum}");
        }
        let nodes = [&[0.0][..], &NODES[..]].concat();
        let moment = |weights: &[f64], power: i32| -> f64 {
            let pairs = weights.iter().zip(&nodes);
            pairs.map(|(weight, node)| weight * node.powi(power)).sum()
        };
        for power in 0..5 {
            let found = moment(STAGES[5], power);
            let expected = 1.0 / f64::from(power + 1);
            assert!((found - expected).abs() < 1e-14, "{power}: {found}");
        }
        // The two orders agree up to the fourth and differ at the fifth.
        for power in 0..4 {
            assert!(moment(&ERROR, power).abs() < 1e-14, "{power}");
        }
        assert!(moment(&ERROR, 4).abs() > 1e-4);
    }

    #[test]
    fn a_growing_exponential_meets_the_tolerance_and_no_more() {
        let mut last = f64::INFINITY;
        for size in [1e-4, 1e-6, 1e-8] {
            let tolerance = Tolerance { absolute: size, relative: size };
            let end = rk45(
                &Path::Straight,
                [0.0, 1.0],
                tolerance,
                vec![1.0, -2.0],
                &mut |x: &Vec<f64>, _| x.iter().map(|x| 3.0 * x).collect(),
                &mut unseen(),
            )
            .unwrap();
            let error = (end[0] / 3.0_f64.exp() - 1.0).abs();
            assert!(error < 20.0 * size, "{size}: {error}");
            assert!(error < last / 10.0, "{size}: {error} after {last}");
            last = error;
        }
    }

    #[test]
    fn a_field_without_an_end_is_an_error() {
        let mut explode = |x: &Vec<f64>, _: f64| vec![50.0 * x[0] * x[0]];
        let mut none = |x: &Vec<f64>, _: f64| vec![f64::NAN; x.len()];
        let run = |field: &mut Field<'_, Vec<f64>>| {
            let (path, ends) = (Path::Straight, [0.0, 1.0]);
            let tolerance = Tolerance::default();
            rk45(&path, ends, tolerance, vec![1.0], field, &mut unseen())
                .unwrap_err()
                .to_string()
        };
        let error = run(&mut explode);
        assert!(error.contains("rk45 stopped at time 0.0"), "{error}");
        let error = run(&mut none);
        assert!(error.contains("not finite"), "{error}");
    }
}
