//! Curves: values over a number, with their spreads; panels with the same
//! axes, two in a row (one on a phone).
//!
//! Each curve has a colour and a mark. The key stands below its panel, where
//! it covers nothing.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::marks::{LABEL, SMALL, bold, cut, quiet, words};
use super::symbols::symbol;
use super::{Area, Drawn, Width, axes, palette};
use crate::document::{Curve, CurvePanel, Curves, Level, Scale, Spread};

const EDGE: i32 = 14;
/// Left of a panel: the ticks of its values.
const LEFT: i32 = 46;
const GAP: i32 = 22;
/// Below a panel: ticks and the name of its axis.
const FOOT: i32 = 46;
const KEY_LINE: i32 = 17;

/// How panels are arranged.
struct Layout {
    across: i32,
    panel_width: i32,
    plot_height: i32,
    /// Above a plot: the panel's title, and what is drawn upwards.
    head: i32,
    key_columns: usize,
    key_rows: i32,
}

impl Layout {
    fn of(picture: &Curves, width: Width) -> Self {
        let count = picture.panels.len() as i32;
        let across = match width {
            Width::Wide => count.clamp(1, 2),
            Width::Narrow => 1,
        };
        let room = width.pixels() as i32 - 2 * EDGE - (across - 1) * GAP;
        let key_columns =
            if width == Width::Wide && across == 1 { 2 } else { 1 };
        let longest = picture.panels.iter().map(|panel| panel.curves.len());
        let key_rows = longest.max().unwrap_or(0).div_ceil(key_columns);
        let titled = picture.panels.iter().any(|p| !p.title.is_empty());
        Self {
            across,
            panel_width: room / across,
            plot_height: match width {
                Width::Wide if across == 1 => 330,
                Width::Wide => 280,
                Width::Narrow => 240,
            },
            head: if titled { 42 } else { 24 },
            key_columns,
            key_rows: key_rows as i32,
        }
    }

    fn panel_height(&self) -> i32 {
        self.head + self.plot_height + FOOT + self.key_rows * KEY_LINE + 14
    }
}

/// Pixels.
pub(super) fn height(picture: &Curves, width: Width) -> u32 {
    let layout = Layout::of(picture, width);
    let count = (picture.panels.len() as i32).max(1);
    let rows = (count + layout.across - 1) / layout.across;
    (rows * layout.panel_height()).unsigned_abs()
}

/// Draws the panels.
pub(super) fn draw(area: &Area<'_>, picture: &Curves, width: Width) -> Drawn {
    let layout = Layout::of(picture, width);
    let points = || {
        let curves = picture.panels.iter().flat_map(|panel| &panel.curves);
        curves.flat_map(|curve| &curve.points)
    };
    let x = ends(&picture.x, points().flat_map(|(x, _)| [x.low, x.high]));
    let y = ends(&picture.y, points().flat_map(|(_, y)| [y.low, y.high]));
    let (Some(x), Some(y)) = (x, y) else { return Ok(()) };
    for (index, panel) in picture.panels.iter().enumerate() {
        let (column, row) =
            (index as i32 % layout.across, index as i32 / layout.across);
        let left = EDGE + column * (layout.panel_width + GAP);
        let top = row * layout.panel_height();
        let frame = Frame {
            x,
            y,
            scales: (&picture.x, &picture.y),
            left: left + LEFT,
            right: left + layout.panel_width,
            top: top + layout.head,
            bottom: top + layout.head + layout.plot_height,
        };
        self::panel(area, panel, &frame, &layout)?;
        if let Some(level) = &picture.level {
            self::level(area, &frame, level)?;
        }
    }
    Ok(())
}

/// The ends of an axis, with a little room where values decide.
pub(super) fn ends(
    scale: &Scale,
    values: impl Iterator<Item = f64>,
) -> Option<(f64, f64)> {
    if let Some(ends) = scale.ends {
        return Some(ends);
    }
    if scale.logarithmic {
        return axes::log_range(values);
    }
    let (low, high) = values
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
    let room = if high > low { (high - low) * 0.03 } else { 1.0 };
    (low <= high).then_some((low - room, high + room))
}

/// Where values fall inside a panel.
pub(super) struct Frame<'a> {
    pub(super) x: (f64, f64),
    pub(super) y: (f64, f64),
    pub(super) scales: (&'a Scale, &'a Scale),
    pub(super) left: i32,
    pub(super) right: i32,
    pub(super) top: i32,
    pub(super) bottom: i32,
}

impl Frame<'_> {
    /// The pixel of a pair of values.
    pub(super) fn place(&self, x: f64, y: f64) -> (i32, i32) {
        let share = |value: f64, (low, high): (f64, f64), scale: &Scale| {
            let share = if scale.logarithmic {
                (value / low).ln() / (high / low).ln()
            } else {
                (value - low) / (high - low)
            };
            if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) }
        };
        let across =
            share(x, self.x, self.scales.0) * f64::from(self.right - self.left);
        let up =
            share(y, self.y, self.scales.1) * f64::from(self.bottom - self.top);
        (self.left + across.round() as i32, self.bottom - up.round() as i32)
    }
}

fn panel(
    area: &Area<'_>,
    panel: &CurvePanel,
    frame: &Frame<'_>,
    layout: &Layout,
) -> Drawn {
    let left = frame.left - LEFT;
    if !panel.title.is_empty() {
        area.draw(&Text::new(
            cut(&panel.title, LABEL, layout.panel_width),
            (left, frame.top - 32),
            bold(LABEL),
        ))?;
    }
    area.draw(&Text::new(
        frame.scales.1.name.clone(),
        (left, frame.top - 13),
        quiet(SMALL, HPos::Left, VPos::Center),
    ))?;
    area.draw(&Text::new(
        frame.scales.0.name.clone(),
        (frame.right, frame.bottom + 24),
        quiet(SMALL, HPos::Right, VPos::Top),
    ))?;
    grid(area, frame)?;
    // The first setting is drawn last, over the others.
    for curve in panel.curves.iter().rev() {
        self::curve(area, frame, curve)?;
    }
    key(area, panel, frame, layout)
}

