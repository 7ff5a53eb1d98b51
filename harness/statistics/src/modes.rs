//! Modes: whether a sample has one typical value or several.
//!
//! A benchmark that runs at 10 ms or at 13 ms, by where its memory landed, has
//! no typical time of 11 ms. But noise makes bumps too, so a second mode must
//! be plain:
//!
//! 1. density of the logarithms by a Gaussian kernel of width
//!    `0.9 min(s, IQR / 1.34) n^(-1/5)` (Silverman, Density Estimation,
//!    1986, equation 3.31), at least [`LEAST_WIDTH`], and at least the clock's
//!    step where the samples lie on one;
//! 2. peaks of the density; of two neighbours the lower goes while the valley
//!    between them is above [`DEEPEST_VALLEY`] of it;
//! 3. a peak with less than [`LEAST_SHARE`] of the samples, or fewer than
//!    [`LEAST_COUNT`], goes: those are outliers or a tail.
//!
//! Samples belong to the peak on their side of the valley.

use assay_schema::Mode;

use crate::error::check_positive;
use crate::{SortedSample, StatisticsError};

/// With fewer samples, bumps cannot be told from modes.
pub const LEAST_FOR_MODES: usize = 30;

/// Modes closer than about four times this are one (0.5 %).
const LEAST_WIDTH: f64 = 0.005;
/// A valley is at most this part of the lower of its two peaks.
const DEEPEST_VALLEY: f64 = 0.5;
/// A mode has at least this share of the samples.
const LEAST_SHARE: f64 = 0.1;
/// And at least so many: of 60 samples with one in twenty far out, six lie far
/// out by chance in one sample of thirteen, nine in one of 400.
const LEAST_COUNT: usize = 9;
/// Points of the density to a kernel width.
const POINTS_A_WIDTH: f64 = 4.0;

/// The modes of a sample in ascending order, in its unit, their shares adding
/// up to 1. At least one finite sample, all above 0; fewer than
/// [`LEAST_FOR_MODES`] have one mode, at their median.
pub fn modes(samples: &[f64]) -> Result<Vec<Mode>, StatisticsError> {
    check_positive(samples, 1, "a mode")?;
    let logs: Vec<f64> = samples.iter().map(|x| x.ln()).collect();
    let sorted = SortedSample::new(&logs)?;
    if samples.len() < LEAST_FOR_MODES {
        return Ok(vec![Mode { at: sorted.median().exp(), share: 1.0 }]);
    }
    let density = Density::new(&sorted)?;
    let mut peaks = density.peaks();
    loop {
        density.merge_shallow(&mut peaks);
        let counts = density.counts(&peaks, sorted.values());
        let least = LEAST_COUNT
            .max((LEAST_SHARE * samples.len() as f64).ceil() as usize);
        let smallest = (0..peaks.len()).min_by_key(|&i| counts[i]).unwrap_or(0);
        if peaks.len() < 2 || counts[smallest] >= least {
            return Ok(peaks
                .iter()
                .zip(counts)
                .map(|(&peak, count)| Mode {
                    at: density.place(peak).exp(),
                    share: count as f64 / samples.len() as f64,
                })
                .collect());
        }
        peaks.remove(smallest);
    }
}

/// A density on an even grid.
struct Density {
    start: f64,
    step: f64,
    heights: Vec<f64>,
}

