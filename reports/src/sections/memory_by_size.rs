//! Memory against size: the peak over an axis of whole numbers, measured and
//! predicted, a line for cases that are else alike.

use assay_schema::Provenance;

use super::{file_word, several, unique};
use crate::document::{
    Block, Cell, Column, Curve, CurvePanel, Curves, Figure, Picture, Scale,
    Section, Spread, Table, printable,
};
use crate::findings::{
    Labels, Peak, RunFindings, SizeGroup, axis_name, growth, size_groups,
};

/// A kind of peak: its panel's title, its provenance, and where it stands.
struct Kind {
    title: &'static str,
    provenance: Provenance,
    of: fn(&Peak) -> Option<f64>,
}

const KINDS: [Kind; 2] = [
    Kind {
        title: "measured, the allocator's peak",
        provenance: Provenance::Measured,
        of: |peak| peak.measured,
    },
    Kind {
        title: "predicted from the trace",
        provenance: Provenance::Predicted,
        of: |peak| peak.predicted,
    },
];

/// The groups of one figure: of one run, one workload, one axis.
struct Sized<'a> {
    run: &'a RunFindings<'a>,
    groups: Vec<SizeGroup>,
    labels: Labels,
}

/// The section; `None` when no cases differ in their size alone.
pub(super) fn section(runs: &[RunFindings<'_>]) -> Option<Section> {
    let named = several(runs);
    let mut all: Vec<Sized<'_>> = Vec::new();
    for run in runs {
        let groups = size_groups(run);
        let along = |a: &SizeGroup, b: &SizeGroup| {
            (&a.case.workload, &a.axis) == (&b.case.workload, &b.axis)
        };
        for groups in groups.chunk_by(along) {
            let labels = Labels::of(groups.iter().map(|one| &one.case));
            all.push(Sized { run, groups: groups.to_vec(), labels });
        }
    }
    if all.is_empty() {
        return None;
    }
    let mut ids: Vec<String> = Vec::new();
    let mut blocks = Vec::new();
    for one in &all {
        let Some(first) = one.groups.first() else { continue };
        let words = [&first.case.workload, &first.axis].map(|w| file_word(w));
        let id = unique(&format!("memory-{}", words.join("-")), &ids);
        ids.push(id.clone());
        blocks.push(Block::Figure(figure(one, &first.axis, id, named)));
    }
    blocks.push(Block::Table(growths(&all, named)));
    Some(Section {
        id: "memory-by-size".into(),
        title: "Memory against size".into(),
        blocks,
    })
}

fn figure(sized: &Sized<'_>, axis: &str, id: String, named: bool) -> Figure {
    let (words, unit) = axis_name(axis);
    let mut title = format!("Memory at its peak against {words}");
    if named {
        title.push_str(&format!(", on {}", printable(&sized.run.machine)));
    }
    let panels = KINDS
        .iter()
        .map(|kind| CurvePanel {
            title: kind.title.into(),
            curves: curves(sized, kind),
        })
        .filter(|panel| !panel.curves.is_empty())
        .collect();
    let mut caption = format!(
        "A line joins cases that differ in {words} alone; both axes are \
         logarithmic, so that a steeper line is a higher power."
    );
    let shared = sized.labels.shared_text();
    if !shared.is_empty() {
        caption.push_str(&format!(" All cases: {shared}."));
    }
    let scale =
        |name, unit| Scale { name, unit, logarithmic: true, ends: None };
    let across = match unit {
        "" => words,
        unit => format!("{words} ({unit})"),
    };
    Figure {
        data: Some(data(sized, &id, &title)),
        id,
        title,
        caption,
        picture: Picture::Curves(Box::new(Curves {
            panels,
            x: scale(across, "1"),
            y: scale("memory at its peak".into(), "B"),
            level: None,
        })),
    }
}

/// The lines of a kind of peak: a group looks alike in both panels.
fn curves(sized: &Sized<'_>, kind: &Kind) -> Vec<Curve> {
    let curve = |(style, group): (usize, &SizeGroup)| Curve {
        label: sized.labels.short(&group.case),
        style,
        points: group
            .points(kind.of)
            .into_iter()
            .map(|(size, peak)| (Spread::exact(size), Spread::exact(peak)))
            .collect(),
        connected: true,
    };
    let curves = sized.groups.iter().enumerate().map(curve);
    curves.filter(|curve| curve.points.len() > 1).collect()
}

fn data(sized: &Sized<'_>, id: &str, title: &str) -> Table {
    let mut table = Table::new(
        id,
        title,
        vec![
            Column::words("Case", "case"),
            Column::words("Axis", "axis"),
            Column::counts("Size", "size"),
            Column::exact("Measured peak", "measured_peak"),
            Column::exact("Predicted peak", "predicted_peak"),
        ],
    );
    for group in &sized.groups {
        for peak in &group.peaks {
            let case = group.case.clone().with(&group.axis, peak.size);
            let mut row = vec![
                Cell::name(&case.to_string()),
                Cell::text(&group.axis),
                Cell::Count(usize::try_from(peak.size).unwrap_or(usize::MAX)),
            ];
            row.extend(KINDS.iter().map(|kind| match (kind.of)(peak) {
                Some(bytes) => Cell::value(bytes, "B", kind.provenance),
                None => Cell::none(),
            }));
            table.rows.push(row);
        }
    }
    table
}

/// With which power of the size each group grows.
fn growths(all: &[Sized<'_>], named: bool) -> Table {
    let mut columns = vec![Column::words("Cases", "cases")];
    if named {
        columns.push(Column::words("Machine", "machine"));
    }
    columns.extend([
        Column::words("Axis", "axis"),
        Column::words("Sizes", "sizes"),
        Column::exact("Measured power", "measured_power"),
        Column::exact("Predicted power", "predicted_power"),
    ]);
    let mut table = Table::new(
        "memory-growth",
        "The power of the size with which the peak grows over its last \
         doubling: 1 doubles with the size, 2 grows with its square",
        columns,
    );
    for sized in all {
        for group in &sized.groups {
            let sizes: Vec<String> =
                group.peaks.iter().map(|peak| peak.size.to_string()).collect();
            let mut row = vec![Cell::name(&group.case.to_string())];
            if named {
                row.push(Cell::text(&sized.run.machine));
            }
            row.push(Cell::text(&group.axis));
            row.push(Cell::text(&sizes.join(", ")));
            row.extend(KINDS.iter().map(|kind| {
                match growth(&group.points(kind.of)) {
                    Some(power) => Cell::value(power, "1", kind.provenance),
                    None => Cell::none(),
                }
            }));
            table.rows.push(row);
        }
    }
    table
}
