//! An operator prepared: rotating inputs, checked, run again and again.

use std::hint::black_box;

use assay_kit::{Queue, compare, floats, open_device};
use assay_measure::{
    Context, Pace, Progress, Rotation, RotationSize, Session, Watch,
    WorkloadError,
};
use assay_schema::{Bytes, Verification};

use crate::inputs::{Inputs, Source};
use crate::operator::Operator;
use crate::reference::{Flat, element, sample};

/// Relative tolerance in `f32`.
const TOLERANCE: f64 = 1e-4;

/// Memory that rotating inputs may take in all.
const ROTATION_LIMIT: Bytes = Bytes(2e9);

/// What the engine and the allocator hold beside the numbers of one set (1.8 kB
/// seen): it takes room in the cache as they do, and without it the inputs of a
/// tiny operator would be millions of sets.
const BOOKKEEPING: Bytes = Bytes(2048.0);

/// Sets of inputs that rotate on a GPU at most: each is buffers of its own
/// there, of which a driver bears some thousands. Inputs below 250 kB so stay in
/// a large cache; their operators last no longer than their launch.
const SETS_ON_GPU: usize = 512;

pub(crate) struct OperatorSession {
    operator: Operator,
    inputs: Rotation<Inputs>,
    /// Where the device works behind the caller's back.
    queue: Option<Queue>,
}

impl OperatorSession {
    pub(crate) fn new(
        operator: Operator,
        context: &Context,
    ) -> Result<Self, WorkloadError> {
        let (device, mut queue) = open_device(&context.device)?;
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
        let each = first.bytes() + BOOKKEEPING;
        let cache = context.last_level_cache;
        let mut size = RotationSize::new(each, cache, ROTATION_LIMIT);
        if queue.is_some() {
            size.sets = size.sets.min(SETS_ON_GPU);
        }
        let mut first = Some(first);
        let inputs = Rotation::new(size, |_| {
            first.take().or_else(&mut make).ok_or_else(|| {
                WorkloadError::other("an operator lost its inputs")
            })
        })?;
        // Uploads end here, before any clock starts.
        if let Some(queue) = &mut queue {
            queue.settle()?;
        }
        Ok(Self { operator, inputs, queue })
    }
}

/// The operator's answer to `inputs` against its definition over `flat`, the
/// same numbers as plain vectors.
fn check(operator: &Operator, inputs: &Inputs, flat: &Flat) -> Verification {
    let found = floats(inputs.clone().run(operator));
    let indices = sample(found.len());
    let right: Vec<f32> =
        indices.iter().map(|&i| element(operator, flat, i) as f32).collect();
    let found: Vec<f32> = indices.iter().map(|&i| found[i]).collect();
    compare("definition in f64, sampled elements", &found, &right, TOLERANCE)
}

impl Session for OperatorSession {
    fn verify(&mut self) -> Result<Verification, WorkloadError> {
        let inputs = self.inputs.turn();
        Ok(check(&self.operator, inputs, &inputs.flat()))
    }

    fn pace(&self) -> Pace {
        Pace::Steady
    }

    fn iterate(
        &mut self,
        _watch: &mut Watch<'_>,
    ) -> Result<Progress, WorkloadError> {
        let inputs = self.inputs.turn().clone();
        let operator = &self.operator;
        black_box(match &mut self.queue {
            None => inputs.run(operator),
            Some(queue) => queue.launch(|| inputs.run(operator))?,
        });
        Ok(Progress::More)
    }

    fn finish_sample(
        &mut self,
        watch: &mut Watch<'_>,
    ) -> Result<(), WorkloadError> {
        match &mut self.queue {
            None => Ok(()),
            Some(queue) => queue.wait(watch),
        }
    }
}

