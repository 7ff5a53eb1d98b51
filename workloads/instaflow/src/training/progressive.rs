//! Progressive distillation (Salimans and Ho, 2022): a student learns to do
//! in one step what its teacher does in two, then becomes the teacher: 16, 8,
//! 4, 2, 1 steps. The rival that the paper's abstract names.
//!
//! On the straight path a step is Euler's, and the student's target is the
//! mean of the teacher's two velocities. Guidance goes in with the first
//! student (Meng et al., 2023). The weight is their "truncated SNR"
//! `max(alpha^2 / sigma^2, 1)` of an error in data, which of an error in
//! velocity (data error = `(1 - t)` velocity error) is
//! `max(t^2, (1 - t)^2)`. Starts are real latents with noise, as theirs.

use burn::Tensor;
use burn::tensor::{Device, TensorData};

use super::draws::Draws;
use super::fit::{Course, Fitted};
use super::flow::{Pool, noise_like};
use super::generate::one_by_one;
use super::words::TextStates;
use crate::InstaFlowError;
use crate::steps::timestep;
use crate::unet::Velocity;

/// Steps of the first teacher, the 1-flow.
pub(crate) const TEACHER_STEPS: usize = 16;

/// What a student learns from.
pub(crate) struct Halving<'a> {
    /// The teacher, on the device without gradients; it also is the start.
    pub(crate) teacher: &'a Velocity,
    /// Its guidance: 1 but for the first.
    pub(crate) guidance: f64,
    /// Real latents.
    pub(crate) pool: &'a Pool,
    /// States of captions.
    pub(crate) states: &'a TextStates,
    /// Latents a step.
    pub(crate) batch: usize,
    /// Steps of the student.
    pub(crate) steps: usize,
}

/// Trains the student that takes half the steps of its teacher.
///
/// # Errors
/// See [`Course::fit`].
pub(crate) fn halve(
    halving: &Halving<'_>,
    course: &Course<'_>,
) -> Result<Fitted<Velocity>, InstaFlowError> {
    let plain = Device::flex();
    course.fit(halving.teacher.clone(), |student: &Velocity, step| {
        let mut draws = Draws::new(course.seed, course.name, step);
        let picks = draws.picks(halving.batch, halving.pool.len());
        let (captions, data) = halving.pool.batch(&picks, &plain);
        let noise = noise_like(&data, &mut draws);
        let stride = 1.0 / halving.steps as f64;
        let times: Vec<f64> = (0..halving.batch)
            .map(|_| draws.below(halving.steps) as f64 * stride)
            .collect();
        let later: Vec<f64> =
            times.iter().map(|time| time + 0.5 * stride).collect();
        let share = column(&times, |t| t as f32);
        let z = noise.clone() + (data - noise) * share;
        let velocity = |z: &Tensor<4>, times: &[f64]| {
            let Halving { teacher, states, guidance, .. } = *halving;
            one_by_one(teacher, z, times, states, &captions, guidance)
        };
        let first = velocity(&z, &times);
        let between = z.clone() + first.clone() * (0.5 * stride);
        let target = (first + velocity(&between, &later)) * 0.5;

        let captions: Vec<_> = captions.iter().copied().map(Some).collect();
        let device = Device::flex().autodiff();
        let text = halving.states.batch(&captions, &device);
        let steps: Vec<f32> = times.iter().copied().map(timestep).collect();
        let found = student.forward(z.autodiff(), &steps, text);
        let error = found - target.autodiff();
        let weight = column(&times, |t| t.max(1.0 - t).powi(2) as f32);
        Ok((error.clone() * error * weight.autodiff()).mean())
    })
}

/// One number an item, `[B, 1, 1, 1]`.
fn column(times: &[f64], of: impl Fn(f64) -> f32) -> Tensor<4> {
    let values: Vec<f32> = times.iter().map(|&time| of(time)).collect();
    let data = TensorData::new(values, [times.len(), 1, 1, 1]);
    Tensor::from_data(data, &Device::flex())
}
