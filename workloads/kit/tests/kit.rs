//! Weights into modules, the optimizer against its formula, and random
//! parameters that no thread count changes.

#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "tests compare values that are exact by construction"
)]

use assay_kernels::AdamW;
use assay_kit::{
    Binding, Checkpoint, KitError, Linear, Optimizer, Parameters, Slice,
    Values, floats, load, parameter_shapes, parameter_values, rows,
};
use assay_trace::Tape;
use burn::tensor::{Device, Tensor, TensorData};
use safetensors::tensor::{Dtype, TensorView, serialize};

/// A file of f32 tensors that count up from 0.
fn file(tensors: &[(&str, &[usize])]) -> Checkpoint {
    let data: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, shape)| {
            let count: usize = shape.iter().product();
            (0..count).flat_map(|i| (i as f32).to_le_bytes()).collect()
        })
        .collect();
    let views = tensors.iter().zip(&data).map(|((name, shape), data)| {
        (*name, TensorView::new(Dtype::F32, shape.to_vec(), data).unwrap())
    });
    Checkpoint::from_bytes("w.safetensors", serialize(views, None).unwrap())
        .unwrap()
}

fn bind(ours: &str, theirs: &str, slice: Slice) -> Binding {
    Binding { ours: ours.to_owned(), theirs: theirs.to_owned(), slice }
}

/// A layer from 2 to 4 with an offset, to be loaded over.
fn layer() -> Linear {
    Linear::new(&mut Parameters::shapes(&Device::flex()), 2, 4, true)
}

fn loaded(file: &Checkpoint, bindings: &[Binding]) -> Result<Linear, KitError> {
    load(layer(), file, bindings, |name| name == "known")
}

fn whole() -> [Binding; 2] {
    [bind("weight", "w", Slice::Whole), bind("bias", "b", Slice::Whole)]
}

