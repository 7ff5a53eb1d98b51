//! Many tests at once: the share of false calls among the calls.
//!
//! Benjamini and Hochberg (Journal of the Royal Statistical Society B 57(1),
//! 1995): sort `m` values `p(1) <= ... <= p(m)`; the adjusted value is
//!
//! ```text
//! a(k) = min( 1, min over j >= k of  p(j) m / j )
//! ```
//!
//! Calling all with `a <= q` keeps the expected share of false calls among
//! calls at or below `q`, for tests that are independent or positively
//! dependent. If nothing changed at all, every call is false, so the chance of
//! any is at most `q`.
//!
//! With e-values (Wang and Ramdas, same journal 84(3), 2022) sort them
//! descending, find the largest `k` with `e(k) >= m / (k q)`, and call the `k`
//! largest: the same bound under any dependence. It is the rule above on
//! `1 / e`.

use crate::StatisticsError;
use crate::error::check;

/// Adjusted p, in the order of the input. Each p lies in `[0, 1]`; an empty
/// input gives an empty output.
pub fn benjamini_hochberg(p: &[f64]) -> Result<Vec<f64>, StatisticsError> {
    check(p, 0, "an adjusted p")?;
    match p.iter().find(|p| !(0.0..=1.0).contains(*p)) {
        None => Ok(adjusted(p)),
        Some(&value) => Err(StatisticsError::Argument {
            name: "p",
            value,
            expected: "a number from 0 to 1",
        }),
    }
}

/// Which e-values are called, in the order of the input, at a false discovery
/// rate of `level` (strictly between 0 and 1). Each e is at least 0.
pub fn e_benjamini_hochberg(
    e: &[f64],
    level: f64,
) -> Result<Vec<bool>, StatisticsError> {
    check(e, 0, "a call by e-values")?;
    if !(level > 0.0 && level < 1.0) {
        return Err(StatisticsError::Argument {
            name: "level",
            value: level,
            expected: "a number between 0 and 1, both excluded",
        });
    }
    if let Some(&value) = e.iter().find(|&&e| e < 0.0) {
        return Err(StatisticsError::Argument {
            name: "e",
            value,
            expected: "a number from 0 up",
        });
    }
    let inverse: Vec<f64> = e.iter().map(|e| 1.0 / e).collect();
    Ok(adjusted(&inverse).into_iter().map(|a| a <= level).collect())
}

/// Benjamini and Hochberg's values of p, or of 1 / e (which may exceed 1).
pub(crate) fn adjusted(p: &[f64]) -> Vec<f64> {
    let m = p.len() as f64;
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut adjusted = vec![1.0; p.len()];
    let mut least: f64 = 1.0;
    for (rank, &index) in order.iter().enumerate().rev() {
        // In this order m / m is 1, and no adjusted p falls below its p.
        least = least.min(p[index] * (m / (rank + 1) as f64));
        adjusted[index] = least;
    }
    adjusted
}

/// The largest p with which the row `index` would have been called at
/// `level`, the other rows being as they are.
///
/// With `c` others at or below `k level / m`, the row is called as the
/// `k`-th if `c >= k - 1`.
pub(crate) fn needed_p(p: &[f64], index: usize, level: f64) -> f64 {
    let mut others = p.to_vec();
    others.swap_remove(index);
    others.sort_by(f64::total_cmp);
    let share = level / p.len() as f64;
    (1..=p.len())
        .rev()
        .map(|k| k as f64 * share)
        .zip((0..p.len()).rev())
        .find(|&(threshold, others_needed)| {
            others_needed == 0 || others[others_needed - 1] <= threshold
        })
        .map_or(share, |(threshold, _)| threshold)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn adjusted_p_agree_with_a_hand_worked_example() {
        // Sorted 0.005 0.011 0.02 0.04 0.13, times 5 / rank:
        // 0.025 0.0275 0.0333 0.05 0.13; already rising.
        let p = [0.04, 0.005, 0.13, 0.02, 0.011];
        let expected = [0.05, 0.025, 0.13, 0.1 / 3.0, 0.0275];
        for (found, expected) in
            benjamini_hochberg(&p).unwrap().iter().zip(expected)
        {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
        // 0.03 x 2 / 1 = 0.06 gives way to 0.031 x 2 / 2.
        let pulled = benjamini_hochberg(&[0.03, 0.031]).unwrap();
        assert_eq!(pulled, [0.031, 0.031]);
    }

    #[test]
    fn e_values_are_called_as_in_a_hand_worked_example() {
        // m = 4, level 0.05: thresholds 80, 40, 26.7, 20. Sorted 90, 45, 22,
        // 3: the second passes 40, the third misses 26.7.
        let called =
            e_benjamini_hochberg(&[22.0, 90.0, 3.0, 45.0], 0.05).unwrap();
        assert_eq!(called, [false, true, false, true]);
        // The smallest of three that reach 26.7 lifts two that miss alone.
        let called =
            e_benjamini_hochberg(&[27.0, 30.0, 28.0, 0.0], 0.05).unwrap();
        assert_eq!(called, [true, true, true, false]);
        // Alone, 20 is enough.
        assert_eq!(e_benjamini_hochberg(&[20.0], 0.05).unwrap(), [true]);
        assert_eq!(e_benjamini_hochberg(&[19.9], 0.05).unwrap(), [false]);
    }

    #[test]
    fn what_is_no_p_and_no_e_is_an_error() {
        for bad in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(benjamini_hochberg(&[0.5, bad]).is_err(), "{bad}");
        }
        for bad in [-0.1, f64::NAN, f64::INFINITY] {
            assert!(e_benjamini_hochberg(&[1.0, bad], 0.05).is_err(), "{bad}");
        }
        assert!(e_benjamini_hochberg(&[1.0], 0.0).is_err());
        assert_eq!(benjamini_hochberg(&[]).unwrap(), Vec::<f64>::new());
    }

    proptest! {
        #[test]
        fn the_needed_p_is_just_small_enough(
            p in proptest::collection::vec(0.0..0.2_f64, 1..20),
            pick in 0_usize..20,
        ) {
            let index = pick % p.len();
            let needed = needed_p(&p, index, 0.05);
            let mut tried = p.clone();
            tried[index] = needed * (1.0 - 1e-9);
            prop_assert!(adjusted(&tried)[index] <= 0.05);
            tried[index] = needed * (1.0 + 1e-9);
            prop_assert!(adjusted(&tried)[index] > 0.05);
        }

        #[test]
        fn adjusting_keeps_the_order_and_never_lowers_p(
            p in proptest::collection::vec(0.0..=1.0_f64, 1..40),
        ) {
            let adjusted = benjamini_hochberg(&p).unwrap();
            for (i, a) in adjusted.iter().enumerate() {
                prop_assert!(*a >= p[i] && *a <= 1.0);
                for (j, b) in adjusted.iter().enumerate() {
                    prop_assert!(p[i] > p[j] || a <= b);
                }
            }
        }
    }
}
