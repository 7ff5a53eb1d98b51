//! Least squares with Huber's loss: Levenberg and Marquardt's steps on the
//! constants and on how groups of rows deviate from them, at once.

use nalgebra::{DMatrix, DVector};

/// Errors of the logarithm beyond this count in proportion, not squared.
const HUBER: f64 = 0.2;

/// Step of the numerical derivatives.
const STEP: f64 = 2e-3;

/// Weight of a group's deviations against its rows.
const DEVIATION: f64 = 0.1;

/// Most rounds of a fit.
const ROUNDS: usize = 80;

/// A fit: `common` numbers that all rows share, and `own` numbers of each
/// group of rows.
pub(super) struct Problem<'a> {
    /// Numbers that all share.
    pub(super) common: usize,
    /// Deviation that is expected of each of a group's numbers.
    pub(super) own: Vec<f64>,
    /// How many groups.
    pub(super) groups: usize,
    /// The group of each row.
    pub(super) group: Vec<usize>,
    /// The weight of each row.
    pub(super) weight: Vec<f64>,
    /// Where the common numbers are drawn to, and how strongly in all.
    pub(super) prior: (Vec<f64>, f64),
    /// The error of each row, given the common numbers and those of each
    /// group, one group after another.
    #[expect(clippy::type_complexity, reason = "one function of one use")]
    pub(super) errors: Box<dyn Fn(&[f64], &[f64]) -> Vec<f64> + Sync + 'a>,
}

fn huber(error: f64) -> f64 {
    let size = error.abs();
    if size < HUBER { 0.5 * size * size / HUBER } else { size - HUBER / 2.0 }
}

/// Squared up to one deviation, in proportion beyond.
fn rho(over: f64) -> f64 {
    let size = over.abs();
    if size < 1.0 { size * size } else { 2.0 * size - 1.0 }
}

