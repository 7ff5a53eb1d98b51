//! Dropout (Srivastava et al., *Dropout*, 2014): an element is kept with
//! probability `1 - rate` and scaled by `1 / (1 - rate)`, else zero. Alpha
//! dropout (Klambauer et al., *Self-Normalizing Neural Networks*, 2017): a
//! dropped element becomes `alpha' = -1.758..`, then `a x + b` keeps mean 0
//! and variance 1, `a = ((1 - rate)(1 + rate alpha'^2))^(-1/2)`,
//! `b = -a rate alpha'`.
//!
//! The mask is a hash of seed and element index, so it is the same on any
//! number of threads, and the backward pass computes it again: nothing is
//! stored. The hash is *triple32* of Wellons' *hash-prospector* with a second
//! key before its last round; both keys come from the seed by SplitMix64
//! (Steele, Lea and Flood, 2014). The first key alone would give two seeds
//! masks that are one another's shifts.
//!
//! The ladder, [256, 4096] `f32`, milliseconds, twin (which hashes as fast) and
//! kernel
//! (`examples/network_kernels_ladder.rs`; 2026-11-28, 2 cores of an EPYC with
//! AVX-512, shared with other programs, load 5 to 9: to be measured again)
//! 0.58 and 0.23; forward and backward 1.4 and 0.9.

use burn::Tensor;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ir::{CustomOpIr, ScalarIr};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, Backend, Dispatch, TensorMetadata, backend_extension,
};
use burn::tensor::TensorData;
use burn_capture::CaptureBackend;
use burn_flex::{Flex, FlexTensor};

use assay_trace::{CustomCost, Elementwise, OperatorKind};

use crate::classes::{Class, timed};
use crate::door::{record, second_order, serves};
use crate::math::{madd, multiversion};
use crate::rows::{TASKS, update};

/// What a dropped unit of a self-normalizing network becomes.
const ALPHA: f64 = -1.758_099_340_847_376_6;

/// Drops elements of `x`, each with probability `rate`, and scales the others
/// by `1 / (1 - rate)`; in place when nobody else holds `x`. The mask follows
/// from `seed` and the element's place in row-major order.
///
/// # Panics
/// When `rate` is not in `[0, 1)`, or `x` has more than 2^32 elements.
pub fn dropout<const D: usize>(
    x: Tensor<D>,
    rate: f32,
    seed: u64,
) -> Tensor<D> {
    drop_some(x, rate, seed, false)
}

/// The plain twin of [`dropout`], of Burn's own operators.
pub fn dropout_plain<const D: usize>(
    x: Tensor<D>,
    rate: f32,
    seed: u64,
) -> Tensor<D> {
    drop_plain(x, rate, seed, false)
}

/// Alpha dropout: as [`dropout`], for networks with SELU.
///
/// # Panics
/// When `rate` is not in `[0, 1)`, or `x` has more than 2^32 elements.
pub fn alpha_dropout<const D: usize>(
    x: Tensor<D>,
    rate: f32,
    seed: u64,
) -> Tensor<D> {
    drop_some(x, rate, seed, true)
}

/// The plain twin of [`alpha_dropout`], of Burn's own operators.
pub fn alpha_dropout_plain<const D: usize>(
    x: Tensor<D>,
    rate: f32,
    seed: u64,
) -> Tensor<D> {
    drop_plain(x, rate, seed, true)
}

fn check<const D: usize>(x: &Tensor<D>, rate: f32) {
    assert!((0.0..1.0).contains(&rate), "dropout: a rate of {rate}");
    let elements = x.dims().iter().product::<usize>() as u64;
    assert!(elements <= 1 << 32, "dropout: {elements} elements");
}

