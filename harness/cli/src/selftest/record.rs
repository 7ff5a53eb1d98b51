//! The record of a selftest: JSON Lines, one comparison each, only ever
//! appended to. The table is a view of it, and a selftest that was cut short
//! goes on where its record ends.

use std::collections::{BTreeMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use assay_schema::{Change, Host, Moment, Verdict};
use serde::{Deserialize, Serialize};

use super::plan::Tool;

/// The version of the record's format.
const VERSION: u32 = 1;

/// The first line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// [`VERSION`].
    pub(crate) selftest: u32,
    pub(crate) host: Host,
    pub(crate) commit: Option<String>,
    /// A hash of the program that makes the comparisons: another build is
    /// another rule and other bodies.
    #[serde(default)]
    pub(crate) program: Option<String>,
    pub(crate) seed: u64,
    pub(crate) quick: bool,
    /// What it took over, where it makes a part of another record again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) earlier: Option<Earlier>,
}

/// What a record took over from an earlier one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Earlier {
    pub(crate) host: Host,
    pub(crate) commit: Option<String>,
    #[serde(default)]
    pub(crate) program: Option<String>,
    /// So many lines after the header are the earlier record's.
    pub(crate) kept: usize,
    /// Comparisons that touch these times were left out, to be made again.
    pub(crate) without: Vec<[Moment; 2]>,
}

/// A comparison that was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Made {
    /// Name of its part.
    pub(crate) part: String,
    pub(crate) tool: Tool,
    pub(crate) index: usize,
    pub(crate) body: String,
    pub(crate) at: Moment,
    /// Wall-clock seconds that it took, analysis included.
    pub(crate) seconds: f64,
    /// How it came out, alone; absent where it failed.
    pub(crate) verdict: Option<Verdict>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) change: Option<Change>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) change_any_time: Option<Change>,
    /// ln(B / A), one a unit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) candidate_units: Vec<f64>,
    /// ln(B / A').
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) again_units: Vec<f64>,
    /// ln(A' / A).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) null_units: Vec<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

impl Made {
    /// Whether any of it took place between two moments, both included.
    fn touches(&self, [from, to]: [Moment; 2]) -> bool {
        let lasted = (self.seconds * 1e3).ceil() as u64;
        self.at.0 <= to.0 && self.at.0.saturating_add(lasted) >= from.0
    }
}

/// What a record says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Held {
    pub(crate) header: Header,
    pub(crate) made: Vec<Made>,
}

impl Held {
    /// Comparisons that stand as the earlier record made them, and those that
    /// this one made: one that failed and was made again counts once, as it
    /// came out last.
    pub(crate) fn taken_over_and_made(&self) -> [usize; 2] {
        let kept = self.header.earlier.as_ref().map_or(0, |took| took.kept);
        let mut last = BTreeMap::new();
        for (line, made) in self.made.iter().enumerate() {
            let tool = made.tool.name();
            last.insert((made.part.as_str(), tool, made.index), line);
        }
        let taken_over = last.values().filter(|&&line| line < kept).count();
        [taken_over, last.len() - taken_over]
    }
}

