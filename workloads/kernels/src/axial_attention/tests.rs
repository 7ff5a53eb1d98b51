//! Gated attention along an axis against its plain twin.

use burn::Tensor;
use burn::tensor::{Device, Distribution, TensorData, Tolerance};

use super::*;
use crate::door::recorded;

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Uniform(-1.5, 1.5), device)
}

/// Ones and zeros; all keys of the first of the others are hidden.
fn mask([x, y]: [usize; 2], along: Along, device: &Device) -> Tensor<2> {
    let seen = |i: usize| {
        let (other, key) = match along {
            Along::Rows => (i / y, i % y),
            Along::Columns => (i % y, i / y),
        };
        let hidden = other == 0 || (other + 3 * key) % 7 == 0;
        if hidden { 0.0 } else { 1.0 }
    };
    let values: Vec<f32> = (0..x * y).map(seen).collect();
    Tensor::from_data(TensorData::new(values, [x, y]), device)
}

#[derive(Clone, Copy, Debug)]
enum Bias {
    None,
    Straight,
    Swapped,
}

/// [X, Y, H, d].
const CASES: [[usize; 4]; 10] = [
    [1, 1, 1, 1],
    [2, 1, 3, 8],
    [3, 13, 2, 5],
    [5, 32, 1, 16],
    [2, 33, 4, 32],
    [4, 70, 2, 33],
    [3, 100, 8, 8],
    [2, 61, 3, 48],
    [17, 24, 2, 64],
    [2, 300, 1, 20],
];

type Run =
    fn(Tensor<3>, Tensor<2>, Option<Tensor<3>>, usize, Along) -> Tensor<3>;

/// The value and the gradients of one case, packed and bias seen through views
/// where `views` says so.
struct Case {
    packed: Tensor<3>,
    mask: Tensor<2>,
    bias: Option<Tensor<3>>,
    weight: Tensor<3>,
    heads: usize,
    along: Along,
    kind: Bias,
    views: bool,
}

impl Case {
    fn new(
        [x, y, heads, d]: [usize; 4],
        along: Along,
        kind: Bias,
        views: bool,
    ) -> Self {
        let device = Device::flex().autodiff();
        // The short axis is the other one.
        let [x, y] = match along {
            Along::Rows => [x, y],
            Along::Columns => [y, x],
        };
        let n = match along {
            Along::Rows => y,
            Along::Columns => x,
        };
        let channels = 4 * heads * d;
        let packed = if views {
            random([y, x + 1, channels], &device)
        } else {
            random([x, y, channels], &device)
        };
        let bias = match kind {
            Bias::None => None,
            Bias::Straight | Bias::Swapped => {
                Some(random([n, n, heads], &device).require_grad())
            }
        };
        Self {
            packed: packed.require_grad(),
            mask: mask([x, y], along, &device),
            bias,
            weight: random([x, y, heads * d], &device),
            heads,
            along,
            kind,
            views,
        }
    }

    fn run(&self, run: Run) -> Vec<TensorData> {
        let packed = self.packed.clone();
        let packed = if self.views {
            let x = packed.dims()[1];
            packed.swap_dims(0, 1).narrow(0, 1, x - 1)
        } else {
            packed
        };
        let bias = self.bias.clone().map(|bias| match self.kind {
            Bias::Swapped => bias.swap_dims(0, 1),
            Bias::None | Bias::Straight => bias,
        });
        let y = run(packed, self.mask.clone(), bias, self.heads, self.along);
        let mut all = vec![y.to_data()];
        let grads = (y * self.weight.clone()).sum().backward();
        all.push(self.packed.grad(&grads).unwrap().to_data());
        if let Some(bias) = &self.bias {
            all.push(bias.grad(&grads).unwrap().to_data());
        }
        all
    }
}

