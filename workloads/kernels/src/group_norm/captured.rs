//! Group norm as it is recorded, and what it costs.

use burn::backend::TensorMetadata;
use burn::backend::ir::{CustomOpIr, ScalarIr};
use burn::backend::tensor::FloatTensor;
use burn::tensor::Shape;
use burn_capture::CaptureBackend;

use assay_trace::{CustomCost, OperatorKind};

use super::{GroupNormOps, Layout};
use crate::door::record;

impl GroupNormOps for CaptureBackend {
    fn group_norm_all(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        offset: FloatTensor<Self>,
        groups: usize,
        epsilon: f32,
        silu: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let shape = x.shape();
        let statistics = Shape::new([shape[0], 2, groups]);
        let scalars = vec![
            ScalarIr::UInt(groups as u64),
            ScalarIr::Float(f64::from(epsilon)),
            ScalarIr::Bool(silu),
        ];
        let inputs = vec![x, gain, offset];
        record("group_norm", inputs, [shape, statistics], scalars).into()
    }

    fn group_norm_all_backward(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        offset: FloatTensor<Self>,
        statistics: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        silu: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let shapes = [x.shape(), gain.shape(), gain.shape()];
        let scalars = vec![ScalarIr::Bool(silu)];
        let inputs = vec![x, gain, offset, statistics, grad];
        record("group_norm_backward", inputs, shapes, scalars).into()
    }
}

/// The cost of this file's operators: LayerNorm's, a group a row. SiLU's four
/// operations an element are not counted, as a convolution's ReLU is not. The
/// pieces' sums are scratch.
pub(crate) fn cost(op: &CustomOpIr) -> Option<CustomCost> {
    let (backward, statistics) = match op.id.as_str() {
        "group_norm" => (false, &op.outputs[1].shape),
        "group_norm_backward" => (true, &op.inputs[3].shape),
        _ => return None,
    };
    let shape = &op.outputs[0].shape;
    let groups = statistics[2];
    let layout = Layout::new(shape, groups);
    let kind = OperatorKind::LayerNorm {
        rows: (layout.batch * groups) as u64,
        cols: (layout.sample / groups.max(1)) as u64,
        backward,
    };
    let mut cost = CustomCost::plain(kind, op);
    cost.in_place[0] = Some(if backward { 4 } else { 0 });
    if backward || layout.is_cut() {
        let sums = layout.piece_count() * 2 * layout.cols;
        cost.scratch_bytes = (sums * size_of::<f64>()) as u64;
    }
    Some(cost)
}
