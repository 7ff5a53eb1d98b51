//! Chips of 802.11b: Barker spreading, complementary code keying and packet
//! binary convolutional coding, each for a run of its symbols.
//!
//! Phases are quarter turns. Differential phases start anywhere: a snapshot
//! has a random phase of its own. Data are scrambled in the standard, so they
//! are random bits here.

use std::f64::consts::FRAC_PI_4;
use std::ops::Range;

use super::packet::Sample;
use crate::Random;

/// The Barker sequence of 11 chips.
pub(super) const BARKER: [i8; 11] = [1, -1, 1, 1, -1, 1, 1, 1, -1, -1, -1];

/// Generators of the convolutional code, 64 states, newest bit highest
/// (octal 133 and 175; standard, from memory).
const GENERATORS: [u8; 2] = [0o133, 0o175];

/// First 16 of the 256 places of the cover sequence, which turns a symbol by
/// a quarter where it is 1 (standard, from memory).
const COVER: [u8; 16] = [0, 0, 1, 1, 0, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1, 1];

/// How symbols become chips.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Coding {
    /// 1 Mb/s: half turns, spread.
    Barker1,
    /// 2 Mb/s: quarter turns, spread.
    Barker2,
    /// 5.5 Mb/s: code words of 4 bits.
    Cck5,
    /// 11 Mb/s: code words of 8 bits.
    Cck11,
    /// 5.5 Mb/s: coded bits as half turns.
    Pbcc5,
    /// 11 Mb/s: pairs of coded bits as quarter turns.
    Pbcc11,
}

impl Coding {
    /// Chips of a symbol.
    pub(super) fn length(self) -> i64 {
        match self {
            Self::Barker1 | Self::Barker2 => 11,
            Self::Cck5 | Self::Cck11 => 8,
            Self::Pbcc5 | Self::Pbcc11 => 1,
        }
    }

    /// Bits of a symbol, doubled: 5.5 Mb/s of PBCC is half a bit a chip.
    pub(super) fn half_bits(self) -> usize {
        match self {
            Self::Pbcc5 => 1,
            Self::Barker1 | Self::Pbcc11 => 2,
            Self::Barker2 => 4,
            Self::Cck5 => 8,
            Self::Cck11 => 16,
        }
    }

    /// The chips of a run of symbols; `phase` is the quarter turn that the
    /// differential codings go on from, and leave.
    pub(super) fn chips(
        self,
        symbols: Range<i64>,
        phase: &mut usize,
        random: &mut Random,
    ) -> Vec<Sample> {
        let mut chips = Vec::new();
        match self {
            Self::Barker1 | Self::Barker2 => {
                for _ in symbols {
                    *phase += match self {
                        Self::Barker1 => 2 * random.below(2),
                        _ => random.below(4),
                    };
                    let turned = quarter(*phase);
                    chips.extend(BARKER.map(|b| turned * f64::from(b)));
                }
            }
            Self::Cck5 | Self::Cck11 => {
                for _ in symbols {
                    // Every other symbol has a half turn more, which a random
                    // quarter turn hides.
                    *phase += random.below(4);
                    let word = match self {
                        Self::Cck5 => [
                            *phase,
                            2 * random.below(2) + 1,
                            0,
                            2 * random.below(2),
                        ],
                        _ => [
                            *phase,
                            random.below(4),
                            random.below(4),
                            random.below(4),
                        ],
                    };
                    chips.extend(cck(word).map(quarter));
                }
            }
            Self::Pbcc5 | Self::Pbcc11 => {
                chips = pbcc(self == Self::Pbcc11, symbols, random);
            }
        }
        chips
    }
}

/// A quarter turn as a complex number.
fn quarter(turns: usize) -> Sample {
    match turns % 4 {
        0 => Sample::new(1.0, 0.0),
        1 => Sample::new(0.0, 1.0),
        2 => Sample::new(-1.0, 0.0),
        _ => Sample::new(0.0, -1.0),
    }
}

/// The 8 chips of a code word, quarter turns: chip `c` has the first phase,
/// and the second, third and fourth unless bit 0, 1 or 2 of `c` is set; the
/// fourth and the seventh are inverted.
fn cck([first, second, third, fourth]: [usize; 4]) -> [usize; 8] {
    std::array::from_fn(|c| {
        let part = |bit: usize, value: usize| {
            if c >> bit & 1 == 0 { value } else { 0 }
        };
        let cover = if c == 3 || c == 6 { 2 } else { 0 };
        first + part(0, second) + part(1, third) + part(2, fourth) + cover
    })
}

/// Both coded bits of the newest 7 bits, the newest highest.
fn encode(register: u8) -> [usize; 2] {
    GENERATORS.map(|taps| (register & taps).count_ones() as usize % 2)
}

/// Whether the cover turns a symbol: 16 places, then the same moved on by 3,
/// and so on.
fn cover(symbol: i64) -> usize {
    let symbol = symbol.rem_euclid(256) as usize;
    usize::from(COVER[(symbol % 16 + 3 * (symbol / 16)) % 16])
}

