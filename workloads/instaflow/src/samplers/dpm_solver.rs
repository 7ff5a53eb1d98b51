//! DPM-Solver++(2M) (Lu et al., 2211.01095, algorithm 2): the data seen in
//! the state is carried on as a line in `lambda = ln(alpha / sigma)`, drawn
//! through this step's and the last one's, so that a step of second order
//! costs one call.
//!
//! ```text
//! h = lambda' - lambda,  q = h / (2 h_before)
//! D = (1 + q) data - q data_before
//! X' = (sigma' / sigma) X + alpha' (1 - exp(-h)) D
//! ```
//!
//! The first step has no step before it and is of first order (DDIM's); so
//! is the last, as is usual, since the line is long there. On the straight
//! path lambda is infinite at both ends, which the formula bears: `exp(-h)`
//! is `alpha sigma' / (sigma alpha')`, and after an infinite step q is 0.
//! Close to those ends steps stay long in lambda however many there are, so
//! that the order there is 2 less a logarithm.

use super::fixed::march;
use super::{Coefficients, Field, Path, See, State, Times};

pub(super) fn two_m<S: State>(
    path: &Path,
    times: &Times,
    start: S,
    field: &mut Field<'_, S>,
    see: &mut See<'_, S>,
) -> S {
    // The data seen one step earlier, and that step's width in lambda.
    let mut earlier: Option<(S, f64)> = None;
    march(times, start, see, |state, step| {
        let value = field(state, step.from);
        let ([a, b], _) = path.parts(step.from, path.field());
        let data = S::combine(&[(a, state), (b, &value)]);
        let (from, to) = (path.at(step.from), path.at(step.to));
        let width = lambda(&to) - lambda(&from);
        let keep = to.sigma / from.sigma;
        let add = to.alpha - keep * from.alpha; // alpha' (1 - exp(-h))
        let next = match &earlier {
            Some((before, width_before)) if !step.is_last => {
                let q = width / (2.0 * width_before);
                S::combine(&[
                    (keep, state),
                    (add * (1.0 + q), &data),
                    (-add * q, before),
                ])
            }
            _ => S::combine(&[(keep, state), (add, &data)]),
        };
        earlier = Some((data, width));
        next
    })
}

fn lambda(at: &Coefficients) -> f64 {
    (at.alpha / at.sigma).ln()
}
