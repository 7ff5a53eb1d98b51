//! Every operator against PyTorch, its work against a closed form, and the
//! cases that are refused.

#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "tests compare counts that are exact by construction"
)]

use std::path::Path;

use assay_kit::{Checkpoint, compare, floats};
use assay_measure::{Context, Workload};
use assay_operators::{Inputs, Operator, OperatorError, Operators, trace};
use assay_schema::{Case, Precision};
use assay_trace::{Elementwise, OperatorKind};
use burn::tensor::{Device, Int, Tensor, TensorData};

fn golden() -> Checkpoint {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("goldens/operators.golden.safetensors");
    Checkpoint::open(&path).unwrap()
}

fn operator(text: &str) -> Result<Operator, OperatorError> {
    Operator::new(&format!("operators/{text}").parse::<Case>().unwrap())
}

/// A golden tensor on the engine.
fn tensor<const D: usize>(golden: &Checkpoint, name: &str) -> Tensor<D> {
    let found = golden.floats(name).unwrap();
    let data = TensorData::new(found.values, found.shape);
    Tensor::from_data(data, &Device::flex())
}

/// A factor `[k, n]` as a layer keeps it: `[n, k]`, row by row.
fn as_weights(b: Tensor<2>) -> Tensor<2> {
    let [k, n] = b.dims();
    let turned = TensorData::new(floats(b.transpose()), [n, k]);
    Tensor::from_data(turned, &Device::flex())
}

/// The inputs of a golden operator as the workload lays them out, with the
/// case that they are of.
fn case_of(golden: &Checkpoint, name: &str) -> (String, Inputs) {
    let input = |argument: &str| format!("input.{name}.{argument}");
    // [B, H, T, d] in the file, [B, T, H, d] here.
    let heads =
        |argument: &str| tensor::<4>(golden, &input(argument)).swap_dims(1, 2);
    let flat = |argument: &str| {
        let x = tensor::<2>(golden, &input(argument));
        let count = x.shape().num_elements();
        x.reshape([count])
    };
    match name {
        "matmul" | "matvec" => {
            let a = tensor::<2>(golden, &input("a"));
            let b = tensor::<2>(golden, &input("b"));
            let ([m, k], [_, n]) = (a.dims(), b.dims());
            (
                format!("matmul batch=1 m={m} n={n} k={k}"),
                Inputs::Layer(a, as_weights(b)),
            )
        }
        "softmax" | "layernorm" | "rmsnorm" => {
            let x = tensor::<2>(golden, &input("x"));
            let [rows, cols] = x.dims();
            let vector = |argument: &str, there: bool| {
                there.then(|| tensor::<1>(golden, &input(argument)))
            };
            let gamma = vector("gamma", name != "softmax");
            let beta = vector("beta", name == "layernorm");
            (
                format!("{name} rows={rows} cols={cols}"),
                Inputs::Rows(x, gamma, beta),
            )
        }
        "attention_prefill" | "attention_decode" => {
            let (q, k, v) = (heads("q"), heads("k"), heads("v"));
            let [b, query, h, d] = q.dims();
            let [_, context, kv, _] = k.dims();
            let phase = name.trim_start_matches("attention_");
            let causal = phase == "prefill";
            (
                format!(
                    "attention phase={phase} batch={b} heads={h} \
                     kv_heads={kv} head_dim={d} query={query} \
                     context={context} causal={causal}"
                ),
                Inputs::Attention(q, k, v),
            )
        }
        "gelu" | "silu" | "tanh" | "exp" | "relu" => {
            let x = flat("x");
            let elements = x.dims()[0];
            (
                format!(
                    "elementwise kind={name} elements={elements} operands=1"
                ),
                Inputs::Elements(x, None),
            )
        }
        "add" | "mul" | "div" | "pow" => {
            let (x, y) = if name == "pow" {
                let x = flat("x");
                let exponent = tensor::<1>(golden, &input("exponent"));
                let y = exponent.expand(x.dims()) * 1.0;
                (x, y)
            } else {
                (flat("a"), flat("b"))
            };
            let elements = x.dims()[0];
            (
                format!(
                    "elementwise kind={name} elements={elements} operands=2"
                ),
                Inputs::Elements(x, Some(y)),
            )
        }
        "embedding" => {
            let table = tensor::<2>(golden, &input("table"));
            let (shape, ids) = golden.integers(&input("ids")).unwrap();
            let [vocab, width] = table.dims();
            let tokens = shape[0];
            let ids = Tensor::<2, Int>::from_data(
                TensorData::new(ids, [1, tokens]),
                &Device::flex(),
            );
            (
                format!(
                    "embedding vocab={vocab} width={width} tokens={tokens}"
                ),
                Inputs::Table(table, ids),
            )
        }
        "conv2d" => {
            let x = tensor::<4>(golden, &input("x"));
            let weight = tensor::<4>(golden, &input("weight"));
            let [n, c, height, width] = x.dims();
            let [o, each, kernel, _] = weight.dims();
            let groups = c / each;
            (
                format!(
                    "conv2d batch={n} in_channels={c} out_channels={o} \
                     height={height} width={width} kernel={kernel} stride=2 \
                     padding=1 groups={groups}"
                ),
                Inputs::Picture(x, weight),
            )
        }
        other => unreachable!("{other} of the golden file has no case here"),
    }
}

