//! Hugging Face's `config.json` read into a [`Config`], and the published
//! names of the weights.
//!
//! Keys that a family's published files leave out take the defaults of
//! `transformers` 4.57 (seen in the golden configurations).

use assay_kit::{Binding, Slice};
use assay_schema::TextError;
use serde_json::Value;

use crate::config::{AttentionBias, Family, NormKind, Positions};
use crate::{Config, SlmError};

struct Keys<'a> {
    json: &'a Value,
    file: &'a str,
}

impl Keys<'_> {
    fn error(&self, message: String) -> SlmError {
        TextError { file: self.file.to_owned(), line: 1, message }.into()
    }

    fn optional(&self, key: &str) -> Option<&Value> {
        self.json.get(key).filter(|value| !value.is_null())
    }

    fn integer(&self, key: &str) -> Result<usize, SlmError> {
        self.optional(key)
            .and_then(Value::as_u64)
            .map(|n| n as usize)
            .ok_or_else(|| {
                self.error(format!("`{key}` is missing or no whole number"))
            })
    }

    fn integer_or(&self, key: &str, default: usize) -> Result<usize, SlmError> {
        if self.optional(key).is_some() {
            self.integer(key)
        } else {
            Ok(default)
        }
    }

    fn number_or(&self, key: &str, default: f64) -> f64 {
        self.optional(key).and_then(Value::as_f64).unwrap_or(default)
    }

    fn flag_or(&self, key: &str, default: bool) -> bool {
        self.optional(key).and_then(Value::as_bool).unwrap_or(default)
    }

    fn word_or<'b>(&'b self, key: &str, default: &'b str) -> &'b str {
        self.optional(key).and_then(Value::as_str).unwrap_or(default)
    }

    fn activation(
        &self,
        key: &str,
        default: &str,
    ) -> Result<assay_kernels::Activation, SlmError> {
        let word = self.word_or(key, default);
        word.parse().map_err(|error| self.error(format!("`{key}`: {error}")))
    }
}

/// Reads a `config.json`.
///
/// # Errors
///
/// No JSON; a `model_type` that is not read here; a missing key; an option
/// that this decoder does not have.
pub(crate) fn config(text: &str, file: &str) -> Result<Config, SlmError> {
    let json: Value =
        serde_json::from_str(text).map_err(|error| TextError {
            file: file.to_owned(),
            line: error.line(),
            message: error.to_string(),
        })?;
    let keys = Keys { json: &json, file };
    let kind = keys.word_or("model_type", "");
    let config = match kind {
        "llama" | "phonelm" | "mistral" => llama(&keys, Family::Llama)?,
        "qwen2" => llama(&keys, Family::Qwen2)?,
        "gpt_neox" => gpt_neox(&keys)?,
        "opt" => opt(&keys)?,
        other => {
            let known =
                ["llama", "qwen2", "gpt_neox", "opt", "mistral", "phonelm"];
            let nearest = assay_schema::nearest(other, known);
            return Err(keys.error(format!(
                "model_type `{other}` is not read here; nearest: `{}` (one of \
                 {})",
                nearest.unwrap_or_default(),
                known.join(", ")
            )));
        }
    };
    config.check().map_err(|message| keys.error(message))?;
    Ok(config)
}

fn base(keys: &Keys<'_>, family: Family) -> Result<Config, SlmError> {
    // `rope_parameters` is where transformers 5 puts what 4 calls `rope_theta`.
    for key in ["rope_scaling", "rope_parameters"] {
        if keys.optional(key).is_some() {
            return Err(keys.error(format!(
                "`{key}` is set; this decoder has plain rotary positions, \
                 with their base in `rope_theta`"
            )));
        }
    }
    let heads = keys.integer("num_attention_heads")?;
    let width = keys.integer("hidden_size")?;
    Ok(Config {
        format_version: 1,
        name: keys
            .file
            .rsplit('/')
            .next()
            .unwrap_or(keys.file)
            .trim_end_matches(".json")
            .to_owned(),
        title: keys.word_or("_name_or_path", "").to_owned(),
        source: keys.file.to_owned(),
        family,
        layers: keys.integer("num_hidden_layers")?,
        width,
        heads,
        kv_heads: keys.integer_or("num_key_value_heads", heads)?,
        head_dim: keys.integer_or("head_dim", width / heads.max(1))?,
        ffn: 0,
        vocab: keys.integer("vocab_size")?,
        context: keys.integer_or("max_position_embeddings", 2048)?,
        activation: assay_kernels::Activation::Silu,
        gated: true,
        norm: NormKind::RmsNorm,
        norm_epsilon: 1e-5,
        positions: Positions::Rotary { theta: 10_000.0, fraction: 1.0 },
        attention_bias: AttentionBias::None,
        mlp_bias: false,
        parallel_residual: false,
        tied_embeddings: keys.flag_or("tie_word_embeddings", false),
        published_params_m: None,
    })
}

