//! The memory columns that the survey published, with the shapes of the files
//! that it ran (`claims/memory.csv`).

use std::str::FromStr;

use assay_schema::TextError;

use crate::SlmError;

use super::shape::{
    Conversion, HeadKind, LayerShape, Matrix, MatrixUse, Shape,
};

const NAME: &str = "claims/memory.csv";
const TABLE: &str = include_str!("../../claims/memory.csv");

/// From this many MiB on, the survey's weights are 1000 times GiB to two
/// digits, as llama.cpp prints them.
const PRINTED_IN_GIB: f64 = 1024.0;

/// A model of the survey's Figure 11: memory of llama.cpp on a Jetson Orin NX,
/// 4-bit, context 2048. The last five are published, in MiB.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishedMemory {
    /// Our name of the model.
    pub model: String,
    /// What the converter made of it.
    pub conversion: Conversion,
    /// The file's shape.
    pub shape: Shape,
    /// Compute buffer.
    pub compute_buffer: f64,
    /// KV cache.
    pub kv_cache: f64,
    /// Weights, as published: see [`PublishedMemory::printed`].
    pub weights: f64,
    /// What the total has beside these.
    pub other: f64,
    /// All of it.
    pub total: f64,
}

impl PublishedMemory {
    /// Weights of so many MiB as the survey's column has them.
    pub fn printed(mib: f64) -> f64 {
        if mib < PRINTED_IN_GIB {
            mib
        } else {
            (mib / 1024.0 * 100.0).round() * 10.0
        }
    }

    /// Weights and what else there is, MiB, with weights that are printed as
    /// 1000 times GiB turned back, to their two digits. The total is right as
    /// published, so that what else there is gives up what the weights gain.
    pub fn corrected(&self) -> (f64, f64) {
        let weights = if self.weights < PRINTED_IN_GIB {
            self.weights
        } else {
            self.weights / 1000.0 * 1024.0
        };
        (weights, self.other - (weights - self.weights))
    }
}

/// `12x5 16 20x2` as the numbers that it stands for.
fn list(text: &str) -> Option<Vec<usize>> {
    let mut all = Vec::new();
    for word in text.split(' ') {
        let (value, times) = match word.split_once('x') {
            Some((value, times)) => (value, times.parse().ok()?),
            None => (word, 1),
        };
        let value: usize = value.parse().ok()?;
        all.extend(std::iter::repeat_n(value, times));
    }
    Some(all)
}

struct Cells<'a>(std::str::Split<'a, char>);

impl<'a> Cells<'a> {
    fn text(&mut self) -> Option<&'a str> {
        self.0.next()
    }

    fn read<T: FromStr>(&mut self) -> Option<T> {
        self.text()?.parse().ok()
    }
}

