//! Does one column follow another? Pearson's and Spearman's correlation, and
//! the straight line of least squares.
//!
//! With means `mx`, `my` and sums over rows
//! `Sxy = sum (x - mx)(y - my)`, `Sxx`, `Syy` alike:
//!
//! ```text
//! Pearson    r = Sxy / sqrt(Sxx Syy)
//! Spearman   Pearson's r of the ranks; equal values share their mean rank
//! line       slope = Sxy / Sxx,  intercept = my - slope mx,
//!            R^2 = 1 - sum residual^2 / Syy = r^2
//! ```
//!
//! (Any textbook; the mean rank of ties is Kendall's, Biometrika 33(3), 1945.)
//! Intervals: resample rows with `Bootstrap::rows`. A column that is constant
//! has no correlation: an error, not 0.

use crate::StatisticsError;
use crate::error::check_columns;

/// Pearson's correlation of two columns, -1 to 1. At least 2 rows.
pub fn pearson(x: &[f64], y: &[f64]) -> Result<f64, StatisticsError> {
    check_columns(x, y, 2, "a correlation")?;
    let (x, y) = (centred(x), centred(y));
    let sxx = sum_of_squares(&x, "a correlation")?;
    let syy = sum_of_squares(&y, "a correlation")?;
    // Roots first: the product of the sums may overflow.
    let r = products(&x.deviations, &y.deviations) / (sxx.sqrt() * syy.sqrt());
    Ok(r.clamp(-1.0, 1.0))
}

/// Spearman's rank correlation of two columns, -1 to 1. At least 2 rows.
pub fn spearman(x: &[f64], y: &[f64]) -> Result<f64, StatisticsError> {
    check_columns(x, y, 2, "a rank correlation")?;
    pearson(&ranks(x), &ranks(y))
}

/// The rank of each value, from 1; equal values share their mean rank.
#[expect(
    clippy::float_cmp,
    reason = "a tie is exact; by `==`, so that 0.0 and -0.0 are one"
)]
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for tie in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let mean = before as f64 + (tie.len() + 1) as f64 / 2.0;
        for &row in tie {
            ranks[row] = mean;
        }
        before += tie.len();
    }
    ranks
}

/// The straight line of least squares through points.
#[derive(Clone, Debug, PartialEq)]
pub struct LineFit {
    /// Rise of `y` for a unit of `x`.
    pub slope: f64,
    /// `y` at `x = 0`.
    pub intercept: f64,
    /// Share of the variance of `y` that the line explains, 0 to 1.
    pub r_squared: f64,
    /// `y` less the line, one a row, in order.
    pub residuals: Vec<f64>,
}

impl LineFit {
    /// Fits a line. At least 2 rows; neither column constant.
    pub fn new(x: &[f64], y: &[f64]) -> Result<Self, StatisticsError> {
        check_columns(x, y, 2, "a line")?;
        let r = pearson(x, y)?;
        let (x_centred, y_centred) = (centred(x), centred(y));
        let sxx = sum_of_squares(&x_centred, "a line")?;
        let slope =
            products(&x_centred.deviations, &y_centred.deviations) / sxx;
        let intercept = y_centred.mean - slope * x_centred.mean;
        let residuals = x_centred
            .deviations
            .iter()
            .zip(&y_centred.deviations)
            .map(|(dx, dy)| dy - slope * dx)
            .collect();
        Ok(Self { slope, intercept, r_squared: r * r, residuals })
    }

    /// The line at `x`.
    pub fn at(&self, x: f64) -> f64 {
        self.intercept + self.slope * x
    }
}

struct Centred {
    first: f64,
    mean: f64,
    deviations: Vec<f64>,
    constant: bool,
}

/// Of at least one value.
#[expect(
    clippy::float_cmp,
    reason = "constant means exactly so: the mean of equal values may round"
)]
fn centred(values: &[f64]) -> Centred {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    Centred {
        first: values[0],
        mean,
        deviations: values.iter().map(|value| value - mean).collect(),
        constant: values.windows(2).all(|pair| pair[0] == pair[1]),
    }
}

