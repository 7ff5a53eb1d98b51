//! The operator graph of a case.
//!
//! Of several ranks it is one rank's work: its share of the update, and of
//! the optimizer where that is sharded. What ranks say to each other depends
//! on the number format, which a graph does not, and is a part of its own in
//! `iteration.rs`. So is an iteration that is too long to be written out.

use assay_kit::{Optimizer, Parameters};
use assay_slm::{Cache, Decoder};
use assay_trace::{
    Graph, OperatorKind, Recorder, Role, Use, capture, inner, span,
};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Int, Tensor};

use crate::MstarError;
use crate::examples::Examples;
use crate::model::{VisionLanguage, joined};
use crate::request::{Part, Phase, Request, Sharding};
use crate::steps::{ADAMW, train};
use crate::vision::{CHANNELS, VisionTransformer};

/// Layers of decode steps that an iteration may have to be written out: about
/// twenty operators each.
const WRITTEN_OUT: usize = 20_000;

/// Traces a case: nothing is computed, nothing allocated. A study is traced
/// as one step of its training.
///
/// # Errors
/// An iteration of more steps than can be written out: its parts are given by
/// [`iteration_parts`](crate::iteration::iteration_parts). An operator without
/// a cost: a bug of this project.
pub fn trace(request: &Request) -> Result<Graph, MstarError> {
    if request.phase == Phase::Iteration {
        let layers = request.model.language.layers;
        let steps = request.rounds() * request.tokens;
        if steps.saturating_mul(layers) > WRITTEN_OUT {
            return Err(MstarError::Data(format!(
                "an iteration of {} prompts is {steps} decode steps on a rank, \
                 too many for one graph; predict its parts and add them up, \
                 or take fewer `prompts` or more `rows`",
                request.prompts
            )));
        }
    }
    let graph = capture(assay_kernels::cost, |recorder| {
        match (request.part, request.phase) {
            (Part::Vision, _) => tower(request, recorder),
            (_, Phase::Encode) => encode(request, recorder),
            (Part::Language, Phase::TrainStep) => words(request, recorder),
            (Part::Language, _) => decoder(request, recorder),
            (_, Phase::Prefill | Phase::Decode) => inference(request, recorder),
            (_, Phase::TrainStep | Phase::Study) => training(request, recorder),
            (_, Phase::Iteration) => iteration(request, recorder),
        }
    })?;
    Ok(match request.sharding {
        Sharding::Optimizer => sharded(graph, request.ranks as u64),
        Sharding::None => graph,
    })
}

/// Marks the rotary tables, which a model holds beside its weights.
fn mark_tables(request: &Request, recorder: &Recorder, device: &Device) {
    let rotated = request.model.language.rotated();
    let elements = rotated * request.longest();
    if elements > 0 {
        let tables = Tensor::<1>::zeros([elements], device);
        recorder.role(&tables, Role::Input);
    }
}

fn ids(
    recorder: &Recorder,
    shape: [usize; 2],
    device: &Device,
) -> Tensor<2, Int> {
    let ids = Tensor::<2, Int>::zeros(shape, device);
    recorder.input(&ids);
    ids
}

fn tiles(
    request: &Request,
    recorder: &Recorder,
    pictures: usize,
    device: &Device,
) -> Tensor<4> {
    let side = request.model.picture();
    let shape = [pictures * request.tiles, CHANNELS, side, side];
    let tiles = Tensor::<4>::zeros(shape, device);
    recorder.role(&tiles, Role::Input);
    tiles
}

fn remember(cache: &Cache, recorder: &Recorder) {
    for tensor in cache.tensors() {
        recorder.role(tensor, Role::KvCache);
    }
}

fn tower(request: &Request, recorder: &Recorder) {
    let device = recorder.device();
    let mut shapes = Parameters::shapes(&device);
    let tower = VisionTransformer::new(&mut shapes, &request.model.vision);
    recorder.weights(&tower);
    let tiles = tiles(request, recorder, request.batch, &device);
    recorder.output(&tower.forward(tiles));
}

/// The whole model on a device, its weights in the recorder's books.
fn whole(
    request: &Request,
    recorder: &Recorder,
    device: &Device,
) -> VisionLanguage {
    let mut shapes = Parameters::shapes(device);
    let longest = request.longest();
    let model = VisionLanguage::new(&mut shapes, &request.model, longest);
    recorder.weights(&model);
    mark_tables(request, recorder, device);
    model
}

