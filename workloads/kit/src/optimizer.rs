//! AdamW over a module, one step at a time: the same code measured and traced.
//!
//! What a run that was killed needs to go on from the same bytes is here too:
//! the moments by dotted path, and the number of steps
//! ([`Optimizer::state`], [`Optimizer::restore`]).

use std::collections::{BTreeMap, HashMap};

use assay_kernels::{AdamW, adamw};
use assay_trace::{Role, Tape, inner, mark, optimizer_begins, tracked};
use burn::Tensor;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::TensorData;

use crate::load::Path;
use crate::{KitError, floats};

/// AdamW with its two moments for each parameter.
pub struct Optimizer {
    config: AdamW,
    steps: u32,
    moments: HashMap<ParamId, Moments>,
}

/// First and second moment of one parameter, flat: the rank does not matter
/// to an element-wise update.
struct Moments {
    first: Tensor<1>,
    second: Tensor<1>,
}

/// An optimizer's state, off the device.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OptimizerState {
    /// Steps made.
    pub steps: u32,
    /// First and second moment of each parameter, flat, by dotted path.
    pub moments: BTreeMap<String, [Vec<f32>; 2]>,
}

impl Optimizer {
    /// An optimizer before its first step.
    pub fn new(config: AdamW) -> Self {
        Self { config, steps: 0, moments: HashMap::new() }
    }

    /// Steps made.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// The learning rate of the steps to come.
    pub fn set_learning_rate(&mut self, learning_rate: f64) {
        self.config.learning_rate = learning_rate;
    }

    /// Allocates the moments of every parameter, as the first step would.
    pub fn prepare<M: Module>(&mut self, module: &M) {
        struct Visit<'a>(&'a mut HashMap<ParamId, Moments>);
        impl ModuleVisitor for Visit<'_> {
            fn visit_float<const D: usize>(
                &mut self,
                param: &Param<Tensor<D>>,
            ) {
                let value = inner(param.val());
                let zeros = || {
                    let zeros = Tensor::zeros(
                        [value.shape().num_elements()],
                        &value.device(),
                    );
                    mark(&zeros, Role::OptimizerState);
                    zeros
                };
                self.0.entry(param.id).or_insert_with(|| Moments {
                    first: zeros(),
                    second: zeros(),
                });
            }
        }
        module.visit(&mut Visit(&mut self.moments));
    }

    /// Updates every parameter that has a gradient. Gradients are freed one by
    /// one; parameters and moments change in place.
    pub fn step<M: Module>(&mut self, module: M, gradients: Tape) -> M {
        self.update(module, Gradients::Tape(gradients))
    }

    /// As [`step`](Self::step), with all gradients scaled down together where
    /// their norm over all parameters passes `limit` (Pascanu et al., 2013);
    /// also gives that norm, before scaling. It needs values, so it cannot be
    /// traced.
    pub fn clipped_step<M: Module>(
        &mut self,
        module: M,
        gradients: Tape,
        limit: f64,
    ) -> (M, f64) {
        let mut collect =
            Collect { tape: gradients, found: HashMap::new(), squares: 0.0 };
        module.visit(&mut collect);
        let norm = collect.squares.sqrt();
        let mut found = collect.found;
        if norm > limit {
            let scale = (limit / norm) as f32;
            for gradient in found.values_mut() {
                *gradient = gradient.clone() * scale;
            }
        }
        (self.update(module, Gradients::Collected(found)), norm)
    }

    fn update<M: Module>(&mut self, module: M, gradients: Gradients) -> M {
        self.prepare(&module);
        self.steps += 1;
        optimizer_begins();
        module.map(&mut Update { optimizer: self, gradients })
    }

    /// Moments and step count, for a file.
    pub fn state<M: Module>(&self, module: &M) -> OptimizerState {
        struct Visit<'a> {
            path: Path,
            moments: &'a HashMap<ParamId, Moments>,
            found: BTreeMap<String, [Vec<f32>; 2]>,
        }
        impl ModuleVisitor for Visit<'_> {
            fn enter_module(&mut self, name: &str, container: &str) {
                self.path.enter(name, container);
            }
            fn exit_module(&mut self, _: &str, _: &str) {
                self.path.exit();
            }
            fn visit_float<const D: usize>(
                &mut self,
                param: &Param<Tensor<D>>,
            ) {
                if let Some(moments) = self.moments.get(&param.id) {
                    let both = [&moments.first, &moments.second];
                    let both = both.map(|moment| floats(moment.clone()));
                    self.found.insert(self.path.dotted(), both);
                }
            }
        }
        let mut visit = Visit {
            path: Path::default(),
            moments: &self.moments,
            found: BTreeMap::new(),
        };
        module.visit(&mut visit);
        OptimizerState { steps: self.steps, moments: visit.found }
    }

    /// Takes a state over, as [`state`](Self::state) gave it for a module of
    /// the same shape: the next step is then the same to the bit.
    ///
    /// # Errors
    /// A parameter without moments, or with moments of another size; nothing
    /// is taken over then.
    pub fn restore<M: Module>(
        &mut self,
        module: &M,
        state: &OptimizerState,
    ) -> Result<(), KitError> {
        struct Visit<'a> {
            path: Path,
            state: &'a OptimizerState,
            made: HashMap<ParamId, Moments>,
            wrong: Option<KitError>,
        }
        impl ModuleVisitor for Visit<'_> {
            fn enter_module(&mut self, name: &str, container: &str) {
                self.path.enter(name, container);
            }
            fn exit_module(&mut self, _: &str, _: &str) {
                self.path.exit();
            }
            fn visit_float<const D: usize>(
                &mut self,
                param: &Param<Tensor<D>>,
            ) {
                let value = inner(param.val());
                let expected = value.shape().num_elements();
                let name = self.path.dotted();
                let empty = [Vec::new(), Vec::new()];
                let both = self.state.moments.get(&name).unwrap_or(&empty);
                let wrong = both.iter().find(|half| half.len() != expected);
                if let Some(half) = wrong {
                    let found = half.len();
                    self.wrong = Some(KitError::Size { name, found, expected });
                    return;
                }
                let device = value.device();
                let [first, second] = both.clone().map(|half| {
                    let data = TensorData::new(half, [expected]);
                    Tensor::<1>::from_data(data, &device)
                });
                self.made.insert(param.id, Moments { first, second });
            }
        }
        let mut visit = Visit {
            path: Path::default(),
            state,
            made: HashMap::new(),
            wrong: None,
        };
        module.visit(&mut visit);
        if let Some(wrong) = visit.wrong {
            return Err(wrong);
        }
        self.moments = visit.made;
        self.steps = state.steps;
        Ok(())
    }
}

