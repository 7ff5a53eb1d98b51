//! Small language models: one decoder whose variation is data.
//!
//! `decoder.rs` is the model, `blocks/` the parts of its layers,
//! `packing.rs` and `adapting.rs` its forms beside the dense one;
//! `models/*.toml` are its sizes; `goldens/` holds right answers from
//! `transformers`. [`Slm`] is the workload (prefill, decode, generate,
//! train-step, evaluate) and [`trace()`] its operator graph.
//!
//! Papers: *Small Language Models: Survey, Measurements, and Insights* (arXiv
//! 2409.15790); *PhoneLM* (arXiv 2411.05046).

mod adapting;
mod blocks;
mod cache;
mod claims;
mod config;
mod decoder;
mod error;
mod evaluate;
mod golden;
mod hugging_face;
mod memory;
mod models;
mod packing;
mod recipes;
mod request;
mod session;
mod steps;
mod text;
mod trace;
mod variation;
mod workload;

pub use blocks::{
    AdaptedLinear, Attention, LatentAttention, Mlp, Norm, PackedLinear,
    Projection, RecurrenceGate, Recurrent, Table,
};
pub use cache::Cache;
pub use claims::{
    FIGURE_7_SOURCE, PartTimes, SURVEY_PROFILE, SurveyPoint, claims, evidence,
    figure_7, published,
};
pub use config::{AttentionBias, Config, Family, Mixing, NormKind, Positions};
pub use decoder::{Block, Decoder, Mixer};
pub use error::SlmError;
pub use evaluate::{
    Accuracy, Choice, EXAMPLES, Evaluator, Perplexity, Question, Task,
    task_from_file, tasks, tokenizer_from_file,
};
pub use golden::{check as check_golden, load_weights, of_family};
pub use memory::{
    Conversion, EngineMemory, HeadKind, LayerShape, LlamaCpp, Matrix,
    MatrixUse, Placement, PublishedMemory, Shape, at_the_peak, engine_memory,
    published_memory,
};
pub use models::{
    config as model_config, names as model_names, survey as survey_models,
};
pub use packing::Packing;
pub use recipes::{Recipe, recipes};
pub use request::{Phase, Request};
pub use steps::{ADAMW, decode, prefill, seen, train};
pub use text::{passage, tokenizer};
pub use trace::trace;
pub use variation::{
    Gain, Latent, PerLayer, QkNorm, Recurrence, RotaryScaling, Variation,
    Window, WindowLayers,
};
pub use workload::{Slm, session};
