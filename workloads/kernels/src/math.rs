//! Vectorisable mathematics, and the choice of instruction set.
//!
//! [`multiversion!`] compiles a body three times (AVX-512, AVX2 with FMA,
//! baseline) and picks one at run time, so no build flag is needed. The bodies
//! are plain loops over slices that the compiler vectorises; `mul_add` stands
//! only where a fused instruction exists, else it would call the C library.

/// Compiles a function for several instruction sets and picks at run time.
///
/// The body receives `FMA`, a constant that says whether [`madd`] may fuse.
macro_rules! multiversion {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$doc])*
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn body<const FMA: bool>($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,fma")]
                fn avx512($($arg: $ty),*) $(-> $ret)? {
                    body::<true>($($arg),*)
                }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $ty),*) $(-> $ret)? {
                    body::<true>($($arg),*)
                }
                if std::is_x86_feature_detected!("avx512f")
                    && std::is_x86_feature_detected!("avx512vl")
                    && std::is_x86_feature_detected!("avx512dq")
                    && std::is_x86_feature_detected!("avx512bw")
                    && std::is_x86_feature_detected!("fma")
                {
                    #[expect(unsafe_code, reason = "calls a function that needs CPU features")]
                    // SAFETY: the features were detected just above.
                    return unsafe { avx512($($arg),*) };
                }
                if std::is_x86_feature_detected!("avx2")
                    && std::is_x86_feature_detected!("fma")
                {
                    #[expect(unsafe_code, reason = "calls a function that needs CPU features")]
                    // SAFETY: the features were detected just above.
                    return unsafe { avx2($($arg),*) };
                }
            }
            body::<false>($($arg),*)
        }
    };
}
pub(crate) use multiversion;

/// `a * b + c`, fused where `FMA` says that one instruction does it.
#[inline(always)]
pub(crate) fn madd<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Lanes of a reduction: independent partial results, so that it vectorises.
pub(crate) const LANES: usize = 32;

/// `exp(x)` to about one unit in the last place for `x <= 88`; 0 below -87.3,
/// infinity above 88.7; NaN stays NaN.
///
/// `x = n ln 2 + r`, `|r| <= ln 2 / 2`: a degree-6 polynomial for `exp(r)`
/// (the Taylor series with its last coefficients economised by a least-squares
/// fit on the interval), times `2^n` made from the exponent bits. `n` is
/// rounded by adding and subtracting 1.5 * 2^23.
#[inline(always)]
pub(crate) fn exp<const FMA: bool>(x: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    // ln 2 in two parts, so that n * LN2_HIGH is exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    const ROUND: f32 = 12_582_912.0;
    // 2^n overflows by itself above 88.7; NaN stays NaN throughout.
    let clamped = x.clamp(-87.3, 89.0);
    let shifted = madd::<FMA>(clamped, LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = madd::<FMA>(n, -LN2_HIGH, clamped);
    let r = madd::<FMA>(n, -LN2_LOW, r);
    let mut p = 1.0 / 720.0;
    p = madd::<FMA>(p, r, 1.0 / 120.0);
    p = madd::<FMA>(p, r, 1.0 / 24.0);
    p = madd::<FMA>(p, r, 1.0 / 6.0);
    p = madd::<FMA>(p, r, 0.5);
    p = madd::<FMA>(p, r, 1.0);
    p = madd::<FMA>(p, r, 1.0);
    // The low bits of the shifted number are n as an integer: a cast would
    // saturate, which takes more instructions than all of the above.
    let n = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    // 2^n in two halves: n reaches 128, one past the largest exponent.
    let half = n >> 1;
    let power = |n: i32| f32::from_bits((n.wrapping_add(127) as u32) << 23);
    let y = p * power(half) * power(n.wrapping_sub(half));
    // A select, not a branch: the loop must vectorise.
    if x < -87.3 { 0.0 } else { y }
}

/// `s = 1 / (1 + exp(-x))` and `1 - s`, to 1e-7, each to its own relative
/// accuracy (a subtraction would lose that of the second). NaN gives numbers.
#[inline(always)]
pub(crate) fn sigmoid<const FMA: bool>(x: f32) -> (f32, f32) {
    // Below -80 both would meet infinity.
    let e = exp::<FMA>(-x.max(-80.0));
    let s = 1.0 / (1.0 + e);
    (s, e * s)
}

/// `tanh(x)`, to 3e-7 relative.
///
/// `1 - 2 / (exp(2|x|) + 1)`, and near zero, where that cancels, the Taylor
/// series to `x^9`.
#[inline(always)]
pub(crate) fn tanh<const FMA: bool>(x: f32) -> f32 {
    let (size, square) = (x.abs(), x * x);
    let far = 1.0 - 2.0 / (exp::<FMA>(2.0 * size) + 1.0);
    let mut p = 62.0 / 2835.0;
    p = madd::<FMA>(p, square, -17.0 / 315.0);
    p = madd::<FMA>(p, square, 2.0 / 15.0);
    p = madd::<FMA>(p, square, -1.0 / 3.0);
    let near = madd::<FMA>(p * square, x, x);
    if size < 0.3 { near } else { far.copysign(x) }
}

/// The normal distribution at `x`: `(P(X <= x), density)`, to 1.5e-7.
///
/// Within one deviation the Taylor series to `x^15`. Beyond, the tail
/// `erfc(|x| / sqrt 2) / 2` by formula 7.1.26 of Abramowitz and Stegun,
/// *Handbook of Mathematical Functions*: a polynomial in
/// `1 / (1 + 0.3275911 z)` times `exp(-z^2)`. The tail is computed, not `erf`,
/// so the lower one keeps its relative accuracy.
#[inline(always)]
pub(crate) fn normal<const FMA: bool>(x: f32) -> (f32, f32) {
    const INVERSE_SQRT_TAU: f32 = 0.398_942_3;
    let square = x * x;
    let density = INVERSE_SQRT_TAU * exp::<FMA>(-0.5 * square);
    // (-1)^k / (2^k k! (2k + 1)), k from 7 down.
    let mut p = -1.0 / 9_676_800.0;
    p = madd::<FMA>(p, square, 1.0 / 599_040.0);
    p = madd::<FMA>(p, square, -1.0 / 42_240.0);
    p = madd::<FMA>(p, square, 1.0 / 3456.0);
    p = madd::<FMA>(p, square, -1.0 / 336.0);
    p = madd::<FMA>(p, square, 1.0 / 40.0);
    p = madd::<FMA>(p, square, -1.0 / 6.0);
    p = madd::<FMA>(p, square, 1.0);
    let near = madd::<FMA>(p * x, INVERSE_SQRT_TAU, 0.5);
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / madd::<FMA>(0.327_591_1, z, 1.0);
    let mut p = 1.061_405_4;
    p = madd::<FMA>(p, t, -1.453_152);
    p = madd::<FMA>(p, t, 1.421_413_7);
    p = madd::<FMA>(p, t, -0.284_496_74);
    p = madd::<FMA>(p, t, 0.254_829_6);
    const HALF_SQRT_TAU: f32 = 1.253_314_1;
    let tail = p * t * density * HALF_SQRT_TAU;
    let far = if x < 0.0 { tail } else { 1.0 - tail };
    (if z < std::f32::consts::FRAC_1_SQRT_2 { near } else { far }, density)
}

/// The sum of a slice.
#[inline(always)]
pub(crate) fn sum(x: &[f32]) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] += chunk[i];
        }
    }
    lanes.into_iter().sum::<f32>() + rest.iter().sum::<f32>()
}

