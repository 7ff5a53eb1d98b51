//! The page: one file, no network, light and dark, readable on a phone and
//! on paper. Everything from outside is escaped by `maud`.
//!
//! The script only sorts and filters; without it every table is there.

use assay_schema::Provenance;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::svg::{self, Width};
use crate::ReportError;
use crate::document::{
    Block, Cell, Document, Figure, Section, Strip, Table, Tone, percent,
};

const STYLE: &str = include_str!("page.css");
/// Rows of a table on the page; a browser is slow with more.
const MOST_ROWS: usize = 3000;

/// Letters of a text that stays on its line.
const UNBROKEN: usize = 24;
/// Letters of a text that wants a wide column.
const LONG: usize = 90;

const SCRIPT: &str = include_str!("tables.js");

/// The page as text.
pub(super) fn page(document: &Document) -> Result<String, ReportError> {
    let sections = document
        .sections
        .iter()
        .enumerate()
        .map(|(index, section)| self::section(section, index == 0))
        .collect::<Result<Vec<Markup>, ReportError>>()?;
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport"
                    content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (document.title) " · Assay" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    p.brand { "Assay report" }
                    h1 { (document.title) }
                    p.subtitle { (document.subtitle) }
                }
                @if document.sections.len() > 2 {
                    nav aria-label="Sections" {
                        @for section in document.sections.iter().skip(1) {
                            a href={ "#" (section.id) } { (section.title) }
                        }
                    }
                }
                main { @for section in sections { (section) } }
                footer {
                    (provenance_chip(Provenance::Measured))
                    (provenance_chip(Provenance::Predicted))
                    (provenance_chip(Provenance::Published))
                    span { "Every number carries one of these." }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    Ok(markup.into_string())
}

fn section(section: &Section, first: bool) -> Result<Markup, ReportError> {
    let mut blocks = Vec::new();
    for (index, block) in section.blocks.iter().enumerate() {
        let facts = matches!(block, Block::Facts { .. });
        let after_facts = index > 0
            && matches!(section.blocks[index - 1], Block::Facts { .. });
        // Machines stand side by side.
        if facts && !after_facts {
            let machines = section.blocks[index..]
                .iter()
                .take_while(|block| matches!(block, Block::Facts { .. }));
            blocks.push(html! {
                div.machines {
                    @for machine in machines { (plain_block(machine)) }
                }
            });
        } else if !facts {
            blocks.push(self::block(block)?);
        }
    }
    let machines = section
        .blocks
        .iter()
        .filter(|block| matches!(block, Block::Facts { .. }))
        .count();
    // One machine stands beside what is said of it; several stand below.
    Ok(html! {
        section.beside[machines == 1] id=(section.id) {
            @if !first { h2 { (section.title) } }
            @for block in blocks { (block) }
        }
    })
}

fn block(block: &Block) -> Result<Markup, ReportError> {
    match block {
        Block::Figure(figure) => self::figure(figure),
        other => Ok(plain_block(other)),
    }
}

fn plain_block(block: &Block) -> Markup {
    match block {
        Block::Paragraph(text) => html! { p { (text) } },
        Block::Headlines(sentences) => html! {
            ul.headlines { @for sentence in sentences { li { (unbroken(sentence)) } } }
        },
        Block::Warnings(warnings) => html! {
            ul.warnings role="note" {
                @for warning in warnings { li { (unbroken(warning)) } }
            }
        },
        Block::Facts { title, items } => html! {
            div.facts {
                h3 { (title) }
                dl {
                    @for (name, value) in items {
                        dt { (name) }
                        dd { (value) }
                    }
                }
            }
        },
        Block::Table(table) if table.aside => html! {
            p {
                (table.caption) ": " (table.rows.len()) " rows in the CSV file "
                code { "data/" (table.id) ".csv" } "."
            }
        },
        Block::Table(table) => self::table(table),
        Block::Strips { id, title, strips } => strips_of(id, title, strips),
        // Drawn by `figure`, which can fail.
        Block::Figure(_) => html! {},
    }
}

/// Strips under one another, and their captions under each column where all
/// strips share them.
fn strips_of(id: &str, title: &str, strips: &[Strip]) -> Markup {
    let captions = strips.first().map(|strip| strip.captions.as_slice());
    let captions = captions.unwrap_or_default();
    let shared = strips.iter().all(|strip| strip.captions == captions);
    let names = |captions: &[String]| {
        let columns =
            format!("grid-template-columns: repeat({}, 1fr)", captions.len());
        html! {
            div.captions style=(columns) {
                @for caption in captions { span { (caption) } }
            }
        }
    };
    html! {
        figure.strips id={ "figure-" (id) } {
            h3 { (title) }
            @for strip in strips {
                div.strip {
                    p { (strip.label) }
                    img src={ "data:image/png;base64," (strip.base64) }
                        alt={ (strip.label) ": " (strip.captions.join("; ")) };
                    @if !shared { (names(&strip.captions)) }
                }
            }
            @if shared { div.strip { p {} (names(captions)) } }
        }
    }
}

/// A percent sign stays on the line of its number.
fn unbroken(text: &str) -> String {
    text.replace(" %", "\u{a0}%")
}

