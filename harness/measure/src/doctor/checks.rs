//! The checks, each from facts to a finding.
//!
//! `processor`: what the cores do by themselves. `sharing`: what others take.
//! `memory`: swap, pressure, huge pages. `program`: the clock, the counters,
//! the build, the layout of processes.

mod memory;
mod processor;
mod program;
mod sharing;

use super::text::per_cent;
use super::{Amount, Facts, Finding, Snapshot};

/// All checks.
pub(super) const ALL: [fn(&Facts) -> Finding; 17] = [
    sharing::steal,
    sharing::quota,
    sharing::load,
    sharing::virtualisation,
    processor::spread,
    processor::frequency,
    processor::governor,
    processor::turbo,
    processor::smt,
    processor::thermal,
    memory::swap,
    memory::pressure,
    memory::huge_pages,
    program::timer,
    program::counters,
    program::address_layout,
    program::build,
];

/// A share of what is named, seen in the observed second.
fn measured(fraction: f64, of: impl Into<String>) -> Amount {
    Amount::Measured { fraction, of: of.into() }
}

/// The number of a line `key number` of a file.
fn keyed(text: &str, key: &str) -> Option<f64> {
    text.lines().find_map(|line| {
        let mut words = line.split([' ', '\t', ':']).filter(|w| !w.is_empty());
        (words.next() == Some(key)).then(|| words.next()?.parse().ok())?
    })
}

/// By how much numbers grew between two snapshots: `sum` gives their sum in
/// one of them.
fn grown(
    facts: &Facts,
    sum: impl Fn(&Snapshot) -> Result<f64, String>,
) -> Result<f64, String> {
    Ok((sum(&facts.after)? - sum(&facts.before)?).max(0.0))
}

/// `1 processor`, `2 processors`.
fn counted(count: usize, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_by_the_whole_of_its_key() {
        let text = "pswpin 3\npswpin_x 4\nSwapTotal:   12 kB\n";
        assert_eq!(keyed(text, "pswpin"), Some(3.0));
        assert_eq!(keyed(text, "pswp"), None);
        assert_eq!(keyed(text, "SwapTotal"), Some(12.0));
    }
}
