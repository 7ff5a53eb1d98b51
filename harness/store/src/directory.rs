//! The run directory: created, resumed or opened to read.
//!
//! ```text
//! DIR/run.toml                    the header, written once
//! DIR/run.lock                    held while a run writes here
//! DIR/cases/<file stem>.jsonl     the events of one case
//! DIR/predictions.jsonl, profiles.json, claims.json   derived
//! DIR/state/<file stem>/          what a case keeps for being gone on with
//! DIR/report/                     the report's default place
//! ```

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use assay_schema::{Case, Outcome, Record, RunHeader, StopReason};

use crate::{CaseFile, CaseWriter, StoreError, header, read_case};

pub(crate) const HEADER: &str = "run.toml";
pub(crate) const CASES: &str = "cases";
const LOCK: &str = "run.lock";
const STATE: &str = "state";

/// A run on disk.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    header: RunHeader,
    /// Held from `create` or `resume` until drop. The kernel frees it with the
    /// process, so a kill leaves no stale lock. `None`: opened to read.
    lock: Option<File>,
}

impl RunDirectory {
    /// Makes a new run, with its parent folders, and locks it.
    ///
    /// # Errors
    /// The directory holds a run already or another process makes one there;
    /// it cannot be written; the header cannot be kept as TOML.
    pub fn create(
        path: &Path,
        run_header: &RunHeader,
    ) -> Result<Self, StoreError> {
        let cases = path.join(CASES);
        std::fs::create_dir_all(path)
            .map_err(StoreError::io("create", path))?;
        let lock = lock(path)?;
        if path.join(HEADER).exists() || cases.exists() {
            return Err(StoreError::AlreadyARun(path.to_owned()));
        }
        // The header first: a directory is a run once it has one, and a kill
        // before that leaves one in which `create` works again.
        header::write(&path.join(HEADER), run_header)?;
        std::fs::create_dir_all(&cases)
            .map_err(StoreError::io("create", &cases))?;
        Ok(Self {
            path: path.to_owned(),
            header: run_header.clone(),
            lock: Some(lock),
        })
    }

    /// Opens a run that was cut short, to go on with it, and locks it.
    ///
    /// # Errors
    /// No run there, a newer one, a published one, one in use, or a header
    /// that does not parse.
    pub fn resume(path: &Path) -> Result<Self, StoreError> {
        let mut run = Self::open(path)?;
        if run.case_paths()?.iter().any(|file| is_compressed(file)) {
            return Err(StoreError::Published(path.to_owned()));
        }
        run.lock = Some(lock(path)?);
        let cases = path.join(CASES);
        std::fs::create_dir_all(&cases)
            .map_err(StoreError::io("create", &cases))?;
        Ok(run)
    }

    /// Opens a run to read, finished or going on, published or not. Derived
    /// files may still be replaced.
    ///
    /// # Errors
    /// No run there, a newer one, or a header that does not parse.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let header_path = path.join(HEADER);
        if !header_path.is_file() {
            return Err(StoreError::NotARun(path.to_owned()));
        }
        let header = header::read(&header_path)?;
        Ok(Self { path: path.to_owned(), header, lock: None })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The header.
    pub fn header(&self) -> &RunHeader {
        &self.header
    }

    /// The writer of a case, to append to what is there.
    ///
    /// # Errors
    /// The run was opened to read; the file cannot be opened or is damaged.
    pub fn writer(&self, case: &Case) -> Result<CaseWriter, StoreError> {
        if self.lock.is_none() {
            return Err(StoreError::ReadOnly(self.path.clone()));
        }
        CaseWriter::open(&self.case_path(case))
    }

    /// The folder in which a case may keep what it needs to go on after a
    /// kill; nobody else looks there, and it need not exist.
    pub fn state_path(&self, case: &Case) -> PathBuf {
        self.path.join(STATE).join(case.file_stem())
    }

    /// What is there of a case; empty where nothing is.
    ///
    /// # Errors
    /// The file cannot be read or is damaged.
    pub fn case(&self, case: &Case) -> Result<CaseFile, StoreError> {
        let plain = self.case_path(case);
        let compressed = plain.with_extension("jsonl.zst");
        match [plain, compressed].iter().find(|path| path.exists()) {
            Some(path) => read_case(path),
            None => Ok(CaseFile::default()),
        }
    }

    /// The records of all cases that started: those of the plan in its order,
    /// then others by name of file.
    ///
    /// # Errors
    /// A file cannot be read or is damaged.
    pub fn records(&self) -> Result<Vec<Record>, StoreError> {
        let mut records = Vec::new();
        for path in self.case_paths()? {
            records.extend(read_case(&path)?.record());
        }
        let place = |record: &Record| {
            let cases = &self.header.plan.cases;
            cases
                .iter()
                .position(|planned| planned.case == record.case)
                .unwrap_or(cases.len())
        };
        records.sort_by_cached_key(place); // stable: others stay by name
        Ok(records)
    }

    /// Whether a resumed run leaves the case alone: it finished, of itself.
    ///
    /// What failed, was skipped, was interrupted or has no end runs again:
    /// its reason (memory, a device, a fault that is mended) may be gone.
    ///
    /// # Errors
    /// The case's file cannot be read or is damaged.
    pub fn is_done(&self, case: &Case) -> Result<bool, StoreError> {
        Ok(self.case(case)?.record().is_some_and(|record| is_done(&record)))
    }

    /// All cases that are done, for `assay_sweep::remaining`.
    ///
    /// # Errors
    /// A file cannot be read or is damaged.
    pub fn done_cases(&self) -> Result<BTreeSet<Case>, StoreError> {
        let records = self.records()?;
        Ok(records.into_iter().filter(is_done).map(|r| r.case).collect())
    }

    /// The files of the cases, plain or compressed, by name.
    pub(crate) fn case_paths(&self) -> Result<Vec<PathBuf>, StoreError> {
        let folder = self.path.join(CASES);
        if !folder.exists() {
            return Ok(Vec::new()); // killed before its first case
        }
        let mut paths = Vec::new();
        let entries = std::fs::read_dir(&folder)
            .map_err(StoreError::io("read", &folder))?;
        for entry in entries {
            let path = entry.map_err(StoreError::io("read", &folder))?.path();
            let name = path.to_string_lossy();
            if name.ends_with(".jsonl") || name.ends_with(".jsonl.zst") {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
    }

    fn case_path(&self, case: &Case) -> PathBuf {
        self.path.join(CASES).join(format!("{}.jsonl", case.file_stem()))
    }
}

fn is_done(record: &Record) -> bool {
    match &record.outcome {
        Outcome::Finished(stop) => !matches!(stop, StopReason::Interrupted),
        Outcome::Failed(_) | Outcome::Skipped(_) | Outcome::Unfinished => false,
    }
}

fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "zst")
}

fn lock(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join(LOCK);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(StoreError::io("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(StoreError::InUse(folder.to_owned()))
        }
        Err(TryLockError::Error(error)) => {
            Err(StoreError::io("lock", &path)(error))
        }
    }
}
