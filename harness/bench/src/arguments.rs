//! The command line: cargo's few flags and ours, read by hand so that a
//! stranger's crate compiles no parser.

use std::path::PathBuf;

use assay_schema::{Seconds, nearest, typed_share};

use crate::BenchError;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Usage: cargo bench [--bench TARGET] -- [FILTER...] [FLAGS]

  FILTER...              only benchmarks whose name holds one of these texts
  --exact                a filter must be the whole name
  --skip TEXT            leave out benchmarks whose name holds this text
  --list                 print the names and run nothing
  --test                 run each body once, without timing
  --budget TIME          longest sampling of a benchmark (default 2s)
  --save-baseline NAME   keep the samples under this name
  --baseline NAME        compare with the samples kept under this name
  --floor PERCENT        smallest change that is called (default 1%)
  --force                compare with a baseline of another host, unit or work
  --assay-lockstep PATH  serve `assay compare --bench` on a Unix socket
  --help                 this text

Exit code: 0 done; 1 a benchmark failed or is slower than its baseline;
2 wrong flags, names or files, or a baseline that needs --force.
";

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    Help,
    List,
    Test,
    Measure,
    Lockstep(PathBuf),
}

/// The command line, read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Arguments {
    pub(crate) action: Action,
    pub(crate) filters: Vec<String>,
    pub(crate) skipped: Vec<String>,
    pub(crate) exact: bool,
    pub(crate) budget: Seconds,
    pub(crate) save: Option<String>,
    pub(crate) baseline: Option<String>,
    pub(crate) floor: f64,
    pub(crate) force: bool,
}

impl Default for Arguments {
    fn default() -> Self {
        Self {
            action: Action::Measure,
            filters: Vec::new(),
            skipped: Vec::new(),
            exact: false,
            budget: Seconds(2.0),
            save: None,
            baseline: None,
            floor: 0.01,
            force: false,
        }
    }
}

/// Flags with a value, and what it must be.
const VALUED: [(&str, &str); 10] = [
    ("--skip", "a text"),
    ("--budget", "a time such as 500ms or 2s"),
    ("--save-baseline", NAME_RULE),
    ("--baseline", NAME_RULE),
    ("--floor", "a percentage from 0% to below 100%, such as 1%"),
    ("--assay-lockstep", "the path of a socket"),
    // What libtest takes, accepted so that cargo and nextest may pass it on.
    ("--format", "`pretty` or `terse`"),
    ("--color", "`auto`, `always` or `never`"),
    ("--test-threads", "a number"),
    ("--logfile", "a path"),
];

/// Flags without one.
const BARE: [&str; 12] = [
    "--exact",
    "--list",
    "--test",
    "--force",
    "--help",
    "-h",
    "--bench",
    "--nocapture",
    "--no-capture",
    "--ignored",
    "--include-ignored",
    "--quiet",
];

const NAME_RULE: &str = "letters, digits, `.`, `_` and `-`, no `.` in front";

