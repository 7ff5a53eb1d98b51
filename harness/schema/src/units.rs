//! Units as types: a number that reaches a record, a table or a formula says
//! what it counts, and only lawful operations compile.
//!
//! `Seconds * BytesPerSecond = Bytes`, `Flops / FlopsPerSecond = Seconds`,
//! `Watts * Seconds = Joules`; a ratio of two like quantities is an `f64`.
//! Flops count a multiply and an add as two. Bytes are bytes, never kibibytes.

use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Sub};

use serde::{Deserialize, Serialize};

macro_rules! unit {
    ($(#[$doc:meta])* $name:ident, $symbol:literal) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize,
            Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub f64);

        impl $name {
            /// Nothing of it.
            pub const ZERO: Self = Self(0.0);
            /// The unit's symbol, as tables print it.
            pub const SYMBOL: &'static str = $symbol;

            /// The bare number, in the unit that the type names.
            pub fn value(self) -> f64 {
                self.0
            }

            /// The larger of two.
            pub fn max(self, other: Self) -> Self {
                Self(self.0.max(other.0))
            }

            /// The smaller of two.
            pub fn min(self, other: Self) -> Self {
                Self(self.0.min(other.0))
            }
        }

        impl Add for $name {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self(self.0 + other.0)
            }
        }
        impl AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                self.0 += other.0;
            }
        }
        impl Sub for $name {
            type Output = Self;
            fn sub(self, other: Self) -> Self {
                Self(self.0 - other.0)
            }
        }
        impl Mul<f64> for $name {
            type Output = Self;
            fn mul(self, factor: f64) -> Self {
                Self(self.0 * factor)
            }
        }
        impl Div<f64> for $name {
            type Output = Self;
            fn div(self, divisor: f64) -> Self {
                Self(self.0 / divisor)
            }
        }
        impl Div for $name {
            type Output = f64;
            fn div(self, other: Self) -> f64 {
                self.0 / other.0
            }
        }
        impl Sum for $name {
            fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
                // Folded from +0: the sum of nothing is no negative zero.
                Self(parts.fold(0.0, |sum, part| sum + part.0))
            }
        }
    };
}

unit!(
    /// A duration.
    Seconds,
    "s"
);
unit!(
    /// A quantity of memory or of traffic.
    Bytes,
    "B"
);
unit!(
    /// Floating-point operations; a multiply and an add are two.
    Flops,
    "FLOP"
);
unit!(
    /// A bandwidth.
    BytesPerSecond,
    "B/s"
);
unit!(
    /// A rate of arithmetic.
    FlopsPerSecond,
    "FLOP/s"
);
unit!(
    /// An energy.
    Joules,
    "J"
);
unit!(
    /// A power.
    Watts,
    "W"
);
unit!(
    /// A frequency.
    Hertz,
    "Hz"
);

macro_rules! product {
    ($rate:ident * Seconds = $amount:ident) => {
        impl Mul<Seconds> for $rate {
            type Output = $amount;
            fn mul(self, time: Seconds) -> $amount {
                $amount(self.0 * time.0)
            }
        }
        impl Div<$rate> for $amount {
            type Output = Seconds;
            fn div(self, rate: $rate) -> Seconds {
                Seconds(self.0 / rate.0)
            }
        }
        impl Div<Seconds> for $amount {
            type Output = $rate;
            fn div(self, time: Seconds) -> $rate {
                $rate(self.0 / time.0)
            }
        }
    };
}

product!(BytesPerSecond * Seconds = Bytes);
product!(FlopsPerSecond * Seconds = Flops);
product!(Watts * Seconds = Joules);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_times_a_time_is_an_amount_and_back() {
        let bandwidth = BytesPerSecond(2.0e9);
        let moved = bandwidth * Seconds(0.5);
        assert_eq!(moved, Bytes(1.0e9));
        assert_eq!(moved / bandwidth, Seconds(0.5));
        assert_eq!(moved / Seconds(0.5), bandwidth);
        assert_eq!(Watts(3.0) * Seconds(2.0), Joules(6.0));
    }

    #[test]
    fn a_unit_is_a_bare_number_in_json() {
        assert_eq!(serde_json::to_string(&Seconds(0.25)).unwrap(), "0.25");
    }
}
