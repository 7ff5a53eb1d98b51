//! Facets: one panel a phase, lines on two logarithmic axes.
//!
//! Wide panels name each line at its right end, pushed apart where ends
//! meet; narrow ones have a numbered key below instead.

use assay_schema::Provenance;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::marks::{
    LABEL, SMALL, bold, cut, provenance_legend, quiet, shaped, words,
};
use super::{Area, Drawn, Width, axes, palette};
use crate::document::{Facet, Line};

const LINE: i32 = 15;
const HEAD: i32 = 30;
/// Room for the names of lines, right of a wide panel.
const NAMES: i32 = 210;

fn plot_height(facet: &Facet, width: Width) -> i32 {
    match width {
        Width::Wide => 250.max(facet.lines.len() as i32 * LINE + 20),
        Width::Narrow => 230,
    }
}

fn panel_height(facet: &Facet, width: Width) -> i32 {
    let key = match width {
        Width::Wide => 0,
        Width::Narrow => facet.lines.len() as i32 * LINE + 10,
    };
    28 + plot_height(facet, width) + 46 + key
}

/// Pixels.
pub(super) fn height(facets: &[Facet], width: Width) -> u32 {
    let panels: i32 =
        facets.iter().map(|facet| panel_height(facet, width)).sum();
    (HEAD + panels).unsigned_abs()
}

/// Draws the panels.
pub(super) fn draw(
    area: &Area<'_>,
    facets: &[Facet],
    x: &str,
    y: &str,
    width: Width,
) -> Drawn {
    let mut provenances: Vec<Provenance> = facets
        .iter()
        .flat_map(|facet| facet.lines.iter().map(|line| line.provenance))
        .collect();
    provenances.sort();
    provenances.dedup();
    provenance_legend(area, &provenances, (14, 14))?;
    // A machine keeps its colour from panel to panel; neighbours in speed
    // differ in colour.
    let mut ends: Vec<(&str, f64)> = Vec::new();
    for line in facets.iter().flat_map(|facet| &facet.lines) {
        let met = ends.iter().any(|(label, _)| *label == line.label);
        if let (true, false, Some((_, spread))) =
            (line.connected, met, line.points.last())
        {
            ends.push((&line.label, spread.point));
        }
    }
    ends.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(b.0)));
    let machines: Vec<&str> = ends.iter().map(|(label, _)| *label).collect();
    let mut top = HEAD;
    for facet in facets {
        panel(area, facet, top, (x, y), (width, &machines))?;
        top += panel_height(facet, width);
    }
    Ok(())
}

/// Where values fall inside a panel.
struct Frame {
    x: (f64, f64),
    y: (f64, f64),
    left: i32,
    right: i32,
    top: i32,
    bottom: i32,
}

impl Frame {
    fn place(&self, x: f64, y: f64) -> (i32, i32) {
        let share = |value: f64, (low, high): (f64, f64)| {
            ((value / low).ln() / (high / low).ln()).clamp(0.0, 1.0)
        };
        let across = share(x, self.x) * f64::from(self.right - self.left);
        let up = share(y, self.y) * f64::from(self.bottom - self.top);
        (self.left + across.round() as i32, self.bottom - up.round() as i32)
    }
}

fn panel(
    area: &Area<'_>,
    facet: &Facet,
    top: i32,
    (x_name, y_name): (&str, &str),
    (width, machines): (Width, &[&str]),
) -> Drawn {
    let points = || facet.lines.iter().flat_map(|line| &line.points);
    let ranges = (
        axes::log_range(points().map(|(x, _)| *x)),
        axes::log_range(points().flat_map(|(_, s)| [s.low, s.high])),
    );
    let (Some(x_range), Some(y_range)) = ranges else { return Ok(()) };
    let names = if width == Width::Wide { NAMES } else { 0 };
    let frame = Frame {
        x: x_range,
        y: y_range,
        left: 62,
        right: width.pixels() as i32 - 14 - names,
        top: top + 28,
        bottom: top + 28 + plot_height(facet, width),
    };
    area.draw(&Text::new(
        cut(&facet.title, LABEL + 1.0, width.pixels() as i32 - 28),
        (14, top + 12),
        bold(LABEL + 1.0),
    ))?;
    grid(area, &frame, width)?;
    area.draw(&Text::new(
        x_name.to_owned(),
        (frame.right, frame.bottom + 24),
        quiet(SMALL, HPos::Right, VPos::Top),
    ))?;
    area.draw(&Text::new(
        y_name.to_owned(),
        (frame.left + 5, frame.top + 2),
        quiet(SMALL, HPos::Left, VPos::Top),
    ))?;
    let mut lines: Vec<(&Line, RGBColor)> =
        facet.lines.iter().map(|line| (line, colour(line, machines))).collect();
    // What was measured is drawn last, over the predictions.
    lines.sort_by_key(|(line, _)| !line.connected);
    for (line, colour) in &lines {
        self::line(area, &frame, line, *colour)?;
    }
    match width {
        Width::Wide => names_at_ends(area, &frame, &lines),
        Width::Narrow => key(area, &frame, &lines),
    }
}

