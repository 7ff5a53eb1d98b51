//! Memory over time of small graphs, counted by hand.

use assay_schema::{Bytes, Precision};
use assay_trace::{Graph, MemoryProfile, Role, capture, memory};
use burn::tensor::Tensor;

fn of(run: impl Fn(Tensor<2>, Tensor<2>) -> Tensor<2>) -> Graph {
    capture(
        |_| None,
        |recorder| {
            let device = recorder.device();
            let x = Tensor::<2>::zeros([4, 8], &device);
            let w = Tensor::<2>::zeros([8, 16], &device);
            recorder.role(&x, Role::Input);
            recorder.role(&w, Role::Weight);
            recorder.output(&run(x, w));
        },
    )
    .unwrap()
}

fn profile(graph: &Graph) -> MemoryProfile {
    memory(graph, Precision::F32)
}

/// f32 bytes of so many elements.
fn f32s(elements: usize) -> Bytes {
    Bytes(4.0 * elements as f64)
}

const INPUT: usize = 4 * 8;
const WEIGHT: usize = 8 * 16;
const PRODUCT: usize = 4 * 16;

#[test]
fn an_element_wise_operator_writes_over_an_input_that_nobody_else_needs() {
    // product -> exp in place -> one row sum.
    let graph = of(|x, w| x.matmul(w).exp().sum_dim(1));
    let profile = profile(&graph);
    let before = INPUT + WEIGHT;
    assert_eq!(
        profile.over_time,
        [
            f32s(before + PRODUCT),
            f32s(before + PRODUCT),
            f32s(before + PRODUCT + 4),
        ]
    );
    assert_eq!(profile.peak_operator, Some(2));
    assert_eq!(profile.peak.weights_bytes, f32s(WEIGHT));
    assert_eq!(profile.peak.activations_bytes, f32s(INPUT + PRODUCT + 4));
}

#[test]
fn an_input_that_is_needed_again_is_not_written_over() {
    // product; exp beside it; their sum over the exponential, which dies.
    let graph = of(|x, w| {
        let y = x.matmul(w);
        y.clone().exp() * y
    });
    let before = INPUT + WEIGHT;
    assert_eq!(
        profile(&graph).over_time,
        [
            f32s(before + PRODUCT),
            f32s(before + 2 * PRODUCT),
            f32s(before + 2 * PRODUCT),
        ]
    );
}

#[test]
fn inputs_and_weights_live_throughout_and_are_never_written_over() {
    let graph = of(|x, w| x.exp().matmul(w.exp()));
    let before = INPUT + WEIGHT;
    assert_eq!(
        profile(&graph).over_time,
        [
            f32s(before + INPUT),
            f32s(before + INPUT + WEIGHT),
            f32s(before + INPUT + WEIGHT + PRODUCT),
        ]
    );
}

#[test]
fn a_storage_dies_after_its_last_reader_and_an_output_never() {
    let graph = capture(
        |_| None,
        |recorder| {
            let device = recorder.device();
            let x = Tensor::<1>::zeros([100], &device);
            recorder.role(&x, Role::Input);
            let kept = x.clone().exp(); // an output, read by nobody
            let short = x.clone().log(); // read by the next, then dead
            let total = short.sum();
            let late = x.exp();
            recorder.output(&kept);
            recorder.output(&total);
            recorder.output(&late);
        },
    )
    .unwrap();
    assert_eq!(
        profile(&graph).over_time,
        [f32s(200), f32s(300), f32s(301), f32s(301)]
    );
}

#[test]
fn a_cache_is_counted_apart_from_activations() {
    let graph = capture(
        |_| None,
        |recorder| {
            let cache = Tensor::<2>::zeros([10, 3], &recorder.device());
            recorder.role(&cache, Role::KvCache);
            recorder.output(&cache.sum_dim(0));
        },
    )
    .unwrap();
    let peak = memory(&graph, Precision::F16).peak;
    assert_eq!(peak.kv_cache_bytes, Bytes(60.0));
    assert_eq!(peak.activations_bytes, Bytes(6.0));
}

#[test]
fn quantised_weights_are_stored_small_and_activations_stay_wide() {
    let graph = of(|x, w| x.matmul(w));
    let peak = memory(&graph, Precision::Q8_0).peak;
    let bits = Precision::Q8_0.weight_bits();
    assert_eq!(peak.weights_bytes, Bytes(WEIGHT as f64 * bits / 8.0));
    assert_eq!(
        peak.activations_bytes,
        Bytes((INPUT + PRODUCT) as f64 * Precision::Q8_0.activation_bytes())
    );
}
