//! Sub-sampling: which values of an example are kept (arXiv 1905.08054,
//! section III-C, and the authors' code).
//!
//! By magnitude the paper ranks each example's own bins. The authors' code
//! scores a bin by `a^2 + |b|` of its two columns, a misplaced parenthesis;
//! that is an option here, and `a^2 + b^2` is the rule. Scores are of values
//! on the standard scale; whether the authors scored before or after scaling
//! is not known.

use assay_kit::Draws;
use assay_kit::classification::Examples;
use nalgebra::DMatrix;

/// How values are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// All of them.
    None,
    /// Principal components of all values; the first half of those kept
    /// becomes one column, the second half the other.
    Pca,
    /// Every n-th.
    Uniform,
    /// One random choice for all examples, in order.
    Random,
    /// Each example's own largest.
    HighMagnitude,
    /// Each example's own smallest.
    LowMagnitude,
    /// Largest by the authors' formula.
    HighMagnitudeAuthors,
    /// Smallest by the authors' formula.
    LowMagnitudeAuthors,
}

impl Method {
    /// Names as axis values.
    pub const NAMES: [(&'static str, Self); 8] = [
        ("none", Self::None),
        ("pca", Self::Pca),
        ("uniform", Self::Uniform),
        ("random", Self::Random),
        ("high-magnitude", Self::HighMagnitude),
        ("low-magnitude", Self::LowMagnitude),
        ("high-magnitude-authors", Self::HighMagnitudeAuthors),
        ("low-magnitude-authors", Self::LowMagnitudeAuthors),
    ];
}

/// A method, and one value in how many it keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// How.
    pub method: Method,
    /// One in this many.
    pub one_in: usize,
    /// Whether the columns are amplitude and phase: then the amplitude alone
    /// is the magnitude.
    pub polar: bool,
}

/// Keeps some of the values of every example; what is learnt, is learnt from
/// the examples of `train`.
pub(crate) fn select(
    examples: Examples,
    train: &[usize],
    keep: &Keep,
    seed: u64,
) -> Examples {
    let kept = examples.length / keep.one_in.max(1);
    let magnitude = if keep.polar { first } else { square };
    match keep.method {
        Method::None => examples,
        Method::Pca => principal(&examples, train, kept),
        Method::Uniform => {
            let bins: Vec<usize> =
                (0..kept).map(|place| place * keep.one_in).collect();
            pick(&examples, |_| bins.clone())
        }
        Method::Random => {
            let bins = random(examples.length, kept, seed);
            pick(&examples, |_| bins.clone())
        }
        Method::HighMagnitude => {
            pick(&examples, |own| ranked(own, kept, true, magnitude))
        }
        Method::LowMagnitude => {
            pick(&examples, |own| ranked(own, kept, false, magnitude))
        }
        Method::HighMagnitudeAuthors => {
            pick(&examples, |own| ranked(own, kept, true, authors))
        }
        Method::LowMagnitudeAuthors => {
            pick(&examples, |own| ranked(own, kept, false, authors))
        }
    }
}

fn first(a: f32, _: f32) -> f32 {
    a
}

fn square(a: f32, b: f32) -> f32 {
    a * a + b * b
}

fn authors(a: f32, b: f32) -> f32 {
    a * a + b.abs()
}

/// A sorted random choice.
fn random(from: usize, count: usize, seed: u64) -> Vec<usize> {
    let all: Vec<usize> = (0..from).collect();
    // Streams 1 and 2 split and order the examples.
    let mut some = Draws::new(seed, 3).some_of(&all, count);
    some.sort_unstable();
    some
}

/// The bins of one example with the largest or smallest score, in order.
fn ranked(
    own: &[f32],
    count: usize,
    largest: bool,
    score: fn(f32, f32) -> f32,
) -> Vec<usize> {
    let scores: Vec<f32> =
        own.chunks_exact(2).map(|pair| score(pair[0], pair[1])).collect();
    let mut bins: Vec<usize> = (0..scores.len()).collect();
    bins.sort_by(|&a, &b| {
        let order = scores[a].total_cmp(&scores[b]);
        if largest { order.reverse() } else { order }
    });
    bins.truncate(count);
    bins.sort_unstable();
    bins
}

fn pick(examples: &Examples, bins: impl Fn(&[f32]) -> Vec<usize>) -> Examples {
    let width = examples.width();
    let mut features = Vec::new();
    let mut length = 0;
    for own in examples.features.chunks_exact(width.max(1)) {
        let bins = bins(own);
        length = bins.len();
        for bin in bins {
            features.extend(&own[2 * bin..2 * bin + 2]);
        }
    }
    Examples { length, features, ..without_features(examples) }
}

fn without_features(examples: &Examples) -> Examples {
    Examples {
        length: 0,
        features: Vec::new(),
        class: examples.class.clone(),
        group: examples.group.clone(),
        classes: examples.classes.clone(),
    }
}

