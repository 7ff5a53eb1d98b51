//! The Frechet distance between the features of generated and of real
//! pictures, taken as normal (Heusel et al., *GANs Trained by a Two Time-Scale
//! Update Rule*, 2017, equation 6):
//! `d = |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))`.
//!
//! `C1 C2` has the eigenvalues of the symmetric `C1^(1/2) C2 C1^(1/2)`, so that
//! two symmetric decompositions serve and nothing complex arises.
//!
//! With few pictures the distance comes out too large, by about `b / n` (Chong
//! and Forsyth, *Effectively Unbiased FID*, 2020): compare methods at the same
//! number only. A bootstrap adds as much again, since a resample is to the
//! sample as the sample is to all pictures. Its mean less the point therefore
//! says how large the bias is; it is taken off both ends of the interval,
//! which then shows how the point moves with the pictures drawn, and is named
//! in the estimate's method. The reference is held fixed: it is the same for
//! every method, and drawn much larger.

use assay_kit::Draws;
use assay_schema::Estimate;
use nalgebra::{DMatrix, SymmetricEigen};

use crate::InstaFlowError;

/// Resamples of an interval.
pub const RESAMPLES: usize = 200;

/// Confidence of an interval.
const CONFIDENCE: f64 = 0.95;

/// Steps of a symmetric decomposition before it is given up: one of finite
/// numbers takes a few for each row.
const MOST_STEPS: usize = 100_000;

/// Mean and covariance of features.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// How many rows of features stand behind them.
    pub count: usize,
    /// Mean, `[width]`.
    pub mean: Vec<f64>,
    /// Covariance with `count - 1` below the line, `[width, width]`; zeros of
    /// fewer than two rows.
    pub covariance: Vec<f64>,
}

impl Moments {
    /// Of features `[count, width]`, row by row.
    ///
    /// # Panics
    /// When the features are not whole rows of `width`, or `width` is 0.
    pub fn of(features: &[f32], width: usize) -> Self {
        let count = rows(features, width);
        Self::weighted(features, width, &vec![1; count])
    }

    /// Of features whose row `i` stands `times[i]` times.
    fn weighted(features: &[f32], width: usize, times: &[u32]) -> Self {
        let count: usize = times.iter().map(|&times| times as usize).sum();
        let mut mean = vec![0.0; width];
        for (row, &times) in features.chunks_exact(width).zip(times) {
            for (sum, &x) in mean.iter_mut().zip(row) {
                *sum += f64::from(times) * f64::from(x);
            }
        }
        for sum in &mut mean {
            *sum /= count.max(1) as f64;
        }
        let mut covariance = vec![0.0; width * width];
        let mut off = vec![0.0; width];
        for (row, &times) in features.chunks_exact(width).zip(times) {
            if times == 0 {
                continue;
            }
            for ((off, &x), mean) in off.iter_mut().zip(row).zip(&mean) {
                *off = f64::from(x) - mean;
            }
            // The lower triangle only: the other half follows below.
            let lines = covariance.chunks_exact_mut(width);
            for (i, line) in lines.enumerate() {
                let left = f64::from(times) * off[i];
                for (sum, right) in line[..=i].iter_mut().zip(&off) {
                    *sum += left * right;
                }
            }
        }
        let degrees = count.saturating_sub(1).max(1) as f64;
        for i in 0..width {
            for j in 0..=i {
                let value = covariance[i * width + j] / degrees;
                covariance[i * width + j] = value;
                covariance[j * width + i] = value;
            }
        }
        Self { count, mean, covariance }
    }

    /// The covariance as a matrix, after a check that it is one.
    fn matrix(&self, width: usize) -> Result<DMatrix<f64>, InstaFlowError> {
        if self.mean.len() != width || self.covariance.len() != width * width {
            return refused(format!(
                "features of width {} cannot be compared with features of \
                 width {width}",
                self.mean.len()
            ));
        }
        if self.count < 2 {
            return refused(format!(
                "a Frechet distance needs two pictures at least, not {}",
                self.count
            ));
        }
        let mut values = self.mean.iter().chain(&self.covariance);
        if !values.all(|x| x.is_finite()) {
            return refused("features that are not finite numbers".into());
        }
        Ok(DMatrix::from_row_slice(width, width, &self.covariance))
    }
}

fn rows(features: &[f32], width: usize) -> usize {
    assert!(
        width > 0 && features.len().is_multiple_of(width),
        "{} features are not whole rows of {width}",
        features.len()
    );
    features.len() / width
}

fn refused<T>(why: String) -> Result<T, InstaFlowError> {
    Err(InstaFlowError::Picture(why))
}

