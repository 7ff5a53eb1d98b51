//! Memory of cases as the engine that runs them allocates it.
//!
//! Of llama.cpp it is known what it allocates for a language model
//! (`workloads/slm/src/memory.rs`): weights in the file's formats, a cache for
//! all tokens of the case, a compute buffer. That is the memory of a
//! prediction for the runtime `llama-cpp`. Where it is not known, a prediction
//! keeps what the traced graph holds at its peak: other workloads, more than
//! one row, training and evaluation, which llama.cpp does otherwise or not at
//! all, and number formats of which it has no files.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use assay_hardware_profiles::UnitName;
use assay_schema::{Case, MemoryPart};
use assay_slm::{
    Config, EngineMemory, LlamaCpp, Phase, Placement, Request, Shape, SlmError,
};

/// What is known of a case's memory: its parts, or that the trace has it.
type Known = Option<Vec<MemoryPart>>;

/// Remembers what it has worked out: a shape is read once a model, and the
/// parts of a case once, whatever the profiles.
#[derive(Default)]
pub(crate) struct Engines {
    shapes: HashMap<String, Arc<Shape>>,
    known: HashMap<(String, UnitName), Known>,
}

impl Engines {
    /// What llama.cpp allocates for a complete case on a unit, by what holds
    /// it; `None` where the traced graph has the memory. `model` is a file in
    /// place of the case's model.
    pub(crate) fn llama_cpp(
        &mut self,
        case: &Case,
        unit: UnitName,
        model: Option<&PathBuf>,
    ) -> Result<Known> {
        if case.workload != "slm" {
            return Ok(None);
        }
        let file = model.map(|path| path.display().to_string());
        let file = file.unwrap_or_default();
        let key = (format!("{file} {case}"), unit);
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        let found = self
            .allocated(case, unit, model.map(PathBuf::as_path), &file)
            .with_context(|| case.to_string())?;
        self.known.insert(key, found.clone());
        Ok(found)
    }

    fn allocated(
        &mut self,
        case: &Case,
        unit: UnitName,
        model: Option<&Path>,
        file: &str,
    ) -> Result<Known, SlmError> {
        let config = model.map(Config::from_file).transpose()?;
        let request = Request::new(case, config)?;
        match request.phase {
            Phase::Prefill | Phase::Decode | Phase::Generate => {}
            Phase::TrainStep | Phase::Evaluate => return Ok(None),
        }
        if request.batch > 1 {
            return Ok(None);
        }
        let shape = self.shape(&format!("{file} {}", case.model), &request)?;
        let engine = LlamaCpp::of(&request, placement(unit))?;
        match engine.memory(&shape) {
            Ok(memory) => Ok(Some(parts(&memory))),
            // No files in that number format.
            Err(SlmError::Axis { axis: "precision", .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn shape(
        &mut self,
        key: &str,
        request: &Request,
    ) -> Result<Arc<Shape>, SlmError> {
        if let Some(known) = self.shapes.get(key) {
            return Ok(Arc::clone(known));
        }
        let shape = Arc::new(Shape::of(&request.config)?);
        self.shapes.insert(key.to_owned(), Arc::clone(&shape));
        Ok(shape)
    }
}

/// Where llama.cpp's buffers lie.
fn placement(unit: UnitName) -> Placement {
    match unit {
        UnitName::Cpu => Placement::Cpu,
        UnitName::Gpu | UnitName::Npu => Placement::Accelerator,
    }
}

/// By the names that figures have.
fn parts(memory: &EngineMemory) -> Vec<MemoryPart> {
    [
        ("weights", memory.weights),
        ("kv cache", memory.kv_cache),
        ("compute buffer", memory.compute_buffer),
        ("other", memory.other()),
    ]
    .into_iter()
    .map(|(name, bytes)| MemoryPart { name: name.to_owned(), bytes })
    .collect()
}

#[cfg(test)]
#[allow(
    clippy::float_cmp,
    reason = "bytes are whole numbers, exact by construction"
)]
mod tests {
    use super::*;

    fn of(case: &str, unit: UnitName) -> Option<Vec<MemoryPart>> {
        let case: Case = case.parse().unwrap();
        Engines::default().llama_cpp(&case, unit, None).unwrap()
    }

    #[test]
    fn an_answer_to_one_row_has_parts_and_nothing_else_has() {
        for case in [
            "slm/tiny/decode context=64 precision=q8_0",
            "slm/tiny/prefill prompt=64 precision=f16",
            "slm/tiny/generate prompt=8 tokens=4 precision=q4_k_m",
        ] {
            let parts = of(case, UnitName::Gpu).unwrap();
            let names: Vec<&str> =
                parts.iter().map(|part| part.name.as_str()).collect();
            assert_eq!(
                names,
                ["weights", "kv cache", "compute buffer", "other"],
                "{case}"
            );
            assert!(
                parts.iter().all(|part| part.bytes.value() > 0.0),
                "{case}"
            );
        }
        for case in [
            "slm/tiny/decode batch=2 precision=q8_0",
            "slm/tiny/train-step prompt=8 precision=f32",
            "slm/tiny/decode precision=fp8",
            "operators/softmax precision=f16",
        ] {
            assert_eq!(of(case, UnitName::Gpu), None, "{case}");
        }
    }

    #[test]
    fn a_tied_embedding_is_held_twice_beside_an_accelerator_alone() {
        let case = "slm/smollm-135m/decode context=63 precision=q4_0";
        let held = |unit, name: &str| {
            let parts = of(case, unit).unwrap();
            let part = parts.iter().find(|part| part.name == name);
            part.unwrap().bytes.value()
        };
        assert_eq!(
            held(UnitName::Cpu, "weights"),
            held(UnitName::Gpu, "weights")
        );
        // 49,152 x 576 values of the head at 8.5 bits: one step finer.
        let copy = held(UnitName::Gpu, "other") - held(UnitName::Cpu, "other");
        assert_eq!(copy, 49_152.0 * 576.0 * 8.5 / 8.0);
        // 64 tokens, 30 layers, 3 heads of 64, keys and values in f16.
        let cache = 64.0 * 30.0 * 3.0 * 64.0 * 2.0 * 2.0;
        assert_eq!(held(UnitName::Gpu, "kv cache"), cache);
    }
}
