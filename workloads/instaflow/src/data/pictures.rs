//! Pictures of captions: 32 x 32, anti-aliased, on a dark background.
//!
//! What varies beside the caption: size, position, rotation, brightness and
//! tint of the shapes; level, tint and slope of the background. Shapes of one
//! picture never touch, so that a count can be read (a test floods every
//! shape). A group stands in a column on the left and right, in a row at the
//! top and bottom, and round the middle in the centre.
//!
//! A pixel's share of a shape is `1/2 - d`, cut off at 0 and 1, where `d` is
//! the distance of its middle from the shape's outline, negative inside.

use std::f64::consts::{FRAC_PI_2, TAU};

use assay_kit::Draws;

use super::captions::{Caption, Colour, Part, Place, Shape};

/// Pixels of a picture's side.
pub const SIDE: usize = 32;

/// Values of a picture: rows, columns, red, green and blue.
const VALUES: usize = SIDE * SIDE * 3;

/// Middle of a picture, and how far from it the middles of places lie.
const MIDDLE: f64 = SIDE as f64 / 2.0;
const OFFSET: f64 = SIDE as f64 / 4.0;

/// The picture of a caption, `[32, 32, 3]` in [-1, 1]; the same seed gives the
/// same picture.
///
/// # Panics
/// When the caption's count is not 1, 2 or 3.
pub fn picture(caption: Caption, seed: u64) -> Vec<f32> {
    let mut draws = Draws::new(seed, caption.index() as u64);
    let mut canvas = background(&mut draws);
    let colour = shade(caption.colour, &mut draws);
    for figure in figures(caption, &mut draws) {
        figure.paint(&mut canvas, colour);
    }
    canvas.into_iter().map(|x| x.clamp(-1.0, 1.0) as f32).collect()
}

/// Captioned pictures `first..first + count` of a part: captions, and pictures
/// `[count, 32, 32, 3]` in [-1, 1]. Captions are uniform among the part's;
/// picture `i` depends on the part, the seed and `i` only.
pub fn examples(
    part: Part,
    seed: u64,
    first: u64,
    count: usize,
) -> (Vec<Caption>, Vec<f32>) {
    let kind = match part {
        Part::Train => 0,
        Part::HeldOut => 1,
    };
    drawn(&Caption::of_part(part), seed, kind, first, count)
}

/// As [`examples`], of any captions; what is drawn for one `kind` (0 to 3)
/// says nothing of another.
pub(crate) fn drawn(
    captions: &[Caption],
    seed: u64,
    kind: u64,
    first: u64,
    count: usize,
) -> (Vec<Caption>, Vec<f32>) {
    let mut chosen = Vec::with_capacity(count);
    let mut pictures = Vec::with_capacity(count * VALUES);
    for i in 0..count as u64 {
        let stream = first.wrapping_add(i).wrapping_mul(4).wrapping_add(kind);
        let mut draws = Draws::new(seed, stream);
        let caption = captions[draws.below(captions.len())];
        chosen.push(caption);
        pictures.extend(picture(caption, draws.bits()));
    }
    (chosen, pictures)
}

/// A dark background, red, green and blue of each pixel.
fn background(draws: &mut Draws) -> Vec<f64> {
    let level = draws.uniform(-0.92, -0.78);
    let tint: [f64; 3] = std::array::from_fn(|_| draws.uniform(-0.04, 0.04));
    let slope: [f64; 2] = std::array::from_fn(|_| draws.uniform(-0.12, 0.12));
    let mut canvas = Vec::with_capacity(VALUES);
    for row in 0..SIDE {
        for column in 0..SIDE {
            let (x, y) = middle_of(row, column);
            let across = (x - MIDDLE) / SIDE as f64;
            let down = (y - MIDDLE) / SIDE as f64;
            let here = level + slope[0] * across + slope[1] * down;
            canvas.extend(tint.map(|tint| here + tint));
        }
    }
    canvas
}

/// Where the middle of a pixel is, x and y.
fn middle_of(row: usize, column: usize) -> (f64, f64) {
    (column as f64 + 0.5, row as f64 + 0.5)
}

/// Red, green and blue in [-1, 1], of one picture's shapes.
fn shade(colour: Colour, draws: &mut Draws) -> [f64; 3] {
    let pure = match colour {
        Colour::Red => [0.92, 0.14, 0.14],
        Colour::Green => [0.14, 0.82, 0.20],
        Colour::Blue => [0.18, 0.34, 0.96],
        Colour::Yellow => [0.95, 0.85, 0.12],
        Colour::White => [0.95, 0.95, 0.95],
        Colour::Magenta => [0.90, 0.20, 0.85],
    };
    let brightness = draws.uniform(0.82, 1.0);
    pure.map(|part| {
        let light = part * brightness + draws.uniform(-0.04, 0.04);
        2.0 * light - 1.0
    })
}

