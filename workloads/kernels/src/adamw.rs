//! One step of AdamW (Loshchilov and Hutter, *Decoupled Weight Decay
//! Regularization*, 2019), in the form of `torch.optim.AdamW`, step `t` from 1:
//!
//! ```text
//! p <- p (1 - lr wd)
//! m <- b1 m + (1 - b1) g          v <- b2 v + (1 - b2) g^2
//! p <- p - lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)
//! ```
//!
//! The ladder, 4 million parameters, milliseconds
//! (`examples/row_kernels_ladder.rs`; 2026-11-24, EPYC with AVX-512, one
//! worker thread, allocator set to keep its memory):
//! stock operators 12.1; 1. one pass, in place 2.5: 28 bytes a parameter, so
//! 47 GB/s, above what DRAM streams: a part still lay in the shared cache. 1024
//! parameters: 3.4 us, 1.1 us.

use burn::Tensor;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::ir::{CustomOpIr, ScalarIr};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, Dispatch, TensorMetadata,
    backend_extension,
};
use burn_capture::CaptureBackend;
use burn_flex::Flex;

use assay_trace::{CustomCost, OperatorKind};

use crate::classes::{Class, timed};
use crate::door::{contiguous, record, serves, values};
use crate::math::{madd, multiversion};
use crate::rows::{TASKS, update};

/// Operations for one parameter: decay 1, first moment 3, second moment 4,
/// denominator 3, update 3.
const FLOPS: u64 = 14;

/// The settings of AdamW.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// `lr`.
    pub learning_rate: f64,
    /// `b1`, decay of the first moment.
    pub beta_1: f64,
    /// `b2`, decay of the second moment.
    pub beta_2: f64,
    /// `eps`, added to the denominator.
    pub epsilon: f64,
    /// `wd`, decoupled: times the learning rate, off the parameter itself.
    pub weight_decay: f64,
}

impl Default for AdamW {
    /// The defaults of `torch.optim.AdamW`.
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            weight_decay: 1e-2,
        }
    }
}

/// What one step multiplies with, computed in `f64`.
#[derive(Clone, Copy)]
struct Factors {
    keep: f32,
    beta_1: f32,
    rest_1: f32,
    beta_2: f32,
    rest_2: f32,
    rate: f32,
    root: f32,
    epsilon: f32,
}

impl AdamW {
    fn factors(&self, step: u32) -> Factors {
        let step = f64::from(step);
        let correction_1 = 1.0 - self.beta_1.powf(step);
        let correction_2 = 1.0 - self.beta_2.powf(step);
        Factors {
            keep: (1.0 - self.learning_rate * self.weight_decay) as f32,
            beta_1: self.beta_1 as f32,
            rest_1: (1.0 - self.beta_1) as f32,
            beta_2: self.beta_2 as f32,
            rest_2: (1.0 - self.beta_2) as f32,
            rate: (self.learning_rate / correction_1) as f32,
            root: (1.0 / correction_2.sqrt()) as f32,
            epsilon: self.epsilon as f32,
        }
    }
}

/// One step, the `step`-th from 1: the new parameter and its two moments,
/// each in place when nobody else holds the old one. Nothing is tracked for a
/// gradient.
pub fn adamw<const D: usize>(
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    first: Tensor<D>,
    second: Tensor<D>,
    config: &AdamW,
    step: u32,
) -> (Tensor<D>, Tensor<D>, Tensor<D>) {
    for other in [&gradient, &first, &second] {
        assert_eq!(
            parameter.dims(),
            other.dims(),
            "adamw: parameter, gradient and moments differ in shape"
        );
    }
    if ![&parameter, &gradient, &first, &second].into_iter().all(serves) {
        return adamw_plain(parameter, gradient, first, second, config, step);
    }
    let (parameter, first, second) = <Dispatch as AdamWOps>::adamw_step(
        parameter.into_dispatch(),
        gradient.into_dispatch(),
        first.into_dispatch(),
        second.into_dispatch(),
        *config,
        step,
    );
    let wrap = Tensor::from_dispatch;
    (wrap(parameter), wrap(first), wrap(second))
}

