//! Geometry: a rectangle whose sides are marked in units, or angles on a
//! straight line.
//!
//! A rectangle is 1 to 6 units wide and high, a unit being a cell, with dark
//! notches at the units along its upper and left edge; what is asked are its
//! sides, its area and its perimeter. On the straight line one or two coloured
//! angles, multiples of 20 degrees, lie side by side; the `rest` is what they
//! leave of 180 degrees, at least 20.

use assay_kit::Draws;

use super::Scene;
use super::chain::{self, Asked, Operation, Reading, Writing};
use super::draw::{CELLS, Canvas, Colour, DARK, GREY, Wedge};
use super::words::{ANGLE, AREA, HEIGHT, PERIMETER, REST, SIDE, WIDTH};

/// Longest side of a rectangle, in cells.
const LONGEST: usize = 6;

/// Angles are multiples of this, in degrees.
const UNIT: u16 = 20;

/// Units of half a turn.
const UNITS: usize = (STRAIGHT / UNIT) as usize;

/// Half a turn, in degrees.
const STRAIGHT: u16 = 180;

/// What can be asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Geometry {
    Rectangle(Rectangle),
    Angles(Angles),
}

impl Geometry {
    /// One of the scenes about which a question of so many steps can be asked:
    /// what is left of a straight line takes two steps beside one angle, and
    /// four beside two.
    pub(super) fn new(steps: usize, draws: &mut Draws) -> Self {
        if draws.below(2) == 0 {
            return Self::Rectangle(Rectangle::new(draws));
        }
        let count = match steps {
            1 => 1 + draws.below(2),
            2 => 1,
            _ => 2,
        };
        Self::Angles(Angles::new(count, draws))
    }
}

impl Scene for Geometry {
    fn key(&self) -> Vec<u8> {
        match self {
            Self::Rectangle(rectangle) => rectangle.key(),
            Self::Angles(angles) => angles.key(),
        }
    }

    fn readings(&self) -> Vec<Reading> {
        match self {
            Self::Rectangle(rectangle) => rectangle.readings(),
            Self::Angles(angles) => angles.readings(),
        }
    }

    fn ask(&self, steps: usize, draws: &mut Draws) -> Option<Asked> {
        match self {
            Self::Rectangle(rectangle) => rectangle.ask(steps, draws),
            Self::Angles(angles) => angles.ask(steps, draws),
        }
    }

    fn paint(&self, canvas: &mut Canvas) {
        match self {
            Self::Rectangle(rectangle) => rectangle.paint(canvas),
            Self::Angles(angles) => angles.paint(canvas),
        }
    }
}

/// A rectangle; everything in cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rectangle {
    colour: Colour,
    left: u8,
    top: u8,
    width: u8,
    height: u8,
}

impl Rectangle {
    fn new(draws: &mut Draws) -> Self {
        let [width, height] = [(); 2].map(|()| 1 + draws.below(LONGEST));
        let left = draws.below(CELLS - width + 1) as u8;
        let top = draws.below(CELLS - height + 1) as u8;
        let colour = Colour::ALL[draws.below(Colour::ALL.len())];
        Self { colour, left, top, width: width as u8, height: height as u8 }
    }

    fn key(&self) -> Vec<u8> {
        let colour = self.colour as u8;
        vec![0, colour, self.left, self.top, self.width, self.height]
    }

    fn readings(&self) -> Vec<Reading> {
        vec![(WIDTH, self.width.into()), (HEIGHT, self.height.into())]
    }

    fn ask(&self, steps: usize, draws: &mut Draws) -> Option<Asked> {
        match steps {
            3 if draws.below(2) == 0 => self.ask_whole(AREA),
            4 if draws.below(2) == 0 => self.ask_whole(PERIMETER),
            _ => chain::ask(SIDE, &self.readings(), steps, draws),
        }
    }

    /// The area in three steps, or the perimeter in four: half of it twice.
    fn ask_whole(&self, what: u32) -> Option<Asked> {
        let mut writing = Writing::new(vec![what]);
        let width = writing.read((WIDTH, self.width.into()));
        let height = writing.read((HEIGHT, self.height.into()));
        let result = if what == AREA {
            writing.compute(width, Operation::Times, height)?
        } else {
            let half = writing.compute(width, Operation::Plus, height)?;
            writing.compute(half, Operation::Plus, half)?
        };
        Some(writing.number(result))
    }

