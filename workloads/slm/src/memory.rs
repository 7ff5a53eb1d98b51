//! Memory as an engine allocates it, beside what the graph needs.
//!
//! llama.cpp allocates, for a context of `C` tokens and micro-batches of `M`:
//!
//! - **weights**: each matrix in its format (`ggml.rs`), vectors in f32;
//! - **KV cache**: 2 `C` bytes for each value that a token leaves in a layer;
//! - **compute buffer**: 4 `M` times the larger of `V + D` (logits, and a row
//!   beside them) and `C (H + 1) + L` (scores of all heads and their mask, and
//!   `L` values beside them, in the layer where that is largest);
//! - **the embedding once more**, where it is the head too: it is read on the
//!   host and multiplied with on the device;
//! - **host buffers**: 4 `M (C + D)` for mask and inputs, 4 `V` for the logits
//!   of a row.
//!
//! `V` vocabulary, `D` width, `H` heads. These give the survey's 22 columns
//! (`claims/memory.csv`): the cache exactly, weights to 0.01 MiB, the buffer
//! but for Bloom-1B1's (3 MiB of 496), totals to 0.03 % and that one to 0.2 %.
//! Two things follow that the survey does not say: its weights of 1 GiB and
//! more are 1000 times GiB, not MiB, and what it calls other is a tied
//! embedding held twice. Not here: the driver's own memory, which it does not
//! count.
//!
//! Other runtimes hold what the trace says lives at the peak.

mod ggml;
mod published;
mod shape;

use assay_schema::{Bytes, Precision, Runtime};
use assay_trace::Graph;

pub use published::{PublishedMemory, published_memory};
pub use shape::{Conversion, HeadKind, LayerShape, Matrix, MatrixUse, Shape};

use crate::{Phase, Request, SlmError};

/// Bytes of an f32.
const F32: f64 = 4.0;

/// Bytes of a cached key or value: f16 unless llama.cpp is told otherwise.
const CACHED: f64 = 2.0;

/// llama.cpp rounds a context up to so many tokens.
const CONTEXT_STEP: usize = 32;

/// Tokens of a micro-batch unless llama.cpp is told otherwise.
const MICRO_BATCH: usize = 512;

/// Memory of an engine by what holds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct EngineMemory {
    /// Parameters, once.
    pub weights: Bytes,
    /// Keys, values and recurrent state.
    pub kv_cache: Bytes,
    /// Activations, scores, logits.
    pub compute_buffer: Bytes,
    /// A tied embedding held a second time.
    pub embedding_copy: Bytes,
    /// Inputs, mask and logits beside the device.
    pub host_buffers: Bytes,
}

impl EngineMemory {
    /// The sum.
    pub fn total(&self) -> Bytes {
        self.weights + self.kv_cache + self.compute_buffer + self.other()
    }

    /// What the survey's figure calls other.
    pub fn other(&self) -> Bytes {
        self.embedding_copy + self.host_buffers
    }
}

/// Where a model runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// All layers and the head on an accelerator, the embedding on the host.
    Accelerator,
    /// Everything on the CPU. Nobody published its parts: the embedding is
    /// held once, and the rest is taken to be as on an accelerator.
    Cpu,
}

/// How llama.cpp is started.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LlamaCpp {
    /// Format of the weights.
    pub precision: Precision,
    /// Tokens for which the cache has room.
    pub context: usize,
    /// Largest number of tokens computed at once.
    pub micro_batch: usize,
    /// Where it runs.
    pub placement: Placement,
}

impl LlamaCpp {
    /// As the survey ran it: `q4_k_m`, context 2048, on the Jetson's GPU.
    pub const SURVEY: Self = Self {
        precision: Precision::Q4KM,
        context: 2048,
        micro_batch: MICRO_BATCH,
        placement: Placement::Accelerator,
    };

    /// As it would be started for a case: room for all its tokens. Many cases
    /// of a model share one [`Shape`], which costs a trace to make.
    ///
    /// # Errors
    ///
    /// A training step, which llama.cpp does not do.
    pub fn of(
        request: &Request,
        placement: Placement,
    ) -> Result<Self, SlmError> {
        if request.phase == Phase::TrainStep {
            return Err(SlmError::Axis {
                axis: "phase",
                found: "train-step".to_owned(),
                expected: "prefill, decode or generate: llama.cpp does not \
                           train"
                    .to_owned(),
            });
        }
        let tokens = request.longest().saturating_mul(request.batch);
        Ok(Self {
            precision: request.precision,
            context: tokens.next_multiple_of(CONTEXT_STEP),
            micro_batch: MICRO_BATCH,
            placement,
        })
    }

