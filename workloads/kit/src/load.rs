//! Weights by published names into a module.
//!
//! A [`Binding`] says which tensor of the file a parameter of ours takes, and
//! which rows of it where a family packs several into one. Every parameter
//! must be bound and every tensor of the file used or named as known and
//! ignored, so that nothing is left out in silence.

use std::collections::{BTreeMap, BTreeSet};

use burn::Tensor;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::TensorData;

use assay_trace::Tape;

use crate::{Checkpoint, KitError, Values};

/// Which rows of a tensor in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slice {
    /// All of it.
    Whole,
    /// Of a tensor packed per head, rows `[head, part, head_dim]`: one part.
    PackedHeads {
        /// Heads.
        heads: usize,
        /// Parts that are packed (3: queries, keys, values).
        parts: usize,
        /// Which.
        part: usize,
    },
    /// Some of its rows.
    Rows {
        /// The first.
        first: usize,
        /// How many.
        count: usize,
        /// Rows that the file has.
        total: usize,
    },
    /// Some columns of a matrix that lies turned, `[in, out]`, as rows.
    Columns {
        /// The first.
        first: usize,
        /// How many.
        count: usize,
        /// Columns that the file has.
        total: usize,
    },
}

impl Slice {
    /// The shape in the file of a parameter of ours of shape `ours`.
    fn shape_in_file(self, ours: &[usize]) -> Vec<usize> {
        let mut shape = ours.to_vec();
        match (self, shape.as_mut_slice()) {
            (Self::PackedHeads { parts, .. }, [rows, ..]) => *rows *= parts,
            (Self::Rows { total, .. }, [rows, ..]) => *rows = total,
            (Self::Columns { total, .. }, [rows, inputs]) => {
                *rows = *inputs;
                *inputs = total;
            }
            _ => {}
        }
        shape
    }
}

/// A parameter of ours and where its values are in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Our dotted path, e.g. `blocks.0.attention.q.weight`.
    pub ours: String,
    /// The published name.
    pub theirs: String,
    /// Which rows.
    pub slice: Slice,
}

/// The dotted path of the parameter that a visit has come to. The variant of
/// an enum is no part of it: a norm is a norm of whichever kind.
#[derive(Default)]
pub(crate) struct Path {
    parts: Vec<Option<String>>,
}

impl Path {
    pub(crate) fn enter(&mut self, name: &str, container: &str) {
        let is_variant = container.starts_with("Enum:");
        self.parts.push((!is_variant).then(|| name.to_owned()));
    }

    pub(crate) fn exit(&mut self) {
        self.parts.pop();
    }

    pub(crate) fn dotted(&self) -> String {
        let parts: Vec<&str> =
            self.parts.iter().flatten().map(String::as_str).collect();
        parts.join(".")
    }
}

/// Shapes of all float parameters by dotted path.
pub fn parameter_shapes<M: Module>(module: &M) -> BTreeMap<String, Vec<usize>> {
    struct Visit {
        path: Path,
        shapes: BTreeMap<String, Vec<usize>>,
    }
    impl ModuleVisitor for Visit {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.exit();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.shapes.insert(self.path.dotted(), param.val().dims().to_vec());
        }
    }
    let mut visit = Visit { path: Path::default(), shapes: BTreeMap::new() };
    module.visit(&mut visit);
    visit.shapes
}

/// The rows of a tensor in the file that a binding takes.
pub fn rows(values: Values, slice: Slice) -> Values {
    match slice {
        Slice::Whole => values,
        Slice::PackedHeads { heads, parts, part } => {
            let total = values.shape.first().copied().unwrap_or(0);
            let head_dim = total / (heads * parts).max(1);
            let width = values.values.len() / total.max(1);
            let block = head_dim * width;
            let picked = (0..heads)
                .flat_map(|head| {
                    let start = (head * parts + part) * block;
                    values.values[start..start + block].iter().copied()
                })
                .collect();
            let mut shape = values.shape;
            if let Some(first) = shape.first_mut() {
                *first = heads * head_dim;
            }
            Values { shape, values: picked }
        }
        Slice::Rows { first, count, total } => {
            let width = values.values.len() / total.max(1);
            let range = first * width..(first + count) * width;
            let mut shape = values.shape;
            if let Some(rows) = shape.first_mut() {
                *rows = count;
            }
            Values { shape, values: values.values[range].to_vec() }
        }
        Slice::Columns { first, count, total } => {
            let inputs = values.values.len() / total.max(1);
            let at = |column: usize, row: usize| {
                values.values[row * total + first + column]
            };
            let picked = (0..count)
                .flat_map(|column| (0..inputs).map(move |row| (column, row)))
                .map(|(column, row)| at(column, row))
                .collect();
            Values { shape: vec![count, inputs], values: picked }
        }
    }
}