    fn paint(&self, canvas: &mut Canvas) {
        let [left, top, width, height] =
            [self.left, self.top, self.width, self.height].map(f64::from);
        let ink = canvas.ink(self.colour);
        canvas.rectangle(ink, [left, top, left + width, top + height]);
        // A notch at each unit, as on a ruler.
        let (half, deep) = (0.1, 0.35);
        for unit in 1..self.width {
            let x = left + f64::from(unit);
            canvas.rectangle(DARK, [x - half, top, x + half, top + deep]);
        }
        for unit in 1..self.height {
            let y = top + f64::from(unit);
            canvas.rectangle(DARK, [left, y - half, left + deep, y + half]);
        }
    }
}

/// One or two angles side by side on a straight line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Angles {
    /// Colours and degrees, from one end of the line on.
    wedges: Vec<(Colour, u16)>,
    /// Whether that end is the left one, not the right one.
    from_left: bool,
    /// Whether they lie below the line, not above it.
    below: bool,
    /// Radius and middle of the line, from the least, in quarters of a cell.
    radius: u8,
    middle: u8,
}

impl Angles {
    /// So many angles: 1 or 2.
    fn new(count: usize, draws: &mut Draws) -> Self {
        let mut left = UNITS;
        let mut wedges = Vec::with_capacity(count);
        let colours = draws.some_of(&Colour::ALL, count);
        for (place, colour) in colours.into_iter().enumerate() {
            // A unit for each that is to come, and one for the rest.
            let kept = count - place;
            let units = 1 + draws.below(left - kept);
            left -= units;
            wedges.push((colour, UNIT * units as u16));
        }
        Self {
            wedges,
            from_left: draws.below(2) == 0,
            below: draws.below(2) == 0,
            radius: draws.below(3) as u8,
            middle: draws.below(3) as u8,
        }
    }

    fn key(&self) -> Vec<u8> {
        let mut key = vec![
            1,
            u8::from(self.from_left),
            u8::from(self.below),
            self.radius,
            self.middle,
        ];
        for &(colour, degrees) in &self.wedges {
            key.extend([colour as u8, (degrees / UNIT) as u8]);
        }
        key
    }

    fn readings(&self) -> Vec<Reading> {
        let wedges = self.wedges.iter();
        wedges.map(|&(colour, degrees)| (colour.word(), degrees)).collect()
    }

    fn ask(&self, steps: usize, draws: &mut Draws) -> Option<Asked> {
        match steps {
            2 | 4 => self.ask_rest(),
            _ => chain::ask(ANGLE, &self.readings(), steps, draws),
        }
    }

    /// What is left of the straight line: two steps with one angle, four with
    /// two.
    fn ask_rest(&self) -> Option<Asked> {
        let mut writing = Writing::new(vec![ANGLE, REST]);
        let mut degrees = Vec::new();
        for reading in self.readings() {
            degrees.push(writing.read(reading));
        }
        let taken = match *degrees.as_slice() {
            [one] => one,
            [one, other] => writing.compute(one, Operation::Plus, other)?,
            _ => return None,
        };
        let rest = writing.compute(STRAIGHT, Operation::Minus, taken)?;
        Some(writing.number(rest))
    }

    /// In cells: the line's radius, its middle across, and its height.
    fn lengths(&self) -> (f64, f64, f64) {
        let radius = 3.0 + f64::from(self.radius) / 4.0;
        let middle = 3.75 + f64::from(self.middle) / 4.0;
        (radius, middle, if self.below { 2.0 } else { 6.0 })
    }