/// The plain twin, of Burn's own operators.
pub fn adamw_plain<const D: usize>(
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    first: Tensor<D>,
    second: Tensor<D>,
    config: &AdamW,
    step: u32,
) -> (Tensor<D>, Tensor<D>, Tensor<D>) {
    let f = config.factors(step);
    let square = gradient.clone() * gradient.clone();
    let first = first * f.beta_1 + gradient * f.rest_1;
    let second = second * f.beta_2 + square * f.rest_2;
    let denominator = second.clone().sqrt() * f.root + f.epsilon;
    let change = first.clone() / denominator * f.rate;
    (parameter * f.keep - change, first, second)
}

/// The step as a backend operator: use [`adamw`].
#[backend_extension(Flex, Capture, Autodiff)]
pub trait AdamWOps: Backend {
    /// The new parameter, first and second moment.
    fn adamw_step(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        config: AdamW,
        step: u32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

impl AdamWOps for Flex {
    fn adamw_step(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        config: AdamW,
        step: u32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let _timed = timed(Class::Optimizer);
        let gradient = contiguous(gradient);
        let (gradient, factors) = (values(&gradient), config.factors(step));
        let ([parameter, first, second], _) = update(
            [parameter, first, second],
            1,
            TASKS,
            |(): &mut (), start, [p, m, v]| {
                let g = &gradient[start..start + p.len()];
                advance(p, g, m, v, factors);
            },
        );
        (parameter, first, second)
    }
}

impl AdamWOps for CaptureBackend {
    fn adamw_step(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        config: AdamW,
        step: u32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let shape = parameter.shape();
        let mut scalars: Vec<ScalarIr> = [
            config.learning_rate,
            config.beta_1,
            config.beta_2,
            config.epsilon,
            config.weight_decay,
        ]
        .map(ScalarIr::Float)
        .into();
        scalars.push(ScalarIr::UInt(u64::from(step)));
        let [parameter, first, second] = record(
            "adamw",
            vec![parameter, gradient, first, second],
            [shape.clone(), shape.clone(), shape],
            scalars,
        );
        (parameter, first, second)
    }
}

impl<B: AdamWOps, C: CheckpointStrategy> AdamWOps for Autodiff<B, C> {
    fn adamw_step(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        config: AdamW,
        step: u32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let (parameter, first, second) = B::adamw_step(
            parameter.into_primitive(),
            gradient.into_primitive(),
            first.into_primitive(),
            second.into_primitive(),
            config,
            step,
        );
        let outside = <Self as AutodiffBackend>::from_inner;
        (outside(parameter), outside(first), outside(second))
    }
}

/// The cost of this file's operator.
pub(crate) fn cost(op: &CustomOpIr) -> Option<CustomCost> {
    if op.id != "adamw" {
        return None;
    }
    let kind = OperatorKind::Optimizer {
        elements: op.outputs[0].shape.num_elements() as u64,
        flops_per_element: FLOPS,
    };
    let in_place = vec![Some(0), Some(2), Some(3)];
    Some(CustomCost { in_place, ..CustomCost::plain(kind, op) })
}

multiversion! {
    fn advance(p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], f: Factors) {
        // Four slices of one register a step: no alias checks.
        let (ps, p) = p.as_chunks_mut::<16>();
        let (gs, g) = g.as_chunks::<16>();
        let (ms, m) = m.as_chunks_mut::<16>();
        let (vs, v) = v.as_chunks_mut::<16>();
        for ((p, g), (m, v)) in ps.iter_mut().zip(gs).zip(ms.iter_mut().zip(vs))
        {
            let old = (*p, *m, *v);
            for i in 0..16 {
                (p[i], m[i], v[i]) = advance_one::<FMA>(
                    old.0[i], g[i], old.1[i], old.2[i], f,
                );
            }
        }
        for ((p, g), (m, v)) in p.iter_mut().zip(g).zip(m.iter_mut().zip(v)) {
            (*p, *m, *v) = advance_one::<FMA>(*p, *g, *m, *v, f);
        }
    }
}

#[inline(always)]
fn advance_one<const FMA: bool>(
    p: f32,
    g: f32,
    m: f32,
    v: f32,
    f: Factors,
) -> (f32, f32, f32) {
    let m = madd::<FMA>(f.beta_1, m, f.rest_1 * g);
    let v = madd::<FMA>(f.beta_2, v, f.rest_2 * g * g);
    let denominator = madd::<FMA>(v.sqrt(), f.root, f.epsilon);
    (madd::<FMA>(p, f.keep, -f.rate * m / denominator), m, v)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Tolerance};

