//! What can be run, and how a case is read and traced: the one place that
//! knows every workload. `engines.rs` has what their engines allocate.

mod engines;

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use anyhow::{Context as _, Result, anyhow, bail};
use assay_fastfold::FastFold;
use assay_instaflow::InstaFlow;
use assay_interference::Interference;
use assay_kit::Checkpoint;
use assay_measure::Workload;
use assay_mstar::Mstar;
use assay_operators::Operators;
use assay_phonelm::PhoneLm;
use assay_schema::{Bytes, Case, Catalogue, Precision, Verification};
use assay_slm::Slm;
use assay_snr::Snr;
use assay_trace::Graph;

pub(crate) use engines::Engines;

use crate::scoring;

/// The workload that asks what a graph costs on a machine.
static PHONELM: LazyLock<PhoneLm> = LazyLock::new(|| {
    scoring::register();
    PhoneLm::new(scoring::targets())
});

/// All workloads.
pub(crate) fn workloads() -> [&'static dyn Workload; 8] {
    [
        &Operators,
        &Slm,
        &Interference,
        &Snr,
        &FastFold,
        &InstaFlow,
        &*PHONELM,
        &Mstar,
    ]
}

/// Workloads of which a file may describe a model.
const OF_FILES: [&str; 4] = ["slm", "instaflow", "phonelm", "mstar"];

/// The workload of a case.
pub(crate) fn workload(case: &Case) -> Result<&'static dyn Workload> {
    workloads()
        .into_iter()
        .find(|w| w.info().workload == case.workload)
        .ok_or_else(|| anyhow!("unknown workload `{}`", case.workload))
}

/// Everything that can be run, made once: some workloads read all their
/// models' files for it, and a table of cases asks for it at every row.
static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue {
    workloads: workloads().iter().map(|w| w.info()).collect(),
});

/// Everything that can be run.
pub(crate) fn catalogue() -> Catalogue {
    CATALOGUE.clone()
}

/// The catalogue, with the model of a case added to its workload: a model
/// file may go by any name.
pub(crate) fn catalogue_for(case: &Case, model: Option<&Path>) -> Catalogue {
    let mut catalogue = catalogue();
    if model.is_some()
        && let Some(info) = catalogue
            .workloads
            .iter_mut()
            .find(|info| info.workload == case.workload)
        && !info.models.contains(&case.model)
    {
        info.models.push(case.model.clone());
    }
    catalogue
}

/// Whether a model file can be read, before anything starts.
pub(crate) fn check_model(model: Option<&Path>) -> Result<()> {
    let Some(path) = model else { return Ok(()) };
    if assay_instaflow::config::is_network(path) {
        assay_instaflow::config::architecture_from_file(path)?;
    } else if sees(path) {
        assay_mstar::Model::from_file(path)?;
    } else {
        assay_slm::Config::from_file(path)?;
    }
    Ok(())
}

/// Whether a file describes a model that sees: it has a table `vision`. One
/// that cannot be read does not, and says so as a language model's.
pub(crate) fn sees(path: &Path) -> bool {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    toml::from_str::<toml::Table>(&text)
        .is_ok_and(|table| table.contains_key("vision"))
}

/// A case whose model is a file, as one with the file's stem for a name, and
/// the file: `slm/my/shape.toml/decode`. Other cases as they are.
pub(crate) fn split_model_file(path: &str) -> (String, Option<PathBuf>) {
    let whole = || (path.to_owned(), None);
    let (head, axes) = match path.split_once(' ') {
        Some((head, axes)) => (head, format!(" {axes}")),
        None => (path, String::new()),
    };
    let Some((workload, rest)) = head.split_once('/') else { return whole() };
    let Some((file, phase)) = rest.rsplit_once('/') else { return whole() };
    let file = Path::new(file);
    let is_file =
        file.extension().is_some_and(|end| end == "toml" || end == "json");
    match file.file_stem().and_then(|stem| stem.to_str()) {
        Some(stem) if is_file => (
            format!("{workload}/{stem}/{phase}{axes}"),
            Some(file.to_path_buf()),
        ),
        _ => whole(),
    }
}

/// A case and axes as typed: the words of one case.
pub(crate) fn read_case(path: &str, axes: &[String]) -> Result<Case> {
    let mut text = path.to_owned();
    for axis in axes {
        text.push(' ');
        text.push_str(axis);
    }
    Ok(text.parse()?)
}

