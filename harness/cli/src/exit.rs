//! Exit codes, and the one place where an error is printed.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done (a claim that is contradicted is a finding, not an error) |
//! | 1 | a regression, a changed answer, a failed case, verification or check |
//! | 2 | wrong input |
//! | 3 | this machine could not do it |
//! | 4 | `unclear` where `--prove` was asked |
//! | 101 | a bug |

use std::process::ExitCode;

/// How a verb ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// As asked.
    Done,
    /// A case, a verification or a check failed; it was printed.
    Failed,
    /// Unclear, where it was to be proved.
    Unclear,
}

/// An error with its exit code.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The user's input is wrong.
    Input(anyhow::Error),
    /// This machine cannot do it.
    Machine(anyhow::Error),
}

/// What a verb returns.
pub(crate) type Verdict = Result<Ending, Fault>;

/// Marks an error as the machine's.
pub(crate) fn machine(error: impl Into<anyhow::Error>) -> Fault {
    Fault::Machine(error.into())
}

/// Errors are the user's input unless marked: a name, a file, a value. A full
/// disk is the machine's.
impl<E: Into<anyhow::Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        let error = error.into();
        if is_disk_full(&error) {
            Self::Machine(error)
        } else {
            Self::Input(error)
        }
    }
}

fn is_disk_full(error: &anyhow::Error) -> bool {
    use std::io::{Error, ErrorKind};
    error.chain().any(|cause| {
        let store = cause.downcast_ref::<assay_store::StoreError>();
        let io = cause.downcast_ref::<Error>().map(Error::kind);
        store.is_some_and(assay_store::StoreError::is_disk_full)
            || matches!(
                io,
                Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
            )
    })
}

/// Prints the error, if any, and gives the code.
pub(crate) fn finish(done: Verdict) -> ExitCode {
    let (code, error) = match done {
        Ok(Ending::Done) => return ExitCode::SUCCESS,
        Ok(Ending::Failed) => return ExitCode::from(1),
        Ok(Ending::Unclear) => return ExitCode::from(4),
        Err(Fault::Input(error)) => (2, error),
        Err(Fault::Machine(error)) => (3, error),
    };
    eprintln!("assay: {error:#}");
    ExitCode::from(code)
}

/// Prints to standard output. Whoever closed the pipe (`assay ... | head`)
/// has read enough: the verb goes on, and its exit code stays what it is. Any
/// other failure, such as a full disk, ends the program with 3.
pub(crate) fn print(text: &str) {
    use std::io::{ErrorKind, Write};
    let mut out = std::io::stdout().lock();
    let wrote = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match wrote {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        Err(error) => {
            eprintln!("assay: standard output: {error}");
            std::process::exit(3);
        }
    }
}
