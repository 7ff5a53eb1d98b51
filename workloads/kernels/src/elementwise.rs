//! `exp` and `pow`, vectorised: the element-wise operators that stock Flex
//! calls the C library for, one element at a time. (`tanh` is an activation,
//! [`crate::activate`]. Stock `add`, `mul` and `div` are vectorised, in place
//! and as fast as memory: they stay stock.)
//!
//! `x^y = 2^(y log2 x)` in `f64`, two registers for one of `f32`: the result
//! is right to one unit in the last place. A block of 16 with a base that is
//! not a positive normal number goes to the C library, which knows the cases.
//!
//! These serve inference only: a tensor tracked for a gradient takes the
//! engine's own operator.
//!
//! The ladder, [1024, 1024] `f32`, milliseconds
//! (`examples/row_kernels_ladder.rs`; 2026-11-24, EPYC with AVX-512, one
//! worker thread, allocator set to keep its memory):
//!
//! | | `exp` | `pow` |
//! |---|---|---|
//! | stock operators | 2.8 | 4.6 |
//! | 1. vectorised, `pow` in `f64` | 0.45 | 1.9 |
//! | 2. in place | 0.31 | 1.7 |
//!
//! Stock `add` and `mul` take 0.14 out of place, 0.10 in place.

use burn::Tensor;
use burn::backend::ir::{CustomOpIr, ScalarIr};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Backend, Dispatch, DispatchDevice, TensorMetadata, backend_extension,
};
use burn_capture::CaptureBackend;
use burn_flex::Flex;

use assay_trace::{CustomCost, Elementwise, OperatorKind};

use crate::classes::{Class, timed};
use crate::door::{contiguous, record, serves, values};
use crate::math::{self, multiversion};
use crate::rows::{TASKS, update};

/// `exp(x)`, in place when nobody else holds `x`.
pub fn exp<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if !serves_untracked(&x) {
        return exp_plain(x);
    }
    let x = x.into_dispatch();
    Tensor::from_dispatch(<Dispatch as ElementwiseOps>::exp_all(x))
}

/// The plain twin of [`exp`].
pub fn exp_plain<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.exp()
}

/// `x^y` for one exponent, in place when nobody else holds `x`.
pub fn pow_scalar<const D: usize>(x: Tensor<D>, y: f32) -> Tensor<D> {
    if !serves_untracked(&x) {
        return pow_scalar_plain(x, y);
    }
    let x = x.into_dispatch();
    Tensor::from_dispatch(<Dispatch as ElementwiseOps>::pow_scalar_all(x, y))
}

/// The plain twin of [`pow_scalar`].
pub fn pow_scalar_plain<const D: usize>(x: Tensor<D>, y: f32) -> Tensor<D> {
    x.powf_scalar(y)
}

/// `x^y`, element by element, for tensors of one shape; in place when nobody
/// else holds `x`.
pub fn pow<const D: usize>(x: Tensor<D>, y: Tensor<D>) -> Tensor<D> {
    assert_eq!(x.dims(), y.dims(), "pow: base and exponent differ in shape");
    if !(serves_untracked(&x) && serves_untracked(&y)) {
        return pow_plain(x, y);
    }
    Tensor::from_dispatch(<Dispatch as ElementwiseOps>::pow_all(
        x.into_dispatch(),
        y.into_dispatch(),
    ))
}

/// The plain twin of [`pow`].
pub fn pow_plain<const D: usize>(x: Tensor<D>, y: Tensor<D>) -> Tensor<D> {
    x.powf(y)
}

fn serves_untracked<const D: usize>(x: &Tensor<D>) -> bool {
    let tracked =
        matches!(x.device().as_dispatch(), DispatchDevice::Autodiff(_));
    serves(x) && !tracked
}

/// The operators of this file for a backend: use [`exp`], [`pow_scalar`] and
/// [`pow`].
#[backend_extension(Flex, Capture)]
pub trait ElementwiseOps: Backend {
    /// `exp(x)`.
    fn exp_all(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// `x^y`, one exponent.
    fn pow_scalar_all(x: FloatTensor<Self>, y: f32) -> FloatTensor<Self>;
    /// `x^y`, an exponent an element.
    fn pow_all(x: FloatTensor<Self>, y: FloatTensor<Self>)
    -> FloatTensor<Self>;
}

impl ElementwiseOps for Flex {
    fn exp_all(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let _timed = timed(Class::Elementwise);
        let ([y], _) = update([x], 1, TASKS, |(): &mut (), _, [x]| exps(x));
        y
    }

