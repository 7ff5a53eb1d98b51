//! The one training loop: AdamW with warm-up, gradients clipped together,
//! averaged weights, and a file every few steps from which a killed run goes
//! on to the same bytes.

use std::time::Instant;

use assay_kernels::AdamW;
use assay_kit::{
    Named, Optimizer, StudyFiles, floats, module_tensors, module_with,
    moment_tensors, moments_of, values_under,
};
use assay_trace::{Tape, inner};
use burn::Tensor;
use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::average::Average;
use crate::InstaFlowError;

/// The norm at which gradients are clipped (facts, section 2).
const CLIPPED_AT: f64 = 1.0;

/// Steps between two files.
const KEPT_EVERY: u64 = 200;

/// The longest warm-up; a short training takes a tenth of its steps.
const WARM_UP: u64 = 100;

/// How one training goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course<'a> {
    /// Names its file and its random numbers.
    pub(crate) name: &'static str,
    /// Steps in all.
    pub(crate) steps: u64,
    /// After the warm-up.
    pub(crate) learning_rate: f64,
    /// Of the random numbers.
    pub(crate) seed: u64,
    /// Where it is kept, if anywhere.
    pub(crate) state: Option<&'a StudyFiles<InstaFlowError>>,
}

/// What a training ended in.
#[derive(Clone, Debug)]
pub(crate) struct Fitted<M> {
    /// With averaged weights, on the device without gradients.
    pub(crate) model: M,
    /// Mean loss of the last tenth of the steps.
    pub(crate) loss: f64,
    /// Time that all steps took, those before a kill included.
    pub(crate) seconds: f64,
}

/// How far a training is; stands in its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Progress {
    steps: u64,
    seconds: f64,
    loss_sum: f64,
    loss_count: u64,
}

impl Course<'_> {
    /// The learning rate of a step, from 0: a line up, then level.
    fn rate(&self, step: u64) -> f64 {
        let warm_up = WARM_UP.min(self.steps.div_ceil(10)).max(1);
        let share = (step + 1) as f64 / warm_up as f64;
        self.learning_rate * share.min(1.0)
    }

    fn file(&self) -> String {
        format!("{}.part", self.name)
    }

    /// Trains `model`, which lies on the device without gradients. `loss`
    /// gives the loss of a step and may depend on nothing but the model and
    /// the step's number, so that a run goes on from any step.
    ///
    /// # Errors
    /// A loss or a gradient that is not finite; whatever `loss` says; a file
    /// that cannot be gone on from or not be written.
    pub(crate) fn fit<M: Module>(
        &self,
        model: M,
        loss: impl FnMut(&M, u64) -> Result<Tensor<1>, InstaFlowError>,
    ) -> Result<Fitted<M>, InstaFlowError> {
        self.fit_keeping(model, KEPT_EVERY, loss)
    }

    fn fit_keeping<M: Module>(
        &self,
        model: M,
        kept_every: u64,
        mut loss: impl FnMut(&M, u64) -> Result<Tensor<1>, InstaFlowError>,
    ) -> Result<Fitted<M>, InstaFlowError> {
        let mut run = Run::begin(self, model.train())?;
        let mut since = Instant::now();
        while run.progress.steps < self.steps {
            let step = run.progress.steps;
            run.optimizer.set_learning_rate(self.rate(step));
            let found = loss(&run.model, step)?;
            let value = value_of(&found);
            let tape = Tape::of(found);
            let (model, norm) =
                run.optimizer.clipped_step(run.model, tape, CLIPPED_AT);
            run.model = model;
            if !(value.is_finite() && norm.is_finite()) {
                return Err(InstaFlowError::Sampling(format!(
                    "training `{}` diverged at step {step}: loss {value}, \
                     norm of the gradients {norm}",
                    self.name
                )));
            }
            run.average.observe(&run.model);
            run.progress.steps += 1;
            if run.progress.steps > self.steps - self.steps.div_ceil(10) {
                run.progress.loss_sum += value;
                run.progress.loss_count += 1;
            }
            let due = run.progress.steps.is_multiple_of(kept_every)
                && run.progress.steps < self.steps;
            if let (true, Some(state)) = (due, self.state) {
                run.progress.seconds += since.elapsed().as_secs_f64();
                since = Instant::now();
                state.write(&self.file(), &run.tensors(), &run.progress)?;
            }
        }
        let Progress { seconds, loss_sum, loss_count, .. } = run.progress;
        Ok(Fitted {
            model: run.average.into_module(run.model.valid())?,
            loss: loss_sum / loss_count.max(1) as f64,
            seconds: seconds + since.elapsed().as_secs_f64(),
        })
    }

    /// Removes the file of a training that ended and whose end is kept.
    pub(crate) fn forget(&self) -> Result<(), InstaFlowError> {
        match self.state {
            Some(state) => state.remove(&self.file()),
            None => Ok(()),
        }
    }
}

/// A loss's value; NaN of nothing.
fn value_of(loss: &Tensor<1>) -> f64 {
    let value = floats(inner(loss.clone()));
    value.first().map_or(f64::NAN, |&value| f64::from(value))
}

