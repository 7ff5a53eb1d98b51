//! Code of others under a net: a panic in it becomes a sentence.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs what may panic. What it borrowed must not be used again after a
/// panic: its invariants may be broken.
///
/// # Errors
/// `WHAT panicked: MESSAGE`.
pub fn caught<T>(what: &str, run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| {
        let message = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        format!("{what} panicked: {message}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_sentence_whatever_its_message() {
        assert_eq!(caught("it", || 3), Ok(3));
        let of = |run: fn()| caught("it", run).unwrap_err();
        assert_eq!(of(|| panic!("plainly")), "it panicked: plainly");
        assert_eq!(of(|| panic!("{}", 4)), "it panicked: 4");
        let odd = of(|| std::panic::panic_any(4));
        assert_eq!(odd, "it panicked: no message");
    }
}
