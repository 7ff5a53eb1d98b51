//! Views share storage; what must be copied is counted as a copy.

use assay_schema::Precision;
use assay_trace::{Graph, OperatorKind, Role, capture};
use burn::tensor::Tensor;

/// The graph of one function of an input of that shape.
fn of<const D: usize, const E: usize>(
    shape: [usize; D],
    run: impl Fn(Tensor<D>) -> Tensor<E>,
) -> Graph {
    capture(
        |_| None,
        |recorder| {
            let x = Tensor::<D>::zeros(shape, &recorder.device());
            recorder.role(&x, Role::Input);
            recorder.output(&run(x));
        },
    )
    .unwrap()
}

fn copies(graph: &Graph) -> usize {
    let is_copy =
        |kind: &OperatorKind| matches!(kind, OperatorKind::Copy { .. });
    graph.operators.iter().filter(|op| is_copy(&op.kind)).count()
}

#[test]
fn views_are_no_operators_and_share_the_storage_of_what_they_view() {
    let graph = of([4, 6], |x| {
        x.reshape([2, 2, 6]).swap_dims(0, 2).narrow(0, 0, 3).permute([1, 0, 2])
    });
    assert!(graph.operators.is_empty());
    let (input, output) = (0, graph.outputs[0]);
    assert_ne!(input, output);
    assert_eq!(graph.tensors[output].storage, input);
    let peak = assay_trace::memory(&graph, Precision::F32).peak.total();
    assert_eq!(peak.value(), 4.0 * 24.0);
}

#[test]
fn a_reshape_of_row_major_data_is_free_and_after_a_swap_it_copies() {
    let free = of([4, 6], |x| x.reshape([24]));
    assert_eq!(copies(&free), 0);
    let swapped = of([4, 6], |x| x.swap_dims(0, 1).reshape([24]));
    assert_eq!(copies(&swapped), 1);
    assert_eq!(swapped.operators[0].kind, OperatorKind::Copy { elements: 24 });
    let (read, written) =
        swapped.traffic(&swapped.operators[0], Precision::F32);
    assert_eq!((read.value(), written.value()), (96.0, 96.0));
}

#[test]
fn a_swap_with_a_dimension_of_one_keeps_the_order_only_beside_it() {
    // [1, 4] as [4, 1]: the same bytes in the same order.
    let beside = of([1, 4, 6], |x| x.swap_dims(0, 1).reshape([24]));
    assert_eq!(copies(&beside), 0);
    let beside = of([4, 1, 6], |x| x.swap_dims(0, 1).reshape([24]));
    assert_eq!(copies(&beside), 0);
    // [1, 4, 6] as [6, 4, 1]: the 4 and the 6 have changed places.
    let across = of([1, 4, 6], |x| x.swap_dims(0, 2).reshape([24]));
    assert_eq!(copies(&across), 1);
    let across = of([6, 4, 1], |x| x.swap_dims(0, 2).reshape([24]));
    assert_eq!(copies(&across), 1);
}

#[test]
fn a_slice_of_leading_rows_keeps_the_order_and_one_of_columns_does_not() {
    let rows = of([4, 6], |x| x.slice([1..3, 0..6]).reshape([12]));
    assert_eq!(copies(&rows), 0);
    let columns = of([4, 6], |x| x.slice([0..4, 1..4]).reshape([12]));
    assert_eq!(copies(&columns), 1);
}

#[test]
fn what_reads_a_view_reads_the_elements_of_the_view() {
    let graph = of([4, 6], |x| x.slice([0..1, 0..6]).exp());
    let (read, _) = graph.traffic(&graph.operators[0], Precision::F32);
    assert_eq!(read.value(), 4.0 * 6.0);
}
