//! One AdamW step over a module: the same code measured and traced.

use std::collections::HashMap;

use assay_kernels::{AdamW, adamw};
use assay_trace::{Role, Tape, inner, mark, optimizer_begins, tracked};
use burn::Tensor;
use burn::module::{Module, ModuleMapper, Param, ParamId};

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

impl Optimizer {
    /// An optimizer before its first step.
    pub fn new(config: AdamW) -> Self {
        Self { config, steps: 0, moments: HashMap::new() }
    }

    /// Allocates the moments of every parameter, as the first step would.
    pub fn prepare<M: Module>(&mut self, module: &M) {
        struct Visit<'a>(&'a mut HashMap<ParamId, Moments>);
        impl burn::module::ModuleVisitor for Visit<'_> {
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
        self.prepare(&module);
        self.steps += 1;
        optimizer_begins();
        module.map(&mut Update { optimizer: self, gradients })
    }
}

struct Update<'a> {
    optimizer: &'a mut Optimizer,
    gradients: Tape,
}

impl ModuleMapper for Update<'_> {
    fn map_float<const D: usize>(
        &mut self,
        param: Param<Tensor<D>>,
    ) -> Param<Tensor<D>> {
        let (id, value, mapper) = param.consume();
        let gradient = self.gradients.remove(&value);
        let moments = self.optimizer.moments.remove(&id);
        let (Some(gradient), Some(moments)) = (gradient, moments) else {
            return Param::from_mapped_value(id, value, mapper);
        };
        let shape = value.shape();
        let count = shape.num_elements();
        let (value, first, second) = adamw(
            inner(value).reshape([count]),
            gradient.reshape([count]),
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
