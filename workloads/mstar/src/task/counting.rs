//! Shapes to be counted: 3 to 15 of them, of two or three colours and two or
//! three kinds, each in one of 4 x 4 places of two cells.
//!
//! A question counts by colour (each stands 1 to 5 times) or by kind.

use assay_kit::Draws;

use super::Scene;
use super::chain::{self, Asked, Reading};
use super::draw::{Canvas, Colour, Shape};
use super::words::COUNT;

/// Places of a picture's side.
const PLACES: u8 = 4;

/// Cells of a place's side.
const CELLS_OF_PLACE: u8 = 2;

/// Most things of one colour.
const MOST: usize = 5;

/// Largest count by kind that is asked for: one digit.
const LARGEST: u16 = 9;

/// In cells; neighbours keep a distance of 0.4.
const RADIUS: f64 = 0.8;

/// One thing in the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Item {
    /// From the left and the top, row by row.
    place: u8,
    colour: Colour,
    shape: Shape,
}

impl Item {
    /// Its middle, in cells.
    fn middle(self) -> [f64; 2] {
        let (column, row) = (self.place % PLACES, self.place / PLACES);
        [column, row].map(|at| f64::from(CELLS_OF_PLACE * at + 1))
    }
}

/// A picture of things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Items {
    /// In the order of their places.
    items: Vec<Item>,
}

impl Items {
    /// One of the pictures.
    pub(super) fn new(draws: &mut Draws) -> Self {
        let count = 2 + draws.below(2);
        let colours = draws.some_of(&Colour::ALL, count);
        let count = 2 + draws.below(2);
        let shapes = draws.some_of(&Shape::ALL, count);
        let mut things = Vec::new();
        for colour in colours {
            // Two of the first, so that no picture is nearly empty.
            let least = 1 + usize::from(things.is_empty());
            let count = least + draws.below(MOST + 1 - least);
            for _ in 0..count {
                things.extend(draws.one_of(&shapes).map(|s| (colour, s)));
            }
        }
        let places: Vec<u8> = (0..PLACES * PLACES).collect();
        let mut items: Vec<Item> = draws
            .some_of(&places, things.len())
            .into_iter()
            .zip(things)
            .map(|(place, (colour, shape))| Item { place, colour, shape })
            .collect();
        items.sort_unstable();
        Self { items }
    }

    fn count(&self, is: impl Fn(&Item) -> bool) -> u16 {
        self.items.iter().filter(|item| is(item)).count() as u16
    }

    fn by_colour(&self) -> Vec<Reading> {
        let counts = Colour::ALL.map(|colour| {
            (colour.word(), self.count(|item| item.colour == colour))
        });
        present(&counts)
    }

    fn by_shape(&self) -> Vec<Reading> {
        let counts = Shape::ALL.map(|shape| {
            (shape.word(), self.count(|item| item.shape == shape))
        });
        present(&counts)
    }
}

/// What there is at least one of.
fn present(counts: &[Reading]) -> Vec<Reading> {
    counts.iter().copied().filter(|reading| reading.1 > 0).collect()
}

impl Scene for Items {
    fn key(&self) -> Vec<u8> {
        let items = self.items.iter();
        items
            .flat_map(|item| [item.place, item.colour as u8, item.shape as u8])
            .collect()
    }

    fn readings(&self) -> Vec<Reading> {
        let mut readings = self.by_colour();
        readings.extend(self.by_shape());
        readings
    }

    fn ask(&self, steps: usize, draws: &mut Draws) -> Option<Asked> {
        let mut readings = self.by_shape();
        let by_shape = draws.below(3) == 0
            && readings.len() > 1
            && readings.iter().all(|reading| reading.1 <= LARGEST);
        if !by_shape {
            readings = self.by_colour();
        }
        chain::ask(COUNT, &readings, steps, draws)
    }

    fn paint(&self, canvas: &mut Canvas) {
        for item in &self.items {
            let ink = canvas.ink(item.colour);
            canvas.shape(ink, item.shape, item.middle(), RADIUS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Picture;
    use crate::task::draw::reading::{pixels_of, regions};

    fn picture(items: &Items, side: usize, seed: u64) -> Picture {
        let mut canvas = Canvas::new(side, &mut Draws::new(seed, 9));
        items.paint(&mut canvas);
        canvas.finish()
    }

    #[test]
    fn the_picture_shows_as_many_of_each_colour_as_are_read() {
        for seed in 0..60 {
            let items = Items::new(&mut Draws::new(seed, 0));
            let picture = picture(&items, 32, seed);
            let mut counts = [0_u16; 6];
            for row in 0..4 {
                for column in 0..4 {
                    let pixels = pixels_of(
                        &picture,
                        2 * row..2 * row + 2,
                        2 * column..2 * column + 2,
                    );
                    // Soft edges may read as another colour; most do not.
                    let most = pixels.into_iter().max().unwrap();
                    if most > 0 {
                        let colour =
                            pixels.iter().position(|&n| n == most).unwrap();
                        counts[colour] += 1;
                    }
                }
            }
            let found: Vec<Reading> = Colour::ALL
                .into_iter()
                .map(|colour| (colour.word(), counts[colour as usize]))
                .filter(|reading| reading.1 > 0)
                .collect();
            assert_eq!(found, items.by_colour(), "seed {seed}");
        }
    }

    #[test]
    fn things_do_not_touch() {
        for seed in 0..20 {
            let items = Items::new(&mut Draws::new(seed, 0));
            let picture = picture(&items, 64, seed);
            assert_eq!(
                regions(&picture, [0, 0], 8),
                items.items.len(),
                "seed {seed}"
            );
        }
    }

    #[test]
    fn counts_are_those_that_the_page_says() {
        let mut most_of_colour = 0;
        for seed in 0..200 {
            let items = Items::new(&mut Draws::new(seed, 0));
            let total = items.items.len() as u16;
            assert!((3..=15).contains(&total), "{total}");
            let (colours, shapes) = (items.by_colour(), items.by_shape());
            assert!((2..=3).contains(&colours.len()));
            assert!((1..=3).contains(&shapes.len()));
            for readings in [&colours, &shapes] {
                let sum: u16 = readings.iter().map(|reading| reading.1).sum();
                assert_eq!(sum, total);
            }
            for (_, count) in colours {
                assert!((1..=5).contains(&count));
                most_of_colour = most_of_colour.max(count);
            }
        }
        assert_eq!(most_of_colour, 5);
    }
}
