//! The file that callgrind writes, as far as its totals.
//!
//! Its format is that of the manual's appendix "Callgrind Format
//! Specification". A file has one or more parts; each names its events once
//! and closes with their totals, in the same order, zeros at the end left out:
//!
//! ```text
//! events: Ir Dr Dw
//! summary: 126653 27901 11770
//! ... cost lines ...
//! totals: 126651 27901 11770
//! ```
//!
//! `totals` is the sum of the lines and stands last, so a file that was cut
//! off has none; `summary` may be a few instructions apart and is not used.

use std::collections::BTreeMap;

/// What a file counted, by event: `Ir` is instructions read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Event to count.
    pub events: BTreeMap<String, u64>,
}

impl Counts {
    /// Instructions (`Ir`); none where they were not counted.
    pub fn instructions(&self) -> Option<u64> {
        self.events.get("Ir").copied()
    }

    /// Simulated misses of the last level of caches, of instructions, reads
    /// and writes; none where caches were not simulated.
    pub fn cache_misses(&self) -> Option<u64> {
        self.sum(["ILmr", "DLmr", "DLmw"])
    }

    /// Simulated misses of the first level.
    pub fn first_level_misses(&self) -> Option<u64> {
        self.sum(["I1mr", "D1mr", "D1mw"])
    }

    /// Branches, conditional and indirect, that the simulated predictor got
    /// wrong; none where it was not simulated.
    pub fn branch_misses(&self) -> Option<u64> {
        self.sum(["Bcm", "Bim"])
    }

    fn sum<const N: usize>(&self, events: [&str; N]) -> Option<u64> {
        let counts = events.map(|event| self.events.get(event).copied());
        counts.into_iter().sum()
    }

    /// These and others together.
    pub(super) fn add(&mut self, other: Self) {
        for (event, count) in other.events {
            let sum = self.events.entry(event).or_default();
            *sum = sum.saturating_add(count);
        }
    }
}

/// The totals of all parts of a callgrind file.
///
/// # Errors
/// What was found, and what was expected.
pub(crate) fn parse_totals(text: &str) -> Result<Counts, String> {
    let mut counts = Counts::default();
    let mut events: Option<Vec<&str>> = None;
    let mut parts_open = 0;
    for (index, line) in text.lines().enumerate() {
        let at = index + 1;
        if let Some(names) = line.strip_prefix("events:") {
            if parts_open > 0 {
                return Err(format!(
                    "line {at}: a part begins where the totals of the one \
                     before were expected: the file was cut off"
                ));
            }
            parts_open = 1;
            events = Some(names.split_whitespace().collect());
        } else if let Some(numbers) = line.strip_prefix("totals:") {
            let Some(events) = events.take() else {
                return Err(format!(
                    "line {at}: totals without an `events:` line before them"
                ));
            };
            parts_open = 0;
            counts.add(part(&events, numbers, at)?);
        }
    }
    if events.is_some() {
        return Err("no `totals:` line at the end: the file was cut off, or \
                    the program was killed"
            .to_owned());
    }
    if counts.events.is_empty() {
        return Err("no `events:` line; expected a file of callgrind".into());
    }
    Ok(counts)
}

/// One part's totals under its events.
fn part(events: &[&str], numbers: &str, at: usize) -> Result<Counts, String> {
    let numbers: Vec<&str> = numbers.split_whitespace().collect();
    if numbers.len() > events.len() {
        return Err(format!(
            "line {at}: {} totals for {} events",
            numbers.len(),
            events.len()
        ));
    }
    let mut counts = Counts::default();
    for (place, event) in events.iter().enumerate() {
        let count = match numbers.get(place) {
            None => 0,
            Some(number) => number.parse().map_err(|_| {
                format!("line {at}: `{number}` is no count of {event}")
            })?,
        };
        counts.events.insert((*event).to_owned(), count);
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ECHO: &str = include_str!("../../tests/callgrind/echo.out");

    fn instructions(text: &str) -> Result<u64, String> {
        Ok(parse_totals(text)?.instructions().unwrap())
    }

    #[test]
    fn instructions_are_found_in_any_order_of_events_and_over_parts() {
        assert_eq!(instructions(ECHO), Ok(302_578));
        let cache = include_str!("../../tests/callgrind/cache-simulation.out");
        assert_eq!(instructions(cache), Ok(126_651));
        let cache = parse_totals(cache).unwrap();
        assert_eq!(cache.events["DLmw"], 547);
        let sum =
            |events: [&str; 3]| events.map(|e| cache.events[e]).iter().sum();
        assert_eq!(cache.cache_misses(), Some(sum(["ILmr", "DLmr", "DLmw"])));
        assert_eq!(
            cache.first_level_misses(),
            Some(sum(["I1mr", "D1mr", "D1mw"]))
        );
        assert_eq!(cache.branch_misses(), None, "only caches were simulated");
        let both =
            parse_totals("events: Ir Bc Bcm Bi Bim\ntotals: 9 4 3 2 1\n");
        assert_eq!(both.unwrap().branch_misses(), Some(4));
        let order = include_str!("../../tests/callgrind/other-order.out");
        assert_eq!(instructions(order), Ok(126_651));
        let parts = include_str!("../../tests/callgrind/two-parts.out");
        assert_eq!(instructions(parts), Ok(302_578 + 1_422));
    }

    #[test]
    fn what_is_no_whole_file_is_refused_with_what_was_expected() {
        let wrong = [
            include_str!("../../tests/callgrind/truncated.out"),
            include_str!("../../tests/callgrind/no-events.out"),
            "",
            "events: Ir\ntotals: 12x\n",
            "events: Ir\ntotals: -1\n",
            "events: Ir\ntotals: 1 2\n",
            "events: Ir\nevents: Ir\ntotals: 1\n",
        ];
        let errors = wrong.map(|text| parse_totals(text).unwrap_err());
        insta::assert_snapshot!(errors.join("\n"), @"
        no `totals:` line at the end: the file was cut off, or the program was killed
        line 27: totals without an `events:` line before them
        no `events:` line; expected a file of callgrind
        line 2: `12x` is no count of Ir
        line 2: `-1` is no count of Ir
        line 2: 2 totals for 1 events
        line 2: a part begins where the totals of the one before were expected: the file was cut off
        ");
    }

    #[test]
    fn events_without_a_number_are_zero() {
        let counts = parse_totals("events: Ir Dr Dw\ntotals: 7 1\n").unwrap();
        assert_eq!(counts.instructions(), Some(7));
        assert_eq!(counts.events["Dw"], 0);
    }

    proptest! {
        #[test]
        fn a_file_cut_anywhere_before_its_totals_is_no_count(
            cut in 0_usize..ECHO.len(),
        ) {
            let totals = ECHO.rfind("totals:").unwrap();
            if let Some(text) = ECHO.get(..cut.min(totals)) {
                prop_assert!(parse_totals(text).is_err());
            }
        }

        #[test]
        fn no_text_is_a_crash(text in "(events:|totals:|[ A-z0-9\n-]){0,60}") {
            let _: Result<Counts, String> = parse_totals(&text);
        }
    }
}
