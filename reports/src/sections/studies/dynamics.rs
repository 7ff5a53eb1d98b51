//! Loops that generate and then train, drawn: their arms along the iterations,
//! and where their time goes.
//!
//! All arms of a study have the same budget, so that they stand along the
//! share of it that is spent, however many iterations that takes.

use super::arms::{Course, SHARES, TEMPERATURE, TIMES, courses};
use crate::document::{
    Curve, CurvePanel, Curves, Figure, Picture, Scale, Spread, StackRow,
    Stacked, printable, show_bare,
};
use crate::findings::Study;

/// Arms that look different in a figure.
const STYLES: usize = 8;

/// A panel of courses along the share of the budget; an arm that has one
/// point only is not drawn.
fn panel(title: &str, courses: &[Course], drawn: &[String]) -> CurvePanel {
    let curves = courses
        .iter()
        .filter_map(|course| {
            let style = drawn.iter().position(|arm| *arm == course.arm)?;
            let (last, _) = course.points.last_key_value()?;
            if course.points.len() < 2 {
                return None;
            }
            let points = course.points.iter().map(|(iteration, over)| {
                let spent = *iteration as f64 / *last as f64;
                (Spread::exact(spent), over.spread)
            });
            Some(Curve {
                label: printable(&course.arm),
                style,
                points: points.collect(),
                connected: true,
            })
        })
        .collect();
    CurvePanel { title: title.to_owned(), curves }
}

/// Arms with a course of any share, the first [`STYLES`] of them, and how many
/// more there are.
fn drawn(study: &Study<'_>) -> (Vec<String>, usize) {
    let mut arms: Vec<String> = Vec::new();
    for (metric, _) in SHARES {
        for course in courses(study, metric) {
            if course.points.len() > 1 && !arms.contains(&course.arm) {
                arms.push(course.arm);
            }
        }
    }
    let more = arms.len().saturating_sub(STYLES);
    arms.truncate(STYLES);
    (arms, more)
}

fn along_budget() -> Scale {
    Scale {
        name: "share of the budget spent".into(),
        unit: "1",
        logarithmic: false,
        ends: Some((0.0, 1.0)),
    }
}

/// The figures; none without a loop.
pub(super) fn figures(study: &Study<'_>, id: &str) -> Vec<Figure> {
    [shares(study, id), temperatures(study, id), timeline(study, id)]
        .into_iter()
        .flatten()
        .collect()
}

fn shares(study: &Study<'_>, id: &str) -> Option<Figure> {
    let (arms, more) = drawn(study);
    let panels: Vec<CurvePanel> = SHARES
        .into_iter()
        .map(|(metric, title)| panel(title, &courses(study, metric), &arms))
        .filter(|panel| !panel.curves.is_empty())
        .collect();
    if panels.is_empty() {
        return None;
    }
    let more = match more {
        0 => String::new(),
        count => format!(" {count} more arms are in the table only."),
    };
    Some(Figure {
        id: format!("{id}-dynamics"),
        title: "Accuracy and exploration along the training".into(),
        caption: format!(
            "Shares of validation problems: right by the most likely words; \
             with a right reply among several; with one among the two of most \
             reward. The first mark is the model that all arms start from. A \
             mark is the mean over seeds, a bar runs from the smallest to the \
             largest; all of it is measured.{more}"
        ),
        picture: Picture::Curves(Box::new(Curves {
            panels,
            x: along_budget(),
            y: Scale {
                name: "share of problems".into(),
                unit: "1",
                logarithmic: false,
                ends: Some((0.0, 1.0)),
            },
            level: None,
        })),
        // The table of iterations holds the numbers.
        data: None,
    })
}