    use super::*;
    use crate::door::recorded;

    #[test]
    fn ten_steps_equal_the_definition_in_double_precision() {
        let config = AdamW { weight_decay: 0.1, ..AdamW::default() };
        let device = Device::flex();
        let gradient = |i: usize, t: u32| ((i + 1) as f64 * f64::from(t)).sin();
        let count = 37;
        let mut exact: Vec<_> =
            (0..count).map(|i| (0.5 - i as f64 / 30.0, 0.0, 0.0)).collect();
        let start: Vec<f32> = exact.iter().map(|e| e.0 as f32).collect();
        let mut p = Tensor::<1>::from_floats(start.as_slice(), &device);
        let mut m = Tensor::<1>::zeros([count], &device);
        let mut v = m.clone();
        for t in 1..=10 {
            let g: Vec<f32> =
                (0..count).map(|i| gradient(i, t) as f32).collect();
            let g = Tensor::<1>::from_floats(g.as_slice(), &device);
            (p, m, v) = adamw(p, g, m, v, &config, t);
            for (i, (p, m, v)) in exact.iter_mut().enumerate() {
                let g = gradient(i, t);
                *p -= config.learning_rate * config.weight_decay * *p;
                *m = config.beta_1 * *m + (1.0 - config.beta_1) * g;
                *v = config.beta_2 * *v + (1.0 - config.beta_2) * g * g;
                let m_hat = *m / (1.0 - config.beta_1.powi(t as i32));
                let v_hat = *v / (1.0 - config.beta_2.powi(t as i32));
                *p -= config.learning_rate * m_hat
                    / (v_hat.sqrt() + config.epsilon);
            }
        }
        let p = p.to_data().try_to_vec::<f32>().unwrap();
        for (ours, exact) in p.iter().zip(&exact) {
            assert!((f64::from(*ours) - exact.0).abs() < 3e-7);
        }
    }

    #[test]
    fn it_equals_its_plain_twin() {
        let device = Device::flex();
        for shape in [[1, 1], [5, 33], [150, 1000]] {
            let random =
                || Tensor::<2>::random(shape, Distribution::Default, &device);
            // A gradient that is not contiguous, as of a transposed product.
            let gradient = Tensor::<2>::random(
                [shape[1], shape[0]],
                Distribution::Default,
                &device,
            )
            .transpose();
            let (p, m, v): (Tensor<2>, _, _) = (random(), random(), random());
            let config = AdamW::default();
            let held = || (p.clone(), gradient.clone(), m.clone(), v.clone());
            let (p, g, m, v) = held();
            let fast = <[_; 3]>::from(adamw(p, g, m, v, &config, 3));
            let (p, g, m, v) = held();
            let plain = <[_; 3]>::from(adamw_plain(p, g, m, v, &config, 3));
            for (fast, plain) in fast.iter().zip(&plain) {
                fast.to_data().assert_approx_eq::<f32>(
                    &plain.to_data(),
                    Tolerance::absolute(1e-6),
                );
            }
        }
    }

    #[test]
    fn it_is_recorded_with_its_cost() {
        let ops = recorded(|device| {
            let x = Tensor::<2>::zeros([3, 5], device);
            let rest = (x.clone(), x.clone(), x.clone());
            adamw(x, rest.0, rest.1, rest.2, &AdamW::default(), 1);
            None
        });
        let cost = ops.iter().find_map(cost).unwrap();
        assert_eq!(cost.kind.flops(), 15.0 * 14.0);
        assert_eq!(cost.in_place, [Some(0), Some(2), Some(3)]);
    }
}
