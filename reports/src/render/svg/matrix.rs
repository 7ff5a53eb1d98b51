//! A matrix of shares: the fuller a cell, the more of its row it holds.
//!
//! Cells carry their share in per cent where it is 1 or more, so nothing
//! rests on colour alone.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::marks::{SMALL, cut, quiet, sized, text_width, words};
use super::{Area, Drawn, Width, palette};
use crate::document::Matrix;

/// Names of rows and columns are no longer than this, pixels.
const NAMES: i32 = 120;
/// No cell is larger.
const CELL: i32 = 38;
/// Above the names of columns: what they are.
const HEAD: i32 = 22;
const EDGE: i32 = 8;

/// Fuller cells have text in the colour of paper, in either theme.
const FULL: f64 = 0.75;

/// Where cells and names go.
struct Layout {
    left: i32,
    top: i32,
    cell: i32,
    /// Text sizes of names and shares.
    name: f64,
    share: f64,
    room: i32,
}

impl Layout {
    fn of(picture: &Matrix, width: Width) -> Self {
        let name = if width == Width::Wide { SMALL } else { 9.0 };
        let longest =
            picture.names.iter().map(|text| text_width(text, name)).max();
        let most = if width == Width::Wide { NAMES } else { NAMES / 2 + 8 };
        let room = longest.unwrap_or(0).min(most);
        let left = EDGE + 18 + room + 6;
        let count = (picture.names.len() as i32).max(1);
        let space = width.pixels() as i32 - left - EDGE;
        let cell = (space / count).clamp(4, CELL);
        Self {
            left,
            top: HEAD + room + 8,
            cell,
            name,
            // Three digits fit a cell.
            share: (f64::from(cell) / 1.9).clamp(5.0, SMALL + 1.0),
            room,
        }
    }

    fn corner(&self, row: usize, column: usize) -> (i32, i32) {
        let along = |index: usize| index as i32 * self.cell;
        (self.left + along(column), self.top + along(row))
    }
}

/// Pixels.
pub(super) fn height(picture: &Matrix, width: Width) -> u32 {
    let layout = Layout::of(picture, width);
    let (_, bottom) = layout.corner(picture.names.len(), 0);
    (bottom + EDGE).unsigned_abs()
}

/// Draws the cells between the names.
pub(super) fn draw(area: &Area<'_>, picture: &Matrix, width: Width) -> Drawn {
    let layout = Layout::of(picture, width);
    for (row, shares) in picture.shares.iter().enumerate() {
        for (column, share) in shares.iter().enumerate() {
            cell(area, &layout, (row, column), *share)?;
        }
    }
    let half = layout.cell / 2;
    for (index, name) in picture.names.iter().enumerate() {
        let text = cut(name, layout.name, layout.room);
        let (_, y) = layout.corner(index, 0);
        area.draw(&Text::new(
            text.clone(),
            (layout.left - 6, y + half),
            words(layout.name, HPos::Right, VPos::Center),
        ))?;
        let (x, _) = layout.corner(0, index);
        let upwards = sized(layout.name)
            .transform(FontTransform::Rotate270)
            .color(&palette::INK);
        area.draw(&Text::new(
            text,
            (x + half, layout.top - 5),
            upwards.pos(Pos::new(HPos::Left, VPos::Center)),
        ))?;
    }
    area.draw(&Text::new(
        format!("{} \u{2192}", picture.columns),
        (layout.left, 4),
        quiet(SMALL, HPos::Left, VPos::Top),
    ))?;
    area.draw(&Text::new(
        format!("{} \u{2193}", picture.rows),
        (EDGE, layout.top - 18),
        quiet(SMALL, HPos::Left, VPos::Top),
    ))
}

fn cell(
    area: &Area<'_>,
    layout: &Layout,
    (row, column): (usize, usize),
    share: Option<f64>,
) -> Drawn {
    let (x, y) = layout.corner(row, column);
    let place = [(x, y), (x + layout.cell - 1, y + layout.cell - 1)];
    let filled = share.unwrap_or(0.0).clamp(0.0, 1.0);
    area.draw(&Rectangle::new(place, palette::INK.mix(0.05).filled()))?;
    if filled > 0.0 {
        area.draw(&Rectangle::new(place, palette::SHARE.mix(filled).filled()))?;
    }
    let text = match share {
        None => "\u{2013}".to_owned(),
        Some(share) if share >= 0.01 => format!("{:.0}", share * 100.0),
        Some(_) => return Ok(()),
    };
    let middle = (x + layout.cell / 2, y + layout.cell / 2);
    let style = words(layout.share, HPos::Center, VPos::Center);
    let style =
        if filled > FULL { style.color(&palette::PAPER) } else { style };
    area.draw(&Text::new(text, middle, style))
}
