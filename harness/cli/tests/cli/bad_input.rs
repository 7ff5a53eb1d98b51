//! Wrong names, axes, values and files: exit 2, and a message that says what
//! was found, what was expected and the nearest valid name.

use crate::place::Place;

#[test]
fn unknown_names_are_answered_with_the_nearest_valid_one() {
    let place = Place::new();
    let on = "--on nvidia-l4";
    for (words, parts) in [
        (format!("predict slm {on}"), vec!["`slm` is no case", "expected"]),
        (format!("predict sml/tiny/decode {on}"), vec!["`sml`", "`slm`"]),
        (format!("predict slm/tyny/decode {on}"), vec!["`tyny`", "`tiny`"]),
        (format!("predict slm/tiny/decod {on}"), vec!["`decod`", "`decode`"]),
        (format!("predict slm/tiny {on}"), vec!["names no phase", "prefill"]),
        (format!("predict operators/matmull {on}"), vec!["`matmul`"]),
        (format!("predict operators/matmul/x {on}"), vec!["no phases", "`x`"]),
        (
            format!("predict slm/tiny/decode contxt=3 {on}"),
            vec!["no axis `contxt`", "`context`"],
        ),
        (
            format!("predict slm/tiny/decode context=many {on}"),
            vec!["`many`", "an integer, 1 or more"],
        ),
        (
            format!("predict slm/tiny/decode context=0 {on}"),
            vec!["`0`", "an integer, 1 or more"],
        ),
        (
            format!("predict slm/tiny/decode context=1 context=2 {on}"),
            vec!["`context` stands twice"],
        ),
        (
            format!("predict slm/tiny/decode context {on}"),
            vec!["`context` is no axis: expected axis=value"],
        ),
        (
            format!("predict slm/tiny/decode precision=f17 {on}"),
            vec!["`f17`", "one of f32", "nearest valid: `f16`"],
        ),
        (
            format!("predict slm/tiny/decode {on} --runtime eagr"),
            vec!["`eagr`", "nearest valid: `eager`", "llama-cpp"],
        ),
        (
            "predict slm/tiny/decode --on nvidia-l44".to_owned(),
            vec!["`nvidia-l44`", "nearest valid: `nvidia-l4`"],
        ),
        (
            "predict slm/tiny/decode --on nvidia-l4:npu".to_owned(),
            vec!["no unit `npu`", "nearest valid: `gpu`"],
        ),
        ("predict slm/tiny/decode".to_owned(), vec!["--on <PROFILE"]),
        ("profiles nvidia-l44".to_owned(), vec!["nearest valid: `nvidia-l4`"]),
        ("run --plan toor".to_owned(), vec!["`toor`", "`tour`"]),
        ("run slm/tyny/*".to_owned(), vec!["`tyny`", "`tiny`"]),
        ("verify slm/tyny".to_owned(), vec!["`tyny`", "`tiny`"]),
        ("run slm/tiny/prefill promt=3".to_owned(), vec!["`prompt`"]),
        ("run slm --budget 3parsecs".to_owned(), vec!["3parsecs", "500ms"]),
        ("run --full".to_owned(), vec!["--full needs a workload"]),
        (
            "calibrate --device cpu --profile nvidia-l4 --out o.toml"
                .to_owned(),
            vec!["--profile names a GPU's", "`host`"],
        ),
        ("run slm --host ssh:x".to_owned(), vec!["ssh:x", "`local`"]),
    ] {
        place.refused(2, &words, &parts);
    }
    let left = std::fs::read_dir(place.path("")).unwrap().count();
    assert_eq!(left, 0, "wrong input leaves nothing behind");
}

#[test]
fn a_device_that_is_not_here_is_the_machines_fault() {
    let place = Place::new();
    for verb in ["run slm/tiny/prefill", "probe"] {
        let words = format!("{verb} --device cuda:0");
        place.refused(3, &words, &["cuda:0", "`cpu`"]);
    }
    place.refused(2, "run operators --device wgpu:x", &["e.g. wgpu:0"]);
    place.refused(3, "probe --device wgpu:0", &["calibrate", "--profile"]);
}

