//! What a prediction promises: it knows no machine by name, more of anything
//! never slows a machine down, fusing never moves more, and communication
//! follows the ring formula.

#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "tests compare numbers that must be the same bits"
)]

use std::collections::BTreeSet;
use std::sync::Arc;

use assay_hardware_profiles::{
    Efficiency, Fact, HardwareProfile, Kind, Trust, load, names, overlay_for,
};
use assay_predict::{PredictError, Target, Traced, operator_seconds, predict};
use assay_schema::{
    Bound, BytesPerSecond, Case, FlopsPerSecond, Precision, Prediction,
    Runtime, Seconds,
};
use assay_trace::{Collective, Graph, Role, capture};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use proptest::prelude::*;

/// `layers` times `x + relu(x W) V` of `rows` rows of `width`.
fn layered(layers: usize, rows: usize, width: usize) -> Arc<Graph> {
    let graph = capture(
        |_| None,
        |recorder| {
            let device = recorder.device();
            let weight = || {
                let w = Tensor::<2>::zeros([width, width], &device);
                recorder.role(&w, Role::Weight);
                w
            };
            let mut x = Tensor::<2>::zeros([rows, width], &device);
            recorder.role(&x, Role::Input);
            for _ in 0..layers {
                let hidden = relu(x.clone().matmul(weight()));
                x = x + hidden.matmul(weight());
            }
            recorder.output(&x);
        },
    );
    Arc::new(graph.unwrap())
}

fn on(
    profile: &HardwareProfile,
    unit: Option<&str>,
    graph: &Arc<Graph>,
    precision: Precision,
    runtime: Runtime,
) -> Result<Prediction, PredictError> {
    let case = Case::new("slm", "tiny", Some("decode"));
    let traced = Traced::new(Arc::clone(graph), precision);
    let target = Target::new(profile, unit, precision, None)?;
    predict(&case, &traced, &target, runtime)
}

fn seconds(
    profile: &HardwareProfile,
    graph: &Arc<Graph>,
    precision: Precision,
    runtime: Runtime,
) -> f64 {
    let found = on(profile, None, graph, precision, runtime);
    found.unwrap().latency_s.point
}

fn declared<U>(value: U) -> Fact<U> {
    Fact {
        value,
        source: "this test".to_owned(),
        trust: Trust::Seen,
        kind: Kind::Declared,
        interval: None,
        note: None,
    }
}

#[test]
fn renaming_a_machine_changes_its_name_and_nothing_else() {
    let graph = layered(3, 16, 256);
    for name in names() {
        let profile = load(name).unwrap();
        let mut renamed = profile.clone();
        renamed.name = "nobody-knows-this-machine".to_owned();
        renamed.title = "X".to_owned();
        renamed.vendor = "Y".to_owned();
        // Shipped overlays apply by facts: to the renamed machine too.
        let (unit, _) = profile.unit(None).unwrap();
        let overlay = overlay_for(&profile, unit);
        assert_eq!(overlay, overlay_for(&renamed, unit), "{name}");
        let case = Case::new("slm", "tiny", Some("decode"));
        for runtime in Runtime::ALL {
            let predicted = |profile: &HardwareProfile| {
                let precision = Precision::F16;
                let target =
                    Target::new(profile, None, precision, overlay.as_ref())?;
                let traced = Traced::new(Arc::clone(&graph), precision);
                predict(&case, &traced, &target, runtime)
            };
            match (predicted(&profile), predicted(&renamed)) {
                (Ok(before), Ok(mut after)) => {
                    assert_eq!(after.profile, renamed.name);
                    after.profile.clone_from(&before.profile);
                    assert_eq!(before, after, "{name} {runtime}");
                }
                (Err(_), Err(_)) => {}
                (before, after) => {
                    unreachable!("{name}: {before:?} but {after:?}")
                }
            }
        }
    }
}

