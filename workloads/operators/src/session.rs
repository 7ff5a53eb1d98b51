//! An operator prepared: rotating inputs, checked, run again and again.

use std::hint::black_box;

use assay_kit::{compare, floats};
use assay_measure::{
    Context, Pace, Progress, Rotation, RotationSize, Session, Watch,
    WorkloadError,
};
use assay_schema::{Bytes, Verification};
use burn::tensor::Device;

use crate::inputs::{Inputs, Source};
use crate::operator::Operator;
use crate::reference::{Flat, element, sample};

/// Relative tolerance in `f32`.
const TOLERANCE: f64 = 1e-4;

/// Memory that rotating inputs may take in all.
const ROTATION_LIMIT: Bytes = Bytes(2e9);

pub(crate) struct OperatorSession {
    operator: Operator,
    inputs: Rotation<Inputs>,
}

impl OperatorSession {
    pub(crate) fn new(
        operator: Operator,
        context: &Context,
    ) -> Result<Self, WorkloadError> {
        let device = Device::flex();
        let mut rng = Source::seeded(context.seed);
        let mut make =
            || Inputs::new(&operator, &mut Source::Random(&mut rng), &device);
        let first = make().ok_or_else(|| {
            WorkloadError::Unsupported(
                "a collective needs several ranks with a link between them; \
                 it is predicted"
                    .to_owned(),
            )
        })?;
        let each = first.bytes();
        let cache = context.last_level_cache;
        let size = RotationSize::new(each, cache, ROTATION_LIMIT);
        let mut first = Some(first);
        let inputs = Rotation::new(size, |_| {
            first.take().or_else(&mut make).ok_or_else(|| {
                WorkloadError::other("an operator lost its inputs")
            })
        })?;
        Ok(Self { operator, inputs })
    }
}

impl Session for OperatorSession {
    fn verify(&mut self) -> Result<Verification, WorkloadError> {
        let inputs = self.inputs.turn();
        let flat = inputs.flat();
        let found = floats(inputs.clone().run(&self.operator));
        let indices = sample(found.len());
        let right: Vec<f32> = indices
            .iter()
            .map(|&i| element(&self.operator, &flat, i) as f32)
            .collect();
        let found: Vec<f32> = indices.iter().map(|&i| found[i]).collect();
        Ok(compare(
            "definition in f64, sampled elements",
            &found,
            &right,
            TOLERANCE,
        ))
    }

    fn pace(&self) -> Pace {
        Pace::Steady
    }

    fn iterate(
        &mut self,
        _watch: &mut Watch<'_>,
    ) -> Result<Progress, WorkloadError> {
        let inputs = self.inputs.turn().clone();
        black_box(inputs.run(&self.operator));
        Ok(Progress::More)
    }
}

impl Inputs {
    /// Bytes of all tensors.
    fn bytes(&self) -> Bytes {
        let flat = |shape: &[usize]| shape.iter().product::<usize>() as f64;
        let elements = match self {
            Self::Matmul(a, b) => flat(&a.dims()) + flat(&b.dims()),
            Self::Attention(q, k, v) => {
                flat(&q.dims()) + flat(&k.dims()) + flat(&v.dims())
            }
            Self::Rows(x, ..) => flat(&x.dims()),
            Self::Elements(x, y) => {
                flat(&x.dims()) + y.as_ref().map_or(0.0, |y| flat(&y.dims()))
            }
            Self::Picture(x, w) => flat(&x.dims()) + flat(&w.dims()),
            Self::Table(table, ids) => flat(&table.dims()) + flat(&ids.dims()),
        };
        Bytes(elements * 4.0)
    }

    fn flat(&self) -> Flat {
        let mut ids = Vec::new();
        let floats = match self.clone() {
            Self::Matmul(a, b) => vec![floats(a), floats(b)],
            Self::Attention(q, k, v) => {
                vec![floats(q), floats(k), floats(v)]
            }
            Self::Rows(x, gain, offset) => std::iter::once(floats(x))
                .chain(gain.map(floats))
                .chain(offset.map(floats))
                .collect(),
            Self::Elements(x, y) => {
                std::iter::once(floats(x)).chain(y.map(floats)).collect()
            }
            Self::Picture(x, w) => vec![floats(x), floats(w)],
            Self::Table(table, indices) => {
                ids = indices
                    .into_data()
                    .convert::<i64>()
                    .try_into_vec()
                    .unwrap_or_default();
                vec![floats(table)]
            }
        };
        Flat { floats, ids }
    }
}
