//! Async bodies: the caller brings the executor, so that no runtime is
//! compiled here. A whole lap is one future.

use std::future::Future;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use crate::routine::{Laps, in_chunks};

/// What an executor is given: a future to run to its end, on this thread.
pub type LocalFuture<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Runs a future to its end on this thread, parked while it waits. For bodies
/// that need no runtime's timers or sockets.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Laps of an async body.
pub(crate) fn laps<O: 'static>(
    executor: impl for<'f> Fn(LocalFuture<'f>) + 'static,
    mut body: impl AsyncFnMut() -> O + 'static,
) -> Laps<O> {
    Box::new(move |lap| {
        let mut last = None;
        executor(Box::pin(async {
            for _ in 1..lap.iterations {
                black_box(body().await);
            }
            last = Some(black_box(body().await));
        }));
        last
    })
}

/// Laps of an async body on inputs that an async set-up makes.
pub(crate) fn laps_with_setup<I: 'static, O: 'static>(
    executor: impl for<'f> Fn(LocalFuture<'f>) + 'static,
    mut set_up: impl AsyncFnMut() -> I + 'static,
    mut body: impl AsyncFnMut(&mut I) -> O + 'static,
) -> Laps<O> {
    Box::new(move |lap| {
        in_chunks(
            lap,
            |inputs, count| {
                executor(Box::pin(async {
                    for _ in 0..count {
                        inputs.push(set_up().await);
                    }
                }));
            },
            |inputs, outputs| {
                executor(Box::pin(async {
                    for input in inputs {
                        outputs.push(black_box(body(black_box(input)).await));
                    }
                }));
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_future_that_another_thread_wakes_is_waited_for() {
        let (send, receive) = mpsc::channel::<Waker>();
        let waking = thread::spawn(move || receive.recv().map(Waker::wake));
        let mut polls = 0;
        let output = block_on(std::future::poll_fn(|context| {
            polls += 1;
            if polls == 2 {
                return Poll::Ready("done");
            }
            send.send(context.waker().clone()).unwrap();
            Poll::Pending
        }));
        assert_eq!((output, polls), ("done", 2));
        assert!(waking.join().unwrap().is_ok());
    }
}
