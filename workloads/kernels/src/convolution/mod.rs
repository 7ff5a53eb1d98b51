//! Convolution of channel-last pictures, with bias and ReLU:
//! `y[b, h, w, o] = max(0, bias[o] + sum x[b, h s + i - p, w s + j - p, c]
//! W[o, c, i, j])`, and its gradients.
//!
//! The ladder (`examples/convolution_ladder.rs`), one thread of an EPYC with
//! AVX-512, 2026-11-28, milliseconds of processor time as the machine was
//! busy, allocator set to keep its memory, forward / forward and backward:
//!
//! | input, kernel | Burn's operators | this kernel |
//! |---|---|---|
//! | [256, 128, 2, 1], 256 of 3 x 1 | 44 / 260 | 12.8 / 49 |
//! | [256, 126, 2, 256], 256 of 3 x 2 | 470 / 2036 | 241 / 803 |
//! | [256, 126, 2, 64], 1024 of 3 x 2 | 370 / 2276 | 264 / 909 |
//! | [256, 128, 1, 32], 32 of 5 x 1 | 13.0 / 47.6 | 3.8 / 12.4 |
//! | [256, 8, 1, 32], 32 of 5 x 1 | 0.81 / 3.4 | 0.22 / 0.71 |
//! | [256, 128, 1, 2], 32 of 1 x 1 | 1.0 / 11.2 | 0.29 / 0.93 |
//! | [1024, 2, 128, 1], 256 of 1 x 3 | 188 / 1288 | 57 / 218 |
//!
//! The large ones reach what `gemm` reaches on a square product of 1024, 98
//! GFLOP/s; those with few taps are bound by memory: with an allocator that
//! returns it, the first takes 41 / 147. One rung only was built: windows are
//! read where they lie ([`plan`]), weights are packed once a call, and one
//! inner loop ([`micro`]) serves the output and both gradients.

mod backward;
mod forward;
mod plan;
#[cfg(test)]
mod tests;
mod tracked;

use burn::Tensor;
use burn::backend::ir::{CustomOpIr, ScalarIr};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::activation::relu;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Shape, module};
use burn_capture::CaptureBackend;
use burn_flex::{Flex, FlexTensor};

use assay_trace::{CustomCost, OperatorKind};

use crate::classes::{Class, timed};
use crate::door::{Captured, contiguous, record, serves, tensor, values};
use crate::rows::fill;
use plan::{Geometry, Plan, Source};

/// What a convolution does beside its sums of products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Zeros above and below, left and right.
    pub padding: [usize; 2],
    /// Distance of windows, down and across.
    pub stride: [usize; 2],
    /// Whether negative outputs become zero.
    pub relu: bool,
}

impl Default for Convolution {
    /// No padding, every position, no ReLU.
    fn default() -> Self {
        Self { padding: [0, 0], stride: [1, 1], relu: false }
    }
}

impl Convolution {
    fn scalars(self) -> Vec<ScalarIr> {
        let ([top, left], [down, across]) = (self.padding, self.stride);
        let mut scalars: Vec<_> =
            [top, left, down, across].map(|n| ScalarIr::UInt(n as u64)).into();
        scalars.push(ScalarIr::Bool(self.relu));
        scalars
    }

    fn of_scalars(scalars: &[ScalarIr]) -> Option<Self> {
        let number = |i: usize| match scalars.get(i) {
            Some(ScalarIr::UInt(n)) => usize::try_from(*n).ok(),
            _ => None,
        };
        Some(Self {
            padding: [number(0)?, number(1)?],
            stride: [number(2)?, number(3)?],
            relu: matches!(scalars.get(4)?, ScalarIr::Bool(true)),
        })
    }
}

/// The convolution of `x` [B, H, W, C] with `weight` [O, C, kh, kw] and `bias`
/// [O]: [B, H', W', O].
///
/// # Panics
/// When channels differ or the kernel is larger than the padded input.
pub fn conv(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    convolution: Convolution,
) -> Tensor<4> {
    let ([_, height, width, channels], [outputs, inputs, tall, wide]) =
        (x.dims(), weight.dims());
    assert_eq!(channels, inputs, "conv: x and weight differ in channels");
    let [top, left] = convolution.padding;
    assert!(
        tall <= height + 2 * top && wide <= width + 2 * left,
        "conv: the kernel is larger than the padded input"
    );
    if let Some(bias) = &bias {
        assert_eq!(bias.dims(), [outputs], "conv: bias and weight differ");
    }
    if !(serves(&x) && serves(&weight) && bias.as_ref().is_none_or(serves)) {
        return conv_plain(x, weight, bias, convolution);
    }
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(match bias {
        None => {
            <Dispatch as ConvolutionOps>::conv_windows(x, weight, convolution)
        }
        Some(bias) => <Dispatch as ConvolutionOps>::conv_windows_bias(
            x,
            weight,
            bias.into_dispatch(),
            convolution,
        ),
    })
}

