//! LaTeX: the tables of a report with `booktabs`, to `\input` one by one or
//! all together. Bulk tables are left to CSV.

use assay_schema::Provenance;

use crate::document::{Cell, Document, Table, percent};

/// All tables that fit a page, with the packages they need in a comment.
pub(super) fn text(document: &Document) -> String {
    let mut out = format!(
        "% {}\n% Needs \\usepackage{{booktabs,amssymb}}.\n",
        escaped(&document.title)
    );
    for block in super::blocks(document) {
        if let crate::document::Block::Table(table) = block
            && !table.bulk
            && !table.aside
        {
            out.push_str(&self::table(table));
        }
    }
    out
}

fn table(table: &Table) -> String {
    let alignment: String = table
        .columns
        .iter()
        .map(|column| if column.is_numeric() { 'r' } else { 'l' })
        .collect();
    let header: Vec<String> = table
        .columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let marks: String =
                table.provenances(index).into_iter().map(mark).collect();
            if marks.is_empty() {
                escaped(&column.title)
            } else {
                format!("{} {marks}", escaped(&column.title))
            }
        })
        .collect();
    let mut out = format!(
        "\n\\begin{{table}}\n\\centering\n\\caption{{{}. {}}}\n\
         \\label{{tab:{}}}\n\\begin{{tabular}}{{{alignment}}}\n\\toprule\n\
         {} \\\\\n\\midrule\n",
        escaped(&table.caption),
        legend(table),
        table.id,
        header.join(" & "),
    );
    for row in &table.rows {
        let cells: Vec<String> = row
            .iter()
            .enumerate()
            .map(|(index, cell)| {
                self::cell(
                    cell,
                    table.provenances(index).len() > 1,
                    table.columns[index].said_unit,
                )
            })
            .collect();
        out.push_str(&format!("{} \\\\\n", cells.join(" & ")));
    }
    out.push_str("\\bottomrule\n\\end{tabular}\n\\end{table}\n");
    out
}

/// What the marks of a table mean.
fn legend(table: &Table) -> String {
    let mut met: Vec<Provenance> = (0..table.columns.len())
        .flat_map(|index| table.provenances(index))
        .collect();
    met.sort();
    met.dedup();
    met.into_iter()
        .map(|provenance| format!("{} {provenance}.", mark(provenance)))
        .collect::<Vec<_>>()
        .join(" ")
}

fn mark(provenance: Provenance) -> &'static str {
    match provenance {
        Provenance::Measured => "$\\bullet$",
        Provenance::Predicted => "$\\diamond$",
        Provenance::Published => "$\\blacktriangle$",
    }
}

fn cell(cell: &Cell, mixed: bool, said_unit: Option<&str>) -> String {
    match cell {
        Cell::Text(text) | Cell::Status { word: text, .. } => escaped(text),
        Cell::Name(text) => format!("\\texttt{{{}}}", escaped(text)),
        Cell::Quantity(quantity) => {
            let text = escaped(&quantity.text(said_unit));
            if mixed {
                format!("{} {text}", mark(quantity.provenance))
            } else {
                text
            }
        }
        Cell::Count(count) => count.to_string(),
        Cell::Change(fraction) => escaped(&percent(*fraction)),
        Cell::Gap(_) => "--".into(),
    }
}

/// Text with everything escaped that LaTeX would read.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => {
                out.push('\\');
                out.push(c);
            }
            '\\' => out.push_str("\\textbackslash{}"),
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            '<' => out.push_str("\\textless{}"),
            '>' => out.push_str("\\textgreater{}"),
            '≤' => out.push_str("\\ensuremath{\\leq}"),
            'µ' => out.push_str("\\textmu{}"),
            '·' => out.push_str("\\textperiodcentered{}"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_latex_reads_is_escaped() {
        assert_eq!(
            escaped(r"q4_0 5 % \input{x} #1 ~^"),
            "q4\\_0 5 \\% \\textbackslash{}input\\{x\\} \\#1 \
             \\textasciitilde{}\\textasciicircum{}"
        );
    }
}