#[test]
fn the_band_contains_the_point_and_the_confidence_is_that_of_the_contract() {
    let graph = layered(2, 128, 512);
    for name in names() {
        let profile = load(name).unwrap();
        let Ok(found) =
            on(&profile, None, &graph, Precision::F16, Runtime::Graph)
        else {
            continue;
        };
        for estimate in [Some(&found.latency_s), found.energy_j.as_ref()] {
            let Some(e) = estimate else { continue };
            assert!(
                0.0 < e.low && e.low < e.point && e.point < e.high,
                "{name}: {e:?}"
            );
            assert_eq!(e.confidence, 0.8);
        }
    }
}

#[test]
fn at_decode_fewer_bits_a_weight_move_fewer_bytes_in_less_time() {
    let graph = layered(4, 1, 2048);
    for name in ["nvidia-a100-sxm4-80gb", "nvidia-jetson-orin-nx-16gb"] {
        let profile = load(name).unwrap();
        let found = [Precision::F16, Precision::Q8_0, Precision::Q4_0]
            .map(|p| on(&profile, None, &graph, p, Runtime::Graph).unwrap());
        assert_eq!(found[0].bound, Bound::Memory, "{name}");
        for pair in found.windows(2) {
            assert!(pair[1].bytes < pair[0].bytes, "{name}");
            assert!(
                pair[1].memory_peak_bytes < pair[0].memory_peak_bytes,
                "{name}"
            );
            assert!(
                pair[1].latency_s.point < pair[0].latency_s.point,
                "{name}: {:?} {:?}",
                pair[1].latency_s,
                pair[0].latency_s
            );
        }
        // Weights are all but all of it: bytes follow the bits of the format.
        let bits = Precision::Q4_0.weight_bits() / 16.0;
        let ratio = found[2].bytes / found[0].bytes;
        assert!((ratio / bits - 1.0).abs() < 0.02, "{ratio} and {bits}");
    }
}

#[test]
fn what_is_asked_for_is_what_is_counted() {
    let (layers, rows, width) = (3, 16, 256);
    let graph = layered(layers, rows, width);
    let profile = load("nvidia-a100-sxm4-80gb").unwrap();
    let found =
        on(&profile, None, &graph, Precision::F16, Runtime::Eager).unwrap();
    assert_eq!(found.flops, graph.flops());
    assert_eq!(found.bytes, graph.total_traffic(Precision::F16));
    assert_eq!(found.parameters as usize, 2 * layers * width * width);
}

#[test]
fn the_seconds_of_operators_add_up_to_the_time_of_device_work() {
    let graph = layered(3, 64, 256);
    let profile = load("nvidia-a100-sxm4-80gb").unwrap();
    let traced = Traced::new(Arc::clone(&graph), Precision::F16);
    let target = Target::new(&profile, None, Precision::F16, None).unwrap();
    for runtime in [Runtime::Kernel, Runtime::Graph] {
        let each = operator_seconds(&traced, &target, runtime).unwrap();
        assert_eq!(each.len(), graph.operators.len());
        let sum: Seconds = each.into_iter().sum();
        let whole = seconds(&profile, &graph, Precision::F16, runtime);
        assert!((sum.value() / whole - 1.0).abs() < 1e-9, "{runtime}");
    }
}

