//! Pictures of scenes: an 8 x 8 grid of cells, drawn anti-aliased at any size.
//!
//! Scenes are laid out in cells, so that one scene is the same question at 32,
//! 48 and 64 pixels, and a vision transformer whose patches are as large as
//! cells can see each cell alone. What varies beside the scene: level and tint
//! of the background, brightness of the colours, and a shift of the whole by
//! up to a tenth of a cell. There is no lettering: values are lengths, counts
//! and angles.
//!
//! A pixel's share of a shape is `1/2 - d`, cut off at 0 and 1, where `d` is
//! the signed distance in pixels of its middle from the outline, negative
//! inside.

use std::array;
use std::iter::repeat_n;
use std::ops::Range;

use assay_kit::Draws;

use super::words::{COLOURS, SHAPES};

/// Cells of a picture's side.
pub(super) const CELLS: usize = 8;

/// Least and largest side of a picture, in pixels.
pub(super) const SIDES: (usize, usize) = (16, 64);

/// Red, green, blue.
const CHANNELS: usize = 3;

/// How far a scene is moved at most, in cells.
const SHIFT: f64 = 0.1;

/// Of lines that are no part of the answer: axes, tables, connections.
pub(super) const GREY: [f64; CHANNELS] = [-0.35; CHANNELS];

/// Of marks upon coloured shapes.
pub(super) const DARK: [f64; CHANNELS] = [-0.9; CHANNELS];

/// A square picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    side: usize,
    values: Vec<f32>,
}

impl Picture {
    /// A picture that shows nothing: every value 0, the middle of the range.
    pub fn blank(side: usize) -> Self {
        Self { side, values: vec![0.0; CHANNELS * side * side] }
    }

    /// Pixels of its side.
    pub fn side(&self) -> usize {
        self.side
    }

    /// `[3, side, side]` in [-1, 1]: red, green and blue planes, row by row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// `[side, side, 3]`, a byte a value, as image files have it.
    pub fn bytes(&self) -> Vec<u8> {
        let plane = self.side * self.side;
        (0..plane)
            .flat_map(|at| (0..CHANNELS).map(move |c| c * plane + at))
            .filter_map(|at| self.values.get(at))
            .map(|value| ((value + 1.0) * 127.5).round() as u8)
            .collect()
    }
}

/// The colour of a thing that a question can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Colour {
    Red,
    Green,
    Blue,
    Yellow,
    White,
    Magenta,
}

impl Colour {
    pub(super) const ALL: [Self; 6] = [
        Self::Red,
        Self::Green,
        Self::Blue,
        Self::Yellow,
        Self::White,
        Self::Magenta,
    ];

    /// Its token.
    pub(super) fn word(self) -> u32 {
        COLOURS[self as usize]
    }

    /// Red, green and blue in [0, 1], at full brightness.
    fn pure(self) -> [f64; CHANNELS] {
        match self {
            Self::Red => [0.95, 0.12, 0.12],
            Self::Green => [0.12, 0.85, 0.18],
            Self::Blue => [0.14, 0.28, 0.97],
            Self::Yellow => [0.95, 0.88, 0.10],
            Self::White => [0.96, 0.96, 0.96],
            Self::Magenta => [0.92, 0.16, 0.88],
        }
    }
}

/// The outline of a counted thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shape {
    Circle,
    Square,
    Triangle,
    Cross,
    Ring,
}

impl Shape {
    pub(super) const ALL: [Self; 5] =
        [Self::Circle, Self::Square, Self::Triangle, Self::Cross, Self::Ring];

    /// Its token.
    pub(super) fn word(self) -> u32 {
        SHAPES[self as usize]
    }

    /// Signed distance of a point from the outline round the origin; `r` is
    /// the radius of the circle that holds it (of a square, nearly).
    fn distance(self, x: f64, y: f64, r: f64) -> f64 {
        match self {
            Self::Circle => x.hypot(y) - r,
            Self::Square => x.abs().max(y.abs()) - 0.85 * r,
            Self::Triangle => {
                // Apex (0, -r), base from (-0.95 r, 0.8 r) to (0.95 r, 0.8 r);
                // (1.8, -0.95) is normal to the right side.
                let (across, down) = (1.8, 0.95);
                let side = across * x.abs() - down * (y + r);
                let side = side / f64::hypot(across, down);
                side.max(y - 0.8 * r)
            }
            Self::Cross => {
                let thin = 0.32 * r;
                let lying = (x.abs() - r).max(y.abs() - thin);
                let standing = (x.abs() - thin).max(y.abs() - r);
                lying.min(standing)
            }
            Self::Ring => (x.hypot(y) - 0.7 * r).abs() - 0.3 * r,
        }
    }
}