/// Sampling temperatures, where any arm changes its own.
fn temperatures(study: &Study<'_>, id: &str) -> Option<Figure> {
    let mut all = courses(study, TEMPERATURE);
    all.retain(|course| {
        let mut each = course.points.values().map(|over| over.spread);
        let first = each.next();
        each.any(|spread| Some(spread) != first)
    });
    let arms: Vec<String> =
        all.iter().take(STYLES).map(|course| course.arm.clone()).collect();
    let panel = panel("", &all, &arms);
    (!panel.curves.is_empty()).then(|| Figure {
        id: format!("{id}-temperature"),
        title: "Sampling temperature along the training".into(),
        caption: "Of the arms that balance it, as it was chosen for each \
            iteration's rollouts. A mark is the mean over seeds, a bar runs \
            from the smallest to the largest."
            .into(),
        picture: Picture::Curves(Box::new(Curves {
            panels: vec![panel],
            x: along_budget(),
            y: Scale {
                name: "temperature".into(),
                unit: "1",
                logarithmic: false,
                ends: None,
            },
            level: None,
        })),
        data: None,
    })
}

/// Where the time of each arm goes, its iterations added up.
fn timeline(study: &Study<'_>, id: &str) -> Option<Figure> {
    let parts = TIMES.map(|(metric, _)| courses(study, metric));
    let mut arms: Vec<&str> = Vec::new();
    for course in parts.iter().flatten() {
        if !arms.contains(&course.arm.as_str()) {
            arms.push(&course.arm);
        }
    }
    let rows: Vec<StackRow> = arms
        .into_iter()
        .map(|arm| {
            let spent = |courses: &Vec<Course>| {
                let own = courses.iter().find(|course| course.arm == arm);
                let points =
                    own.into_iter().flat_map(|one| one.points.values());
                points.map(|over| over.spread.point.max(0.0)).sum::<f64>()
            };
            let values: Vec<f64> = parts.iter().map(spent).collect();
            StackRow {
                label: printable(arm),
                remark: show_bare(values.iter().sum(), "s"),
                values,
                provenance: None,
                mark: None,
            }
        })
        .filter(|row| row.values.iter().sum::<f64>() > 0.0)
        .collect();
    (!rows.is_empty()).then(|| Figure {
        id: format!("{id}-timeline"),
        title: "Where the time of the loop goes".into(),
        caption: "Time of all iterations of an arm by part, mean over seeds; \
            measured. Balancing is the choice of a temperature; judging is \
            what the dynamics take, and is no part of the loop."
            .into(),
        picture: Picture::Stacked(Stacked {
            parts: TIMES.iter().map(|(_, word)| (*word).to_owned()).collect(),
            rows,
            unit: "s",
            mark: None,
        }),
        data: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::arms::tests::{record, study, two_seeds};
    use super::*;

    #[test]
    fn arms_stand_along_the_budget_that_they_share() {
        let records = two_seeds();
        let study = study(&records);
        let figure = shares(&study, "s").unwrap();
        let Picture::Curves(curves) = &figure.picture else { panic!() };
        assert_eq!(curves.panels.len(), 1);
        let [slow, quick] = curves.panels[0].curves.as_slice() else {
            panic!()
        };
        assert_eq!((slow.points.len(), quick.points.len()), (3, 5));
        // Half of the budget is the first of two and the second of four.
        let (x, y) = slow.points[1];
        let (also, same) = quick.points[2];
        assert_eq!((x.point, also.point), (0.5, 0.5));
        assert_eq!(y, same);
        assert!((y.point - 0.45).abs() < 1e-12, "{y:?}");
        assert!((y.high - y.low - 0.1).abs() < 1e-12, "{y:?}");
        // The temperature never changed: it has no figure.
        let ids: Vec<String> =
            figures(&study, "s").into_iter().map(|one| one.id).collect();
        assert_eq!(ids, ["s-dynamics", "s-timeline"]);
        let figure = timeline(&study, "s").unwrap();
        let Picture::Stacked(bars) = &figure.picture else { panic!() };
        let total: Vec<f64> =
            bars.rows.iter().map(|row| row.values.iter().sum()).collect();
        assert_eq!(total, [4.0, 8.0]);
    }

    #[test]
    fn a_study_without_a_loop_has_no_figures_of_it() {
        let records = [record(Vec::new())];
        assert!(figures(&study(&records), "s").is_empty());
    }
}
