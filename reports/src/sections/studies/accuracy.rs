//! Accuracy as curves: against the test SNR, against an axis of numbers,
//! against the time that training took.

use assay_schema::Provenance;

use super::panels::{MOST_CURVES, Point, panels};
use crate::document::{
    Cell, Column, Curves, Figure, Level, Picture, Scale, Spread, Table,
};
use crate::findings::{OverSeeds, Series, Study, axis_name, name, number};

/// The metric of all of them.
pub(super) const ACCURACY: &str = "quality/accuracy";
/// The time up to the best epoch.
pub(super) const TRAINING_TIME: &str = "quality/training_time";
/// The axis of cases that are tested at one SNR each.
const TEST_SNR: &str = "test_snr_db";
/// The coordinate of accuracies at one SNR each.
const SNR: &str = "snr_db";
/// Axes of numbers that an experiment is about, wherever they differ.
const SWEPT: [&str; 4] = ["train_snr_db", "keep", "band_mhz", "offset_db"];

const SPREADS: &str = "A mark is the mean over seeds, a bar runs from the \
    smallest to the largest; all of it is measured.";

/// A value on the horizontal axis, and the accuracy there.
type At = (f64, OverSeeds);

/// Accuracy against the test SNR; `None` with fewer than two SNRs.
pub(super) fn against_snr(study: &Study<'_>, id: &str) -> Option<Figure> {
    let axis = (study.numbers(TEST_SNR) > 1).then_some(TEST_SNR);
    let series: Vec<(Series<'_, '_>, Vec<At>)> = study
        .along(axis)
        .into_iter()
        .map(|series| {
            let points = snr_points(&series);
            (series, points)
        })
        .collect();
    let mut snrs: Vec<f64> = series
        .iter()
        .flat_map(|(_, points)| points.iter().map(|(x, _)| *x))
        .collect();
    snrs.sort_by(f64::total_cmp);
    snrs.dedup();
    if snrs.len() < 2 {
        return None;
    }
    let id = format!("{id}-snr");
    let title = "Accuracy against test SNR".to_owned();
    let data = data(study, &id, &title, &series, axis, (SNR, "dB"));
    let arranged = panels(study, exact_x(series), axis, true);
    let level = guessing(study);
    let guess = match level {
        Some(_) => " The dashed line is what guessing would reach.",
        None => "",
    };
    Some(Figure {
        caption: format!(
            "Share of test examples that were classified rightly, at each \
             signal-to-noise ratio of the test set. {SPREADS}{guess}{}",
            arranged.left_out_text()
        ),
        id,
        title,
        picture: Picture::Curves(Box::new(Curves {
            panels: arranged.panels,
            x: plain("test SNR (dB)".into(), false),
            y: Scale {
                ends: Some((0.0, 1.0)),
                ..plain("accuracy (fraction)".into(), false)
            },
            level,
        })),
        data: Some(data),
    })
}

/// The accuracies of a series over test SNRs: of cases that are tested at
/// one SNR, their accuracy; of others, what they say of each SNR.
fn snr_points(series: &Series<'_, '_>) -> Vec<At> {
    let mut points = Vec::new();
    for (at, setting) in &series.settings {
        if let Some(snr) = at {
            points.extend(setting.metric(ACCURACY).map(|over| (*snr, over)));
            continue;
        }
        for place in setting.places(ACCURACY, SNR) {
            let over = setting.metric_at(ACCURACY, SNR, &place);
            points.extend(number(&place).zip(over));
        }
    }
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}

/// Accuracy against each axis of numbers that the experiment is about.
pub(super) fn against_axes(study: &Study<'_>, id: &str) -> Vec<Figure> {
    let differing = study.differing();
    let varied =
        |axis: &str| differing.contains(axis) && study.numbers(axis) > 1;
    let mut axes: Vec<&str> =
        SWEPT.into_iter().filter(|axis| varied(axis)).collect();
    // Another axis speaks for itself where it is the only one.
    let others: Vec<&str> = differing
        .iter()
        .map(String::as_str)
        .filter(|axis| *axis != TEST_SNR && varied(axis))
        .collect();
    if let (true, [only]) = (axes.is_empty(), others.as_slice()) {
        axes.push(only);
    }
    axes.into_iter().filter_map(|axis| against(study, id, axis)).collect()
}

