//! Rooflines: machines of this report large, with named cases; the others as
//! small panels, which share their axes, so that a roof that stands higher is
//! higher.

use assay_schema::Provenance;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::marks::{
    LABEL, SMALL, bold, cut, mark, provenance_legend, quiet, text_width, words,
};
use super::{Area, Drawn, Width, axes, palette};
use crate::document::{Roof, RoofPoint};

const HEAD: i32 = 30;
const SMALL_PANEL: i32 = 218;

fn columns(width: Width) -> usize {
    match width {
        Width::Wide => 3,
        Width::Narrow => 1,
    }
}

/// Height of a panel of a machine of this report, pixels.
fn large_panel(width: Width) -> i32 {
    match width {
        Width::Wide => 430,
        Width::Narrow => 300,
    }
}

/// Pixels.
pub(super) fn height(large: usize, small: usize, width: Width) -> u32 {
    let rows = small.div_ceil(columns(width)) as i32;
    (HEAD + large_panel(width) * large as i32 + SMALL_PANEL * rows)
        .unsigned_abs()
}

/// Draws all panels.
pub(super) fn draw(
    area: &Area<'_>,
    large: &[Roof],
    small: &[Roof],
    width: Width,
) -> Drawn {
    let points = || large.iter().chain(small).flat_map(|r| &r.points);
    let mut provenances: Vec<Provenance> =
        points().map(|point| point.provenance).collect();
    provenances.sort();
    provenances.dedup();
    provenance_legend(area, &provenances, (14, 14))?;
    let full = width.pixels() as i32;
    let mut top = HEAD;
    for roof in large {
        let Some((x, y)) = ranges(std::slice::from_ref(roof)) else {
            continue;
        };
        let panel = Panel {
            x,
            y,
            corner: (0, top),
            size: (full, large_panel(width)),
            large: true,
            named: width == Width::Wide,
        };
        panel.draw(area, roof)?;
        top += large_panel(width);
    }
    let Some((x, y)) = ranges(small) else { return Ok(()) };
    let columns = columns(width);
    let panel_width = full / columns as i32;
    for (index, roof) in small.iter().enumerate() {
        let (row, column) = (index / columns, index % columns);
        let panel = Panel {
            x,
            y,
            corner: (
                column as i32 * panel_width,
                top + row as i32 * SMALL_PANEL,
            ),
            size: (panel_width, SMALL_PANEL),
            large: false,
            named: false,
        };
        panel.draw(area, roof)?;
    }
    Ok(())
}

/// Lowest and highest value of an axis.
type Range = (f64, f64);

/// Intensities and rates that hold the cases and each roof's corner, where
/// its two halves meet.
fn ranges(roofs: &[Roof]) -> Option<(Range, Range)> {
    let points = || roofs.iter().flat_map(|roof| &roof.points);
    let peaks = || roofs.iter().flat_map(|roof| &roof.peaks);
    let corners = roofs.iter().flat_map(|roof| {
        roof.peaks.iter().map(|(_, peak)| peak / roof.bandwidth)
    });
    let rates = points().flat_map(|p| [p.rate.low, p.rate.high]);
    Some((
        axes::log_range(points().map(|p| p.intensity).chain(corners))?,
        axes::log_range(rates.chain(peaks().map(|(_, peak)| *peak)))?,
    ))
}

/// One pair of axes.
struct Panel {
    x: (f64, f64),
    y: (f64, f64),
    corner: (i32, i32),
    size: (i32, i32),
    large: bool,
    /// Whether cases are named: on a phone there is no room.
    named: bool,
}

impl Panel {
    fn left(&self) -> i32 {
        self.corner.0 + if self.large { 84 } else { 66 }
    }
    fn right(&self) -> i32 {
        self.corner.0 + self.size.0 - 14
    }
    fn top(&self) -> i32 {
        self.corner.1 + 44
    }
    fn bottom(&self) -> i32 {
        self.corner.1 + self.size.1 - if self.large { 48 } else { 34 }
    }

    fn place(&self, x: f64, y: f64) -> (i32, i32) {
        let share = |value: f64, (low, high): (f64, f64)| {
            ((value / low).ln() / (high / low).ln()).clamp(0.0, 1.0)
        };
        let across = share(x, self.x) * f64::from(self.right() - self.left());
        let up = share(y, self.y) * f64::from(self.bottom() - self.top());
        (self.left() + across.round() as i32, self.bottom() - up.round() as i32)
    }

    fn draw(&self, area: &Area<'_>, roof: &Roof) -> Drawn {
        let room = self.size.0 - 24;
        area.draw(&Text::new(
            cut(&roof.title, LABEL, room),
            (self.corner.0 + 14, self.corner.1 + 12),
            bold(LABEL),
        ))?;
        area.draw(&Text::new(
            cut(&roof.subtitle, SMALL, room),
            (self.corner.0 + 14, self.corner.1 + 29),
            quiet(SMALL, HPos::Left, VPos::Center),
        ))?;
        self.grid(area)?;
        self.roofs(area, roof)?;
        let mut taken: Vec<[i32; 4]> = Vec::new();
        // Marks first: a name may not cover a mark. Hundreds of cases can
        // stand under one roof; a mark that would cover another of its kind
        // is not drawn again.
        let mut drawn: Vec<(Provenance, i32, i32)> = Vec::new();
        // What was measured is drawn last, over the predictions.
        let mut points: Vec<&RoofPoint> = roof.points.iter().collect();
        points.sort_by_key(|point| std::cmp::Reverse(point.provenance));
        for point in points {
            let (x, y) = self.place(point.intensity, point.rate.point);
            let covers = drawn.iter().any(|(provenance, left, top)| {
                *provenance == point.provenance
                    && (left - x).abs() < 3
                    && (top - y).abs() < 3
            });
            if covers {
                continue;
            }
            drawn.push((point.provenance, x, y));
            let (_, low) = self.place(point.intensity, point.rate.low);
            let (_, high) = self.place(point.intensity, point.rate.high);
            let colour = palette::provenance(point.provenance);
            area.draw(&PathElement::new(
                vec![(x, low), (x, high)],
                colour.mix(0.6),
            ))?;
            let size = if self.large { 4 } else { 3 };
            mark(area, point.provenance, (x, y), size)?;
            taken.push([x - 6, y - 6, x + 6, y + 6]);
        }
        if self.named {
            // Nor may it cross the flat part of a roof.
            taken.extend(roof.peaks.iter().map(|(_, peak)| {
                let (x, y) = self.place(peak / roof.bandwidth, *peak);
                [x, y - 3, self.right(), y + 3]
            }));
            self.names(area, roof, taken)?;
        }
        Ok(())
    }

