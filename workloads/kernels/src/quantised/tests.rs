//! Packed weights: the formats against hand-made blocks and their bounds, the
//! products against the plain twin, and what is recorded.

use burn::tensor::{Device, Distribution, Tolerance};

use super::format::{BLOCK, q4_0, q8_0};
use super::*;
use crate::door::recorded;

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), device)
}

fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec::<f32>().unwrap()
}

/// Shapes `[out, in]` that fill groups and blocks, and that do not.
const SHAPES: [[usize; 2]; 7] =
    [[16, 32], [33, 64], [5, 70], [50, 300], [1, 1], [40, 513], [64, 1024]];

#[test]
fn a_block_of_q8_0_is_ggmls() {
    let mut block = [0.0; BLOCK];
    (block[0], block[1], block[2], block[31]) = (-254.0, 2.0, 3.0, 100.0);
    let (scale, codes) = q8_0(&block);
    assert_eq!(scale.to_f32(), 2.0);
    // Halves go away from zero.
    assert_eq!(codes[..4].to_vec(), [129, 1, 2, 0]);
    assert_eq!(codes[31], 50);
    let (zero, codes) = q8_0(&[0.0; BLOCK]);
    assert_eq!((zero.to_f32(), codes), (0.0, [0; BLOCK]));
}

#[test]
fn a_block_of_q4_0_is_ggmls() {
    let block: [f32; BLOCK] = std::array::from_fn(|i| i as f32 - 16.0);
    let (scale, codes) = q4_0(&block);
    assert_eq!(scale.to_f32(), 2.0);
    // -16 and 0: codes 0 and 8; -1 and 15: codes 8 and, of 16, 15.
    assert_eq!(codes[0], 0x80);
    assert_eq!(codes[15], 0xf8);
    let (zero, codes) = q4_0(&[0.0; BLOCK]);
    assert_eq!((zero.to_f32(), codes), (0.0, [0x88; BLOCK / 2]));
}

#[test]
fn unpacked_values_keep_to_their_formats_bounds() {
    let device = Device::flex();
    for [outer, inner] in SHAPES {
        let weight = random([outer, inner], &device);
        let values = floats(weight.clone());
        for format in WeightFormat::ALL {
            let packed = PackedWeight::pack(weight.clone(), format);
            assert_eq!(packed.dims(), [outer, inner]);
            let unpacked = floats(packed.unpack());
            let rows = values.chunks(inner).zip(unpacked.chunks(inner));
            for (row, unpacked) in rows {
                let blocks = row.chunks(BLOCK).zip(unpacked.chunks(BLOCK));
                for (block, unpacked) in blocks {
                    check_block(format, block, unpacked);
                }
            }
        }
    }
}

/// The error of 127 codes of a scale below the least normal `f16`.
const SUBNORMAL: f32 = 127.0 * 3e-8;

/// The errors of a block. A scale in `f16` is right to one part in 2048.
fn check_block(format: WeightFormat, block: &[f32], unpacked: &[f32]) {
    let largest = block.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    for (x, y) in block.iter().zip(unpacked) {
        let bound = match format {
            WeightFormat::F16 => x.abs() / 2048.0 + 6e-8,
            WeightFormat::Bf16 => x.abs() / 256.0,
            WeightFormat::Q8_0 => {
                largest * (0.5 / 127.0 + 1.0 / 2048.0) + SUBNORMAL
            }
            WeightFormat::Q4_0 => {
                largest * (1.0 / 8.0 + 1.0 / 2048.0) + SUBNORMAL
            }
        };
        let error = (x - y).abs();
        assert!(error <= bound * 1.001, "{format:?}: {x} became {y}");
    }
}

#[test]
fn halves_are_the_libraries_for_every_pattern() {
    use burn::tensor::{bf16, f16};
    for bits in 0..=u16::MAX {
        let (ours, theirs) = (format::half(bits), f16::from_bits(bits));
        let same = ours == theirs.to_f32() || ours.is_nan();
        assert!(same && ours.is_nan() == theirs.is_nan(), "{bits:#06x}");
        let (ours, theirs) = (format::brain(bits), bf16::from_bits(bits));
        let same = ours == theirs.to_f32() || ours.is_nan();
        assert!(same && ours.is_nan() == theirs.is_nan(), "{bits:#06x}");
    }
}

