//! The memory that an engine allocates, in the place of the graph's.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use assay_hardware_profiles::load;
use assay_predict::{Target, Traced, predict, with_engine_memory};
use assay_schema::{Bytes, Case, MemoryPart, Precision, Runtime};
use assay_trace::{Role, capture};
use burn::tensor::Tensor;

#[test]
fn what_an_engine_allocates_stands_in_for_the_graphs_peak() {
    let graph = capture(
        |_| None,
        |recorder| {
            let device = recorder.device();
            let weight = Tensor::<2>::zeros([256, 256], &device);
            recorder.role(&weight, Role::Weight);
            let x = Tensor::<2>::zeros([16, 256], &device);
            recorder.role(&x, Role::Input);
            recorder.output(&x.matmul(weight));
        },
    );
    let traced = Traced::new(Arc::new(graph.unwrap()), Precision::F16);
    let profile = load("nvidia-t4").unwrap();
    let target = Target::new(&profile, None, Precision::F16, None).unwrap();
    let case = Case::new("slm", "tiny", Some("decode"));
    let plain = predict(&case, &traced, &target, Runtime::LlamaCpp).unwrap();
    assert!(plain.memory_parts.is_empty());
    assert_eq!(plain.fits, Some(true));

    let part = |name: &str, gigabytes: f64| MemoryPart {
        name: name.to_owned(),
        bytes: Bytes(gigabytes * 1e9),
    };
    // The card has 16 GB.
    for (cache, fits) in [(5.0, true), (7.0, false)] {
        let parts = vec![part("weights", 10.0), part("kv cache", cache)];
        let found = with_engine_memory(plain.clone(), parts.clone(), &target);
        assert_eq!(found.memory_peak_bytes, Bytes((10.0 + cache) * 1e9));
        assert_eq!(found.memory_parts, parts);
        assert_eq!(found.fits, Some(fits));
        assert_eq!(found.latency_s, plain.latency_s);
    }
}
