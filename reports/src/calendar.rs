//! A moment as text, in UTC, by arithmetic: a report reads no clock and no
//! time zone, so that it is the same everywhere.
//!
//! Days since 1970 are turned to a date of the Gregorian calendar, whose
//! pattern repeats every 400 years (146,097 days). Years begin in March
//! here, so that the leap day is the last of its year.

use assay_schema::Moment;

/// `2026-11-24 11:20 UTC`.
pub fn utc(moment: Moment) -> String {
    let minutes = moment.0 / 60_000;
    let (year, month, day) = date(minutes / 1440);
    let (hour, minute) = (minutes / 60 % 24, minutes % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

/// Year, month 1 to 12 and day 1 to 31 of a number of days since 1970-01-01.
fn date(days: u64) -> (u64, u64, u64) {
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    let days = days + 719_468;
    let (cycle, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    // Months from March: 31 30 31 30 31 repeats every 153 days.
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let calendar_month = if month < 10 { month + 3 } else { month - 9 };
    let year = 400 * cycle + year + u64::from(calendar_month <= 2);
    (year, calendar_month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_read_as_they_should() {
        for (milliseconds, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_400_000, "2000-02-29 00:00 UTC"),
            (951_868_800_000, "2000-03-01 00:00 UTC"),
            (1_795_519_259_000, "2026-11-24 11:20 UTC"),
            (4_107_542_340_000, "2100-02-28 23:59 UTC"),
            (4_107_542_400_000, "2100-03-01 00:00 UTC"),
        ] {
            assert_eq!(utc(Moment(milliseconds)), text);
        }
    }

    #[test]
    fn each_day_of_a_cycle_follows_the_one_before() {
        let mut before = date(0);
        for day in 1..146_097 {
            let (year, month, of_month) = date(day);
            let same_month = (year, month) == (before.0, before.1);
            assert!(if same_month {
                of_month == before.2 + 1
            } else {
                of_month == 1 && before.2 >= 28
            });
            before = (year, month, of_month);
        }
        assert_eq!(before, (2369, 12, 31));
    }
}