fn encode(request: &Request, recorder: &Recorder) {
    let device = recorder.device();
    let model = whole(request, recorder, &device);
    let tiles = tiles(request, recorder, request.batch, &device);
    recorder.output(&model.encode(tiles));
}

fn inference(request: &Request, recorder: &Recorder) {
    let device = recorder.device();
    let model = whole(request, recorder, &device);
    let (b, config) = (request.batch, &request.model.language);
    if request.phase == Phase::Prefill {
        let visual = [b, request.visual(), config.width];
        let visual = Tensor::<3>::zeros(visual, &device);
        recorder.role(&visual, Role::Input);
        let words = ids(recorder, [b, request.prompt], &device);
        let (logits, cache) = model.prefill(&request.model, visual, words);
        remember(&cache, recorder);
        recorder.output(&logits);
        return;
    }
    let (at, word) = (request.context, ids(recorder, [b, 1], &device));
    let mut cache = Cache::with_capacity(config, b, at + 1, &device);
    remember(&cache, recorder);
    let logits = model.decode(word, at, &mut cache);
    remember(&cache, recorder);
    recorder.output(&logits);
}

fn decoder(request: &Request, recorder: &Recorder) {
    let device = recorder.device();
    let (b, config) = (request.batch, &request.model.language);
    let mut shapes = Parameters::shapes(&device);
    let model = Decoder::new(&mut shapes, config, request.longest());
    recorder.weights(&model);
    mark_tables(request, recorder, &device);
    if request.phase == Phase::Prefill {
        let words = ids(recorder, [b, request.prompt], &device);
        let (logits, cache) = assay_slm::prefill(&model, config, words);
        remember(&cache, recorder);
        recorder.output(&logits);
        return;
    }
    let (at, word) = (request.context, ids(recorder, [b, 1], &device));
    let mut cache = Cache::with_capacity(config, b, at + 1, &device);
    remember(&cache, recorder);
    let logits = assay_slm::decode(&model, word, at, &mut cache);
    remember(&cache, recorder);
    recorder.output(&logits);
}

/// A step of the decoder alone: every word of a row predicts the next.
fn words(request: &Request, recorder: &Recorder) {
    let device = recorder.training_device();
    let config = &request.model.language;
    let mut shapes = Parameters::shapes(&device);
    let model = Decoder::new(&mut shapes, config, request.longest());
    recorder.weights(&model);
    mark_tables(request, recorder, &device);
    let mut optimizer = Optimizer::new(ADAMW);
    optimizer.prepare(&model);
    let rows = [request.share(), request.longest()];
    let words = ids(recorder, rows, &device);
    let (loss, _) = assay_slm::train(model, &mut optimizer, words);
    recorder.output(&loss);
}

/// A batch whose every reply is as long as replies get.
fn examples(
    request: &Request,
    recorder: &Recorder,
    rows: usize,
    device: &Device,
) -> Examples {
    let scored = rows * request.tokens;
    let targets = Tensor::<1, Int>::zeros([scored], device);
    recorder.input(&targets);
    let text = request.prompt + request.tokens - 1;
    Examples {
        pictures: tiles(request, recorder, rows, device),
        tokens: ids(recorder, [rows, text], device),
        places: ids(recorder, [1, scored], device),
        targets,
    }
}

fn training(request: &Request, recorder: &Recorder) {
    let device = recorder.training_device();
    let model = whole(request, recorder, &device);
    let mut optimizer = Optimizer::new(ADAMW);
    optimizer.prepare(&model);
    let rows = request.share();
    let examples = examples(request, recorder, rows, &device);
    let (loss, _) = train(model, &mut optimizer, &examples);
    recorder.output(&loss);
}

/// The model without autodiff, in the same memory.
fn without_tape(model: VisionLanguage) -> VisionLanguage {
    struct Off;
    impl ModuleMapper for Off {
        fn map_float<const D: usize>(
            &mut self,
            param: Param<Tensor<D>>,
        ) -> Param<Tensor<D>> {
            Param::from_tensor(inner(param.val()))
        }
    }
    model.map(&mut Off)
}