#[test]
fn a_whole_file_fills_the_module() {
    let module =
        loaded(&file(&[("w", &[4, 2]), ("b", &[4])]), &whole()).unwrap();
    let values = parameter_values(&module);
    assert_eq!(values["weight"], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    assert_eq!(values["bias"], [0.0, 1.0, 2.0, 3.0]);
    assert_eq!(parameter_shapes(&module)["weight"], [4, 2]);
}

#[test]
fn a_missing_tensor_is_named_with_the_nearest() {
    let file = file(&[("w", &[4, 2]), ("bb", &[4])]);
    let Err(KitError::Missing { names, nearest, .. }) = loaded(&file, &whole())
    else {
        unreachable!("`b` is not in the file");
    };
    assert_eq!((names, nearest.as_deref()), (vec!["b".to_owned()], Some("bb")));
}

#[test]
fn an_extra_tensor_is_named_unless_it_is_known() {
    let file =
        file(&[("w", &[4, 2]), ("b", &[4]), ("x", &[1]), ("known", &[1])]);
    let Err(KitError::Extra { names, .. }) = loaded(&file, &whole()) else {
        unreachable!("`x` is no tensor of the model");
    };
    assert_eq!(names, ["x"]);
}

#[test]
fn another_shape_is_refused_even_with_as_many_values() {
    let file = file(&[("w", &[2, 4]), ("b", &[4])]);
    let message = loaded(&file, &whole()).unwrap_err().to_string();
    assert_eq!(message, "w.safetensors: `w` has shape [2, 4], expected [4, 2]");
}

#[test]
fn a_parameter_without_a_binding_is_an_error() {
    let message = loaded(&file(&[("w", &[4, 2])]), &whole()[..1]);
    let message = message.unwrap_err().to_string();
    assert!(message.contains("`bias`"), "{message}");
}

/// Two heads of two rows; queries, keys and values packed per head.
fn packed(part: usize) -> Slice {
    Slice::PackedHeads { heads: 2, parts: 3, part }
}

#[test]
fn packed_heads_are_picked_head_by_head() {
    // Row r of [12, 1] is r: head 0 has q 0 1, k 2 3, v 4 5; head 1 the rest.
    let values = Values {
        shape: vec![12, 1],
        values: (0_u8..12).map(f32::from).collect(),
    };
    for (part, right) in [
        (0, [0.0, 1.0, 6.0, 7.0]),
        (1, [2.0, 3.0, 8.0, 9.0]),
        (2, [4.0, 5.0, 10.0, 11.0]),
    ] {
        let found = rows(values.clone(), packed(part));
        assert_eq!((found.shape, found.values), (vec![4, 1], right.to_vec()));
    }
    // A vector is packed like a matrix of one column.
    let bias = Values { shape: vec![12], values: values.values.clone() };
    assert_eq!(rows(bias, packed(1)).values, [2.0, 3.0, 8.0, 9.0]);
    assert_eq!(rows(values.clone(), Slice::Whole), values);
}

#[test]
fn rows_and_columns_are_picked_from_what_packs_them() {
    // [4, 2]: row r holds 2 r and 2 r + 1.
    let values = Values {
        shape: vec![4, 2],
        values: (0_u8..8).map(f32::from).collect(),
    };
    let found =
        rows(values.clone(), Slice::Rows { first: 1, count: 2, total: 4 });
    assert_eq!(found.shape, [2, 2]);
    assert_eq!(found.values, [2.0, 3.0, 4.0, 5.0]);
    // The same numbers as [2, 4], turned: columns 1 and 2 as rows.
    let turned = Values { shape: vec![2, 4], ..values };
    let found = rows(turned, Slice::Columns { first: 1, count: 2, total: 4 });
    assert_eq!(found.shape, [2, 2]);
    assert_eq!(found.values, [1.0, 5.0, 2.0, 6.0]);
}

#[test]
fn a_turned_matrix_loads_into_one_that_is_not() {
    let columns = Slice::Columns { first: 0, count: 4, total: 4 };
    let bindings =
        [bind("weight", "w", columns), bind("bias", "b", Slice::Whole)];
    let whole = loaded(&file(&[("w", &[2, 4]), ("b", &[4])]), &bindings);
    assert_eq!(
        parameter_values(&whole.unwrap())["weight"],
        [0.0, 4.0, 1.0, 5.0, 2.0, 6.0, 3.0, 7.0]
    );
    let short = loaded(&file(&[("w", &[2, 3]), ("b", &[4])]), &bindings);
    assert!(short.unwrap_err().to_string().contains("[2, 4]"));
}

#[test]
fn a_packed_tensor_with_rows_left_over_is_refused_with_its_own_shape() {
    let bindings =
        [bind("weight", "w", packed(1)), bind("bias", "b", Slice::Whole)];
    let whole = loaded(&file(&[("w", &[12, 2]), ("b", &[4])]), &bindings);
    assert_eq!(
        parameter_values(&whole.unwrap())["weight"],
        [4.0, 5.0, 6.0, 7.0, 16.0, 17.0, 18.0, 19.0]
    );
    for rows in [11, 13, 17] {
        let file = file(&[("w", &[rows, 2]), ("b", &[4])]);
        let message = loaded(&file, &bindings).unwrap_err().to_string();
        assert!(
            message.contains(&format!("[{rows}, 2], expected [12, 2]")),
            "{message}"
        );
    }
}

#[test]
fn floats_of_each_width_are_widened_and_others_are_refused() {
    let view = |dtype, data: &'static [u8]| {
        let view = TensorView::new(dtype, vec![1], data).unwrap();
        let bytes = serialize([("x", view)], None).unwrap();
        Checkpoint::from_bytes("x.safetensors", bytes).unwrap()
    };
    for (dtype, data) in [
        (Dtype::F64, &[0, 0, 0, 0, 0, 0, 0xF8, 0x3F][..]),
        (Dtype::F32, &[0, 0, 0xC0, 0x3F]),
        (Dtype::F16, &[0, 0x3E]),
        (Dtype::BF16, &[0xC0, 0x3F]),
    ] {
        let found = view(dtype, data).floats("x").unwrap();
        assert_eq!(found.values, [1.5], "{dtype:?}");
    }
    let integer = view(Dtype::I32, &[1, 0, 0, 0]);
    assert!(matches!(integer.floats("x"), Err(KitError::Dtype { .. })));
    assert_eq!(integer.integers("x").unwrap().1, [1]);
    let float = view(Dtype::F32, &[0, 0, 0xC0, 0x3F]);
    assert!(matches!(float.integers("x"), Err(KitError::Dtype { .. })));
    assert!(matches!(float.floats("y"), Err(KitError::Missing { .. })));
}

