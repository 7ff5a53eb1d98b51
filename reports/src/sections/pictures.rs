//! Pictures that generative models drew, a strip a method, captions below.

use super::{counted, several};
use crate::document::{Block, Section, Strip, printable};
use crate::findings::RunFindings;

/// Records whose pictures are shown of one model: more seeds look alike.
const SHOWN: usize = 1;

/// The section; `None` without a picture.
pub(super) fn section(runs: &[RunFindings<'_>]) -> Option<Section> {
    let named = several(runs);
    let mut blocks = Vec::new();
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
            let strips = record.pictures.iter().map(|pictures| Strip {
                label: printable(&pictures.label),
                captions: pictures
                    .captions
                    .iter()
                    .map(|caption| printable(caption))
                    .collect(),
                png: pictures.png.clone(),
                base64: pictures.base64(),
            });
            blocks.push(Block::Strips {
                id: format!("pictures-{}", blocks.len() + 1),
                title: printable(&title),
                strips: strips.collect(),
            });
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
    if blocks.is_empty() {
        return None;
    }
    blocks.insert(
        0,
        Block::Paragraph(
            "A row a method, a column a caption; in one case every method \
             starts from the same noise."
                .into(),
        ),
    );
    Some(Section { id: "pictures".into(), title: "Pictures".into(), blocks })
}
