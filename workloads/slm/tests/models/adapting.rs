//! Low-rank adapters: what they change, what learns, and that merging them
//! changes no answer.

use assay_kernels::WeightFormat;
use assay_kit::{
    Optimizer, Parameters, compare, floats, gradient_values, parameter_shapes,
    parameter_values,
};
use assay_slm::{ADAMW, Config, Decoder, model_config, train};
use assay_trace::Tape;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::variants::variants;

const RANK: usize = 4;
const ALPHA: f64 = 16.0;
const TOKENS: usize = 12;

fn device() -> Device {
    Device::flex().autodiff()
}

fn tokens() -> Tensor<2, Int> {
    let ids = (0..2 * TOKENS as i64).map(|i| (3 + i * 29) % 250);
    let data = TensorData::new(ids.collect::<Vec<i64>>(), [2, TOKENS]);
    Tensor::from_data(data, &device())
}

fn base(config: &Config) -> Decoder {
    Decoder::new(&mut Parameters::random(&device(), 23), config, TOKENS)
}

fn adapted(config: &Config) -> Decoder {
    let mut parameters = Parameters::random(&device(), 29);
    base(config).adapted(&mut parameters, RANK, ALPHA)
}

fn logits(model: &Decoder) -> Vec<f32> {
    floats(model.logits(model.hidden(tokens(), 0, None)))
}

/// Parameters that ask for a gradient.
fn trainable(model: &Decoder) -> usize {
    struct Count(usize);
    impl ModuleVisitor for Count {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0 += usize::from(param.val().is_require_grad());
        }
    }
    let mut count = Count(0);
    model.visit(&mut count);
    count.0
}

fn is_adapter(name: &str) -> bool {
    name.ends_with("lora_a") || name.ends_with("lora_b")
}

#[test]
fn adapters_start_with_the_bases_answers() {
    let mut configs = variants();
    configs.push(("tiny".to_owned(), model_config("tiny").unwrap()));
    for (name, config) in configs {
        let (base, adapted) =
            (logits(&base(&config)), logits(&adapted(&config)));
        let found = compare("base", &adapted, &base, 1e-6);
        assert!(found.passed(), "{name}: {found:?}");
    }
}

#[test]
fn adapters_stand_beside_the_weights_of_the_blocks_and_nowhere_else() {
    let config = model_config("tiny").unwrap();
    let before = parameter_shapes(&base(&config));
    let after = parameter_shapes(&adapted(&config));
    for (name, shape) in &before {
        assert_eq!(after.get(name), Some(shape), "{name}");
    }
    let beside: Vec<&String> =
        after.keys().filter(|name| !before.contains_key(*name)).collect();
    // q, k, v, output, gate, up, down.
    assert_eq!(beside.len(), 2 * 7 * config.layers);
    assert!(beside.iter().all(|name| is_adapter(name)), "{beside:?}");
    assert_eq!(after["blocks.1.mlp.down.lora_a"], [RANK, 192]);
    assert_eq!(after["blocks.1.mlp.down.lora_b"], [64, RANK]);
}

#[test]
fn only_adapters_have_gradients_and_only_they_learn() {
    let config = model_config("tiny").unwrap();
    let mut model = adapted(&config);
    let found = gradient_values(&model, Tape::of(model.loss(tokens())));
    assert_eq!(found.len(), 2 * 7 * config.layers);
    for (name, gradient) in &found {
        assert!(is_adapter(name), "{name}");
        // `B` is zero at first, so `A` has nothing to learn from yet.
        let still = gradient.iter().all(|slope| *slope == 0.0);
        assert_eq!(still, name.ends_with("lora_a"), "{name}");
    }

    let before = parameter_values(&model);
    let mut optimizer = Optimizer::new(ADAMW);
    let mut losses = Vec::new();
    for _ in 0..8 {
        let (loss, next) = train(model, &mut optimizer, tokens());
        losses.push(floats(loss)[0]);
        model = next;
    }
    assert!(losses[7] < losses[0], "{losses:?}");
    for (name, values) in parameter_values(&model) {
        assert_eq!(values != before[&name], is_adapter(&name), "{name}");
    }
}

#[test]
fn a_merged_model_answers_as_the_adapted_one_under_the_bases_names() {
    let mut configs = variants();
    configs.push(("tiny".to_owned(), model_config("tiny").unwrap()));
    for (name, config) in configs {
        let mut model = adapted(&config);
        let mut optimizer = Optimizer::new(ADAMW);
        for _ in 0..4 {
            (_, model) = train(model, &mut optimizer, tokens());
        }
        let right = logits(&model);
        let start = logits(&base(&config));
        assert!(!compare("base", &right, &start, 1e-5).passed(), "{name}");
        let merged = model.merged();
        let found = compare("adapted", &logits(&merged), &right, 1e-5);
        assert!(found.passed(), "{name}: {found:?}");
        let shapes = parameter_shapes(&base(&config));
        assert_eq!(parameter_shapes(&merged), shapes, "{name}");
        // It trains as a whole again.
        let found = gradient_values(&merged, Tape::of(merged.loss(tokens())));
        assert_eq!(found.len(), shapes.len(), "{name}");
    }
}

#[test]
fn without_a_rank_a_model_is_only_frozen() {
    let config = model_config("tiny").unwrap();
    let mut parameters = Parameters::random(&device(), 29);
    let frozen = base(&config).adapted(&mut parameters, 0, ALPHA);
    let shapes = parameter_shapes(&base(&config));
    assert_eq!(parameter_shapes(&frozen), shapes);
    assert_eq!(trainable(&base(&config)), shapes.len());
    assert_eq!(trainable(&frozen), 0);
}

#[test]
fn an_adapted_model_is_packed_with_its_adapters_merged() {
    let config = model_config("tiny").unwrap();
    let mut model = adapted(&config);
    let mut optimizer = Optimizer::new(ADAMW);
    for _ in 0..2 {
        (_, model) = train(model, &mut optimizer, tokens());
    }
    let merged = model.clone().merged().packed(WeightFormat::F16).unwrap();
    let packed = model.packed(WeightFormat::F16).unwrap();
    let found = compare("merged", &logits(&packed), &logits(&merged), 1e-6);
    assert!(found.passed(), "{found:?}");
}