fn products(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn sum_of_squares(
    column: &Centred,
    statistic: &'static str,
) -> Result<f64, StatisticsError> {
    let sum = products(&column.deviations, &column.deviations);
    if column.constant || sum <= 0.0 {
        return Err(StatisticsError::Constant {
            statistic,
            n: column.deviations.len(),
            value: column.first,
        });
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_through_points_on_a_line_is_exact() {
        let fit = LineFit::new(&[1.0, 2.0, 4.0], &[5.0, 7.0, 11.0]).unwrap();
        assert!((fit.slope - 2.0).abs() < 1e-12);
        assert!((fit.intercept - 3.0).abs() < 1e-12);
        assert!((fit.r_squared - 1.0).abs() < 1e-12);
        assert!((fit.at(10.0) - 23.0).abs() < 1e-12);
    }

    #[test]
    fn the_first_set_of_anscombe_comes_out_as_printed() {
        // Anscombe, The American Statistician 27(1), 1973.
        let x = [10., 8., 13., 9., 11., 14., 6., 4., 12., 7., 5.];
        let y =
            [8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68];
        let fit = LineFit::new(&x, &y).unwrap();
        assert!((fit.slope - 0.500).abs() < 5e-4);
        assert!((fit.intercept - 3.00).abs() < 5e-3);
        assert!((fit.r_squared - 0.667).abs() < 5e-4);
        assert!((pearson(&x, &y).unwrap() - 0.816).abs() < 5e-4);
    }

    #[test]
    fn ties_share_their_mean_rank() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
        assert_eq!(ranks(&[0.0, -0.0]), [1.5, 1.5]);
        // By hand: Sxy 4.5, Sxx 4.5, Syy 5.
        let rho = spearman(&[3., 1., 3., 2.], &[4., 1., 3., 2.]).unwrap();
        assert!((rho - 4.5 / (4.5_f64 * 5.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn a_constant_column_and_uneven_columns_are_errors() {
        assert_eq!(
            pearson(&[0.1; 3], &[1.0, 2.0, 3.0]).unwrap_err().to_string(),
            "all 3 values are 0.1; a correlation needs two different ones"
        );
        assert!(LineFit::new(&[1.0, 2.0], &[1.0, 1.0]).is_err());
        assert!(spearman(&[1.0, 2.0], &[1.0]).is_err());
        assert!(pearson(&[1.0, f64::NAN], &[1.0, 2.0]).is_err());
        assert!(pearson(&[], &[]).is_err());
    }

    proptest! {
        #[test]
        fn correlation_is_bounded_symmetric_and_free_of_scale(
            rows in proptest::collection::vec((0.1..100.0, 0.1..100.0), 3..40),
        ) {
            let (x, y): (Vec<f64>, Vec<f64>) = rows.into_iter().unzip();
            let r = pearson(&x, &y).unwrap();
            prop_assert!((-1.0..=1.0).contains(&r));
            prop_assert!((pearson(&y, &x).unwrap() - r).abs() < 1e-9);
            let scaled: Vec<f64> = x.iter().map(|x| 7.0 - 4.0 * x).collect();
            prop_assert!((pearson(&scaled, &y).unwrap() + r).abs() < 1e-6);
        }

        #[test]
        fn a_rising_map_leaves_the_rank_correlation_alone(
            rows in proptest::collection::vec((0.1..9.0, 0.1..9.0), 3..40),
        ) {
            let (x, y): (Vec<f64>, Vec<f64>) = rows.into_iter().unzip();
            let mapped: Vec<f64> = x.iter().map(|x| x * 8.0).collect();
            prop_assert_eq!(spearman(&mapped, &y), spearman(&x, &y));
            prop_assert!((spearman(&x, &x).unwrap() - 1.0).abs() < 1e-12);
        }

        #[test]
        fn residuals_sum_to_nothing_and_carry_the_unexplained_variance(
            rows in proptest::collection::vec((0.1..100.0, 0.1..100.0), 3..40),
        ) {
            let (x, y): (Vec<f64>, Vec<f64>) = rows.into_iter().unzip();
            let fit = LineFit::new(&x, &y).unwrap();
            prop_assert!(fit.residuals.iter().sum::<f64>().abs() < 1e-6);
            let left = products(&fit.residuals, &fit.residuals);
            let y = centred(&y);
            let all = products(&y.deviations, &y.deviations);
            prop_assert!((1.0 - left / all - fit.r_squared).abs() < 1e-6);
        }
    }
}
