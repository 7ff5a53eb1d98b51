//! The nearest valid name: what every "unknown ..." message ends with.

/// The candidate nearest to `word`, or `None` when there are no candidates.
///
/// Nearness is the Damerau-Levenshtein distance; a candidate that contains the
/// word comes first, then one that it contains, so that `a100` finds
/// `nvidia-a100-sxm4-80gb`. Ties go to the first.
pub fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = word.to_lowercase();
    candidates.into_iter().min_by_key(|candidate| {
        let lower = candidate.to_lowercase();
        let rank = if word.len() > 2 && lower.contains(&word) {
            0
        } else if lower.len() > 2 && word.contains(&lower) {
            1
        } else {
            2
        };
        (rank, strsim::damerau_levenshtein(&word, &lower))
    })
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_part_of_a_name_finds_the_whole() {
        let names = ["nvidia-t4", "nvidia-a100-sxm4-80gb", "a1"];
        assert_eq!(nearest("A100", names), Some("nvidia-a100-sxm4-80gb"));
    }

    #[test]
    fn a_slip_of_the_finger_finds_its_name() {
        assert_eq!(nearest("decod", ["prefill", "decode"]), Some("decode"));
        assert_eq!(nearest("x", []), None);
    }
}
