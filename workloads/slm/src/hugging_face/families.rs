//! How each family's `config.json` is read.

use assay_kernels::Activation;

use super::{Keys, base, name_of};
use crate::config::{AttentionBias, Family, NormKind, Positions};
use crate::variation::{
    Gain, Latent, PerLayer, QkNorm, Recurrence, Variation, Window, WindowLayers,
};
use crate::{Config, SlmError};

type Read = Result<Config, SlmError>;

/// Rotary positions of a family whose heads turn by `fraction` where its file
/// does not say how much.
fn rotary(keys: &Keys<'_>, fraction: f64) -> Result<Positions, SlmError> {
    rotary_by(keys, "rope_theta", "partial_rotary_factor", fraction)
}

/// The same of a family with other names of base and fraction.
fn rotary_by(
    keys: &Keys<'_>,
    theta: &str,
    share: &str,
    fraction: f64,
) -> Result<Positions, SlmError> {
    Ok(Positions::Rotary {
        theta: keys.rope_number_or("rope_theta", theta, 10_000.0)?,
        fraction: keys.rope_number_or(
            "partial_rotary_factor",
            share,
            fraction,
        )?,
    })
}

/// All biases of attention, or none.
fn all_or_none(is_there: bool) -> AttentionBias {
    if is_there { AttentionBias::All } else { AttentionBias::None }
}

/// LLaMA and what has its keys.
pub(super) fn llama(keys: &Keys<'_>, family: Family) -> Read {
    let bias = if family == Family::Qwen2 {
        AttentionBias::Qkv
    } else {
        all_or_none(keys.flag_or("attention_bias", false)?)
    };
    let config = base(keys, family)?;
    if family == Family::Qwen2 {
        keys.refuse(
            "use_sliding_window",
            false,
            true,
            "windows in some layers of Qwen2 are not read here",
        )?;
    }
    // Qwen2's files state a window that is not used.
    let window = match keys.integer_or("sliding_window", 0)? {
        0 => None,
        _ if family == Family::Qwen2 => None,
        tokens if tokens >= config.context => None,
        tokens => Some(Window { tokens, layers: WindowLayers::All }),
    };
    // MobileLLM says it so.
    let shared = keys.flag_or("share_embedding", config.tied_embeddings)?;
    Ok(Config {
        ffn: keys.integer("intermediate_size")?,
        activation: keys.activation("hidden_act", "silu")?,
        norm_epsilon: keys.number_or("rms_norm_eps", 1e-6)?,
        positions: rotary(keys, 1.0)?,
        attention_bias: bias,
        mlp_bias: keys.flag_or("mlp_bias", false)?,
        tied_embeddings: shared,
        variation: Variation {
            window,
            rotary_scaling: keys.llama3_scaling()?,
            ..Variation::default()
        },
        ..config
    })
}

/// GPT-NeoX.
pub(super) fn gpt_neox(keys: &Keys<'_>) -> Read {
    Ok(Config {
        ffn: keys.integer("intermediate_size")?,
        activation: keys.activation("hidden_act", "gelu")?,
        gated: false,
        norm: NormKind::LayerNorm,
        norm_epsilon: keys.number_or("layer_norm_eps", 1e-5)?,
        positions: rotary_by(keys, "rotary_emb_base", "rotary_pct", 0.25)?,
        attention_bias: all_or_none(keys.flag_or("attention_bias", true)?),
        mlp_bias: true,
        parallel_residual: keys.flag_or("use_parallel_residual", true)?,
        ..base(keys, Family::GptNeox)?
    })
}

/// OPT, OPT-350M with its norms behind and its projections, Galactica.
pub(super) fn opt(keys: &Keys<'_>) -> Read {
    let width = keys.integer("hidden_size")?;
    let inner = keys.integer_or("word_embed_proj_dim", width)?;
    keys.refuse(
        "_remove_final_layer_norm",
        false,
        true,
        "a decoder whose last norm was taken out is not read here",
    )?;
    let affine = keys.flag_or("layer_norm_elementwise_affine", true)?;
    let bias = keys.flag_or("enable_bias", true)?;
    Ok(Config {
        ffn: keys.integer("ffn_dim")?,
        activation: keys.activation("activation_function", "relu")?,
        gated: false,
        norm: NormKind::LayerNorm,
        norm_epsilon: 1e-5,
        positions: Positions::Learned { offset: 2 },
        attention_bias: all_or_none(bias),
        mlp_bias: bias,
        tied_embeddings: keys.flag_or("tie_word_embeddings", true)?,
        variation: Variation {
            norm_gain: if affine { Gain::Plain } else { Gain::None },
            norm_after: !keys.flag_or("do_layer_norm_before", true)?,
            embedding_width: (inner != width).then_some(inner),
            ..Variation::default()
        },
        ..base(keys, Family::Opt)?
    })
}

