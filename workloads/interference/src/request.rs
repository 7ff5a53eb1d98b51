//! A case of this workload, read.

use assay_radio::interference::SnrConvention;
use assay_schema::{Case, Precision};

use crate::bands::Band;
use crate::features::Representation;
use crate::select::{Keep, Method};
use crate::{Config, InterferenceError, config};

/// What a case runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Forward, backward, Adam, one batch.
    TrainStep,
    /// Forward, one batch.
    Infer,
    /// One training run, with what it reached.
    Study,
}

impl Phase {
    /// Names, in the order in which they are listed.
    pub const NAMES: [&'static str; 3] = ["train-step", "infer", "study"];
}

/// A case with its numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The network's name.
    pub model: String,
    /// The network's sizes.
    pub config: Config,
    /// The phase.
    pub phase: Phase,
    /// Examples a step.
    pub batch: usize,
    /// Number format.
    pub precision: Precision,
    /// The band.
    pub band: Band,
    /// What the two columns are.
    pub representation: Representation,
    /// Which values are kept.
    pub keep: Keep,
    /// The only SNR that is trained on, dB; `None`: all.
    pub train_snr_db: Option<i8>,
    /// Snapshots of a class at an SNR; the paper has 715.
    pub per_cell: usize,
    /// What the SNR of the generated set refers to.
    pub convention: SnrConvention,
    /// Most epochs.
    pub epochs: usize,
    /// Of the split, the weights, the order and what is dropped.
    pub seed: u64,
}

/// SNR labels of the set, dB.
pub fn snrs_db() -> impl Iterator<Item = i8> + Clone {
    (-20..=20).step_by(2)
}

/// Shares of values kept, as the axis has them.
pub(crate) const SHARES: [(&str, usize); 5] =
    [("1", 1), ("0.5", 2), ("0.25", 4), ("0.125", 8), ("0.0625", 16)];

/// SNR conventions, as the axis has them.
pub(crate) const CONVENTIONS: [(&str, SnrConvention); 2] = [
    ("in-band", SnrConvention::InBand),
    ("in-channel", SnrConvention::InChannel),
];

/// The value of an axis, or its default, from a list of names.
fn named<T: Copy>(
    case: &Case,
    axis: &'static str,
    names: &[(&'static str, T)],
) -> Result<T, InterferenceError> {
    let text = case.axis(axis).unwrap_or(names[0].0);
    names.iter().find(|(name, _)| *name == text).map(|(_, v)| *v).ok_or_else(
        || InterferenceError::Axis {
            axis,
            found: text.to_owned(),
            expected: names
                .iter()
                .map(|(name, _)| *name)
                .collect::<Vec<_>>()
                .join(", "),
        },
    )
}

fn integer(
    case: &Case,
    axis: &'static str,
    default: u64,
) -> Result<u64, InterferenceError> {
    let Some(text) = case.axis(axis) else { return Ok(default) };
    text.parse().ok().filter(|&n| n > 0).ok_or_else(|| {
        InterferenceError::Axis {
            axis,
            found: text.to_owned(),
            expected: "a whole number of at least 1".to_owned(),
        }
    })
}

/// Snapshots of a class at an SNR in the published set.
pub(crate) const PUBLISHED_PER_CELL: u64 = 715;

impl Request {
    /// Reads a case.
    ///
    /// # Errors
    /// An unknown network, phase, size or band; an axis without a lawful
    /// value; a network that cannot take the examples.
    pub fn new(case: &Case) -> Result<Self, InterferenceError> {
        let phase = match case.phase.as_deref().unwrap_or_default() {
            "train-step" => Phase::TrainStep,
            "infer" => Phase::Infer,
            "study" => Phase::Study,
            other => {
                return Err(InterferenceError::Axis {
                    axis: "phase",
                    found: other.to_owned(),
                    expected: Phase::NAMES.join(", "),
                });
            }
        };
        let size = match phase {
            Phase::Study => "small",
            Phase::TrainStep | Phase::Infer => "full",
        };
        let size = case.axis("size").unwrap_or(size);
        let mut config = config::config(&case.model, size)?;
        let band = Band::named(case.axis("band_mhz").unwrap_or("10"))?;
        if band.first_dropout {
            config = config.with_first_dropout();
        }
        let representation =
            named(case, "representation", &Representation::NAMES)?;
        let train_snr_db = match case.axis("train_snr_db") {
            None | Some("all") => None,
            Some(text) => Some(
                text.parse()
                    .ok()
                    .filter(|&snr| snrs_db().any(|known| known == snr))
                    .ok_or_else(|| InterferenceError::Axis {
                        axis: "train_snr_db",
                        found: text.to_owned(),
                        expected: "`all`, or an even number from -20 to 20"
                            .to_owned(),
                    })?,
            ),
        };
        let precision = match case.axis("precision") {
            None => Precision::F32,
            Some(text) => {
                text.parse().map_err(|error| InterferenceError::Axis {
                    axis: "precision",
                    found: text.to_owned(),
                    expected: format!("{error}"),
                })?
            }
        };
        let default_batch = if phase == Phase::Infer { 1 } else { 256 };
        let request = Self {
            model: case.model.clone(),
            config,
            phase,
            batch: integer(case, "batch", default_batch)? as usize,
            precision,
            band,
            representation,
            keep: Keep {
                method: named(case, "select", &Method::NAMES)?,
                one_in: named(case, "keep", &SHARES)?,
                polar: representation == Representation::AmplitudePhase,
            },
            train_snr_db,
            per_cell: integer(case, "per_cell", PUBLISHED_PER_CELL)? as usize,
            convention: named(case, "snr", &CONVENTIONS)?,
            epochs: integer(case, "epochs", 100)? as usize,
            seed: integer(case, "seed", 1)?,
        };
        request.check()?;
        Ok(request)
    }

    fn check(&self) -> Result<(), InterferenceError> {
        let (length, least) = (self.length(), self.config.shortest());
        if length < least {
            return Err(InterferenceError::TooShort { length, least });
        }
        if self.keep.method == Method::None && self.keep.one_in > 1 {
            return Err(InterferenceError::Axis {
                axis: "select",
                found: "none".to_owned(),
                expected: "a way to choose values, as `keep` is below 1"
                    .to_owned(),
            });
        }
        if self.phase == Phase::Study && self.per_cell < 3 {
            return Err(InterferenceError::Axis {
                axis: "per_cell",
                found: self.per_cell.to_string(),
                expected: "at least 3: one to train on, one to choose by, one \
                           to judge by"
                    .to_owned(),
            });
        }
        Ok(())
    }

    /// Pairs an example after band and sub-sampling.
    pub fn length(&self) -> usize {
        let bins = match self.representation {
            Representation::Iq => 128,
            Representation::Fft | Representation::AmplitudePhase => {
                self.band.bins().len()
            }
        };
        match self.keep.method {
            Method::None => bins,
            Method::Pca
            | Method::Uniform
            | Method::Random
            | Method::HighMagnitude
            | Method::LowMagnitude
            | Method::HighMagnitudeAuthors
            | Method::LowMagnitudeAuthors => bins / self.keep.one_in,
        }
    }
}
