//! The row of a count that a simulator gave (callgrind): A, B, and A again.

use assay_schema::Better;

use super::Side;
use super::metric_rows::Evidence;
use super::rows::Row;

/// Share by which two counts of the same code may differ and still be taken
/// as exact: the length of a path or an address costs some instructions.
const REPEATS: f64 = 1e-3;

/// A row of one count a side; `counts` are of A, B, A'.
///
/// Where the baseline's two counts differ by more than the floor's tenth or
/// 0.1 %, the count does not repeat, and nothing is judged by it.
pub fn counted_row(
    case: &str,
    metric: &str,
    counts: [f64; 3],
    floor: f64,
) -> Row {
    let [a, b, again] = Side::ALL.map(|side| counts[side.index()]);
    let mut row = Row::new(case, metric, "1", Better::Lower);
    row.raw_samples = 3;
    (row.baseline, row.candidate) = (Some(a), Some(b));
    let wavers = (again - a).abs() / a.abs().max(1.0);
    let allowed = REPEATS.max(floor / 10.0);
    if wavers <= allowed {
        row.evidence = Evidence::Exact;
        if wavers > 0.0 {
            row.reasons.push(format!(
                "the baseline's two counts differ by {:.4} %",
                wavers * 100.0
            ));
        }
    } else {
        row.reasons.push(format!(
            "the baseline's two counts differ by {:.2} % ({a} and {again}): \
             this program does not repeat, so its count is not judged",
            wavers * 100.0
        ));
    }
    row
}

#[cfg(test)]
mod tests {
    use assay_schema::Verdict;
    use assay_statistics::VerdictRule;

    use super::*;
    use crate::paired::{SuiteFacts, suite};

    fn verdict(counts: [f64; 3]) -> Verdict {
        let rule = VerdictRule::default();
        let row = counted_row("x", "instructions", counts, rule.floor);
        suite(vec![row], &rule, SuiteFacts::default()).rows[0].verdict
    }

    #[test]
    fn counts_that_repeat_are_judged_by_the_floor_and_others_not_at_all() {
        assert_eq!(verdict([1e6, 1.02e6, 1e6]), Verdict::Slower);
        assert_eq!(verdict([1e6, 0.9e6, 1e6 + 12.0]), Verdict::Faster);
        assert_eq!(verdict([1e6, 1.005e6, 1e6]), Verdict::Same);
        assert_eq!(verdict([1e6, 2e6, 1.1e6]), Verdict::Unclear);
    }
}