/// BLOOM.
pub(super) fn bloom(keys: &Keys<'_>) -> Read {
    keys.refuse(
        "apply_residual_connection_post_layernorm",
        false,
        true,
        "a residual taken behind the norm is not read here",
    )?;
    let config = base(keys, Family::Bloom)?;
    Ok(Config {
        ffn: 4 * config.width,
        activation: Activation::GeluTanh,
        gated: false,
        norm: NormKind::LayerNorm,
        norm_epsilon: keys.number_or("layer_norm_epsilon", 1e-5)?,
        positions: Positions::Alibi,
        attention_bias: AttentionBias::All,
        mlp_bias: true,
        tied_embeddings: keys.flag_or("tie_word_embeddings", true)?,
        variation: Variation { embedding_norm: true, ..Variation::default() },
        ..config
    })
}

/// GPT-2, Cerebras-GPT, LaMini-GPT.
pub(super) fn gpt2(keys: &Keys<'_>) -> Read {
    keys.refuse(
        "scale_attn_by_inverse_layer_idx",
        false,
        true,
        "scores divided by the layer's number are not read here",
    )?;
    keys.refuse(
        "scale_attn_weights",
        true,
        false,
        "scores without a scale are not read here",
    )?;
    let config = base(keys, Family::Gpt2)?;
    Ok(Config {
        ffn: keys.integer_or("n_inner", 4 * config.width)?,
        activation: keys.activation("activation_function", "gelu_new")?,
        gated: false,
        norm: NormKind::LayerNorm,
        norm_epsilon: keys.number_or("layer_norm_epsilon", 1e-5)?,
        positions: Positions::Learned { offset: 0 },
        attention_bias: AttentionBias::All,
        mlp_bias: true,
        tied_embeddings: keys.flag_or("tie_word_embeddings", true)?,
        ..config
    })
}

/// Phi-1 to Phi-2.
pub(super) fn phi(keys: &Keys<'_>) -> Read {
    refuse_qk_norm(keys)?;
    Ok(Config {
        ffn: keys.integer("intermediate_size")?,
        activation: keys.activation("hidden_act", "gelu_new")?,
        gated: false,
        norm: NormKind::LayerNorm,
        norm_epsilon: keys.number_or("layer_norm_eps", 1e-5)?,
        positions: rotary(keys, 0.5)?,
        attention_bias: AttentionBias::All,
        mlp_bias: true,
        parallel_residual: true,
        variation: Variation {
            single_norm: true,
            head_bias: true,
            ..Variation::default()
        },
        ..base(keys, Family::Phi)?
    })
}

fn refuse_qk_norm(keys: &Keys<'_>) -> Result<(), SlmError> {
    keys.refuse(
        "qk_layernorm",
        false,
        true,
        "this family's norms of queries and keys are not read here",
    )
}

/// StableLM.
pub(super) fn stablelm(keys: &Keys<'_>) -> Read {
    refuse_qk_norm(keys)?;
    let parallel = keys.flag_or("use_parallel_residual", false)?;
    let bias = keys.flag_or("use_qkv_bias", false)?;
    Ok(Config {
        ffn: keys.integer("intermediate_size")?,
        activation: keys.activation("hidden_act", "silu")?,
        norm: NormKind::LayerNorm,
        norm_epsilon: keys.number_or("layer_norm_eps", 1e-5)?,
        positions: rotary(keys, 0.25)?,
        attention_bias: if bias {
            AttentionBias::Qkv
        } else {
            AttentionBias::None
        },
        parallel_residual: parallel,
        variation: Variation { single_norm: parallel, ..Variation::default() },
        ..base(keys, Family::Stablelm)?
    })
}

/// The first Qwen. Its `intermediate_size` is of both branches together.
pub(super) fn qwen(keys: &Keys<'_>) -> Read {
    Ok(Config {
        ffn: keys.integer("intermediate_size")? / 2,
        norm_epsilon: keys.number_or("layer_norm_epsilon", 1e-6)?,
        positions: rotary_by(keys, "rotary_emb_base", "rotary_pct", 1.0)?,
        attention_bias: AttentionBias::Qkv,
        ..base(keys, Family::Qwen)?
    })
}

