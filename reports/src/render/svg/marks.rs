//! Marks and text: a shape for each provenance, and words of a known size.

use assay_schema::Provenance;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Area, Drawn, palette};

/// Text size of labels, pixels on the page. Plotters' back end prints a font
/// of size `s` as `s / 1.24`.
pub(super) const LABEL: f64 = 12.5;
/// Text size of ticks and remarks.
pub(super) const SMALL: f64 = 11.0;

const FAMILY: &str = "system-ui, -apple-system, Segoe UI, sans-serif";
const BACK_END_FACTOR: f64 = 1.24;

/// The font at a size, for a style of one's own.
pub(super) fn sized(size: f64) -> FontDesc<'static> {
    (FAMILY, size * BACK_END_FACTOR).into_font()
}

/// A style for words.
pub(super) fn words(size: f64, h: HPos, v: VPos) -> TextStyle<'static> {
    (FAMILY, size * BACK_END_FACTOR)
        .into_font()
        .color(&palette::INK)
        .pos(Pos::new(h, v))
}

/// A style for less important words.
pub(super) fn quiet(size: f64, h: HPos, v: VPos) -> TextStyle<'static> {
    (FAMILY, size * BACK_END_FACTOR)
        .into_font()
        .color(&palette::INK.mix(0.72))
        .pos(Pos::new(h, v))
}

/// Bold words.
pub(super) fn bold(size: f64) -> TextStyle<'static> {
    (FAMILY, size * BACK_END_FACTOR)
        .into_font()
        .style(FontStyle::Bold)
        .color(&palette::INK)
        .pos(Pos::new(HPos::Left, VPos::Center))
}

/// About how wide a text is, pixels: no font is at hand, so letters of a
/// common sans-serif are taken at 0.54 of the size.
pub(super) fn text_width(text: &str, size: f64) -> i32 {
    (text.chars().count() as f64 * size * 0.54).ceil() as i32
}

/// A text cut to a width, with an ellipsis where it was cut.
pub(super) fn cut(text: &str, size: f64, width: i32) -> String {
    if text_width(text, size) <= width {
        return text.to_owned();
    }
    let letters = (f64::from(width) / (size * 0.54)).floor().max(2.0) as usize;
    let mut cut: String = text.chars().take(letters - 1).collect();
    cut.push('…');
    cut
}

/// A mark at a pixel: a filled disc is measured, a hollow diamond predicted,
/// a filled triangle published.
pub(super) fn mark(
    area: &Area<'_>,
    provenance: Provenance,
    (x, y): (i32, i32),
    size: i32,
) -> Drawn {
    shaped(area, provenance, (x, y), size, palette::provenance(provenance))
}

/// The same shape in another colour.
pub(super) fn shaped(
    area: &Area<'_>,
    provenance: Provenance,
    (x, y): (i32, i32),
    size: i32,
    colour: RGBColor,
) -> Drawn {
    match provenance {
        Provenance::Measured => {
            area.draw(&Circle::new((x, y), size, colour.filled()))
        }
        Provenance::Predicted => {
            let reach = size + 1;
            let corners = vec![
                (x, y - reach),
                (x + reach, y),
                (x, y + reach),
                (x - reach, y),
                (x, y - reach),
                (x + reach, y),
            ];
            area.draw(&Polygon::new(corners.clone(), palette::PAPER.filled()))?;
            area.draw(&PathElement::new(corners, colour.stroke_width(2)))
        }
        Provenance::Published => {
            let reach = size + 1;
            let corners = vec![
                (x, y - reach),
                (x + reach, y + size),
                (x - reach, y + size),
            ];
            area.draw(&Polygon::new(corners, colour.filled()))
        }
    }
}

/// A strip of paper under a small text that ends at a pixel, so that grid
/// lines do not run through it.
pub(super) fn backing(
    area: &Area<'_>,
    text: &str,
    (right, middle): (i32, i32),
) -> Drawn {
    let left = right - text_width(text, SMALL) - 4;
    area.draw(&Rectangle::new(
        [(left, middle - 8), (right + 2, middle + 8)],
        palette::PAPER.filled(),
    ))
}

/// A row of marks with their words, left to right; returns where it ended.
pub(super) fn provenance_legend(
    area: &Area<'_>,
    provenances: &[Provenance],
    (mut x, y): (i32, i32),
) -> Drawn<i32> {
    for provenance in provenances {
        mark(area, *provenance, (x + 6, y), 4)?;
        let word = provenance.to_string();
        area.draw(&Text::new(
            word.clone(),
            (x + 16, y),
            words(LABEL, HPos::Left, VPos::Center),
        ))?;
        x += 16 + text_width(&word, LABEL) + 20;
    }
    Ok(x)
}