/// Rollouts batch by batch, the reward of each, and the updates: as
/// `evolve/` runs them, every reply as long as replies get, every prompt with
/// enough right ones. The process reward model is a second network, whose
/// weights stay as they are.
fn iteration(request: &Request, recorder: &Recorder) {
    let training = recorder.training_device();
    let device = recorder.device();
    let mut model = whole(request, recorder, &training);
    let mut optimizer = Optimizer::new(ADAMW);
    optimizer.prepare(&model);
    let fixed = without_tape(model.clone());
    let reward = whole(request, recorder, &device);
    for _ in 0..request.rounds() {
        let networks = Networks { policy: &fixed, reward: &reward };
        span("rollout", || rollout(request, recorder, networks, &device));
    }
    for _ in 0..request.updates() {
        for _ in 0..request.share() / request.at_once() {
            let rows = request.at_once();
            let examples = examples(request, recorder, rows, &training);
            let (loss, after) = train(model, &mut optimizer, &examples);
            recorder.output(&loss);
            model = after;
        }
    }
}

/// What an iteration runs without gradients.
#[derive(Clone, Copy)]
struct Networks<'a> {
    policy: &'a VisionLanguage,
    reward: &'a VisionLanguage,
}

/// One batch of rollouts, and one pass over what they wrote: its reward.
fn rollout(
    request: &Request,
    recorder: &Recorder,
    Networks { policy, reward }: Networks<'_>,
    device: &Device,
) {
    let (prompts, rows) = (request.prompts_at_once(), request.rows);
    let (config, seen) = (&request.model, request.visual() + request.prompt);
    let tiles = tiles(request, recorder, prompts, device);
    let visual = joined(policy.encode(tiles.clone()), prompts);
    let words = ids(recorder, [prompts, request.prompt], device);
    policy.prefill(config, visual, words);
    // The prompts' keys and values, once for each of their rollouts.
    let capacity = seen + request.tokens;
    let language = &config.language;
    let mut cache = Cache::with_capacity(language, rows, capacity, device);
    remember(&cache, recorder);
    for i in 0..request.tokens - 1 {
        let word = ids(recorder, [rows, 1], device);
        let logits = policy.decode(word, seen + i, &mut cache);
        // Stands for the draw of the next word, which keeps no logits.
        recorder.output(&logits.sum());
    }
    let visual = joined(reward.encode(tiles), prompts);
    let [_, tokens, width] = visual.dims();
    let visual = visual
        .reshape([prompts, 1, tokens, width])
        .expand([prompts, rows / prompts, tokens, width])
        .reshape([rows, tokens, width]);
    let text = [rows, request.prompt + request.tokens];
    let hidden = reward.hidden(visual, ids(recorder, text, device));
    // Stands for the head of one number a word.
    recorder.output(&hidden.sum());
}

/// A rank's share of the optimizer: its moments, and what updates them.
/// Weights and gradients stay whole, as in ZeRO's first stage.
fn sharded(mut graph: Graph, ranks: u64) -> Graph {
    let share = |elements: &mut u64| *elements = elements.div_ceil(ranks);
    for tensor in &mut graph.tensors {
        if tensor.role == Role::OptimizerState {
            share(&mut tensor.elements);
        }
    }
    for operator in &mut graph.operators {
        if let OperatorKind::Optimizer { elements, .. } = &mut operator.kind {
            share(elements);
            let moved = |used: &mut Use| share(&mut used.elements);
            operator.inputs.iter_mut().for_each(moved);
            operator.outputs.iter_mut().for_each(moved);
        }
    }
    graph
}

#[cfg(test)]
mod tests {
    use assay_schema::Precision;
    use assay_trace::memory;

    use super::*;

    fn read(text: &str) -> Request {
        Request::new(&text.parse().unwrap(), None).unwrap()
    }

    fn traced(text: &str) -> Graph {
        trace(&read(text)).unwrap()
    }

    fn products(graph: &Graph) -> f64 {
        let of = |kind: &OperatorKind| match kind {
            OperatorKind::Matmul { batch, m, n, k } => {
                2.0 * (batch * m * n * k) as f64
            }
            _ => 0.0,
        };
        graph.operators.iter().map(|op| of(&op.kind)).sum()
    }

