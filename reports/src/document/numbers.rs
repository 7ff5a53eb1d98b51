//! Numbers as people read them: an SI prefix, and no more digits than the
//! interval supports.
//!
//! The last digit shown is the first significant digit of the interval's
//! half width, with two to four digits in all; without an interval, three.
//! The interval's ends take the same unit and the same digits.

/// A number ready to print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) point: String,
    /// Lower and upper end.
    pub(crate) interval: Option<(String, String)>,
    /// Prefix and unit; empty for a bare number.
    pub(crate) unit: String,
}

impl Shown {
    /// Point and unit: `24.1 ms`.
    pub(crate) fn value(&self) -> String {
        match self.unit.as_str() {
            "" => self.point.clone(),
            unit => format!("{} {unit}", self.point),
        }
    }

    /// `24.1 ms (23.9 to 24.4)`.
    pub(crate) fn text(&self) -> String {
        match &self.interval {
            None => self.value(),
            Some((low, high)) => format!("{} ({low} to {high})", self.value()),
        }
    }
}

const SMALL: [(f64, &str); 5] =
    [(1e-12, "p"), (1e-9, "n"), (1e-6, "µ"), (1e-3, "m"), (1.0, "")];
const LARGE: [(f64, &str); 7] = [
    (1.0, ""),
    (1e3, "k"),
    (1e6, "M"),
    (1e9, "G"),
    (1e12, "T"),
    (1e15, "P"),
    (1e18, "E"),
];

/// Sizes of models are read as millions and billions.
const MODEL_SIZES: [(f64, &str); 4] =
    [(1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "B")];

/// Scale and printed unit of a value.
fn scale(value: f64, unit: &str) -> (f64, String) {
    let prefixes: &[(f64, &str)] = match unit {
        "s" => &SMALL,
        "J" | "W" => &[(1e-3, "m"), (1.0, ""), (1e3, "k"), (1e6, "M")],
        "B" | "B/s" | "FLOP" | "FLOP/s" | "Hz" => &LARGE,
        "1" if value.abs() < 1e5 => return (1.0, String::new()),
        "1" => &LARGE,
        "parameters" => &MODEL_SIZES,
        "tokens/s" if value.abs() >= 1e5 => &[(1e3, "k "), (1e6, "M ")],
        _ => return (1.0, unit.to_owned()),
    };
    let fitting = prefixes
        .iter()
        .rev()
        // A value that arithmetic left a hair under a power is that power.
        .find(|(factor, _)| value.abs() >= *factor * (1.0 - 1e-9))
        .or(prefixes.iter().find(|(_, prefix)| prefix.is_empty()));
    let (factor, prefix) = fitting.copied().unwrap_or((1.0, ""));
    let unit = if matches!(unit, "1" | "parameters") { "" } else { unit };
    (factor, format!("{prefix}{unit}"))
}

/// Decimals after the point, negative for rounding left of it.
fn decimals(value: f64, half_width: Option<f64>) -> i32 {
    let leading = |x: f64| {
        if x == 0.0 { 0 } else { x.abs().log10().floor() as i32 }
    };
    let digits = |significant: i32| significant - 1 - leading(value);
    match half_width {
        Some(width) if width > 0.0 => {
            (-leading(width)).clamp(digits(2), digits(4))
        }
        Some(_) => digits(4),
        None => digits(3),
    }
}

fn rounded(value: f64, decimals: i32) -> String {
    let step = 10_f64.powi(decimals);
    let text = match decimals {
        0.. => format!("{value:.*}", decimals.unsigned_abs() as usize),
        _ => format!("{:.0}", (value * step).round() / step),
    };
    // "-0" and "-0.00" are zero.
    match text.strip_prefix('-') {
        Some(rest) if rest.chars().all(|c| matches!(c, '0' | '.')) => {
            rest.to_owned()
        }
        _ => text,
    }
}

