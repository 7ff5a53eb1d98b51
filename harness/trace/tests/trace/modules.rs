//! Module paths from spans, and work by module.

use assay_schema::Precision;
use assay_trace::{
    Graph, Pass, Role, Tape, by_module, capture, optimizer_begins, span,
    span_at,
};
use burn::tensor::Tensor;

/// Two layers `relu(x W)`, each in `layers.i`, its product in `.linear`.
fn two_layers(gradients: bool) -> Graph {
    capture(
        |_| None,
        |recorder| {
            let device = if gradients {
                recorder.training_device()
            } else {
                recorder.device()
            };
            let weight = || {
                let w = Tensor::<2>::zeros([6, 6], &device);
                recorder.role(&w, Role::Weight);
                if gradients { w.require_grad() } else { w }
            };
            let weights = [weight(), weight()];
            let mut x = Tensor::<2>::zeros([4, 6], &device);
            recorder.role(&x, Role::Input);
            for (i, w) in weights.iter().enumerate() {
                x = span_at("layers", i, || {
                    let y = span("linear", || x.matmul(w.clone()));
                    burn::tensor::activation::relu(y)
                });
            }
            let loss = span("loss", || x.sum());
            if gradients {
                let mut tape = Tape::of(loss);
                optimizer_begins();
                for w in &weights {
                    if let Some(g) = tape.remove(w) {
                        recorder.output(&(assay_trace::inner(w.clone()) - g));
                    }
                }
            } else {
                recorder.output(&loss);
            }
        },
    )
    .unwrap()
}

#[test]
fn spans_nest_and_number_into_dotted_paths() {
    let graph = two_layers(false);
    let paths: Vec<(&str, &str)> = graph
        .operators
        .iter()
        .map(|op| (op.kind.name(), graph.modules[op.module].as_str()))
        .collect();
    assert_eq!(
        paths,
        [
            ("matmul", "layers.0.linear"),
            ("elementwise", "layers.0"),
            ("matmul", "layers.1.linear"),
            ("elementwise", "layers.1"),
            ("reduce", "loss"),
        ]
    );
}

#[test]
fn the_figures_of_the_whole_model_are_the_totals_of_the_graph() {
    for gradients in [false, true] {
        let graph = two_layers(gradients);
        let table = by_module(&graph, Precision::F16);
        let whole = table.iter().filter(|((path, _), _)| path.is_empty());
        let (mut flops, mut bytes, mut operators) = (0.0, 0.0, 0);
        for (_, work) in whole {
            flops += work.flops.value();
            bytes += work.bytes.value();
            operators += work.operators;
        }
        assert_eq!(flops, graph.flops().value());
        assert_eq!(bytes, graph.total_traffic(Precision::F16).value());
        assert_eq!(operators as usize, graph.operators.len());
        let key = (String::new(), Pass::Forward);
        assert_eq!(table[&key].parameters, graph.parameters());
    }
}

#[test]
fn a_module_holds_the_work_of_its_parts() {
    let table = by_module(&two_layers(false), Precision::F32);
    let work = |path: &str| table[&(path.to_owned(), Pass::Forward)].clone();
    let product = 2.0 * 4.0 * 6.0 * 6.0;
    assert_eq!(work("layers.1.linear").flops.value(), product);
    assert_eq!(work("layers.1").flops.value(), product + 24.0);
    assert_eq!(work("layers").flops.value(), 2.0 * (product + 24.0));
    assert_eq!(work("layers").parameters, 72);
    assert_eq!(work("layers.0").operators, 2);
}

#[test]
fn a_backward_operator_belongs_to_the_module_whose_weight_it_reads() {
    let table = by_module(&two_layers(true), Precision::F32);
    for layer in ["layers.0", "layers.1"] {
        let key = (layer.to_owned(), Pass::Backward);
        assert!(table[&key].flops.value() > 0.0, "{layer}");
    }
}
