//! Searches over shapes: what each shape costs on a target, which of them no
//! other beats, how well the prediction orders what was measured here, and
//! what training the finalists gave.
//!
//! Any study whose metrics stand at a `candidate` and a `set` (`front`,
//! `sample`, `published`; `finalist` stands in tables alone) is drawn. A
//! picture shows one search, the first of those that differ in their seed;
//! distances, front sizes and losses are of all of them.

use std::collections::BTreeMap;

use assay_schema::{Provenance, Record};

use super::accuracy::over;
use crate::document::{
    Agreement, AgreementPoint, Cell, Column, Curve, CurvePanel, Curves, Figure,
    Picture, Scale, Spread, Table, printable,
};
use crate::findings::{OverSeeds, Study, StudySetting, name};

/// Where a metric of a shape stands.
const CANDIDATE: &str = "candidate";
const SET: &str = "set";
/// Its sets: none of the others beats it; drawn for comparison; others' work.
const FRONT: &str = "front";
const SAMPLE: &str = "sample";
const PUBLISHED: &str = "published";

/// Metric, unit, title and key of what is predicted of a shape.
const COSTS: [(&str, &str, &str, &str); 4] = [
    ("quality/prefill", "s", "Prefill", "prefill_s"),
    ("quality/decode", "s", "Decode step", "decode_s"),
    ("quality/memory", "B", "Memory", "memory_bytes"),
    ("quality/parameters", "1", "Parameters", "parameters"),
];
const PREFILL: usize = 0;
const DECODE: usize = 1;

const LOSS: &str = "quality/heldout_loss";
const FINALIST: &str = "quality/finalist_decode";
const DISTANCE: &str = "quality/front_distance";
const SIZE: &str = "quality/front_size";
const MEASURED: &str = "quality/measured_time";
const PREDICTED: &str = "quality/predicted_time";
const CORRELATION: &str = "quality/rank_correlation";
/// Phases that are timed.
const PHASES: [&str; 2] = ["decode", "prefill"];
/// Fewer shapes than this make no picture.
const LEAST: usize = 3;
/// Longer tables are left to CSV by Markdown and LaTeX.
const LONG: usize = 40;

/// A shape and its costs, in the order of [`COSTS`].
#[derive(Clone, Debug, PartialEq)]
struct Shape<'a> {
    name: &'a str,
    set: &'a str,
    costs: [Option<f64>; 4],
}

/// The shapes of a search, by set and name.
fn shapes(record: &Record) -> Vec<Shape<'_>> {
    let mut met: BTreeMap<(&str, &str), [Option<f64>; 4]> = BTreeMap::new();
    for (place, (metric, ..)) in COSTS.iter().enumerate() {
        for (at, value) in record.metric_values(metric) {
            let (Some(name), Some(set)) = (at.get(CANDIDATE), at.get(SET))
            else {
                continue;
            };
            let costs = met.entry((set.as_str(), name.as_str())).or_default();
            if value.is_finite() {
                costs[place] = Some(value);
            }
        }
    }
    met.into_iter()
        .map(|((set, name), costs)| Shape { name, set, costs })
        .collect()
}

/// Held-out losses of the finalists by name, over the seeds of all records.
fn losses<'a>(setting: &'a StudySetting<'_>) -> BTreeMap<&'a str, OverSeeds> {
    let mut by_name: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for record in &setting.records {
        for (at, loss) in record.metric_values(LOSS) {
            if let Some(name) = at.get(CANDIDATE) {
                by_name.entry(name).or_default().push(loss);
            }
        }
    }
    by_name
        .into_iter()
        .filter_map(|(name, losses)| Some((name, OverSeeds::of(losses)?)))
        .collect()
}

/// A setting of a search, told by its first record.
struct Search<'s, 'a> {
    label: String,
    setting: &'s StudySetting<'a>,
    shapes: Vec<Shape<'s>>,
}

