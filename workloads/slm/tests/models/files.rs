//! Weight, golden and model files that cannot be right, and what is said.

use assay_kit::{Checkpoint, KitError};
use assay_schema::line_of;
use assay_slm::{
    Config, Family, SlmError, check_golden, load_weights, of_family,
};
use burn::tensor::Device;
use safetensors::Dtype;

use crate::weights::{Entry, bytes, checkpoint, golden_path, read};

const FILE: &str = "mine.safetensors";

/// What loading a changed weight file of the tiny llama says.
fn refusal(change: impl Fn(&mut Vec<Entry>)) -> String {
    let (config, _, _) = of_family(Family::Llama).unwrap();
    let mut entries = read("llama-tiny.weights.safetensors");
    change(&mut entries);
    let file = checkpoint(FILE, &entries);
    match load_weights(&config, &file, &Device::flex(), 8) {
        Err(error) => error.to_string(),
        Ok(_) => "loaded".to_owned(),
    }
}

fn at<'a>(entries: &'a mut [Entry], name: &str) -> &'a mut Entry {
    entries.iter_mut().find(|entry| entry.name == name).unwrap()
}

const Q: &str = "model.layers.1.self_attn.q_proj.weight";

#[test]
fn what_is_not_changed_loads() {
    assert_eq!(refusal(|_| ()), "loaded");
}

#[test]
fn a_truncated_file_is_refused_by_name() {
    let whole = bytes(&read("llama-tiny.weights.safetensors"));
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    for length in [0, 7, 100, whole.len() - 1] {
        let path = folder.join(format!("truncated-{length}.safetensors"));
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = Checkpoint::open(&path).map(|_| ()).unwrap_err();
        assert!(matches!(error, KitError::Format { .. }), "{length}");
        let message = error.to_string();
        assert!(message.contains(&path.display().to_string()), "{message}");
        std::fs::remove_file(&path).unwrap();
    }
    let error = Checkpoint::open(&folder.join("none.safetensors"));
    assert!(matches!(error, Err(KitError::Read { .. })));
}

#[test]
fn a_missing_tensor_is_named_with_the_file_and_the_nearest_there() {
    let message = refusal(|entries| {
        at(entries, Q).name = format!("{Q}s");
    });
    for word in [FILE, &format!("`{Q}`"), &format!("`{Q}s`")] {
        assert!(message.contains(word), "{word}: {message}");
    }
    let message = refusal(|entries| entries.retain(|e| e.name != Q));
    assert!(message.contains("1 tensor(s) missing"), "{message}");
}

#[test]
fn a_tensor_that_the_model_does_not_have_is_named() {
    let message = refusal(|entries| {
        let mut more = at(entries, Q).clone();
        more.name = "model.layers.2.self_attn.q_proj.weight".to_owned();
        entries.push(more);
    });
    assert!(message.starts_with(FILE), "{message}");
    assert!(message.contains("`model.layers.2.self_attn"), "{message}");
}

#[test]
fn names_known_to_carry_nothing_are_no_extra_tensors() {
    let loaded = refusal(|entries| {
        for name in
            ["lm_head.weight", "model.layers.0.self_attn.rotary_emb.inv_freq"]
        {
            let mut more = at(entries, Q).clone();
            more.name = name.to_owned();
            entries.push(more);
        }
    });
    assert_eq!(loaded, "loaded");
}

#[test]
fn another_shape_is_named_with_both_shapes() {
    let message = refusal(|entries| {
        let q = at(entries, Q);
        q.shape = vec![16, 64];
    });
    for word in [FILE, Q, "[16, 64]", "[32, 32]"] {
        assert!(message.contains(word), "{word}: {message}");
    }
}

#[test]
fn a_dtype_that_is_no_float_is_named() {
    let message = refusal(|entries| at(entries, Q).dtype = Dtype::I32);
    for word in [FILE, Q, "I32", "bf16"] {
        assert!(message.contains(word), "{word}: {message}");
    }
}

