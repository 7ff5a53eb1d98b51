//! Golden files: the right answers of tiny models, made by `transformers` on
//! PyTorch (`goldens/README.md` lists the tensors).

use std::collections::BTreeMap;

use assay_kit::{
    Checkpoint, Optimizer, Parameters, Values, compare, floats,
    gradient_values, load, merge, parameter_values, rows,
};
use assay_schema::Verification;
use assay_trace::Tape;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::config::Family;
use crate::hugging_face::{bindings, bindings_in, config, is_ignored};
use crate::steps::{ADAMW, decode, seen, train};
use crate::{Config, Decoder, Phase, SlmError};

struct Files {
    config: &'static str,
    weights: &'static [u8],
    golden: &'static [u8],
}

macro_rules! files {
    ($name:literal) => {
        Files {
            config: include_str!(concat!(
                "../goldens/",
                $name,
                "-tiny.config.json"
            )),
            weights: include_bytes!(concat!(
                "../goldens/",
                $name,
                "-tiny.weights.safetensors"
            )),
            golden: include_bytes!(concat!(
                "../goldens/",
                $name,
                "-tiny.golden.safetensors"
            )),
        }
    };
}

/// The golden files of a family, where they are made.
fn files_of(family: Family) -> Option<(&'static str, Files)> {
    match family {
        Family::Llama => Some(("llama", files!("llama"))),
        Family::Qwen2 => Some(("qwen2", files!("qwen2"))),
        Family::GptNeox => Some(("gpt_neox", files!("gpt_neox"))),
        Family::Opt => Some(("opt", files!("opt"))),
        Family::Bloom => Some(("bloom", files!("bloom"))),
        Family::Gpt2 => Some(("gpt2", files!("gpt2"))),
        Family::Phi => Some(("phi", files!("phi"))),
        Family::Phi3 => Some(("phi3", files!("phi3"))),
        Family::Stablelm => Some(("stablelm", files!("stablelm"))),
        Family::Gemma => Some(("gemma", files!("gemma"))),
        Family::Gemma2 => Some(("gemma2", files!("gemma2"))),
        Family::RecurrentGemma => {
            Some(("recurrent_gemma", files!("recurrent_gemma")))
        }
        Family::Olmo => Some(("olmo", files!("olmo"))),
        Family::Nemotron => Some(("nemotron", files!("nemotron"))),
        // `transformers` does not have these.
        Family::Qwen
        | Family::Minicpm
        | Family::Minicpm3
        | Family::Openelm
        | Family::OpenLm => None,
    }
}

/// Whether a family has golden files.
pub(crate) fn is_made(family: Family) -> bool {
    files_of(family).is_some()
}

/// The tiny model of a family: its shape, weights and right answers.
///
/// # Errors
///
/// A family without golden files; embedded files that do not read, a bug of
/// this crate.
pub fn of_family(
    family: Family,
) -> Result<(Config, Checkpoint, Checkpoint), SlmError> {
    let (name, files) =
        files_of(family).ok_or(SlmError::NoGolden { family })?;
    let file = |part: &str| format!("goldens/{name}-tiny.{part}");
    Ok((
        config(files.config, &file("config.json"))?,
        Checkpoint::from_bytes(
            file("weights.safetensors"),
            files.weights.to_vec(),
        )?,
        Checkpoint::from_bytes(
            file("golden.safetensors"),
            files.golden.to_vec(),
        )?,
    ))
}

/// How a golden file names a weight's gradient, and the weight after a step.
const GRADIENT: &str = "output.grad.";
const UPDATED: &str = "output.updated.";

/// A model with the weights of a file in published names, for rows of at most
/// `longest` tokens.
///
/// # Errors
///
/// Missing or extra tensors, wrong shapes, a truncated file; a shape that
/// leaves out something of the published model.
pub fn load_weights(
    config: &Config,
    weights: &Checkpoint,
    device: &Device,
    longest: usize,
) -> Result<Decoder, SlmError> {
    if let Some(what) = &config.variation.left_out {
        return Err(SlmError::LeftOut {
            model: config.name.clone(),
            what: what.clone(),
        });
    }
    let mut shapes = Parameters::shapes(device);
    let model = Decoder::new(&mut shapes, config, longest);
    let table = bindings_in(config, &weights.names()?);
    Ok(load(model, weights, &table, |name| is_ignored(config, name))?)
}

