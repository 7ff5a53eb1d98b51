//! Packed decoders: what is packed, how far their answers are from those of
//! the same weights in `f32`, how many bytes they take, and what is refused.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use assay_kernels::WeightFormat;
use assay_kit::{Parameters, floats, parameter_shapes};
use assay_measure::{Context, FakeClock, Instruments, Job, Settings, run_case};
use assay_schema::{Event, Outcome, Precision, Record};
use assay_slm::{Config, Decoder, Family, Slm, model_config, of_family};
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::variants::variants;
use crate::weights::FAMILIES;

const TOKENS: usize = 24;

fn tiny() -> Config {
    model_config("tiny").unwrap()
}

fn model(config: &Config) -> Decoder {
    let mut random = Parameters::random(&Device::flex(), 17);
    Decoder::new(&mut random, config, TOKENS)
}

fn tokens() -> Tensor<2, Int> {
    let ids: Vec<i64> = (0..TOKENS as i64).map(|i| 3 + i * 29 % 250).collect();
    Tensor::from_data(TensorData::new(ids, [1, TOKENS]), &Device::flex())
}

/// The error of a product's two factors, over the largest value of a block or,
/// for halves, over the value: half a step of the weights' codes, and with the
/// block formats half a step of the activations'.
fn half_step(format: WeightFormat) -> f64 {
    match format {
        WeightFormat::F16 => 1.0 / 2048.0,
        WeightFormat::Bf16 => 1.0 / 256.0,
        WeightFormat::Q8_0 => 2.0 * 0.5 / 127.0,
        WeightFormat::Q4_0 => 0.5 / 8.0 + 0.5 / 127.0,
    }
}

/// Such errors through the products that a token passes one behind the other,
/// which add as roots do; twice that.
fn bound(format: WeightFormat, layers: usize) -> f64 {
    2.0 * ((4 * layers + 1) as f64).sqrt() * half_step(format)
}

#[test]
fn parameters_go_by_the_names_that_they_had_before_layers_had_forms() {
    let config = Config { layers: 1, ..tiny() };
    let expected = [
        ("blocks.0.attention.k.weight", vec![32, 64]),
        ("blocks.0.attention.output.weight", vec![64, 64]),
        ("blocks.0.attention.q.weight", vec![64, 64]),
        ("blocks.0.attention.v.weight", vec![32, 64]),
        ("blocks.0.attention_norm.weight", vec![64]),
        ("blocks.0.mlp.down.weight", vec![64, 192]),
        ("blocks.0.mlp.gate.weight", vec![192, 64]),
        ("blocks.0.mlp.up.weight", vec![192, 64]),
        ("blocks.0.mlp_norm.weight", vec![64]),
        ("embedding", vec![2048, 64]),
        ("norm.weight", vec![64]),
    ];
    let expected: BTreeMap<String, Vec<usize>> = expected
        .into_iter()
        .map(|(name, shape)| (name.to_owned(), shape))
        .collect();
    assert_eq!(parameter_shapes(&model(&config)), expected);

    let untied = Config { tied_embeddings: false, ..config };
    let head = parameter_shapes(&model(&untied)).remove("head.weight");
    assert_eq!(head, Some(vec![2048, 64]));
}

#[test]
fn a_packed_model_answers_as_its_format_allows() {
    let mut configs = vec![("tiny".to_owned(), tiny())];
    let families = FAMILIES.iter().map(|(family, name)| {
        ((*name).to_owned(), of_family(*family).unwrap().0)
    });
    // Qwen2's tiny model is 40 wide.
    configs.extend(families.filter(|(_, c)| c.width.is_multiple_of(32)));
    assert_eq!(configs.len(), 4);
    for (name, config) in configs {
        let dense = model(&config);
        let logits = floats(dense.logits(dense.hidden(tokens(), 0, None)));
        let largest = logits.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        let mut before = 0.0;
        for format in WeightFormat::ALL {
            let (packed, found) =
                dense.clone().packed_and_compared(format, tokens()).unwrap();
            let error = found.logit_error;
            let allowed = bound(format, config.layers);
            assert!(error <= allowed, "{name} {format:?}: {error} {allowed}");
            // The formats stand in the order of their errors.
            assert!(error > before, "{name} {format:?}: {error} {before}");
            before = error;
            // Hoeffding's lemma: at most an eighth of the squared range of
            // the differences.
            let range = 2.0 * error * f64::from(largest);
            let kl = found.kl_divergence;
            assert!(kl > 0.0, "{name} {format:?}");
            assert!(kl <= range * range / 8.0 * 1.001, "{name} {format:?}");
            assert_eq!(found.weight_bytes, packed.weight_bytes());
        }
    }
}

