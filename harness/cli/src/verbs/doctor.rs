//! `assay doctor`: what on this machine gets in the way of measuring.

use assay_measure::doctor::{
    Amount, Examination, Finding, Root, State, examine, observe, text,
};
use serde_json::{Value, json};

use crate::arguments::{DoctorArgs, TextOrJson};
use crate::exit::{Ending, Verdict, machine, print};

pub(crate) fn run(args: &DoctorArgs) -> Verdict {
    let examination = examine(&observe(&Root("/".into())));
    if examination.blind {
        return Err(machine(anyhow::anyhow!(
            "nothing of /proc and /sys could be read; `assay doctor` needs \
             Linux, and to be let see them"
        )));
    }
    print(&match args.format {
        TextOrJson::Text => text(&examination),
        TextOrJson::Json => {
            format!("{}\n", serde_json::to_string_pretty(&value(&examination))?)
        }
    });
    Ok(Ending::Done)
}

fn value(examination: &Examination) -> Value {
    let findings: Vec<Value> =
        examination.findings.iter().map(finding).collect();
    json!({
        "findings": findings,
        "smallest_change_resolved": examination.resolves,
    })
}

fn finding(finding: &Finding) -> Value {
    let why = match &finding.state {
        State::Unknown(why) => Some(why),
        State::Good | State::Matters => None,
    };
    let how_much = match &finding.how_much {
        Amount::Measured { fraction, of } => {
            json!({"kind": "measured", "fraction": fraction, "of": of})
        }
        Amount::AtMost { fraction, source } => {
            json!({"kind": "at-most", "fraction": fraction, "of": source})
        }
        Amount::NotMeasured => {
            json!({"kind": "not-measured", "fraction": null, "of": null})
        }
    };
    json!({
        "check": finding.check,
        "state": finding.state.name(),
        "unknown_because": why,
        "seen": finding.seen,
        "how_much": how_much,
        "what_to_do": finding.what_to_do,
    })
}