/// Covered symbols of the convolutional code, one a chip.
fn pbcc(
    quadrature: bool,
    symbols: Range<i64>,
    random: &mut Random,
) -> Vec<Sample> {
    // The code starts at 0 with the payload and anywhere within it.
    let mut register =
        if symbols.start == 0 { 0 } else { random.below(128) as u8 };
    let mut coded = encode(register);
    symbols
        .map(|symbol| {
            if quadrature || symbol % 2 == 0 {
                register = register >> 1 | u8::from(random.bit()) << 6;
                coded = encode(register);
            }
            if quadrature {
                // Gray: neighbours on the circle differ in one bit.
                let turns = 2 * coded[0] + (coded[0] ^ coded[1]);
                return quarter(turns + cover(symbol)) * Sample::cis(FRAC_PI_4);
            }
            let bit = coded[(symbol % 2) as usize];
            quarter(2 * bit + cover(symbol))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn barker_correlates_with_itself_at_no_lag_only() {
        for lag in 1..11 {
            let sum: i8 = (lag..11).map(|i| BARKER[i] * BARKER[i - lag]).sum();
            assert!(sum.abs() <= 1, "lag {lag}: {sum}");
        }
        let mut random = Random::new(1, 0);
        let chips = Coding::Barker2.chips(0..200, &mut 0, &mut random);
        let symbols: Vec<Sample> = chips
            .chunks(11)
            .map(|c| c.iter().zip(BARKER).map(|(c, b)| c * f64::from(b)).sum())
            .collect();
        let mut seen = [0; 4];
        for symbol in symbols {
            assert!((symbol.norm() - 11.0).abs() < 1e-12);
            let turns = (symbol.arg() * 2.0 / std::f64::consts::PI).round();
            seen[turns.rem_euclid(4.0) as usize] += 1;
        }
        assert!(seen.iter().all(|&n| n > 20), "{seen:?}");
    }

    #[test]
    fn one_megabit_turns_by_halves_only() {
        let mut random = Random::new(1, 1);
        let chips = Coding::Barker1.chips(0..50, &mut 0, &mut random);
        assert!(chips.iter().all(|c| c.im == 0.0));
        assert!(chips.chunks(11).any(|c| c[0].re < 0.0));
    }

    #[test]
    fn cck_words_follow_the_formula_and_are_complementary() {
        let word = cck([0, 1, 2, 3]).map(|q| q % 4);
        // f1+f2+f3+f4, f1+f3+f4, f1+f2+f4, pi+f1+f4, f1+f2+f3, f1+f3,
        // pi+f1+f2, f1.
        assert_eq!(word, [6 % 4, 5 % 4, 0, 5 % 4, 3, 2, 3, 0]);
        // The 64 words at one first phase are at least 4 chips' worth of
        // distance apart: the real correlation stays below 8.
        let words: Vec<[Sample; 8]> = (0..64)
            .map(|n| cck([0, n % 4, n / 4 % 4, n / 16]).map(quarter))
            .collect();
        for (i, a) in words.iter().enumerate() {
            for b in &words[..i] {
                let sum: Sample =
                    a.iter().zip(b).map(|(a, b)| a * b.conj()).sum();
                assert!(sum.norm() < 6.0, "word {i}: {sum}");
            }
        }
        // Complementary: the autocorrelations of even and odd chips cancel.
        for lag in 1..4 {
            let of = |from: usize| -> Sample {
                let w = |i: usize| words[37][2 * i + from];
                (lag..4).map(|i| w(i) * w(i - lag).conj()).sum()
            };
            assert!((of(0) + of(1)).norm() < 1e-12, "lag {lag}");
        }
    }

    #[test]
    fn cck_at_half_rate_has_four_words() {
        let mut random = Random::new(1, 2);
        let chips = Coding::Cck5.chips(0..400, &mut 0, &mut random);
        let mut words: Vec<Vec<i8>> = chips
            .chunks(8)
            .map(|w| {
                let relative = |c: &Sample| (c * w[7].conj()).to_polar().1;
                w.iter().map(|c| (relative(c) * 10.0).round() as i8).collect()
            })
            .map(|word: Vec<i8>| {
                word.iter().map(|&v| if v == -31 { 31 } else { v }).collect()
            })
            .collect();
        words.sort();
        words.dedup();
        assert_eq!(words.len(), 4);
    }

    #[test]
    fn the_convolutional_code_gives_its_generators_for_a_lone_bit() {
        let outputs: Vec<[usize; 2]> =
            (0..7).map(|age| encode(64 >> age)).collect();
        let read =
            |which: usize| outputs.iter().fold(0, |sum, o| 2 * sum + o[which]);
        assert_eq!([read(0), read(1)], [0o133, 0o175]);
        let places: Vec<usize> = (0..256).map(cover).collect();
        assert_eq!(places[16..20], [1, 0, 0, 1], "moved on by 3");
        assert_eq!(places.iter().sum::<usize>(), 128, "as many of each");
    }

    #[test]
    fn packet_codes_have_two_or_four_phases_under_the_cover() {
        let mut random = Random::new(1, 3);
        let chips = Coding::Pbcc11.chips(100..1100, &mut 0, &mut random);
        for (chip, symbol) in chips.iter().zip(100..) {
            let bare = chip * quarter(4 - cover(symbol));
            assert!((bare.re.abs() - bare.im.abs()).abs() < 1e-12);
        }
        let chips = Coding::Pbcc5.chips(101..1101, &mut 0, &mut random);
        for (chip, symbol) in chips.iter().zip(101..) {
            let bare = chip * quarter(4 - cover(symbol));
            assert!((bare.re.abs() - 1.0).abs() < 1e-12, "{bare}");
        }
    }
}
