//! Counting with the real valgrind where there is one, and with scripts that
//! stand in for a valgrind that is broken.

use super::*;

const LIMIT: Duration = Duration::from_secs(60);

/// With a script in place of valgrind that does what `body` says; `$out` and
/// `$log` are the files that it should write.
fn with_stand_in(body: &str, limit: Duration) -> Result<Counts, String> {
    let script =
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/callgrind/stand-in.sh");
    let mut command = CommandLine::new("work", ["10"]);
    command.env.push(("STAND_IN".into(), body.into()));
    count_with(script.as_ref(), &command, limit)
        .map_err(|error| error.to_string())
}

#[test]
fn no_valgrind_names_the_package_and_is_the_machines_fault() {
    let nowhere = OsStr::new("assay-has-no-such-valgrind");
    let command = CommandLine::new("true", [""; 0]);
    let error = count_with(nowhere, &command, LIMIT).unwrap_err();
    assert!(error.is_machine());
    insta::assert_snapshot!(error, @"valgrind is not installed; callgrind is part of the package `valgrind`: apt install valgrind (Debian, Ubuntu), dnf install valgrind (Fedora)");
}

#[test]
fn the_counts_of_all_processes_are_added_up() {
    let body = "printf 'events: Ir\\ntotals: 5\\n' > $out; \
                printf 'events: Ir\\ntotals: 7\\n' > ${out%.1}.2; \
                : > ${out%.1}.3";
    let counts = with_stand_in(body, LIMIT).unwrap();
    assert_eq!(counts.instructions(), Some(12));
}

#[test]
fn a_command_that_goes_wrong_is_told_with_its_last_words() {
    let errors = [
        "echo out of luck >&2; exit 7",
        "echo '==1== unrecognised instruction' > $log; exit 132",
        "exit 1",
        "exit 0",
        "printf 'events: Ir\\n' > $out",
        "printf 'events: Ir\\ntotals: 0\\n' > $out",
    ]
    .map(|body| with_stand_in(body, LIMIT).unwrap_err());
    insta::assert_snapshot!(errors.join("\n"), @"
        `work 10` under callgrind ended with exit status: 7: out of luck
        `work 10` under callgrind ended with exit status: 132: ==1== unrecognised instruction
        `work 10` under callgrind ended with exit status: 1
        callgrind's file of `work 10`: no instruction was counted
        callgrind's file of `work 10`: no `totals:` line at the end: the file was cut off, or the program was killed
        callgrind's file of `work 10`: no instruction was counted
        ");
}

#[test]
fn a_flood_of_words_is_drained_and_its_end_kept() {
    let body = "yes nonsense | head -c 3000000 >&2; echo the end >&2; exit 1";
    let error = with_stand_in(body, LIMIT).unwrap_err();
    assert!(error.ends_with("the end"), "{error}");
    assert!(error.len() < 3000);
}

#[test]
fn a_command_that_hangs_is_ended_at_the_limit() {
    let limit = Duration::from_millis(50);
    let error = with_stand_in("while :; do :; done", limit).unwrap_err();
    assert!(error.contains("did not end within"), "{error}");
}

#[test]
fn what_a_command_leaves_running_goes_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("left");
    let body = format!(
        "sleep 1000 & echo $! > '{}'; \
         printf 'events: Ir\\ntotals: 5\\n' > $out",
        file.display()
    );
    let counts = with_stand_in(&body, LIMIT).unwrap();
    assert_eq!(counts.instructions(), Some(5));
    let left = std::fs::read_to_string(file).unwrap();
    assert!(crate::paired::child::is_gone(left.trim().parse().unwrap()));
}

#[test]
fn a_difference_is_what_the_iterations_cost() {
    let command = |n: &str| CommandLine::new("work", [n]);
    let counts = |ir, misses| Counts {
        events: [("Ir".to_owned(), ir), ("D1mr".to_owned(), misses)].into(),
    };
    let (with, without) = (command("10"), command("0"));
    let found =
        difference((&with, counts(1100, 3)), (&without, counts(100, 4)))
            .unwrap();
    assert_eq!(found, counts(1000, 0));
    let error = difference((&with, counts(100, 0)), (&without, counts(100, 0)))
        .unwrap_err();
    insta::assert_snapshot!(error, @"`work 10` took 100 instructions and `work 0` 100; expected more with iterations than without");
}

/// Whether the real one is here; says so by name where it is not.
fn has_valgrind() -> bool {
    let found = count_instructions(&CommandLine::new("true", [""; 0]), LIMIT);
    if matches!(found, Err(CallgrindError::NoValgrind)) {
        println!("skipped: callgrind: valgrind is not installed");
        return false;
    }
    true
}

#[test]
fn two_runs_of_one_command_agree_to_a_hundredth_of_a_per_cent() {
    if !has_valgrind() {
        return;
    }
    let command =
        CommandLine::shell("i=0; while [ $i -lt 500 ]; do i=$((i+1)); done");
    let count = || {
        let counts = count_instructions(&command, LIMIT).unwrap();
        counts.instructions().unwrap() as f64
    };
    let (first, second) = (count(), count());
    println!("{first} and {second} instructions");
    assert!((second / first - 1.0).abs() <= 1e-4, "{first} {second}");
}

#[test]
fn twice_the_iterations_cost_twice_the_instructions() {
    if !has_valgrind() {
        return;
    }
    let turns = |n: u32| {
        CommandLine::shell(&format!(
            "i=1000; while [ $i -lt {} ]; do i=$((i+1)); done",
            1000 + n
        ))
    };
    let cost = |n: u32| {
        let counts = count_difference(&turns(n), &turns(0), LIMIT).unwrap();
        counts.instructions().unwrap() as f64
    };
    let (once, twice) = (cost(1000), cost(2000));
    assert!((twice / once / 2.0 - 1.0).abs() < 0.01, "{once} {twice}");
}

#[test]
fn memory_walked_out_of_order_misses_simulated_caches_more() {
    if !has_valgrind() {
        return;
    }
    // awk keeps its table in a hash, and walks it.
    let misses = |rows: u32| {
        let line = format!(
            "awk 'BEGIN {{ for (i = 0; i < {rows}; i++) t[i] = i; \
             for (k in t) s += t[k]; print s }}'"
        );
        let counts = count_instructions(&CommandLine::shell(&line), LIMIT);
        let counts = counts.unwrap();
        let found = (
            counts.cache_misses(),
            counts.first_level_misses(),
            counts.branch_misses(),
        );
        println!("{rows} rows: {found:?}");
        (found.0.unwrap(), found.1.unwrap(), found.2.unwrap())
    };
    let (few, many) = (misses(10), misses(20_000));
    assert!(many.0 > few.0 && many.1 > few.1 && many.2 > few.2);
    assert!(few.0 < few.1, "the last level misses less than the first");
}

#[test]
fn processes_that_a_command_starts_are_counted_too() {
    if !has_valgrind() {
        return;
    }
    let count = |line: &str| {
        let counts = count_instructions(&CommandLine::shell(line), LIMIT);
        counts.unwrap().instructions().unwrap()
    };
    let (one, two) = (count("true; :"), count("/bin/true; /bin/true; :"));
    assert!(two > one + 100_000, "{one} {two}");
}
