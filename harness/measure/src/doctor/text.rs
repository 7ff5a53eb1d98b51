//! An examination as people read it: worst first, a line each, and what to
//! do.

use super::{Amount, Examination, Finding, RESOLVED_IN, State};

/// The whole text.
pub fn text(examination: &Examination) -> String {
    let mut text = String::new();
    for finding in &examination.findings {
        text.push_str(&line(finding));
    }
    text.push('\n');
    text.push_str(&match examination.resolves {
        Some(change) => format!(
            "The smallest change that this machine resolves is about {} \
             ({RESOLVED_IN}); to see it on real work, run `assay selftest`.\n",
            per_cent(change)
        ),
        None => "The smallest change that this machine resolves could not be \
                 told: the clock is too coarse; run `assay selftest`.\n"
            .to_owned(),
    });
    text
}

fn line(finding: &Finding) -> String {
    let seen = match &finding.state {
        State::Unknown(why) => why,
        State::Good | State::Matters => &finding.seen,
    };
    let how_much = match (&finding.state, &finding.how_much) {
        (_, Amount::Measured { fraction, of }) => {
            format!("; {} {of}, measured here", per_cent(*fraction))
        }
        (_, Amount::AtMost { fraction, source }) => {
            format!("; at most {} ({source})", per_cent(*fraction))
        }
        (State::Matters, Amount::NotMeasured) => {
            "; how much: not measured here".to_owned()
        }
        (State::Good | State::Unknown(_), Amount::NotMeasured) => String::new(),
    };
    let state = finding.state.name();
    let mut line =
        format!("{state:<8} {:<16} {seen}{how_much}\n", finding.check);
    if !finding.what_to_do.is_empty() {
        line.push_str(&format!("{:25} do: {}\n", "", finding.what_to_do));
    }
    line
}

/// A share with the digits that it is worth.
pub(super) fn per_cent(fraction: f64) -> String {
    let value = fraction * 100.0;
    if value.abs() >= 10.0 {
        format!("{value:.0} %")
    } else if value.abs() >= 1.0 {
        format!("{value:.1} %")
    } else {
        format!("{value:.2} %")
    }
}
