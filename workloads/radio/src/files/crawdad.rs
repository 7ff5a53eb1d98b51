//! CRAWDAD `owl/interference`: `[15 classes, 21 SNRs, snapshots, samples, 2]`
//! and labels `[15, 21, snapshots]` (arXiv 1905.08054, Table I, and its
//! authors' notebooks).

use super::array::Array;
use super::error::FilesError;
use super::find::Found;
use crate::Snapshots;

const CLASSES: usize = 15;
/// SNR -20 to 20 dB in steps of 2.
const SNRS: usize = 21;

/// Names in the order of the first axis.
fn names() -> Vec<String> {
    let bluetooth = (1..=10).map(|k| format!("BT{k}"));
    let wifi = (1..=3).map(|k| format!("WiFi{k}"));
    let zigbee = (1..=2).map(|k| format!("Zigbee{k}"));
    bluetooth.chain(wifi).chain(zigbee).collect()
}

/// Without labels, the first axis tells the class.
pub(super) fn snapshots(
    data: &Array,
    labels: Option<&Array>,
    found: &Found,
) -> Result<Snapshots, FilesError> {
    let &[CLASSES, SNRS, each, length, 2] = data.shape() else {
        return Err(FilesError::Shape {
            path: found.data.clone(),
            what: "I and Q".to_owned(),
            found: format!("{:?}", data.shape()),
            expected: "[15, 21, snapshots, samples, 2]".to_owned(),
        });
    };
    let count = CLASSES * SNRS * each;
    let class = match labels {
        Some(labels) => classes(labels, each, found)?,
        None => (0..count).map(|i| (i / (SNRS * each)) as u8).collect(),
    };
    let snr = |i: usize| -20 + 2 * (i / each % SNRS) as i8;
    let mut iq = Vec::with_capacity(count * 2 * length);
    iq.extend(data.values().map(|value| value as f32));
    Ok(Snapshots {
        length,
        iq,
        class,
        snr_db: (0..count).map(snr).collect(),
        classes: names(),
    })
}

/// Classes from labels that count from 0, or from 1.
fn classes(
    labels: &Array,
    each: usize,
    found: &Found,
) -> Result<Vec<u8>, FilesError> {
    let wrong = |found_here: String, expected: String| FilesError::Shape {
        path: found.labels.clone().unwrap_or_default(),
        what: "labels".to_owned(),
        found: found_here,
        expected,
    };
    let shape = [CLASSES, SNRS, each];
    if labels.shape() != shape {
        return Err(wrong(
            format!("{:?}", labels.shape()),
            format!("{shape:?}, as the data have"),
        ));
    }
    let least = labels.values().fold(f64::INFINITY, f64::min);
    let first = if least >= 1.0 { 1.0 } else { 0.0 };
    labels
        .values()
        .map(|label| {
            let class = label - first;
            let whole = class.fract().abs() <= 0.0;
            if whole && (0.0..CLASSES as f64).contains(&class) {
                return Ok(class as u8);
            }
            Err(wrong(
                label.to_string(),
                "whole numbers 0 to 14, or 1 to 15".to_owned(),
            ))
        })
        .collect()
}
