//! Root raised cosine pulses, at any rational number of samples a symbol.

use std::f64::consts::PI;
use std::ops::Range;

use super::packet::Sample;

/// A root raised cosine of unit energy a symbol, `t` in symbols.
pub(super) fn root_raised_cosine(t: f64, rolloff: f64) -> f64 {
    let near = |x: f64| x.abs() < 1e-9;
    if near(t) {
        return 1.0 - rolloff + 4.0 * rolloff / PI;
    }
    let edge = 4.0 * rolloff * t;
    if near(edge.abs() - 1.0) {
        // The limit where numerator and denominator vanish.
        let (sin, cos) = (PI / (4.0 * rolloff)).sin_cos();
        let sum = (1.0 + 2.0 / PI) * sin + (1.0 - 2.0 / PI) * cos;
        return rolloff / 2.0_f64.sqrt() * sum;
    }
    let numerator = (PI * t * (1.0 - rolloff)).sin()
        + edge * (PI * t * (1.0 + rolloff)).cos();
    numerator / (PI * t * (1.0 - edge * edge))
}

/// Turns symbols into samples. Symbol `k` is centred at sample `k * up /
/// down`, where `up / down` is the number of samples a symbol in lowest terms.
pub(super) struct Shaper {
    /// `[up, 2 * span]`: the pulse at every phase within a symbol.
    taps: Vec<f64>,
    span: i64,
    up: i64,
    down: i64,
}

impl Shaper {
    /// For symbols of unit mean power, samples of unit mean power.
    pub(super) fn new(
        symbol_hz: u64,
        sample_hz: u64,
        rolloff: f64,
        span: usize,
    ) -> Self {
        let divisor = greatest_common_divisor(symbol_hz, sample_hz);
        let (up, down) = (sample_hz / divisor, symbol_hz / divisor);
        let span = span as i64;
        let mut taps = Vec::new();
        for phase in 0..up {
            let within = phase as f64 / up as f64;
            for k in 1 - span..=span {
                taps.push(root_raised_cosine(within - k as f64, rolloff));
            }
        }
        let energy = taps.iter().map(|tap| tap * tap).sum::<f64>() / up as f64;
        taps.iter_mut().for_each(|tap| *tap /= energy.sqrt());
        Self { taps, span, up: up as i64, down: down as i64 }
    }

    /// The symbols that reach into `count` samples from `from` on.
    pub(super) fn reach(&self, from: i64, count: usize) -> Range<i64> {
        let symbol = |sample: i64| (sample * self.down).div_euclid(self.up);
        let last = symbol(from + count as i64 - 1) + self.span;
        symbol(from) + 1 - self.span..last + 1
    }

    /// Adds the samples from `from` on; `symbols` are those of
    /// [`Self::reach`].
    pub(super) fn shape(
        &self,
        from: i64,
        symbols: &[Sample],
        out: &mut [Sample],
    ) {
        let first = self.reach(from, out.len()).start;
        let width = 2 * self.span as usize;
        for (sample, value) in (from..).zip(out) {
            let at = sample * self.down;
            let phase = at.rem_euclid(self.up) as usize;
            let left = at.div_euclid(self.up) + 1 - self.span - first;
            let taps = &self.taps[phase * width..][..width];
            let near = &symbols[left as usize..][..width];
            *value += near
                .iter()
                .zip(taps)
                .map(|(symbol, tap)| symbol * tap)
                .sum::<Sample>();
        }
    }
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_root_pulses_make_one_that_vanishes_at_every_other_symbol() {
        for rolloff in [0.4, 0.5] {
            let at = |lag: f64| -> f64 {
                let step = 1.0 / 64.0;
                (-2560..=2560)
                    .map(|i| {
                        let t = f64::from(i) * step;
                        root_raised_cosine(t, rolloff)
                            * root_raised_cosine(t - lag, rolloff)
                            * step
                    })
                    .sum()
            };
            assert!((at(0.0) - 1.0).abs() < 1e-3);
            for lag in 1..5 {
                assert!(at(f64::from(lag)).abs() < 1e-3, "{rolloff} {lag}");
            }
            assert!(at(0.5) > 0.5);
        }
    }

    #[test]
    fn a_fractional_rate_places_every_symbol_in_its_own_time() {
        let shaper = Shaper::new(11_000_000, 40_000_000, 0.5, 8);
        let (from, count) = (-40, 160);
        let reach = shaper.reach(from, count);
        let mut symbols =
            vec![Sample::ZERO; (reach.end - reach.start) as usize];
        symbols[(11 - reach.start) as usize] = Sample::ONE;
        let mut out = vec![Sample::ZERO; count];
        shaper.shape(from, &symbols, &mut out);
        let peak = (0..count).max_by(|&a, &b| out[a].re.total_cmp(&out[b].re));
        assert_eq!(peak.map(|p| p as i64 + from), Some(40), "symbol 11");
        let energy: f64 = out.iter().map(|s| s.norm_sqr()).sum();
        assert!((energy - 40.0 / 11.0).abs() < 0.01, "{energy}");
    }
}
