//! `assay predict`: latency, memory and energy on machines that are not here.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use assay_schema::{Case, Prediction, Runtime};

use crate::arguments::{PredictArgs, PredictFormat};
use crate::exit::{Ending, Verdict, print};
use crate::predictions::{Calibration, On, Predictor};
use crate::registry;
use crate::table::{aligned, si};

pub(crate) fn run(args: &PredictArgs) -> Verdict {
    let calibration = Calibration::read(args.calibration.as_deref())?;
    let runtime: Option<Runtime> =
        args.runtime.as_deref().map(str::parse).transpose()?;
    registry::check_model(args.model.as_deref())?;
    let model = args.model.as_ref();
    if let Some(table) = &args.from {
        if !matches!(args.format, None | Some(PredictFormat::Csv)) {
            return Err(
                anyhow!("--from writes csv only: give --format csv").into()
            );
        }
        let mut predictor = Predictor::with(calibration);
        print(&from_table(table, runtime, model, &mut predictor)?);
        return Ok(Ending::Done);
    }
    let path = args.case.as_deref().unwrap_or_default();
    let case = registry::read_case(path, &args.axes)?;
    let on = On::read_all(&args.on)?;
    calibration.check(&on)?;
    let mut predictor = Predictor::with(calibration);
    let predictions = on
        .iter()
        .map(|on| predictor.predict(&case, on, runtime, model))
        .collect::<Result<Vec<_>>>()?;
    print(&match args.format.unwrap_or(PredictFormat::Text) {
        PredictFormat::Text => text(&predictions),
        PredictFormat::Json => {
            serde_json::to_string_pretty(&predictions)? + "\n"
        }
        PredictFormat::Csv => csv_of(&predictions)?,
    });
    Ok(Ending::Done)
}

