//! Published files against the shipped shapes, and what is refused.

use super::config;
use crate::{Config, models};

/// A file read, with the name and sources of the shipped model that it
/// must equal.
fn read(json: &str, name: &str) -> (Config, Config) {
    let shipped = models::config(name).unwrap();
    let found = config(json, "config.json").unwrap();
    let found = Config {
        name: shipped.name.clone(),
        title: shipped.title.clone(),
        source: shipped.source.clone(),
        published_params_m: shipped.published_params_m,
        ..found
    };
    (found, shipped)
}

#[test]
fn published_files_give_the_shipped_shapes() {
    for (name, json) in [
        (
            "bloom-560m",
            r#"{"model_type": "bloom", "n_embed": 1024, "n_inner": null,
            "n_layer": 24, "num_attention_heads": 16, "offset_alibi": 100,
            "vocab_size": 250880, "seq_length": 2048}"#,
        ),
        (
            "opt-350m",
            r#"{"model_type": "opt", "hidden_size": 1024, "ffn_dim": 4096,
            "num_hidden_layers": 24, "num_attention_heads": 16,
            "vocab_size": 50272, "max_position_embeddings": 2048,
            "do_layer_norm_before": false, "word_embed_proj_dim": 512}"#,
        ),
        (
            "gpt2",
            r#"{"model_type": "gpt2", "n_embd": 768, "n_layer": 12,
            "n_head": 12, "n_positions": 1024, "n_ctx": 1024,
            "vocab_size": 50257, "activation_function": "gelu_new"}"#,
        ),
        (
            "phi-2",
            r#"{"model_type": "phi", "hidden_size": 2560,
            "intermediate_size": 10240, "num_hidden_layers": 32,
            "num_attention_heads": 32, "num_key_value_heads": 32,
            "partial_rotary_factor": 0.4, "vocab_size": 51200,
            "max_position_embeddings": 2048}"#,
        ),
        (
            "phi-3-mini-4k-instruct",
            r#"{"model_type": "phi3", "hidden_size": 3072,
            "intermediate_size": 8192, "num_hidden_layers": 32,
            "num_attention_heads": 32, "num_key_value_heads": 32,
            "vocab_size": 32064, "max_position_embeddings": 4096,
            "rms_norm_eps": 1e-05, "rope_scaling": null,
            "rope_theta": 10000.0, "sliding_window": 2047}"#,
        ),
        (
            "gemma-2b",
            r#"{"model_type": "gemma", "hidden_size": 2048,
            "intermediate_size": 16384, "num_hidden_layers": 18,
            "num_attention_heads": 8, "num_key_value_heads": 1,
            "head_dim": 256, "vocab_size": 256000, "hidden_act": "gelu",
            "max_position_embeddings": 8192}"#,
        ),
        (
            "recurrentgemma-2b",
            r#"{"model_type": "recurrent_gemma", "hidden_size": 2560,
            "intermediate_size": 15360, "num_hidden_layers": 26,
            "num_attention_heads": 10, "num_key_value_heads": 1,
            "lru_width": 2560, "vocab_size": 256000,
            "_block_types": ["recurrent", "recurrent", "attention"]}"#,
        ),
        (
            "minicpm-1b-sft-bf16",
            r#"{"model_type": "minicpm", "hidden_size": 1536,
            "intermediate_size": 3840, "num_hidden_layers": 52,
            "num_attention_heads": 24, "num_key_value_heads": 8,
            "vocab_size": 73440, "max_position_embeddings": 4096,
            "rms_norm_eps": 1e-05, "scale_emb": 12, "scale_depth": 1.4,
            "dim_model_base": 256}"#,
        ),
        (
            "openelm-270m",
            r#"{"model_type": "openelm", "model_dim": 1280,
            "num_transformer_layers": 16, "head_dim": 64,
            "vocab_size": 32000, "max_context_length": 2048,
            "num_query_heads": [12, 12, 12, 12, 12, 16, 16, 16, 16, 16,
            16, 16, 20, 20, 20, 20], "num_kv_heads": [3, 3, 3, 3, 3, 4,
            4, 4, 4, 4, 4, 4, 5, 5, 5, 5], "ffn_multipliers": [0.5, 0.73,
            0.97, 1.2, 1.43, 1.67, 1.9, 2.13, 2.37, 2.6, 2.83, 3.07, 3.3,
            3.53, 3.77, 4.0]}"#,
        ),
        (
            "stablelm-zephyr-3b",
            r#"{"model_type": "stablelm", "hidden_size": 2560,
            "intermediate_size": 6912, "num_hidden_layers": 32,
            "num_attention_heads": 32, "num_key_value_heads": 32,
            "partial_rotary_factor": 0.25, "vocab_size": 50304,
            "max_position_embeddings": 4096}"#,
        ),
        (
            "llama-3.2-1b",
            r#"{"model_type": "llama", "hidden_size": 2048,
            "intermediate_size": 8192, "num_hidden_layers": 16,
            "num_attention_heads": 32, "num_key_value_heads": 8,
            "head_dim": 64, "vocab_size": 128256, "rope_theta": 500000.0,
            "max_position_embeddings": 131072, "rms_norm_eps": 1e-05,
            "tie_word_embeddings": true, "rope_scaling": {"factor": 32.0,
            "high_freq_factor": 4.0, "low_freq_factor": 1.0,
            "original_max_position_embeddings": 8192,
            "rope_type": "llama3"}}"#,
        ),
        (
            "qwen-1.8b",
            r#"{"model_type": "qwen", "hidden_size": 2048,
            "intermediate_size": 11008, "num_hidden_layers": 24,
            "num_attention_heads": 16, "vocab_size": 151936,
            "max_position_embeddings": 8192}"#,
        ),
        (
            "minitron-4b-base",
            r#"{"model_type": "nemotron", "hidden_size": 3072,
            "intermediate_size": 9216, "num_hidden_layers": 32,
            "num_attention_heads": 24, "num_key_value_heads": 8,
            "head_dim": 128, "hidden_act": "relu2", "vocab_size": 256000,
            "max_position_embeddings": 4096}"#,
        ),
    ] {
        let (found, shipped) = read(json, name);
        assert_eq!(found, shipped, "{name}");
    }
}