fn row(line: &str) -> Option<PublishedMemory> {
    let mut cells = Cells(line.split(','));
    let model = cells.text()?.to_owned();
    let layers: usize = cells.read()?;
    let (width, head_dim) = (cells.read()?, cells.read::<usize>()?);
    let heads = list(cells.text()?)?;
    let group: usize = cells.read().filter(|&n| n > 0)?;
    let ffn = list(cells.text()?)?;
    let (gated, vocab): (bool, usize) = (cells.read()?, cells.read()?);
    let (vectors, packed) = (cells.read()?, cells.read()?);
    let head = match cells.text()? {
        "tied" => HeadKind::Tied,
        "own" => HeadKind::Own,
        "copied" => HeadKind::Copied,
        _ => return None,
    };
    let live_rows = match cells.text()? {
        "" => None,
        text => Some(text.parse().ok()?),
    };
    let layers_as_text = match cells.text()? {
        "text" => true,
        "number" => false,
        _ => return None,
    };
    let [compute_buffer, kv_cache, weights, other, total] = [
        cells.read()?,
        cells.read()?,
        cells.read()?,
        cells.read()?,
        cells.read()?,
    ];
    if heads.len() != layers || ffn.len() != layers || cells.text().is_some() {
        return None;
    }
    let conversion = Conversion {
        packed,
        head,
        live_rows,
        layers_as_text,
        vocab: Some(vocab),
    };
    let mut order: Vec<usize> = (0..layers).collect();
    if layers_as_text {
        order.sort_by_key(usize::to_string);
    }
    let of_layer = |&i: &usize| {
        let q = heads[i] * head_dim;
        layer(width, q, q / group, heads[i], ffn[i], gated, &conversion)
    };
    let mut tables = vec![Matrix {
        used_as: MatrixUse::Embedding,
        rows: vocab,
        columns: width,
    }];
    if head == HeadKind::Own {
        let used_as = MatrixUse::Head;
        tables.push(Matrix { used_as, rows: vocab, columns: width });
    }
    let shape = Shape {
        vocab,
        width,
        tables,
        layers: order.iter().map(of_layer).collect(),
        vectors,
        cached: heads.iter().map(|h| 2 * (h * head_dim / group)).sum(),
        state: 0,
        head,
    };
    Some(PublishedMemory {
        model,
        conversion,
        shape,
        compute_buffer,
        kv_cache,
        weights,
        other,
        total,
    })
}

/// A layer with `q` query and `kv` key columns.
fn layer(
    width: usize,
    q: usize,
    kv: usize,
    heads: usize,
    ffn: usize,
    gated: bool,
    conversion: &Conversion,
) -> LayerShape {
    let matrix = |used_as, rows, columns| Matrix { used_as, rows, columns };
    let mut matrices = if conversion.packed {
        vec![matrix(MatrixUse::Packed, q + 2 * kv, width)]
    } else {
        vec![
            matrix(MatrixUse::Other, q, width),
            matrix(MatrixUse::Other, kv, width),
            matrix(MatrixUse::Value, kv, width),
        ]
    };
    matrices.push(matrix(MatrixUse::Other, width, q));
    if gated {
        matrices.push(matrix(MatrixUse::Other, ffn, width));
    }
    matrices.push(matrix(MatrixUse::Other, ffn, width));
    matrices.push(matrix(MatrixUse::Down, width, ffn));
    LayerShape {
        matrices,
        heads,
        live: match conversion.live_rows {
            Some(rows) => rows * width,
            None => width + q + 2 * kv,
        },
    }
}

/// The 22 models of the survey's memory figure.
///
/// # Errors
///
/// A line that is no row, with file and line: a bug of this crate.
pub fn published_memory() -> Result<Vec<PublishedMemory>, SlmError> {
    let mut rows = Vec::new();
    let mut has_header = false;
    let mut start = 0;
    for line in TABLE.split_inclusive('\n') {
        let at = start..start + line.len();
        start = at.end;
        let line = line.trim_end();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if !has_header {
            has_header = true;
            continue;
        }
        rows.push(row(line).ok_or_else(|| {
            TextError::new(
                NAME,
                TABLE,
                Some(at),
                "expected a row as the header says",
            )
        })?);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_written_out() {
        assert_eq!(list("12x2 16"), Some(vec![12, 12, 16]));
        assert_eq!(list("12x"), None);
        assert_eq!(list(""), None);
    }

    #[test]
    fn the_parts_of_every_row_make_its_total() {
        let rows = published_memory().unwrap();
        assert_eq!(rows.len(), 22);
        for row in rows {
            let sum =
                row.compute_buffer + row.kv_cache + row.weights + row.other;
            assert!((sum - row.total).abs() < 0.03, "{}", row.model);
        }
    }

    #[test]
    fn a_line_with_a_cell_too_many_is_no_row() {
        let line = TABLE.lines().last().unwrap();
        assert!(row(line).is_some());
        assert!(row(&format!("{line},1")).is_none());
        assert!(row(line.rsplit_once(',').unwrap().0).is_none());
    }
}
