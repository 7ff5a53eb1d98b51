//! What a study keeps on disk, so that a killed one goes on: one file a
//! stage, written aside and renamed, with a note of which study it belongs to
//! and what the stage told. A stage that leaves weights is a safetensors file
//! with the note in its header; of one that leaves none the note is the file.
//!
//! A file that is cut short, of another format or of another study is an
//! error that says so: training again in silence could cost an hour.

use std::fmt::Display;
use std::io::ErrorKind;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::save::write_whole;
use crate::{Checkpoint, KitError, Named, save_with_note};

/// The format of the notes; a change of what they hold raises it.
const FORMAT: u32 = 1;

/// Why a study cannot go on from its files, or cannot keep them.
#[derive(Debug, thiserror::Error)]
pub enum StudyFileError {
    /// A file that this study cannot go on from.
    #[error(
        "{path}: {what}; delete it, and the study makes this stage again",
        path = path.display()
    )]
    Refused {
        /// The file.
        path: PathBuf,
        /// What was found, and what was expected.
        what: String,
    },
    /// Something that the system refused.
    #[error("{path}: {what}: {error}", path = path.display())]
    System {
        /// The file or folder.
        path: PathBuf,
        /// What cannot be done with it.
        what: &'static str,
        /// What the system said.
        error: std::io::Error,
    },
    /// What a stage told cannot be written as JSON.
    #[error("{path}: its note cannot be written: {error}", path = path.display())]
    Note {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: serde_json::Error,
    },
    /// Tensors that cannot be read or written.
    #[error(transparent)]
    Kit(#[from] KitError),
}

impl StudyFileError {
    pub(crate) fn refused(path: &Path, what: impl Into<String>) -> Self {
        Self::Refused { path: path.to_owned(), what: what.into() }
    }

    fn damaged(path: &Path, error: &dyn Display) -> Self {
        let what = format!("it was cut short or damaged ({error})");
        Self::refused(path, what)
    }

    fn system(path: &Path, what: &'static str, error: std::io::Error) -> Self {
        Self::System { path: path.to_owned(), what, error }
    }
}

/// A study's folder. `E` is the error of the crate whose study it is.
#[derive(Debug)]
pub struct StudyFiles<E> {
    folder: PathBuf,
    study: String,
    error: PhantomData<fn() -> E>,
}

/// What a file says of itself.
#[derive(Debug, Serialize, Deserialize)]
struct Note<T> {
    format: u32,
    study: String,
    content: T,
}

/// What every format's note has.
#[derive(Debug, Deserialize)]
struct Head {
    #[serde(default)]
    format: Option<u64>,
}