/// The settings that have shapes.
fn searches<'s, 'a>(study: &'s Study<'a>) -> Vec<Search<'s, 'a>> {
    let differing = study.differing();
    study
        .settings
        .iter()
        .filter_map(|setting| {
            let shapes = shapes(setting.records.first()?);
            let label = name(&setting.case, &differing, &[]);
            (!shapes.is_empty()).then_some(Search { label, setting, shapes })
        })
        .collect()
}

/// How the searches came out, in a sentence each; `None` without one.
pub(super) fn remarks(study: &Study<'_>) -> Option<String> {
    let mut said = Vec::new();
    for Search { label, setting, .. } in searches(study) {
        let mut parts = Vec::new();
        if let Some(size) = setting.metric(SIZE) {
            let Spread { point, low, high } = size.spread;
            parts.push(if size.n > 1 {
                format!(
                    "{point:.0} shapes are on the front, {low:.0} to \
                     {high:.0} over {} seeds",
                    size.n
                )
            } else {
                format!("{point:.0} shapes are on the front")
            });
        }
        for phase in PHASES {
            let at = |name: &str| setting.metric_at(name, "phase", phase);
            let low = at("quality/rank_correlation_low");
            let high = at("quality/rank_correlation_high");
            let (Some(mid), Some(low), Some(high)) =
                (at(CORRELATION), low, high)
            else {
                continue;
            };
            parts.push(format!(
                "{phase} is ordered as measured with a rank correlation of \
                 {:.3} ({:.3} to {:.3})",
                mid.spread.point, low.spread.point, high.spread.point
            ));
        }
        for shape in setting.places(DISTANCE, CANDIDATE) {
            let found = setting.metric_at(DISTANCE, CANDIDATE, &shape);
            let Some(found) = found else { continue };
            let Spread { point, low, high } = found.spread;
            let [percent, low, high] = [point, low, high].map(|x| x * 100.0);
            let mut part = format!(
                "{} is {percent:.1} % from the front",
                printable(&shape)
            );
            if found.n > 1 {
                part.push_str(&format!(
                    " ({low:.1} to {high:.1} over {} seeds)",
                    found.n
                ));
            }
            parts.push(part);
        }
        if !parts.is_empty() {
            said.push(format!("{label}: {}.", parts.join("; ")));
        }
    }
    (!said.is_empty()).then(|| said.join(" "))
}

/// The front of each search, the finalists' losses, and predicted against
/// measured times.
pub(super) fn figures(study: &Study<'_>, id: &str) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (index, search) in searches(study).into_iter().enumerate() {
        let Search { label, setting, shapes } = search;
        let id = format!("{id}-{}", index + 1);
        let seeds = setting.records.len();
        figures.extend(front(&label, &shapes, &id, seeds));
        figures.extend(finalists(&label, setting, &shapes, &id));
        figures.extend(agreement(&label, setting, &id));
    }
    figures
}

fn scale(name: &str, unit: &'static str, logarithmic: bool) -> Scale {
    Scale { name: name.into(), unit, logarithmic, ends: None }
}