/// A case with every axis filled in; `precision` is its default.
pub(crate) fn complete(
    case: &Case,
    model: Option<&Path>,
    precision: Precision,
) -> Result<Case> {
    if let Some(path) = model
        && !OF_FILES.contains(&case.workload.as_str())
    {
        bail!(
            "{}: a model file describes a language model (`slm/...`, \
             `phonelm/...`), a network of a diffusion model \
             (`instaflow/...`) or a model that sees (`mstar/...`); `{case}` \
             has no use for one: leave --model out",
            path.display()
        );
    }
    let mut case = case.clone();
    if case.axis("precision").is_none()
        && let Some(info) = CATALOGUE.workload(&case.workload)
        && info
            .axes_of(&case.model, case.phase.as_deref())
            .iter()
            .any(|axis| axis.name == "precision")
    {
        case = case.with("precision", precision);
    }
    let case = match model {
        Some(_) => assay_sweep::complete(&case, &catalogue_for(&case, model))?,
        None => assay_sweep::complete(&case, &CATALOGUE)?,
    };
    // A decode step has one query, whatever else is said.
    let is_decode =
        case.workload == "operators" && case.axis("phase") == Some("decode");
    Ok(if is_decode { case.with("query", 1) } else { case })
}

/// The number format of a case.
pub(crate) fn precision(case: &Case) -> Result<Precision> {
    match case.axis("precision") {
        Some(text) => Ok(text.parse()?),
        None => Ok(Precision::F32),
    }
}

/// The operator graph of a complete case.
pub(crate) fn trace(case: &Case, model: Option<&PathBuf>) -> Result<Graph> {
    match case.workload.as_str() {
        "operators" => {
            let operator = assay_operators::Operator::new(case)?;
            Ok(assay_operators::trace(&operator)?)
        }
        "slm" => {
            let config = match model {
                Some(path) => Some(assay_slm::Config::from_file(path)?),
                None => None,
            };
            let request = assay_slm::Request::new(case, config)
                .with_context(|| case.to_string())?;
            Ok(assay_slm::trace(&request)?)
        }
        "interference" => {
            let request = assay_interference::Request::new(case)
                .with_context(|| case.to_string())?;
            Ok(assay_interference::trace(&request)?)
        }
        "snr" => {
            let request = assay_snr::Request::new(case)
                .with_context(|| case.to_string())?;
            Ok(assay_snr::trace(&request)?)
        }
        "fastfold" => {
            let request = assay_fastfold::Request::new(case)
                .with_context(|| case.to_string())?;
            Ok(assay_fastfold::trace(&request)?)
        }
        "instaflow" => {
            let file = model.map(PathBuf::as_path);
            let request = assay_instaflow::Request::new(case, file)
                .with_context(|| case.to_string())?;
            Ok(assay_instaflow::trace(&request)?)
        }
        "phonelm" => {
            let file = model.map(PathBuf::as_path);
            let request = assay_phonelm::Request::new(case, file)
                .with_context(|| case.to_string())?;
            Ok(assay_phonelm::trace(&request)?)
        }
        "mstar" => {
            let file = model.map(PathBuf::as_path);
            let request = assay_mstar::Request::new(case, file)
                .with_context(|| case.to_string())?;
            Ok(assay_mstar::trace(&request)?)
        }
        other => Err(anyhow!("workload `{other}` has no trace")),
    }
}

/// The cases that a complete case is the sum of, each so many times: an
/// iteration of self-evolving training is too long for one graph. Empty for
/// a case that has a graph of its own.
pub(crate) fn parts(
    case: &Case,
    model: Option<&Path>,
) -> Result<Vec<(f64, Case)>> {
    let is_iteration =
        case.workload == "mstar" && case.phase.as_deref() == Some("iteration");
    if !is_iteration {
        return Ok(Vec::new());
    }
    let request = assay_mstar::Request::new(case, model)
        .with_context(|| case.to_string())?;
    let parts = assay_mstar::iteration_parts(&request)?;
    Ok(parts.into_iter().map(|part| (part.count, part.case)).collect())
}

