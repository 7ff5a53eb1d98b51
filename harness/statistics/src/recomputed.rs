//! Sums and ratios of published numbers, with the interval that their rounding
//! leaves open: a claim that follows from a paper's own table.

use assay_schema::{Estimate, PublishedPoint};

/// A published number in a sum.
#[derive(Clone, Copy, Debug)]
pub struct Term {
    /// The case that it stands under.
    pub case: &'static str,
    /// Its metric.
    pub metric: &'static str,
    /// What it is multiplied by.
    pub factor: f64,
}

impl Term {
    /// Whether it is this number.
    pub fn is(&self, point: &PublishedPoint) -> bool {
        point.case == self.case && point.metric == self.metric
    }
}

/// A sum of published numbers over another; over 1 where that is empty. Its
/// confidence is 1: the true sum lies in what rounding leaves open. `None`
/// where a number is missing; of one that was printed twice, the first counts.
pub fn recomputed(
    points: &[PublishedPoint],
    of: &[Term],
    over: &[Term],
) -> Option<Estimate> {
    let [low, point, high] = sum(points, of)?;
    let below = if over.is_empty() { [1.0; 3] } else { sum(points, over)? };
    Some(Estimate {
        point: point / below[1],
        low: low / below[2],
        high: high / below[0],
        confidence: 1.0,
        n: 0,
        method: "recomputed; the interval is the rounding of what is printed"
            .to_owned(),
    })
}

/// A sum with the ends that rounding leaves open.
fn sum(points: &[PublishedPoint], terms: &[Term]) -> Option<[f64; 3]> {
    terms.iter().try_fold([0.0; 3], |[low, point, high], term| {
        let found = points.iter().find(|point| term.is(point))?;
        let value = term.factor * found.value;
        let half = term.factor.abs() * half_digit(found.value);
        Some([low + value - half, point + value, high + value + half])
    })
}

/// Half of a unit in the last digit that is printed, but for zeros at its end.
fn half_digit(value: f64) -> f64 {
    let text = value.to_string();
    let digits = text.split_once('.').map_or(0, |(_, digits)| digits.len());
    0.5 * 10.0_f64.powi(-(digits as i32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(case: &str, value: f64) -> PublishedPoint {
        PublishedPoint {
            case: case.into(),
            profile: "p".into(),
            metric: "time".into(),
            value,
            unit: "s".into(),
            source: "s".into(),
            trust: "t".into(),
        }
    }

    const fn term(case: &'static str, factor: f64) -> Term {
        Term { case, metric: "time", factor }
    }

    #[test]
    fn rounding_widens_both_ends_whatever_the_sign() {
        let points = [point("a", 2.5), point("b", 1.0), point("a", 9.0)];
        let found =
            recomputed(&points, &[term("a", 2.0), term("b", -1.0)], &[]);
        let found = found.unwrap();
        let ends = [found.low, found.point, found.high];
        for (found, right) in ends.into_iter().zip([3.4, 4.0, 4.6]) {
            assert!((found - right).abs() < 1e-12, "{found}, not {right}");
        }
        let ratio = recomputed(&points, &[term("a", 1.0)], &[term("b", 1.0)]);
        let ratio = ratio.unwrap();
        assert_eq!(ratio.point, 2.5);
        assert!(ratio.low < 1.7 && ratio.high > 5.0, "{ratio:?}");
        assert!(recomputed(&points, &[term("c", 1.0)], &[]).is_none());
    }
}
