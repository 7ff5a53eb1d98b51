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

/// An entry of the legend, and its words.
enum Entry {
    /// A part, by its number.
    Part(usize, String),
    Mark(Provenance, String),
}

impl Entry {
    fn words(&self) -> &str {
        match self {
            Self::Part(_, words) | Self::Mark(_, words) => words,
        }
    }
}

/// The parts, the measured mark, and the provenances of bars, in lines.
fn legend_lines(picture: &Stacked, width: Width) -> Vec<Vec<Entry>> {
    let parts = picture.parts.iter().enumerate();
    let parts = parts.map(|(index, word)| Entry::Part(index, word.clone()));
    let mark = picture.mark.map(|word| (Provenance::Measured, word.to_owned()));
    let mut kinds: Vec<Provenance> =
        picture.rows.iter().filter_map(|row| row.provenance).collect();
    kinds.sort();
    kinds.dedup();
    let kinds = kinds.into_iter().map(|kind| (kind, kind.to_string()));
    let marks = mark.into_iter().chain(kinds);
    let marks = marks.map(|(kind, words)| Entry::Mark(kind, words));
    let room = width.pixels() as i32 - 28;
    let mut lines = vec![Vec::new()];
    let mut used = 0;
    for entry in parts.chain(marks) {
        let wide = 18 + text_width(entry.words(), LABEL) + 18;
        if used + wide > room && used > 0 {
            lines.push(Vec::new());
            used = 0;
        }
        used += wide;
        if let Some(line) = lines.last_mut() {
            line.push(entry);
        }
    }
    lines
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
        for entry in line {
            match &entry {
                Entry::Mark(kind, _) => mark(area, *kind, (x + 6, y), 4)?,
                Entry::Part(index, _) => area.draw(&Rectangle::new(
                    [(x, y - 6), (x + 12, y + 6)],
                    palette::part(*index).filled(),
                ))?,
            }
            area.draw(&Text::new(
                entry.words().to_owned(),
                (x + 18, y),
                words(LABEL, HPos::Left, VPos::Center),
            ))?;
            x += 18 + text_width(entry.words(), LABEL) + 18;
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
        let mut start = left;
        if let Some(kind) = row.provenance {
            mark(area, kind, (left + 6, top + 11), 4)?;
            start += 18;
        }
        let room = right - start - text_width(remark, SMALL) - 14;
        area.draw(&Text::new(
            cut(&row.label, LABEL, room),
            (start, top + 11),
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