    fn grid(&self, area: &Area<'_>) -> Drawn {
        let faint = palette::INK.mix(0.14);
        let wide = self.size.0 > 500;
        let most = if wide { 9 } else { 4 };
        for tick in axes::log_ticks(self.x.0, self.x.1, most) {
            let (x, _) = self.place(tick, self.y.0);
            area.draw(&PathElement::new(
                vec![(x, self.top()), (x, self.bottom() + 4)],
                faint,
            ))?;
            area.draw(&Text::new(
                axes::tick(tick, "1"),
                (x, self.bottom() + 7),
                words(SMALL, HPos::Center, VPos::Top),
            ))?;
        }
        for tick in axes::log_ticks(self.y.0, self.y.1, 7) {
            let (_, y) = self.place(self.x.0, tick);
            area.draw(&PathElement::new(
                vec![(self.left() - 4, y), (self.right(), y)],
                faint,
            ))?;
            let text = axes::tick(tick, "FLOP/s").replace("FLOP/s", "");
            let unit = if self.large { "FLOP/s" } else { "" };
            area.draw(&Text::new(
                format!("{}{unit}", text),
                (self.left() - 8, y),
                words(SMALL, HPos::Right, VPos::Center),
            ))?;
        }
        area.draw(&PathElement::new(
            vec![
                (self.left(), self.top()),
                (self.left(), self.bottom()),
                (self.right(), self.bottom()),
            ],
            palette::INK.mix(0.5),
        ))?;
        if self.large {
            area.draw(&Text::new(
                "intensity, FLOP a byte",
                (self.right(), self.bottom() + 25),
                quiet(SMALL, HPos::Right, VPos::Top),
            ))?;
        }
        Ok(())
    }

    /// The bandwidth's slope up to the highest peak, and a flat line a peak.
    fn roofs(&self, area: &Area<'_>, roof: &Roof) -> Drawn {
        let line = palette::INK.mix(0.8).stroke_width(2);
        for (precision, peak) in &roof.peaks {
            let corner = peak / roof.bandwidth;
            // The slope enters where it crosses the left or lower border.
            let from = self.x.0.max(self.y.0 / roof.bandwidth);
            let mut path = Vec::new();
            if from < corner {
                path.push(self.place(from, from * roof.bandwidth));
            }
            path.push(self.place(corner, *peak));
            path.push(self.place(self.x.1, *peak));
            area.draw(&PathElement::new(path, line))?;
            if self.large || roof.peaks.len() > 1 {
                let (_, y) = self.place(self.x.1, *peak);
                area.draw(&Text::new(
                    precision.clone(),
                    (self.right(), y - 4),
                    quiet(SMALL, HPos::Right, VPos::Bottom),
                ))?;
            }
        }
        Ok(())
    }

    /// Names beside marks where they cover nothing; a case is named once.
    fn names(
        &self,
        area: &Area<'_>,
        roof: &Roof,
        mut taken: Vec<[i32; 4]>,
    ) -> Drawn {
        // Where cases were measured, those are the ones to name.
        let measured =
            |point: &&RoofPoint| point.provenance == Provenance::Measured;
        let any_measured = roof.points.iter().any(|p| measured(&p));
        let mut named: Vec<&str> = Vec::new();
        for point in roof.points.iter().filter(|p| !any_measured || measured(p))
        {
            if named.contains(&point.label.as_str()) {
                continue;
            }
            named.push(&point.label);
            let (x, y) = self.place(point.intensity, point.rate.point);
            let text = cut(&point.label, SMALL - 1.0, 190);
            let wide = text_width(&text, SMALL - 1.0);
            let spots = [
                (x + 9, y),
                (x - 9 - wide, y),
                (x + 9, y + 12),
                (x + 9, y - 12),
                (x - 9 - wide, y + 12),
                (x - 9 - wide, y - 12),
                (x - wide / 2, y + 15),
                (x - wide / 2, y - 15),
            ];
            let free = spots.into_iter().find(|(left, middle)| {
                let spot = [*left, middle - 6, left + wide, middle + 6];
                spot[0] > self.left()
                    && spot[2] < self.right()
                    && spot[1] > self.top()
                    && spot[3] < self.bottom()
                    && !taken.iter().any(|other| overlap(&spot, other))
            });
            if let Some((left, middle)) = free {
                taken.push([left, middle - 6, left + wide, middle + 6]);
                area.draw(&Text::new(
                    text,
                    (left, middle),
                    words(SMALL - 1.0, HPos::Left, VPos::Center),
                ))?;
            }
        }
        Ok(())
    }
}

fn overlap(a: &[i32; 4], b: &[i32; 4]) -> bool {
    a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
}
