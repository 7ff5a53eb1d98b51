//! Evidence for the claims of `claims.toml`, from the records of searches and
//! of the intents' study, from predictions and from published numbers. The
//! ruling is not made here.
//!
//! `table` says for each claim which statistic judges it. `groups` gathers
//! records that differ in their seeds; `searches` and `intents` compute
//! statistics over those seeds, `predicted` those of predictions for a phone,
//! `recomputed` sums of what others printed. Nothing is fitted to one of PhoneLM's
//! published numbers. Overlays of phones are, to times of other models
//! (`docs/prediction.md`), and predictions for these phones use them.

mod groups;
mod intents;
mod predicted;
mod searches;
#[cfg(test)]
mod sketches;
mod table;
#[cfg(test)]
mod tests;

use assay_schema::{
    ClaimData, ClaimFile, Estimate, Evidence, Prediction, Provenance,
    PublishedPoint, Record, TextError,
};
use assay_statistics::recomputed;

use crate::PhoneLmError;
use groups::{Group, groups};
use table::{JUDGEMENTS, Judgement, Statistic};

const CLAIMS: &str = include_str!("../claims.toml");
const PUBLISHED: &str = include_str!("../claims/published.csv");

/// The case whose records are searches.
const SEARCH: &str = "phonelm/candidate/search";
/// The case whose records are studies of the intents.
const TUNING: &str = "phonelm/intents/fine-tune";

/// The claims.
///
/// # Errors
/// The embedded file does not read: a bug of this crate.
pub fn claims() -> Result<ClaimFile, PhoneLmError> {
    toml::from_str(CLAIMS).map_err(|error| {
        TextError::new("claims.toml", CLAIMS, error.span(), error.message())
            .into()
    })
}

/// Numbers that the authors, DroidCall, their engine's repository and others
/// published, with their sources and how far to trust them.
///
/// `tokens_per_second` belongs to a phase; `accuracy_*` (percent) to a model's
/// answers; `exact` and `soft` (percent) to its calls. A case under
/// `phonelm/compared` is a comparison of several cells.
///
/// # Errors
/// The embedded file does not read: a bug of this crate.
pub fn published() -> Result<Vec<PublishedPoint>, PhoneLmError> {
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
    let seen = Seen {
        searches: groups(records, SEARCH, &["seed"]),
        tunings: groups(records, TUNING, &["methods", "seed"]),
        predictions: predicted::ordered(predictions),
        points: &points,
    };
    JUDGEMENTS.iter().flat_map(|one| evidence_for(one, &seen)).collect()
}

/// All that evidence is made of.
struct Seen<'a> {
    searches: Vec<Group<'a>>,
    tunings: Vec<Group<'a>>,
    predictions: Vec<&'a Prediction>,
    points: &'a [PublishedPoint],
}

fn evidence_for(judgement: &Judgement, seen: &Seen<'_>) -> Vec<Evidence> {
    let estimates: Vec<Estimate> = match &judgement.statistic {
        Statistic::Searched(statistic) => seen
            .searches
            .iter()
            .filter_map(|one| statistic.of(one, &seen.predictions))
            .collect(),
        Statistic::Tuned(statistic) => {
            seen.tunings.iter().filter_map(|one| statistic.of(one)).collect()
        }
        Statistic::Predicted(statistic) => {
            Vec::from_iter(statistic.of(&seen.predictions, seen.points))
        }
        Statistic::Published { of, over } => {
            Vec::from_iter(recomputed(seen.points, of, over))
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