/// A time as `--between` takes it, to the second before it.
fn written(moment: Moment) -> String {
    let seconds = moment.0 / 1000;
    let [year, month, day] = date(seconds / 86_400);
    let [hour, minute] = [seconds / 3600 % 24, seconds / 60 % 60];
    let second = seconds % 60;
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The Gregorian date of a day from 1970-01-01 on. Years are counted from
/// March, so that the leap day is the last of its year, and in eras of 400.
fn date(day: u64) -> [u64; 3] {
    let day = day + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year =
        (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = match month {
        0..=9 => (year, month + 3),
        _ => (year + 1, month - 9),
    };
    [400 * era + year, month, day]
}

/// Reads a record of any machine, compressed (`.zst`) or not.
pub(crate) fn read(path: &Path) -> Result<Held> {
    let at = || path.display().to_string();
    let bytes = assay_store::read_bytes(path)?;
    let text = String::from_utf8_lossy(&bytes);
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    parse(&text[..whole]).with_context(at)
}

/// A record on disk, open for more.
pub(crate) struct Record {
    path: PathBuf,
    file: File,
    pub(crate) held: Held,
}

impl Record {
    /// Opens the record at `path`, or begins it. A torn last line is cut off:
    /// its comparison is made again.
    pub(crate) fn open(path: &Path, begin: Header) -> Result<Self> {
        let at = || path.display().to_string();
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(at)?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .with_context(at)?;
        let mut text = String::new();
        file.read_to_string(&mut text).with_context(at)?;
        if text.is_empty() {
            let held = Held { header: begin.clone(), made: Vec::new() };
            let mut record = Self { path: path.to_owned(), file, held };
            record.append(&begin)?;
            return Ok(record);
        }
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let held = parse(&text[..whole]).with_context(at)?;
        let (header, begun) = (&held.header, &begin);
        if (header.seed, header.quick) != (begun.seed, begun.quick) {
            bail!(
                "{}: holds a selftest with seed {}{}; continue it with the \
                 same options, or give another --out",
                at(),
                header.seed,
                if header.quick { " and --quick" } else { "" }
            );
        }
        if header.host != begun.host {
            bail!(
                "{}: was begun on another machine ({}); give another --out",
                at(),
                header.host.name
            );
        }
        if let (Some(theirs), Some(ours)) = (&header.program, &begun.program)
            && theirs != ours
        {
            bail!(
                "{}: was begun by another build of assay; give another --out",
                at()
            );
        }
        if begun.earlier.is_some() && begun.earlier != header.earlier {
            bail!(
                "{}: was not begun from that record without those times; \
                 give another --out",
                at()
            );
        }
        // Only now, when it is sure to be a selftest's: a file of another
        // kind is never touched.
        file.set_len(whole as u64).with_context(at)?;
        file.seek(std::io::SeekFrom::End(0)).with_context(at)?;
        Ok(Self { path: path.to_owned(), file, held })
    }

    /// Opens the record at `path`, or begins it with all of an earlier one but
    /// what touches the given times: those comparisons are open again. The
    /// earlier record is not touched; seed and plan are its own.
    pub(crate) fn again(
        path: &Path,
        earlier: &Held,
        without: &[[Moment; 2]],
        begin: Header,
    ) -> Result<Self> {
        if let Some(first) = &earlier.header.earlier {
            bail!(
                "the record is itself made of two: {} of its lines are an \
                 earlier one's, and who made them would be lost; give the \
                 first one, with all times that are to be left out",
                first.kept
            );
        }
        let kept: Vec<&Made> = earlier
            .made
            .iter()
            .filter(|made| !without.iter().any(|times| made.touches(*times)))
            .collect();
        if kept.len() == earlier.made.len() {
            let none = || "no time".to_owned();
            bail!(
                "no comparison of the record touches those times: its first \
                 begins at {}, its last at {}",
                earlier.made.first().map_or_else(none, |m| written(m.at)),
                earlier.made.last().map_or_else(none, |m| written(m.at)),
            );
        }
        let Header { host, commit, program, seed, quick, .. } =
            earlier.header.clone();
        let without = without.to_vec();
        let kept_count = kept.len();
        let took = Earlier { host, commit, program, kept: kept_count, without };
        let begin = Header { seed, quick, earlier: Some(took), ..begin };
        if !path.exists() {
            let mut lines = vec![serde_json::to_string(&begin)?];
            for made in kept {
                lines.push(serde_json::to_string(made)?);
            }
            // Whole or not at all: a kill half-way would leave a record that
            // lacks more than it says.
            let text = lines.join("\n") + "\n";
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)
                    .with_context(|| path.display().to_string())?;
            }
            assay_kit::write_whole(path, text.as_bytes())?;
        }
        Self::open(path, begin)
    }

    /// What has been made and has not failed: a failure is tried again.
    pub(crate) fn done(&self) -> HashSet<(String, Tool, usize)> {
        let key = |made: &Made| (made.part.clone(), made.tool, made.index);
        let good = self.held.made.iter().filter(|made| made.error.is_none());
        good.map(key).collect()
    }

    /// Adds a comparison.
    pub(crate) fn add(&mut self, made: Made) -> Result<()> {
        self.append(&made)?;
        self.held.made.push(made);
        Ok(())
    }

    fn append(&mut self, line: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_string(line)?;
        text.push('\n');
        self.file
            .write_all(text.as_bytes())
            .with_context(|| self.path.display().to_string())
    }
}