/// What a case that is a sum of [`parts`] holds beside each of them.
pub(crate) fn held_beside(case: &Case, model: Option<&Path>) -> Result<Bytes> {
    let request = assay_mstar::Request::new(case, model)
        .with_context(|| case.to_string())?;
    Ok(assay_mstar::held_beside(&request)?)
}

/// Anyone's weights against anyone's golden file. `model` describes a language
/// model, of which no case is needed.
pub(crate) fn check_golden(
    case: Option<&Case>,
    model: Option<&Path>,
    weights: &Checkpoint,
    golden: &Checkpoint,
    tolerance: f64,
) -> Result<Verification> {
    let config = match (model, case) {
        (Some(path), _) if assay_instaflow::config::is_network(path) => {
            return Ok(assay_instaflow::golden::check(
                &assay_instaflow::config::architecture_from_file(path)?,
                weights,
                golden,
                tolerance,
            )?);
        }
        (Some(path), _) => assay_slm::Config::from_file(path)?,
        (None, Some(case)) => match case.workload.as_str() {
            "interference" => {
                let request = assay_interference::Request::new(case)?;
                let shape = assay_interference::golden::Shape {
                    length: request.length(),
                    classes: request.band.classes.len(),
                    config: request.config,
                };
                return Ok(assay_interference::golden::check(
                    &shape, weights, golden, tolerance,
                )?);
            }
            "snr" => {
                let request = assay_snr::Request::new(case)?;
                return Ok(assay_snr::golden::check(
                    &request.config,
                    [assay_snr::LENGTH, request.classes()],
                    weights,
                    golden,
                    tolerance,
                )?);
            }
            "fastfold" => {
                let request = assay_fastfold::Request::new(case)?;
                return Ok(assay_fastfold::golden::check(
                    &request.config,
                    weights,
                    golden,
                    tolerance,
                )?);
            }
            "instaflow" => {
                return Ok(assay_instaflow::golden::check(
                    &assay_instaflow::config::architecture(&case.model)?,
                    weights,
                    golden,
                    tolerance,
                )?);
            }
            "phonelm" => match assay_phonelm::Request::new(case, None)? {
                assay_phonelm::Request::Decoder(request) => request.config,
                _ => bail!("`{case}` takes no weights; a candidate does"),
            },
            "mstar" => bail!(
                "`{case}` has no golden file: check its language part by its \
                 own name, e.g. slm/llama-3-8b/prefill"
            ),
            _ => assay_slm::model_config(&case.model)?,
        },
        (None, None) => bail!("which model? name a case, or --model FILE"),
    };
    let phase = None;
    Ok(assay_slm::check_golden(&config, weights, golden, phase, tolerance)?)
}

/// Loads what belongs to the process and not to a case: the tokenizer with
/// its text, the scratch of the matrix product. Memory that is counted after
/// this is a case's own.
pub(crate) fn warm() -> Result<()> {
    assay_slm::passage(0, 1, 2)?;
    // Each thread keeps a packing buffer of its own, made at its first
    // product.
    let product = |size: usize| {
        use burn::tensor::{Device, Tensor};
        let ones = Tensor::<2>::ones([size, size], &Device::flex());
        std::hint::black_box(assay_kernels::matmul(ones.clone(), ones));
    };
    product(512);
    product(32);
    rayon::broadcast(|_| product(32));
    Ok(())
}

/// Traces of cases that differ only in what a trace does not depend on (the
/// number format) are made once.
#[derive(Default)]
pub(crate) struct Traces {
    made: std::collections::HashMap<String, Arc<Graph>>,
}

impl Traces {
    /// The graph of a complete case.
    pub(crate) fn get(
        &mut self,
        case: &Case,
        model: Option<&PathBuf>,
    ) -> Result<Arc<Graph>> {
        let mut key = case.clone();
        // A plan of chunks depends on how wide the numbers are.
        if case.axis("memory_limit").is_none_or(|limit| limit == "0") {
            key.axes.remove("precision");
        }
        let file = model.map(|path| path.display().to_string());
        let key = format!("{} {key}", file.unwrap_or_default());
        if let Some(known) = self.made.get(&key) {
            return Ok(Arc::clone(known));
        }
        let graph = Arc::new(trace(case, model)?);
        self.made.insert(key, Arc::clone(&graph));
        Ok(graph)
    }
}