/// The module with its parameters' values from the file.
///
/// `ignored` says which names of the file are known and not needed (rotary
/// tables, a tied head).
///
/// # Errors
///
/// Missing or extra tensors, another shape, a dtype that is no float.
pub fn load<M: Module>(
    module: M,
    file: &Checkpoint,
    bindings: &[Binding],
    ignored: impl Fn(&str) -> bool,
) -> Result<M, KitError> {
    let shapes = parameter_shapes(&module);
    let in_file: BTreeSet<String> = file.names()?.into_iter().collect();
    let used: BTreeSet<&str> =
        bindings.iter().map(|b| b.theirs.as_str()).collect();
    let missing: Vec<String> = used
        .iter()
        .filter(|name| !in_file.contains(**name))
        .map(|name| (*name).to_owned())
        .collect();
    if let Some(first) = missing.first() {
        let nearest = assay_schema::nearest(
            first,
            in_file.iter().map(String::as_str).filter(|n| !used.contains(n)),
        );
        return Err(KitError::Missing {
            path: file.path().to_owned(),
            nearest: nearest.map(str::to_owned),
            names: missing,
        });
    }
    let extra: Vec<String> = in_file
        .iter()
        .filter(|name| !used.contains(name.as_str()) && !ignored(name))
        .cloned()
        .collect();
    if !extra.is_empty() {
        return Err(KitError::Extra {
            path: file.path().to_owned(),
            names: extra,
        });
    }
    let mut values = BTreeMap::new();
    for binding in bindings {
        let Some(expected) = shapes.get(&binding.ours) else {
            return Err(file.missing(&binding.ours));
        };
        let whole = file.floats(&binding.theirs)?;
        let in_file = binding.slice.shape_in_file(expected);
        if trimmed(&whole.shape) != trimmed(&in_file) {
            return Err(KitError::Shape {
                path: file.path().to_owned(),
                name: binding.theirs.clone(),
                found: whole.shape,
                expected: in_file,
            });
        }
        let found = rows(whole, binding.slice);
        values.insert(binding.ours.clone(), found);
    }
    if let Some(unbound) = shapes.keys().find(|p| !values.contains_key(*p)) {
        return Err(file.missing(unbound));
    }
    let mut fill = Fill { path: Path::default(), values };
    Ok(module.map(&mut fill))
}

/// A shape without dimensions of 1 at its end: a convolution of one dimension
/// is one of two whose window is 1 wide.
fn trimmed(shape: &[usize]) -> &[usize] {
    let end = shape.iter().rposition(|&size| size != 1).map_or(0, |at| at + 1);
    &shape[..end]
}

/// Loads weights by their published names, which are those of the modules,
/// but for PyTorch's `_l0` at an LSTM's.
///
/// # Errors
/// Missing or extra tensors, wrong shapes, a truncated file.
pub fn load_published<M: Module>(
    model: M,
    weights: &Checkpoint,
) -> Result<M, KitError> {
    let bindings: Vec<Binding> = parameter_shapes(&model)
        .into_keys()
        .map(|ours| {
            let theirs = published_name(&ours);
            Binding { ours, theirs, slice: Slice::Whole }
        })
        .collect();
    load(model, weights, &bindings, |name| {
        name.ends_with("num_batches_tracked")
    })
}

/// The name that PyTorch gives a parameter of ours.
pub fn published_name(ours: &str) -> String {
    let lstm = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"];
    if lstm.iter().any(|end| ours.ends_with(end)) {
        format!("{ours}_l0")
    } else {
        ours.to_owned()
    }
}

/// Values of all float parameters by dotted path.
pub fn parameter_values<M: Module>(module: &M) -> BTreeMap<String, Vec<f32>> {
    struct Visit {
        path: Path,
        found: BTreeMap<String, Vec<f32>>,
    }
    impl ModuleVisitor for Visit {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.exit();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.found.insert(self.path.dotted(), floats(param.val()));
        }
    }
    let mut visit = Visit { path: Path::default(), found: BTreeMap::new() };
    module.visit(&mut visit);
    visit.found
}

/// The module with values by dotted path, as [`parameter_values`] gives them.
/// A parameter without any keeps its own; a value without a parameter is left
/// over in silence.
///
/// # Errors
/// Another number of values than the parameter has.
pub fn with_values<M: Module>(
    module: M,
    values: &BTreeMap<String, Vec<f32>>,
) -> Result<M, KitError> {
    let mut own = BTreeMap::new();
    for (name, shape) in parameter_shapes(&module) {
        let Some(found) = values.get(&name) else { continue };
        let expected = shape.iter().product();
        if found.len() != expected {
            return Err(KitError::Size { name, found: found.len(), expected });
        }
        own.insert(name, Values { shape, values: found.clone() });
    }
    Ok(module.map(&mut Fill { path: Path::default(), values: own }))
}

/// Gradients of all float parameters by dotted path; takes them off the tape.
pub fn gradient_values<M: Module>(
    module: &M,
    tape: Tape,
) -> BTreeMap<String, Vec<f32>> {
    struct Visit {
        path: Path,
        tape: Tape,
        found: BTreeMap<String, Vec<f32>>,
    }
    impl ModuleVisitor for Visit {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.exit();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.tape.remove(&param.val()) {
                self.found.insert(self.path.dotted(), floats(gradient));
            }
        }
    }
    let mut visit =
        Visit { path: Path::default(), tape, found: BTreeMap::new() };
    module.visit(&mut visit);
    visit.found
}

/// A tensor's values, row-major.
pub fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_into_vec().unwrap_or_default()
}

struct Fill {
    path: Path,
    values: BTreeMap<String, Values>,
}

impl ModuleMapper for Fill {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }
    fn map_float<const D: usize>(
        &mut self,
        param: Param<Tensor<D>>,
    ) -> Param<Tensor<D>> {
        let Some(values) = self.values.remove(&self.path.dotted()) else {
            return param;
        };
        param.map(|old| {
            let data = TensorData::new(values.values, old.shape());
            let new = Tensor::from_data(data, &old.device());
            if old.is_require_grad() { new.require_grad() } else { new }
        })
    }
}