    fn pow_scalar_all(x: FloatTensor<Self>, y: f32) -> FloatTensor<Self> {
        let _timed = timed(Class::Elementwise);
        let ([x], _) = update([x], 1, TASKS, |(): &mut (), _, [x]| power(x, y));
        x
    }

    fn pow_all(
        x: FloatTensor<Self>,
        y: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Elementwise);
        let y = contiguous(y);
        let y = values(&y);
        let ([x], _) = update([x], 1, TASKS, |(): &mut (), first, [x]| {
            powers(x, &y[first..first + x.len()]);
        });
        x
    }
}

impl ElementwiseOps for CaptureBackend {
    fn exp_all(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let shape = x.shape();
        let [y] = record("exp", vec![x], [shape], vec![]);
        y
    }

    fn pow_scalar_all(x: FloatTensor<Self>, y: f32) -> FloatTensor<Self> {
        let shape = x.shape();
        let scalars = vec![ScalarIr::Float(f64::from(y))];
        let [y] = record("pow_scalar", vec![x], [shape], scalars);
        y
    }

    fn pow_all(
        x: FloatTensor<Self>,
        y: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let shape = x.shape();
        let [y] = record("pow", vec![x, y], [shape], vec![]);
        y
    }
}

/// The cost of this file's operators.
pub(crate) fn cost(op: &CustomOpIr) -> Option<CustomCost> {
    let (kind, operands) = match op.id.as_str() {
        "exp" => (Elementwise::Exp, 1),
        "pow_scalar" => (Elementwise::Pow, 1),
        "pow" => (Elementwise::Pow, 2),
        _ => return None,
    };
    let kind = OperatorKind::Elementwise {
        op: kind,
        elements: op.outputs[0].shape.num_elements() as u64,
        operands,
    };
    let in_place = vec![Some(0)];
    Some(CustomCost { in_place, ..CustomCost::plain(kind, op) })
}

multiversion! {
    fn exps(x: &mut [f32]) {
        for x in x {
            *x = math::exp::<FMA>(*x);
        }
    }
}

multiversion! {
    fn power(x: &mut [f32], y: f32) {
        let (blocks, rest) = x.as_chunks_mut::<16>();
        for x in blocks {
            raise::<FMA>(x, &[y; 16]);
        }
        for x in rest {
            *x = x.powf(y);
        }
    }
}

multiversion! {
    fn powers(x: &mut [f32], y: &[f32]) {
        let (blocks, rest) = x.as_chunks_mut::<16>();
        let (y_blocks, y_rest) = y.as_chunks::<16>();
        for (x, y) in blocks.iter_mut().zip(y_blocks) {
            raise::<FMA>(x, y);
        }
        for (x, y) in rest.iter_mut().zip(y_rest) {
            *x = x.powf(*y);
        }
    }
}

/// One block to its powers.
#[inline(always)]
fn raise<const FMA: bool>(x: &mut [f32; 16], y: &[f32; 16]) {
    let mut ordinary = true;
    for i in 0..16 {
        ordinary &= x[i] >= f32::MIN_POSITIVE && x[i] <= f32::MAX;
        ordinary &= y[i].abs() <= f32::MAX;
    }
    if ordinary {
        for i in 0..16 {
            x[i] = pow_ordinary::<FMA>(x[i], y[i]);
        }
    } else {
        for i in 0..16 {
            x[i] = x[i].powf(y[i]);
        }
    }
}

