//! Aligned columns on a terminal, and numbers as people read them.

/// Rows of cells as aligned text; the first row is the heading. A column
/// whose cells are all numbers stands to the right.
pub(crate) fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| {
        rows.iter()
            .filter_map(|row| row.get(c))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let numeric = |c: usize| {
        rows.iter().skip(1).filter_map(|row| row.get(c)).all(|cell| {
            cell.is_empty() || cell.starts_with(|ch: char| ch.is_ascii_digit())
        })
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let right: Vec<bool> = (0..columns).map(numeric).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (c, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[c] - cell.chars().count());
            if right[c] {
                line.push_str(&pad);
                line.push_str(cell);
            } else {
                line.push_str(cell);
                line.push_str(&pad);
            }
            line.push_str("  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A number with an SI prefix and a unit, three significant digits.
pub(crate) fn si(value: f64, unit: &str) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value} {unit}");
    }
    let prefixes = ["n", "u", "m", "", "k", "M", "G", "T", "P"];
    let step = (value.abs().log10() / 3.0).floor().clamp(-3.0, 5.0);
    let scaled = value / 1000_f64.powf(step);
    let digits = if scaled.abs() >= 100.0 {
        0
    } else if scaled.abs() >= 10.0 {
        1
    } else {
        2
    };
    let prefix = prefixes[(step + 3.0) as usize];
    format!("{scaled:.digits$} {prefix}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_get_a_prefix_and_three_digits() {
        assert_eq!(si(1.234e-3, "s"), "1.23 ms");
        assert_eq!(si(45.67e9, "B/s"), "45.7 GB/s");
        assert_eq!(si(999.0, "B"), "999 B");
        assert_eq!(si(0.0, "B"), "0 B");
    }

    #[test]
    fn number_columns_stand_to_the_right() {
        let row = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
        let text = aligned(&[row("name", "n"), row("a", "1"), row("b", "10")]);
        assert_eq!(text, "name   n\na      1\nb     10\n");
    }
}