fn figure(figure: &Figure) -> Result<Markup, ReportError> {
    let draw = |width| -> Result<Markup, ReportError> {
        let text = svg::draw(figure, width)?;
        Ok(PreEscaped(svg::themed(&text, &figure.title)))
    };
    let (wide, narrow) = (draw(Width::Wide)?, draw(Width::Narrow)?);
    Ok(html! {
        figure id={ "figure-" (figure.id) } {
            h3 { (figure.title) }
            div.wide { (wide) }
            div.narrow { (narrow) }
            figcaption { (figure.caption) }
        }
    })
}

fn table(table: &Table) -> Markup {
    let provenances: Vec<Vec<Provenance>> =
        (0..table.columns.len()).map(|i| table.provenances(i)).collect();
    let mut all = provenances.concat();
    all.sort();
    all.dedup();
    html! {
        div.table id={ "table-" (table.id) } data-bulk[table.bulk] {
            h3 { (table.caption) }
            @if !all.is_empty() {
                p.kinds { @for kind in &all { (provenance_chip(*kind)) } }
            }
            div.scroll tabindex="0" role="region" aria-label=(table.caption) {
                table {
                    thead {
                        tr {
                            @for (column, kinds) in
                                table.columns.iter().zip(&provenances)
                            {
                                th.number[column.is_numeric()] scope="col" {
                                    (column.title)
                                    // One for all is said above.
                                    @if all.len() > 1 {
                                        @for kind in kinds {
                                            " " (glyph(*kind))
                                        }
                                    }
                                }
                            }
                        }
                    }
                    tbody {
                        @for row in table.rows.iter().take(MOST_ROWS) {
                            tr {
                                @for (index, cell) in row.iter().enumerate() {
                                    (self::cell(
                                        cell,
                                        table.columns[index].is_numeric(),
                                        provenances[index].len() > 1,
                                        table.columns[index].said_unit,
                                    ))
                                }
                            }
                        }
                    }
                }
            }
            @if table.rows.len() > MOST_ROWS {
                p {
                    "The first " (MOST_ROWS) " of " (table.rows.len())
                    " rows; all of them are in the CSV file "
                    code { "data/" (table.id) ".csv" } "."
                }
            }
        }
    }
}

fn cell(
    cell: &Cell,
    numeric: bool,
    mixed: bool,
    said_unit: Option<&str>,
) -> Markup {
    match cell {
        Cell::Text(text) => {
            let letters = text.chars().count();
            let (short, long) = (letters <= UNBROKEN, letters >= LONG);
            html! { td.text.short[short].long[long] { (text) } }
        }
        Cell::Name(text) => html! { td.name { code { (text) } } },
        Cell::Quantity(quantity) => {
            let title = match (quantity.interval, quantity.n) {
                (Some((_, _, confidence)), n) => format!(
                    "{}, {}{}",
                    quantity.provenance,
                    match confidence {
                        Some(share) => {
                            format!("{:.0} % interval", share * 100.0)
                        }
                        None => "mean, smallest to largest".into(),
                    },
                    n.map(|n| format!(", n = {n}")).unwrap_or_default()
                ),
                (None, Some(n)) => format!("{}, n = {n}", quantity.provenance),
                (None, None) => quantity.provenance.to_string(),
            };
            html! {
                td.number data-sort=(quantity.value) title=(title) {
                    @if mixed { (glyph(quantity.provenance)) " " }
                    (quantity.value_text(said_unit))
                    @if let Some(interval) = quantity.interval_text() {
                        " " span.interval { (interval) }
                    }
                }
            }
        }
        Cell::Count(count) => html! {
            td.number data-sort=(count) { (count) }
        },
        Cell::Change(fraction) => {
            let far = fraction.abs() > 0.2;
            html! {
                td.number.far[far] data-sort=(fraction) {
                    (percent(*fraction))
                }
            }
        }
        Cell::Status { word, tone } => {
            let class = match tone {
                Tone::Good => "good",
                Tone::Bad => "bad",
                Tone::Unsure => "unsure",
                Tone::Neutral => "neutral",
            };
            html! { td.status.number[numeric] { span class=(class) { (word) } } }
        }
        Cell::Gap(why) if why.is_empty() => html! {
            td.gap.number[numeric] { "–" }
        },
        Cell::Gap(why) => html! { td.gap.number[numeric] { (why) } },
    }
}

/// Shape, colour and word.
fn provenance_chip(provenance: Provenance) -> Markup {
    html! { span.chip { (glyph(provenance)) (provenance.to_string()) } }
}

/// The same shapes as in the figures.
fn glyph(provenance: Provenance) -> Markup {
    let (class, shape) = match provenance {
        Provenance::Measured => {
            ("measured", html! { circle cx="6" cy="6" r="4.5" {} })
        }
        Provenance::Predicted => {
            ("predicted", html! { path d="M6 1 11 6 6 11 1 6Z" {} })
        }
        Provenance::Published => {
            ("published", html! { path d="M6 1 11 11H1Z" {} })
        }
    };
    html! {
        svg class={ "glyph " (class) } viewBox="0 0 12 12" role="img"
            aria-label=(provenance.to_string()) { (shape) }
    }
}
