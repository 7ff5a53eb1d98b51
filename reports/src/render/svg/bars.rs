//! Bars from zero with their intervals: a row a bar, its label above it, in
//! groups that each have a scale of their own.

use assay_schema::Provenance;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::marks::{
    LABEL, SMALL, backing, bold, cut, mark, provenance_legend, quiet,
    text_width, words,
};
use super::{Area, Drawn, Width, axes, palette};
use crate::document::{BarGroup, BarRow, Bars};

const LEGEND: i32 = 30;
/// Above a group: its title.
const HEAD: i32 = 26;
const ROW: i32 = 38;
const BAR: i32 = 12;
/// Below a group: ticks.
const FOOT: i32 = 38;
const EDGE: i32 = 14;

fn group_height(group: &BarGroup) -> i32 {
    HEAD + ROW * group.rows.len() as i32 + FOOT
}

/// Pixels.
pub(super) fn height(picture: &Bars, _: Width) -> u32 {
    let groups: i32 = picture.groups.iter().map(group_height).sum();
    (LEGEND + groups).unsigned_abs()
}

/// Draws the groups.
pub(super) fn draw(area: &Area<'_>, picture: &Bars, width: Width) -> Drawn {
    let mut provenances: Vec<Provenance> = picture
        .groups
        .iter()
        .flat_map(|group| group.rows.iter().map(|row| row.provenance))
        .collect();
    provenances.sort();
    provenances.dedup();
    provenance_legend(area, &provenances, (EDGE, 14))?;
    let mut top = LEGEND;
    for group in &picture.groups {
        self::group(area, group, top, (picture.unit, width))?;
        top += group_height(group);
    }
    Ok(())
}

fn group(
    area: &Area<'_>,
    group: &BarGroup,
    top: i32,
    (unit, width): (&str, Width),
) -> Drawn {
    let ends = group.rows.iter().map(|row| row.value.high.max(row.value.point));
    let high = ends.fold(0.0, f64::max) * 1.02;
    if high <= 0.0 || !high.is_finite() {
        return Ok(());
    }
    let (left, right) = (EDGE, width.pixels() as i32 - 18);
    let place = |value: f64| {
        let share = (value / high).clamp(0.0, 1.0);
        left + (share * f64::from(right - left)).round() as i32
    };
    area.draw(&Text::new(
        cut(&group.title, LABEL, right - left),
        (left, top + 11),
        bold(LABEL),
    ))?;
    let head = top + HEAD;
    let bottom = head + ROW * group.rows.len() as i32;
    let most = if width == Width::Wide { 8 } else { 4 };
    for tick in axes::linear_ticks(high, most) {
        let x = place(tick);
        area.draw(&PathElement::new(
            vec![(x, head), (x, bottom + 4)],
            palette::INK.mix(0.14),
        ))?;
        let anchor = if tick == 0.0 { HPos::Left } else { HPos::Center };
        area.draw(&Text::new(
            axes::tick(tick, unit),
            (x, bottom + 7),
            words(SMALL, anchor, VPos::Top),
        ))?;
    }
    for (index, row) in group.rows.iter().enumerate() {
        let top = head + ROW * index as i32;
        self::row(area, row, top, (left, right), &place)?;
    }
    Ok(())
}

fn row(
    area: &Area<'_>,
    row: &BarRow,
    top: i32,
    (left, right): (i32, i32),
    place: &dyn Fn(f64) -> i32,
) -> Drawn {
    mark(area, row.provenance, (left + 6, top + 10), 4)?;
    let start = left + 18;
    let room = right - start - text_width(&row.remark, SMALL) - 14;
    area.draw(&Text::new(
        cut(&row.label, LABEL, room),
        (start, top + 10),
        words(LABEL, HPos::Left, VPos::Center),
    ))?;
    backing(area, &row.remark, (right, top + 10))?;
    area.draw(&Text::new(
        row.remark.clone(),
        (right, top + 10),
        quiet(SMALL, HPos::Right, VPos::Center),
    ))?;
    let bar = top + 20;
    let colour = palette::provenance(row.provenance);
    area.draw(&Rectangle::new(
        [(left, bar), (place(row.value.point), bar + BAR)],
        colour.mix(0.75).filled(),
    ))?;
    let (low, high) = (place(row.value.low), place(row.value.high));
    if low < high {
        let y = bar + BAR / 2;
        let style = palette::INK.stroke_width(2);
        area.draw(&PathElement::new(vec![(low, y), (high, y)], style))?;
        for x in [low, high] {
            area.draw(&PathElement::new(vec![(x, y - 4), (x, y + 4)], style))?;
        }
    }
    Ok(())
}
