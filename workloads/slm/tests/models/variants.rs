//! Tiny models of everything that single models have: each runs, trains and
//! traces. `properties.rs` asks of them what it asks of all.

use assay_kernels::Activation;
use assay_kit::{Optimizer, Parameters, floats};
use assay_schema::{Case, Precision};
use assay_slm::{
    ADAMW, AttentionBias, Config, Decoder, Gain, Latent, NormKind, PerLayer,
    Positions, QkNorm, Recurrence, Request, Variation, Window, WindowLayers,
    model_config, trace, train,
};
use assay_trace::memory;
use burn::tensor::{Device, Int, Tensor, TensorData};

/// The tiny model changed to LayerNorm, biases and no gate, as GPT-2 and its
/// like have them.
fn biased() -> Config {
    Config {
        norm: NormKind::LayerNorm,
        gated: false,
        activation: Activation::Gelu,
        attention_bias: AttentionBias::All,
        mlp_bias: true,
        kv_heads: 4,
        ..model_config("tiny").unwrap()
    }
}

fn rotary(fraction: f64) -> Positions {
    Positions::Rotary { theta: 10_000.0, fraction }
}

/// A tiny model of each kind.
pub(crate) fn variants() -> Vec<(String, Config)> {
    let tiny = || model_config("tiny").unwrap();
    let none = Variation::default;
    let window = |tokens, layers| Some(Window { tokens, layers });
    let plus_one = || Variation { norm_gain: Gain::PlusOne, ..none() };
    let all = vec![
        (
            "norms behind, projected",
            Config {
                positions: Positions::Learned { offset: 2 },
                variation: Variation {
                    norm_after: true,
                    embedding_width: Some(32),
                    ..none()
                },
                ..biased()
            },
        ),
        (
            "learned positions from 0",
            Config { positions: Positions::Learned { offset: 0 }, ..biased() },
        ),
        (
            "alibi",
            Config {
                positions: Positions::Alibi,
                activation: Activation::GeluTanh,
                variation: Variation { embedding_norm: true, ..none() },
                ..biased()
            },
        ),
        (
            "alibi in windows",
            Config {
                positions: Positions::Alibi,
                variation: Variation {
                    window: window(4, WindowLayers::Even),
                    ..none()
                },
                ..biased()
            },
        ),
        (
            "one norm for both branches",
            Config {
                positions: rotary(0.5),
                parallel_residual: true,
                tied_embeddings: false,
                variation: Variation {
                    single_norm: true,
                    head_bias: true,
                    ..none()
                },
                ..biased()
            },
        ),
        (
            "four norms, caps and windows",
            Config {
                activation: Activation::GeluTanh,
                variation: Variation {
                    output_norms: true,
                    embedding_scale: Some(8.0),
                    attention_cap: Some(5.0),
                    logit_cap: Some(3.0),
                    query_scalar: Some(24.0),
                    window: window(5, WindowLayers::Even),
                    ..plus_one()
                },
                ..tiny()
            },
        ),
        (
            "recurrence",
            Config {
                layers: 3,
                kv_heads: 1,
                positions: rotary(0.5),
                activation: Activation::GeluTanh,
                attention_bias: AttentionBias::Output,
                mlp_bias: true,
                variation: Variation {
                    window: window(16, WindowLayers::All),
                    recurrence: Some(Recurrence {
                        width: 48,
                        heads: 4,
                        convolution: 4,
                        attention_every: 3,
                    }),
                    ..plus_one()
                },
                ..tiny()
            },
        ),
        (
            "latent attention, scaled",
            Config {
                kv_heads: 4,
                variation: Variation {
                    embedding_scale: Some(12.0),
                    residual_scale: Some(0.99),
                    head_scale: Some(0.25),
                    latent: Some(Latent {
                        query_rank: 24,
                        kv_rank: 20,
                        rotated: 6,
                        value_dim: 12,
                    }),
                    ..none()
                },
                ..tiny()
            },
        ),
        (
            "sizes a layer, heads normed",
            Config {
                variation: Variation {
                    qk_norm: QkNorm::Head,
                    per_layer: Some(PerLayer {
                        heads: vec![2, 4],
                        kv_heads: vec![1, 2],
                        ffn: vec![96, 192],
                    }),
                    ..none()
                },
                ..tiny()
            },
        ),
        (
            "rows normed, no offset",
            Config {
                norm: NormKind::LayerNorm,
                tied_embeddings: false,
                variation: Variation {
                    norm_without_offset: true,
                    qk_norm: QkNorm::Row,
                    ..none()
                },
                ..tiny()
            },
        ),
        (
            "the square of relu",
            Config {
                norm: NormKind::LayerNorm,
                gated: false,
                activation: Activation::Relu,
                positions: rotary(0.5),
                variation: Variation { squared_activation: true, ..plus_one() },
                ..tiny()
            },
        ),
        (
            "one feed-forward layer for all",
            Config {
                variation: Variation { shared_ffn: true, ..none() },
                ..tiny()
            },
        ),
        (
            "norms that learn nothing",
            Config {
                norm: NormKind::LayerNorm,
                variation: Variation { norm_gain: Gain::None, ..none() },
                ..tiny()
            },
        ),
    ];
    all.into_iter().map(|(name, config)| (name.to_owned(), config)).collect()
}

