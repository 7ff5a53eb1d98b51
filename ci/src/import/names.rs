//! Names of other tools as names of cases, and back.
//!
//! A case reads `workload/model/phase axis=value`, so a name must be without
//! `/` and white space, and may not be empty. Those characters, controls and
//! `%` itself become `%` and the two hexadecimal digits of each byte in UTF-8,
//! as in a URL (RFC 3986, section 2.1); the empty name becomes `%` alone.
//! Everything else stays: letters of any script, `<b>`, `..`. A case's file is
//! named by `Case::file_stem`, which lets none of these through.

/// A name that can stand in a case.
pub(super) fn escape(name: &str) -> String {
    if name.is_empty() {
        return "%".to_owned();
    }
    let mut escaped = String::with_capacity(name.len());
    for character in name.chars() {
        let kept = !matches!(character, '%' | '/')
            && !character.is_whitespace()
            && !character.is_control();
        if kept {
            escaped.push(character);
            continue;
        }
        let mut buffer = [0; 4];
        for byte in character.encode_utf8(&mut buffer).bytes() {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

/// The name that was escaped.
#[cfg(test)]
pub(super) fn unescape(escaped: &str) -> Option<String> {
    if escaped == "%" {
        return Some(String::new());
    }
    let mut bytes = Vec::new();
    let mut rest = escaped;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        bytes.push(u8::from_str_radix(after.get(..2)?, 16).ok()?);
        rest = &after[2..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use assay_schema::Case;
    use proptest::prelude::*;

    use super::*;

    /// Texts with much of what hurts.
    fn name() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            "[ /%.=<>a\\u{a0}\\u{2003}\\u{85}\\n\\u{0}ß数]{0,8}",
        ]
    }

    proptest! {
        #[test]
        fn any_three_names_are_a_case_that_reads_back(
            group in name(),
            function in prop::option::of(name()),
            value in prop::option::of(name()),
        ) {
            let phase = function.as_deref().map(escape);
            let mut case =
                Case::new("criterion", escape(&group), phase.as_deref());
            if let Some(value) = &value {
                case = case.with("value", escape(value));
            }
            let read: Case = case.to_string().parse().unwrap();
            prop_assert_eq!(&read, &case);
            prop_assert_eq!(unescape(&read.model), Some(group));
            prop_assert_eq!(
                read.phase.as_deref().map(unescape),
                function.map(Some)
            );
            prop_assert_eq!(
                read.axis("value").map(unescape),
                value.map(Some)
            );
            prop_assert!(!read.file_stem().contains('/'));
        }
    }

    #[test]
    fn only_what_a_case_cannot_hold_is_escaped() {
        assert_eq!(
            escape("sums <b>of</b> größe/2"),
            "sums%20<b>of<%2Fb>%20größe%2F2"
        );
        assert_eq!(escape("50%\u{2003}x"), "50%25%E2%80%83x");
        assert_eq!(escape(".."), "..");
        assert_eq!(escape(""), "%");
    }
}
