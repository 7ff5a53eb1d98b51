//! The command line.

mod compare;
mod selftest;

use std::path::PathBuf;

use assay_schema::Seconds;
use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use compare::{CompareArgs, ComparisonFormat};
pub(crate) use selftest::{SelftestArgs, TextOrMarkdown};

/// Measures machine-learning workloads here, predicts them on hardware that
/// is not at hand, and reports both.
#[derive(Debug, Parser)]
#[command(
    name = "assay",
    version,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 done; 1 a regression, or a failed case, \
                  verification or check; 2 wrong input; 3 this machine \
                  cannot do it; 4 unclear where --prove was asked; 101 a bug"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List what can be run: workloads, models, phases, axes.
    Workloads(WorkloadsArgs),
    /// List hardware profiles, show one, or check their numbers.
    Profiles(ProfilesArgs),
    /// Measure this machine's ceilings into a hardware profile.
    Probe(ProbeArgs),
    /// Check answers against independent ones, without timing.
    Verify(VerifyArgs),
    /// Measure and predict cases; write a run directory and its report.
    Run(RunArgs),
    /// Show what a case does: FLOPs, bytes, memory, by operator and module.
    Trace(TraceArgs),
    /// Predict a case on hardware profiles.
    Predict(PredictArgs),
    /// Fit a device's corrections to measurements of it.
    Calibrate(CalibrateArgs),
    /// Faster, slower, same or unclear: runs, commands, or benchmarks.
    Compare(CompareArgs),
    /// Render a report of run directories.
    Report(ReportArgs),
    /// Take another tool's results as a run directory.
    Import(ImportArgs),
    /// Write a run in another form.
    Export(ExportArgs),
    /// Say what on this machine gets in the way of measuring.
    Doctor(DoctorArgs),
    /// Compare identical code with itself, and with slowdowns of known size:
    /// how far can verdicts be trusted here?
    Selftest(SelftestArgs),
}

/// Text for people, or one JSON document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum TextOrJson {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct WorkloadsArgs {
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: TextOrJson,
}

#[derive(Debug, Args)]
pub(crate) struct ProfilesArgs {
    /// A profile to show, e.g. nvidia-a100-sxm4-80gb; `host` is this machine.
    pub(crate) name: Option<String>,
    /// Report numbers that contradict each other; exit 1 if any.
    #[arg(long)]
    pub(crate) check: bool,
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: TextOrJson,
}

#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    /// Device to probe.
    #[arg(long, default_value = "cpu")]
    pub(crate) device: String,
    /// Where to write the profile [default: where `host` is looked up].
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Fewer rounds: about 40 s in place of 3 minutes.
    #[arg(long)]
    pub(crate) quick: bool,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Cases or globs, e.g. `slm/*/decode`; axes as axis=value [default: all].
    pub(crate) words: Vec<String>,
    /// A model file (TOML or Hugging Face config.json) in place of a name.
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
    /// Weights by published names (safetensors).
    #[arg(long, value_name = "FILE", requires = "golden")]
    pub(crate) weights: Option<PathBuf>,
    /// Right answers: a safetensors file of input.* and output.* tensors.
    #[arg(long, value_name = "FILE", requires = "weights")]
    pub(crate) golden: Option<PathBuf>,
    /// Largest difference allowed, relative to the largest magnitude.
    #[arg(long, default_value_t = 1e-4)]
    pub(crate) tolerance: f64,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct RunArgs {
    /// Workloads, cases or globs; axes as axis=value. None: the tour.
    pub(crate) words: Vec<String>,
    /// A plan by name (`tour`) or file.
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) plan: Option<String>,
    /// Every stage once at a small point.
    #[arg(long, conflicts_with = "full")]
    pub(crate) quick: bool,
    /// The paper's size.
    #[arg(long)]
    pub(crate) full: bool,
    /// Hardware profiles to predict for, comma separated; `host`, `all` too.
    #[arg(long, value_name = "PROFILE,...", value_delimiter = ',')]
    pub(crate) on: Vec<String>,
    /// Device to measure on: `cpu`; `wgpu:N`, a GPU, for `operators` where
    /// GPUs are built in.
    #[arg(long, default_value = "cpu")]
    pub(crate) device: String,
    /// Machine to measure on: `local`.
    #[arg(long, default_value = "local")]
    pub(crate) host: String,
    /// A model file (TOML or Hugging Face config.json) in place of a name.
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
    /// Data for workloads that read some.
    #[arg(long, value_name = "PATH")]
    pub(crate) data: Option<PathBuf>,
    /// Weights by published names (safetensors).
    #[arg(long, value_name = "PATH")]
    pub(crate) weights: Option<PathBuf>,
    /// Sampling time of each case, e.g. 10s, 500ms.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) budget: Option<f64>,
    /// Seed of everything random.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The run directory [default: runs/<time>].
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    pub(crate) out: Option<PathBuf>,
    /// Finish a run that was cut short, as it was asked for.
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with_all = [
            "words", "plan", "quick", "full", "on", "model", "data",
            "weights", "budget", "seed",
        ]
    )]
    pub(crate) resume: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum TraceFormat {
    #[default]
    Text,
    Json,
    Chrome,
}