fn drop_some<const D: usize>(
    x: Tensor<D>,
    rate: f32,
    seed: u64,
    alpha: bool,
) -> Tensor<D> {
    check(&x, rate);
    if rate == 0.0 {
        return x;
    }
    if !serves(&x) {
        return drop_plain(x, rate, seed, alpha);
    }
    Tensor::from_dispatch(<Dispatch as DropoutOps>::dropout_all(
        x.into_dispatch(),
        rate,
        seed,
        alpha,
    ))
}

fn drop_plain<const D: usize>(
    x: Tensor<D>,
    rate: f32,
    seed: u64,
    alpha: bool,
) -> Tensor<D> {
    check(&x, rate);
    if rate == 0.0 {
        return x;
    }
    let shape = x.dims();
    let mut mask = vec![1.0; shape.iter().product()];
    let keys = Keys::new(seed, rate);
    drop_units(&mut mask, 0, keys, Map { scale: 1.0, offset: 0.0, low: 0.0 });
    let options = (&x.device(), x.dtype());
    let mask = Tensor::<D>::from_data(TensorData::new(mask, shape), options);
    let map = Map::new(rate, alpha);
    let kept = (x * map.scale + map.offset) * mask.clone();
    if alpha { kept + (mask * -map.low + map.low) } else { kept }
}

/// Dropout as a backend operator: use [`dropout`] and [`alpha_dropout`].
#[backend_extension(Flex, Capture, Autodiff)]
pub trait DropoutOps: Backend {
    /// Some elements dropped; `alpha`: not to zero.
    fn dropout_all(
        x: FloatTensor<Self>,
        rate: f32,
        seed: u64,
        alpha: bool,
    ) -> FloatTensor<Self>;
    /// The gradient of `x`.
    fn dropout_all_backward(
        grad: FloatTensor<Self>,
        rate: f32,
        seed: u64,
        alpha: bool,
    ) -> FloatTensor<Self>;
}

/// What kept elements are multiplied by.
pub(crate) fn kept_scale(rate: f32) -> f32 {
    (1.0 / (1.0 - f64::from(rate))) as f32
}

/// What becomes of an element: `x * scale + offset` if kept, else `low`.
#[derive(Clone, Copy)]
struct Map {
    scale: f32,
    offset: f32,
    low: f32,
}

impl Map {
    fn new(rate: f32, alpha: bool) -> Self {
        if !alpha {
            let scale = kept_scale(rate);
            return Self { scale, offset: 0.0, low: 0.0 };
        }
        let rate = f64::from(rate);
        let keep = 1.0 - rate;
        let a = 1.0 / (keep * (1.0 + rate * ALPHA * ALPHA)).sqrt();
        let b = -a * rate * ALPHA;
        Self { scale: a as f32, offset: b as f32, low: (a * ALPHA + b) as f32 }
    }

    fn slope(self) -> Self {
        Self { offset: 0.0, low: 0.0, ..self }
    }
}

/// What the hash needs.
#[derive(Clone, Copy)]
pub(crate) struct Keys {
    first: u32,
    second: u32,
    /// Hashes below it drop their element.
    bound: u32,
}

impl Keys {
    pub(crate) fn new(seed: u64, rate: f32) -> Self {
        let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let bound = (f64::from(rate) * 4_294_967_296.0) as u32;
        Self { first: z as u32, second: (z >> 32) as u32, bound }
    }

    /// Whether the element of this place is kept.
    #[inline(always)]
    pub(crate) fn keeps(self, index: u32) -> bool {
        let mut h = index.wrapping_add(self.first);
        h = (h ^ (h >> 17)).wrapping_mul(0xed5a_d4bb);
        h = (h ^ (h >> 11)).wrapping_mul(0xac4c_1b51);
        h ^= self.second;
        h = (h ^ (h >> 15)).wrapping_mul(0x3184_8bab);
        (h ^ (h >> 14)) >= self.bound
    }
}

multiversion! {
    /// Maps the elements from number `first` on.
    fn drop_units(x: &mut [f32], first: usize, keys: Keys, map: Map) {
        let mut index = first as u32;
        for x in x {
            let kept = madd::<FMA>(*x, map.scale, map.offset);
            *x = if keys.keeps(index) { kept } else { map.low };
            index = index.wrapping_add(1);
        }
    }
}