#[test]
fn bytes_are_ggmls_where_groups_and_blocks_are_full() {
    let device = Device::flex();
    let bytes = |size: [usize; 2], format: WeightFormat| {
        PackedWeight::shapes(size, format, &device).bytes()
    };
    let weights = 48 * 96;
    for format in WeightFormat::ALL {
        let exact = (weights as f64 * format.bits() / 8.0) as u64;
        assert_eq!(bytes([48, 96], format), exact, "{format:?}");
        assert_eq!(WeightFormat::of_name(format.name()), Some(format));
    }
    assert_eq!(bytes([48, 96], WeightFormat::Q4_0), weights / 32 * 18);
    assert_eq!(bytes([48, 96], WeightFormat::Q8_0), weights / 32 * 34);
    // 17 rows take two groups, 33 values two blocks.
    assert_eq!(bytes([17, 33], WeightFormat::Q4_0), 32 * 2 * 18);
    assert_eq!(bytes([17, 33], WeightFormat::Bf16), 32 * 33 * 2);
}

/// Whether activations are quantised.
fn takes_codes(way: Way) -> bool {
    way != Way::Portable && way == Way::best(WeightFormat::Q4_0)
}

/// How far a product may lie from the twin in `f32`: the order of additions,
/// and with integer products half a step of each value of `x`.
fn bounds(
    way: Way,
    x: &[f32],
    weight: &[f32],
    [rows, outer, inner]: [usize; 3],
) -> Vec<f32> {
    let order = 1e-6 * inner as f32 + 1e-6;
    let steps = |row: &[f32]| -> Vec<f32> {
        let blocks = row.chunks(BLOCK);
        let step = |block: &[f32]| {
            let most = block.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
            vec![0.501 * most / 127.0; block.len()]
        };
        blocks.flat_map(step).collect()
    };
    let mut bounds = vec![order; rows * outer];
    if takes_codes(way) {
        for (m, row) in x.chunks(inner).enumerate() {
            let steps = steps(row);
            for (o, w) in weight.chunks(inner).enumerate() {
                let sum: f32 =
                    steps.iter().zip(w).map(|(step, w)| step * w.abs()).sum();
                bounds[m * outer + o] += 1.001 * sum;
            }
        }
    }
    bounds
}