#[test]
fn the_times_of_the_classes_add_up_to_the_latency() {
    let graph = layered(3, 64, 256);
    let matmul_alone = ["matmul", "overhead"];
    let each = ["elementwise", "matmul", "overhead"];
    for (name, runtime, classes) in [
        ("nvidia-a100-sxm4-80gb", Runtime::Kernel, &each[..2]),
        ("nvidia-a100-sxm4-80gb", Runtime::Eager, &each),
        // Fused into a product, an element-wise operator is of its class.
        ("nvidia-a100-sxm4-80gb", Runtime::Graph, &matmul_alone[..1]),
        ("nvidia-a100-sxm4-80gb", Runtime::LlamaCpp, &matmul_alone),
        ("amd-epyc-9654-genoa", Runtime::Flex, &each),
    ] {
        let profile = load(name).unwrap();
        let found = on(&profile, None, &graph, Precision::F16, runtime);
        let found = found.unwrap();
        let sum: Seconds = found.time_by_class.values().copied().sum();
        let off = sum.value() / found.latency_s.point - 1.0;
        assert!(off.abs() < 1e-9, "{name} {runtime}: {off}");
        let named: Vec<&str> =
            found.time_by_class.keys().map(String::as_str).collect();
        assert_eq!(named, classes, "{name} {runtime}");
    }
    let graph = Arc::new(Graph::collective(Collective::AllGather, 1024, 4, 8));
    let runtime = Runtime::Kernel;
    let found = on(&linked(), None, &graph, Precision::F16, runtime).unwrap();
    let network = Seconds(found.latency_s.point);
    let classes = [("communication".to_owned(), network)];
    assert_eq!(found.time_by_class, classes.into());
}

#[test]
fn a_unit_without_a_serving_peak_is_an_error_that_says_what_it_has() {
    let mut profile = load("nvidia-a100-sxm4-80gb").unwrap();
    let unit = profile.units.values_mut().next().unwrap();
    unit.vector = assay_hardware_profiles::Peaks::default();
    unit.matrix = assay_hardware_profiles::Peaks::default();
    unit.matrix.set(Precision::F16, declared(FlopsPerSecond(1e12)));
    let error = Target::new(&profile, None, Precision::F64, None).unwrap_err();
    let message = error.to_string();
    for word in ["nvidia-a100-sxm4-80gb:gpu", "f64", "it has f16"] {
        assert!(message.contains(word), "{word}: {message}");
    }
}

#[test]
fn an_unknown_unit_is_an_error() {
    let profile = load("nvidia-a100-sxm4-80gb").unwrap();
    assert!(matches!(
        Target::new(&profile, Some("npu"), Precision::F16, None),
        Err(PredictError::Profile(_))
    ));
}

#[test]
fn f32_is_vector_arithmetic_and_tf32_is_not() {
    let graph = layered(1, 4096, 4096);
    let profile = load("nvidia-a100-sxm4-80gb").unwrap();
    let time = |p| seconds(&profile, &graph, p, Runtime::Graph);
    // 19.5 and 156 TFLOP/s: both products are bound by arithmetic.
    let ratio = time(Precision::F32) / time(Precision::Tf32);
    assert!((6.0..9.0).contains(&ratio), "{ratio}");
    // Taking tf32 away changes nothing of f32.
    let mut without = profile.clone();
    let unit = without.units.values_mut().next().unwrap();
    let mut matrix = assay_hardware_profiles::Peaks::default();
    for (precision, peak) in unit.matrix.iter() {
        if precision != Precision::Tf32 {
            matrix.set(precision, peak.clone());
        }
    }
    unit.matrix = matrix;
    assert_eq!(
        seconds(&without, &graph, Precision::F32, Runtime::Graph),
        time(Precision::F32)
    );
}

/// A machine with a link of 100 GB/s inside a node and 10 between nodes.
fn linked() -> HardwareProfile {
    let mut profile = load("nvidia-a100-sxm4-80gb").unwrap();
    let unit = profile.units.values_mut().next().unwrap();
    unit.link.intra_node = Some(declared(BytesPerSecond(100e9)));
    unit.link.inter_node = Some(declared(BytesPerSecond(10e9)));
    profile
}

fn collective(operation: Collective, ranks: u64, per_node: u64) -> f64 {
    let bytes = 64_000_000;
    let graph = Graph::collective(operation, bytes, ranks, per_node);
    let graph = Arc::new(graph);
    seconds(&linked(), &graph, Precision::F16, Runtime::Kernel)
}

/// Bytes of the busiest link, of a rank's 64 MB.
fn moved(operation: Collective, ranks: f64) -> f64 {
    let share = (ranks - 1.0) / ranks;
    64e6 * match operation {
        Collective::AllReduce => 2.0 * share,
        Collective::ReduceScatter | Collective::AllToAll => share,
        Collective::AllGather => ranks - 1.0,
        Collective::SendRecv => 1.0,
    }
}

