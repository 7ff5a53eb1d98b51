//! From snapshots to what a network sees: representation, band, standard
//! scale, sub-sampling (arXiv 1905.08054, sections II and III-C, and the
//! authors' notebooks).
//!
//! The order: transform, keep the band's bins and its classes, bring each of
//! the two columns to mean 0 and deviation 1 by the training examples' own
//! numbers (one pair of numbers a column, all SNRs together, as the authors
//! do), then keep some of the values.

use assay_kit::classification::{Examples, Split};
use assay_radio::{Snapshots, Spectrum};

use crate::bands::Band;
use crate::select::{self, Keep};

/// What the two columns of an example are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Representation {
    /// Real and imaginary part of the shifted spectrum.
    Fft,
    /// Amplitude and phase of the shifted spectrum.
    AmplitudePhase,
    /// I and Q in time.
    Iq,
}

impl Representation {
    /// Names as axis values.
    pub const NAMES: [(&'static str, Self); 3] = [
        ("fft", Self::Fft),
        ("amplitude-phase", Self::AmplitudePhase),
        ("iq", Self::Iq),
    ];

    /// One snapshot, `[L, 2]`.
    fn of(self, spectrum: &Spectrum, iq: &[f32]) -> Vec<f32> {
        match self {
            Self::Iq => iq.to_vec(),
            Self::Fft => spectrum.shifted(iq),
            Self::AmplitudePhase => spectrum
                .shifted(iq)
                .chunks_exact(2)
                .flat_map(|c| [c[0].hypot(c[1]), c[1].atan2(c[0])])
                .collect(),
        }
    }
}

/// Snapshots of a band as examples, in a representation. Places within the
/// result are those of the snapshots whose class the band shows.
pub fn examples(
    snapshots: &Snapshots,
    representation: Representation,
    band: &Band,
) -> Examples {
    let spectrum = Spectrum::new(snapshots.length);
    // A band is a choice of bins; in time there is nothing to choose.
    let bins: Vec<usize> = match representation {
        Representation::Iq => (0..snapshots.length).collect(),
        Representation::Fft | Representation::AmplitudePhase => band.bins(),
    };
    let class_of: Vec<Option<u8>> = snapshots
        .classes
        .iter()
        .map(|name| band.class(name).map(|place| place as u8))
        .collect();
    let mut examples = Examples {
        length: bins.len(),
        features: Vec::new(),
        class: Vec::new(),
        group: Vec::new(),
        classes: band.classes.clone(),
    };
    for index in 0..snapshots.len() {
        let class = class_of[usize::from(snapshots.class[index])];
        let Some(class) = class else { continue };
        let values = representation.of(&spectrum, snapshots.snapshot(index));
        for &bin in &bins {
            examples.features.extend(&values[2 * bin..2 * bin + 2]);
        }
        examples.class.push(class);
        examples.group.push(snapshots.snr_db[index]);
    }
    examples
}

/// Brings the columns to the standard scale and keeps what `keep` says, both
/// learnt from the training examples of `split` alone.
pub fn prepare(
    examples: &Examples,
    split: &Split,
    keep: &Keep,
    seed: u64,
) -> Examples {
    let mut prepared = examples.clone();
    standardise(&mut prepared, &split.train);
    select::select(prepared, &split.train, keep, seed)
}

fn standardise(examples: &mut Examples, train: &[usize]) {
    let width = examples.width();
    for column in 0..2 {
        let values = || {
            train.iter().flat_map(|&place| {
                let own = &examples.features[place * width..][..width];
                own.iter().skip(column).step_by(2).map(|&v| f64::from(v))
            })
        };
        let count = (train.len() * examples.length).max(1) as f64;
        let mean = values().sum::<f64>() / count;
        let variance =
            values().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
        let scale = if variance > 0.0 { variance.sqrt().recip() } else { 1.0 };
        for value in examples.features.iter_mut().skip(column).step_by(2) {
            *value = ((f64::from(*value) - mean) * scale) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshots() -> Snapshots {
        let tone = |k: f32| {
            (0..128).flat_map(move |n| {
                let angle = std::f32::consts::TAU * k * n as f32 / 128.0;
                [angle.cos(), angle.sin()]
            })
        };
        Snapshots {
            length: 128,
            iq: tone(-60.0).chain(tone(40.0)).collect(),
            class: vec![0, 8],
            snr_db: vec![0, 0],
            classes: Band::named("10").unwrap().classes,
        }
    }

    #[test]
    fn a_tone_stands_at_its_bin_and_bands_keep_their_bins_and_classes() {
        let snapshots = snapshots();
        let all = examples(
            &snapshots,
            Representation::AmplitudePhase,
            &Band::named("10").unwrap(),
        );
        assert!((all.features[2 * 4] - 128.0).abs() < 1e-2);
        assert!((all.features[256 + 2 * 104] - 128.0).abs() < 1e-2);
        let narrow = examples(
            &snapshots,
            Representation::AmplitudePhase,
            &Band::named("2").unwrap(),
        );
        // BT1 cannot be seen; BT9 can, 8 bins into the band.
        assert_eq!(narrow.len(), 1);
        assert_eq!(narrow.length, 26);
        assert_eq!(narrow.classes[usize::from(narrow.class[0])], "BT9");
        assert!((narrow.features[2 * 8] - 128.0).abs() < 1e-2);
    }

    #[test]
    fn the_scale_is_that_of_the_training_examples_alone() {
        let mut examples = Examples {
            length: 1,
            features: vec![1.0, 10.0, 3.0, 10.0, 100.0, 50.0],
            class: vec![0; 3],
            group: vec![0; 3],
            classes: vec!["a".into()],
        };
        standardise(&mut examples, &[0, 1]);
        assert_eq!(&examples.features[..4], &[-1.0, 0.0, 1.0, 0.0]);
        assert_eq!(examples.features[4], 98.0);
    }
}