/// `x^y` for a positive normal `x` and a finite `y`.
///
/// `x = 2^k m`, `m` about 1: `ln m = 2 artanh s`, `s = (m - 1) / (m + 1)`, by
/// its series to `s^13`. Then `2^t`, `t = n + r`, by the Taylor series to
/// `r^8`. Both leave less than 1e-9, so the last rounding, to `f32`, decides;
/// it also makes infinity and the subnormal numbers.
#[inline(always)]
fn pow_ordinary<const FMA: bool>(x: f32, y: f32) -> f32 {
    /// The bits of the square root of 1/2: `m` lies in `[0.71, 1.41)`.
    const LOW: i32 = 0x3f35_04f3;
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let madd = |a: f64, b: f64, c: f64| {
        if FMA { a.mul_add(b, c) } else { a * b + c }
    };
    let bits = x.to_bits() as i32;
    let k = bits.wrapping_sub(LOW) >> 23;
    let m = f64::from(f32::from_bits(bits.wrapping_sub(k << 23) as u32));
    let s = (m - 1.0) / (m + 1.0);
    let square = s * s;
    let mut p = 1.0 / 13.0;
    p = madd(p, square, 1.0 / 11.0);
    p = madd(p, square, 1.0 / 9.0);
    p = madd(p, square, 1.0 / 7.0);
    p = madd(p, square, 1.0 / 5.0);
    p = madd(p, square, 1.0 / 3.0);
    p = madd(p, square, 1.0);
    let log2 = madd(p * s, 2.0 * std::f64::consts::LOG2_E, f64::from(k));
    let t = (f64::from(y) * log2).clamp(-160.0, 130.0);
    let shifted = t + ROUND;
    let n = shifted - ROUND;
    let r = (t - n) * std::f64::consts::LN_2;
    let mut q = 1.0 / 40_320.0;
    q = madd(q, r, 1.0 / 5040.0);
    q = madd(q, r, 1.0 / 720.0);
    q = madd(q, r, 1.0 / 120.0);
    q = madd(q, r, 1.0 / 24.0);
    q = madd(q, r, 1.0 / 6.0);
    q = madd(q, r, 0.5);
    q = madd(q, r, 1.0);
    q = madd(q, r, 1.0);
    // The low bits of the shifted number are n: into the exponent with them.
    let power = shifted.to_bits().wrapping_sub(ROUND.to_bits());
    (q * f64::from_bits(power.wrapping_add(1023) << 52)) as f32
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Tolerance};

    use super::*;
    use crate::door::recorded;

    #[test]
    fn a_power_is_right_to_one_unit_in_the_last_place() {
        for i in 1..4000_u32 {
            // Bases over all exponents, exponents that reach the limits.
            let x = f32::from_bits(i * 530_000 + 0x0080_0000);
            let (x, y) = (x.min(f32::MAX), (i % 41) as f32 / 8.0 - 2.5);
            let exact = f64::from(x).powf(f64::from(y));
            let ours = pow_ordinary::<false>(x, y);
            if exact > f64::from(f32::MAX) {
                assert_eq!(ours, f32::INFINITY, "{x}^{y}");
                continue;
            }
            let unit = (exact * 1.2e-7).max(1.5e-45);
            let error = (f64::from(ours) - exact).abs();
            assert!(error <= unit, "{x}^{y} = {ours}, not {exact}");
        }
    }

    #[test]
    fn they_equal_their_plain_twins() {
        let device = Device::flex();
        for shape in [[1, 1], [7, 33], [130, 1000]] {
            let range = Distribution::Uniform(-1.0, 3.0);
            let wide =
                Tensor::<2>::random([shape[1], shape[0]], range, &device);
            let x = wide.transpose();
            let y = Tensor::<2>::random(shape, range, &device);
            let near = |fast: Tensor<2>, plain: Tensor<2>| {
                // A negative base has no power but at whole exponents.
                fast.to_data().assert_approx_eq::<f32>(
                    &plain.to_data(),
                    Tolerance::rel_abs(1e-6, 1e-30),
                );
            };
            near(exp(x.clone()), exp_plain(x.clone()));
            near(pow_scalar(x.clone(), 3.0), pow_scalar_plain(x.clone(), 3.0));
            let x = x.abs();
            near(pow_scalar(x.clone(), 2.5), pow_scalar_plain(x.clone(), 2.5));
            near(pow(x.clone(), y.clone()), pow_plain(x, y));
        }
    }

    #[test]
    fn a_tracked_tensor_keeps_its_gradient() {
        let device = Device::flex().autodiff();
        let x = Tensor::<1>::from_floats([0.0, 1.0], &device).require_grad();
        let grads = exp(x.clone()).sum().backward();
        let dx = x.grad(&grads).unwrap().to_data();
        let dx = dx.try_to_vec::<f32>().unwrap();
        assert!((dx[1] - std::f32::consts::E).abs() < 1e-6);
    }

    #[test]
    fn they_are_recorded_with_their_costs() {
        let ops = recorded(|device| {
            let x = Tensor::<2>::zeros([3, 5], &device.clone().inner());
            exp(pow(pow_scalar(x.clone(), 2.5), x));
            None
        });
        let costs: Vec<_> = ops.iter().filter_map(cost).collect();
        assert_eq!(costs.len(), 3);
        let kind = |op, operands| OperatorKind::Elementwise {
            op,
            elements: 15,
            operands,
        };
        assert_eq!(costs[0].kind, kind(Elementwise::Pow, 1));
        assert_eq!(costs[1].kind, kind(Elementwise::Pow, 2));
        assert_eq!(costs[2].kind, kind(Elementwise::Exp, 1));
    }
}
