//! The discrete Fourier transform of a snapshot.

use std::sync::Arc;

use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

/// A transform of one length, planned once.
pub struct Spectrum {
    plan: Arc<dyn Fft<f32>>,
}

impl Spectrum {
    /// For snapshots of `length` complex samples.
    pub fn new(length: usize) -> Self {
        Self { plan: FftPlanner::new().plan_fft_forward(length) }
    }

    /// `[length, 2]`, I and Q in turn, to its spectrum in the same layout,
    /// shifted: the lowest frequency first, 0 Hz at place `length / 2`. Not
    /// scaled.
    ///
    /// # Panics
    /// When the length differs from the planned one.
    pub fn shifted(&self, iq: &[f32]) -> Vec<f32> {
        let length = self.plan.len();
        assert_eq!(iq.len(), 2 * length, "I and Q of every sample");
        let mut bins: Vec<Complex<f32>> =
            iq.chunks_exact(2).map(|c| Complex::new(c[0], c[1])).collect();
        self.plan.process(&mut bins);
        bins.rotate_right(length / 2);
        bins.iter().flat_map(|bin| [bin.re, bin.im]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_stands_at_its_frequency_lowest_first() {
        let tone = |k: f32| -> Vec<f32> {
            (0..16)
                .flat_map(|n| {
                    let (sin, cos) =
                        (std::f32::consts::TAU * k * n as f32 / 16.0).sin_cos();
                    [cos, sin]
                })
                .collect()
        };
        for (k, place) in [(-8.0, 0), (-3.0, 5), (0.0, 8), (7.0, 15)] {
            let spectrum = Spectrum::new(16).shifted(&tone(k));
            for (bin, c) in spectrum.chunks_exact(2).enumerate() {
                let expected = if bin == place { 16.0 } else { 0.0 };
                assert!((c[0].hypot(c[1]) - expected).abs() < 1e-4);
            }
        }
    }
}