#[test]
fn collectives_take_the_rings_bytes_over_the_link_and_little_more() {
    for ranks in [2, 4, 8] {
        for operation in [
            Collective::AllReduce,
            Collective::ReduceScatter,
            Collective::AllToAll,
            Collective::AllGather,
            Collective::SendRecv,
        ] {
            let least = moved(operation, ranks as f64) / 100e9;
            let over = collective(operation, ranks, 8) / least;
            assert!((1.0..2.0).contains(&over), "{operation:?} {ranks} {over}");
        }
    }
}

#[test]
fn a_ring_beyond_a_node_is_as_slow_as_the_links_of_a_nodes_ranks_together() {
    let reduced = |per| collective(Collective::AllReduce, 8, per);
    let inside = reduced(8);
    let one = reduced(1);
    let four = reduced(4);
    assert!(one > 5.0 * inside, "{inside} {one}");
    // Seven hops between nodes, or one, whose bytes go over four links.
    let times = one / four;
    assert!((3.0..5.0).contains(&times), "{one} {four}");
    // A node of two beside one of four has two.
    let uneven = collective(Collective::AllReduce, 6, 4);
    let pairs = collective(Collective::AllReduce, 6, 2);
    assert!((0.95..1.0).contains(&(uneven / pairs)), "{uneven} {pairs}");
    // Pairs do not share links.
    let exchanged = |per| collective(Collective::AllToAll, 8, per);
    let times = exchanged(1) / exchanged(4);
    assert!((1.0..1.3).contains(&times), "{times}");
    assert_eq!(collective(Collective::AllReduce, 1, 8), 0.0);
}

#[test]
fn one_rank_alone_takes_no_time_and_its_band_is_a_number() {
    let graph = Arc::new(Graph::collective(Collective::AllReduce, 1024, 1, 8));
    let runtime = Runtime::Kernel;
    let found = on(&linked(), None, &graph, Precision::F16, runtime).unwrap();
    let latency = found.latency_s;
    assert_eq!((latency.low, latency.point, latency.high), (0.0, 0.0, 0.0));
}

#[test]
fn an_overlay_is_named_where_it_has_something_to_say() {
    let profile = load("nvidia-l4").unwrap();
    let (unit, _) = profile.unit(None).unwrap();
    let overlay = overlay_for(&profile, unit).unwrap();
    let named = |graph: &Arc<Graph>| {
        let precision = Precision::F32;
        let target =
            Target::new(&profile, None, precision, Some(&overlay)).unwrap();
        let traced = Traced::new(Arc::clone(graph), precision);
        let case = Case::new("operators", "x", None);
        let found = predict(&case, &traced, &target, Runtime::Kernel).unwrap();
        found.latency_s.method.contains(&overlay.source)
    };
    assert!(named(&layered(1, 64, 256)));
    let far = Graph::collective(Collective::AllReduce, 1024, 2, 8);
    assert!(!named(&Arc::new(far)), "{:?}", overlay.classes.keys());
}

#[test]
fn communication_without_a_link_is_an_error_that_names_the_unit() {
    let mut profile = linked();
    let unit = profile.units.values_mut().next().unwrap();
    unit.link.intra_node = None;
    unit.link.inter_node = None;
    unit.link.pcie = None;
    let graph = Graph::collective(Collective::AllReduce, 1024, 2, 8);
    let error =
        on(&profile, None, &Arc::new(graph), Precision::F16, Runtime::Kernel);
    let error = error.unwrap_err();
    assert!(matches!(error, PredictError::NoLink { .. }));
    assert!(error.to_string().contains("nvidia-a100-sxm4-80gb:gpu"));
}