impl<E: From<StudyFileError>> StudyFiles<E> {
    /// The files of the study that `study` describes, in `folder`, which is
    /// made where it is not there.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn new(folder: &Path, study: String) -> Result<Self, E> {
        std::fs::create_dir_all(folder).map_err(|error| {
            let what = "the folder cannot be made";
            StudyFileError::system(folder, what, error)
        })?;
        Ok(Self { folder: folder.to_owned(), study, error: PhantomData })
    }

    /// Where the tensors of `name` stand.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.safetensors"))
    }

    fn note_path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }

    /// Writes a file of tensors whole, with what the stage told.
    ///
    /// # Errors
    /// A shape that does not fit its values, a name that stands twice,
    /// whatever the system says.
    pub fn write<T: Serialize>(
        &self,
        name: &str,
        tensors: &[Named],
        content: &T,
    ) -> Result<(), E> {
        let path = self.path(name);
        let note = self.note(&path, content)?;
        save_with_note(&path, tensors, &note).map_err(StudyFileError::Kit)?;
        Ok(())
    }

    /// Reads a file of tensors and what the stage told; `None` where there is
    /// none.
    ///
    /// # Errors
    /// A file that is damaged, of another format or of another study.
    pub fn read<T: DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<Option<(Checkpoint, T)>, E> {
        let path = self.path(name);
        if !path.exists() {
            return Ok(None);
        }
        let file = Checkpoint::open(&path).map_err(|error| match error {
            KitError::Format { message, .. } => {
                StudyFileError::damaged(&path, &message)
            }
            other => StudyFileError::Kit(other),
        })?;
        let note = file.note().map_err(StudyFileError::Kit)?;
        let note = note.ok_or_else(|| {
            let what = "it says nothing of the study that it belongs to";
            StudyFileError::refused(&path, what)
        })?;
        let content = self.content(&path, &note)?;
        Ok(Some((file, content)))
    }

    /// Removes a file of tensors that is not needed any more, if it is there.
    ///
    /// # Errors
    /// Whatever else the system says.
    pub fn remove(&self, name: &str) -> Result<(), E> {
        let path = self.path(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                let what = "it cannot be removed";
                Err(StudyFileError::system(&path, what, error).into())
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Writes what a stage told that leaves no tensors, whole.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn write_note<T: Serialize>(
        &self,
        name: &str,
        content: &T,
    ) -> Result<(), E> {
        let path = self.note_path(name);
        let note = self.note(&path, content)?;
        write_whole(&path, note.as_bytes()).map_err(StudyFileError::Kit)?;
        Ok(())
    }

    /// Reads what a stage told that left no tensors; `None` where there is
    /// no file.
    ///
    /// # Errors
    /// A file that is damaged, of another format or of another study.
    pub fn read_note<T: DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<Option<T>, E> {
        let path = self.note_path(name);
        let note = match std::fs::read_to_string(&path) {
            Ok(note) => note,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(error) => {
                let what = "it cannot be read";
                return Err(StudyFileError::system(&path, what, error).into());
            }
        };
        Ok(Some(self.content(&path, &note)?))
    }

    /// Writes a text for people whole, under its whole file name. The study
    /// does not read it.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn write_text(&self, file: &str, text: &str) -> Result<(), E> {
        let path = self.folder.join(file);
        write_whole(&path, text.as_bytes()).map_err(StudyFileError::Kit)?;
        Ok(())
    }

    fn note<T: Serialize>(
        &self,
        path: &Path,
        content: &T,
    ) -> Result<String, StudyFileError> {
        let note = Note { format: FORMAT, study: self.study.clone(), content };
        serde_json::to_string(&note).map_err(|error| StudyFileError::Note {
            path: path.to_owned(),
            error,
        })
    }

    fn content<T: DeserializeOwned>(
        &self,
        path: &Path,
        note: &str,
    ) -> Result<T, StudyFileError> {
        // The format first: a later one may hold anything else.
        let head: Head = serde_json::from_str(note)
            .map_err(|error| StudyFileError::damaged(path, &error))?;
        if head.format != Some(u64::from(FORMAT)) {
            let found =
                head.format.map_or("none".to_owned(), |f| f.to_string());
            let what =
                format!("its format is {found}, this program reads {FORMAT}");
            return Err(StudyFileError::refused(path, what));
        }
        let note: Note<T> = serde_json::from_str(note).map_err(|error| {
            StudyFileError::refused(path, format!("its note is bad: {error}"))
        })?;
        if note.study != self.study {
            let what = format!(
                "it belongs to another study (`{}`, this one is `{}`)",
                note.study, self.study
            );
            return Err(StudyFileError::refused(path, what));
        }
        Ok(note.content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Files = StudyFiles<StudyFileError>;

    fn folder(name: &str) -> PathBuf {
        let own = format!("assay-study-{}-{name}", std::process::id());
        std::env::temp_dir().join(own)
    }

    fn check(error: &StudyFileError, words: &[&str]) {
        let error = error.to_string();
        for word in words {
            assert!(error.contains(word), "`{word}` is not in: {error}");
        }
    }

    #[test]
    fn tensors_come_back_and_bad_files_are_refused_by_name() {
        let folder = folder("tensors");
        let files = Files::new(&folder, "seed=1".into()).unwrap();
        assert!(files.read::<u32>("flow").unwrap().is_none());
        let tensors = [("w.a".to_owned(), vec![3], vec![1.0, 2.0, 3.0])];
        files.write("flow", &tensors, &7_u32).unwrap();
        let (file, content) = files.read::<u32>("flow").unwrap().unwrap();
        assert_eq!(content, 7);
        assert_eq!(file.floats("w.a").unwrap().values, [1.0, 2.0, 3.0]);
        let left: Vec<_> = std::fs::read_dir(&folder).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");

        let other = Files::new(&folder, "seed=2".into()).unwrap();
        let error = other.read::<u32>("flow").err().unwrap();
        let words =
            ["flow.safetensors", "another study (`seed=1`", "delete it"];
        check(&error, &words);
        let error = files.read::<String>("flow").err().unwrap();
        check(&error, &["flow.safetensors", "its note is bad", "delete it"]);
        let path = files.path("flow");
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
        let error = files.read::<u32>("flow").err().unwrap();
        check(&error, &["flow.safetensors", "cut short", "delete it"]);
        crate::save(&path, &tensors).unwrap();
        let error = files.read::<u32>("flow").err().unwrap();
        check(&error, &["flow.safetensors", "says nothing", "delete it"]);
        files.remove("flow").unwrap();
        files.remove("flow").unwrap();
        assert!(files.read::<u32>("flow").unwrap().is_none());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_note_comes_back_and_bad_ones_are_refused_by_name() {
        let folder = folder("notes");
        let files = Files::new(&folder, "seed=1".into()).unwrap();
        assert!(files.read_note::<u32>("a").unwrap().is_none());
        files.write_note("a", &7_u32).unwrap();
        assert_eq!(files.read_note::<u32>("a").unwrap(), Some(7));
        // Tensors of the same name are another file.
        assert!(files.read::<u32>("a").unwrap().is_none());

        let other = Files::new(&folder, "seed=2".into()).unwrap();
        let error = other.read_note::<u32>("a").unwrap_err();
        check(&error, &["a.json", "another study", "delete it"]);
        let path = folder.join("a.json");
        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 2]).unwrap();
        let error = files.read_note::<u32>("a").unwrap_err();
        check(&error, &["a.json", "cut short", "delete it"]);
        for (format, says) in [("\"format\":9", "9"), ("\"other\":1", "none")] {
            let later = whole.replace("\"format\":1", format);
            std::fs::write(&path, later).unwrap();
            let error = files.read_note::<u32>("a").unwrap_err();
            let says = format!("its format is {says}, this program reads 1");
            check(&error, &[says.as_str()]);
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_text_is_written_under_its_own_name() {
        let folder = folder("text");
        let files = Files::new(&folder, "seed=1".into()).unwrap();
        files.write_text("answers.txt", "one\ntwo\n").unwrap();
        let text = std::fs::read_to_string(folder.join("answers.txt"));
        assert_eq!(text.unwrap(), "one\ntwo\n");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_made_says_so() {
        let file = folder("file");
        std::fs::write(&file, "").unwrap();
        let error = Files::new(&file.join("in"), "seed=1".into()).unwrap_err();
        check(&error, &["assay-study-", "the folder cannot be made: "]);
        std::fs::remove_file(file).unwrap();
    }
}
