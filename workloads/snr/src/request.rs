//! A case of this workload, read.

use assay_kit::{AxisError, named, parsed};
use assay_radio::interference::SnrConvention;
use assay_radio::radioml::{Convention, Set};
use assay_schema::{Case, Precision};

use crate::config::{Task, config, task};
use crate::{Config, SnrError};

/// What a case runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Forward, backward, Adam, one batch.
    TrainStep,
    /// Forward, one batch.
    Infer,
    /// Training by a strategy, with what it reached.
    Study,
}

impl Phase {
    /// Names, in the order in which they are listed.
    pub const NAMES: [&'static str; 3] = ["train-step", "infer", "study"];
}

/// What is trained on, given the SNR of the test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Examples of that SNR alone (section III).
    Single,
    /// Examples of all SNRs: the first baseline.
    All,
    /// An eighth of all examples, uniformly over SNRs: the second.
    Uniform,
    /// A set of SNRs chosen greedily (Algorithm 1).
    Boosted,
    /// Three networks on samples of neighbouring SNRs, by vote (section V).
    Bagged,
}

impl Strategy {
    /// Names as axis values.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("single", Self::Single),
        ("all", Self::All),
        ("uniform", Self::Uniform),
        ("boosted", Self::Boosted),
        ("bagged", Self::Bagged),
    ];
}

/// The data, and what its SNR labels mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The interference set.
    Channels(SnrConvention),
    /// RadioML.
    Modulations(Set, Convention),
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
    /// What is trained on.
    pub strategy: Strategy,
    /// The SNR of the test, dB; `None`: each in turn, with a training for
    /// each where the strategy needs one.
    pub test_snr_db: Option<i8>,
    /// What the estimate of the test's SNR is off by, dB.
    pub offset_db: i8,
    /// Share of a single-SNR training set that a network trains on.
    pub fraction: f64,
    /// SNRs that boosting may choose lie within this of the test's, dB.
    pub reach_db: i8,
    /// Snapshots of a class at an SNR.
    pub per_cell: usize,
    /// The data.
    pub source: Source,
    /// Most epochs.
    pub epochs: usize,
    /// Of the split, the weights, the order and what is dropped.
    pub seed: u64,
}

/// Snapshots of a class at an SNR: of the interference set, and of RadioML
/// 2016.10b.
pub(crate) const PER_CELL: [u64; 2] = [715, 6000];

/// The SNR labels of a task's set, dB.
pub fn snrs_db(task: Task) -> Vec<i8> {
    match task {
        Task::Channels => assay_interference::snrs_db().collect(),
        Task::Modulations => assay_radio::radioml::Request::published_snrs(),
    }
}

fn axis_error(
    axis: &'static str,
    found: &str,
    expected: impl Into<String>,
) -> SnrError {
    AxisError::new(axis, found, expected).into()
}

fn positive(
    case: &Case,
    axis: &'static str,
    default: u64,
) -> Result<u64, SnrError> {
    let expected = "a whole number of at least 1";
    Ok(parsed(case, axis, default, expected, |&n| n > 0)?)
}

fn source(case: &Case, task: Task) -> Result<Source, SnrError> {
    let word = case.axis("snr");
    Ok(match task {
        Task::Channels => Source::Channels(match word {
            None | Some("default" | "in-band") => SnrConvention::InBand,
            Some("in-channel") => SnrConvention::InChannel,
            Some(other) => {
                let expected = "in-band or in-channel for channels";
                return Err(axis_error("snr", other, expected));
            }
        }),
        Task::Modulations => {
            let sets = [("10b", Set::TenB), ("10a", Set::TenA)];
            let set = named(case, "set", &sets)?;
            let convention = match word {
                None | Some("default" | "label") => Convention::Label,
                Some("true") => Convention::True,
                Some(other) => {
                    let expected = "label or true for modulations";
                    return Err(axis_error("snr", other, expected));
                }
            };
            Source::Modulations(set, convention)
        }
    })
}