/// Eigenvalues and eigenvectors of a symmetric matrix.
fn decomposed(
    matrix: DMatrix<f64>,
) -> Result<SymmetricEigen<f64, nalgebra::Dyn>, InstaFlowError> {
    match SymmetricEigen::try_new(matrix, f64::EPSILON, MOST_STEPS) {
        Some(found) => Ok(found),
        None => refused("a covariance that has no eigenvalues".into()),
    }
}

/// What of a distance depends on the reference alone.
struct Reference<'a> {
    mean: &'a [f64],
    trace: f64,
    root: DMatrix<f64>,
}

impl<'a> Reference<'a> {
    fn new(moments: &'a Moments) -> Result<Self, InstaFlowError> {
        let covariance = moments.matrix(moments.mean.len())?;
        let trace = covariance.trace();
        let found = decomposed(covariance)?;
        // Rounding makes the zeros of a singular matrix a little negative.
        let roots = found.eigenvalues.map(|x| x.max(0.0).sqrt());
        let vectors = &found.eigenvectors;
        let root =
            vectors * DMatrix::from_diagonal(&roots) * vectors.transpose();
        Ok(Self { mean: &moments.mean, trace, root })
    }

    fn distance(&self, moments: &Moments) -> Result<f64, InstaFlowError> {
        let covariance = moments.matrix(self.mean.len())?;
        let pairs = self.mean.iter().zip(&moments.mean);
        let apart: f64 = pairs.map(|(a, b)| (a - b) * (a - b)).sum();
        let trace = self.trace + covariance.trace();
        let product = &self.root * covariance * &self.root;
        let product = (&product + product.transpose()) / 2.0;
        let shared: f64 = decomposed(product)?
            .eigenvalues
            .iter()
            .map(|x| x.max(0.0).sqrt())
            .sum();
        Ok((apart + trace - 2.0 * shared).max(0.0))
    }
}

/// The Frechet distance, in the features' unit squared.
///
/// # Errors
/// Fewer than two pictures on either side, features of different widths, or
/// some that are not finite.
pub fn frechet_distance(
    left: &Moments,
    right: &Moments,
) -> Result<f64, InstaFlowError> {
    Reference::new(left)?.distance(right)
}

/// The Frechet distance of generated pictures' features `[n, width]` from the
/// reference, with the 95 % interval of the draw of pictures.
///
/// The point is the usual one, biased upwards for a finite number of pictures;
/// the interval is a bootstrap's over pictures, its own bias taken off, so that
/// it lies about the point. The bias is named in the method, and is also about
/// that of the point.
///
/// # Errors
/// As [`frechet_distance`].
///
/// # Panics
/// As [`Moments::of`].
pub fn frechet_estimate(
    features: &[f32],
    width: usize,
    reference: &Moments,
    seed: u64,
) -> Result<Estimate, InstaFlowError> {
    let reference = Reference::new(reference)?;
    let count = rows(features, width);
    let point = reference.distance(&Moments::of(features, width))?;
    let mut found = Vec::with_capacity(RESAMPLES);
    for resample in 0..RESAMPLES as u64 {
        let mut draws = Draws::new(seed, resample);
        let mut times = vec![0; count];
        for _ in 0..count {
            times[draws.below(count)] += 1;
        }
        let moments = Moments::weighted(features, width, &times);
        found.push(reference.distance(&moments)?);
    }
    let bias = found.iter().sum::<f64>() / RESAMPLES as f64 - point;
    found.sort_by(f64::total_cmp);
    let tail = (1.0 - CONFIDENCE) / 2.0;
    Ok(Estimate {
        point,
        low: (quantile(&found, tail) - bias).clamp(0.0, point),
        high: (quantile(&found, 1.0 - tail) - bias).max(point),
        confidence: CONFIDENCE,
        n: count as u64,
        method: format!(
            "Frechet distance, bootstrap over pictures, {RESAMPLES} \
             resamples, their bias of {bias:.3e} taken off"
        ),
    })
}

