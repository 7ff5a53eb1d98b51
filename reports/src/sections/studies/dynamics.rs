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

/// Arms that look different in a figure; more get another.
const STYLES: usize = 8;

/// Some of the arms, as many as one figure holds.
struct Group<'a> {
    /// Of the figure.
    id: String,
    /// For its title, where there are several.
    remark: String,
    arms: &'a [String],
}

/// All arms, in figures of [`STYLES`].
fn groups<'a>(arms: &'a [String], id: &str) -> Vec<Group<'a>> {
    let count = arms.len().div_ceil(STYLES);
    let group = |(place, arms): (usize, &'a [String])| {
        let number = place + 1;
        let id = match place {
            0 => id.to_owned(),
            _ => format!("{id}-{number}"),
        };
        let remark = match count {
            0 | 1 => String::new(),
            _ => format!(", {number} of {count}"),
        };
        Group { id, remark, arms }
    };
    arms.chunks(STYLES).enumerate().map(group).collect()
}

/// When in an iteration a metric stands.
#[derive(Clone, Copy)]
enum When {
    /// At its end: of the model that it leaves, 0 of the first.
    End,
    /// At its start, where so much less is spent: of its rollouts.
    Start,
}

/// A panel of courses along the share of the budget; an arm that has one
/// point only is not drawn.
fn panel(
    title: &str,
    courses: &[Course],
    drawn: &[String],
    when: When,
) -> CurvePanel {
    let before = match when {
        When::End => 0,
        When::Start => 1,
    };
    let curves = courses
        .iter()
        .filter_map(|course| {
            let style = drawn.iter().position(|arm| *arm == course.arm)?;
            let (last, _) = course.points.last_key_value()?;
            if course.points.len() < 2 {
                return None;
            }
            let points = course.points.iter().map(|(iteration, over)| {
                let done = iteration.saturating_sub(before);
                let spent = done as f64 / *last as f64;
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

/// Arms with a course of any share.
fn drawn(study: &Study<'_>) -> Vec<String> {
    let mut arms: Vec<String> = Vec::new();
    for (metric, _) in SHARES {
        for course in courses(study, metric) {
            if course.points.len() > 1 && !arms.contains(&course.arm) {
                arms.push(course.arm);
            }
        }
    }
    arms
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
    let mut figures = shares(study, id);
    figures.extend(temperatures(study, id));
    figures.extend(timeline(study, id));
    figures
}

fn shares(study: &Study<'_>, id: &str) -> Vec<Figure> {
    let all = SHARES.map(|(metric, title)| (title, courses(study, metric)));
    let arms = drawn(study);
    groups(&arms, &format!("{id}-dynamics"))
        .into_iter()
        .filter_map(|group| shares_of(group, &all))
        .collect()
}

fn shares_of(
    Group { id, remark, arms }: Group<'_>,
    all: &[(&str, Vec<Course>)],
) -> Option<Figure> {
    let panels: Vec<CurvePanel> = all
        .iter()
        .map(|(title, courses)| panel(title, courses, arms, When::End))
        .filter(|panel| !panel.curves.is_empty())
        .collect();
    if panels.is_empty() {
        return None;
    }
    Some(Figure {
        id,
        title: format!("Accuracy and exploration along the training{remark}"),
        caption: "Shares of validation problems: right by the most likely \
            words; with a right reply among several; with one among the two \
            of most reward. The first mark is the model that all arms start \
            from. A mark is the mean over seeds, a bar runs from the smallest \
            to the largest; all of it is measured."
            .into(),
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
fn temperatures(study: &Study<'_>, id: &str) -> Vec<Figure> {
    let mut all = courses(study, TEMPERATURE);
    all.retain(|course| {
        let mut each = course.points.values().map(|over| over.spread);
        let first = each.next();
        each.any(|spread| Some(spread) != first)
    });
    let arms: Vec<String> =
        all.iter().map(|course| course.arm.clone()).collect();
    groups(&arms, &format!("{id}-temperature"))
        .into_iter()
        .filter_map(|group| temperatures_of(group, &all))
        .collect()
}

fn temperatures_of(
    Group { id, remark, arms }: Group<'_>,
    all: &[Course],
) -> Option<Figure> {
    let panel = panel("", all, arms, When::Start);
    (!panel.curves.is_empty()).then(|| Figure {
        id,
        title: format!("Sampling temperature along the training{remark}"),
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
    use assay_schema::{Better, Metric};

    use super::super::arms::tests::{record, study, two_seeds};
    use super::*;

    #[test]
    fn arms_stand_along_the_budget_that_they_share() {
        let records = two_seeds();
        let study = study(&records);
        let drawn = shares(&study, "s");
        let [figure] = drawn.as_slice() else { panic!() };
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
    fn more_arms_than_look_different_get_another_figure() {
        let mut metrics = Vec::new();
        for arm in 0..10 {
            for iteration in ["0", "1"] {
                let name = "quality/greedy_accuracy";
                let one = Metric::value(name, "1", Better::Higher, 0.5);
                let arm = format!("arm-{arm}");
                let at = [("arm", arm.as_str()), ("iteration", iteration)];
                metrics.push(one.at(at));
            }
        }
        let records = [record(metrics)];
        let drawn = shares(&study(&records), "s");
        let of = |figure: &Figure| {
            let Picture::Curves(curves) = &figure.picture else { panic!() };
            let last = curves.panels[0].curves.last().unwrap();
            (figure.id.clone(), last.label.clone())
        };
        let found: Vec<(String, String)> = drawn.iter().map(of).collect();
        let right = [("s-dynamics", "arm-7"), ("s-dynamics-2", "arm-9")]
            .map(|(id, arm)| (id.to_owned(), arm.to_owned()));
        assert_eq!(found, right);
        assert!(drawn[0].title.ends_with(", 1 of 2"), "{}", drawn[0].title);
    }

    #[test]
    fn a_temperature_stands_where_its_iteration_begins() {
        let metrics = [("1", 1.0), ("2", 0.7)].map(|(iteration, value)| {
            Metric::value(TEMPERATURE, "1", Better::Neither, value)
                .at([("arm", "balanced"), ("iteration", iteration)])
        });
        let records = [record(metrics.to_vec())];
        let drawn = temperatures(&study(&records), "s");
        let [figure] = drawn.as_slice() else { panic!() };
        let Picture::Curves(curves) = &figure.picture else { panic!() };
        let points = curves.panels[0].curves[0].points.iter();
        let at: Vec<[f64; 2]> =
            points.map(|(x, y)| [x.point, y.point]).collect();
        assert_eq!(at, [[0.0, 1.0], [0.5, 0.7]]);
    }

    #[test]
    fn a_study_without_a_loop_has_no_figures_of_it() {
        let records = [record(Vec::new())];
        assert!(figures(&study(&records), "s").is_empty());
    }
}
