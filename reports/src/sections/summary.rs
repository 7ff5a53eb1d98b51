//! The first screen: what was run, on what, how sure.

use std::collections::BTreeMap;

use assay_schema::RunHeader;

use super::counted;
use crate::calendar::utc;
use crate::document::{Block, Section, printable, show_bare};
use crate::findings::{RunFindings, headlines};

/// The page's title.
pub(super) fn title(runs: &[RunFindings<'_>]) -> String {
    match runs {
        [run] => format!(
            "{} on {}",
            printable(&run.data.header.plan.name),
            printable(&run.machine)
        ),
        _ => format!("{} runs side by side", runs.len()),
    }
}

/// One line under it.
pub(super) fn subtitle(runs: &[RunFindings<'_>]) -> String {
    match runs {
        [run] => {
            let command = run.data.header.command.join(" ");
            format!(
                "{} · {}",
                utc(run.data.header.started),
                printable(&command)
            )
        }
        _ => runs
            .iter()
            .map(|run| printable(&run.machine))
            .collect::<Vec<_>>()
            .join(" · "),
    }
}

/// The first section.
pub(super) fn section(runs: &[RunFindings<'_>]) -> Section {
    let mut blocks = Vec::new();
    let sentences = headlines(runs);
    if !sentences.is_empty() {
        blocks.push(Block::Headlines(sentences));
    }
    let warnings: Vec<String> = runs.iter().flat_map(warnings).collect();
    if !warnings.is_empty() {
        blocks.push(Block::Warnings(warnings));
    }
    blocks.extend(runs.iter().map(facts));
    Section { id: "summary".into(), title: "Summary".into(), blocks }
}

fn facts(run: &RunFindings<'_>) -> Block {
    let header = &run.data.header;
    let mut items = vec![
        ("Cases", cases(run)),
        ("Answers", answers(run)),
        ("Predictions", predictions(run)),
        ("Machine", machine(header)),
        ("Device", printable(&header.device)),
        ("System", system(header)),
        ("Sources", sources(header)),
        ("Started", utc(header.started)),
    ];
    items.retain(|(_, text)| !text.is_empty());
    Block::Facts { title: printable(&run.machine), items }
}

fn cases(run: &RunFindings<'_>) -> String {
    let counts = run.counts;
    let finished = counts.sound + counts.unverified + counts.wrong;
    let mut text = format!(
        "{} measured: {finished} finished, {} failed, {} skipped",
        counts.all, counts.failed, counts.skipped
    );
    if counts.unfinished > 0 {
        text.push_str(&format!(", {} unfinished", counts.unfinished));
    }
    text
}

fn answers(run: &RunFindings<'_>) -> String {
    let counts = run.counts;
    let finished = counts.sound + counts.unverified + counts.wrong;
    if finished == 0 {
        return "nothing finished, so nothing was verified".into();
    }
    if counts.sound == finished {
        return format!(
            "all {finished} verified against an independent answer"
        );
    }
    let mut text = format!("{} of {finished} verified", counts.sound);
    if counts.wrong > 0 {
        text.push_str(&format!(", {} wrong", counts.wrong));
    }
    if counts.unverified > 0 {
        text.push_str(&format!(", {} not checked", counts.unverified));
    }
    text.push_str("; only verified cases are charted");
    text
}

fn predictions(run: &RunFindings<'_>) -> String {
    let mut profiles: Vec<&str> =
        run.predictions.iter().map(|p| p.profile.as_str()).collect();
    profiles.sort_unstable();
    profiles.dedup();
    match run.predictions.len() {
        0 => "none".into(),
        count => format!("{count} on {}", counted(profiles.len(), "profile")),
    }
}

fn machine(header: &RunHeader) -> String {
    let host = &header.host;
    let memory = show_bare(host.memory_bytes as f64, "B");
    let mut text = format!(
        "{}, {}, {memory}",
        printable(&host.cpu),
        counted(host.cores as usize, "core"),
    );
    if let Some(cache) = host.last_level_cache_bytes {
        text.push_str(&format!(
            ", last-level cache {}",
            show_bare(cache as f64, "B")
        ));
    }
    if let Some(hypervisor) = &host.hypervisor {
        text.push_str(&format!(
            ", virtual machine ({})",
            printable(hypervisor)
        ));
    }
    text
}

fn system(header: &RunHeader) -> String {
    let host = &header.host;
    [&host.os, &host.kernel, &header.toolchain]
        .into_iter()
        .filter(|part| !part.is_empty())
        .map(|part| printable(part))
        .collect::<Vec<_>>()
        .join(", ")
}

fn sources(header: &RunHeader) -> String {
    let short: String = header.commit.chars().take(12).collect();
    let tree = match header.dirty {
        Some(true) => ", with changes that are not committed",
        Some(false) => ", clean tree",
        None => "",
    };
    format!(
        "assay {}, commit {}{tree}",
        printable(&header.assay_version),
        printable(&short)
    )
}

/// One sentence a kind of warning, with the number of cases that it met.
fn warnings(run: &RunFindings<'_>) -> Vec<String> {
    let mut kinds: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for record in &run.records {
        let mut met: Vec<&str> = Vec::new();
        for warning in &record.warnings {
            if met.contains(&warning.kind.as_str()) {
                continue;
            }
            met.push(&warning.kind);
            kinds.entry(&warning.kind).or_insert((0, &warning.message)).0 += 1;
        }
    }
    kinds
        .into_iter()
        .map(|(kind, (count, message))| {
            let first = if count > 1 { "the first: " } else { "" };
            format!(
                "{} on {}, {}; {first}{}",
                printable(kind),
                printable(&run.machine),
                counted(count, "case"),
                printable(message)
            )
        })
        .collect()
}
