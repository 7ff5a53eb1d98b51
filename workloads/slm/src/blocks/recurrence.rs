//! The recurrent block of Griffin (De et al., *Griffin: Mixing Gated Linear
//! Recurrences with Local Attention*, 2024, sections 2.3 and 2.4), as
//! RecurrentGemma has it.
//!
//! Two branches of width `W`: one bent by gelu, one through a causal
//! convolution of each channel and a gated linear recurrence,
//! `h_t = a_t h_(t-1) + sqrt(1 - a_t^2) (i_t x_t)`, with
//! `a_t = exp(-8 r_t softplus(p))` and gates `i`, `r` from block-diagonal
//! matrices; their product is projected back. The first token of a text enters
//! whole: `h_0 = i_0 x_0`.
//!
//! Many tokens are scanned by doubling: after the step of width `s` each place
//! holds the recurrence over its latest `2 s` tokens, so `log2 T` passes over
//! `[B, T, W]` do what `T` dependent steps would. Only products of numbers
//! below 1 are formed, so nothing grows.

use assay_kernels::{Activation, exp, gated, matmul};
use assay_kit::Parameters;
use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::activation::{sigmoid, softplus};

use super::projection::{Change, Projection};
use crate::cache::Kept;
use crate::config::Config;
use crate::variation::Recurrence;

/// How fast a gate of 1 forgets: the paper's `c`.
const SHARPNESS: f32 = 8.0;

/// Where `p` starts: states then last for tens of tokens.
const SLOW: f32 = -4.0;

/// A gate from a block-diagonal matrix: `sigmoid(x W + b)`, block by block.
#[derive(Module, Debug)]
pub struct RecurrenceGate {
    weight: Param<Tensor<3>>,
    bias: Param<Tensor<2>>,
}

impl RecurrenceGate {
    fn new(parameters: &mut Parameters, size: Recurrence) -> Self {
        let block = size.width / size.heads;
        let deviation = (block as f32).powf(-0.5);
        Self {
            weight: parameters.weight([size.heads, block, block], deviation),
            bias: parameters.weight([size.heads, block], 0.02),
        }
    }

    /// `[B, T, W]` to the same.
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let ([b, t, width], bias) = (x.dims(), self.bias.val());
        let [heads, block] = bias.dims();
        let x = x.reshape([b * t, heads, block]).swap_dims(0, 1);
        let y = matmul(x, self.weight.val()) + bias.reshape([heads, 1, block]);
        sigmoid(y.swap_dims(0, 1).reshape([b, t, width]))
    }
}

/// A gated linear recurrence in the place of attention.
#[derive(Module, Debug)]
pub struct Recurrent {
    gate: Projection,
    input: Projection,
    convolution: Param<Tensor<3>>,
    convolution_bias: Param<Tensor<1>>,
    input_gate: RecurrenceGate,
    recurrence_gate: RecurrenceGate,
    decay: Param<Tensor<1>>,
    output: Projection,
}

impl Recurrent {
    /// The recurrence of a layer.
    pub(crate) fn new(
        parameters: &mut Parameters,
        config: &Config,
        size: Recurrence,
    ) -> Self {
        let (width, inner) = (config.width, size.width);
        let sees = size.convolution;
        Self {
            gate: Projection::new(parameters, width, inner, true),
            input: Projection::new(parameters, width, inner, true),
            convolution: parameters
                .weight([inner, 1, sees], (sees as f32).powf(-0.5)),
            convolution_bias: parameters.offset(inner),
            input_gate: RecurrenceGate::new(parameters, size),
            recurrence_gate: RecurrenceGate::new(parameters, size),
            decay: parameters.constant(inner, SLOW),
            output: Projection::new(parameters, inner, width, true),
        }
    }

    /// The same with its linear layers changed.
    pub(crate) fn changed(self, change: &mut Change<'_>) -> Self {
        Self {
            gate: change(self.gate),
            input: change(self.input),
            output: change(self.output),
            ..self
        }
    }

    /// `[B, T, D]` at positions `first..first + T` to the same; what the past
    /// left is read from the cache, what this leaves is kept there.
    pub(crate) fn forward(
        &self,
        x: Tensor<3>,
        first: usize,
        mut cache: Option<&mut Kept>,
    ) -> Tensor<3> {
        let [b, t, _] = x.dims();
        let (state, past) = match cache.as_deref_mut() {
            Some(cache) => cache.recall(),
            None => (None, None),
        };
        let open = self.gate.forward(x.clone()); // [B, T, W]
        let x = self.input.forward(x); // [B, T, W]
        let (x, past) = self.convolved(x, past); // [B, T, W]
        let h = self.recurred(x, first, state); // [B, T, W]
        if let Some(cache) = cache {
            let [_, _, w] = h.dims();
            let last = h.clone().slice([0..b, t - 1..t, 0..w]);
            cache.keep(own(last, t > 1), past);
        }
        let mixed = gated(open, h, Activation::GeluTanh); // [B, T, W]
        self.output.forward(mixed) // [B, T, D]
    }

