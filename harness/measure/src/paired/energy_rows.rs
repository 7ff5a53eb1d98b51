//! Rows of energy. A counter moves in steps, so a row is made of stretches
//! that hold enough of them: turns where they are long enough, else what all
//! turns of an arm in a round took together, else nothing, and it says so.

use assay_schema::Better;
use assay_statistics::{
    Block, MetricKind, VerdictRule, find, median, units_of,
};

use super::metric_rows::Evidence;
use super::rows::Row;
use super::surroundings::{Energy, LEAST_STEPS};
use super::{ArmSample, PairedRun, Side};

/// Of a benchmark's energy: a counter sees more than the clock does.
const WITH_SET_UP: &str = "energy includes the set-up of each input";

/// A row for each counter of energy, those that could not be read included.
pub(crate) fn energy_rows(run: &PairedRun, rule: &VerdictRule) -> Vec<Row> {
    let Some(around) = &run.around else { return Vec::new() };
    let read = around.energies.iter().map(|energy| {
        let mut row = row(run, energy, rule);
        if around.with_set_up && row.evidence != Evidence::Unread {
            row.reasons.push(WITH_SET_UP.to_owned());
        }
        row
    });
    let unread = around.unread.iter().map(|(metric, why)| {
        let mut row = Row::new(&run.name, *metric, "J", Better::Lower);
        row.evidence = Evidence::Unread;
        row.reasons.push(format!("not read: {why}"));
        row
    });
    read.chain(unread).collect()
}

/// Whether a metric of turns is the machine's counter of energy, judged here.
pub(crate) fn is_energy(run: &PairedRun, metric: &str) -> bool {
    let around = run.around.as_ref();
    around.is_some_and(|around| {
        around.energies.iter().any(|energy| energy.metric == metric)
    })
}

/// Stretches of each round, as the turns that each is made of.
type Stretches<'a> = Vec<Vec<&'a [[ArmSample; 3]]>>;

/// The shortest stretches that hold enough steps of the counter.
struct Cut<'a> {
    /// Whole rounds where nothing is long enough.
    stretches: Stretches<'a>,
    /// Why they are not judged.
    too_short: Option<String>,
    /// Whether a turn holds a step at least: else its reading is 0 most of
    /// the time, and no number is given out.
    is_shown: bool,
}

fn row(run: &PairedRun, energy: &Energy, rule: &VerdictRule) -> Row {
    let mut row = Row::new(&run.name, energy.metric, "J", Better::Lower);
    let around = run.around.as_ref();
    let no_long = around.and_then(|around| around.no_long_turns.as_ref());
    if let Some(why) = no_long {
        row.evidence = Evidence::Unread;
        row.reasons.push(format!("not read: {why}"));
        return row;
    }
    let (rounds, iterations) = match &run.long_turns {
        Some(long) => (&long.rounds, long.iterations as f64),
        None => (&run.rounds, run.schedule.slot.iterations as f64),
    };
    let joules = |sample: &ArmSample| {
        sample.metrics.get(energy.metric).map(|metric| metric.value)
    };
    let all = rounds.iter().flatten().flatten();
    row.raw_samples = all.filter_map(joules).count() as u64;
    if rounds.is_empty() && run.long_turns.is_some() {
        row.evidence = Evidence::Unread;
        let why = "not read: the budget ended before a long turn was taken";
        row.reasons.push(why.to_owned());
        return row;
    }
    let cut = cut(rounds, iterations, energy);
    if cut.is_shown {
        let of = |sides: &[Side]| typical(&cut.stretches, sides, &joules);
        row.baseline = of(&[Side::Baseline, Side::BaselineAgain]);
        row.candidate = of(&[Side::Candidate]);
    }
    let found = match cut.too_short {
        Some(why) => Err(why),
        None => blocks(&cut.stretches, &joules).and_then(|blocks| {
            units_of(&blocks)
                .and_then(|units| {
                    find(&units, MetricKind::Timed, Better::Lower, rule)
                })
                .map_err(|error| error.to_string())
        }),
    };
    match found {
        Ok(finding) => row.evidence = Evidence::Units(Box::new(finding)),
        Err(why) => row.reasons.push(why),
    }
    row.reasons.push(energy.whose.to_owned());
    row
}

