//! Real commands, small ones.

use super::*;
use crate::paired::child::is_gone;

fn sample(command: &str, limit: f64) -> Result<ArmSample, PairedError> {
    let settings = PairedSettings {
        time_limit: Some(Seconds(limit)),
        ..PairedSettings::default()
    };
    let mut commands = Commands::new("true", command, &settings);
    let [_, (mut arm, _), _] = commands.start(0, Side::ALL)?;
    arm.sample(Slot { warm_up: 0, iterations: 1 })
}

#[test]
fn a_command_has_a_time_an_answer_and_the_kernels_account() {
    let sample = sample("printf hello", 60.0).unwrap();
    assert!(sample.seconds > 0.0);
    let mut hash = StreamHash::new();
    hash.write(b"hello");
    assert_eq!(sample.fingerprint, Some(hash.finish()));
    for name in ["cpu_time", "page_faults", "context_switches_involuntary"] {
        assert!(sample.metrics.contains_key(name), "{name}");
    }
}

#[test]
fn output_that_differs_has_another_fingerprint() {
    let of = |command| sample(command, 60.0).unwrap().fingerprint;
    assert_eq!(of("printf 'a\\nb'"), of("printf a; printf '\\nb'"));
    assert_ne!(of("printf a"), of("printf b"));
}

#[test]
fn a_command_that_fails_is_told_with_its_code_and_last_words() {
    let error = sample("echo broken >&2; exit 3", 60.0).unwrap_err();
    insta::assert_snapshot!(error, @r"
    the candidate command `echo broken >&2; exit 3` ended with exit code 3; the end of its standard error:
    broken
    ");
    assert!(!error.is_wrong_input());
    let error = sample("kill -9 $$", 60.0).unwrap_err();
    assert!(error.to_string().contains("signal SIGKILL"), "{error}");
}

#[test]
fn a_command_that_is_not_there_is_wrong_input() {
    let error = sample("no-such-command-here", 60.0).unwrap_err();
    assert!(error.is_wrong_input());
    assert!(error.to_string().contains("no-such-command-here"), "{error}");
}

#[test]
fn a_command_that_hangs_is_killed_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("grandchild");
    let command =
        format!("sleep 1000 & echo $! > '{}'; sleep 1000", file.display());
    let error = sample(&command, 1.0).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the candidate gave no answer in 1 s in `{command}` and was \
             killed; raise --time-limit if it needs longer"
        )
    );
    let grandchild = std::fs::read_to_string(file).unwrap();
    assert!(is_gone(grandchild.trim().parse().unwrap()));
}

#[test]
fn what_a_command_leaves_running_goes_with_it() {
    // Without that, the reader of its output would wait for 1000 s.
    let sample = sample("sleep 1000 & echo done", 60.0).unwrap();
    assert!(sample.fingerprint.is_some());
}

#[test]
fn much_output_is_hashed_and_not_kept() {
    let before = peak();
    let sample = sample("head -c 50000000 /dev/zero", 60.0).unwrap();
    let mut hash = StreamHash::new();
    for _ in 0..50 {
        hash.write(&[0; 1_000_000]);
    }
    assert_eq!(sample.fingerprint, Some(hash.finish()));
    assert!(peak() - before < 20 << 10, "KiB: {} {before}", peak());
}

fn peak() -> nix::libc::c_long {
    getrusage(UsageWho::RUSAGE_SELF).unwrap().max_rss()
}

#[test]
fn much_on_standard_error_neither_blocks_nor_stays() {
    let error =
        sample("head -c 5000000 /dev/zero | tr '\\0' x >&2; exit 1", 60.0)
            .unwrap_err()
            .to_string();
    assert!(error.len() < 4096, "{}", error.len());
}

#[test]
fn two_commands_are_named_by_both_and_one_by_itself() {
    let settings = PairedSettings::default();
    assert_eq!(Commands::new("a <b>", "c", &settings).name(), "a <b> -> c");
    assert_eq!(Commands::new("größe", "größe", &settings).name(), "größe");
}
