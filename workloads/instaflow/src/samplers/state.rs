//! What a sampler moves: anything that can be added, scaled and measured.

use burn::Tensor;

/// A point of the space that a field lives in, or a slope there.
pub trait State: Clone {
    /// The sum of the states, each times its factor. A term whose factor is
    /// 0 is left out, whatever it holds.
    ///
    /// # Panics
    /// When there is no term, or shapes differ.
    #[must_use]
    fn combine(terms: &[(f64, &Self)]) -> Self;

    /// Root of the mean over all values of
    /// `(error / (absolute + relative max(|from|, |to|)))^2`, which is 1
    /// where the tolerance is just met (Hairer, Norsett and Wanner, *Solving
    /// Ordinary Differential Equations I*, section II.4). Not a number where
    /// there are no values to read: while a graph is captured.
    fn error_norm(
        error: &Self,
        from: &Self,
        to: &Self,
        absolute: f64,
        relative: f64,
    ) -> f64;

    /// Values of one sample: of a tensor `[B, H, W, C]` it is `H W C`; a
    /// vector is one sample.
    fn sample_values(&self) -> usize;

    /// The mean of the squares of all values.
    fn mean_square(&self) -> f64 {
        Self::error_norm(self, self, self, 1.0, 0.0).powi(2)
    }
}

impl State for Vec<f64> {
    fn combine(terms: &[(f64, &Self)]) -> Self {
        assert!(!terms.is_empty(), "a sum without a term");
        let mut sum = vec![0.0; terms[0].1.len()];
        for (factor, state) in terms {
            assert_eq!(state.len(), sum.len(), "states of two lengths");
            if *factor == 0.0 {
                continue;
            }
            for (sum, value) in sum.iter_mut().zip(state.iter()) {
                *sum += factor * value;
            }
        }
        sum
    }

    fn error_norm(
        error: &Self,
        from: &Self,
        to: &Self,
        absolute: f64,
        relative: f64,
    ) -> f64 {
        let ends = from.iter().copied().zip(to.iter().copied());
        root_mean_square(error.iter().copied(), ends, absolute, relative)
    }

    fn sample_values(&self) -> usize {
        self.len()
    }
}

impl State for Tensor<4> {
    fn combine(terms: &[(f64, &Self)]) -> Self {
        assert!(!terms.is_empty(), "a sum without a term");
        let mut sum: Option<Self> = None;
        for (factor, state) in terms {
            if *factor == 0.0 {
                continue;
            }
            let term = scaled(state, *factor);
            sum = Some(match sum {
                Some(sum) => sum + term,
                None => term,
            });
        }
        sum.unwrap_or_else(|| terms[0].1.zeros_like())
    }

    fn error_norm(
        error: &Self,
        from: &Self,
        to: &Self,
        absolute: f64,
        relative: f64,
    ) -> f64 {
        // On the host in f64: the values are few beside one call of a field.
        let read = [error, from, to].map(Self::try_to_data);
        let [Ok(error), Ok(from), Ok(to)] = read else { return f64::NAN };
        let ends = from.iter::<f64>().zip(to.iter::<f64>());
        root_mean_square(error.iter::<f64>(), ends, absolute, relative)
    }

    fn sample_values(&self) -> usize {
        let [_, height, width, channels] = self.dims();
        height * width * channels
    }
}

/// A factor of 1 costs no operation, in time as in a trace.
fn scaled(state: &Tensor<4>, factor: f64) -> Tensor<4> {
    let state = state.clone();
    if factor - 1.0 == 0.0 { state } else { state.mul_scalar(factor) }
}

fn root_mean_square(
    error: impl Iterator<Item = f64>,
    ends: impl Iterator<Item = (f64, f64)>,
    absolute: f64,
    relative: f64,
) -> f64 {
    let (mut sum, mut count) = (0.0, 0_usize);
    for (error, (from, to)) in error.zip(ends) {
        let largest = from.abs().max(to.abs());
        sum += (error / (absolute + relative * largest)).powi(2);
        count += 1;
    }
    (sum / count.max(1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn tensor(values: [f32; 4]) -> Tensor<4> {
        let values = Tensor::<1>::from_floats(values, &Device::flex());
        values.reshape([2, 1, 1, 2])
    }

    #[test]
    fn a_sum_of_terms_is_the_same_of_vectors_and_of_tensors() {
        let (a, b) = (vec![1.0, -2.0, 3.0, 0.5], vec![0.25, 4.0, -1.0, 8.0]);
        let sum = State::combine(&[(1.0, &a), (-2.0, &b), (0.5, &a)]);
        assert_eq!(sum, [1.0, -11.0, 6.5, -15.25]);
        let a = tensor([1.0, -2.0, 3.0, 0.5]);
        let b = tensor([0.25, 4.0, -1.0, 8.0]);
        let sum = Tensor::combine(&[(1.0, &a), (-2.0, &b), (0.5, &a)]);
        assert_eq!(sum.to_data(), tensor([1.0, -11.0, 6.5, -15.25]).to_data());
    }

    #[test]
    fn a_term_of_factor_0_is_left_out_even_where_it_is_no_number() {
        let (a, b) = (vec![1.0], vec![f64::NAN]);
        assert_eq!(State::combine(&[(2.0, &a), (0.0, &b)]), [2.0]);
        let bad = tensor([f32::NAN; 4]);
        let none = Tensor::combine(&[(0.0, &bad)]);
        assert_eq!(none.to_data(), tensor([0.0; 4]).to_data());
    }

    #[test]
    fn an_error_is_measured_against_both_ends() {
        let error = vec![0.3, 0.1];
        let (from, to) = (vec![1.0, 0.0], vec![-2.0, 0.0]);
        // 0.3 / (0.1 + 0.1 * 2) = 1 and 0.1 / 0.1 = 1.
        let norm = State::error_norm(&error, &from, &to, 0.1, 0.1);
        assert!((norm - 1.0).abs() < 1e-12, "{norm}");
        let error = tensor([0.3, 0.1, 0.3, 0.1]);
        let from = tensor([1.0, 0.0, -2.0, 0.0]);
        let to = tensor([-2.0, 0.0, 1.0, 0.0]);
        let norm = State::error_norm(&error, &from, &to, 0.1, 0.1);
        assert!((norm - 1.0).abs() < 1e-6, "{norm}");
    }

    #[test]
    fn the_values_of_a_sample_do_not_count_the_batch() {
        let state = tensor([1.0, 2.0, 3.0, 4.0]);
        assert_eq!(state.sample_values(), 2);
        assert_eq!(state.mean_square(), 7.5);
        assert_eq!(vec![1.0_f64, 7.0].sample_values(), 2);
    }
}
