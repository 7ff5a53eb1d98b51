//! Operator graphs of candidates from one trace of three layers.
//!
//! A decoder's layers are alike: what is between its embedding and its head
//! is one layer, `L` times. So three layers are traced, once for each kind of
//! layer, and every depth is put together from them: what stands before the
//! layers, the first three, copies of the last, what stands behind. A copy
//! refers to its own tensors, to those of the copy before it, and to what no
//! layer owns, as the third traced layer does in regard to the second; where
//! the second and the third do not match, nothing is put together and the
//! whole model is traced.
//!
//! The vocabulary is a prime larger than any other size while tracing: a
//! count outside of the layers that it divides is proportional to the
//! vocabulary, and is scaled; of a candidate with a size as large nothing is
//! put together. Scratch memory follows no product of sizes and
//! is left as it is: the head sees one row, and a product of one row has none.
//!
//! The graph is the whole trace's: as many operators in the same order, with
//! the same arithmetic, traffic and storage, and so the same memory at every
//! operator (the tests compare them). Tensors alone are numbered otherwise.

use assay_schema::Precision;
use assay_slm::Phase;
use assay_trace::{Graph, Operator, OperatorKind, TensorInfo, Use};

use super::candidate::Candidate;
use crate::PhoneLmError;
use crate::request::decoder;

/// Layers of the trace: the first, one inside, the last.
const TRACED: usize = 3;

/// The vocabulary while tracing: a prime, so that it divides no product of
/// other sizes.
const PRIME: u64 = 65_537;

/// The whole trace of a candidate: a prefill of so many tokens, or a decode
/// step with so many in the cache.
pub(crate) fn whole(
    candidate: &Candidate,
    phase: Phase,
    tokens: usize,
) -> Result<Graph, PhoneLmError> {
    let sizes = [1, tokens, 1];
    let config = candidate.config()?;
    let request = decoder(config, phase, sizes, Precision::F32);
    Ok(assay_slm::trace(&request)?)
}

/// What an operator or a storage of the last traced layer refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reference {
    /// A tensor that no layer owns, or one of the first layer's that all
    /// later ones share.
    Fixed(usize),
    /// The `slot`-th tensor of the layer `back` before.
    Slot { back: usize, slot: usize },
}

/// An operator of the last traced layer.
#[derive(Clone, Debug)]
struct Repeated {
    operator: Operator,
    inputs: Vec<Reference>,
    outputs: Vec<Reference>,
}

/// Three layers of a kind, traced, ready to be repeated.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    graph: Graph,
    /// Tensors of each traced layer, in the order of their numbers.
    layers: [Vec<usize>; TRACED],
    /// For each tensor, the layer that owns it and its slot there.
    places: Vec<Option<(usize, usize)>>,
    /// Storage of each tensor of the last layer.
    storages: Vec<Reference>,
    operators: Vec<Repeated>,
    /// Tensors that operators outside of the layers own, with their storages.
    ends: Vec<(usize, Reference)>,
    /// The first operator behind the layers.
    tail: usize,
    /// Modules of the last layer.
    modules: Vec<usize>,
}

/// The layer of a module path: `layers.2.attention` is of layer 2.
fn layer_of(path: &str) -> Option<usize> {
    path.strip_prefix("layers.")?.split('.').next()?.parse().ok()
}

/// What the second layer refers to as `before` and the third as `now`.
fn paired(
    places: &[Option<(usize, usize)>],
    before: usize,
    now: usize,
) -> Option<Reference> {
    let last = TRACED - 1;
    match (places[before], places[now]) {
        (Some((a, slot)), Some((b, own))) if b == a + 1 && slot == own => {
            Some(Reference::Slot { back: last - b, slot })
        }
        (None | Some((0, _)), _) if before == now => {
            Some(Reference::Fixed(now))
        }
        _ => None,
    }
}

/// What stands behind the layers refers to the last of them, or to none.
fn from_behind(
    places: &[Option<(usize, usize)>],
    tensor: usize,
) -> Option<Reference> {
    match places[tensor] {
        None | Some((0, _)) => Some(Reference::Fixed(tensor)),
        Some((layer, slot)) if layer == TRACED - 1 => {
            Some(Reference::Slot { back: 0, slot })
        }
        Some(_) => None,
    }
}

fn alike(a: &TensorInfo, b: &TensorInfo) -> bool {
    (a.elements, a.rank, a.kind, a.role, a.contiguous)
        == (b.elements, b.rank, b.kind, b.role, b.contiguous)
}