#[test]
fn every_variation_runs_packed() {
    for (name, config) in variants() {
        let format = WeightFormat::Bf16;
        let (_, found) =
            model(&config).packed_and_compared(format, tokens()).unwrap();
        // Squares and gates bend errors more than the tiny model's do.
        let allowed = 2.0 * bound(format, config.layers);
        assert!(found.logit_error <= allowed, "{name}: {found:?}");
        assert!(found.logit_error > 0.0, "{name}: {found:?}");
    }
}

#[test]
fn a_packed_model_takes_the_bytes_of_its_format_and_a_tied_table_once() {
    let dense = model(&tiny());
    let shapes = parameter_shapes(&dense);
    let count = |matrices: bool| -> u64 {
        let wanted = shapes.values().filter(|s| (s.len() == 2) == matrices);
        wanted.map(|s| s.iter().product::<usize>() as u64).sum()
    };
    let (matrices, others) = (count(true), count(false));
    assert_eq!(dense.weight_bytes(), 4 * (matrices + others));
    for format in WeightFormat::ALL {
        let packed = dense.clone().packed(format).unwrap();
        let bytes = (matrices as f64 * format.bits() / 8.0) as u64;
        assert_eq!(packed.weight_bytes(), bytes + 4 * others, "{format:?}");
        // Only norms are left of what an optimizer or a file would see.
        let left = parameter_shapes(&packed);
        assert!(left.keys().all(|name| name.contains("norm")), "{left:?}");
        // Packed anew, it is as if it had been packed so at once.
        let again = packed.packed(WeightFormat::F16).unwrap();
        assert_eq!(again.weight_bytes(), 2 * matrices + 4 * others);
    }
}

#[test]
fn rows_that_are_no_whole_number_of_blocks_are_refused_by_name() {
    let odd = Config { ffn: 100, ..tiny() };
    let latent = variants()
        .into_iter()
        .find(|(_, config)| config.variation.latent.is_some());
    let (_, latent) = latent.unwrap();
    let (narrow, _, _) = of_family(Family::Qwen2).unwrap();
    for (config, name, inner) in [
        (narrow, "`embedding`", "rows of 40"),
        (odd, "`blocks.0.mlp.down.weight`", "rows of 100"),
        (latent, "`blocks.0.attention.q_up.weight`", "rows of 24"),
    ] {
        for format in [WeightFormat::Q8_0, WeightFormat::Q4_0] {
            let error = model(&config).packed(format).err().unwrap();
            let message = error.to_string();
            for words in [name, inner, format.name(), "blocks of 32"] {
                assert!(message.contains(words), "{words}: {message}");
            }
        }
        for format in [WeightFormat::F16, WeightFormat::Bf16] {
            assert!(model(&config).packed(format).is_ok(), "{format:?}");
        }
    }
}

/// The record of an evaluation, which needs no clock to end.
fn evaluated(precision: Precision) -> Record {
    let case = format!("slm/tiny/evaluate task=sums precision={precision}");
    let case = case.parse().unwrap();
    let context = Context::new("cpu", 5);
    let job =
        Job { workload: &Slm, case: &case, context: &context, work: None };
    let instruments = Instruments {
        clock: &FakeClock::new(),
        meters: &mut [],
        allocations: None,
        interrupted: &AtomicBool::new(false),
    };
    let mut events: Vec<Event> = Vec::new();
    let outcome =
        run_case(job, &Settings::default(), instruments, &mut |event| {
            events.push(event);
            Ok::<(), std::convert::Infallible>(())
        });
    assert!(matches!(outcome, Ok(Outcome::Finished(_))), "{outcome:?}");
    Record::from_events(&events).unwrap()
}

#[test]
fn a_record_at_a_packed_precision_tells_what_packing_did() {
    let dense = evaluated(Precision::F32);
    assert_eq!(dense.metric("quality/logit-error"), None);
    for precision in [Precision::F16, Precision::Q4_0] {
        let record = evaluated(precision);
        let told = |name: &str| record.metric(&format!("quality/{name}"));
        let format = WeightFormat::of_name(precision.name()).unwrap();
        let packed = model(&tiny()).packed(format).unwrap();
        let bytes = packed.weight_bytes() as f64;
        assert_eq!(told("weight-bytes"), Some(bytes));
        let error = told("logit-error").unwrap();
        assert!(error > 0.0 && error <= bound(format, 2), "{error}");
        assert!(told("kl-divergence").unwrap() > 0.0);
        assert!(record.verification.unwrap().passed());
    }
}
