//! Cases of this workload that cannot be run, and what is said.

use assay_schema::{Case, Precision};
use assay_slm::{Phase, Request, SlmError, model_config};

fn refusal(text: &str) -> String {
    let case: Case = text.parse().unwrap();
    Request::new(&case, None).unwrap_err().to_string()
}

#[test]
fn a_case_without_axes_takes_the_defaults() {
    let case: Case = "slm/tiny/decode".parse().unwrap();
    let request = Request::new(&case, None).unwrap();
    assert_eq!(request.phase, Phase::Decode);
    assert_eq!((request.batch, request.context), (1, 128));
    assert_eq!(request.precision, Precision::F32);
    assert_eq!(request.longest(), 129);
}

#[test]
fn what_cannot_be_run_is_refused_with_axis_found_and_expected() {
    for (text, words) in [
        ("slm/tinny/decode", ["`tinny`", "`tiny`"]),
        ("slm/tiny/decoed", ["`decoed`", "decode"]),
        ("slm/tiny", ["axis `phase`", "prefill, decode"]),
        ("slm/tiny/decode batch=0", ["axis `batch`: found `0`", "at least 1"]),
        ("slm/tiny/decode batch=-1", ["`-1`", "whole number"]),
        ("slm/tiny/decode batch=two", ["`two`", "whole number"]),
        ("slm/tiny/prefill prompt=1.5", ["`1.5`", "whole number"]),
        ("slm/tiny/prefill precision=f17", ["`f17`", "f16"]),
        ("slm/tiny/prefill prompt=513", ["513 tokens", "context of 512"]),
        ("slm/tiny/decode context=512", ["axis `context`: found `513", "512"]),
        ("slm/tiny/generate prompt=500 tokens=13", ["513 tokens", "512"]),
        ("slm/tiny/train-step prompt=1", ["axis `prompt`", "at least 2"]),
    ] {
        let message = refusal(text);
        for word in words {
            assert!(message.contains(word), "{text}: {message}");
        }
    }
}

#[test]
fn the_longest_lawful_rows_are_taken() {
    for text in [
        "slm/tiny/prefill prompt=512",
        "slm/tiny/decode context=511",
        "slm/tiny/generate prompt=500 tokens=12",
        "slm/tiny/train-step prompt=2",
    ] {
        let case: Case = text.parse().unwrap();
        assert!(Request::new(&case, None).is_ok(), "{text}");
    }
}

#[test]
fn a_model_file_replaces_the_shape_of_the_named_model() {
    let mut config = model_config("tiny").unwrap();
    config.layers = 7;
    let case: Case = "slm/anything/prefill".parse().unwrap();
    let request = Request::new(&case, Some(config)).unwrap();
    assert_eq!(request.config.layers, 7);
    assert!(matches!(
        Request::new(&case, None),
        Err(SlmError::UnknownModel { .. })
    ));
}