impl Template {
    /// Traces three layers of a candidate's kind; `None` where they do not
    /// repeat, and where a size is as large as the vocabulary of the trace.
    pub(crate) fn new(
        candidate: &Candidate,
        phase: Phase,
        tokens: usize,
    ) -> Result<Option<Self>, PhoneLmError> {
        // A size that the prime divides would be taken for a vocabulary.
        let (layer, longest) = (&candidate.layer, tokens.saturating_add(1));
        let sizes = [longest, candidate.context, layer.width, layer.ffn];
        if sizes.iter().any(|&size| size as u64 >= PRIME) {
            return Ok(None);
        }
        let (layers, vocab) = (TRACED, PRIME as usize);
        let traced = Candidate { layers, vocab, ..*candidate };
        Ok(Self::of(whole(&traced, phase, tokens)?))
    }

    fn of(graph: Graph) -> Option<Self> {
        let of_module: Vec<Option<usize>> =
            graph.modules.iter().map(|path| layer_of(path)).collect();
        let owners: Vec<Option<usize>> =
            graph.operators.iter().map(|op| of_module[op.module]).collect();
        let first = owners.iter().position(Option::is_some)?;
        let tail = owners.iter().rposition(Option::is_some)? + 1;
        let inner = &owners[first..tail];
        if inner.contains(&None) || !inner.is_sorted() {
            return None;
        }
        let start =
            |layer| first + inner.partition_point(|own| *own < Some(layer));
        let [second, third] = [start(1), start(2)];
        if start(TRACED) != tail || third - second != tail - third {
            return None;
        }

        // A tensor belongs to whoever touches it, or a view of it, first.
        let mut touched = vec![None; graph.tensors.len()];
        for (operator, owner) in graph.operators.iter().zip(&owners) {
            for used in operator.inputs.iter().chain(&operator.outputs) {
                let storage = graph.tensors[used.tensor].storage;
                for tensor in [used.tensor, storage] {
                    touched[tensor].get_or_insert(*owner);
                }
            }
        }
        let mut layers: [Vec<usize>; TRACED] = Default::default();
        let mut places = vec![None; graph.tensors.len()];
        for (tensor, owner) in touched.iter().enumerate() {
            if let Some(Some(layer)) = *owner {
                places[tensor] = Some((layer, layers[layer].len()));
                layers[layer].push(tensor);
            }
        }
        if layers[1].len() != layers[2].len() {
            return None;
        }
        let mut storages = Vec::with_capacity(layers[2].len());
        for (&before, &now) in layers[1].iter().zip(&layers[2]) {
            let (a, b) = (&graph.tensors[before], &graph.tensors[now]);
            if !alike(a, b) {
                return None;
            }
            storages.push(paired(&places, a.storage, b.storage)?);
        }
        let operators = graph.operators[second..third]
            .iter()
            .zip(&graph.operators[third..tail])
            .map(|(before, now)| repeated(&places, before, now))
            .collect::<Option<Vec<_>>>()?;
        let mut ends = Vec::new();
        for (tensor, owner) in touched.iter().enumerate() {
            if *owner == Some(None) {
                let storage = graph.tensors[tensor].storage;
                ends.push((tensor, from_behind(&places, storage)?));
            }
        }
        let behind = graph.operators[tail..].iter();
        let all_known = behind
            .flat_map(|op| op.inputs.iter().chain(&op.outputs))
            .map(|used| used.tensor)
            .chain(graph.outputs.iter().copied())
            .all(|tensor| from_behind(&places, tensor).is_some());
        if !all_known {
            return None;
        }
        let last = Some(TRACED - 1);
        let modules = (0..graph.modules.len())
            .filter(|&module| of_module[module] == last)
            .collect();
        Some(Self {
            graph,
            layers,
            places,
            storages,
            operators,
            ends,
            tail,
            modules,
        })
    }

