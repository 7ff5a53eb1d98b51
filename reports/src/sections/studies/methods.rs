//! Generative methods: how near their pictures come to real ones, against
//! what a picture costs, measured here; and the same of what others
//! published, in a figure of its own, since other pictures were judged.

use std::collections::BTreeMap;

use assay_schema::{Case, Provenance, PublishedPoint};

use super::accuracy::over;
use crate::document::{
    Cell, Column, Curve, CurvePanel, Curves, Figure, Picture, Scale, Spread,
    Table, printable,
};
use crate::findings::{OverSeeds, Study, number};

/// Fréchet distance of a method's pictures from real ones.
const DISTANCE: &str = "quality/frechet_distance";
/// Time of a picture, batch 1.
const TIME: &str = "quality/sampling_time";
/// Arithmetic of a picture, counted by the trace.
const TRACED: &str = "quality/flops_traced";
/// Coordinates of both.
const METHOD: &str = "method";
const STEPS: &str = "steps";
/// Lines that look different.
const STYLES: usize = 8;

/// Metric, unit, title and key of the table's columns.
const COLUMNS: [(&str, &str, &str, &str); 5] = [
    (DISTANCE, "1", "Fréchet distance", "frechet_distance"),
    ("quality/agreement", "1", "Caption agreement", "agreement"),
    ("quality/straightness", "1", "Straightness", "straightness"),
    (TIME, "s", "Time a picture", "sampling_time_s"),
    (TRACED, "FLOP", "FLOPs a picture", "flops"),
];

/// A method with its steps, as metrics name them.
type Place = (String, String);

/// The places at which any column has a value, in the order met.
fn places(study: &Study<'_>) -> Vec<Place> {
    let mut met: Vec<Place> = Vec::new();
    let records = study.settings.iter().flat_map(|one| &one.records);
    for record in records {
        for (metric, ..) in COLUMNS {
            for (at, _) in record.metric_values(metric) {
                let word = |axis| at.get(axis).cloned().unwrap_or_default();
                let place = (word(METHOD), word(STEPS));
                if !place.0.is_empty() && !met.contains(&place) {
                    met.push(place);
                }
            }
        }
    }
    // A method's rows stand together, by steps.
    let order: Vec<String> = met.iter().map(|(name, _)| name.clone()).collect();
    met.sort_by(|a, b| {
        let first = |name| order.iter().position(|known| known == name);
        let steps = |(_, steps): &Place| number(steps).unwrap_or(0.0);
        first(&a.0)
            .cmp(&first(&b.0))
            .then_with(|| steps(a).total_cmp(&steps(b)))
    });
    met
}

/// A metric at a place, over the seeds of all settings that have it: settings
/// of one study that differ share their methods' names.
fn value(
    study: &Study<'_>,
    metric: &str,
    (method, steps): &Place,
) -> Option<OverSeeds> {
    let mut at = vec![(METHOD, method.as_str())];
    if !steps.is_empty() {
        at.push((STEPS, steps.as_str()));
    }
    let records = study.settings.iter().flat_map(|one| &one.records);
    OverSeeds::of(records.filter_map(|record| record.metric_at(metric, &at)))
}

