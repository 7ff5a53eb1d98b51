//! Where the examples come from: the generators, or the real files.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use assay_interference::Band;
use assay_kit::classification::{Examples, Split};
use assay_measure::Context;
use assay_radio::radioml::{self, Scale};
use assay_radio::{Snapshots, files};

use crate::config::Task;
use crate::request::{Source, snrs_db};
use crate::{Request, SnrError};

/// The set that was made last: the cases of a study share one.
static LAST: Mutex<Option<(String, Arc<Snapshots>)>> = Mutex::new(None);

/// Share of a cell that is kept for the test, and share of what is left that
/// chooses the epoch. The authors have 0.33 of channels, 0.5 and 0.25 of
/// modulations; 20 % of the training data validates boosting.
fn shares(task: Task) -> [f64; 2] {
    match task {
        Task::Channels => [
            assay_interference::study::TEST_SHARE,
            assay_interference::study::VALIDATION_SHARE,
        ],
        Task::Modulations => [0.5, 0.25],
    }
}

/// Examples of a request, on the standard scale, and which of them train.
///
/// Channels are seen as real and imaginary spectrum, modulations as I and Q
/// in time, whose windows already have one scale.
///
/// # Errors
/// Files that do not read, or that do not fit in memory; data with a mistake.
pub(crate) fn examples_of(
    request: &Request,
    context: &Context,
) -> Result<(Examples, Split), SnrError> {
    let [test, validation] = shares(request.task());
    match request.source {
        Source::Channels(convention) => {
            let set = assay_interference::snapshots(
                context,
                request.per_cell,
                convention,
            )?;
            let fft = assay_interference::Representation::Fft;
            let band = Band::named("10")?;
            let raw = assay_interference::examples(&set, fft, &band);
            let split = Split::by_cell(&raw, test, validation, request.seed);
            let keep = assay_interference::Keep {
                method: assay_interference::Method::None,
                one_in: 1,
                polar: false,
            };
            let seed = request.seed;
            let ready = assay_interference::prepare(&raw, &split, &keep, seed);
            Ok((ready, split))
        }
        Source::Modulations(set, convention) => {
            let made = modulations(request, context, set, convention)?;
            let examples = Examples {
                length: made.length,
                // A window's magnitudes sum to 1: of the order of a tenth
                // that a network starts well from, only after this.
                features: made
                    .iq
                    .iter()
                    .map(|value| value * made.length as f32)
                    .collect(),
                class: made.class.clone(),
                group: made.snr_db.clone(),
                classes: made.classes.clone(),
            };
            let split =
                Split::by_cell(&examples, test, validation, request.seed);
            Ok((examples, split))
        }
    }
}

fn modulations(
    request: &Request,
    context: &Context,
    set: radioml::Set,
    convention: radioml::Convention,
) -> Result<Arc<Snapshots>, SnrError> {
    let per_cell = request.per_cell;
    let key = match &context.data {
        Some(path) => path.display().to_string(),
        None => format!("{} {per_cell} {set:?} {convention:?}", context.seed),
    };
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((known, made)) = &*last
        && *known == key
    {
        return Ok(Arc::clone(made));
    }
    *last = None;
    let (path, made) = match &context.data {
        Some(path) => (path.display().to_string(), read(path)?),
        None => {
            let request = radioml::Request {
                modulations: set,
                snrs_db: snrs_db(Task::Modulations),
                per_cell,
                seed: context.seed,
                convention,
                scale: Scale::UnitSum,
            };
            let constants = radioml::Constants::built_in()?;
            let made = radioml::generate(&request, &constants)?.0;
            ("the generated set".to_owned(), made)
        }
    };
    made.check().map_err(|error| SnrError::Data { path, error })?;
    let made = Arc::new(made);
    *last = Some((key, Arc::clone(&made)));
    Ok(made)
}

fn read(path: &Path) -> Result<Snapshots, SnrError> {
    assay_interference::check_fits(path, files::Kind::RadioMl)?;
    Ok(files::load(path, files::Kind::RadioMl)?)
}
