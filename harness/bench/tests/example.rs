//! The worked example, as a stranger's crate: built by its own manifest.

#![expect(
    clippy::unwrap_used,
    reason = "a helper outside of the test functions that fails the test"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Runs `cargo bench` in the example's folder, with a target folder that
/// outlives the test, so that only the first run compiles.
fn cargo_bench(flags: &[&str]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let example = root.join("../../ci/examples/vector-search");
    // .../target/debug/deps/example-HASH
    let target = std::env::current_exe()
        .unwrap()
        .ancestors()
        .nth(3)
        .map(PathBuf::from)
        .unwrap()
        .join("examples-of-their-own");
    Command::new(env!("CARGO"))
        .current_dir(example)
        // As a stranger's shell has it: none of this build's own settings.
        .env_remove("RUSTFLAGS")
        .env("CARGO_TARGET_DIR", target)
        .args(["bench", "--offline", "--locked", "--quiet"])
        // A debug build compiles in a third of the time.
        .args(["--profile", "dev", "--bench", "search", "--"])
        .args(flags)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_worked_example_builds_lists_tests_and_refuses_by_itself() {
    let listed = cargo_bench(&["--list", "index", "server"]);
    assert!(listed.status.success(), "{}", text(&listed.stderr));
    insta::assert_snapshot!(text(&listed.stdout), @"
    index/search n=10000 probes=1: benchmark
    index/search n=10000 probes=2: benchmark
    index/search n=10000 probes=8: benchmark
    index/build: benchmark
    server/search: benchmark
    ");

    let tested =
        cargo_bench(&["--test", "scan n=1000", "server/search", "--exact"]);
    assert!(tested.status.success(), "{}", text(&tested.stderr));
    insta::assert_snapshot!(text(&tested.stdout), @"
    test scan n=1000 ... ok
    test server/search ... ok

    2 passed; 0 failed
    ");

    let refused = cargo_bench(&["--lits"]);
    assert!(!refused.status.success());
    let said = text(&refused.stderr);
    assert!(said.contains("unknown flag `--lits`"), "{said}");
    assert!(said.contains("exit status: 2"), "{said}");
}
