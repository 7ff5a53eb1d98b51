//! Arguments of `assay selftest`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Text for people, or Markdown for a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum TextOrMarkdown {
    #[default]
    Text,
    Markdown,
}

#[derive(Debug, Args)]
pub(crate) struct SelftestArgs {
    /// Every part once over: 2 minutes in place of about 70.
    #[arg(long)]
    pub(crate) quick: bool,
    /// The record, one line a comparison; one that exists is gone on with
    /// [default: runs/selftest.jsonl, runs/selftest-quick.jsonl].
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Only show the table of what a record holds, of any machine, compressed
    /// (.zst) or not.
    #[arg(long)]
    pub(crate) table: bool,
    /// Seed of every order.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: TextOrMarkdown,
}
