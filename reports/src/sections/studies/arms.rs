//! Arms of loops that generate and then train, as records tell of them, and
//! their numbers in tables.
//!
//! Metrics name their arm and either the iteration, from 0, or the set of
//! problems. A share of problems has Wilson's interval, of the problems of all
//! seeds together; an arm is above chance when its interval is above those of
//! all that cannot see or do not look.

use std::collections::BTreeMap;

use assay_schema::{Estimate, Provenance, Record};
use assay_statistics::wilson;

use super::accuracy::over;
use crate::document::{Cell, Column, Table, Tone};
use crate::findings::{OverSeeds, Study};

/// Coordinates of the metrics.
const ARM: &str = "arm";
const ITERATION: &str = "iteration";
const SET: &str = "set";

/// Shares along the iterations, a panel each.
pub(super) const SHARES: [(&str, &str); 3] = [
    ("quality/greedy_accuracy", "Greedy accuracy"),
    ("quality/pass_at_k", "Pass@K"),
    ("quality/reward_pass_at_2", "Reward-Pass@2"),
];
pub(super) const TEMPERATURE: &str = "quality/temperature";

/// Parts of an iteration's time.
pub(super) const TIMES: [(&str, &str); 6] = [
    ("quality/balance_time", "balancing"),
    ("quality/prefill_time", "prefill"),
    ("quality/decode_time", "decode"),
    ("quality/reward_time", "reward"),
    ("quality/update_time", "update"),
    ("quality/judge_time", "judging"),
];

/// Metric, unit, title and key of the columns of the table of iterations that
/// are neither shares nor times.
const DETAILS: [(&str, &str, &str, &str); 15] = [
    (TEMPERATURE, "1", "Temperature", "temperature"),
    ("quality/right_share", "1", "Right", "right_share"),
    ("quality/solved_share", "1", "Solved", "solved_share"),
    ("quality/unfinished_share", "1", "Unfinished", "unfinished_share"),
    ("quality/kept_replies", "1", "Kept", "kept_replies"),
    ("quality/updates_made", "1", "Updates", "updates_made"),
    ("quality/pseudo_right", "1", "Voted rightly", "pseudo_right"),
    ("quality/loss", "nat", "Loss", "loss_nat"),
    ("quality/rollout_tokens", "1", "Tokens", "rollout_tokens"),
    ("quality/prefill_rate", "1/s", "Prefill, tokens/s", "prefill_rate"),
    ("quality/decode_rate", "1/s", "Decode, tokens/s", "decode_rate"),
    ("quality/rollout_flops", "FLOP", "FLOPs, rollouts", "rollout_flops"),
    ("quality/update_flops", "FLOP", "FLOPs, updates", "update_flops"),
    ("quality/rollout_memory", "B", "Memory, rollouts", "rollout_memory_bytes"),
    ("quality/update_memory", "B", "Memory, updates", "update_memory_bytes"),
];

/// Told by the trace and not by a clock.
const TRACED: [&str; 4] = [
    "quality/rollout_flops",
    "quality/update_flops",
    "quality/rollout_memory",
    "quality/update_memory",
];

/// Shares of problems that are answered greedily, and how many stand behind
/// one; of votes.
const ACCURACY: &str = "quality/test_accuracy";
const JUDGED: &str = "quality/judged";
const VOTED: &str = "quality/voted";
/// The set that says whether an arm is above chance.
const FIRST_SET: &str = "in-domain";
/// What cannot see, or does not look.
const CHANCE: [&str; 3] =
    ["blanked", "most-frequent", "most-frequent-by-question"];

/// Columns after the accuracies.
const COSTS: [(&str, &str, &str, &str); 3] = [
    ("quality/arm_time", "s", "Time", "arm_time_s"),
    ("quality/own_warm_up_time", "s", "Own warm-up", "own_warm_up_time_s"),
    ("quality/training_tokens", "1", "Tokens trained on", "training_tokens"),
];

/// Other ways to answer, by several rollouts of a model.
const VOTES: [(&str, &str); 3] = [
    ("quality/majority_accuracy", "majority"),
    ("quality/weighted_accuracy", "weighted vote"),
    ("quality/best_of_accuracy", "best by reward"),
];

const CONFIDENCE: f64 = 0.95;

fn records<'s>(study: &'s Study<'_>) -> impl Iterator<Item = &'s Record> {
    let settings = study.settings.iter();
    settings.flat_map(|one| one.records.iter()).map(|record| &**record)
}