fn on_flex(x: FlexTensor, keys: Keys, map: Map) -> FlexTensor {
    let ([y], _) = update([x], 1, TASKS, |(): &mut (), first, [x]| {
        drop_units(x, first, keys, map);
    });
    y
}

impl DropoutOps for Flex {
    fn dropout_all(
        x: FloatTensor<Self>,
        rate: f32,
        seed: u64,
        alpha: bool,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Elementwise);
        on_flex(x, Keys::new(seed, rate), Map::new(rate, alpha))
    }

    fn dropout_all_backward(
        grad: FloatTensor<Self>,
        rate: f32,
        seed: u64,
        alpha: bool,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Elementwise);
        on_flex(grad, Keys::new(seed, rate), Map::new(rate, alpha).slope())
    }
}

/// The seed is not recorded: it changes nothing that a trace tells.
fn recorded_as(
    id: &'static str,
    x: FloatTensor<CaptureBackend>,
    rate: f32,
    alpha: bool,
) -> FloatTensor<CaptureBackend> {
    let scalars = vec![ScalarIr::Float(f64::from(rate)), ScalarIr::Bool(alpha)];
    let shape = x.shape();
    let [y] = record(id, vec![x], [shape], scalars);
    y
}

impl DropoutOps for CaptureBackend {
    fn dropout_all(
        x: FloatTensor<Self>,
        rate: f32,
        _: u64,
        alpha: bool,
    ) -> FloatTensor<Self> {
        recorded_as("dropout", x, rate, alpha)
    }

    fn dropout_all_backward(
        grad: FloatTensor<Self>,
        rate: f32,
        _: u64,
        alpha: bool,
    ) -> FloatTensor<Self> {
        recorded_as("dropout_backward", grad, rate, alpha)
    }
}

/// The cost of this file's operators: one multiplication an element. The
/// hash is integer arithmetic, which is not counted.
pub(crate) fn cost(op: &CustomOpIr) -> Option<CustomCost> {
    if !matches!(op.id.as_str(), "dropout" | "dropout_backward") {
        return None;
    }
    let kind = OperatorKind::Elementwise {
        op: Elementwise::Mul,
        elements: op.outputs[0].shape.num_elements() as u64,
        operands: 1,
    };
    let in_place = vec![Some(0)];
    Some(CustomCost { in_place, ..CustomCost::plain(kind, op) })
}

#[derive(Debug)]
struct DropoutBackward;

impl<B: DropoutOps> Backward<B, 1> for DropoutBackward {
    /// `rate`, `seed`, `alpha`.
    type State = (f32, u64, bool);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        let (rate, seed, alpha) = ops.state;
        let grad = grads.consume::<B>(&ops.node);
        if let [Some(parent)] = ops.parents {
            let dx = B::dropout_all_backward(grad, rate, seed, alpha);
            grads.register::<B>(parent.id, dx);
        }
    }
}

