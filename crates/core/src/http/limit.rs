//! The time of a request.
//!
//! A process that was stopped finds that the time is over, and the answer in its socket. Which of the two it hears of
//! first is chance, so the socket is looked at once more before the time counts as over.

use std::time::Duration;

use crate::clock::{Clock, grace};

/// One turn of the runtime, which looks at every socket: timers count whole milliseconds.
const ONE_LOOK: Duration = Duration::from_millis(1);

/// Ends when a request has taken `timeout` and its answer is not in the socket. It begins when it is polled first.
pub(super) async fn elapsed(clock: Clock, timeout: Duration) {
    let mut wait = timeout;
    loop {
        let due = clock.now().after(wait);
        tokio::time::sleep(wait).await;
        match grace(due, clock.now()) {
            Some(more) => wait = more,
            None => return tokio::time::sleep(ONE_LOOK).await,
        }
    }
}
