//! A picture a class: predicted over measured, held-out fits beside the
//! rooflines on the same axes.

use super::headline::unsigned;
use crate::document::{
    Block, Cloud, CloudPanel, Clouds, Figure, Picture, Section,
};
use crate::findings::{
    Constants, Errors, by_class, by_device, class_title, constants_of, is_time,
};
use crate::sections::counted;
use crate::{Fold, ValidationRow};

/// Fewer points than this make no picture.
const LEAST: usize = 3;

/// The section; `None` where no class has enough rows.
pub(super) fn section(rows: &[&ValidationRow]) -> Option<Section> {
    let mut blocks = vec![Block::Paragraph(
        "Measured time (published) across, predicted time up, both on \
         logarithmic axes; each mark is a case. On the diagonal the prediction \
         is right; the lines beside it are 20 % off. Marks that would cover \
         one another are drawn once. Predictors of a picture share its axes."
            .into(),
    )];
    blocks.extend(
        by_class(rows)
            .into_iter()
            .filter(|(_, rows)| rows.len() >= LEAST)
            .map(|(class, rows)| Block::Figure(figure(class, &rows))),
    );
    (blocks.len() > 1).then_some(Section {
        id: "scatter".into(),
        title: "Predicted over measured".into(),
        blocks,
    })
}

fn figure(class: &str, rows: &[&ValidationRow]) -> Figure {
    let constants = constants_of(rows);
    let group = |title: &str, folds: &[Constants]| CloudPanel {
        title: title.to_owned(),
        clouds: folds
            .iter()
            .filter(|fold| constants.contains(fold))
            .map(|fold| {
                cloud(fold.title(), false, rows, |row| fold.predicted(row))
            })
            .collect(),
    };
    let panels = [
        group(
            "Device not seen",
            &[Fold::New, Fold::Family].map(Constants::HeldOut),
        ),
        group(
            "Device partly seen",
            &[Fold::Calibrated, Fold::Overlay].map(Constants::HeldOut),
        ),
        group("Shipped constants", &[Constants::Shipped]),
        CloudPanel {
            title: "Rooflines".into(),
            clouds: vec![
                cloud("three constants", true, rows, |r| r.three_constants),
                cloud("plain", true, rows, |row| row.roofline),
            ],
        },
    ];
    Figure {
        id: match class {
            "" => "scatter".into(),
            class => format!("scatter-{}", super::language::key(class)),
        },
        title: class_title(class).into(),
        caption: format!(
            "{} on {}.",
            counted(rows.len(), "case"),
            counted(by_device(rows).len(), "device")
        ),
        picture: Picture::Clouds(Clouds {
            panels: panels
                .into_iter()
                .map(|mut panel| {
                    panel.clouds.retain(|cloud| !cloud.points.is_empty());
                    panel
                })
                .filter(|panel| !panel.clouds.is_empty())
                .collect(),
        }),
        data: None,
    }
}

fn cloud(
    name: &str,
    baseline: bool,
    rows: &[&ValidationRow],
    predicted: impl Fn(&ValidationRow) -> Option<f64>,
) -> Cloud {
    let points: Vec<(f64, f64)> = rows
        .iter()
        .filter_map(|row| {
            let predicted = predicted(row).filter(|p| is_time(*p))?;
            Some((row.observed.point(), predicted))
        })
        .collect();
    let label = Errors::of(points.iter().map(|(o, p)| (*p, *o)))
        .map_or_else(String::new, |errors| {
            format!("{name}: mean error {}", unsigned(errors.mean))
        });
    Cloud { label, baseline, points }
}