impl Problem<'_> {
    fn loss(&self, errors: &[f64], common: &[f64], own: &[f64]) -> f64 {
        let rows: f64 = errors
            .iter()
            .zip(&self.weight)
            .map(|(error, weight)| weight * huber(*error))
            .sum();
        let (to, strength) = &self.prior;
        let pull: f64 =
            common.iter().zip(to).map(|(a, b)| (a - b) * (a - b)).sum();
        let deviations: f64 = own
            .iter()
            .zip(self.own.iter().cycle())
            .map(|(value, deviation)| rho(value / deviation))
            .sum();
        let total = rows
            + strength / (common.len().max(1) as f64) * pull
            + DEVIATION * deviations;
        if total.is_finite() { total } else { f64::MAX }
    }

    /// The common numbers and those of the groups, from a start.
    pub(super) fn solve(&self, from: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let kinds = self.own.len();
        let mut common = from.to_vec();
        let mut own = vec![0.0; self.groups * kinds];
        let mut errors = (self.errors)(&common, &own);
        let mut loss = self.loss(&errors, &common, &own);
        let mut damping = 1e-2;
        for _ in 0..ROUNDS {
            let (hessian, slope) =
                self.normal_equations(&errors, &common, &own);
            let mut better = None;
            for _ in 0..12 {
                let mut damped = hessian.clone();
                for i in 0..damped.nrows() {
                    damped[(i, i)] += damping * (hessian[(i, i)] + 1e-6);
                }
                let Some(factor) = damped.cholesky() else {
                    damping *= 10.0;
                    continue;
                };
                let step = factor.solve(&slope);
                let moved =
                    |at: usize, value: f64| value - step[at].clamp(-1.5, 1.5);
                let tried: Vec<f64> = common
                    .iter()
                    .enumerate()
                    .map(|(i, value)| moved(i, *value).clamp(-9.0, 9.0))
                    .collect();
                let tried_own: Vec<f64> = own
                    .iter()
                    .enumerate()
                    .map(|(i, value)| moved(self.common + i, *value))
                    .collect();
                let found = (self.errors)(&tried, &tried_own);
                let least = self.loss(&found, &tried, &tried_own);
                if least < loss {
                    better = Some((tried, tried_own, found, least));
                    damping = (damping * 0.3).max(1e-6);
                    break;
                }
                damping *= 4.0;
            }
            let Some((tried, tried_own, found, least)) = better else { break };
            let gain = loss - least;
            (common, own, errors, loss) = (tried, tried_own, found, least);
            if gain < 1e-7 * loss {
                break;
            }
        }
        (common, own)
    }

    /// The weighted normal equations and the slope at a point. Errors beyond
    /// Huber's bound weigh less; so do deviations beyond theirs.
    fn normal_equations(
        &self,
        errors: &[f64],
        common: &[f64],
        own: &[f64],
    ) -> (DMatrix<f64>, DVector<f64>) {
        let kinds = self.own.len();
        let size = self.common + own.len();
        let slopes = self.slopes(errors, common, own);
        let mut hessian = DMatrix::zeros(size, size);
        let mut slope = DVector::zeros(size);
        for (row, error) in errors.iter().enumerate() {
            if !error.is_finite() {
                continue;
            }
            let weight =
                self.weight[row] / HUBER * (HUBER / error.abs()).min(1.0);
            let first = self.common + self.group[row] * kinds;
            let place = |i: usize| {
                if i < self.common { i } else { first + i - self.common }
            };
            let used = self.common + kinds;
            for i in 0..used {
                let a = slopes[i][row];
                if a == 0.0 {
                    continue;
                }
                slope[place(i)] += weight * a * error;
                for (j, slopes) in slopes.iter().enumerate().take(used) {
                    hessian[(place(i), place(j))] += weight * a * slopes[row];
                }
            }
        }
        let (to, strength) = &self.prior;
        for i in 0..self.common {
            let pull = 2.0 * strength / self.common as f64;
            hessian[(i, i)] += pull;
            slope[i] += pull * (common[i] - to[i]);
        }
        for (i, value) in own.iter().enumerate() {
            let deviation = self.own[i % kinds];
            let over = (value / deviation).abs().max(1.0);
            let pull = 2.0 * DEVIATION / (deviation * deviation * over);
            let at = self.common + i;
            hessian[(at, at)] += pull;
            slope[at] += pull * value;
        }
        (hessian, slope)
    }

    /// Derivatives of each row's error by the common numbers, then by its own
    /// group's: groups share no row, so one evaluation moves a number of all.
    fn slopes(
        &self,
        errors: &[f64],
        common: &[f64],
        own: &[f64],
    ) -> Vec<Vec<f64>> {
        let kinds = self.own.len();
        let differ = |found: Vec<f64>| -> Vec<f64> {
            found
                .iter()
                .zip(errors)
                .map(|(after, before)| (after - before) / STEP)
                .map(|slope| if slope.is_finite() { slope } else { 0.0 })
                .collect()
        };
        let mut slopes = Vec::with_capacity(self.common + kinds);
        for i in 0..self.common {
            let mut moved = common.to_vec();
            moved[i] += STEP;
            slopes.push(differ((self.errors)(&moved, own)));
        }
        for i in 0..kinds {
            let mut moved = own.to_vec();
            for group in 0..self.groups {
                moved[group * kinds + i] += STEP;
            }
            slopes.push(differ((self.errors)(common, &moved)));
        }
        slopes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows on lines of one slope and of offsets by group, one far off.
    #[test]
    fn one_slope_and_two_offsets_are_found_beside_an_outlier() {
        let x: Vec<f64> = (0..40).map(f64::from).collect();
        let group: Vec<usize> = (0..40).map(|i| i % 2).collect();
        let y: Vec<f64> = (0..40)
            .map(|i| {
                let offset = if i % 2 == 0 { 0.3 } else { -0.3 };
                0.05 * x[i] + offset + if i == 7 { 30.0 } else { 0.0 }
            })
            .collect();
        let by = group.clone();
        let problem = Problem {
            common: 1,
            own: vec![0.5],
            groups: 2,
            group,
            weight: vec![1.0; 40],
            prior: (vec![0.0], 1e-6),
            errors: Box::new(|common, own| {
                (0..40).map(|i| common[0] * x[i] + own[by[i]] - y[i]).collect()
            }),
        };
        let (common, own) = problem.solve(&[0.0]);
        assert!((common[0] - 0.05).abs() < 0.003, "{common:?}");
        assert!((own[0] - 0.3).abs() < 0.06, "{own:?}");
        assert!((own[1] + 0.3).abs() < 0.06, "{own:?}");
    }
}
