//! What neither rustfmt nor clippy sees: files that grew too long or have no
//! header, paths of one machine, leftovers.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// Files over this many lines must be split.
const LONGEST: usize = 600;

/// Marks of unfinished work, in pieces so that this file does not hold them.
fn leftovers() -> [String; 4] {
    [["to", "do!("], ["unimple", "mented!("], ["FIX", "ME"], ["XX", "X"]]
        .map(|parts| parts.concat())
}

/// Folders whose names in a path betray one machine.
fn machine_paths() -> [String; 3] {
    ["root", "home", "work"].map(|name| format!("/{name}/"))
}

/// Checks every tracked file.
pub(crate) fn check() -> Result<()> {
    let listed = Command::new("git")
        .args(["ls-files"])
        .output()
        .context("git could not be started")?;
    let listed = String::from_utf8(listed.stdout)?;
    let mut found = Vec::new();
    for name in listed.lines() {
        let Ok(text) = std::fs::read_to_string(name) else { continue };
        found.extend(problems(name, &text));
    }
    if !found.is_empty() {
        bail!("tidy found:\n  {}", found.join("\n  "));
    }
    Ok(())
}

/// What is wrong with one file.
fn problems(name: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let is_rust = Path::new(name).extension().is_some_and(|e| e == "rs");
    let lines = text.lines().count();
    if is_rust && lines > LONGEST {
        found.push(format!("{name}: {lines} lines, at most {LONGEST}"));
    }
    if is_rust && !text.starts_with("//!") {
        found.push(format!("{name}: no `//!` header"));
    }
    let is_code = is_rust || name.ends_with(".toml") || name.ends_with(".md");
    for (index, line) in text.lines().enumerate() {
        let at = format!("{name}:{}", index + 1);
        if is_rust && leftovers().iter().any(|mark| line.contains(mark)) {
            found.push(format!("{at}: unfinished: {}", line.trim()));
        }
        if is_code && machine_paths().iter().any(|path| line.contains(path)) {
            found.push(format!("{at}: a path of one machine"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_a_missing_header_and_a_leftover_are_found() {
        let long = format!("//! x\n{}", "x\n".repeat(LONGEST));
        assert_eq!(problems("a.rs", &long).len(), 1);
        assert_eq!(problems("a.rs", "fn a() {}\n").len(), 1);
        let leftover = format!("//! x\n// {} later\n", ["FIX", "ME"].concat());
        assert_eq!(problems("a.rs", &leftover).len(), 1);
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        let text = format!("see /{}/somebody/x\n", "home");
        assert_eq!(problems("README.md", &text).len(), 1);
        assert!(problems("README.md", "see harness/cli\n").is_empty());
    }
}
