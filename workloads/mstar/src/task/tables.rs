//! Small tables: two rows and two columns, a colour in each cell that says
//! which it is, and one to six dots, as on dice, that say how much.
//!
//! Not trained on: it takes the words of counted shapes to a new layout, in
//! which dots are smaller and lines stand between.

use assay_kit::Draws;

use super::Scene;
use super::chain::{self, Asked, Reading};
use super::draw::{CELLS, Canvas, Colour, GREY, Shape};
use super::words::COUNT;

/// Rows, and columns.
const SIDE: usize = 2;

/// Most dots of a cell.
const MOST: usize = 6;

/// Distance of a cell's dots from one another, and their radius, both in
/// cells of the picture's grid.
const SPACING: f64 = 1.2;
const RADIUS: f64 = 0.4;

/// Thickness of the lines.
const LINE: f64 = 0.2;

/// Places of a die's dots, in steps from its middle.
const FACES: [&[[i8; 2]]; MOST] = [
    &[[0, 0]],
    &[[-1, -1], [1, 1]],
    &[[-1, -1], [0, 0], [1, 1]],
    &[[-1, -1], [1, -1], [-1, 1], [1, 1]],
    &[[-1, -1], [1, -1], [0, 0], [-1, 1], [1, 1]],
    &[[-1, -1], [1, -1], [-1, 0], [1, 0], [-1, 1], [1, 1]],
];

/// A table, row by row: colours, and dots from 1 to 6.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    cells: Vec<(Colour, u8)>,
}

impl Table {
    /// One of the tables.
    pub(super) fn new(draws: &mut Draws) -> Self {
        let colours = draws.some_of(&Colour::ALL, SIDE * SIDE);
        let cells = colours
            .into_iter()
            .map(|colour| (colour, 1 + draws.below(MOST) as u8))
            .collect();
        Self { cells }
    }
}

impl Scene for Table {
    fn key(&self) -> Vec<u8> {
        let cells = self.cells.iter();
        cells.flat_map(|&(colour, dots)| [colour as u8, dots]).collect()
    }

    fn readings(&self) -> Vec<Reading> {
        let cells = self.cells.iter();
        cells.map(|&(colour, dots)| (colour.word(), u16::from(dots))).collect()
    }

    fn ask(&self, steps: usize, draws: &mut Draws) -> Option<Asked> {
        chain::ask(COUNT, &self.readings(), steps, draws)
    }

    fn paint(&self, canvas: &mut Canvas) {
        let end = CELLS as f64;
        for place in 0..=SIDE {
            let inner = (end - LINE) * place as f64 / SIDE as f64;
            let (from, to) = (inner, inner + LINE);
            canvas.rectangle(GREY, [from, 0.0, to, end]);
            canvas.rectangle(GREY, [0.0, from, end, to]);
        }
        let width = end / SIDE as f64;
        for (place, &(colour, dots)) in self.cells.iter().enumerate() {
            let ink = canvas.ink(colour);
            let middle = [place % SIDE, place / SIDE]
                .map(|at| (at as f64 + 0.5) * width);
            let face = usize::from(dots).checked_sub(1);
            let face = face.and_then(|face| FACES.get(face)).copied();
            for [across, down] in face.unwrap_or_default() {
                let x = middle[0] + SPACING * f64::from(*across);
                let y = middle[1] + SPACING * f64::from(*down);
                canvas.shape(ink, Shape::Circle, [x, y], RADIUS);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::draw::reading::{colour_at, regions};

    #[test]
    fn each_cell_has_as_many_dots_of_its_colour_as_are_read() {
        for (seed, side) in (0..40).zip([32, 48, 64].into_iter().cycle()) {
            let table = Table::new(&mut Draws::new(seed, 0));
            let mut canvas = Canvas::new(side, &mut Draws::new(seed, 9));
            table.paint(&mut canvas);
            let picture = canvas.finish();
            let half = side / 2;
            for (place, &(word, dots)) in table.readings().iter().enumerate() {
                let (left, top) = (place % 2 * 4, place / 2 * 4);
                let found = regions(&picture, [left, top], 4);
                assert_eq!(found, usize::from(dots), "seed {seed}");
                let mut counts = [0; 6];
                for at in 0..half * half {
                    let row = place / 2 * half + at / half;
                    let column = place % 2 * half + at % half;
                    if let Some(colour) = colour_at(&picture, row, column) {
                        counts[colour as usize] += 1;
                    }
                }
                let most = counts.iter().max().unwrap();
                let at = counts.iter().position(|n| n == most).unwrap();
                assert_eq!(Colour::ALL[at].word(), word, "seed {seed}");
            }
        }
    }

    #[test]
    fn a_face_has_as_many_dots_as_its_number() {
        for (face, dots) in FACES.iter().zip(1..) {
            let mut places = face.to_vec();
            places.sort_unstable();
            places.dedup();
            assert_eq!(places.len(), dots);
        }
    }
}
