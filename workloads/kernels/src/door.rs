//! The door between Burn tensors and the kernels: who is served, how a kernel
//! is recorded under capture, and how Flex data is reached.
//!
//! A kernel serves `f32` tensors on Flex (with or without autodiff) and any
//! tensor on the capture device. Everything else (other dtypes, GPU devices)
//! takes the plain twin, which is made of Burn's own operators.

use std::cell::Cell;

use burn::Tensor;
use burn::backend::ir::{CustomOpIr, OperationIr, ScalarIr, TensorIr};
use burn::backend::tensor::FloatTensor;
use burn::backend::{DispatchDevice, TensorMetadata};
use burn::tensor::{Bytes, DType, Int, Shape};
use burn_capture::CaptureBackend;
use burn_flex::{FlexTensor, Layout};
use burn_router::{RouterClient, RouterTensor};

thread_local! {
    static PLAIN: Cell<bool> = const { Cell::new(false) };
}

/// Runs `body` with every kernel replaced by its plain twin, on this thread:
/// the second opinion that a verification asks for.
pub fn with_plain_twins<T>(body: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            PLAIN.set(self.0);
        }
    }
    let _restore = Restore(PLAIN.replace(true));
    body()
}

/// Whether the fused kernels serve this tensor.
pub(crate) fn serves<const D: usize>(x: &Tensor<D>) -> bool {
    if PLAIN.get() {
        return false;
    }
    match place(x.device().as_dispatch()) {
        Place::Capture => true,
        Place::Flex => x.dtype() == DType::F32,
        Place::Elsewhere => false,
    }
}

/// As [`serves`], for kernels that take integers alone.
pub(crate) fn serves_integers<const D: usize>(x: &Tensor<D, Int>) -> bool {
    !PLAIN.get() && !matches!(place(x.device().as_dispatch()), Place::Elsewhere)
}

enum Place {
    Capture,
    Flex,
    Elsewhere,
}

fn place(device: &DispatchDevice) -> Place {
    #[allow(
        unreachable_patterns,
        reason = "further devices exist only with the engine's GPU features"
    )]
    match device {
        DispatchDevice::Capture(_) => Place::Capture,
        DispatchDevice::Flex(_) => Place::Flex,
        DispatchDevice::Autodiff(inner) => place(inner),
        _ => Place::Elsewhere,
    }
}

/// A tensor of the capture device: a name and a shape, no data.
pub(crate) type Captured = FloatTensor<CaptureBackend>;

/// Records a custom operator. `outputs` gives each output's shape; dtype and
/// client are those of the first input.
pub(crate) fn record<const OUTPUTS: usize>(
    id: &'static str,
    inputs: Vec<Captured>,
    outputs: [Shape; OUTPUTS],
    scalars: Vec<ScalarIr>,
) -> [Captured; OUTPUTS] {
    let dtype = inputs[0].dtype();
    record_as(id, dtype, inputs, outputs, scalars)
}

/// As [`record`], with outputs of a dtype of their own.
pub(crate) fn record_as<const OUTPUTS: usize>(
    id: &'static str,
    dtype: DType,
    inputs: Vec<Captured>,
    outputs: [Shape; OUTPUTS],
    scalars: Vec<ScalarIr>,
) -> [Captured; OUTPUTS] {
    let client = inputs[0].client.clone();
    let out = outputs.map(|shape| {
        TensorIr::uninit(client.create_empty_handle(), shape, dtype)
    });
    let inputs: Vec<TensorIr> =
        inputs.into_iter().map(RouterTensor::into_ir).collect();
    let op = CustomOpIr::with_scalars(id, &inputs, &out, scalars);
    let made = client.register(OperationIr::Custom(op));
    match made.try_into() {
        Ok(outputs) => outputs,
        Err(_) => unreachable!("the client returns one tensor an output"),
    }
}

/// The tensor's values in row-major order: borrowed when it lies so already.
pub(crate) fn contiguous(x: FlexTensor) -> FlexTensor {
    if x.is_contiguous() { x } else { x.to_contiguous() }
}

/// The values of a contiguous `f32` tensor.
pub(crate) fn values(x: &FlexTensor) -> &[f32] {
    match x.as_slice::<f32>() {
        Some(values) => values,
        None => {
            unreachable!("`serves` admits f32 only, `contiguous` went first")
        }
    }
}

/// A tensor that takes the vector over without a copy.
pub(crate) fn tensor(values: Vec<f32>, shape: Shape) -> FlexTensor {
    debug_assert_eq!(values.len(), shape.num_elements());
    FlexTensor::new(
        Bytes::from_elems(values),
        Layout::contiguous(shape),
        DType::F32,
    )
}

/// The integers of a tensor of any integer type, in row-major order, as places
/// in a dimension of `bound`.
///
/// # Panics
/// When one is not below `bound`, as indexing does.
pub(crate) fn places(x: FlexTensor, bound: usize) -> Vec<usize> {
    let check = |i: i64| match usize::try_from(i) {
        Ok(place) if place < bound => place,
        _ => out_of_bounds(i, bound),
    };
    let x = contiguous(x);
    if let Some(x) = x.as_slice::<i32>() {
        return x.iter().map(|&i| check(i64::from(i))).collect();
    }
    if let Some(x) = x.as_slice::<i64>() {
        return x.iter().map(|&i| check(i)).collect();
    }
    x.into_data().iter::<i64>().map(check).collect()
}

#[expect(clippy::panic, reason = "as indexing a slice does")]
fn out_of_bounds(i: i64, bound: usize) -> ! {
    panic!("index {i} is outside of 0..{bound}")
}

/// What a backward operator of a kernel does when it is itself asked for a
/// gradient; the plain twin can be differentiated any number of times.
#[expect(clippy::panic, reason = "as the engine's own fused operators do")]
pub(crate) fn second_order(kernel: &str) -> ! {
    panic!("{kernel}: a gradient of the gradient is taken on the plain twin")
}

/// The custom operators that `run` records on a capture device, and those of
/// the backward pass from the loss that it returns.
#[cfg(test)]
pub(crate) fn recorded(
    run: impl FnOnce(&burn::tensor::Device) -> Option<Tensor<1>>,
) -> Vec<CustomOpIr> {
    use burn::backend::{Autodiff, AutodiffBackend};
    use burn::tensor::Device;
    type Traced = Autodiff<CaptureBackend>;
    let device = Device::capture();
    let captured = device
        .capture_scope(|scope| {
            let loss = run(&device.clone().autodiff());
            if let Some(loss) = loss {
                let loss = loss.try_into_primitive::<Traced>().unwrap();
                Traced::backward(loss);
            }
            scope.complete([], [])
        })
        .unwrap();
    captured
        .graph
        .operations
        .into_iter()
        .filter_map(|op| match op {
            OperationIr::Custom(op) => Some(op),
            _ => None,
        })
        .collect()
}
