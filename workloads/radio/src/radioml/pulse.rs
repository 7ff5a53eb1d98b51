//! Pulse shapes, sampled.

use std::f64::consts::PI;

/// Root-raised-cosine pulse at `t` symbols from its middle, up to scale
/// (Proakis, Digital Communications, 4th ed., section 9.2.1).
fn root_raised_cosine(t: f64, rolloff: f64) -> f64 {
    let edge = 4.0 * rolloff * t;
    if t.abs() < 1e-9 {
        return 1.0 - rolloff + 4.0 * rolloff / PI;
    }
    // Both ends of the fraction vanish here; this is its limit.
    if (edge.abs() - 1.0).abs() < 1e-9 {
        let angle = PI / (4.0 * rolloff);
        let plus = (1.0 + 2.0 / PI) * angle.sin();
        let minus = (1.0 - 2.0 / PI) * angle.cos();
        return rolloff / 2.0_f64.sqrt() * (plus + minus);
    }
    let sin = (PI * t * (1.0 - rolloff)).sin();
    let cos = edge * (PI * t * (1.0 + rolloff)).cos();
    (sin + cos) / (PI * t * (1.0 - edge * edge))
}

/// Taps of the pulse by phase: `arms[a][j]` is the pulse `a / sps + span / 2 -
/// j` symbols from its middle. Their sum is `sps`, so that an arm sums to
/// nearly 1 and symbols of power 1 give samples of power 1.
pub(super) fn rrc_arms(rolloff: f64, sps: usize, span: usize) -> Vec<Vec<f64>> {
    let half = (span / 2) as f64;
    let at = |arm: usize, j: usize| {
        let t = arm as f64 / sps as f64 + half - j as f64;
        root_raised_cosine(t, rolloff)
    };
    let mut arms: Vec<Vec<f64>> =
        (0..sps).map(|arm| (0..span).map(|j| at(arm, j)).collect()).collect();
    let total: f64 = arms.iter().flatten().sum();
    let scale = sps as f64 / total;
    arms.iter_mut().flatten().for_each(|tap| *tap *= scale);
    arms
}

/// Frequency pulse of GFSK: a Gaussian of `span` symbols (sum 1) under a
/// rectangle of one symbol.
pub(super) fn gaussian_rectangle(
    bandwidth_time: f64,
    sps: usize,
    span: usize,
) -> Vec<f64> {
    // Bandwidth is where the Gaussian's power has halved.
    let deviation = 2.0_f64.ln().sqrt() / (2.0 * PI * bandwidth_time);
    let count = span * sps;
    let gaussian: Vec<f64> = (0..count)
        .map(|n| {
            let t = (n as f64 - (count - 1) as f64 / 2.0) / sps as f64;
            (-0.5 * (t / deviation).powi(2)).exp()
        })
        .collect();
    let total: f64 = gaussian.iter().sum();
    let mut taps = vec![0.0; count + sps - 1];
    for (n, value) in gaussian.iter().enumerate() {
        for tap in &mut taps[n..n + sps] {
            *tap += value / total;
        }
    }
    taps
}

/// `sin(pi t) / (pi t)`.
pub(super) fn sinc(t: f64) -> f64 {
    if t.abs() < 1e-12 { 1.0 } else { (PI * t).sin() / (PI * t) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matched_filter_leaves_no_interference_between_symbols() {
        let (sps, span) = (8, 88);
        let arms = rrc_arms(0.35, sps, span);
        // In time order: place p is p / sps - span / 2 symbols, mirrored.
        let mut pulse = Vec::new();
        for j in (0..span).rev() {
            pulse.extend(arms.iter().map(|arm| arm[j]));
        }
        let correlation = |shift: usize| -> f64 {
            pulse.iter().zip(&pulse[shift..]).map(|(a, b)| a * b).sum()
        };
        let peak = correlation(0);
        assert!((peak / sps as f64 - 1.0).abs() < 1e-3, "{peak}");
        for symbols in 1..20 {
            let leak = correlation(symbols * sps) / peak;
            assert!(leak.abs() < 1e-3, "{symbols}: {leak}");
        }
        // Half a symbol away they do interfere: the assertion can fail.
        assert!(correlation(sps / 2) / peak > 0.5);
    }

    #[test]
    fn the_limit_joins_the_pulse() {
        let rolloff = 0.35;
        let edge = 1.0 / (4.0 * rolloff);
        let near = root_raised_cosine(edge + 1e-6, rolloff);
        let at = root_raised_cosine(edge, rolloff);
        assert!((near - at).abs() < 1e-5, "{near} {at}");
        let near = root_raised_cosine(1e-6, rolloff);
        assert!((near - root_raised_cosine(0.0, rolloff)).abs() < 1e-5);
    }

    #[test]
    fn the_gaussian_pulse_carries_one_symbol() {
        let taps = gaussian_rectangle(0.35, 8, 4);
        assert_eq!(taps.len(), 39);
        let total: f64 = taps.iter().sum();
        assert!((total - 8.0).abs() < 1e-9, "{total}");
        let mirrored: Vec<f64> = taps.iter().rev().copied().collect();
        for (a, b) in taps.iter().zip(&mirrored) {
            assert!((a - b).abs() < 1e-12);
        }
    }
}
