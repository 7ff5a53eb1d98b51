//! The record of a selftest as tables: false alarms, what was found, the
//! coverage of the intervals, and whether the targets are met.

use std::collections::BTreeMap;

use anyhow::Result;
use assay_schema::{Better, Change, Estimate, Host, Verdict};
use assay_statistics::{
    Finding, MetricKind, Units, VerdictRule, find, judge, median, wilson,
};
use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::bodies::Body;
use super::plan::{Part, Plan, Target, Tool};
use super::record::{Header, Held, Made};
use crate::comparison::escaped;
use crate::table::aligned;

/// Confidence of every interval here.
const CONFIDENCE: f64 = 0.95;

/// Benchmarks of a suite, and suites that are drawn from the comparisons made.
const SUITE: usize = 50;
const SUITES: usize = 2000;

/// Fewer comparisons than this say nothing about a suite.
const LEAST_FOR_SUITES: usize = 50;

/// A heading, and rows of which the first is the header.
struct Section {
    title: String,
    rows: Vec<Vec<String>>,
}

/// What a selftest came to.
pub(crate) struct Report {
    sections: Vec<Section>,
    /// Targets that the record misses beyond doubt.
    pub(crate) missed: usize,
    /// Comparisons that came to no verdict.
    pub(crate) failed: usize,
}

/// Comparisons of one part by one tool that came to a verdict.
struct Cell<'a> {
    part: &'a Part,
    tool: Tool,
    made: Vec<&'a Made>,
    failed: usize,
}

impl<'a> Cell<'a> {
    fn of(part: &'a Part, tool: Tool, made: &'a [Made]) -> Self {
        let mine = |m: &&Made| m.part == part.name && m.tool == tool;
        // One that failed and was made again counts as it came out last.
        let last: BTreeMap<usize, &Made> =
            made.iter().filter(mine).map(|m| (m.index, m)).collect();
        let (good, bad): (Vec<&Made>, Vec<&Made>) =
            last.into_values().partition(|m| m.verdict.is_some());
        Self { part, tool, made: good, failed: bad.len() }
    }

    fn count(&self, is: impl Fn(Verdict) -> bool) -> u64 {
        self.made.iter().filter_map(|m| m.verdict).filter(|&v| is(v)).count()
            as u64
    }

    /// Calls of any direction.
    fn called(&self) -> u64 {
        self.count(is_call)
    }

    fn share(&self, n: u64) -> Option<Estimate> {
        share(n, self.made.len())
    }

    fn seconds(&self) -> String {
        let all: Vec<f64> = self.made.iter().map(|m| m.seconds).collect();
        median(&all).map_or_else(|_| "-".to_owned(), |s| format!("{s:.2} s"))
    }
}

fn share(n: u64, of: usize) -> Option<Estimate> {
    wilson(n, of as u64, CONFIDENCE).ok()
}

fn percent(share: &Option<Estimate>) -> String {
    share.as_ref().map_or_else(
        || "-".to_owned(),
        |e| {
            format!(
                "{:.2} % [{:.2}, {:.2}]",
                e.point * 100.0,
                e.low * 100.0,
                e.high * 100.0
            )
        },
    )
}

