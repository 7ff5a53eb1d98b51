//! Four machines, from files as their kernels write them.

use assay_schema::{Reading, Seconds};

use super::*;
use crate::TimerReport;

/// A machine written down: `== path` begins a file, `== path (after)` what it
/// holds a second later.
struct Tree {
    text: &'static str,
    later: bool,
}

impl Tree {
    /// Path and text of each file, those of now or of later.
    fn files(&self) -> Vec<(&'static str, &'static str)> {
        let mut files: Vec<(&str, &str)> = Vec::new();
        for part in self.text.split("== ").skip(1) {
            let (path, text) = part.split_once('\n').unwrap();
            match path.strip_suffix(" (after)") {
                None => files.push((path, text)),
                Some(path) if self.later => {
                    files.retain(|(other, _)| *other != path);
                    files.push((path, text));
                }
                Some(_) => {}
            }
        }
        files
    }
}

impl Files for Tree {
    fn text(&self, path: &str) -> Result<String, String> {
        let files = self.files();
        let found = files.iter().find(|(name, _)| *name == path);
        found
            .map(|(_, text)| (*text).to_owned())
            .ok_or_else(|| "Permission denied (os error 13)".to_owned())
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<String> = self
            .files()
            .iter()
            .filter_map(|(path, _)| path.strip_prefix(folder))
            .filter_map(|rest| rest.strip_prefix('/'))
            .map(|rest| rest.split('/').next().unwrap().to_owned())
            .collect();
        names.sort();
        names.dedup();
        names
    }
}

/// A steady loop on a good clock.
fn facts(text: &'static str, processors: usize) -> Facts {
    Facts {
        before: Snapshot::read(&Tree { text, later: false }),
        after: Snapshot::read(&Tree { text, later: true }),
        between: Seconds(1.0),
        processors,
        spread: Some(Spread {
            samples: 50_000,
            median: Seconds(2e-5),
            p99_over_median: 1.004,
            largest_gap: Seconds(8e-5),
            interrupted: 0.0004,
            drift: 0.002,
            resolves: Some(0.0112),
        }),
        timer: TimerReport {
            clock: "tsc at 2600.0 MHz".to_owned(),
            resolution: Seconds(8e-9),
            read_cost: Seconds(11e-9),
        },
        frequency: Reading::Value(3.4e9),
        counters: Reading::Value(1e9),
        debug_build: false,
    }
}

const LAPTOP: &str = include_str!("../../tests/machines/laptop.tree");
const GUEST: &str = include_str!("../../tests/machines/guest.tree");
const CONTAINER: &str = include_str!("../../tests/machines/container.tree");

fn found<'a>(examination: &'a Examination, check: &str) -> &'a Finding {
    let mut findings = examination.findings.iter();
    findings.find(|finding| finding.check == check).unwrap()
}