/// AdamW on one number, in f64 (Loshchilov and Hutter 2019, algorithm 2).
fn adamw_by_hand(mut p: f64, gradients: &[f64], c: &AdamW) -> f64 {
    let (mut m, mut v) = (0.0, 0.0);
    for (t, g) in (1..).zip(gradients) {
        m = c.beta_1 * m + (1.0 - c.beta_1) * g;
        v = c.beta_2 * v + (1.0 - c.beta_2) * g * g;
        let m_hat = m / (1.0 - c.beta_1.powi(t));
        let v_hat = v / (1.0 - c.beta_2.powi(t));
        p -= c.learning_rate * c.weight_decay * p;
        p -= c.learning_rate * m_hat / (v_hat.sqrt() + c.epsilon);
    }
    p
}

#[test]
fn three_steps_of_the_optimizer_are_adamw_in_f64() {
    let config = AdamW {
        learning_rate: 0.05,
        beta_1: 0.9,
        beta_2: 0.95,
        epsilon: 1e-8,
        weight_decay: 0.1,
    };
    let device = Device::flex().autodiff();
    let mut module =
        Linear::new(&mut Parameters::random(&device, 3), 2, 4, true);
    let before = parameter_values(&module);
    // The loss sum(y) of rows x: dW[o, i] = sum of x[., i], db[o] = rows. A
    // factor a step makes the gradients differ.
    let x = [[0.5_f32, -1.0], [0.25, 3.0], [1.0, 0.5]];
    let factors = [1.0, -0.5, 2.0];
    let mut optimizer = Optimizer::new(config);
    for factor in factors {
        let x = Tensor::<2>::from_data(TensorData::from(x), &device);
        let loss = module.forward(x).sum() * factor;
        module = optimizer.step(module, Tape::of(loss));
    }
    let after = parameter_values(&module);
    for (name, columns) in [("weight", vec![1.75, 2.5]), ("bias", vec![3.0])] {
        assert_eq!(before[name].len(), after[name].len());
        for (i, (old, new)) in before[name].iter().zip(&after[name]).enumerate()
        {
            let gradient = columns[i % columns.len()];
            let gradients = factors.map(|f| f * gradient);
            let right = adamw_by_hand(f64::from(*old), &gradients, &config);
            let difference = (f64::from(*new) - right).abs();
            assert!(difference < 1e-6, "{name} {i}: {new} and {right}");
            assert!((new - old).abs() > 1e-3, "{name} {i} did not move");
        }
    }
}

#[test]
fn a_parameter_that_the_loss_does_not_see_stays_as_it_is() {
    let device = Device::flex().autodiff();
    let random = &mut Parameters::random(&device, 3);
    let module = Linear::new(random, 2, 4, true);
    let before = parameter_values(&module);
    let loss = module.bias.as_ref().unwrap().val().sum();
    let mut optimizer = Optimizer::new(AdamW::default());
    let after = parameter_values(&optimizer.step(module, Tape::of(loss)));
    assert_eq!(before["weight"], after["weight"]);
    assert_ne!(before["bias"], after["bias"]);
}

#[test]
fn random_parameters_are_the_same_on_any_number_of_threads() {
    let made = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let mut random = Parameters::random(&Device::flex(), 17);
            // Three streams and a part of a fourth, then another tensor.
            let first = floats(random.weight([260, 780], 0.1).val());
            (first, floats(random.weight([3, 5], 0.1).val()))
        })
    };
    let one = made(1);
    for threads in [2, 5] {
        assert!(made(threads) == one, "{threads} threads");
    }
    assert_ne!(one.0[..15], one.1[..], "a tensor has a stream of its own");
}

#[test]
fn random_weights_have_the_deviation_asked_for_and_gains_lie_round_one() {
    let mut random = Parameters::random(&Device::flex(), 1);
    let values = floats(random.weight([400, 500], 0.25).val());
    let n = values.len() as f64;
    let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    let variance =
        values.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
    assert!(mean.abs() < 0.003, "{mean}");
    assert!((variance.sqrt() / 0.25 - 1.0).abs() < 0.01, "{variance}");
    let gains = floats(random.gain(1000).val());
    assert!(gains.iter().all(|g| (0.8..1.2).contains(g)));
}
