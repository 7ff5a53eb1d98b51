//! What cannot be counted is an error, and leaves nothing behind.

use assay_trace::{CustomCost, OperatorKind, TraceError, capture, span};
use burn::backend::DispatchDevice;
use burn::backend::ir::{CustomOpIr, OperationIr, TensorIr};
use burn::tensor::{DType, Device, Shape, Tensor};
use burn_capture::CaptureChannel;
use burn_router::{RouterClient, get_client};

/// Records a custom operator by name, as a kernel's crate would.
fn record_custom(device: &Device, name: &str) {
    let DispatchDevice::Capture(handle) = device.as_dispatch() else {
        unreachable!("the recorder's device captures");
    };
    let client = get_client::<CaptureChannel>(handle);
    let out = TensorIr::uninit(
        client.create_empty_handle(),
        Shape::from([4]),
        DType::F32,
    );
    let op = CustomOpIr::with_scalars("mystery", &[], &[out], vec![]);
    let op = CustomOpIr { id: name.to_owned(), ..op };
    client.register(OperationIr::Custom(op));
}

#[test]
fn an_operation_without_a_counting_rule_is_an_error_that_names_it() {
    let error = capture(
        |_| None,
        |recorder| {
            let x = Tensor::<1>::zeros([8], &recorder.device());
            recorder.output(&x.sort(0));
        },
    )
    .unwrap_err();
    assert!(matches!(error, TraceError::Unknown(_)), "{error:?}");
    let message = error.to_string();
    assert!(message.to_lowercase().contains("sort"), "{message}");
    assert!(message.len() < 200, "the name, not its tensors: {message}");
}

#[test]
fn a_custom_operator_without_a_declared_cost_is_an_error_never_free() {
    let error = capture(|_| None, |r| record_custom(&r.device(), "mystery"));
    let message = error.unwrap_err().to_string();
    assert!(message.contains("`mystery`"), "{message}");
}

#[test]
fn a_declared_cost_is_what_is_counted() {
    let graph = capture(
        |op| {
            let kind =
                OperatorKind::Softmax { rows: 1, cols: 4, backward: false };
            (op.id == "known").then(|| CustomCost::plain(kind, op))
        },
        |recorder| record_custom(&recorder.device(), "known"),
    )
    .unwrap();
    assert_eq!(graph.flops().value(), 5.0 * 4.0);
    assert_eq!(graph.operators[0].outputs[0].elements, 4);
}

#[test]
fn a_tensor_of_another_device_is_refused() {
    let error = capture(
        |_| None,
        |recorder| {
            recorder.output(&Tensor::<1>::zeros([2], &Device::flex()));
        },
    );
    assert!(matches!(error, Err(TraceError::Foreign)));
}

#[test]
fn a_panic_inside_a_capture_leaves_nothing_behind() {
    let body = |recorder: &assay_trace::Recorder| {
        let x = Tensor::<1>::zeros([3], &recorder.device());
        recorder.role(&x, assay_trace::Role::Input);
        recorder.output(&span("part", || x.exp()));
    };
    let clean = capture(|_| None, body).unwrap();
    let torn = std::panic::catch_unwind(|| {
        capture(
            |_| None,
            |recorder| {
                span("outer", || {
                    let x = Tensor::<1>::zeros([5], &recorder.device());
                    let _ = span("inner", || x.exp());
                    std::panic::panic_any("a model with a mistake");
                });
            },
        )
    });
    assert!(torn.is_err());
    let again = capture(|_| None, body).unwrap();
    assert_eq!(clean.modules, again.modules);
    assert_eq!(clean.operators.len(), again.operators.len());
    assert_eq!(clean.tensors.len(), again.tensors.len());
    assert_eq!(again.modules, ["", "part"]);
    // Outside of a capture a span is its body and nothing else.
    assert_eq!(span("no trace", || 7), 7);
}
