//! Softmax and norms over rows of several lengths, an f32 operator that was
//! timed alone, and what an architecture's kernels do.

#![allow(clippy::unwrap_used, reason = "tests fail by unwrapping")]

use std::sync::Arc;

use assay_hardware_profiles::{
    Architecture, Efficiency, Fact, HardwareProfile, Kind, Trust, UnitName,
    load, overlay_for,
};
use assay_predict::{Observation, Target, Traced, calibrate, predict};
use assay_schema::{Case, Precision, Runtime, Seconds};
use assay_trace::{Graph, OperatorKind, Role, capture};
use burn::tensor::Tensor;

/// `times` times an exponential of 4,096 elements.
fn exponentials(times: usize) -> Arc<Graph> {
    let graph = capture(
        |_| None,
        |recorder| {
            let device = recorder.device();
            let mut x = Tensor::<2>::zeros([64, 64], &device);
            recorder.role(&x, Role::Input);
            for _ in 0..times {
                x = x.exp();
            }
            recorder.output(&x);
        },
    );
    Arc::new(graph.unwrap())
}

/// Rows times weights.
fn layer(rows: usize, inner: usize, outer: usize) -> Arc<Graph> {
    let graph = capture(
        |_| None,
        |recorder| {
            let device = recorder.device();
            let x = Tensor::<2>::zeros([rows, inner], &device);
            let w = Tensor::<2>::zeros([inner, outer], &device);
            recorder.role(&x, Role::Input);
            recorder.role(&w, Role::Weight);
            recorder.output(&x.matmul(w));
        },
    );
    Arc::new(graph.unwrap())
}

/// Seconds of so many exponentials without an overlay.
fn seconds(times: usize, precision: Precision, runtime: Runtime) -> f64 {
    let profile = load("nvidia-v100-sxm2-32gb").unwrap();
    let target = Target::new(&profile, None, precision, None).unwrap();
    let traced = Traced::new(exponentials(times), precision);
    let case = Case::new("operators", "elementwise", None);
    let found = predict(&case, &traced, &target, runtime).unwrap();
    found.latency_s.point
}

#[test]
fn only_an_f32_operator_alone_shows_its_dispatch() {
    let shown = |times: u32, precision| {
        seconds(times as usize, precision, Runtime::Kernel)
            - f64::from(times) * seconds(1, precision, Runtime::Graph)
    };
    let alone = shown(1, Precision::F32);
    assert!((5e-6..60e-6).contains(&alone), "{alone}");
    assert!(shown(1, Precision::F16).abs() < 1e-12);
    assert!(shown(2, Precision::F32).abs() < 1e-12);
}

/// Seconds of a graph's first operator without the graph, and of the graph as
/// runtime `kernel` has it, with the device's overlay.
fn without_and_with_graph(
    name: &str,
    graph: &Arc<Graph>,
    precision: Precision,
) -> (f64, f64) {
    let profile = load(name).unwrap();
    let (unit, _) = profile.unit(None).unwrap();
    let overlay = overlay_for(&profile, unit);
    let target =
        Target::new(&profile, None, precision, overlay.as_ref()).unwrap();
    let traced = Traced::new(Arc::clone(graph), precision);
    let case = Case::new("operators", "one", None);
    let whole = predict(&case, &traced, &target, Runtime::Kernel).unwrap();
    let alone = target.operator(&graph.operators[0].kind).unwrap();
    (alone.value(), whole.latency_s.point)
}

#[test]
fn a_product_alone_is_priced_as_its_graph_is() {
    let graph = layer(96, 512, 1024);
    for name in ["nvidia-l40s", "nvidia-t4"] {
        for precision in [Precision::F16, Precision::F32, Precision::Int4] {
            let (alone, whole) =
                without_and_with_graph(name, &graph, precision);
            assert!((alone / whole - 1.0).abs() < 1e-9, "{name} {precision}");
        }
    }
}

#[test]
fn an_f32_operator_without_a_graph_shows_no_dispatch() {
    let graph = exponentials(1);
    for name in ["nvidia-l40s", "nvidia-t4"] {
        let shown = |precision| {
            let (alone, whole) =
                without_and_with_graph(name, &graph, precision);
            whole - alone
        };
        let dispatch = shown(Precision::F32);
        assert!((2e-6..100e-6).contains(&dispatch), "{name}: {dispatch}");
        assert!(shown(Precision::F16).abs() < 1e-12, "{name}");
    }
}

#[test]
fn a_product_of_a_batch_shows_the_dispatch_and_one_of_none_does_not() {
    let product = |batch: usize| {
        let graph = capture(
            |_| None,
            |recorder| {
                let device = recorder.device();
                let x = Tensor::<3>::zeros([batch, 96, 512], &device);
                let y = Tensor::<3>::zeros([batch, 512, 128], &device);
                recorder.role(&x, Role::Input);
                recorder.role(&y, Role::Input);
                recorder.output(&x.matmul(y));
            },
        );
        Arc::new(graph.unwrap())
    };
    let shown = |batch, precision| {
        let (alone, whole) =
            without_and_with_graph("nvidia-l40s", &product(batch), precision);
        whole - alone
    };
    let dispatch = shown(4, Precision::F32);
    assert!((5e-6..60e-6).contains(&dispatch), "{dispatch}");
    assert!(shown(1, Precision::F32).abs() < 1e-12);
    assert!(shown(4, Precision::F16).abs() < 1e-12);
}

