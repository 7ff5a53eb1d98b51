//! The writer of a case's file: appends events, one write call each.
//!
//! A write call is with the kernel when it returns, so a process that is
//! killed right after it loses nothing, and one that is killed within it tears
//! one line. What the power takes is another matter: lines are forced to the
//! disk only when a case ends (`finished` and `failed`), so that a power cut
//! costs at most the case in progress.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use assay_schema::{Event, Warning};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::StoreError;
use crate::case_file::{End, TORN_LINE, read_bytes, scan};

/// Appends the events of one case.
#[derive(Debug)]
pub struct CaseWriter {
    path: PathBuf,
    file: File,
    /// A write failed half way, so the last line may be torn.
    torn: bool,
}

impl CaseWriter {
    /// Opens a case's file to append, creating it where there is none. A torn
    /// last line is ended and marked, never cut off.
    ///
    /// # Errors
    /// The file cannot be opened, or is damaged elsewhere than at a tear.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(StoreError::io("open", path))?;
        let mut writer = Self { path: path.to_owned(), file, torn: false };
        writer.mend()?;
        Ok(writer)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends an event as one line, in one write call.
    ///
    /// Costs a serialisation, a check that the line reads back, and a system
    /// call: not for the inside of a sampling loop.
    ///
    /// # Errors
    /// The event holds a number that JSON cannot (then nothing is written), or
    /// the system refused the write (then the next append marks the tear).
    pub fn append(&mut self, event: &Event) -> Result<(), StoreError> {
        let line = line(event, &self.path)?;
        if self.torn {
            self.mend()?;
        }
        self.write(line.as_bytes())?;
        if matches!(event, Event::Finished { .. } | Event::Failed { .. }) {
            self.file
                .sync_data()
                .map_err(StoreError::io("write", &self.path))?;
        }
        Ok(())
    }

    /// Ends and marks a torn last line.
    fn mend(&mut self) -> Result<(), StoreError> {
        let scan = scan(&read_bytes(&self.path)?, &self.path)?;
        let mark = Event::Warning(Warning {
            kind: TORN_LINE.to_owned(),
            message: "the line before this one was torn".to_owned(),
        });
        let mark = line(&mark, &self.path)?;
        match scan.end {
            End::Whole => {}
            End::NoNewline => self.write(b"\n")?,
            End::Torn { newline: true } => self.write(mark.as_bytes())?,
            End::Torn { newline: false } => {
                self.write(format!("\n{mark}").as_bytes())?;
            }
        }
        self.torn = false;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        // One call in all but the rarest case: a disk that fills up half way.
        self.file.write_all(bytes).map_err(|error| {
            self.torn = true;
            StoreError::io("write", &self.path)(error)
        })
    }
}

/// A value as one line of JSON that reads back.
///
/// serde_json writes NaN as `null` without a word; such a line would be
/// damage for every later reader.
pub(crate) fn line<T: Serialize + DeserializeOwned>(
    value: &T,
    path: &Path,
) -> Result<String, StoreError> {
    let refused = |error: serde_json::Error| StoreError::WouldNotReadBack {
        path: path.to_owned(),
        reason: format!("{error} (a number that is not finite?)"),
    };
    let mut line = serde_json::to_string(value).map_err(refused)?;
    serde_json::from_str::<T>(&line).map_err(refused)?;
    line.push('\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use assay_schema::SampleBatch;
    use proptest::prelude::*;

    use super::*;
    use crate::fixture::{event, events, file_of};
    use crate::{CaseFile, read_case};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(6))]

        #[test]
        fn a_tear_at_any_byte_costs_that_line_alone_and_appending_goes_on(
            before in events(), torn in event(), after in events(),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.jsonl");
            let whole = file_of(&before);
            let last = file_of(std::slice::from_ref(&torn));
            for cut in 0..=last.len() {
                let bytes = [&whole[..], &last[..cut]].concat();
                std::fs::write(&path, &bytes).unwrap();
                // All of a line's text is an event, with its newline or not.
                let lost = cut > 0 && cut < last.len() - 1;
                let mut expected = before.clone();
                if cut >= last.len() - 1 {
                    expected.push(torn.clone());
                }
                let read = read_case(&path).unwrap();
                prop_assert_eq!(&read.events, &expected);
                prop_assert_eq!(read.torn, usize::from(lost));

                let mut writer = CaseWriter::open(&path).unwrap();
                for event in &after {
                    writer.append(event).unwrap();
                }
                expected.extend(after.iter().cloned());
                prop_assert_eq!(
                    read_case(&path).unwrap(),
                    CaseFile { events: expected, torn: usize::from(lost) }
                );
                // Raw is never edited: what was there is there.
                prop_assert!(std::fs::read(&path).unwrap().starts_with(&bytes));
            }
        }

        #[test]
        fn a_tear_in_the_mark_of_a_tear_is_only_one_more_torn_line(
            before in events(), after in event(),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.jsonl");
            let torn = [&file_of(&before)[..], b"{\"event\":\"sam"].concat();
            std::fs::write(&path, &torn).unwrap();
            drop(CaseWriter::open(&path).unwrap());
            let marked = std::fs::read(&path).unwrap();
            for cut in torn.len()..=marked.len() {
                std::fs::write(&path, &marked[..cut]).unwrap();
                let mut writer = CaseWriter::open(&path).unwrap();
                writer.append(&after).unwrap();
                let read = read_case(&path).unwrap();
                let expected = [&before[..], std::slice::from_ref(&after)].concat();
                prop_assert_eq!(read.events, expected);
                prop_assert!(read.torn == 1 || read.torn == 2);
            }
        }
    }

    #[test]
    fn a_sample_that_is_not_finite_is_refused_and_nothing_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let mut writer = CaseWriter::open(&path).unwrap();
        let event = Event::Sample(SampleBatch {
            part: "step".to_owned(),
            rank: None,
            warm_up: false,
            iterations: 1,
            seconds: vec![f64::NAN],
        });
        let error = writer.append(&event).unwrap_err();
        assert!(error.to_string().contains("not finite"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn damage_in_the_middle_stops_the_writer_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let line = br#"{"event":"started","case":"a/b","at":1,"device":"cpu"}"#;
        std::fs::write(&path, [b"junk\n", &line[..], b"\n"].concat()).unwrap();
        let error = CaseWriter::open(&path).unwrap_err().to_string();
        assert!(error.contains("a.jsonl:1: expected an event"), "{error}");
    }

    #[test]
    fn a_write_that_stopped_half_way_is_marked_by_the_next_append() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let mut writer = CaseWriter::open(&path).unwrap();
        let event = Event::Warning(Warning {
            kind: "steal".to_owned(),
            message: String::new(),
        });
        writer.append(&event).unwrap();
        writer.file.write_all(b"{\"event\":\"sam").unwrap();
        writer.torn = true; // as `write` leaves it when the disk fills up
        writer.append(&event).unwrap();
        writer.append(&event).unwrap();
        let read = read_case(&path).unwrap();
        assert_eq!(read, CaseFile { events: vec![event; 3], torn: 1 });
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error_with_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("full.jsonl");
        // Linux's device that is always full; reading it never ends, so the
        // writer is made without looking at what is there.
        let file = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let mut writer = CaseWriter { path: path.clone(), file, torn: false };
        let event = Event::Warning(Warning {
            kind: "x".to_owned(),
            message: String::new(),
        });
        let error = writer.append(&event).unwrap_err();
        assert!(error.is_disk_full());
        let message = error.to_string();
        assert!(message.contains("full.jsonl: No space left"), "{message}");
        assert!(writer.torn);
    }
}