#[test]
fn every_operator_of_the_golden_file_gives_its_answer() {
    let golden = golden();
    let mut checked = 0;
    for output in golden.names().unwrap() {
        let Some(name) = output.strip_prefix("output.") else { continue };
        let (case, inputs) = case_of(&golden, name);
        let operator = operator(&case).unwrap();
        let found = floats(inputs.run(&operator));
        let right = if name.starts_with("attention") {
            floats(tensor::<4>(&golden, &output).swap_dims(1, 2))
        } else {
            golden.floats(&output).unwrap().values
        };
        let found = compare(name, &found, &right, 1e-4);
        assert!(found.passed(), "{case}: {found:?}");
        checked += 1;
    }
    assert_eq!(checked, 18);
}

#[test]
fn several_products_give_each_its_answer() {
    let golden = golden();
    let a = tensor::<2>(&golden, "input.matmul.a");
    let b = tensor::<2>(&golden, "input.matmul.b");
    let ([m, k], [_, n]) = (a.dims(), b.dims());
    let case = format!("matmul batch=2 m={m} n={n} k={k}");
    // The second is twice the first, so that a mix-up would show.
    let inputs = Inputs::Matmul(
        Tensor::stack(vec![a.clone(), a * 2.0], 0),
        Tensor::stack(vec![b.clone(), b], 0),
    );
    let found = floats(inputs.run(&operator(&case).unwrap()));
    let once = golden.floats("output.matmul").unwrap().values;
    let twice = once.iter().map(|value| value * 2.0);
    let right: Vec<f32> = once.iter().copied().chain(twice).collect();
    let found = compare(&case, &found, &right, 1e-4);
    assert!(found.passed(), "{found:?}");
}