#[test]
fn longer_rows_are_read_again() {
    let profile = load("nvidia-v100-sxm2-32gb").unwrap();
    let target = Target::new(&profile, None, Precision::F32, None).unwrap();
    // As many elements in few long rows as in many short ones.
    let of = |kind: &dyn Fn(u64, u64) -> OperatorKind, cols: u64| {
        target.operator(&kind((1 << 28) / cols, cols)).unwrap().value()
    };
    let softmax =
        |rows, cols| OperatorKind::Softmax { rows, cols, backward: false };
    let norm =
        |rows, cols| OperatorKind::LayerNorm { rows, cols, backward: false };
    // Three readings and a write for one of each; two and a write.
    let again = of(&softmax, 32768) / of(&softmax, 1024);
    assert!((1.7..2.3).contains(&again), "{again}");
    let again = of(&norm, 32768) / of(&norm, 256);
    assert!((1.2..1.7).contains(&again), "{again}");
}

#[test]
fn a_last_round_that_is_filled_in_part_takes_longer() {
    // Its caches hold the rows in flight of either length.
    let profile = load("nvidia-a100-pcie-80gb").unwrap();
    let target = Target::new(&profile, None, Precision::F32, None).unwrap();
    let of = |cols: u64| {
        let rows = (3 << 26) / cols;
        let kind = OperatorKind::Softmax { rows, cols, backward: false };
        target.operator(&kind).unwrap().value()
    };
    let ragged = of(3072) / of(2048);
    assert!((1.02..1.6).contains(&ragged), "{ragged}");
}

/// A profile whose GPU is of another architecture, all else as it is.
fn of_architecture(name: &str, architecture: Architecture) -> HardwareProfile {
    let mut profile = load(name).unwrap();
    profile.units.get_mut(&UnitName::Gpu).unwrap().architecture = architecture;
    profile
}

/// Seconds of an operator on a profile without an overlay.
fn operator(
    profile: &HardwareProfile,
    precision: Precision,
    kind: &OperatorKind,
) -> f64 {
    let target = Target::new(profile, None, precision, None).unwrap();
    target.operator(kind).unwrap().value()
}

#[test]
fn keys_that_no_two_heads_share_are_cut_where_the_kernels_cut_them() {
    let decode = |heads| OperatorKind::Attention {
        batch: 1,
        heads,
        kv_heads: 8,
        head_dim: 128,
        query: 1,
        keys: 16384,
        causal: false,
        backward: false,
    };
    let uncut = |architecture| {
        let profile = of_architecture("nvidia-l40s", architecture);
        let of = |kind| operator(&profile, Precision::F16, &kind);
        of(decode(8)) / of(decode(32))
    };
    let (ada, hopper) = (uncut(Architecture::Ada), uncut(Architecture::Hopper));
    assert!(ada > 1.5, "{ada}");
    assert!((0.9..1.1).contains(&hopper), "{hopper}");
}

#[test]
fn fewer_threads_a_core_keep_fewer_rows_of_a_softmax_in_flight() {
    let of = |architecture, kind: &OperatorKind| {
        let profile = of_architecture("nvidia-t4", architecture);
        operator(&profile, Precision::F32, kind)
    };
    // Neither has constants of its own: one keeps 1,024 threads, one 2,048.
    let both = |kind: OperatorKind| {
        (of(Architecture::Turing, &kind), of(Architecture::Xe2, &kind))
    };
    let (rows, cols, backward) = (1 << 14, 8192, false);
    let (few, many) = both(OperatorKind::Softmax { rows, cols, backward });
    assert!(few < 0.9 * many, "{few} {many}");
    let (few, many) = both(OperatorKind::LayerNorm { rows, cols, backward });
    assert!((few / many - 1.0).abs() < 1e-12, "{few} {many}");
}

/// Seconds of one row times 64 Mi weights on a unit of a profile, without an
/// overlay.
fn thin_seconds(
    profile: &HardwareProfile,
    unit: &str,
    precision: Precision,
    runtime: Runtime,
) -> f64 {
    let traced = Traced::new(layer(1, 8192, 8192), precision);
    let target = Target::new(profile, Some(unit), precision, None).unwrap();
    let case = Case::new("slm", "tiny", Some("decode"));
    predict(&case, &traced, &target, runtime).unwrap().latency_s.point
}

#[test]
fn few_cores_hold_back_llama_cpps_kernels_but_those_of_metal() {
    let slower = |architecture| {
        let mut profile = of_architecture("nvidia-l40s", architecture);
        let runtime = Runtime::LlamaCpp;
        let many = thin_seconds(&profile, "gpu", Precision::F16, runtime);
        let gpu = profile.units.get_mut(&UnitName::Gpu).unwrap();
        gpu.cores.as_mut().unwrap().value.0 /= 8.0;
        thin_seconds(&profile, "gpu", Precision::F16, runtime) / many
    };
    let (cuda, metal) =
        (slower(Architecture::Ada), slower(Architecture::Apple8));
    assert!(cuda > 1.5, "{cuda}");
    assert!((metal - 1.0).abs() < 1e-12, "{metal}");
}

