//! Student's t law: probabilities and quantiles.
//!
//! The values come from statrs, whose inverse stops at four digits where the
//! degrees are many: one step of Newton's on its own distribution gives the
//! rest. The tests hold them against printed tables.

use statrs::distribution::{Continuous, ContinuousCDF, StudentsT};

/// `P(T <= t)` with `degrees` >= 1 degrees of freedom.
fn cumulative(t: f64, degrees: f64) -> f64 {
    if t.is_infinite() {
        return if t > 0.0 { 1.0 } else { 0.0 };
    }
    // No law means that nothing can be said: neither side is favoured.
    StudentsT::new(0.0, 1.0, degrees).map_or(0.5, |law| law.cdf(t))
}

/// The chance of a |T| this large or larger.
pub(crate) fn two_sided_p(t: f64, degrees: f64) -> f64 {
    (2.0 * cumulative(-t.abs(), degrees)).clamp(0.0, 1.0)
}

/// The value that T stays below with `probability` (strictly between 0 and
/// 1); infinite where there is no law.
pub fn quantile(probability: f64, degrees: f64) -> f64 {
    StudentsT::new(0.0, 1.0, degrees).map_or(f64::INFINITY, |law| {
        let t = law.inverse_cdf(probability);
        t - (law.cdf(t) - probability) / law.pdf(t)
    })
}

/// The t beyond which a two-sided test at level `alpha` calls.
pub(crate) fn two_sided_quantile(alpha: f64, degrees: f64) -> f64 {
    quantile(1.0 - alpha / 2.0, degrees)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_agree_with_the_printed_table() {
        // Student's table, two-sided 5 % and 1 %.
        for (degrees, five, one) in [
            (1.0, 12.706, 63.657),
            (2.0, 4.303, 9.925),
            (5.0, 2.571, 4.032),
            (10.0, 2.228, 3.169),
            (30.0, 2.042, 2.750),
            (120.0, 1.980, 2.617),
        ] {
            for (alpha, expected) in [(0.05, five), (0.01, one)] {
                let found = two_sided_quantile(alpha, degrees);
                assert!(
                    (found - expected).abs() < 6e-4,
                    "{degrees}, {alpha}: {found}"
                );
            }
        }
    }

    #[test]
    fn many_degrees_give_the_normal_law() {
        for degrees in [1e3, 1e4, 1e5, 1e6] {
            let t = two_sided_quantile(0.05, degrees);
            assert!((t - 1.959_964).abs() < 3.0 / degrees, "{degrees}: {t}");
            let p = two_sided_p(1.959_964, degrees);
            assert!((p - 0.05).abs() < 0.3 / degrees, "{degrees}: {p}");
        }
    }

    #[test]
    fn p_is_the_inverse_of_the_quantile_far_into_the_tail() {
        for degrees in [1.0, 4.0, 19.0, 199.0] {
            for alpha in [0.5, 0.05, 1e-3, 1e-6] {
                let t = two_sided_quantile(alpha, degrees);
                let p = two_sided_p(t, degrees);
                assert!(
                    (p / alpha - 1.0).abs() < 1e-4,
                    "{degrees}, {alpha}: {t}, {p}"
                );
            }
        }
    }

    #[test]
    fn an_endless_t_has_no_chance() {
        assert_eq!(two_sided_p(f64::INFINITY, 5.0), 0.0);
        assert_eq!(two_sided_p(0.0, 5.0), 1.0);
    }
}