/// Arms and their places on another axis at which a metric stands, in the
/// order met.
fn places(
    study: &Study<'_>,
    metric: &str,
    axis: &str,
) -> Vec<(String, Vec<String>)> {
    let mut met: Vec<(String, Vec<String>)> = Vec::new();
    for record in records(study) {
        for (at, _) in record.metric_values(metric) {
            let (2, Some(arm), Some(place)) =
                (at.len(), at.get(ARM), at.get(axis))
            else {
                continue;
            };
            match met.iter_mut().find(|(known, _)| known == arm) {
                Some((_, all)) if !all.contains(place) => {
                    all.push(place.clone());
                }
                Some(_) => {}
                None => met.push((arm.clone(), vec![place.clone()])),
            }
        }
    }
    met
}

/// A metric of an arm at an iteration or on a set, over seeds.
fn value(
    study: &Study<'_>,
    metric: &str,
    at: &[(&str, &str)],
) -> Option<OverSeeds> {
    OverSeeds::of(records(study).filter_map(|one| one.metric_at(metric, at)))
}

/// An arm along its iterations: those that are numbers, in order.
pub(super) struct Course {
    pub(super) arm: String,
    pub(super) points: BTreeMap<u64, OverSeeds>,
}

/// The arms that a metric has iterations of, in the order met.
pub(super) fn courses(study: &Study<'_>, metric: &str) -> Vec<Course> {
    places(study, metric, ITERATION)
        .into_iter()
        .map(|(arm, iterations)| {
            let points = iterations
                .iter()
                .filter_map(|iteration| {
                    let at =
                        [(ARM, arm.as_str()), (ITERATION, iteration.as_str())];
                    Some((iteration.parse().ok()?, value(study, metric, &at)?))
                })
                .collect();
            Course { arm, points }
        })
        .collect()
}

/// The tables; none without a loop.
pub(super) fn tables(study: &Study<'_>, id: &str) -> Vec<Table> {
    [models(study, id), votes(study, id), iterations(study, id)]
        .into_iter()
        .flatten()
        .collect()
}

/// A share of problems over the seeds that have it and tell, by another
/// metric, of how many: all their problems together.
fn pooled(
    study: &Study<'_>,
    (metric, counted): (&str, &str),
    at: &[(&str, &str)],
) -> Option<Estimate> {
    let mut right = 0;
    let mut judged = 0;
    for record in records(study) {
        let both = record.metric_at(metric, at);
        let both = both.zip(record.metric_at(counted, at));
        let Some((share, count)) = both else { continue };
        if (0.0..=1.0).contains(&share) && (1.0..1e12).contains(&count) {
            right += (share * count).round() as u64;
            judged += count.round() as u64;
        }
    }
    wilson(right.min(judged), judged, CONFIDENCE).ok()
}

fn share_cell(
    study: &Study<'_>,
    metric: (&str, &str),
    at: &[(&str, &str)],
) -> Cell {
    if let Some(estimate) = pooled(study, metric, at) {
        return Cell::estimate(&estimate, "1", Provenance::Measured);
    }
    match value(study, metric.0, at) {
        Some(found) => over(&found, "1"),
        None => Cell::none(),
    }
}

/// Sets on which a metric stands, in the order met.
fn sets(places: &[(String, Vec<String>)]) -> Vec<&String> {
    let mut sets: Vec<&String> = Vec::new();
    for set in places.iter().flat_map(|(_, sets)| sets) {
        if !sets.contains(&set) {
            sets.push(set);
        }
    }
    sets
}