/// A processor probed on matrix products and softmax: each probed time is the
/// roofline of a machine of 100 GFLOP/s and 20 GB/s, over a utilisation that
/// falls slowly with size.
fn probed(noise: f64) -> HardwareProfile {
    let mut profile = load("amd-epyc-9654-genoa").unwrap();
    let measured = |value| Fact::measured(value, "this test", None);
    profile.memory.bandwidth =
        Fact::measured(BytesPerSecond(20e9), "this test", None);
    let unit = profile.units.values_mut().next().unwrap();
    unit.bandwidth.clear();
    unit.vector.set(
        Precision::F32,
        Fact::measured(FlopsPerSecond(1e11), "this test", None),
    );
    let mut entry = |operator: &str, dims: &[(&str, f64)], s: f64| {
        let sign =
            if unit.efficiency.len().is_multiple_of(2) { 1.0 } else { -1.0 };
        unit.efficiency.push(Efficiency {
            operator: operator.to_owned(),
            kind: None,
            precision: Precision::F32,
            threads: None,
            dims: dims.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect(),
            cached: false,
            seconds: measured(Seconds(s * (sign * noise).exp())),
        });
    };
    for m in [32.0, 128.0, 512.0, 2048.0] {
        for n in [256.0, 1024.0, 4096.0] {
            let flops = 2.0 * m * n * 1024.0;
            let used = 0.9 - 0.02 * f64::log2(m);
            let dims = [("batch", 1.0), ("m", m), ("n", n), ("k", 1024.0)];
            entry("matmul", &dims, flops / 1e11 / used);
        }
    }
    for rows in [64.0, 1024.0, 16384.0] {
        let seconds = 2.0 * 4.0 * rows * 1024.0 / 20e9 / 0.5;
        entry("softmax", &[("rows", rows), ("cols", 1024.0)], seconds);
    }
    profile
}

fn product(m: usize, n: usize, k: usize) -> Arc<Graph> {
    let graph = capture(
        |_| None,
        |recorder| {
            let device = recorder.device();
            let a = Tensor::<2>::zeros([m, k], &device);
            let b = Tensor::<2>::zeros([k, n], &device);
            recorder.role(&a, Role::Input);
            recorder.role(&b, Role::Input);
            recorder.output(&a.matmul(b));
        },
    );
    Arc::new(graph.unwrap())
}

#[test]
fn a_probed_machine_gives_its_own_points_back() {
    let profile = probed(0.0);
    let (_, unit) = profile.unit(None).unwrap();
    let mut checked = 0;
    for entry in unit.efficiency.iter().filter(|e| e.operator == "matmul") {
        let dim = |name: &str| entry.dims[name] as usize;
        let graph = product(dim("m"), dim("n"), dim("k"));
        let found = seconds(&profile, &graph, Precision::F32, Runtime::Flex);
        let measured = entry.seconds.value.value();
        let error = (found / measured - 1.0).abs();
        assert!(error < 0.03, "{:?}: {error}", entry.dims);
        checked += 1;
    }
    assert_eq!(checked, 12);
}

#[test]
fn the_band_of_a_probed_machine_is_what_its_table_gets_wrong() {
    let graph = product(300, 300, 300);
    let half_width = |profile: &HardwareProfile| {
        let found =
            on(profile, None, &graph, Precision::F32, Runtime::Flex).unwrap();
        found.latency_s.high / found.latency_s.point - 1.0
    };
    let (steady, noisy) = (half_width(&probed(0.0)), half_width(&probed(0.3)));
    // A table without noise is held to at least 5 %; one whose points are 30 %
    // off, up and down in turn, knows that it is.
    assert!((0.05..0.15).contains(&steady), "{steady}");
    assert!((0.2..1.0).contains(&noisy), "{noisy}");
}