#[test]
fn what_is_no_operator_is_refused_with_axis_found_and_expected() {
    let attention = |change: &str| {
        let axes = "phase=prefill batch=1 heads=4 kv_heads=2 head_dim=16 \
                    query=8 context=8 causal=true";
        let (from, to) = change.split_once('>').unwrap();
        assert!(axes.contains(from), "{from}");
        format!("attention {}", axes.replace(from, to))
    };
    let conv2d = |change: &str| {
        let axes = "batch=1 in_channels=4 out_channels=6 height=5 width=9 \
                    kernel=3 stride=1 padding=0 groups=2";
        let (from, to) = change.split_once('>').unwrap();
        assert!(axes.contains(from), "{from}");
        format!("conv2d {}", axes.replace(from, to))
    };
    let elementwise = |axes: &str| format!("elementwise {axes} elements=8");
    for (case, words) in [
        ("matmull m=1".to_owned(), ["`matmull`", "`matmul`"]),
        ("all_gater bytes=1".into(), ["`all_gater`", "`all_gather`"]),
        ("matmul batch=1 m=2 n=3".into(), ["axis `k` is `nothing`", "1"]),
        ("matmul batch=1 m=0 n=3 k=4".into(), ["axis `m` is `0`", "1"]),
        ("matmul batch=1 m=x n=3 k=4".into(), ["`x`", "whole number"]),
        ("softmax rows=-2 cols=3".into(), ["`-2`", "whole number"]),
        ("layernorm rows=2".into(), ["axis `cols`", "whole number"]),
        ("rmsnorm cols=2".into(), ["axis `rows`", "whole number"]),
        ("embedding vocab=2 width=3".into(), ["axis `tokens`", "number"]),
        ("all_reduce bytes=8 ranks=0".into(), ["axis `ranks`", "number"]),
        (attention("kv_heads=2>kv_heads=3"), ["`kv_heads` is `3`", "divisor"]),
        (attention("query=8>query=9"), ["`query` is `9`", "`context`"]),
        (attention("phase=prefill>phase=both"), ["`both`", "decode"]),
        (attention("causal=true>causal=yes"), ["`yes`", "true or false"]),
        (attention("head_dim=16>head_dim=0"), ["`head_dim` is `0`", "1"]),
        (elementwise("kind=sub operands=1"), ["`sub`", "add, mul"]),
        (elementwise("operands=1"), ["axis `kind` is `nothing`", "one of"]),
        (elementwise("kind=add operands=3"), ["`operands` is `3`", "1, or 2"]),
        (elementwise("kind=copy operands=2"), ["`operands` is `2`", "copy"]),
        (conv2d("groups=2>groups=3"), ["`groups` is `3`", "divisor"]),
        (conv2d("kernel=3>kernel=6"), ["`kernel` is `6`", "padded picture"]),
        (conv2d("stride=1>stride=0"), ["`stride` is `0`", "1"]),
    ] {
        let message = operator(&case).unwrap_err().to_string();
        for word in words {
            assert!(message.contains(word), "{case}: {message}");
        }
    }
}

#[test]
fn an_unknown_precision_is_refused_and_none_is_f32() {
    let read =
        |text: &str| assay_operators::precision(&text.parse::<Case>().unwrap());
    assert_eq!(read("operators/softmax").unwrap(), Precision::F32);
    assert_eq!(
        read("operators/softmax precision=q4_0").unwrap(),
        Precision::Q4_0
    );
    let message = read("operators/softmax precision=f33").unwrap_err();
    assert!(message.to_string().contains("`f33`"), "{message}");
}