fn against(study: &Study<'_>, id: &str, axis: &str) -> Option<Figure> {
    let series: Vec<(Series<'_, '_>, Vec<At>)> = study
        .along(Some(axis))
        .into_iter()
        .map(|series| {
            let points = series
                .settings
                .iter()
                .filter_map(|(at, setting)| {
                    Some(((*at)?, setting.metric(ACCURACY)?))
                })
                .collect();
            (series, points)
        })
        .collect();
    let values = || series.iter().flat_map(|(_, points)| points);
    if series.iter().all(|(_, points)| points.len() < 2) {
        return None;
    }
    let (words, unit) = axis_name(axis);
    let logarithmic = is_wide(values().map(|(x, _)| *x), unit);
    let y = accuracy_scale(values().map(|(_, over)| over.spread));
    let id = format!("{id}-by-{}", super::file_word(axis));
    let title = format!("Accuracy against {words}");
    let others = study
        .settings
        .iter()
        .any(|setting| setting.case.axis(axis).and_then(number).is_none());
    let data = data(study, &id, &title, &series, Some(axis), (axis, unit));
    let arranged = panels(study, exact_x(series), Some(axis), true);
    let label = match unit {
        "" => words,
        unit => format!("{words} ({unit})"),
    };
    let mut caption = format!(
        "Share of test examples that were classified rightly, over the whole \
         test set of each setting. {SPREADS}{}{}",
        ends_text(&y),
        arranged.left_out_text()
    );
    if others {
        caption.push_str(&format!(
            " Settings whose {label} is no number are in the table only."
        ));
    }
    Some(Figure {
        id,
        title,
        caption,
        picture: Picture::Curves(Box::new(Curves {
            panels: arranged.panels,
            x: plain(label, logarithmic),
            y,
            level: None,
        })),
        data: Some(data),
    })
}

/// Whether a logarithmic axis shows values better: a range of 8 and more.
/// Decibels are logarithms already.
fn is_wide(values: impl Iterator<Item = f64>, unit: &str) -> bool {
    let (low, high) = values
        .fold((f64::INFINITY, 0.0_f64), |(low, high), value| {
            (low.min(value), high.max(value))
        });
    unit != "dB" && low > 0.0 && high / low >= 8.0
}