fn text(predictions: &[Prediction]) -> String {
    let mut rows = vec![
        [
            "profile",
            "unit",
            "runtime",
            "precision",
            "latency",
            "80 % band",
            "bound",
            "memory",
            "energy",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for p in predictions {
        let latency = &p.latency_s;
        let fits = match p.fits {
            Some(false) => " (does not fit)",
            Some(true) | None => "",
        };
        rows.push(vec![
            p.profile.clone(),
            p.unit.clone(),
            p.runtime.name().to_owned(),
            p.axes.get("precision").cloned().unwrap_or_default(),
            si(latency.point, "s"),
            format!("{} to {}", si(latency.low, "s"), si(latency.high, "s")),
            p.bound.name().to_owned(),
            si(p.memory_peak_bytes.value(), "B") + fits,
            p.energy_j
                .as_ref()
                .map_or("unknown".to_owned(), |e| si(e.point, "J")),
        ]);
    }
    let case = predictions.first().map_or(String::new(), |p| {
        // The precision is a column: it may differ by profile.
        let axes: String = p
            .axes
            .iter()
            .filter(|(axis, _)| *axis != "precision")
            .map(|(axis, value)| format!(" {axis}={value}"))
            .collect();
        let parameters = match p.parameters {
            0 => String::new(),
            n => format!(", {n} parameters"),
        };
        format!(
            "{}{axes}: {}{parameters}, predicted\n\n",
            p.case,
            si(p.flops.value(), "FLOP"),
        )
    });
    case + &aligned(&rows) + &remarks(predictions)
}

/// What a prediction's method says beside its name: a peak that stands for
/// one that the device lacks, an overlay.
fn remarks(predictions: &[Prediction]) -> String {
    let lines: String = predictions
        .iter()
        .filter_map(|p| {
            let (_, remark) = p.latency_s.method.split_once("; ")?;
            Some(format!("{}:{}: {remark}\n", p.profile, p.unit))
        })
        .collect();
    if lines.is_empty() { lines } else { format!("\n{lines}") }
}

/// The columns that every table of predictions ends with.
const RESULT_COLUMNS: [&str; 10] = [
    "latency_s_point",
    "latency_s_low",
    "latency_s_high",
    "parameters",
    "flops",
    "bytes",
    "memory_peak_bytes",
    "energy_j_point",
    "bound",
    "error",
];

fn result_cells(prediction: &Result<Prediction>) -> Vec<String> {
    match prediction {
        Ok(p) => vec![
            p.latency_s.point.to_string(),
            p.latency_s.low.to_string(),
            p.latency_s.high.to_string(),
            p.parameters.to_string(),
            p.flops.value().to_string(),
            p.bytes.value().to_string(),
            p.memory_peak_bytes.value().to_string(),
            p.energy_j
                .as_ref()
                .map_or_else(String::new, |e| e.point.to_string()),
            p.bound.name().to_owned(),
            String::new(),
        ],
        Err(error) => {
            let mut cells = vec![String::new(); RESULT_COLUMNS.len() - 1];
            cells.push(format!("{error:#}"));
            cells
        }
    }
}

fn csv_of(predictions: &[Prediction]) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let heading = ["case", "profile", "runtime"];
    writer.write_record(heading.iter().chain(&RESULT_COLUMNS))?;
    for p in predictions {
        let case = p.full_case().map_or(p.case.clone(), |c| c.to_string());
        let mut row = vec![
            case,
            format!("{}:{}", p.profile, p.unit),
            p.runtime.name().to_owned(),
        ];
        row.extend(result_cells(&Ok(p.clone())));
        writer.write_record(&row)?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// One row out for each row in, in order; a bad row has its message in
/// `error` and empty numbers.
fn from_table(
    path: &Path,
    runtime: Option<Runtime>,
    model: Option<&PathBuf>,
    predictor: &mut Predictor,
) -> Result<String> {
    let name = path.display();
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_path(path)
        .with_context(|| format!("{name}: cannot be read"))?;
    let heading =
        reader.headers().with_context(|| format!("{name}: heading"))?.clone();
    for needed in ["case", "profile"] {
        if !heading.iter().any(|column| column == needed) {
            bail!(
                "{name}:1: no column `{needed}`; expected case, profile, \
                 runtime and any axis, found {}",
                heading.iter().collect::<Vec<_>>().join(", ")
            );
        }
    }
    let mut writer =
        csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
    writer.write_record(heading.iter().chain(RESULT_COLUMNS))?;
    for (index, row) in reader.records().enumerate() {
        let row =
            row.with_context(|| format!("{name}:{}: bad CSV", index + 2))?;
        let prediction = if row.len() == heading.len() {
            predict_row(&heading, &row, runtime, model, predictor)
        } else {
            Err(anyhow!("{} cells, expected {}", row.len(), heading.len()))
        };
        let mut cells: Vec<String> = row.iter().map(str::to_owned).collect();
        cells.resize(heading.len(), String::new());
        cells.extend(result_cells(&prediction));
        writer.write_record(&cells)?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// Columns that say what a row asks for and are no axes.
const NO_AXES: [&str; 4] = ["case", "profile", "runtime", "model"];

/// Columns of a measured table that are about its time.
pub(crate) const ABOUT_A_TIME: [&str; 4] =
    ["latency_s", "source", "weight", "note"];

/// What a row asks for.
pub(crate) struct Asked {
    pub(crate) case: Case,
    pub(crate) on: On,
    pub(crate) runtime: Option<Runtime>,
    /// A model file of the row's own.
    pub(crate) model: Option<PathBuf>,
}

impl Asked {
    /// The runtime that it names, else the default of its case and unit.
    pub(crate) fn runtime(&self) -> Runtime {
        let On { profile, unit, runtime } = &self.on;
        self.runtime.or(*runtime).unwrap_or_else(|| {
            crate::defaults::runtime(&self.case, profile, *unit)
        })
    }
}

/// Reads a row. A model file stands in the column `model`, or in the case in
/// place of the model's name: `slm/my/shape.toml/decode`.
pub(crate) fn read_row(
    heading: &csv::StringRecord,
    row: &csv::StringRecord,
) -> Result<Asked> {
    read_row_on(heading, row, On::read)
}

/// The same, with what reads a unit's name.
fn read_row_on(
    heading: &csv::StringRecord,
    row: &csv::StringRecord,
    unit: impl FnOnce(&str) -> Result<On>,
) -> Result<Asked> {
    let cell = |name: &str| {
        heading
            .iter()
            .position(|column| column == name)
            .and_then(|i| row.get(i))
            .map(str::trim)
            .filter(|text| !text.is_empty())
    };
    let path = cell("case").ok_or_else(|| anyhow!("no case"))?;
    let profile = cell("profile").ok_or_else(|| anyhow!("no profile"))?;
    let (path, own) = registry::split_model_file(path);
    let axes: Vec<String> = heading
        .iter()
        .zip(row)
        .filter(|(column, value)| {
            !NO_AXES.contains(column)
                && !ABOUT_A_TIME.contains(column)
                && !value.trim().is_empty()
        })
        .map(|(column, value)| format!("{column}={}", value.trim()))
        .collect();
    Ok(Asked {
        case: registry::read_case(&path, &axes)?,
        on: unit(profile)?,
        runtime: cell("runtime").map(str::parse).transpose()?,
        model: own.or_else(|| cell("model").map(PathBuf::from)),
    })
}

fn predict_row(
    heading: &csv::StringRecord,
    row: &csv::StringRecord,
    runtime: Option<Runtime>,
    model: Option<&PathBuf>,
    predictor: &mut Predictor,
) -> Result<Prediction> {
    let asked = read_row_on(heading, row, |name| predictor.unit(name))?;
    // A file for all rows is for those that can have one.
    let shared = model.filter(|_| asked.case.workload == "slm");
    let model = asked.model.as_ref().or(shared);
    predictor.predict(&asked.case, &asked.on, asked.runtime.or(runtime), model)
}