impl Arguments {
    /// Reads a command line without the program's own name.
    ///
    /// # Errors
    ///
    /// A flag that there is not, or a value that cannot be.
    pub(crate) fn parse(
        words: impl IntoIterator<Item = String>,
    ) -> Result<Self, BenchError> {
        let mut read = Self::default();
        let mut words = words.into_iter();
        let mut only_filters = false;
        // libtest's `--ignored` asks for ignored ones alone; there are none.
        let mut none_wanted = false;
        while let Some(word) = words.next() {
            if only_filters || !word.starts_with('-') {
                read.filters.push(word);
                continue;
            }
            let (flag, joined) = match word.split_once('=') {
                Some((flag, value)) => (flag, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            if let Some(&(flag, expected)) =
                VALUED.iter().find(|(name, _)| *name == flag)
            {
                let value = joined.or_else(|| words.next());
                read.set(flag, value, expected)?;
                continue;
            }
            match word.as_str() {
                "--" => only_filters = true,
                "--exact" => read.exact = true,
                "--force" => read.force = true,
                "--list" => read.action = Action::List,
                "--test" => read.action = Action::Test,
                "--help" | "-h" => read.action = Action::Help,
                "--ignored" => none_wanted = true,
                bare if BARE.contains(&bare) => {}
                _ => return Err(unknown(&word)),
            }
        }
        if none_wanted {
            // No name holds a line break.
            read.filters = vec!["\n".to_owned()];
        }
        Ok(read)
    }

    fn set(
        &mut self,
        flag: &'static str,
        value: Option<String>,
        expected: &'static str,
    ) -> Result<(), BenchError> {
        let found = value.clone().unwrap_or_else(|| "nothing".to_owned());
        let wrong = || BenchError::FlagValue { flag, found, expected };
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            return Err(wrong());
        };
        match flag {
            "--skip" => self.skipped.push(value),
            "--budget" => {
                self.budget = Seconds::typed(&value).map_err(|_| wrong())?
            }
            "--floor" => {
                self.floor = typed_share(&value).map_err(|_| wrong())?
            }
            "--save-baseline" => {
                self.save = Some(file_name(value).ok_or_else(wrong)?);
            }
            "--baseline" => {
                self.baseline = Some(file_name(value).ok_or_else(wrong)?);
            }
            "--assay-lockstep" => {
                self.action = Action::Lockstep(value.into());
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether a benchmark of this name is wanted.
    pub(crate) fn wants(&self, name: &str) -> bool {
        let matches = |text: &String| {
            if self.exact { name == text } else { name.contains(text) }
        };
        let skipped = self.skipped.iter().any(|text| name.contains(text));
        let wanted =
            self.filters.is_empty() || self.filters.iter().any(matches);
        wanted && !skipped
    }
}

fn unknown(found: &str) -> BenchError {
    let flags = VALUED.iter().map(|(flag, _)| *flag).chain(BARE);
    BenchError::UnknownFlag {
        found: found.to_owned(),
        nearest: nearest(found, flags).map(str::to_owned),
    }
}

/// A name that is a folder's and cannot lead out of it.
fn file_name(text: String) -> Option<String> {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
    let good = text.chars().all(allowed)
        && !text.starts_with('.')
        && text.len() <= 100;
    good.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, BenchError> {
        Arguments::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn what_cargo_passes_is_taken() {
        let read = parse("--bench sort --exact --skip slow dot").unwrap();
        assert_eq!(read.filters, ["sort", "dot"]);
        assert!(read.exact && read.wants("sort") && !read.wants("sort n=1"));
    }

    #[test]
    fn what_nextest_passes_lists_ignored_ones_as_none() {
        let read = parse("--list --format terse --ignored").unwrap();
        assert_eq!(read.action, Action::List);
        assert!(!read.wants("anything"));
    }

    #[test]
    fn a_filter_is_part_of_a_name_and_a_skip_wins() {
        let read = parse("sort dot --skip=n=10").unwrap();
        assert!(read.wants("vec/sort n=2"));
        assert!(!read.wants("vec/sort n=10") && !read.wants("sum"));
    }

    #[test]
    fn after_two_dashes_everything_is_a_filter() {
        assert_eq!(parse("-- --list").unwrap().filters, ["--list"]);
    }

    #[test]
    fn values_may_stand_apart_or_joined() {
        let read = parse("--budget=500ms --floor 2% --baseline main").unwrap();
        assert_eq!(read.budget, Seconds(0.5));
        assert_eq!(
            (read.floor, read.baseline.as_deref()),
            (0.02, Some("main"))
        );
    }

    #[test]
    fn a_wrong_flag_says_what_was_found_and_what_would_do() {
        let said = |line| parse(line).unwrap_err().to_string();
        insta::assert_snapshot!(said("--lst"), @"unknown flag `--lst`; did you mean `--list`?; --help lists the flags");
        insta::assert_snapshot!(said("--budget soon"), @"--budget is `soon`; expected a time such as 500ms or 2s");
        insta::assert_snapshot!(said("--baseline"), @"--baseline is `nothing`; expected letters, digits, `.`, `_` and `-`, no `.` in front");
        insta::assert_snapshot!(said("--save-baseline ../x"), @"--save-baseline is `../x`; expected letters, digits, `.`, `_` and `-`, no `.` in front");
        insta::assert_snapshot!(said("--floor NaN"), @"--floor is `NaN`; expected a percentage from 0% to below 100%, such as 1%");
    }
}
