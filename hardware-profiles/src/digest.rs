//! To which machine an overlay belongs: a digest of the numbers that a
//! predictor reads. A renamed profile keeps its overlay; one whose numbers
//! were corrected loses it.
//!
//! The digest tells files apart and guards nothing, so 128 bits of FNV-1a do
//! and no dependency comes in for it.

use std::fmt::Write as _;

use crate::{Fact, HardwareProfile, Kind, Peaks, Quantity, Unit, UnitName};

/// A digest of what a predictor reads of a unit, 32 hexadecimal digits.
///
/// In it: the unit's name, architecture, cores, operations a cycle, launch
/// overhead, peaks, clocks, caches and links; the memory's technology,
/// bandwidth and size; power and year; of each fact the value in SI units and
/// whether it is declared or measured (a predictor takes nothing off what was
/// measured). Not in it: the width and rate of the memory bus, which no
/// predictor reads; how many devices share a node; names, titles, notes, sources, trust, intervals, and the
/// tables of measurements. Of a unit that the profile lacks, only the
/// machine's own facts are in it.
pub fn facts_digest(profile: &HardwareProfile, unit: UnitName) -> String {
    digest(facts(profile, unit).0.as_bytes())
}

/// The text that is digested: one line a fact, in a fixed order. An absent
/// fact has no line.
fn facts(profile: &HardwareProfile, name: UnitName) -> Lines {
    let mut lines = Lines(String::new());
    lines.word("unit", name.name());
    if let Some(unit) = profile.units.get(&name) {
        lines.unit(unit);
    }
    let memory = &profile.memory;
    if let Some(technology) = &memory.technology {
        lines.word("memory.technology", technology);
    }
    lines.fact("memory.bandwidth", Some(&memory.bandwidth));
    lines.fact("memory.size", memory.size.as_ref());
    lines.fact("tdp", profile.tdp.as_ref());
    lines.fact("year", profile.year.as_ref());
    lines
}

struct Lines(String);

impl Lines {
    fn word(&mut self, key: &str, word: &str) {
        let _ = writeln!(self.0, "{key} {word}");
    }

    fn fact<U: Quantity>(&mut self, key: &str, fact: Option<&Fact<U>>) {
        if let Some(fact) = fact {
            let kind = match fact.kind {
                Kind::Declared => "declared",
                Kind::Measured => "measured",
            };
            let _ = writeln!(self.0, "{key} {:e} {kind}", fact.value.base());
        }
    }

    fn unit(&mut self, unit: &Unit) {
        self.word("architecture", unit.architecture.name());
        self.fact("cores", unit.cores.as_ref());
        self.fact("flops_per_cycle", unit.flops_per_cycle.as_ref());
        self.fact("launch_overhead", unit.launch_overhead.as_ref());
        self.peaks("vector", &unit.vector);
        self.peaks("matrix", &unit.matrix);
        let clock = &unit.clock;
        self.fact("clock.base", clock.base.as_ref());
        self.fact("clock.sustained", clock.sustained.as_ref());
        self.fact("clock.boost", clock.boost.as_ref());
        let cache = &unit.cache;
        self.fact("cache.l1_per_core", cache.l1_per_core.as_ref());
        self.fact("cache.l2", cache.l2.as_ref());
        self.fact("cache.llc", cache.llc.as_ref());
        let link = &unit.link;
        self.fact("link.intra_node", link.intra_node.as_ref());
        self.fact("link.pcie", link.pcie.as_ref());
        self.fact("link.inter_node", link.inter_node.as_ref());
    }

    fn peaks(&mut self, table: &str, peaks: &Peaks) {
        for (precision, peak) in peaks.iter() {
            self.fact(&format!("{table}.{precision}"), Some(peak));
        }
    }
}

/// A digest of bytes, to tell one version of a file from another: 32
/// hexadecimal digits of a 128-bit FNV-1a.
pub fn digest(bytes: &[u8]) -> String {
    format!("{:032x}", fnv1a(bytes))
}

/// The 128-bit hash of Fowler, Noll and Vo, variant 1a.
fn fnv1a(bytes: &[u8]) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = (1 << 88) + 0x13b;
    bytes
        .iter()
        .fold(OFFSET, |hash, &b| (hash ^ u128::from(b)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load;

    #[test]
    fn the_hash_is_the_published_one() {
        let of = |text: &str| digest(text.as_bytes());
        assert_eq!(of(""), "6c62272e07bb014262b821756295c58d");
        assert_eq!(of("a"), "d228cb696f1a8caf78912b704e4a8964");
        assert_eq!(of("foobar"), "343e1662793c64bf6f0d3597ba446f18");
    }

    #[test]
    fn the_text_has_a_line_a_fact_in_si_units() {
        let text = facts(&load("nvidia-t4").unwrap(), UnitName::Gpu).0;
        let start = "unit gpu\narchitecture turing\ncores 4e1 declared\n";
        assert!(text.starts_with(start), "{text}");
        assert!(text.contains("\nmatrix.f16 6.51e13 declared\n"), "{text}");
        assert!(text.contains("\nmemory.bandwidth 3.2e11 declared\n"));
        assert!(text.ends_with("\nyear 2.018e3 declared\n"), "{text}");
    }
}