/// One shape in a picture. Lengths are in pixels.
struct Figure {
    shape: Shape,
    centre: [f64; 2],
    radius: f64,
    /// Sine and cosine of its rotation.
    turn: (f64, f64),
}

/// The shapes of a caption, laid out.
fn figures(caption: Caption, draws: &mut Draws) -> Vec<Figure> {
    let radius = match caption.count {
        1 => draws.uniform(4.2, 5.4),
        2 => draws.uniform(3.6, 4.4),
        _ => draws.uniform(2.8, 3.5),
    };
    let centres = centres(caption, draws);
    centres
        .into_iter()
        .map(|[x, y]| Figure {
            shape: caption.shape,
            centre: [x + jitter(draws, 0.3), y + jitter(draws, 0.3)],
            radius: radius * (1.0 + jitter(draws, 0.05)),
            turn: jitter(draws, 0.12).sin_cos(),
        })
        .collect()
}

fn jitter(draws: &mut Draws, most: f64) -> f64 {
    draws.uniform(-most, most)
}

/// Where the shapes of a caption stand, before each is moved a little. The
/// distances leave more than a pixel between the largest shapes.
fn centres(caption: Caption, draws: &mut Draws) -> Vec<[f64; 2]> {
    let [across, down] = match caption.place {
        Place::Left => [-OFFSET, 0.0],
        Place::Right => [OFFSET, 0.0],
        Place::Top => [0.0, -OFFSET],
        Place::Bottom => [0.0, OFFSET],
        Place::Centre => [0.0, 0.0],
    };
    let x = MIDDLE + across + jitter(draws, 0.8);
    let y = MIDDLE + down + jitter(draws, 0.8);
    let angle = match caption.place {
        Place::Left | Place::Right => FRAC_PI_2,
        Place::Top | Place::Bottom => 0.0,
        Place::Centre => draws.uniform(0.0, TAU),
    };
    let round = |angle: f64, distance: f64| {
        let (sin, cos) = angle.sin_cos();
        [x + distance * cos, y + distance * sin]
    };
    match (caption.count, caption.place) {
        (1, _) => vec![[x, y]],
        (2, _) => {
            let half = draws.uniform(13.0, 14.0) / 2.0;
            vec![round(angle, -half), round(angle, half)]
        }
        (_, Place::Centre) => {
            let distance = draws.uniform(6.2, 6.8);
            let corner = |i: f64| round(angle + i * TAU / 3.0, distance);
            vec![corner(0.0), corner(1.0), corner(2.0)]
        }
        (_, Place::Left | Place::Right | Place::Top | Place::Bottom) => {
            let spacing = draws.uniform(9.8, 10.4);
            vec![round(angle, -spacing), [x, y], round(angle, spacing)]
        }
    }
}

impl Figure {
    /// The shape over what is on the canvas.
    fn paint(&self, canvas: &mut [f64], colour: [f64; 3]) {
        // No shape reaches further than 1.25 radii, or 1.3 with its edge.
        let reach = 1.3 * self.radius + 1.0;
        let span = |middle: f64| {
            let first = (middle - reach).max(0.0) as usize;
            let end = (middle + reach).ceil().clamp(0.0, SIDE as f64) as usize;
            first.min(end)..end
        };
        for row in span(self.centre[1]) {
            for column in span(self.centre[0]) {
                let (x, y) = middle_of(row, column);
                let share = (0.5 - self.distance(x, y)).clamp(0.0, 1.0);
                let at = (row * SIDE + column) * 3;
                for (value, part) in canvas[at..at + 3].iter_mut().zip(colour) {
                    *value += share * (part - *value);
                }
            }
        }
    }

