//! Sums and ratios of published numbers, with the interval that their rounding
//! leaves open.

use assay_schema::{Estimate, PublishedPoint};

/// A published number in a sum.
#[derive(Clone, Copy, Debug)]
pub(super) struct Term {
    pub(super) case: &'static str,
    pub(super) metric: &'static str,
    /// What it is multiplied by.
    pub(super) factor: f64,
}

impl Term {
    /// Whether it is this number.
    pub(super) fn is(&self, point: &PublishedPoint) -> bool {
        point.case == self.case && point.metric == self.metric
    }
}

/// A sum of published numbers over another; over 1 where that is empty.
/// `None` where a number is missing.
pub(super) fn recomputed(
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
        // Of a number that was printed twice, the first.
        let found = points.iter().find(|point| term.is(point))?;
        let value = term.factor * found.value;
        let half = term.factor.abs() * half_digit(found.value);
        Some([low + value - half, point + value, high + value + half])
    })
}

/// Half of a unit in the last digit that is printed.
fn half_digit(value: f64) -> f64 {
    let text = value.to_string();
    let digits = text.split_once('.').map_or(0, |(_, digits)| digits.len());
    0.5 * 10.0_f64.powi(-(digits as i32))
}
