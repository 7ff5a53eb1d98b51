//! A case's file: JSON Lines, one event a line, read with care for the line
//! that a kill tore.
//!
//! The rule, to apply by hand: lines that do not parse are **torn** when
//! nothing follows them, or when a *torn-line mark* does (a `warning` event of
//! kind [`TORN_LINE`], which a writer puts after a tear that it finds). Torn
//! lines and their marks are counted and skipped. Any other line that does not
//! parse is damage, an error with file and line.
//!
//! ```text
//! {"event":"started",...}
//! {"event":"sample","part":"st          <- killed here
//! {"event":"warning","kind":"torn-line",...}
//! {"event":"started",...}               <- resumed
//! ```

use std::fs::File;
use std::io::Read;
use std::path::Path;

use assay_schema::{Event, Record, TextError, Warning};

use crate::StoreError;

/// The kind of the warning that stands after a torn line.
pub const TORN_LINE: &str = "torn-line";

/// What a case's file holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CaseFile {
    /// The events, in order, torn lines and their marks left out.
    pub events: Vec<Event>,
    /// How many lines were torn by a kill or a full disk.
    pub torn: usize,
}

impl CaseFile {
    /// The view of the events; `None` before the case started. Torn lines
    /// become a warning.
    pub fn record(&self) -> Option<Record> {
        let mut record = Record::from_events(&self.events)?;
        if self.torn > 0 {
            record.warnings.push(Warning {
                kind: TORN_LINE.to_owned(),
                message: format!(
                    "{} torn by a kill or a full disk and skipped; all other \
                     lines are whole",
                    match self.torn {
                        1 => "1 line was".to_owned(),
                        n => format!("{n} lines were"),
                    }
                ),
            });
        }
        Some(record)
    }
}

/// Reads a case's file, `.jsonl` or `.jsonl.zst`.
///
/// # Errors
/// The file cannot be read, or is damaged elsewhere than at a tear.
pub fn read_case(path: &Path) -> Result<CaseFile, StoreError> {
    scan(&read_bytes(path)?, path).map(|scan| scan.file)
}

/// The bytes of a file, decompressed where its name ends in `.zst`.
///
/// # Errors
/// The file cannot be read, or is no zstd stream.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>, StoreError> {
    let mut file = File::open(path).map_err(StoreError::io("read", path))?;
    let mut bytes = Vec::new();
    let read = if path.extension().is_some_and(|end| end == "zst") {
        zstd::Decoder::new(file)
            .and_then(|mut decoder| decoder.read_to_end(&mut bytes))
    } else {
        file.read_to_end(&mut bytes)
    };
    read.map_err(StoreError::io("read", path))?;
    Ok(bytes)
}

/// A case's file, and how its last line ends.
pub(crate) struct Scan {
    pub(crate) file: CaseFile,
    pub(crate) end: End,
}

/// How a file's last line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With a newline, or the file is empty.
    Whole,
    /// With all of an event, but no newline.
    NoNewline,
    /// In the middle of an event; a newline may follow already.
    Torn {
        /// Whether it does.
        newline: bool,
    },
}

/// Applies the rule of this file's header.
pub(crate) fn scan(bytes: &[u8], path: &Path) -> Result<Scan, StoreError> {
    let newline = bytes.is_empty() || bytes.ends_with(b"\n");
    let mut file = CaseFile::default();
    // Lines that did not parse and wait for what follows them.
    let mut waiting = 0;
    let mut first_wrong = None;
    for (index, line) in bytes.split_inclusive(|&b| b == b'\n').enumerate() {
        match serde_json::from_slice::<Event>(line) {
            Ok(Event::Warning(mark))
                if waiting > 0 && mark.kind == TORN_LINE =>
            {
                file.torn += waiting;
                waiting = 0;
                first_wrong = None;
            }
            Ok(event) => {
                if let Some(error) = first_wrong {
                    return Err(StoreError::Text(error));
                }
                file.events.push(event);
            }
            Err(error) => {
                waiting += 1;
                first_wrong.get_or_insert_with(|| TextError {
                    file: path.display().to_string(),
                    line: index + 1,
                    message: format!("expected an event: {error}"),
                });
            }
        }
    }
    file.torn += waiting;
    let end = match (waiting > 0, newline) {
        (true, newline) => End::Torn { newline },
        (false, true) => End::Whole,
        (false, false) => End::NoNewline,
    };
    Ok(Scan { file, end })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{event, events, file_of};
    use proptest::prelude::*;

    fn scanned(bytes: &[u8]) -> Result<CaseFile, String> {
        scan(bytes, Path::new("a.jsonl"))
            .map(|scan| scan.file)
            .map_err(|error| error.to_string())
    }

    proptest! {
        #[test]
        fn events_read_back_as_they_were_written(events in events()) {
            let read = scanned(&file_of(&events)).unwrap();
            prop_assert_eq!(read, CaseFile { events, torn: 0 });
        }

        #[test]
        fn damage_before_the_end_is_an_error_with_its_line(
            before in events(), after in event(),
        ) {
            let mut bytes = file_of(&before);
            bytes.extend_from_slice(b"{\"event\":\"samp\n");
            bytes.extend_from_slice(&file_of(&[after]));
            let line = format!("a.jsonl:{}: expected an event", before.len() + 1);
            let error = scanned(&bytes).unwrap_err();
            prop_assert!(error.starts_with(&line), "{}", error);
        }
    }

    #[test]
    fn torn_lines_become_one_warning_of_the_record() {
        let started =
            br#"{"event":"started","case":"a/b","at":1,"device":"cpu"}
{"event":"samp"#;
        let record = scanned(started).unwrap().record().unwrap();
        assert_eq!(record.warnings.len(), 1);
        assert_eq!(record.warnings[0].kind, TORN_LINE);
        assert!(record.warnings[0].message.starts_with("1 line was torn"));
    }

    #[test]
    fn an_unknown_event_of_this_version_is_damage_and_not_a_tear() {
        let error = scanned(
            b"{\"event\":\"strated\"}\n{\"event\":\"warning\",\"kind\":\"x\",\
              \"message\":\"\"}\n",
        )
        .unwrap_err();
        assert!(error.contains("a.jsonl:1:"), "{error}");
        assert!(error.contains("strated"), "{error}");
    }
}