fn llama(keys: &Keys<'_>, family: Family) -> Result<Config, SlmError> {
    let bias = if family == Family::Qwen2 {
        AttentionBias::Qkv
    } else if keys.flag_or("attention_bias", false) {
        AttentionBias::All
    } else {
        AttentionBias::None
    };
    Ok(Config {
        ffn: keys.integer("intermediate_size")?,
        activation: keys.activation("hidden_act", "silu")?,
        norm_epsilon: keys.number_or("rms_norm_eps", 1e-6),
        positions: Positions::Rotary {
            theta: keys.number_or("rope_theta", 10_000.0),
            fraction: 1.0,
        },
        attention_bias: bias,
        mlp_bias: keys.flag_or("mlp_bias", false),
        ..base(keys, family)?
    })
}

fn gpt_neox(keys: &Keys<'_>) -> Result<Config, SlmError> {
    let bias = keys.flag_or("attention_bias", true);
    Ok(Config {
        ffn: keys.integer("intermediate_size")?,
        activation: keys.activation("hidden_act", "gelu")?,
        gated: false,
        norm: NormKind::LayerNorm,
        norm_epsilon: keys.number_or("layer_norm_eps", 1e-5),
        positions: Positions::Rotary {
            theta: keys.number_or("rotary_emb_base", 10_000.0),
            fraction: keys.number_or("rotary_pct", 0.25),
        },
        attention_bias: if bias {
            AttentionBias::All
        } else {
            AttentionBias::None
        },
        mlp_bias: true,
        parallel_residual: keys.flag_or("use_parallel_residual", true),
        ..base(keys, Family::GptNeox)?
    })
}

fn opt(keys: &Keys<'_>) -> Result<Config, SlmError> {
    let width = keys.integer("hidden_size")?;
    if !keys.flag_or("do_layer_norm_before", true)
        || keys.integer_or("word_embed_proj_dim", width)? != width
    {
        return Err(keys.error(
            "post-norm or projected embeddings (OPT-350M) are not read here"
                .to_owned(),
        ));
    }
    Ok(Config {
        ffn: keys.integer("ffn_dim")?,
        activation: keys.activation("activation_function", "relu")?,
        gated: false,
        norm: NormKind::LayerNorm,
        norm_epsilon: 1e-5,
        positions: Positions::Learned { offset: 2 },
        attention_bias: AttentionBias::All,
        mlp_bias: true,
        tied_embeddings: keys.flag_or("tie_word_embeddings", true),
        ..base(keys, Family::Opt)?
    })
}

