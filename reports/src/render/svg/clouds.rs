//! Clouds: predicted over observed for many cases, panels side by side (one
//! below the other on a phone) with the same axes.
//!
//! A mark a case, a square or a cross and a colour a predictor. Where marks
//! would cover one another, one is drawn; if they are still too many, a
//! coarser grid decides, so that lone marks always stay.

use std::collections::HashSet;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::marks::{LABEL, SMALL, bold, quiet, words};
use super::square::Square;
use super::{Area, Drawn, Width, axes, palette};
use crate::document::{Cloud, CloudPanel, Clouds};

/// Above a panel: its title and a line for each of two clouds.
const HEAD: i32 = 62;
/// Below it: ticks and the axis's name.
const FOOT: i32 = 44;
/// Left of the first panel.
const LEFT: i32 = 62;
const GAP: i32 = 26;
const EDGE: i32 = 14;
/// Panels in a row at most.
const ACROSS: i32 = 3;
/// No panel is larger, pixels.
const LARGEST: i32 = 400;
/// Marks of a panel at most; the page holds both widths.
fn most_marks(width: Width) -> usize {
    match width {
        Width::Wide => 500,
        Width::Narrow => 300,
    }
}

/// Panels in a row, and the side of one.
fn layout(picture: &Clouds, width: Width) -> (i32, i32) {
    let across = match width {
        Width::Wide => (picture.panels.len() as i32).clamp(1, ACROSS),
        Width::Narrow => 1,
    };
    let room = width.pixels() as i32 - LEFT - EDGE - (across - 1) * GAP;
    (across, (room / across).min(LARGEST))
}

/// Pixels.
pub(super) fn height(picture: &Clouds, width: Width) -> u32 {
    let (across, side) = layout(picture, width);
    let rows = (picture.panels.len() as i32 + across - 1) / across;
    (rows * (HEAD + side + FOOT)).unsigned_abs()
}

/// Draws the panels.
pub(super) fn draw(area: &Area<'_>, picture: &Clouds, width: Width) -> Drawn {
    let points = picture.panels.iter().flat_map(|panel| &panel.clouds);
    let values = points.flat_map(|cloud| &cloud.points);
    let Some(times) = axes::log_range(values.flat_map(|&(x, y)| [x, y])) else {
        return Ok(());
    };
    let (across, side) = layout(picture, width);
    for (index, panel) in picture.panels.iter().enumerate() {
        let index = index as i32;
        let (column, row) = (index % across, index / across);
        let left = LEFT + column * (side + GAP);
        let top = row * (HEAD + side + FOOT) + HEAD;
        let square = Square {
            times,
            left,
            right: left + side,
            top,
            bottom: top + side,
            names_rows: column == 0,
        };
        self::panel(area, panel, &square, most_marks(width))?;
    }
    Ok(())
}

fn panel(
    area: &Area<'_>,
    panel: &CloudPanel,
    square: &Square,
    most: usize,
) -> Drawn {
    let (left, top) = (square.left, square.top);
    area.draw(&Text::new(
        panel.title.clone(),
        (left, top - HEAD + 12),
        bold(LABEL),
    ))?;
    square.draw(area, if square.right - left > 320 { 6 } else { 4 })?;
    for (index, cloud) in panel.clouds.iter().enumerate() {
        let style = Style::of(cloud, index);
        let y = top - HEAD + 30 + 17 * index as i32;
        style.mark(area, (left + 5, y), 4)?;
        area.draw(&Text::new(
            cloud.label.clone(),
            (left + 16, y),
            words(SMALL, HPos::Left, VPos::Center),
        ))?;
    }
    area.draw(&Text::new(
        "measured",
        (square.right, square.bottom + 23),
        quiet(SMALL, HPos::Right, VPos::Top),
    ))?;
    area.draw(&Text::new(
        "predicted",
        (left + 5, top + 3),
        quiet(SMALL, HPos::Left, VPos::Top),
    ))?;
    for (index, at) in thinned(&panel.clouds, square, most) {
        Style::of(&panel.clouds[index], index).mark(area, at, 2)?;
    }
    square.edges(area)?;
    square.diagonal(area)
}

/// The marks to draw, with the index of their cloud: one a cell of the finest
/// grid that leaves few enough. Clouds take turns, so that the last does not
/// cover the first.
fn thinned(
    clouds: &[Cloud],
    square: &Square,
    most: usize,
) -> Vec<(usize, (i32, i32))> {
    let longest = clouds.iter().map(|c| c.points.len()).max().unwrap_or(0);
    let all: Vec<(usize, (i32, i32))> = (0..longest)
        .flat_map(|at| {
            clouds.iter().enumerate().filter_map(move |(index, cloud)| {
                let (x, y) = *cloud.points.get(at)?;
                Some((index, square.place(x, y)))
            })
        })
        .collect();
    for cell in 2.. {
        let mut taken = HashSet::new();
        let few: Vec<(usize, (i32, i32))> = all
            .iter()
            .filter(|(index, (x, y))| {
                taken.insert((*index, x / cell, y / cell))
            })
            .copied()
            .collect();
        if few.len() <= most || cell > 64 {
            return few;
        }
    }
    all
}

/// How a cloud's marks look.
struct Style {
    cross: bool,
    colour: RGBColor,
}

impl Style {
    fn of(cloud: &Cloud, index: usize) -> Self {
        Self {
            cross: index % 2 == 1,
            colour: palette::cloud(cloud.baseline, index),
        }
    }

    fn mark(&self, area: &Area<'_>, (x, y): (i32, i32), reach: i32) -> Drawn {
        if self.cross {
            let arm = reach + 1;
            let corners = vec![
                (x - arm, y - arm),
                (x + arm, y + arm),
                (x, y),
                (x - arm, y + arm),
                (x + arm, y - arm),
            ];
            area.draw(&PathElement::new(corners, self.colour.stroke_width(1)))
        } else {
            area.draw(&Rectangle::new(
                [(x - reach, y - reach), (x + reach, y + reach)],
                self.colour.filled(),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_marks_are_thinned_and_lone_ones_stay() {
        let mut points: Vec<(f64, f64)> = (0..20_000)
            .map(|i| {
                let x = 1.0 + f64::from(i % 200) / 200.0;
                (x, 1.0 + f64::from(i / 200) / 200.0)
            })
            .collect();
        points.push((90.0, 2.0));
        let cloud = Cloud { label: String::new(), baseline: false, points };
        let square = Square {
            times: (1.0, 100.0),
            left: 0,
            right: 400,
            top: 0,
            bottom: 400,
            names_rows: true,
        };
        let marks = thinned(&[cloud], &square, 500);
        assert!(marks.len() <= 500, "{}", marks.len());
        assert!(marks.contains(&(0, square.place(90.0, 2.0))));
    }
}
