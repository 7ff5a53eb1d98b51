//! Which network and which statistic judge each claim.

use super::runs::{Setting, Snrs};
use super::statistic::{EVERY, Statistic};
use crate::Strategy;

/// How a claim is judged.
#[derive(Clone, Debug)]
pub(super) struct Judgement {
    /// The claim's id.
    pub(super) claim: &'static str,
    /// The network whose runs judge it.
    pub(super) model: &'static str,
    /// What is computed of them.
    pub(super) statistic: Statistic,
}

const SINGLE: Setting = Setting::of(Strategy::Single);
const ALL: Setting = Setting::of(Strategy::All);
const UNIFORM: Setting = Setting::of(Strategy::Uniform);
const BOOSTED: Setting = Setting::of(Strategy::Boosted);

/// Where the paper's ResNet for modulations does better on one SNR; and
/// where on all.
const LOW: Snrs = (-16, -4);
const HIGH: Snrs = (-2, 18);

/// Of every claim that is not untestable.
pub(super) fn judgements() -> Vec<Judgement> {
    let mut all = tables();
    all.extend(baselines());
    all.extend(offsets());
    all.extend(boosting());
    all.extend(bagging());
    all
}

fn judged(
    claim: &'static str,
    model: &'static str,
    statistic: Statistic,
) -> Judgement {
    Judgement { claim, model, statistic }
}

fn gain(
    claim: &'static str,
    model: &'static str,
    of: &[Setting],
    over: &[Setting],
    within: Snrs,
) -> Judgement {
    let (of, over) = (of.to_vec(), over.to_vec());
    let complete = false;
    judged(claim, model, Statistic::Gain { of, over, within, complete })
}

/// A gain over every SNR of the set: a mean over a few of them would be
/// another number than the paper's.
fn gain_everywhere(
    claim: &'static str,
    model: &'static str,
    of: Setting,
    over: Setting,
) -> Judgement {
    let (of, over) = (vec![of], vec![over]);
    let (within, complete) = (EVERY, true);
    judged(claim, model, Statistic::Gain { of, over, within, complete })
}

fn accuracy(
    claim: &'static str,
    model: &'static str,
    of: Setting,
) -> Judgement {
    let statistic = Statistic::Accuracy { of, within: EVERY, complete: true };
    judged(claim, model, statistic)
}

/// Tables III and IV.
fn tables() -> Vec<Judgement> {
    let speed =
        |claim, model| judged(claim, model, Statistic::Speed { networks: 1.0 });
    let loss = |claim, model| gain_everywhere(claim, model, SINGLE, ALL);
    let total = Statistic::Speed { networks: 20.0 };
    vec![
        speed("speed-mc-cldnn", "mc-cldnn"),
        speed("speed-mc-resnet", "mc-resnet"),
        speed("speed-mc-cnn", "mc-cnn"),
        speed("speed-ci-resnet", "ci-resnet"),
        speed("speed-ci-cnn", "ci-cnn"),
        speed("speed-ci-cldnn", "ci-cldnn"),
        judged("total-mc-resnet", "mc-resnet", total),
        loss("loss-mc-cldnn", "mc-cldnn"),
        loss("loss-mc-resnet", "mc-resnet"),
        loss("loss-mc-cnn", "mc-cnn"),
        loss("loss-ci-resnet", "ci-resnet"),
        loss("loss-ci-cnn", "ci-cnn"),
        loss("loss-ci-cldnn", "ci-cldnn"),
        accuracy("accuracy-mc-resnet-single", "mc-resnet", SINGLE),
        accuracy("accuracy-mc-resnet-all", "mc-resnet", ALL),
        accuracy("accuracy-mc-cnn-single", "mc-cnn", SINGLE),
        accuracy("accuracy-mc-cnn-all", "mc-cnn", ALL),
        accuracy("accuracy-mc-cldnn-single", "mc-cldnn", SINGLE),
        accuracy("accuracy-mc-cldnn-all", "mc-cldnn", ALL),
        accuracy("accuracy-ci-resnet-single", "ci-resnet", SINGLE),
        accuracy("accuracy-ci-resnet-all", "ci-resnet", ALL),
        accuracy("accuracy-ci-cnn-single", "ci-cnn", SINGLE),
        accuracy("accuracy-ci-cnn-all", "ci-cnn", ALL),
        accuracy("accuracy-ci-cldnn-single", "ci-cldnn", SINGLE),
        accuracy("accuracy-ci-cldnn-all", "ci-cldnn", ALL),
    ]
}

