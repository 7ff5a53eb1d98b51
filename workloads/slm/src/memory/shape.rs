//! What memory depends on: the matrices of a model, what a token leaves in
//! its cache, and what llama.cpp's converter did to them.
//!
//! A shape is read off the decoder itself, built on the capture device: no
//! list of matrices is written a second time here.

use std::collections::BTreeMap;

use assay_kit::{Parameters, parameter_shapes};
use assay_trace::capture;

use crate::config::{Family, Mixing};
use crate::{Config, Decoder, SlmError};

use super::published::published_memory;

/// What a matrix is for, as far as its format depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatrixUse {
    /// Tokens to vectors.
    Embedding,
    /// Vectors to logits.
    Head,
    /// A learned row a position.
    Positions,
    /// Queries, keys and values in one.
    Packed,
    /// Values of attention.
    Value,
    /// Back to the residual stream, in the feed-forward layer.
    Down,
    /// Every other.
    Other,
}

/// A matrix, `rows` x `columns`; a row is stored in one piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matrix {
    /// What for.
    pub used_as: MatrixUse,
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub columns: usize,
}

impl Matrix {
    /// Number of values.
    pub fn elements(&self) -> u64 {
        self.rows as u64 * self.columns as u64
    }
}

/// One layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayerShape {
    /// Its matrices.
    pub matrices: Vec<Matrix>,
    /// Query heads; 0 where the layer has no attention.
    pub heads: usize,
    /// Values of a token that live beside the scores of its attention:
    /// residual stream, queries, keys, values.
    pub live: usize,
}

/// Where logits come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadKind {
    /// The embedding's table.
    Tied,
    /// A matrix of its own.
    Own,
    /// The embedding's table, written into the file a second time.
    Copied,
}

/// What llama.cpp's converter and quantiser make of a model, where that does
/// not follow from its shape. Read from published memory columns, by which
/// rule reproduces them (`claims/memory.csv`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conversion {
    /// Queries, keys and values are one matrix.
    pub packed: bool,
    /// Where logits come from.
    pub head: HeadKind,
    /// Rows of the model's width that live beside the scores; `None`:
    /// residual stream, queries, keys and values.
    pub live_rows: Option<usize>,
    /// The file has its layers sorted as text (0, 1, 10, 11, ..., 2), which
    /// decides which of them get more bits.
    pub layers_as_text: bool,
    /// Rows of the embedding in the file, where it was padded.
    pub vocab: Option<usize>,
}

impl Conversion {
    /// Of a published model as its row says; of another as its family does.
    ///
    /// # Errors
    ///
    /// The embedded table does not read: a bug of this crate.
    pub fn of(config: &Config) -> Result<Self, SlmError> {
        let published = published_memory()?;
        if let Some(row) = published.iter().find(|r| r.model == config.name) {
            return Ok(row.conversion);
        }
        let packed = matches!(
            config.family,
            Family::GptNeox
                | Family::Bloom
                | Family::Gpt2
                | Family::Phi3
                | Family::Qwen
                | Family::Openelm
                | Family::OpenLm
        );
        Ok(Self {
            packed,
            head: match (config.tied_embeddings, config.family) {
                (false, _) => HeadKind::Own,
                (true, Family::Bloom) => HeadKind::Copied,
                (true, _) => HeadKind::Tied,
            },
            live_rows: packed.then_some(6),
            layers_as_text: false,
            vocab: None,
        })
    }
}

/// A model as far as its memory depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Rows of the embedding in the file.
    pub vocab: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Matrices outside the layers; a tied head is not among them.
    pub tables: Vec<Matrix>,
    /// Layers, in the order of the file.
    pub layers: Vec<LayerShape>,
    /// Values of all norms and biases, which stay in f32.
    pub vectors: u64,
    /// Values that a token leaves in the caches of all layers.
    pub cached: usize,
    /// Values of state that do not grow with the context.
    pub state: usize,
    /// Where logits come from.
    pub head: HeadKind,
}

/// The number after `blocks.` or `layers.` in a parameter's dotted path.
fn layer_of(path: &str) -> Option<usize> {
    let mut parts = path.split('.');
    match parts.next()? {
        "blocks" | "layers" => parts.next()?.parse().ok(),
        _ => None,
    }
}

fn use_of(path: &str) -> MatrixUse {
    let mut words = path.rsplit('.');
    let last = words.next().unwrap_or_default();
    // A layer's parameter is called `weight`; a bare one by its own name.
    let name =
        if last == "weight" { words.next().unwrap_or_default() } else { last };
    match name {
        "embedding" => MatrixUse::Embedding,
        "head" => MatrixUse::Head,
        "positions" => MatrixUse::Positions,
        "v" => MatrixUse::Value,
        "down" => MatrixUse::Down,
        _ => MatrixUse::Other,
    }
}

/// The matrix that a parameter of two or more dimensions is.
fn matrix((path, shape): &(String, Vec<usize>)) -> Option<Matrix> {
    let (rows, rest) = shape.split_first()?;
    (!rest.is_empty()).then(|| Matrix {
        used_as: use_of(path),
        rows: *rows,
        columns: rest.iter().product(),
    })
}