    /// The graph of so many layers and such a vocabulary; `None` for fewer
    /// layers than were traced.
    pub(crate) fn graph(&self, layers: usize, vocab: usize) -> Option<Graph> {
        if layers < TRACED {
            return None;
        }
        let (traced, each) = (self.graph.tensors.len(), self.storages.len());
        let resolve = |reference: Reference, layer: usize| match reference {
            Reference::Fixed(tensor) => tensor,
            Reference::Slot { back, slot } => match layer - back {
                known if known < TRACED => self.layers[known][slot],
                copied => traced + (copied - TRACED) * each + slot,
            },
        };
        let vocab = vocab as u64;
        let scaled = |count: u64| {
            let whole = count.is_multiple_of(PRIME);
            if whole { count / PRIME * vocab } else { count }
        };
        let end = layers - 1;
        let behind = |tensor: usize| {
            from_behind(&self.places, tensor)
                .map_or(tensor, |reference| resolve(reference, end))
        };

        let mut tensors = self.graph.tensors.clone();
        for (tensor, place) in tensors.iter_mut().zip(&self.places) {
            if place.is_none() {
                tensor.elements = scaled(tensor.elements);
            }
        }
        for &(tensor, storage) in &self.ends {
            tensors[tensor].storage = resolve(storage, end);
        }
        let copied = TRACED..layers;
        tensors.reserve(copied.len() * each);
        for layer in copied.clone() {
            for (&like, &storage) in self.layers[2].iter().zip(&self.storages) {
                tensors.push(TensorInfo {
                    storage: resolve(storage, layer),
                    ..self.graph.tensors[like].clone()
                });
            }
        }

        let mut modules = self.graph.modules.clone();
        let known = modules.len();
        let traced_operators = &self.graph.operators;
        let mut operators = Vec::with_capacity(
            traced_operators.len() + copied.len() * self.operators.len(),
        );
        let outside = |operator: &Operator| {
            let moved = |uses: &[Use]| {
                uses.iter()
                    .map(|used| Use {
                        tensor: behind(used.tensor),
                        elements: match self.places[used.tensor] {
                            None => scaled(used.elements),
                            Some(_) => used.elements,
                        },
                    })
                    .collect()
            };
            Operator {
                kind: with_counts(&operator.kind, scaled),
                module: operator.module,
                pass: operator.pass,
                inputs: moved(&operator.inputs),
                outputs: moved(&operator.outputs),
                scratch_bytes: operator.scratch_bytes,
            }
        };
        for operator in &traced_operators[..self.tail] {
            let in_layer = layer_of(&modules[operator.module]).is_some();
            operators.push(if in_layer {
                operator.clone()
            } else {
                outside(operator)
            });
        }
        for layer in copied {
            let from = known + (layer - TRACED) * self.modules.len();
            modules.extend(self.modules.iter().map(|&module| {
                let path = &self.graph.modules[module];
                path.replacen("layers.2", &format!("layers.{layer}"), 1)
            }));
            for repeated in &self.operators {
                let own = repeated.operator.module;
                let at = self.modules.iter().position(|&one| one == own);
                let resolved = |reference: Reference| resolve(reference, layer);
                let one = &repeated.operator;
                operators.push(Operator {
                    kind: one.kind.clone(),
                    module: at.map_or(0, |at| from + at),
                    pass: one.pass,
                    inputs: moved(&one.inputs, &repeated.inputs, resolved),
                    outputs: moved(&one.outputs, &repeated.outputs, resolved),
                    scratch_bytes: one.scratch_bytes,
                });
            }
        }
        operators.extend(traced_operators[self.tail..].iter().map(outside));
        let outputs = self.graph.outputs.iter().map(|&t| behind(t)).collect();
        Some(Graph { tensors, operators, modules, outputs })
    }
}

/// Uses with their tensors replaced.
fn moved(
    uses: &[Use],
    references: &[Reference],
    resolve: impl Fn(Reference) -> usize,
) -> Vec<Use> {
    uses.iter()
        .zip(references)
        .map(|(used, &reference)| Use { tensor: resolve(reference), ..*used })
        .collect()
}

/// An operator of the third layer that does what the second's does.
fn repeated(
    places: &[Option<(usize, usize)>],
    before: &Operator,
    now: &Operator,
) -> Option<Repeated> {
    let same = before.kind == now.kind
        && before.pass == now.pass
        && before.scratch_bytes == now.scratch_bytes;
    let references = |before: &[Use], now: &[Use]| {
        if before.len() != now.len() {
            return None;
        }
        before
            .iter()
            .zip(now)
            .map(|(a, b)| {
                let known = paired(places, a.tensor, b.tensor);
                known.filter(|_| a.elements == b.elements)
            })
            .collect::<Option<Vec<_>>>()
    };
    if !same {
        return None;
    }
    Some(Repeated {
        inputs: references(&before.inputs, &now.inputs)?,
        outputs: references(&before.outputs, &now.outputs)?,
        operator: now.clone(),
    })
}