    #[test]
    fn prefill_counts_what_its_widths_give() {
        let request = read("mstar/internvl2-2b/prefill tiles=13 prompt=32");
        let c = &request.model.language;
        let (w, f) = (c.width, c.ffn);
        let kv = c.kv_heads * c.head_dim;
        let layer = 2 * w * w + 2 * w * kv + 3 * w * f;
        let rows = 13 * 256 + 32;
        let right = 2.0 * (rows * layer * c.layers + w * c.vocab) as f64;
        let found = products(&trace(&request).unwrap());
        assert!((found / right - 1.0).abs() < 1e-12, "{found} {right}");
    }

    #[test]
    fn encoding_counts_what_its_widths_give() {
        let request = read("mstar/internvl2-2b/encode batch=2 tiles=3");
        let v = &request.model.vision;
        let (w, t) = (v.width, v.patches() + 1);
        let layer = 4 * w * w + 2 * w * v.mlp;
        let tower = v.patches() * 3 * v.patch.pow(2) * w + v.layers * t * layer;
        let connector = 256 * (4 * w * 2048 + 2048 * 2048);
        let right = 6.0 * 2.0 * (tower + connector) as f64;
        let found = products(&trace(&request).unwrap());
        assert!((found / right - 1.0).abs() < 1e-12, "{found} {right}");
        let alone = traced("mstar/internvl2-2b-vision/encode batch=6");
        let right = 6.0 * 2.0 * tower as f64;
        let found = products(&alone);
        assert!((found / right - 1.0).abs() < 1e-12, "{found} {right}");
        assert_eq!(alone.parameters(), 304_012_288);
    }

    #[test]
    fn every_phase_of_the_small_ones_is_traced() {
        for name in ["tiny", "small"] {
            for phase in ["encode", "prefill", "decode", "train-step"] {
                let graph = traced(&format!("mstar/{name}/{phase}"));
                assert!(graph.flops().value() > 0.0, "{name} {phase}");
            }
            for phase in ["prefill", "decode", "train-step"] {
                let graph = traced(&format!("mstar/{name}-language/{phase}"));
                assert!(graph.flops().value() > 0.0, "{name} {phase}");
            }
        }
    }

    #[test]
    fn a_sharded_optimizer_is_a_ranks_share_and_the_rest_is_whole() {
        let of = |axes: &str| {
            let graph = traced(&format!("mstar/tiny/train-step {axes}"));
            memory(&graph, Precision::F32).peak
        };
        let whole = of("batch=16 ranks=8");
        let shared = of("batch=16 ranks=8 sharding=optimizer");
        assert_eq!(whole.weights_bytes, shared.weights_bytes);
        let ratio = whole.optimizer_bytes / shared.optimizer_bytes;
        // Each tensor's share is rounded up.
        assert!((7.9..=8.0).contains(&ratio), "{ratio}");
        let single = of("batch=2");
        assert_eq!(single.optimizer_bytes, whole.optimizer_bytes);
    }

    #[test]
    fn an_iteration_is_its_parts_or_too_long() {
        let graph =
            traced("mstar/tiny/iteration prompts=4 rows=32 batch=8 micro=4");
        let decode = |context: usize| {
            let case = format!("mstar/tiny/decode batch=32 context={context}");
            products(&traced(&case))
        };
        let request = read("mstar/tiny/iteration");
        let (prompt, tokens) = (request.prompt, request.tokens);
        let of = |text: &str| products(&traced(text));
        // Two batches of two prompts, one update of two halves.
        let right = 2.0
            * (2.0 * of("mstar/tiny/encode batch=2")
                + of("mstar/tiny/prefill batch=2")
                + (tokens - 1) as f64 * decode(40)
                + of("mstar/tiny/train-step batch=4"));
        // The reward has no head: a prefill's products less its head's.
        let long = prompt + tokens;
        let reward = of(&format!("mstar/tiny/prefill batch=32 prompt={long}"));
        let language = &request.model.language;
        let head = 2.0 * (32 * language.width * language.vocab) as f64;
        let right = right + 2.0 * (reward - head);
        let found = products(&graph);
        assert!((found / right - 1.0).abs() < 1e-9, "{found} {right}");
        // The policy and the process reward model.
        let one = traced("mstar/tiny/decode").parameters();
        assert_eq!(graph.parameters(), 2 * one);
        let error = trace(&read("mstar/internvl2-2b/iteration"));
        let error = error.unwrap_err().to_string();
        assert!(error.contains("add them up"), "{error}");
    }
}