    /// Each channel's causal convolution, and the inputs that the next token
    /// will see.
    fn convolved(
        &self,
        x: Tensor<3>,
        past: Option<Tensor<4>>,
    ) -> (Tensor<3>, Tensor<4>) {
        let ([b, t, w], weight) = (x.dims(), self.convolution.val());
        let [_, _, sees] = weight.dims();
        let before = match past {
            Some(past) => past.reshape([b, sees - 1, w]),
            None => Tensor::zeros([b, sees - 1, w], &x.device()),
        };
        let all = Tensor::cat(vec![before, x], 1); // [B, c - 1 + T, W]
        let bias = self.convolution_bias.val().reshape([1, 1, w]);
        let mut y: Option<Tensor<3>> = None;
        for j in 0..sees {
            let tap = weight.clone().slice([0..w, 0..1, j..j + 1]);
            let part = all.clone().slice([0..b, j..j + t, 0..w])
                * tap.reshape([1, 1, w]);
            y = Some(match y {
                None => part,
                Some(y) => y + part,
            });
        }
        let y = match y {
            Some(y) => y + bias,
            None => bias.expand([b, t, w]),
        };
        let past = all.slice([0..b, t..t + sees - 1, 0..w]);
        (y, own(past, true))
    }

    /// The recurrence over `[B, T, W]`, from `state` on.
    fn recurred(
        &self,
        x: Tensor<3>,
        first: usize,
        state: Option<Tensor<4>>,
    ) -> Tensor<3> {
        let ([b, t, w], device) = (x.dims(), x.device());
        let input = self.input_gate.forward(x.clone());
        let forget = self.recurrence_gate.forward(x.clone());
        let rate = softplus(self.decay.val(), 1.0) * -SHARPNESS; // [W]
        let logarithm = forget * rate.reshape([1, 1, w]);
        let a = exp(logarithm.clone()); // [B, T, W]
        let share = exp(logarithm * 2.0) * -1.0 + 1.0;
        let share = share.clamp_min(0.0).sqrt();
        let share = if first > 0 {
            share
        } else {
            // The first token of a text enters whole.
            let whole = Tensor::ones([b, 1, w], &device);
            if t == 1 {
                whole
            } else {
                Tensor::cat(vec![whole, share.slice([0..b, 1..t, 0..w])], 1)
            }
        };
        let (a, h) = scan(a, x * input * share);
        match state {
            Some(state) if first > 0 => h + a * state.reshape([b, 1, w]),
            _ => h,
        }
    }
}

/// A view holds all that it is a view of: what is kept gets its own storage.
fn own(x: Tensor<3>, is_view: bool) -> Tensor<4> {
    let [b, t, w] = x.dims();
    let x = x.reshape([b, t, 1, w]);
    if is_view { x * 1.0 } else { x }
}

/// `h_t = a_t h_(t-1) + x_t` from a state of zero, and the products of all `a`
/// up to each place.
fn scan(mut a: Tensor<3>, mut x: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
    let ([b, t, w], device) = (x.dims(), x.device());
    let mut step = 1;
    while step < t {
        let earlier = |y: Tensor<3>, filler: Tensor<3>| {
            let y = y.slice([0..b, 0..t - step, 0..w]);
            Tensor::cat(vec![filler, y], 1)
        };
        let nothing = Tensor::zeros([b, step, w], &device);
        let one = Tensor::ones([b, step, w], &device);
        x = x.clone() + a.clone() * earlier(x, nothing);
        a = a.clone() * earlier(a, one);
        step *= 2;
    }
    (a, x)
}

#[cfg(test)]
mod tests {
    use assay_kit::floats;
    use burn::tensor::{Device, Distribution};

    use super::*;

    #[test]
    fn a_scan_by_doubling_equals_the_steps_one_by_one() {
        let device = Device::flex();
        for t in [1, 2, 3, 7, 8, 13] {
            let range = Distribution::Uniform(0.2, 0.99);
            let a = Tensor::<3>::random([1, t, 2], range, &device);
            let x = Tensor::<3>::random([1, t, 2], range, &device);
            let (as_given, xs) = (floats(a.clone()), floats(x.clone()));
            let (products, h) = scan(a, x);
            let (products, h) = (floats(products), floats(h));
            for channel in 0..2 {
                let (mut state, mut product) = (0.0, 1.0);
                for i in 0..t {
                    let at = 2 * i + channel;
                    state = as_given[at] * state + xs[at];
                    product *= as_given[at];
                    assert!((state - h[at]).abs() < 1e-5, "{t} {i}");
                    assert!((product - products[at]).abs() < 1e-6, "{t} {i}");
                }
            }
        }
    }
}
