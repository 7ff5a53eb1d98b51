//! Symbols: eight marks that tell curves apart without colour.
//!
//! The upright triangle and the hollow diamond are left to provenance.

use plotters::prelude::*;

use super::{Area, Drawn, palette};

/// Draws the mark of the n-th curve at a pixel.
pub(super) fn symbol(
    area: &Area<'_>,
    index: usize,
    (x, y): (i32, i32),
    size: i32,
    colour: RGBColor,
) -> Drawn {
    let arm = size + 1;
    let square = [(x - size, y - size), (x + size, y + size)];
    let stroke = colour.stroke_width(2);
    match index % 8 {
        0 => area.draw(&Circle::new((x, y), size, colour.filled())),
        1 => area.draw(&Rectangle::new(square, colour.filled())),
        2 => area.draw(&Polygon::new(
            vec![(x - arm, y - size), (x + arm, y - size), (x, y + arm)],
            colour.filled(),
        )),
        3 => cross(
            area,
            [(x - size, y - size), (x - size, y + size)],
            (x, y),
            stroke,
        ),
        4 => {
            area.draw(&Circle::new((x, y), size, palette::PAPER.filled()))?;
            area.draw(&Circle::new((x, y), size, stroke))
        }
        5 => area.draw(&Polygon::new(
            vec![(x, y - arm), (x + arm, y), (x, y + arm), (x - arm, y)],
            colour.filled(),
        )),
        6 => cross(area, [(x - arm, y), (x, y - arm)], (x, y), stroke),
        _ => {
            area.draw(&Rectangle::new(square, palette::PAPER.filled()))?;
            area.draw(&Rectangle::new(square, stroke))
        }
    }
}

/// Two strokes through a middle, each given by one end.
fn cross(
    area: &Area<'_>,
    ends: [(i32, i32); 2],
    (x, y): (i32, i32),
    stroke: ShapeStyle,
) -> Drawn {
    for end in ends {
        let other = (2 * x - end.0, 2 * y - end.1);
        area.draw(&PathElement::new(vec![end, other], stroke))?;
    }
    Ok(())
}
