//! The networks' parameters and arithmetic, counted from the shapes alone and
//! compared with what the modules are and what a trace of them finds.

use assay_kit::{Parameters, parameter_shapes};
use assay_trace::{Graph, Role, capture};
use burn::Tensor;
use burn::module::Module;
use burn::tensor::{Device, Distribution};

use crate::config::{self, Architecture, BlockKind, UNetConfig};
use crate::text::TextEncoder;
use crate::unet::{StackedUNet, UNet, Velocity};
use crate::vae::{Decoder, Encoder, Vae};

/// Parameters of a module, which is made of shapes alone.
fn counted<M: Module>(build: impl FnOnce(&mut Parameters) -> M) -> usize {
    let mut count = 0;
    capture(assay_kernels::cost, |recorder| {
        let mut shapes = Parameters::shapes(&recorder.device());
        let module = build(&mut shapes);
        let shapes = parameter_shapes(&module);
        count = shapes.values().map(|s| s.iter().product::<usize>()).sum();
    })
    .unwrap();
    count
}

fn unet_of(name: &str) -> UNetConfig {
    match config::architecture(name).unwrap() {
        Architecture::UNet(unet) => unet,
        other => panic!("{name} is {other:?}"),
    }
}

#[test]
fn parameters_are_as_many_as_published() {
    let sd = config::pipeline("sd15").unwrap();
    assert_eq!(counted(|p| UNet::new(p, &sd.unet)), 859_520_964);
    assert_eq!(counted(|p| Encoder::new(p, &sd.vae)), 34_163_592);
    assert_eq!(counted(|p| Decoder::new(p, &sd.vae)), 49_490_179);
    assert_eq!(counted(|p| Vae::new(p, &sd.vae)), 83_653_863);
    assert_eq!(counted(|p| TextEncoder::new(p, &sd.text)), 123_060_480);
    // Twice the U-Net, without the output block (a norm of 320 and a
    // convolution to 4 channels) of one and the input convolution of the other.
    let between = 2 * 320 + (9 * 320 * 4 + 4) + (9 * 4 * 320 + 320);
    assert_eq!(
        counted(|p| StackedUNet::new(p, &sd.unet)),
        2 * 859_520_964 - between
    );
}

/// Arithmetic of convolutions, products and attention.
#[derive(Debug, Default, PartialEq)]
struct Work {
    conv: u64,
    matmul: u64,
    attention: u64,
}

impl Work {
    fn conv(&mut self, places: u64, inputs: u64, outputs: u64) {
        self.conv += 2 * places * 9 * inputs * outputs;
    }

    fn product(&mut self, rows: u64, inputs: u64, outputs: u64) {
        self.matmul += 2 * rows * inputs * outputs;
    }

    /// A residual block: two convolutions, the time, perhaps a shortcut.
    fn resnet(&mut self, places: u64, inputs: u64, outputs: u64, time: u64) {
        self.conv(places, inputs, outputs);
        self.conv(places, outputs, outputs);
        self.product(1, time, outputs);
        if inputs != outputs {
            self.product(places, inputs, outputs);
        }
    }

    /// A transformer of one block: 4 + 2 + 2 + 12 products of its own width
    /// (itself; queries and output of the text's; in and out; feed-forward),
    /// and the text's keys and values.
    fn transformer(&mut self, t: u64, c: u64, heads: u64, text: [u64; 2]) {
        let [tokens, width] = text;
        self.product(20 * t, c, c);
        self.product(2 * tokens, width, c);
        let pair = 4 * (c / heads) + 5;
        self.attention += heads * t * (t + tokens) * pair;
    }
}

