//! Evidence for the claims of `claims.toml`, from published numbers, from
//! predictions and from records. The ruling is not made here.
//!
//! `table` says which statistic judges each claim, and of which kinds of data
//! it is computed. `sources` makes readings of one kind of data; the
//! statistics (`statistic`, `precisions`, `measured_formats`, `curves`,
//! `memory_parts`, `shapes`) see one kind at a time, so that none is mixed with
//! another; `figures` are those that a report draws beside its own. Nothing
//! here is fitted to a published number. The constants behind a prediction are,
//! to what others published (`docs/prediction.md`), and a machine's overlay may
//! be, to half of the survey's shapes
//! (`hardware-profiles/measurements/survey.py`). No claim on a time that an
//! overlay was fitted to is judged by predictions.

mod curves;
mod figures;
mod measured_formats;
mod memory_parts;
mod precisions;
mod readings;
mod shapes;
mod sources;
mod statistic;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use assay_schema::{
    Case, ClaimData, ClaimFile, Evidence, Prediction, Provenance,
    PublishedPoint, Record, Runtime, Seconds, TextError,
};

pub use figures::FIGURE_7_SOURCE;

use crate::{SlmError, recipes};
use readings::Readings;
use table::{JUDGEMENTS, Judgement};

const CLAIMS: &str = include_str!("../claims.toml");
const FIGURE_7: &str = include_str!("../claims/figure7.csv");

/// Tables of what the survey and its authors published, beside Figure 7 and
/// the memory breakdown.
const PUBLISHED: [(&str, &str); 7] = [
    ("claims/printed.csv", include_str!("../claims/printed.csv")),
    ("claims/quantisation.csv", include_str!("../claims/quantisation.csv")),
    ("claims/hardware.csv", include_str!("../claims/hardware.csv")),
    ("claims/breakdown.csv", include_str!("../claims/breakdown.csv")),
    ("claims/phones.csv", include_str!("../claims/phones.csv")),
    ("claims/capability.csv", include_str!("../claims/capability.csv")),
    ("claims/shapes.csv", include_str!("../claims/shapes.csv")),
];

/// The claims.
///
/// # Errors
///
/// The embedded file does not read: a bug of this crate.
pub fn claims() -> Result<ClaimFile, SlmError> {
    toml::from_str(CLAIMS).map_err(|error| {
        TextError::new("claims.toml", CLAIMS, error.span(), error.message())
            .into()
    })
}

/// A model of the survey's Figure 7, digitised from the authors' vector file
/// (`slm.md` section 2). Latencies are those of a Jetson Orin NX, 4-bit.
#[derive(Clone, Debug, PartialEq)]
pub struct SurveyPoint {
    /// As the survey writes it.
    pub model: String,
    /// Parameters in millions, as llama.cpp counts them.
    pub parameters_m: f64,
    /// Milliseconds to the first token of a prompt of 50.
    pub first_token_ms: Option<f64>,
    /// Milliseconds a token.
    pub decode_ms: Option<f64>,
    /// MiB at context 2048.
    pub memory_mib: Option<f64>,
}

/// Figure 7 of the survey.
pub fn figure_7() -> Vec<SurveyPoint> {
    FIGURE_7
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut cells = line.split(',');
            let model = cells.next()?.to_owned();
            let mut number = || cells.next()?.parse().ok();
            Some(SurveyPoint {
                model,
                parameters_m: number()?,
                first_token_ms: number(),
                decode_ms: number(),
                memory_mib: number(),
            })
        })
        .collect()
}

/// Numbers that the survey, its repository, its authors' web site and the
/// authors of its models published, with their sources and how far to trust
/// them: [`figure_7`] and [`published_memory`](crate::published_memory) as
/// points, of the models that are shipped, and the tables beside them.
///
/// Times are seconds: `time` of a prefill, `time_per_output_token` of a
/// generation. Those of Figure 9, whose labels are doubtful, have metrics of
/// their own (`figure_9_time`, ...), as have the breakdown (`part_*`,
/// `kernel_*`, percent), capability (`commonsense`, `problem_solving`, `math`,
/// percent), shapes (`ffn_ratio_least`, `vocabulary`, ...) and training
/// (`training_tokens`, of [`recipes()`](crate::recipes())); the last three
/// belong to a model as a whole, and their case names no phase.
///
/// # Errors
///
/// An embedded file does not read: a bug of this crate.
pub fn published() -> Result<Vec<PublishedPoint>, SlmError> {
    let mut points = figures::figure_7_points();
    points.extend(figures::memory_points()?);
    points.extend(recipes::points()?);
    points.extend(tables()?);
    Ok(points)
}

/// The tables alone: the figures have readers of their own.
fn tables() -> Result<Vec<PublishedPoint>, SlmError> {
    let mut points = Vec::new();
    for (name, text) in PUBLISHED {
        points.extend(PublishedPoint::table(name, text)?);
    }
    Ok(points)
}

/// The machine of the survey's figures, its Jetson's GPU: the hardware profile
/// on which a prediction by parts of the model is evidence.
pub const SURVEY_PROFILE: &str = readings::JETSON;

/// A predicted pass by parts of the model. A workload knows no machine: who
/// predicted prices the parts as it priced the pass.
#[derive(Clone, Debug, PartialEq)]
pub struct PartTimes {
    /// The predicted case, every axis filled in.
    pub case: Case,
    /// Hardware profile.
    pub profile: String,
    /// Unit of the profile.
    pub unit: String,
    /// Runtime.
    pub runtime: Runtime,
    /// Part (`attention`, `mlp`, `head`, ...), all layers together, to the
    /// seconds of its kernels; what the host adds beside them is in none.
    pub seconds: BTreeMap<String, Seconds>,
}

/// Everything that a run and the published figures have to say about the
/// claims, each kind of data on claims of its own. `parts` are of predictions
/// among `predictions`; claims about parts of a model have no predicted
/// evidence without them. A claim without evidence is simply not in the list.
pub fn evidence(
    records: &[Record],
    predictions: &[Prediction],
    parts: &[PartTimes],
) -> Vec<Evidence> {
    // A test reads the tables: without them there would be nothing to compare.
    let points = tables().unwrap_or_default();
    let all = [
        sources::published(&points),
        sources::predicted(predictions, parts),
        sources::measured(records),
    ];
    let all = &all;
    JUDGEMENTS
        .iter()
        .flat_map(|judgement| {
            all.iter().filter_map(move |one| evidence_for(judgement, one))
        })
        .collect()
}

/// What one kind of data says of a claim, if it may judge it.
fn evidence_for(
    judgement: &Judgement,
    readings: &Readings,
) -> Option<Evidence> {
    let data = readings.data;
    if !judgement.data.contains(&data) {
        return None;
    }
    let provenance = match data {
        ClaimData::Predicted => Provenance::Predicted,
        ClaimData::Published => Provenance::Published,
        ClaimData::Generated | ClaimData::Real => Provenance::Measured,
    };
    Some(Evidence {
        claim: judgement.id(data),
        estimate: judgement.statistic.of(readings)?,
        data,
        provenance,
    })
}
