//! Numbers that may be NaN or infinite, in JSON.
//!
//! JSON has no such numbers and serde_json would write `null`, which reads
//! back as nothing. A diverged loss or a NaN answer is a finding that must be
//! kept, so these are written as the texts `NaN`, `inf` and `-inf`. For
//! `#[serde(with = "crate::number")]`.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserializer, Serializer};

pub(crate) fn serialize<S: Serializer>(
    value: &f64,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if value.is_finite() {
        serializer.serialize_f64(*value)
    } else {
        serializer.collect_str(value)
    }
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<f64, D::Error> {
    deserializer.deserialize_any(NumberVisitor)
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, `NaN`, `inf` or `-inf`")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<f64, E> {
        Ok(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<f64, E> {
        Ok(value as f64)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<f64, E> {
        Ok(value as f64)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<f64, E> {
        match text {
            "NaN" => Ok(f64::NAN),
            "inf" => Ok(f64::INFINITY),
            "-inf" => Ok(f64::NEG_INFINITY),
            _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Better, Event, Metric, Reading};

    #[test]
    fn a_number_that_is_not_finite_reads_back_as_itself() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.1, 3.0] {
            let metric = Metric::value("loss", "1", Better::Lower, value);
            let event = Event::Meter { step: None, metric };
            let json = serde_json::to_string(&event).unwrap();
            let back: Event = serde_json::from_str(&json).unwrap();
            let Event::Meter { metric, .. } = back else { panic!("{json}") };
            let Reading::Value(read) = metric.reading else { panic!("{json}") };
            assert!(read == value || read.is_nan() && value.is_nan());
        }
    }
}
