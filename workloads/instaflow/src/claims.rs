//! Evidence for the claims of `claims.toml`, from the records of studies, from
//! predictions and from published numbers. The ruling is not made here.
//!
//! `table` says for each claim which statistic judges it. `study` computes the
//! statistics over seeds, `predicted` those of predictions for an A100,
//! `recomputed` sums of what others printed. Nothing is fitted to a published
//! number: predictions are compared with them as they come.

mod predicted;
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

use crate::InstaFlowError;
use study::{Study, studies};
use table::{JUDGEMENTS, Judgement, Statistic};

const CLAIMS: &str = include_str!("../claims.toml");
const PUBLISHED: &str = include_str!("../claims/published.csv");

/// The claims.
///
/// # Errors
/// The embedded file does not read: a bug of this crate.
pub fn claims() -> Result<ClaimFile, InstaFlowError> {
    toml::from_str(CLAIMS).map_err(|error| {
        TextError::new("claims.toml", CLAIMS, error.span(), error.message())
            .into()
    })
}

/// Numbers that the papers, their repositories and others published, with
/// their sources and how far to trust them.
///
/// For a plot of time against quality: rows with one `case` belong to one
/// method; `time` is in seconds a picture, `fid_5k` on MS COCO 2017, `fid_30k`
/// on MS COCO 2014, `clip_score` on the former.
///
/// # Errors
/// The embedded file does not read: a bug of this crate.
pub fn published() -> Result<Vec<PublishedPoint>, InstaFlowError> {
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
    let predictions = predicted::ordered(predictions);
    JUDGEMENTS
        .iter()
        .flat_map(|one| evidence_for(one, &studies, &predictions, &points))
        .collect()
}

fn evidence_for(
    judgement: &Judgement,
    studies: &[Study<'_>],
    predictions: &[&Prediction],
    points: &[PublishedPoint],
) -> Vec<Evidence> {
    let estimates: Vec<Estimate> = match &judgement.statistic {
        Statistic::Measured(statistic) => {
            studies.iter().filter_map(|study| statistic.of(study)).collect()
        }
        Statistic::Predicted(statistic) => {
            Vec::from_iter(statistic.of(predictions, points))
        }
        Statistic::Published { of, over } => {
            Vec::from_iter(recomputed(points, of, over))
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