/// The plain twin, of Burn's own operators.
pub fn conv_plain(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    convolution: Convolution,
) -> Tensor<4> {
    let options =
        ConvOptions::new(convolution.stride, convolution.padding, [1, 1], 1);
    let y = module::conv2d(x.permute([0, 3, 1, 2]), weight, bias, options);
    let y = y.permute([0, 2, 3, 1]);
    if convolution.relu { relu(y) } else { y }
}

/// The convolution as a backend operator: use [`conv`].
#[backend_extension(Flex, Capture, Autodiff)]
pub trait ConvolutionOps: Backend {
    /// Without bias.
    fn conv_windows(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        convolution: Convolution,
    ) -> FloatTensor<Self>;
    /// With bias.
    fn conv_windows_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        convolution: Convolution,
    ) -> FloatTensor<Self>;
    /// The gradient of an input of `size` (height, width). `y` is the output,
    /// asked only with ReLU.
    fn conv_windows_backward_input(
        grad: FloatTensor<Self>,
        y: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        size: [usize; 2],
        convolution: Convolution,
    ) -> FloatTensor<Self>;
    /// The gradients of weights, whose windows have `size` (height, width), and
    /// of the bias.
    fn conv_windows_backward_weight(
        grad: FloatTensor<Self>,
        y: FloatTensor<Self>,
        x: FloatTensor<Self>,
        size: [usize; 2],
        convolution: Convolution,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

fn output_shape(g: &Geometry) -> Shape {
    let [height, width] = g.output();
    Shape::new([g.batch, height, width, g.outputs])
}

/// Of an input [B, `size`, C], from the gradient [B, H', W', O] and weights.
fn of_input(
    grad: &Shape,
    weight: &Shape,
    [height, width]: [usize; 2],
    convolution: &Convolution,
) -> (Shape, Geometry) {
    let x = Shape::new([grad[0], height, width, weight[1]]);
    let geometry = Geometry::new(&x, weight, convolution);
    (x, geometry)
}

/// Of weights [O, C, `size`], from the gradient and the input.
fn of_weight(
    grad: &Shape,
    x: &Shape,
    [tall, wide]: [usize; 2],
    convolution: &Convolution,
) -> (Shape, Geometry) {
    let weight = Shape::new([grad[3], x[3], tall, wide]);
    let geometry = Geometry::new(x, &weight, convolution);
    (weight, geometry)
}

fn on_flex(
    x: FlexTensor,
    weight: FlexTensor,
    bias: Option<FlexTensor>,
    convolution: Convolution,
) -> FlexTensor {
    let (x, weight) = (contiguous(x), contiguous(weight));
    let bias = bias.map(contiguous);
    let bias = bias.as_ref().map(values);
    let geometry = Geometry::new(&x.shape(), &weight.shape(), &convolution);
    let shape = output_shape(&geometry);
    let packed = forward::pack_weight(values(&weight), &geometry);
    let plan = Plan::forward(&geometry.folded());
    let source = Source { values: values(&x), mask: None };
    let out = fill(shape.num_elements(), |out| {
        let relu = convolution.relu;
        forward::run(&plan, &source, &packed, bias, relu, out);
    });
    tensor(out, shape)
}

impl ConvolutionOps for Flex {
    fn conv_windows(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        convolution: Convolution,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Convolution);
        on_flex(x, weight, None, convolution)
    }

    fn conv_windows_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        convolution: Convolution,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Convolution);
        on_flex(x, weight, Some(bias), convolution)
    }

    fn conv_windows_backward_input(
        grad: FloatTensor<Self>,
        y: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        size: [usize; 2],
        convolution: Convolution,
    ) -> FloatTensor<Self> {
        let _timed = timed(Class::Convolution);
        let (grad, weight) = (contiguous(grad), contiguous(weight));
        let y = contiguous(y);
        let (shape, geometry) =
            of_input(&grad.shape(), &weight.shape(), size, &convolution);
        let folded = geometry.folded();
        let packed = forward::pack_turned(values(&weight), &geometry, &folded);
        let plan = Plan::input_gradient(&folded);
        let source = Source {
            values: values(&grad),
            mask: convolution.relu.then(|| values(&y)),
        };
        let out = fill(shape.num_elements(), |out| {
            forward::run(&plan, &source, &packed, None, false, out);
        });
        tensor(out, shape)
    }

    fn conv_windows_backward_weight(
        grad: FloatTensor<Self>,
        y: FloatTensor<Self>,
        x: FloatTensor<Self>,
        size: [usize; 2],
        convolution: Convolution,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let _timed = timed(Class::Convolution);
        let (grad, x, y) = (contiguous(grad), contiguous(x), contiguous(y));
        let (shape, geometry) =
            of_weight(&grad.shape(), &x.shape(), size, &convolution);
        let plan = Plan::forward(&geometry.folded());
        let source = Source {
            values: values(&grad),
            mask: convolution.relu.then(|| values(&y)),
        };
        let (dw, db) =
            backward::weight_gradient(&plan, &geometry, values(&x), &source);
        (tensor(dw, shape), tensor(db, Shape::new([geometry.outputs])))
    }
}

