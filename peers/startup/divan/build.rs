//! Writes the benchmarks of `benches/many.rs`: with divan they are functions,
//! so their number is fixed when they are compiled.

use std::fmt::Write;

fn main() {
    println!("cargo::rerun-if-env-changed=PEERS_BENCHES");
    println!("cargo::rerun-if-changed=build.rs");
    let many =
        std::env::var("PEERS_BENCHES").map_or(1, |text| text.parse().unwrap());
    let mut text = String::new();
    for number in 0..many {
        writeln!(text, "#[divan::bench]\nfn bench_{number}() {{}}").unwrap();
    }
    let folder = std::env::var("OUT_DIR").unwrap();
    std::fs::write(format!("{folder}/many.rs"), text).unwrap();
}
