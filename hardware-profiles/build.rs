//! Lists `profiles/*.toml` at compile time, so that a profile is added by
//! adding its file and the binary works from anywhere.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=profiles");
    let root = env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?;
    let out = env::var("OUT_DIR").map_err(io::Error::other)?;
    let mut names = Vec::new();
    for entry in fs::read_dir(Path::new(&root).join("profiles"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let stem = path.file_stem().unwrap_or_default();
            names.push(stem.to_string_lossy().into_owned());
        }
    }
    names.sort();
    let mut code = format!(
        "pub(crate) static NAMES: [&str; {}] = {names:?};\n",
        names.len()
    );
    let _ =
        writeln!(code, "pub(crate) static TEXTS: [&str; {}] = [", names.len());
    for name in &names {
        let path = format!("/profiles/{name}.toml");
        let _ = writeln!(
            code,
            "    include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {path:?})),"
        );
    }
    code.push_str("];\n");
    fs::write(Path::new(&out).join("embedded.rs"), code)
}
