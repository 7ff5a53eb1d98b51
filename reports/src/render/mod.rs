//! Renderers: one file a format, all over the same document.

mod csv;
mod html;
mod latex;
mod markdown;
mod svg;

use crate::document::{Block, Document, Figure, Strip, Table};
use crate::{Format, OutputFile, ReportError};

/// The files of a document in the formats asked for, each format once.
pub(crate) fn files(
    document: &Document,
    formats: &[Format],
) -> Result<Vec<OutputFile>, ReportError> {
    let mut formats = formats.to_vec();
    formats.sort();
    formats.dedup();
    let mut files = Vec::new();
    for format in &formats {
        match format {
            Format::Html => {
                files.push(file("index.html", html::page(document)?));
            }
            Format::Markdown => {
                let text = markdown::text(document, &formats);
                files.push(file("report.md", text));
            }
            Format::Csv => {
                for table in all_tables(document) {
                    let name = format!("data/{}.csv", table.id);
                    files.push(file(name, csv::text(table)?));
                }
            }
            Format::Latex => {
                files.push(file("tables.tex", latex::text(document)));
            }
            Format::Svg => {
                for figure in figures(document) {
                    let name = format!("figures/{}.svg", figure.id);
                    let text = svg::draw(figure, svg::Width::Wide)?;
                    files.push(file(name, text));
                }
                for (name, strip) in strips(document) {
                    let bytes = strip.png.clone();
                    files.push(OutputFile { name, bytes });
                }
            }
        }
    }
    Ok(files)
}

fn file(name: impl Into<String>, text: String) -> OutputFile {
    OutputFile { name: name.into(), bytes: text.into_bytes() }
}

fn blocks(document: &Document) -> impl Iterator<Item = &Block> {
    document.sections.iter().flat_map(|section| &section.blocks)
}

/// The file of a strip of pictures, written where figures are.
fn strip_file(id: &str, index: usize) -> String {
    format!("figures/{id}-{}.png", index + 1)
}

/// Strips of pictures with their files.
fn strips(document: &Document) -> impl Iterator<Item = (String, &Strip)> {
    blocks(document)
        .filter_map(|block| match block {
            Block::Strips { id, strips, .. } => Some((id, strips)),
            _ => None,
        })
        .flat_map(|(id, strips)| {
            let named = move |(index, strip)| (strip_file(id, index), strip);
            strips.iter().enumerate().map(named)
        })
}

fn figures(document: &Document) -> impl Iterator<Item = &Figure> {
    blocks(document).filter_map(|block| match block {
        Block::Figure(figure) => Some(figure),
        _ => None,
    })
}

/// Tables that are shown, in their long form where they have one, and the
/// numbers of figures that no table shows.
fn all_tables(document: &Document) -> impl Iterator<Item = &Table> {
    blocks(document).filter_map(|block| match block {
        Block::Table(table) => Some(table.long.as_deref().unwrap_or(table)),
        Block::Figure(figure) => figure.data.as_ref(),
        _ => None,
    })
}
