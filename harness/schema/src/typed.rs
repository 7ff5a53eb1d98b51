//! Quantities as a person types them on a command line.

use crate::Seconds;

/// The longest time that is taken for one, in seconds: a day.
const LONGEST: f64 = 86_400.0;

impl Seconds {
    /// A time above 0, up to a day: `10s`, `500ms`, `20us`, `2m`, or a bare
    /// number of seconds.
    ///
    /// # Errors
    /// A sentence with the text and what was expected.
    pub fn typed(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let factor = match &text[digits.len()..] {
            "us" => Some(1e-6),
            "ms" => Some(1e-3),
            "" | "s" => Some(1.0),
            "m" | "min" => Some(60.0),
            _ => None,
        };
        let number = digits.trim().parse::<f64>().ok();
        factor
            .zip(number)
            .map(|(factor, number)| number * factor)
            .filter(|seconds| *seconds > 0.0 && *seconds <= LONGEST)
            .map(Self)
            .ok_or_else(|| {
                format!("`{text}` is no time: 10s, 500ms or 2m, at most a day")
            })
    }
}

/// A share from a percentage, `1%`: from 0 to below 1.
///
/// # Errors
/// A sentence with the text and what was expected.
pub fn typed_share(text: &str) -> Result<f64, String> {
    let number = text.trim().strip_suffix('%').ok_or_else(|| {
        format!("`{text}` has no %: expected a percentage such as 1%")
    })?;
    number
        .trim()
        .parse::<f64>()
        .ok()
        .map(|percent| percent / 100.0)
        .filter(|share| (0.0..1.0).contains(share))
        .ok_or_else(|| {
            format!(
                "`{text}` is no percentage from 0% to below 100%, such as 1%"
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_or_is_seconds() {
        for (text, seconds) in [
            ("500ms", 0.5),
            ("2m", 120.0),
            ("1min", 60.0),
            (" 1.5 ", 1.5),
            ("10 s", 10.0),
        ] {
            assert_eq!(Seconds::typed(text), Ok(Seconds(seconds)), "{text}");
        }
        for wrong in ["", "s", "-1s", "0", "nan", "inf", "10 parsecs", "2000m"]
        {
            assert!(Seconds::typed(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_percentage_has_its_sign_and_stays_below_the_whole() {
        assert_eq!(typed_share("1%"), Ok(0.01));
        assert_eq!(typed_share(" 0 % "), Ok(0.0));
        for wrong in ["1", "100%", "-1%", "%", "nan%", "one%"] {
            assert!(typed_share(wrong).is_err(), "{wrong}");
        }
    }
}
