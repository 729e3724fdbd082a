//! Panics: a defect of ours must not take the messages of an organization with it, nor a secret into a log.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use crate::clock::Timestamp;

/// More panics than this within the span end the engine: it would only fail again.
const PANICS_MAX: usize = 3;
const SPAN: Duration = Duration::from_secs(60);

/// What a future came to that has panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Panicked;

/// The future's output, or that it panicked. Whoever asks must not rely on what it was changing.
pub(super) async fn unwound<T>(future: impl Future<Output = T>) -> Result<T, Panicked> {
    let mut future = pin!(future);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Err(_) => Poll::Ready(Err(Panicked)),
    })
    .await
}

/// The same for a call.
pub(super) fn caught<T>(call: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| Panicked)
}

/// When an engine panicked.
#[derive(Debug, Default)]
pub(super) struct Panics(VecDeque<Timestamp>);

impl Panics {
    /// Notes another one; whether the engine may go on.
    pub(super) fn note(&mut self, now: Timestamp) -> bool {
        self.0.push_back(now);
        while self.0.front().is_some_and(|first| now.since(*first) > SPAN) {
            self.0.pop_front();
        }
        self.0.len() <= PANICS_MAX
    }
}

/// The message of a panic may quote a text that it was looking at: of threads of ours only the place is shown.
pub(super) fn show_places_only() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !std::thread::current().name().is_some_and(|name| name.starts_with("spillway")) {
            return usual(panic);
        }
        let place = panic.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
        // Nobody is left to tell if this fails.
        let _ = writeln!(std::io::stderr(), "spillway: a defect in the engine{place}; please report it");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_panics_a_minute_are_survived() {
        let mut panics = Panics::default();
        let at = |seconds| Timestamp::START.after(Duration::from_secs(seconds));
        assert!((0..3).all(|second| panics.note(at(second))));
        assert!(!panics.note(at(59)));
        assert!(panics.note(at(62)), "two of them are more than a minute ago");
    }
}