/// The table of methods; `None` without one.
pub(super) fn table(study: &Study<'_>, id: &str) -> Option<Table> {
    let places = places(study);
    if places.is_empty() {
        return None;
    }
    let mut columns =
        vec![Column::words("Method", METHOD), Column::words("Steps", STEPS)];
    columns.extend(
        COLUMNS.iter().map(|(_, _, title, key)| Column::numbers(title, key)),
    );
    let mut table = Table::new(
        format!("{id}-methods"),
        "Methods: mean over seeds (smallest to largest), on captions never \
         trained on; `data` is what real pictures reach, the floor",
        columns,
    );
    let mut last = None;
    for place in &places {
        // What is of a method whatever its steps stands in its first row.
        let whole = (place.0.clone(), String::new());
        let first = last != Some(&place.0);
        let stepped = |other: &&Place| other.0 == place.0 && *other != &whole;
        if *place == whole && places.iter().any(|other| stepped(&other)) {
            continue;
        }
        last = Some(&place.0);
        let mut row = vec![Cell::text(&place.0), Cell::text(&place.1)];
        row.extend(COLUMNS.iter().map(|(metric, unit, ..)| {
            let found = value(study, metric, place);
            let whole = first.then(|| value(study, metric, &whole));
            match found.or(whole.flatten()) {
                Some(found) if *metric == TRACED => Cell::range(
                    found.spread,
                    found.n,
                    unit,
                    Provenance::Predicted,
                ),
                Some(found) => over(&found, unit),
                None => Cell::none(),
            }
        }));
        table.rows.push(row);
    }
    Some(table)
}

/// Fréchet distance against the time of a picture; a method is a line over
/// its steps.
pub(super) fn against_time(study: &Study<'_>, id: &str) -> Option<Figure> {
    let mut curves: Vec<Curve> = Vec::new();
    for place in &places(study) {
        let point = value(study, TIME, place)
            .filter(|time| time.spread.low > 0.0)
            .zip(value(study, DISTANCE, place))
            .filter(|(_, distance)| distance.spread.low > 0.0);
        let Some((time, distance)) = point else { continue };
        let point = (time.spread, distance.spread);
        match curves.iter_mut().find(|curve| curve.label == place.0) {
            Some(curve) => curve.points.push(point),
            None => curves.push(Curve {
                label: printable(&place.0),
                style: curves.len(),
                points: vec![point],
                connected: true,
            }),
        }
    }
    let left_out = curves.len().saturating_sub(STYLES);
    curves.truncate(STYLES);
    if curves.is_empty() {
        return None;
    }
    for curve in &mut curves {
        curve.points.sort_by(|a, b| a.0.point.total_cmp(&b.0.point));
    }
    let more = match left_out {
        0 => String::new(),
        count => format!(" {count} more are in the table only."),
    };
    Some(Figure {
        id: format!("{id}-frechet"),
        title: "Distance from real pictures against the time of one".into(),
        caption: format!(
            "Lower and further left is better. A line joins the steps of one \
             method; a mark is the mean over seeds, bars run from the \
             smallest to the largest; all of it is measured. Both axes are \
             logarithmic.{more}"
        ),
        picture: Picture::Curves(Box::new(Curves {
            panels: vec![CurvePanel { title: String::new(), curves }],
            x: scale("time of a picture, batch 1", "s"),
            y: scale("Fréchet distance", "1"),
            level: None,
        })),
        // The table of methods holds the numbers.
        data: None,
    })
}

fn scale(name: &str, unit: &'static str) -> Scale {
    Scale { name: name.into(), unit, logarithmic: true, ends: None }
}

/// The published distances, and the title of their panel.
const PUBLISHED: [(&str, &str); 2] = [
    ("fid_5k", "FID of 5,000 pictures, MS COCO 2017"),
    ("fid_30k", "FID of 30,000 pictures, MS COCO 2014"),
];

/// A published picture's time and distance.
struct Rival<'a> {
    case: &'a str,
    /// The model's name.
    model: String,
    /// Seconds, and its source.
    time: &'a PublishedPoint,
    distance: &'a PublishedPoint,
}

/// Cases with a published time and a published distance, each once.
fn rivals<'a>(points: &'a [PublishedPoint], metric: &str) -> Vec<Rival<'a>> {
    let mut found: BTreeMap<&str, Rival<'a>> = BTreeMap::new();
    for distance in points.iter().filter(|one| one.metric == metric) {
        let case = distance.case.as_str();
        let time = points.iter().find(|one| {
            one.case == case && one.metric == "time" && one.value > 0.0
        });
        let Some(time) = time else { continue };
        let model = match case.parse::<Case>() {
            Ok(case) => case.model,
            Err(_) => case.to_owned(),
        };
        let rival = Rival { case, model, time, distance };
        // Of two sources the first of the table counts.
        found.entry(case).or_insert(rival);
    }
    found.into_values().collect()
}

