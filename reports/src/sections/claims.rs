//! Claims of papers and how they came out.

use assay_schema::{ClaimFinding, Provenance, Ruling};

use crate::document::{Block, Cell, Column, Section, Table, Tone};
use crate::findings::RunFindings;

/// The section; `None` without a claim.
pub(super) fn section(runs: &[RunFindings<'_>]) -> Option<Section> {
    let mut findings: Vec<(&str, &ClaimFinding)> = runs
        .iter()
        .flat_map(|run| {
            run.data.claims.iter().map(|claim| (run.machine.as_str(), claim))
        })
        .collect();
    if findings.is_empty() {
        return None;
    }
    findings.sort_by(|(machine_a, a), (machine_b, b)| {
        (&a.paper, &a.claim.id, machine_a).cmp(&(
            &b.paper,
            &b.claim.id,
            machine_b,
        ))
    });
    let several = runs.len() > 1;
    let mut columns = vec![
        Column::words("Claim", "claim"),
        Column::exact("Paper", "published"),
        Column::numbers("Here", "evidence"),
        Column::counts("n", "n"),
        Column::words("Ruling", "ruling"),
        Column::words("Why", "reason"),
        Column::words("Source", "source"),
    ];
    if several {
        columns.insert(0, Column::words("Machine", "machine"));
    }
    let mut table = Table::new("claims", "Claims and their rulings", columns);
    table.rows = findings
        .into_iter()
        .map(|(machine, finding)| {
            let mut row = row(finding);
            if several {
                row.insert(0, Cell::text(machine));
            }
            row
        })
        .collect();
    Some(Section {
        id: "claims".into(),
        title: "Claims and rulings".into(),
        blocks: vec![
            Block::Paragraph(
                "A ruling is derived from the interval by the rule in \
                 METHODOLOGY.md: supported when all of it lies inside what \
                 the claim allows, contradicted when all of it lies outside, \
                 inside-noise when it straddles the border or the effect is \
                 smaller than the noise. n counts seeds or repetitions."
                    .into(),
            ),
            Block::Table(table),
        ],
    })
}

fn row(finding: &ClaimFinding) -> Vec<Cell> {
    let claim = &finding.claim;
    let tone = match finding.ruling {
        Ruling::Supported => Tone::Good,
        Ruling::Contradicted => Tone::Bad,
        Ruling::InsideNoise => Tone::Unsure,
        Ruling::NotTested => Tone::Neutral,
    };
    vec![
        Cell::text(&format!("{} ({})", claim.statement, claim.id)),
        Cell::value(claim.value, &claim.unit, Provenance::Published),
        match &finding.evidence {
            Some(evidence) => Cell::estimate(
                &evidence.estimate,
                &claim.unit,
                evidence.provenance,
            ),
            None => Cell::Gap("no evidence".into()),
        },
        match finding.evidence.as_ref().map(|e| e.estimate.n as usize) {
            Some(n) if n > 0 => Cell::Count(n),
            Some(_) | None => Cell::none(),
        },
        Cell::status(finding.ruling.name(), tone),
        Cell::text(&finding.reason),
        Cell::text(&format!("{}, {}", finding.paper, claim.source)),
    ]
}