#[test]
fn the_arithmetic_of_each_operator_is_its_closed_form() {
    let attention = "attention batch=2 heads=6 kv_heads=2 head_dim=10";
    for (case, flops) in [
        ("matmul batch=3 m=4 n=5 k=6".to_owned(), 2.0 * 3.0 * 4.0 * 5.0 * 6.0),
        ("matmul batch=1 m=4 n=5 k=6".to_owned(), 2.0 * 4.0 * 5.0 * 6.0),
        ("softmax rows=7 cols=9".into(), 5.0 * 63.0),
        ("layernorm rows=7 cols=9".into(), 7.0 * 63.0),
        ("rmsnorm rows=7 cols=9".into(), 4.0 * 63.0),
        // Pairs: 1 + 2 + 3 + 4; each two products of 10 and a softmax.
        (
            format!("{attention} phase=prefill query=4 context=4 causal=true"),
            12.0 * 10.0 * 45.0,
        ),
        (
            format!("{attention} phase=prefill query=4 context=9 causal=false"),
            12.0 * 36.0 * 45.0,
        ),
        (
            format!("{attention} phase=decode context=9 causal=true"),
            12.0 * 9.0 * 45.0,
        ),
        // 5 x 6 positions of 8 channels, each a sum of 3 x 3 x 3 products.
        (
            "conv2d batch=2 in_channels=6 out_channels=8 height=9 width=11 \
             kernel=3 stride=2 padding=1 groups=2"
                .into(),
            2.0 * 2.0 * 8.0 * 30.0 * 27.0,
        ),
        ("embedding vocab=50 width=16 tokens=9".into(), 0.0),
        ("all_reduce bytes=400 ranks=4 ranks_per_node=8".into(), 100.0),
        ("all_gather bytes=400 ranks=4 ranks_per_node=8".into(), 0.0),
        ("reduce_scatter bytes=400 ranks=4 ranks_per_node=8".into(), 100.0),
        ("all_to_all bytes=400 ranks=4 ranks_per_node=8".into(), 0.0),
        ("send_recv bytes=400 ranks=2 ranks_per_node=8".into(), 0.0),
    ] {
        let graph = trace(&operator(&case).unwrap()).unwrap();
        assert_eq!(graph.flops().value(), flops, "{case}");
        assert_eq!(graph.operators.len(), 1, "{case}");
        // The right operand of one product is its weights.
        let parameters =
            if case.starts_with("matmul batch=1 ") { 30 } else { 0 };
        assert_eq!(graph.parameters(), parameters, "{case}");
    }
}

#[test]
fn the_arithmetic_and_traffic_of_each_elementwise_kind_are_its_own() {
    use Elementwise::{
        Add, Copy, Div, Exp, Gated, Gelu, Mul, Pow, Relu, Silu, Tanh,
    };
    // Recorded as, and operations an element, with one operand and with two.
    for (name, one, two) in [
        ("add", (Add, 1.0), Some((Add, 1.0))),
        ("mul", (Mul, 1.0), Some((Mul, 1.0))),
        ("div", (Div, 1.0), Some((Div, 1.0))),
        ("pow", (Pow, 1.0), Some((Pow, 1.0))),
        ("relu", (Relu, 1.0), Some((Relu, 1.0))),
        ("gelu", (Gelu, 5.0), Some((Gelu, 5.0))),
        ("tanh", (Tanh, 1.0), Some((Tanh, 1.0))),
        ("silu", (Silu, 4.0), Some((Gated, 5.0))),
        ("exp", (Exp, 1.0), Some((Exp, 1.0))),
        ("copy", (Copy, 0.0), None),
    ] {
        for (operands, (op, each)) in
            (1..).zip([Some(one), two].into_iter().flatten())
        {
            let case = format!(
                "elementwise kind={name} elements=100 operands={operands}"
            );
            let graph = trace(&operator(&case).unwrap()).unwrap();
            assert_eq!(graph.operators.len(), 1, "{case}");
            if name != "copy" {
                let elements = 100;
                let kind = OperatorKind::Elementwise { op, elements, operands };
                assert_eq!(graph.operators[0].kind, kind, "{case}");
            }
            assert_eq!(graph.flops().value(), 100.0 * each, "{case}");
            let moved = graph.total_traffic(Precision::F32).value();
            assert_eq!(moved, 400.0 * (operands + 1) as f64, "{case}");
        }
    }
}

#[test]
fn only_f32_on_the_processor_is_measured() {
    let prepare = |axes: &str, device: &str| {
        let case = format!("operators/softmax rows=3 cols=5 {axes}");
        let context = Context::new(device, 1);
        Operators.prepare(&case.parse().unwrap(), &context).map(|_| ())
    };
    assert!(prepare("", "cpu").is_ok());
    let half = prepare("precision=f16", "cpu").unwrap_err().to_string();
    assert!(half.contains("f16") && half.contains("f32"), "{half}");
    let gpu = prepare("", "cuda:0").unwrap_err().to_string();
    assert!(gpu.contains("cuda:0") && gpu.contains("cpu"), "{gpu}");
}
