//! Scatters: marks on a plane with a line through them, panels two in a row
//! (one on a phone), each with axes of its own.
//!
//! The shape of a mark is its provenance, as everywhere; the colour is its
//! group. A line has no marks, so that a fit is not taken for data. The key
//! stands below its panel, where it covers nothing.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::curves::{Frame, ends, grid, spreads};
use super::marks::{
    LABEL, SMALL, bold, cut, provenance_legend, quiet, shaped, text_width,
    words,
};
use super::{Area, Drawn, Width, palette};
use crate::document::{Scatter, ScatterGroup, ScatterPanel, Spread};

const EDGE: i32 = 14;
/// Above all panels: the shapes of marks.
const LEGEND: i32 = 30;
/// Left of a plot: the ticks of its values.
const LEFT: i32 = 50;
const GAP: i32 = 22;
/// Above a plot: the panel's title and the name of its values.
const HEAD: i32 = 42;
/// Below a plot: ticks and the name of its axis.
const FOOT: i32 = 46;
const KEY_LINE: i32 = 17;

/// How panels are arranged.
struct Layout {
    across: i32,
    panel_width: i32,
    plot_height: i32,
    key_rows: i32,
}

impl Layout {
    fn of(picture: &Scatter, width: Width) -> Self {
        let count = picture.panels.len() as i32;
        let across = match width {
            Width::Wide => count.clamp(1, 2),
            Width::Narrow => 1,
        };
        let room = width.pixels() as i32 - 2 * EDGE - (across - 1) * GAP;
        let longest = picture.panels.iter().map(|panel| panel.groups.len());
        Self {
            across,
            panel_width: room / across,
            plot_height: match width {
                Width::Wide if across == 1 => 330,
                Width::Wide => 280,
                Width::Narrow => 240,
            },
            key_rows: longest.max().unwrap_or(0) as i32,
        }
    }

    fn panel_height(&self) -> i32 {
        HEAD + self.plot_height + FOOT + self.key_rows * KEY_LINE + 14
    }
}

/// Pixels.
pub(super) fn height(picture: &Scatter, width: Width) -> u32 {
    let layout = Layout::of(picture, width);
    let count = (picture.panels.len() as i32).max(1);
    let rows = (count + layout.across - 1) / layout.across;
    (LEGEND + rows * layout.panel_height()).unsigned_abs()
}

/// Draws the panels.
pub(super) fn draw(area: &Area<'_>, picture: &Scatter, width: Width) -> Drawn {
    let mut provenances: Vec<_> = picture
        .panels
        .iter()
        .flat_map(|panel| panel.groups.iter().map(|group| group.provenance))
        .collect();
    provenances.sort();
    provenances.dedup();
    provenance_legend(area, &provenances, (EDGE, 14))?;
    let layout = Layout::of(picture, width);
    for (index, panel) in picture.panels.iter().enumerate() {
        let (column, row) =
            (index as i32 % layout.across, index as i32 / layout.across);
        let left = EDGE + column * (layout.panel_width + GAP);
        let top = LEGEND + row * layout.panel_height();
        self::panel(area, panel, (left, top), &layout)?;
    }
    Ok(())
}

fn panel(
    area: &Area<'_>,
    panel: &ScatterPanel,
    (left, top): (i32, i32),
    layout: &Layout,
) -> Drawn {
    let points = || panel.groups.iter().flat_map(|group| &group.points);
    let x = ends(&panel.x, points().map(|point| point.x));
    let y = ends(&panel.y, points().flat_map(|one| [one.y.low, one.y.high]));
    let (Some(x), Some(y)) = (x, y) else { return Ok(()) };
    let frame = Frame {
        x,
        y,
        scales: (&panel.x, &panel.y),
        left: left + LEFT,
        right: left + layout.panel_width,
        top: top + HEAD,
        bottom: top + HEAD + layout.plot_height,
    };
    area.draw(&Text::new(
        cut(&panel.title, LABEL, layout.panel_width),
        (left, frame.top - 32),
        bold(LABEL),
    ))?;
    area.draw(&Text::new(
        cut(&panel.y.name, SMALL, layout.panel_width),
        (left, frame.top - 13),
        quiet(SMALL, HPos::Left, VPos::Center),
    ))?;
    area.draw(&Text::new(
        cut(&panel.x.name, SMALL, layout.panel_width),
        (frame.right, frame.bottom + 24),
        quiet(SMALL, HPos::Right, VPos::Top),
    ))?;
    grid(area, &frame)?;
    // The first group is drawn last, over the others.
    for group in panel.groups.iter().rev() {
        self::group(area, &frame, group)?;
    }
    key(area, panel, &frame, layout)
}

fn group(area: &Area<'_>, frame: &Frame<'_>, group: &ScatterGroup) -> Drawn {
    let colour = palette::curve(group.style);
    // What leaves the plane is not drawn along its edge.
    let is_inside = |x: f64, y: f64| {
        (frame.x.0..=frame.x.1).contains(&x)
            && (frame.y.0..=frame.y.1).contains(&y)
    };
    let line: Vec<(i32, i32)> = group
        .line
        .iter()
        .filter(|(x, y)| is_inside(*x, *y))
        .map(|(x, y)| frame.place(*x, *y))
        .collect();
    if line.len() > 1 {
        area.draw(&PathElement::new(line, colour.mix(0.8).stroke_width(2)))?;
    }
    for point in &group.points {
        let x = Spread::exact(point.x);
        spreads(area, frame, (&x, &point.y), colour)?;
        let at = frame.place(point.x, point.y.point);
        shaped(area, group.provenance, at, 3, colour)?;
        if !point.name.is_empty() {
            name(area, frame, &point.name, at)?;
        }
    }
    Ok(())
}

/// A name beside its mark, on the side that has more room.
fn name(
    area: &Area<'_>,
    frame: &Frame<'_>,
    name: &str,
    (x, y): (i32, i32),
) -> Drawn {
    let is_left = x - frame.left > frame.right - x;
    let (at, anchor, room) = if is_left {
        (x - 7, HPos::Right, x - 7 - frame.left)
    } else {
        (x + 7, HPos::Left, frame.right - x - 7)
    };
    // A line higher, over the marks that stand at the same height.
    let above = (y - 9).max(frame.top + 6);
    let text = cut(name, SMALL, room.max(text_width("mmm", SMALL)));
    area.draw(&Text::new(text, (at, above), quiet(SMALL, anchor, VPos::Center)))
}

fn key(
    area: &Area<'_>,
    panel: &ScatterPanel,
    frame: &Frame<'_>,
    layout: &Layout,
) -> Drawn {
    for (index, group) in panel.groups.iter().enumerate() {
        let left = frame.left - LEFT + 2;
        let y = frame.bottom + FOOT + 8 + index as i32 * KEY_LINE;
        let colour = palette::curve(group.style);
        if group.line.len() > 1 {
            area.draw(&PathElement::new(
                vec![(left, y), (left + 24, y)],
                colour.mix(0.8).stroke_width(2),
            ))?;
        }
        shaped(area, group.provenance, (left + 12, y), 3, colour)?;
        area.draw(&Text::new(
            cut(&group.label, SMALL, layout.panel_width - 38),
            (left + 32, y),
            words(SMALL, HPos::Left, VPos::Center),
        ))?;
    }
    Ok(())
}
