//! Tables that stand beside one of measurements: predictions of fits that had
//! not seen its rows, by line; what another predictor says, by case.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use assay_reports::Fold;
use assay_schema::{Case, Runtime};
use csv::StringRecord;

use crate::predictions::{On, Predictor};
use crate::verbs::predict::{ABOUT_A_TIME, read_row};

/// What `calibrate --joint --held-out` wrote.
pub(super) struct HeldOutTable {
    pub(super) path: PathBuf,
    /// By line of the table of measurements.
    pub(super) lines: BTreeMap<usize, HeldOutRow>,
}

/// A row's class, and seconds by fold.
pub(super) struct HeldOutRow {
    pub(super) class: String,
    pub(super) folds: BTreeMap<Fold, f64>,
}

impl HeldOutTable {
    /// Reads the columns `line`, `class` and one a fold.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let (heading, records) = open(path)?;
        for needed in ["line", "class"] {
            column(&heading, needed).ok_or_else(|| {
                anyhow!(
                    "{name}:1: no column `{needed}`; expected line, class, \
                     new, family, calibrated, overlay"
                )
            })?;
        }
        if Fold::ALL.iter().all(|f| column(&heading, f.name()).is_none()) {
            bail!(
                "{name}:1: no fold; expected columns of new, family, \
                 calibrated, overlay"
            );
        }
        let mut lines = BTreeMap::new();
        for (at, record) in records {
            let place = || format!("{name}:{at}");
            let cell = |column| cell(&heading, &record, column);
            let line = cell("line").unwrap_or_default();
            let line: usize = line.parse().map_err(|_| {
                anyhow!("{}: line `{line}` is no number", place())
            })?;
            let mut folds = BTreeMap::new();
            for fold in Fold::ALL {
                if let Some(text) = cell(fold.name()) {
                    folds.insert(fold, seconds(text).with_context(place)?);
                }
            }
            let class = cell("class").unwrap_or_default().to_owned();
            lines.insert(line, HeldOutRow { class, folds });
        }
        Ok(Self { path: path.to_owned(), lines })
    }

    /// Refuses lines that a table of measurements does not have.
    pub(super) fn check_lines(&self, table: &str, last: usize) -> Result<()> {
        let strange =
            self.lines.keys().find(|line| !(2..=last).contains(*line));
        match strange {
            None => Ok(()),
            Some(line) => bail!(
                "{}: line {line} is not in {table}, which has lines 2 to \
                 {last}: the predictions are of another table",
                self.path.display()
            ),
        }
    }
}

/// Seconds by case, device and runtime, of another predictor.
pub(super) struct PeerTable {
    pub(super) name: String,
    seconds: HashMap<(String, String, Runtime), f64>,
}

impl PeerTable {
    /// Reads `NAME=CSV`: the case's columns as in the table of measurements,
    /// and `<name>_latency_s` or `<name>_s`.
    pub(super) fn read(
        text: &str,
        measured: &Path,
        predictor: &Predictor,
    ) -> Result<Self> {
        let (name, path) = text
            .split_once('=')
            .filter(|(name, path)| !name.is_empty() && !path.is_empty())
            .ok_or_else(|| {
                anyhow!(
                    "--peer `{text}`: expected NAME=CSV, e.g. GenZ=genz.csv"
                )
            })?;
        let file = path;
        let (heading, records) = open(Path::new(path))?;
        let stem: String =
            name.chars()
                .map(|c| {
                    if c.is_alphanumeric() {
                        c.to_ascii_lowercase()
                    } else {
                        '_'
                    }
                })
                .collect();
        let ours = [format!("{stem}_latency_s"), format!("{stem}_s")];
        let ours = ours
            .iter()
            .find(|c| column(&heading, c).is_some())
            .ok_or_else(|| {
                anyhow!(
                    "{file}:1: no column `{}` or `{}` for --peer {name}",
                    ours[0],
                    ours[1]
                )
            })?;
        // Of its columns, those that name a case are the ones that the table
        // of measurements has too.
        let (known, _) = open(measured)?;
        let names = |column: &str| {
            !ABOUT_A_TIME.contains(&column) && known.iter().any(|c| c == column)
        };
        let kept = |record: &StringRecord| -> StringRecord {
            let both = heading.iter().zip(record);
            both.filter(|(column, _)| names(column)).map(|(_, c)| c).collect()
        };
        let case_heading = kept(&heading);
        let mut seconds = HashMap::new();
        for (at, record) in records {
            let place = || format!("{file}:{at}");
            let Some(text) = cell(&heading, &record, ours) else { continue };
            let time = self::seconds(text).with_context(place)?;
            // A case that is not ours is not in the other table either.
            let Ok(asked) = read_row(&case_heading, &kept(&record)) else {
                continue;
            };
            let runtime = asked.runtime();
            let (on, file) = (&asked.on, asked.model.as_deref());
            let Ok(case) = predictor.complete(&asked.case, on, file) else {
                continue;
            };
            seconds.insert(key(&case, on, runtime), time);
        }
        Ok(Self { name: name.to_owned(), seconds })
    }

    /// What it says of a complete case.
    pub(super) fn seconds(
        &self,
        case: &Case,
        on: &On,
        runtime: Runtime,
    ) -> Option<f64> {
        self.seconds.get(&key(case, on, runtime)).copied()
    }
}

fn key(case: &Case, on: &On, runtime: Runtime) -> (String, String, Runtime) {
    let device = format!("{}:{}", on.profile.name, on.unit.name());
    (case.to_string(), device, runtime)
}

/// Heading and records of a CSV, each with its line.
fn open(path: &Path) -> Result<(StringRecord, Vec<(u64, StringRecord)>)> {
    let name = path.display().to_string();
    let mut reader = csv::Reader::from_path(path)
        .with_context(|| format!("{name}: cannot be read"))?;
    let heading =
        reader.headers().with_context(|| format!("{name}: heading"))?.clone();
    let mut records = Vec::new();
    for record in reader.records() {
        let record = record.with_context(|| format!("{name}: bad CSV"))?;
        let line = record.position().map_or(0, csv::Position::line);
        records.push((line, record));
    }
    Ok((heading, records))
}

fn column(heading: &StringRecord, name: &str) -> Option<usize> {
    heading.iter().position(|column| column == name)
}

fn cell<'a>(
    heading: &StringRecord,
    record: &'a StringRecord,
    name: &str,
) -> Option<&'a str> {
    let text = record.get(column(heading, name)?)?.trim();
    (!text.is_empty()).then_some(text)
}

fn seconds(text: &str) -> Result<f64> {
    text.parse()
        .ok()
        .filter(|seconds: &f64| seconds.is_finite() && *seconds > 0.0)
        .ok_or_else(|| anyhow!("`{text}`: expected seconds above 0"))
}