/// The last model of each arm, and chance.
fn models(study: &Study<'_>, id: &str) -> Option<Table> {
    let places = places(study, ACCURACY, SET);
    let sets = sets(&places);
    if sets.is_empty() {
        return None;
    }
    let mut columns = vec![Column::words("Arm", ARM)];
    columns.extend(sets.iter().map(|set| {
        let key = format!("accuracy_{}", super::file_word(set));
        Column::numbers(set, &key)
    }));
    columns.push(Column::words("Chance", "chance"));
    let costs: Vec<_> = COSTS
        .into_iter()
        .filter(|(metric, ..)| {
            let mut all = records(study);
            all.any(|one| one.metric_values(metric).next().is_some())
        })
        .collect();
    columns.extend(
        costs.iter().map(|(_, _, title, key)| Column::numbers(title, key)),
    );
    let mut table = Table::new(
        format!("{id}-arms"),
        "Accuracy of the last model of each arm on test problems, by set: a \
         share of all seeds' problems together, Wilson's interval. Above \
         chance: in-domain, its interval is above that of the same network \
         trained on blank pictures and above those of the most frequent \
         answers",
        columns,
    );
    let own = |arm: &str| {
        pooled(study, (ACCURACY, JUDGED), &[(ARM, arm), (SET, FIRST_SET)])
    };
    let chance: Vec<f64> =
        CHANCE.iter().filter_map(|arm| Some(own(arm)?.high)).collect();
    let highest = chance.into_iter().reduce(f64::max);
    for (arm, _) in &places {
        let mut row = vec![Cell::text(arm)];
        row.extend(sets.iter().map(|set| {
            share_cell(
                study,
                (ACCURACY, JUDGED),
                &[(ARM, arm.as_str()), (SET, set.as_str())],
            )
        }));
        row.push(match (own(arm), highest) {
            _ if CHANCE.contains(&arm.as_str()) => Cell::text("chance itself"),
            (Some(own), Some(chance)) if own.low > chance => {
                Cell::status("above", Tone::Good)
            }
            (Some(_), Some(_)) => Cell::status("not above", Tone::Unsure),
            (None, _) | (_, None) => Cell::none(),
        });
        row.extend(costs.iter().map(|(metric, unit, ..)| {
            match value(study, metric, &[(ARM, arm.as_str())]) {
                Some(found) => over(&found, unit),
                None => Cell::none(),
            }
        }));
        table.rows.push(row);
    }
    Some(table)
}

/// Answers by several rollouts: of most, of most reward, of the best.
fn votes(study: &Study<'_>, id: &str) -> Option<Table> {
    let mut table = Table::new(
        format!("{id}-votes"),
        "Accuracy on test problems when several rollouts of a model answer \
         together",
        vec![
            Column::words("Arm", ARM),
            Column::words("Set", SET),
            Column::words("How", "how"),
            Column::numbers("Accuracy", "accuracy"),
        ],
    );
    for (metric, how) in VOTES {
        for (arm, sets) in places(study, metric, SET) {
            for set in sets {
                let at = [(ARM, arm.as_str()), (SET, set.as_str())];
                table.rows.push(vec![
                    Cell::text(&arm),
                    Cell::text(&set),
                    Cell::text(how),
                    share_cell(study, (metric, VOTED), &at),
                ]);
            }
        }
    }
    (!table.rows.is_empty()).then_some(table)
}

/// Every iteration of every arm in numbers.
fn iterations(study: &Study<'_>, id: &str) -> Option<Table> {
    let shares = SHARES.map(|(metric, title)| {
        let key = metric.trim_start_matches("quality/");
        (metric, "1", title.to_owned(), key.to_owned())
    });
    let times = TIMES.map(|(metric, word)| {
        (metric, "s", format!("Time, {word}"), format!("{word}_time_s"))
    });
    let details = DETAILS.map(|(metric, unit, title, key)| {
        (metric, unit, title.to_owned(), key.to_owned())
    });
    let mut columns: Vec<(&str, &str, String, String)> = Vec::new();
    columns.extend(shares);
    columns.extend(details);
    columns.extend(times);
    // Arms with all their iterations, whatever stands there.
    let mut met: Vec<(String, Vec<u64>)> = Vec::new();
    columns.retain(|(metric, ..)| {
        let places = places(study, metric, ITERATION);
        for (arm, iterations) in &places {
            let numbers =
                iterations.iter().filter_map(|one| one.parse::<u64>().ok());
            match met.iter_mut().find(|(known, _)| known == arm) {
                Some((_, all)) => all.extend(numbers),
                None => met.push((arm.clone(), numbers.collect())),
            }
        }
        !places.is_empty()
    });
    if columns.is_empty() {
        return None;
    }
    let mut heading =
        vec![Column::words("Arm", ARM), Column::counts("Iteration", ITERATION)];
    heading.extend(
        columns.iter().map(|(_, _, title, key)| Column::numbers(title, key)),
    );
    let mut table = Table::new(
        format!("{id}-iterations"),
        "Iterations: mean over seeds (smallest to largest), on validation \
         problems and on the rollouts of the iteration; 0 is before the first",
        heading,
    );
    table.bulk = true;
    for (arm, mut all) in met {
        all.sort_unstable();
        all.dedup();
        for iteration in all {
            let number = iteration.to_string();
            let at = [(ARM, arm.as_str()), (ITERATION, number.as_str())];
            let mut row =
                vec![Cell::text(&arm), Cell::Count(iteration as usize)];
            row.extend(columns.iter().map(|(metric, unit, ..)| {
                match value(study, metric, &at) {
                    Some(found) if TRACED.contains(metric) => Cell::range(
                        found.spread,
                        found.n,
                        unit,
                        Provenance::Predicted,
                    ),
                    Some(found) => over(&found, unit),
                    None => Cell::none(),
                }
            }));
            table.rows.push(row);
        }
    }
    Some(table)
}