/// Decode against prefill; the front's members, others, and published shapes.
fn front(
    label: &str,
    shapes: &[Shape<'_>],
    id: &str,
    seeds: usize,
) -> Option<Figure> {
    let which = match seeds {
        0 | 1 => String::new(),
        seeds => format!(" Shapes of the first of {seeds} seeds."),
    };
    let points = |wanted: &dyn Fn(&Shape<'_>) -> bool| {
        let mut points: Vec<(Spread, Spread)> = shapes
            .iter()
            .filter(|shape| wanted(shape))
            .filter_map(|shape| shape.costs[PREFILL].zip(shape.costs[DECODE]))
            .filter(|(prefill, decode)| *prefill > 0.0 && *decode > 0.0)
            .map(|(x, y)| (Spread::exact(x), Spread::exact(y)))
            .collect();
        points.sort_by(|a, b| a.0.point.total_cmp(&b.0.point));
        points
    };
    let curve = |label: String, style, points| Curve {
        label,
        style,
        points,
        connected: false,
    };
    let mut curves = vec![
        curve("front".into(), 0, points(&|shape| shape.set == FRONT)),
        curve("other shapes".into(), 7, points(&|shape| shape.set == SAMPLE)),
    ];
    let known = shapes.iter().filter(|shape| shape.set == PUBLISHED);
    for (style, own) in known.enumerate() {
        let points = points(&|shape| shape == own);
        curves.insert(style, curve(printable(own.name), 1 + style % 6, points));
    }
    curves.retain(|curve| !curve.points.is_empty());
    (!curves.is_empty()).then(|| Figure {
        id: format!("{id}-front"),
        title: format!("Decode against prefill: {label}"),
        caption: format!(
            "Predicted; lower and further left is better. A member of the \
             front is beaten by no shape of the search in prefill, decode and \
             memory at once, so that some of them seem beaten here, where \
             memory is not drawn. Both axes are logarithmic.{which}"
        ),
        picture: Picture::Curves(Box::new(Curves {
            panels: vec![CurvePanel { title: String::new(), curves }],
            x: scale("prefill", "s", true),
            y: scale("decode step", "s", true),
            level: None,
        })),
        data: Some(data(shapes, id)),
    })
}

/// All shapes drawn, for CSV.
fn data(shapes: &[Shape<'_>], id: &str) -> Table {
    let mut columns =
        vec![Column::words("Shape", "shape"), Column::words("Set", "set")];
    columns.extend(
        COSTS.iter().map(|(_, _, title, key)| Column::exact(title, key)),
    );
    let mut table = Table::new(format!("{id}-front"), "Shapes", columns);
    table.rows = shapes.iter().map(row).collect();
    table
}

fn row(shape: &Shape<'_>) -> Vec<Cell> {
    let mut row = vec![Cell::name(shape.name), Cell::text(shape.set)];
    row.extend(COSTS.iter().zip(shape.costs).map(|((_, unit, ..), cost)| {
        cost.map_or_else(Cell::none, |cost| {
            Cell::value(cost, unit, Provenance::Predicted)
        })
    }));
    row
}

/// Held-out loss against the predicted decode step.
fn finalists(
    label: &str,
    setting: &StudySetting<'_>,
    shapes: &[Shape<'_>],
    id: &str,
) -> Option<Figure> {
    let curves: Vec<Curve> = losses(setting)
        .into_iter()
        .filter_map(|(name, loss)| {
            let decode = decode_of(setting, shapes, name)?;
            Some((name, Spread::exact(decode), loss.spread))
        })
        .enumerate()
        .map(|(style, (name, decode, loss))| Curve {
            label: printable(name),
            style: style % 8,
            points: vec![(decode, loss)],
            connected: false,
        })
        .collect();
    (!curves.is_empty()).then(|| Figure {
        id: format!("{id}-finalists"),
        title: format!("Held-out loss against decode: {label}"),
        caption: "Lower and further left is better. The loss is measured, \
            after equal tokens, a mean over seeds with bars from the \
            smallest to the largest; the decode step is predicted."
            .into(),
        picture: Picture::Curves(Box::new(Curves {
            panels: vec![CurvePanel { title: String::new(), curves }],
            x: scale("decode step, predicted", "s", true),
            y: scale("held-out loss, nat", "1", false),
            level: None,
        })),
        // The table of shapes holds the numbers.
        data: None,
    })
}

/// A finalist's predicted decode step: its own, else that of the shape of its
/// name.
fn decode_of(
    setting: &StudySetting<'_>,
    shapes: &[Shape<'_>],
    name: &str,
) -> Option<f64> {
    let own = setting.metric_at(FINALIST, CANDIDATE, name);
    let of_shape = shapes
        .iter()
        .filter(|shape| shape.name == name)
        .find_map(|shape| shape.costs[DECODE]);
    own.map(|own| own.spread.point)
        .or(of_shape)
        .filter(|seconds| *seconds > 0.0)
}

/// A shape's time in one phase, measured and predicted.
struct Timed<'a> {
    shape: &'a str,
    measured: f64,
    predicted: f64,
}

/// The shapes that were timed in a phase.
fn timed<'a>(record: &'a Record, phase: &'a str) -> Vec<Timed<'a>> {
    record
        .metric_values(MEASURED)
        .filter(|(at, _)| at.get("phase").is_some_and(|own| own == phase))
        .filter_map(|(at, measured)| {
            let shape = at.get(CANDIDATE)?.as_str();
            let at = [(CANDIDATE, shape), ("phase", phase)];
            let predicted = record.metric_at(PREDICTED, &at)?;
            let is_time = |time: f64| time.is_finite() && time > 0.0;
            (is_time(measured) && is_time(predicted)).then_some(Timed {
                shape,
                measured,
                predicted,
            })
        })
        .collect()
}

/// Predicted over measured, a figure a phase.
fn agreement(label: &str, setting: &StudySetting<'_>, id: &str) -> Vec<Figure> {
    let Some(record) = setting.records.first() else { return Vec::new() };
    let figure = |phase: &str| {
        let timed = timed(record, phase);
        if timed.len() < LEAST {
            return None;
        }
        let id = format!("{id}-agreement-{phase}");
        let title = format!("Predicted over measured {phase}: {label}");
        let mut data = Table::new(
            id.clone(),
            title.clone(),
            vec![
                Column::words("Shape", "shape"),
                Column::exact("Measured", "measured_s"),
                Column::exact("Predicted", "predicted_s"),
            ],
        );
        let cell = |time, provenance| Cell::value(time, "s", provenance);
        data.rows.extend(timed.iter().map(|one| {
            vec![
                Cell::name(one.shape),
                cell(one.measured, Provenance::Measured),
                cell(one.predicted, Provenance::Predicted),
            ]
        }));
        let points = timed.iter().map(|one| AgreementPoint {
            observed: Spread::exact(one.measured),
            predicted: Spread::exact(one.predicted),
            provenance: Provenance::Measured,
        });
        Some(Figure {
            id,
            title,
            caption: format!(
                "{} shapes of the search, timed on this machine. On the \
                 diagonal the prediction is right; a search needs the order \
                 alone.",
                timed.len()
            ),
            picture: Picture::Agreement(Agreement { points: points.collect() }),
            data: Some(data),
        })
    };
    PHASES.into_iter().filter_map(figure).collect()
}

/// The fronts, and published shapes, with the losses of those that were
/// trained; `None` without a search.
pub(super) fn table(study: &Study<'_>, id: &str) -> Option<Table> {
    let searches = searches(study);
    if searches.is_empty() {
        return None;
    }
    let mut columns = vec![
        Column::words("Search", "search"),
        Column::words("Shape", "shape"),
        Column::words("Set", "set"),
    ];
    columns.extend(
        COSTS.iter().map(|(_, _, title, key)| Column::exact(title, key)),
    );
    columns.push(Column::numbers("Held-out loss (nat)", "heldout_loss_nat"));
    let mut table = Table::new(
        format!("{id}-fronts"),
        "Members of the fronts, finalists and published shapes: costs are \
         predicted for the search's target; losses are measured after equal \
         tokens, a mean over seeds (smallest to largest)",
        columns,
    );
    for Search { label, setting, shapes } in &searches {
        let losses = losses(setting);
        for shape in shapes {
            let loss = losses.get(shape.name);
            if shape.set == SAMPLE && loss.is_none() {
                continue;
            }
            let mut cells = vec![Cell::text(label)];
            cells.extend(row(shape));
            cells.push(loss.map_or_else(Cell::none, |loss| over(loss, "1")));
            table.rows.push(cells);
        }
    }
    table.bulk = table.rows.len() > LONG;
    Some(table)
}

#[cfg(test)]
mod tests {
    use assay_schema::{Better, Case, Metric, Moment, Outcome, StopReason};

    use super::*;

    fn record() -> Record {
        let metric = |name: &str, value, at: &[(&str, &str)]| {
            let one = Metric::value(name, "1", Better::Lower, value);
            (None, one.at(at.iter().copied()))
        };
        let mut metrics = Vec::new();
        for (shape, set, prefill, decode) in [
            ("a", FRONT, 1.0, 2.0),
            ("b", SAMPLE, 2.0, 3.0),
            ("c", SAMPLE, 4.0, f64::NAN),
            ("known", PUBLISHED, 3.0, 3.0),
        ] {
            let at = [(CANDIDATE, shape), (SET, set)];
            metrics.push(metric("quality/prefill", prefill, &at));
            metrics.push(metric("quality/decode", decode, &at));
        }
        for (seed, loss) in [("1", 4.0), ("2", 5.0)] {
            let at = [(CANDIDATE, "b"), ("seed", seed)];
            metrics.push(metric(LOSS, loss, &at));
        }
        metrics.push(metric(DISTANCE, 0.25, &[(CANDIDATE, "known")]));
        for (name, value) in [
            (CORRELATION, 0.97),
            ("quality/rank_correlation_low", 0.9),
            ("quality/rank_correlation_high", 0.99),
        ] {
            metrics.push(metric(name, value, &[("phase", "decode")]));
        }
        for (shape, time) in [("a", 1.0), ("b", 2.0), ("known", 3.0)] {
            let at = [(CANDIDATE, shape), ("phase", "decode")];
            metrics.push(metric(MEASURED, time, &at));
            metrics.push(metric(PREDICTED, 1.1 * time, &at));
        }
        Record {
            case: "w/candidate/search target=host".parse().unwrap(),
            started: Moment(0),
            device: "cpu".into(),
            work: None,
            verification: None,
            samples: Vec::new(),
            metrics,
            pictures: Vec::new(),
            warnings: Vec::new(),
            outcome: Outcome::Finished(StopReason::Completed),
        }
    }

    fn study(record: &Record) -> Study<'_> {
        let case: Case = record.case.clone();
        Study {
            experiment: "front".into(),
            machine: "m",
            settings: vec![StudySetting {
                case,
                records: vec![record],
                planned: 1,
            }],
            published: &[],
            models: Vec::new(),
        }
    }

    #[test]
    fn a_search_is_its_front_its_finalists_and_what_is_published() {
        let record = record();
        let study = study(&record);
        let figures = figures(&study, "id");
        let ids: Vec<&str> =
            figures.iter().map(|figure| figure.id.as_str()).collect();
        assert_eq!(
            ids,
            ["id-1-front", "id-1-finalists", "id-1-agreement-decode"]
        );
        let Picture::Curves(curves) = &figures[0].picture else {
            panic!("no curves")
        };
        // A shape without one of its times is not drawn.
        let drawn: Vec<(&str, usize)> = curves.panels[0]
            .curves
            .iter()
            .map(|curve| (curve.label.as_str(), curve.points.len()))
            .collect();
        assert_eq!(drawn, [("known", 1), ("front", 1), ("other shapes", 1)]);
        let table = table(&study, "id").unwrap();
        // The front, the finalist, the published shape.
        assert_eq!(table.rows.len(), 3);
        let said = remarks(&study).unwrap();
        assert!(said.contains("0.970 (0.900 to 0.990)"), "{said}");
        assert!(said.contains("known is 25.0 % from the front"), "{said}");
    }

    #[test]
    fn without_a_search_there_is_nothing_to_say() {
        let mut record = record();
        record.metrics.clear();
        let study = study(&record);
        assert!(figures(&study, "id").is_empty());
        assert!(table(&study, "id").is_none());
        assert!(remarks(&study).is_none());
    }
}
