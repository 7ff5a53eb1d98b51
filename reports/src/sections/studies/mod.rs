//! Training studies: one section an experiment, with its curves, its
//! confusions and a table of its settings.
//!
//! Everything is measured, a mean over seeds with the smallest and the
//! largest; published numbers stand in a table of their own beside it.

mod accuracy;
mod arms;
mod calls;
mod confusion;
mod dynamics;
mod finalists;
mod fronts;
mod methods;
mod panels;
mod tables;

use super::{counted, file_word, several, unique};
use crate::document::{Block, Section, printable};
use crate::findings::{RunFindings, Study, studies};

/// The experiment whose confusions are drawn, if the plan has it.
const CONFUSED: &str = "architecture";

/// The sections; none without a study.
pub(super) fn sections(runs: &[RunFindings<'_>]) -> Vec<Section> {
    let studies = studies(runs);
    let named = several(runs);
    let mut ids: Vec<String> = Vec::new();
    let mut sections = Vec::new();
    for study in &studies {
        let id = unique(&format!("study-{}", word(study)), &ids);
        ids.push(id.clone());
        let confused = is_confused(study, &studies);
        sections.push(section(study, id, named, confused));
    }
    sections
}

fn word(study: &Study<'_>) -> String {
    match study.experiment.as_str() {
        "" => "other".into(),
        name => file_word(name),
    }
}

/// Whether the study is the one of its machine whose confusions are drawn:
/// the architectures, else the first.
fn is_confused(study: &Study<'_>, all: &[Study<'_>]) -> bool {
    let mut here = all.iter().filter(|one| one.machine == study.machine);
    let chosen = here
        .clone()
        .find(|one| one.experiment == CONFUSED)
        .or_else(|| here.next());
    chosen.is_some_and(|one| one.experiment == study.experiment)
}

fn section(
    study: &Study<'_>,
    id: String,
    named: bool,
    confused: bool,
) -> Section {
    let mut title = match study.experiment.as_str() {
        "" => "Study: other cases".to_owned(),
        name => format!("Study: {}", printable(name)),
    };
    if named {
        title.push_str(&format!(", on {}", printable(study.machine)));
    }
    let mut blocks = vec![Block::Paragraph(opening(study))];
    let mut figures = Vec::new();
    figures.extend(accuracy::against_snr(study, &id));
    figures.extend(accuracy::against_axes(study, &id));
    figures.extend(accuracy::against_time(study, &id));
    if confused {
        figures.extend(confusion::figures(study, &id));
    }
    let methods = methods::table(study, &id);
    if methods.is_some() {
        figures.extend(methods::against_time(study, &id));
        figures.extend(methods::published(study, &id));
    }
    figures.extend(fronts::figures(study, &id));
    figures.extend(calls::figure(study, &id));
    figures.extend(dynamics::figures(study, &id));
    blocks.extend(fronts::remarks(study).map(Block::Paragraph));
    blocks.extend(figures.into_iter().map(Block::Figure));
    blocks.extend(methods.map(Block::Table));
    blocks.extend(fronts::table(study, &id).map(Block::Table));
    blocks.extend(finalists::tables(study, &id).into_iter().map(Block::Table));
    blocks.extend(calls::table(study, &id).map(Block::Table));
    blocks.extend(arms::tables(study, &id).into_iter().map(Block::Table));
    if tables::has_costs(study) {
        blocks.push(Block::Table(tables::settings(study, &id)));
    }
    blocks.extend(tables::beside_published(study, &id).map(Block::Table));
    Section { id, title, blocks }
}

/// What was trained, and how often.
fn opening(study: &Study<'_>) -> String {
    let planned: usize = study.settings.iter().map(|one| one.planned).sum();
    let sound: usize = study.settings.iter().map(|one| one.records.len()).sum();
    let mut text = format!(
        "{}, {} planned, {sound} finished with a right answer.",
        counted(study.settings.len(), "setting"),
        counted(planned, "training run"),
    );
    let shared = study.shared();
    if !shared.is_empty() {
        text.push_str(&format!(" All of them: {shared}."));
    }
    if !tables::has(study, accuracy::ACCURACY) {
        return text;
    }
    text.push_str(
        " Accuracy is the share of the test set that was classified rightly, \
         by the epoch that was best on the validation set.",
    );
    if tables::has_authors(study) {
        text.push_str(
            " The authors' protocol takes the epoch that was best on the \
             test set itself.",
        );
    }
    text
}
