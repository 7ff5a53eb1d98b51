//! An estimate is a point with an interval, never a bare mean.

use serde::{Deserialize, Serialize};

/// A point, its interval, and how both were had.
///
/// The unit is that of the metric it stands under.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The best single value.
    pub point: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// The interval's confidence, e.g. 0.95.
    pub confidence: f64,
    /// How many observations stand behind it; 0 for a prediction.
    pub n: u64,
    /// How it was computed, e.g. `median, order statistics`.
    pub method: String,
}

impl Estimate {
    /// Half the interval's width over the point: 0.01 reads "within 1 %".
    pub fn relative_half_width(&self) -> f64 {
        (self.high - self.low) / 2.0 / self.point.abs()
    }

    /// The estimate with all three numbers multiplied, for a change of unit.
    pub fn scaled(&self, factor: f64) -> Self {
        let (a, b) = (self.low * factor, self.high * factor);
        Self {
            point: self.point * factor,
            low: a.min(b),
            high: a.max(b),
            ..self.clone()
        }
    }

    /// The reciprocal quantity (seconds a token to tokens a second), times
    /// `numerator`.
    pub fn inverted(&self, numerator: f64) -> Self {
        Self {
            point: numerator / self.point,
            low: numerator / self.high,
            high: numerator / self.low,
            ..self.clone()
        }
    }
}