fn ticks(scale: &Scale, (low, high): (f64, f64), most: usize) -> Vec<f64> {
    if scale.logarithmic {
        let ticks = axes::log_ticks(low, high, most);
        // Within a decade 1, 2, 5 may be too few.
        if ticks.len() > 2 {
            return ticks;
        }
    }
    axes::ticks_between(low, high, most)
}

/// Ticks, their texts and the two axes.
pub(super) fn grid(area: &Area<'_>, frame: &Frame<'_>) -> Drawn {
    let faint = palette::INK.mix(0.14);
    let most = ((frame.right - frame.left) / 55).clamp(3, 12) as usize;
    for tick in ticks(frame.scales.0, frame.x, most) {
        let (x, _) = frame.place(tick, frame.y.0);
        area.draw(&PathElement::new(
            vec![(x, frame.top), (x, frame.bottom + 4)],
            faint,
        ))?;
        area.draw(&Text::new(
            axes::tick(tick, frame.scales.0.unit),
            (x, frame.bottom + 7),
            words(SMALL, HPos::Center, VPos::Top),
        ))?;
    }
    for tick in ticks(frame.scales.1, frame.y, 6) {
        let (_, y) = frame.place(frame.x.0, tick);
        area.draw(&PathElement::new(
            vec![(frame.left - 4, y), (frame.right, y)],
            faint,
        ))?;
        area.draw(&Text::new(
            axes::tick(tick, frame.scales.1.unit),
            (frame.left - 8, y),
            words(SMALL, HPos::Right, VPos::Center),
        ))?;
    }
    area.draw(&PathElement::new(
        vec![
            (frame.left, frame.top),
            (frame.left, frame.bottom),
            (frame.right, frame.bottom),
        ],
        palette::INK.mix(0.5),
    ))
}

fn curve(area: &Area<'_>, frame: &Frame<'_>, curve: &Curve) -> Drawn {
    let colour = palette::curve(curve.style);
    let places: Vec<(i32, i32)> = curve
        .points
        .iter()
        .map(|(x, y)| frame.place(x.point, y.point))
        .collect();
    if curve.connected {
        area.draw(&PathElement::new(
            places.clone(),
            colour.mix(0.8).stroke_width(2),
        ))?;
    }
    for ((x, y), place) in curve.points.iter().zip(places) {
        spreads(area, frame, (x, y), colour)?;
        symbol(area, curve.style, place, 4, colour)?;
    }
    Ok(())
}

/// Bars from smallest to largest, along both axes.
pub(super) fn spreads(
    area: &Area<'_>,
    frame: &Frame<'_>,
    (x, y): (&Spread, &Spread),
    colour: RGBColor,
) -> Drawn {
    let style = colour.mix(0.8).stroke_width(1);
    let (low, high) =
        (frame.place(x.point, y.low), frame.place(x.point, y.high));
    if low.1 != high.1 {
        area.draw(&PathElement::new(vec![low, high], style))?;
        for (x, y) in [low, high] {
            area.draw(&PathElement::new(vec![(x - 3, y), (x + 3, y)], style))?;
        }
    }
    let (low, high) =
        (frame.place(x.low, y.point), frame.place(x.high, y.point));
    if low.0 != high.0 {
        area.draw(&PathElement::new(vec![low, high], style))?;
        for (x, y) in [low, high] {
            area.draw(&PathElement::new(vec![(x, y - 3), (x, y + 3)], style))?;
        }
    }
    Ok(())
}

/// A dashed line across, with its name at its right end.
fn level(area: &Area<'_>, frame: &Frame<'_>, level: &Level) -> Drawn {
    if level.value < frame.y.0 || level.value > frame.y.1 {
        return Ok(());
    }
    let (_, y) = frame.place(frame.x.0, level.value);
    let mut x = frame.left;
    while x < frame.right {
        let end = (x + 6).min(frame.right);
        area.draw(&PathElement::new(
            vec![(x, y), (end, y)],
            palette::INK.mix(0.6),
        ))?;
        x += 11;
    }
    area.draw(&Text::new(
        level.label.clone(),
        (frame.right - 2, y - 2),
        quiet(SMALL, HPos::Right, VPos::Bottom),
    ))
}

fn key(
    area: &Area<'_>,
    panel: &CurvePanel,
    frame: &Frame<'_>,
    layout: &Layout,
) -> Drawn {
    let rows = panel.curves.len().div_ceil(layout.key_columns).max(1);
    let column_width = layout.panel_width / layout.key_columns as i32;
    for (index, curve) in panel.curves.iter().enumerate() {
        let left = frame.left - LEFT + (index / rows) as i32 * column_width + 2;
        let y = frame.bottom + FOOT + 8 + (index % rows) as i32 * KEY_LINE;
        let colour = palette::curve(curve.style);
        if curve.connected {
            area.draw(&PathElement::new(
                vec![(left, y), (left + 24, y)],
                colour.mix(0.8).stroke_width(2),
            ))?;
        }
        symbol(area, curve.style, (left + 12, y), 4, colour)?;
        area.draw(&Text::new(
            cut(&curve.label, SMALL, column_width - 38),
            (left + 32, y),
            words(SMALL, HPos::Left, VPos::Center),
        ))?;
    }
    Ok(())
}