#[test]
fn an_npu_takes_quantised_weights_as_they_are_and_a_cpu_unpacks_them() {
    let profile = load("snapdragon-8-gen-3").unwrap();
    let share = |unit| {
        let of =
            |precision| thin_seconds(&profile, unit, precision, Runtime::Graph);
        of(Precision::F16) / of(Precision::Int4)
    };
    // 16 bits against 4 and a scale, beside a launch.
    let (npu, cpu) = (share("npu"), share("cpu"));
    assert!(npu > 3.5, "{npu}");
    assert!((0.75..0.87).contains(&(cpu / npu)), "{cpu} {npu}");
}

#[test]
fn a_rate_that_was_worked_out_is_no_stream() {
    let mut profile = load("raspberry-pi-5-bcm2712").unwrap();
    let seconds = |profile: &HardwareProfile| {
        thin_seconds(profile, "cpu", Precision::F32, Runtime::Graph)
    };
    let stated = seconds(&profile);
    let cpu = profile.units.get_mut(&UnitName::Cpu).unwrap();
    let rate = &mut cpu.bandwidth[0].rate;
    assert_eq!(rate.trust, Trust::Derived);
    rate.value = rate.value * 0.5;
    assert!((seconds(&profile) / stated - 1.0).abs() < 1e-12);
    let cpu = profile.units.get_mut(&UnitName::Cpu).unwrap();
    cpu.bandwidth[0].rate.trust = Trust::Seen;
    assert!(seconds(&profile) > 1.5 * stated);
}

#[test]
fn nothing_is_held_to_a_slower_stream_than_one_that_an_operator_reached() {
    let mut profile = load("raspberry-pi-5-bcm2712").unwrap();
    let cpu = profile.units.get_mut(&UnitName::Cpu).unwrap();
    // 512 MiB at 30 GB/s, where the profile states 17.1.
    let seconds = (1u64 << 29) as f64 / 30e9;
    let dims = [("m", 1.0), ("n", 8192.0), ("k", 16384.0)];
    cpu.efficiency.push(Efficiency {
        operator: "matmul".to_owned(),
        kind: None,
        precision: Precision::F32,
        threads: None,
        dims: dims.map(|(name, n)| (name.to_owned(), n)).into(),
        cached: false,
        seconds: Fact {
            value: Seconds(seconds),
            source: "this test".to_owned(),
            trust: Trust::Measured,
            kind: Kind::Measured,
            interval: None,
            note: None,
        },
    });
    let half = thin_seconds(&profile, "cpu", Precision::F32, Runtime::Flex);
    let times = half / (seconds / 2.0);
    assert!((0.9..1.1).contains(&times), "{times}");
}

/// Sums of two operands on a board's CPU, each taking so many times what is
/// predicted.
fn off_by(times: &dyn Fn(usize) -> f64) -> Vec<Observation> {
    let profile = Arc::new(load("raspberry-pi-5-bcm2712").unwrap());
    let one = |i: usize| {
        let elements = 1 << (10 + i);
        let graph = capture(
            |_| None,
            |recorder| {
                let device = recorder.device();
                let x = Tensor::<1>::zeros([elements], &device);
                let y = Tensor::<1>::zeros([elements], &device);
                recorder.role(&x, Role::Input);
                recorder.role(&y, Role::Input);
                recorder.output(&(x + y));
            },
        );
        let traced =
            Arc::new(Traced::new(Arc::new(graph.unwrap()), Precision::F32));
        let target =
            Target::new(&profile, Some("cpu"), Precision::F32, None).unwrap();
        let case = Case::new("operators", "elementwise", None);
        let found = predict(&case, &traced, &target, Runtime::Flex).unwrap();
        Observation {
            case: format!("operators/elementwise elements={elements}"),
            seconds: found.latency_s.point * times(i),
            traced,
            profile: Arc::clone(&profile),
            unit: UnitName::Cpu,
            runtime: Runtime::Flex,
            source: "made up".to_owned(),
            weight: 1.0,
        }
    };
    (0..12).map(one).collect()
}

#[test]
fn residuals_that_predict_no_other_row_are_not_kept() {
    let kept = calibrate(&off_by(&|_| 1.5), "now", "this test").unwrap();
    assert_eq!(kept.overlay.classes.len(), 1);
    // Up, down, up, down: each row's neighbours say the opposite of it.
    let by_turns = |i: usize| if i.is_multiple_of(2) { 1.2 } else { 1.0 / 1.2 };
    let refused = calibrate(&off_by(&by_turns), "now", "this test");
    let words = refused.unwrap_err().to_string();
    assert!(words.contains("elementwise is 18"), "{words}");
    assert!(words.contains("had not seen the row"), "{words}");
}