/// Whether it is what a packed matrix holds.
fn is_packed((path, _): &(String, Vec<usize>)) -> bool {
    [".q.weight", ".k.weight", ".v.weight"]
        .iter()
        .any(|ending| path.ends_with(ending))
}

fn layer(
    index: usize,
    parameters: &[(String, Vec<usize>)],
    config: &Config,
    conversion: &Conversion,
) -> LayerShape {
    let mut matrices: Vec<Matrix> = parameters
        .iter()
        .filter(|parameter| !(conversion.packed && is_packed(parameter)))
        .filter_map(matrix)
        .collect();
    if conversion.packed {
        let parts = parameters.iter().filter(|p| is_packed(p));
        let rows: usize = parts.filter_map(matrix).map(|m| m.rows).sum();
        if rows > 0 {
            let (used_as, columns) = (MatrixUse::Packed, config.width);
            matrices.push(Matrix { used_as, rows, columns });
        }
    }
    let heads = match config.mixing(index) {
        Mixing::Attention | Mixing::Latent => config.heads_of(index),
        Mixing::Recurrence => 0,
    };
    LayerShape {
        matrices,
        heads,
        live: match conversion.live_rows {
            Some(rows) => rows * config.width,
            None => {
                let queries = heads * config.head_dim;
                config.width + queries + cached_by(config, index, 1)
            }
        },
    }
}

/// Values that a layer keeps of `tokens` tokens.
fn cached_by(config: &Config, layer: usize, tokens: usize) -> usize {
    let shapes = config.cache_shapes(layer, 1, tokens);
    shapes.iter().map(|shape| shape.iter().product::<usize>()).sum()
}

impl Shape {
    /// The shape of a configured model as llama.cpp would hold it.
    ///
    /// # Errors
    ///
    /// The decoder cannot be built on the capture device: a bug of this
    /// project.
    pub fn of(config: &Config) -> Result<Self, SlmError> {
        Self::converted(config, &Conversion::of(config)?)
    }

    /// The same, as a given conversion has it.
    ///
    /// # Errors
    ///
    /// As [`Shape::of`].
    pub fn converted(
        config: &Config,
        conversion: &Conversion,
    ) -> Result<Self, SlmError> {
        let mut parameters = BTreeMap::new();
        capture(assay_kernels::cost, |recorder| {
            let device = recorder.device();
            let mut shapes = Parameters::shapes(&device);
            parameters =
                parameter_shapes(&Decoder::new(&mut shapes, config, 1));
        })?;
        let mut outside = Vec::new();
        let mut by_layer: BTreeMap<usize, Vec<(String, Vec<usize>)>> =
            BTreeMap::new();
        let mut vectors = 0;
        for (path, shape) in parameters {
            if shape.len() < 2 {
                vectors += shape.iter().product::<usize>() as u64;
            }
            match layer_of(&path) {
                Some(i) => by_layer.entry(i).or_default().push((path, shape)),
                None => outside.push((path, shape)),
            }
        }
        let vocab = conversion.vocab.unwrap_or(config.vocab);
        let tables = outside
            .iter()
            .filter_map(matrix)
            .map(|table| match table.used_as {
                MatrixUse::Embedding | MatrixUse::Head => {
                    Matrix { rows: vocab, ..table }
                }
                _ => table,
            })
            .collect();
        let mut order: Vec<usize> = by_layer.keys().copied().collect();
        if conversion.layers_as_text {
            order.sort_by_key(usize::to_string);
        }
        let layers = order
            .iter()
            .filter_map(|&i| {
                Some(layer(i, by_layer.get(&i)?, config, conversion))
            })
            .collect();
        let kept = |tokens: usize| -> usize {
            (0..config.layers).map(|i| cached_by(config, i, tokens)).sum()
        };
        let (one, two) = (kept(1), kept(2));
        Ok(Self {
            vocab,
            width: config.width,
            tables,
            layers,
            vectors,
            cached: two - one,
            state: (2 * one).saturating_sub(two),
            head: conversion.head,
        })
    }

    /// The embedding's table.
    pub fn embedding(&self) -> Option<&Matrix> {
        self.tables.iter().find(|m| m.used_as == MatrixUse::Embedding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_of_a_decoder_holds_all_its_parameters() {
        for name in ["tiny", "opt-125m", "pythia-160m"] {
            let config = crate::model_config(name).unwrap();
            let shape = Shape::of(&config).unwrap();
            let matrices: u64 = shape
                .layers
                .iter()
                .flat_map(|layer| &layer.matrices)
                .chain(&shape.tables)
                .map(Matrix::elements)
                .sum();
            let all = matrices + shape.vectors;
            let millions = config.published_params_m.unwrap_or(0.2);
            let counted = all as f64 / 1e6;
            assert!((counted - millions).abs() < 0.06, "{name}: {counted}");
            assert_eq!(shape.state, 0);
        }
    }

    #[test]
    fn layers_are_found_by_number_and_matrices_by_name() {
        assert_eq!(layer_of("blocks.11.attention.q.weight"), Some(11));
        assert_eq!(layer_of("norm.weight"), None);
        assert_eq!(use_of("blocks.0.attention.v.weight"), MatrixUse::Value);
        assert_eq!(use_of("embedding"), MatrixUse::Embedding);
        assert_eq!(use_of("head.weight"), MatrixUse::Head);
    }
}
