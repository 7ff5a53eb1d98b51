//! What `transformers` says of four tiny models, and that a changed weight
//! is seen.

use assay_kit::{Checkpoint, compare, floats};
use assay_slm::{Config, Family, Phase, check_golden, load_weights, of_family};
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::weights::{FAMILIES, checkpoint, golden_path, read};

const TOLERANCE: f64 = 1e-4;

#[test]
fn every_family_gives_its_golden_answers() {
    for (family, name) in FAMILIES {
        let (config, weights, golden) = of_family(family).unwrap();
        for phase in [
            None,
            Some(Phase::Prefill),
            Some(Phase::Decode),
            Some(Phase::Generate),
            Some(Phase::TrainStep),
        ] {
            let found =
                check_golden(&config, &weights, &golden, phase, TOLERANCE);
            let found = found.unwrap();
            assert!(found.passed(), "{name} {phase:?}: {found:?}");
        }
    }
}

/// Tensors of a family that can be scaled by 1 % without any answer moving
/// past the tolerance.
fn unseen(family: Family, name: &str, phase: Phase) -> Vec<String> {
    let (config, _, golden) = of_family(family).unwrap();
    let entries = read(&format!("{name}-tiny.weights.safetensors"));
    let mut unseen = Vec::new();
    for i in 0..entries.len() {
        let mut changed = entries.clone();
        changed[i].scale(1.01, |_| true);
        let weights = checkpoint("changed", &changed);
        let found =
            check_golden(&config, &weights, &golden, Some(phase), TOLERANCE)
                .unwrap();
        if found.passed() {
            unseen.push(entries[i].name.clone());
        }
    }
    unseen
}

#[test]
fn any_weight_tensor_off_by_one_percent_fails_the_golden() {
    for (family, name) in FAMILIES {
        for phase in [Phase::Prefill, Phase::TrainStep] {
            let mut missed = unseen(family, name, phase);
            // A bias of keys adds the same to every score of a query where
            // nothing rotates: no softmax sees it, and it has no gradient.
            if family == Family::Opt {
                missed.retain(|weight| !weight.ends_with("k_proj.bias"));
            }
            assert!(missed.is_empty(), "{name} {phase:?}: {missed:?}");
        }
    }
}

#[test]
fn one_number_off_by_one_percent_fails_the_golden() {
    for (family, name) in FAMILIES {
        let (config, _, golden) = of_family(family).unwrap();
        let mut entries = read(&format!("{name}-tiny.weights.safetensors"));
        let last_norm = entries
            .iter_mut()
            .filter(|e| !e.name.contains("layers."))
            .find(|e| e.name.contains("norm") && e.name.ends_with("weight"))
            .unwrap();
        last_norm.scale(1.01, |i| i == 3);
        let weights = checkpoint("changed", &entries);
        for phase in [Phase::Prefill, Phase::TrainStep] {
            let found = check_golden(
                &config,
                &weights,
                &golden,
                Some(phase),
                TOLERANCE,
            );
            assert!(!found.unwrap().passed(), "{name} {phase:?}");
        }
    }
}

#[test]
fn greedy_generation_gives_the_golden_ids_and_one_wrong_id_is_seen() {
    for (family, name) in FAMILIES {
        let (config, weights, _) = of_family(family).unwrap();
        let mut golden = read(&format!("{name}-tiny.golden.safetensors"));
        golden.retain(|entry| {
            ["input.tokens", "output.generated"].contains(&entry.name.as_str())
        });
        assert_eq!(golden.len(), 2);
        let passes = |golden: &Checkpoint| {
            check_golden(&config, &weights, golden, None, TOLERANCE)
                .unwrap()
                .passed()
        };
        assert!(passes(&checkpoint("generated", &golden)), "{name}");
        let ids = golden.iter_mut().find(|e| e.name == "output.generated");
        ids.unwrap().data[0] ^= 1;
        assert!(!passes(&checkpoint("generated", &golden)), "{name}");
    }
}

#[test]
fn a_bf16_weight_file_gives_the_logits_of_its_rounded_weights() {
    let (config, _, golden) = of_family(Family::Llama).unwrap();
    let path = golden_path("llama-tiny.bf16.weights.safetensors");
    let weights = Checkpoint::open(&path).unwrap();
    let (shape, ids) = golden.integers("input.tokens").unwrap();
    let (right, device) =
        (golden.floats("output.logits_bf16_weights").unwrap(), Device::flex());
    let model = load_weights(&config, &weights, &device, shape[1]).unwrap();
    let row = TensorData::new(ids[..shape[1]].to_vec(), [1, shape[1]]);
    let tokens = Tensor::<2, Int>::from_data(row, &device);
    let logits = floats(model.logits(model.hidden(tokens, 0, None)));
    let found = compare("bf16 weights", &logits, &right.values, TOLERANCE);
    assert!(found.passed(), "{found:?}");
    // The rounding itself is far larger than the tolerance.
    let unrounded = golden.floats("output.logits").unwrap().values;
    let unrounded = &unrounded[..logits.len()];
    assert!(!compare("f32", &logits, unrounded, TOLERANCE).passed());
}

#[test]
fn the_published_configurations_read_into_the_shapes_that_were_made() {
    use assay_kernels::Activation::{Gelu, Relu, Silu};
    use assay_slm::{AttentionBias as Bias, NormKind as Norm, Positions};
    let rotary = |theta, fraction| Positions::Rotary { theta, fraction };
    let read = |name: &str| {
        let file = golden_path(&format!("{name}-tiny.config.json"));
        Config::from_file(&file).unwrap()
    };
    let sizes = |c: &Config| {
        [c.layers, c.vocab, c.width, c.heads, c.kv_heads, c.head_dim, c.ffn]
    };
    // The table of goldens/README.md.
    let llama = read("llama");
    assert_eq!(sizes(&llama), [2, 272, 32, 4, 2, 8, 64]);
    assert_eq!(llama.positions, rotary(1e4, 1.0));
    assert_eq!((llama.norm, llama.norm_epsilon), (Norm::RmsNorm, 1e-5));
    assert_eq!((llama.activation, llama.gated), (Silu, true));
    assert_eq!((llama.attention_bias, llama.mlp_bias), (Bias::None, false));
    assert!(llama.tied_embeddings && !llama.parallel_residual);
    let qwen2 = read("qwen2");
    assert_eq!(sizes(&qwen2), [2, 260, 40, 4, 2, 10, 72]);
    assert_eq!(qwen2.positions, rotary(1e6, 1.0));
    assert_eq!(qwen2.norm_epsilon, 1e-6);
    assert_eq!(qwen2.attention_bias, Bias::Qkv);
    let neox = read("gpt_neox");
    assert_eq!(sizes(&neox), [2, 256, 32, 2, 2, 16, 64]);
    assert_eq!(neox.positions, rotary(1e4, 0.25));
    assert_eq!((neox.norm, neox.activation), (Norm::LayerNorm, Gelu));
    assert_eq!((neox.attention_bias, neox.mlp_bias), (Bias::All, true));
    assert!(neox.parallel_residual && !neox.tied_embeddings && !neox.gated);
    let opt = read("opt");
    assert_eq!(sizes(&opt), [2, 264, 32, 4, 4, 8, 96]);
    assert_eq!(opt.positions, Positions::Learned { offset: 2 });
    assert_eq!((opt.norm, opt.activation), (Norm::LayerNorm, Relu));
    assert!(opt.tied_embeddings && !opt.gated && opt.mlp_bias);
}
