//! Markdown, as GitHub shows it: the same sections and tables; bulk tables
//! are left to CSV.

use assay_schema::Provenance;

use crate::Format;
use crate::document::{Block, Cell, Document, Table, percent};

/// The report as Markdown. Figures and CSV files are linked when they are
/// written too.
pub(super) fn text(document: &Document, formats: &[Format]) -> String {
    let mut out = format!(
        "# {}\n\n{}\n",
        escaped(&document.title),
        escaped(&document.subtitle)
    );
    for (index, section) in document.sections.iter().enumerate() {
        if index > 0 {
            out.push_str(&format!("\n## {}\n", escaped(&section.title)));
        }
        for block in &section.blocks {
            out.push('\n');
            self::block(&mut out, block, formats);
        }
    }
    out
}

fn block(out: &mut String, block: &Block, formats: &[Format]) {
    match block {
        Block::Paragraph(text) => {
            out.push_str(&escaped(text));
            out.push('\n');
        }
        Block::Headlines(sentences) => {
            for sentence in sentences {
                out.push_str(&format!("- {}\n", escaped(sentence)));
            }
        }
        Block::Warnings(warnings) => {
            for warning in warnings {
                out.push_str(&format!("> Warning: {}\n>\n", escaped(warning)));
            }
        }
        Block::Facts { title, items } => {
            out.push_str(&format!("**{}**\n\n", escaped(title)));
            for (name, value) in items {
                out.push_str(&format!("- {name}: {}\n", escaped(value)));
            }
        }
        Block::Figure(figure) => {
            if formats.contains(&Format::Svg) {
                out.push_str(&format!(
                    "![{}](figures/{}.svg)\n\n",
                    escaped(&figure.title),
                    figure.id
                ));
            } else {
                out.push_str(&format!("**{}**\n\n", escaped(&figure.title)));
            }
            out.push_str(&format!("{}\n", escaped(&figure.caption)));
        }
        Block::Table(table) if table.bulk || table.aside => {
            let rows = table.rows.len();
            let place = if formats.contains(&Format::Csv) {
                format!(" in [data/{0}.csv](data/{0}.csv)", table.id)
            } else {
                String::new()
            };
            out.push_str(&format!(
                "{}: {rows} rows{place}.\n",
                escaped(&table.caption)
            ));
        }
        Block::Table(table) => self::table(out, table),
        Block::Strips { id, title, strips } => {
            out.push_str(&format!("**{}**\n\n", escaped(title)));
            for (index, strip) in strips.iter().enumerate() {
                let label = escaped(&strip.label);
                if formats.contains(&Format::Svg) {
                    let file = super::strip_file(id, index);
                    out.push_str(&format!("{label}\n\n![{label}]({file})\n\n"));
                } else {
                    out.push_str(&format!("- {label}\n"));
                }
            }
            if let Some(strip) = strips.first() {
                let captions: Vec<String> =
                    strip.captions.iter().map(|text| escaped(text)).collect();
                out.push_str(&format!(
                    "\nFrom left: {}.\n",
                    captions.join("; ")
                ));
            }
        }
    }
}

fn table(out: &mut String, table: &Table) {
    out.push_str(&format!("**{}**\n\n", escaped(&table.caption)));
    let mut header = String::from("|");
    let mut rule = String::from("|");
    for (index, column) in table.columns.iter().enumerate() {
        let provenances: Vec<String> = table
            .provenances(index)
            .into_iter()
            .map(|p| format!("{} {p}", mark(p)))
            .collect();
        header.push_str(&format!(" {}", escaped(&column.title)));
        if !provenances.is_empty() {
            header.push_str(&format!(" ({})", provenances.join(", ")));
        }
        header.push_str(" |");
        rule.push_str(if column.is_numeric() { " ---: |" } else { " --- |" });
    }
    out.push_str(&format!("{header}\n{rule}\n"));
    for row in &table.rows {
        out.push('|');
        for (index, cell) in row.iter().enumerate() {
            let mixed = table.provenances(index).len() > 1;
            out.push_str(&format!(
                " {} |",
                self::cell(cell, mixed, table.columns[index].said_unit)
            ));
        }
        out.push('\n');
    }
}

fn cell(cell: &Cell, mixed: bool, said_unit: Option<&str>) -> String {
    match cell {
        Cell::Text(text) => escaped(text),
        Cell::Name(text) => code(text),
        Cell::Quantity(quantity) => {
            let text = escaped(&quantity.text(said_unit));
            if mixed {
                format!("{} {text}", mark(quantity.provenance))
            } else {
                text
            }
        }
        Cell::Count(count) => count.to_string(),
        Cell::Change(fraction) => percent(*fraction),
        Cell::Status { word, .. } => format!("**{}**", escaped(word)),
        Cell::Gap(why) if why.is_empty() => "-".into(),
        Cell::Gap(why) => format!("- ({})", escaped(why)),
    }
}

/// The mark of a provenance in text.
fn mark(provenance: Provenance) -> char {
    match provenance {
        Provenance::Measured => '●',
        Provenance::Predicted => '◇',
        Provenance::Published => '▲',
    }
}

/// Text with everything escaped that Markdown or HTML would read.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// A name in code style; one that would break out of it is plain text.
fn code(text: &str) -> String {
    if text.contains(['`', '|', '\\']) || text.is_empty() {
        escaped(text)
    } else {
        format!("`{text}`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_break_out_of_its_cell() {
        assert_eq!(
            code("slm/tiny/decode batch=1"),
            "`slm/tiny/decode batch=1`"
        );
        assert_eq!(code("a|b`<i>"), "a\\|b\\`&lt;i&gt;");
    }
}
