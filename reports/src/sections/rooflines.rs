//! Rooflines: what arithmetic and memory allow at each intensity, and where
//! the cases stand under it (Williams, Waterman, Patterson 2009).
//!
//! Attainable rate = min(peak, intensity x bandwidth); intensity is FLOPs
//! over bytes. A case's rate is its FLOPs over its time.

use std::collections::BTreeMap;
use std::str::FromStr;

use assay_schema::{
    Case, Estimate, Precision, Prediction, ProfileSummary, Provenance,
};

use crate::document::{
    Block, Cell, Column, Figure, Picture, Roof, RoofPoint, Section, Table,
    printable, show_bare,
};
use crate::findings::{Labels, RunFindings, is_study};

/// Small panels beyond this many are left to the tables.
const MOST_PANELS: usize = 12;

/// The section; `None` when no roof has a case under it.
pub(super) fn section(runs: &[RunFindings<'_>]) -> Option<Section> {
    let mut large = Vec::new();
    let mut small: BTreeMap<(String, String), Roof> = BTreeMap::new();
    for run in runs {
        let mut profiles: Vec<&ProfileSummary> =
            run.data.profiles.iter().collect();
        profiles
            .sort_by(|a, b| (&a.profile, &a.unit).cmp(&(&b.profile, &b.unit)));
        for profile in profiles {
            if profile.profile == "host" {
                large.extend(roof(run, profile, runs.len() > 1));
            } else if let Some(roof) = roof(run, profile, false) {
                let key = (profile.profile.clone(), profile.unit.clone());
                small.entry(key).or_insert(roof);
            }
        }
    }
    let left_out = small.len().saturating_sub(MOST_PANELS);
    let small: Vec<Roof> = small.into_values().take(MOST_PANELS).collect();
    if large.is_empty() && small.is_empty() {
        return None;
    }
    let mut caption = "The line is the most that arithmetic (flat) and \
        memory bandwidth (rising) allow; a mark under the rising part is \
        held back by memory. Intensity takes the traffic after fusion where \
        a prediction gives it, else the trace's. Vertical lines are \
        intervals. The small panels share their axes. \
        A mark that would cover another of its kind is drawn once."
        .to_owned();
    if left_out > 0 {
        caption.push_str(&format!(
            " {left_out} more profiles are in the tables only."
        ));
    }
    let data = data(large.iter().chain(&small));
    Some(Section {
        id: "roofline".into(),
        title: "Roofline".into(),
        blocks: vec![Block::Figure(Figure {
            id: "roofline".into(),
            title: "Cases under the roofs of their machines".into(),
            caption,
            picture: Picture::Rooflines { large, small },
            data: Some(data),
        })],
    })
}

/// The roof of a profile with the cases that were measured or predicted on
/// it; `None` without any.
fn roof(
    run: &RunFindings<'_>,
    profile: &ProfileSummary,
    name_machine: bool,
) -> Option<Roof> {
    let predictions: Vec<(Case, &Prediction)> = run
        .predictions
        .iter()
        .filter(|p| p.profile == profile.profile && p.unit == profile.unit)
        .filter(|p| p.fits != Some(false))
        .filter_map(|p| Some((p.full_case()?, *p)))
        .filter(|(case, _)| !is_study(case))
        .collect();
    let measured: Vec<_> = if profile.profile == "host" {
        run.measured.iter().filter(|measured| measured.whole).collect()
    } else {
        Vec::new()
    };
    let labels = Labels::of(
        measured
            .iter()
            .map(|measured| &measured.record.case)
            .chain(predictions.iter().map(|(case, _)| case)),
    );
    let mut precisions = Vec::new();
    let mut points = Vec::new();
    for measured in measured {
        let case = &measured.record.case;
        let Some(work) = &measured.record.work else { continue };
        let fused = predictions.iter().find(|(other, _)| other == case);
        let bytes = fused.map_or(work.bytes, |(_, p)| p.bytes);
        points.extend(point(
            labels.short(case),
            work.flops.value(),
            bytes.value(),
            &measured.latency,
            Provenance::Measured,
        ));
        precisions.push(case.axis("precision").unwrap_or("f32").to_owned());
    }
    for (case, prediction) in &predictions {
        points.extend(point(
            labels.short(case),
            prediction.flops.value(),
            prediction.bytes.value(),
            &prediction.latency_s,
            Provenance::Predicted,
        ));
        precisions.push(case.axis("precision").unwrap_or("f16").to_owned());
    }
    let peaks = peaks(profile, precisions);
    let bandwidth = profile.memory_bandwidth.value();
    let drawable = !points.is_empty() && !peaks.is_empty() && bandwidth > 0.0;
    let title = match profile.profile.as_str() {
        "host" if name_machine => run.machine.clone(),
        "host" => format!("this machine ({})", run.machine),
        name => name.to_owned(),
    };
    drawable.then(|| Roof {
        title: printable(&title),
        subtitle: format!(
            "{}, {} memory, {}",
            peaks
                .iter()
                .map(|(precision, peak)| format!(
                    "{} {precision}",
                    show_bare(*peak, "FLOP/s")
                ))
                .collect::<Vec<_>>()
                .join(", "),
            show_bare(bandwidth, "B/s"),
            profile.provenance
        ),
        peaks,
        bandwidth,
        provenance: profile.provenance,
        points,
    })
}

fn point(
    label: String,
    flops: f64,
    bytes: f64,
    latency: &Estimate,
    provenance: Provenance,
) -> Option<RoofPoint> {
    let rate = latency.inverted(flops);
    let usable = flops > 0.0 && bytes > 0.0 && (flops / bytes).is_finite();
    usable.then_some(RoofPoint {
        label,
        intensity: flops / bytes,
        rate,
        provenance,
    })
}

/// The peaks of the precisions that occur; a block format takes the peak of
/// what it computes in. With none known, the highest peak of the profile.
fn peaks(
    profile: &ProfileSummary,
    mut precisions: Vec<String>,
) -> Vec<(String, f64)> {
    precisions.sort();
    precisions.dedup();
    let lawful = |peak: f64| (peak.is_finite() && peak > 0.0).then_some(peak);
    let mut peaks: Vec<(String, f64)> = precisions
        .iter()
        .filter_map(|name| {
            let compute = Precision::from_str(name)
                .map_or(name.as_str(), |p| p.compute().name());
            let found = [name.as_str(), compute]
                .into_iter()
                .find_map(|name| Some((name, profile.peaks.get(name)?)))?;
            Some((printable(found.0), lawful(found.1.value())?))
        })
        .collect();
    peaks.sort_by(|a, b| a.0.cmp(&b.0));
    peaks.dedup_by(|a, b| a.0 == b.0);
    if peaks.is_empty() {
        let highest = profile
            .peaks
            .iter()
            .filter_map(|(name, peak)| {
                Some((printable(name), lawful(peak.value())?))
            })
            .max_by(|a, b| a.1.total_cmp(&b.1));
        peaks.extend(highest);
    }
    peaks
}

fn data<'a>(roofs: impl Iterator<Item = &'a Roof>) -> Table {
    let mut table = Table::new(
        "roofline",
        "Intensity and rate of each case",
        vec![
            Column::words("Machine", "machine"),
            Column::words("Case", "case"),
            Column::exact("Intensity", "intensity"),
            Column::numbers("Rate", "rate"),
            Column::exact("Memory bandwidth", "bandwidth"),
        ],
    );
    for roof in roofs {
        for point in &roof.points {
            table.rows.push(vec![
                Cell::text(&roof.title),
                Cell::text(&point.label),
                Cell::value(point.intensity, "FLOP/B", Provenance::Predicted),
                Cell::estimate(&point.rate, "FLOP/s", point.provenance),
                Cell::value(roof.bandwidth, "B/s", roof.provenance),
            ]);
        }
    }
    table
}
