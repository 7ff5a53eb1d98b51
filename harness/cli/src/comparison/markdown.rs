//! A comparison as a comment on a change.

use assay_schema::Comparison;

use super::cells::{HEADINGS, advice, cells, read, summary, told, unread};

/// The counts first, then the table and, folded, the reasons.
pub(crate) fn markdown(comparison: &Comparison) -> String {
    let suite = &comparison.suite;
    let mut text = format!(
        "**{}**: {} -> {}\n\n{}\n\n",
        escaped(&suite.kind),
        escaped(&suite.baseline),
        escaped(&suite.candidate),
        summary(comparison)
    );
    text.push_str(&format!("| {} |\n", HEADINGS.join(" | ")));
    text.push_str(&format!("|{}\n", "---|".repeat(HEADINGS.len())));
    for row in read(comparison) {
        let cells = cells(row, suite.any_time).map(|cell| escaped(&cell));
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    let unread = unread(comparison);
    let explained: Vec<_> = read(comparison)
        .map(|row| (row, told(row)))
        .filter(|(_, told)| !told.is_empty())
        .collect();
    if !explained.is_empty() || !suite.notes.is_empty() || !unread.is_empty() {
        text.push_str("\n<details><summary>Reasons and notes</summary>\n\n");
        for (row, told) in explained {
            text.push_str(&format!(
                "- {} {}: {}\n",
                escaped(&row.case),
                escaped(&row.metric),
                row.verdict.name()
            ));
            for reason in told {
                text.push_str(&format!("  - {}\n", escaped(reason)));
            }
        }
        for note in suite.notes.iter().chain(&unread) {
            text.push_str(&format!("- note: {}\n", escaped(note)));
        }
        text.push_str("\n</details>\n");
    }
    if let Some(advice) = advice(comparison) {
        text.push_str(&format!("\n{advice}\n"));
    }
    text
}

/// As it reads, on one line, whatever it holds: HTML, table bars, emphasis,
/// links, formulas.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.trim_end().chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '~' | '#' | '@'
            | '$' => {
                escaped.push('\\');
                escaped.push(c);
            }
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_shown_and_not_obeyed() {
        assert_eq!(
            escaped("<img src=x>|a_b*c*\n[x](y) größe $x$"),
            "&lt;img src=x&gt;\\|a\\_b\\*c\\* \\[x\\](y) größe \\$x\\$"
        );
    }
}
