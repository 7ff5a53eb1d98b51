//! A folder of its own for a test, and `assay` run in it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use assay_store::RunDirectory;
use serde_json::Value;
use tempfile::TempDir;

/// The built command.
pub(crate) const ASSAY: &str = env!("CARGO_BIN_EXE_assay");

/// A temporary folder that `assay` runs in.
pub(crate) struct Place {
    folder: TempDir,
}

/// What a command printed.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// The command with its words, ready to start. `host.toml` in the folder
    /// is the host's profile; without it the machine was never probed.
    pub(crate) fn command(&self, words: &str) -> Command {
        let mut command = Command::new(ASSAY);
        command
            .args(words.split_whitespace())
            .current_dir(self.folder.path())
            .env("ASSAY_HOST_PROFILE", self.path("host.toml"));
        command
    }

    pub(crate) fn assay(&self, words: &str) -> Said {
        let output = self.command(words).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let said = Said {
            code: output.status.code().unwrap_or(-1),
            out: text(output.stdout),
            err: text(output.stderr),
        };
        assert!(!said.err.contains("panicked"), "{words}\n{}", said.err);
        said
    }

    /// Standard output of a command that ends with 0.
    pub(crate) fn ok(&self, words: &str) -> String {
        let said = self.assay(words);
        assert_eq!(said.code, 0, "assay {words}\n{}{}", said.out, said.err);
        said.out
    }

    /// Standard output as one JSON document.
    pub(crate) fn json(&self, words: &str) -> Value {
        serde_json::from_str(&self.ok(words)).unwrap()
    }

    /// A command that ends with `code`, says all of `parts` on standard
    /// error and prints nothing.
    pub(crate) fn refused(&self, code: i32, words: &str, parts: &[&str]) {
        let said = self.assay(words);
        assert_eq!(said.code, code, "assay {words}\n{}{}", said.out, said.err);
        assert_eq!(said.out, "", "assay {words}");
        for part in parts {
            assert!(
                said.err.contains(part),
                "assay {words}\nwanted: {part}\nfound: {}",
                said.err
            );
        }
    }

    /// Starts a command and waits until its standard error begins a line
    /// with `line`.
    pub(crate) fn start_until(&self, words: &str, line: &str) -> Child {
        let mut child = self
            .command(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let progress = BufReader::new(child.stderr.take().unwrap());
        let mut lines = progress.lines();
        assert!(
            lines.any(|found| found.unwrap().starts_with(line)),
            "assay {words} ended without `{line}`"
        );
        // Its later lines go nowhere, and must not block it.
        std::thread::spawn(move || lines.for_each(drop));
        child
    }

    pub(crate) fn run(&self, name: &str) -> RunDirectory {
        RunDirectory::open(&self.path(name)).unwrap()
    }

    /// Files of the cases of a run, by name.
    pub(crate) fn case_files(&self, run: &str) -> Vec<PathBuf> {
        let folder = self.path(run).join("cases");
        let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        files
    }

    /// Copies golden files of the language models; `family` is e.g. `llama`.
    pub(crate) fn golden(&self, family: &str) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let goldens = root.join("../../workloads/slm/goldens");
        for end in ["config.json", "weights.safetensors", "golden.safetensors"]
        {
            let name = format!("{family}-tiny.{end}");
            std::fs::copy(goldens.join(&name), self.path(&name)).unwrap();
        }
    }
}