/// A value with its interval in a unit.
pub(crate) fn show(
    value: f64,
    interval: Option<(f64, f64)>,
    unit: &str,
) -> Shown {
    let (factor, unit) = scale(value, unit);
    let value = value / factor;
    let interval = interval.map(|(low, high)| (low / factor, high / factor));
    let whole = value.fract().abs() < f64::EPSILON && value.abs() < 1e5;
    let decimals = match interval {
        None if whole => 0,
        // An error of 12.34 % is known to no more than 12.3 %.
        None if unit == "%" => i32::from(value.abs() < 99.95),
        None => decimals(value, None).max(0),
        Some((low, high)) => decimals(value, Some((high - low) / 2.0)),
    };
    Shown {
        point: rounded(value, decimals),
        interval: interval.map(|(low, high)| {
            (rounded(low, decimals), rounded(high, decimals))
        }),
        unit,
    }
}

/// A value without an interval, point and unit: for counts and axis ticks.
pub(crate) fn show_bare(value: f64, unit: &str) -> String {
    show(value, None, unit).value()
}

/// A ratio's distance from 1 as text: `+9 %`, `-12 %`; one decimal under 1 %.
pub(crate) fn percent(fraction: f64) -> String {
    let value = fraction * 100.0;
    let text = if value.abs() < 0.95 && value != 0.0 {
        rounded(value, 1)
    } else {
        rounded(value, 0)
    };
    if value > 0.0 { format!("+{text} %") } else { format!("{text} %") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_interval_cuts_the_digits() {
        let text = |v, l, h, u| show(v, Some((l, h)), u).text();
        assert_eq!(text(0.0241, 0.0239, 0.0244, "s"), "24.1 ms (23.9 to 24.4)");
        assert_eq!(
            text(1240.0, 980.0, 1500.0, "tokens/s"),
            "1200 tokens/s (1000 to 1500)"
        );
        assert_eq!(
            text(41.23, 40.1, 42.0, "tokens/s"),
            "41.2 tokens/s (40.1 to 42.0)"
        );
        assert_eq!(
            text(2.5e-5, 2.5e-5, 2.5e-5, "s"),
            "25.00 µs (25.00 to 25.00)"
        );
    }

    #[test]
    fn without_an_interval_three_digits_stand() {
        assert_eq!(show_bare(1.345e8, "parameters"), "134 M");
        assert_eq!(show_bare(2.5e9, "B"), "2.50 GB");
        assert_eq!(show_bare(512.0, "1"), "512");
        assert_eq!(show_bare(0.0, "s"), "0 s");
        assert_eq!(show_bare(1.5629e9, "parameters"), "1.56 B");
        assert_eq!(show_bare(3.8e5, "tokens/s"), "380 k tokens/s");
        assert_eq!(show_bare(5.432, "%"), "5.4 %");
        assert_eq!(show_bare(123.4, "%"), "123 %");
        assert_eq!(show_bare(19.5e12, "FLOP/s"), "19.5 TFLOP/s");
    }

    #[test]
    fn percents_carry_their_sign() {
        assert_eq!(percent(0.093), "+9 %");
        assert_eq!(percent(-0.12), "-12 %");
        assert_eq!(percent(0.004), "+0.4 %");
        assert_eq!(percent(0.0), "0 %");
    }

    proptest! {
        #[test]
        fn what_is_shown_is_near_what_is_meant(
            exponent in -8.0..3.0_f64, width in 0.0..0.5_f64,
        ) {
            let value = 10_f64.powf(exponent);
            let (low, high) = (value * (1.0 - width), value * (1.0 + width));
            let shown = show(value, Some((low, high)), "s");
            let factor = match shown.unit.as_str() {
                "ns" => 1e-9, "µs" => 1e-6, "ms" => 1e-3, "s" => 1.0,
                other => panic!("unit {other}"),
            };
            let read: f64 = shown.point.parse().unwrap();
            prop_assert!((read * factor - value).abs() <= value * 0.051);
        }
    }
}
