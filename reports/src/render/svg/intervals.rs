//! Intervals: a row a case, each mark with its interval, the label above.
//!
//! Labels stand over their rows, not beside them, so that a long case name
//! fits a phone.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::marks::{
    LABEL, SMALL, backing, cut, mark, provenance_legend, quiet, text_width,
    words,
};
use super::{Area, Drawn, Width, axes, palette};
use crate::document::{IntervalRow, Intervals};

const ROW: i32 = 40;
const HEAD: i32 = 34;
const FOOT: i32 = 44;

/// Pixels.
pub(super) fn height(picture: &Intervals) -> u32 {
    (HEAD + FOOT + ROW * picture.rows.len() as i32).unsigned_abs()
}

/// Draws the rows.
pub(super) fn draw(
    area: &Area<'_>,
    picture: &Intervals,
    width: Width,
) -> Drawn {
    let spreads = picture.rows.iter().flat_map(|row| &row.marks);
    let values = spreads
        .flat_map(|(_, spread)| [spread.low, spread.high])
        .chain([picture.band.0, picture.band.1]);
    let Some((low, high)) = axes::log_range(values) else { return Ok(()) };
    let right = width.pixels() as i32 - 16;
    let left = 14;
    let place = |value: f64| {
        let share = (value / low).ln() / (high / low).ln();
        left + (share.clamp(0.0, 1.0) * f64::from(right - left)) as i32
    };
    let bottom = HEAD + ROW * picture.rows.len() as i32;
    let mut provenances: Vec<_> = picture
        .rows
        .iter()
        .flat_map(|row| row.marks.iter().map(|(provenance, _)| *provenance))
        .collect();
    provenances.sort();
    provenances.dedup();
    provenance_legend(area, &provenances, (left, 14))?;
    let (band_low, band_high) = picture.band;
    area.draw(&Rectangle::new(
        [(place(band_low), HEAD), (place(band_high), bottom)],
        palette::INK.mix(0.06).filled(),
    ))?;
    let most = if width == Width::Wide { 10 } else { 5 };
    for tick in axes::ratio_ticks(low, high, most) {
        let x = place(tick);
        let weight = if (tick - 1.0).abs() < 1e-9 { 0.5 } else { 0.14 };
        area.draw(&PathElement::new(
            vec![(x, HEAD), (x, bottom + 4)],
            palette::INK.mix(weight),
        ))?;
        area.draw(&Text::new(
            format!("{}×", axes::tick(tick, "1")),
            (x, bottom + 7),
            words(SMALL, HPos::Center, VPos::Top),
        ))?;
    }
    area.draw(&Text::new(
        picture.axis.clone(),
        (right, bottom + 24),
        quiet(SMALL, HPos::Right, VPos::Top),
    ))?;
    for (index, row) in picture.rows.iter().enumerate() {
        let top = HEAD + ROW * index as i32;
        self::row(area, row, top, (left, right), &place, width)?;
    }
    Ok(())
}

fn row(
    area: &Area<'_>,
    row: &IntervalRow,
    top: i32,
    (left, right): (i32, i32),
    place: &dyn Fn(f64) -> i32,
    width: Width,
) -> Drawn {
    let remark = match width {
        Width::Wide => &row.remark,
        Width::Narrow => &row.short_remark,
    };
    let room = right - left - text_width(remark, SMALL) - 14;
    area.draw(&Text::new(
        cut(&row.label, LABEL, room),
        (left, top + 11),
        words(LABEL, HPos::Left, VPos::Center),
    ))?;
    backing(area, remark, (right, top + 11))?;
    area.draw(&Text::new(
        remark.clone(),
        (right, top + 11),
        quiet(SMALL, HPos::Right, VPos::Center),
    ))?;
    let y = top + 28;
    let points: Vec<i32> =
        row.marks.iter().map(|(_, spread)| place(spread.point)).collect();
    if let (Some(from), Some(to)) = (points.iter().min(), points.iter().max()) {
        area.draw(&PathElement::new(
            vec![(*from, y), (*to, y)],
            palette::INK.mix(0.35),
        ))?;
    }
    for (provenance, spread) in &row.marks {
        let colour = palette::provenance(*provenance);
        let (from, to) = (place(spread.low), place(spread.high));
        area.draw(&PathElement::new(
            vec![(from, y), (to, y)],
            colour.mix(0.55).stroke_width(3),
        ))?;
        for end in [from, to] {
            area.draw(&PathElement::new(
                vec![(end, y - 4), (end, y + 4)],
                colour.stroke_width(1),
            ))?;
        }
        mark(area, *provenance, (place(spread.point), y), 4)?;
    }
    Ok(())
}