/// The axis along which marks are of one kind, where there are too many
/// settings for a kind each: what is swept, else the test SNR.
fn gathered(study: &Study<'_>) -> Option<&'static str> {
    let swept = |axis: &&str| study.numbers(axis) > 1;
    let many = study.settings.len() > MOST_CURVES;
    let axes = [TEST_SNR].into_iter().chain(SWEPT);
    many.then(|| axes.into_iter().find(|axis| swept(axis))).flatten()
}

/// Accuracy against training time, a mark a setting.
pub(super) fn against_time(study: &Study<'_>, id: &str) -> Option<Figure> {
    let axis = gathered(study);
    let id = format!("{id}-time");
    let title = "Accuracy against training time".to_owned();
    let mut data = Table::new(
        id.clone(),
        title.clone(),
        vec![
            Column::words("Setting", "setting"),
            Column::numbers("Training time", "training_time_s"),
            Column::numbers("Accuracy", "accuracy"),
        ],
    );
    let differing = study.differing();
    let mut spreads = Vec::new();
    let mut series = Vec::new();
    for one in study.along(axis) {
        let mut points: Vec<Point> = Vec::new();
        for (_, setting) in &one.settings {
            let Some((time, accuracy)) = setting
                .metric(TRAINING_TIME)
                .filter(|time| time.spread.low > 0.0)
                .zip(setting.metric(ACCURACY))
            else {
                continue;
            };
            spreads.push(accuracy.spread);
            let n = time.n.min(accuracy.n);
            points.push((time.spread, accuracy.spread, n));
            data.rows.push(vec![
                Cell::text(&name(&setting.case, &differing, &[])),
                over(&time, "s"),
                over(&accuracy, "1"),
            ]);
        }
        points.sort_by(|a, b| a.0.point.total_cmp(&b.0.point));
        series.push((one, points));
    }
    let arranged = panels(study, series, axis, false);
    if arranged.is_empty() {
        return None;
    }
    let y = accuracy_scale(spreads);
    let gathered = match axis {
        Some(axis) => {
            format!(" Marks of one kind differ in {}.", axis_name(axis).0)
        }
        None => String::new(),
    };
    Some(Figure {
        id,
        title,
        caption: format!(
            "A mark a setting: test accuracy, and the time up to the epoch \
             that was best on the validation set. A mark is the mean over \
             seeds; bars, across and upwards, run from the smallest to the \
             largest; all of it is measured. The time axis is \
             logarithmic.{gathered}{}{}",
            ends_text(&y),
            arranged.left_out_text()
        ),
        picture: Picture::Curves(Box::new(Curves {
            panels: arranged.panels,
            x: Scale {
                name: "training time".into(),
                unit: "s",
                logarithmic: true,
                ends: None,
            },
            y,
            level: None,
        })),
        data: Some(data),
    })
}

/// A number over seeds in a table.
pub(super) fn over(over: &OverSeeds, unit: &str) -> Cell {
    Cell::range(over.spread, over.n, unit, Provenance::Measured)
}

fn plain(name: String, logarithmic: bool) -> Scale {
    Scale { name, unit: "1", logarithmic, ends: None }
}

/// The whole tenths around what is drawn.
fn accuracy_scale(spreads: impl IntoIterator<Item = Spread>) -> Scale {
    let (low, high) =
        spreads.into_iter().fold((1.0_f64, 0.0_f64), |(low, high), spread| {
            (low.min(spread.low), high.max(spread.high))
        });
    let low = ((low * 10.0).floor() / 10.0).clamp(0.0, 0.9);
    let high = ((high * 10.0).ceil() / 10.0).clamp(low + 0.1, 1.0);
    Scale {
        ends: Some((low, high)),
        ..plain("accuracy (fraction)".into(), false)
    }
}

fn ends_text(scale: &Scale) -> String {
    match scale.ends {
        Some((low, high)) if low > 0.0 || high < 1.0 => {
            format!(" The vertical axis shows {low:.1} to {high:.1} only.")
        }
        Some(_) | None => String::new(),
    }
}

/// What guessing reaches, where all settings have as many classes.
fn guessing(study: &Study<'_>) -> Option<Level> {
    let counts: Vec<f64> = study
        .settings
        .iter()
        .filter_map(|setting| setting.metric("quality/classes"))
        .flat_map(|over| [over.spread.low, over.spread.high])
        .collect();
    let classes = counts.first().copied().filter(|count| *count >= 2.0)?;
    let same = counts.iter().all(|count| (count - classes).abs() < 0.5);
    same.then(|| Level {
        label: format!("guessing, 1 in {classes:.0}"),
        value: 1.0 / classes,
    })
}

fn exact_x<'s, 'a>(
    series: Vec<(Series<'s, 'a>, Vec<At>)>,
) -> Vec<(Series<'s, 'a>, Vec<Point>)> {
    series
        .into_iter()
        .map(|(series, points)| {
            let points = points
                .into_iter()
                .map(|(x, over)| (Spread::exact(x), over.spread, over.n))
                .collect();
            (series, points)
        })
        .collect()
}

/// The numbers of a figure: the setting, where it stands, its accuracy.
fn data(
    study: &Study<'_>,
    id: &str,
    caption: &str,
    series: &[(Series<'_, '_>, Vec<At>)],
    axis: Option<&str>,
    (key, unit): (&str, &str),
) -> Table {
    let differing = study.differing();
    let along: Vec<&str> = axis.into_iter().collect();
    let mut table = Table::new(
        id,
        caption,
        vec![
            Column::words("Setting", "setting"),
            // The axis is set, not measured: its bare number.
            Column::counts(key, key),
            Column::numbers("Accuracy", "accuracy"),
        ],
    );
    for (series, points) in series {
        let name = name(&series.case, &differing, &along);
        for (x, accuracy) in points {
            table.rows.push(vec![
                Cell::text(&name),
                Cell::value(*x, unit, Provenance::Measured),
                over(accuracy, "1"),
            ]);
        }
    }
    table
}
