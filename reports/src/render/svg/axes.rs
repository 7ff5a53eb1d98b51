//! Ticks: round numbers on linear and logarithmic axes, as many as fit.

use crate::document::show_bare;

/// The range of values in whole decades' steps of 1, 2, 5, widened a little
/// so that no mark sits on the border. `None` without a value above zero.
pub(super) fn log_range(
    values: impl IntoIterator<Item = f64>,
) -> Option<(f64, f64)> {
    let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
    for value in values {
        if value.is_finite() && value > 0.0 {
            low = low.min(value);
            high = high.max(value);
        }
    }
    (high > 0.0).then(|| {
        let room = (high / low).powf(0.06).max(1.25);
        (low / room, high * room)
    })
}

/// Ticks of a logarithmic axis: every 1, 2, 5 where few decades are shown,
/// else every decade, or every second or third.
pub(super) fn log_ticks(low: f64, high: f64, most: usize) -> Vec<f64> {
    let (from, to) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let inside = |tick: &f64| *tick >= low && *tick <= high;
    for mantissas in [&[1.0, 2.0, 5.0][..], &[1.0, 3.0], &[1.0]] {
        let ticks: Vec<f64> = (from..=to)
            .flat_map(|decade| {
                mantissas.iter().map(move |m| m * 10_f64.powi(decade))
            })
            .filter(inside)
            .collect();
        if ticks.len() <= most {
            return ticks;
        }
    }
    (1..)
        .map(|step: i32| -> Vec<f64> {
            (from..=to)
                .filter(|decade| decade.rem_euclid(step) == 0)
                .map(|decade| 10_f64.powi(decade))
                .filter(inside)
                .collect()
        })
        .find(|ticks| ticks.len() <= most.max(1))
        .unwrap_or_default()
}

/// Ticks of a ratio near 1: closer than powers of ten allow.
pub(super) fn ratio_ticks(low: f64, high: f64, most: usize) -> Vec<f64> {
    const NEAR: [f64; 9] = [0.33, 0.5, 0.67, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0];
    const FEW: [f64; 7] = [0.33, 0.5, 0.67, 1.0, 1.5, 2.0, 3.0];
    if low < 0.2 || high > 5.0 {
        return log_ticks(low, high, most);
    }
    let inside = |ticks: &[f64]| -> Vec<f64> {
        ticks.iter().copied().filter(|t| *t >= low && *t <= high).collect()
    };
    let near = inside(&NEAR);
    if near.len() <= most { near } else { inside(&FEW) }
}

/// Ticks of a linear axis between two ends: steps of 1, 2 or 5 times a power
/// of ten.
pub(super) fn ticks_between(low: f64, high: f64, most: usize) -> Vec<f64> {
    let rough = (high - low) / most.max(1) as f64;
    if !rough.is_finite() || rough <= 0.0 {
        return vec![low];
    }
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|m| m * power)
        .find(|step| *step >= rough)
        .unwrap_or(10.0 * power);
    let hair = step * 1e-6;
    let first = ((low - hair) / step).ceil();
    (0..=most)
        .map(|index| (first + index as f64) * step)
        // -0 is zero.
        .map(|tick| if tick.abs() < hair { 0.0 } else { tick })
        .filter(|tick| *tick <= high + hair)
        .collect()
}

/// Ticks of a linear axis from zero: steps of 1, 2 or 5 times a power of ten.
pub(super) fn linear_ticks(high: f64, most: usize) -> Vec<f64> {
    let rough = high / most.max(1) as f64;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|m| m * power)
        .find(|step| *step >= rough)
        .unwrap_or(10.0 * power);
    (0..=most)
        .map(|index| index as f64 * step)
        .filter(|tick| *tick <= high * 1.000_001)
        .collect()
}

/// A tick's text: `1 ms`, `100 GB`, `0.5`.
pub(super) fn tick(value: f64, unit: &str) -> String {
    // A step such as 3 x 10^-4 is not exact in binary; its text must be.
    let exact: f64 = format!("{value:.3e}").parse().unwrap_or(value);
    let text = show_bare(exact, unit);
    match text.split_once(' ') {
        Some((number, unit)) => format!("{} {unit}", plain(number)),
        None => plain(&text),
    }
}

/// `2.00` as `2`, `0.500` as `0.5`.
fn plain(number: &str) -> String {
    if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        number.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(log_ticks(0.4, 3.0, 6), [0.5, 1.0, 2.0]);
        assert_eq!(log_ticks(1e-6, 1.0, 8).len(), 7);
        assert!(log_ticks(1e-9, 1e9, 5).len() <= 5);
        assert_eq!(ratio_ticks(0.6, 1.8, 8), [0.67, 0.8, 1.0, 1.25, 1.5]);
        assert_eq!(ratio_ticks(0.6, 1.8, 4), [0.67, 1.0, 1.5]);
        assert_eq!(linear_ticks(2.6, 6), [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]);
        assert_eq!(ticks_between(-20.0, 18.0, 5), [-20.0, -10.0, 0.0, 10.0]);
        assert_eq!(ticks_between(3.0, 3.0, 5), [3.0]);
    }

    #[test]
    fn tick_texts_carry_their_unit_and_no_idle_zeros() {
        assert_eq!(tick(2e-3, "s"), "2 ms");
        assert_eq!(tick(1e8, "1"), "100 M");
        assert_eq!(tick(10_f64.powi(12), "FLOP/s"), "1 TFLOP/s");
        assert_eq!(tick(0.5, "1"), "0.5");
        assert_eq!(tick(3e-5, "s"), "30 µs");
        assert_eq!(tick(0.0, "B"), "0 B");
    }

    #[test]
    fn a_range_holds_its_values_and_none_is_no_range() {
        let (low, high) = log_range([0.01, 5.0, f64::NAN, 0.0]).unwrap();
        assert!(low < 0.01 && high > 5.0);
        assert_eq!(log_range([0.0, -1.0]), None);
    }
}