#[test]
fn every_variation_is_lawful() {
    for (name, config) in variants() {
        assert_eq!(config.check(), Ok(()), "{name}");
    }
}

#[test]
fn every_variation_learns() {
    let device = Device::flex().autodiff();
    for (name, config) in variants() {
        let mut random = Parameters::random(&device, 5);
        let mut model = Decoder::new(&mut random, &config, 12);
        let mut optimizer = Optimizer::new(ADAMW);
        let ids: Vec<i64> = (0..24).map(|i| 3 + i * 29 % 500).collect();
        let mut losses = Vec::new();
        for _ in 0..6 {
            let data = TensorData::new(ids.clone(), [2, 12]);
            let tokens = Tensor::<2, Int>::from_data(data, &device);
            let (loss, next) = train(model, &mut optimizer, tokens);
            losses.push(floats(loss)[0]);
            model = next;
        }
        assert!(losses.iter().all(|loss| loss.is_finite()), "{name}");
        assert!(losses[5] < losses[0], "{name}: {losses:?}");
    }
}

#[test]
fn every_variation_is_traced_in_every_phase() {
    for (name, config) in variants() {
        let traced = |phase: &str| {
            let case: Case = format!("slm/mine/{phase}").parse().unwrap();
            let request = Request::new(&case, Some(config.clone())).unwrap();
            trace(&request).unwrap()
        };
        let prefill = traced("prefill prompt=40");
        let decode = traced("decode context=40");
        let step = traced("train-step batch=2 prompt=9");
        assert_eq!(prefill.parameters(), step.parameters(), "{name}");
        assert!(prefill.flops().value() > decode.flops().value(), "{name}");
        let peak = memory(&step, Precision::F32).peak;
        let parameters = step.parameters() as f64;
        assert_eq!(peak.optimizer_bytes.value(), 8.0 * parameters, "{name}");
    }
}

#[test]
fn a_cache_holds_what_its_layers_say() {
    for (name, config) in variants() {
        let kept: usize = (0..config.layers)
            .flat_map(|layer| config.cache_shapes(layer, 1, 41))
            .map(|shape| shape.iter().product::<usize>())
            .sum();
        let case: Case = "slm/mine/decode context=40".parse().unwrap();
        let request = Request::new(&case, Some(config.clone())).unwrap();
        let graph = trace(&request).unwrap();
        let bytes = memory(&graph, Precision::F32).peak.kv_cache_bytes.value();
        // A recurrence writes a new state beside the old one.
        if config.variation.recurrence.is_some() {
            assert!(bytes >= 4.0 * kept as f64, "{name}: {bytes} of {kept}");
        } else {
            assert_eq!(bytes, 4.0 * kept as f64, "{name}");
        }
    }
}

#[test]
fn what_does_not_go_together_is_refused() {
    let refusal = |change: &dyn Fn(&mut Config)| {
        let mut config = model_config("tiny").unwrap();
        change(&mut config);
        config.check().unwrap_err()
    };
    let lists = |heads: Vec<usize>| PerLayer {
        heads,
        kv_heads: vec![1, 2],
        ffn: vec![96, 192],
    };
    for (message, words) in [
        (refusal(&|c| c.variation.single_norm = true), "parallel_residual"),
        (refusal(&|c| c.variation.head_bias = true), "tied_embeddings"),
        (refusal(&|c| c.variation.logit_cap = Some(-1.0)), "`logit_cap` is -1"),
        (refusal(&|c| c.variation.embedding_width = Some(0)), "at least 1"),
        (
            refusal(&|c| c.variation.per_layer = Some(lists(vec![4]))),
            "1 numbers of `heads`, expected 2",
        ),
        (
            refusal(&|c| c.variation.per_layer = Some(lists(vec![2, 2]))),
            "largest of `heads`",
        ),
        (
            refusal(&|c| {
                c.variation.latent = Some(Latent {
                    query_rank: 8,
                    kv_rank: 8,
                    rotated: 16,
                    value_dim: 16,
                });
            }),
            "below `head_dim` 16",
        ),
        (
            refusal(&|c| {
                c.variation.recurrence = Some(Recurrence {
                    width: 50,
                    heads: 4,
                    convolution: 4,
                    attention_every: 3,
                });
            }),
            "must divide",
        ),
    ] {
        assert!(message.contains(words), "{words}: {message}");
    }
}
