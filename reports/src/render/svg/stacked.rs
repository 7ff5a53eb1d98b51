//! Stacked bars from zero, with a mark at what was measured.

use assay_schema::Provenance;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::marks::{
    LABEL, SMALL, backing, cut, mark, quiet, text_width, words,
};
use super::{Area, Drawn, Width, axes, palette};
use crate::document::Stacked;

const ROW: i32 = 40;
const LEGEND_LINE: i32 = 22;
const FOOT: i32 = 30;
const BAR: i32 = 12;

/// The legend's entries as lines of part numbers; the last entry of all is
/// the measured mark.
fn legend_lines(picture: &Stacked, width: Width) -> Vec<Vec<usize>> {
    let room = width.pixels() as i32 - 28;
    let mut lines = vec![Vec::new()];
    let mut used = 0;
    for index in 0..=picture.parts.len() {
        let word = legend_word(picture, index);
        let entry = 18 + text_width(word, LABEL) + 18;
        if used + entry > room && used > 0 {
            lines.push(Vec::new());
            used = 0;
        }
        used += entry;
        if let Some(line) = lines.last_mut() {
            line.push(index);
        }
    }
    lines
}

fn legend_word(picture: &Stacked, index: usize) -> &'static str {
    picture.parts.get(index).copied().unwrap_or("measured peak")
}

/// Pixels.
pub(super) fn height(picture: &Stacked, width: Width) -> u32 {
    let legend = legend_lines(picture, width).len() as i32 * LEGEND_LINE + 12;
    (legend + FOOT + ROW * picture.rows.len() as i32).unsigned_abs()
}

/// Draws the bars.
pub(super) fn draw(area: &Area<'_>, picture: &Stacked, width: Width) -> Drawn {
    let total = |values: &[f64]| values.iter().sum::<f64>();
    let high = picture
        .rows
        .iter()
        .map(|row| total(&row.values).max(row.mark.unwrap_or(0.0)))
        .fold(0.0, f64::max)
        * 1.02;
    if high <= 0.0 || !high.is_finite() {
        return Ok(());
    }
    let (left, right) = (14, width.pixels() as i32 - 18);
    let place = |value: f64| {
        left + (value / high * f64::from(right - left)).round() as i32
    };
    let mut y = 14;
    for line in legend_lines(picture, width) {
        let mut x = left;
        for index in line {
            let word = legend_word(picture, index);
            if index == picture.parts.len() {
                mark(area, Provenance::Measured, (x + 6, y), 4)?;
            } else {
                area.draw(&Rectangle::new(
                    [(x, y - 6), (x + 12, y + 6)],
                    palette::part(index).filled(),
                ))?;
            }
            area.draw(&Text::new(
                word,
                (x + 18, y),
                words(LABEL, HPos::Left, VPos::Center),
            ))?;
            x += 18 + text_width(word, LABEL) + 18;
        }
        y += LEGEND_LINE;
    }
    let head = y - 2;
    let bottom = head + ROW * picture.rows.len() as i32;
    let most = if width == Width::Wide { 8 } else { 4 };
    for tick in axes::linear_ticks(high, most) {
        let x = place(tick);
        area.draw(&PathElement::new(
            vec![(x, head), (x, bottom + 4)],
            palette::INK.mix(0.14),
        ))?;
        let anchor = if tick == 0.0 { HPos::Left } else { HPos::Center };
        area.draw(&Text::new(
            axes::tick(tick, picture.unit),
            (x, bottom + 7),
            words(SMALL, anchor, VPos::Top),
        ))?;
    }
    for (index, row) in picture.rows.iter().enumerate() {
        let top = head + ROW * index as i32;
        let remark = match width {
            Width::Wide => row.remark.as_str(),
            Width::Narrow => row.remark.split(',').next().unwrap_or_default(),
        };
        let room = right - left - text_width(remark, SMALL) - 14;
        area.draw(&Text::new(
            cut(&row.label, LABEL, room),
            (left, top + 11),
            words(LABEL, HPos::Left, VPos::Center),
        ))?;
        backing(area, remark, (right, top + 11))?;
        area.draw(&Text::new(
            remark.to_owned(),
            (right, top + 11),
            quiet(SMALL, HPos::Right, VPos::Center),
        ))?;
        let mut from = 0.0;
        let bar = top + 22;
        for (part, value) in row.values.iter().enumerate() {
            let (start, end) = (place(from), place(from + value));
            from += value;
            if end > start {
                area.draw(&Rectangle::new(
                    [(start, bar), (end, bar + BAR)],
                    palette::part(part).filled(),
                ))?;
            }
        }
        if let Some(measured) = row.mark {
            let x = place(measured);
            area.draw(&PathElement::new(
                vec![(x, bar - 3), (x, bar + BAR + 3)],
                palette::INK.stroke_width(2),
            ))?;
            mark(area, Provenance::Measured, (x, bar + BAR / 2), 4)?;
        }
    }
    Ok(())
}