/// An operator's kind with its counts changed: those that stand outside of
/// the layers of a decoder. Others stay as they are.
fn with_counts(
    kind: &OperatorKind,
    change: impl Fn(u64) -> u64,
) -> OperatorKind {
    match *kind {
        OperatorKind::Matmul { batch, m, n, k } => OperatorKind::Matmul {
            batch,
            m: change(m),
            n: change(n),
            k: change(k),
        },
        OperatorKind::Embedding { vocab, width, tokens, backward } => {
            OperatorKind::Embedding {
                vocab: change(vocab),
                width,
                tokens,
                backward,
            }
        }
        OperatorKind::Elementwise { op, elements, operands } => {
            OperatorKind::Elementwise {
                op,
                elements: change(elements),
                operands,
            }
        }
        OperatorKind::Copy { elements } => {
            OperatorKind::Copy { elements: change(elements) }
        }
        OperatorKind::Create { elements } => {
            OperatorKind::Create { elements: change(elements) }
        }
        ref other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use assay_kernels::Activation;
    use assay_trace::{memory, summary};

    use super::super::candidate::tests::small;
    use super::super::candidate::{Layer, Placing};
    use super::*;

    /// How often each operator stands in a graph, with its traffic.
    fn kernels(graph: &Graph) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for operator in &graph.operators {
            let traffic = graph.traffic(operator, Precision::Q4_0);
            let module = &graph.modules[operator.module];
            let key = format!(
                "{:?} {traffic:?} {} {module}",
                operator.kind, operator.scratch_bytes
            );
            *counts.entry(key).or_default() += 1;
        }
        counts
    }

    fn kinds() -> Vec<Candidate> {
        let base = small(3);
        let with = |change: fn(&mut Layer)| {
            let mut one = base;
            change(&mut one.layer);
            one
        };
        vec![
            base,
            with(|layer| layer.kv_heads = layer.heads),
            with(|layer| layer.placing = Placing::Learned),
            with(|layer| {
                layer.gated = false;
                layer.activation = Activation::Gelu;
            }),
            with(|layer| layer.activation = Activation::Silu),
        ]
    }

    #[test]
    fn a_graph_put_together_is_the_whole_trace() {
        for kind in kinds() {
            for (phase, tokens) in
                [(Phase::Prefill, 9), (Phase::Decode, 5), (Phase::Prefill, 1)]
            {
                let template = Template::new(&kind, phase, tokens).unwrap();
                let template = template.expect("the layers repeat");
                for (layers, vocab) in [(3, 128), (4, 128), (7, 300)] {
                    let one = Candidate { layers, vocab, ..kind };
                    let quick = template.graph(layers, vocab).unwrap();
                    let whole = whole(&one, phase, tokens).unwrap();
                    assert_eq!(quick.parameters(), one.parameters());
                    for precision in [Precision::F32, Precision::Q4_0] {
                        // Arithmetic, traffic, parameters, memory by part.
                        let both = [&quick, &whole];
                        let [a, b] = both.map(|g| summary(g, precision));
                        assert_eq!(a, b, "{one} {phase:?}");
                        let [a, b] =
                            both.map(|g| memory(g, precision).over_time);
                        assert_eq!(a, b, "{one} {phase:?}");
                    }
                    assert_eq!(kernels(&quick), kernels(&whole), "{one}");
                }
                assert!(template.graph(2, 128).is_none());
            }
        }
    }

    #[test]
    fn a_size_as_large_as_the_prime_is_no_vocabulary() {
        let prime = PRIME as usize;
        let long = Candidate { context: prime, ..small(3) };
        for (candidate, tokens) in [(long, 5), (small(3), prime - 1)] {
            let phase = Phase::Prefill;
            let template = Template::new(&candidate, phase, tokens).unwrap();
            assert!(template.is_none(), "{tokens}");
        }
    }

    #[test]
    fn what_does_not_repeat_is_no_template() {
        let mut graph = whole(&small(3), Phase::Decode, 5).unwrap();
        let last = graph
            .operators
            .iter()
            .rposition(|op| graph.modules[op.module].starts_with("layers.2"));
        graph.operators[last.unwrap()].kind =
            OperatorKind::Copy { elements: 1 };
        assert!(Template::of(graph).is_none());
    }
}
