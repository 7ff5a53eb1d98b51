//! Times of the day, and how people say them.

use assay_kit::Draws;

/// Numbers in words.
pub(crate) const NUMBERS: [&str; 13] = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight",
    "nine", "ten", "eleven", "twelve",
];

/// Words that times are said with, beside those.
pub(crate) const TIME_WORDS: &str =
    "am pm half quarter past to in the morning afternoon evening";

/// A time of the day and how people say it: `19:30`, `7:30 pm`, or `half past
/// seven in the evening`.
pub(crate) fn time(draws: &mut Draws) -> (String, String) {
    let hour = draws.below(24);
    let form = draws.below(10);
    let in_words = form >= 8;
    let minute =
        if in_words { 15 * draws.below(4) } else { 5 * draws.below(12) };
    let of_twelve = |hour: usize| (hour + 11) % 12 + 1;
    let half = if hour < 12 { "am" } else { "pm" };
    let spoken = match (form, minute) {
        (0..4, _) => format!("{hour}:{minute:02}"),
        (4..8, 0) => format!("{} {half}", of_twelve(hour)),
        (4..8, _) => format!("{}:{minute:02} {half}", of_twelve(hour)),
        _ => {
            let part = match hour {
                0..12 => "in the morning",
                12..18 => "in the afternoon",
                _ => "in the evening",
            };
            let own = NUMBERS[of_twelve(hour)];
            let next = NUMBERS[of_twelve(hour + 1)];
            match minute {
                0 => format!("{own} {part}"),
                15 => format!("quarter past {own} {part}"),
                30 => format!("half past {own} {part}"),
                _ => format!("quarter to {next} {part}"),
            }
        }
    };
    (format!("{hour:02}:{minute:02}"), spoken)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn times_are_said_in_ways_that_mean_them() {
        let mut said = BTreeMap::new();
        for stream in 0..20_000 {
            let (time, spoken) = time(&mut Draws::new(1, stream));
            assert!(crate::intents::schema::is_time(&time), "{time}");
            let before = said.insert(spoken.clone(), time.clone());
            assert!(before.is_none_or(|b| b == time), "{spoken}");
        }
        assert_eq!(said["half past seven in the evening"], "19:30");
        assert_eq!(said["quarter to one in the afternoon"], "12:45");
        assert_eq!(said["12 am"], "00:00");
        assert_eq!(said["7:05"], "07:05");
    }
}