/// Where a parameter's gradient is taken from.
enum Gradients {
    Tape(Tape),
    Collected(HashMap<ParamId, Tensor<1>>),
}

/// Takes all gradients off a tape, flat, and sums their squares.
struct Collect {
    tape: Tape,
    found: HashMap<ParamId, Tensor<1>>,
    squares: f64,
}

impl ModuleVisitor for Collect {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.tape.remove(&param.val()) else { return };
        let gradient = flat(gradient);
        // On the host and in order: the same sum on any number of threads.
        self.squares += squares(&floats(gradient.clone()));
        self.found.insert(param.id, gradient);
    }
}

/// The sum of squares, in eight lanes that do not wait for each other.
fn squares(values: &[f32]) -> f64 {
    let mut lanes = [0.0_f64; 8];
    let (chunks, rest) = values.as_chunks::<8>();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += f64::from(*value) * f64::from(*value);
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane += f64::from(*value) * f64::from(*value);
    }
    lanes.iter().sum()
}

fn flat<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let count = tensor.shape().num_elements();
    tensor.reshape([count])
}

struct Update<'a> {
    optimizer: &'a mut Optimizer,
    gradients: Gradients,
}

impl ModuleMapper for Update<'_> {
    fn map_float<const D: usize>(
        &mut self,
        param: Param<Tensor<D>>,
    ) -> Param<Tensor<D>> {
        let (id, value, mapper) = param.consume();
        let gradient = match &mut self.gradients {
            Gradients::Tape(tape) => tape.remove(&value).map(flat),
            Gradients::Collected(found) => found.remove(&id),
        };
        // Moments without a gradient stay for a later step that has one.
        let Some(gradient) = gradient else {
            return Param::from_mapped_value(id, value, mapper);
        };
        let Some(moments) = self.optimizer.moments.remove(&id) else {
            return Param::from_mapped_value(id, value, mapper);
        };
        let shape = value.shape();
        let count = shape.num_elements();
        let (value, first, second) = adamw(
            inner(value).reshape([count]),
            gradient,
            moments.first,
            moments.second,
            &self.optimizer.config,
            self.optimizer.steps,
        );
        self.optimizer.moments.insert(id, Moments { first, second });
        let value = tracked(value.reshape(shape));
        Param::from_mapped_value(id, value, mapper)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::{Linear, Parameters, parameter_values, with_values};

    fn layer() -> Linear {
        let device = Device::flex().autodiff();
        Linear::new(&mut Parameters::random(&device, 3), 2, 4, true)
    }

    fn tape(module: &Linear, factor: f32) -> Tape {
        let device = Device::flex().autodiff();
        let x = TensorData::from([[0.5_f32, -1.0], [0.25, 3.0]]);
        let y = module.forward(Tensor::<2>::from_data(x, &device));
        Tape::of((y.clone() * y).sum() * factor)
    }

    #[test]
    fn a_restored_optimizer_goes_on_to_the_same_bits() {
        let mut module = layer();
        let mut optimizer = Optimizer::new(AdamW::default());
        let loss = tape(&module, 1.0);
        module = optimizer.step(module, loss);
        let state = optimizer.state(&module);
        let values = parameter_values(&module);

        let loss = tape(&module, -2.0);
        let unbroken = parameter_values(&optimizer.step(module, loss));

        let module = with_values(layer(), &values).unwrap();
        let mut optimizer = Optimizer::new(AdamW::default());
        optimizer.restore(&module, &state).unwrap();
        assert_eq!(optimizer.steps(), 1);
        let loss = tape(&module, -2.0);
        let resumed = parameter_values(&optimizer.step(module, loss));
        assert_eq!(unbroken, resumed);

        // Without its moments it would not.
        let module = with_values(layer(), &values).unwrap();
        let loss = tape(&module, -2.0);
        let mut fresh = Optimizer::new(AdamW::default());
        assert_ne!(unbroken, parameter_values(&fresh.step(module, loss)));
    }

    #[test]
    fn a_state_of_another_module_is_refused() {
        let module = layer();
        let mut optimizer = Optimizer::new(AdamW::default());
        optimizer.prepare(&module);
        let mut state = optimizer.state(&module);
        state.moments.insert("bias".to_owned(), [vec![0.0; 3], vec![0.0; 3]]);
        let error = optimizer.restore(&module, &state).unwrap_err();
        assert_eq!(error.to_string(), "`bias` has 3 value(s), expected 4");
    }

    #[test]
    fn clipping_scales_all_gradients_to_the_limit_and_leaves_short_ones() {
        let module = layer();
        let collect = |tape: Tape| {
            let mut collect =
                Collect { tape, found: HashMap::new(), squares: 0.0 };
            module.visit(&mut collect);
            collect.squares.sqrt()
        };
        let right = collect(tape(&module, 1.0));
        assert!(right > 1.0, "{right}");
        // With a huge epsilon a step is proportional to the gradient.
        let config =
            AdamW { epsilon: 1e6, weight_decay: 0.0, ..AdamW::default() };
        let before = parameter_values(&module);
        let moved = |limit: f64| {
            let mut optimizer =
                Optimizer::new(AdamW { learning_rate: 1e6, ..config });
            let (after, norm) = optimizer.clipped_step(
                module.clone(),
                tape(&module, 1.0),
                limit,
            );
            assert!((norm - right).abs() < 1e-6 * right);
            let after = parameter_values(&after);
            let (old, new) = (&before["bias"][0], &after["bias"][0]);
            f64::from(new - old)
        };
        let (free, clipped) = (moved(2.0 * right), moved(0.5 * right));
        assert!((clipped / free - 0.5).abs() < 1e-3, "{clipped} {free}");
    }
}
