//! Lists `profiles/*.toml` and `calibrations/*.toml` at compile time, so that
//! one is added by adding its file and the binary works from anywhere.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?;
    let out = env::var("OUT_DIR").map_err(io::Error::other)?;
    let (root, out) = (Path::new(&root), Path::new(&out));

    let names = stems(root, "profiles")?;
    let mut code = format!(
        "pub(crate) static NAMES: [&str; {}] = {names:?};\n",
        names.len()
    );
    let _ =
        writeln!(code, "pub(crate) static TEXTS: [&str; {}] = [", names.len());
    for name in &names {
        let _ = writeln!(code, "    {},", text_of("profiles", name));
    }
    code.push_str("];\n");
    fs::write(out.join("embedded.rs"), code)?;

    let names = stems(root, "calibrations")?;
    let mut code = format!(
        "pub(crate) static OVERLAYS: [(&str, &str); {}] = [\n",
        names.len()
    );
    for name in &names {
        let file = format!("calibrations/{name}.toml");
        let text = text_of("calibrations", name);
        let _ = writeln!(code, "    ({file:?}, {text}),");
    }
    code.push_str("];\n");
    fs::write(out.join("overlays.rs"), code)
}

/// Names of a folder's TOML files, sorted; a change there runs this again.
fn stems(root: &Path, folder: &str) -> io::Result<Vec<String>> {
    println!("cargo::rerun-if-changed={folder}");
    let mut names = Vec::new();
    for entry in fs::read_dir(root.join(folder))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let stem = path.file_stem().unwrap_or_default();
            names.push(stem.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// The expression that embeds a file.
fn text_of(folder: &str, name: &str) -> String {
    let path = format!("/{folder}/{name}.toml");
    format!("include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {path:?}))")
}