/// The lines of a record.
fn parse(text: &str) -> Result<Held> {
    let mut lines = text.lines().enumerate();
    let (_, first) = lines.next().context("the file is empty")?;
    let header: Header = serde_json::from_str(first)
        .context("line 1: expected the header of a selftest")?;
    if header.selftest > VERSION {
        bail!(
            "format version {}; this assay reads up to {VERSION}",
            header.selftest
        );
    }
    let made = lines
        .map(|(i, line)| {
            serde_json::from_str(line)
                .with_context(|| format!("line {}", i + 1))
        })
        .collect::<Result<_>>()?;
    Ok(Held { header, made })
}

impl Header {
    /// The header of a selftest that begins now.
    pub(crate) fn now(seed: u64, quick: bool) -> Self {
        Self {
            selftest: VERSION,
            host: assay_measure::host_facts(),
            commit: Some(crate::sources::sources().0),
            program: program(),
            seed,
            quick,
            earlier: None,
        }
    }
}

/// A hash of this program's file.
fn program() -> Option<String> {
    let bytes = std::fs::read(std::env::current_exe().ok()?).ok()?;
    Some(format!("{:016x}", assay_bench::fingerprint(&bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(seed: u64) -> Header {
        Header { seed, ..Header::now(1, true) }
    }

    fn made(index: usize) -> Made {
        Made {
            part: "identical, quiet".to_owned(),
            tool: Tool::Assay,
            index,
            body: "dependent-adds".to_owned(),
            at: Moment(5),
            seconds: 0.5,
            verdict: Some(Verdict::Same),
            change: None,
            change_any_time: None,
            candidate_units: vec![0.01, -0.01],
            again_units: vec![0.01, 0.0],
            null_units: vec![0.0, 0.02],
            error: None,
        }
    }

    #[test]
    fn a_record_goes_on_where_it_was_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/selftest.jsonl");
        let mut record = Record::open(&path, header(1)).unwrap();
        record.add(made(0)).unwrap();
        record.add(made(1)).unwrap();
        // A kill in the middle of the third line.
        let mut torn = OpenOptions::new().append(true).open(&path).unwrap();
        torn.write_all(b"{\"part\":\"iden").unwrap();
        let mut record = Record::open(&path, header(1)).unwrap();
        assert_eq!(record.held.made, [made(0), made(1)]);
        record.add(made(2)).unwrap();
        let record = Record::open(&path, header(1)).unwrap();
        assert_eq!(record.held, read(&path).unwrap());
        assert_eq!(record.done().len(), 3);
    }

    #[test]
    fn what_touched_a_time_is_made_again_and_the_rest_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new.jsonl");
        let begun = Header { program: Some("old".to_owned()), ..header(7) };
        // Each lasts 0.5 s and begins at a whole second.
        let at = |index: usize| Made {
            at: Moment(1000 * index as u64),
            ..made(index)
        };
        let earlier = Held { header: begun, made: (0..9).map(at).collect() };
        let times =
            [[Moment(2400), Moment(4000)], [Moment(7600), Moment(7900)]];
        let now = Header { program: Some("new".to_owned()), ..header(1) };
        let again =
            |times: &[_]| Record::again(&path, &earlier, times, now.clone());
        let record = again(&times).unwrap();
        let kept: Vec<usize> =
            record.held.made.iter().map(|made| made.index).collect();
        // 2 ends at 2500, 4 begins at 4000; 7 ended at 7500, 8 begins later.
        assert_eq!(kept, [0, 1, 5, 6, 7, 8]);
        assert_eq!(record.held.header.seed, 7, "the earlier one's order");
        assert_eq!(record.held.header.program, now.program);
        let took = record.held.header.earlier.clone().unwrap();
        assert_eq!((took.kept, took.program.as_deref()), (6, Some("old")));
        // The same command goes on, and so does one without --again.
        let mut record = again(&times).unwrap();
        record.add(at(3)).unwrap();
        let plain = Header { seed: 7, ..now.clone() };
        let record = Record::open(&path, plain).unwrap();
        assert_eq!(record.done().len(), 7);
        assert_eq!(record.held, read(&path).unwrap());
        // Other times are another record's.
        let error = again(&times[..1]).err().unwrap();
        assert!(format!("{error:#}").contains("those times"), "{error:#}");
        let nothing = [[Moment(600), Moment(900)]];
        let error = again(&nothing).err().unwrap();
        let error = format!("{error:#}");
        assert!(error.contains("no comparison"), "{error}");
        let times_of_it = "its first begins at 1970-01-01T00:00:00Z, its \
                           last at 1970-01-01T00:00:08Z";
        assert!(error.ends_with(times_of_it), "{error}");
        // A record of two builds would become one of three that tells of two.
        let twice = Record::again(
            &folder.path().join("third.jsonl"),
            &record.held,
            &times,
            now.clone(),
        );
        let error = format!("{:#}", twice.err().unwrap());
        assert!(error.contains("give the first one"), "{error}");
    }

    #[test]
    fn a_comparison_counts_once_for_who_made_it_last() {
        let failed =
            |index| Made { error: Some("died".to_owned()), ..made(index) };
        let Header { host, commit, program, .. } = header(1);
        // Four lines of three comparisons were taken over.
        let kept = vec![failed(0), made(0), made(1), failed(2)];
        let without = Vec::new();
        let took = Earlier { host, commit, program, kept: 4, without };
        let header = Header { earlier: Some(took), ..header(1) };
        let made = [kept, vec![made(2), made(3)]].concat();
        assert_eq!(Held { header, made }.taken_over_and_made(), [2, 2]);
    }

    #[test]
    fn times_are_written_as_they_are_given() {
        let at = |milliseconds| written(Moment(milliseconds));
        assert_eq!(at(1_795_534_539_999), "2026-11-24T15:35:39Z");
        assert_eq!(at(1_709_164_800_000), "2024-02-29T00:00:00Z");
        assert_eq!(at(951_868_800_000), "2000-03-01T00:00:00Z");
        assert_eq!(at(1_767_225_599_000), "2025-12-31T23:59:59Z");
    }

    #[test]
    fn a_file_of_another_kind_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("predictions.json");
        for text in ["{\"rows\":[]}", "{\"rows\":[]}\nlast", "text\n"] {
            std::fs::write(&path, text).unwrap();
            assert!(Record::open(&path, header(1)).is_err(), "{text}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn a_failed_comparison_is_made_again_and_another_build_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("selftest.jsonl");
        let mut record = Record::open(&path, header(1)).unwrap();
        let failed = Made { error: Some("died".to_owned()), ..made(0) };
        record.add(failed).unwrap();
        assert!(record.done().is_empty());
        record.add(made(0)).unwrap();
        assert_eq!(record.done().len(), 1);
        let other = Header { program: Some("x".to_owned()), ..header(1) };
        let error = Record::open(&path, other).err().unwrap();
        assert!(format!("{error:#}").contains("another build"), "{error:#}");
    }

    #[test]
    fn another_seed_or_a_newer_format_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("selftest.jsonl");
        Record::open(&path, header(1)).unwrap();
        let error = Record::open(&path, header(2)).err().unwrap();
        assert!(format!("{error:#}").contains("seed 1"), "{error:#}");
        let text = std::fs::read_to_string(&path).unwrap();
        let newer = text.replacen("\"selftest\":1", "\"selftest\":99", 1);
        std::fs::write(&path, newer).unwrap();
        let error = Record::open(&path, header(1)).err().unwrap();
        assert!(format!("{error:#}").contains("version 99"), "{error:#}");
    }
}