/// Gemma. The released code bends by the tanh form of gelu, whatever older
/// files say.
pub(super) fn gemma(keys: &Keys<'_>) -> Read {
    let config = base(keys, Family::Gemma)?;
    let scale = (config.width as f64).sqrt();
    Ok(Config {
        ffn: keys.integer("intermediate_size")?,
        activation: Activation::GeluTanh,
        norm_epsilon: keys.number_or("rms_norm_eps", 1e-6)?,
        head_dim: keys.integer_or("head_dim", 256)?,
        positions: rotary(keys, 1.0)?,
        attention_bias: all_or_none(keys.flag_or("attention_bias", false)?),
        tied_embeddings: keys.flag_or("tie_word_embeddings", true)?,
        variation: Variation {
            norm_gain: Gain::PlusOne,
            embedding_scale: Some(scale),
            ..Variation::default()
        },
        ..config
    })
}

/// Gemma-2.
pub(super) fn gemma2(keys: &Keys<'_>) -> Read {
    let gemma = gemma(keys)?;
    let window = Window {
        tokens: keys.integer_or("sliding_window", 4096)?,
        layers: WindowLayers::Even,
    };
    Ok(Config {
        family: Family::Gemma2,
        variation: Variation {
            output_norms: true,
            attention_cap: keys.cap_or("attn_logit_softcapping", 50.0)?,
            logit_cap: keys.cap_or("final_logit_softcapping", 30.0)?,
            query_scalar: Some(keys.number_or("query_pre_attn_scalar", 256.0)?),
            window: Some(window),
            ..gemma.variation
        },
        ..gemma
    })
}

/// RecurrentGemma. Its `intermediate_size` is of both branches together.
pub(super) fn recurrent_gemma(keys: &Keys<'_>) -> Read {
    let gemma = gemma(keys)?;
    let pattern = ["recurrent", "recurrent", "attention"];
    for key in ["block_types", "_block_types"] {
        let Some(value) = keys.optional(key) else { continue };
        let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
        let words: Vec<_> = list.iter().map(|word| word.as_str()).collect();
        if words != pattern.map(Some) {
            return Err(keys.error(format!(
                "`{key}`: only {} is read here",
                pattern.join(", ")
            )));
        }
    }
    let width = gemma.width;
    Ok(Config {
        family: Family::RecurrentGemma,
        ffn: gemma.ffn / 2,
        context: keys.integer_or("max_position_embeddings", 8192)?,
        head_dim: keys.integer_or("head_dim", width / gemma.heads.max(1))?,
        positions: rotary(keys, 0.5)?,
        attention_bias: AttentionBias::Output,
        mlp_bias: true,
        variation: Variation {
            embedding_scale: keys
                .flag_or("embeddings_scale_by_sqrt_dim", true)?
                .then(|| (width as f64).sqrt()),
            logit_cap: Some(keys.number_or("logits_soft_cap", 30.0)?),
            window: Some(Window {
                tokens: keys.integer_or("attention_window_size", 2048)?,
                layers: WindowLayers::All,
            }),
            recurrence: Some(Recurrence {
                width: keys.integer_or("lru_width", width)?,
                heads: gemma.heads,
                convolution: keys.integer_or("conv1d_width", 4)?,
                attention_every: pattern.len(),
            }),
            ..gemma.variation
        },
        ..gemma
    })
}

/// MiniCPM: LLaMA, scaled.
pub(super) fn minicpm(keys: &Keys<'_>) -> Read {
    let config = llama(keys, Family::Minicpm)?;
    let layers = (config.layers as f64).sqrt();
    let width = config.width as f64;
    Ok(Config {
        norm_epsilon: keys.number_or("rms_norm_eps", 1e-5)?,
        tied_embeddings: keys.flag_or("tie_word_embeddings", true)?,
        variation: Variation {
            embedding_scale: Some(keys.number_or("scale_emb", 1.0)?),
            residual_scale: Some(keys.number_or("scale_depth", 1.0)? / layers),
            head_scale: Some(keys.number_or("dim_model_base", 1.0)? / width),
            ..config.variation
        },
        ..config
    })
}