/// Records a forward convolution; `inputs` begin with `x` and `weight`.
fn recorded(inputs: Vec<Captured>, convolution: Convolution) -> Captured {
    let (x, weight) = (inputs[0].shape(), inputs[1].shape());
    let shape = output_shape(&Geometry::new(&x, &weight, &convolution));
    let [y] = record("conv", inputs, [shape], convolution.scalars());
    y
}

impl ConvolutionOps for CaptureBackend {
    fn conv_windows(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        convolution: Convolution,
    ) -> FloatTensor<Self> {
        recorded(vec![x, weight], convolution)
    }

    fn conv_windows_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        convolution: Convolution,
    ) -> FloatTensor<Self> {
        recorded(vec![x, weight, bias], convolution)
    }

    fn conv_windows_backward_input(
        grad: FloatTensor<Self>,
        y: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        size: [usize; 2],
        convolution: Convolution,
    ) -> FloatTensor<Self> {
        let (shape, _) =
            of_input(&grad.shape(), &weight.shape(), size, &convolution);
        let mut inputs = vec![weight, grad];
        inputs.extend(convolution.relu.then_some(y));
        let scalars = convolution.scalars();
        let [dx] = record("conv_input_backward", inputs, [shape], scalars);
        dx
    }

    fn conv_windows_backward_weight(
        grad: FloatTensor<Self>,
        y: FloatTensor<Self>,
        x: FloatTensor<Self>,
        size: [usize; 2],
        convolution: Convolution,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (shape, geometry) =
            of_weight(&grad.shape(), &x.shape(), size, &convolution);
        let bias = Shape::new([geometry.outputs]);
        let mut inputs = vec![x, grad];
        inputs.extend(convolution.relu.then_some(y));
        let [dw, db] = record(
            "conv_weight_backward",
            inputs,
            [shape, bias],
            convolution.scalars(),
        );
        (dw, db)
    }
}

/// The cost of this file's operators. Each gradient sums the products of the
/// forward pass. Weights packed for the inner loop and the tasks' sums of the
/// weights' gradient are scratch; the tasks' pieces of padded input are not
/// counted, as they are as many as threads.
pub(crate) fn cost(op: &CustomOpIr) -> Option<CustomCost> {
    let id = op.id.as_str();
    if !matches!(id, "conv" | "conv_input_backward" | "conv_weight_backward") {
        return None;
    }
    let convolution = Convolution::of_scalars(&op.scalars)?;
    let (first, out) = (&op.inputs[0].shape, &op.outputs[0].shape);
    let (x, weight) = match id {
        "conv" => (first, &op.inputs[1].shape),
        "conv_input_backward" => (out, first),
        _ => (first, out),
    };
    let geometry = Geometry::new(x, weight, &convolution);
    let folded = geometry.folded();
    let scratch = match id {
        "conv" => forward::packed_len(geometry.taps(), geometry.outputs),
        "conv_input_backward" => {
            let plan = Plan::input_gradient(&folded);
            forward::packed_len(plan.depth(), plan.outputs)
        }
        _ => backward::partial_len(&Plan::forward(&folded)),
    };
    let [height, width] = geometry.output();
    let kind = OperatorKind::Conv {
        batch: geometry.batch as u64,
        in_channels: geometry.channels as u64,
        out_channels: geometry.outputs as u64,
        positions: (height * width) as u64,
        taps: geometry.taps() as u64,
    };
    Some(CustomCost {
        scratch_bytes: (scratch * size_of::<f32>()) as u64,
        ..CustomCost::plain(kind, op)
    })
}
