//! Writes the benchmarks of `benches/many.rs`. With divan they are functions,
//! or one function's arguments (`PEERS_DIVAN=args`, how divan registers many);
//! the number of either is fixed when they are compiled.

use std::fmt::Write;

fn main() {
    println!("cargo::rerun-if-env-changed=PEERS_BENCHES");
    println!("cargo::rerun-if-env-changed=PEERS_DIVAN");
    println!("cargo::rerun-if-changed=build.rs");
    let many =
        std::env::var("PEERS_BENCHES").map_or(1, |text| text.parse().unwrap());
    let mut text = String::new();
    if std::env::var("PEERS_DIVAN").is_ok_and(|how| how == "args") {
        writeln!(text, "#[divan::bench(args = 0..{many})]").unwrap();
        writeln!(text, "fn bench(_number: usize) {{}}").unwrap();
    } else {
        for number in 0..many {
            writeln!(text, "#[divan::bench]\nfn bench_{number}() {{}}")
                .unwrap();
        }
    }
    let folder = std::env::var("OUT_DIR").unwrap();
    std::fs::write(format!("{folder}/many.rs"), text).unwrap();
}
