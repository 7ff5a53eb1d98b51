//! The document: what is shown, before anybody decides how it looks.
//!
//! A small tree: sections hold blocks; a block is a paragraph, a list of
//! facts, a table with typed cells, or a figure with the numbers that it
//! draws. Every renderer walks this same tree, so that the page, the
//! Markdown and the CSV cannot disagree.

mod figure;
mod numbers;
mod table;

pub(crate) use figure::{
    Agreement, AgreementPoint, BarGroup, BarRow, Bars, Cloud, CloudPanel,
    Clouds, Curve, CurvePanel, Curves, Facet, Figure, IntervalRow, Intervals,
    Level, Line, Matrix, Picture, Roof, RoofPoint, Scale, Scatter,
    ScatterGroup, ScatterPanel, ScatterPoint, Spread, StackRow, Stacked,
};
pub(crate) use numbers::{Shown, percent, show, show_bare};
pub(crate) use table::{Cell, Column, ColumnKind, Quantity, Table, Tone};

/// A whole report.
pub(crate) struct Document {
    pub(crate) title: String,
    /// One line under the title.
    pub(crate) subtitle: String,
    /// The first section is the first screen.
    pub(crate) sections: Vec<Section>,
}

/// A headed part.
pub(crate) struct Section {
    /// Anchor; also the first part of file names.
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) blocks: Vec<Block>,
}

/// What a section holds.
pub(crate) enum Block {
    /// Running text.
    Paragraph(String),
    /// The sentences that a hurried reader takes away.
    Headlines(Vec<String>),
    /// Things that a reader must know before believing a number.
    Warnings(Vec<String>),
    /// Names and values, e.g. of a machine.
    Facts {
        title: String,
        items: Vec<(&'static str, String)>,
    },
    Table(Table),
    Figure(Figure),
    /// Strips of pictures with the same captions, under one another.
    Strips {
        /// Anchor; also the first part of file names.
        id: String,
        title: String,
        strips: Vec<Strip>,
    },
}

/// Pictures side by side in one PNG.
pub(crate) struct Strip {
    /// Who drew them.
    pub(crate) label: String,
    /// One a picture.
    pub(crate) captions: Vec<String>,
    pub(crate) png: Vec<u8>,
    /// The same in Base64.
    pub(crate) base64: String,
}

/// A text from outside, made safe to print in any format: control and
/// direction-changing characters become U+FFFD (escaping is the renderer's).
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' | '\r' => ' ',
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn control_and_direction_characters_do_not_reach_the_page() {
        assert_eq!(
            printable("a\u{0}b\nc\u{202e}d é"),
            "a\u{fffd}b c\u{fffd}d é"
        );
    }
}
