//! The recorder: runs a model on the engine's capture device, which computes
//! nothing and allocates nothing, and learns which tensor is what.
//!
//! Module paths come from id borders: the engine hands out tensor ids in
//! order, so a span that notes the next id at its start and at its end owns
//! every tensor made between.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use burn::Tensor;
use burn::backend::{AutodiffBackend, DispatchDevice};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Int};
use burn_capture::{CaptureBackend, CaptureChannel, CaptureDevice};
use burn_router::{RouterClient, get_client};

use crate::lower::lower;
use crate::tape::Training;
use crate::{CostOf, Graph, Role, TraceError};

/// A span of tensor ids that a module owns.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) path: String,
    pub(crate) first: u64,
    pub(crate) last: u64,
}

#[derive(Default)]
struct Recording {
    device: Option<CaptureDevice>,
    open: Vec<String>,
    spans: Vec<Span>,
    roles: HashMap<u64, Role>,
    backward_from: Option<u64>,
    optimizer_from: Option<u64>,
}

impl Recording {
    /// Starts a recording on this thread; it ends when the guard drops, on a
    /// panic too, so that a failed trace leaves nothing behind.
    fn begin(device: CaptureDevice) -> RecordingGuard {
        RECORDING.replace(Self { device: Some(device), ..Self::default() });
        RecordingGuard
    }

    fn next_id(&self) -> u64 {
        match &self.device {
            Some(device) => get_client::<CaptureChannel>(device)
                .create_empty_handle()
                .value(),
            None => 0,
        }
    }
}

struct RecordingGuard;

impl Drop for RecordingGuard {
    fn drop(&mut self) {
        FINISHED.set(RECORDING.take());
    }
}

thread_local! {
    static RECORDING: RefCell<Recording> = RefCell::default();
    static FINISHED: RefCell<Recording> = RefCell::default();
    /// This thread's capture device, while nothing is captured on it.
    static IDLE: Cell<Option<Device>> = const { Cell::new(None) };
}

/// Runs `body` as the part `name` of the model. Outside a trace it costs one
/// thread-local read.
pub fn span<T>(name: &str, body: impl FnOnce() -> T) -> T {
    record_span(|| name.to_owned(), body)
}

/// As [`span`], for the `index`-th of several like parts: `layers.17`.
pub fn span_at<T>(name: &str, index: usize, body: impl FnOnce() -> T) -> T {
    record_span(|| format!("{name}.{index}"), body)
}

fn record_span<T>(
    name: impl FnOnce() -> String,
    body: impl FnOnce() -> T,
) -> T {
    let first = RECORDING.with_borrow_mut(|recording| {
        recording.device?;
        recording.open.push(name());
        Some(recording.next_id())
    });
    let value = body();
    if let Some(first) = first {
        RECORDING.with_borrow_mut(|recording| {
            let last = recording.next_id();
            let path = recording.open.join(".");
            recording.open.pop();
            recording.spans.push(Span { path, first, last });
        });
    }
    value
}

/// What a model's capture tells the trace beside its operators.
pub struct Recorder {
    device: Device,
    roles: RefCell<HashMap<u64, Role>>,
    outputs: RefCell<Vec<u64>>,
    foreign: Cell<bool>,
}

/// Ids and borders, once the capture is done.
pub(crate) struct Notes {
    pub(crate) roles: HashMap<u64, Role>,
    pub(crate) outputs: Vec<u64>,
    pub(crate) spans: Vec<Span>,
    pub(crate) backward_from: u64,
    pub(crate) optimizer_from: u64,
}

impl Recorder {
    /// The device to build the model and its inputs on.
    pub fn device(&self) -> Device {
        self.device.clone()
    }

    /// The same with gradients, for a training step.
    pub fn training_device(&self) -> Device {
        self.device.clone().autodiff()
    }

    fn id<const D: usize>(&self, tensor: &Tensor<D>) -> Option<u64> {
        let id = captured_id(tensor);
        if id.is_none() {
            self.foreign.set(true);
        }
        id
    }

    /// Says what a tensor is for.
    pub fn role<const D: usize>(&self, tensor: &Tensor<D>, role: Role) {
        if let Some(id) = self.id(tensor) {
            self.roles.borrow_mut().insert(id, role);
        }
    }

