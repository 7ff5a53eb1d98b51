//! The child without a socket, on a clock that only the bodies move; and once
//! through a socket.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;

use assay_measure::FakeClock;
use assay_schema::{Better, LockstepReply, LockstepRequest, Seconds};

use super::*;
use crate::Throughput;
use crate::lockstep::serving::Child;

fn ask(
    child: &mut Child<'_, FakeClock>,
    request: &LockstepRequest,
) -> Option<LockstepReply> {
    child.answer(&serde_json::to_string(request).unwrap())
}

fn prepare(name: &str) -> LockstepRequest {
    LockstepRequest::Prepare { name: name.to_owned() }
}

fn error(reply: Option<LockstepReply>) -> String {
    match reply {
        Some(LockstepReply::Error { message }) => message,
        other => panic!("{other:?}"),
    }
}

/// A millisecond an iteration, on inputs that take a second each to make.
fn registered(clock: &FakeClock) -> Bench {
    let mut bench = Bench::new();
    let clock = clock.clone();
    bench.bench("scan", move |b| {
        let (make, work) = (clock.clone(), clock.clone());
        b.iter_with_setup(
            move || {
                make.advance(Seconds(1.0));
                5_u64
            },
            move |input| {
                work.advance(Seconds(1e-3));
                *input
            },
        )
        .throughput(Throughput::Bytes(8.0))
        .metric("recall", "1", Better::Higher, |output| *output as f64 / 10.0)
        .fingerprint(|output| output + 1)
    });
    bench.bench("bad", |b| {
        let mut runs = 0;
        b.iter(move || {
            runs += 1;
            assert!(runs < 3, "run {runs}");
        })
    });
    bench
}

#[test]
fn a_sample_holds_the_bodies_time_alone_and_the_warm_up_is_not_in_it() {
    let clock = FakeClock::new();
    let bench = registered(&clock);
    let mut child = Child::with_clock(&bench, clock);
    let ready = ask(&mut child, &prepare("scan"));
    let expected = LockstepReply::Ready { seconds: 1e-3, fingerprint: Some(6) };
    assert_eq!(ready, Some(expected));

    let run = LockstepRequest::Run { warm_up: 3, iterations: 20 };
    let Some(LockstepReply::Sample { seconds, metrics }) =
        ask(&mut child, &run)
    else {
        panic!("no sample");
    };
    assert!((seconds - 0.02).abs() < 1e-12, "{seconds}");
    let recall = &metrics["quality/recall"];
    assert_eq!((recall.value, recall.better), (0.5, Better::Higher));
    assert!(!metrics.contains_key("allocations"), "no allocator counts");
}

#[test]
fn a_body_that_panics_is_an_error_and_the_child_stays() {
    let clock = FakeClock::new();
    let bench = registered(&clock);
    let mut child = Child::with_clock(&bench, clock);
    assert!(ask(&mut child, &prepare("bad")).is_some());
    let run = LockstepRequest::Run { warm_up: 0, iterations: 5 };
    let message = error(ask(&mut child, &run));
    assert_eq!(message, "the body panicked: run 3");
    assert_eq!(error(ask(&mut child, &run)), "nothing is prepared");
    let ready = ask(&mut child, &prepare("scan"));
    assert!(matches!(ready, Some(LockstepReply::Ready { .. })), "{ready:?}");
}

#[test]
fn what_cannot_be_asked_is_answered_with_what_can() {
    let clock = FakeClock::new();
    let bench = registered(&clock);
    let mut child = Child::with_clock(&bench, clock);
    let message = error(ask(&mut child, &prepare("scna")));
    assert_eq!(message, "unknown benchmark `scna`; did you mean `scan`?");
    assert!(error(child.answer("{}")).starts_with("no request: "));
    assert!(ask(&mut child, &prepare("scan")).is_some());
    let none = LockstepRequest::Run { warm_up: 1, iterations: 0 };
    assert_eq!(
        error(ask(&mut child, &none)),
        "0 iterations; expected 1 or more"
    );
    assert_eq!(ask(&mut child, &LockstepRequest::End), None);
}

#[test]
fn one_line_is_answered_with_one_line_until_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let bench = registered(&FakeClock::new());
    let served = std::thread::scope(|scope| {
        let served = scope.spawn(|| serve_lockstep(&bench, &socket));
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        stream.write_all(b"{\"do\":\"list\"}\n").unwrap();
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let listing = LockstepReply::Listing {
            version: assay_schema::LOCKSTEP_VERSION,
            benches: vec!["scan".to_owned(), "bad".to_owned()],
        };
        assert_eq!(
            serde_json::from_str::<LockstepReply>(&line).unwrap(),
            listing
        );
        stream.write_all(b"{\"do\":\"end\"}\n").unwrap();
        served.join().unwrap()
    });
    assert!(served.is_ok(), "{served:?}");

    let gone = serve_lockstep(&bench, &folder.path().join("none"));
    assert!(gone.unwrap_err().to_string().contains("none"));
}