impl Inputs {
    /// Bytes of all tensors.
    fn bytes(&self) -> Bytes {
        let flat = |shape: &[usize]| shape.iter().product::<usize>() as f64;
        let elements = match self {
            Self::Layer(x, w) => flat(&x.dims()) + flat(&w.dims()),
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
            Self::Layer(x, w) => vec![floats(x), floats(w)],
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

#[cfg(test)]
mod tests {
    use assay_schema::Case;
    use burn::tensor::Device;

    use super::*;

    /// Sizes that leave rows and columns over in every kernel.
    const ODD: [&str; 27] = [
        "matmul batch=1 m=33 n=17 k=65",
        "matmul batch=3 m=1 n=75 k=130",
        "matmul batch=1 m=1 n=1 k=1",
        "attention phase=prefill batch=2 heads=6 kv_heads=2 head_dim=20 \
         query=13 context=13 causal=true",
        "attention phase=prefill batch=1 heads=3 kv_heads=3 head_dim=7 \
         query=5 context=29 causal=false",
        "attention phase=prefill batch=1 heads=4 kv_heads=1 head_dim=16 \
         query=5 context=29 causal=true",
        "attention phase=decode batch=2 heads=4 kv_heads=2 head_dim=16 \
         context=23 causal=true",
        "softmax rows=7 cols=33",
        "softmax rows=1 cols=1001",
        "layernorm rows=9 cols=47",
        "rmsnorm rows=9 cols=47",
        "elementwise kind=add elements=231 operands=2",
        "elementwise kind=mul elements=231 operands=1",
        "elementwise kind=div elements=231 operands=2",
        "elementwise kind=pow elements=231 operands=2",
        "elementwise kind=pow elements=231 operands=1",
        "elementwise kind=relu elements=231 operands=1",
        "elementwise kind=gelu elements=231 operands=1",
        "elementwise kind=silu elements=231 operands=1",
        "elementwise kind=copy elements=231 operands=1",
        "elementwise kind=relu elements=231 operands=2",
        "elementwise kind=gelu elements=231 operands=2",
        "elementwise kind=tanh elements=231 operands=2",
        "elementwise kind=silu elements=231 operands=2",
        "elementwise kind=exp elements=231 operands=2",
        "conv2d batch=2 in_channels=6 out_channels=8 height=9 width=11 \
         kernel=3 stride=2 padding=1 groups=2",
        "embedding vocab=50 width=15 tokens=9",
    ];

    fn made(axes: &str) -> (Operator, Inputs) {
        made_on(axes, &Device::flex())
    }

    fn made_on(axes: &str, device: &Device) -> (Operator, Inputs) {
        let case: Case = format!("operators/{axes}").parse().unwrap();
        let operator = Operator::new(&case).unwrap();
        let mut rng = Source::seeded(5);
        let inputs =
            Inputs::new(&operator, &mut Source::Random(&mut rng), device);
        (operator, inputs.unwrap())
    }

    #[test]
    fn odd_shapes_give_what_the_definition_gives() {
        for axes in ODD {
            let (operator, inputs) = made(axes);
            let found = check(&operator, &inputs, &inputs.flat());
            assert!(found.passed(), "{axes}: {found:?}");
        }
    }

    /// The first GPU, or a line that says what was skipped.
    #[cfg(feature = "gpu")]
    fn gpu(test: &str) -> Option<Device> {
        match open_device("wgpu:0") {
            Ok((device, _)) => Some(device),
            Err(error) => {
                println!("skipped: {test}: {error}");
                None
            }
        }
    }

    #[cfg(feature = "gpu")]
    #[test]
    fn odd_shapes_give_what_the_definition_gives_on_a_gpu() {
        let name = "odd_shapes_give_what_the_definition_gives_on_a_gpu";
        let Some(device) = gpu(name) else { return };
        for axes in ODD {
            let (operator, inputs) = made_on(axes, &device);
            let found = check(&operator, &inputs, &inputs.flat());
            assert!(found.passed(), "{axes}: {found:?}");
        }
    }

    #[cfg(feature = "gpu")]
    #[test]
    fn a_session_on_a_gpu_launches_and_verifies() {
        let name = "a_session_on_a_gpu_launches_and_verifies";
        if gpu(name).is_none() {
            return;
        }
        let case = "operators/softmax rows=7 cols=33".parse::<Case>().unwrap();
        let operator = Operator::new(&case).unwrap();
        let context = Context::new("wgpu:0", 3);
        let mut session = OperatorSession::new(operator, &context).unwrap();
        assert!(session.inputs.sets() <= SETS_ON_GPU);
        assert!(session.verify().unwrap().passed());
        assert!(session.queue.is_some());
    }

    #[cfg(not(feature = "gpu"))]
    #[test]
    fn a_gpu_of_another_build_is_skipped_with_what_builds_it() {
        let case = "operators/softmax rows=7 cols=33".parse::<Case>().unwrap();
        let operator = Operator::new(&case).unwrap();
        let context = Context::new("wgpu:0", 3);
        let session = OperatorSession::new(operator, &context);
        let error = session.map(|_| ()).unwrap_err();
        assert!(error.is_skip(), "{error}");
        assert!(error.to_string().contains("--features gpu"), "{error}");
    }

    #[test]
    fn an_input_off_by_one_percent_is_seen_whichever_it_is() {
        for axes in ODD {
            let (operator, inputs) = made(axes);
            for which in 0..inputs.flat().floats.len() {
                let mut flat = inputs.flat();
                // Not all of it: a norm does not see its rows' scale. Not
                // one alone: relu does not see a negative one.
                flat.floats[which]
                    .iter_mut()
                    .step_by(3)
                    .for_each(|value| *value *= 1.01);
                let found = check(&operator, &inputs, &flat);
                assert!(!found.passed(), "{axes} input {which}: {found:?}");
            }
        }
    }

    #[test]
    fn a_session_turns_through_inputs_and_verifies_each() {
        let case = "operators/softmax rows=7 cols=33".parse::<Case>().unwrap();
        let operator = Operator::new(&case).unwrap();
        let context = Context::new("cpu", 3);
        let mut session = OperatorSession::new(operator, &context).unwrap();
        for _ in 0..3 {
            assert!(session.verify().unwrap().passed());
        }
    }

    #[test]
    fn inputs_of_one_number_do_not_fill_the_memory() {
        let case = "operators/elementwise kind=exp elements=1 operands=1";
        let operator = Operator::new(&case.parse().unwrap()).unwrap();
        let session = OperatorSession::new(operator, &Context::new("cpu", 3));
        let sets = session.unwrap().inputs.sets();
        assert!((1000..100_000).contains(&sets), "{sets}");
    }

    #[test]
    fn a_collective_is_not_measured_on_one_machine() {
        let case = "operators/all_reduce bytes=8 ranks=2 ranks_per_node=8";
        let operator = Operator::new(&case.parse().unwrap()).unwrap();
        let session = OperatorSession::new(operator, &Context::new("cpu", 3));
        let error = session.map(|_| ()).unwrap_err();
        assert!(matches!(error, WorkloadError::Unsupported(_)));
    }
}
