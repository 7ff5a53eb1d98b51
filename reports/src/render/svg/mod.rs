//! SVG: figures through plotters' SVG back end, one file a kind of figure.
//!
//! A figure is drawn twice: wide, for the page and the file, and narrow, for
//! a phone, where the page shows the narrow one. Colours are fixed in the
//! file; [`themed`] turns them to CSS variables for the page, so that text
//! and lines follow the reader's light or dark mode.

mod agreement;
mod axes;
mod bars;
mod clouds;
mod curves;
mod facets;
mod intervals;
mod marks;
mod matrix;
mod palette;
mod roofline;
mod scatter;
mod square;
mod stacked;
mod symbols;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::ReportError;
use crate::document::{Figure, Picture};

pub(super) use palette::themed;

/// The width that a figure is drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    /// A desktop page or a paper.
    Wide,
    /// A phone.
    Narrow,
}

impl Width {
    /// Pixels.
    fn pixels(self) -> u32 {
        match self {
            Self::Wide => 920,
            Self::Narrow => 360,
        }
    }
}

/// What drawing returns inside this module: plotters' own error.
type Drawn<T = ()> = Result<T, DrawingAreaErrorKind<std::io::Error>>;

/// Where figures are drawn.
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws a figure as an SVG document.
pub(super) fn draw(
    figure: &Figure,
    width: Width,
) -> Result<String, ReportError> {
    let height = match &figure.picture {
        Picture::Intervals(picture) => intervals::height(picture),
        Picture::Rooflines { large, small } => {
            roofline::height(large.len(), small.len(), width)
        }
        Picture::Facets { facets, .. } => facets::height(facets, width),
        Picture::Stacked(picture) => stacked::height(picture, width),
        Picture::Agreement(_) => agreement::height(width),
        Picture::Clouds(picture) => clouds::height(picture, width),
        Picture::Curves(picture) => curves::height(picture, width),
        Picture::Matrix(picture) => matrix::height(picture, width),
        Picture::Scatter(picture) => scatter::height(picture, width),
        Picture::Bars(picture) => bars::height(picture, width),
    };
    let mut text = String::new();
    let drawn = {
        let root = SVGBackend::with_string(&mut text, (width.pixels(), height))
            .into_drawing_area();
        root.fill(&palette::PAPER)
            .and_then(|()| match &figure.picture {
                Picture::Intervals(picture) => {
                    intervals::draw(&root, picture, width)
                }
                Picture::Rooflines { large, small } => {
                    roofline::draw(&root, large, small, width)
                }
                Picture::Facets { facets, x, y } => {
                    facets::draw(&root, facets, x, y, width)
                }
                Picture::Stacked(picture) => {
                    stacked::draw(&root, picture, width)
                }
                Picture::Agreement(picture) => {
                    agreement::draw(&root, picture, width)
                }
                Picture::Clouds(picture) => clouds::draw(&root, picture, width),
                Picture::Curves(picture) => curves::draw(&root, picture, width),
                Picture::Matrix(picture) => matrix::draw(&root, picture, width),
                Picture::Scatter(picture) => {
                    scatter::draw(&root, picture, width)
                }
                Picture::Bars(picture) => bars::draw(&root, picture, width),
            })
            .and_then(|()| root.present())
    };
    drawn.map_err(|error| ReportError::Figure {
        figure: figure.id.clone(),
        reason: error.to_string(),
    })?;
    Ok(text)
}