    /// Memory of a model of that shape.
    ///
    /// # Errors
    ///
    /// A precision that llama.cpp has no files of.
    pub fn memory(&self, shape: &Shape) -> Result<EngineMemory, SlmError> {
        let weights = self.weights(shape).ok_or_else(|| SlmError::Axis {
            axis: "precision",
            found: self.precision.to_string(),
            expected: "a format of llama.cpp: f32, f16, bf16, q8_0, q6_k, \
                       q5_k, q4_k_m, q4_0, q3_k"
                .to_owned(),
        })?;
        let (context, width) = (self.context as f64, shape.width as f64);
        let rows = self.micro_batch.min(self.context) as f64;
        let vocab = shape.vocab as f64;
        let copied = match (shape.head, self.placement) {
            (HeadKind::Tied, Placement::Accelerator) => {
                self.table(shape, true).unwrap_or(0.0)
            }
            (HeadKind::Tied | HeadKind::Own | HeadKind::Copied, _) => 0.0,
        };
        Ok(EngineMemory {
            weights: Bytes(weights),
            kv_cache: Bytes(
                CACHED * context * shape.cached as f64
                    + F32 * shape.state as f64,
            ),
            compute_buffer: self.compute_buffer(shape),
            embedding_copy: Bytes(copied),
            host_buffers: Bytes(F32 * (rows * (context + width) + vocab)),
        })
    }

    /// Bytes of the embedding's table, as the head or not.
    fn table(&self, shape: &Shape, is_head: bool) -> Option<f64> {
        ggml::bytes(shape.embedding()?, self.precision, None, is_head)
    }

    fn weights(&self, shape: &Shape) -> Option<f64> {
        let mut all = shape.vectors as f64 * F32;
        for table in &shape.tables {
            let is_head = match table.used_as {
                MatrixUse::Head => true,
                MatrixUse::Embedding => shape.head == HeadKind::Tied,
                _ => false,
            };
            all += ggml::bytes(table, self.precision, None, is_head)?;
        }
        if shape.head == HeadKind::Copied {
            all += self.table(shape, true)?;
        }
        let layers = shape.layers.len();
        for (i, layer) in shape.layers.iter().enumerate() {
            for matrix in &layer.matrices {
                let place = Some((i, layers));
                all += ggml::bytes(matrix, self.precision, place, false)?;
            }
        }
        Some(all)
    }

    fn compute_buffer(&self, shape: &Shape) -> Bytes {
        let rows = self.micro_batch.min(self.context) as f64;
        let of_logits = (shape.vocab + shape.width) as f64;
        let of_scores = |layer: &LayerShape| {
            let (heads, live) = (layer.heads as f64, layer.live as f64);
            self.context as f64 * (heads + 1.0) + live
        };
        let largest =
            shape.layers.iter().map(of_scores).fold(of_logits, f64::max);
        Bytes(F32 * rows * largest)
    }
}

/// Memory of a case under a runtime. llama.cpp's is of its own allocations,
/// for the tokens that the case sees; every other runtime's is what lives at
/// the peak of the traced graph.
///
/// # Errors
///
/// Training, or a precision without files, under llama.cpp; a shape that
/// cannot be traced.
pub fn engine_memory(
    request: &Request,
    runtime: Runtime,
    graph: &Graph,
    placement: Placement,
) -> Result<EngineMemory, SlmError> {
    if runtime != Runtime::LlamaCpp {
        return Ok(at_the_peak(graph, request.precision));
    }
    let engine = LlamaCpp::of(request, placement)?;
    engine.memory(&Shape::of(&request.config)?)
}

/// What lives at a graph's peak, gradients and optimizer in the buffer.
pub fn at_the_peak(graph: &Graph, precision: Precision) -> EngineMemory {
    let peak = assay_trace::memory(graph, precision).peak;
    EngineMemory {
        weights: peak.weights_bytes,
        kv_cache: peak.kv_cache_bytes,
        compute_buffer: peak.activations_bytes
            + peak.gradients_bytes
            + peak.optimizer_bytes,
        ..EngineMemory::default()
    }
}

#[cfg(test)]
mod tests;
