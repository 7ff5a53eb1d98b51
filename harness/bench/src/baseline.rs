//! Kept samples: one JSON file a benchmark, in
//! `target/assay/baselines/PACKAGE/TARGET/NAME/`.
//!
//! Samples, not statistics: a verdict is derived anew each time. A file says
//! which machine it is from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use assay_schema::{LockstepMetric, nearest};
use serde::{Deserialize, Serialize};

use crate::routine::Throughput;
use crate::session::Measured;
use crate::{BenchError, fingerprint};

/// The version of the file; another is refused.
const FORMAT: u32 = 1;

/// The samples of one benchmark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kept {
    format: u32,
    /// Its full name; the file's name is only like it.
    pub(crate) name: String,
    /// The machine, see [`machine`].
    pub(crate) machine: String,
    /// Steady samples in their order, seconds an iteration.
    pub(crate) seconds: Vec<f64>,
    /// Work of an iteration, as text.
    pub(crate) work: Vec<String>,
    /// Values beside time.
    pub(crate) metrics: BTreeMap<String, LockstepMetric>,
    pub(crate) fingerprint: Option<u64>,
}

impl Kept {
    pub(crate) fn new(name: &str, found: &Measured) -> Self {
        Self {
            format: FORMAT,
            name: name.to_owned(),
            machine: machine(),
            seconds: found.seconds.clone(),
            work: work(&found.throughputs),
            metrics: found
                .metrics
                .iter()
                .map(|named| (named.name.clone(), named.metric.clone()))
                .collect(),
            fingerprint: found.fingerprint,
        }
    }
}

/// The work of an iteration, to be compared.
fn work(throughputs: &[Throughput]) -> Vec<String> {
    throughputs.iter().map(|work| format!("{work:?}")).collect()
}

/// Processor, cores and system: enough to tell another machine.
pub(crate) fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or(std::env::consts::ARCH, |rest| {
            rest.trim_start_matches([' ', '\t', ':']).trim()
        });
    let cores =
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!("{processor}, {cores} cores, {}", std::env::consts::OS)
}

/// A folder of kept samples.
#[derive(Clone, Debug)]
pub(crate) struct Baselines {
    folder: PathBuf,
}

impl Baselines {
    /// Of one benchmark executable. `folder` need not be there.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Keeps the samples of one benchmark; other benchmarks stay as they are.
    ///
    /// # Errors
    ///
    /// The file that cannot be written.
    pub(crate) fn save(
        &self,
        baseline: &str,
        kept: &Kept,
    ) -> Result<(), BenchError> {
        let folder = self.folder.join(baseline);
        let path = folder.join(file_name(&kept.name));
        let half = path.with_extension("tmp");
        let write = || -> std::io::Result<()> {
            std::fs::create_dir_all(&folder)?;
            std::fs::write(&half, serde_json::to_vec(kept)?)?;
            // A killed run leaves the old file or the new one.
            std::fs::rename(&half, &path)
        };
        write().map_err(|error| wrong(&path, error))
    }

    /// Whether there is such a baseline.
    ///
    /// # Errors
    ///
    /// That there is none, with the nearest that there is.
    pub(crate) fn check(&self, baseline: &str) -> Result<(), BenchError> {
        if self.folder.join(baseline).is_dir() {
            return Ok(());
        }
        let entries = std::fs::read_dir(&self.folder);
        let names: Vec<String> = entries
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        let found = baseline.to_owned();
        let near = nearest(baseline, names.iter().map(String::as_str));
        Err(BenchError::UnknownBaseline {
            found,
            folder: self.folder.clone(),
            nearest: near.map(str::to_owned),
        })
    }