/// A circle's sector on one side of a line: from `from` to `to` degrees, both
/// within half a turn.
pub(super) struct Wedge {
    /// The circle's middle, x and y in cells.
    pub(super) vertex: [f64; 2],
    /// In cells.
    pub(super) radius: f64,
    pub(super) from: f64,
    pub(super) to: f64,
    /// Directions in which x and y are counted: angles grow from the side
    /// where x is positive, towards the side where y is.
    pub(super) axes: [f64; 2],
}

impl Wedge {
    fn distance(&self, x: f64, y: f64) -> f64 {
        let x = (x - self.vertex[0]) * self.axes[0];
        let y = (y - self.vertex[1]) * self.axes[1];
        // How far a point is on the wrong side of each ray.
        let (sin, cos) = self.from.to_radians().sin_cos();
        let before = sin * x - cos * y;
        let (sin, cos) = self.to.to_radians().sin_cos();
        let behind = cos * y - sin * x;
        (x.hypot(y) - self.radius).max(before).max(behind)
    }
}

/// A picture while it is drawn. Lengths and places are in cells, x to the
/// right, y downwards.
pub(super) struct Canvas {
    side: usize,
    shift: [f64; 2],
    brightness: f64,
    /// `[3, side, side]`.
    values: Vec<f64>,
}

impl Canvas {
    /// A dark background.
    pub(super) fn new(side: usize, draws: &mut Draws) -> Self {
        let level = draws.uniform(-0.92, -0.78);
        let tint: [f64; CHANNELS] =
            array::from_fn(|_| draws.uniform(-0.04, 0.04));
        let shift = array::from_fn(|_| draws.uniform(-SHIFT, SHIFT));
        let brightness = draws.uniform(0.85, 1.0);
        let values = tint
            .into_iter()
            .flat_map(|tint| repeat_n(level + tint, side * side))
            .collect();
        Self { side, shift, brightness, values }
    }

    /// What was drawn.
    pub(super) fn finish(self) -> Picture {
        let values = self.values.into_iter();
        let values = values.map(|x| x.clamp(-1.0, 1.0) as f32).collect();
        Picture { side: self.side, values }
    }

    /// A colour's red, green and blue in this picture.
    pub(super) fn ink(&self, colour: Colour) -> [f64; CHANNELS] {
        colour.pure().map(|part| 2.0 * part * self.brightness - 1.0)
    }

    /// A filled rectangle: left, top, right, bottom.
    pub(super) fn rectangle(
        &mut self,
        ink: [f64; CHANNELS],
        [left, top, right, bottom]: [f64; 4],
    ) {
        self.paint(ink, [left, top, right, bottom], |x, y| {
            let across = (left - x).max(x - right);
            across.max(top - y).max(y - bottom)
        });
    }

    /// A shape round a middle.
    pub(super) fn shape(
        &mut self,
        ink: [f64; CHANNELS],
        shape: Shape,
        [x, y]: [f64; 2],
        radius: f64,
    ) {
        let reach = [x - radius, y - radius, x + radius, y + radius];
        self.paint(ink, reach, |at_x, at_y| {
            shape.distance(at_x - x, at_y - y, radius)
        });
    }

    /// A straight line of some thickness, with round ends.
    pub(super) fn line(
        &mut self,
        ink: [f64; CHANNELS],
        from: [f64; 2],
        to: [f64; 2],
        thickness: f64,
    ) {
        let half = thickness / 2.0;
        let reach = [
            from[0].min(to[0]) - half,
            from[1].min(to[1]) - half,
            from[0].max(to[0]) + half,
            from[1].max(to[1]) + half,
        ];
        let along = [to[0] - from[0], to[1] - from[1]];
        let square = along[0].mul_add(along[0], along[1] * along[1]);
        self.paint(ink, reach, |x, y| {
            let (x, y) = (x - from[0], y - from[1]);
            let share = (x * along[0] + y * along[1]) / square.max(1e-12);
            let share = share.clamp(0.0, 1.0);
            (x - share * along[0]).hypot(y - share * along[1]) - half
        });
    }