#[test]
fn every_way_equals_the_plain_twin() {
    let device = Device::flex();
    for [outer, inner] in SHAPES {
        let weight = random([outer, inner], &device);
        let bias = random([outer], &device);
        for format in WeightFormat::ALL {
            let packed = PackedWeight::pack(weight.clone(), format);
            let words = packed.words().into_data();
            let words = words.try_into_vec::<i32>().unwrap();
            let view = Packed::new(&words, packed.shape());
            let unpacked = floats(packed.unpack());
            for rows in [1, 2, 3, 4, 5, 8, 9, 12, 13, 40] {
                let x = random([rows, inner], &device);
                let bias = (rows % 2 == 0).then(|| bias.clone());
                let twin =
                    quantised_linear_plain(x.clone(), &packed, bias.clone());
                let twin = floats(twin);
                let (x, bias) = (floats(x), bias.map(floats));
                for way in [Way::best(format), Way::Portable] {
                    let y = fill(rows * outer, |out| {
                        product(way, &x, view, bias.as_deref(), rows, out);
                    });
                    let size = [rows, outer, inner];
                    let bounds = bounds(way, &x, &unpacked, size);
                    for ((y, twin), bound) in y.iter().zip(&twin).zip(bounds) {
                        let error = (y - twin).abs();
                        assert!(
                            error <= bound,
                            "{format:?} {way:?} {size:?}: {y}, not {twin}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn many_tasks_give_what_one_gives() {
    // Large enough to be shared out, with a last group of one row.
    let device = Device::flex();
    let (outer, inner) = (1041, 608);
    let weight = random([outer, inner], &device);
    for format in WeightFormat::ALL {
        let packed = PackedWeight::pack(weight.clone(), format);
        let unpacked = floats(packed.unpack());
        for rows in [1, 20] {
            let x = random([1, rows, inner], &device);
            let y = quantised_linear(x.clone(), &packed, None);
            assert_eq!(y.dims(), [1, rows, outer]);
            let twin = floats(quantised_linear_plain(x.clone(), &packed, None));
            let way = Way::best(format);
            let x = floats(x);
            let bounds = bounds(way, &x, &unpacked, [rows, outer, inner]);
            let y = floats(y);
            for ((y, twin), bound) in y.iter().zip(twin).zip(bounds) {
                assert!((y - twin).abs() <= bound, "{format:?}");
            }
        }
    }
}

#[test]
fn what_is_no_number_stays_none() {
    let device = Device::flex();
    let weight = random([16, 64], &device);
    let mut x = vec![1.0_f32; 64];
    x[40] = f32::NAN;
    let x = Tensor::<1>::from_floats(x.as_slice(), &device).unsqueeze::<2>();
    for format in WeightFormat::ALL {
        let packed = PackedWeight::pack(weight.clone(), format);
        let y = floats(quantised_linear(x.clone(), &packed, None));
        assert!(y.iter().all(|y| y.is_nan()), "{format:?}");
    }
    let mut values = vec![1.0_f32; 64];
    values[3] = f32::NAN;
    for format in WeightFormat::ALL {
        let packed =
            PackedWeight::from_values(&values, [1, 64], format, &device);
        let y = floats(packed.unpack());
        assert!(y.iter().any(|y| y.is_nan()), "{format:?}");
    }
}

#[test]
fn picked_rows_are_the_tables() {
    for device in [Device::flex(), Device::flex().autodiff()] {
        let table = random([37, 70], &device);
        let ids =
            Tensor::<2, Int>::from_ints([[0, 36, 5], [17, 17, 2]], &device);
        for format in WeightFormat::ALL {
            let packed = PackedWeight::pack(table.clone(), format);
            let fast = quantised_embedding(&packed, ids.clone());
            let plain = quantised_embedding_plain(&packed, ids.clone());
            fast.to_data().assert_eq(&plain.to_data(), true);
        }
    }
}

#[test]
fn a_forward_pass_on_a_device_with_gradients_is_served() {
    let device = Device::flex().autodiff();
    let packed =
        PackedWeight::pack(random([20, 64], &device), WeightFormat::Bf16);
    let x = random([3, 64], &device).require_grad();
    let bias = random([20], &device);
    let fast = quantised_linear(x.clone(), &packed, Some(bias.clone()));
    let plain = quantised_linear_plain(x.clone(), &packed, Some(bias));
    let close = Tolerance::absolute(1e-4);
    fast.to_data().assert_approx_eq::<f32>(&plain.to_data(), close);
    // The twin's gradient of `x` is the sum of the weight's rows.
    let grads = plain.sum().backward();
    assert!(x.grad(&grads).is_some());
}

#[test]
#[should_panic(expected = "inference only")]
fn a_backward_pass_is_refused_by_name() {
    let device = Device::flex().autodiff();
    let weight = random([16, 32], &device);
    let packed = PackedWeight::pack(weight, WeightFormat::Q4_0);
    let x = random([2, 32], &device).require_grad();
    let _ = quantised_linear(x, &packed, None).sum().backward();
}

#[test]
fn operators_are_recorded_with_the_bytes_of_the_format() {
    let ops = recorded(|device| {
        let packed = PackedWeight::shapes([48, 96], WeightFormat::Q4_0, device);
        let ids = Tensor::<2, Int>::from_ints([[1, 1, 8]], device);
        let x = quantised_embedding(&packed, ids);
        let y = quantised_linear(x.clone(), &packed, None);
        assert_eq!(y.dims(), [1, 3, 48]);
        let bias = Tensor::<1>::zeros([48], device);
        let _ = quantised_linear(x, &packed, Some(bias));
        None
    });
    let ids: Vec<_> = ops.iter().map(|op| op.id.as_str()).collect();
    assert_eq!(
        ids,
        ["quantised_embedding", "quantised_linear", "quantised_linear_bias"]
    );
    let costs: Vec<_> = ops.iter().filter_map(cost).collect();
    assert_eq!(
        costs[0].kind,
        OperatorKind::Embedding {
            vocab: 48,
            width: 96,
            tokens: 3,
            backward: false
        }
    );
    // Three blocks of 18 bytes, 13.5 words, a row.
    assert_eq!(costs[0].reads, [Some(41), None]);
    for (op, cost) in ops.iter().zip(&costs).skip(1) {
        let kind = OperatorKind::Matmul { batch: 1, m: 3, n: 48, k: 96 };
        assert_eq!(cost.kind, kind);
        let words = op.inputs[1].shape.num_elements();
        assert_eq!(4 * words, 48 * 96 / 32 * 18);
        assert!(!op.inputs[1].dtype.is_float());
        assert!(op.outputs[0].dtype.is_float());
    }
}
