//! Tables of measured cases: the columns of `predict --from` plus `latency_s`
//! and `source`; `weight` and `note` where a source needs them.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use assay_predict::Observation;
use assay_schema::{Case, Prediction, Runtime};

use crate::predictions::{On, Predictor};
use crate::verbs::predict::read_row;

/// First words of a note that keep a row usable; any other keeps it out.
const REMARKS: [&str; 2] = ["average", "rotary"];

/// One row that reads.
pub(crate) struct Measured {
    pub(crate) case: Case,
    pub(crate) on: On,
    pub(crate) runtime: Runtime,
    pub(crate) model: Option<std::path::PathBuf>,
    pub(crate) seconds: f64,
    pub(crate) weight: f64,
    pub(crate) source: String,
    /// Why it takes no part in a fit, if it does not.
    pub(crate) set_aside: Option<String>,
}

/// A table: each row, or what is wrong with it, with its line.
pub(crate) struct MeasuredTable {
    pub(crate) name: String,
    pub(crate) rows: Vec<(usize, Result<Measured>)>,
}

/// Rows for a fit, each with its index in the table.
pub(crate) type Seen = Vec<(usize, Observation)>;

/// Rows that take no part, by index, and why.
pub(crate) type Left = Vec<(usize, String)>;

impl MeasuredTable {
    /// Reads a table.
    ///
    /// Fails for a file that cannot be read or lacks a column; a bad row is
    /// kept as its error.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .from_path(path)
            .with_context(|| format!("{name}: cannot be read"))?;
        let heading = reader
            .headers()
            .with_context(|| format!("{name}: heading"))?
            .clone();
        for needed in ["case", "profile", "latency_s", "source"] {
            if !heading.iter().any(|column| column == needed) {
                return Err(anyhow!(
                    "{name}:1: no column `{needed}`; expected case, profile, \
                     runtime, any axis, latency_s and source"
                ));
            }
        }
        let mut rows = Vec::new();
        for (index, row) in reader.records().enumerate() {
            let line = index + 2;
            let row = row.with_context(|| format!("{name}:{line}: bad CSV"))?;
            let read = if row.len() == heading.len() {
                measured(&heading, &row)
            } else {
                Err(anyhow!("{} cells, expected {}", row.len(), heading.len()))
            };
            rows.push((line, read));
        }
        if rows.is_empty() {
            return Err(anyhow!("{name}: no rows"));
        }
        Ok(Self { name, rows })
    }

    /// The rows that read, for a fit: those set aside are not among them.
    /// Beside each, its index in `rows`.
    pub(crate) fn observations(
        &self,
        predictor: &mut Predictor,
    ) -> (Seen, Left) {
        let (mut seen, mut left) = (Vec::new(), Vec::new());
        for (index, (_, row)) in self.rows.iter().enumerate() {
            match row {
                Err(error) => left.push((index, format!("{error:#}"))),
                Ok(Measured { set_aside: Some(why), .. }) => {
                    left.push((index, why.clone()));
                }
                Ok(row) => match row.observation(predictor) {
                    Ok(observation) => seen.push((index, observation)),
                    Err(error) => left.push((index, format!("{error:#}"))),
                },
            }
        }
        (seen, left)
    }
}

impl Measured {
    /// The row as the fit takes it.
    fn observation(&self, predictor: &mut Predictor) -> Result<Observation> {
        let case =
            predictor.complete(&self.case, &self.on, self.model.as_deref())?;
        Ok(Observation {
            traced: predictor.traced(&case, self.model.as_ref())?,
            case: case.to_string(),
            profile: self.on.profile.clone(),
            unit: self.on.unit,
            runtime: self.runtime,
            seconds: self.seconds,
            source: self.source.clone(),
            weight: self.weight,
        })
    }

    /// The prediction of the row's case.
    pub(crate) fn predict(
        &self,
        predictor: &mut Predictor,
    ) -> Result<Prediction> {
        predictor.predict(
            &self.case,
            &self.on,
            Some(self.runtime),
            self.model.as_ref(),
        )
    }
}

fn measured(
    heading: &csv::StringRecord,
    row: &csv::StringRecord,
) -> Result<Measured> {
    let cell = |name: &str| {
        let at = heading.iter().position(|column| column == name)?;
        row.get(at).map(str::trim).filter(|text| !text.is_empty())
    };
    let number = |name: &str| -> Result<Option<f64>> {
        let Some(text) = cell(name) else { return Ok(None) };
        let value: f64 = text
            .parse()
            .map_err(|_| anyhow!("{name} `{text}` is no number"))?;
        Ok(Some(value))
    };
    let seconds =
        number("latency_s")?.ok_or_else(|| anyhow!("no latency_s"))?;
    if !(seconds.is_finite() && seconds > 0.0) {
        return Err(anyhow!("latency_s {seconds}: expected seconds above 0"));
    }
    let weight = number("weight")?.unwrap_or(1.0);
    if !(0.0..=1e6).contains(&weight) {
        return Err(anyhow!("weight {weight}: expected 0 or more"));
    }
    let asked = read_row(heading, row)?;
    let note = cell("note").unwrap_or_default();
    let word = note.split([' ', ':', ';', ',']).next().unwrap_or_default();
    let usable = word.is_empty() || REMARKS.contains(&word);
    let runtime = asked.runtime();
    Ok(Measured {
        case: asked.case,
        on: asked.on,
        runtime,
        model: asked.model,
        seconds,
        weight,
        source: cell("source").unwrap_or_default().to_owned(),
        set_aside: (!usable).then(|| note.to_owned()),
    })
}
