//! Exponential moving average of weights: what is sampled from is the mean of
//! the last steps, not the last one (facts, section 2: EMA 0.9999 of 1e5
//! steps; here the memory is shorter, as are the trainings).

use std::collections::BTreeMap;

use assay_kit::{KitError, parameter_values, with_values};
use burn::module::Module;

/// The average's memory in steps is at most about `1 / (1 - DECAY)`; until
/// some 1,800 steps it is a ninth of those seen, which is all that the
/// trainings of a default study come to.
const DECAY: f64 = 0.995;

/// Averaged weights by dotted path.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Average {
    values: BTreeMap<String, Vec<f32>>,
    steps: u64,
}

impl Average {
    /// The weights themselves, before the first step.
    pub(crate) fn new<M: Module>(module: &M) -> Self {
        Self { values: parameter_values(module), steps: 0 }
    }

    /// An average that was kept in a file.
    pub(crate) fn resumed(
        values: BTreeMap<String, Vec<f32>>,
        steps: u64,
    ) -> Self {
        Self { values, steps }
    }

    /// Takes the weights after a step in. Early on the average forgets
    /// faster, so that the start does not stay in it.
    pub(crate) fn observe<M: Module>(&mut self, module: &M) {
        let seen = self.steps as f64;
        let decay = DECAY.min((1.0 + seen) / (10.0 + seen)) as f32;
        self.steps += 1;
        for (name, new) in parameter_values(module) {
            let Some(old) = self.values.get_mut(&name) else { continue };
            for (old, new) in old.iter_mut().zip(new) {
                *old += (1.0 - decay) * (new - *old);
            }
        }
    }

    /// By dotted path.
    pub(crate) fn values(&self) -> &BTreeMap<String, Vec<f32>> {
        &self.values
    }

    /// The module with averaged weights.
    pub(crate) fn into_module<M: Module>(
        self,
        module: M,
    ) -> Result<M, KitError> {
        with_values(module, &self.values)
    }
}

#[cfg(test)]
mod tests {
    use assay_kit::{Linear, Parameters};
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn the_average_follows_by_the_share_that_the_step_allows() {
        let mut start = Parameters::random(&Device::flex(), 1);
        let layer = Linear::new(&mut start, 2, 2, false);
        let mut average = Average::new(&layer);
        let before = average.values()["weight"].clone();
        // Weights of zero: each step leaves 1/10, then 2/11 of the average.
        let zeros = BTreeMap::from([("weight".to_owned(), vec![0.0; 4])]);
        let zero = with_values(layer, &zeros).unwrap();
        average.observe(&zero);
        average.observe(&zero);
        let left = 0.1 * 2.0 / 11.0;
        for (old, new) in before.iter().zip(&average.values()["weight"]) {
            assert!((new - old * left).abs() < 1e-6, "{old} {new}");
        }
        let made = average.clone().into_module(zero).unwrap();
        assert_eq!(&parameter_values(&made), average.values());
    }
}
