//! Which runs a claim compares, and by what.

use super::measure::Measure::{
    self, Accuracy, Confused, ConfusedMore, EpochTime, ErrorsBelow, Of, OfAt,
    TrainingTime, UpFrom,
};
use super::runs::{CNN, Setting};
use Statistic::{BestSnr, Difference, Ratio, Saving, Spread, Value};

/// A number of the runs in a setting.
pub(super) type Term = (Setting<'static>, Measure);

/// What is computed for a claim.
#[derive(Clone, Copy, Debug)]
pub(super) enum Statistic {
    /// A number as it is.
    Value(Setting<'static>, Measure),
    /// The first minus the second.
    Difference(Term, Term),
    /// The first over the second.
    Ratio(Term, Term),
    /// 1 minus the first over the second, percent.
    Saving(Term, Term),
    /// Largest minus smallest mean.
    Spread(&'static [Setting<'static>], Measure),
    /// The single training SNR with the highest accuracy, dB; all else as in
    /// the setting.
    BestSnr(Setting<'static>),
}

const fn model(model: &'static str) -> Setting<'static> {
    Setting { model, ..CNN }
}

const fn band(band: &'static str) -> Setting<'static> {
    Setting { band, ..CNN }
}

const fn snr(train_snr: &'static str) -> Setting<'static> {
    Setting { train_snr, ..CNN }
}

/// Samples chosen from amplitude and phase.
const fn kept(select: &'static str, keep: &'static str) -> Setting<'static> {
    Setting { select, keep, ..POLAR }
}

/// The same on 4 MHz.
const fn kept_of_4(
    select: &'static str,
    keep: &'static str,
) -> Setting<'static> {
    Setting { select, keep, ..POLAR_4 }
}

/// The baseline of the paper.
const SCHMIDT: Setting<'static> = model("schmidt-cnn");

/// The setting that trains fastest.
const FASTEST: Setting<'static> = Setting { band: "4", train_snr: "-2", ..CNN };

/// All samples, as amplitude and phase.
const POLAR: Setting<'static> =
    Setting { representation: "amplitude-phase", ..CNN };

/// The same on 4 MHz.
const POLAR_4: Setting<'static> = Setting { band: "4", ..POLAR };

/// Half of the samples of the other representation.
const HALF_OF_FFT: Setting<'static> =
    Setting { select: "random", keep: "0.5", ..CNN };

const ARCHITECTURES: [Setting<'static>; 4] =
    [CNN, model("lstm"), model("resnet"), model("cldnn")];

/// Channels of WiFi, which overlap.
const WIFI: [(&str, &str); 6] = [
    ("WiFi1", "WiFi2"),
    ("WiFi1", "WiFi3"),
    ("WiFi2", "WiFi1"),
    ("WiFi2", "WiFi3"),
    ("WiFi3", "WiFi1"),
    ("WiFi3", "WiFi2"),
];

/// The two whose lower edges lie outside of 2 MHz.
const UPPER_WIFI: [(&str, &str); 2] = [("WiFi2", "WiFi3"), ("WiFi3", "WiFi2")];

/// Bluetooth and Zigbee at 2425 and at 2430 MHz.
const SAME_CENTRE: [(&str, &str); 4] = [
    ("BT4", "Zigbee1"),
    ("Zigbee1", "BT4"),
    ("BT9", "Zigbee2"),
    ("Zigbee2", "BT9"),
];

/// Every claim that can be tested, in the order of `claims.toml`.
pub(super) const TABLE: &[(&str, Statistic)] = &[
    ("accuracy-cnn", Value(CNN, Accuracy)),
    ("accuracy-lstm", Value(model("lstm"), Accuracy)),
    ("accuracy-resnet", Value(model("resnet"), Accuracy)),
    ("accuracy-cldnn", Value(model("cldnn"), Accuracy)),
    ("accuracy-schmidt-cnn", Value(model("schmidt-cnn"), Accuracy)),
    ("architectures-alike", Spread(&ARCHITECTURES, Accuracy)),
    ("cnn-training-time", Ratio((CNN, TrainingTime), (SCHMIDT, TrainingTime))),
    ("accuracy-bluetooth", Value(CNN, Of("Bluetooth"))),
    ("accuracy-wifi", Value(CNN, Of("WiFi"))),
    ("accuracy-zigbee", Value(CNN, Of("Zigbee"))),
    (
        "bluetooth-before-zigbee",
        Difference((CNN, Of("Bluetooth")), (CNN, Of("Zigbee"))),
    ),
    ("zigbee-before-wifi", Difference((CNN, Of("Zigbee")), (CNN, Of("WiFi")))),
    ("high-snr", Value(CNN, UpFrom(0))),
    ("errors-at-low-snr", Value(CNN, ErrorsBelow(0))),
    ("wifi-with-wifi", Value(CNN, ConfusedMore(&WIFI))),
    ("bluetooth-with-zigbee", Value(CNN, Confused(&SAME_CENTRE))),
    ("band4-wifi", Difference((CNN, Of("WiFi")), (band("4"), Of("WiFi")))),
    ("band2-wifi", Difference((CNN, Of("WiFi")), (band("2"), Of("WiFi")))),
    (
        "band4-choice",
        Difference(
            (band("4"), Of("WiFi")),
            (band("4-alternative"), Of("WiFi")),
        ),
    ),
    (
        "band4-bluetooth",
        Difference((CNN, Of("Bluetooth")), (band("4"), Of("Bluetooth"))),
    ),
    (
        "band2-bluetooth",
        Difference((CNN, Of("Bluetooth")), (band("2"), Of("Bluetooth"))),
    ),
    (
        "band4-zigbee",
        Difference((CNN, Of("Zigbee")), (band("4"), Of("Zigbee"))),
    ),
    (
        "band2-zigbee",
        Difference((CNN, Of("Zigbee")), (band("2"), Of("Zigbee"))),
    ),
    ("band4-accuracy", Difference((CNN, Accuracy), (band("4"), Accuracy))),
    ("band2-wifi-pair", Value(band("2"), Confused(&UPPER_WIFI))),
    ("band2-wifi-high-snr", Value(band("2"), OfAt("WiFi", 20))),
    ("band4-time", Ratio((band("4"), TrainingTime), (CNN, TrainingTime))),
    ("band4-epoch-time", Ratio((band("4"), EpochTime), (CNN, EpochTime))),
    ("band2-time", Ratio((band("2"), TrainingTime), (CNN, TrainingTime))),
    ("band2-epoch-time", Ratio((band("2"), EpochTime), (CNN, EpochTime))),
    ("single-snr-accuracy-absolute", Value(snr("-10"), Accuracy)),
    (
        "single-snr-accuracy",
        Difference((CNN, Accuracy), (snr("-10"), Accuracy)),
    ),
    (
        "single-snr-time",
        Saving((snr("-10"), TrainingTime), (CNN, TrainingTime)),
    ),
    ("single-snr-best", BestSnr(CNN)),
    (
        "single-snr-high",
        Difference((snr("-10"), Accuracy), (snr("12"), Accuracy)),
    ),
    (
        "single-snr-low",
        Difference((snr("-10"), Accuracy), (snr("-20"), Accuracy)),
    ),
    (
        "single-snr-4mhz-accuracy",
        Difference((band("4"), Accuracy), (FASTEST, Accuracy)),
    ),
    (
        "single-snr-4mhz-time",
        Saving((FASTEST, TrainingTime), (band("4"), TrainingTime)),
    ),
    ("thirty-times", Ratio((SCHMIDT, TrainingTime), (FASTEST, TrainingTime))),
    ("pca-half", Difference((POLAR, Accuracy), (kept("pca", "0.5"), Accuracy))),
    (
        "pca-quarter",
        Difference((POLAR, Accuracy), (kept("pca", "0.25"), Accuracy)),
    ),
    (
        "pca-eighth",
        Difference((POLAR, Accuracy), (kept("pca", "0.125"), Accuracy)),
    ),
    (
        "pca-sixteenth",
        Difference((POLAR, Accuracy), (kept("pca", "0.0625"), Accuracy)),
    ),
    (
        "pca-half-epoch-time",
        Ratio((kept("pca", "0.5"), EpochTime), (POLAR, EpochTime)),
    ),
    (
        "pca-quarter-epoch-time",
        Ratio((kept("pca", "0.25"), EpochTime), (POLAR, EpochTime)),
    ),
    (
        "pca-eighth-epoch-time",
        Ratio((kept("pca", "0.125"), EpochTime), (POLAR, EpochTime)),
    ),
    (
        "pca-sixteenth-epoch-time",
        Ratio((kept("pca", "0.0625"), EpochTime), (POLAR, EpochTime)),
    ),
    (
        "pca-4mhz-half",
        Difference((POLAR_4, Accuracy), (kept_of_4("pca", "0.5"), Accuracy)),
    ),
    (
        "pca-4mhz-quarter",
        Difference((POLAR_4, Accuracy), (kept_of_4("pca", "0.25"), Accuracy)),
    ),
    (
        "pca-4mhz-eighth",
        Difference((POLAR_4, Accuracy), (kept_of_4("pca", "0.125"), Accuracy)),
    ),
    (
        "pca-over-random-half",
        Difference(
            (kept("pca", "0.5"), Accuracy),
            (kept("random", "0.5"), Accuracy),
        ),
    ),
    (
        "pca-over-random-quarter",
        Difference(
            (kept("pca", "0.25"), Accuracy),
            (kept("random", "0.25"), Accuracy),
        ),
    ),
    (
        "pca-over-random-eighth",
        Difference(
            (kept("pca", "0.125"), Accuracy),
            (kept("random", "0.125"), Accuracy),
        ),
    ),
    (
        "pca-over-random-sixteenth",
        Difference(
            (kept("pca", "0.0625"), Accuracy),
            (kept("random", "0.0625"), Accuracy),
        ),
    ),
    (
        "random-half",
        Difference((POLAR, Accuracy), (kept("random", "0.5"), Accuracy)),
    ),
    (
        "random-quarter",
        Difference((POLAR, Accuracy), (kept("random", "0.25"), Accuracy)),
    ),
    (
        "random-eighth",
        Difference((POLAR, Accuracy), (kept("random", "0.125"), Accuracy)),
    ),
    (
        "random-sixteenth",
        Difference((POLAR, Accuracy), (kept("random", "0.0625"), Accuracy)),
    ),
    (
        "uniform-like-random-half",
        Difference(
            (kept("uniform", "0.5"), Accuracy),
            (kept("random", "0.5"), Accuracy),
        ),
    ),
    (
        "uniform-like-random-eighth",
        Difference(
            (kept("uniform", "0.125"), Accuracy),
            (kept("random", "0.125"), Accuracy),
        ),
    ),
    (
        "amplitude-phase-for-samples",
        Difference((kept("random", "0.5"), Accuracy), (HALF_OF_FFT, Accuracy)),
    ),
];
