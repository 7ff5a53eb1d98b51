//! When and from which sources: what a record says about its making.

use assay_schema::Moment;

/// Milliseconds since 1970.
pub(crate) fn now() -> Moment {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Moment(since.as_millis() as u64)
}

/// Commit of the tree that the command runs in, and whether it differs.
pub(crate) fn sources() -> (String, Option<bool>) {
    let git = |args: &[&str]| {
        let out = std::process::Command::new("git").args(args).output().ok()?;
        out.status
            .success()
            .then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
    };
    match git(&["rev-parse", "HEAD"]) {
        Some(commit) => {
            let changes = git(&["status", "--porcelain"]);
            (commit, changes.map(|text| !text.is_empty()))
        }
        None => ("unknown".to_owned(), None),
    }
}