/// A training under way.
struct Run<M> {
    model: M,
    optimizer: Optimizer,
    average: Average,
    progress: Progress,
}

impl<M: Module> Run<M> {
    /// At the first step, or where the file says.
    fn begin(course: &Course<'_>, model: M) -> Result<Self, InstaFlowError> {
        // PyTorch's constants; the learning rate is set at each step.
        let mut optimizer = Optimizer::new(AdamW::default());
        let kept = match course.state {
            Some(state) => state.read::<Progress>(&course.file())?,
            None => None,
        };
        let Some((file, progress)) = kept else {
            optimizer.prepare(&model);
            let average = Average::new(&model);
            let progress = Progress::default();
            return Ok(Self { model, optimizer, average, progress });
        };
        let model = module_with(model, &file, "weights.")?;
        let steps = u32::try_from(progress.steps).unwrap_or(u32::MAX);
        optimizer.restore(&model, &moments_of(&file, steps)?)?;
        let averages = values_under(&file, "averages.")?;
        let average = Average::resumed(averages, progress.steps);
        Ok(Self { model, optimizer, average, progress })
    }

    /// All that the next step depends on.
    fn tensors(&self) -> Vec<Named> {
        let mut tensors = module_tensors("weights.", &self.model);
        for (name, values) in self.average.values() {
            let name = format!("averages.{name}");
            tensors.push((name, vec![values.len()], values.clone()));
        }
        tensors.extend(moment_tensors(&self.optimizer.state(&self.model)));
        tensors
    }
}

/// Whether two modules have the same weights, to the bit.
#[cfg(test)]
pub(crate) fn same_weights<M: Module>(a: &M, b: &M) -> bool {
    let bits = |module: &M| -> Vec<(String, Vec<u32>)> {
        let bits = |values: Vec<f32>| {
            values.into_iter().map(f32::to_bits).collect::<Vec<u32>>()
        };
        assay_kit::parameter_values(module)
            .into_iter()
            .map(|(name, values)| (name, bits(values)))
            .collect()
    };
    bits(a) == bits(b)
}

#[cfg(test)]
mod tests {
    use assay_kit::{Linear, Parameters};
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::training::Draws;

    type State = StudyFiles<InstaFlowError>;

    fn layer() -> Linear {
        let mut start = Parameters::random(&Device::flex(), 3);
        Linear::new(&mut start, 3, 3, true)
    }

    /// Squares of what the layer makes of random rows, less the rows.
    fn loss(layer: &Linear, step: u64) -> Result<Tensor<1>, InstaFlowError> {
        let rows = Draws::new(1, "test", step).normals(12);
        let device = Device::flex().autodiff();
        let x = TensorData::new(rows, [4, 3]);
        let x = Tensor::<2>::from_data(x, &device);
        let rest = layer.forward(x.clone()) - x;
        Ok((rest.clone() * rest).mean())
    }

    fn course(steps: u64, state: Option<&State>) -> Course<'_> {
        let name = "test";
        Course { name, steps, learning_rate: 0.02, seed: 1, state }
    }

    #[test]
    fn training_goes_downhill_and_warms_up() {
        let course = course(300, None);
        let start = f64::from(floats(loss(&layer().train(), 0).unwrap())[0]);
        let fitted = course.fit(layer(), loss).unwrap();
        assert!(fitted.loss < 0.05 * start, "{} of {start}", fitted.loss);
        assert!(!fitted.model.weight.val().is_autodiff());
        assert_eq!(course.rate(0), 0.02 / 30.0);
        assert_eq!(course.rate(200), 0.02);
    }

    #[test]
    fn a_broken_run_goes_on_to_the_same_bytes() {
        let own = format!("assay-fit-{}", std::process::id());
        let folder = std::env::temp_dir().join(own);
        let state = State::new(&folder, "a study".into()).unwrap();
        let unbroken = course(20, None).fit(layer(), loss).unwrap();

        let course = course(20, Some(&state));
        let broken = course.fit_keeping(layer(), 4, |layer: &Linear, step| {
            let killed = || InstaFlowError::Sampling("killed".into());
            if step == 10 { Err(killed()) } else { loss(layer, step) }
        });
        assert!(broken.is_err() && state.path("test.part").exists());
        let mut first = None;
        let resumed = course
            .fit_keeping(layer(), 4, |layer: &Linear, step| {
                first.get_or_insert(step);
                loss(layer, step)
            })
            .unwrap();
        assert_eq!(first, Some(8));
        assert!(same_weights(&unbroken.model, &resumed.model));
        assert_eq!(unbroken.loss, resumed.loss);
        course.forget().unwrap();
        assert!(!state.path("test.part").exists());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_loss_that_is_no_number_ends_the_training() {
        let error = course(3, None)
            .fit(layer(), |layer: &Linear, step| {
                Ok(loss(layer, step)? * f32::NAN)
            })
            .unwrap_err();
        assert!(error.to_string().contains("diverged at step 0"), "{error}");
    }
}
