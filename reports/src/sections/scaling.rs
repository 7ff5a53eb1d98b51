//! Latency against parameters, phases apart.
//!
//! One panel a phase, at the setting that most models share. A line joins
//! the predictions of one profile; it is a guide for the eye, not a fit.

use std::collections::{BTreeMap, BTreeSet};

use assay_schema::{Estimate, Provenance};

use crate::document::{
    Block, Cell, Column, Facet, Figure, Line, Picture, Section, Spread, Table,
    printable,
};
use crate::findings::{RunFindings, Setting, settings};

/// A model's parameters, latency and precision.
struct Dot {
    parameters: f64,
    latency: Estimate,
    model: String,
    precision: String,
}

/// The section; `None` when no phase has two models.
pub(super) fn section(runs: &[RunFindings<'_>]) -> Option<Section> {
    let mut phases: Vec<String> = Vec::new();
    let mut facets = Vec::new();
    let mut data = Table::new(
        "latency-against-parameters",
        "Latency and parameters of each model",
        vec![
            Column::words("Setting", "setting"),
            Column::words("Where", "where"),
            Column::words("Model", "model"),
            Column::words("Precision", "precision"),
            Column::exact("Parameters", "parameters"),
            Column::numbers("Time", "time_s"),
        ],
    );
    let mut precisions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for setting in settings(runs) {
        if phases.contains(&setting.phase) {
            continue;
        }
        phases.push(setting.phase.clone());
        let mut own = BTreeMap::new();
        let lines = lines(runs, &setting, &mut own, &mut data);
        let models = lines.iter().map(|l| l.points.len()).max().unwrap_or(0);
        if models > 1 {
            facets.push(Facet { title: setting.text(), lines });
            for (place, precision) in own {
                precisions.entry(place).or_default().insert(precision);
            }
        }
    }
    if facets.is_empty() {
        return None;
    }
    let all: BTreeSet<&str> =
        precisions.values().flatten().map(String::as_str).collect();
    let precision_text = match (all.len(), all.first()) {
        (1, Some(precision)) => format!("All in {precision}."),
        _ => precisions
            .iter()
            .map(|(place, own)| {
                let own: Vec<&str> = own.iter().map(String::as_str).collect();
                format!("{place} {}", own.join(" and "))
            })
            .collect::<Vec<_>>()
            .join(", "),
    };
    Some(Section {
        id: "latency".into(),
        title: "Latency against parameters".into(),
        blocks: vec![Block::Figure(Figure {
            id: "latency-against-parameters".into(),
            title: "Time of one pass against parameters".into(),
            caption: format!(
                "One panel a phase, each at the setting that most models \
                 share; both axes are logarithmic. Lines join the \
                 predictions of one machine to guide the eye; vertical lines \
                 are intervals. A model that does not fit a machine's memory \
                 is left out. Precision: {}",
                printable(&precision_text)
            ),
            picture: Picture::Facets {
                facets,
                x: "parameters",
                y: "time of one pass",
            },
            data: Some(data),
        })],
    })
}

fn lines(
    runs: &[RunFindings<'_>],
    setting: &Setting,
    precisions: &mut BTreeMap<String, String>,
    data: &mut Table,
) -> Vec<Line> {
    let mut lines = Vec::new();
    for run in runs {
        let mut measured: BTreeMap<String, Vec<Dot>> = BTreeMap::new();
        for one in run.measured.iter().filter(|measured| measured.whole) {
            let case = &one.record.case;
            let Some(work) = &one.record.work else { continue };
            if Setting::of(case).as_ref() == Some(setting) {
                let precision = case.axis("precision").unwrap_or("f32");
                measured.entry(precision.to_owned()).or_default().push(Dot {
                    parameters: work.parameters as f64,
                    latency: one.latency.clone(),
                    model: case.model.clone(),
                    precision: precision.to_owned(),
                });
            }
        }
        let place = format!("{}, measured", run.machine);
        lines.extend(line(
            &place,
            Provenance::Measured,
            measured,
            setting,
            precisions,
            data,
        ));
    }
    let mut predicted: BTreeMap<String, BTreeMap<String, Vec<Dot>>> =
        BTreeMap::new();
    for run in runs {
        for prediction in &run.predictions {
            let Some(case) = prediction.full_case() else { continue };
            let fits = prediction.fits != Some(false);
            if !fits || Setting::of(&case).as_ref() != Some(setting) {
                continue;
            }
            let place = match prediction.profile.as_str() {
                "host" => run.machine.clone(),
                name => name.to_owned(),
            };
            let precision = case.axis("precision").unwrap_or("default");
            let dots = predicted
                .entry(place)
                .or_default()
                .entry(precision.to_owned())
                .or_default();
            // Several runs, units or runtimes can predict one model on one
            // profile: the first by name stands.
            if !dots.iter().any(|dot| dot.model == case.model) {
                dots.push(Dot {
                    parameters: prediction.parameters as f64,
                    latency: prediction.latency_s.clone(),
                    model: case.model.clone(),
                    precision: precision.to_owned(),
                });
            }
        }
    }
    for (place, dots) in predicted {
        lines.extend(line(
            &place,
            Provenance::Predicted,
            dots,
            setting,
            precisions,
            data,
        ));
    }
    lines
}

/// The line of one machine, in the precision that most models have there.
fn line(
    place: &str,
    provenance: Provenance,
    dots: BTreeMap<String, Vec<Dot>>,
    setting: &Setting,
    precisions: &mut BTreeMap<String, String>,
    data: &mut Table,
) -> Option<Line> {
    let mut dots = dots.into_values().rev().max_by_key(|dots| dots.len())?;
    dots.retain(|dot| dot.parameters > 0.0);
    dots.sort_by(|a, b| {
        a.parameters
            .total_cmp(&b.parameters)
            .then_with(|| a.model.cmp(&b.model))
    });
    for dot in &dots {
        precisions.insert(printable(place), dot.precision.clone());
        data.rows.push(vec![
            Cell::text(&setting.text()),
            Cell::text(place),
            Cell::name(&dot.model),
            Cell::text(&dot.precision),
            Cell::value(dot.parameters, "parameters", Provenance::Predicted),
            Cell::estimate(&dot.latency, "s", provenance),
        ]);
    }
    (!dots.is_empty()).then(|| Line {
        label: printable(place),
        provenance,
        points: dots
            .iter()
            .map(|dot| (dot.parameters, Spread::from(&dot.latency)))
            .collect(),
        connected: provenance == Provenance::Predicted,
    })
}
