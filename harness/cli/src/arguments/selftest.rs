//! Arguments of `assay selftest`.

use std::path::PathBuf;

use assay_schema::Moment;
use clap::{Args, ValueEnum};

/// Text for people, or Markdown for a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum TextOrMarkdown {
    #[default]
    Text,
    Markdown,
}

#[derive(Debug, Args)]
pub(crate) struct SelftestArgs {
    /// Every part once over: 2 minutes in place of about 70.
    #[arg(long)]
    pub(crate) quick: bool,
    /// The record, one line a comparison; one that exists is gone on with
    /// [default: runs/selftest.jsonl, runs/selftest-quick.jsonl].
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Only show the table of what a record holds, of any machine, compressed
    /// (.zst) or not.
    #[arg(long)]
    pub(crate) table: bool,
    /// Make a part of this record again: --out begins with all of it but what
    /// touches the times of --between, and those comparisons are made anew,
    /// in its order, by this build. The table says which build made how many.
    #[arg(
        long,
        value_name = "RECORD",
        requires_all = ["between", "out"],
        conflicts_with_all = ["quick", "seed", "table"]
    )]
    pub(crate) again: Option<PathBuf>,
    /// From when to when (2026-11-24T16:29:00Z); may be given several times.
    #[arg(
        long,
        num_args = 2,
        value_names = ["FROM", "TO"],
        value_parser = moment,
        requires = "again"
    )]
    pub(crate) between: Vec<Moment>,
    /// Seed of every order.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: TextOrMarkdown,
}

impl SelftestArgs {
    /// The times of `--between`.
    ///
    /// # Errors
    /// One that ends before it begins.
    pub(crate) fn times(&self) -> anyhow::Result<Vec<[Moment; 2]>> {
        let pairs = self.between.chunks_exact(2).map(|pair| {
            let [from, to] = [pair[0], pair[1]];
            anyhow::ensure!(
                from <= to,
                "--between: the second time is before the first; expected \
                 FROM and TO"
            );
            Ok([from, to])
        });
        pairs.collect()
    }
}

/// A date and time with its offset, as TOML (RFC 3339) writes it.
fn moment(text: &str) -> Result<Moment, String> {
    let expected = || {
        format!(
            "`{text}`: expected a time like 2026-11-24T16:29:00Z, from 1970"
        )
    };
    let parsed: toml::value::Datetime = text.parse().map_err(|_| expected())?;
    let (Some(date), Some(time), Some(offset)) =
        (parsed.date, parsed.time, parsed.offset)
    else {
        return Err(expected());
    };
    let minutes = match offset {
        toml::value::Offset::Z => 0,
        toml::value::Offset::Custom { minutes } => i64::from(minutes),
    };
    let days = days(date.year.into(), date.month.into(), date.day.into());
    let second = i64::from(time.second.unwrap_or(0));
    let time = i64::from(time.hour) * 3600 + i64::from(time.minute) * 60;
    let seconds = days * 86_400 + time + second - minutes * 60;
    u64::try_from(seconds * 1000).map(Moment).map_err(|_| expected())
}

/// Days from 1970-01-01 of a date of the Gregorian calendar: years are counted
/// from March, so that the leap day is the last of its year.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let leaps =
        year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leaps + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_with_its_offset() {
        let at = |text| moment(text).map(|moment| moment.0);
        assert_eq!(at("1970-01-01T00:00:01Z"), Ok(1000));
        assert_eq!(at("2026-11-24T15:35:39Z"), Ok(1_795_534_539_000));
        assert_eq!(at("2026-11-24T16:35:39+01:00"), Ok(1_795_534_539_000));
        assert_eq!(at("2024-02-29T00:00:00Z"), Ok(1_709_164_800_000));
        assert_eq!(at("2000-03-01T00:00:00Z"), Ok(951_868_800_000));
        for wrong in ["yesterday", "2026-11-24", "2026-11-24T16:29:00", ""] {
            let why = at(wrong).unwrap_err();
            assert!(why.contains("2026-11-24T16:29:00Z"), "{why}");
        }
    }
}