fn grid(area: &Area<'_>, frame: &Frame, width: Width) -> Drawn {
    let faint = palette::INK.mix(0.14);
    let most = if width == Width::Wide { 9 } else { 4 };
    for tick in axes::log_ticks(frame.x.0, frame.x.1, most) {
        let (x, _) = frame.place(tick, frame.y.0);
        area.draw(&PathElement::new(
            vec![(x, frame.top), (x, frame.bottom + 4)],
            faint,
        ))?;
        area.draw(&Text::new(
            axes::tick(tick, "parameters"),
            (x, frame.bottom + 7),
            words(SMALL, HPos::Center, VPos::Top),
        ))?;
    }
    for tick in axes::log_ticks(frame.y.0, frame.y.1, 7) {
        let (_, y) = frame.place(frame.x.0, tick);
        area.draw(&PathElement::new(
            vec![(frame.left - 4, y), (frame.right, y)],
            faint,
        ))?;
        area.draw(&Text::new(
            axes::tick(tick, "s"),
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

/// The colour of a line: measured lines keep the colour of what is measured.
fn colour(line: &Line, machines: &[&str]) -> RGBColor {
    let index = machines.iter().position(|name| *name == line.label);
    match line.provenance {
        Provenance::Measured | Provenance::Published => {
            palette::provenance(line.provenance)
        }
        Provenance::Predicted => palette::series(index.unwrap_or(0)),
    }
}

fn line(
    area: &Area<'_>,
    frame: &Frame,
    line: &Line,
    colour: RGBColor,
) -> Drawn {
    let places: Vec<(i32, i32)> =
        line.points.iter().map(|(x, s)| frame.place(*x, s.point)).collect();
    if line.connected {
        area.draw(&PathElement::new(
            places.clone(),
            colour.mix(0.75).stroke_width(1),
        ))?;
    }
    for ((x, spread), place) in line.points.iter().zip(places) {
        let (low, high) =
            (frame.place(*x, spread.low), frame.place(*x, spread.high));
        area.draw(&PathElement::new(
            vec![low, high],
            colour.mix(0.6).stroke_width(1),
        ))?;
        let size = if line.connected { 3 } else { 5 };
        shaped(area, line.provenance, place, size, colour)?;
    }
    Ok(())
}

fn names_at_ends(
    area: &Area<'_>,
    frame: &Frame,
    lines: &[(&Line, RGBColor)],
) -> Drawn {
    let mut ends: Vec<(i32, i32, usize)> = lines
        .iter()
        .enumerate()
        .filter_map(|(index, (line, _))| {
            let (x, spread) = line.points.last()?;
            let (x, y) = frame.place(*x, spread.point);
            Some((y, x, index))
        })
        .collect();
    ends.sort_unstable();
    let wanted: Vec<i32> = ends.iter().map(|(y, _, _)| *y).collect();
    let rows = spread_out(&wanted, LINE, frame.top + 4, frame.bottom - 4);
    for ((y, x, index), row) in ends.into_iter().zip(rows) {
        let (line, colour) = lines[index];
        let start = frame.right + 22;
        area.draw(&PathElement::new(
            vec![(x + 6, y), (frame.right + 4, y), (start - 4, row)],
            colour.mix(0.4),
        ))?;
        shaped(area, line.provenance, (start + 4, row), 3, colour)?;
        area.draw(&Text::new(
            cut(&line.label, SMALL, NAMES - 34),
            (start + 13, row),
            words(SMALL, HPos::Left, VPos::Center),
        ))?;
    }
    Ok(())
}

fn key(area: &Area<'_>, frame: &Frame, lines: &[(&Line, RGBColor)]) -> Drawn {
    let mut ends: Vec<(f64, usize)> = lines
        .iter()
        .enumerate()
        .filter_map(|(index, (line, _))| {
            Some((line.points.last()?.1.point, index))
        })
        .collect();
    // Slowest first, as the lines end on the right, from the top.
    ends.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    for (row, (_, index)) in ends.into_iter().enumerate() {
        let y = frame.bottom + 50 + row as i32 * LINE;
        let (line, colour) = lines[index];
        shaped(area, line.provenance, (22, y), 3, colour)?;
        area.draw(&Text::new(
            cut(&line.label, SMALL, frame.right - 40),
            (34, y),
            words(SMALL, HPos::Left, VPos::Center),
        ))?;
    }
    Ok(())
}

/// Sorted positions moved as little as it takes to stand `gap` apart between
/// `low` and `high`, as far as there is room.
fn spread_out(wanted: &[i32], gap: i32, low: i32, high: i32) -> Vec<i32> {
    let mut rows = wanted.to_vec();
    let mut least = low;
    for row in &mut rows {
        *row = (*row).max(least);
        least = *row + gap;
    }
    let mut most = high;
    for row in rows.iter_mut().rev() {
        *row = (*row).min(most);
        most = *row - gap;
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::spread_out;

    #[test]
    fn names_stand_apart_and_inside() {
        assert_eq!(spread_out(&[50, 51, 52], 10, 0, 100), [50, 60, 70]);
        assert_eq!(spread_out(&[95, 98, 99], 10, 0, 100), [80, 90, 100]);
        assert_eq!(spread_out(&[10, 60], 10, 0, 100), [10, 60]);
    }
}