/// Projections on the `2 kept` leading principal components of the training
/// examples; component `i` and component `kept + i` make a pair.
fn principal(examples: &Examples, train: &[usize], kept: usize) -> Examples {
    let (width, length) = (examples.width(), examples.length);
    // Columns one after the other, as the authors lay them.
    let row = |place: usize| {
        let own = &examples.features[place * width..][..width];
        (0..width).map(move |i| f64::from(own[2 * (i % length) + i / length]))
    };
    let count = train.len().max(1) as f64;
    let mut mean = vec![0.0; width];
    for &place in train {
        for (mean, value) in mean.iter_mut().zip(row(place)) {
            *mean += value / count;
        }
    }
    let mut covariance = DMatrix::<f64>::zeros(width, width);
    let block = 512;
    for places in train.chunks(block) {
        let mut centred = DMatrix::<f64>::zeros(width, places.len());
        for (column, &place) in places.iter().enumerate() {
            for (i, value) in row(place).enumerate() {
                centred[(i, column)] = value - mean[i];
            }
        }
        covariance += &centred * centred.transpose();
    }
    let eigen = (covariance / count).symmetric_eigen();
    let mut order: Vec<usize> = (0..width).collect();
    order.sort_by(|&a, &b| {
        eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a])
    });
    let mut features = Vec::with_capacity(examples.len() * 2 * kept);
    for place in 0..examples.len() {
        let centred: Vec<f64> =
            row(place).zip(&mean).map(|(value, mean)| value - mean).collect();
        let along = |component: usize| -> f32 {
            let axis = eigen.eigenvectors.column(order[component]);
            axis.iter().zip(&centred).map(|(a, b)| a * b).sum::<f64>() as f32
        };
        for first in 0..kept {
            features.extend([along(first), along(kept + first)]);
        }
    }
    Examples { length: kept, features, ..without_features(examples) }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn one(features: &[f32]) -> Examples {
        Examples {
            length: features.len() / 2,
            features: features.to_vec(),
            class: vec![0],
            group: vec![0],
            classes: vec!["a".into()],
        }
    }

    fn kept(method: Method, one_in: usize, features: &[f32]) -> Vec<f32> {
        select(one(features), &[0], &Keep { method, one_in, polar: false }, 3)
            .features
    }

    #[test]
    fn magnitude_is_of_both_columns_and_the_authors_formula_is_not() {
        // Squares 9, 4.25, 1, 4; the authors' scores 3, 4.5, 1, 2.
        let x = [0.0, 3.0, 2.0, 0.5, 1.0, 0.0, 0.0, -2.0];
        assert_eq!(kept(Method::HighMagnitude, 4, &x), [0.0, 3.0]);
        assert_eq!(kept(Method::HighMagnitudeAuthors, 4, &x), [2.0, 0.5]);
        assert_eq!(kept(Method::LowMagnitude, 2, &x), [1.0, 0.0, 0.0, -2.0]);
        let low = kept(Method::LowMagnitudeAuthors, 2, &x);
        assert_eq!(low, [1.0, 0.0, 0.0, -2.0]);
    }

    #[test]
    fn uniform_takes_every_nth_and_random_keeps_the_order() {
        let x: Vec<f32> = (0..32).map(|i| i as f32).collect();
        let uniform = kept(Method::Uniform, 4, &x);
        assert_eq!(uniform, [0.0, 1.0, 8.0, 9.0, 16.0, 17.0, 24.0, 25.0]);
        let random = kept(Method::Random, 2, &x);
        assert_eq!(random.len(), 16);
        assert!(random.windows(2).all(|w| w[0] < w[1]));
    }

    #[test]
    fn principal_components_come_by_variance_and_do_not_correlate() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut unit = || (rng.next_u32() >> 8) as f32 / 8_388_608.0 - 1.0;
        let mut features = Vec::new();
        for _ in 0..400 {
            let (a, b) = (unit() * 5.0, unit());
            features.extend([a, a + 0.1 * unit(), b, 0.01 * unit()]);
        }
        let examples = Examples {
            length: 2,
            features,
            class: vec![0; 400],
            group: vec![0; 400],
            classes: vec!["a".into()],
        };
        let train: Vec<usize> = (0..400).collect();
        let keep = Keep { method: Method::Pca, one_in: 2, polar: false };
        let out = select(examples, &train, &keep, 1).features;
        let moment = |i: usize, j: usize| {
            out.chunks_exact(2).map(|p| p[i] * p[j]).sum::<f32>() / 400.0
        };
        // Twice the variance of a (25 / 3), then that of b (1 / 3).
        assert!((moment(0, 0) - 16.7).abs() < 2.0, "{}", moment(0, 0));
        assert!((moment(1, 1) - 0.33).abs() < 0.1);
        assert!(moment(0, 1).abs() < 1e-2);
    }
}