    /// A sector of a circle.
    pub(super) fn wedge(&mut self, ink: [f64; CHANNELS], wedge: &Wedge) {
        let ([x, y], r) = (wedge.vertex, wedge.radius);
        let reach = [x - r, y - r, x + r, y + r];
        self.paint(ink, reach, |x, y| wedge.distance(x, y));
    }

    /// Whatever a signed distance encloses, within left, top, right, bottom.
    fn paint(
        &mut self,
        ink: [f64; CHANNELS],
        [left, top, right, bottom]: [f64; 4],
        distance: impl Fn(f64, f64) -> f64,
    ) {
        let scale = self.side as f64 / CELLS as f64;
        let [across, down] = self.shift;
        let columns = self.pixels(left + across, right + across);
        for row in self.pixels(top + down, bottom + down) {
            for column in columns.clone() {
                let x = (column as f64 + 0.5) / scale - across;
                let y = (row as f64 + 0.5) / scale - down;
                let share = (0.5 - distance(x, y) * scale).clamp(0.0, 1.0);
                let at = row * self.side + column;
                let planes = self.values.chunks_mut(self.side * self.side);
                for (plane, part) in planes.zip(ink) {
                    plane[at] += share * (part - plane[at]);
                }
            }
        }
    }

    /// The rows or columns that lie between two places, and one more on either
    /// side for soft edges.
    fn pixels(&self, first: f64, last: f64) -> Range<usize> {
        let (side, scale) = (self.side as f64, self.side as f64 / CELLS as f64);
        let low = (first * scale - 1.0).floor().clamp(0.0, side) as usize;
        let high = (last * scale + 1.0).ceil().clamp(0.0, side) as usize;
        low..high.max(low)
    }
}

/// What tests read off a picture, without knowing how it was drawn.
#[cfg(test)]
pub(super) mod reading {
    use super::*;

    /// The colour of a pixel, by which of its channels are bright; none of the
    /// background and of what is grey or dark.
    pub(in crate::task) fn colour_at(
        picture: &Picture,
        row: usize,
        column: usize,
    ) -> Option<Colour> {
        let plane = picture.side * picture.side;
        let at = row * picture.side + column;
        let bright: [bool; CHANNELS] =
            array::from_fn(|c| picture.values[c * plane + at] > 0.0);
        match bright {
            [true, false, false] => Some(Colour::Red),
            [false, true, false] => Some(Colour::Green),
            [false, false, true] => Some(Colour::Blue),
            [true, true, false] => Some(Colour::Yellow),
            [true, true, true] => Some(Colour::White),
            [true, false, true] => Some(Colour::Magenta),
            [false, true, true] | [false, false, false] => None,
        }
    }

    /// The colour in the middle of a cell.
    pub(in crate::task) fn colour_of_cell(
        picture: &Picture,
        row: usize,
        column: usize,
    ) -> Option<Colour> {
        let scale = picture.side / CELLS;
        let middle = |cell: usize| cell * scale + scale / 2;
        colour_at(picture, middle(row), middle(column))
    }

    /// How many pixels of each colour there are in a rectangle of cells.
    pub(in crate::task) fn pixels_of(
        picture: &Picture,
        rows: Range<usize>,
        columns: Range<usize>,
    ) -> [usize; 6] {
        let scale = picture.side / CELLS;
        let mut counts = [0; 6];
        for row in rows.start * scale..rows.end * scale {
            for column in columns.start * scale..columns.end * scale {
                if let Some(colour) = colour_at(picture, row, column) {
                    counts[colour as usize] += 1;
                }
            }
        }
        counts
    }

