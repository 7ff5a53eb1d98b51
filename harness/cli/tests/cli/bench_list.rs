//! `cargo bench` from the root names the operators' and the models' benches.

use std::path::Path;
use std::process::Command;

use crate::place::ASSAY;

#[test]
fn cargo_bench_names_operators_and_phases() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    // The folder that this test was built into: what is built there is used
    // again, and only the benches themselves are built.
    let built = Path::new(ASSAY).parent().and_then(Path::parent).unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["bench", "--offline", "--quiet", "--", "--list"])
        .current_dir(root)
        .env("CARGO_TARGET_DIR", built)
        .output()
        .unwrap();
    let list = String::from_utf8(output.stdout).unwrap();
    let problems = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{problems}");
    for name in [
        "matmul/512 x 512 x 512",
        "attention/prefill 512",
        "softmax/16384 x 256",
        "layernorm/4096 x 256",
        "tiny/prefill",
        "tiny/decode",
        "tiny/generate",
        "tiny/train-step",
        "smollm-135m/prefill",
        "smollm-135m/decode",
        "trace and predict/models/8",
    ] {
        let line = format!("{name}: benchmark");
        assert!(list.lines().any(|found| found == line), "{name}\n{list}");
    }
}