/// The published name of every parameter.
pub(crate) fn bindings(config: &Config) -> Vec<Binding> {
    let mut table = Vec::new();
    let mut bind = |ours: String, theirs: String, slice: Slice| {
        table.push(Binding { ours, theirs, slice });
    };
    let names = Names::of(config.family);
    let norm_parts: &[&str] = match config.norm {
        NormKind::RmsNorm => &["weight"],
        NormKind::LayerNorm => &["weight", "bias"],
    };
    let linear_parts = |bias: bool| -> &[&str] {
        if bias { &["weight", "bias"] } else { &["weight"] }
    };
    bind("embedding".into(), names.embedding.into(), Slice::Whole);
    if let Positions::Learned { .. } = config.positions {
        bind("positions".into(), names.positions.into(), Slice::Whole);
    }
    for layer in 0..config.layers {
        let theirs = format!("{}.{layer}", names.layers);
        let ours = format!("blocks.{layer}");
        for part in norm_parts {
            for (own, their) in [
                ("attention_norm", names.attention_norm),
                ("mlp_norm", names.mlp_norm),
            ] {
                bind(
                    format!("{ours}.{own}.{part}"),
                    format!("{theirs}.{their}.{part}"),
                    Slice::Whole,
                );
            }
        }
        let qkv_bias = config.attention_bias != AttentionBias::None;
        for (index, own) in ["q", "k", "v"].into_iter().enumerate() {
            for part in linear_parts(qkv_bias) {
                let (their, slice) = match names.qkv {
                    Qkv::Apart(names) => (names[index], Slice::Whole),
                    Qkv::Packed(name) => (
                        name,
                        Slice::PackedHeads {
                            heads: config.heads,
                            parts: 3,
                            part: index,
                        },
                    ),
                };
                bind(
                    format!("{ours}.attention.{own}.{part}"),
                    format!("{theirs}.{their}.{part}"),
                    slice,
                );
            }
        }
        for part in linear_parts(config.attention_bias == AttentionBias::All) {
            bind(
                format!("{ours}.attention.output.{part}"),
                format!("{theirs}.{}.{part}", names.output),
                Slice::Whole,
            );
        }
        for (own, their) in names.mlp {
            for part in linear_parts(config.mlp_bias) {
                bind(
                    format!("{ours}.mlp.{own}.{part}"),
                    format!("{theirs}.{their}.{part}"),
                    Slice::Whole,
                );
            }
        }
    }
    for part in norm_parts {
        bind(
            format!("norm.{part}"),
            format!("{}.{part}", names.norm),
            Slice::Whole,
        );
    }
    if !config.tied_embeddings {
        bind("head.weight".into(), names.head.into(), Slice::Whole);
    }
    table
}

/// Names in published files that carry nothing learned: rotary tables, masks,
/// and a tied head written out.
pub(crate) fn is_ignored(config: &Config, name: &str) -> bool {
    name.ends_with("rotary_emb.inv_freq")
        || name.ends_with(".attention.bias")
        || name.ends_with(".attention.masked_bias")
        || (config.tied_embeddings && name == Names::of(config.family).head)
}

enum Qkv {
    Apart([&'static str; 3]),
    Packed(&'static str),
}

struct Names {
    embedding: &'static str,
    positions: &'static str,
    layers: &'static str,
    attention_norm: &'static str,
    mlp_norm: &'static str,
    qkv: Qkv,
    output: &'static str,
    mlp: &'static [(&'static str, &'static str)],
    norm: &'static str,
    head: &'static str,
}

impl Names {
    fn of(family: Family) -> Self {
        match family {
            Family::Llama | Family::Qwen2 => Self {
                embedding: "model.embed_tokens.weight",
                positions: "",
                layers: "model.layers",
                attention_norm: "input_layernorm",
                mlp_norm: "post_attention_layernorm",
                qkv: Qkv::Apart([
                    "self_attn.q_proj",
                    "self_attn.k_proj",
                    "self_attn.v_proj",
                ]),
                output: "self_attn.o_proj",
                mlp: &[
                    ("gate", "mlp.gate_proj"),
                    ("up", "mlp.up_proj"),
                    ("down", "mlp.down_proj"),
                ],
                norm: "model.norm",
                head: "lm_head.weight",
            },
            Family::GptNeox => Self {
                embedding: "gpt_neox.embed_in.weight",
                positions: "",
                layers: "gpt_neox.layers",
                attention_norm: "input_layernorm",
                mlp_norm: "post_attention_layernorm",
                qkv: Qkv::Packed("attention.query_key_value"),
                output: "attention.dense",
                mlp: &[
                    ("up", "mlp.dense_h_to_4h"),
                    ("down", "mlp.dense_4h_to_h"),
                ],
                norm: "gpt_neox.final_layer_norm",
                head: "embed_out.weight",
            },
            Family::Opt => Self {
                embedding: "model.decoder.embed_tokens.weight",
                positions: "model.decoder.embed_positions.weight",
                layers: "model.decoder.layers",
                attention_norm: "self_attn_layer_norm",
                mlp_norm: "final_layer_norm",
                qkv: Qkv::Apart([
                    "self_attn.q_proj",
                    "self_attn.k_proj",
                    "self_attn.v_proj",
                ]),
                output: "self_attn.out_proj",
                mlp: &[("up", "fc1"), ("down", "fc2")],
                norm: "model.decoder.final_layer_norm",
                head: "lm_head.weight",
            },
        }
    }
}