    /// How many separate bright regions there are in a square of cells: left
    /// and top cell, cells of its side. Regions that touch by a corner only
    /// are two.
    pub(in crate::task) fn regions(
        picture: &Picture,
        [left, top]: [usize; 2],
        cells: usize,
    ) -> usize {
        let scale = picture.side / CELLS;
        let side = cells * scale;
        let mut bright: Vec<bool> = (0..side * side)
            .map(|at| {
                let row = top * scale + at / side;
                let column = left * scale + at % side;
                colour_at(picture, row, column).is_some()
            })
            .collect();
        let mut found = 0;
        while let Some(start) = bright.iter().position(|&is| is) {
            found += 1;
            let mut open = vec![start];
            while let Some(at) = open.pop() {
                if !std::mem::take(&mut bright[at]) {
                    continue;
                }
                let (row, column) = (at / side, at % side);
                if row > 0 {
                    open.push(at - side);
                }
                if row + 1 < side {
                    open.push(at + side);
                }
                if column > 0 {
                    open.push(at - 1);
                }
                if column + 1 < side {
                    open.push(at + 1);
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::reading::*;
    use super::*;

    fn canvas(seed: u64, side: usize) -> Canvas {
        Canvas::new(side, &mut Draws::new(seed, 0))
    }

    #[test]
    fn every_colour_is_told_from_the_others_at_any_brightness() {
        for seed in 0..20 {
            for colour in Colour::ALL {
                let mut canvas = canvas(seed, 16);
                let ink = canvas.ink(colour);
                canvas.rectangle(ink, [2.0, 3.0, 4.0, 4.0]);
                canvas.rectangle(GREY, [5.0, 5.0, 6.0, 6.0]);
                let picture = canvas.finish();
                assert_eq!(colour_of_cell(&picture, 3, 2), Some(colour));
                assert_eq!(colour_of_cell(&picture, 3, 3), Some(colour));
                assert_eq!(colour_of_cell(&picture, 4, 2), None);
                assert_eq!(colour_of_cell(&picture, 5, 5), None);
                let inside = |x: &f32| (-1.0..=1.0).contains(x);
                assert!(picture.values().iter().all(inside));
            }
        }
    }

    #[test]
    fn shapes_cover_what_their_outlines_enclose() {
        // Areas in units of the squared radius.
        let areas = [
            (Shape::Circle, std::f64::consts::PI),
            (Shape::Square, 1.7 * 1.7),
            (Shape::Triangle, 0.95 * 1.8),
            (Shape::Cross, 4.0 * 0.64 - 0.64 * 0.64),
            (Shape::Ring, std::f64::consts::PI * (1.0 - 0.16)),
        ];
        for (shape, area) in areas {
            let radius = 3.0;
            let mut canvas = canvas(1, 64);
            let before: f64 = canvas.values.iter().sum();
            let level: f64 = before / canvas.values.len() as f64;
            canvas.values.fill(level);
            canvas.shape([level + 1.0; 3], shape, [4.0, 4.0], radius);
            let cells: f64 =
                canvas.values.iter().map(|x| (x - level) / 3.0 / 64.0).sum();
            let error = cells / (radius * radius * area) - 1.0;
            assert!(error.abs() < 0.02, "{shape:?}: {cells}");
        }
    }

    #[test]
    fn a_wedge_is_its_share_of_the_circle() {
        for (from, to) in [(0.0, 20.0), (40.0, 180.0), (0.0, 90.0)] {
            for axes in [[1.0, -1.0], [-1.0, 1.0]] {
                let mut canvas = canvas(1, 64);
                canvas.values.fill(0.0);
                let wedge =
                    Wedge { vertex: [4.0, 4.0], radius: 3.0, from, to, axes };
                canvas.wedge([1.0; 3], &wedge);
                let cells: f64 =
                    canvas.values.iter().map(|x| x / 3.0 / 64.0).sum();
                let wanted = (to - from).to_radians() / 2.0 * 9.0;
                assert!((cells / wanted - 1.0).abs() < 0.05, "{from} {to}");
            }
        }
    }

    #[test]
    fn a_line_is_as_long_and_thick_as_it_says() {
        let mut canvas = canvas(1, 64);
        canvas.values.fill(0.0);
        canvas.line([1.0; 3], [1.0, 4.0], [7.0, 4.0], 0.5);
        let cells: f64 = canvas.values.iter().map(|x| x / 3.0 / 64.0).sum();
        let wanted = 6.0 * 0.5 + std::f64::consts::PI * 0.25 * 0.25;
        assert!((cells / wanted - 1.0).abs() < 0.05, "{cells}");
    }

    #[test]
    fn bytes_are_the_values_of_each_pixel_together() {
        let picture = Picture { side: 1, values: vec![-1.0, 0.0, 1.0] };
        assert_eq!(picture.bytes(), [0, 128, 255]);
        let blank = Picture::blank(16);
        assert_eq!(blank.values().len(), 3 * 16 * 16);
        assert!(blank.bytes().iter().all(|&byte| byte == 128));
    }
}