#[cfg(not(feature = "gpu"))]
#[test]
fn a_build_without_gpus_says_how_to_build_one() {
    let place = Place::new();
    for verb in
        ["run operators --quick", "calibrate --profile nvidia-l4 --out o.toml"]
    {
        let words = format!("{verb} --device wgpu:0");
        let parts = ["wgpu:0", "no GPU support", "--features gpu"];
        place.refused(3, &words, &parts);
    }
    let left = std::fs::read_dir(place.path("")).unwrap().count();
    assert_eq!(left, 0, "nothing is left behind");
}

#[test]
fn sizes_past_counting_are_refused_not_wrapped() {
    let place = Place::new();
    let n = 1_u64 << 53;
    for words in [
        format!("trace operators/matmul m={n} n={n} k={n}"),
        format!("trace operators/attention heads={n} query=1"),
        format!("trace operators/conv2d padding={n}"),
        format!("trace slm/tiny/prefill batch={n}"),
        format!("trace slm/tiny/generate prompt={n} tokens={n}"),
        "trace slm/tiny/decode context=600".to_owned(),
    ] {
        place.refused(2, &words, &["expected"]);
    }
}

#[test]
fn a_wrong_plan_file_is_named_with_its_line() {
    let place = Place::new();
    let head = "name = \"x\"\n[[case]]\n";
    for (text, parts) in [
        ("name = \"x\"\n[[case]\n".to_owned(), vec!["p.toml:2: "]),
        ("nam = \"x\"\n".to_owned(), vec!["p.toml:1: ", "`name`"]),
        (
            format!("{head}case = \"slm\"\naxis = 1\n"),
            vec!["p.toml:4: unknown field `axis`", "nearest valid: `axes`"],
        ),
        (
            format!("{head}case = \"slm/tiny/prefil\"\n"),
            vec!["p.toml:3: ", "nearest valid: `prefill`"],
        ),
        (
            format!(
                "{head}case = \"slm/tiny/prefill\"\naxes = {{ promt = [3] }}\n"
            ),
            vec!["p.toml:3: ", "nearest valid: `prompt`"],
        ),
        (
            format!(
                "{head}case = \"slm/tiny/prefill\"\naxes.prompt = [\"a\"]\n"
            ),
            vec!["p.toml:3: ", "`a`", "an integer"],
        ),
        (
            format!("{head}case = \"slm/tiny/prefill\"\nbudget_s = -1\n"),
            vec!["p.toml:4: ", "seconds above 0"],
        ),
        (
            format!(
                "predict_on = [\"nvidia-l44\"]\n{head}case = \
                 \"slm/tiny/prefill\"\n"
            ),
            vec!["p.toml:1: ", "nearest valid: `nvidia-l4`"],
        ),
    ] {
        place.write("p.toml", &text);
        place.refused(2, "run --plan p.toml --out out", &parts);
        assert!(!place.path("out").exists(), "{text}");
    }
}

#[test]
fn a_wrong_model_file_is_named_with_its_line_by_every_verb() {
    let place = Place::new();
    let root = env!("CARGO_MANIFEST_DIR");
    let tiny = format!("{root}/../../workloads/slm/models/tiny.toml");
    let tiny = std::fs::read_to_string(tiny).unwrap();
    let line = 1 + tiny.lines().position(|l| l.starts_with("heads")).unwrap();
    let at = format!("m.toml:{line}: ");
    for (text, parts) in [
        (
            tiny.replace("\nheads", "\nheadz"),
            vec![at.as_str(), "unknown field `headz`", "valid: `heads`"],
        ),
        (tiny.replace("\nheads = 4", "\nheads = "), vec![at.as_str()]),
        (
            tiny.replace("\nheads = 4", "\nheads = 5"),
            vec!["m.toml:", "`heads`"],
        ),
        (String::new(), vec!["m.toml:1: missing field"]),
    ] {
        place.write("m.toml", &text);
        for verb in [
            "trace slm/mine/prefill",
            "predict slm/mine/prefill --on nvidia-l4",
            "verify slm/mine/prefill",
            "run slm/mine/prefill --out out",
        ] {
            let words = format!("{verb} --model m.toml");
            place.refused(2, &words, &parts);
        }
    }
    place.write("c.json", "{\"model_type\": \"lama\"}");
    place.refused(
        2,
        "trace slm/mine/prefill --model c.json",
        &["c.json:1: ", "`lama`", "nearest: `llama`"],
    );
    place.refused(
        2,
        "trace slm/mine/prefill --model no.toml",
        &["no.toml: No such file"],
    );
    assert!(!place.path("out").exists());
}
