//! A fact: a number with its unit, its source, how far it is trusted, and
//! whether somebody declared or measured it.
//!
//! In the file it is one inline table:
//! `{ value = 312, unit = "TFLOP/s", source = "...", trust = "seen", kind = "declared" }`.
//! In memory the value is in the base unit of its type.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::quantity::{Quantity, symbols};

/// How a number came into the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// Read in the named source.
    Seen,
    /// From memory; the source says so.
    Recalled,
    /// Computed from other facts, which the source names.
    Derived,
    /// Measured by this project, on the machine itself.
    Measured,
}

/// Whose claim a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The maker's, or arithmetic on the maker's numbers.
    Declared,
    /// Somebody's who ran it.
    Measured,
}

/// An interval around a measured value, in the value's unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval<U> {
    /// Lower end.
    pub low: U,
    /// Upper end.
    pub high: U,
    /// E.g. 0.95.
    pub confidence: f64,
}

/// A number with where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact<U> {
    /// The value.
    pub value: U,
    /// Who says so, or from what it was computed.
    pub source: String,
    /// How it came into the file.
    pub trust: Trust,
    /// Declared or measured.
    pub kind: Kind,
    /// Interval of a measured value.
    pub interval: Option<Interval<U>>,
    /// What else must be known to read it, e.g. a range in the source.
    pub note: Option<String>,
}

impl<U: Quantity> Fact<U> {
    /// A number that this project measured on the machine itself, kept to six
    /// significant digits: no clock here resolves more, and a file that people
    /// read should not pretend so.
    pub fn measured(
        value: U,
        source: impl Into<String>,
        interval: Option<Interval<U>>,
    ) -> Self {
        let six = |quantity: U| U::from_base(rounded(quantity.base(), 6));
        Self {
            value: six(value),
            source: source.into(),
            trust: Trust::Measured,
            kind: Kind::Measured,
            interval: interval.map(|interval| Interval {
                low: six(interval.low),
                high: six(interval.high),
                ..interval
            }),
            note: None,
        }
    }

    /// Whether somebody ran it, in contrast to a data sheet's claim.
    pub fn is_measured(&self) -> bool {
        self.kind == Kind::Measured
    }
}

/// A fact as it stands in the file. `unit` and `source` are optional here only
/// so that their absence gets a message of its own.
#[derive(Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a fact { value, unit, source, trust, kind }"
)]
struct Written {
    value: f64,
    unit: Option<String>,
    source: Option<String>,
    trust: Trust,
    kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    low: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    high: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl<U: Quantity> TryFrom<Written> for Fact<U> {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let unit = written.unit.ok_or_else(|| {
            format!(
                "a number without `unit`; expected one of {}",
                symbols::<U>()
            )
        })?;
        let source = written.source.filter(|s| !s.trim().is_empty()).ok_or(
            "a number without `source`; expected who says so, or from \
                 what it was computed",
        )?;
        let (_, factor) = U::UNITS
            .iter()
            .find(|(symbol, _)| *symbol == unit)
            .ok_or_else(|| {
            format!(
                "found unit `{unit}`; a {} is one of {}",
                U::DIMENSION,
                symbols::<U>()
            )
        })?;
        let value = written.value;
        let lawful = value.is_finite()
            && (value > 0.0 || (U::ZERO_ALLOWED && value == 0.0));
        if !lawful {
            return Err(format!(
                "found value {value}; a {} is a finite number above zero",
                U::DIMENSION
            ));
        }
        let interval = match (written.low, written.high, written.confidence) {
            (None, None, None) => None,
            (Some(low), Some(high), Some(confidence)) => {
                let inside = low <= value && value <= high;
                let confident = confidence > 0.0 && confidence < 1.0;
                if !(inside && confident) {
                    return Err(format!(
                        "found low {low}, value {value}, high {high}, \
                         confidence {confidence}; expected low <= value <= \
                         high and a confidence between 0 and 1"
                    ));
                }
                Some(Interval {
                    low: U::from_base(to_base(low, *factor)),
                    high: U::from_base(to_base(high, *factor)),
                    confidence,
                })
            }
            _ => {
                return Err("an interval has all of `low`, `high` and \
                            `confidence`, or none"
                    .to_owned());
            }
        };
        Ok(Self {
            value: U::from_base(to_base(value, *factor)),
            source,
            trust: written.trust,
            kind: written.kind,
            interval,
            note: written.note,
        })
    }
}

impl<'de, U: Quantity> Deserialize<'de> for Fact<U> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Written::deserialize(from)?.try_into().map_err(D::Error::custom)
    }
}

impl<U: Quantity> Serialize for Fact<U> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let ends = self.interval.map(|i| (i.low.base(), i.high.base()));
        let (symbol, numbers) = in_shortest_unit::<U>(self.value.base(), ends);
        Written {
            value: numbers[0],
            unit: Some(symbol.to_owned()),
            source: Some(self.source.clone()),
            trust: self.trust,
            kind: self.kind,
            low: numbers.get(1).copied(),
            high: numbers.get(2).copied(),
            confidence: self.interval.map(|i| i.confidence),
            note: self.note.clone(),
        }
        .serialize(to)
    }
}

