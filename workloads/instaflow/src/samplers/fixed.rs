//! Samplers that look at one step at a time: Euler, Heun, DDIM.

use super::times::Step;
use super::{Field, Path, See, State, Times};

/// One state after the other, the first and the last included in what is
/// seen.
pub(super) fn march<S: State>(
    times: &Times,
    start: S,
    see: &mut See<'_, S>,
    mut next: impl FnMut(&S, &Step) -> S,
) -> S {
    see(times.ends()[0], &start);
    let mut state = start;
    for step in times.steps() {
        state = next(&state, &step);
        see(step.to, &state);
    }
    state
}

/// `Z' = Z + (1/N) v(Z, i/N)` on the straight path.
pub(super) fn euler<S: State>(
    path: &Path,
    times: &Times,
    start: S,
    field: &mut Field<'_, S>,
    see: &mut See<'_, S>,
) -> S {
    march(times, start, see, |state, step| {
        let slope = field(state, step.from);
        let [keep, add] = path.advance(step);
        S::combine(&[(keep, state), (add, &slope)])
    })
}

/// Euler's step, and again with the mean of the slopes at its two ends.
pub(super) fn heun<S: State>(
    path: &Path,
    times: &Times,
    start: S,
    field: &mut Field<'_, S>,
    see: &mut See<'_, S>,
) -> S {
    march(times, start, see, |state, step| {
        let slope = field(state, step.from);
        let [keep, add] = path.advance(step);
        let guess = S::combine(&[(keep, state), (add, &slope)]);
        let after = field(&guess, step.to);
        let half = add / 2.0;
        S::combine(&[(keep, state), (half, &slope), (half, &after)])
    })
}

/// The data and the noise seen in the state, mixed anew as the next time
/// has them.
pub(super) fn ddim<S: State>(
    path: &Path,
    times: &Times,
    start: S,
    field: &mut Field<'_, S>,
    see: &mut See<'_, S>,
) -> S {
    march(times, start, see, |state, step| {
        let value = field(state, step.from);
        let (data, noise) = path.parts(step.from, path.field());
        let to = path.at(step.to);
        let [keep, add] =
            [0, 1].map(|i| to.alpha * data[i] + to.sigma * noise[i]);
        S::combine(&[(keep, state), (add, &value)])
    })
}