#[cfg(test)]
pub(super) mod tests {
    use assay_schema::{Better, Metric, Moment, Outcome, StopReason};

    use super::*;
    use crate::findings::StudySetting;

    pub(crate) fn record(metrics: Vec<Metric>) -> Record {
        Record {
            case: "mstar/tiny/study".parse().unwrap(),
            started: Moment(0),
            device: "cpu".to_owned(),
            work: None,
            verification: None,
            samples: Vec::new(),
            metrics: metrics.into_iter().map(|one| (None, one)).collect(),
            pictures: Vec::new(),
            warnings: Vec::new(),
            outcome: Outcome::Finished(StopReason::Completed),
        }
    }

    fn at(name: &str, arm: &str, axis: &str, place: &str, x: f64) -> Metric {
        Metric::value(name, "1", Better::Higher, x)
            .at([(ARM, arm), (axis, place)])
    }

    pub(crate) fn study(records: &[Record]) -> Study<'_> {
        Study {
            experiment: "loop".into(),
            machine: "m",
            settings: vec![StudySetting {
                case: "mstar/tiny/study".parse().unwrap(),
                records: records.iter().collect(),
                planned: records.len(),
            }],
            published: &[],
            models: Vec::new(),
        }
    }

    /// Two seeds: an arm of four iterations and one of two.
    pub(crate) fn two_seeds() -> Vec<Record> {
        [0.0, 0.1]
            .map(|more| {
                let mut metrics = Vec::new();
                for (arm, count) in [("slow", 2_u32), ("quick", 4)] {
                    for i in 0..=count {
                        let place = i.to_string();
                        let rise = 0.4 * f64::from(i) / f64::from(count);
                        let x = 0.2 + rise + more;
                        let name = "quality/greedy_accuracy";
                        metrics.push(at(name, arm, ITERATION, &place, x));
                        if i > 0 {
                            let name = "quality/decode_time";
                            metrics.push(at(name, arm, ITERATION, &place, 2.0));
                        }
                    }
                }
                for (arm, share) in
                    [("slow", 0.6), ("blanked", 0.2), ("most-frequent", 0.1)]
                {
                    metrics.push(at(ACCURACY, arm, SET, FIRST_SET, share));
                    metrics.push(at(JUDGED, arm, SET, FIRST_SET, 100.0));
                }
                record(metrics)
            })
            .to_vec()
    }

    #[test]
    fn above_chance_is_above_all_that_cannot_see() {
        let records = two_seeds();
        let study = study(&records);
        let table = models(&study, "s").unwrap();
        let words: Vec<&Cell> = table.rows.iter().map(|row| &row[2]).collect();
        let above = Cell::status("above", Tone::Good);
        let chance = Cell::text("chance itself");
        assert_eq!(words, [&above, &chance, &chance]);
        let Cell::Quantity(share) = &table.rows[0][1] else { panic!() };
        // 120 of 200 problems of both seeds.
        assert!((share.value - 0.6).abs() < 1e-12);
        assert_eq!(share.n, Some(200));
        let (low, high, _) = share.interval.unwrap();
        assert!(low > 0.5 && high < 0.7, "{low} {high}");
        let table = iterations(&study, "s").unwrap();
        assert_eq!((table.columns.len(), table.rows.len()), (4, 8));
    }

    #[test]
    fn a_study_without_a_loop_has_no_tables_of_it() {
        let plain = Metric::value("quality/accuracy", "1", Better::Higher, 0.5);
        let records = [record(vec![plain.at([("snr_db", "0")])])];
        let study = study(&records);
        assert!(tables(&study, "s").is_empty());
    }
}
