//! `assay doctor` on the machine that tests.

use crate::place::Place;

#[test]
fn doctor_tells_every_check_worst_first_and_what_the_machine_resolves() {
    let text = Place::new().ok("doctor");
    for part in [
        "steal ",
        "quota ",
        "load ",
        "governor ",
        "smt ",
        "timer ",
        "The smallest change that this machine resolves",
        "run `assay selftest`",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let states: Vec<usize> = text
        .lines()
        .filter_map(|line| {
            let states = ["matters ", "unknown ", "good "];
            states.iter().position(|state| line.starts_with(state))
        })
        .collect();
    assert!(states.is_sorted(), "{text}");
}

#[test]
fn doctor_json_says_why_what_it_cannot_tell_is_unknown() {
    let found = Place::new().json("doctor --format json");
    let findings = found["findings"].as_array().unwrap();
    assert!(findings.len() > 10);
    for finding in findings {
        let unknown = finding["state"] == "unknown";
        assert_eq!(unknown, finding["unknown_because"].is_string());
        assert_eq!(unknown, finding["seen"] == "");
        if finding["state"] == "matters" {
            assert_ne!(finding["what_to_do"], "", "{finding}");
        }
    }
}
