//! What on this machine gets in the way of measuring, how much, and what to
//! do about it.
//!
//! [`observe`] reads the system's files twice, one second apart, and runs a
//! loop of dependent additions in between; [`examine`] makes findings of what
//! was seen. Each check is a function from [`Facts`] to a [`Finding`]: no
//! check reads a file or a clock, so the tests give them other machines.
//!
//! A number of how much something matters is one that was seen in that second
//! or a bound that the machine's own files give; else there is none, and it is
//! called not measured. What others measured elsewhere is not quoted.

mod checks;
mod facts;
mod files;
mod spread;
mod text;

pub use facts::{Facts, Snapshot, observe};
pub use files::{Files, Root};
pub use spread::{RESOLVED_IN, Spread};
pub use text::text;

/// What a check came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Good,
    /// It gets in the way of measuring.
    Matters,
    /// It cannot be told here, and why.
    Unknown(String),
}

impl State {
    /// The name in files and on the screen.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Matters => "matters",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// How much something matters, as a share of time.
#[derive(Clone, Debug, PartialEq)]
pub enum Amount {
    /// Seen here, in the observed second.
    Measured {
        /// 0.02 reads "two per cent".
        fraction: f64,
        /// Of what it is a share.
        of: String,
    },
    /// No more than this, by the machine's own files.
    AtMost {
        /// 0.02 reads "two per cent".
        fraction: f64,
        /// Which numbers give it.
        source: String,
    },
    /// Nobody knows, here.
    NotMeasured,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// A stable short name, e.g. `steal`.
    pub check: &'static str,
    /// What it came to.
    pub state: State,
    /// What was seen; empty where it is unknown.
    pub seen: String,
    /// How much it matters.
    pub how_much: Amount,
    /// What to do; empty where it is good.
    pub what_to_do: String,
}

impl Finding {
    fn good(check: &'static str, seen: impl Into<String>) -> Self {
        Self {
            check,
            state: State::Good,
            seen: seen.into(),
            how_much: Amount::NotMeasured,
            what_to_do: String::new(),
        }
    }

    fn matters(
        check: &'static str,
        seen: impl Into<String>,
        how_much: Amount,
        what_to_do: impl Into<String>,
    ) -> Self {
        Self {
            check,
            state: State::Matters,
            seen: seen.into(),
            how_much,
            what_to_do: what_to_do.into(),
        }
    }

    fn unknown(
        check: &'static str,
        why: impl Into<String>,
        what_to_do: impl Into<String>,
    ) -> Self {
        Self {
            check,
            state: State::Unknown(why.into()),
            seen: String::new(),
            how_much: Amount::NotMeasured,
            what_to_do: what_to_do.into(),
        }
    }

    /// Worst first: what was measured, by size; bounds, by size; what nobody
    /// measured; what is unknown; what is good.
    fn rank(&self) -> (u8, f64) {
        match (&self.state, &self.how_much) {
            (State::Matters, Amount::Measured { fraction, .. }) => {
                (0, -fraction)
            }
            (State::Matters, Amount::AtMost { fraction, .. }) => (1, -fraction),
            (State::Matters, Amount::NotMeasured) => (2, 0.0),
            (State::Unknown(_), _) => (3, 0.0),
            (State::Good, _) => (4, 0.0),
        }
    }
}

/// All findings of a machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Examination {
    /// Worst first.
    pub findings: Vec<Finding>,
    /// The smallest relative change that the machine resolves, by the loop's
    /// spread; see [`Spread::resolves`].
    pub resolves: Option<f64>,
    /// Whether the system let nothing be read at all.
    pub blind: bool,
}

/// Makes findings of what was seen.
pub fn examine(facts: &Facts) -> Examination {
    let mut findings: Vec<Finding> =
        checks::ALL.iter().map(|check| check(facts)).collect();
    findings.sort_by(|a, b| {
        let (a, b) = (a.rank(), b.rank());
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    Examination {
        findings,
        resolves: facts.spread.as_ref().and_then(|spread| spread.resolves),
        blind: facts.before.is_empty(),
    }
}

#[cfg(test)]
mod tests;