/// Runs a model on a golden file's inputs and compares every output that the
/// file has. `phase` narrows it to what a phase computes; `None` checks all.
///
/// # Errors
///
/// A golden file without `input.tokens` or without any known output; weights
/// that do not fit the model.
pub fn check(
    config: &Config,
    weights: &Checkpoint,
    golden: &Checkpoint,
    phase: Option<Phase>,
    tolerance: f64,
) -> Result<Verification, SlmError> {
    let names = golden.names()?;
    let has = |name: &str| names.iter().any(|n| n == name);
    let (shape, tokens) = golden.integers("input.tokens")?;
    let device = Device::flex();
    let ids = |device: &Device| {
        Tensor::<2, Int>::from_data(
            TensorData::new(tokens.clone(), shape.clone()),
            device,
        )
    };
    let inference = phase != Some(Phase::TrainStep);
    let mut parts = Vec::new();
    if has("output.logits") && inference {
        let right = golden.floats("output.logits")?;
        let model = load_weights(config, weights, &device, config.context)?;
        let logits = model.logits(model.hidden(ids(&device), 0, None));
        parts.push(compare(
            "logits",
            &floats(logits),
            &right.values,
            tolerance,
        ));
        parts.push(compare(
            "logits token by token through the cache",
            &cached_logits(&model, config, ids(&device)),
            &right.values,
            tolerance,
        ));
    }
    if has("output.generated") && inference {
        let (_, right) = golden.integers("output.generated")?;
        let model = load_weights(config, weights, &device, config.context)?;
        let row = ids(&device).narrow(0, 0, 1);
        let found = generate(&model, config, row, right.len());
        let as_floats = |ids: &[i64]| -> Vec<f32> {
            ids.iter().map(|&id| id as f32).collect()
        };
        // Ids are right or wrong: any difference is past every tolerance.
        let mut part = compare(
            "generated",
            &as_floats(&found),
            &as_floats(&right),
            tolerance,
        );
        if found != right {
            part.relative_difference = f64::INFINITY;
        }
        parts.push(part);
    }
    if has("output.loss") && phase.is_none_or(|p| p == Phase::TrainStep) {
        let device = device.autodiff();
        let model = load_weights(config, weights, &device, config.context)?;
        parts.extend(check_training(
            config,
            model,
            golden,
            ids(&device),
            tolerance,
        )?);
    }
    let against = what_was_compared(golden, &parts);
    merge(parts).map(|worst| Verification { against, ..worst }).ok_or_else(
        || {
            assay_kit::KitError::Missing {
                path: golden.path().to_owned(),
                names: vec![
                    "output.logits, output.generated or output.loss".to_owned(),
                ],
                nearest: names.into_iter().find(|n| n.starts_with("output.")),
            }
            .into()
        },
    )
}

/// `golden FILE: logits, loss, 4 gradients, 4 updated weights`.
fn what_was_compared(golden: &Checkpoint, parts: &[Verification]) -> String {
    let count = |prefix: &str| {
        parts.iter().filter(|p| p.against.starts_with(prefix)).count()
    };
    let mut names: Vec<String> = parts
        .iter()
        .map(|p| p.against.clone())
        .filter(|name| !name.starts_with("output."))
        .collect();
    for (prefix, word) in
        [(GRADIENT, "gradients"), (UPDATED, "updated weights")]
    {
        if count(prefix) > 0 {
            names.push(format!("{} {word}", count(prefix)));
        }
    }
    format!("golden {}: {}", golden.path().display(), names.join(", "))
}

fn cached_logits(
    model: &Decoder,
    config: &Config,
    tokens: Tensor<2, Int>,
) -> Vec<f32> {
    let [b, t] = tokens.dims();
    let first = tokens.clone().slice([0..b, 0..1]);
    let (logits, mut cache) = seen(model, config, first, t);
    let mut all = vec![logits];
    for i in 1..t {
        let next = tokens.clone().slice([0..b, i..i + 1]);
        all.push(decode(model, next, i, &mut cache));
    }
    floats(Tensor::cat(all, 1))
}

/// Greedy continuation of one row `[1, T]` by `count` tokens.
pub(crate) fn generate(
    model: &Decoder,
    config: &Config,
    prompt: Tensor<2, Int>,
    count: usize,
) -> Vec<i64> {
    let [_, t] = prompt.dims();
    let (mut logits, mut cache) = seen(model, config, prompt, t + count);
    let mut found = Vec::new();
    for i in 0..count {
        let next = logits.argmax(2).reshape([1, 1]); // [1, 1]
        let id = next.clone().into_data().convert::<i64>();
        found.extend(id.try_into_vec::<i64>().unwrap_or_default());
        logits = decode(model, next, t + i, &mut cache);
    }
    found
}

fn check_training(
    config: &Config,
    model: Decoder,
    golden: &Checkpoint,
    tokens: Tensor<2, Int>,
    tolerance: f64,
) -> Result<Vec<Verification>, SlmError> {
    let right = golden.floats("output.loss")?;
    let loss = model.loss(tokens.clone());
    let mut parts = vec![compare(
        "loss",
        &floats(assay_trace::inner(loss.clone())),
        &right.values,
        tolerance,
    )];
    let gradients = gradient_values(&model, Tape::of(loss));
    let mut optimizer = Optimizer::new(ADAMW);
    let (_, updated) = train(model, &mut optimizer, tokens);
    let updated = parameter_values(&updated);
    for name in golden.names()? {
        let Some(weight) = name.strip_prefix(GRADIENT) else { continue };
        let right = golden.floats(&name)?;
        parts.push(compare_bound(
            config, weight, &gradients, &right, None, &name, tolerance,
        )?);
        let after = format!("{UPDATED}{weight}");
        if let Ok(right_after) = golden.floats(&after) {
            parts.push(compare_bound(
                config,
                weight,
                &updated,
                &right_after,
                Some(&right),
                &after,
                tolerance,
            )?);
        }
    }
    Ok(parts)
}

/// Compares a tensor in published layout with ours. AdamW's first step is the
/// sign of the gradient: where that is within rounding of zero (2e-5) an
/// updated value says nothing, and is left out.
fn compare_bound(
    config: &Config,
    weight: &str,
    ours: &BTreeMap<String, Vec<f32>>,
    right: &Values,
    gradient: Option<&Values>,
    label: &str,
    tolerance: f64,
) -> Result<Verification, SlmError> {
    let (mut found, mut expected) = (Vec::new(), Vec::new());
    for binding in bindings(config).iter().filter(|b| b.theirs == weight) {
        let part = |values: &Values| rows(values.clone(), binding.slice).values;
        let slope = gradient.map(part);
        let own = ours.get(&binding.ours).map_or(&[][..], Vec::as_slice);
        for (i, (own, right)) in own.iter().zip(part(right)).enumerate() {
            if slope.as_ref().is_none_or(|slope| slope[i].abs() > 2e-5) {
                found.push(*own);
                expected.push(right);
            }
        }
    }
    Ok(compare(label.to_owned(), &found, &expected, tolerance))
}
