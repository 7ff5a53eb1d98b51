//! Two logarithmic axes of the same times: a grid, the diagonal where they
//! are equal, a strip within 20 %.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::marks::{SMALL, words};
use super::{Area, Drawn, axes, palette};

/// The strip's half width, as a ratio.
const STRIP: f64 = 1.2;

/// The plane of a picture, pixels and seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Square {
    /// Least and greatest time of both axes.
    pub(super) times: (f64, f64),
    pub(super) left: i32,
    pub(super) right: i32,
    pub(super) top: i32,
    pub(super) bottom: i32,
    /// Whether the vertical axis names its ticks.
    pub(super) names_rows: bool,
}

impl Square {
    /// Where a pair of times stands.
    pub(super) fn place(&self, x: f64, y: f64) -> (i32, i32) {
        let (low, high) = self.times;
        let share = |value: f64| {
            ((value / low).ln() / (high / low).ln()).clamp(0.0, 1.0)
        };
        let (width, height) = (self.right - self.left, self.bottom - self.top);
        (
            self.left + (share(x) * f64::from(width)).round() as i32,
            self.bottom - (share(y) * f64::from(height)).round() as i32,
        )
    }

    /// Strip and grid, with at most `most` ticks.
    pub(super) fn draw(&self, area: &Area<'_>, most: usize) -> Drawn {
        let (low, high) = self.times;
        area.draw(&Polygon::new(
            vec![
                self.place(low, low * STRIP),
                self.place(high / STRIP, high),
                self.place(high, high),
                self.place(high, high / STRIP),
                self.place(low * STRIP, low),
                self.place(low, low),
            ],
            palette::INK.mix(0.07).filled(),
        ))?;
        for tick in axes::log_ticks(low, high, most) {
            let ((x, _), (_, y)) =
                (self.place(tick, low), self.place(low, tick));
            let faint = palette::INK.mix(0.14);
            area.draw(&PathElement::new(
                vec![(x, self.top), (x, self.bottom + 4)],
                faint,
            ))?;
            area.draw(&PathElement::new(
                vec![(self.left - 4, y), (self.right, y)],
                faint,
            ))?;
            let text = axes::tick(tick, "s");
            area.draw(&Text::new(
                text.clone(),
                (x, self.bottom + 7),
                words(SMALL, HPos::Center, VPos::Top),
            ))?;
            if self.names_rows {
                area.draw(&Text::new(
                    text,
                    (self.left - 8, y),
                    words(SMALL, HPos::Right, VPos::Center),
                ))?;
            }
        }
        Ok(())
    }

    /// The diagonal, under few marks or over many.
    pub(super) fn diagonal(&self, area: &Area<'_>) -> Drawn {
        let (low, high) = self.times;
        area.draw(&PathElement::new(
            vec![self.place(low, low), self.place(high, high)],
            palette::INK.mix(0.6),
        ))
    }

    /// The edges of the strip, where marks cover it.
    pub(super) fn edges(&self, area: &Area<'_>) -> Drawn {
        let (low, high) = self.times;
        for ends in [
            [self.place(low, low * STRIP), self.place(high / STRIP, high)],
            [self.place(low * STRIP, low), self.place(high, high / STRIP)],
        ] {
            area.draw(&PathElement::new(
                ends.to_vec(),
                palette::INK.mix(0.45),
            ))?;
        }
        Ok(())
    }
}
