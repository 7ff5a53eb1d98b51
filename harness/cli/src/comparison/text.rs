//! A comparison on a terminal.

use assay_schema::Comparison;

use super::cells::{HEADINGS, advice, cells, read, summary, told, unread};
use crate::table::aligned;

/// The table, worst first; reasons; notes; a line of counts.
pub(crate) fn text(comparison: &Comparison) -> String {
    let suite = &comparison.suite;
    let mut text = format!(
        "{}\nbaseline   {}\ncandidate  {}\n\n",
        plain(&suite.kind),
        plain(&suite.baseline),
        plain(&suite.candidate)
    );
    let mut table = vec![HEADINGS.map(str::to_owned).to_vec()];
    table.extend(read(comparison).map(|row| {
        cells(row, suite.any_time).iter().map(|cell| plain(cell)).collect()
    }));
    text.push_str(&aligned(&table));
    for row in read(comparison) {
        let told = told(row);
        if told.is_empty() {
            continue;
        }
        text.push_str(&format!(
            "\n{} {}: {}\n",
            plain(&row.case),
            plain(&row.metric),
            row.verdict.name()
        ));
        for reason in told {
            text.push_str(&format!("  {}\n", plain(reason)));
        }
    }
    let unread = unread(comparison);
    if !suite.notes.is_empty() || !unread.is_empty() {
        text.push('\n');
    }
    for note in suite.notes.iter().chain(&unread) {
        text.push_str(&format!("note: {}\n", plain(note)));
    }
    text.push_str(&format!("\n{}\n", summary(comparison)));
    if let Some(advice) = advice(comparison) {
        text.push_str(&format!("{advice}\n"));
    }
    text
}

/// Without what would move the cursor or break a line: names come from
/// others.
fn plain(text: &str) -> String {
    text.trim_end()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_move_the_cursor() {
        assert_eq!(plain("größe\u{1b}[2J\n"), "größe [2J");
    }
}
