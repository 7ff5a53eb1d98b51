//! A file of claims beside the table of judgements that computes them, and
//! beside the published numbers that it quotes.

use std::collections::BTreeSet;

use assay_schema::{Case, Claim, ClaimData, ClaimFile, PublishedPoint};

/// Why a claim is untestable takes more characters than this to say.
const LEAST_REASON: usize = 20;

/// What does not match between claims and judgements, one sentence each. A
/// judgement is the id of its claim and the kind of data that it is computed
/// from; `None` where that is whichever the records are of.
///
/// Every id stands once. A claim that can be tested is judged once by each
/// kind of data that may judge it, in their order; one that cannot be says
/// why, and is not judged. Every judgement has its claim.
pub fn unmatched<'a>(
    file: &ClaimFile,
    judged: impl IntoIterator<Item = (&'a str, Option<ClaimData>)>,
) -> Vec<String> {
    let judged: Vec<(&str, Option<ClaimData>)> = judged.into_iter().collect();
    let mut faults = Vec::new();
    let mut ids: BTreeSet<&str> = BTreeSet::new();
    for claim in &file.claim {
        let id = &claim.id;
        if !ids.insert(id) {
            faults.push(format!("{id} stands twice"));
        }
        let own: Vec<Option<ClaimData>> = judged
            .iter()
            .filter(|(judged, _)| judged == id)
            .map(|(_, data)| *data)
            .collect();
        let each: Vec<Option<ClaimData>> =
            claim.data.iter().copied().map(Some).collect();
        match &claim.untestable {
            None if own != each && own != [None] => faults.push(format!(
                "{id} is judged by {own:?}; expected {:?}",
                claim.data
            )),
            Some(_) if !own.is_empty() => {
                faults.push(format!("{id} is judged, though untestable"));
            }
            Some(reason) if reason.len() <= LEAST_REASON => {
                faults.push(format!("{id} is untestable for `{reason}` alone"));
            }
            None | Some(_) => {}
        }
    }
    for (id, _) in judged {
        if !ids.contains(id) {
            faults.push(format!("{id} is judged, but no claim"));
        }
    }
    faults
}

/// Which published numbers are in doubt, one sentence each: without source or
/// trust, at no case of this workload, or twice under the same key.
pub fn doubtful(
    points: &[PublishedPoint],
    workload: &str,
    key: impl Fn(&PublishedPoint) -> [&str; 3],
) -> Vec<String> {
    let mut faults = Vec::new();
    let mut met: BTreeSet<[&str; 3]> = BTreeSet::new();
    for point in points {
        if point.source.is_empty() || point.trust.is_empty() {
            faults.push(format!("no source or no trust: {point:?}"));
        }
        match point.case.parse::<Case>() {
            Ok(case) if case.workload == workload => {}
            Ok(_) => faults.push(format!("not of {workload}: {point:?}")),
            Err(error) => faults.push(format!("{error}: {point:?}")),
        }
        if !met.insert(key(point)) {
            faults.push(format!("twice: {point:?}"));
        }
    }
    faults
}

/// Whether a claim's number is among those that its source published.
pub fn is_printed(claim: &Claim, points: &[PublishedPoint]) -> bool {
    points.iter().any(|point| {
        point.source == claim.source
            && point.unit == claim.unit
            && (point.value - claim.value).abs() < 1e-9
    })
}