/// Of one latent of `side` and a text of `tokens`.
fn unet_work(config: &UNetConfig, side: u64, tokens: u64) -> Work {
    let mut work = Work::default();
    let c: Vec<u64> =
        config.block_out_channels.iter().map(|&c| c as u64).collect();
    let (n, layers) = (c.len(), config.layers_per_block);
    let (first, time) = (c[0], 4 * c[0]);
    let heads = config.attention_head_dim as u64;
    let text = [tokens, config.cross_attention_dim as u64];
    let places = |level: usize| (side >> level).pow(2);
    let sees = |kind| kind == BlockKind::CrossAttention;
    work.product(1, first, time);
    work.product(1, time, time);
    work.conv(places(0), config.in_channels as u64, first);
    let (mut skips, mut from) = (vec![first], first);
    for (level, &width) in c.iter().enumerate() {
        let at = places(level);
        for _ in 0..layers {
            work.resnet(at, from, width, time);
            if sees(config.down_block_types[level]) {
                work.transformer(at, width, heads, text);
            }
            from = width;
            skips.push(width);
        }
        if level + 1 < n {
            work.conv(places(level + 1), width, width);
            skips.push(width);
        }
    }
    let deepest = places(n - 1);
    work.resnet(deepest, from, from, time);
    work.transformer(deepest, from, heads, text);
    work.resnet(deepest, from, from, time);
    for level in (0..n).rev() {
        let (at, width) = (places(level), c[level]);
        for _ in 0..=layers {
            work.resnet(at, from + skips.pop().unwrap(), width, time);
            if sees(config.up_block_types[n - 1 - level]) {
                work.transformer(at, width, heads, text);
            }
            from = width;
        }
        if level > 0 {
            work.conv(places(level - 1), width, width);
        }
    }
    work.conv(places(0), first, config.out_channels as u64);
    work
}

fn traced(config: &UNetConfig, side: usize, tokens: usize) -> Graph {
    capture(assay_kernels::cost, |recorder| {
        let device = recorder.device();
        let mut shapes = Parameters::shapes(&device);
        let unet = UNet::new(&mut shapes, config);
        recorder.weights(&unet);
        let plane = [1, side, side, config.in_channels];
        let latents = Tensor::<4>::zeros(plane, &device);
        let text = [1, tokens, config.cross_attention_dim];
        let text = Tensor::<3>::zeros(text, &device);
        recorder.role(&latents, Role::Input);
        recorder.role(&text, Role::Input);
        recorder.output(&unet.forward(latents, &[500.0], text));
    })
    .unwrap()
}

#[test]
fn the_work_of_a_unet_is_the_closed_form() {
    for (name, side, tokens) in
        [("sd15-unet", 64, 77), ("small-unet", 8, 16), ("tiny-unet", 4, 3)]
    {
        let config = unet_of(name);
        let by_kind = traced(&config, side, tokens).flops_by_kind();
        let found = Work {
            conv: by_kind["conv"].0 as u64,
            matmul: by_kind["matmul"].0 as u64,
            attention: by_kind["attention"].0 as u64,
        };
        let right = unet_work(&config, side as u64, tokens as u64);
        assert_eq!(found, right, "{name}");
    }
}

#[test]
fn equal_times_give_what_each_time_gives_and_text_is_seen() {
    let config = unet_of("tiny-unet");
    let device = Device::flex();
    let mut p = Parameters::random(&device, 5);
    let unet = Velocity::new(&mut p, &config, false);
    let normal = Distribution::Normal(0.0, 1.0);
    let latents = Tensor::<4>::random([2, 4, 6, 4], normal, &device);
    let text = Tensor::<3>::random([2, 5, 32], normal, &device);
    let run = |times: &[f32], text: &Tensor<3>| {
        let found = unet.forward(latents.clone(), times, text.clone());
        assay_kit::floats(found)
    };
    let equal = run(&[300.0, 300.0], &text);
    let apart = run(&[300.0, 700.0], &text);
    let half = equal.len() / 2;
    let far = |a: &[f32], b: &[f32]| {
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    assert!(far(&equal[..half], &apart[..half]) < 1e-5);
    assert!(far(&equal[half..], &apart[half..]) > 1e-5);
    let other = run(&[300.0, 300.0], &(text.clone() * 2.0));
    assert!(far(&equal, &other) > 1e-5);
}