impl Density {
    fn new(sorted: &SortedSample) -> Result<Self, StatisticsError> {
        let width = kernel_width(sorted)?;
        let step = width / POINTS_A_WIDTH;
        let (first, last) = (sorted.quantile(0.02)?, sorted.quantile(0.98)?);
        let margin = (4.0 * POINTS_A_WIDTH) as usize;
        let start = first - margin as f64 * step;
        let points = ((last - first) / step).ceil() as usize + 2 * margin + 1;
        let mut counts = vec![0.0; points];
        for value in sorted.values() {
            let place = ((value - start) / step).round();
            // What lies beyond the grid is an outlier, and makes no peak.
            if place >= 0.0
                && let Some(count) = counts.get_mut(place as usize)
            {
                *count += 1.0;
            }
        }
        let kernel: Vec<f64> = (0..=margin)
            .map(|i| (-0.5 * (i as f64 / POINTS_A_WIDTH).powi(2)).exp())
            .collect();
        let mut heights = vec![0.0; points];
        for (i, &count) in counts.iter().enumerate() {
            if count > 0.0 {
                let from = i.saturating_sub(margin);
                let to = (i + margin).min(points - 1);
                for (j, height) in
                    heights.iter_mut().enumerate().take(to + 1).skip(from)
                {
                    *height += count * kernel[i.abs_diff(j)];
                }
            }
        }
        Ok(Self { start, step, heights })
    }

    fn place(&self, index: usize) -> f64 {
        self.start + index as f64 * self.step
    }

    /// Local maxima; the middle of a flat one.
    fn peaks(&self) -> Vec<usize> {
        let mut peaks = Vec::new();
        let mut rose_at = Some(0);
        for i in 1..self.heights.len() {
            if self.heights[i] > self.heights[i - 1] {
                rose_at = Some(i);
            } else if self.heights[i] < self.heights[i - 1]
                && let Some(from) = rose_at.take()
            {
                peaks.push(usize::midpoint(from, i - 1));
            }
        }
        peaks
    }

    /// Drops peaks until every valley is deep.
    fn merge_shallow(&self, peaks: &mut Vec<usize>) {
        let depth = |pair: &[usize]| {
            let lower = self.heights[pair[0]].min(self.heights[pair[1]]);
            self.heights[self.valley(pair[0], pair[1])] / lower
        };
        while let Some((i, worst)) = peaks
            .windows(2)
            .map(depth)
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(&b.1))
            && worst > DEEPEST_VALLEY
        {
            let left_is_lower =
                self.heights[peaks[i]] < self.heights[peaks[i + 1]];
            peaks.remove(if left_is_lower { i } else { i + 1 });
        }
    }

    fn valley(&self, from: usize, to: usize) -> usize {
        (from..=to)
            .min_by(|&a, &b| self.heights[a].total_cmp(&self.heights[b]))
            .unwrap_or(from)
    }

    /// The samples on each peak's side of its valleys.
    fn counts(&self, peaks: &[usize], sorted: &[f64]) -> Vec<usize> {
        let mut ends: Vec<usize> = peaks
            .windows(2)
            .map(|pair| {
                let end = self.place(self.valley(pair[0], pair[1]));
                sorted.partition_point(|&value| value < end)
            })
            .collect();
        ends.push(sorted.len());
        let mut from = 0;
        ends.into_iter()
            .map(|end| {
                let count = end - from;
                from = end;
                count
            })
            .collect()
    }
}

/// The kernel's width, in logarithms.
fn kernel_width(sorted: &SortedSample) -> Result<f64, StatisticsError> {
    let values = sorted.values();
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance =
        values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
    let quartiles = sorted.quantile(0.75)? - sorted.quantile(0.25)?;
    let spread = variance.sqrt().min(quartiles / 1.34);
    let silverman = 0.9 * spread * n.powf(-0.2);
    Ok(silverman.max(clock_step(values)).max(LEAST_WIDTH))
}

/// The step of a coarse clock: the smallest distance between samples, if most
/// share their value with another. A few levels are modes, not a clock's.
fn clock_step(sorted: &[f64]) -> f64 {
    const LEAST_LEVELS: usize = 5;
    let gaps: Vec<f64> = sorted
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .filter(|&gap| gap > 1e-12)
        .collect();
    let levels = gaps.len() + 1;
    if levels < LEAST_LEVELS || levels > sorted.len() / 2 {
        return 0.0;
    }
    gaps.into_iter().fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
mod tests;
