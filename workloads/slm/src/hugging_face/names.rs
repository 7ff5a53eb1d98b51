//! The published name of every parameter, by family.
//!
//! Most families are named like LLaMA; what differs stands in one place each,
//! as do the ways to pack several matrices into one.

use assay_kit::{Binding, Slice};

use crate::Config;
use crate::config::{AttentionBias, Family, Mixing, NormKind, Positions};
use crate::variation::{Gain, QkNorm};

/// How queries, keys and values lie in the file.
enum Qkv {
    /// A matrix each.
    Apart([&'static str; 3]),
    /// One: rows of each head in turn, its queries, keys, values.
    Heads(&'static str),
    /// One: all rows of queries, then of keys, then of values.
    Rows(&'static str),
    /// As `Rows`, in a matrix that lies turned, `[in, out]`.
    Columns(&'static str),
}

/// How a matrix lies in the file.
#[derive(Clone, Copy)]
enum Part {
    /// By itself.
    Whole,
    /// The first or second half of the rows of one.
    Half(usize),
    /// By itself, turned.
    Turned,
}

type Layer = (&'static str, &'static str, Part);

struct Names {
    embedding: &'static str,
    positions: &'static str,
    layers: &'static str,
    attention_norm: &'static str,
    attention_output_norm: &'static str,
    mlp_norm: &'static str,
    mlp_output_norm: &'static str,
    qkv: Qkv,
    output: (&'static str, Part),
    mlp: &'static [Layer],
    norm: &'static str,
    head: &'static str,
}

const LLAMA: Names = Names {
    embedding: "model.embed_tokens.weight",
    positions: "",
    layers: "model.layers",
    attention_norm: "input_layernorm",
    attention_output_norm: "",
    mlp_norm: "post_attention_layernorm",
    mlp_output_norm: "",
    qkv: Qkv::Apart([
        "self_attn.q_proj",
        "self_attn.k_proj",
        "self_attn.v_proj",
    ]),
    output: ("self_attn.o_proj", Part::Whole),
    mlp: &[
        ("gate", "mlp.gate_proj", Part::Whole),
        ("up", "mlp.up_proj", Part::Whole),
        ("down", "mlp.down_proj", Part::Whole),
    ],
    norm: "model.norm",
    head: "lm_head.weight",
};

impl Names {
    fn of(family: Family) -> Self {
        match family {
            Family::Llama
            | Family::Qwen2
            | Family::Stablelm
            | Family::Gemma
            | Family::Minicpm
            | Family::Minicpm3
            | Family::Olmo => LLAMA,
            Family::Nemotron => Self {
                mlp: &[
                    ("up", "mlp.up_proj", Part::Whole),
                    ("down", "mlp.down_proj", Part::Whole),
                ],
                ..LLAMA
            },
            Family::Gemma2 => Self {
                attention_output_norm: "post_attention_layernorm",
                mlp_norm: "pre_feedforward_layernorm",
                mlp_output_norm: "post_feedforward_layernorm",
                ..LLAMA
            },
            Family::Phi3 => Self {
                qkv: Qkv::Rows("self_attn.qkv_proj"),
                mlp: &[
                    ("gate", "mlp.gate_up_proj", Part::Half(0)),
                    ("up", "mlp.gate_up_proj", Part::Half(1)),
                    ("down", "mlp.down_proj", Part::Whole),
                ],
                ..LLAMA
            },
            Family::Phi => Self {
                output: ("self_attn.dense", Part::Whole),
                mlp: &[
                    ("up", "mlp.fc1", Part::Whole),
                    ("down", "mlp.fc2", Part::Whole),
                ],
                norm: "model.final_layernorm",
                ..LLAMA
            },
            Family::RecurrentGemma => Self {
                attention_norm: "temporal_pre_norm",
                mlp_norm: "channel_pre_norm",
                qkv: Qkv::Apart([
                    "temporal_block.q_proj",
                    "temporal_block.k_proj",
                    "temporal_block.v_proj",
                ]),
                output: ("temporal_block.o_proj", Part::Whole),
                mlp: &[
                    ("gate", "mlp_block.gate_proj", Part::Whole),
                    ("up", "mlp_block.up_proj", Part::Whole),
                    ("down", "mlp_block.down_proj", Part::Whole),
                ],
                norm: "model.final_norm",
                ..LLAMA
            },
            Family::GptNeox => Self {
                embedding: "gpt_neox.embed_in.weight",
                layers: "gpt_neox.layers",
                qkv: Qkv::Heads("attention.query_key_value"),
                output: ("attention.dense", Part::Whole),
                mlp: &[
                    ("up", "mlp.dense_h_to_4h", Part::Whole),
                    ("down", "mlp.dense_4h_to_h", Part::Whole),
                ],
                norm: "gpt_neox.final_layer_norm",
                head: "embed_out.weight",
                ..LLAMA
            },
            Family::Bloom => Self {
                embedding: "transformer.word_embeddings.weight",
                layers: "transformer.h",
                qkv: Qkv::Heads("self_attention.query_key_value"),
                output: ("self_attention.dense", Part::Whole),
                mlp: &[
                    ("up", "mlp.dense_h_to_4h", Part::Whole),
                    ("down", "mlp.dense_4h_to_h", Part::Whole),
                ],
                norm: "transformer.ln_f",
                ..LLAMA
            },
            Family::Opt => Self {
                embedding: "model.decoder.embed_tokens.weight",
                positions: "model.decoder.embed_positions.weight",
                layers: "model.decoder.layers",
                attention_norm: "self_attn_layer_norm",
                mlp_norm: "final_layer_norm",
                output: ("self_attn.out_proj", Part::Whole),
                mlp: &[
                    ("up", "fc1", Part::Whole),
                    ("down", "fc2", Part::Whole),
                ],
                norm: "model.decoder.final_layer_norm",
                ..LLAMA
            },
            Family::Gpt2 => Self {
                embedding: "transformer.wte.weight",
                positions: "transformer.wpe.weight",
                layers: "transformer.h",
                attention_norm: "ln_1",
                mlp_norm: "ln_2",
                qkv: Qkv::Columns("attn.c_attn"),
                output: ("attn.c_proj", Part::Turned),
                mlp: &[
                    ("up", "mlp.c_fc", Part::Turned),
                    ("down", "mlp.c_proj", Part::Turned),
                ],
                norm: "transformer.ln_f",
                ..LLAMA
            },
            Family::Qwen => Self {
                embedding: "transformer.wte.weight",
                layers: "transformer.h",
                attention_norm: "ln_1",
                mlp_norm: "ln_2",
                qkv: Qkv::Rows("attn.c_attn"),
                output: ("attn.c_proj", Part::Whole),
                mlp: &[
                    ("gate", "mlp.w2", Part::Whole),
                    ("up", "mlp.w1", Part::Whole),
                    ("down", "mlp.c_proj", Part::Whole),
                ],
                norm: "transformer.ln_f",
                ..LLAMA
            },
            Family::Openelm => Self {
                embedding: "transformer.token_embeddings.weight",
                layers: "transformer.layers",
                attention_norm: "attn_norm",
                mlp_norm: "ffn_norm",
                qkv: Qkv::Rows("attn.qkv_proj"),
                output: ("attn.out_proj", Part::Whole),
                mlp: &[
                    ("gate", "ffn.proj_1", Part::Half(0)),
                    ("up", "ffn.proj_1", Part::Half(1)),
                    ("down", "ffn.proj_2", Part::Whole),
                ],
                norm: "transformer.norm",
                ..LLAMA
            },
            Family::OpenLm => Self {
                embedding: "tok_embeddings.weight",
                layers: "layers",
                attention_norm: "attention_norm",
                mlp_norm: "ffn_norm",
                qkv: Qkv::Rows("attention.in_proj"),
                output: ("attention.out_proj", Part::Whole),
                mlp: &[
                    ("gate", "feed_forward.w12", Part::Half(0)),
                    ("up", "feed_forward.w12", Part::Half(1)),
                    ("down", "feed_forward.w3", Part::Whole),
                ],
                norm: "norm",
                head: "output.weight",
                ..LLAMA
            },
        }
    }
}

/// Our name and the published one of each part of latent attention.
const LATENT: [(&str, &str); 7] = [
    ("q_down", "self_attn.q_a_proj"),
    ("q_norm", "self_attn.q_a_layernorm"),
    ("q_up", "self_attn.q_b_proj"),
    ("kv_down", "self_attn.kv_a_proj_with_mqa"),
    ("kv_norm", "self_attn.kv_a_layernorm"),
    ("kv_up", "self_attn.kv_b_proj"),
    ("output", "self_attn.o_proj"),
];

/// The same of a recurrence, whole names.
const RECURRENCE: [(&str, &str); 13] = [
    ("gate.weight", "linear_y.weight"),
    ("gate.bias", "linear_y.bias"),
    ("input.weight", "linear_x.weight"),
    ("input.bias", "linear_x.bias"),
    ("output.weight", "linear_out.weight"),
    ("output.bias", "linear_out.bias"),
    ("convolution", "conv_1d.weight"),
    ("convolution_bias", "conv_1d.bias"),
    ("input_gate.weight", "rg_lru.input_gate_weight"),
    ("input_gate.bias", "rg_lru.input_gate_bias"),
    ("recurrence_gate.weight", "rg_lru.recurrent_gate_weight"),
    ("recurrence_gate.bias", "rg_lru.recurrent_gate_bias"),
    ("decay", "rg_lru.recurrent_param"),
];

fn parts(bias: bool) -> &'static [&'static str] {
    if bias { &["weight", "bias"] } else { &["weight"] }
}

/// The table while it grows.
struct Table<'a> {
    config: &'a Config,
    names: Names,
    rows: Vec<Binding>,
}

impl Table<'_> {
    fn bind(
        &mut self,
        ours: impl Into<String>,
        theirs: impl Into<String>,
        slice: Slice,
    ) {
        let (ours, theirs) = (ours.into(), theirs.into());
        self.rows.push(Binding { ours, theirs, slice });
    }

    /// A norm with the model's parts.
    fn norm(&mut self, ours: &str, theirs: &str) {
        let (config, v) = (self.config, &self.config.variation);
        if v.norm_gain == Gain::None {
            return;
        }
        let offset =
            config.norm == NormKind::LayerNorm && !v.norm_without_offset;
        for part in parts(offset) {
            self.bind(
                format!("{ours}.{part}"),
                format!("{theirs}.{part}"),
                Slice::Whole,
            );
        }
    }

    /// A linear layer of `outputs` rows.
    fn linear(
        &mut self,
        ours: &str,
        theirs: &str,
        lies: Part,
        outputs: usize,
        bias: bool,
    ) {
        for part in parts(bias) {
            let slice = match lies {
                Part::Whole => Slice::Whole,
                Part::Half(half) => Slice::Rows {
                    first: half * outputs,
                    count: outputs,
                    total: 2 * outputs,
                },
                Part::Turned if *part == "weight" => {
                    Slice::Columns { first: 0, count: outputs, total: outputs }
                }
                Part::Turned => Slice::Whole,
            };
            self.bind(
                format!("{ours}.{part}"),
                format!("{theirs}.{part}"),
                slice,
            );
        }
    }

    fn attention(&mut self, layer: usize, ours: &str, theirs: &str) {
        let config = self.config;
        let d = config.head_dim;
        let heads = config.heads_of(layer);
        let kv_heads = config.kv_heads_of(layer);
        let counts = [heads * d, kv_heads * d, kv_heads * d];
        let total: usize = counts.iter().sum();
        let bias = config.attention_bias;
        let inner = matches!(bias, AttentionBias::Qkv | AttentionBias::All);
        for (index, own) in ["q", "k", "v"].into_iter().enumerate() {
            let first: usize = counts[..index].iter().sum();
            let count = counts[index];
            for part in parts(inner) {
                let (their, slice) = match self.names.qkv {
                    Qkv::Apart(names) => (names[index], Slice::Whole),
                    Qkv::Heads(name) => (
                        name,
                        Slice::PackedHeads { heads, parts: 3, part: index },
                    ),
                    Qkv::Columns(name) if *part == "weight" => {
                        (name, Slice::Columns { first, count, total })
                    }
                    Qkv::Rows(name) | Qkv::Columns(name) => {
                        (name, Slice::Rows { first, count, total })
                    }
                };
                self.bind(
                    format!("{ours}.{own}.{part}"),
                    format!("{theirs}.{their}.{part}"),
                    slice,
                );
            }
        }
        if config.variation.qk_norm == QkNorm::Head {
            for own in ["q_norm", "k_norm"] {
                let their = format!("{theirs}.attn.{own}");
                self.norm(&format!("{ours}.{own}"), &their);
            }
        }
        let outer = matches!(bias, AttentionBias::Output | AttentionBias::All);
        let (name, lies) = self.names.output;
        self.linear(
            &format!("{ours}.output"),
            &format!("{theirs}.{name}"),
            lies,
            config.width,
            outer,
        );
    }

    fn mlp(&mut self, ours: &str, theirs: &str, ffn: usize) {
        let config = self.config;
        for (own, their, lies) in self.names.mlp {
            let outputs = if *own == "down" { config.width } else { ffn };
            self.linear(
                &format!("{ours}.{own}"),
                &format!("{theirs}.{their}"),
                *lies,
                outputs,
                config.mlp_bias,
            );
        }
    }

    fn layer(&mut self, layer: usize) {
        let (config, v) = (self.config, &self.config.variation);
        let theirs = format!("{}.{layer}", self.names.layers);
        let ours = format!("blocks.{layer}");
        let attention = format!("{ours}.attention");
        let names = [
            ("attention_norm", self.names.attention_norm, true),
            (
                "attention_output_norm",
                self.names.attention_output_norm,
                v.output_norms,
            ),
            ("mlp_norm", self.names.mlp_norm, !v.single_norm),
            ("mlp_output_norm", self.names.mlp_output_norm, v.output_norms),
        ];
        for (own, their, is_there) in names {
            if is_there {
                let their = format!("{theirs}.{their}");
                self.norm(&format!("{ours}.{own}"), &their);
            }
        }
        match config.mixing(layer) {
            Mixing::Attention => self.attention(layer, &attention, &theirs),
            Mixing::Latent => {
                for (own, their) in LATENT {
                    self.bind(
                        format!("{attention}.{own}.weight"),
                        format!("{theirs}.{their}.weight"),
                        Slice::Whole,
                    );
                }
            }
            Mixing::Recurrence => {
                for (own, their) in RECURRENCE {
                    self.bind(
                        format!("{attention}.{own}"),
                        format!("{theirs}.temporal_block.{their}"),
                        Slice::Whole,
                    );
                }
            }
        }
        if v.shared_ffn {
            if layer == 0 {
                self.mlp("shared_mlp", &theirs, config.ffn);
            }
        } else {
            self.mlp(&format!("{ours}.mlp"), &theirs, config.ffn_of(layer));
        }
    }
}

/// The published name of every parameter.
pub(crate) fn bindings(config: &Config) -> Vec<Binding> {
    let names = Names::of(config.family);
    let v = &config.variation;
    let (embedding, positions) = (names.embedding, names.positions);
    let (last, head) = (names.norm, names.head);
    let mut table = Table { config, names, rows: Vec::new() };
    table.bind("embedding", embedding, Slice::Whole);
    if v.embedding_norm {
        table.norm("embedding_norm", "transformer.word_embeddings_layernorm");
    }
    if v.embedding_width.is_some() {
        for own in ["project_in", "project_out"] {
            table.bind(
                format!("{own}.weight"),
                format!("model.decoder.{own}.weight"),
                Slice::Whole,
            );
        }
    }
    if let Positions::Learned { .. } = config.positions {
        table.bind("positions", positions, Slice::Whole);
    }
    for layer in 0..config.layers {
        table.layer(layer);
    }
    if !v.norm_after {
        table.norm("norm", last);
    }
    if !config.tied_embeddings {
        table.bind("head.weight", head, Slice::Whole);
        if v.head_bias {
            let bias = head.replace(".weight", ".bias");
            table.bind("head.bias", bias, Slice::Whole);
        }
    }
    table.rows
}

/// What files saved from a model without its head leave out in front.
const BODY: &str = "transformer.";

/// As [`bindings`], for a file with these names: GPT-2 and BLOOM are published
/// without the first part of theirs.
pub(crate) fn bindings_in(config: &Config, file: &[String]) -> Vec<Binding> {
    let mut table = bindings(config);
    if !file.iter().any(|name| name.starts_with(BODY)) {
        for binding in &mut table {
            if let Some(rest) = binding.theirs.strip_prefix(BODY) {
                binding.theirs = rest.to_owned();
            }
        }
    }
    table
}

/// Names in published files that carry nothing learned: rotary tables, masks,
/// a tied head written out, and a shared layer written out for each layer.
pub(crate) fn is_ignored(config: &Config, name: &str) -> bool {
    name.ends_with("rotary_emb.inv_freq")
        || name.ends_with(".attention.bias")
        || name.ends_with(".attention.masked_bias")
        || (config.family == Family::Gpt2
            && (name.ends_with(".attn.bias")
                || name.ends_with(".attn.masked_bias")))
        || (config.variation.shared_ffn && name.contains(".mlp."))
        || (config.tied_embeddings && name == Names::of(config.family).head)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use assay_kit::{Parameters, parameter_shapes};
    use assay_trace::capture;

    use super::*;
    use crate::{Decoder, models};

    fn shapes(config: &Config) -> BTreeMap<String, Vec<usize>> {
        let mut found = BTreeMap::new();
        capture(assay_kernels::cost, |recorder| {
            let mut shapes = Parameters::shapes(&recorder.device());
            found = parameter_shapes(&Decoder::new(&mut shapes, config, 4));
        })
        .unwrap();
        found
    }

    #[test]
    fn every_parameter_of_every_model_has_one_published_name() {
        for name in models::names() {
            let config = models::config(name).unwrap();
            let mut bound: Vec<String> =
                bindings(&config).into_iter().map(|b| b.ours).collect();
            bound.sort();
            let ours: Vec<String> = shapes(&config).into_keys().collect();
            assert_eq!(bound, ours, "{name}");
        }
    }

    #[test]
    fn a_file_without_the_first_part_of_its_names_is_read_too() {
        let config = models::config("gpt2").unwrap();
        let first = |file: &[String]| bindings_in(&config, file)[0].clone();
        let with = ["transformer.wte.weight".to_owned()];
        assert_eq!(first(&with).theirs, with[0]);
        let without = ["wte.weight".to_owned()];
        assert_eq!(first(&without).theirs, without[0]);
    }

    #[test]
    fn what_is_packed_is_taken_whole_and_once() {
        for name in models::names() {
            let config = models::config(name).unwrap();
            let mut taken: BTreeMap<String, Vec<[usize; 3]>> = BTreeMap::new();
            for binding in bindings(&config) {
                let place = match binding.slice {
                    Slice::Rows { first, count, total }
                    | Slice::Columns { first, count, total } => {
                        [first, count, total]
                    }
                    Slice::PackedHeads { parts, part, .. } => [part, 1, parts],
                    Slice::Whole => [0, 1, 1],
                };
                taken.entry(binding.theirs).or_default().push(place);
            }
            for (tensor, places) in taken {
                let mut next = 0;
                for [first, count, _] in &places {
                    assert_eq!(*first, next, "{name} {tensor}");
                    next += count;
                }
                assert_eq!(next, places[0][2], "{name} {tensor}");
            }
        }
    }
}