#[test]
fn a_laptop_on_powersave_is_told_to_pin_its_frequency() {
    let mut facts = facts(LAPTOP, 8);
    if let Some(spread) = &mut facts.spread {
        spread.drift = 0.23;
        spread.resolves = Some(0.061);
    }
    insta::assert_snapshot!(text(&examine(&facts)), @"
        matters  frequency        the loop did not keep its speed (3.40 GHz after it); 23 % between the fastest and the slowest stretch, measured here
                                  do: see governor, turbo, smt and thermal; pin the frequency where you may, compare in interleaved blocks where not
        matters  load             others used 0.08 processors (Web Content (1) 0.07), load average 0.42; 1.0 % of all processor time, measured here
                                  do: end them or wait; measure on as many threads as are left over
        matters  governor         powersave on 8 of 8 processors; at most 83 % (0.8 to 4.7 GHz by cpufreq)
                                  do: sudo cpupower frequency-set --governor performance
        matters  turbo            on: the frequency depends on heat and on other cores; at most 40 % (2.8 to 4.7 GHz by cpufreq)
                                  do: echo 1 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo; or leave it on and compare in interleaved blocks
        matters  smt              cores run two threads each: a busy sibling takes its share of the core; how much: not measured here
                                  do: use one thread a core (`lscpu --extended` shows the pairs; taskset), or echo off | sudo tee /sys/devices/system/cpu/smt/control
        matters  thermal          throttled 2 times while this looked, the hottest zone 88 C; how much: not measured here
                                  do: let it cool; better cooling, fewer cores, or turbo off
        matters  huge-pages       always: the kernel makes pages huge when it finds the time, so that two runs of a program may have different ones; how much: not measured here
                                  do: echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled
        good     steal            0.00 % of the processor time
        good     quota            no control group limits processor time
        good     virtualisation   no hypervisor
        good     spread           a fixed loop of 20.0 us: one sample in a hundred 0.40 % over the median, the longest gap 0.08 ms
        good     swap             307 MB in use, 0 pages moved while this looked
        good     memory-pressure  tasks waited 0.02 % of the time
        good     timer            tsc at 2600.0 MHz, steps of 8 ns, a read costs 11 ns; the kernel's own is tsc
        good     counters         instructions and cycles are counted (perf_event_paranoid 1)
        good     aslr             on: each process has a layout of its own, and fresh processes average over layouts
        good     build            this assay is a release build

        The smallest change that this machine resolves is about 6.1 % (the easiest of bodies, a loop of dependent additions; 1 s for all arms, called in 80 of 100 comparisons); to see it on real work, run `assay selftest`.
        ");
}

#[test]
fn a_guest_with_a_busy_host_is_told_what_others_take() {
    let mut facts = facts(GUEST, 2);
    if let Some(spread) = &mut facts.spread {
        spread.p99_over_median = 1.31;
        spread.interrupted = 0.074;
        spread.largest_gap = Seconds(0.0121);
        spread.resolves = Some(0.034);
    }
    facts.frequency = Reading::Unavailable("nominal".to_owned());
    facts.counters = Reading::Unavailable("this kernel offers none".into());
    insta::assert_snapshot!(text(&examine(&facts)), @"
        matters  load             others used 0.33 processors (rustc 0.28, cron 0.02), load average 1.60; 16 % of all processor time, measured here
                                  do: end them or wait; measure on as many threads as are left over
        matters  steal            the hypervisor runs other guests on these processors; 11 % of the processor time, measured here
                                  do: compare in interleaved blocks only (`assay compare --exec` or `--bench`), never with a stored baseline; or take a machine whose processors are its own
        matters  spread           a fixed loop of 20.0 us: one sample in a hundred 31 % over the median, the longest gap 12.10 ms; 7.4 % of the time lost to interruptions, measured here
                                  do: look at steal, quota and load for who interrupts; give comparisons a longer budget
        matters  memory-pressure  tasks wait for memory; 3.0 % of the time waiting, measured here
                                  do: end what takes the memory, or measure smaller cases
        matters  virtualisation   a virtual machine (KVM): what its host does to it shows only as steal and spread; how much: not measured here
                                  do: trust interleaved comparisons, and times of one hour only
        matters  swap             614 MB in use, 100 pages moved while this looked; how much: not measured here
                                  do: end what takes the memory, or sudo swapoff --all
        matters  counters         no instructions, no cycles: this kernel offers none; how much: not measured here
                                  do: a slower row will lack its reason; count with `--instructions callgrind` (package valgrind)
        unknown  governor         no cpufreq below /sys (virtual machines rarely have it)
                                  do: see `frequency`
        unknown  turbo            neither intel_pstate/no_turbo nor cpufreq/boost below /sys
                                  do: see `frequency`
        unknown  thermal          no thermal_throttle below /sys, and no thermal zone
                                  do: see `frequency`
        good     quota            no control group limits processor time
        good     frequency        the loop kept its speed to within 0.20 % (no reading: nominal)
        good     smt              no core runs two threads
        good     huge-pages       madvise: only where asked for
        good     timer            tsc at 2600.0 MHz, steps of 8 ns, a read costs 11 ns; the kernel's own is kvm-clock
        good     aslr             on: each process has a layout of its own, and fresh processes average over layouts
        good     build            this assay is a release build

        The smallest change that this machine resolves is about 3.4 % (the easiest of bodies, a loop of dependent additions; 1 s for all arms, called in 80 of 100 comparisons); to see it on real work, run `assay selftest`.
        ");
}

#[test]
fn a_container_with_a_quota_that_bites_is_told_so() {
    insta::assert_snapshot!(text(&examine(&facts(CONTAINER, 16))), @"
        matters  quota            a quota of 0.50 of 16 processors; stopped while this looked; 49 % of a processor's time stopped, all added up, measured here
                                  do: give the container more processor time, or nothing at all to measure with: a stop hits one sample and not the next
        unknown  thermal          no thermal_throttle below /sys, and no thermal zone
                                  do: see `frequency`
        unknown  memory-pressure  /proc/pressure/memory: Permission denied (os error 13)
        good     steal            0.00 % of the processor time
        good     load             others used 0.03 processors, load average 0.10
        good     virtualisation   no hypervisor
        good     spread           a fixed loop of 20.0 us: one sample in a hundred 0.40 % over the median, the longest gap 0.08 ms
        good     frequency        the loop kept its speed to within 0.20 % (3.40 GHz after it)
        good     governor         performance on 2 processors
        good     turbo            off
        good     smt              no core runs two threads
        good     swap             0 MB in use, 0 pages moved while this looked
        good     huge-pages       never: only where asked for
        good     timer            tsc at 2600.0 MHz, steps of 8 ns, a read costs 11 ns; the kernel's own is unknown
        good     counters         instructions and cycles are counted (perf_event_paranoid 4)
        good     aslr             on: each process has a layout of its own, and fresh processes average over layouts
        good     build            this assay is a release build

        The smallest change that this machine resolves is about 1.1 % (the easiest of bodies, a loop of dependent additions; 1 s for all arms, called in 80 of 100 comparisons); to see it on real work, run `assay selftest`.
        ");
}

#[test]
fn where_nothing_can_be_read_everything_of_the_system_is_unknown() {
    let mut facts = facts("", 1);
    facts.spread = None;
    let examination = examine(&facts);
    assert!(examination.blind);
    insta::assert_snapshot!(text(&examination), @"
        unknown  steal            /proc/stat: Permission denied (os error 13)
        unknown  quota            /proc/self/cgroup cannot be read
        unknown  load             /proc/stat: Permission denied (os error 13)
        unknown  virtualisation   /proc/cpuinfo: Permission denied (os error 13)
        unknown  spread           the clock is too coarse for samples of 20 us
                                  do: see `timer`
        unknown  frequency        the clock is too coarse to see it
                                  do: see `timer`
        unknown  governor         no cpufreq below /sys (virtual machines rarely have it)
                                  do: see `frequency`
        unknown  turbo            neither intel_pstate/no_turbo nor cpufreq/boost below /sys
                                  do: see `frequency`
        unknown  smt              /sys/devices/system/cpu/smt/active: Permission denied (os error 13)
        unknown  thermal          no thermal_throttle below /sys, and no thermal zone
                                  do: see `frequency`
        unknown  swap             /proc/meminfo: Permission denied (os error 13)
        unknown  memory-pressure  /proc/pressure/memory: Permission denied (os error 13)
        unknown  huge-pages       /sys/kernel/mm/transparent_hugepage/enabled: Permission denied (os error 13)
        unknown  aslr             /proc/sys/kernel/randomize_va_space: Permission denied (os error 13)
        good     timer            tsc at 2600.0 MHz, steps of 8 ns, a read costs 11 ns; the kernel's own is unknown
        good     counters         instructions and cycles are counted (perf_event_paranoid absent)
        good     build            this assay is a release build

        The smallest change that this machine resolves could not be told: the clock is too coarse; run `assay selftest`.
        ");
}

#[test]
fn a_quota_of_version_1_is_read_like_one_of_version_2() {
    let text = "== proc/self/cgroup
3:cpu,cpuacct:/
== sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us
150000
== sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us
100000
== sys/fs/cgroup/cpu,cpuacct/cpu.stat
nr_periods 10
nr_throttled 1
throttled_time 1000000
== sys/fs/cgroup/cpu,cpuacct/cpu.stat (after)
nr_periods 20
nr_throttled 6
throttled_time 251000000
";
    let examination = examine(&facts(text, 4));
    let quota = found(&examination, "quota");
    assert_eq!(quota.state, State::Matters);
    assert!(quota.seen.contains("1.50 of 4 processors"), "{quota:?}");
    let Amount::Measured { fraction, .. } = quota.how_much else {
        panic!("{quota:?}")
    };
    assert!((fraction - 0.25).abs() < 1e-9);
}

#[test]
fn a_quota_is_harmless_only_where_it_covers_all_processors() {
    let group = |quota: &'static str, processors| {
        let examination = examine(&facts(quota, processors));
        found(&examination, "quota").state.clone()
    };
    let two = "== proc/self/cgroup\n0::/a\n== \
               sys/fs/cgroup/cpu.max\n200000 100000\n";
    assert_eq!(group(two, 2), State::Good);
    assert_eq!(group(two, 3), State::Matters);
    let none = "== proc/self/cgroup\n0::/\n== \
                sys/fs/cgroup/cpu.max\nmax 100000\n";
    assert_eq!(group(none, 64), State::Good);
}

#[test]
fn nonsense_in_any_file_is_never_a_crash_and_never_good_news_of_numbers() {
    let text = "== proc/stat\ncpu x\n== proc/meminfo\nSwapTotal: x\n== \
                proc/vmstat\n\n== proc/pressure/memory\nsome\n== \
                proc/sys/kernel/randomize_va_space\nyes\n== \
                proc/self/cgroup\n:::\n\n7\n";
    let examination = examine(&facts(text, 2));
    for check in ["steal", "load", "swap", "memory-pressure", "aslr"] {
        let finding = found(&examination, check);
        assert!(matches!(finding.state, State::Unknown(_)), "{finding:?}");
    }
    assert!(!examination.blind);
}

#[test]
fn aslr_off_and_a_debug_build_and_a_coarse_clock_matter() {
    let text = "== proc/sys/kernel/randomize_va_space\n0\n";
    let mut facts = facts(text, 2);
    facts.debug_build = true;
    facts.timer.resolution = Seconds(1e-3);
    let examination = examine(&facts);
    for check in ["aslr", "build", "timer"] {
        assert_eq!(found(&examination, check).state, State::Matters);
    }
}

#[test]
fn the_worst_measured_thing_stands_first_and_the_good_last() {
    let mut facts = facts(GUEST, 2);
    if let Some(spread) = &mut facts.spread {
        spread.drift = 0.5;
    }
    let findings = examine(&facts).findings;
    assert_eq!(findings[0].check, "frequency");
    let ranks: Vec<u8> = findings.iter().map(|one| one.rank().0).collect();
    assert!(ranks.is_sorted(), "{ranks:?}");
    assert_eq!(findings.len(), checks::ALL.len());
}

#[test]
fn a_folder_on_disk_reads_like_the_tree() {
    let folder = tempfile::tempdir().unwrap();
    let tree = Tree { text: LAPTOP, later: false };
    for (path, text) in tree.files() {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let root = Root(folder.path().to_owned());
    for path in ["proc/stat", "sys/devices/system/cpu/smt/active"] {
        assert_eq!(root.text(path), tree.text(path));
        let read = Snapshot::read(&root);
        assert_eq!(read.text(path), Snapshot::read(&tree).text(path));
    }
    assert!(root.text("proc/nothing").is_err());
    let processors = "sys/devices/system/cpu";
    assert_eq!(root.names(processors), tree.names(processors));
}
