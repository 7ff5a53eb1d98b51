//! A disk that is full, as a tiny file system in a namespace of the user's
//! own; skipped by name where the kernel does not allow that.

use std::process::Command;

use crate::place::{ASSAY, Place};

/// `$1` is the binary, `$2` a folder to mount on. Exit 90: no such mount.
const SCRIPT: &str = r#"
mount -t tmpfs -o size=1200k none "$2" 2>/dev/null || exit 90
cd "$2" || exit 90
"$1" run slm/tiny/prefill slm/tiny/decode slm/tiny/train-step \
    --budget 100ms --out out > /dev/null 2> "$2/../first" &
wait $!
head -c 3000000 /dev/zero > filler 2> /dev/null
rm out/cases/*decode* && head -c 3000000 /dev/zero >> filler 2> /dev/null
"$1" run --resume out > /dev/null 2> "$2/../resumed"
echo "resume: $?"
rm filler
"$1" run --resume out > /dev/null 2>&1
echo "with room: $?"
"#;

#[test]
fn a_full_disk_is_the_machines_fault_and_the_run_goes_on_with_room() {
    let place = Place::new();
    std::fs::create_dir(place.path("disk")).unwrap();
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", SCRIPT])
        .args(["sh".as_ref(), ASSAY.as_ref(), place.path("disk").as_os_str()])
        .env("ASSAY_HOST_PROFILE", place.path("host.toml"))
        .output();
    let output = match output {
        Ok(output) if output.status.code() == Some(0) => output,
        other => {
            println!(
                "skipped: disk full: no file system of our own ({other:?})"
            );
            return;
        }
    };
    let out = String::from_utf8(output.stdout).unwrap();
    let resumed = place.read("resumed");
    assert_eq!(
        out,
        "resume: 3\nwith room: 0\n",
        "{}\n{resumed}",
        place.read("first")
    );
    assert!(resumed.contains("No space left on device"), "{resumed}");
    assert!(!resumed.contains("panicked"), "{resumed}");
}
