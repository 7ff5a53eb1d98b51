//! Which two order statistics enclose a quantile with a given confidence.
//!
//! Let `x(1) <= ... <= x(n)` be independent samples of one law with quantile
//! `Q` at level `q`. The number `B` of samples below `Q` is binomial `(n, q)`,
//! so, whatever the law,
//!
//! ```text
//! P( x(l) <= Q <= x(u) ) >= P( l <= B <= u - 1 )
//!                         = 1 - P(B <= l - 1) - P(B >= u)
//! ```
//!
//! with equality for a law without ties (David and Nagaraja, Order
//! Statistics, 3rd edition, section 7.1). Each tail gets half of
//! `1 - confidence`: `l` is the largest and `u` the smallest rank whose tail
//! fits. Where one side does not fit even at the extreme rank, that side takes
//! the extreme and the other side gets what is left of the budget. Where that
//! does not fit either, the ranks are `1` and `n`, and the confidence is what
//! they truly give: `1 - (1 - q)^n - q^n`.
//!
//! The binomial terms come from their mode by the recurrence
//! `p(k + 1) / p(k) = (n - k) q / ((k + 1) (1 - q))` and are divided by their
//! sum: about `20 sqrt(n q (1 - q))` steps, no special function. (statrs's
//! incomplete beta function stops its continued fraction after 140 terms,
//! which is too early for millions of samples; the tests use it up to 2,000.)

/// Two ranks, counted from 1, and the confidence of what lies between.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct OrderRanks {
    /// Rank of the lower end.
    pub(crate) low: usize,
    /// Rank of the upper end.
    pub(crate) high: usize,
    /// What the two truly give: at least what was asked for, if `reached`.
    pub(crate) confidence: f64,
    /// Whether that is what was asked for.
    pub(crate) reached: bool,
}

/// A rank counted from one end of the sample, and the mass beyond it.
#[derive(Clone, Copy)]
struct Tail {
    rank: usize,
    mass: f64,
}

/// Ranks that enclose the quantile `q` of `n` independent samples.
///
/// `n` is at least 1; `q` and `confidence` lie strictly between 0 and 1.
pub(crate) fn order_ranks(n: usize, q: f64, confidence: f64) -> OrderRanks {
    let terms = BinomialTerms::new(n, q);
    let budget = 1.0 - confidence;
    let mut below = terms.lower_tail(budget / 2.0);
    let mut above = terms.upper_tail(budget / 2.0);
    if below.rank == 0 {
        below = Tail { rank: 1, mass: terms.at(0) };
        above = terms.upper_tail(budget - below.mass);
    }
    if above.rank == 0 {
        above = Tail { rank: 1, mass: terms.at(n) };
        below = terms.lower_tail(budget - above.mass);
        if below.rank == 0 {
            below = Tail { rank: 1, mass: terms.at(0) };
        }
    }
    let reached = 1.0 - below.mass - above.mass;
    OrderRanks {
        low: below.rank,
        high: n + 1 - above.rank,
        confidence: reached.max(0.0),
        // A hair's breadth for rounding: an exact hit counts.
        reached: reached >= confidence - 1e-12,
    }
}

/// The binomial probabilities that are not negligible.
struct BinomialTerms {
    n: usize,
    /// The `k` of the first term.
    first: usize,
    terms: Vec<f64>,
}

impl BinomialTerms {
    fn new(n: usize, q: f64) -> Self {
        /// Terms below this share of the largest are dropped.
        const NEGLIGIBLE: f64 = 1e-22;
        let odds = q / (1.0 - q);
        let mode = (((n + 1) as f64 * q) as usize).min(n);
        let mut terms = Vec::new();
        let (mut k, mut term) = (mode, 1.0);
        while k > 0 && term > NEGLIGIBLE {
            term *= k as f64 / ((n - k + 1) as f64 * odds);
            k -= 1;
            terms.push(term);
        }
        let first = k;
        terms.reverse();
        terms.push(1.0);
        (k, term) = (mode, 1.0);
        while k < n && term > NEGLIGIBLE {
            term *= (n - k) as f64 * odds / (k + 1) as f64;
            k += 1;
            terms.push(term);
        }
        let sum: f64 = terms.iter().sum();
        for term in &mut terms {
            *term /= sum;
        }
        Self { n, first, terms }
    }