/// The value and the ends of its interval in the unit that prints shortest,
/// among those that read back to exactly the same numbers. The base unit
/// always does.
fn in_shortest_unit<U: Quantity>(
    value: f64,
    ends: Option<(f64, f64)>,
) -> (&'static str, Vec<f64>) {
    let mut numbers = vec![value];
    numbers.extend(ends.iter().flat_map(|(low, high)| [*low, *high]));
    // From the largest unit down, so that of two as short the larger wins.
    U::UNITS
        .iter()
        .rev()
        .filter_map(|&(symbol, factor)| {
            let scaled: Option<Vec<f64>> =
                numbers.iter().map(|&n| unscaled(n, factor)).collect();
            scaled.map(|scaled| (symbol, scaled))
        })
        .min_by_key(|(_, scaled)| {
            scaled.iter().map(|n| n.to_string().len()).sum::<usize>()
        })
        .unwrap_or((U::UNITS[0].0, numbers.clone()))
}

/// `value` in a unit, as a number in the base unit. Rounded to fifteen digits,
/// so that 65.1 TFLOP/s is 65.1e12 and not 65.09999999999999e12.
#[allow(clippy::float_cmp, reason = "the base unit's factor is the literal 1")]
fn to_base(value: f64, factor: f64) -> f64 {
    if factor == 1.0 { value } else { rounded(value * factor, 15) }
}

/// The number that [`to_base`] takes to exactly `product`, if one is near.
fn unscaled(product: f64, factor: f64) -> Option<f64> {
    let quotient = product / factor;
    [rounded(quotient, 12), rounded(quotient, 15), quotient].into_iter().find(
        |candidate| to_base(*candidate, factor).to_bits() == product.to_bits(),
    )
}

/// To so many significant digits.
fn rounded(number: f64, digits: usize) -> f64 {
    format!("{number:.*e}", digits - 1).parse().unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use assay_schema::{BytesPerSecond, FlopsPerSecond};
    use proptest::prelude::*;

    use super::*;

    fn fact(text: &str) -> Result<Fact<BytesPerSecond>, String> {
        toml::from_str(text).map_err(|e: toml::de::Error| e.message().into())
    }

    const REST: &str = "trust = 'seen'\nkind = 'declared'";

    #[test]
    fn a_fact_is_held_in_its_base_unit() {
        let text =
            format!("value = 2039\nunit = 'GB/s'\nsource = 'sheet'\n{REST}");
        assert_eq!(fact(&text).unwrap().value, BytesPerSecond(2.039e12));
    }

    #[test]
    fn a_number_without_unit_or_source_is_refused() {
        let text = format!("value = 2039\nsource = 'sheet'\n{REST}");
        let message = fact(&text).unwrap_err();
        assert!(message.contains("without `unit`"), "{message}");
        assert!(message.contains("GB/s"), "{message}");
        for source in ["", "source = ' '\n"] {
            let text = format!("value = 2039\nunit = 'GB/s'\n{source}{REST}");
            let message = fact(&text).unwrap_err();
            assert!(message.contains("without `source`"), "{message}");
        }
    }

    #[test]
    fn a_unit_of_another_dimension_is_refused_with_the_lawful_ones() {
        let text =
            format!("value = 2039\nunit = 'GB'\nsource = 'sheet'\n{REST}");
        assert_eq!(
            fact(&text).unwrap_err(),
            "found unit `GB`; a bandwidth is one of B/s, MB/s, GB/s, TB/s"
        );
    }

    #[test]
    fn zero_negative_and_nan_are_no_bandwidths() {
        for value in ["0", "-1", "nan", "inf"] {
            let text =
                format!("value = {value}\nunit = 'GB/s'\nsource = 's'\n{REST}");
            assert!(fact(&text).is_err(), "{value}");
        }
    }

    #[test]
    fn half_an_interval_or_one_beside_its_value_is_refused() {
        for more in [
            "low = 1.0",
            "low = 3.0\nhigh = 4.0\nconfidence = 0.95",
            "low = 1.0\nhigh = 4.0\nconfidence = 95",
        ] {
            let text = format!(
                "value = 2\nunit = 'GB/s'\nsource = 's'\n{REST}\n{more}"
            );
            assert!(fact(&text).is_err(), "{more}");
        }
    }

    #[test]
    fn a_measured_fact_is_written_short() {
        let rate = BytesPerSecond(25_612_345_678.123);
        let text = toml::to_string(&Fact::measured(rate, "probe", None));
        assert!(text.unwrap().starts_with("value = 25.6123\nunit = \"GB/s\""));
    }

    proptest! {
        #[test]
        fn any_fact_reads_back_as_it_was_written(
            value in 1e-6_f64..1e18, below in 0.0_f64..0.5, above in 0.0_f64..2.0,
        ) {
            let fact = Fact {
                // All digits: `measured` alone would round.
                value: FlopsPerSecond(value),
                interval: Some(Interval {
                    low: FlopsPerSecond(value * (1.0 - below)),
                    high: FlopsPerSecond(value * (1.0 + above)),
                    confidence: 0.95,
                }),
                ..Fact::measured(FlopsPerSecond(1.0), "probe", None)
            };
            let text = toml::to_string(&fact).unwrap();
            prop_assert_eq!(toml::from_str::<Fact<_>>(&text).unwrap(), fact);
        }
    }
}
