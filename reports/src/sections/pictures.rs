//! Pictures: those that generative models drew, a strip a method, captions
//! below; and those that every method was shown, once, with what each said of
//! them.

use assay_schema::Pictures;

use super::{counted, several};
use crate::document::{Block, Cell, Column, Section, Strip, Table, printable};
use crate::findings::RunFindings;

/// Records whose pictures are shown of one model: more seeds look alike.
const SHOWN: usize = 1;

/// The section; `None` without a picture.
pub(super) fn section(runs: &[RunFindings<'_>]) -> Option<Section> {
    let named = several(runs);
    let mut blocks = Vec::new();
    let mut cases = 0;
    for run in runs {
        let drawn: Vec<_> = run
            .records
            .iter()
            .filter(|record| record.is_sound() && !record.pictures.is_empty())
            .collect();
        let mut met: Vec<String> = Vec::new();
        for record in &drawn {
            let path = record.case.path();
            if met.iter().filter(|known| **known == path).count() >= SHOWN {
                continue;
            }
            met.push(path);
            let mut title = record.case.to_string();
            if named {
                title.push_str(&format!(", on {}", run.machine));
            }
            cases += 1;
            let id = format!("pictures-{cases}");
            blocks.extend(of_case(id, &printable(&title), &record.pictures));
        }
        let hidden = drawn.len().saturating_sub(met.len());
        if hidden > 0 {
            blocks.push(Block::Paragraph(format!(
                "The pictures of {} with another seed or setting are in the \
                 run's records.",
                counted(hidden, "more case")
            )));
        }
    }
    (!blocks.is_empty()).then(|| Section {
        id: "pictures".into(),
        title: "Pictures".into(),
        blocks,
    })
}

/// The pictures of one case.
fn of_case(id: String, title: &str, all: &[Pictures]) -> Vec<Block> {
    let title = title.to_owned();
    match all {
        [first, second, ..] if all.iter().all(|one| one.png == first.png) => {
            let said = said(&id, &title, all);
            let count = first.captions.len().max(second.captions.len());
            let strip = Strip {
                label: "Shown to all".into(),
                captions: (1..=count).map(|place| place.to_string()).collect(),
                png: first.png.clone(),
                base64: first.base64(),
            };
            vec![
                Block::Paragraph(
                    "Every method was shown the same pictures: a row of the \
                     table is a method, a column what it said of one."
                        .into(),
                ),
                Block::Strips { id, title, strips: vec![strip] },
                Block::Table(said),
            ]
        }
        _ => vec![
            Block::Paragraph("A row a method, a column a caption.".into()),
            Block::Strips {
                id,
                title,
                strips: all.iter().map(strip).collect(),
            },
        ],
    }
}

fn strip(pictures: &Pictures) -> Strip {
    let captions = pictures.captions.iter();
    Strip {
        label: printable(&pictures.label),
        captions: captions.map(|caption| printable(caption)).collect(),
        png: pictures.png.clone(),
        base64: pictures.base64(),
    }
}

/// What each method said of pictures that all of them saw.
fn said(id: &str, title: &str, all: &[Pictures]) -> Table {
    let count = all.iter().map(|one| one.captions.len()).max();
    let count = count.unwrap_or_default();
    let mut columns = vec![Column::words("Method", "method")];
    columns.extend((1..=count).map(|place| {
        Column::words(&place.to_string(), &format!("picture_{place}"))
    }));
    let caption = format!("What each method said of the pictures: {title}");
    let mut table = Table::new(format!("{id}-said"), caption, columns);
    table.rows.extend(all.iter().map(|one| {
        let mut row = vec![Cell::text(&one.label)];
        row.extend((0..count).map(|place| match one.captions.get(place) {
            Some(caption) => Cell::text(caption),
            None => Cell::none(),
        }));
        row
    }));
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pictures(label: &str, png: &[u8]) -> Pictures {
        Pictures {
            label: label.to_owned(),
            captions: vec![format!("{label} | 1"), format!("{label} | 2")],
            png: png.to_vec(),
        }
    }

    fn strips(blocks: &[Block]) -> usize {
        let count = |block: &Block| match block {
            Block::Strips { strips, .. } => strips.len(),
            _ => 0,
        };
        blocks.iter().map(count).sum()
    }

    #[test]
    fn what_all_were_shown_is_shown_once_with_what_each_said() {
        let all = [pictures("a", b"same"), pictures("b", b"same")];
        let blocks = of_case("p".into(), "case", &all);
        assert_eq!(strips(&blocks), 1);
        let Some(Block::Table(table)) = blocks.last() else { panic!() };
        assert_eq!((table.columns.len(), table.rows.len()), (3, 2));
        assert_eq!(table.rows[1][2], Cell::text("b | 2"));
    }

    #[test]
    fn what_methods_drew_is_a_strip_each() {
        let all = [pictures("a", b"one"), pictures("b", b"two")];
        assert_eq!(strips(&of_case("p".into(), "case", &all)), 2);
        assert_eq!(strips(&of_case("p".into(), "case", &all[..1])), 1);
    }
}
