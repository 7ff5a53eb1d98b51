//! From the engine's operations to ours, in order.
//!
//! Views become shared storage, creation of weights and inputs is left out
//! (it is not part of the step), and everything else becomes an
//! [`Operator`]. An operation without a rule is an error.

use std::collections::HashMap;

use burn::backend::ir::{OperationIr, TensorIr};
use burn::tensor::DType;

use crate::recorder::{Notes, Span};
use crate::rules::{Rule, elements, rule};
use crate::{
    CostOf, Elements, Graph, Operator, OperatorKind, Pass, Role, TensorInfo,
    TraceError, Use,
};

/// Lowers the captured operations.
pub(crate) fn lower(
    operations: &[OperationIr],
    notes: &Notes,
    cost: CostOf,
) -> Result<Graph, TraceError> {
    let mut building = Building::new(notes);
    for operation in operations {
        let rule = rule(operation, cost)?;
        building.add(operation, rule);
    }
    Ok(building.finish(notes))
}

struct Building<'a> {
    notes: &'a Notes,
    graph: Graph,
    index: HashMap<u64, usize>,
    modules: HashMap<String, usize>,
    /// Spans sorted by their first id, for the innermost that holds an id.
    spans: Vec<&'a Span>,
    /// The module of the operator that made each tensor.
    made_in: HashMap<usize, usize>,
    /// The module that first read each weight.
    read_in: HashMap<usize, usize>,
    /// For each operator, the storage that it may write into.
    take_overs: Vec<TakeOver>,
}

impl<'a> Building<'a> {
    fn new(notes: &'a Notes) -> Self {
        let mut spans: Vec<_> = notes.spans.iter().collect();
        spans.sort_by_key(|span| span.first);
        Self {
            notes,
            graph: Graph {
                tensors: Vec::new(),
                operators: Vec::new(),
                modules: vec![String::new()],
                outputs: Vec::new(),
            },
            index: HashMap::new(),
            modules: HashMap::from([(String::new(), 0)]),
            spans,
            made_in: HashMap::new(),
            read_in: HashMap::new(),
            take_overs: Vec::new(),
        }
    }

    fn tensor(&mut self, ir: &TensorIr) -> usize {
        if let Some(&known) = self.index.get(&ir.id.value()) {
            return known;
        }
        let new = self.graph.tensors.len();
        let role = self.notes.roles.get(&ir.id.value());
        self.graph.tensors.push(TensorInfo {
            elements: elements(ir),
            rank: ir.shape.num_dims(),
            kind: match ir.dtype {
                DType::Bool(_) => Elements::Boolean,
                dtype if dtype.is_float() => Elements::Float,
                _ => Elements::Integer,
            },
            storage: new,
            role: role.copied().unwrap_or(Role::Activation),
            contiguous: true,
        });
        self.index.insert(ir.id.value(), new);
        new
    }

    fn root(&self, tensor: usize) -> usize {
        self.graph.tensors[tensor].storage
    }

    fn module_named(&mut self, path: &str) -> usize {
        if let Some(&known) = self.modules.get(path) {
            return known;
        }
        let new = self.graph.modules.len();
        self.graph.modules.push(path.to_owned());
        self.modules.insert(path.to_owned(), new);
        new
    }