#[test]
fn it_equals_its_plain_twin_forward_and_backward() {
    for shape in CASES {
        for along in [Along::Rows, Along::Columns] {
            for (kind, views) in [
                (Bias::None, false),
                (Bias::None, true),
                (Bias::Straight, false),
                (Bias::Swapped, true),
            ] {
                let case = Case::new(shape, along, kind, views);
                let fast = case.run(axial_attention);
                let plain = case.run(axial_attention_plain);
                assert_eq!(fast.len(), plain.len());
                for (fast, plain) in fast.iter().zip(&plain) {
                    fast.assert_approx_eq::<f32>(
                        plain,
                        Tolerance::absolute(5e-5),
                    );
                }
            }
        }
    }
}

#[test]
fn hidden_keys_have_no_part_in_the_result() {
    let device = Device::flex();
    let ([x, y], heads, d) = ([2, 40], 2, 8);
    let channels = heads * d;
    let packed = random([x, y, 4 * channels], &device);
    let seen: Vec<f32> =
        (0..x * y).map(|i| if i % y < 25 { 1.0 } else { 0.0 }).collect();
    let mask = Tensor::from_data(TensorData::new(seen, [x, y]), &device);
    let attend = |packed: Tensor<3>| {
        axial_attention(packed, mask.clone(), None, heads, Along::Rows)
            .narrow(1, 0, 25)
            .to_data()
    };
    let other = random([x, y - 25, 4 * channels], &device);
    let changed = Tensor::cat(vec![packed.clone().narrow(1, 0, 25), other], 1);
    assert_eq!(attend(packed), attend(changed));
}

#[test]
fn where_all_keys_are_hidden_the_values_are_averaged() {
    let device = Device::flex();
    let (y, d) = (45, 16);
    let packed = random([1, y, 4 * d], &device);
    let mask = Tensor::zeros([1, y], &device);
    let mixed = axial_attention(packed.clone(), mask, None, 1, Along::Rows);
    let mean = packed.clone().narrow(2, 2 * d, d).mean_dim(1);
    let gate = burn::tensor::activation::sigmoid(packed.narrow(2, 3 * d, d));
    mixed.to_data().assert_approx_eq::<f32>(
        &(gate * mean).to_data(),
        Tolerance::absolute(1e-6),
    );
}

#[test]
fn the_result_does_not_depend_on_the_number_of_threads() {
    let shape = [19, 64, 2, 16];
    for kind in [Bias::None, Bias::Straight] {
        let case = Case::new(shape, Along::Columns, kind, false);
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().unwrap().install(|| case.run(axial_attention))
        };
        assert_eq!(with(1), with(3));
    }
}

#[test]
fn it_is_recorded_with_its_cost() {
    for (along, bias) in
        [(Along::Rows, true), (Along::Columns, true), (Along::Columns, false)]
    {
        let (others, n, heads, d) = (3, 5, 2, 8);
        let [x, y] = match along {
            Along::Rows => [others, n],
            Along::Columns => [n, others],
        };
        let ops = recorded(|device| {
            let packed = Tensor::<3>::zeros([x, y, 4 * heads * d], device);
            let mask = Tensor::<2>::ones([x, y], device);
            let bias = bias.then(|| {
                Tensor::<3>::zeros([n, n, heads], device).require_grad()
            });
            let packed = packed.require_grad();
            let y = axial_attention(packed, mask, bias, heads, along);
            assert_eq!(y.dims()[2], heads * d);
            Some(y.sum())
        });
        let costs: Vec<_> = ops.iter().filter_map(cost).collect();
        assert_eq!(costs.len(), 2);
        for ((cost, op), backward) in costs.iter().zip(&ops).zip([false, true])
        {
            let kind = OperatorKind::Attention {
                batch: 3,
                heads: 2,
                kv_heads: 2,
                head_dim: 8,
                query: 5,
                keys: 5,
                causal: false,
                backward,
            };
            assert_eq!(cost.kind, kind);
            assert_eq!(cost.reads, vec![None; op.inputs.len()]);
            // A copy of the bias, five rows of a panel a head, and the sums of
            // its gradient, two groups of them for two heads.
            let panels = if backward { 3 } else { 1 } * 5 * 32 * 2 * 4;
            assert!(cost.scratch_bytes > if bias { panels } else { 0 });
        }
    }
}