impl<B: DropoutOps, C: CheckpointStrategy> DropoutOps for Autodiff<B, C> {
    fn dropout_all(
        x: FloatTensor<Self>,
        rate: f32,
        seed: u64,
        alpha: bool,
    ) -> FloatTensor<Self> {
        let prep =
            DropoutBackward.prepare::<C>([x.node()]).compute_bound().stateful();
        let y = B::dropout_all(x.into_primitive(), rate, seed, alpha);
        match prep {
            OpsKind::Tracked(prep) => prep.finish((rate, seed, alpha), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn dropout_all_backward(
        _: FloatTensor<Self>,
        _: f32,
        _: u64,
        _: bool,
    ) -> FloatTensor<Self> {
        second_order("dropout")
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Tolerance};

    use super::*;
    use crate::door::recorded;

    fn mask(len: usize, rate: f32, seed: u64) -> Vec<f32> {
        let x = Tensor::<1>::ones([len], &Device::flex());
        let y = dropout(x, rate, seed) * (1.0 - rate);
        y.to_data().try_to_vec::<f32>().unwrap()
    }

    #[test]
    fn it_equals_its_plain_twin_forward_and_backward() {
        let device = Device::flex().autodiff();
        for (shape, alpha) in
            [([7, 33], false), ([300, 1000], false), ([300, 1000], true)]
        {
            let range = Distribution::Uniform(-2.0, 2.0);
            let x = Tensor::<2>::random(shape, range, &device).require_grad();
            let turned = [shape[1], shape[0]];
            let weight = Tensor::<2>::random(turned, range, &device);
            let run = |fast: bool| {
                let f = match (fast, alpha) {
                    (true, false) => dropout,
                    (false, false) => dropout_plain,
                    (true, true) => alpha_dropout,
                    (false, true) => alpha_dropout_plain,
                };
                let y = f(x.clone().swap_dims(0, 1), 0.2, 5);
                let value = y.to_data();
                let grads = (y * weight.clone()).sum().backward();
                [value, x.grad(&grads).unwrap().to_data()]
            };
            for (fast, plain) in run(true).iter().zip(&run(false)) {
                fast.assert_approx_eq::<f32>(plain, Tolerance::absolute(1e-6));
            }
        }
    }

    #[test]
    fn masks_are_even_and_those_of_neighbouring_seeds_independent() {
        let len = 1 << 20;
        for rate in [0.05, 0.1, 0.5, 0.9] {
            let (a, b) = (mask(len, rate, 1), mask(len, rate, 2));
            let keep = f64::from(1.0 - rate);
            let n = len as f64;
            // Five deviations of a binomial.
            let five = |p: f64| 5.0 * (p * (1.0 - p) / n).sqrt();
            let mean = |x: &mut dyn Iterator<Item = f32>| {
                x.map(|x| f64::from(x.round())).sum::<f64>() / n
            };
            let share = mean(&mut a.iter().copied());
            assert!((share - keep).abs() < five(keep), "{rate}: {share}");
            // Joint frequencies: of two seeds, and of elements at a lag.
            let both = keep * keep;
            let pairs = a.iter().zip(&b).map(|(a, b)| a * b);
            assert!((mean(&mut { pairs }) - both).abs() < five(both));
            for lag in [1, 2, 3, 16, 1024, 4096] {
                let pairs = a.iter().zip(&a[lag..]).map(|(a, b)| a * b);
                let joint = mean(&mut { pairs }) * n / (n - lag as f64);
                assert!((joint - both).abs() < five(both), "lag {lag}");
            }
        }
    }

    #[test]
    fn alpha_dropout_keeps_mean_and_variance() {
        let device = Device::flex();
        let normal = Distribution::Normal(0.0, 1.0);
        let x = Tensor::<1>::random([1 << 20], normal, &device);
        let (variance, mean) = alpha_dropout(x, 0.1, 7).var_mean(0);
        assert!(mean.into_scalar::<f32>().abs() < 0.01);
        assert!((variance.into_scalar::<f32>() - 1.0).abs() < 0.01);
    }

    #[test]
    fn a_rate_of_zero_changes_nothing() {
        assert_eq!(mask(5, 0.0, 3), [1.0; 5]);
    }

    #[test]
    fn it_is_recorded_with_its_cost() {
        let ops = recorded(|device| {
            let x = Tensor::<2>::zeros([3, 5], device).require_grad();
            Some(alpha_dropout(dropout(x, 0.1, 1), 0.1, 2).sum())
        });
        let costs: Vec<_> = ops.iter().filter_map(cost).collect();
        assert_eq!(costs.len(), 4);
        for cost in costs {
            assert_eq!(cost.kind.flops(), 15.0);
            assert_eq!(cost.in_place, [Some(0)]);
        }
    }
}