#[test]
fn an_entry_of_an_unknown_operator_costs_the_band_nothing() {
    let graph = product(300, 300, 300);
    let mut profile = probed(0.3);
    let band = |profile: &HardwareProfile| {
        let found =
            on(profile, None, &graph, Precision::F32, Runtime::Flex).unwrap();
        found.latency_s.high / found.latency_s.point
    };
    let before = band(&profile);
    let unit = profile.units.values_mut().next().unwrap();
    let mut unknown = unit.efficiency[0].clone();
    unknown.operator = "of-a-later-probe".to_owned();
    unit.efficiency.push(unknown);
    assert_eq!(band(&profile), before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn more_bandwidth_or_arithmetic_never_slows_a_machine_down(
        which in 0..names().len(),
        rows in 1_usize..300,
        width in 1_usize..600,
        faster in 1.0_f64..8.0,
        runtime in 0..Runtime::ALL.len(),
    ) {
        let profile = load(names()[which]).unwrap();
        let graph = layered(2, rows, width);
        let runtime = Runtime::ALL[runtime];
        let time = |profile: &HardwareProfile| {
            on(profile, None, &graph, Precision::F16, runtime)
                .map(|p| p.latency_s.point)
        };
        let Ok(before) = time(&profile) else { return Ok(()) };
        let mut wide = profile.clone();
        wide.memory.bandwidth.value = wide.memory.bandwidth.value * faster;
        for unit in wide.units.values_mut() {
            for level in &mut unit.bandwidth {
                level.rate.value = level.rate.value * faster;
            }
        }
        prop_assert!(time(&wide).unwrap() <= before * (1.0 + 1e-12));
        let mut strong = profile;
        for unit in strong.units.values_mut() {
            for peaks in [&mut unit.vector, &mut unit.matrix] {
                let raised: Vec<_> = peaks
                    .iter()
                    .map(|(p, fact)| (p, fact.clone()))
                    .collect();
                for (precision, mut fact) in raised {
                    fact.value = fact.value * faster;
                    peaks.set(precision, fact);
                }
            }
        }
        prop_assert!(time(&strong).unwrap() <= before * (1.0 + 1e-12));
    }

    #[test]
    fn fusing_never_moves_more_bytes_nor_takes_longer(
        layers in 1_usize..4,
        rows in 1_usize..200,
        width in 1_usize..500,
    ) {
        let graph = layered(layers, rows, width);
        let profile = load("nvidia-a100-sxm4-80gb").unwrap();
        let found = |runtime| {
            on(&profile, None, &graph, Precision::F16, runtime).unwrap()
        };
        let (eager, fused) = (found(Runtime::Eager), found(Runtime::Graph));
        prop_assert!(fused.bytes < eager.bytes);
        prop_assert!(fused.latency_s.point < eager.latency_s.point);
        prop_assert_eq!(fused.flops, eager.flops);
    }
}

/// Words of the devices' names that are of one model: a letter first, then a
/// digit somewhere (`a100`, `t4`). Bare numbers would meet constants' digits.
fn model_words(names: &[String]) -> BTreeSet<&str> {
    let words = names.iter().flat_map(|name| name.split('-'));
    words
        .filter(|word| {
            word.starts_with(|first: char| first.is_ascii_alphabetic())
                && word.contains(|any: char| any.is_ascii_digit())
        })
        .collect()
}

#[test]
fn no_shipped_device_is_named_in_the_predictors_sources_or_constants() {
    let names: Vec<String> =
        names().iter().map(|name| name.to_string()).collect();
    let models = model_words(&names);
    assert!(models.contains("a100") && models.contains("t4"), "{models:?}");
    let mut files = vec![std::path::PathBuf::from("src")];
    files.push("constants".into());
    files.push("constants.toml".into());
    let mut looked_at = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            let inside = std::fs::read_dir(&path).unwrap();
            files.extend(inside.map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap().to_lowercase();
        looked_at += 1;
        for name in &names {
            assert!(!text.contains(name), "{name} in {}", path.display());
        }
        let words = text.split(|c: char| !c.is_ascii_alphanumeric());
        for word in words {
            assert!(!models.contains(word), "{word} in {}", path.display());
        }
    }
    assert!(looked_at > 20, "{looked_at}");
}