/// The record as tables.
pub(crate) fn report(plan: &Plan, record: &Held) -> Result<Report> {
    let cells: Vec<Cell> = plan
        .part
        .iter()
        .flat_map(|part| {
            [Tool::Assay, Tool::Criterion]
                .map(|tool| Cell::of(part, tool, &record.made))
        })
        .filter(|cell| !cell.made.is_empty() || cell.failed > 0)
        .collect();
    let suites: Vec<Option<Estimate>> = cells
        .iter()
        .map(|cell| suites_with_a_call(cell, record.header.seed))
        .collect::<Result<_>>()?;
    let mut sections = vec![
        identical(&cells, &suites),
        slowdowns(&cells),
        coverage(&cells),
        by_body(&cells),
    ];
    let (targets, missed) = targets(plan, &cells, &suites);
    sections.push(targets);
    let failed = cells.iter().map(|cell| cell.failed).sum();
    if failed > 0 {
        sections.push(failures(&record.made));
    }
    sections.extend(builds(record));
    sections.retain(|section| section.rows.len() > 1);
    Ok(Report { sections, missed, failed })
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

fn identical(cells: &[Cell], suites: &[Option<Estimate>]) -> Section {
    let mut rows = vec![row([
        "identical code",
        "tool",
        "comparisons",
        "called",
        "false alarms [95 %]",
        "suites of 50 with a call",
        "time each",
    ])];
    for (cell, suites) in cells.iter().zip(suites) {
        if cell.part.slowdown > 0 {
            continue;
        }
        let called = cell.called();
        rows.push(vec![
            cell.part.name.clone(),
            cell.tool.name().to_owned(),
            cell.made.len().to_string(),
            called.to_string(),
            percent(&cell.share(called)),
            percent(suites),
            cell.seconds(),
        ]);
    }
    Section { title: "False alarms".to_owned(), rows }
}

fn slowdowns(cells: &[Cell]) -> Section {
    let mut rows = vec![row([
        "slowdown",
        "tool",
        "comparisons",
        "found",
        "detection [95 %]",
        "wrong sign",
        "called the same",
        "unclear",
        "time each",
    ])];
    for cell in cells.iter().filter(|cell| cell.part.slowdown > 0) {
        let found = cell.count(|v| v == Verdict::Slower);
        rows.push(vec![
            cell.part.name.clone(),
            cell.tool.name().to_owned(),
            cell.made.len().to_string(),
            found.to_string(),
            percent(&cell.share(found)),
            cell.count(|v| v == Verdict::Faster).to_string(),
            cell.count(|v| v == Verdict::Same).to_string(),
            cell.count(|v| v == Verdict::Unclear).to_string(),
            cell.seconds(),
        ]);
    }
    Section { title: "Detection curve".to_owned(), rows }
}

fn holds(change: Option<Change>, truth: f64) -> Option<bool> {
    change.map(|c| c.low <= truth && truth <= c.high)
}

/// Shares of fixed-budget and any-time intervals that hold the truth.
fn held(cells: &[&Cell]) -> [Option<Estimate>; 2] {
    let intervals: [fn(&Made) -> Option<Change>; 2] =
        [|m| m.change, |m| m.change_any_time];
    intervals.map(|interval| {
        let holds: Vec<bool> = cells
            .iter()
            .flat_map(|cell| {
                let truth = cell.part.truth().exp_m1();
                cell.made.iter().filter_map(move |m| holds(interval(m), truth))
            })
            .collect();
        let held = holds.iter().filter(|&&held| held).count();
        share(held as u64, holds.len())
    })
}

fn is_quiet(cell: &&Cell) -> bool {
    cell.tool == Tool::Assay && cell.part.noise == super::Noise::None
}

fn coverage(cells: &[Cell]) -> Section {
    let mut rows = vec![row([
        "intervals of 95 %",
        "comparisons",
        "fixed budget holds the truth",
        "any time holds the truth",
    ])];
    let mut add = |name: &str, cells: &[&Cell]| {
        let [fixed, any] = held(cells);
        let n: usize = cells.iter().map(|cell| cell.made.len()).sum();
        rows.push(vec![
            name.to_owned(),
            n.to_string(),
            percent(&fixed),
            percent(&any),
        ]);
    };
    let ours = cells.iter().filter(|cell| cell.tool == Tool::Assay);
    for cell in ours {
        add(&cell.part.name, &[cell]);
    }
    let quiet: Vec<&Cell> = cells.iter().filter(is_quiet).collect();
    if !quiet.is_empty() {
        add("all quiet ones together", &quiet);
    }
    Section { title: "Coverage".to_owned(), rows }
}

fn by_body(cells: &[Cell]) -> Section {
    let mut header = row(["called, by body", "tool"]);
    header.extend(Body::ALL.map(|body| body.name().to_owned()));
    let mut rows = vec![header];
    for cell in cells {
        let mut row = row([&cell.part.name, cell.tool.name()]);
        for body in Body::ALL {
            let mine: Vec<Verdict> = cell
                .made
                .iter()
                .filter(|m| m.body == body.name())
                .filter_map(|m| m.verdict)
                .collect();
            let called = mine.iter().filter(|&&v| is_call(v)).count();
            row.push(format!("{called} of {}", mine.len()));
        }
        rows.push(row);
    }
    Section { title: "By body".to_owned(), rows }
}

/// The share of suites of 50, 2,000 of them, drawn with replacement from a part's
/// comparisons of identical code, in which anything is called. The suite's
/// own correction applies: every drawn suite is judged as a whole.
fn suites_with_a_call(cell: &Cell, seed: u64) -> Result<Option<Estimate>> {
    if cell.part.slowdown > 0 || cell.made.len() < LEAST_FOR_SUITES {
        return Ok(None);
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let rule = VerdictRule::default();
    let findings: Vec<Finding> = match cell.tool {
        Tool::Criterion => Vec::new(),
        Tool::Assay => cell
            .made
            .iter()
            .map(|m| {
                let units = Units {
                    candidate: m.candidate_units.clone(),
                    again: m.again_units.clone(),
                    null: m.null_units.clone(),
                };
                find(&units, MetricKind::Timed, Better::Lower, &rule)
            })
            .collect::<Result<_, _>>()?,
    };
    let mut with_a_call = 0;
    for _ in 0..SUITES {
        let any = match cell.tool {
            Tool::Criterion => (0..SUITE).any(|_| {
                let drawn = cell.made.choose(&mut random);
                drawn.and_then(|m| m.verdict).is_some_and(is_call)
            }),
            Tool::Assay => {
                let suite: Vec<Finding> = (0..SUITE)
                    .filter_map(|_| findings.choose(&mut random).cloned())
                    .collect();
                judge(&suite, &rule)
                    .iter()
                    .any(|judged| is_call(judged.verdict))
            }
        };
        with_a_call += u64::from(any);
    }
    Ok(of_suites(with_a_call as f64 / SUITES as f64, cell.made.len()))
}

/// The share of suites, with an interval that knows how few comparisons they
/// were drawn from: the share of comparisons that gives this share of suites,
/// its Wilson interval, and what suites of 50 make of its ends.
fn of_suites(point: f64, comparisons: usize) -> Option<Estimate> {
    let alone = 1.0 - (1.0 - point).powf(1.0 / SUITE as f64);
    let calls = (alone * comparisons as f64).round() as u64;
    let alone = share(calls, comparisons)?;
    let any = |alone: f64| 1.0 - (1.0 - alone).powi(SUITE as i32);
    Some(Estimate {
        point,
        low: any(alone.low).min(point),
        high: any(alone.high).max(point),
        ..alone
    })
}

fn is_call(verdict: Verdict) -> bool {
    verdict == Verdict::Slower || verdict == Verdict::Faster
}

/// Each target and how it came out, and how many are missed beyond doubt.
fn targets(
    plan: &Plan,
    cells: &[Cell],
    suites: &[Option<Estimate>],
) -> (Section, usize) {
    let mut rows = vec![row(["target", "asked", "found [95 %]", "outcome"])];
    let mut missed = 0;
    let mut add = |name: &str, asked: String, found: Found| {
        let outcome = found.outcome();
        missed += usize::from(outcome == NOT_MET);
        rows.push(vec![
            name.to_owned(),
            asked,
            percent(&found.share),
            outcome.to_owned(),
        ]);
    };
    for (cell, suites) in cells.iter().zip(suites) {
        if cell.tool != Tool::Assay {
            continue;
        }
        let Target { called_at_most, called_at_least, suites_at_most } =
            cell.part.target;
        let name = &cell.part.name;
        if let Some(most) = called_at_most {
            let share = cell.share(cell.called());
            let asked = format!("called: at most {} %", most * 100.0);
            add(name, asked, Found { share, low: 0.0, high: most });
        }
        if let Some(most) = suites_at_most {
            let share = suites.clone();
            let asked =
                format!("suites with a call: at most {} %", most * 100.0);
            add(name, asked, Found { share, low: 0.0, high: most });
        }
        if let Some(least) = called_at_least {
            let share = cell.share(cell.count(|v| v == Verdict::Slower));
            let asked = format!("found: at least {} %", least * 100.0);
            add(name, asked, Found { share, low: least, high: 1.0 });
            let share = cell.share(cell.count(|v| v == Verdict::Faster));
            let asked = "wrong sign: none".to_owned();
            add(name, asked, Found { share, low: 0.0, high: 0.0 });
        }
    }
    let quiet: Vec<&Cell> = cells.iter().filter(is_quiet).collect();
    let [fixed, any] = held(&quiet);
    let [low, high] = plan.coverage.fixed_budget;
    let asked = format!("fixed budget: {} to {} %", low * 100.0, high * 100.0);
    add("coverage, quiet", asked, Found { share: fixed, low, high });
    let low = plan.coverage.any_time;
    let asked = format!("any time: at least {} %", low * 100.0);
    add("coverage, quiet", asked, Found { share: any, low, high: 1.0 });
    (Section { title: "Targets".to_owned(), rows }, missed)
}

const MET: &str = "met";
const NOT_MET: &str = "NOT MET";
const OPEN: &str = "cannot tell: too few comparisons";

/// A share and where it should lie.
struct Found {
    share: Option<Estimate>,
    low: f64,
    high: f64,
}

impl Found {
    /// Met by the point; missed only where the interval misses too.
    fn outcome(&self) -> &'static str {
        match &self.share {
            None => OPEN,
            Some(e) if self.low <= e.point && e.point <= self.high => MET,
            Some(e) if e.high < self.low || e.low > self.high => NOT_MET,
            Some(_) => OPEN,
        }
    }
}

/// Who made what, of a record that took over a part of an earlier one.
fn builds(record: &Held) -> Option<Section> {
    let Header { host, commit, earlier, .. } = &record.header;
    let earlier = earlier.as_ref()?;
    let of = |count: usize, how: &str, commit: &Option<String>, host: &Host| {
        let commit = commit.as_deref().unwrap_or("unknown");
        let short = commit.get(..12).unwrap_or(commit).to_owned();
        let on = format!("{} ({}, {})", host.name, host.cpu, host.kernel);
        vec![count.to_string(), how.to_owned(), short, on]
    };
    let [theirs, mine] = record.taken_over_and_made();
    let rows = vec![
        row(["comparisons", "how", "program of commit", "on"]),
        of(theirs, "taken over", &earlier.commit, &earlier.host),
        of(mine, "made again", commit, host),
    ];
    Some(Section { title: "Taken over and made again".to_owned(), rows })
}

fn failures(made: &[Made]) -> Section {
    let mut rows = vec![row(["failed comparison", "tool", "why"])];
    for m in made {
        if let Some(error) = &m.error {
            let name = format!("{}, {} {}", m.part, m.body, m.index);
            rows.push(vec![name, m.tool.name().to_owned(), error.clone()]);
        }
    }
    Section { title: "Failures".to_owned(), rows }
}

impl Report {
    /// For a terminal.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for section in &self.sections {
            text.push_str(&aligned(&section.rows));
            text.push('\n');
        }
        text
    }

    /// For a page.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        for Section { title, rows } in &self.sections {
            text.push_str(&format!("## {title}\n\n"));
            for (i, row) in rows.iter().enumerate() {
                let escaped: Vec<String> =
                    row.iter().map(|cell| escaped(cell)).collect();
                text.push_str(&format!("| {} |\n", escaped.join(" | ")));
                if i == 0 {
                    text.push_str(&format!("|{}\n", "---|".repeat(row.len())));
                }
            }
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selftest::record::Earlier;

    fn made(part: &str, tool: Tool, index: usize, verdict: Verdict) -> Made {
        let spread = |i: usize| ((i * 7 + index) % 11) as f64 * 1e-3 - 5e-3;
        let units: Vec<f64> = (0..10).map(spread).collect();
        let change =
            Change { point: 0.0, low: -0.01, high: 0.01, confidence: 0.95 };
        Made {
            part: part.to_owned(),
            tool,
            index,
            body: Body::ALL[index % 4].name().to_owned(),
            at: assay_schema::Moment(0),
            seconds: 0.5,
            verdict: Some(verdict),
            change: Some(change),
            change_any_time: Some(change),
            candidate_units: units.clone(),
            again_units: units.clone(),
            null_units: units,
            error: None,
        }
    }

    fn reported(made: Vec<Made>) -> Report {
        let record = Held { header: Header::now(1, true), made };
        report(&Plan::shipped(false).unwrap(), &record).unwrap()
    }

    #[test]
    fn false_alarms_are_counted_and_a_missed_target_is_named() {
        let quiet = "identical, quiet";
        let some = (0..200).map(|i| {
            let wrong = i % 10 == 0;
            let verdict = if wrong { Verdict::Slower } else { Verdict::Same };
            made(quiet, Tool::Criterion, i, verdict)
        });
        let good = (0..200).map(|i| made(quiet, Tool::Assay, i, Verdict::Same));
        let bad = (0..100).map(|i| {
            made("2 % slower, quiet", Tool::Assay, i, Verdict::Unclear)
        });
        let report = reported(some.chain(good).chain(bad).collect());
        let text = report.text();
        assert!(text.contains("10.00 % [6.57, 14.94]"), "{text}");
        assert!(text.contains("0.00 % [0.00, 1.88]"), "{text}");
        // The slowdown was found in none, and its intervals miss it.
        assert!(report.missed >= 1, "{text}");
        assert!(report.markdown().contains("| NOT MET |"));
    }

    #[test]
    fn a_rate_whose_interval_holds_the_target_is_not_called_missed() {
        let found = |n, of| Found { share: share(n, of), low: 0.0, high: 0.01 };
        assert_eq!(found(0, 50).outcome(), MET);
        assert_eq!(found(1, 50).outcome(), OPEN);
        assert_eq!(found(20, 50).outcome(), NOT_MET);
        let none = Found { share: None, low: 0.0, high: 0.01 };
        assert_eq!(none.outcome(), OPEN);
    }

    #[test]
    fn a_record_of_two_builds_says_who_made_what() {
        let same = |i| made("identical, quiet", Tool::Assay, i, Verdict::Same);
        let header = Header::now(1, true);
        let earlier = Earlier {
            host: header.host.clone(),
            commit: Some("c44431d8a2430bbbb13e".to_owned()),
            program: None,
            kept: 3,
            without: Vec::new(),
        };
        let header = Header { earlier: Some(earlier), ..header };
        let record = Held { header, made: (0..5).map(same).collect() };
        let plan = Plan::shipped(true).unwrap();
        let text = report(&plan, &record).unwrap().markdown();
        assert!(text.contains("| 3 | taken over | c44431d8a243 |"), "{text}");
        assert!(text.contains("| 2 | made again |"), "{text}");
        assert!(!reported(vec![same(0)]).markdown().contains("taken over"));
    }

    #[test]
    fn a_failed_comparison_is_seen_and_its_second_try_counts() {
        let quiet = "identical, quiet";
        let mut failed = made(quiet, Tool::Assay, 0, Verdict::Same);
        failed.verdict = None;
        failed.error = Some("the child\ndied | early".to_owned());
        let good = made(quiet, Tool::Assay, 1, Verdict::Same);
        let report = reported(vec![failed.clone(), good.clone()]);
        assert_eq!(report.failed, 1);
        assert!(!report.markdown().contains("died | early"));
        let again = made(quiet, Tool::Assay, 0, Verdict::Same);
        assert_eq!(reported(vec![failed, good, again]).failed, 0);
    }

    #[test]
    fn criterions_suites_are_as_alarming_as_its_rate_says() {
        let one_in_twenty = (0..400).map(|i| {
            let verdict =
                if i % 20 == 0 { Verdict::Slower } else { Verdict::Same };
            made("identical, quiet", Tool::Criterion, i, verdict)
        });
        let all: Vec<Made> = one_in_twenty.collect();
        let plan = Plan::shipped(false).unwrap();
        let cell = Cell::of(&plan.part[0], Tool::Criterion, &all);
        let share = suites_with_a_call(&cell, 1).unwrap().unwrap();
        // 1 - 0.95^50 = 92 %.
        assert!((share.point - 0.923).abs() < 0.02, "{share:?}");
        // 19 of 400 alone: 3.1 % to 7.3 %.
        assert!((share.low - 0.79).abs() < 0.02, "{share:?}");
        assert!((share.high - 0.98).abs() < 0.02, "{share:?}");
    }
}
