//! Memory at its peak against a size: cases that differ in one axis of whole
//! numbers, all else equal.
//!
//! With peaks `y` at sizes `x`, growth over the last doubling is
//! `ln(y_n / y_j) / ln(x_n / x_j)`, where `x_n` is the largest size and `x_j`
//! the largest that is at most half of it: 1 for memory that doubles with the
//! size, 2 for memory that grows with its square.

use std::collections::BTreeMap;

use assay_schema::{Case, Record};

use super::studies::SEED;
use super::{RunFindings, is_study};

/// Sizes that make a curve.
const LEAST_SIZES: usize = 3;
/// Groups of a workload: a curve each, told apart by colour and mark.
const MOST_GROUPS: usize = 6;

/// Cases that differ in one axis.
#[derive(Clone, Debug)]
pub(crate) struct SizeGroup {
    /// What they share: the case without the axis.
    pub(crate) case: Case,
    pub(crate) axis: String,
    /// By size.
    pub(crate) peaks: Vec<Peak>,
}

/// The peak at one size, bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peak {
    pub(crate) size: u64,
    /// The allocator's.
    pub(crate) measured: Option<f64>,
    /// The trace's.
    pub(crate) predicted: Option<f64>,
}

impl SizeGroup {
    /// The sizes that have a peak of a kind, with it.
    pub(crate) fn points(
        &self,
        kind: impl Fn(&Peak) -> Option<f64>,
    ) -> Vec<(f64, f64)> {
        let known = |peak: &Peak| Some((peak.size as f64, kind(peak)?));
        self.peaks.iter().filter_map(known).collect()
    }
}

/// The power of the size that peaks grew with over the last doubling, or
/// over all of it where sizes do not double; `None` with fewer than two.
pub(crate) fn growth(points: &[(f64, f64)]) -> Option<f64> {
    let (&(last, peak), before) = points.split_last()?;
    let doubled = before.iter().rev().find(|(size, _)| 2.0 * size <= last);
    let &(size, smaller) = doubled.or(before.first())?;
    let power = (peak / smaller).ln() / (last / size).ln();
    power.is_finite().then_some(power)
}

/// The groups of a run by workload, axis and case; of each workload those
/// with the most sizes. Operators stay out: their memory is their operands'.
pub(crate) fn size_groups(run: &RunFindings<'_>) -> Vec<SizeGroup> {
    let mut met: BTreeMap<(String, Case), BTreeMap<u64, Peak>> =
        BTreeMap::new();
    let charted = run.records.iter().filter(|record| {
        let case = &record.case;
        record.is_sound() && !is_study(case) && case.phase.is_some()
    });
    for record in charted {
        for (axis, value) in &record.case.axes {
            let size = value.parse().ok().filter(|size| *size > 0);
            let (Some(size), true) = (size, axis != SEED) else { continue };
            let Some(peak) = peak(record, size) else { continue };
            let mut case = record.case.clone();
            case.axes.remove(axis);
            let sizes = met.entry((axis.clone(), case)).or_default();
            sizes.entry(size).or_insert(peak);
        }
    }
    let mut groups: Vec<SizeGroup> = met
        .into_iter()
        .filter(|(_, sizes)| sizes.len() >= LEAST_SIZES)
        .map(|((axis, case), sizes)| SizeGroup {
            case,
            axis,
            peaks: sizes.into_values().collect(),
        })
        .collect();
    // Stable: of as many sizes, the first by axis and case.
    groups.sort_by_key(|group| std::cmp::Reverse(group.peaks.len()));
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    groups.retain(|group| {
        let count = counts.entry(group.case.workload.clone()).or_default();
        *count += 1;
        *count <= MOST_GROUPS
    });
    groups.sort_by(|a, b| {
        (&a.case.workload, &a.axis, &a.case).cmp(&(
            &b.case.workload,
            &b.axis,
            &b.case,
        ))
    });
    groups
}

/// What is known of a record's peak; `None` without either. A logarithmic
/// axis has no zero.
fn peak(record: &Record, size: u64) -> Option<Peak> {
    let usable = |bytes: &f64| bytes.is_finite() && *bytes > 0.0;
    let traced = record.work.as_ref();
    let predicted =
        traced.map(|work| work.memory_peak.total().value()).filter(usable);
    let measured = record.metric("memory_peak").filter(usable);
    (measured.is_some() || predicted.is_some()).then_some(Peak {
        size,
        measured,
        predicted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_that_of_the_last_doubling() {
        let square = |size: f64| (size, 3.0 * size * size);
        let near = |found: Option<f64>, power: f64| {
            (found.unwrap() - power).abs() < 1e-9
        };
        // Flat, then a square: the last size and the largest up to its half.
        let bent = [(2.0, 48.0), square(4.0), square(6.0), square(8.0)];
        assert!(near(growth(&bent), 2.0));
        // Sizes that do not double: all that there is.
        assert!(near(growth(&[square(4.0), square(5.0), square(6.0)]), 2.0));
        assert!(near(growth(&[(1.0, 7.0), (2.0, 7.0)]), 0.0));
    }

    #[test]
    fn one_size_does_not_grow() {
        assert_eq!(growth(&[(4.0, 1.0)]), None);
        assert_eq!(growth(&[]), None);
    }
}
