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
    ClaimData, ClaimFile, Estimate, Evidence, Provenance, Record, TextError,
};

use crate::InterferenceError;
use runs::Runs;
use table::{Statistic, TABLE};

const CLAIMS: &str = include_str!("../claims.toml");
const PUBLISHED: &str = include_str!("../claims/published.csv");

/// The machine that the published times were measured on, a Tesla P100.
pub const PUBLISHED_MACHINE: &str = "nvidia-p100-pcie-16gb";

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

/// A number that the paper prints or draws.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// The study, with the axes that the number is about.
    pub case: String,
    /// `accuracy`, `training_time` or `epoch_time`; the times are those of
    /// [`PUBLISHED_MACHINE`].
    pub metric: String,
    /// The value, in `unit`.
    pub value: f64,
    /// Unit symbol.
    pub unit: String,
    /// Paper and table.
    pub source: String,
    /// How far to trust it, in words.
    pub trust: String,
}

/// The numbers that the paper prints or draws.
pub fn published() -> Vec<Published> {
    PUBLISHED.lines().skip(1).filter_map(published_line).collect()
}

fn published_line(line: &str) -> Option<Published> {
    let mut cells = line.split(',').map(str::to_owned);
    Some(Published {
        case: cells.next()?,
        metric: cells.next()?,
        value: cells.next()?.parse().ok()?,
        unit: cells.next()?,
        source: cells.next()?,
        trust: cells.next()?,
    })
}

#[cfg(test)]
mod tests;
