//! Evidence for the claims of `claims.toml`, from the records of studies. The
//! ruling is not made here.
//!
//! `table` says for each claim which network it is about and which
//! statistic judges it; `statistic` computes that over seeds; `runs` gathers
//! records that differ in nothing but what the claims compare.

mod runs;
mod statistic;
mod table;
#[cfg(test)]
mod tests;

use assay_schema::{
    ClaimData, ClaimFile, Evidence, Provenance, PublishedPoint, Record,
    TextError,
};

use crate::SnrError;
use runs::{Group, groups};
use table::{Judgement, judgements};

const CLAIMS: &str = include_str!("../claims.toml");
const PUBLISHED: &str = include_str!("../claims/published.csv");

/// The claims.
///
/// # Errors
/// The embedded file does not read: a bug of this crate.
pub fn claims() -> Result<ClaimFile, SnrError> {
    toml::from_str(CLAIMS).map_err(|error| {
        TextError::new("claims.toml", CLAIMS, error.span(), error.message())
            .into()
    })
}

/// Everything that studies have to say about the claims: for each claim, one
/// evidence a set of records that differ in nothing else. A claim without
/// evidence is simply not in the list.
pub fn evidence(records: &[Record]) -> Vec<Evidence> {
    let groups = groups(records);
    judgements().iter().flat_map(|one| evidence_for(one, &groups)).collect()
}

fn evidence_for(judgement: &Judgement, groups: &[Group<'_>]) -> Vec<Evidence> {
    groups
        .iter()
        .filter(|group| group.model() == judgement.model)
        .filter_map(|group| {
            let mut estimate = judgement.statistic.of(group)?;
            estimate.method =
                format!("{}; {}", estimate.method, group.conditions());
            let data = if group.is_real() {
                ClaimData::Real
            } else {
                ClaimData::Generated
            };
            Some(Evidence {
                claim: judgement.claim.to_owned(),
                estimate,
                data,
                provenance: Provenance::Measured,
            })
        })
        .collect()
}

/// The paper's tables, and its figures, digitised; times are a Tesla P100's.
///
/// # Errors
/// The embedded file does not read: a bug of this crate.
pub fn published() -> Result<Vec<PublishedPoint>, SnrError> {
    Ok(PublishedPoint::table("claims/published.csv", PUBLISHED)?)
}