    fn paint(&self, canvas: &mut Canvas) {
        let (radius, x, y) = self.lengths();
        let axes = [
            if self.from_left { -1.0 } else { 1.0 },
            if self.below { 1.0 } else { -1.0 },
        ];
        let mut from = 0.0;
        for &(colour, degrees) in &self.wedges {
            let to = from + f64::from(degrees);
            let ink = canvas.ink(colour);
            let vertex = [x, y];
            canvas.wedge(ink, &Wedge { vertex, radius, from, to, axes });
            from = to;
        }
        canvas.line(GREY, [x - radius, y], [x + radius, y], 0.2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::chain::{Answer, LONGEST_RESPONSE};
    use crate::task::draw::reading::{colour_of_cell, pixels_of};
    use crate::task::{Picture, Vocabulary};

    fn picture(scene: &Geometry, side: usize, seed: u64) -> Picture {
        let mut canvas = Canvas::new(side, &mut Draws::new(seed, 9));
        scene.paint(&mut canvas);
        canvas.finish()
    }

    #[test]
    fn a_rectangle_fills_its_cells() {
        for seed in 0..60 {
            let rectangle = Rectangle::new(&mut Draws::new(seed, 0));
            let colour = rectangle.colour;
            let [left, top, width, height] = [
                rectangle.left,
                rectangle.top,
                rectangle.width,
                rectangle.height,
            ]
            .map(usize::from);
            let scene = Geometry::Rectangle(rectangle);
            let picture = picture(&scene, 32, seed);
            for row in 0..CELLS {
                for column in 0..CELLS {
                    let inside = (left..left + width).contains(&column)
                        && (top..top + height).contains(&row);
                    assert_eq!(
                        colour_of_cell(&picture, row, column),
                        inside.then_some(colour),
                        "seed {seed}, row {row}, column {column}"
                    );
                }
            }
        }
    }

    #[test]
    fn an_angle_covers_its_share_of_the_half_circle() {
        for seed in 0..60 {
            let mut draws = Draws::new(seed, 0);
            let count = 1 + draws.below(2);
            let angles = Angles::new(count, &mut draws);
            let (radius, ..) = angles.lengths();
            let scene = Geometry::Angles(angles.clone());
            let picture = picture(&scene, 64, seed);
            let pixels = pixels_of(&picture, 0..CELLS, 0..CELLS);
            for (colour, degrees) in angles.wedges {
                // 64 pixels a cell. The line hides a strip 0.1 cells high of
                // the first, and soft edges hide a little more, in all less
                // than half of what 20 degrees cover.
                let found = pixels[colour as usize] as f64 / 64.0;
                let exact =
                    f64::from(degrees).to_radians() / 2.0 * radius * radius;
                let off = (found - exact).abs();
                assert!(off < 0.25 * radius, "{degrees}: {found}");
            }
        }
    }

    #[test]
    fn something_is_always_left_of_the_straight_line() {
        let mut seen = [0; UNITS];
        for seed in 0..400 {
            let mut draws = Draws::new(seed, 0);
            let count = 1 + draws.below(2);
            let angles = Angles::new(count, &mut draws);
            assert_eq!(angles.wedges.len(), count);
            let sum: u16 = angles.readings().iter().map(|r| r.1).sum();
            assert!((UNIT..STRAIGHT).contains(&sum), "{sum}");
            assert_eq!(sum % UNIT, 0);
            seen[usize::from(sum / UNIT)] += 1;
        }
        assert!(seen[1..].iter().all(|&times| times > 0), "{seen:?}");
    }

    #[test]
    fn wholes_are_what_a_ruler_would_give() {
        let rectangle = Rectangle {
            colour: Colour::Red,
            left: 0,
            top: 1,
            width: 5,
            height: 3,
        };
        let text = |what| {
            let asked = rectangle.ask_whole(what).unwrap();
            let steps = asked.chain.iter();
            let steps: Vec<String> =
                steps.map(|step| Vocabulary::decode(step)).collect();
            (steps.join(" ; "), asked.answer)
        };
        let (chain, answer) = text(AREA);
        assert_eq!(chain, "width 5 ; height 3 ; 5 * 3 = 15");
        assert_eq!(answer, Answer::Number(15));
        let (chain, answer) = text(PERIMETER);
        assert_eq!(chain, "width 5 ; height 3 ; 5 + 3 = 8 ; 8 + 8 = 16");
        assert_eq!(answer, Answer::Number(16));
    }

    #[test]
    fn the_longest_response_is_that_of_two_angles() {
        let angles = Angles {
            wedges: vec![(Colour::Red, 100), (Colour::Blue, 40)],
            from_left: true,
            below: false,
            radius: 0,
            middle: 0,
        };
        let asked = angles.ask_rest().unwrap();
        let steps: usize = asked.chain.iter().map(|step| step.len() + 1).sum();
        // `answer`, the answer, and the end.
        let length = steps + asked.answer.tokens().len() + 2;
        assert_eq!(length, LONGEST_RESPONSE);
        assert_eq!(asked.answer, Answer::Number(40));
    }
}