/// Figures 1 and 2, and the runs that Figure 3 repeats.
fn baselines() -> Vec<Judgement> {
    let at_chance = |claim, model, most_db| {
        let within = (-20, most_db);
        let of = SINGLE;
        let complete = false;
        judged(claim, model, Statistic::Accuracy { of, within, complete })
    };
    let resnet = "mc-resnet";
    vec![
        gain("mc-resnet-low-snr", resnet, &[SINGLE], &[ALL], LOW),
        gain("mc-resnet-high-snr", resnet, &[SINGLE], &[ALL], HIGH),
        at_chance("mc-cldnn-chance", "mc-cldnn", -8),
        at_chance("mc-cnn-chance", "mc-cnn", -14),
        gain_everywhere("mc-resnet-uniform", resnet, UNIFORM, SINGLE),
        gain_everywhere("ci-cnn-uniform", "ci-cnn", UNIFORM, SINGLE),
    ]
}

/// Figures 3 and 4.
fn offsets() -> Vec<Judgement> {
    let off = Setting::off_by;
    let optimism = |claim, model, size: i8| {
        gain(claim, model, &[off(size)], &[off(-size)], EVERY)
    };
    let cost = |claim, offset_db, snr_db| {
        let within = (snr_db, snr_db);
        gain(claim, "mc-resnet", &[SINGLE], &[off(offset_db)], within)
    };
    let (two, four) = ([off(-2), off(2)], [off(-4), off(4)]);
    let any = [two[0], two[1], four[0], four[1]];
    vec![
        optimism("mc-optimism-2", "mc-resnet", 2),
        optimism("mc-optimism-4", "mc-resnet", 4),
        optimism("ci-optimism-2", "ci-cnn", 2),
        optimism("ci-optimism-4", "ci-cnn", 4),
        cost("mc-offset-minus-4-at-0", -4, 0),
        cost("mc-offset-minus-2-at-0", -2, 0),
        cost("mc-offset-plus-2-at-0", 2, 0),
        cost("mc-offset-plus-4-at-0", 4, 0),
        cost("mc-offset-minus-4-at-4", -4, 4),
        cost("mc-offset-minus-2-at-4", -2, 4),
        cost("mc-offset-plus-2-at-4", 2, 4),
        cost("mc-offset-plus-4-at-4", 4, 4),
        gain("ci-offset-low-snr", "ci-cnn", &[SINGLE], &four, (-20, -8)),
        gain("ci-offset-high-snr", "ci-cnn", &[SINGLE], &any, (0, 20)),
    ]
}

/// Figures 5 to 8.
fn boosting() -> Vec<Judgement> {
    let boosted = |claim, model, over, within| {
        gain(claim, model, &[BOOSTED], &[over], within)
    };
    let (mc, ci) = ("mc-resnet", "ci-cnn");
    vec![
        boosted("mc-boosting-single", mc, SINGLE, EVERY),
        boosted("mc-boosting-single-low", mc, SINGLE, LOW),
        boosted("mc-boosting-all-low", mc, ALL, LOW),
        boosted("mc-boosting-all-high", mc, ALL, (0, 18)),
        boosted("ci-boosting-single", ci, SINGLE, (-20, -6)),
        boosted("ci-boosting-all", ci, ALL, (-20, -6)),
        judged("mc-boosting-chosen", mc, Statistic::Chosen),
        judged("ci-boosting-chosen", ci, Statistic::Chosen),
        judged("mc-boosting-search", mc, Statistic::Search),
        judged("ci-boosting-search", ci, Statistic::Search),
    ]
}

/// Figures 9 and 10.
fn bagging() -> Vec<Judgement> {
    let bagged = |claim, share, within| {
        let of = Setting::share(Strategy::Bagged, share);
        let over = Setting::share(Strategy::Single, share);
        gain(claim, "ci-cnn", &[of], &[over], within)
    };
    let at = (-10, -10);
    let shrinking = Statistic::Shrinking { within: at };
    vec![
        bagged("ci-bagging-5-percent", 0.05, EVERY),
        bagged("ci-bagging-5-percent-at-minus-20", 0.05, (-20, -20)),
        bagged("ci-bagging-2-percent", 0.02, at),
        bagged("ci-bagging-10-percent", 0.1, at),
        bagged("ci-bagging-20-percent", 0.2, at),
        judged("ci-bagging-shrinks", "ci-cnn", shrinking),
    ]
}
