//! Evidence for the claims of `claims.toml`, from the records of studies, from
//! predictions and from published numbers. The ruling is not made here.
//!
//! `table` says for each claim which statistic judges it. `study` computes the
//! statistics over seeds; of predictions only parameters are asked, since no
//! speed is published. Nothing is fitted to a published number.

#[cfg(test)]
mod sketches;
mod study;
mod table;
#[cfg(test)]
mod tests;

use assay_schema::{
    ClaimData, ClaimFile, Estimate, Evidence, Prediction, Provenance,
    PublishedPoint, Record, TextError,
};
use assay_statistics::recomputed;

use crate::MstarError;
use study::{Study, studies};
use table::{JUDGEMENTS, Judgement, Statistic};

const CLAIMS: &str = include_str!("../claims.toml");
const PUBLISHED: &str = include_str!("../claims/published.csv");

/// The claims.
///
/// # Errors
/// The embedded file does not read: a bug of this crate.
pub fn claims() -> Result<ClaimFile, MstarError> {
    toml::from_str(CLAIMS).map_err(|error| {
        TextError::new("claims.toml", CLAIMS, error.span(), error.message())
            .into()
    })
}

/// Numbers that the paper, its repository and others published, with their
/// sources and how far to trust them. `accuracy` is in percent; rows of
/// `compared` are differences of two of them, in percentage points.
///
/// # Errors
/// The embedded file does not read: a bug of this crate.
pub fn published() -> Result<Vec<PublishedPoint>, MstarError> {
    Ok(PublishedPoint::table("claims/published.csv", PUBLISHED)?)
}

/// Everything that a run and the published numbers have to say about the
/// claims: of studies one evidence a set of records that differ in nothing but
/// their seeds. A claim without evidence is simply not in the list.
pub fn evidence(
    records: &[Record],
    predictions: &[Prediction],
) -> Vec<Evidence> {
    // A test reads the table: without it there would be nothing to compare.
    let points = published().unwrap_or_default();
    let studies = studies(records);
    JUDGEMENTS
        .iter()
        .flat_map(|one| evidence_for(one, &studies, predictions, &points))
        .collect()
}

fn evidence_for(
    judgement: &Judgement,
    studies: &[Study<'_>],
    predictions: &[Prediction],
    points: &[PublishedPoint],
) -> Vec<Evidence> {
    let estimates: Vec<Estimate> = match &judgement.statistic {
        Statistic::Measured(statistic) => {
            studies.iter().filter_map(|study| statistic.of(study)).collect()
        }
        Statistic::Parameters { path, factor } => {
            Vec::from_iter(parameters(predictions, path, *factor))
        }
        Statistic::Published { of } => {
            Vec::from_iter(recomputed(points, of, &[]))
        }
    };
    let data = judgement.statistic.data();
    let provenance = match data {
        ClaimData::Predicted => Provenance::Predicted,
        ClaimData::Published => Provenance::Published,
        ClaimData::Generated | ClaimData::Real => Provenance::Measured,
    };
    estimates
        .into_iter()
        .map(|estimate| Evidence {
            claim: judgement.claim.to_owned(),
            estimate,
            data,
            provenance,
        })
        .collect()
}

/// Parameters of a traced case, times a factor. Neither its axes nor the
/// profile have a say in it: any prediction of it will do.
fn parameters(
    predictions: &[Prediction],
    path: &str,
    factor: f64,
) -> Option<Estimate> {
    let found = predictions.iter().find(|one| one.case == path)?;
    let count = factor * found.parameters as f64;
    Some(Estimate {
        point: count,
        low: count,
        high: count,
        confidence: 1.0,
        n: 0,
        method: format!("counted by the trace of {path}"),
    })
}
