//! Reflow: the loss of rectified flow on a teacher's own pairs of noise and
//! latent, from the teacher's weights. Paths of the student cross less, so
//! they are straighter (Liu et al., 2022, theorem 3.5; facts, section 2).
//!
//! Captions go on being dropped at the same rate, so that the student can be
//! guided, as the paper guides its 2-flow.

use burn::tensor::Device;

use super::draws::Draws;
use super::fit::{Course, Fitted};
use super::flow::with_drops;
use super::pairs::Pairs;
use super::words::TextStates;
use crate::InstaFlowError;
use crate::steps::flow_loss;
use crate::unet::Velocity;

/// Trains on, from `start`, with the first `pairs` of the triplets.
///
/// # Errors
/// See [`Course::fit`].
pub(crate) fn reflow(
    start: Velocity,
    (pairs, count): (&Pairs, usize),
    states: &TextStates,
    batch: usize,
    course: &Course<'_>,
) -> Result<Fitted<Velocity>, InstaFlowError> {
    let device = Device::flex().autodiff();
    let count = count.clamp(1, pairs.len());
    course.fit(start, |velocity: &Velocity, step| {
        let mut draws = Draws::new(course.seed, course.name, step);
        let picks = draws.picks(batch, count);
        let (captions, both) = pairs.batch(&picks, &device);
        let captions = with_drops(captions, &mut draws);
        let times = draws.times(batch);
        let text = states.batch(&captions, &device);
        Ok(flow_loss(velocity, both, &times, text))
    })
}