/// A small file of a family with more keys.
fn small(kind: &str, more: &str) -> String {
    format!(
        r#"{{"model_type": "{kind}", "hidden_size": 64, "head_dim": 16,
        "intermediate_size": 128, "num_hidden_layers": 2, "vocab_size": 256,
        "num_attention_heads": 4, "max_position_embeddings": 128{more}}}"#
    )
}

#[test]
fn rotary_positions_as_transformers_5_writes_them_are_those_of_4() {
    for (kind, four, five) in [
        (
            "llama",
            r#", "rope_theta": 5e5"#,
            r#", "rope_parameters": {"rope_theta": 5e5,
            "rope_type": "default"}"#,
        ),
        (
            "phi",
            r#", "rope_theta": 2e4, "partial_rotary_factor": 0.25"#,
            r#", "rope_parameters": {"rope_theta": 2e4,
            "partial_rotary_factor": 0.25, "rope_type": "default"}"#,
        ),
        (
            "gpt_neox",
            r#", "rotary_emb_base": 2e4, "rotary_pct": 0.5"#,
            r#", "rope_parameters": {"rope_theta": 2e4,
            "partial_rotary_factor": 0.5, "rope_type": "default"}"#,
        ),
        (
            "llama",
            r#", "rope_theta": 5e5, "rope_scaling": {"factor": 32.0,
            "high_freq_factor": 4.0, "low_freq_factor": 1.0,
            "original_max_position_embeddings": 64, "rope_type": "llama3"}"#,
            r#", "rope_parameters": {"factor": 32.0, "rope_theta": 5e5,
            "high_freq_factor": 4.0, "low_freq_factor": 1.0,
            "original_max_position_embeddings": 64, "rope_type": "llama3"}"#,
        ),
    ] {
        let [four, five] = [four, five]
            .map(|more| config(&small(kind, more), "config.json").unwrap());
        assert_eq!(four, five, "{kind}");
        let plain = config(&small(kind, ""), "config.json").unwrap();
        assert_ne!(plain.positions, five.positions, "{kind}");
    }
}

#[test]
fn gemma_2_caps_its_scores_unless_a_file_takes_the_cap_away() {
    let caps = |more: &str| {
        let found = config(&small("gemma2", more), "config.json").unwrap();
        (found.variation.attention_cap, found.variation.logit_cap)
    };
    assert_eq!(caps(""), (Some(50.0), Some(30.0)));
    let null = r#", "attn_logit_softcapping": null"#;
    assert_eq!(caps(null), (None, Some(30.0)));
}

#[test]
fn a_key_of_the_wrong_type_is_named_with_what_was_expected() {
    for (kind, more, words) in [
        ("llama", r#", "rope_theta": "10000""#, "`rope_theta` is \"10000\""),
        ("llama", r#", "rms_norm_eps": "1e-5""#, "expected a number"),
        ("llama", r#", "mlp_bias": 1"#, "`mlp_bias` is 1, expected true"),
        ("llama", r#", "hidden_act": 3"#, "`hidden_act` is 3, expected a word"),
        ("gemma2", r#", "final_logit_softcapping": true"#, "is true, expected"),
        (
            "llama",
            r#", "rope_parameters": {"rope_theta": "1",
            "rope_type": "default"}"#,
            "`rope_theta` is \"1\"",
        ),
        (
            "llama",
            r#", "rope_parameters": {"rope_theta": 1e4,
            "rope_type": "yarn"}"#,
            "`rope_parameters` is set",
        ),
        ("recurrent_gemma", r#", "block_types": "all""#, "`block_types`"),
    ] {
        let error = config(&small(kind, more), "config.json");
        let message = error.unwrap_err().to_string();
        assert!(message.contains(words), "{words}: {message}");
    }
}

#[test]
fn what_is_missing_of_a_family_is_named() {
    for (json, words) in [
        (r#"{"model_type": "gpt2", "scale_attn_weights": false}"#, "scale"),
        (r#"{"model_type": "olmo", "clip_qkv": 8.0}"#, "`clip_qkv`"),
        (r#"{"model_type": "phi", "qk_layernorm": true}"#, "qk_layernorm"),
        (r#"{"model_type": "mamba"}"#, "`mamba` is not read here"),
        (
            r#"{"model_type": "openelm", "num_transformer_layers": 2,
            "model_dim": 64, "num_query_heads": [4]}"#,
            "1 numbers, expected 2",
        ),
    ] {
        let error = config(json, "config.json");
        let message = error.unwrap_err().to_string();
        assert!(message.contains(words), "{words}: {message}");
    }
}