    /// Says that an integer tensor is an input.
    pub fn input<const D: usize>(&self, tensor: &Tensor<D, Int>) {
        let plain = tensor.clone().try_into_primitive::<CaptureBackend>();
        let primitive = match plain {
            Ok(primitive) => Some(primitive),
            Err(_) => tensor.clone().try_into_primitive::<Training>().ok(),
        };
        match primitive {
            Some(primitive) => {
                let id = primitive.into_ir().id.value();
                self.roles.borrow_mut().insert(id, Role::Input);
            }
            None => self.foreign.set(true),
        }
    }

    /// Says that every float parameter of a module is a weight.
    pub fn weights<M: Module>(&self, module: &M) {
        struct Visit<'a>(&'a Recorder);
        impl ModuleVisitor for Visit<'_> {
            fn visit_float<const D: usize>(
                &mut self,
                param: &Param<Tensor<D>>,
            ) {
                self.0.role(&param.val(), Role::Weight);
            }
        }
        module.visit(&mut Visit(self));
    }

    /// Says that a tensor outlives the step.
    pub fn output<const D: usize>(&self, tensor: &Tensor<D>) {
        if let Some(id) = self.id(tensor) {
            self.outputs.borrow_mut().push(id);
        }
    }
}

/// The id of a captured tensor; `None` when it lives elsewhere.
fn captured_id<const D: usize>(tensor: &Tensor<D>) -> Option<u64> {
    let plain = tensor.clone().try_into_primitive::<CaptureBackend>();
    let primitive = match plain {
        Ok(primitive) => primitive,
        Err(_) => {
            let tracked =
                tensor.clone().try_into_primitive::<Training>().ok()?;
            <Training as AutodiffBackend>::inner(tracked)
        }
    };
    Some(primitive.into_ir().id.value())
}

/// Notes that what follows belongs to the backward pass.
pub(crate) fn backward_begins() {
    RECORDING.with_borrow_mut(|recording| {
        recording.backward_from = Some(recording.next_id());
    });
}

/// Notes that what follows updates the parameters. Outside a trace it does
/// nothing.
pub fn optimizer_begins() {
    RECORDING.with_borrow_mut(|recording| {
        if recording.device.is_some() {
            recording.optimizer_from = Some(recording.next_id());
        }
    });
}

/// Says what a tensor is for, from inside a step; outside a trace it does
/// nothing.
pub fn mark<const D: usize>(tensor: &Tensor<D>, role: Role) {
    RECORDING.with_borrow_mut(|recording| {
        if recording.device.is_some()
            && let Some(id) = captured_id(tensor)
        {
            recording.roles.insert(id, role);
        }
    });
}

/// Captures a model: `run` builds it on [`Recorder::device`], runs it once and
/// says through the recorder which tensors are weights, caches and outputs.
///
/// `cost` declares the custom operators that the model's kernels record.
///
/// # Errors
///
/// An operator without a counting rule or a declared cost; a tensor given to
/// the recorder that does not live on its device; whatever the engine refuses.
pub fn capture(
    cost: CostOf,
    run: impl FnOnce(&Recorder),
) -> Result<Graph, TraceError> {
    // The engine numbers its capture devices in 16 bits and takes none back: a
    // search of tens of thousands of shapes must use one again. A capture
    // within a capture finds none idle and makes its own.
    let device = IDLE.take().unwrap_or_else(Device::capture);
    let DispatchDevice::Capture(handle) = device.as_dispatch() else {
        return Err(TraceError::Foreign);
    };
    let recorder = Recorder {
        device: device.clone(),
        roles: RefCell::default(),
        outputs: RefCell::default(),
        foreign: Cell::new(false),
    };
    let handle = *handle;
    let captured = device
        .capture_scope(|scope| {
            let _guard = Recording::begin(handle);
            run(&recorder);
            scope.complete([], [])
        })
        .map_err(|error| TraceError::Capture(error.to_string()))?;
    IDLE.set(Some(device));
    if recorder.foreign.get() {
        return Err(TraceError::Foreign);
    }
    let done = FINISHED.with_borrow_mut(std::mem::take);
    let mut roles = recorder.roles.into_inner();
    roles.extend(done.roles);
    let notes = Notes {
        roles,
        outputs: recorder.outputs.into_inner(),
        spans: done.spans,
        backward_from: done.backward_from.unwrap_or(u64::MAX),
        optimizer_from: done.optimizer_from.unwrap_or(u64::MAX),
    };
    lower(&captured.graph.operations, &notes, cost)
}
