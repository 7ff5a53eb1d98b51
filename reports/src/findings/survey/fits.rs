//! A quantity against parameters: at the setting with the most provenances
//! and published models, a series for each place and provenance, and the line
//! of least squares through each series alone.
//!
//! `y = intercept + slope N` over parameters `N`, with
//! `R^2 = 1 - sum residual^2 / sum (y - mean)^2`
//! (`assay_statistics::LineFit`). Nothing joins two series.

use std::collections::{BTreeMap, BTreeSet};

use assay_schema::Provenance;
use assay_statistics::LineFit;

use super::{LEAST_MODELS, Model, Reading, belongs, by_phase, model_of};
use crate::findings::Setting;

/// Two points lie on a line whatever they are.
const LEAST_FOR_A_LINE: usize = 3;

/// Many models at one setting.
#[derive(Clone, Debug)]
pub(crate) struct FitPanel {
    pub(crate) workload: String,
    pub(crate) setting: Setting,
    /// By provenance, then as the plan names the places.
    pub(crate) series: Vec<FitSeries>,
}

/// Models at one place, in one precision.
#[derive(Clone, Debug)]
pub(crate) struct FitSeries {
    pub(crate) provenance: Provenance,
    pub(crate) place: String,
    pub(crate) precision: String,
    /// Parameters and reading, by parameters.
    pub(crate) points: Vec<(f64, Reading)>,
    /// `None` for fewer than three points, or when either column is constant.
    pub(crate) line: Option<Line>,
}

/// A line of least squares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Line {
    /// In the quantity's unit a parameter.
    pub(crate) slope: f64,
    /// In the quantity's unit.
    pub(crate) intercept: f64,
    pub(crate) r_squared: f64,
}

impl Line {
    /// The line at a number of parameters.
    pub(crate) fn at(&self, parameters: f64) -> f64 {
        self.intercept + self.slope * parameters
    }
}

/// A panel for each workload and phase of which enough models were read at
/// one setting. Of several settings that one at which the most provenances
/// have enough models, then the one at which the most models are published,
/// then the one with the most models.
pub(crate) fn fit_panels(
    readings: &[Reading],
    parameters: &BTreeMap<Model, f64>,
) -> Vec<FitPanel> {
    let mut panels = Vec::new();
    for ((workload, _, _), own) in by_phase(readings) {
        let settings: BTreeSet<Setting> = own
            .iter()
            .filter(|one| one.provenance != Provenance::Published)
            .filter_map(|one| Setting::of(&one.case))
            .collect();
        let mut best: Option<(Score, Setting, Vec<FitSeries>)> = None;
        for setting in settings {
            let series = series(&own, &setting, parameters);
            let score = score(&series);
            if best.as_ref().is_none_or(|(most, _, _)| score > *most) {
                best = Some((score, setting, series));
            }
        }
        if let Some(((provenances, ..), setting, series)) = best
            && provenances > 0
        {
            let setting = in_common(setting, &series);
            panels.push(FitPanel { workload, setting, series });
        }
    }
    panels
}

/// A setting as all of its cases have it, but the published ones, which leave
/// axes out: a model whose shape is spelled out in axes has more than others.
fn in_common(mut setting: Setting, series: &[FitSeries]) -> Setting {
    let own: Vec<&Reading> = series
        .iter()
        .filter(|one| one.provenance != Provenance::Published)
        .flat_map(|one| one.points.iter().map(|(_, reading)| reading))
        .collect();
    setting
        .axes
        .retain(|axis, _| own.iter().all(|one| one.case.axis(axis).is_some()));
    setting
}

/// Provenances of which a series has enough models, the most models of a
/// published series, and the most of any.
type Score = (usize, usize, usize);

fn score(series: &[FitSeries]) -> Score {
    let enough: BTreeSet<Provenance> = series
        .iter()
        .filter(|one| one.points.len() >= LEAST_MODELS)
        .map(|one| one.provenance)
        .collect();
    let most = |published: bool| {
        let own = series.iter().filter(|one| {
            !published || one.provenance == Provenance::Published
        });
        own.map(|one| one.points.len()).max().unwrap_or(0)
    };
    (enough.len(), most(true), most(false))
}