    /// The kept samples of one benchmark; none if it was not in the baseline.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or understood.
    pub(crate) fn load(
        &self,
        baseline: &str,
        name: &str,
    ) -> Result<Option<Kept>, BenchError> {
        let path = self.folder.join(baseline).join(file_name(name));
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(error) => return Err(wrong(&path, error)),
        };
        let format: Format = serde_json::from_slice(&text)
            .map_err(|error| wrong(&path, error))?;
        if format.format != FORMAT {
            let found = format.format;
            let problem = format!("format {found}; expected format {FORMAT}");
            return Err(wrong(&path, problem));
        }
        let kept: Kept = serde_json::from_slice(&text)
            .map_err(|error| wrong(&path, error))?;
        let bad = kept.seconds.iter().find(|s| !s.is_finite() || **s <= 0.0);
        if let Some(bad) = bad {
            let problem =
                format!("a sample is {bad} s; expected a time above 0");
            return Err(wrong(&path, problem));
        }
        if kept.seconds.is_empty() {
            return Err(wrong(&path, "no samples; expected one or more"));
        }
        Ok(Some(kept))
    }
}

/// The version alone, to be read before the rest.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

fn wrong(path: &Path, problem: impl std::fmt::Display) -> BenchError {
    BenchError::File { path: path.to_owned(), problem: problem.to_string() }
}

/// A file's name for any benchmark's: readable letters, and a hash of the
/// whole, so that neither `../x` nor `<b>` nor Unicode leads anywhere and no
/// two benchmarks share a file.
fn file_name(name: &str) -> String {
    let readable: String = name
        .chars()
        .take(80)
        .map(|c| match c {
            'a'..='z' | '0'..='9' | '_' | '=' | '-' => c,
            'A'..='Z' => c.to_ascii_lowercase(),
            _ => '-',
        })
        .collect();
    format!("{readable}-{:016x}.json", fingerprint(name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kept(name: &str) -> Kept {
        Kept {
            format: FORMAT,
            name: name.to_owned(),
            machine: machine(),
            seconds: vec![1.25e-6, 0.1 + 0.2],
            work: vec!["Bytes(3.0)".to_owned()],
            metrics: BTreeMap::new(),
            fingerprint: Some(u64::MAX),
        }
    }

    #[test]
    fn what_is_kept_comes_back_whatever_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let baselines = Baselines::new(folder.path().join("deep/er"));
        let names =
            ["../x", "..", "<b>&\"", "größe/日本", "a b=1", "CON", "a/b"];
        for name in names {
            baselines.save("main", &kept(name)).unwrap();
        }
        for name in names {
            let back = baselines.load("main", name).unwrap();
            assert_eq!(back, Some(kept(name)));
        }
        let files = std::fs::read_dir(folder.path().join("deep/er/main"));
        assert_eq!(files.unwrap().count(), names.len());
        assert_eq!(baselines.load("main", "other").unwrap(), None);
    }

    #[test]
    fn an_unknown_baseline_names_the_nearest() {
        let folder = tempfile::tempdir().unwrap();
        let baselines = Baselines::new(folder.path().to_owned());
        baselines.save("main", &kept("x")).unwrap();
        let said = baselines.check("mian").unwrap_err().to_string();
        assert!(said.contains("did you mean `main`?"), "{said}");
        assert!(baselines.check("main").is_ok());
    }

    #[test]
    fn a_broken_file_is_an_error_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let baselines = Baselines::new(folder.path().to_owned());
        let path = folder.path().join("main").join(file_name("x"));
        let mut whole = kept("x");
        baselines.save("main", &whole).unwrap();
        let said = || baselines.load("main", "x").unwrap_err().to_string();

        std::fs::write(&path, "{").unwrap();
        assert!(said().contains("main/x-"), "{}", said());
        std::fs::write(&path, r#"{"format": 9, "new": 1}"#).unwrap();
        assert!(said().contains("format 9; expected format 1"), "{}", said());
        whole.seconds[0] = -1.0;
        baselines.save("main", &whole).unwrap();
        assert!(said().contains("expected a time above 0"), "{}", said());
        whole.seconds.clear();
        baselines.save("main", &whole).unwrap();
        assert!(said().contains("no samples"), "{}", said());
    }

    proptest! {
        #[test]
        fn a_file_name_stays_in_its_folder(name in "\\PC*") {
            let file = file_name(&name);
            prop_assert!(file.is_ascii() && file.len() < 120);
            prop_assert!(!file.contains(['/', '\\', ':', ' ']));
        }

        #[test]
        fn other_names_have_other_files(a in "\\PC{1,9}", b in "\\PC{1,9}") {
            prop_assume!(a != b);
            prop_assert_ne!(file_name(&a), file_name(&b));
        }
    }
}
