//! What the workload promises: sessions that check their answers, traces that
//! agree with what is run, and mistakes named.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed test may say so as it likes"
)]

use std::path::PathBuf;

use assay_instaflow::{InstaFlow, Request, trace};
use assay_measure::{Context, Session, Workload, WorkloadError};
use assay_trace::Graph;

fn prepared(
    text: &str,
    context: &Context,
) -> Result<Box<dyn Session>, WorkloadError> {
    InstaFlow.prepare(&format!("instaflow/{text}").parse().unwrap(), context)
}

fn traced(text: &str) -> Graph {
    let case = format!("instaflow/{text}").parse().unwrap();
    trace(&Request::new(&case, None).unwrap()).unwrap()
}

#[test]
fn every_small_case_gives_a_right_answer() {
    let context = Context::new("cpu", 1);
    for text in [
        "tiny-unet/forward batch=2",
        "tiny-unet/train-step batch=2",
        "tiny-vae/forward",
        "tiny-vae-decoder/forward",
        "tiny-text/forward",
        "tiny-stacked-unet/forward",
        "tiny/sample steps=2",
        "tiny/sample steps=2 guidance=1 sampler=heun",
        "tiny/sample steps=3 sampler=dpm-solver++",
    ] {
        let mut session = prepared(text, &context).unwrap();
        let found = session.verify().unwrap();
        assert!(found.passed(), "{text}: {found:?}");
    }
}

#[test]
fn a_pipeline_costs_its_parts() {
    let whole = traced("tiny/sample steps=3 guidance=1");
    let unet = traced("tiny-unet/forward");
    let text = traced("tiny-text/forward");
    let one = traced("tiny/sample steps=1 guidance=1");
    // Two more steps are two more calls, and an addition of velocities each.
    let more = whole.flops().value() - one.flops().value();
    let calls = more / unet.flops().value();
    assert!((2.0..2.001).contains(&calls), "{calls}");
    assert!(one.flops().value() > unet.flops().value() + text.flops().value());
    // Guidance calls the U-Net for twice as many pictures.
    let guided = traced("tiny/sample steps=1 guidance=2");
    let difference = guided.flops().value() - one.flops().value();
    assert!(difference > 0.99 * unet.flops().value());
}

#[test]
fn a_training_step_is_three_forward_passes_and_the_optimizer() {
    let forward = traced("small-unet/forward batch=8");
    let step = traced("small-unet/train-step batch=8");
    let ratio = step.flops().value() / forward.flops().value();
    assert!((2.8..3.6).contains(&ratio), "{ratio}");
}

fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let own = format!("assay-instaflow-{}-{name}", std::process::id());
    let path = std::env::temp_dir().join(own);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn bad_files_are_named() {
    let unet = include_bytes!("../goldens/unet-tiny.weights.safetensors");
    let text = include_bytes!("../goldens/text-tiny.weights.safetensors");
    let cut = file("cut.safetensors", &unet[..unet.len() / 2]);
    let other = file("other.safetensors", text);
    let right = file("right.safetensors", unet);
    for (weights, word) in [
        (&cut, "not a whole safetensors file"),
        (&other, "missing"),
        (&file("none.txt", b"").with_extension("absent"), "absent"),
    ] {
        let context = Context {
            weights: Some(weights.clone()),
            ..Context::new("cpu", 1)
        };
        let error = prepared("tiny-unet/forward", &context).err().unwrap();
        let text = error.to_string();
        assert!(text.contains(word), "{text}");
    }
    let weights = Some(right);
    let context = Context { weights, ..Context::new("cpu", 1) };
    assert!(prepared("tiny-unet/forward", &context).is_ok());
    let error = prepared("small-unet/forward", &context).err().unwrap();
    assert!(error.to_string().contains("expected"), "{error}");
}

#[test]
fn captions_that_cannot_be_drawn_are_named() {
    let long = "two red circles at the top ".repeat(9);
    for (captions, word) in
        [("a red circle\n \n", "empty"), (long.as_str(), "16"), ("", "line")]
    {
        let data = Some(file("captions.txt", captions.as_bytes()));
        let context = Context { data, ..Context::new("cpu", 1) };
        let text = "tiny/sample batch=2 steps=1";
        let error = prepared(text, &context).err().unwrap().to_string();
        assert!(error.contains(word), "{captions:?}: {error}");
    }
    let data = Some(file("scripts.txt", "два круга\n".as_bytes()));
    let context = Context { data, ..Context::new("cpu", 1) };
    let drawn = prepared("tiny/sample steps=1", &context);
    // Letters of other scripts are bytes: several tokens each, and lawful
    // while they fit.
    if let Err(error) = drawn {
        assert!(error.to_string().contains("16"), "{error}");
    }
}

#[test]
fn another_device_or_format_is_said_to_be_missing() {
    let elsewhere = Context::new("wgpu:0", 1);
    let error = prepared("tiny-unet/forward", &elsewhere).err().unwrap();
    assert!(error.to_string().contains("wgpu:0"));
    let here = Context::new("cpu", 1);
    let error = prepared("tiny-unet/forward precision=f16", &here).err();
    assert!(error.unwrap().to_string().contains("f16"));
}