/// What was read at a setting: at each place in the precision that most
/// models have there.
fn series(
    readings: &[&Reading],
    setting: &Setting,
    parameters: &BTreeMap<Model, f64>,
) -> Vec<FitSeries> {
    type Key = (Provenance, usize, String);
    type Points = Vec<(f64, Reading)>;
    let mut places: BTreeMap<Key, BTreeMap<String, Points>> = BTreeMap::new();
    for one in readings.iter().filter(|one| belongs(&one.case, setting)) {
        let Some(count) = parameters.get(&model_of(&one.case)) else {
            continue;
        };
        let points = places
            .entry((one.provenance, one.rank, one.place.clone()))
            .or_default()
            .entry(one.precision().to_owned())
            .or_default();
        let is_met =
            |(_, met): &(f64, Reading)| met.case.model == one.case.model;
        if !points.iter().any(is_met) {
            points.push((*count, (*one).clone()));
        }
    }
    places
        .into_iter()
        .filter_map(|((provenance, _, place), precisions)| {
            // Of as many models, the first precision by name.
            let (precision, mut points) = precisions
                .into_iter()
                .rev()
                .max_by_key(|(_, points)| points.len())?;
            points.sort_by(|(a, one), (b, other)| {
                a.total_cmp(b).then_with(|| one.case.cmp(&other.case))
            });
            let line = line(&points);
            Some(FitSeries { provenance, place, precision, points, line })
        })
        .collect()
}

fn line(points: &[(f64, Reading)]) -> Option<Line> {
    if points.len() < LEAST_FOR_A_LINE {
        return None;
    }
    let x: Vec<f64> = points.iter().map(|(count, _)| *count).collect();
    let y: Vec<f64> = points.iter().map(|(_, one)| one.value.point).collect();
    let fit = LineFit::new(&x, &y).ok()?;
    Some(Line {
        slope: fit.slope,
        intercept: fit.intercept,
        r_squared: fit.r_squared,
    })
}

#[cfg(test)]
mod tests {
    use super::super::exact;
    use super::*;

    fn reading(model: usize, setting: &str, seconds: f64) -> Reading {
        let case = format!("w/m{model}/decode {setting}");
        Reading {
            provenance: Provenance::Predicted,
            rank: 0,
            place: "board".into(),
            case: case.parse().unwrap(),
            value: exact(seconds, "made up"),
        }
    }

    fn counts() -> BTreeMap<Model, f64> {
        (1..=9)
            .map(|n| (("w".into(), format!("m{n}")), n as f64 * 1e8))
            .collect()
    }

    #[test]
    fn a_line_is_found_with_r_squared_one() {
        // 2 ms and 3 ms for each 100 million parameters.
        let readings: Vec<Reading> = (1..=6)
            .map(|n| reading(n, "context=8", 2e-3 + 3e-3 * n as f64))
            .collect();
        let panels = fit_panels(&readings, &counts());
        assert_eq!(panels.len(), 1);
        let line = panels[0].series[0].line.unwrap();
        assert!((line.slope * 1e9 - 30e-3).abs() < 1e-12);
        assert!((line.intercept - 2e-3).abs() < 1e-12);
        assert!((line.r_squared - 1.0).abs() < 1e-12);
        assert!((line.at(5e8) - 17e-3).abs() < 1e-12);
    }

    #[test]
    fn the_setting_with_the_most_models_is_taken_and_few_make_none() {
        let mut readings: Vec<Reading> =
            (1..=6).map(|n| reading(n, "context=8", n as f64)).collect();
        readings.extend((1..=8).map(|n| reading(n, "context=75", n as f64)));
        let panels = fit_panels(&readings, &counts());
        assert_eq!(panels[0].setting.text(), "decode, context 75");
        assert_eq!(panels[0].series[0].points.len(), 8);
        assert!(fit_panels(&readings[..5], &counts()).is_empty());
    }

    #[test]
    fn a_setting_is_told_by_the_axes_that_all_its_models_have() {
        let mut own: Vec<Reading> =
            (1..=8).map(|m| reading(m, "context=75", m as f64)).collect();
        own.push(reading(9, "context=75 width=768", 9.0));
        let panels = fit_panels(&own, &counts());
        assert_eq!(panels[0].setting.text(), "decode, context 75");
        assert_eq!(panels[0].series[0].points.len(), 9);
    }

    #[test]
    fn of_settings_with_as_many_provenances_the_published_one_is_taken() {
        let of = |provenance, setting: &'static str, models: usize| {
            (1..=models).map(move |model| {
                let one = reading(model, setting, model as f64);
                Reading { provenance, ..one }
            })
        };
        let mut readings: Vec<Reading> =
            of(Provenance::Predicted, "context=75", 9).collect();
        readings.extend(of(Provenance::Measured, "context=75", 6));
        readings.extend(of(Provenance::Predicted, "context=2047", 7));
        readings.extend(of(Provenance::Published, "context=2047", 6));
        let panels = fit_panels(&readings, &counts());
        assert_eq!(panels[0].setting.text(), "decode, context 2047");
        assert_eq!(panels[0].series.len(), 2);
    }

    #[test]
    fn a_constant_has_no_line() {
        let flat: Vec<Reading> =
            (1..=6).map(|n| reading(n, "context=8", 1.0)).collect();
        assert_eq!(fit_panels(&flat, &counts())[0].series[0].line, None);
    }
}
