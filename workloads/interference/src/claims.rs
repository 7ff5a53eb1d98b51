//! The paper's claims, what records have to say about them, and the numbers
//! that the paper prints. The ruling is not made here.
//!
//! A statistic compares runs that differ in what the claim is about and in
//! nothing else: records are gathered by all other axes, by their device and
//! by the kind of their data. Of several such groups the one with the most
//! seeds speaks; among equals the first in the order of their axes.

mod estimates;
mod measure;
mod runs;
mod table;

use assay_schema::{
    ClaimData, ClaimFile, Estimate, Evidence, Provenance, PublishedPoint,
    Record, TextError,
};

use crate::InterferenceError;
use runs::Runs;
use table::{Statistic, TABLE};

const CLAIMS: &str = include_str!("../claims.toml");
const PUBLISHED: &str = include_str!("../claims/published.csv");

/// The claims.
///
/// # Errors
/// The embedded file does not read: a bug of this crate.
pub fn claims() -> Result<ClaimFile, InterferenceError> {
    toml::from_str(CLAIMS).map_err(|error| {
        TextError::new("claims.toml", CLAIMS, error.span(), error.message())
            .into()
    })
}

/// What records have to say about the claims. A claim without evidence is
/// not in the list; one may have evidence on real and on generated data.
pub fn evidence(records: &[Record]) -> Vec<Evidence> {
    let groups = runs::groups(records);
    let mut found = Vec::new();
    for (claim, statistic) in TABLE {
        for data in [ClaimData::Real, ClaimData::Generated] {
            if let Some(estimate) = most_seeds(statistic, &groups, data) {
                found.push(Evidence {
                    claim: (*claim).to_owned(),
                    estimate,
                    data,
                    provenance: Provenance::Measured,
                });
            }
        }
    }
    found
}

/// The estimate of the group with the most seeds; of equals the first.
fn most_seeds(
    statistic: &Statistic,
    groups: &[Runs<'_>],
    data: ClaimData,
) -> Option<Estimate> {
    let own = groups.iter().filter(|runs| runs.data() == data);
    let mut best: Option<Estimate> = None;
    for runs in own {
        let Some(mut estimate) = statistic.estimate(runs) else { continue };
        if best.as_ref().is_none_or(|best| estimate.n > best.n) {
            estimate.method =
                format!("{}; {}", estimate.method, runs.conditions());
            best = Some(estimate);
        }
    }
    best
}

/// The numbers that the paper prints or draws; times are a Tesla P100's.
///
/// # Errors
/// The embedded file does not read: a bug of this crate.
pub fn published() -> Result<Vec<PublishedPoint>, InterferenceError> {
    Ok(PublishedPoint::table("claims/published.csv", PUBLISHED)?)
}

#[cfg(test)]
mod tests;
