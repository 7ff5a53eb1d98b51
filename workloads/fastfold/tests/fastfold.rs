//! What the workload promises: the published parameter counts, the
//! reference's answers, exact work, memory that grows as it should, and a
//! finite answer to the unusual.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed test may say so as it likes"
)]

use assay_fastfold::{
    AlphaFold, Chunks, EvoformerBlock, FastFoldError, Intermediates, Masks,
    Parts, Pass, Request, config, golden, trace,
};
use assay_kit::{Checkpoint, Parameters, floats, parameter_shapes};
use assay_schema::Precision;
use assay_trace::{Graph, memory};
use burn::Tensor;
use burn::module::Module;
use burn::tensor::{Device, Distribution};

fn request(text: &str) -> Request {
    Request::new(&format!("fastfold/{text}").parse().unwrap()).unwrap()
}

fn traced(text: &str) -> Graph {
    trace(&request(text)).unwrap()
}

fn parameters<M: Module>(module: &M) -> usize {
    let shapes = parameter_shapes(module);
    shapes.values().map(|shape| shape.iter().product::<usize>()).sum()
}

#[test]
fn parameters_are_as_many_as_published() {
    let (_, config) = config::model("initial-training").unwrap();
    let graph = traced("initial-training/block-forward residues=8 sequences=4");
    assert_eq!(graph.parameters(), 1_829_952);
    let device = Device::flex();
    let mut shapes = Parameters::shapes(&device);
    assert_eq!(
        parameters(&EvoformerBlock::extra(&mut shapes, &config)),
        701_312
    );
    let trunk = traced("inference/trunk residues=8 sequences=4");
    let linear = |inputs: u64, outputs: u64| inputs * outputs + outputs;
    let embedder = 2 * linear(22, 128)
        + linear(22, 256)
        + linear(49, 256)
        + linear(65, 128);
    assert_eq!(
        trunk.parameters(),
        48 * 1_829_952 + embedder + linear(256, 384)
    );
    let whole = AlphaFold::new(&mut shapes, &config, Parts::ALL);
    let millions = parameters(&whole) as f64 / 1e6;
    // "93 M": to half a million of the last digit.
    assert!((millions - 93.0).abs() < 0.75, "{millions} M");
}

#[test]
fn both_ways_give_the_references_answers_forward_and_backward() {
    for how in [Intermediates::Streamed, Intermediates::Stored] {
        for found in [golden::of_block(how), golden::of_model(how)] {
            let found = found.unwrap();
            assert!(found.passed(), "{how:?}: {found:?}");
        }
    }
}

#[test]
fn the_work_of_a_block_is_the_closed_form() {
    let (s, r) = (6_u64, 10_u64);
    let (c_m, c_z) = (256, 128);
    let graph = traced(&format!(
        "initial-training/block-forward sequences={s} residues={r}"
    ));
    let by_kind = graph.flops_by_kind();
    // Products of weights: multiply and add for each weight and row.
    let row = s * r * (5 * c_m * c_m) + r * r * c_z * 8;
    let column = s * r * (5 * c_m * c_m);
    let transition = s * r * 2 * 4 * c_m * c_m;
    let outer = s * r * 2 * c_m * 32
        + s * r * r // how many sequences two residues share
        + s * r * r * 32 * 32
        + r * r * 32 * 32 * c_z;
    let triangle = r * r * 6 * c_z * c_z + r * r * r * c_z;
    let attention = r * r * (5 * c_z * c_z + c_z * 4);
    let pair = r * r * 2 * 4 * c_z * c_z;
    let products =
        row + column + transition + outer + 2 * triangle + 2 * attention + pair;
    let found = by_kind["matmul"].0;
    assert_eq!(found as u64, 2 * products, "{by_kind:?}");
}

#[test]
fn stored_scores_grow_with_the_cube_of_length_and_streamed_ones_do_not() {
    let peak = |attention: &str, residues: u64| {
        let graph = traced(&format!(
            "initial-training/block-forward sequences=8 residues={residues} \
             attention={attention}"
        ));
        memory(&graph, Precision::F32).peak.activations_bytes.0
    };
    let growth = |attention| peak(attention, 2048) / peak(attention, 1024);
    // The pair representation itself grows with the square.
    assert!(growth("streamed") < 4.3, "{}", growth("streamed"));
    assert!(growth("stored") > 7.0, "{}", growth("stored"));
}

#[test]
fn lengths_of_one_and_masks_that_hide_everything_give_finite_answers() {
    let (_, config) = config::model("tiny").unwrap();
    let device = Device::flex();
    let mut p = Parameters::random(&device, 1);
    let block = EvoformerBlock::new(&mut p, &config);
    for [s, r] in [[1, 1], [1, 5], [4, 1], [3, 6]] {
        for seen in [0.0, 1.0] {
            let random = |shape: [usize; 3]| {
                Tensor::random(shape, Distribution::Default, &device)
            };
            let masks = Masks {
                msa: Tensor::full([s, r], seen, &device),
                pair: Tensor::full([r, r], seen, &device),
            };
            let (m, z) =
                (random([s, r, config.c_m]), random([r, r, config.c_z]));
            let run = |how, chunks| {
                let mut pass = Pass::inference(how, chunks);
                let (m, z) = (m.clone(), z.clone());
                let (m, z) =
                    block.forward(m, z, &masks, &mut pass, &mut |_, _| {});
                [floats(m), floats(z)].concat()
            };
            let whole = run(Intermediates::Streamed, Chunks::default());
            assert!(whole.iter().all(|x| x.is_finite()), "{s} x {r}, {seen}");
            for other in [
                run(Intermediates::Stored, Chunks::default()),
                run(Intermediates::Streamed, Chunks::every(1)),
            ] {
                let far = whole
                    .iter()
                    .zip(&other)
                    .map(|(a, b)| (a - b).abs())
                    .fold(0.0, f32::max);
                assert!(far < 1e-4, "{s} x {r}, {seen}: {far}");
            }
        }
    }
}

#[test]
fn weights_of_another_architecture_are_refused_by_name() {
    let (_, config) = config::model("inference").unwrap();
    let open = |name: &str| {
        let path = format!("{}/goldens/{name}", env!("CARGO_MANIFEST_DIR"));
        Checkpoint::open(path.as_ref()).unwrap()
    };
    let error = golden::check(
        &config,
        &open("block-tiny.weights.safetensors"),
        &open("block-tiny.golden.safetensors"),
        1e-4,
    )
    .unwrap_err();
    assert!(matches!(error, FastFoldError::Kit(_)), "{error}");
    let message = error.to_string();
    assert!(message.contains("evoformer.blocks.0."), "{message}");
}

#[test]
fn a_training_step_costs_about_three_forwards() {
    let flops = |phase: &str| {
        let text = format!("initial-training/{phase} sequences=8 residues=16");
        traced(&text).flops_by_kind()["matmul"].0
    };
    let ratio = flops("block-train") / flops("block-forward");
    assert!((2.9..3.3).contains(&ratio), "{ratio}");
}