/// MiniCPM3: the same with latent attention.
pub(super) fn minicpm3(keys: &Keys<'_>) -> Read {
    let config = minicpm(keys)?;
    let rotated = keys.integer("qk_rope_head_dim")?;
    let value_dim = config.width / config.heads.max(1);
    Ok(Config {
        family: Family::Minicpm3,
        head_dim: keys.integer("qk_nope_head_dim")? + rotated,
        kv_heads: config.heads,
        variation: Variation {
            latent: Some(Latent {
                query_rank: keys.integer("q_lora_rank")?,
                kv_rank: keys.integer("kv_lora_rank")?,
                rotated,
                value_dim: keys.integer_or("v_head_dim", value_dim)?,
            }),
            ..config.variation
        },
        ..config
    })
}

/// OpenELM, whose sizes are a list each.
pub(super) fn openelm(keys: &Keys<'_>) -> Read {
    let layers = keys.integer("num_transformer_layers")?;
    let width = keys.integer("model_dim")?;
    let heads = keys.integers("num_query_heads", layers)?;
    let kv_heads = keys.integers("num_kv_heads", layers)?;
    let step = keys.integer_or("ffn_dim_divisor", 256)?.max(1);
    let ffn: Vec<usize> = keys
        .numbers("ffn_multipliers", layers)?
        .into_iter()
        .map(|multiplier| rounded(multiplier * width as f64, step))
        .collect();
    let largest = |list: &[usize]| list.iter().copied().max().unwrap_or(0);
    let normed = keys.flag_or("normalize_qk_projections", true)?;
    Ok(Config {
        format_version: 1,
        name: name_of(keys.file),
        title: keys.word_or("_name_or_path", "")?.to_owned(),
        source: keys.file.to_owned(),
        family: Family::Openelm,
        layers,
        width,
        heads: largest(&heads),
        kv_heads: largest(&kv_heads),
        head_dim: keys.integer("head_dim")?,
        ffn: largest(&ffn),
        vocab: keys.integer("vocab_size")?,
        context: keys.integer_or("max_context_length", 2048)?,
        activation: keys.activation("activation_fn_name", "swish")?,
        gated: keys.flag_or("ffn_with_glu", true)?,
        norm: NormKind::RmsNorm,
        norm_epsilon: 1e-6,
        positions: Positions::Rotary {
            theta: keys.number_or("rope_freq_constant", 10_000.0)?,
            fraction: 1.0,
        },
        attention_bias: AttentionBias::None,
        mlp_bias: false,
        parallel_residual: false,
        tied_embeddings: keys.flag_or("share_input_output_layers", true)?,
        published_params_m: None,
        variation: Variation {
            qk_norm: if normed { QkNorm::Head } else { QkNorm::None },
            per_layer: Some(PerLayer { heads, kv_heads, ffn }),
            ..Variation::default()
        },
    })
}

/// The multiple of `step` nearest to `x`, at least one, and never more than a
/// tenth below it.
fn rounded(x: f64, step: usize) -> usize {
    let nearest = ((x + step as f64 / 2.0) as usize / step * step).max(step);
    if (nearest as f64) < 0.9 * x { nearest + step } else { nearest }
}

/// OLMo: LLaMA with norms that learn nothing.
pub(super) fn olmo(keys: &Keys<'_>) -> Read {
    if keys.optional("clip_qkv").is_some() {
        return Err(keys.error(
            "`clip_qkv` is set: clipped queries, keys and values are not \
             read here"
                .to_owned(),
        ));
    }
    let config = llama(keys, Family::Olmo)?;
    Ok(Config {
        norm: NormKind::LayerNorm,
        norm_epsilon: 1e-5,
        variation: Variation { norm_gain: Gain::None, ..config.variation },
        ..config
    })
}

/// Nemotron (Minitron): no gate, the square of relu, LayerNorm with a gain of
/// one more than what is learned.
pub(super) fn nemotron(keys: &Keys<'_>) -> Read {
    let word = keys.word_or("hidden_act", "relu2")?;
    let squared = word == "relu2";
    let activation = if squared {
        Activation::Relu
    } else {
        keys.activation("hidden_act", "relu2")?
    };
    Ok(Config {
        ffn: keys.integer("intermediate_size")?,
        activation,
        gated: false,
        norm: NormKind::LayerNorm,
        norm_epsilon: keys.number_or("norm_eps", 1e-5)?,
        positions: rotary(keys, 0.5)?,
        attention_bias: all_or_none(keys.flag_or("attention_bias", false)?),
        mlp_bias: keys.flag_or("mlp_bias", false)?,
        variation: Variation {
            norm_gain: Gain::PlusOne,
            squared_activation: squared,
            ..Variation::default()
        },
        ..base(keys, Family::Nemotron)?
    })
}