/// The sum of `(x - centre)^2`.
#[inline(always)]
pub(crate) fn squares<const FMA: bool>(x: &[f32], centre: f32) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for i in 0..LANES {
            let d = chunk[i] - centre;
            lanes[i] = madd::<FMA>(d, d, lanes[i]);
        }
    }
    let rest: f32 = rest.iter().map(|x| (x - centre) * (x - centre)).sum();
    lanes.into_iter().sum::<f32>() + rest
}

/// The largest element; NaN elements are passed over.
#[inline(always)]
pub(crate) fn largest(x: &[f32]) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] = if chunk[i] > lanes[i] { chunk[i] } else { lanes[i] };
        }
    }
    lanes
        .into_iter()
        .chain(rest.iter().copied())
        .fold(f32::NEG_INFINITY, f32::max)
}

/// The dot product of two slices of one length.
#[inline(always)]
pub(crate) fn dot<const FMA: bool>(a: &[f32], b: &[f32]) -> f32 {
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for i in 0..LANES {
            lanes[i] = madd::<FMA>(a[i], b[i], lanes[i]);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    lanes.into_iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_agrees_with_the_library_to_two_units_in_the_last_place()
    {
        for i in -87_000..88_000 {
            let x = i as f32 / 1000.0;
            let (ours, theirs) = (exp::<false>(x), x.exp());
            let error = ((ours - theirs) / theirs).abs();
            assert!(error < 4e-7, "exp({x}) = {ours}, library {theirs}");
        }
    }

    #[test]
    fn tanh_agrees_with_the_library_in_relative_terms() {
        for i in -20_000..20_000 {
            let x = i as f32 / 2000.0;
            let (ours, theirs) = (tanh::<false>(x), f64::from(x).tanh());
            let error = (f64::from(ours) - theirs).abs();
            assert!(error <= 4e-7 * theirs.abs(), "tanh({x}) = {ours}");
        }
        assert_eq!(tanh::<false>(f32::NEG_INFINITY), -1.0);
        assert_eq!(tanh::<false>(200.0), 1.0);
        assert!(tanh::<false>(f32::NAN).is_nan());
    }

    #[test]
    fn the_normal_distribution_integrates_its_own_density() {
        // Simpson's rule in f64 from 0, an authority of its own.
        let density =
            |x: f64| (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
        let (mut integral, step) = (0.5, 1.0 / 64.0);
        for i in 0..512 {
            let x = f64::from(i) * step;
            let (p, d) = normal::<false>(x as f32);
            assert!((f64::from(p) - integral).abs() < 2e-7, "P({x}) = {p}");
            assert!((f64::from(d) - density(x)).abs() < 1e-7);
            let (q, _) = normal::<false>(-x as f32);
            assert!((f64::from(q) - (1.0 - integral)).abs() < 2e-7);
            let middle = density(x + step / 2.0);
            integral +=
                step / 6.0 * (density(x) + 4.0 * middle + density(x + step));
        }
    }

    #[test]
    fn the_exponential_of_the_unusual_is_as_usual() {
        assert_eq!(exp::<false>(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp::<false>(-1000.0), 0.0);
        assert_eq!(exp::<false>(f32::INFINITY), f32::INFINITY);
        assert_eq!(exp::<false>(0.0), 1.0);
        assert!(exp::<false>(f32::NAN).is_nan());
    }
}