#[derive(Debug, Args)]
pub(crate) struct TraceArgs {
    /// A case, e.g. slm/tiny/prefill.
    pub(crate) case: String,
    /// Axes as axis=value.
    pub(crate) axes: Vec<String>,
    /// A model file (TOML or Hugging Face config.json) in place of a name.
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: TraceFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PredictFormat {
    Text,
    Json,
    Csv,
}

#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    /// A case, e.g. slm/phonelm-1.5b/decode.
    #[arg(required_unless_present = "from")]
    pub(crate) case: Option<String>,
    /// Axes as axis=value.
    pub(crate) axes: Vec<String>,
    /// Profiles, comma separated, a unit after a colon, a runtime after an at
    /// sign: snapdragon-8-gen-3:npu, nvidia-a100-sxm4-80gb@eager;
    /// `host` is this machine, `all` every shipped one.
    #[arg(
        long,
        value_name = "PROFILE[:UNIT],...",
        value_delimiter = ',',
        required_unless_present = "from"
    )]
    pub(crate) on: Vec<String>,
    /// A table of cases: columns case, profile, runtime and any axis.
    #[arg(long, value_name = "CSV", conflicts_with_all = ["case", "on"])]
    pub(crate) from: Option<PathBuf>,
    /// kernel, eager, graph, llama-cpp, qnn or flex.
    #[arg(long)]
    pub(crate) runtime: Option<String>,
    /// A model file (TOML or Hugging Face config.json) in place of a name.
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
    /// An overlay on the constants, or `none`.
    #[arg(long, value_name = "FILE|none")]
    pub(crate) calibration: Option<String>,
    /// [default: text; csv with --from]
    #[arg(long, value_enum)]
    pub(crate) format: Option<PredictFormat>,
}

#[derive(Debug, Args)]
pub(crate) struct CalibrateArgs {
    /// Measured cases: the columns of `predict --from`, latency_s and source;
    /// weight and note where there are any.
    #[arg(
        long,
        value_name = "CSV",
        required_unless_present = "device",
        conflicts_with = "device"
    )]
    pub(crate) from: Option<PathBuf>,
    /// A device of this machine, to measure 50 small kernels on, in about a
    /// minute: `cpu`, or `wgpu:N` where GPUs are built in.
    #[arg(long)]
    pub(crate) device: Option<String>,
    /// With --device wgpu:N: the shipped profile of that GPU.
    #[arg(long, value_name = "NAME", conflicts_with = "from")]
    pub(crate) profile: Option<String>,
    /// With --device: table of what was measured, for --from.
    #[arg(long, value_name = "CSV", conflicts_with = "from")]
    pub(crate) rows: Option<PathBuf>,
    /// Where to write the overlay; with --joint, the constants.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Fit the constants of all devices and families, not one device's
    /// overlay: this project's own use.
    #[arg(long, conflicts_with = "device")]
    pub(crate) joint: bool,
    /// With --joint: folder for the overlay of each device.
    #[arg(long, value_name = "DIR", requires = "joint")]
    pub(crate) overlays: Option<PathBuf>,
    /// With --joint: table of the predictions of rows held out.
    #[arg(long, value_name = "CSV", requires = "joint")]
    pub(crate) held_out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Run directories; for a validation also a CSV of the columns of
    /// `predict --from` plus latency_s and source.
    #[arg(required = true)]
    pub(crate) runs: Vec<PathBuf>,
    /// Folder to write into.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// html, markdown, csv, latex, svg, comma separated.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "html,markdown,csv,latex,svg"
    )]
    pub(crate) format: Vec<String>,
    /// run, validation or comparison.
    #[arg(long, default_value = "run")]
    pub(crate) kind: String,
    /// For a CSV: predictions of fits that had not seen its rows, as
    /// `calibrate --joint --held-out` writes them.
    #[arg(long, value_name = "CSV")]
    pub(crate) held_out: Option<PathBuf>,
    /// For a CSV: what another predictor says of its language models, in a
    /// column `<name>_latency_s`, e.g. GenZ=genz.csv.
    #[arg(long, value_name = "NAME=CSV")]
    pub(crate) peer: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// criterion: the folder target/criterion.
    pub(crate) format: String,
    /// Files or folders of the tool.
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Which of the tool's baselines, e.g. one of `--save-baseline`.
    #[arg(long, value_name = "NAME", default_value = "new")]
    pub(crate) baseline: String,
    /// The run directory [default: runs/<time>].
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// published: the run, compressed; it reads like the original.
    pub(crate) format: String,
    /// The run directory.
    pub(crate) run: PathBuf,
    /// Where to; it must not hold a run.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: TextOrJson,
}

/// Seconds from `10s`, `500ms`, `2m`, `1.5`.
fn duration(text: &str) -> Result<f64, String> {
    Seconds::typed(text).map(|seconds| seconds.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
