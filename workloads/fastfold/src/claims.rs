//! Evidence for the claims of `claims.toml`, from records, predictions and
//! published numbers. The ruling is not made here.
//!
//! `table` says for each claim which runs are looked at and which statistic
//! judges it; `statistic` computes that; `runs` gives records and predictions
//! one shape. Nothing is fitted to a published number: predictions are
//! compared with them as they come.

mod runs;
mod statistic;
mod table;
#[cfg(test)]
mod tests;

use assay_schema::{
    ClaimData, ClaimFile, Evidence, Prediction, Provenance, PublishedPoint,
    Record, TextError,
};

use crate::FastFoldError;
use runs::{Run, runs};
use table::{JUDGEMENTS, Judgement};

const CLAIMS: &str = include_str!("../claims.toml");
const PUBLISHED: &str = include_str!("../claims/published.csv");

/// The claims.
///
/// # Errors
/// The embedded file does not read: a bug of this crate.
pub fn claims() -> Result<ClaimFile, FastFoldError> {
    toml::from_str(CLAIMS).map_err(|error| {
        TextError::new("claims.toml", CLAIMS, error.span(), error.message())
            .into()
    })
}

/// Numbers that the paper, its repository and others published, with their
/// sources and how far to trust them.
///
/// # Errors
/// The embedded file does not read: a bug of this crate.
pub fn published() -> Result<Vec<PublishedPoint>, FastFoldError> {
    Ok(PublishedPoint::table("claims/published.csv", PUBLISHED)?)
}

/// Everything that a run and the published numbers have to say about the
/// claims. A claim without evidence is simply not in the list.
pub fn evidence(
    records: &[Record],
    predictions: &[Prediction],
) -> Vec<Evidence> {
    // A test reads the table: without it there would be nothing to compare.
    let points = published().unwrap_or_default();
    let runs = runs(records, predictions);
    JUDGEMENTS
        .iter()
        .filter_map(|judgement| evidence_for(judgement, &runs, &points))
        .collect()
}

fn evidence_for(
    judgement: &Judgement,
    runs: &[Run],
    points: &[PublishedPoint],
) -> Option<Evidence> {
    let Judgement { claim, data, place, statistic } = judgement;
    let own: Vec<&Run> = runs
        .iter()
        .filter(|run| run.data == *data)
        .filter(|run| place.is_none_or(|place| run.place == place))
        .collect();
    Some(Evidence {
        claim: (*claim).to_owned(),
        estimate: statistic.of(&own, points)?,
        data: *data,
        provenance: match data {
            ClaimData::Predicted => Provenance::Predicted,
            ClaimData::Published => Provenance::Published,
            ClaimData::Generated | ClaimData::Real => Provenance::Measured,
        },
    })
}