fn cut<'a>(
    rounds: &'a [Vec<[ArmSample; 3]>],
    iterations: f64,
    energy: &Energy,
) -> Cut<'a> {
    let least = LEAST_STEPS * energy.step_s;
    let lasts = |blocks: &[[ArmSample; 3]]| {
        let of = |side: Side| -> f64 {
            blocks.iter().map(|block| block[side.index()].seconds).sum()
        };
        Side::ALL.map(of).into_iter().fold(f64::INFINITY, f64::min) * iterations
    };
    let turn = rounds
        .iter()
        .flatten()
        .map(|block| lasts(std::slice::from_ref(block)))
        .fold(f64::INFINITY, f64::min);
    if turn >= least {
        let stretches: Stretches<'a> =
            rounds.iter().map(|round| round.chunks(1).collect()).collect();
        return Cut { stretches, too_short: None, is_shown: true };
    }
    let stretches: Stretches<'a> =
        rounds.iter().map(|round| vec![&round[..]]).collect();
    let longest =
        rounds.iter().map(|round| lasts(round)).fold(f64::INFINITY, f64::min);
    if longest >= least && longest.is_finite() {
        return Cut { stretches, too_short: None, is_shown: true };
    }
    let is_shown = turn >= energy.step_s;
    let what_now = if is_shown { "shown, not judged" } else { "not shown" };
    let too_short = format!(
        "the turns of an arm in a round take {:.0} ms together, and the \
         counter moves every {} ms: {LEAST_STEPS} steps, {:.0} ms, are needed \
         to judge by it; {what_now}",
        longest.min(1e6) * 1e3,
        energy.step_s * 1e3,
        least * 1e3
    );
    Cut { stretches, too_short: Some(too_short), is_shown }
}

/// Joules of an iteration: the median of stretches, of each the mean of its
/// turns, as a step that one turn misses the next one sees.
fn typical(
    stretches: &Stretches<'_>,
    sides: &[Side],
    joules: &impl Fn(&ArmSample) -> Option<f64>,
) -> Option<f64> {
    let mut means = Vec::new();
    for turns in stretches.iter().flatten() {
        for side in sides {
            let of = |block: &[ArmSample; 3]| joules(&block[side.index()]);
            let read: Vec<f64> = turns.iter().filter_map(of).collect();
            if !read.is_empty() {
                means.push(read.iter().sum::<f64>() / read.len() as f64);
            }
        }
    }
    median(&means).ok()
}

/// Joules of A, B and A' in each stretch.
fn blocks(
    stretches: &Stretches<'_>,
    joules: &impl Fn(&ArmSample) -> Option<f64>,
) -> Result<Vec<Vec<Block>>, String> {
    let sum = |turns: &[[ArmSample; 3]], side: Side| {
        let all: Option<Vec<f64>> =
            turns.iter().map(|block| joules(&block[side.index()])).collect();
        match all.map(|all| all.iter().sum::<f64>()) {
            None => Err("the counter could not be read in some turns: not \
                         judged"
                .to_owned()),
            Some(sum) if sum > 0.0 => Ok(sum),
            Some(_) => {
                Err("the counter did not move in some turns: not judged"
                    .to_owned())
            }
        }
    };
    let block = |turns: &&[[ArmSample; 3]]| {
        Ok(Block {
            baseline: sum(turns, Side::Baseline)?,
            candidate: sum(turns, Side::Candidate)?,
            repeat: sum(turns, Side::BaselineAgain)?,
        })
    };
    stretches.iter().map(|round| round.iter().map(block).collect()).collect()
}