/// What others published: distance against time. Models of the plan have
/// marks of their own.
pub(super) fn published(study: &Study<'_>, id: &str) -> Option<Figure> {
    let workload = &study.settings.first()?.case.workload;
    let points: Vec<PublishedPoint> = study
        .published
        .iter()
        .filter(|point| point.case.starts_with(&format!("{workload}/")))
        .cloned()
        .collect();
    // The last style is for all others.
    let mut own: Vec<&str> = study
        .models
        .iter()
        .copied()
        .filter(|model| {
            let path = format!("{workload}/{model}/");
            points.iter().any(|point| point.case.starts_with(&path))
        })
        .collect();
    own.truncate(STYLES - 1);
    let id = format!("{id}-published-frechet");
    let title = "Published: distance from real pictures against time";
    let mut data = Table::new(
        id.clone(),
        title,
        vec![
            Column::words("Case", "case"),
            Column::words("Set", "set"),
            Column::exact("Time", "time_s"),
            Column::exact("FID", "fid"),
            Column::words("Where", "where"),
            Column::words("Source of the time", "time_source"),
            Column::words("Source of the FID", "fid_source"),
        ],
    );
    let mut panels = Vec::new();
    for (metric, title) in PUBLISHED {
        let found = rivals(&points, metric);
        let mut curves: Vec<Curve> = Vec::new();
        for rival in &found {
            let known = own.iter().position(|model| *model == rival.model);
            let label = known.map_or("others", |place| own[place]);
            let point = (
                Spread::exact(rival.time.value),
                Spread::exact(rival.distance.value),
            );
            match curves.iter_mut().find(|curve| curve.label == label) {
                Some(curve) => curve.points.push(point),
                None => curves.push(Curve {
                    label: label.to_owned(),
                    style: known.unwrap_or(own.len()),
                    points: vec![point],
                    connected: false,
                }),
            }
            let exact = |point: &PublishedPoint| {
                Cell::value(point.value, &point.unit, Provenance::Published)
            };
            data.rows.push(vec![
                Cell::name(rival.case),
                Cell::text(title),
                exact(rival.time),
                exact(rival.distance),
                Cell::text(&rival.distance.profile),
                Cell::text(&rival.time.source),
                Cell::text(&rival.distance.source),
            ]);
        }
        curves.sort_by_key(|curve| curve.style);
        if !curves.is_empty() {
            panels.push(CurvePanel { title: title.into(), curves });
        }
    }
    (!panels.is_empty()).then(|| Figure {
        id,
        title: title.into(),
        caption: "Numbers of papers, of a picture of 512 pixels on an A100 \
            or what its source takes for one; nothing here was measured by \
            this project, and the distances are not to be compared with \
            those above: other pictures, another feature network. Names and \
            sources are in the CSV file. Both axes are logarithmic."
            .into(),
        picture: Picture::Curves(Box::new(Curves {
            panels,
            x: scale("time of a picture, batch 1", "s"),
            y: scale("FID", "1"),
            level: None,
        })),
        data: Some(data),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(case: &str, metric: &str, value: f64) -> PublishedPoint {
        PublishedPoint {
            case: case.into(),
            profile: "p".into(),
            metric: metric.into(),
            value,
            unit: "1".into(),
            source: "s".into(),
            trust: "t".into(),
        }
    }

    #[test]
    fn a_rival_needs_a_time_and_a_distance_and_stands_once() {
        let points = [
            point("w/a/sample", "time", 0.1),
            point("w/a/sample", "fid_5k", 20.0),
            point("w/a/sample", "fid_5k", 21.0),
            point("w/b/sample", "fid_5k", 30.0),
        ];
        let found = rivals(&points, "fid_5k");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].distance.value, 20.0);
        assert_eq!(found[0].model, "a");
    }
}
