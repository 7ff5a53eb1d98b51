//! The trace of a training step: all three passes, with the optimizer's state.

use assay_schema::{Case, Precision};
use assay_slm::{Request, trace};
use assay_trace::{Graph, Pass, by_module, memory};

fn step(model: &str) -> Graph {
    let case = format!("slm/{model}/train-step batch=2 prompt=16");
    let case: Case = case.parse().unwrap();
    trace(&Request::new(&case, None).unwrap()).unwrap()
}

fn flops(graph: &Graph, pass: Pass) -> f64 {
    let of_pass = graph.operators.iter().filter(|op| op.pass == pass);
    of_pass.map(|op| op.kind.flops()).sum()
}

const MODELS: [&str; 4] = ["tiny", "smollm-135m", "pythia-160m", "opt-125m"];

#[test]
fn optimizer_state_is_two_numbers_a_parameter() {
    for model in MODELS {
        let graph = step(model);
        let peak = memory(&graph, Precision::F32).peak;
        let parameters = graph.parameters() as f64;
        assert_eq!(peak.optimizer_bytes.value(), 8.0 * parameters, "{model}");
        assert_eq!(peak.weights_bytes.value(), 4.0 * parameters, "{model}");
        assert_eq!(peak.kv_cache_bytes.value(), 0.0, "{model}");
    }
}

#[test]
fn the_optimizer_moves_seven_numbers_a_parameter_and_updates_each_once() {
    for model in MODELS {
        let graph = step(model);
        let key = (String::new(), Pass::Optimizer);
        let work = &by_module(&graph, Precision::F32)[&key];
        let parameters = graph.parameters() as f64;
        assert_eq!(work.bytes.value(), 28.0 * parameters, "{model}");
        assert_eq!(work.parameters as f64, parameters, "{model}");
    }
}

#[test]
fn the_backward_pass_has_two_products_for_each_of_the_forward_pass() {
    for model in MODELS {
        let graph = step(model);
        let products = |pass: Pass| -> f64 {
            graph
                .operators
                .iter()
                .filter(|op| op.pass == pass && op.kind.name() == "matmul")
                .map(|op| op.kind.flops())
                .sum()
        };
        assert_eq!(
            products(Pass::Backward),
            2.0 * products(Pass::Forward),
            "{model}"
        );
        let ratio =
            flops(&graph, Pass::Backward) / flops(&graph, Pass::Forward);
        assert!((1.9..2.5).contains(&ratio), "{model}: {ratio}");
    }
}

#[test]
fn gradients_work_in_every_block_and_all_of_it_is_accounted_for() {
    let graph = step("smollm-135m");
    let table = by_module(&graph, Precision::F32);
    for layer in 0..30 {
        for part in ["attention", "mlp"] {
            let path = format!("layers.{layer}.{part}");
            let work = table.get(&(path.clone(), Pass::Backward));
            assert!(work.is_some_and(|w| w.flops.value() > 0.0), "{path}");
        }
    }
    let all: f64 = [Pass::Forward, Pass::Backward, Pass::Optimizer]
        .map(|pass| flops(&graph, pass))
        .iter()
        .sum();
    assert_eq!(all, graph.flops().value());
}
