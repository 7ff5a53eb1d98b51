//! Parameters against the published counts, FLOPs against a closed form.

use assay_kernels::Activation;
use assay_schema::Case;
use assay_slm::{
    Config, NormKind, Positions, Request, Variation, model_config, model_names,
    trace,
};
use assay_trace::Graph;

fn traced(text: &str) -> (Config, Graph) {
    let case: Case = text.parse().unwrap();
    let request = Request::new(&case, None).unwrap();
    let graph = trace(&request).unwrap();
    (request.config, graph)
}

#[test]
fn parameter_counts_equal_the_published_ones_to_their_printed_digit() {
    let mut published = 0;
    for name in model_names() {
        let (config, graph) = traced(&format!("slm/{name}/prefill prompt=4"));
        let Some(millions) = config.published_params_m else { continue };
        let counted = graph.parameters() as f64 / 1e6;
        assert_eq!(
            format!("{counted:.1}"),
            format!("{millions:.1}"),
            "{name}: {}",
            graph.parameters()
        );
        published += 1;
    }
    assert_eq!(published, 83);
}

/// Models of which the closed form is: the common decoder, nothing beside it.
fn common() -> impl Iterator<Item = &'static str> {
    model_names().filter(|name| {
        let config = model_config(name).unwrap();
        config.variation == Variation::default()
            && config.positions != Positions::Alibi
    })
}

/// FLOPs of a forward of `b` rows of `t` new tokens after `past` others, the
/// head on the last position alone. A multiply and an add are two; the
/// addition of a bias is not counted.
fn closed_form(c: &Config, b: f64, t: f64, past: f64) -> f64 {
    let n = |x: usize| x as f64;
    let (width, d, ffn) = (n(c.width), n(c.head_dim), n(c.ffn));
    let (q, kv) = (n(c.heads) * d, n(c.kv_heads) * d);
    let rows = b * t;
    let norm = rows
        * width
        * match c.norm {
            NormKind::RmsNorm => 4.0,
            NormKind::LayerNorm => 7.0,
        };
    let projections = 2.0 * rows * width * (q + 2.0 * kv + q);
    let (rotary, learned) = match c.positions {
        Positions::Rotary { fraction, .. } => {
            (3.0 * rows * fraction * (q + kv), 0.0)
        }
        Positions::Learned { .. } => (0.0, rows * width),
        Positions::Alibi => unreachable!("not of the common decoder"),
    };
    // Token i of the new ones sees those before it and itself.
    let pairs: f64 = (1..=t as usize).map(|i| past + n(i)).sum();
    let attention = b * n(c.heads) * pairs * (2.0 * 2.0 * d + 5.0);
    let bend = match c.activation {
        Activation::Relu => 1.0,
        Activation::Silu => 4.0,
        Activation::Gelu | Activation::GeluTanh => 5.0,
        other => unreachable!("{other:?} is in no model file"),
    };
    let mlp = if c.gated {
        3.0 * 2.0 * rows * width * ffn + 5.0 * rows * ffn
    } else {
        2.0 * 2.0 * rows * width * ffn + bend * rows * ffn
    };
    let residual = 2.0 * rows * width;
    let block = 2.0 * norm + projections + rotary + attention + mlp + residual;
    let head = 2.0 * b * width * n(c.vocab);
    learned + n(c.layers) * block + norm + head
}

#[test]
fn the_flops_of_prefill_equal_the_closed_form() {
    for name in common() {
        for (b, t) in [(1, 1), (1, 7), (1, 128), (3, 50)] {
            let case = format!("slm/{name}/prefill batch={b} prompt={t}");
            let (config, graph) = traced(&case);
            let right = closed_form(&config, f64::from(b), f64::from(t), 0.0);
            assert_eq!(graph.flops().value(), right, "{case}");
        }
    }
}

#[test]
fn the_flops_of_decode_equal_the_closed_form() {
    for name in common() {
        for (b, past) in [(1, 1), (1, 128), (4, 33)] {
            let case = format!("slm/{name}/decode batch={b} context={past}");
            let (config, graph) = traced(&case);
            let right =
                closed_form(&config, f64::from(b), 1.0, f64::from(past));
            assert_eq!(graph.flops().value(), right, "{case}");
        }
    }
}

#[test]
fn the_flops_of_generate_are_a_prompt_and_its_steps() {
    let case = "slm/tiny/generate batch=2 prompt=9 tokens=4";
    let (config, graph) = traced(case);
    // The prompt gives the first token; three steps give the others.
    let right = closed_form(&config, 2.0, 9.0, 0.0)
        + (0..3)
            .map(|i| closed_form(&config, 2.0, 1.0, 9.0 + f64::from(i)))
            .sum::<f64>();
    assert_eq!(graph.flops().value(), right);
}

#[test]
fn a_published_count_says_which_model_it_is_of() {
    for name in model_names() {
        let config = model_config(name).unwrap();
        assert_eq!(config.name, name);
        assert!(!config.source.is_empty(), "{name}");
    }
}
