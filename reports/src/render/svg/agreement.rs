//! Agreement: predicted over observed, each case a mark, the diagonal where
//! they are equal and a strip within 20 %.

use assay_schema::Provenance;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::marks::{LABEL, SMALL, mark, provenance_legend, quiet};
use super::square::Square;
use super::{Area, Drawn, Width, axes, palette};
use crate::document::Agreement;

const TOP: i32 = 34;

/// Pixels.
pub(super) fn height(width: Width) -> u32 {
    match width {
        Width::Wide => 620,
        Width::Narrow => 380,
    }
}

/// Draws the marks.
pub(super) fn draw(
    area: &Area<'_>,
    picture: &Agreement,
    width: Width,
) -> Drawn {
    let values = picture.points.iter().flat_map(|point| {
        let (o, p) = (point.observed, point.predicted);
        [o.low, o.high, p.low, p.high]
    });
    let Some((low, high)) = axes::log_range(values) else { return Ok(()) };
    let bottom = height(width) as i32 - 46;
    let left = 64;
    let right = (left + bottom - TOP).min(width.pixels() as i32 - 14);
    let square = Square {
        times: (low, high),
        left,
        right,
        top: TOP,
        bottom,
        names_rows: true,
    };
    let place = |x: f64, y: f64| square.place(x, y);
    let mut provenances: Vec<Provenance> =
        picture.points.iter().map(|point| point.provenance).collect();
    provenances.sort();
    provenances.dedup();
    let x = provenance_legend(area, &provenances, (14, 14))?;
    area.draw(&Text::new(
        "(the observation)",
        (x - 6, 14),
        quiet(LABEL, HPos::Left, VPos::Center),
    ))?;
    square.draw(area, if width == Width::Wide { 8 } else { 4 })?;
    square.diagonal(area)?;
    area.draw(&Text::new(
        "observed time",
        (right, bottom + 25),
        quiet(SMALL, HPos::Right, VPos::Top),
    ))?;
    area.draw(&Text::new(
        "predicted time",
        (left + 5, TOP + 2),
        quiet(SMALL, HPos::Left, VPos::Top),
    ))?;
    for point in &picture.points {
        let (o, p) = (point.observed, point.predicted);
        let colour = palette::provenance(point.provenance);
        for ends in [
            [place(o.point, p.low), place(o.point, p.high)],
            [place(o.low, p.point), place(o.high, p.point)],
        ] {
            area.draw(&PathElement::new(ends.to_vec(), colour.mix(0.45)))?;
        }
    }
    for point in &picture.points {
        let at = place(point.observed.point, point.predicted.point);
        mark(area, point.provenance, at, 4)?;
    }
    Ok(())
}
