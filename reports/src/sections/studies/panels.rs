//! Series in panels: no more than eight in one, so that each keeps a colour
//! and a mark of its own.

use crate::document::{Curve, CurvePanel, Spread, printable};
use crate::findings::{MODEL, Series, Study, WORKLOAD, axis_words, name};

/// Series in a panel, at most.
pub(super) const MOST_CURVES: usize = 8;
/// Panels in a figure, at most.
const MOST_PANELS: usize = 6;

/// A point of a series: both spreads, and the seeds behind it.
pub(super) type Point = (Spread, Spread, usize);

/// Panels, and how many series are in none.
pub(super) struct Panels {
    pub(super) panels: Vec<CurvePanel>,
    pub(super) left_out: usize,
}

impl Panels {
    /// Whether anything is drawn.
    pub(super) fn is_empty(&self) -> bool {
        self.panels.iter().all(|panel| panel.curves.is_empty())
    }

    /// The sentence that says what is left out.
    pub(super) fn left_out_text(&self) -> String {
        match self.left_out {
            0 => String::new(),
            n => format!(
                " {n} more, the last of the plan, are in the table only."
            ),
        }
    }
}

/// Arranges series with their points; a series without a point is dropped.
/// `axis` is what they stand along, which no name repeats.
pub(super) fn panels(
    study: &Study<'_>,
    series: Vec<(Series<'_, '_>, Vec<Point>)>,
    axis: Option<&str>,
    connected: bool,
) -> Panels {
    let differing = study.differing();
    let drawn: Vec<(Series<'_, '_>, Vec<Point>)> =
        series.into_iter().filter(|(_, points)| !points.is_empty()).collect();
    let curve = |index: usize, left_out: &[&str], style: usize| {
        let (one, points) = &drawn[index];
        Curve {
            label: format!(
                "{} · {}",
                name(&one.case, &differing, left_out),
                seeds(points)
            ),
            style,
            points: points.iter().map(|(x, y, _)| (*x, *y)).collect(),
            connected,
        }
    };
    let along: Vec<&str> = axis.into_iter().collect();
    if drawn.len() <= MOST_CURVES {
        let curves = (0..drawn.len()).map(|i| curve(i, &along, i)).collect();
        let panels = vec![CurvePanel { title: String::new(), curves }];
        return Panels { panels, left_out: 0 };
    }
    if let Some((split, groups)) = split(study, &drawn, &along) {
        let mut left_out = along.clone();
        left_out.extend(split.iter().map(String::as_str));
        // What is called the same looks the same in every panel.
        let mut names: Vec<String> = Vec::new();
        for (one, _) in &drawn {
            let name = name(&one.case, &differing, &left_out);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let panels = groups
            .into_iter()
            .map(|(title, members)| CurvePanel {
                title,
                curves: members
                    .into_iter()
                    .enumerate()
                    .map(|(place, index)| {
                        let called =
                            name(&drawn[index].0.case, &differing, &left_out);
                        let known = names.iter().position(|n| *n == called);
                        let style = match known {
                            Some(known) if names.len() <= MOST_CURVES => known,
                            Some(_) | None => place,
                        };
                        curve(index, &left_out, style)
                    })
                    .collect(),
            })
            .collect();
        return Panels { panels, left_out: 0 };
    }
    let shown = drawn.len().min(MOST_CURVES * MOST_PANELS);
    let count = shown.div_ceil(MOST_CURVES);
    let each = shown.div_ceil(count);
    let panels = (0..shown)
        .step_by(each)
        .map(|first| {
            let end = (first + each).min(shown);
            CurvePanel {
                title: format!("{} to {end} of {}", first + 1, drawn.len()),
                curves: (first..end)
                    .map(|index| curve(index, &along, index - first))
                    .collect(),
            }
        })
        .collect();
    Panels { panels, left_out: drawn.len() - shown }
}

/// `3 seeds`, `2 to 3 seeds`.
fn seeds(points: &[Point]) -> String {
    let counts = || points.iter().map(|(_, _, n)| *n);
    match (counts().min().unwrap_or(0), counts().max().unwrap_or(0)) {
        (1, 1) => "1 seed".into(),
        (least, most) if least == most => format!("{most} seeds"),
        (least, most) => format!("{least} to {most} seeds"),
    }
}

/// Titles with the indices of their series.
type Groups = Vec<(String, Vec<usize>)>;

/// The one or two axes whose values make the fewest panels that are not too
/// full. An axis of numbers is split last: its values are to be compared.
fn split(
    study: &Study<'_>,
    series: &[(Series<'_, '_>, Vec<Point>)],
    along: &[&str],
) -> Option<(Vec<String>, Groups)> {
    let differing = study.differing();
    let axes: Vec<&String> = differing
        .iter()
        .filter(|axis| !along.contains(&axis.as_str()))
        .collect();
    let singles = axes.iter().map(|axis| vec![(*axis).clone()]);
    let pairs = axes.iter().enumerate().flat_map(|(index, first)| {
        axes[index + 1..]
            .iter()
            .map(|second| vec![(*first).clone(), (*second).clone()])
    });
    singles
        .chain(pairs)
        .filter_map(|split| {
            let groups = groups(series, &split);
            let fullest = groups.iter().map(|(_, m)| m.len()).max()?;
            let fits = fullest <= MOST_CURVES && groups.len() <= MOST_PANELS;
            fits.then_some((split, groups))
        })
        .min_by_key(|(split, groups)| {
            let numbers =
                split.iter().filter(|axis| study.numbers(axis) > 2).count();
            (numbers, groups.len())
        })
}

fn groups(series: &[(Series<'_, '_>, Vec<Point>)], split: &[String]) -> Groups {
    let mut groups: Groups = Vec::new();
    for (index, (one, _)) in series.iter().enumerate() {
        let words = split.iter().map(|axis| match one.case.axis(axis) {
            Some(value) => axis_words(axis, value),
            None if axis == MODEL => one.case.model.clone(),
            None if axis == WORKLOAD => one.case.workload.clone(),
            None => format!("without {axis}"),
        });
        let title = printable(&words.collect::<Vec<_>>().join(", "));
        match groups.iter_mut().find(|(other, _)| *other == title) {
            Some((_, members)) => members.push(index),
            None => groups.push((title, vec![index])),
        }
    }
    groups
}