/// A quantile of sorted values, on the line between its two neighbours.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * sorted.len().saturating_sub(1) as f64;
    let below = place.floor() as usize;
    let at = |i: usize| sorted.get(i).copied().unwrap_or(f64::NAN);
    let above = at((below + 1).min(sorted.len().saturating_sub(1)));
    at(below) + (place - place.floor()) * (above - at(below))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(mean: &[f64], covariance: &[f64]) -> Moments {
        Moments { count: 100, mean: mean.into(), covariance: covariance.into() }
    }

    /// Normal features, each of mean `shift` and deviation 1.
    fn normal(seed: u64, count: usize, width: usize, shift: f64) -> Vec<f32> {
        let mut draws = Draws::new(seed, 0);
        (0..count * width).map(|_| (shift + draws.normal()) as f32).collect()
    }

    #[test]
    fn moments_are_those_computed_by_hand() {
        let found = Moments::of(&[1.0, 0.0, 2.0, 3.0, 3.0, 0.0], 2);
        assert_eq!(found.count, 3);
        assert_eq!(found.mean, [2.0, 1.0]);
        // Off: (-1, -1), (0, 2), (1, -1).
        assert_eq!(found.covariance, [1.0, 0.0, 0.0, 3.0]);
        let doubled = Moments::weighted(&[1.0, 0.0, 2.0, 3.0], 2, &[2, 1]);
        let listed = Moments::of(&[1.0, 0.0, 1.0, 0.0, 2.0, 3.0], 2);
        assert_eq!(doubled, listed);
    }

    #[test]
    fn distances_are_the_closed_forms() {
        // Diagonal covariances: (m1 - m2)^2 + (s1 - s2)^2 an axis.
        let a = moments(&[1.0, 2.0], &[4.0, 0.0, 0.0, 9.0]);
        let b = moments(&[3.0, 2.0], &[1.0, 0.0, 0.0, 25.0]);
        let found = frechet_distance(&a, &b).unwrap();
        assert!((found - (4.0 + 1.0 + 4.0)).abs() < 1e-9, "{found}");
        assert!(frechet_distance(&a, &a).unwrap() < 1e-9);
        // Any two of 2 x 2: the root's trace is that of
        // sqrt(tr(A B) + 2 sqrt(det(A B))).
        let (p, q) = ([2.0, 0.5, 0.5, 1.0], [1.0, -0.3, -0.3, 3.0]);
        let product = p[0] * q[0] + 2.0 * p[1] * q[1] + p[3] * q[3];
        let det = (p[0] * p[3] - p[1] * p[1]) * (q[0] * q[3] - q[1] * q[1]);
        let root = (product + 2.0 * f64::sqrt(det)).sqrt();
        let expected = 3.0 + 4.0 - 2.0 * root;
        let (p, q) = (moments(&[0.0; 2], &p), moments(&[0.0; 2], &q));
        let there = frechet_distance(&p, &q).unwrap();
        assert!((there - expected).abs() < 1e-9, "{there} {expected}");
        let back = frechet_distance(&q, &p).unwrap();
        assert!((there - back).abs() < 1e-9);
    }

    #[test]
    fn a_singular_covariance_is_no_obstacle() {
        let features = [1.0, 2.0, 3.0, 6.0, 2.0, 4.0];
        let found = Moments::of(&features, 2);
        assert!(frechet_distance(&found, &found).unwrap() < 1e-6);
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let good = moments(&[0.0; 2], &[1.0, 0.0, 0.0, 1.0]);
        let one = Moments::of(&[1.0, 2.0], 2);
        let nan = Moments::of(&[1.0, f32::NAN, 2.0, 3.0], 2);
        let wide = Moments::of(&normal(1, 9, 3, 0.0), 3);
        let cases =
            [(one, "two pictures"), (nan, "not finite"), (wide, "width 3")];
        for (bad, expected) in cases {
            let error = frechet_distance(&good, &bad).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert!(frechet_distance(&bad, &good).is_err());
        }
    }

    #[test]
    fn the_interval_lies_about_the_point_and_holds_the_mean_of_many_draws() {
        let unit =
            moments(&[0.0; 3], &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
        let estimates: Vec<Estimate> = (0..40)
            .map(|seed| {
                let features = normal(seed, 150, 3, 0.5);
                frechet_estimate(&features, 3, &unit, seed).unwrap()
            })
            .collect();
        let mean = estimates.iter().map(|e| e.point).sum::<f64>() / 40.0;
        // The truth is 3 times 0.25, and the bias is upwards.
        assert!(mean > 0.7 && mean < 0.95, "{mean}");
        let held = estimates.iter().filter(|e| e.low < mean && mean < e.high);
        let held = held.count();
        assert!((32..=40).contains(&held), "{held} of 40");
        for e in &estimates {
            assert!(e.low < e.point && e.point < e.high);
            assert_eq!(e.n, 150);
        }
        let wide = estimates[0].high - estimates[0].low;
        let more = normal(0, 2400, 3, 0.5);
        let more = frechet_estimate(&more, 3, &unit, 0).unwrap();
        assert!(more.high - more.low < wide / 2.0);
    }

    #[test]
    fn a_seed_gives_the_same_interval_and_another_one_another() {
        let features = normal(3, 40, 2, 1.0);
        let unit = moments(&[0.0; 2], &[1.0, 0.0, 0.0, 1.0]);
        let one = frechet_estimate(&features, 2, &unit, 1).unwrap();
        let again = frechet_estimate(&features, 2, &unit, 1).unwrap();
        assert_eq!(one, again);
        let other = frechet_estimate(&features, 2, &unit, 2).unwrap();
        assert_eq!(one.point, other.point);
        assert_ne!(one.low, other.low);
        assert!(one.method.contains("200 resamples"), "{}", one.method);
    }
}