    fn at(&self, k: usize) -> f64 {
        k.checked_sub(self.first)
            .and_then(|place| self.terms.get(place))
            .copied()
            .unwrap_or(0.0)
    }

    /// The largest rank `l` with `P(B <= l - 1) <= budget`; 0 if none.
    fn lower_tail(&self, budget: f64) -> Tail {
        largest_rank(self.terms.iter(), self.first, budget)
    }

    /// The same from the upper end: the rank counts from the maximum.
    fn upper_tail(&self, budget: f64) -> Tail {
        let last = self.first + self.terms.len() - 1;
        largest_rank(self.terms.iter().rev(), self.n - last, budget)
    }
}

fn largest_rank<'a>(
    terms: impl Iterator<Item = &'a f64>,
    beyond: usize,
    budget: f64,
) -> Tail {
    let mut tail = Tail { rank: beyond, mass: 0.0 };
    for term in terms {
        if tail.mass + term > budget {
            break;
        }
        tail = Tail { rank: tail.rank + 1, mass: tail.mass + term };
    }
    tail
}

#[cfg(test)]
mod tests {
    use statrs::distribution::{Binomial, DiscreteCDF};

    use super::*;

    #[test]
    fn the_ranks_of_small_samples_agree_with_the_printed_tables() {
        // Sign-test tables, median, 95 %: n = 6 -> (1, 6), 10 -> (2, 9),
        // 20 -> (6, 15), 25 -> (8, 18).
        for (n, low, high) in [(6, 1, 6), (10, 2, 9), (20, 6, 15), (25, 8, 18)]
        {
            let ranks = order_ranks(n, 0.5, 0.95);
            assert_eq!((ranks.low, ranks.high), (low, high), "n = {n}");
            assert!(ranks.reached);
        }
    }

    #[test]
    fn the_confidence_agrees_with_an_independent_binomial() {
        for n in [5_usize, 17, 100, 999, 2000] {
            for q in [0.5, 0.05, 0.95, 0.99] {
                let ranks = order_ranks(n, q, 0.95);
                let law = Binomial::new(q, n as u64).unwrap();
                let expected = law.cdf(ranks.high as u64 - 1)
                    - law.cdf(ranks.low as u64 - 1);
                assert!(
                    (ranks.confidence - expected).abs() < 1e-9,
                    "n {n}, q {q}: {ranks:?}, statrs {expected}"
                );
            }
        }
    }

    #[test]
    fn too_few_samples_give_the_extremes_and_their_true_confidence() {
        let ranks = order_ranks(5, 0.5, 0.95);
        assert_eq!((ranks.low, ranks.high, ranks.reached), (1, 5, false));
        assert!((ranks.confidence - (1.0 - 2.0 / 32.0)).abs() < 1e-12);
    }

    #[test]
    fn a_high_quantile_spends_its_budget_where_there_are_samples() {
        // 0.95^60 = 0.046: the upper tail alone takes nearly all of 5 %.
        let ranks = order_ranks(60, 0.95, 0.95);
        assert_eq!(ranks.high, 60);
        assert!(ranks.low > 1);
        assert!(ranks.reached);
        assert!(!order_ranks(58, 0.95, 0.95).reached);
    }

    #[test]
    fn ten_million_samples_agree_with_the_normal_limit() {
        let ranks = order_ranks(10_000_000, 0.5, 0.95);
        let half_width = (ranks.high - ranks.low) as f64 / 2.0;
        let expected = 1.959_964 * (10_000_000.0_f64 / 4.0).sqrt();
        assert!((half_width - expected).abs() < 2.0, "{half_width}");
    }
}
