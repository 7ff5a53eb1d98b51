//! The flow of an executable: read the flags, choose, then list, test, serve
//! or measure, and say how it went by the exit code.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use assay_measure::{Clock, Settings, SystemClock};

use crate::against::{Pair, compare};
use crate::arguments::{Action, Arguments, HELP};
use crate::baseline::{Baselines, Kept};
use crate::bench::Entry;
use crate::line;
use crate::prepared::guarded;
use crate::session::measure;
use crate::{Bench, BenchError, serve_lockstep};

/// Runs the benchmarks as the flags say; what [`main!`](crate::main) calls.
///
/// Prints to standard output, errors to standard error. The exit code is 0
/// when all is well, 1 when a benchmark failed or is slower than its baseline,
/// 2 for wrong flags, names or files, and where a baseline does not fit and
/// was not forced.
pub fn run<W: Into<String>>(
    bench: &Bench,
    arguments: impl IntoIterator<Item = W>,
) -> ExitCode {
    let words = arguments.into_iter().map(Into::into);
    let folder = baseline_folder(bench.suite());
    let mut out = io::stdout();
    match run_on(bench, words, folder, SystemClock::detect, &mut out) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        // Whoever read the list has seen enough.
        Err(BenchError::Output(error))
            if error.kind() == io::ErrorKind::BrokenPipe =>
        {
            ExitCode::SUCCESS
        }
        Err(error) => {
            // With standard error gone as well, the exit code must do.
            let _unseen = writeln!(io::stderr(), "error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Runs and gives the number of benchmarks that failed or are slower.
fn run_on<C: Clock + Clone + 'static>(
    bench: &Bench,
    words: impl Iterator<Item = String>,
    baselines: PathBuf,
    clock: impl FnOnce() -> C,
    out: &mut dyn Write,
) -> Result<usize, BenchError> {
    let arguments = Arguments::parse(words)?;
    bench.check()?;
    let chosen: Vec<&Entry> = bench
        .entries()
        .iter()
        .filter(|entry| arguments.wants(&entry.name))
        .collect();
    match &arguments.action {
        Action::Help => {
            out.write_all(HELP.as_bytes())?;
            Ok(0)
        }
        Action::List => {
            let mut out = io::BufWriter::new(out);
            for entry in &chosen {
                writeln!(out, "{}: benchmark", entry.name)?;
            }
            out.flush()?;
            Ok(0)
        }
        Action::Test => test(&chosen, out),
        Action::Lockstep(socket) => serve_lockstep(bench, socket).map(|()| 0),
        Action::Measure => {
            let baselines = Baselines::new(baselines);
            let before = kept_before(&chosen, &arguments, &baselines)?;
            let measuring = Measuring {
                bench,
                arguments: &arguments,
                baselines: &baselines,
                clock: clock(),
            };
            measuring.all(&chosen, before, out)
        }
    }
}

/// Each body once.
fn test(chosen: &[&Entry], out: &mut dyn Write) -> Result<usize, BenchError> {
    let clock = assay_measure::FakeClock::new();
    let mut failed = 0;
    for entry in chosen {
        let tested = guarded("the body", || {
            let mut prepared = entry.build()?;
            prepared.timed(1, &clock, None)?;
            prepared.metrics()?;
            prepared.fingerprint();
            Ok(())
        });
        match tested {
            Ok(()) => writeln!(out, "test {} ... ok", entry.name)?,
            Err(why) => {
                failed += 1;
                writeln!(out, "test {} ... FAILED\n    {why}", entry.name)?;
            }
        }
    }
    let passed = chosen.len() - failed;
    writeln!(out, "\n{passed} passed; {failed} failed")?;
    Ok(failed)
}

/// The kept samples of the chosen benchmarks, read before any time is spent;
/// nothing where none are asked for.
fn kept_before(
    chosen: &[&Entry],
    arguments: &Arguments,
    baselines: &Baselines,
) -> Result<Vec<Option<Kept>>, BenchError> {
    let Some(name) = &arguments.baseline else { return Ok(Vec::new()) };
    baselines.check(name)?;
    chosen.iter().map(|entry| baselines.load(name, &entry.name)).collect()
}

/// What all benchmarks of a run share.
struct Measuring<'a, C> {
    bench: &'a Bench,
    arguments: &'a Arguments,
    baselines: &'a Baselines,
    clock: C,
}

impl<C: Clock + Clone + 'static> Measuring<'_, C> {
    /// Measures the chosen in turn, and compares them where asked.
    fn all(
        &self,
        chosen: &[&Entry],
        mut before: Vec<Option<Kept>>,
        out: &mut dyn Write,
    ) -> Result<usize, BenchError> {
        let Arguments { baseline, floor, force, .. } = self.arguments;
        let width = line::name_width(chosen.iter().map(|e| e.name.as_str()));
        let mut failed = 0;
        let mut pairs = Vec::new();
        for (place, entry) in chosen.iter().enumerate() {
            let Some(candidate) = self.one(entry, width, out)? else {
                failed += 1;
                continue;
            };
            match before.get_mut(place).map(Option::take) {
                Some(Some(baseline)) => {
                    pairs.push(Pair { baseline, candidate });
                }
                Some(None) => writeln!(out, "    not in the baseline")?,
                None => {}
            }
        }
        if chosen.is_empty() {
            writeln!(out, "no benchmark matches")?;
        }
        if let Some(name) = baseline {
            let compared = compare(name, &pairs, *floor, *force);
            out.write_all(compared.text.as_bytes())?;
            if !compared.refused.is_empty() {
                out.flush()?;
                return Err(BenchError::NotComparable {
                    baseline: name.clone(),
                    names: compared.refused,
                });
            }
            failed += compared.slower;
        }
        Ok(failed)
    }

    /// Measures one, prints it, and keeps it where asked; none if it failed.
    fn one(
        &self,
        entry: &Entry,
        width: usize,
        out: &mut dyn Write,
    ) -> Result<Option<Kept>, BenchError> {
        let settings = settings(self.arguments);
        let counter = self.bench.counter();
        let kept = match measure(entry, &settings, &self.clock, counter) {
            Ok(found) => {
                let text = line::measured(&entry.name, width, &found);
                out.write_all(text.as_bytes())?;
                let kept = Kept::new(&entry.name, &found);
                if let Some(name) = &self.arguments.save {
                    self.baselines.save(name, &kept)?;
                }
                Some(kept)
            }
            Err(why) => {
                writeln!(out, "{:width$}  FAILED\n    {why}", entry.name)?;
                None
            }
        };
        out.flush()?;
        Ok(kept)
    }
}

fn settings(arguments: &Arguments) -> Settings {
    let mut settings = Settings::with_budget(arguments.budget);
    if arguments.save.is_some() || arguments.baseline.is_some() {
        // A median is soon precise; that it stays where it is, and how far it
        // wanders, needs the time that a comparison lives on.
        settings.minimum_time = arguments.budget * 0.5;
    }
    settings
}

/// `target/assay/baselines/<suite>`: above the executable that cargo built,
/// else below the working folder.
fn baseline_folder(suite: &str) -> PathBuf {
    let built = std::env::current_exe().ok();
    let target = built
        .as_deref()
        .and_then(|exe| exe.ancestors().find(|p| p.ends_with("deps")))
        .and_then(|deps| deps.parent()?.parent())
        .map_or_else(|| PathBuf::from("target"), Path::to_owned);
    target.join("assay").join("baselines").join(suite)
}

#[cfg(test)]
mod tests;
