//! Bar charts, and line charts of the same kind of values.
//!
//! Three or four colours have a height from 1 to 7 cells each. A bar fills the
//! cells of its height; a line chart shows a disc where the bar's top cell
//! would be, and joins neighbours. Questions are worded alike, so what is
//! asked of a model trained on bars alone is a new picture, not a new word.

use assay_kit::Draws;

use super::Scene;
use super::chain::{self, Asked, Reading};
use super::draw::{CELLS, Canvas, Colour, GREY, Shape};
use super::words::HEIGHT;

/// Columns of cells that a chart has: every second one can hold a value.
const PLACES: [u8; CELLS / 2] = [0, 1, 2, 3];

/// The row below the values is left to the axis.
const HIGHEST: u8 = CELLS as u8 - 1;

/// How values are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Bars,
    Line,
}

/// One value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Point {
    colour: Colour,
    /// Column, in cells from the left.
    column: u8,
    /// In cells, 1 to 7.
    height: u8,
}

/// A chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chart {
    style: Style,
    /// From left to right.
    points: Vec<Point>,
}

impl Chart {
    /// One of the charts of a style.
    pub(super) fn new(style: Style, draws: &mut Draws) -> Self {
        let count = 3 + draws.below(2);
        let mut places = draws.some_of(&PLACES, count);
        places.sort_unstable();
        let offset = draws.below(2) as u8;
        let colours = draws.some_of(&Colour::ALL, count);
        let points = places
            .into_iter()
            .zip(colours)
            .map(|(place, colour)| Point {
                colour,
                column: 2 * place + offset,
                height: 1 + draws.below(usize::from(HIGHEST)) as u8,
            })
            .collect();
        Self { style, points }
    }

    fn paint_bars(&self, canvas: &mut Canvas) {
        let floor = f64::from(HIGHEST);
        for point in &self.points {
            let ink = canvas.ink(point.colour);
            let left = f64::from(point.column);
            let top = floor - f64::from(point.height);
            canvas.rectangle(ink, [left, top, left + 1.0, floor]);
        }
    }

    fn paint_line(&self, canvas: &mut Canvas) {
        let middle = |point: &Point| {
            let row = HIGHEST - point.height;
            [f64::from(point.column) + 0.5, f64::from(row) + 0.5]
        };
        for neighbours in self.points.windows(2) {
            if let [from, to] = neighbours {
                canvas.line(GREY, middle(from), middle(to), 0.25);
            }
        }
        for point in &self.points {
            let ink = canvas.ink(point.colour);
            canvas.shape(ink, Shape::Circle, middle(point), 0.55);
        }
    }
}

impl Scene for Chart {
    fn key(&self) -> Vec<u8> {
        let points = self.points.iter();
        points.flat_map(|p| [p.colour as u8, p.column, p.height]).collect()
    }

    fn readings(&self) -> Vec<Reading> {
        let points = self.points.iter();
        points
            .map(|point| (point.colour.word(), u16::from(point.height)))
            .collect()
    }

    fn ask(&self, steps: usize, draws: &mut Draws) -> Option<Asked> {
        chain::ask(HEIGHT, &self.readings(), steps, draws)
    }

    fn paint(&self, canvas: &mut Canvas) {
        let (floor, end) = (f64::from(HIGHEST), CELLS as f64);
        canvas.rectangle(GREY, [0.0, floor, end, floor + 0.25]);
        match self.style {
            Style::Bars => self.paint_bars(canvas),
            Style::Line => self.paint_line(canvas),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::draw::reading::{colour_of_cell, pixels_of};

    fn picture(chart: &Chart, seed: u64) -> crate::task::Picture {
        let mut canvas = Canvas::new(32, &mut Draws::new(seed, 9));
        chart.paint(&mut canvas);
        canvas.finish()
    }

    #[test]
    fn a_bar_fills_as_many_cells_as_its_value() {
        for seed in 0..60 {
            let chart = Chart::new(Style::Bars, &mut Draws::new(seed, 0));
            let picture = picture(&chart, seed);
            let mut found = Vec::new();
            for column in 0..CELLS {
                let cells: Vec<Colour> = (0..CELLS)
                    .filter_map(|row| colour_of_cell(&picture, row, column))
                    .collect();
                if let Some(colour) = cells.first() {
                    assert!(cells.iter().all(|other| other == colour));
                    found.push((colour.word(), cells.len() as u16));
                }
            }
            assert_eq!(found, chart.readings(), "seed {seed}");
        }
    }

    #[test]
    fn a_disc_stands_where_a_bar_would_end() {
        for seed in 0..60 {
            let chart = Chart::new(Style::Line, &mut Draws::new(seed, 0));
            let picture = picture(&chart, seed);
            for point in &chart.points {
                let row = usize::from(HIGHEST - point.height);
                let column = usize::from(point.column);
                let found = colour_of_cell(&picture, row, column);
                assert_eq!(found, Some(point.colour), "seed {seed}");
                // Nothing of it below, where a bar would be.
                let below = pixels_of(
                    &picture,
                    (row + 2).min(CELLS)..CELLS,
                    column..column + 1,
                );
                assert_eq!(below[point.colour as usize], 0);
            }
        }
    }

    #[test]
    fn values_and_colours_are_those_that_the_page_says() {
        let mut seen = [false; HIGHEST as usize + 1];
        for seed in 0..200 {
            let chart = Chart::new(Style::Bars, &mut Draws::new(seed, 0));
            assert!((3..=4).contains(&chart.points.len()));
            let mut words: Vec<u32> =
                chart.readings().iter().map(|reading| reading.0).collect();
            words.sort_unstable();
            words.dedup();
            assert_eq!(words.len(), chart.points.len());
            for point in &chart.points {
                assert!(usize::from(point.column) < CELLS);
                seen[usize::from(point.height)] = true;
            }
        }
        assert!(!seen[0] && seen[1..].iter().all(|&is| is));
    }
}
