//! The trained networks of `judges/`, embedded and checked, and how they are
//! written there.
//!
//! Every quality that a study reports hangs on these bytes. A file that is not
//! the one whose checksum stands beside it is refused, so that two records
//! that name the same quality were judged by the same network. The checksum
//! is FNV-1a of 64 bits: against accidents, not against malice.

use std::collections::BTreeMap;
use std::path::Path;

use assay_kit::{Checkpoint, KitError, module_tensors, save, write_whole};
use serde::Deserialize;

use super::JudgeNetwork;
use crate::InstaFlowError;
use crate::perceptual::PerceptualNetwork;

const JUDGE: &[u8] = include_bytes!("../../judges/judge.safetensors");
const PERCEPTUAL: &[u8] = include_bytes!("../../judges/perceptual.safetensors");
const CHECKSUMS: &str = include_str!("../../judges/checksums.toml");

const JUDGE_FILE: &str = "judge.safetensors";
const PERCEPTUAL_FILE: &str = "perceptual.safetensors";
const CHECKSUMS_FILE: &str = "checksums.toml";
const FORMAT_VERSION: u32 = 1;

/// What to do about a file that is another one.
const AGAIN: &str = "train both again with `cargo run --release -p \
                     assay-instaflow --example train_judges -- \
                     workloads/instaflow/judges`, and build again";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Checksums {
    format_version: u32,
    /// Hexadecimal, by file.
    #[serde(default)]
    files: BTreeMap<String, String>,
}

/// The judge's weights.
pub(crate) fn judge() -> Result<Checkpoint, InstaFlowError> {
    checked(JUDGE_FILE, JUDGE, CHECKSUMS)
}

/// The weights of the perceptual loss.
pub(crate) fn perceptual() -> Result<Checkpoint, InstaFlowError> {
    checked(PERCEPTUAL_FILE, PERCEPTUAL, CHECKSUMS)
}

fn checked(
    name: &str,
    bytes: &[u8],
    checksums: &str,
) -> Result<Checkpoint, InstaFlowError> {
    let refuse = |file: &str, why: String| InstaFlowError::Config {
        file: format!("judges/{file}"),
        why,
    };
    let listed: Checksums = toml::from_str(checksums)
        .map_err(|error| refuse(CHECKSUMS_FILE, error.to_string()))?;
    if listed.format_version != FORMAT_VERSION {
        let why = format!(
            "format version {}, expected {FORMAT_VERSION}; {AGAIN}",
            listed.format_version
        );
        return Err(refuse(CHECKSUMS_FILE, why));
    }
    let Some(expected) = listed.files.get(name) else {
        let why = format!("no checksum of {name}; {AGAIN}");
        return Err(refuse(CHECKSUMS_FILE, why));
    };
    let found = checksum(bytes);
    if *expected != found {
        let why = format!(
            "checksum {found}, expected {expected}: another file; {AGAIN}"
        );
        return Err(refuse(name, why));
    }
    let name = format!("judges/{name}");
    Ok(Checkpoint::from_bytes(name, bytes.to_vec())?)
}

/// FNV-1a, 64 bits (Fowler, Noll and Vo), in hexadecimal.
fn checksum(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// Writes both networks and their checksums to a folder that exists: what
/// this module embeds.
///
/// # Errors
/// A file that cannot be written.
pub fn write(
    folder: &Path,
    judge: &JudgeNetwork,
    perceptual: &PerceptualNetwork,
) -> Result<(), InstaFlowError> {
    let mut text = format!(
        "# FNV-1a, 64 bits, of each file; examples/train_judges.rs writes \
         this.\nformat_version = {FORMAT_VERSION}\n\n[files]\n"
    );
    for (name, tensors) in [
        (JUDGE_FILE, module_tensors("", judge)),
        (PERCEPTUAL_FILE, module_tensors("", perceptual)),
    ] {
        let path = folder.join(name);
        save(&path, &tensors)?;
        let bytes = std::fs::read(&path)
            .map_err(|error| KitError::Read { path, error })?;
        text.push_str(&format!("\"{name}\" = \"{}\"\n", checksum(&bytes)));
    }
    let path = folder.join(CHECKSUMS_FILE);
    Ok(write_whole(&path, text.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use assay_kit::{Parameters, load_published, parameter_values};
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn the_checksum_is_fnvs() {
        // The authors' test vectors.
        assert_eq!(checksum(b""), "cbf29ce484222325");
        assert_eq!(checksum(b"foobar"), "85944171f73967e8");
    }

    #[test]
    fn another_file_is_refused_and_the_way_out_named() {
        let listed = format!(
            "format_version = 1\n[files]\n\"a\" = \"{}\"",
            checksum(b"foobar")
        );
        let why = |bytes: &[u8], listed: &str| {
            checked("a", bytes, listed).err().unwrap().to_string()
        };
        let other = why(b"foobaz", &listed);
        assert!(other.contains("another file"), "{other}");
        assert!(other.contains("--example train_judges"), "{other}");
        // The right bytes go on to be read, and are no weights.
        assert!(why(b"foobar", &listed).contains("safetensors"));
        let none = why(b"foobar", "format_version = 1");
        assert!(none.contains("no checksum of a"), "{none}");
        assert!(why(b"", "format_version = 2").contains("version 2"));
        assert!(why(b"", "").contains("format_version"));
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let folder = std::env::temp_dir()
            .join(format!("assay-judges-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut parameters = Parameters::random(&Device::flex(), 1);
        let judge = JudgeNetwork::new(&mut parameters);
        let perceptual = PerceptualNetwork::new(&mut parameters);
        write(&folder, &judge, &perceptual).unwrap();
        let listed =
            std::fs::read_to_string(folder.join(CHECKSUMS_FILE)).unwrap();
        let bytes = std::fs::read(folder.join(JUDGE_FILE)).unwrap();
        // What a repository should not grow beyond.
        assert!(bytes.len() < 400_000, "{}", bytes.len());
        let file = checked(JUDGE_FILE, &bytes, &listed).unwrap();
        let mut shapes = Parameters::shapes(&Device::flex());
        let again =
            load_published(JudgeNetwork::new(&mut shapes), &file).unwrap();
        assert_eq!(parameter_values(&again), parameter_values(&judge));
        let bytes = std::fs::read(folder.join(PERCEPTUAL_FILE)).unwrap();
        assert!(bytes.len() < 400_000, "{}", bytes.len());
        assert!(checked(PERCEPTUAL_FILE, &bytes, &listed).is_ok());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
