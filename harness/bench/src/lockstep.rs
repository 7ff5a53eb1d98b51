//! The lockstep child: answers the requests of `assay compare --bench` over a
//! Unix socket, one line of JSON each (see `assay_schema`'s lockstep).
//!
//! Everything but the body stands outside the clock: parsing, counting,
//! reading metrics, writing the answer.

use std::path::Path;

use crate::{Bench, BenchError};

/// Connects to the socket and answers until told to end, or until the other
/// side leaves.
///
/// # Errors
///
/// A socket that cannot be reached or breaks; names that cannot be listed. A
/// body that fails is answered as an error and does not end the service.
#[cfg(unix)]
pub fn serve_lockstep(bench: &Bench, socket: &Path) -> Result<(), BenchError> {
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::UnixStream;

    bench.check()?;
    let broken = |error: std::io::Error| BenchError::File {
        path: socket.to_owned(),
        problem: error.to_string(),
    };
    let stream = UnixStream::connect(socket).map_err(broken)?;
    let mut writer = stream.try_clone().map_err(broken)?;
    let mut reader = BufReader::new(stream);
    let mut child = serving::Child::new(bench);
    let mut line = String::new();
    let mut answer = Vec::new();
    loop {
        line.clear();
        if reader.read_line(&mut line).map_err(broken)? == 0 {
            return Ok(());
        }
        let Some(reply) = child.answer(&line) else { return Ok(()) };
        answer.clear();
        serde_json::to_writer(&mut answer, &reply)
            .map_err(|error| broken(error.into()))?;
        answer.push(b'\n');
        writer.write_all(&answer).map_err(broken)?;
    }
}

/// Says that there are no Unix sockets here.
///
/// # Errors
///
/// Always.
#[cfg(not(unix))]
pub fn serve_lockstep(
    _bench: &Bench,
    _socket: &Path,
) -> Result<(), BenchError> {
    Err(BenchError::NoLockstep)
}

#[cfg(unix)]
mod serving {
    use std::collections::BTreeMap;

    use assay_measure::{Clock, MonotonicClock};
    use assay_schema::{LOCKSTEP_VERSION, LockstepReply, LockstepRequest};

    use crate::Bench;
    use crate::counters::Counters;
    use crate::prepared::{Named, Prepared, allocations_metric, guarded};

    /// The state between requests.
    pub(super) struct Child<'a, C = MonotonicClock> {
        bench: &'a Bench,
        clock: C,
        counters: Counters,
        prepared: Option<Prepared>,
    }

    impl<'a> Child<'a> {
        pub(super) fn new(bench: &'a Bench) -> Self {
            // Not the cycle counter: its calibration takes 25 ms of every
            // process, and each process would have a rate of its own, while
            // a slot is 0.15 ms, which a 20 ns read cannot disturb.
            Self::with_clock(bench, MonotonicClock::new())
        }
    }

    impl<'a, C: Clock> Child<'a, C> {
        pub(super) fn with_clock(bench: &'a Bench, clock: C) -> Self {
            Self { bench, clock, counters: Counters::new(), prepared: None }
        }

        /// The answer; none to [`LockstepRequest::End`].
        pub(super) fn answer(&mut self, line: &str) -> Option<LockstepReply> {
            let reply = match serde_json::from_str(line) {
                Ok(LockstepRequest::List) => Ok(LockstepReply::Listing {
                    version: LOCKSTEP_VERSION,
                    benches: self.bench.names().map(str::to_owned).collect(),
                }),
                Ok(LockstepRequest::Prepare { name }) => self.prepare(&name),
                Ok(LockstepRequest::Run { warm_up, iterations }) => {
                    self.run(warm_up, iterations)
                }
                Ok(LockstepRequest::End) => {
                    let _panicked = self.drop_prepared();
                    return None;
                }
                Err(error) => Err(format!("no request: {error}")),
            };
            Some(reply.unwrap_or_else(|message| {
                // What failed is not run again.
                let _panicked = self.drop_prepared();
                LockstepReply::Error { message }
            }))
        }

        fn drop_prepared(&mut self) -> Result<(), String> {
            let prepared = self.prepared.take();
            guarded("dropping the benchmark", || {
                drop(prepared);
                Ok(())
            })
        }

        fn prepare(&mut self, name: &str) -> Result<LockstepReply, String> {
            self.drop_prepared()?;
            let entry =
                self.bench.entry(name).map_err(|error| error.to_string())?;
            let clock = &self.clock;
            let (prepared, seconds, fingerprint) = guarded("the body", || {
                let mut prepared = entry.build()?;
                let first = prepared.timed(1, clock, None)?;
                let fingerprint = prepared.fingerprint();
                prepared.metrics()?;
                if prepared.is_chunked() {
                    prepared.size_lap(clock)?;
                }
                Ok((prepared, first.seconds.0, fingerprint))
            })?;
            self.prepared = Some(prepared);
            Ok(LockstepReply::Ready { seconds, fingerprint })
        }

        fn run(
            &mut self,
            warm_up: u64,
            iterations: u64,
        ) -> Result<LockstepReply, String> {
            let Some(prepared) = &mut self.prepared else {
                return Err("nothing is prepared".to_owned());
            };
            if iterations == 0 {
                return Err("0 iterations; expected 1 or more".to_owned());
            }
            let (clock, counters) = (&self.clock, &mut self.counters);
            let counter = self.bench.counter();
            guarded("the body", || {
                if warm_up > 0 {
                    prepared.timed(warm_up, clock, None)?;
                }
                counters.start();
                let time =
                    prepared.timed(iterations, clock, counter.map(|c| c as _));
                counters.stop();
                let time = time?;
                let mut metrics = BTreeMap::new();
                let mut add = |Named { name, metric }| {
                    metrics.insert(name, metric);
                };
                counters.read(iterations).into_iter().for_each(&mut add);
                prepared.metrics()?.into_iter().for_each(&mut add);
                if let Some(total) = time.allocations {
                    add(allocations_metric(total, iterations));
                }
                let seconds = time.seconds.0;
                Ok(LockstepReply::Sample { seconds, metrics })
            })
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
