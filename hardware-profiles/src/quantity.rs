//! Which units of measure a number may be written in: a closed list for each
//! dimension, with the factor to the SI unit that the type holds.

use assay_schema::{
    Bytes, BytesPerSecond, FlopsPerSecond, Hertz, Seconds, Watts,
};

/// A dimension that a profile's number can have.
pub trait Quantity: Copy {
    /// What it is, for errors: `bandwidth`.
    const DIMENSION: &'static str;
    /// Symbols that a file may use, each with its factor to the unit that the
    /// type holds, which stands first with factor 1.
    const UNITS: &'static [(&'static str, f64)];
    /// Whether zero is a lawful value.
    const ZERO_ALLOWED: bool = false;

    /// From the unit that the type holds.
    fn from_base(value: f64) -> Self;
    /// In the unit that the type holds.
    fn base(self) -> f64;
}

/// A plain number of things, e.g. cores; unit `1`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Count(pub f64);

/// Width of a memory bus: data lines.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Bits(pub f64);

/// What one data line of a memory bus carries.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct BitsPerSecond(pub f64);

/// f32 operations that one core's vector unit does in a cycle; a fused
/// multiply-add is two.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct FlopsPerCycle(pub f64);

/// The calendar year in which a machine came out.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Year(pub f64);

macro_rules! quantity {
    ($name:ident, $dimension:literal, $zero:literal,
     $(($symbol:literal, $factor:literal)),+) => {
        impl Quantity for $name {
            const DIMENSION: &'static str = $dimension;
            const UNITS: &'static [(&'static str, f64)] =
                &[$(($symbol, $factor)),+];
            const ZERO_ALLOWED: bool = $zero;

            fn from_base(value: f64) -> Self {
                Self(value)
            }

            fn base(self) -> f64 {
                self.0
            }
        }
    };
}

quantity!(
    FlopsPerSecond,
    "rate of arithmetic",
    false,
    ("FLOP/s", 1.0),
    ("GOP/s", 1e9),
    ("TOP/s", 1e12),
    ("GFLOP/s", 1e9),
    ("TFLOP/s", 1e12),
    ("PFLOP/s", 1e15)
);
quantity!(
    BytesPerSecond,
    "bandwidth",
    false,
    ("B/s", 1.0),
    ("MB/s", 1e6),
    ("GB/s", 1e9),
    ("TB/s", 1e12)
);
quantity!(
    Bytes,
    "size",
    false,
    ("B", 1.0),
    ("KB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("TB", 1e12),
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0)
);
quantity!(Hertz, "frequency", false, ("Hz", 1.0), ("MHz", 1e6), ("GHz", 1e9));
quantity!(
    Seconds,
    "duration",
    true,
    ("s", 1.0),
    ("ms", 1e-3),
    ("us", 1e-6),
    ("ns", 1e-9)
);
quantity!(Watts, "power", false, ("W", 1.0), ("mW", 1e-3));
quantity!(Count, "count", false, ("1", 1.0));
quantity!(Bits, "bus width", false, ("bit", 1.0));
quantity!(
    BitsPerSecond,
    "rate of a pin",
    false,
    ("bit/s", 1.0),
    ("Mbit/s", 1e6),
    ("Gbit/s", 1e9)
);
quantity!(FlopsPerCycle, "operations a cycle", false, ("FLOP/cycle", 1.0));
quantity!(Year, "year", false, ("year", 1.0));

/// `FLOP/s, GFLOP/s, ...`, for errors.
pub(crate) fn symbols<U: Quantity>() -> String {
    let symbols: Vec<&str> = U::UNITS.iter().map(|(s, _)| *s).collect();
    symbols.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_is_base<U: Quantity>() -> bool {
        U::UNITS[0].1 == 1.0
    }

    #[test]
    fn the_first_symbol_of_every_dimension_is_the_one_the_type_holds() {
        assert!(first_is_base::<FlopsPerSecond>());
        assert!(first_is_base::<BytesPerSecond>());
        assert!(first_is_base::<Bytes>());
        assert!(first_is_base::<Hertz>());
        assert!(first_is_base::<Seconds>());
        assert!(first_is_base::<Watts>());
        assert!(first_is_base::<BitsPerSecond>());
    }
}