    /// The innermost span around an id: the last to start before it that has
    /// not ended.
    fn span_of(&self, id: u64) -> Option<&'a str> {
        let after = self.spans.partition_point(|span| span.first < id);
        self.spans[..after]
            .iter()
            .rev()
            .find(|span| span.last > id)
            .map(|span| span.path.as_str())
    }

    /// A backward operator belongs to the module whose forward values it
    /// reads; one that reads gradients alone follows its first input.
    fn module_of(&mut self, id: u64, pass: Pass, inputs: &[usize]) -> usize {
        if pass == Pass::Forward {
            let path = self.span_of(id).unwrap_or_default();
            return self.module_named(path);
        }
        let weight = inputs
            .iter()
            .find_map(|&t| self.read_in.get(&self.root(t)).copied());
        let made = inputs.iter().find_map(|t| self.made_in.get(t).copied());
        weight.or(made).unwrap_or(0)
    }

    fn add(&mut self, operation: &OperationIr, rule: Rule) {
        let inputs: Vec<usize> =
            operation.inputs().map(|ir| self.tensor(ir)).collect();
        let output_irs: Vec<&TensorIr> = operation.outputs().collect();
        let outputs: Vec<usize> =
            output_irs.iter().map(|ir| self.tensor(ir)).collect();
        let rule = match rule {
            Rule::Reshape if self.graph.tensors[inputs[0]].contiguous => {
                Rule::View { keeps_order: true }
            }
            Rule::Reshape => Rule::Work(OperatorKind::Copy {
                elements: self.graph.tensors[outputs[0]].elements,
            }),
            other => other,
        };
        let (kind, reads, writes, take_over, scratch_bytes) = match rule {
            Rule::Nothing | Rule::Reshape => return,
            Rule::View { keeps_order } => {
                let root = self.root(inputs[0]);
                let contiguous =
                    keeps_order && self.graph.tensors[inputs[0]].contiguous;
                for &output in &outputs {
                    let tensor = &mut self.graph.tensors[output];
                    tensor.storage = root;
                    tensor.contiguous = contiguous;
                    if let Some(&module) = self.made_in.get(&inputs[0]) {
                        self.made_in.insert(output, module);
                    }
                }
                return;
            }
            Rule::Work(kind) => {
                let reuses = matches!(kind, OperatorKind::Elementwise { .. });
                let in_place = (0..inputs.len()).filter(|_| reuses).collect();
                (kind, Vec::new(), Vec::new(), TakeOver::Engine(in_place), 0)
            }
            Rule::Custom(cost) => (
                cost.kind,
                cost.reads,
                cost.writes,
                TakeOver::Declared(cost.in_place),
                cost.scratch_bytes,
            ),
        };
        let id = output_irs.first().map_or(0, |ir| ir.id.value());
        let pass = if id > self.notes.optimizer_from {
            Pass::Optimizer
        } else if id > self.notes.backward_from {
            Pass::Backward
        } else {
            Pass::Forward
        };
        if matches!(kind, OperatorKind::Create { .. })
            && outputs
                .iter()
                .all(|&t| self.graph.tensors[t].role.is_persistent())
        {
            return;
        }
        let module = self.module_of(id, pass, &inputs);
        for &input in &inputs {
            let root = self.root(input);
            if self.graph.tensors[root].role == Role::Weight {
                self.read_in.entry(root).or_insert(module);
            }
        }
        for &output in &outputs {
            self.made_in.insert(output, module);
        }
        self.take_overs.push(take_over);
        let uses = |tensors: &[usize], moved: &[Option<u64>], graph: &Graph| {
            tensors
                .iter()
                .enumerate()
                .map(|(slot, &tensor)| Use {
                    tensor,
                    elements: moved
                        .get(slot)
                        .copied()
                        .flatten()
                        .unwrap_or(graph.tensors[tensor].elements),
                })
                .collect()
        };
        self.graph.operators.push(Operator {
            module,
            pass,
            inputs: uses(&inputs, &reads, &self.graph),
            outputs: uses(&outputs, &writes, &self.graph),
            kind,
            scratch_bytes,
        });
    }

    fn finish(mut self, notes: &Notes) -> Graph {
        self.graph.outputs = notes
            .outputs
            .iter()
            .filter_map(|id| self.index.get(id).copied())
            .collect();
        self.take_storage_over();
        self.graph
    }

    /// Lets operators write into storages that die with them: what a custom
    /// operator declares, and what the engine does for element-wise operators
    /// whose input nobody else needs.
    fn take_storage_over(&mut self) {
        let graph = &mut self.graph;
        let mut parent: Vec<usize> =
            graph.tensors.iter().map(|t| t.storage).collect();
        fn find(parent: &[usize], mut tensor: usize) -> usize {
            while parent[tensor] != tensor {
                tensor = parent[tensor];
            }
            tensor
        }
        let end = graph.operators.len();
        let mut last = vec![0; graph.tensors.len()];
        for (i, op) in graph.operators.iter().enumerate() {
            for used in op.inputs.iter().chain(&op.outputs) {
                last[parent[used.tensor]] = i;
            }
        }
        for &output in &graph.outputs {
            last[parent[output]] = end;
        }
        for (i, take_over) in self.take_overs.iter().enumerate() {
            let op = &graph.operators[i];
            let (pairs, may_persist): (Vec<(usize, usize)>, bool) =
                match take_over {
                    TakeOver::Engine(inputs) => (
                        inputs.iter().map(|&input| (0, input)).collect(),
                        false,
                    ),
                    TakeOver::Declared(inputs) => (
                        inputs
                            .iter()
                            .enumerate()
                            .filter_map(|(slot, &input)| Some((slot, input?)))
                            .collect(),
                        true,
                    ),
                };
            for (slot, input) in pairs {
                let (Some(output), Some(input)) =
                    (op.outputs.get(slot), op.inputs.get(input))
                else {
                    continue;
                };
                let from = find(&parent, input.tensor);
                let (old, new) =
                    (&graph.tensors[from], &graph.tensors[output.tensor]);
                let free = last[from] == i
                    && (may_persist || !old.role.is_persistent());
                let fits = old.elements == new.elements && old.kind == new.kind;
                if free && fits && parent[output.tensor] == output.tensor {
                    parent[output.tensor] = from;
                    last[from] = last[output.tensor];
                }
            }
        }
        for tensor in 0..parent.len() {
            let root = find(&parent, tensor);
            graph.tensors[tensor].storage = root;
            // What a view or an update in place is for, its storage is for.
            let role = graph.tensors[tensor].role;
            if graph.tensors[root].role == Role::Activation {
                graph.tensors[root].role = role;
            }
        }
    }
}

/// Storage that an operator may write its output into.
enum TakeOver {
    /// The engine's own rule: the first of these inputs that dies here.
    Engine(Vec<usize>),
    /// What a custom operator declares: for each output, the input.
    Declared(Vec<Option<usize>>),
}