#[test]
fn a_golden_file_without_inputs_or_without_outputs_is_refused() {
    let (config, weights, _) = of_family(Family::Llama).unwrap();
    let golden = read("llama-tiny.golden.safetensors");
    for (kept, missing) in
        [("output.", "`input.tokens`"), ("input.", "output.logits")]
    {
        let some: Vec<Entry> = golden
            .iter()
            .filter(|entry| entry.name.starts_with(kept))
            .cloned()
            .collect();
        let file = checkpoint("g.safetensors", &some);
        let error = check_golden(&config, &weights, &file, None, 1e-4);
        let message = error.unwrap_err().to_string();
        assert!(message.contains("g.safetensors"), "{message}");
        assert!(message.contains(missing), "{message}");
    }
}

/// What a changed `tiny.toml` says, and the line that was changed.
fn model_refusal(from: &str, to: &str) -> (usize, String) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/models/tiny.toml");
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from}");
    let error = Config::from_toml(&text.replacen(from, to, 1), "my.toml");
    (line_of(&text, text.find(from).unwrap()), error.unwrap_err().to_string())
}

#[test]
fn an_error_in_a_model_file_names_file_line_and_what_was_expected() {
    for (from, to, words) in [
        ("gated =", "gatde =", "nearest valid: `gated`"),
        ("layers = 2", "layers = -2", "integer"),
        ("layers = 2", "layers = 0", "at least 1"),
        ("format_version = 1", "format_version = 2", "expected 1"),
        ("kv_heads = 2", "kv_heads = 3", "does not divide `heads` 4"),
        ("theta = 10000.0", "theta = nan", "`positions`"),
        ("fraction = 1.0", "fraction = 0.3", "even whole number"),
        ("fraction = 1.0", "fraction = 1.5", "even whole number"),
        ("norm_epsilon = 1e-05", "norm_epsilon = nan", "at least 0"),
        ("\"silu\"", "\"sliu\"", "silu"),
        ("\"rms-norm\"", "\"rmsnorm\"", "`rms-norm`"),
        ("\"rotary\"", "\"rotatory\"", "`rotary`"),
    ] {
        let (line, message) = model_refusal(from, to);
        let place = format!("my.toml:{line}: ");
        assert!(message.starts_with(&place), "{to}: {message}");
        assert!(message.contains(words), "{to}: {message}");
    }
}

#[test]
fn a_missing_key_of_a_model_file_is_named() {
    let (_, message) = model_refusal("width = 64\n", "");
    assert!(message.starts_with("my.toml:"), "{message}");
    assert!(message.contains("missing field `width`"), "{message}");
}

/// What a changed `config.json` of a family says.
fn json_refusal(family: &str, from: &str, to: &str) -> String {
    let path = golden_path(&format!("{family}-tiny.config.json"));
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from}");
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("{family}-{}.json", to.len()));
    std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
    let error = Config::from_file(&path).unwrap_err();
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(error, SlmError::Text(_)), "{error:?}");
    error.to_string()
}

#[test]
fn a_published_configuration_that_this_decoder_lacks_is_refused() {
    for (family, from, to, words) in [
        ("llama", "\"llama\"", "\"lama\"", "nearest: `llama`"),
        ("llama", "\"hidden_size\"", "\"hidden\"", "`hidden_size`"),
        (
            "llama",
            "\"rope_theta\"",
            "\"rope_scaling\": {\"factor\": 2}, \"rope_theta\"",
            "`rope_scaling`",
        ),
        // transformers 5 writes the base here, with a `rope_type`.
        (
            "qwen2",
            "\"rope_theta\"",
            "\"rope_parameters\": {\"rope_theta\": 1e6}, \"x\"",
            "`rope_parameters`",
        ),
        (
            "opt",
            "\"_remove_final_layer_norm\": false",
            "\"_remove_final_layer_norm\": true",
            "`_remove_final_layer_norm`",
        ),
    ] {
        let message = json_refusal(family, from, to);
        assert!(message.contains(words), "{words}: {message}");
        assert!(message.contains(".json:"), "{message}");
    }
}
