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

/// A row for each counter of energy, those that could not be read included.
pub(crate) fn energy_rows(run: &PairedRun, rule: &VerdictRule) -> Vec<Row> {
    let Some(around) = &run.around else { return Vec::new() };
    let read = around.energies.iter().map(|energy| row(run, energy, rule));
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

/// Judged stretches of a round, as the turns that each is made of.
type Stretches<'a> = Vec<Vec<&'a [[ArmSample; 3]]>>;

fn row(run: &PairedRun, energy: &Energy, rule: &VerdictRule) -> Row {
    let mut row = Row::new(&run.name, energy.metric, "J", Better::Lower);
    let (rounds, iterations) = match &run.long_turns {
        Some(long) => (&long.rounds, long.iterations as f64),
        None => (&run.rounds, run.schedule.slot.iterations as f64),
    };
    let joules = |sample: &ArmSample| {
        sample.metrics.get(energy.metric).map(|metric| metric.value)
    };
    let arm = |sides: &[Side]| -> Vec<f64> {
        let of = |block: &[ArmSample; 3]| -> Vec<f64> {
            sides.iter().filter_map(|s| joules(&block[s.index()])).collect()
        };
        rounds.iter().flatten().flat_map(of).collect()
    };
    let baseline = arm(&[Side::Baseline, Side::BaselineAgain]);
    let candidate = arm(&[Side::Candidate]);
    row.raw_samples = (baseline.len() + candidate.len()) as u64;
    row.baseline = median(&baseline).ok();
    row.candidate = median(&candidate).ok();
    let around = run.around.as_ref();
    let why_none = around.and_then(|around| around.no_long_turns.as_ref());
    if let Some(why) = why_none.filter(|_| row.raw_samples == 0) {
        row.evidence = Evidence::Unread;
        row.reasons.push(format!("not read: {why}"));
        return row;
    }
    let found = stretches(rounds, iterations, energy).and_then(|stretches| {
        let blocks = blocks(&stretches, &joules)?;
        units_of(&blocks)
            .and_then(|units| {
                find(&units, MetricKind::Timed, Better::Lower, rule)
            })
            .map_err(|error| error.to_string())
    });
    match found {
        Ok(finding) => row.evidence = Evidence::Units(Box::new(finding)),
        Err(why) => row.reasons.push(why),
    }
    row.reasons.push(energy.whose.to_owned());
    row
}

/// The shortest stretches that hold enough steps of the counter.
fn stretches<'a>(
    rounds: &'a [Vec<[ArmSample; 3]>],
    iterations: f64,
    energy: &Energy,
) -> Result<Stretches<'a>, String> {
    let least = LEAST_STEPS * energy.step_s;
    let lasts = |blocks: &[[ArmSample; 3]]| {
        let of = |side: Side| -> f64 {
            blocks.iter().map(|block| block[side.index()].seconds).sum()
        };
        Side::ALL.map(of).into_iter().fold(f64::INFINITY, f64::min) * iterations
    };
    let turns = rounds
        .iter()
        .flatten()
        .map(|block| lasts(std::slice::from_ref(block)))
        .fold(f64::INFINITY, f64::min);
    if turns >= least {
        return Ok(rounds.iter().map(|r| r.chunks(1).collect()).collect());
    }
    let longest =
        rounds.iter().map(|round| lasts(round)).fold(f64::INFINITY, f64::min);
    if longest >= least && longest.is_finite() {
        return Ok(rounds.iter().map(|round| vec![&round[..]]).collect());
    }
    Err(format!(
        "the turns of an arm in a round take {:.0} ms together, and the \
         counter moves every {} ms: {LEAST_STEPS} steps, {:.0} ms, are needed \
         to judge by it; shown, not judged",
        longest.min(1e6) * 1e3,
        energy.step_s * 1e3,
        least * 1e3
    ))
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