    /// Distance of a point from the outline, negative inside. Beyond corners
    /// it is the distance from the nearer edge's line, a little less.
    fn distance(&self, x: f64, y: f64) -> f64 {
        let (sin, cos) = self.turn;
        let (dx, dy) = (x - self.centre[0], y - self.centre[1]);
        let (x, y) = (cos * dx + sin * dy, cos * dy - sin * dx);
        let r = self.radius;
        match self.shape {
            Shape::Circle => x.hypot(y) - r,
            Shape::Square => x.abs().max(y.abs()) - 0.86 * r,
            Shape::Triangle => {
                // Equilateral, apex up, its height centred.
                let corner = 1.2 * r;
                let y = y - corner / 4.0;
                let side = 0.75_f64.sqrt() * x.abs() - y / 2.0;
                y.max(side) - corner / 2.0
            }
            Shape::Cross => {
                let (long, thin) = (r, 0.36 * r);
                let lying = (x.abs() - long).max(y.abs() - thin);
                let standing = (x.abs() - thin).max(y.abs() - long);
                lying.min(standing)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bright pixels of a picture, row by row.
    fn bright(picture: &[f32]) -> Vec<bool> {
        let pixels = picture.as_chunks::<3>().0.iter();
        pixels.map(|pixel| pixel.iter().any(|&x| x > 0.0)).collect()
    }

    /// How many separate bright regions there are.
    fn regions(mut bright: Vec<bool>) -> u8 {
        let mut found = 0;
        while let Some(start) = bright.iter().position(|&is| is) {
            found += 1;
            let mut open = vec![start];
            while let Some(at) = open.pop() {
                if !std::mem::take(&mut bright[at]) {
                    continue;
                }
                // A smoothed corner may hang on by a diagonal.
                let near = |at: usize| at.saturating_sub(1)..SIDE.min(at + 2);
                for row in near(at / SIDE) {
                    open.extend(near(at % SIDE).map(|x| row * SIDE + x));
                }
            }
        }
        found
    }

    #[test]
    fn the_same_seed_gives_the_same_picture_within_the_range() {
        let caption = Caption::all()[123];
        let one = picture(caption, 7);
        assert_eq!(one.len(), SIDE * SIDE * 3);
        assert_eq!(one, picture(caption, 7));
        assert_ne!(one, picture(caption, 8));
        assert!(one.iter().all(|x| (-1.0..=1.0).contains(x)));
    }

    #[test]
    fn every_picture_shows_as_many_shapes_as_its_caption_says() {
        for caption in Caption::all() {
            for seed in 0..12 {
                let picture = picture(caption, seed);
                let found = regions(bright(&picture));
                assert_eq!(found, caption.count, "{caption}, seed {seed}");
            }
        }
    }

    #[test]
    fn shapes_stand_where_the_caption_says_in_its_colour() {
        for caption in Caption::all() {
            let picture = picture(caption, 3);
            let bright = bright(&picture);
            let count = bright.iter().filter(|&&is| is).count() as f64;
            let (mut x, mut y, mut light) = (0.0, 0.0, [0.0; 3]);
            for (at, pixel) in picture.as_chunks::<3>().0.iter().enumerate() {
                if bright[at] {
                    x += ((at % SIDE) as f64 + 0.5 - 16.0) / count;
                    y += ((at / SIDE) as f64 + 0.5 - 16.0) / count;
                    for (sum, part) in light.iter_mut().zip(pixel) {
                        *sum += f64::from(*part) / count;
                    }
                }
            }
            let found = match (x.abs() > 5.0, y.abs() > 5.0) {
                (false, false) => Place::Centre,
                (true, false) if x < 0.0 => Place::Left,
                (true, false) => Place::Right,
                (false, true) if y < 0.0 => Place::Top,
                _ => Place::Bottom,
            };
            assert_eq!(found, caption.place, "{caption}: {x} {y}");
            let found = match light.map(|part| part > 0.0) {
                [true, false, false] => Colour::Red,
                [false, true, false] => Colour::Green,
                [false, false, true] => Colour::Blue,
                [true, true, false] => Colour::Yellow,
                [true, true, true] => Colour::White,
                _ => Colour::Magenta,
            };
            assert_eq!(found, caption.colour, "{caption}: {light:?}");
        }
    }

    #[test]
    fn edges_are_smooth() {
        let caption = Caption {
            shape: Shape::Circle,
            colour: Colour::White,
            count: 1,
            place: Place::Centre,
        };
        let picture = picture(caption, 1);
        let between = picture.iter().filter(|x| (-0.5..0.3).contains(*x));
        assert!(between.count() > 20);
    }

    #[test]
    fn an_example_depends_on_its_number_alone_and_keeps_to_its_part() {
        let (captions, pictures) = examples(Part::Train, 5, 0, 40);
        let (later, tail) = examples(Part::Train, 5, 30, 10);
        assert_eq!(captions[30..], later);
        assert_eq!(pictures[30 * VALUES..], tail);
        assert!(captions.iter().all(|caption| !caption.held_out()));
        let (held_out, _) = examples(Part::HeldOut, 5, 0, 200);
        assert!(held_out.iter().all(|caption| caption.held_out()));
        let mut different: Vec<usize> =
            held_out.iter().map(|caption| caption.index()).collect();
        different.sort_unstable();
        different.dedup();
        assert!(different.len() > 50, "{}", different.len());
        assert_ne!(examples(Part::Train, 6, 0, 40).1, pictures);
    }
}
