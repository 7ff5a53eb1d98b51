//! Evidence for the claims of `claims.toml`: each id has its function here.
//! The ruling is not made here.

use assay_schema::{
    ClaimData, ClaimFile, Estimate, Evidence, Prediction, Provenance, Record,
    TextError,
};
use assay_statistics::{Bootstrap, LineFit, median_estimate, ratio_estimate};

use crate::SlmError;

const CLAIMS: &str = include_str!("../claims.toml");
const FIGURE_7: &str = include_str!("../claims/figure7.csv");

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

/// Everything that a run and the published figure have to say about the
/// claims. A claim without evidence is simply not in the list.
pub fn evidence(
    records: &[Record],
    predictions: &[Prediction],
) -> Vec<Evidence> {
    [
        decode_tracks_size_published(),
        decode_tracks_size_predicted(predictions),
        qwen_prefill_measured(records),
        qwen_prefill_predicted(predictions),
        qwen_prefill_published(),
        memory_linear_published(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn published(claim: &str, estimate: Estimate) -> Evidence {
    Evidence {
        claim: claim.to_owned(),
        estimate,
        data: ClaimData::Published,
        provenance: Provenance::Published,
    }
}

/// Resamples models: the claim is about models at large.
fn over_models(
    name: &str,
    n: usize,
    statistic: impl Fn(&[usize]) -> f64,
) -> Option<Estimate> {
    let bootstrap = Bootstrap { resamples: 2000, confidence: 0.95, seed: 2409 };
    bootstrap.rows(name, n, statistic).ok()
}

fn r_squared(x: &[f64], y: &[f64]) -> f64 {
    LineFit::new(x, y).map_or(f64::NAN, |fit| fit.r_squared)
}

fn r_squared_difference(rows: &[(f64, f64, f64)]) -> Option<Estimate> {
    over_models(
        "R² of decode minus R² of prefill, bootstrap over models",
        rows.len(),
        |picked| {
            let column = |f: fn(&(f64, f64, f64)) -> f64| -> Vec<f64> {
                picked.iter().map(|&i| f(&rows[i])).collect()
            };
            let size = column(|r| r.0);
            r_squared(&size, &column(|r| r.2))
                - r_squared(&size, &column(|r| r.1))
        },
    )
}

fn decode_tracks_size_published() -> Option<Evidence> {
    let rows: Vec<(f64, f64, f64)> = figure_7()
        .iter()
        .filter_map(|p| Some((p.parameters_m, p.first_token_ms?, p.decode_ms?)))
        .collect();
    Some(published("decode-tracks-size", r_squared_difference(&rows)?))
}

/// On the survey's own machine, predicted: prompts of the run's plan.
fn decode_tracks_size_predicted(
    predictions: &[Prediction],
) -> Option<Evidence> {
    let on_jetson = |phase: &str| {
        predictions
            .iter()
            .filter(|p| {
                p.profile == SURVEY_MACHINE
                    && p.case.starts_with("slm/")
                    && p.case.ends_with(phase)
                    && !p.case.starts_with("slm/tiny/")
            })
            .collect::<Vec<_>>()
    };
    let decode = on_jetson("/decode");
    let rows: Vec<(f64, f64, f64)> = on_jetson("/prefill")
        .into_iter()
        .filter_map(|prefill| {
            let model = prefill.case.trim_end_matches("/prefill");
            let step = decode
                .iter()
                .find(|p| p.case.trim_end_matches("/decode") == model)?;
            Some((
                prefill.parameters as f64,
                prefill.latency_s.point,
                step.latency_s.point,
            ))
        })
        .collect();
    if rows.len() < 5 {
        return None;
    }
    Some(Evidence {
        claim: "decode-tracks-size".to_owned(),
        estimate: r_squared_difference(&rows)?,
        data: ClaimData::Predicted,
        provenance: Provenance::Predicted,
    })
}

/// The machine of the survey's Figure 7.
const SURVEY_MACHINE: &str = "nvidia-jetson-orin-nx-16gb";

/// Share by which the first is faster, in percent, from the ratio of times.
fn faster_by(ratio: &Estimate) -> Estimate {
    Estimate {
        point: 100.0 * (1.0 - ratio.point),
        low: 100.0 * (1.0 - ratio.high),
        high: 100.0 * (1.0 - ratio.low),
        ..ratio.clone()
    }
}

fn qwen_prefill_measured(records: &[Record]) -> Option<Evidence> {
    let time = |model: &str| {
        let record = records.iter().find(|r| {
            r.is_sound()
                && r.case.workload == "slm"
                && r.case.model == model
                && r.case.phase.as_deref() == Some("prefill")
        })?;
        median_estimate(&record.steady_samples("step"), 0.95).ok()
    };
    let ratio =
        ratio_estimate(&time("qwen1.5-0.5b")?, &time("qwen2-0.5b")?).ok()?;
    Some(Evidence {
        claim: "qwen-prefill".to_owned(),
        estimate: faster_by(&ratio),
        data: ClaimData::Generated,
        provenance: Provenance::Measured,
    })
}

fn qwen_prefill_predicted(predictions: &[Prediction]) -> Option<Evidence> {
    let time = |model: &str| {
        predictions
            .iter()
            .find(|p| {
                p.profile == SURVEY_MACHINE
                    && p.case == format!("slm/{model}/prefill")
            })
            .map(|p| &p.latency_s)
    };
    let (first, second) = (time("qwen1.5-0.5b")?, time("qwen2-0.5b")?);
    // One machine, one model of it: the errors of the two share their sign,
    // so the band of the ratio is not the bands' ratio. Half of one band.
    let half = (first.high / first.point).sqrt();
    let ratio = Estimate {
        point: first.point / second.point,
        low: first.point / second.point / half,
        high: first.point / second.point * half,
        method: "ratio of predictions, half of the band".to_owned(),
        ..first.clone()
    };
    Some(Evidence {
        claim: "qwen-prefill".to_owned(),
        estimate: faster_by(&ratio),
        data: ClaimData::Predicted,
        provenance: Provenance::Predicted,
    })
}

fn qwen_prefill_published() -> Option<Evidence> {
    let points = figure_7();
    let time =
        |model: &str| points.iter().find(|p| p.model == model)?.first_token_ms;
    let share = 100.0 * (1.0 - time("Qwen1.5-0.5B")? / time("Qwen2-0.5B")?);
    Some(published(
        "qwen-prefill",
        Estimate {
            point: share,
            low: share,
            high: share,
            confidence: 1.0,
            n: 1,
            method: "recomputed from the figure; no repetitions published"
                .to_owned(),
        },
    ))
}

fn memory_linear_published() -> Option<Evidence> {
    let rows: Vec<(f64, f64)> = figure_7()
        .iter()
        .filter_map(|p| Some((p.parameters_m, p.memory_mib?)))
        .collect();
    let estimate = over_models(
        "R² of memory on parameters, bootstrap over models",
        rows.len(),
        |picked| {
            let size: Vec<f64> = picked.iter().map(|&i| rows[i].0).collect();
            let memory: Vec<f64> = picked.iter().map(|&i| rows[i].1).collect();
            r_squared(&size, &memory)
        },
    )?;
    Some(published("memory-linear", estimate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_figure_gives_the_fits_that_the_facts_state() {
        let points: Vec<(f64, f64, f64)> = figure_7()
            .iter()
            .filter_map(|p| {
                Some((p.parameters_m, p.first_token_ms?, p.decode_ms?))
            })
            .collect();
        assert!(points.len() >= 13);
        let evidence = qwen_prefill_published().unwrap();
        // Printed on the figure: 31.9 %.
        assert!((evidence.estimate.point - 31.9).abs() < 0.05);
    }

    #[test]
    fn every_evidence_names_a_claim_of_the_file() {
        let file = claims().unwrap();
        for evidence in evidence(&[], &[]) {
            assert!(
                file.claim.iter().any(|c| c.id == evidence.claim),
                "{}",
                evidence.claim
            );
        }
    }
}