impl Request {
    /// Reads a case.
    ///
    /// # Errors
    /// An unknown network, phase or size; an axis without a lawful value, or
    /// one that the strategy has no use for.
    pub fn new(case: &Case) -> Result<Self, SnrError> {
        let phase = case.phase.as_deref().unwrap_or_default();
        let phase = match phase {
            "train-step" => Phase::TrainStep,
            "infer" => Phase::Infer,
            "study" => Phase::Study,
            other => {
                let expected = Phase::NAMES.join(", ");
                return Err(axis_error("phase", other, expected));
            }
        };
        let size = match phase {
            Phase::Study => "small",
            Phase::TrainStep | Phase::Infer => "full",
        };
        let task = task(&case.model);
        let config = config(&case.model, case.axis("size").unwrap_or(size))?;
        let stacks = positive(case, "stacks", 3)? as usize;
        let snrs = snrs_db(task);
        let test_snr_db = match case.axis("test_snr_db") {
            None | Some("each") => None,
            Some(text) => Some(
                text.parse().ok().filter(|snr| snrs.contains(snr)).ok_or_else(
                    || {
                        let (low, high) = (snrs[0], snrs[snrs.len() - 1]);
                        let expected = format!(
                            "`each`, or an even number from {low} to {high}"
                        );
                        axis_error("test_snr_db", text, expected)
                    },
                )?,
            ),
        };
        let default_batch = if phase == Phase::Infer { 1 } else { 256 };
        let published = PER_CELL[usize::from(task == Task::Modulations)];
        let request = Self {
            model: case.model.clone(),
            config: config.with_stacks(stacks),
            phase,
            batch: positive(case, "batch", default_batch)? as usize,
            precision: parsed(
                case,
                "precision",
                Precision::F32,
                "a number format",
                |_| true,
            )?,
            strategy: named(case, "strategy", &Strategy::NAMES)?,
            test_snr_db,
            offset_db: parsed(
                case,
                "offset_db",
                0,
                "an even number from -10 to 10",
                |offset: &i8| offset % 2 == 0 && offset.abs() <= 10,
            )?,
            fraction: parsed(
                case,
                "fraction",
                1.0,
                "a share above 0, at most 1",
                |share| *share > 0.0 && *share <= 1.0,
            )?,
            reach_db: parsed(case, "reach_db", 40, "2 to 40", |reach| {
                (2..=40).contains(reach)
            })?,
            per_cell: positive(case, "per_cell", published)? as usize,
            source: source(case, task)?,
            epochs: positive(case, "epochs", 100)? as usize,
            seed: positive(case, "seed", 1)?,
        };
        request.check()?;
        Ok(request)
    }

    fn check(&self) -> Result<(), SnrError> {
        if self.phase != Phase::Study {
            return Ok(());
        }
        let least = 4;
        if self.per_cell < least {
            let expected = "at least 4: two to train on, one to choose by, one \
                            to judge by";
            let found = self.per_cell.to_string();
            return Err(axis_error("per_cell", &found, expected));
        }
        if self.offset_db != 0 && self.strategy != Strategy::Single {
            let found = self.offset_db.to_string();
            let expected = "0: only `single` trains on an estimate";
            return Err(axis_error("offset_db", &found, expected));
        }
        let whole = matches!(
            self.strategy,
            Strategy::All | Strategy::Uniform | Strategy::Boosted
        );
        if self.fraction < 1.0 && whole {
            let found = self.fraction.to_string();
            let expected = "1: only `single` and `bagged` take a share";
            return Err(axis_error("fraction", &found, expected));
        }
        Ok(())
    }

    /// What is told apart.
    pub fn task(&self) -> Task {
        task(&self.model)
    }

    /// How many classes.
    pub fn classes(&self) -> usize {
        match self.source {
            Source::Channels(_) => 15,
            Source::Modulations(set, _) => set.modulations().len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Request, SnrError> {
        Request::new(&text.parse().unwrap())
    }

    #[test]
    fn defaults_are_the_papers() {
        let request = read("snr/mc-resnet/study").unwrap();
        assert_eq!(request.strategy, Strategy::Single);
        assert_eq!(request.classes(), 10);
        assert_eq!(request.per_cell, 6000);
        assert_eq!(request.test_snr_db, None);
        assert_eq!(read("snr/ci-cnn/study").unwrap().per_cell, 715);
    }

    #[test]
    fn what_a_strategy_has_no_use_for_is_refused() {
        for (text, word) in [
            ("snr/mc-cnn/study strategy=all offset_db=2", "offset_db"),
            ("snr/mc-cnn/study strategy=boosted fraction=0.5", "fraction"),
            ("snr/mc-cnn/study test_snr_db=20", "from -20 to 18"),
            ("snr/ci-cnn/study snr=label", "in-channel"),
            ("snr/mc-cnn/study strategy=lucky", "boosted"),
            ("snr/mc-cnn/study per_cell=3", "at least 4"),
            ("snr/mc-nn/study", "nearest valid: `mc-cnn`"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
